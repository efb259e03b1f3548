//! The side of a table that writes: one, ever.

use barrow_types::Symbol;

use super::directory;
use super::error::{OpenError, SpecError};
use super::header::{self, COUNT, HEARTBEAT, NO_SUCCESSOR, PROMOTED, SUCCESSOR};
use super::layout::{Layout, SYMBOL_WORDS, TableSpec};
use super::symbol::{SymbolBlock, Which};
use crate::sync::{AtomicU64, Ordering};

/// Writes a table. There may be no other writer of the same memory.
///
/// Rows are the words that [`RowHead::encode`](crate::RowHead::encode) writes. Calls with an index
/// that [`Self::add_symbol`] did not give, or with a row of another length, are bugs of the caller
/// and panic.
#[derive(Debug)]
pub struct TableWriter<M> {
    memory: M,
    layout: Layout,
    count: usize,
}

impl<M: AsRef<[AtomicU64]>> TableWriter<M> {
    /// Makes a table in memory that is all zeros.
    ///
    /// # Errors
    /// The table cannot be made so, or the memory is not as long as it.
    pub fn init(memory: M, spec: &TableSpec, now: i64) -> Result<Self, SpecError> {
        let layout = spec.layout()?;
        let given = memory.as_ref().len();
        if given != layout.words() {
            return Err(SpecError::Memory { needed: layout.words(), given });
        }
        let writer = Self { memory, layout, count: 0 };
        writer.heartbeat(now);
        header::write(writer.words(), spec, &layout);
        Ok(writer)
    }

    fn words(&self) -> &[AtomicU64] {
        self.memory.as_ref()
    }

    fn block(&self, index: usize) -> SymbolBlock<'_> {
        assert!(index < self.count, "invariant: there are {} symbols", self.count);
        let start = self.layout.block_at(index);
        let words = &self.words()[start..start + self.layout.block_words()];
        SymbolBlock::new(self.layout.row(), words)
    }

    /// The block, and a row that fits it.
    fn block_for(&self, index: usize, row: &[u64]) -> SymbolBlock<'_> {
        assert_eq!(row.len(), self.layout.row().words(), "invariant: a row of this table");
        self.block(index)
    }

    /// Where things lie in the table.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The memory that it writes to.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// How many symbols there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Adds a symbol that is not there yet, without rows, and returns its index; `None` if the
    /// table is full and a larger generation is needed.
    pub fn add_symbol(&mut self, symbol: &Symbol) -> Option<usize> {
        let index = self.count;
        if index == self.layout.capacity() {
            return None;
        }
        let start = self.layout.symbol_at(index);
        let name = directory::encode_symbol(symbol.as_str());
        for (word, value) in self.words()[start..start + SYMBOL_WORDS].iter().zip(name) {
            word.store(value, Ordering::Relaxed);
        }
        self.count += 1;
        // Pairs with the load in `TableReader::count`: who counts the symbol finds its name.
        self.words()[COUNT].store(self.count as u64, Ordering::Release);
        Some(index)
    }

    /// Makes a row the symbol's newest: that of a slot later than all before it.
    pub fn publish_closed(&mut self, index: usize, row: &[u64]) {
        self.block_for(index, row).publish_closed(row);
    }

    /// Corrects the newest row; `false` if there is none.
    pub fn replace_newest(&mut self, index: usize, row: &[u64]) -> bool {
        self.block_for(index, row).replace(Which::Newest, row)
    }

    /// Corrects the row before the newest; `false` if there is none.
    pub fn replace_previous(&mut self, index: usize, row: &[u64]) -> bool {
        self.block_for(index, row).replace(Which::Previous, row)
    }

    /// Takes the rows of closed slots away: none of them is there any more.
    pub fn clear(&mut self, index: usize) {
        self.block(index).clear_closed();
    }

    /// Sets the row that forms.
    pub fn publish_forming(&mut self, index: usize, row: &[u64]) {
        self.block_for(index, row).publish_forming(row);
    }

    /// Takes the row that forms away, if there is one.
    pub fn clear_forming(&mut self, index: usize) {
        self.block(index).clear_forming();
    }

    /// Gives a sign of life: the time now, in nanoseconds since 1970 UTC. More often than
    /// `heartbeat_limit` asks, some four times.
    pub fn heartbeat(&self, now: i64) {
        self.words()[HEARTBEAT].store(now.cast_unsigned(), Ordering::Relaxed);
    }

    /// Says whether a bare name of the group means this version.
    pub fn set_promoted(&mut self, promoted: bool) {
        self.words()[PROMOTED].store(u64::from(promoted), Ordering::Release);
    }

    /// Ends the table. Its successor, if there is one, must be readable by now, and hold all that
    /// this one holds: readers go there at once.
    ///
    /// # Panics
    /// If the successor is 0 or the largest number: neither is a generation.
    pub fn close(self, successor: Option<u64>) {
        close(self.words(), successor);
    }
}

/// Closes a table whose writer died.
///
/// # Errors
/// It is no table that this build can read.
///
/// # Panics
/// As [`TableWriter::close`].
pub fn close_abandoned(memory: &[AtomicU64], successor: Option<u64>) -> Result<(), OpenError> {
    header::read(memory)?;
    close(memory, successor);
    Ok(())
}

fn close(memory: &[AtomicU64], successor: Option<u64>) {
    assert!(!matches!(successor, Some(0 | NO_SUCCESSOR)), "invariant: a generation");
    // Pairs with the load in `TableReader::check_open`: who sees it finds the successor's rows.
    memory[SUCCESSOR].store(successor.unwrap_or(NO_SUCCESSOR), Ordering::Release);
}
