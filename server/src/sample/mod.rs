//! The sample market of `barrow demo`: made up, the same on every machine, and with everything a
//! real feed does wrong.
//!
//! - 40 symbols of 1-minute bars over four sessions of the week of 25 November 2024, New York
//!   hours; Thursday is a holiday and Friday a half day.
//! - Some symbols trade every minute, some not; one is halted for three quarters of an hour.
//! - Ten minutes of one symbol come late, in the evening.
//! - Bad prints of Monday are corrected on Tuesday morning.
//! - One bar outside the session is taken back.
//!
//! `features.yaml` is a group of features of it.
//!
//! Rows state when they were published, so `as_of` goes back to any moment of that week. The rows
//! come as dated batches through the same route as any client's.

mod market;
mod random;
mod rows;
mod script;

pub(crate) use market::SYMBOLS;
pub(crate) use rows::record_batch;
pub(crate) use script::{CORRECTED, Correction, SOURCE, Step, script};

/// The document of a group of features, YAML.
pub(crate) const FEATURES: &str = include_str!("features.yaml");

/// The calendar that the symbols follow.
pub(crate) const CALENDAR: &str = "XNYS";
