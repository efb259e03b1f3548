//! Sizes a user may set.

/// The settings of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Length of a file of the log, in bytes. A longer record gets a longer file.
    pub wal_file_bytes: u64,
    /// Bytes of rows in memory at which a flush is due. Intake is refused at twice that.
    pub memtable_bytes_max: u64,
    /// Largest batch, in bytes of its record.
    pub batch_bytes_max: u64,
    /// Most series in one store.
    pub series_max: u32,
    /// Length of the manifest's log at which it is begun anew, in bytes.
    pub manifest_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_file_bytes: 64 << 20,
            memtable_bytes_max: 64 << 20,
            batch_bytes_max: 32 << 20,
            series_max: 1_000_000,
            manifest_bytes_max: 4 << 20,
        }
    }
}
