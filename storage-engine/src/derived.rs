//! Files of what is derived from rows: what the kinds of them have in common.
//!
//! A file has a header, data, an index and a trailer, is written under another name until it is
//! whole, and only one of a kind is used: the newest that is of this store and knows no record
//! that the store has not got. What the bytes are is told by each kind.

use crate::bytes::{Fields, Put, usize_from};
use crate::column::Damaged;
use crate::disk::Disk;
use crate::error::Error;

/// Length of the header.
pub const HEADER_LEN: usize = 40;
/// Length of the trailer.
pub const TRAILER_LEN: usize = 32;
/// The folder of what is derived from rows.
pub(crate) const DIR: &str = "derived";

const MAGIC_LEN: usize = 8;
const CHECKED_AT: usize = MAGIC_LEN + 4 + 4;
const NUMBER_LEN: usize = 10;

/// What a file is called until it is whole.
pub(crate) const TEMPORARY: &str = ".tmp";
/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// What tells the files of a kind from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) magic: [u8; MAGIC_LEN],
    pub(crate) version: u32,
    /// What the name ends with.
    pub(crate) suffix: &'static str,
}

/// What all of a file has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store.
    pub instance: [u8; 16],
    /// The last record whose rows it knows.
    pub sequence: u64,
}

impl Kind {
    /// Path of the file of that number.
    pub(crate) fn path(&self, number: u64) -> String {
        format!("{DIR}/{number:010}{}", self.suffix)
    }

    /// The number of the file of that name; `None` if it is not the name of one.
    pub(crate) fn number_of(&self, name: &str) -> Option<u64> {
        let digits = name.strip_suffix(self.suffix)?;
        let is_name = digits.len() == NUMBER_LEN && digits.bytes().all(|it| it.is_ascii_digit());
        is_name.then(|| digits.parse().ok()).flatten()
    }

