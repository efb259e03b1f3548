//! The rows of one symbol: the two slots that closed last, and the one that forms.
//!
//! | word | field | meaning |
//! |---:|-------|---------|
//! | 0 | `closed` | how many slots have closed since the table was made |
//! | 8 | `even` | the cell of the slots that closed first, third, fifth |
//! | 8 + `cell_words` | `odd` | the cell of those that closed second, fourth, sixth |
//! | 8 + 2 x `cell_words` | `forming` | the cell of the slot that is not due |
//!
//! The mark of a closed slot's row is what `closed` is once it counts the row: the newest has the
//! mark `closed`, the one before it `closed - 1`. A row that forms has the mark 1. Readers ask for
//! a mark, so that a row that took the place of another meanwhile is not taken for it.
//!
//! A slot that closes is written where the one before the last lies, and counted afterwards: the
//! newest row can be read while the next is being written.

use super::cell::{self, CELL_HEAD_WORDS, Look};
use super::error::ReadError;
use crate::row::RowLayout;
use crate::sync::{AtomicU64, Ordering, load_acquire, pause};

/// The words of a line.
pub(super) const LINE_WORDS: usize = 8;

/// How often a row is looked at before a reader is told [`ReadError::Busy`].
pub const TRIES_MAX: usize = if cfg!(loom) { 2 } else { 1_000 };

const CLOSED: usize = 0;
const FORMING_MARK: u64 = 1;

/// Which of a symbol's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// That of the slot that closed last.
    Newest,
    /// That of the slot that closed before it.
    Previous,
    /// That of the slot that is not due.
    Forming,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Newest, Self::Previous, Self::Forming];
}

/// The words of one symbol.
#[derive(Clone, Copy, Debug)]
pub struct SymbolBlock<'a> {
    words: &'a [AtomicU64],
    row: RowLayout,
}

impl<'a> SymbolBlock<'a> {
    /// How many words the rows of a symbol take.
    pub const fn words(row: RowLayout) -> usize {
        LINE_WORDS + 3 * cell_words(row)
    }

    /// The rows of a symbol in these words.
    ///
    /// # Panics
    /// If they are not as many as [`Self::words`] says.
    pub fn new(row: RowLayout, words: &'a [AtomicU64]) -> Self {
        assert_eq!(words.len(), Self::words(row), "invariant: a symbol fits its place");
        Self { words, row }
    }

    fn cell(&self, number: usize) -> &'a [AtomicU64] {
        let len = cell_words(self.row);
        let start = LINE_WORDS + number * len;
        &self.words[start..start + CELL_HEAD_WORDS + self.row.words()]
    }

    /// The cell of the slot that was counted as the `mark`th.
    fn closed_cell(&self, mark: u64) -> &'a [AtomicU64] {
        self.cell(if mark.is_multiple_of(2) { 1 } else { 0 })
    }

    fn forming_cell(&self) -> &'a [AtomicU64] {
        self.cell(2)
    }

    /// How many slots have closed.
    pub fn closed(&self) -> u64 {
        load_acquire(&self.words[CLOSED])
    }

    /// Copies a row to `out`, trying [`TRIES_MAX`] times.
    ///
    /// # Errors
    /// [`ReadError::Absent`] or [`ReadError::Busy`].
    pub fn read(&self, which: Which, out: &mut [u64]) -> Result<(), ReadError> {
        for _ in 0..TRIES_MAX {
            let closed = self.closed();
            let (cell, mark) = match which {
                Which::Forming => (self.forming_cell(), FORMING_MARK),
                Which::Newest | Which::Previous => {
                    let mark = closed.saturating_sub(u64::from(which == Which::Previous));
                    if mark == 0 {
                        return Err(ReadError::Absent);
                    }
                    (self.closed_cell(mark), mark)
                }
            };
            match cell::look(cell, mark, out) {
                // Behind the fence in `look`: had the row been written after another slot closed,
                // that slot would be counted here. It would then be the row of the slot before the
                // one that was asked for, corrected meanwhile.
                Look::Row if which == Which::Forming || self.closed() == closed => return Ok(()),
                Look::Other(0) => return Err(ReadError::Absent),
                Look::Row | Look::Other(_) | Look::Torn => pause(),
            }
        }
        Err(ReadError::Busy)
    }

    /// Makes a row the newest. Only the table's one writer may call this and what follows.
    pub fn publish_closed(&self, row: &[u64]) {
        let mark = self.closed() + 1;
        cell::write(self.closed_cell(mark), mark, row);
        // Pairs with the load in `closed`: who counts the row finds it.
        self.words[CLOSED].store(mark, Ordering::Release);
    }

    /// Puts a row in the place of the newest or the previous one; `false` if there is none.
    pub fn replace(&self, which: Which, row: &[u64]) -> bool {
        let cell = match which {
            Which::Newest => self.closed_cell(self.closed()),
            Which::Previous => self.closed_cell(self.closed().wrapping_sub(1)),
            Which::Forming => self.forming_cell(),
        };
        let mark = cell::mark(cell);
        if mark != 0 {
            cell::write(cell, mark, row);
        }
        mark != 0
    }

    /// Takes the rows of closed slots away.
    pub fn clear_closed(&self) {
        for cell in [self.cell(0), self.cell(1)] {
            if cell::mark(cell) != 0 {
                cell::clear(cell);
            }
        }
    }

    /// Sets the row that forms.
    pub fn publish_forming(&self, row: &[u64]) {
        cell::write(self.forming_cell(), FORMING_MARK, row);
    }

    /// Takes the row that forms away, if there is one.
    pub fn clear_forming(&self) {
        if cell::mark(self.forming_cell()) != 0 {
            cell::clear(self.forming_cell());
        }
    }
}

/// The words from one cell to the next: cells begin at lines.
const fn cell_words(row: RowLayout) -> usize {
    (CELL_HEAD_WORDS + row.words()).next_multiple_of(LINE_WORDS)
}
