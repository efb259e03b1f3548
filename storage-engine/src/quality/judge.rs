//! Judges a range of a series: reads its rows with as many around them as the rules look at, so
//! that the verdicts are those of the whole series.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use barrow_types::{Align, ColumnId, DAY_NANOS, DatasetId, SeriesId, SeriesKey, Step, Timestamp};

use crate::calendar::{Calendar, Session};
use crate::dataset;
use crate::error::Error;
use crate::gaps::FactsAt;
use crate::reference::Reference;
use crate::rows::Rows;
use crate::snapshot::{Revisions, Scan};

use super::Fired;
use super::fire::{fire, is_mild, looks_at, tested};
use super::places::{Place, day_of, places};
use super::settings::RuleSet;
use super::spike::ROWS_BEFORE;
use super::split::{AROUND, Split};
use super::table::RuleId;
use super::view::{View, columns};
use super::volume::{WINDOW, is_zero, ranks_with_volume};

/// What rules look at around a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// So many rows before it.
    pub rows_before: usize,
    /// So many rows after it.
    pub rows_after: usize,
    /// The rows of its session, and of so many sessions before; `None`: of no session.
    pub sessions_before: Option<usize>,
}

/// What some rules look at around a row of a step.
pub fn context(rules: &RuleSet, wanted: Fired, step: Step) -> Context {
    let mut all = Context::default();
    for rule in wanted.iter().filter(|rule| rule.is_of(step)) {
        let setting = rules.get(rule);
        let (before, after) = match rule {
            RuleId::VolumeSpike => (WINDOW, 0),
            RuleId::StalePrice => (setting.count("n") - 1, 0),
            RuleId::Spike => (ROWS_BEFORE, setting.count("m")),
            RuleId::SplitSuspect => (AROUND, AROUND - 1),
            RuleId::AdjContinuity => (ROWS_BEFORE, 0),
            RuleId::UnitError => (1, 0),
            RuleId::ZeroVolumeBar if step.is_dated() => (setting.count("sessions"), 0),
            RuleId::ZeroVolumeBar => {
                all.sessions_before = Some(setting.count("sessions"));
                (0, 0)
            }
            _ => (0, 0),
        };
        all.rows_before = all.rows_before.max(before);
        all.rows_after = all.rows_after.max(after);
    }
    all
}

/// What facts say of the instrument that rows are of.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Its calendar; without one every slot is expected.
    pub calendar: Option<Arc<Calendar>>,
    /// How bars lie in its sessions.
    pub align: Align,
    /// Its tick sizes, each since an instant.
    pub ticks: Vec<(i64, Option<f64>)>,
    /// Its splits in order of their dates.
    pub splits: Vec<Split>,
}

impl Subject {
    /// What `reference` says of an instrument.
    pub fn of(
        reference: &Reference,
        instrument: &str,
        calendar: Option<Arc<Calendar>>,
        align: Align,
    ) -> Self {
        let tick = |value: &str| value.parse().ok().filter(|tick: &f64| *tick > 0.0);
        let ticks = reference.attribute(instrument, "tick_size").iter();
        let ticks = ticks.map(|(since, value)| (*since, value.as_deref().and_then(tick)));
        let splits = reference.actions(instrument).iter().filter(|action| action.kind == "split");
        let splits = splits.map(|split| (split.ex_date, split.value));
        Self { calendar, align, ticks: ticks.collect(), splits: splits.collect() }
    }
}

/// A row that rules have judged.
pub(crate) struct Seen<'a> {
    /// Rows with all columns of the dataset.
    pub(crate) rows: &'a Rows,
    /// Which of them it is.
    pub(crate) at: usize,
    /// Where it lies in the calendar.
    pub(crate) place: Place,
    /// The wanted rules that have what they need to judge it.
    pub(crate) tested: Fired,
    /// Those that fire on it.
    pub(crate) fired: Fired,
    /// Those that fire on it and are a warning at most.
    pub(crate) mild: Fired,
}

/// A series, the rules, and what they go by.
pub(crate) struct Judge<'a> {
    /// Where and as of when.
    pub(crate) at: FactsAt<'a>,
    /// Of market data.
    pub(crate) series: SeriesId,
    /// Its key.
    pub(crate) key: &'a SeriesKey,
    /// How rules are applied to its dataset.
    pub(crate) rules: &'a RuleSet,
    /// The rules to run.
    pub(crate) wanted: Fired,
    /// Of its instrument.
    pub(crate) subject: &'a Subject,
}

/// Rows read with their context.
struct Around {
    rows: Rows,
    /// Those of the range.
    asked: Range<usize>,
    /// All instants that were read.
    span: Range<i64>,
}

