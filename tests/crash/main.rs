//! A loss of power, a killed process or a failing disk loses nothing that was acknowledged and
//! leaves no batch half visible.
//!
//! `BARROW_CRASH_POINTS` sets how many random crash points are tried; `BARROW_CRASH_SEED` repeats
//! the history of one seed, which every failure names.

mod copies;
mod faults;
mod maps;
mod random;
mod retention;
mod short;
mod spare;
mod states;
mod tables;

use barrow_engine::Options;

/// Sizes so small that a few batches cross every boundary there is.
fn small(wal_file_bytes: u64) -> Options {
    Options {
        wal_file_bytes,
        manifest_bytes_max: 150,
        compact_fan_out: 2,
        own_file_bytes: 500,
        pack_bytes_max: 4_000,
        ..Options::default()
    }
}