    /// The bytes of a header.
    pub(crate) fn encode_header(&self, header: &Header) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&self.magic);
        out.put_u32(self.version);
        out.put_u32(0);
        out.extend_from_slice(&header.instance);
        out.put_u64(header.sequence);
        let crc = crc32c::crc32c(&out[CHECKED_AT..]);
        out[CHECKED_AT - 4..CHECKED_AT].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// The bytes are not one of a version that this build knows.
    pub(crate) fn decode_header(&self, bytes: &[u8]) -> Result<Header, Damaged> {
        let mut fields = Fields::new(bytes);
        if fields.bytes(MAGIC_LEN)? != self.magic {
            return Err(Damaged("it does not begin as a file of its name does"));
        }
        let version = fields.u32()?;
        let crc = fields.u32()?;
        if version != self.version {
            return Err(Damaged("this build does not know the version of the file"));
        }
        if crc != crc32c::crc32c(&bytes[CHECKED_AT..]) {
            return Err(Damaged("the checksum of the header is wrong"));
        }
        let instance = fields.bytes(16)?.try_into().expect("invariant: 16 bytes were taken");
        let sequence = fields.u64()?;
        fields.end()?;
        Ok(Header { instance, sequence })
    }

    /// Adds the trailer to the bytes of an index.
    pub(crate) fn add_trailer(&self, out: &mut Vec<u8>) {
        let (index_len, index_crc) = (out.len(), crc32c::crc32c(out));
        out.put_u64(index_len as u64);
        out.put_u32(index_crc);
        out.put_u32(self.version);
        let crc = crc32c::crc32c(&out[index_len..]);
        out.put_u32(crc);
        out.put_u32(0);
        out.extend_from_slice(&self.magic);
    }

    /// Length and checksum of the index.
    ///
    /// # Errors
    /// The bytes are not a trailer of a version that this build knows.
    pub(crate) fn decode_trailer(&self, bytes: &[u8]) -> Result<(u64, u32), Damaged> {
        let mut fields = Fields::new(bytes);
        let (index_len, index_crc) = (fields.u64()?, fields.u32()?);
        let version = fields.u32()?;
        if fields.u32()? != crc32c::crc32c(&bytes[..16]) {
            return Err(Damaged("the checksum of the trailer is wrong"));
        }
        fields.zeros(4)?;
        if version != self.version || fields.bytes(MAGIC_LEN)? != self.magic {
            return Err(Damaged("it does not end as a file of its name does"));
        }
        fields.end()?;
        Ok((index_len, index_crc))
    }

    /// Reads header and index of a file.
    ///
    /// # Errors
    /// What is wrong with it, with its path.
    pub(crate) fn open(&self, disk: &dyn Disk, path: &str) -> Result<Opened, Error> {
        let damage = |damaged: Damaged| Error::corrupt(format!("{path}: {damaged}"));
        let len = disk.len(path)?;
        let ends = (HEADER_LEN + TRAILER_LEN) as u64;
        let data = len.checked_sub(ends).ok_or(Damaged("it is too short")).map_err(damage)?;
        let header = disk.read(path, 0, HEADER_LEN)?;
        let header = self.decode_header(&header).map_err(damage)?;
        let trailer = disk.read(path, len - TRAILER_LEN as u64, TRAILER_LEN)?;
        let (index_len, index_crc) = self.decode_trailer(&trailer).map_err(damage)?;
        let data_len = data.checked_sub(index_len);
        let data_len =
            data_len.ok_or(Damaged("the index is longer than the file")).map_err(damage)?;
        let data_end = HEADER_LEN as u64 + data_len;
        let index = disk.read(path, data_end, usize_from(index_len).map_err(damage)?)?;
        if crc32c::crc32c(&index) != index_crc {
            return Err(damage(Damaged("the checksum of the index is wrong")));
        }
        Ok(Opened { len, header, index, data_end })
    }

    /// The numbers of the files that there are, and the names of unfinished ones.
    pub(crate) fn list(&self, disk: &dyn Disk) -> Result<(Vec<u64>, Vec<String>), Error> {
        let names = disk.list(DIR)?;
        let numbers = names.iter().filter_map(|name| self.number_of(name)).collect();
        let is_unfinished = |name: &&String| {
            name.strip_suffix(TEMPORARY).is_some_and(|whole| self.number_of(whole).is_some())
        };
        Ok((numbers, names.iter().filter(is_unfinished).cloned().collect()))
    }

    /// Finds the file to use, and removes all others. `open` tells what is wrong with one.
    ///
    /// A file that was made from more than the store holds is of another past: it must be gone, for
    /// sure, before the store takes records of the same numbers.
    pub(crate) fn find<T>(
        &self,
        disk: &dyn Disk,
        open: impl Fn(u64) -> Result<T, Error>,
    ) -> Result<Found<T>, Error> {
        let (mut numbers, unfinished) = self.list(disk)?;
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let next_number = numbers.first().map_or(1, |number| number + 1);
        let removed = unfinished.iter().map(|name| format!("{DIR}/{name}")).collect();
        let mut found = Found { stored: None, next_number, removed, refused: Vec::new() };
        let mut dropped = Vec::new();
        for number in numbers {
            let path = self.path(number);
            if found.stored.is_some() {
                found.removed.push(path);
                continue;
            }
            match open(number) {
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
}

impl Header {
    /// Whether a file is of a store, which holds every record up to `last`.
    pub(crate) fn check(&self, instance: [u8; 16], last: u64) -> Result<(), String> {
        if self.instance != instance {
            return Err("it is of another store".to_owned());
        }
        if self.sequence > last {
            let sequence = self.sequence;
            return Err(format!(
                "it knows records up to {sequence}, and the store ends with {last}"
            ));
        }
        Ok(())
    }
}

/// A file whose header and index passed their checksums.
pub(crate) struct Opened {
    pub(crate) len: u64,
    pub(crate) header: Header,
    pub(crate) index: Vec<u8>,
    /// Where the index begins.
    pub(crate) data_end: u64,
}

/// What opening a store found of a kind.
pub(crate) struct Found<T> {
    pub(crate) stored: Option<T>,
    /// A number that no file has.
    pub(crate) next_number: u64,
    /// Files that hold nothing any more: interrupted attempts, and those that a newer one replaced.
    pub(crate) removed: Vec<String>,
    /// Files that cannot be used, each with the reason.
    pub(crate) refused: Vec<String>,
}

/// A file in the making.
pub(crate) struct Output<'a> {
    disk: &'a dyn Disk,
    path: String,
    temporary: String,
    buffer: Vec<u8>,
    written: u64,
}

impl<'a> Output<'a> {
    /// Begins a file of that path with its header.
    pub(crate) fn begin(
        disk: &'a dyn Disk,
        kind: Kind,
        path: String,
        header: &Header,
    ) -> Result<Self, Error> {
        disk.create_dir(DIR)?;
        disk.sync_dir("")?;
        let temporary = format!("{path}{TEMPORARY}");
        disk.create_anew(&temporary, 0)?;
        let buffer = kind.encode_header(header);
        Ok(Self { disk, path, temporary, buffer, written: 0 })
    }

    /// Its length so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Adds bytes; returns where they are.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let at = self.len();
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(at)
    }

    fn write(&mut self) -> Result<(), Error> {
        self.disk.write_at(&self.temporary, self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends it with its index and trailer, and gives it its name; returns its length.
    pub(crate) fn seal(mut self, index: &[u8]) -> Result<u64, Error> {
        self.buffer.extend_from_slice(index);
        self.write()?;
        self.disk.sync(&self.temporary)?;
        self.disk.rename(&self.temporary, &self.path)?;
        self.disk.sync_dir(DIR)?;
        Ok(self.written)
    }
}

/// Removes what a run that failed may have left.
pub(crate) fn discard(disk: &dyn Disk, path: &str) {
    let _ = disk.remove(&format!("{path}{TEMPORARY}"));
    let _ = disk.remove(path);
}
