//! Which rows of the series of an instrument are quarantined or flagged.

use std::ops::Range;
use std::sync::Arc;

use barrow_types::{Align, DatasetId, SeriesId, SeriesKey};

use crate::calendar::Calendar;
use crate::error::Error;
use crate::gaps::FactsAt;
use crate::quality::{Action, Fired, Judge, RuleSet, Settled, Subject, Verdicts};
use crate::reference::Reference;
use crate::rows::Rows;
use crate::snapshot::Snapshot;

/// How rules are applied to the rows of one instrument.
pub(crate) struct Inspector {
    bars: Rules,
    /// Of the dataset of ticks that bars may come from.
    ticks: Option<Rules>,
    subject: Subject,
}

/// The rules of a dataset.
struct Rules {
    dataset: DatasetId,
    rules: RuleSet,
    /// Those that quarantine rows.
    quarantine: Fired,
}

impl Rules {
    fn new(reference: &Reference, dataset: DatasetId) -> Self {
        let rules = RuleSet::of(reference, dataset);
        let quarantine = rules.with_action(&[Action::Quarantine]);
        Self { dataset, rules, quarantine }
    }
}

/// A series whose rows are inspected.
pub(crate) struct Inspected<'a> {
    pub(crate) at: FactsAt<'a>,
    pub(crate) series: SeriesId,
    pub(crate) key: SeriesKey,
    /// How its slots lie.
    pub(crate) align: Align,
    /// Whether it is wanted which rows rules flag.
    pub(crate) flags: bool,
}

impl Inspector {
    /// Of an instrument whose bars come from themselves, and from `ticks` if that is given.
    pub(crate) fn new(
        reference: &Reference,
        instrument: &str,
        calendar: Option<Arc<Calendar>>,
        ticks: Option<DatasetId>,
    ) -> Self {
        Self {
            bars: Rules::new(reference, DatasetId::BARS),
            ticks: ticks.map(|dataset| Rules::new(reference, dataset)),
            subject: Subject::of(reference, instrument, calendar, Align::default()),
        }
    }

    /// Whether any row of some series of bars may be quarantined: by a rule, or by a person.
    pub(crate) fn may_quarantine(
        &self,
        snapshot: &Snapshot,
        mut bars: impl Iterator<Item = SeriesKey>,
    ) -> bool {
        let is_judged = |key: SeriesKey| {
            let key = SeriesKey { dataset: DatasetId::VERDICTS, ..key };
            snapshot.generation().catalog.find(&key).is_some()
        };
        !self.bars.quarantine.is_empty() || bars.any(is_judged)
    }

    /// Whether a row of a series may be quarantined: by a rule, or by a person.
    pub(crate) fn may_quarantine_in(&self, snapshot: &Snapshot, key: SeriesKey) -> bool {
        let rules = self.rules_of(key.dataset);
        let verdicts = SeriesKey { dataset: DatasetId::VERDICTS, ..key };
        !rules.quarantine.is_empty() || snapshot.generation().catalog.find(&verdicts).is_some()
    }

    fn rules_of(&self, dataset: DatasetId) -> &Rules {
        let found = self.ticks.iter().chain([&self.bars]).find(|rules| rules.dataset == dataset);
        found.expect("invariant: it is a dataset of bars")
    }

    /// What becomes of rows of a series, which are all that are visible in `range`.
    pub(crate) fn settle(
        &self,
        of: &Inspected<'_>,
        rows: &Rows,
        range: Range<i64>,
    ) -> Result<Settled, Error> {
        if rows.is_empty() {
            return Ok(Settled::default());
        }
        let Inspected { at, series, key, align, flags } = of;
        let Rules { rules, quarantine, .. } = self.rules_of(key.dataset);
        let wanted = if *flags { rules.with_action(&Action::ALL) } else { *quarantine };
        let fired = if wanted.is_empty() {
            Vec::new()
        } else {
            let subject = &Subject { align: *align, ..self.subject.clone() };
            let judge = Judge { at: *at, series: *series, key, rules, wanted, subject };
            judge.judge(range.start, range.end)?
        };
        let verdicts = Verdicts::read(*at, key, range.start, range.end)?;
        Ok(verdicts.settle(rules, &rows.ts, &rows.sequence, &fired))
    }
}
