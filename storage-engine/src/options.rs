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
    /// How many runs of one size are merged into one.
    pub compact_fan_out: u32,
    /// Length of the runs of the first size, in bytes; of each further size, `compact_fan_out`
    /// times as much.
    pub compact_first_bytes: u64,
    /// Bytes of one series in a compaction above which it gets a file of its own.
    pub own_file_bytes: u64,
    /// Length of a file that series share, at most about.
    pub pack_bytes_max: u64,
    /// Bytes of bars that were made of others and are remembered in memory, at most.
    pub tile_bytes_max: u64,
    /// Bytes of states of feature kernels that are remembered in memory, at most.
    pub checkpoint_bytes_max: u64,
    /// Slots after which such a state is kept, on the way from the begin of a series.
    pub checkpoint_slots: u64,
    /// Bytes of files of cells of features, at most.
    pub cell_bytes_max: u64,
    /// Slots of such a file, at most 8,192; fewer of groups with many features.
    pub cell_slots: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_file_bytes: 64 << 20,
            memtable_bytes_max: 64 << 20,
            batch_bytes_max: 32 << 20,
            series_max: 1_000_000,
            manifest_bytes_max: 4 << 20,
            compact_fan_out: 8,
            compact_first_bytes: 256 << 10,
            own_file_bytes: 1 << 20,
            pack_bytes_max: 64 << 20,
            tile_bytes_max: 256 << 20,
            checkpoint_bytes_max: 128 << 20,
            checkpoint_slots: 8_192,
            cell_bytes_max: 64 << 30,
            cell_slots: 8_192,
        }
    }
}
