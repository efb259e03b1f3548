//! The rows of an instrument's candidates in some thousand slots.

use std::ops::Range;

use barrow_types::{DatasetId, Step, Timestamp};

use crate::calendar::{Stretch, slot_begin, slot_of};
use crate::dataset::schema;
use crate::error::Error;
use crate::quality::Settled;
use crate::rows::{ColumnType, Rows};
use crate::snapshot::{Revisions, Scan, Snapshot};

use super::inspect::Inspector;
use super::{Candidate, CuratedScan};

/// See the module.
pub(super) struct Window {
    step: Step,
    kinds: Vec<ColumnType>,
    /// The visible rows of each candidate, in order of `ts`.
    rows: Vec<Rows>,
    /// What becomes of them by rules and verdicts.
    settled: Vec<Settled>,
}

/// The instants of the slots from the first stretch to the last: where their rows may lie.
pub(super) fn bounds(step: Step, first: &Stretch, last: &Stretch) -> (i64, i64) {
    (slot_begin(step, first.first_slot), slot_begin(step, last.slots().end))
}

impl Window {
    /// Reads the rows of `stretches`, at least one.
    pub(super) fn read(
        snapshot: &Snapshot,
        scan: &CuratedScan,
        candidates: &[Candidate],
        inspector: &Inspector,
        stretches: &[Stretch],
    ) -> Result<Self, Error> {
        let (start, end) = bounds(scan.step, &stretches[0], &stretches[stretches.len() - 1]);
        let schema = schema(DatasetId::BARS).expect("invariant: bars have a schema");
        let kinds = scan.columns.iter().map(|&id| {
            let place = schema.place(id);
            place
                .map(|place| schema.columns[place].kind)
                .ok_or_else(|| Error::invalid(format!("columns: bars have no column {}", id.get())))
        });
        let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let mut all = Rows::empty(kinds.iter().copied());
            if let Some(series) = candidate.series {
                let mut scanner = snapshot.scan(Scan {
                    series,
                    start: Timestamp::from_nanos(start),
                    end: Timestamp::from_nanos(end),
                    columns: scan.columns.clone(),
                    as_of: scan.as_of,
                    at_sequence: scan.at_sequence,
                    revisions: Revisions::Visible,
                })?;
                while let Some(piece) = scanner.next()? {
                    if all.is_empty() {
                        all = piece;
                    } else {
                        all.extend_from(&piece);
                    }
                }
            }
            rows.push(all);
        }
        let settle = |(candidate, rows): (&Candidate, &Rows)| {
            inspector.settle(snapshot, scan, candidate, rows, start..end)
        };
        let settled = candidates.iter().zip(&rows).map(settle).collect::<Result<_, _>>()?;
        Ok(Self { step: scan.step, kinds, rows, settled })
    }

    /// The slot of a row.
    pub(super) fn slot(&self, candidate: usize, place: usize) -> i64 {
        slot_of(self.step, self.rows[candidate].ts[place])
    }

    /// The places of a candidate's rows in a range of slots.
    pub(super) fn places(&self, candidate: usize, slots: Range<i64>) -> Range<usize> {
        let ts = &self.rows[candidate].ts;
        let start = slot_begin(self.step, slots.start);
        let end = slot_begin(self.step, slots.end);
        ts.partition_point(|&ts| ts < start)..ts.partition_point(|&ts| ts < end)
    }

    /// Whether a candidate's rows at `places` are good and fill `count` slots from `first` on, one
    /// each.
    pub(super) fn is_dense(
        &self,
        candidate: usize,
        places: Range<usize>,
        first: i64,
        count: u32,
    ) -> bool {
        if places.len() != count as usize || self.settled[candidate].has_quarantined(&places) {
            return false;
        }
        let ts = &self.rows[candidate].ts[places];
        match self.step.width() {
            Some(width) if !self.step.is_dated() => {
                let start = slot_begin(self.step, first);
                let starts = (0..i64::from(count)).map(|at| start + at * width.get());
                ts.iter().zip(starts).all(|(&ts, start)| ts >= start && ts < start + width.get())
            }
            _ => ts.iter().zip(first..).all(|(&ts, slot)| slot_of(self.step, ts) == slot),
        }
    }

    /// The place of the good row of a candidate in a slot: of several the last.
    pub(super) fn good_row(&self, candidate: usize, slot: i64) -> Option<usize> {
        let settled = &self.settled[candidate];
        let places = self.places(candidate, slot..slot + 1);
        places.rev().find(|place| !settled.is_quarantined(*place))
    }

    /// Whether a candidate has any row in a slot, good or not.
    pub(super) fn has_row(&self, candidate: usize, slot: i64) -> bool {
        !self.places(candidate, slot..slot + 1).is_empty()
    }

    /// Whether a candidate has a good row in a slot of `stretch` at which it is bound.
    pub(super) fn has_good_row(&self, at: usize, candidate: &Candidate, stretch: &Stretch) -> bool {
        self.places(at, stretch.slots()).any(|place| {
            let offset = self.slot(at, place) - stretch.first_slot;
            let offset = u32::try_from(offset).expect("invariant: the row lies in the stretch");
            !self.settled[at].is_quarantined(place)
                && candidate.is_bound_at(stretch.start_of(offset))
        })
    }

    /// The rows of some candidates at some places, and which of them are flagged.
    pub(super) fn take(mut self, taken: &[(usize, Range<usize>)]) -> (Rows, Vec<usize>) {
        if let [(candidate, range)] = taken
            && *range == (0..self.rows[*candidate].len())
        {
            let flagged = std::mem::take(&mut self.settled[*candidate].flagged);
            return (self.rows.swap_remove(*candidate), flagged);
        }
        let mut rows = Rows::empty(self.kinds.iter().copied());
        let mut flagged = Vec::new();
        for (candidate, range) in taken {
            let own = self.settled[*candidate].flagged.iter();
            let own = own.filter(|place| range.contains(place));
            flagged.extend(own.map(|place| rows.len() + place - range.start));
            rows.extend_range(&self.rows[*candidate], range.clone());
        }
        (rows, flagged)
    }
}
