//! Barrow's server: the only place with a clock, sockets, environment and logs.
//!
//! ```text
//!  http ── decode ── prepare ──▶ writer (owns the engine) ──▶ log, memtable, segments
//!                                   │
//!  http ◀── encode ◀── scan ◀──  Snapshot
//!  feed ◀── frames ◀── live rows
//! ```
//!
//! [`config`] says what may be set, [`app`] starts and stops everything, [`cli`] is the program.

pub mod app;
mod arrow_out;
mod auth;
mod below;
pub mod cli;
mod clock;
pub mod config;
mod feed;
mod gently;
mod http;
mod import;
mod jobs;
mod live;
pub mod logging;
mod materializer;
mod metrics;
mod pace;
mod parquet_out;
mod random;
mod sample;
mod store_folder;
mod threads;
mod writer;

/// Decodes a body as an ingest request does, and says whether it was taken: for fuzz targets.
/// `kind`, modulo 5, is Arrow, CSV, JSON, NDJSON, Parquet.
#[doc(hidden)]
pub fn decode_body(kind: u8, body: &[u8]) -> bool {
    http::decode_body(kind, body)
}
