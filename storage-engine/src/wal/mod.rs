//! The write-ahead log: durable before visible, durable before acknowledged.
//!
//! Files `wal/<first sequence>-<epoch>.wal`, zero-filled when they are made, so that an append
//! neither allocates nor changes the file's length. An opening of the store (an *epoch*) never
//! writes into a file of an earlier one: it begins a file of its own, and what an earlier epoch
//! left behind its last good record stays there unread until the file is no longer needed.
//!
//! [`Writer`] appends, [`scan`] reads.

pub mod body;
pub mod file;
pub mod record;
pub mod scan;
mod writer;

pub(crate) use writer::Writer;

/// The folder of the log.
pub const DIR: &str = "wal";
