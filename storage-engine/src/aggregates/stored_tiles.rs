//! A file of tiles: found when the store is opened, read a tile at a time when one is asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::column::Damaged;
use crate::derived::{Found, Opened};
use crate::disk::Disk;
use crate::error::Error;
use crate::rows::Rows;

use super::tile_file::{self, Entry, Header, KIND, Key};

/// A file of tiles that can be used. Only its index is in memory.
#[derive(Debug)]
pub(crate) struct StoredTiles {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) header: Header,
    /// In order of their keys.
    pub(crate) entries: Vec<Entry>,
    /// Whether a tile could not be read: then the file is made anew.
    damaged: AtomicBool,
}

impl StoredTiles {
    pub(crate) fn new(number: u64, len: u64, header: Header, entries: Vec<Entry>) -> Self {
        Self { number, len, header, entries, damaged: AtomicBool::new(false) }
    }

    /// Reads header and index of a file.
    ///
    /// # Errors
    /// What is wrong with it, with its path.
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> Result<Self, Error> {
        let Opened { len, header, index, data_end } = KIND.open(disk, &KIND.path(number))?;
        let path = tile_file::path(number);
        let damage = |damaged: Damaged| Error::corrupt(format!("{path}: {damaged}"));
        let entries = tile_file::decode_index(&index, data_end).map_err(damage)?;
        Ok(Self::new(number, len, header, entries))
    }

    /// Where a tile is, if there is one.
    pub(super) fn entry(&self, key: &Key) -> Option<&Entry> {
        let place = self.entries.binary_search_by_key(key, |entry| entry.key);
        place.ok().map(|at| &self.entries[at])
    }

    /// The bytes of a tile, checked.
    ///
    /// # Errors
    /// They cannot be read, or are not what was written. From then on the file wants to be made
    /// anew.
    pub(crate) fn bytes(&self, disk: &dyn Disk, entry: &Entry) -> Result<Vec<u8>, Error> {
        self.read(disk, entry).inspect_err(|_| self.note_damage())
    }

    fn read(&self, disk: &dyn Disk, entry: &Entry) -> Result<Vec<u8>, Error> {
        let path = tile_file::path(self.number);
        let bytes = disk.read(&path, entry.at, entry.len as usize)?;
        if crc32c::crc32c(&bytes) != entry.crc {
            let at = entry.at;
            let why = format!("{path}: the checksum of the tile at byte {at} is wrong");
            return Err(Error::corrupt(why));
        }
        Ok(bytes)
    }

    /// The bars of a tile.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub(super) fn tile(&self, disk: &dyn Disk, entry: &Entry) -> Result<Rows, Error> {
        let decoded = tile_file::decode_tile(&self.bytes(disk, entry)?, entry.rows);
        decoded.map_err(|damaged| {
            self.note_damage();
            let (path, at) = (tile_file::path(self.number), entry.at);
            Error::corrupt(format!("{path}: the tile at byte {at}: {damaged}"))
        })
    }

    fn note_damage(&self) {
        // Nothing else is published by it.
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether a tile of it could not be read.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// Finds the file to use in a store that holds every record up to `last`, and removes all others.
///
/// # Errors
/// The folder cannot be read, or a file not be removed.
pub(crate) fn find(
    disk: &dyn Disk,
    instance: [u8; 16],
    last: u64,
) -> Result<Found<StoredTiles>, Error> {
    KIND.find(disk, |number| {
        let stored = StoredTiles::open(disk, number)?;
        let path = tile_file::path(number);
        let checked = stored.header.check(instance, last);
        checked.map_err(|why| Error::corrupt(format!("{path}: {why}")))?;
        Ok(stored)
    })
}
