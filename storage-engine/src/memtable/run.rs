//! Runs: sorted rows of one series, as ranges of rows that several series share.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::bytes::u32_len;
use crate::rows::{ColumnType, Rows, flags};

/// What a run takes beside its rows.
pub(super) const RUN_BYTES: u64 = size_of::<Run>() as u64;
/// What shared rows take beside their values: their vectors and counters.
const SHARED_BYTES: u64 = 512;

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

    /// What spans both.
    fn and(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
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

/// What a run's rows are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) zone: Zone,
    /// The flags that any of them has.
    pub(crate) flags: u8,
}

impl Summary {
    /// Of rows of one record, sorted by `ts`.
    pub(super) fn of_record(rows: &Rows, range: Range<usize>) -> Self {
        let (first, last) = (range.start, range.end - 1);
        let flags = rows.flags[range.clone()].iter().fold(0, |all, row| all | row);
        let known_at = if flags & (flags::STATED | flags::ASSUMED) == 0 {
            Span { min: rows.known_at[first], max: rows.known_at[first] }
        } else {
            Span::of(&rows.known_at[range])
        };
        let ts = Span { min: rows.ts[first], max: rows.ts[last] };
        let sequence = Span { min: rows.sequence[first], max: rows.sequence[first] };
        Self { zone: Zone { ts, known_at, sequence }, flags }
    }

    /// Of all rows of some runs, of which there must be one.
    pub(super) fn of_all(runs: &[Run]) -> Self {
        let summaries = runs.iter().map(|run| Self { zone: run.zone, flags: run.flags });
        let all = summaries.reduce(|a, b| Self {
            zone: Zone {
                ts: a.zone.ts.and(b.zone.ts),
                known_at: a.zone.known_at.and(b.zone.known_at),
                sequence: a.zone.sequence.and(b.zone.sequence),
            },
            flags: a.flags | b.flags,
        });
        all.expect("invariant: there is a run")
    }
}

/// Rows of a batch, or of runs that were joined at one time: a range a series.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) rows: Rows,
    bytes: u64,
    /// How many runs of the memtable are over them. Changed by the writer alone.
    runs: AtomicUsize,
}

impl Shared {
    pub(super) fn new(rows: Rows, runs: usize) -> Self {
        let bytes = rows.byte_len() as u64 + SHARED_BYTES;
        Self { rows, bytes, runs: AtomicUsize::new(runs) }
    }

    /// Bytes of memory held.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One run less; whether it was the last.
    pub(super) fn let_go(&self) -> bool {
        self.runs.fetch_sub(1, Relaxed) == 1
    }
}

/// Some rows of one series, sorted by (`ts`, `known_at`, `sequence`, place in batch).
#[derive(Clone, Debug)]
pub(crate) struct Run {
    shared: Arc<Shared>,
    start: u32,
    end: u32,
    pub(crate) zone: Zone,
    /// The flags that any of its rows has.
    pub(crate) flags: u8,
}

impl Run {
    pub(super) fn new(shared: Arc<Shared>, range: Range<usize>, summary: Summary) -> Self {
        let Summary { zone, flags } = summary;
        Self { start: u32_len(range.start), end: u32_len(range.end), zone, flags, shared }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> usize {
        self.range().len()
    }

    /// The rows among which its own are those of [`Self::range`].
    pub(crate) fn rows(&self) -> &Rows {
        &self.shared.rows
    }

    /// Where its rows are among [`Self::rows`].
    pub(crate) const fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The event times of its rows.
    pub(crate) fn ts(&self) -> &[i64] {
        &self.shared.rows.ts[self.range()]
    }

    /// Where its rows with `ts` in `first..=last` are among [`Self::rows`].
    pub(crate) fn range_of(&self, first: i64, last: i64) -> Range<usize> {
        let ts = self.ts();
        let start = ts.partition_point(|&ts| ts < first);
        let end = ts.partition_point(|&ts| ts <= last).max(start);
        self.range().start + start..self.range().start + end
    }
}

/// All rows of some runs of a series, given oldest first, as one sorted set with columns of these
/// kinds: those of the newest run's version, or of a later one.
pub(crate) fn merge(runs: &[Run], kinds: impl IntoIterator<Item = ColumnType>) -> Rows {
    let mut all = Rows::empty(kinds);
    for run in runs {
        all.extend_range(run.rows(), run.range());
    }
    if in_order(runs) { all } else { all.take(&sorted_places(&all)) }
}

/// Whether each run lies wholly before the next.
pub(super) fn in_order(runs: &[Run]) -> bool {
    runs.is_sorted_by(|older, newer| older.zone.ts.max < newer.zone.ts.min)
}

/// The places of the rows in the order (`ts`, `known_at`, `sequence`); equals stay in place, which
/// keeps the order within a batch.
pub(crate) fn sorted_places(rows: &Rows) -> Vec<u32> {
    let mut places: Vec<u32> = (0..u32_len(rows.len())).collect();
    places.sort_by_key(|&at| {
        let at = at as usize;
        (rows.ts[at], rows.known_at[at], rows.sequence[at])
    });
    places
}
