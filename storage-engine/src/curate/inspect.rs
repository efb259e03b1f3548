//! Which rows of an instrument's candidates are quarantined or flagged.

use std::ops::Range;
use std::sync::Arc;

use barrow_types::{DatasetId, PriceSide, SeriesKey, Step};

use crate::calendar::Calendar;
use crate::error::Error;
use crate::gaps::FactsAt;
use crate::quality::{Action, Fired, Judge, RuleSet, Settled, Subject, Verdicts};
use crate::reference::Reference;
use crate::rows::Rows;
use crate::snapshot::Snapshot;

use super::{Candidate, CuratedScan};

/// How rules are applied to the bars of one instrument.
pub(super) struct Inspector {
    rules: RuleSet,
    /// The rules whose verdicts are wanted.
    wanted: Fired,
    subject: Subject,
}

impl Inspector {
    pub(super) fn new(
        reference: &Reference,
        scan: &CuratedScan,
        calendar: Option<Arc<Calendar>>,
    ) -> Self {
        let align = scan.align.unwrap_or_default();
        let subject = Subject::of(reference, &scan.instrument, calendar, align);
        let rules = RuleSet::of(reference, DatasetId::BARS);
        let actions = if scan.flags { &Action::ALL[..] } else { &[Action::Quarantine] };
        let wanted = rules.with_action(actions);
        Self { rules, wanted, subject }
    }

    /// Whether any row of the candidates may be quarantined: by a rule, or by a person.
    pub(super) fn may_quarantine(
        &self,
        snapshot: &Snapshot,
        step: Step,
        side: PriceSide,
        candidates: &[Candidate],
    ) -> bool {
        let is_judged = |candidate: &Candidate| {
            let (symbol, source) = (candidate.symbol.clone(), candidate.source.clone());
            let dataset = DatasetId::VERDICTS;
            let key = SeriesKey { dataset, symbol, step, side, source };
            snapshot.generation().catalog.find(&key).is_some()
        };
        !self.rules.with_action(&[Action::Quarantine]).is_empty()
            || candidates.iter().any(is_judged)
    }

    /// What becomes of the rows of a candidate, which are all that are visible in `range`.
    pub(super) fn settle(
        &self,
        snapshot: &Snapshot,
        scan: &CuratedScan,
        candidate: &Candidate,
        rows: &Rows,
        range: Range<i64>,
    ) -> Result<Settled, Error> {
        let Some(series) = candidate.series.filter(|_| !rows.is_empty()) else {
            return Ok(Settled::default());
        };
        let at = FactsAt { snapshot, as_of: scan.as_of, at_sequence: scan.at_sequence };
        let key = SeriesKey {
            dataset: DatasetId::BARS,
            symbol: candidate.symbol.clone(),
            step: scan.step,
            side: scan.side,
            source: candidate.source.clone(),
        };
        let fired = if self.wanted.is_empty() {
            Vec::new()
        } else {
            let Self { rules, wanted, subject } = self;
            let judge = Judge { at, series, key: &key, rules, wanted: *wanted, subject };
            judge.judge(range.start, range.end)?
        };
        let verdicts = Verdicts::read(at, &key, range.start, range.end)?;
        Ok(verdicts.settle(&self.rules, &rows.ts, &rows.sequence, &fired))
    }
}
