//! When rows became known of slots that could be had before.

use std::collections::{BTreeSet, VecDeque};

use barrow_types::{DAY_NANOS, DatasetId, SeriesId, Step, Timestamp};

use crate::calendar::{Bucket, slot_of};
use crate::curate::{Candidate, Curated, CuratedScan, Ending, Ends};
use crate::dataset::facts::EVERY_SYMBOL;
use crate::error::Error;
use crate::rows::{Rows, flags};
use crate::snapshot::{Revisions, Scan};

use super::{Era, LateRows, Load, Question};

/// What came later than this after it could be had, and does not say when it was known, is taken
/// for a load of history.
const LOADED_NANOS: i64 = DAY_NANOS;

/// The datasets that tell why slots are empty or whether their rows are final.
const TELLING: [DatasetId; 4] =
    [DatasetId::CLAIMS, DatasetId::REJECTS, DatasetId::HALTS, DatasetId::OUTAGES];

/// Flags of rows that are not the first of their key.
const LATER: u8 = flags::RETRACT | flags::CORRECTED;

/// Flags of rows that say when they were known.
const TIMED: u8 = flags::STATED | flags::ASSUMED;

/// Finds the instants of an era.
pub(super) struct Late<'a> {
    question: &'a Question<'a>,
    /// The instants of the era.
    from: i64,
    to: i64,
    instants: BTreeSet<i64>,
    pub(super) rows: LateRows,
}

/// The slots of one instrument, as rows are compared with them.
struct Lane<'a> {
    curated: &'a Curated,
    ending: Ending,
    /// How long after their ends slots can be had at the earliest.
    delay: i64,
    /// Whether any row may change any slot.
    is_judged: bool,
    /// Whether its slots are those that are asked for.
    is_own: bool,
}

/// The rows of a series in one session.
struct Session {
    first: Bucket,
    known_at: Vec<i64>,
    /// When the first of them was known that surely is in the curated layer.
    first_known: i64,
    has_retraction: bool,
}

impl<'a> Late<'a> {
    pub(super) fn new(question: &'a Question<'a>, (from, to): (i64, i64)) -> Self {
        Self { question, from, to, instants: BTreeSet::new(), rows: LateRows::default() }
    }

    /// The era of slots that are asked for, with the starts of the first and the last of them, and
    /// of all that they are made with, the same slots first; all as they are at its end.
    pub(super) fn era(
        &mut self,
        (own, (first, last)): (&Curated, (i64, i64)),
        lanes: &[Curated],
    ) -> Result<Era, Error> {
        let delays = own.publish_delays();
        let ending = own.ending();
        let has_one_delay = delays.len() == 1;
        let is_like = |other: &Curated| {
            other.publish_delays().iter().all(|delay| *delay <= delays[0])
                && other.ending().is_like(&ending)
        };
        let is_each = !has_one_delay || !lanes.iter().all(is_like);
        for (place, curated) in lanes.iter().enumerate() {
            self.lane(&Lane {
                curated,
                ending: curated.ending(),
                delay: delays[0],
                is_judged: self.question.own.flags || curated.may_quarantine(),
                is_own: place == 0,
            })?;
        }
        // What became known as it began counts in all of it.
        let instants = self.instants.range(self.from.saturating_add(1)..).copied();
        let instants: VecDeque<i64> = instants.collect();
        let (from, to) = (self.from, self.to);
        Ok(Era { from, to, ending, first, last, delays, is_each, instants })
    }

    fn lane(&mut self, lane: &Lane<'_>) -> Result<(), Error> {
        let mut symbols: BTreeSet<&str> = BTreeSet::from([EVERY_SYMBOL, lane.curated.instrument()]);
        for candidate in lane.curated.candidates() {
            symbols.insert(candidate.symbol.as_str());
            for (step, series) in candidate.lineage.all() {
                self.rows_of(lane, candidate, (step, series))?;
            }
        }
        let snapshot = self.question.snapshot;
        for symbol in symbols {
            if self.question.is_adjusted {
                // The closes that dividends are measured by.
                for (series, key) in snapshot.series(DatasetId::BARS, Some(symbol)) {
                    if key.step == Step::D1 {
                        self.each(series, |late, rows, at| {
                            late.instants.insert(rows.known_at[at]);
                        })?;
                    }
                }
            }
            for dataset in TELLING {
                for (series, _) in snapshot.series(dataset, Some(symbol)) {
                    let mut ending = lane.ending.clone();
                    self.each(series, |late, rows, at| {
                        late.add(&mut ending, lane.delay, rows.ts[at], rows.known_at[at]);
                    })?;
                }
            }
            for (series, _) in snapshot.series(DatasetId::VERDICTS, Some(symbol)) {
                self.each(series, |late, rows, at| {
                    late.instants.insert(rows.known_at[at]);
                })?;
            }
        }
        Ok(())
    }

