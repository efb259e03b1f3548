//! The place of one row, behind a version word: a sequence lock whose data are atomics.
//!
//! | word | field | meaning |
//! |---:|-------|---------|
//! | 0 | `version` | odd while the row is being written; two more with each row |
//! | 1 | `mark` | which row it is; 0 if there never was one |
//! | 2.. | `row` | its words |
//!
//! There is one writer. It makes the version odd, and a release fence keeps the words behind it; it
//! writes the words; it makes the version even with a release store. A reader loads an even
//! version, the words, and the version again, with an acquire fence before and behind the words: if
//! a word was of another row, the second version differs from the first.

use crate::sync::{AtomicU64, Ordering, fence, load_acquire};

/// The words before the row.
pub(super) const CELL_HEAD_WORDS: usize = 2;

const VERSION: usize = 0;
const MARK: usize = 1;

/// What one look at a cell found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The row that was wanted; it was copied.
    Row,
    /// There is another, of this mark. Nothing was copied.
    Other(u64),
    /// The row was being written. What was copied is worth nothing.
    Torn,
}

/// Writes a row. Nobody else may write to the cell, then or ever.
pub(super) fn write(cell: &[AtomicU64], mark: u64, row: &[u64]) {
    let version = cell[VERSION].load(Ordering::Relaxed);
    cell[VERSION].store(version.wrapping_add(1), Ordering::Relaxed);
    // Pairs with the fence behind the words in `look`: who read one of the words below reads the
    // odd version, or a later one.
    fence(Ordering::Release);
    cell[MARK].store(mark, Ordering::Relaxed);
    for (word, value) in cell[CELL_HEAD_WORDS..].iter().zip(row) {
        word.store(*value, Ordering::Relaxed);
    }
    // Pairs with the first load in `look`: who reads this version reads these words, or later ones.
    cell[VERSION].store(version.wrapping_add(2), Ordering::Release);
}

/// Takes the row away.
pub(super) fn clear(cell: &[AtomicU64]) {
    write(cell, 0, &[]);
}

/// The mark of the row, for the writer.
pub(super) fn mark(cell: &[AtomicU64]) -> u64 {
    cell[MARK].load(Ordering::Relaxed)
}

/// Copies the row to `out` if it has the mark that is wanted.
pub(super) fn look(cell: &[AtomicU64], wanted: u64, out: &mut [u64]) -> Look {
    let version = load_acquire(&cell[VERSION]);
    if !version.is_multiple_of(2) {
        return Look::Torn;
    }
    let mark = cell[MARK].load(Ordering::Relaxed);
    if mark == wanted {
        for (value, word) in out.iter_mut().zip(&cell[CELL_HEAD_WORDS..]) {
            *value = word.load(Ordering::Relaxed);
        }
    }
    // Pairs with the fence in `write`.
    fence(Ordering::Acquire);
    if cell[VERSION].load(Ordering::Relaxed) != version {
        Look::Torn
    } else if mark == wanted {
        Look::Row
    } else {
        Look::Other(mark)
    }
}
