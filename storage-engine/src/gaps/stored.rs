//! A file of masks: found when the store is opened, read a mask at a time when one is asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use barrow_types::SeriesId;
use roaring::RoaringBitmap;

use crate::bytes::usize_from;
use crate::column::Damaged;
use crate::disk::Disk;
use crate::error::Error;

use super::mask_file::{self, DIR, Entry, HEADER_LEN, Header, TRAILER_LEN};

/// A file of masks that can be used. Only its index is in memory.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) header: Header,
    /// In order of series and block.
    pub(crate) entries: Vec<Entry>,
    /// Whether a mask could not be read: then the file is made anew.
    damaged: AtomicBool,
}

/// What opening a store found in the folder of derived files.
pub(crate) struct Found {
    pub(crate) stored: Option<Stored>,
    /// A number that no file has.
    pub(crate) next_number: u64,
    /// Files that hold nothing any more: interrupted attempts, and those that a newer one replaced.
    pub(crate) removed: Vec<String>,
    /// Files that cannot be used, each with the reason.
    pub(crate) refused: Vec<String>,
}

impl Stored {
    pub(super) fn new(number: u64, len: u64, header: Header, entries: Vec<Entry>) -> Self {
        Self { number, len, header, entries, damaged: AtomicBool::new(false) }
    }

    /// Reads header and index of a file.
    ///
    /// # Errors
    /// What is wrong with it, with its path.
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> Result<Self, Error> {
        let path = mask_file::path(number);
        let damage = |damaged: Damaged| Error::corrupt(format!("{path}: {damaged}"));
        let len = disk.len(&path)?;
        let ends = (HEADER_LEN + TRAILER_LEN) as u64;
        let data = len.checked_sub(ends).ok_or(Damaged("it is too short")).map_err(damage)?;
        let header = disk.read(&path, 0, HEADER_LEN)?;
        let header = mask_file::decode_header(&header).map_err(damage)?;
        let trailer = disk.read(&path, len - TRAILER_LEN as u64, TRAILER_LEN)?;
        let (index_len, index_crc) = mask_file::decode_trailer(&trailer).map_err(damage)?;
        let masks_len = data.checked_sub(index_len);
        let masks_len =
            masks_len.ok_or(Damaged("the index is longer than the file")).map_err(damage)?;
        let masks_end = HEADER_LEN as u64 + masks_len;
        let index = disk.read(&path, masks_end, usize_from(index_len).map_err(damage)?)?;
        if crc32c::crc32c(&index) != index_crc {
            return Err(damage(Damaged("the checksum of the index is wrong")));
        }
        let entries = mask_file::decode_index(&index, masks_end).map_err(damage)?;
        Ok(Self::new(number, len, header, entries))
    }

    /// Where the mask of a block is, if there is one.
    pub(super) fn entry(&self, series: SeriesId, block: i64) -> Option<&Entry> {
        let key = (series, block);
        let place = self.entries.binary_search_by_key(&key, |entry| (entry.series, entry.block));
        place.ok().map(|at| &self.entries[at])
    }

    /// The bytes of a mask, checked.
    ///
    /// # Errors
    /// They cannot be read, or are not what was written. From then on the file wants to be made
    /// anew.
    pub(super) fn bytes(&self, disk: &dyn Disk, entry: &Entry) -> Result<Vec<u8>, Error> {
        self.read(disk, entry).inspect_err(|_| self.note_damage())
    }

    fn read(&self, disk: &dyn Disk, entry: &Entry) -> Result<Vec<u8>, Error> {
        let path = mask_file::path(self.number);
        let bytes = disk.read(&path, entry.at, entry.len as usize)?;
        if crc32c::crc32c(&bytes) != entry.crc {
            let at = entry.at;
            let why = format!("{path}: the checksum of the mask at byte {at} is wrong");
            return Err(Error::corrupt(why));
        }
        Ok(bytes)
    }

    /// A mask.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub(crate) fn mask(&self, disk: &dyn Disk, entry: &Entry) -> Result<RoaringBitmap, Error> {
        let decoded = mask_file::decode_mask(&self.bytes(disk, entry)?);
        decoded.map_err(|damaged| {
            self.note_damage();
            let (path, at) = (mask_file::path(self.number), entry.at);
            Error::corrupt(format!("{path}: the mask at byte {at}: {damaged}"))
        })
    }

    fn note_damage(&self) {
        // Nothing else is published by it.
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether a mask of it could not be read.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// The numbers of the files of masks that there are, and the names of unfinished ones.
pub(crate) fn list(disk: &dyn Disk) -> Result<(Vec<u64>, Vec<String>), Error> {
    let names = disk.list(DIR)?;
    let numbers = names.iter().filter_map(|name| mask_file::number_of(name)).collect();
    let is_unfinished = |name: &String| {
        name.strip_suffix(TEMPORARY).is_some_and(|whole| mask_file::number_of(whole).is_some())
    };
    Ok((numbers, names.iter().filter(|name| is_unfinished(name)).cloned().collect()))
}

/// What a file is called until it is whole.
pub(super) const TEMPORARY: &str = ".tmp";

/// Finds the file to use in a store that holds every record up to `last`, and removes all others.
///
/// A file that was made from more than the store holds is of another past: it must be gone, for
/// sure, before the store takes records of the same numbers.
pub(crate) fn find(disk: &dyn Disk, instance: [u8; 16], last: u64) -> Result<Found, Error> {
    let (mut numbers, unfinished) = list(disk)?;
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let next_number = numbers.first().map_or(1, |number| number + 1);
    let removed = unfinished.iter().map(|name| format!("{DIR}/{name}")).collect();
    let mut found = Found { stored: None, next_number, removed, refused: Vec::new() };
    let mut dropped = Vec::new();
    for number in numbers {
        let path = mask_file::path(number);
        if found.stored.is_some() {
            found.removed.push(path);
            continue;
        }
        let opened = Stored::open(disk, number).and_then(|stored| {
            check(&stored.header, instance, last)
                .map_err(|why| Error::corrupt(format!("{path}: {why}")))?;
            Ok(stored)
        });
        match opened {
            Ok(stored) => found.stored = Some(stored),
            Err(error) => {
                found.refused.push(error.to_string());
                dropped.push(path);
            }
        }
    }
    for path in found.removed.iter().chain(&dropped) {
        disk.remove(path)?;
    }
    if !dropped.is_empty() {
        disk.sync_dir(DIR)?;
    }
    Ok(found)
}

/// Whether masks are of a store, which holds every record up to `last`.
pub(crate) fn check(header: &Header, instance: [u8; 16], last: u64) -> Result<(), String> {
    if header.instance != instance {
        return Err("it is of another store".to_owned());
    }
    if header.sequence > last {
        let sequence = header.sequence;
        return Err(format!("it knows records up to {sequence}, and the store ends with {last}"));
    }
    Ok(())
}
