//! The rows of an instrument's candidates in some thousand slots.

use std::ops::Range;

use barrow_types::Step;

use crate::aggregates::{Made, Maker, Origin, Wanted, kinds};
use crate::calendar::{Stretch, slot_begin, slot_of};
use crate::error::Error;
use crate::rows::{ColumnType, Rows};

use super::Candidate;

/// See the module.
pub(super) struct Window {
    step: Step,
    kinds: Vec<ColumnType>,
    /// Of each candidate.
    made: Vec<Made>,
}

impl Window {
    /// The rows in `stretches`, at least one, with a column for their coverage behind the others
    /// if it is asked for.
    pub(super) fn read<'a>(
        wanted: Wanted<'_>,
        makers: impl Iterator<Item = Maker<'a>>,
        stretches: &[Stretch],
    ) -> Result<Self, Error> {
        let kinds = kinds(wanted.columns, wanted.coverage.is_told())?;
        let made = makers.map(|maker| maker.make(wanted, stretches)).collect::<Result<_, _>>()?;
        Ok(Self { step: wanted.grid.step, kinds, made })
    }

    /// Where the rows of a candidate in the session of a date come from.
    pub(super) fn origin(&self, candidate: usize, date: i32) -> Origin {
        self.made[candidate].origin(date)
    }

    /// The slot of a row.
    pub(super) fn slot(&self, candidate: usize, place: usize) -> i64 {
        slot_of(self.step, self.made[candidate].rows.ts[place])
    }

    /// The places of a candidate's rows in a range of slots.
    pub(super) fn places(&self, candidate: usize, slots: Range<i64>) -> Range<usize> {
        let ts = &self.made[candidate].rows.ts;
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
        if places.len() != count as usize || self.made[candidate].settled.has_quarantined(&places) {
            return false;
        }
        let ts = &self.made[candidate].rows.ts[places];
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
        let settled = &self.made[candidate].settled;
        let places = self.places(candidate, slot..slot + 1);
        places.rev().find(|place| !settled.is_quarantined(*place))
    }

    /// Whether a candidate has any row in a slot that starts at `start`, good or not, or would have
    /// one if its parts were not quarantined.
    pub(super) fn has_row(&self, candidate: usize, slot: i64, start: i64) -> bool {
        !self.places(candidate, slot..slot + 1).is_empty()
            || self.made[candidate].blocked.binary_search(&start).is_ok()
    }

    /// Whether a candidate has a good row in a slot of `stretch` at which it is bound.
    pub(super) fn has_good_row(&self, at: usize, candidate: &Candidate, stretch: &Stretch) -> bool {
        self.places(at, stretch.slots()).any(|place| {
            let offset = self.slot(at, place) - stretch.first_slot;
            let offset = u32::try_from(offset).expect("invariant: the row lies in the stretch");
            !self.made[at].settled.is_quarantined(place)
                && candidate.is_bound_at(stretch.start_of(offset))
        })
    }

    /// The rows of some candidates at some places, and which of them are flagged.
    pub(super) fn take(mut self, taken: &[(usize, Range<usize>)]) -> (Rows, Vec<usize>) {
        if let [(candidate, range)] = taken
            && *range == (0..self.made[*candidate].rows.len())
        {
            let flagged = std::mem::take(&mut self.made[*candidate].settled.flagged);
            return (self.made.swap_remove(*candidate).rows, flagged);
        }
        let mut rows = Rows::empty(self.kinds.iter().copied());
        let mut flagged = Vec::new();
        for (candidate, range) in taken {
            let own = self.made[*candidate].settled.flagged.iter();
            let own = own.filter(|place| range.contains(place));
            flagged.extend(own.map(|place| rows.len() + place - range.start));
            rows.extend_range(&self.made[*candidate].rows, range.clone());
        }
        (rows, flagged)
    }
}
