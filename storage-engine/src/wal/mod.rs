//! The write-ahead log: durable before visible, durable before acknowledged.
//!
//! Files `wal/<first sequence>-<epoch>.wal`, whose space is there when they are made, so that an
//! append neither allocates nor changes the file's length. One for small records is filled with
//! zeros ahead of the commit that needs it ([`spare`]); other files are reserved. An opening of the
//! store (an *epoch*) never writes into a file of an earlier one: it begins a file of its own, and
//! what an earlier epoch left behind its last good record stays there unread until the file is no
//! longer needed. Records that nothing witnesses to be on disk (the last group before a crash) are
//! copied into the new epoch's first file when the store is opened: they may be in the system's
//! cache only, and after a failed sync another sync of the same file would prove nothing.
//!
//! [`Writer`] appends, [`scan`] reads, [`Transcript`] is the log of a copy.

pub mod body;
pub mod file;
pub mod record;
pub mod scan;
pub(crate) mod spare;
mod transcript;
mod writer;

pub(crate) use transcript::{TRANSCRIPT_BYTES, Transcript};
pub(crate) use writer::{Doubtful, Writer};

/// The folder of the log.
pub const DIR: &str = "wal";

/// End of the name of a file that is not part of the log yet.
pub(crate) const TEMPORARY: &str = ".tmp";
