//! Barrow's server: the only place with a clock, sockets, environment and logs.
//!
//! ```text
//!  http ── decode ── prepare ──▶ writer (owns the engine) ──▶ log, memtable, segments
//!                                   │
//!  http ◀── encode ◀── scan ◀──  Snapshot
//! ```
//!
//! [`config`] says what may be set, [`app`] starts and stops everything, [`cli`] is the program.

pub mod app;
mod arrow_out;
mod auth;
pub mod cli;
mod clock;
pub mod config;
mod http;
pub mod logging;
mod metrics;
mod random;
mod sample;
mod writer;
