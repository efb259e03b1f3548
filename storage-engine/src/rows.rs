//! Columns of rows in memory: what a batch brings, a memtable holds and a scan returns.
//!
//! Buffers are plain vectors of 8-byte words (and bytes for text and bitmaps), so they cross the
//! engine's border and become Arrow arrays without a copy.

mod bitmap;
mod column;
mod texts;

use std::ops::Range;

pub use bitmap::Bitmap;
pub use column::{Column, ColumnType, Values};
pub use texts::Texts;

/// Rows of one series with what the system knows about each.
///
/// Sorted by (`ts`, `known_at`, `sequence`, place in batch) wherever the engine hands them out.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Event time; for a bar its open, as stored.
    pub ts: Vec<i64>,
    /// The log record that brought the row.
    pub sequence: Vec<u64>,
    /// When the value was learned: ingest time, stated time, or the policy's.
    pub known_at: Vec<i64>,
    /// [`flags`] of the row.
    pub flags: Vec<u8>,
    /// The user columns, in the order that was asked for.
    pub columns: Vec<Column>,
}

/// What is special about a row.
pub mod flags {
    /// The row takes away what is visible under its key, and has no values; of an event it repeats
    /// the values.
    pub const RETRACT: u8 = 1;
    /// The row states its own `known_at`.
    pub const STATED: u8 = 2;
    /// `known_at` comes from a policy for loads of history, not from anybody's clock.
    pub const ASSUMED: u8 = 4;
    /// The row took the place of another that was visible when it came.
    pub const CORRECTED: u8 = 8;
    /// Every flag there is.
    pub const ALL: u8 = RETRACT | STATED | ASSUMED | CORRECTED;
}

/// The order of rows of one key: the greatest is the one that is visible.
pub type Rank = (i64, u64);

impl Rows {
    /// No rows, with columns of these kinds.
    pub fn empty(kinds: impl IntoIterator<Item = ColumnType>) -> Self {
        Self {
            ts: Vec::new(),
            sequence: Vec::new(),
            known_at: Vec::new(),
            flags: Vec::new(),
            columns: kinds.into_iter().map(|kind| Column::empty(kind, 0)).collect(),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// (`known_at`, `sequence`) of row `at`.
    pub fn rank(&self, at: usize) -> Rank {
        (self.known_at[at], self.sequence[at])
    }

    /// Whether row `at` takes its key away.
    pub fn is_retract(&self, at: usize) -> bool {
        self.flags[at] & flags::RETRACT != 0
    }

    /// Adds row `at` of `source` at the end.
    pub fn push_from(&mut self, source: &Self, at: usize) {
        self.ts.push(source.ts[at]);
        self.sequence.push(source.sequence[at]);
        self.known_at.push(source.known_at[at]);
        self.flags.push(source.flags[at]);
        for (to, from) in self.columns.iter_mut().zip(&source.columns) {
            to.push_from(from, at);
        }
    }

    /// Adds every row of `other` at the end.
    pub fn extend_from(&mut self, other: &Self) {
        self.extend_range(other, 0..other.len());
    }

    /// Adds the rows of `range` of `other` at the end. They may be of an earlier version of their
    /// table: columns that they do not have yet are null.
    pub fn extend_range(&mut self, other: &Self, range: Range<usize>) {
        self.ts.extend_from_slice(&other.ts[range.clone()]);
        self.sequence.extend_from_slice(&other.sequence[range.clone()]);
        self.known_at.extend_from_slice(&other.known_at[range.clone()]);
        self.flags.extend_from_slice(&other.flags[range.clone()]);
        for (place, to) in self.columns.iter_mut().enumerate() {
            match other.columns.get(place) {
                Some(from) => to.extend_range(from, range.clone()),
                None => to.extend_nulls(range.len()),
            }
        }
    }

    /// The rows at the places `at`, in that order.
    #[must_use]
    pub fn take(&self, at: &[u32]) -> Self {
        Self {
            ts: at.iter().map(|&i| self.ts[i as usize]).collect(),
            sequence: at.iter().map(|&i| self.sequence[i as usize]).collect(),
            known_at: at.iter().map(|&i| self.known_at[i as usize]).collect(),
            flags: at.iter().map(|&i| self.flags[i as usize]).collect(),
            columns: self.columns.iter().map(|column| column.take(at)).collect(),
        }
    }

    /// The rows of `range`, in order.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.slice_columns(range, &all)
    }

    /// The rows of `range`, in order, with the columns at `places`.
    #[must_use]
    pub fn slice_columns(&self, range: Range<usize>, places: &[usize]) -> Self {
        let column = |&place: &usize| self.columns[place].slice(range.clone());
        Self {
            ts: self.ts[range.clone()].to_vec(),
            sequence: self.sequence[range.clone()].to_vec(),
            known_at: self.known_at[range.clone()].to_vec(),
            flags: self.flags[range.clone()].to_vec(),
            columns: places.iter().map(column).collect(),
        }
    }

    /// Adds the rows of `range` of `other` at the end, which have these rows' columns at `places`.
    pub(crate) fn extend_columns(&mut self, other: &Self, range: Range<usize>, places: &[usize]) {
        self.ts.extend_from_slice(&other.ts[range.clone()]);
        self.sequence.extend_from_slice(&other.sequence[range.clone()]);
        self.known_at.extend_from_slice(&other.known_at[range.clone()]);
        self.flags.extend_from_slice(&other.flags[range.clone()]);
        for (to, place) in self.columns.iter_mut().zip(places) {
            to.extend_range(&other.columns[*place], range.clone());
        }
    }

    /// Bytes of memory the rows take.
    pub fn byte_len(&self) -> usize {
        self.len() * 25 + self.columns.iter().map(Column::byte_len).sum::<usize>()
    }
}
