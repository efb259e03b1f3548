//! The newest rows: those in the log that no segment holds yet.
//!
//! Per series a short list of *runs*, each sorted and never changed after it was pushed. The
//! writer pushes a run a commit and now and then replaces small neighbours by their union; a
//! reader takes the list as it is and skips rows above its sequence, so the two never wait for
//! each other longer than it takes to copy a list of pointers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use barrow_types::{Sequence, SeriesId};
use parking_lot::RwLock;

use crate::rows::Rows;

/// What a run takes beside its rows: its vectors and pointers.
const RUN_BYTES: u64 = 512;
/// What the index of batches takes beside an id.
const BATCH_BYTES: u64 = 64;

/// Runs of more rows than this are not joined with others.
const RUN_ROWS_MAX: usize = 65_536;

/// The smallest and greatest of a value over some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// The smallest.
    pub min: T,
    /// The greatest.
    pub max: T,
}

impl<T: Copy + Ord> Span<T> {
    /// Of the values, of which there must be one.
    pub(crate) fn of(values: &[T]) -> Self {
        let min = values.iter().min().expect("invariant: there is a row");
        let max = values.iter().max().expect("invariant: there is a row");
        Self { min: *min, max: *max }
    }
}

/// What a set of rows spans: enough to leave it out, or to read it without looking at history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Event times.
    pub ts: Span<i64>,
    /// Knowledge times.
    pub known_at: Span<i64>,
    /// Sequences.
    pub sequence: Span<u64>,
}

impl Zone {
    /// Of rows, of which there must be one.
    pub(crate) fn of(rows: &Rows) -> Self {
        Self {
            ts: Span::of(&rows.ts),
            known_at: Span::of(&rows.known_at),
            sequence: Span::of(&rows.sequence),
        }
    }
}

/// Some rows of one series, sorted by (`ts`, `known_at`, `sequence`, place in batch).
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) rows: Rows,
    pub(crate) zone: Zone,
    /// The flags that any of its rows has.
    pub(crate) flags: u8,
}

impl Run {
    pub(crate) fn new(rows: Rows) -> Self {
        let zone = Zone::of(&rows);
        let flags = rows.flags.iter().fold(0, |all, row| all | row);
        Self { rows, zone, flags }
    }
}

/// The runs of one series, oldest first.
#[derive(Default)]
pub(crate) struct Slot {
    runs: RwLock<Vec<Arc<Run>>>,
}

impl Slot {
    pub(crate) fn runs(&self) -> Vec<Arc<Run>> {
        self.runs.read().clone()
    }

    /// The greatest sequence in the slot; 0 if it is empty.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.runs.read().last().map_or(0, |run| run.zone.sequence.max)
    }
}

/// The runs of every series.
#[derive(Default)]
pub(crate) struct Memtable {
    slots: RwLock<Vec<Arc<Slot>>>,
    batches: RwLock<BTreeMap<String, u64>>,
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl Memtable {
    /// With a slot for each of `series` series.
    pub(crate) fn with_slots(series: usize) -> Self {
        let memtable = Self::default();
        memtable.slots.write().resize_with(series, Arc::default);
        memtable
    }

    /// The slot of a series; `None` if the series is younger than this memtable's reader.
    pub(crate) fn slot(&self, series: SeriesId) -> Option<Arc<Slot>> {
        self.slots.read().get(series.index()).cloned()
    }

    /// The greatest `ts` in memory of a series, at whatever sequence.
    pub(crate) fn newest_ts(&self, series: SeriesId) -> Option<i64> {
        let slots = self.slots.read();
        let runs = slots.get(series.index())?.runs.read();
        runs.iter().map(|run| run.zone.ts.max).max()
    }

    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().clone()
    }

    /// Bytes of rows held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Rows held, of ledgers too.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Adds a slot for a new series.
    pub(crate) fn add_slot(&self) {
        self.slots.write().push(Arc::default());
    }

