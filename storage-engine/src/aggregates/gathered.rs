//! The rows of some sessions, put together from where each session's come from.

use std::ops::Range;

use barrow_types::Step;

use crate::calendar::{Stretch, slot_begin};
use crate::error::Error;
use crate::quality::Settled;
use crate::rows::{ColumnType, Rows};

use super::lineage::{MadeOf, Origin};
use super::make::Made;

/// The rows of some sessions, as they are found.
pub(super) struct Gathered<'a> {
    stretches: &'a [Stretch],
    pub(super) sessions: Vec<&'a [Stretch]>,
    /// The places of the stretches of each session.
    pub(super) places: Vec<Range<usize>>,
    parts: Vec<(Rows, Settled)>,
    /// The part that holds the rows of each session, where in it, and their origin.
    found: Vec<Option<(usize, Range<usize>, Origin)>>,
    pub(super) blocked: Vec<i64>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(stretches: &'a [Stretch]) -> Self {
        let sessions = by_session(stretches);
        let mut next = 0;
        let places = sessions.iter().map(|session| {
            let start = next;
            next += session.len();
            start..next
        });
        let places = places.collect();
        let found = vec![None; sessions.len()];
        Self { stretches, sessions, places, parts: Vec::new(), found, blocked: Vec::new() }
    }

    /// The stretches of some sessions.
    pub(super) fn stretches(&self, run: &Range<usize>) -> &'a [Stretch] {
        &self.stretches[self.places[run.start].start..self.places[run.end - 1].end]
    }

    /// Runs of sessions without rows.
    pub(super) fn open(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (at, found) in self.found.iter().enumerate() {
            match runs.last_mut() {
                _ if found.is_some() => {}
                Some(run) if run.end == at => run.end += 1,
                _ => runs.push(at..at + 1),
            }
        }
        runs
    }

    /// Adds the rows of a run of sessions; `origin` says of each, counted in the run, where its
    /// rows come from, if it has any.
    pub(super) fn add(
        &mut self,
        step: Step,
        run: Range<usize>,
        rows: Rows,
        settled: Settled,
        origin: impl Fn(usize) -> Option<Origin>,
    ) {
        let part = self.parts.len();
        for (at, session) in run.enumerate() {
            let Some(origin) = origin(at) else { continue };
            let of_session = &self.sessions[session];
            let first = places_of(step, &rows.ts, &of_session[0]);
            let last = places_of(step, &rows.ts, &of_session[of_session.len() - 1]);
            self.found[session] = Some((part, first.start..last.end, origin));
        }
        self.parts.push((rows, settled));
    }

    /// Adds derived rows of a run of sessions: those that have any have found theirs. `made_of`
    /// says of each, counted in the run, what they were made of.
    pub(super) fn add_made(
        &mut self,
        step: Step,
        run: Range<usize>,
        rows: Rows,
        made_of: impl Fn(usize) -> MadeOf,
    ) {
        let has_row = |session: &&[Stretch]| {
            let has_row = |stretch: &Stretch| !places_of(step, &rows.ts, stretch).is_empty();
            session.iter().any(has_row)
        };
        let found: Vec<bool> = self.sessions[run.clone()].iter().map(has_row).collect();
        self.add(step, run, rows, Settled::default(), |at| {
            found[at].then(|| Origin::Made(made_of(at)))
        });
    }

    pub(super) fn finish(self, kinds: Vec<ColumnType>) -> Result<Made, Error> {
        let Self { sessions, mut parts, found, mut blocked, .. } = self;
        blocked.sort_unstable();
        blocked.dedup();
        let origins = sessions.iter().zip(&found).map(|(session, found)| {
            let none = Origin::Made(MadeOf::default());
            (session[0].date, found.as_ref().map_or(none, |(.., origin)| *origin))
        });
        let origins = origins.collect();
        let mut taken: Vec<(usize, Range<usize>)> = Vec::new();
        for (part, places, _) in found.into_iter().flatten() {
            match taken.last_mut() {
                Some((last, range)) if *last == part && range.end == places.start => {
                    range.end = places.end;
                }
                _ => taken.push((part, places)),
            }
        }
        if let [(part, places)] = &taken[..]
            && *places == (0..parts[*part].0.len())
        {
            let (rows, settled) = parts.swap_remove(*part);
            return Ok(Made { rows, settled, blocked, origins });
        }
        let mut rows = Rows::empty(kinds);
        let mut settled = Settled::default();
        for (part, places) in taken {
            let (from, of_part) = &parts[part];
            let first = rows.len();
            let moved = |all: &[usize]| -> Vec<usize> {
                let own = all.iter().filter(|place| places.contains(place));
                own.map(|place| first + place - places.start).collect()
            };
            settled.quarantined.extend(moved(&of_part.quarantined));
            settled.flagged.extend(moved(&of_part.flagged));
            rows.extend_range(from, places.clone());
        }
        Ok(Made { rows, settled, blocked, origins })
    }
}

/// The stretches of each session.
fn by_session(stretches: &[Stretch]) -> Vec<&[Stretch]> {
    stretches.chunk_by(|a, b| a.date == b.date).collect()
}

/// The places of rows in the slots of a stretch.
pub(super) fn places_of(step: Step, ts: &[i64], stretch: &Stretch) -> Range<usize> {
    let slots = stretch.slots();
    let (start, end) = (slot_begin(step, slots.start), slot_begin(step, slots.end));
    ts.partition_point(|&ts| ts < start)..ts.partition_point(|&ts| ts < end)
}
