//! The side of a table that reads: any number, in any process of the host.

use std::fmt;

use barrow_types::NAME_LEN_MAX;

use super::directory;
use super::error::{OpenError, ReadError};
use super::header::{self, COUNT, HEARTBEAT, NO_SUCCESSOR, PROMOTED, SUCCESSOR};
use super::layout::{Layout, SYMBOL_WORDS, TableSpec};
use super::symbol::{SymbolBlock, Which};
use crate::row::Row;
use crate::sync::{AtomicU64, Ordering, fence, load_acquire};

/// Reads a table. Reading takes no lock, no memory and no system call.
#[derive(Debug)]
pub struct TableReader<M> {
    memory: M,
    spec: TableSpec,
    layout: Layout,
}

/// The name of a symbol, without memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SymbolName {
    bytes: [u8; NAME_LEN_MAX],
    len: usize,
}

/// How many symbols have a row of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCount {
    /// Those that have.
    pub present: usize,
    /// Those that have not: the slot has not closed for them, or two later ones have.
    pub missing: usize,
    /// Those whose rows were being written.
    pub busy: usize,
}

impl<M: AsRef<[AtomicU64]>> TableReader<M> {
    /// Opens a table.
    ///
    /// # Errors
    /// The memory is no table that this build can read.
    pub fn open(memory: M) -> Result<Self, OpenError> {
        let (spec, layout) = header::read(memory.as_ref())?;
        Ok(Self { memory, spec, layout })
    }

    fn words(&self) -> &[AtomicU64] {
        self.memory.as_ref()
    }

    fn block(&self, index: usize) -> Option<SymbolBlock<'_>> {
        if index >= self.layout.capacity() {
            return None;
        }
        let start = self.layout.block_at(index);
        let words = &self.words()[start..start + self.layout.block_words()];
        Some(SymbolBlock::new(self.layout.row(), words))
    }

    /// The memory that it reads.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// What the table was made for.
    pub const fn spec(&self) -> &TableSpec {
        &self.spec
    }

    /// Where things lie in the table: among others, how long rows are.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many symbols there are. They are never fewer than before.
    pub fn count(&self) -> usize {
        let count = load_acquire(&self.words()[COUNT]);
        usize::try_from(count).unwrap_or(usize::MAX).min(self.layout.capacity())
    }

    /// The name of a symbol; `None` if there is none.
    pub fn symbol(&self, index: usize) -> Option<SymbolName> {
        if index >= self.count() {
            return None;
        }
        let start = self.layout.symbol_at(index);
        let (bytes, len) = directory::decode_symbol(&self.words()[start..start + SYMBOL_WORDS]);
        std::str::from_utf8(&bytes[..len]).ok()?;
        Some(SymbolName { bytes, len })
    }

    /// The index of a symbol; `None` if there is none. Looks at one after the other.
    pub fn find(&self, symbol: &str) -> Option<usize> {
        let is_it = |&index: &usize| self.symbol(index).is_some_and(|name| name.as_str() == symbol);
        (0..self.count()).find(is_it)
    }

    /// How many slots of a symbol have closed since the table was made: whether there is a new row,
    /// at the cost of one load.
    pub fn closed_slots(&self, index: usize) -> u64 {
        self.block(index).map_or(0, |block| block.closed())
    }

    /// Copies a row to `out`, which is as long as the rows of the [layout](Self::layout), and says
    /// what it is. It was the row that was asked for at some time during the call, of a table that
    /// was not closed. Whether the writer lives is for [`Self::check_alive`] to say.
    ///
    /// # Errors
    /// [`ReadError::Absent`], [`ReadError::Busy`] or [`ReadError::Closed`].
    ///
    /// # Panics
    /// If `out` is of another length.
    pub fn read<'out>(
        &self,
        index: usize,
        which: Which,
        out: &'out mut [u64],
    ) -> Result<Row<'out>, ReadError> {
        assert_eq!(out.len(), self.layout.row().words(), "a row of this table fits `out`");
        let block = self.block(index).ok_or(ReadError::Absent);
        let result = block.and_then(|block| block.read(which, out));
        // A closed table is closed whatever is found in it.
        self.check_open()?;
        result?;
        Ok(Row::new(self.layout.row(), out).expect("invariant: the length was compared"))
    }

    /// Reads every symbol's row of the slot that starts at `ts`, be it the newest or the one before
    /// it, and gives each to `each`: the row, or [`ReadError::Absent`] or [`ReadError::Busy`].
    ///
    /// # Errors
    /// [`ReadError::Closed`], perhaps after some rows: they are of the slot nevertheless.
    ///
    /// # Panics
    /// If `out` is not as long as a row.
    pub fn read_slot(
        &self,
        ts: i64,
        out: &mut [u64],
        mut each: impl FnMut(usize, Result<Row<'_>, ReadError>),
    ) -> Result<SlotCount, ReadError> {
        let mut count = SlotCount::default();
        for index in 0..self.count() {
            let found = match self.read_of_slot(index, ts, out) {
                Err(closed @ ReadError::Closed { .. }) => return Err(closed),
                found => found,
            };
            match &found {
                Ok(_) => count.present += 1,
                Err(ReadError::Busy) => count.busy += 1,
                Err(_) => count.missing += 1,
            }
            each(index, found);
        }
        self.check_open()?;
        Ok(count)
    }

    fn read_of_slot<'out>(
        &self,
        index: usize,
        ts: i64,
        out: &'out mut [u64],
    ) -> Result<Row<'out>, ReadError> {
        let newest = self.read(index, Which::Newest, out)?.head().ts;
        if newest > ts {
            self.read(index, Which::Previous, out)?;
        }
        let row = Row::new(self.layout.row(), out).expect("invariant: `read` compared the length");
        if row.head().ts == ts { Ok(row) } else { Err(ReadError::Absent) }
    }

    /// Whether the table is still written.
    ///
    /// # Errors
    /// [`ReadError::Closed`] if the table is not written any more.
    pub fn check_open(&self) -> Result<(), ReadError> {
        // Nothing that was read of the table may be read later than this.
        fence(Ordering::Acquire);
        match load_acquire(&self.words()[SUCCESSOR]) {
            0 => Ok(()),
            NO_SUCCESSOR => Err(ReadError::Closed { successor: None }),
            generation => Err(ReadError::Closed { successor: Some(generation) }),
        }
    }

    /// When the writer last gave a sign of life, in nanoseconds since 1970 UTC.
    pub fn heartbeat(&self) -> i64 {
        self.words()[HEARTBEAT].load(Ordering::Relaxed).cast_signed()
    }

    /// Whether the writer lives, by the time now in nanoseconds since 1970 UTC. A heartbeat that
    /// lies as far ahead as it may lie back is as bad: somebody set the clock back, and a writer
    /// that lives would have followed.
    ///
    /// # Errors
    /// [`ReadError::WriterGone`]: rows may have come that this table does not show.
    pub fn check_alive(&self, now: i64) -> Result<(), ReadError> {
        let since = self.heartbeat();
        if now.abs_diff(since) > self.spec.heartbeat_limit.unsigned_abs() {
            return Err(ReadError::WriterGone { since });
        }
        Ok(())
    }

    /// Whether a bare name of the group means this version.
    pub fn is_promoted(&self) -> bool {
        load_acquire(&self.words()[PROMOTED]) != 0
    }
}

impl SymbolName {
    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("invariant: it was checked")
    }
}

impl fmt::Debug for SymbolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
