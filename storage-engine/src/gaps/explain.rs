//! The reasons of empty slots, from the facts about an instrument and one of its candidates.
//!
//! The order of precedence and the conditions are those of `docs/CURATION.md`.

use std::ops::Range;

use barrow_types::{DatasetId, Nanos, PriceSide, Sequence, Source, Step, Symbol, Timestamp};
use barrow_types::{SeriesId, SeriesKey};

use crate::batch::ClaimOrigin;
use crate::calendar::{Stretch, slot_begin};
use crate::dataset::facts::{EVERY_SYMBOL, FACT_SOURCE};
use crate::dataset::{Schema, schema};
use crate::error::Error;
use crate::reference::{Reference, long};
use crate::rows::{Column, Rows};
use crate::snapshot::{Revisions, Scan, Snapshot, text};

use super::{Intervals, Reason};

/// What may deliver an instrument's slots: a symbol of a source, at a step and price side.
/// `dataset` tells trades and quotes apart, which have neither.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) dataset: DatasetId,
    pub(crate) symbol: &'a Symbol,
    pub(crate) source: &'a Source,
    pub(crate) step: Step,
    pub(crate) side: PriceSide,
}

/// Reads facts about one thing, as they are visible at (T, N).
#[derive(Clone, Copy)]
pub(crate) struct FactsAt<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) at_sequence: Option<Sequence>,
}

impl FactsAt<'_> {
    /// Calls `on_row` with the visible rows of `key` with `ts` in the range, in order.
    pub(crate) fn each(
        &self,
        key: &SeriesKey,
        range: (i64, i64),
        mut on_row: impl FnMut(&Rows, usize),
    ) -> Result<(), Error> {
        let Some(series) = self.series(key) else { return Ok(()) };
        let schema: &Schema = schema(key.dataset).expect("invariant: facts have schemas");
        let mut scanner = self.snapshot.scan(Scan {
            series,
            start: Timestamp::from_nanos(range.0),
            end: Timestamp::from_nanos(range.1),
            columns: schema.columns.iter().map(|column| column.id).collect(),
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            revisions: Revisions::Visible,
        })?;
        while let Some(rows) = scanner.next()? {
            (0..rows.len()).for_each(|at| on_row(&rows, at));
        }
        Ok(())
    }

    fn series(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.snapshot.generation().catalog.find(key)
    }

    /// Halts or outages: intervals from `ts` to the first column.
    fn intervals(&self, keys: &[SeriesKey], end: i64) -> Result<Intervals, Error> {
        let mut found = Vec::new();
        for key in keys {
            self.each(key, (i64::MIN, end), |rows, at| {
                found.push((rows.ts[at], long(&rows.columns[0], at).unwrap_or(i64::MAX)));
            })?;
        }
        Ok(found.into_iter().collect())
    }
}

/// See the module. Built for the slots of a range, asked in any order.
pub(crate) struct Explainer {
    /// Instants at which `listed` changes, and to what.
    listed: Vec<(i64, bool)>,
    /// A slot that ends after this is not due.
    due: i64,
    claims: Intervals,
    halts: Intervals,
    outages: Intervals,
    /// The length of the bars that claims and rejects are about.
    step: Step,
    /// When rows were rejected; sorted.
    rejects: Vec<i64>,
    /// The end of what the source's watermarks claim.
    pub(crate) watermark: Option<i64>,
    pub(crate) publish_delay: Nanos,
}

impl Explainer {
    /// For slots that lie in `range`, of `instrument` and, if it has any, one of its candidates.
    pub(crate) fn new(
        facts: FactsAt<'_>,
        reference: &Reference,
        instrument: &str,
        subject: Option<Subject<'_>>,
        range: (i64, i64),
        due: Timestamp,
    ) -> Result<Self, Error> {
        let listed = reference.attribute(instrument, "listed").iter();
        let listed = listed.map(|(since, value)| (*since, value.as_deref() == Some("true")));
        let mut explainer = Self {
            listed: listed.collect(),
            due: due.nanos(),
            claims: Intervals::default(),
            halts: Intervals::default(),
            outages: Intervals::default(),
            step: subject.map_or(Step::Tick, |subject| subject.step),
            rejects: Vec::new(),
            watermark: None,
            publish_delay: Nanos::new(0),
        };
        if let Ok(instrument) = Symbol::new(instrument) {
            let source = Source::new(FACT_SOURCE).expect("invariant: it is a name");
            let halts = tick_key(DatasetId::HALTS, instrument, source);
            explainer.halts = facts.intervals(&[halts], range.1)?;
        }
        if let Some(subject) = subject {
            explainer.add(facts, reference, subject, range)?;
        }
        Ok(explainer)
    }