    /// Adds rows of one series.
    pub(crate) fn push(&self, series: SeriesId, rows: Rows) {
        self.bytes.fetch_add(rows.byte_len() as u64 + RUN_BYTES, Relaxed);
        self.rows.fetch_add(rows.len() as u64, Relaxed);
        let slot = self.slot(series).expect("invariant: a series has a slot before it has rows");
        slot.runs.write().push(Arc::new(Run::new(rows)));
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

    /// A memtable with what is above `floor`: what remains after a flush up to it.
    pub(crate) fn above(&self, floor: Sequence) -> Self {
        let rest = Self::default();
        for slot in self.slots.read().iter() {
            let runs: Vec<_> = slot
                .runs()
                .into_iter()
                .filter(|run| run.zone.sequence.min > floor.get())
                .inspect(|run| {
                    rest.bytes.fetch_add(run.rows.byte_len() as u64 + RUN_BYTES, Relaxed);
                    rest.rows.fetch_add(run.rows.len() as u64, Relaxed);
                })
                .collect();
            rest.slots.write().push(Arc::new(Slot { runs: RwLock::new(runs) }));
        }
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

    /// Joins the newest runs of a series while the last is at least half as long as the one
    /// before, so that `n` commits leave about log2(n) runs. Never joins across `floor`, below
    /// which a flush is reading.
    pub(crate) fn coalesce(&self, series: SeriesId, floor: Sequence) {
        let slot = self.slot(series).expect("invariant: only touched series are coalesced");
        let mut runs = slot.runs();
        let before = runs.len();
        while let [.., older, newer] = runs.as_slice() {
            let (older_len, newer_len) = (older.rows.len(), newer.rows.len());
            if newer_len * 2 < older_len
                || older_len + newer_len > RUN_ROWS_MAX
                || older.zone.sequence.min <= floor.get()
            {
                break;
            }
            let joined = Arc::new(Run::new(merge(&[Arc::clone(older), Arc::clone(newer)])));
            runs.truncate(runs.len() - 2);
            runs.push(joined);
        }
        if runs.len() < before {
            self.bytes.fetch_sub((before - runs.len()) as u64 * RUN_BYTES, Relaxed);
            *slot.runs.write() = runs;
        }
    }
}

/// All rows of some runs, given oldest first, as one sorted set.
pub(crate) fn merge(runs: &[Arc<Run>]) -> Rows {
    let kinds = runs[0].rows.columns.iter().map(crate::rows::Column::kind);
    let mut all = Rows::empty(kinds);
    for run in runs {
        all.extend_from(&run.rows);
    }
    if runs.is_sorted_by(|older, newer| older.zone.ts.max < newer.zone.ts.min) {
        return all;
    }
    all.take(&sorted_places(&all))
}

/// The places of the rows in the order (`ts`, `known_at`, `sequence`); equals stay in place, which
/// keeps the order within a batch.
pub(crate) fn sorted_places(rows: &Rows) -> Vec<u32> {
    let len = u32::try_from(rows.len()).expect("invariant: a set of rows is below 4 Gi rows");
    let mut places: Vec<u32> = (0..len).collect();
    places.sort_by_key(|&at| {
        let at = at as usize;
        (rows.ts[at], rows.known_at[at], rows.sequence[at])
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Column, Values};

    fn rows(ts: &[i64], sequence: u64) -> Rows {
        Rows {
            ts: ts.to_vec(),
            sequence: vec![sequence; ts.len()],
            known_at: vec![sequence.cast_signed() * 10; ts.len()],
            flags: vec![0; ts.len()],
            columns: vec![Column::new(Values::I64(ts.to_vec()))],
        }
    }

    #[test]
    fn many_commits_leave_few_runs_with_every_row_in_order() {
        let memtable = Memtable::with_slots(1);
        let series = SeriesId::new(0);
        for sequence in 1..=1_000_u64 {
            let ts = (sequence * 7 % 1_000).cast_signed();
            memtable.push(series, rows(&[ts], sequence));
            memtable.coalesce(series, Sequence::ZERO);
        }
        let runs = memtable.slot(series).unwrap().runs();
        assert!(runs.len() <= 11, "{} runs", runs.len());
        let merged = merge(&runs);
        assert_eq!(merged.ts, (0..1_000).collect::<Vec<_>>());
        assert_eq!(memtable.rows(), 1_000);
    }

    #[test]
    fn a_flush_in_progress_is_not_joined_with_what_comes_after_it() {
        let memtable = Memtable::with_slots(1);
        let series = SeriesId::new(0);
        memtable.push(series, rows(&[1], 1));
        memtable.push(series, rows(&[2], 2));
        memtable.push(series, rows(&[3], 3));
        memtable.coalesce(series, Sequence::new(2));
        assert_eq!(memtable.slot(series).unwrap().runs().len(), 3);
        let rest = memtable.above(Sequence::new(2));
        assert_eq!(rest.slot(series).unwrap().runs()[0].rows.ts, [3]);
        assert_eq!(rest.rows(), 1);
    }
}
