//! What the slots so far leave behind: the newest cells of series that windows look at, the states
//! of recursions, and things derived of the cells.

use crate::cell::{OK, WARM_UP};
use crate::kernels::extremes::Found;
use crate::kernels::lanes::{Eights, LANES};
use crate::plan::{ContextPlan, Ring};

/// The state of one context. A ring has room for the cells that it keeps and for some more, which
/// move to its front when the room is used up: a window is always one slice.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// How many slots there were since the begin.
    pub(crate) slots: u64,
    /// How many cells a ring takes before they move.
    room: usize,
    /// How many it has taken.
    cursor: usize,
    values: Vec<f64>,
    reasons: Vec<u8>,
    /// Of each ring, how many of the newest cells are valid.
    runs: Vec<usize>,
    pub(crate) recursions: Vec<f64>,
    /// Derived: the valid cells of windows, sorted, and how many.
    pub(crate) sorted: Vec<f64>,
    pub(crate) sorted_lens: Vec<usize>,
    /// Derived: greatest and least cells of windows.
    pub(crate) found: Vec<Found>,
}

/// A window of a ring, in eights, with what lies in the last of them after its end.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) eights: Eights<'a>,
    pub(crate) reasons: &'a [[u8; LANES]],
    pub(crate) slots: usize,
}

impl<'a> Window<'a> {
    /// The values, +0.0 for nulls, the oldest first.
    #[inline(always)]
    pub(crate) fn values(&self) -> &'a [f64] {
        &self.eights.as_flattened()[..self.slots]
    }

    #[inline(always)]
    pub(crate) fn reasons(&self) -> &'a [u8] {
        &self.reasons.as_flattened()[..self.slots]
    }

    /// The newest cell.
    #[inline(always)]
    pub(crate) fn newest(&self) -> (f64, u8) {
        (self.values()[self.slots - 1], self.reasons()[self.slots - 1])
    }
}

impl State {
    /// No slots yet; `slots` says how many are left out before.
    pub(crate) fn new(plan: &ContextPlan, room: usize, slots: u64) -> Self {
        // Windows are looked at in eights, so that the last may reach beyond the last ring.
        let cells = plan.kept + plan.rings.len() * room + LANES - 1;
        let sorted_len = plan.sorted.last().map_or(0, |last| last.at + last.slots);
        Self {
            slots,
            room,
            cursor: 0,
            values: vec![0.0; cells],
            reasons: vec![WARM_UP; cells],
            runs: vec![0; plan.rings.len()],
            recursions: vec![0.0; plan.recursion_len],
            sorted: vec![0.0; sorted_len],
            sorted_lens: vec![0; plan.sorted.len()],
            found: vec![Found::default(); plan.extremes],
        }
    }