    fn add(
        &mut self,
        facts: FactsAt<'_>,
        reference: &Reference,
        subject: Subject<'_>,
        range: (i64, i64),
    ) -> Result<(), Error> {
        let Subject { dataset: of, symbol, source, step, side } = subject;
        let every = Symbol::new(EVERY_SYMBOL).expect("invariant: a star is a name");
        let symbols = [symbol.clone(), every];
        let outages = symbols.clone();
        let outages = outages.map(|of| tick_key(DatasetId::OUTAGES, of, source.clone()));
        self.outages = facts.intervals(&outages, range.1)?;
        let mut claims = Vec::new();
        let key =
            |dataset, symbol| SeriesKey { dataset, symbol, step, side, source: source.clone() };
        for symbol in symbols {
            facts.each(&key(DatasetId::CLAIMS, symbol), (i64::MIN, i64::MAX), |rows, at| {
                if !is_of(of, &rows.columns[2], at) {
                    return;
                }
                let end = long(&rows.columns[0], at).expect("invariant: a claim has an end");
                claims.push((rows.ts[at], end));
                let is_watermark = rows.columns[1].is_valid(at)
                    && text(&rows.columns[1], at) == ClaimOrigin::Watermark.name();
                if is_watermark {
                    self.watermark = self.watermark.max(Some(end));
                }
            })?;
        }
        self.claims = claims.into_iter().collect();
        facts.each(&key(DatasetId::REJECTS, symbol.clone()), range, |rows, at| {
            if is_of(of, &rows.columns[2], at) {
                self.rejects.push(rows.ts[at]);
            }
        })?;
        self.publish_delay = reference.publish_delay("bars", source.as_str());
        Ok(())
    }

    /// The end of the range of instants at which a slot may end and be due.
    pub(crate) fn due_end(&self) -> i64 {
        self.due.saturating_sub(self.publish_delay.get())
    }

    /// The reason of the slot `at` of a stretch of slots of `step`, in which there is no good row;
    /// `quarantined`: but one that is quarantined.
    pub(crate) fn reason(
        &self,
        stretch: &Stretch,
        step: Step,
        at: u32,
        quarantined: bool,
    ) -> Reason {
        let (start, end) = (stretch.start_of(at), stretch.end_of(at));
        let has_reject = || {
            let slot = stretch.first_slot + i64::from(at);
            self.has_reject(if self.step == step || self.step.is_dated() {
                slot_begin(step, slot)..slot_begin(step, slot + 1)
            } else {
                start..end
            })
        };
        if !self.is_listed(start) {
            Reason::NotListed
        } else if end > self.due_end() {
            Reason::NotDue
        } else if !quarantined && self.claims.cover(start, end) && !has_reject() {
            Reason::NoTrade
        } else if self.halts.touch(start, end) {
            Reason::Halted
        } else if self.outages.touch(start, end) {
            Reason::Outage
        } else if quarantined {
            Reason::Quarantined
        } else {
            Reason::Missing
        }
    }

    fn has_reject(&self, range: Range<i64>) -> bool {
        let next = self.rejects.partition_point(|ts| *ts < range.start);
        self.rejects.get(next).is_some_and(|ts| *ts < range.end)
    }

    fn is_listed(&self, at: i64) -> bool {
        let in_force = self.listed.partition_point(|(since, _)| *since <= at);
        match in_force.checked_sub(1) {
            Some(last) => self.listed[last].1,
            None => self.listed.is_empty(),
        }
    }
}

/// Whether the column `dataset` of a claim, a reject or a mark of repeated rows names `of`.
pub(crate) fn is_of(of: DatasetId, dataset: &Column, at: usize) -> bool {
    long(dataset, at) == Some(i64::from(of.get()))
}

fn tick_key(dataset: DatasetId, symbol: Symbol, source: Source) -> SeriesKey {
    SeriesKey { dataset, symbol, step: Step::Tick, side: PriceSide::Trade, source }
}
