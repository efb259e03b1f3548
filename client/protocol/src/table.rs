//! The latest table: the newest rows of one version of a group, in memory that processes of one
//! host share. One process writes, any number read, without a system call and without a lock.
//!
//! [`TableWriter`] and [`TableReader`] work on any memory that is a slice of atomics
//! ([`TableWord`]): a mapped file, or a vector in a test.

mod cell;
mod directory;
mod error;
mod file_name;
mod header;
mod layout;
mod reader;
mod symbol;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{OpenError, ReadError, SpecError};
pub use file_name::TableFileName;
pub use layout::{CAPACITY_MAX, FEATURES_MAX, Layout, TableSpec};
pub use reader::{SlotCount, SymbolName, TableReader};
pub use symbol::{SymbolBlock, TRIES_MAX, Which};
pub use writer::{TableWriter, close_abandoned};

/// A word of a table.
pub use crate::sync::AtomicU64 as TableWord;
