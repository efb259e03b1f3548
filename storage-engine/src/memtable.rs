//! The newest rows: those in the log that no segment holds yet.
//!
//! Per series a short list of *runs*, each sorted and never changed after it was pushed. A run is a
//! range of the rows of the batch that brought it. The writer pushes a run a commit and now and
//! then replaces small neighbours by their union; a reader takes the list as it is and skips rows
//! above its sequence, so the two never wait for each other longer than it takes to copy a list.

mod join;
mod run;
mod slots;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use barrow_types::{Sequence, SeriesId};
use parking_lot::RwLock;

use crate::rows::Rows;

pub(crate) use run::{Run, merge, sorted_places};
pub use run::{Span, Zone};
pub(crate) use slots::Slot;

use run::{Shared, Summary};
use slots::Slots;

/// What the index of batches takes beside an id.
const BATCH_BYTES: u64 = 64;

/// The runs of every series.
#[derive(Default)]
pub(crate) struct Memtable {
    slots: Slots,
    batches: RwLock<BTreeMap<String, u64>>,
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl Memtable {
    /// With a slot for each of `series` series.
    pub(crate) fn with_slots(series: usize) -> Self {
        let memtable = Self::default();
        (0..series).for_each(|_| _ = memtable.slots.add());
        memtable
    }

    /// The slot of a series; `None` if there is no such series.
    pub(crate) fn slot(&self, series: SeriesId) -> Option<&Slot> {
        self.slots.get(series.index())
    }

    /// The slots of all series, in order of their numbers.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        (0..self.slots.len()).map_while(|at| self.slots.get(at))
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Rows held, of ledgers too.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Adds a slot for a new series.
    pub(crate) fn add_slot(&self) {
        self.slots.add();
    }

    /// Adds rows of one record, of which each series has a range, sorted.
    pub(crate) fn push(&self, rows: Rows, of_series: &[(SeriesId, Range<usize>)]) {
        self.rows.fetch_add(rows.len() as u64, Relaxed);
        let shared = self.hold(rows, of_series.len());
        for (series, range) in of_series {
            let summary = Summary::of_record(&shared.rows, range.clone());
            self.slot_of(*series).push(Run::new(Arc::clone(&shared), range.clone(), summary));
        }
    }

    fn slot_of(&self, series: SeriesId) -> &Slot {
        self.slot(series).expect("invariant: a series has a slot before it has rows")
    }

    /// Counts rows, and the runs over them, as held from now on.
    fn hold(&self, rows: Rows, runs: usize) -> Arc<Shared> {
        let shared = Arc::new(Shared::new(rows, runs));
        self.bytes.fetch_add(shared.bytes() + runs as u64 * run::RUN_BYTES, Relaxed);
        shared
    }

    /// Notes which record holds a batch.
    pub(crate) fn add_batch(&self, id: String, sequence: Sequence) {
        self.bytes.fetch_add(id.len() as u64 + BATCH_BYTES, Relaxed);
        self.batches.write().insert(id, sequence.get());
    }

    /// The record that holds a batch, if it is in the memtable at or below `sequence`.
    pub(crate) fn batch(&self, id: &str, sequence: Sequence) -> Option<u64> {
        self.batches.read().get(id).copied().filter(|&found| found <= sequence.get())
    }

    /// A memtable with what is above `floor`: what remains after a flush up to it. This one is
    /// only read from then on.
    pub(crate) fn above(&self, floor: Sequence) -> Self {
        let rest = Self::default();
        let mut held: BTreeMap<*const Shared, u64> = BTreeMap::new();
        for slot in self.slots() {
            let mut runs = slot.runs();
            runs.retain(|run| run.zone.sequence.min > floor.get());
            for run in &runs {
                held.insert(Arc::as_ptr(run.shared()), run.shared().bytes());
                rest.rows.fetch_add(run.len() as u64, Relaxed);
            }
            rest.bytes.fetch_add(runs.len() as u64 * run::RUN_BYTES, Relaxed);
            let slot = rest.slots.add();
            runs.into_iter().for_each(|run| slot.push(run));
        }
        rest.bytes.fetch_add(held.values().sum(), Relaxed);
        let above = |(_, sequence): &(&String, &u64)| **sequence > floor.get();
        *rest.batches.write() = self
            .batches
            .read()
            .iter()
            .filter(above)
            .map(|(id, &sequence)| (id.clone(), sequence))
            .inspect(|(id, _)| {
                rest.bytes.fetch_add(id.len() as u64 + BATCH_BYTES, Relaxed);
            })
            .collect();
        rest
    }

    /// Joins small runs of some series, each given once. Never joins across `floor`, below which a
    /// flush is reading.
    pub(crate) fn coalesce(&self, series: &[SeriesId], floor: Sequence) {
        let mut joins = join::Joins::default();
        for &series in series {
            if let Some((from, runs)) = self.slot_of(series).runs_to_join(floor) {
                joins.add(series, from, &runs);
                for run in &runs {
                    self.let_go(run);
                }
            }
            if joins.is_large() {
                self.install(std::mem::take(&mut joins));
            }
        }
        self.install(joins);
    }

    fn install(&self, joins: join::Joins) {
        for join::Part { rows, of_series } in joins.into_parts() {
            let shared = self.hold(rows, of_series.len());
            for join::Joined { series, from, range, summary } in of_series {
                let run = Run::new(Arc::clone(&shared), range, summary);
                self.slot_of(series).replace(from, run);
            }
        }
    }

    /// A run is to be replaced; its rows are no longer held if it was the last over them.
    fn let_go(&self, run: &Run) {
        let rows = if run.shared().let_go() { run.shared().bytes() } else { 0 };
        self.bytes.fetch_sub(run::RUN_BYTES + rows, Relaxed);
    }
}

#[cfg(test)]
mod tests;
