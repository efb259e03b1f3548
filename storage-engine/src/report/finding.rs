//! What is counted, and how counts are put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use barrow_types::{Source, Symbol};

use crate::gaps::Reason;
use crate::quality::RuleId;

use super::member::Member;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Visible rows: as many as are tested.
    Rows,
    /// Rows without a value in a column that may have none.
    Nulls(&'static str),
    /// Rows that were turned away.
    DeadLetters,
    /// Expected slots: as many as are tested.
    Expected,
    /// Expected slots with this reason; [`Reason::Ok`]: with a row.
    Slots(Reason),
    /// The most missing slots in a row, as [`Count::most`].
    LongestGap,
    /// What a rule fires on: rows, sessions, slots, as it says.
    Rule(RuleId),
}

/// How often something was looked at, and how often it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// How often it was looked at.
    pub tested: u64,
    /// How often it failed.
    pub failed: u64,
    /// Of the failures those that no person has settled: released, or quarantined by hand.
    pub open: u64,
    /// Of the open ones those that are a warning at most.
    pub mild: u64,
    /// The first and the last time that failed.
    pub span: Option<(i64, i64)>,
    /// The greatest number that was met, of measures that meet numbers.
    pub most: Option<f64>,
}

impl Count {
    /// Counts failures at `ts`.
    pub(super) fn fail(&mut self, ts: i64, count: u64, is_open: bool, is_mild: bool) {
        self.failed += count;
        self.open += if is_open { count } else { 0 };
        self.mild += if is_open && is_mild { count } else { 0 };
        let (first, last) = self.span.unwrap_or((ts, ts));
        self.span = Some((first.min(ts), last.max(ts)));
    }

    /// Notes a number.
    pub(super) fn note(&mut self, number: f64) {
        self.most = Some(self.most.map_or(number, |most| most.max(number)));
    }

    /// Adds another count of the same.
    pub fn add(&mut self, other: &Self) {
        let Self { tested, failed, open, mild, span, most } = other;
        self.tested += tested;
        self.failed += failed;
        self.open += open;
        self.mild += mild;
        if let Some((first, last)) = span {
            let own = self.span.unwrap_or((*first, *last));
            self.span = Some((own.0.min(*first), own.1.max(*last)));
        }
        if let Some(number) = most {
            self.note(*number);
        }
    }
}

/// A count of one thing on one session date.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The session date, in days since 1970.
    pub date: i32,
    /// The series that it is about; `None`: the instrument.
    pub series: Option<(Symbol, Source)>,
    /// What it was compared with: another source, or a shorter step.
    pub beside: Option<Arc<str>>,
    /// What is counted.
    pub measure: Measure,
    /// How often.
    pub count: Count,
}

impl Finding {
    /// About an instrument.
    pub(super) fn of(date: i32, measure: Measure, count: Count) -> Self {
        Self { date, series: None, beside: None, measure, count }
    }
}

/// What a count is about: date, place of the series, what it is compared with, measure.
type Key = (i32, Option<usize>, Option<Arc<str>>, Measure);

/// The counts of one instrument.
#[derive(Default)]
pub(super) struct Found(BTreeMap<Key, Count>);

impl Found {
    /// The count of an instrument.
    pub(super) fn of_instrument(&mut self, date: i32, measure: Measure) -> &mut Count {
        self.0.entry((date, None, None, measure)).or_default()
    }

    /// The count of a series.
    pub(super) fn of_series(&mut self, date: i32, series: usize, measure: Measure) -> &mut Count {
        self.0.entry((date, Some(series), None, measure)).or_default()
    }

    /// The count of a series beside something.
    pub(super) fn beside(
        &mut self,
        date: i32,
        series: usize,
        beside: &Arc<str>,
        rule: RuleId,
    ) -> &mut Count {
        let key = (date, Some(series), Some(Arc::clone(beside)), Measure::Rule(rule));
        self.0.entry(key).or_default()
    }

    /// All of them, in order of dates.
    pub(super) fn list(self, member: &Member<'_>) -> Vec<Finding> {
        let finding = |((date, series, beside, measure), count): (Key, Count)| {
            let series = series.map(|place| {
                let key = &member.series[place].key;
                (key.symbol.clone(), key.source.clone())
            });
            Finding { date, series, beside, measure, count }
        };
        self.0.into_iter().map(finding).collect()
    }
}
