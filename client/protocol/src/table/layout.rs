//! Where things lie in a table.
//!
//! | part | words | what |
//! |------|------:|------|
//! | header | 512 | a page: what the table is, and the few words that change |
//! | names | `names_words` | group, version and features: for each the length in bytes, then the bytes padded with 0 to whole words; all padded to a whole line |
//! | symbols | 8 x `capacity` | the name of each, padded with 0 |
//! | blocks | `block_words` x `capacity` | the rows of each |
//!
//! A word is 8 bytes in the order of the host (little-endian on all that Barrow is built for), a
//! line is 8 words. The length and all places are fixed when the table is made; a table that must
//! change becomes another *generation*, in memory of its own, and the old one is closed.

use barrow_types::NAME_LEN_MAX;

use super::directory;
use super::error::SpecError;
use super::symbol::{LINE_WORDS, SymbolBlock};
use crate::row::RowLayout;

/// Most symbols of a table.
pub const CAPACITY_MAX: usize = 1 << 24;

/// Most features of a table.
pub const FEATURES_MAX: usize = 1 << 16;

/// The words of the header: a page, so that what is written often has none of its lines. The model
/// checker pays for each word and gets the lines in use only.
pub(super) const HEADER_WORDS: usize = if cfg!(loom) { 3 * LINE_WORDS } else { 512 };

/// The words of a symbol's name.
pub(super) const SYMBOL_WORDS: usize = NAME_LEN_MAX / size_of::<u64>();

// The bounds above keep places below 2^44.
const _: () = assert!(usize::BITS >= 64, "places in a table need 64 bits");

/// What a table is made for. All of it stands in the table and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// The group of features.
    pub group: String,
    /// Its version.
    pub version: String,
    /// The names of its features, in the order of the values.
    pub features: Vec<String>,
    /// How many symbols there may be.
    pub capacity: usize,
    /// The store that the rows come from.
    pub instance: [u8; 16],
    /// Another with each start of the server.
    pub epoch: u64,
    /// From 1: which of the tables of this version it is.
    pub generation: u64,
    /// How old the heartbeat may become, in nanoseconds, before the writer counts as gone.
    pub heartbeat_limit: i64,
}

impl TableSpec {
    /// Where things lie in the table.
    ///
    /// # Errors
    /// A name is too long or a number out of its bounds.
    pub fn layout(&self) -> Result<Layout, SpecError> {
        let of_group = [("group", &self.group), ("version", &self.version)];
        let of_features = self.features.iter().map(|name| ("features", name));
        for (field, name) in of_group.into_iter().chain(of_features) {
            if name.len() > NAME_LEN_MAX {
                return Err(SpecError::LongName { field, name: name.clone() });
            }
        }
        let limit = u64::try_from(self.heartbeat_limit).unwrap_or(0);
        for (field, value, min, max) in [
            ("features", self.features.len() as u64, 0, FEATURES_MAX as u64),
            ("capacity", self.capacity as u64, 1, CAPACITY_MAX as u64),
            // The largest number is kept for tables without a successor.
            ("generation", self.generation, 1, u64::MAX - 1),
            ("heartbeat_limit", limit, 1, i64::MAX.cast_unsigned()),
        ] {
            if !(min..=max).contains(&value) {
                return Err(SpecError::Bounds { field, value, min, max });
            }
        }
        let names_words = directory::names_words(self);
        Ok(Layout {
            capacity: self.capacity,
            row: RowLayout::new(self.features.len()),
            names_words,
        })
    }
}

/// Where things lie in a table, in words from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    capacity: usize,
    row: RowLayout,
    names_words: usize,
}

impl Layout {
    /// How many symbols there may be.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How long rows are.
    pub const fn row(&self) -> RowLayout {
        self.row
    }

    /// The length of the table in words.
    pub const fn words(&self) -> usize {
        self.blocks_at() + self.capacity * self.block_words()
    }

    /// The length of the table in bytes.
    pub const fn bytes(&self) -> usize {
        self.words() * size_of::<u64>()
    }

    pub(super) const fn names_at(&self) -> usize {
        HEADER_WORDS
    }

    pub(super) const fn names_words(&self) -> usize {
        self.names_words
    }

    pub(super) const fn symbols_at(&self) -> usize {
        self.names_at() + self.names_words
    }

    pub(super) const fn symbol_at(&self, index: usize) -> usize {
        self.symbols_at() + index * SYMBOL_WORDS
    }

    pub(super) const fn blocks_at(&self) -> usize {
        self.symbol_at(self.capacity)
    }

    pub(super) const fn block_words(&self) -> usize {
        SymbolBlock::words(self.row)
    }

    pub(super) const fn block_at(&self, index: usize) -> usize {
        self.blocks_at() + index * self.block_words()
    }
}
