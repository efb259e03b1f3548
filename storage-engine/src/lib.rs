//! Barrow's storage engine: the truth about market data, and when it was known.
//!
//! Synchronous, single-writer, deterministic: the same calls give the same bytes. No clock, no
//! threads, no environment, no logging, no randomness, no sockets; time comes in as an argument
//! and files through [`disk::Disk`].
//!
//! ```text
//!            prepare (any thread)      commit (the one writer)
//! Batch ───▶ decode, door, look up ───▶ log ─▶ sync ─▶ memtable ─▶ Snapshot
//!            keys, encode the record                     │
//!                                                plan / run / install
//!                                                        ▼
//!                                            segments, named by the manifest
//! ```

pub mod batch;
pub mod column;
pub mod dataset;
pub mod disk;
mod error;
pub mod rows;

pub use error::{Error, ErrorKind};
