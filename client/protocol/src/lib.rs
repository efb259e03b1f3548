//! What features look like on the wire and in shared memory: bytes only, no sockets.
//!
//! A [`Row`] is the cells of one group of features for one symbol at one slot. It has the same
//! words in shared memory and in frames. [`frame`] is what the feature feed says; a [`table`] holds
//! the newest rows of a group in memory that processes of one host share.

pub mod frame;
mod row;
mod sync;
pub mod table;

pub use row::{HEAD_WORDS, Row, RowFlags, RowHead, RowLayout};
