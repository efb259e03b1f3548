//! Bars that were made before, with all that they were made from. Shared by the generations of a
//! store.
//!
//! A *tile* holds the bars of one raw series on one grid, of the sessions of a *block* of 64 dates
//! that it *tells*. Beside them stands up to which record it knows the rows of the block, and a
//! hash of the sessions, bindings and settings that entered. Before a tile is used that is compared
//! with what the question would use, so nothing that writes has to know of tiles.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::disk::Disk;
use crate::remembered::Remembered;
use crate::rows::{Column, Rows};

use super::stored_tiles::StoredTiles;
use super::tile_file::{Entry, Key};

/// See the module.
#[derive(Debug)]
pub(super) struct Tile {
    /// It knows the rows of its block at any record from here
    pub(super) from: u64,
    /// to here.
    pub(super) to: u64,
    /// Hash of the sessions, bindings and settings that entered.
    pub(super) world: u64,
    /// The dates of the block whose sessions it tells, a bit each.
    pub(super) told: u64,
    /// Bars with all columns, then the share of their finer slots that have a row. Those of dates
    /// that it does not tell mean nothing.
    pub(super) rows: Rows,
}

impl Tile {
    /// Bytes that it takes in memory, about; one without bars takes some, too.
    fn byte_len(&self) -> usize {
        let columns = self.rows.columns.len() * size_of::<Column>();
        size_of::<(Key, Self)>() + columns + self.rows.byte_len()
    }
}

/// What is kept now, and what was done for it since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileStats {
    /// Tiles in memory.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Sessions whose bars were made.
    pub made: u64,
    /// Questions that a tile answered as it was.
    pub used: u64,
    /// Tiles in the file that is in use.
    pub stored: u64,
    /// Bytes of the file.
    pub stored_bytes: u64,
    /// Tiles taken from the file.
    pub loaded: u64,
    /// Tiles that left memory to make room for others.
    pub evicted: u64,
    /// Files and tiles in them that could not be used.
    pub dropped: u64,
}

/// Tiles that were made before.
#[derive(Default)]
pub(crate) struct Tiles {
    /// Bytes of tiles in memory, at most.
    bytes_max: usize,
    kept: Mutex<Remembered<Key, Arc<Tile>>>,
    /// The file of tiles that is in use. It is read under this lock, so that nobody reads one that
    /// was replaced.
    stored: RwLock<Option<StoredTiles>>,
    made: AtomicU64,
    used: AtomicU64,
    loaded: AtomicU64,
    evicted: AtomicU64,
    dropped: AtomicU64,
}

impl Tiles {
    /// None yet. In memory they take at most so many bytes; with 0 none is kept there.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX), ..Self::default() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Tile>> {
        self.kept.lock().get(key)
    }

    /// A tile from the file, if it is there. `newest` says which record was the last one, up to
    /// that of the file, that brought a row of its block, if that is known.
    pub(super) fn load(
        &self,
        disk: &dyn Disk,
        key: &Key,
        newest: impl Fn(u64) -> Option<u64>,
    ) -> Option<Arc<Tile>> {
        let stored = self.stored.read();
        let stored = stored.as_ref()?;
        let entry = stored.entry(key)?;
        let to = stored.header.sequence;
        let from = newest(to)?;
        let Ok(rows) = stored.tile(disk, entry) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.loaded.fetch_add(1, Ordering::Relaxed);
        let Entry { world, told, .. } = *entry;
        Some(Arc::new(Tile { from, to, world, told, rows }))
    }

    /// The bytes of a tile in the file and its entry, if `holds` says of what it was made from that
    /// it still does.
    pub(super) fn bytes(
        &self,
        disk: &dyn Disk,
        key: &Key,
        holds: impl Fn(&Entry, u64) -> bool,
    ) -> Option<(Entry, Vec<u8>)> {
        let stored = self.stored.read();
        let stored = stored.as_ref()?;
        let entry = stored.entry(key).filter(|entry| holds(entry, stored.header.sequence))?;
        Some((*entry, stored.bytes(disk, entry).ok()?))
    }

    /// Uses another file from now on; returns the number of the one before.
    pub(crate) fn attach(&self, stored: StoredTiles) -> Option<u64> {
        self.stored.write().replace(stored).map(|old| old.number)
    }

    /// Notes that so many files could not be used.
    pub(crate) fn note_dropped(&self, files: usize) {
        self.dropped.fetch_add(files as u64, Ordering::Relaxed);
    }

    /// Whether the file that is in use wants to be made anew.
    pub(crate) fn is_damaged(&self) -> bool {
        self.stored.read().as_ref().is_some_and(StoredTiles::is_damaged)
    }

    /// What `look` makes of the file that is in use, if there is one. Not for long: an install
    /// waits for it.
    pub(crate) fn with_stored<T>(&self, look: impl FnOnce(&StoredTiles) -> T) -> Option<T> {
        self.stored.read().as_ref().map(look)
    }

    /// Keeps a tile in place of one that does not know more.
    pub(super) fn keep(&self, key: Key, tile: Arc<Tile>) {
        let mut kept = self.kept.lock();
        if kept.peek(&key).is_some_and(|other| other.to > tile.to) {
            return;
        }
        let bytes = tile.byte_len();
        let evicted = kept.insert(key, tile, bytes, self.bytes_max);
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
    }

    pub(super) fn note_used(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_made(&self, sessions: u32) {
        self.made.fetch_add(sessions.into(), Ordering::Relaxed);
    }

    /// Counters and sizes.
    pub(crate) fn stats(&self) -> TileStats {
        let (kept, kept_bytes) = {
            let kept = self.kept.lock();
            (kept.len() as u64, kept.bytes() as u64)
        };
        let stored = self.with_stored(|stored| (stored.entries.len() as u64, stored.len));
        let (stored, stored_bytes) = stored.unwrap_or_default();
        let [made, used, loaded, evicted, dropped] =
            [&self.made, &self.used, &self.loaded, &self.evicted, &self.dropped]
                .map(|counter| counter.load(Ordering::Relaxed));
        TileStats { kept, kept_bytes, made, used, stored, stored_bytes, loaded, evicted, dropped }
    }
}
