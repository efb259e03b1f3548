//! What persons decided about rows, and what follows from it and from the rules.

use std::ops::Range;

use barrow_types::{DatasetId, SeriesKey};

use crate::error::Error;
use crate::gaps::FactsAt;
use crate::reference::long;
use crate::snapshot::text;

use super::Fired;
use super::settings::RuleSet;
use super::table::{Action, RuleId};

/// The rule of verdicts that quarantine a row whatever the rules say.
pub const MANUAL: &str = "manual";

/// A verdict that is visible, about the row that record `of_sequence` brought for `ts`.
struct Verdict {
    ts: i64,
    /// `None`: [`MANUAL`].
    rule: Option<RuleId>,
    quarantines: bool,
    of_sequence: u64,
}

/// The verdicts about rows of one series, in order of `ts`.
pub(crate) struct Verdicts(Vec<Verdict>);

/// What becomes of some rows: places, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Those that are kept out of the curated layer.
    pub(crate) quarantined: Vec<usize>,
    /// Those that say that a rule fires on them.
    pub(crate) flagged: Vec<usize>,
}

impl Settled {
    /// Whether the row at a place is kept out.
    pub(crate) fn is_quarantined(&self, place: usize) -> bool {
        self.quarantined.binary_search(&place).is_ok()
    }

    /// Whether one of the rows at some places is kept out.
    pub(crate) fn has_quarantined(&self, places: &Range<usize>) -> bool {
        let next = self.quarantined.partition_point(|place| *place < places.start);
        self.quarantined.get(next).is_some_and(|place| places.contains(place))
    }
}

impl Verdicts {
    /// The verdicts about rows of the series `key` with `ts` in [`start`, `end`).
    pub(crate) fn read(
        at: FactsAt<'_>,
        key: &SeriesKey,
        start: i64,
        end: i64,
    ) -> Result<Self, Error> {
        let key = SeriesKey { dataset: DatasetId::VERDICTS, ..key.clone() };
        let mut found = Vec::new();
        at.each(&key, (start, end), |rows, at| {
            let rule = text(&rows.columns[0], at);
            let act = rows.columns[1].is_valid(at).then(|| text(&rows.columns[1], at));
            let known = RuleId::parse(rule);
            if let (Some(act), Some(of_sequence)) = (act, long(&rows.columns[2], at))
                && (known.is_some() || rule == MANUAL)
            {
                found.push(Verdict {
                    ts: rows.ts[at],
                    rule: known,
                    quarantines: act == "quarantine",
                    of_sequence: of_sequence.cast_unsigned(),
                });
            }
        })?;
        Ok(Self(found))
    }

    /// The rules that row (`ts`, `sequence`) was released from.
    fn released(&self, ts: i64, sequence: u64) -> Fired {
        let start = self.0.partition_point(|verdict| verdict.ts < ts);
        let about_it = self.0[start..].iter().take_while(|verdict| verdict.ts == ts);
        let released = |verdict: &&Verdict| !verdict.quarantines && verdict.of_sequence == sequence;
        about_it.filter(released).filter_map(|verdict| verdict.rule).collect()
    }

    /// The rules of which somebody has settled what they say of row (`ts`, `sequence`): those that
    /// it was released from, or all if it is kept out by hand.
    pub(crate) fn settled(&self, ts: i64, sequence: u64) -> Fired {
        let start = self.0.partition_point(|verdict| verdict.ts < ts);
        let about_it = self.0[start..].iter().take_while(|verdict| verdict.ts == ts);
        let mut by_hand =
            about_it.filter(|verdict| verdict.rule.is_none() && verdict.of_sequence == sequence);
        if by_hand.any(|verdict| verdict.quarantines) {
            RuleId::ALL.into_iter().collect()
        } else {
            self.released(ts, sequence)
        }
    }

    /// What becomes of rows with these times and sequences, of which rules fire on some.
    pub(crate) fn settle(
        &self,
        rules: &RuleSet,
        ts: &[i64],
        sequence: &[u64],
        fired: &[(usize, Fired)],
    ) -> Settled {
        let quarantine = rules.with_action(&[Action::Quarantine]);
        // What turns rows away flags those that an import brought.
        let flag = rules.with_action(&[Action::Flag, Action::Reject]);
        let mut settled = Settled::default();
        for &(at, fired) in fired {
            let fired = fired.without(self.released(ts[at], sequence[at]));
            if fired.has_any(quarantine) {
                settled.quarantined.push(at);
            }
            if fired.has_any(flag) {
                settled.flagged.push(at);
            }
        }
        for verdict in self.0.iter().filter(|verdict| verdict.rule.is_none()) {
            let start = ts.partition_point(|&ts| ts < verdict.ts);
            let end = ts.partition_point(|&ts| ts <= verdict.ts);
            let rows = (start..end).filter(|&at| sequence[at] == verdict.of_sequence);
            settled.quarantined.extend(rows.filter(|_| verdict.quarantines));
        }
        settled.quarantined.sort_unstable();
        settled.quarantined.dedup();
        settled
    }
}