impl Judge<'_> {
    /// Judges the visible rows with `ts` in [`start`, `end`): the places among them of those on
    /// which a rule fires, in order.
    pub(crate) fn judge(&self, start: i64, end: i64) -> Result<Vec<(usize, Fired)>, Error> {
        let dataset = self.key.dataset;
        let is_wanted = |name: &str| self.wanted.iter().any(|rule| looks_at(rule, dataset, name));
        let ids = columns(dataset, is_wanted);
        let around = self.read_around(&ids, start, end)?;
        let needs_places =
            [RuleId::OffSession, RuleId::ZeroVolumeBar, RuleId::StalePrice, RuleId::UnitError];
        let placed = if self.wanted.has_any(needs_places.into_iter().collect()) {
            self.places(&around.rows.ts)
        } else {
            Vec::new()
        };
        let view = self.view(&around.rows, &ids, &placed);
        let fired = self.fired(&view, &around)?;
        let fired = fired.into_iter().enumerate().filter(|(_, fired)| !fired.is_empty());
        Ok(fired.collect())
    }

    /// Calls `on_row` with the visible rows with `ts` in [`start`, `end`), in order; says whether
    /// there were any.
    pub(crate) fn each(
        &self,
        start: i64,
        end: i64,
        mut on_row: impl FnMut(&Seen<'_>),
    ) -> Result<bool, Error> {
        if self.read(&[], start, end)?.is_empty() {
            return Ok(false);
        }
        let schema = dataset::schema(self.key.dataset).expect("invariant: a series has a dataset");
        let ids: Vec<ColumnId> = schema.columns.iter().map(|column| column.id).collect();
        let around = self.read_around(&ids, start, end)?;
        let placed = self.places(&around.rows.ts);
        let view = self.view(&around.rows, &ids, &placed);
        let fired = self.fired(&view, &around)?;
        let wanted = self.wanted.iter().filter(|rule| rule.is_of(self.key.step)).collect();
        for (at, fired) in around.asked.clone().zip(fired) {
            let tested = tested(&view, wanted, self.subject, at);
            let mild = fired.iter().filter(|rule| is_mild(&view, *rule, at)).collect();
            on_row(&Seen { rows: &around.rows, at, place: placed[at], tested, fired, mild });
        }
        Ok(true)
    }

    /// The rules that fire on each of the rows that were asked for.
    fn fired(&self, view: &View<'_>, around: &Around) -> Result<Vec<Fired>, Error> {
        let ranks = self.ranks(view, around)?;
        let Around { asked, .. } = around;
        let mut fired = vec![Fired::NONE; asked.len()];
        let mut hit = |at: usize, rule| fired[at - asked.start].add(rule);
        fire(view, self.rules, self.wanted, self.subject, &ranks, asked, &mut hit);
        Ok(fired)
    }

    pub(crate) fn places(&self, ts: &[i64]) -> Vec<Place> {
        places(self.subject.calendar.as_deref(), self.key.step, self.subject.align, ts)
    }

    fn view<'v>(&self, rows: &'v Rows, ids: &[ColumnId], places: &'v [Place]) -> View<'v> {
        View::new(self.key.dataset, self.key.step, &rows.ts, ids, &rows.columns, places)
    }

    /// The visible rows with `ts` in [`start`, `end`).
    fn read(&self, ids: &[ColumnId], start: i64, end: i64) -> Result<Rows, Error> {
        let schema = dataset::schema(self.key.dataset).expect("invariant: a series has a dataset");
        let kind = |id: &ColumnId| {
            schema.columns[schema.place(*id).expect("invariant: it is the schema's")].kind()
        };
        let mut rows = Rows::empty(ids.iter().map(kind));
        let mut scanner = self.at.snapshot.scan(Scan {
            series: self.series,
            start: Timestamp::from_nanos(start),
            end: Timestamp::from_nanos(end),
            columns: ids.to_vec(),
            as_of: self.at.as_of,
            at_sequence: self.at.at_sequence,
            revisions: Revisions::Visible,
        })?;
        while let Some(piece) = scanner.next()? {
            if rows.is_empty() {
                rows = piece;
            } else {
                rows.extend_from(&piece);
            }
        }
        Ok(rows)
    }

    /// The rows of a range and as many before and after as the rules look at.
    fn read_around(&self, ids: &[ColumnId], start: i64, end: i64) -> Result<Around, Error> {
        let context = context(self.rules, self.wanted, self.key.step);
        let Some((first, last)) = self.at.snapshot.span(self.series) else {
            let rows = self.read(ids, start, start)?;
            return Ok(Around { rows, asked: 0..0, span: start..end });
        };
        let mut from = start.min(self.back(start, context.rows_before).max(first));
        let mut to = end.max(self.forth(end, context.rows_after).min(last.saturating_add(1)));
        let mut rows = self.read(ids, from, to)?;
        let before = |rows: &Rows| rows.ts.partition_point(|&ts| ts < start);
        while before(&rows) < context.rows_before && from > first {
            let further = start.saturating_sub(from).max(DAY_NANOS);
            let until = from;
            from = from.saturating_sub(further).max(first);
            let mut all = self.read(ids, from, until)?;
            all.extend_from(&rows);
            rows = all;
        }
        let after = |rows: &Rows| rows.len() - rows.ts.partition_point(|&ts| ts < end);
        while after(&rows) < context.rows_after && to <= last {
            let further = to.saturating_sub(end).max(DAY_NANOS);
            let since = to;
            to = to.saturating_add(further).min(last.saturating_add(1));
            rows.extend_from(&self.read(ids, since, to)?);
        }
        let asked = before(&rows)..rows.ts.partition_point(|&ts| ts < end);
        Ok(Around { rows, asked, span: from..to })
    }

    /// From when on there are usually `count` rows before `start`.
    fn back(&self, start: i64, count: usize) -> i64 {
        let (Some(calendar), Some(width)) = (&self.subject.calendar, self.width()) else {
            return start.saturating_sub(self.usual(count));
        };
        let mut needed = self.usual(count);
        let mut rank = calendar.rank(day_of(start) + 2);
        while let Some(session) = rank.checked_sub(1).and_then(|rank| calendar.nth(rank)) {
            rank -= 1;
            let close = session.close.min(start);
            let length = lasting(&session, session.open, close);
            if length >= needed {
                return close - needed - width;
            }
            needed -= length;
        }
        i64::MIN
    }

    /// Until when there are usually `count` rows from `end` on.
    fn forth(&self, end: i64, count: usize) -> i64 {
        let (Some(calendar), Some(width)) = (&self.subject.calendar, self.width()) else {
            return end.saturating_add(self.usual(count));
        };
        let mut needed = self.usual(count);
        let mut rank = calendar.rank(day_of(end) - 2);
        while let Some(session) = calendar.nth(rank) {
            rank += 1;
            let open = session.open.max(end);
            let length = lasting(&session, open, session.close);
            if length >= needed {
                return open + needed + width;
            }
            needed -= length;
        }
        i64::MAX
    }

    /// The length of a bar that is shorter than a day.
    fn width(&self) -> Option<i64> {
        let width = self.key.step.width().filter(|_| !self.key.step.is_dated())?;
        Some(width.get())
    }

    /// How long it usually takes for `count` rows to come, while there are sessions.
    fn usual(&self, count: usize) -> i64 {
        let count = i64::try_from(count).expect("invariant: thresholds have bounds");
        match self.key.step {
            Step::Tick => 0,
            Step::D1 => (count * 3 / 2 + 4) * DAY_NANOS,
            Step::W1 => count * 7 * DAY_NANOS,
            Step::Mo1 => count * 31 * DAY_NANOS,
            _ => count * self.width().unwrap_or_default(),
        }
    }

    /// The ranks of sessions with volume, as far as rows without any need them.
    fn ranks(&self, view: &View<'_>, around: &Around) -> Result<BTreeSet<i64>, Error> {
        let Around { asked, span, .. } = around;
        if !self.wanted.has(RuleId::ZeroVolumeBar)
            || view.step.is_dated()
            || !asked.clone().any(|at| is_zero(view, at))
        {
            return Ok(BTreeSet::new());
        }
        let mut ranks = ranks_with_volume(view);
        let before = self.rules.get(RuleId::ZeroVolumeBar).count("sessions");
        let before = i64::try_from(before).expect("invariant: the threshold has a bound");
        let is_open = |rank: &i64| ranks.range(rank - before..=*rank).next().is_none();
        let zero = asked.clone().filter(|&at| is_zero(view, at));
        let open: BTreeSet<i64> = zero.map(|at| view.places[at].rank).filter(is_open).collect();
        if let (Some(first), Some(last)) = (open.first(), open.last()) {
            let from = self.midnight_of(first - before).saturating_sub(DAY_NANOS);
            let to = self.midnight_of(last + 1).saturating_add(2 * DAY_NANOS);
            let ids = columns(self.key.dataset, |name| name == "volume");
            for (from, to) in [(from, span.start.min(to)), (span.end.max(from), to)] {
                if from < to {
                    let rows = self.read(&ids, from, to)?;
                    let placed = self.places(&rows.ts);
                    ranks.append(&mut ranks_with_volume(&self.view(&rows, &ids, &placed)));
                }
            }
        }
        Ok(ranks)
    }

    /// 00:00 UTC of the date of the session with so many up to it.
    fn midnight_of(&self, rank: i64) -> i64 {
        let Some(calendar) = &self.subject.calendar else { return rank.saturating_mul(DAY_NANOS) };
        let Some(place) = rank.checked_sub(1).and_then(|place| usize::try_from(place).ok()) else {
            return i64::MIN;
        };
        calendar.nth(place).map_or(i64::MAX, |session| i64::from(session.date) * DAY_NANOS)
    }
}

/// How long a session lasts from `open` to `close`, which lie in it, without its break.
fn lasting(session: &Session, open: i64, close: i64) -> i64 {
    let paused = session.pause.map_or(0, |(from, to)| (to.min(close) - from.max(open)).max(0));
    (close - open - paused).max(0)
}

/// Whether rules look at rows of a dataset.
pub(crate) const fn is_judged(dataset: DatasetId) -> bool {
    matches!(dataset, DatasetId::BARS | DatasetId::TRADES | DatasetId::QUOTES)
}