    /// Looks at the rows of a candidate's series.
    fn rows_of(
        &mut self,
        lane: &Lane<'_>,
        candidate: &Candidate,
        (step, series): (Step, SeriesId),
    ) -> Result<(), Error> {
        let mut ending = lane.ending.clone();
        let by_session = lane.curated.is_by_session();
        let (mut session, mut loaded): (Option<Session>, Option<Load>) = (None, None);
        self.each(series, |late, rows, at| {
            let (ts, known_at) = (rows.ts[at], rows.known_at[at]);
            if lane.is_judged {
                late.instants.insert(known_at);
            }
            let after = lane.curated.changes_after(step, ts);
            let Some(Ends { slot, session: first }) = after.and_then(|at| ending.after(at)) else {
                return;
            };
            let by = known_at.saturating_sub(slot.end.saturating_add(lane.delay));
            if by > 0 {
                late.instants.insert(known_at);
                if rows.flags[at] & LATER == 0 && late.is_asked(slot.start) {
                    if by > LOADED_NANOS && rows.flags[at] & TIMED == 0 {
                        let load = loaded.get_or_insert_with(|| Load::of(candidate, step, ts));
                        load.add(ts, by);
                    } else if lane.is_own {
                        late.rows.count += 1;
                        late.rows.longest = late.rows.longest.max(by);
                    }
                }
            }
            if by_session {
                if session.as_ref().is_some_and(|session| session.first != first) {
                    late.end_session(session.take(), lane.delay);
                }
                let session = session.get_or_insert_with(|| Session::new(first));
                let is_sure = !lane.is_judged
                    && step == ending.step()
                    && slot_of(step, ts) == slot.slot
                    && candidate.is_bound_at(slot.start);
                session.add(known_at, is_sure, rows.is_retract(at));
            }
        })?;
        self.end_session(session, lane.delay);
        self.rows.loads.extend(loaded);
        Ok(())
    }

    /// Whether a slot that starts then is one of the question.
    fn is_asked(&self, start: i64) -> bool {
        let CuratedScan { start: from, end, .. } = &self.question.own;
        (from.nanos()..end.nanos()).contains(&start)
    }

    /// Takes in what became known of the slot that ends first behind an instant.
    fn add(&mut self, ending: &mut Ending, delay: i64, after: i64, known_at: i64) {
        let found = ending.after(after);
        if found.is_some_and(|found| known_at > found.slot.end.saturating_add(delay)) {
            self.instants.insert(known_at);
        }
    }

    /// Takes in what may have decided who delivers a session.
    fn end_session(&mut self, session: Option<Session>, delay: i64) {
        let Some(Session { first, known_at, first_known, has_retraction }) = session else {
            return;
        };
        let available_at = first.end.saturating_add(delay);
        let decides = |at: &i64| *at > available_at && (has_retraction || *at <= first_known);
        self.instants.extend(known_at.into_iter().filter(decides));
    }

    /// Every row of a series that became known in the era.
    fn each(
        &mut self,
        series: SeriesId,
        mut with: impl FnMut(&mut Self, &Rows, usize),
    ) -> Result<(), Error> {
        let Question { snapshot, own, .. } = self.question;
        let generation = snapshot.generation();
        let extents = generation.extents(series).iter().map(|extent| extent.meta().zone);
        let runs = generation.runs(series).into_iter().map(|run| run.zone);
        let newer = extents.chain(runs).filter(|zone| zone.known_at.max >= self.from);
        let Some(first) = newer.map(|zone| zone.ts.min).min() else { return Ok(()) };
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::from_nanos(first),
            end: Timestamp::MAX,
            columns: Vec::new(),
            as_of: Some(Timestamp::from_nanos(self.to - 1)),
            at_sequence: own.at_sequence,
            revisions: Revisions::All,
        })?;
        while let Some(rows) = scanner.next()? {
            for at in 0..rows.len() {
                if rows.known_at[at] >= self.from {
                    with(self, &rows, at);
                }
            }
        }
        Ok(())
    }
}

impl Session {
    const fn new(first: Bucket) -> Self {
        Self { first, known_at: Vec::new(), first_known: i64::MAX, has_retraction: false }
    }

    fn add(&mut self, known_at: i64, is_sure: bool, is_retraction: bool) {
        self.known_at.push(known_at);
        self.has_retraction |= is_retraction;
        if is_sure {
            self.first_known = self.first_known.min(known_at);
        }
    }
}

impl Load {
    fn of(candidate: &Candidate, step: Step, ts: i64) -> Self {
        let Candidate { symbol, source, .. } = candidate.clone();
        let first = Timestamp::from_nanos(ts);
        Self { symbol, source, step, count: 0, first, last: first, shortest: i64::MAX }
    }

    /// One more, which came so long after it could be had; rows come in order.
    fn add(&mut self, ts: i64, by: i64) {
        self.count += 1;
        self.last = Timestamp::from_nanos(ts);
        self.shortest = self.shortest.min(by);
    }
}
