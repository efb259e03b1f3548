//! The slots of the series: a list that grows at its end while it is read without a lock.
//!
//! Blocks of slots never move: each is twice as long as the one before, so that a number leads to
//! its block by counting zeros.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use barrow_types::Sequence;
use parking_lot::RwLock;

use super::join;
use super::run::Run;

/// Slots of the first block.
const FIRST: usize = 64;
/// Enough for every number of 32 bits.
const BLOCKS: usize = 27;

/// What is in memory of one series.
#[derive(Default)]
pub(crate) struct Slot(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    /// The runs, oldest first.
    runs: Vec<Run>,
    ts_max: Option<i64>,
}

impl Slot {
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.0.read().runs.clone()
    }

    /// The greatest sequence in the slot; 0 if it is empty.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.0.read().runs.last().map_or(0, |run| run.zone.sequence.max)
    }

    /// The greatest `ts` in the slot, visible or not.
    pub(crate) fn ts_max(&self) -> Option<i64> {
        self.0.read().ts_max
    }

    pub(super) fn push(&self, run: Run) {
        let mut inner = self.0.write();
        inner.ts_max = inner.ts_max.max(Some(run.zone.ts.max));
        inner.runs.push(run);
    }

    /// The newest runs, if they are to be joined, and how many there are before them.
    pub(super) fn runs_to_join(&self, floor: Sequence) -> Option<(usize, Vec<Run>)> {
        let inner = self.0.read();
        let from = join::first_to_join(&inner.runs, floor)?;
        Some((from, inner.runs[from..].to_vec()))
    }

    /// Replaces the runs from `from` on by one with the same rows.
    pub(super) fn replace(&self, from: usize, run: Run) {
        let mut inner = self.0.write();
        inner.runs.truncate(from);
        inner.runs.push(run);
    }
}

/// See the module.
pub(super) struct Slots {
    blocks: [OnceLock<Box<[Slot]>>; BLOCKS],
    len: AtomicUsize,
}

impl Default for Slots {
    fn default() -> Self {
        Self { blocks: std::array::from_fn(|_| OnceLock::new()), len: AtomicUsize::new(0) }
    }
}

/// Block and place in it of a number.
const fn place_of(number: usize) -> (usize, usize) {
    let block = (number / FIRST + 1).ilog2() as usize;
    (block, number - ((1 << block) - 1) * FIRST)
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        // Pairs with the release in `add`: whoever sees the number finds the block.
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn get(&self, number: usize) -> Option<&Slot> {
        if number >= self.len() {
            return None;
        }
        let (block, at) = place_of(number);
        self.blocks[block].get()?.get(at)
    }

    /// Adds an empty slot. Called by the writer alone.
    pub(super) fn add(&self) -> &Slot {
        let (block, at) = place_of(self.len());
        let make = || (0..FIRST << block).map(|_| Slot::default()).collect();
        let slot = &self.blocks[block].get_or_init(make)[at];
        self.len.store(self.len() + 1, Ordering::Release);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_to_blocks_one_after_the_other() {
        let mut expected = (0, 0);
        for number in 0..5_000 {
            assert_eq!(place_of(number), expected, "{number}");
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place_of(u32::MAX as usize).0 < BLOCKS);
    }

    #[test]
    fn a_slot_stays_where_it_is_while_others_are_added() {
        let slots = Slots::default();
        assert!(slots.get(0).is_none());
        slots.add();
        let first: *const Slot = slots.get(0).unwrap();
        (0..1_000).for_each(|_| _ = slots.add());
        assert!(std::ptr::eq(first, slots.get(0).unwrap()));
        assert_eq!(slots.len(), 1_001);
        assert!(slots.get(1_000).is_some() && slots.get(1_001).is_none());
    }
}