    /// Becomes a copy of another state of the same plan.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.slots = other.slots;
        self.room = other.room;
        self.cursor = other.cursor;
        self.values.clone_from(&other.values);
        self.reasons.clone_from(&other.reasons);
        self.runs.clone_from(&other.runs);
        self.recursions.clone_from(&other.recursions);
        self.sorted.clone_from(&other.sorted);
        self.sorted_lens.clone_from(&other.sorted_lens);
        self.found.clone_from(&other.found);
    }

    /// How many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + 8 * (self.values.len() + self.recursions.len() + self.sorted.len())
            + self.reasons.len()
            + size_of::<usize>() * (self.runs.len() + self.sorted_lens.len())
            + size_of_val(self.found.as_slice())
    }

    /// Makes room for rows to come.
    pub(crate) fn begin(&mut self, plan: &ContextPlan, rows: usize) {
        if self.cursor + rows <= self.room {
            return;
        }
        for (at, ring) in plan.rings.iter().enumerate() {
            let start = self.start(at, ring);
            let kept = start + self.cursor..start + self.cursor + ring.keep;
            self.values.copy_within(kept.clone(), start);
            self.reasons.copy_within(kept, start);
        }
        self.cursor = 0;
    }

    /// The rows belong to the past from now on.
    pub(crate) const fn end(&mut self, rows: usize) {
        self.cursor += rows;
        self.slots += rows as u64;
    }

    /// Puts one row of a series into its ring.
    #[inline(always)]
    pub(crate) fn push_one(&mut self, plan: &ContextPlan, at: usize, (value, reason): (f64, u8)) {
        let ring = &plan.rings[at];
        let place = self.start(at, ring) + self.cursor + ring.keep;
        self.values[place] = value;
        self.reasons[place] = reason;
        let run = &mut self.runs[at];
        *run = if reason == OK { *run + 1 } else { 0 };
    }

    /// Puts the rows of a series into its ring.
    pub(crate) fn push(&mut self, plan: &ContextPlan, at: usize, values: &[f64], reasons: &[u8]) {
        let ring = &plan.rings[at];
        let start = self.start(at, ring) + self.cursor + ring.keep;
        let run = &mut self.runs[at];
        self.values[start..start + values.len()].copy_from_slice(values);
        self.reasons[start..start + values.len()].copy_from_slice(reasons);
        *run = match reasons.iter().rposition(|reason| *reason != OK) {
            Some(last) => reasons.len() - 1 - last,
            None => *run + reasons.len(),
        };
    }

    /// The window of a ring that ends at a row, of those that were pushed.
    #[inline(always)]
    pub(crate) fn window(
        &self,
        plan: &ContextPlan,
        at: usize,
        slots: usize,
        row: usize,
    ) -> Window<'_> {
        let ring = &plan.rings[at];
        let start = self.start(at, ring) + self.cursor + ring.keep + row + 1 - slots;
        let eights = start..start + slots.div_ceil(LANES) * LANES;
        Window {
            eights: self.values[eights.clone()].as_chunks().0,
            reasons: self.reasons[eights].as_chunks().0,
            slots,
        }
    }

    /// The cells of a ring some slots before the rows at hand.
    #[inline(always)]
    pub(crate) fn ago(
        &self,
        plan: &ContextPlan,
        at: usize,
        slots: usize,
        rows: usize,
    ) -> (&[f64], &[u8]) {
        let ring = &plan.rings[at];
        let start = self.start(at, ring) + self.cursor + ring.keep - slots;
        (&self.values[start..start + rows], &self.reasons[start..start + rows])
    }

    /// The windows of eight rows from one on, the first window's oldest cell to the last one's
    /// newest, if none of these cells is null.
    #[inline(always)]
    pub(crate) fn eight_rows(
        &self,
        plan: &ContextPlan,
        at: usize,
        slots: usize,
        row: usize,
        rows: usize,
    ) -> Option<&[f64]> {
        if row + LANES > rows {
            return None;
        }
        let ring = &plan.rings[at];
        let start = self.start(at, ring) + self.cursor + ring.keep + row + 1 - slots;
        let cells = start..start + slots + LANES - 1;
        let valid = self.runs[at] >= rows - row - 1 + slots
            || self.reasons[cells.clone()].iter().all(|reason| *reason == OK);
        valid.then(|| &self.values[cells])
    }

    /// The cell of the only row.
    #[inline(always)]
    pub(crate) fn newest(&self, plan: &ContextPlan, at: usize) -> (f64, u8) {
        let ring = &plan.rings[at];
        let place = self.start(at, ring) + self.cursor + ring.keep;
        (self.values[place], self.reasons[place])
    }

    /// Whether all cells of a window are valid, that ends some rows before the last.
    #[inline(always)]
    pub(crate) fn is_dense(&self, at: usize, after: usize, window: &Window<'_>) -> bool {
        self.runs[at] >= window.slots + after || window.reasons().iter().all(|reason| *reason == OK)
    }

    /// The cells that a ring keeps, the oldest first.
    pub(crate) fn kept(&self, plan: &ContextPlan, at: usize) -> (&[f64], &[u8]) {
        let ring = &plan.rings[at];
        let kept =
            self.start(at, ring) + self.cursor..self.start(at, ring) + self.cursor + ring.keep;
        (&self.values[kept.clone()], &self.reasons[kept])
    }

    /// Sets the cells that a ring keeps, and what is derived of them.
    pub(crate) fn restore(&mut self, plan: &ContextPlan, at: usize, cells: &[(f64, u8)]) {
        let ring = &plan.rings[at];
        let start = self.start(at, ring) + self.cursor;
        for (place, (value, reason)) in cells.iter().enumerate() {
            self.values[start + place] = *value;
            self.reasons[start + place] = *reason;
        }
        self.runs[at] = cells.iter().rev().take_while(|(_, reason)| *reason == OK).count();
        for (number, sorted) in plan.sorted.iter().enumerate() {
            if sorted.ring != at {
                continue;
            }
            let mut valid: Vec<f64> = (cells[cells.len() - sorted.slots..].iter())
                .filter(|(_, reason)| *reason == OK)
                .map(|(value, _)| *value)
                .collect();
            valid.sort_by(f64::total_cmp);
            self.sorted[sorted.at..sorted.at + valid.len()].copy_from_slice(&valid);
            self.sorted_lens[number] = valid.len();
        }
    }

    /// Whether all cells from here on will be equal, given equal inputs.
    pub(crate) fn equals(&self, other: &Self, plan: &ContextPlan) -> bool {
        let bits = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        self.slots == other.slots
            && bits(&self.recursions, &other.recursions)
            && (0..plan.rings.len()).all(|at| {
                let (values, reasons) = self.kept(plan, at);
                let (other_values, other_reasons) = other.kept(plan, at);
                reasons == other_reasons && bits(values, other_values)
            })
    }

    const fn start(&self, at: usize, ring: &Ring) -> usize {
        ring.before + at * self.room
    }
}
