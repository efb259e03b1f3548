//! Appends records. The space of a record is there before its first byte is written.

use std::sync::Arc;

use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::error::Error;

use super::file::{self, WalFile};
use super::record::{self, Body, Header, Kind};
use super::spare::{self, SpareDone, SpareJob};

/// Bytes of staged records that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A record that was read, but that nothing witnesses to be on disk.
pub(crate) struct Doubtful {
    pub(crate) sequence: u64,
    pub(crate) kind: Kind,
    pub(crate) now: i64,
    pub(crate) body: Body,
}

/// A record above this is *large*: that it is written to space that was only reserved hardly shows
/// in what its sync costs, so it leaves the spare to small ones.
const LARGE_BYTES: u64 = 1 << 20;

/// A file that was reserved is left for a spare as soon as it holds this share of its length: a
/// spare is not made for a store that is opened for a few rows.
const RESERVED_SHARE: u64 = 64;

/// The next spare is made when this share of a file is used: neither for a store that takes little,
/// nor too late for one that takes much.
const FILLED_SHARE: u64 = 4;

struct Open {
    file: WalFile,
    len: u64,
    at: u64,
    /// Whether its bytes were written once, not only reserved.
    filled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spare {
    None,
    /// Being made.
    Planned,
    /// On disk.
    Ready,
    /// It could not be made; not tried again before the next file of the log.
    Refused,
}

/// The end of the log. Records are staged one by one, then written and synced together.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    instance: [u8; 16],
    epoch: u64,
    file_bytes: u64,
    /// Every file of the log, oldest first.
    files: Vec<WalFile>,
    current: Option<Open>,
    /// Staged bytes that belong at `current.at`.
    buffer: Vec<u8>,
    /// Files that were left in the middle of a group.
    unsynced: Vec<WalFile>,
    next_sequence: u64,
    durable: u64,
    chain: u32,
    syncs: u64,
    spare: Spare,
}

impl Writer {
    /// A writer for the log of `files`; it makes files of its own.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        instance: [u8; 16],
        epoch: u64,
        file_bytes: u64,
        files: Vec<WalFile>,
    ) -> Self {
        Self {
            disk,
            instance,
            epoch,
            file_bytes,
            files,
            current: None,
            buffer: Vec::new(),
            unsynced: Vec::new(),
            next_sequence: 1,
            durable: 0,
            chain: 0,
            syncs: 0,
            spare: Spare::None,
        }
    }

    /// Goes on after record `last`, which is on disk. The chain of the new epoch begins.
    pub(crate) const fn go_on_after(&mut self, last: u64) {
        self.next_sequence = last + 1;
        self.durable = last;
        self.chain = 0;
    }

    /// Begins the epoch with copies of the records from `doubtful` on, so that they are on disk
    /// whatever became of the originals. There is at least one.
    ///
    /// # Errors
    /// The log is as it was.
    pub(crate) fn begin_with(&mut self, doubtful: &[Doubtful]) -> Result<(), Error> {
        let first = doubtful[0].sequence;
        self.go_on_after(first - 1);
        let mut bytes = Vec::new();
        for record in doubtful {
            let header = self.header(record.kind, record.now, &record.body);
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(&record.body.bytes);
        }
        let file = WalFile { epoch: self.epoch, first };
        let at = file::HEADER_LEN as u64 + bytes.len() as u64;
        let mut len = self.file_bytes.max(at);
        let path = file.path();
        let temporary = format!("{path}{}", super::TEMPORARY);
        match self.disk.create_anew(&temporary, len) {
            // A store on a full disk must open for reading, so room for the copies alone will do.
            Err(error) if error.kind == DiskErrorKind::Full => {
                len = at;
                self.disk.create_anew(&temporary, len)?;
            }
            other => other?,
        }
        self.disk.write_at(&temporary, 0, &file.encode(self.instance))?;
        self.disk.write_at(&temporary, file::HEADER_LEN as u64, &bytes)?;
        self.disk.sync(&temporary)?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_dir(super::DIR)?;
        self.files.push(file);
        self.current = Some(Open { file, len, at, filled: true });
        self.durable = self.next_sequence - 1;
        Ok(())
    }

    /// Every file of the log, oldest first.
    pub(crate) fn files(&self) -> &[WalFile] {
        &self.files
    }

    /// The greatest sequence known to be on disk.
    pub(crate) const fn durable(&self) -> u64 {
        self.durable
    }

    /// How often the log was synced since it was opened.
    pub(crate) const fn syncs(&self) -> u64 {
        self.syncs
    }

    /// How many files the log has.
    pub(crate) fn file_count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Puts a record after the last one; [`Self::sync`] makes it durable. Returns its sequence.
    ///
    /// # Errors
    /// `Full` if there is no space for it: the log is as it was. Any other kind is final: what is
    /// on disk is unknown, and the writer must not be used again.
    pub(crate) fn stage(&mut self, kind: Kind, now: i64, body: &Body) -> Result<u64, Error> {
        let len = (record::HEADER_LEN + body.bytes.len()) as u64;
        let space =
            self.current.as_ref().map_or(0, |open| open.len - open.at - self.buffer.len() as u64);
        let filled = self.current.as_ref().is_some_and(|open| open.filled);
        let prefers_spare = self.spare == Spare::Ready && !filled && len <= LARGE_BYTES;
        if len > space || prefers_spare {
            self.begin_file(len)?;
        }
        let sequence = self.next_sequence;
        let header = self.header(kind, now, body);
        self.buffer.extend_from_slice(&header);
        if self.buffer.len() + body.bytes.len() <= BUFFER_BYTES {
            self.buffer.extend_from_slice(&body.bytes);
        } else {
            self.write_buffer()?;
            self.write(&body.bytes)?;
        }
        Ok(sequence)
    }

    /// The header of the next record.
    fn header(&mut self, kind: Kind, now: i64, body: &Body) -> [u8; record::HEADER_LEN] {
        let header = Header {
            body_len: body.len,
            body_crc: body.crc,
            epoch: self.epoch,
            sequence: self.next_sequence,
            durable: self.durable,
            now,
            chain: self.chain,
            kind,
        }
        .encode();
        self.chain = u32::from_le_bytes(header[..4].try_into().expect("invariant: 4 bytes"));
        self.next_sequence += 1;
        header
    }

    /// Makes every staged record durable.
    ///
    /// # Errors
    /// Final: what is on disk is unknown, and the writer must not be used again.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.write_buffer()?;
        let current = self.current.as_ref().map(|open| open.file);
        for file in self.unsynced.drain(..).chain(current) {
            self.disk.sync(&file.path()).map_err(final_error)?;
            self.syncs += 1;
        }
        self.durable = self.next_sequence - 1;
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let open = self.current.as_mut().expect("invariant: nothing is staged without a file");
        self.disk.write_at(&open.file.path(), open.at, bytes).map_err(final_error)?;
        open.at += bytes.len() as u64;
        Ok(())
    }

    /// Begins a file with room for a record of `len` bytes, and leaves the current one.
    fn begin_file(&mut self, len: u64) -> Result<(), Error> {
        let file = WalFile { epoch: self.epoch, first: self.next_sequence };
        let needed = file::HEADER_LEN as u64 + len;
        let spare_will_do = self.spare == Spare::Ready && needed <= self.file_bytes;
        let mut filled = spare_will_do && len <= LARGE_BYTES;
        let mut file_len = self.file_bytes;
        if !filled {
            file_len = file_len.max(needed);
            match self.disk.reserve(&file.path(), file_len) {
                // Then the spare has the only space left.
                Err(error) if error.kind == DiskErrorKind::Full && spare_will_do => filled = true,
                Err(error) if error.kind == DiskErrorKind::Full => {
                    return Err(Error::from(error).within("allocate space in the log"));
                }
                other => other.map_err(final_error)?,
            }
        }
        if filled {
            self.take_spare(file)?;
        } else {
            self.write_header(&file.path(), file)?;
        }
        self.disk.sync_dir(super::DIR).map_err(final_error)?;
        if self.spare == Spare::Refused {
            self.spare = Spare::None;
        }
        self.write_buffer()?;
        if let Some(left) = self.current.take() {
            self.unsynced.push(left.file);
        }
        self.files.push(file);
        let at = file::HEADER_LEN as u64;
        self.current = Some(Open { file, len: file_len, at, filled });
        Ok(())
    }

    fn take_spare(&mut self, file: WalFile) -> Result<(), Error> {
        self.spare = Spare::None;
        self.write_header(spare::PATH, file)?;
        self.disk.rename(spare::PATH, &file.path()).map_err(final_error)
    }

    fn write_header(&self, path: &str, file: WalFile) -> Result<(), Error> {
        self.disk.write_at(path, 0, &file.encode(self.instance)).map_err(final_error)?;
        self.disk.sync(path).map_err(final_error)
    }

    /// The next file of the log, to be made ahead of the commit that needs it; `None` while there
    /// is one, or the current file is far from full.
    pub(crate) fn plan_spare(&mut self) -> Option<SpareJob> {
        let open = self.current.as_ref()?;
        let share = if open.filled { FILLED_SHARE } else { RESERVED_SHARE };
        if self.spare != Spare::None || open.at < self.file_bytes / share {
            return None;
        }
        self.spare = Spare::Planned;
        Some(SpareJob { len: self.file_bytes })
    }

    /// Takes note of a spare that was made, or could not be.
    pub(crate) fn install_spare(&mut self, done: Result<SpareDone, Error>) -> Result<(), Error> {
        self.spare = if done.is_ok() { Spare::Ready } else { Spare::Refused };
        done.map(|_| ())
    }

    /// Gives the space of the spare back.
    pub(crate) fn remove_spare(&mut self) {
        if self.spare == Spare::Ready {
            spare::remove(&*self.disk);
            self.spare = Spare::None;
        }
    }

    /// Removes the files whose records all lie before `needed`. One that cannot be removed harms
    /// nobody: the next release tries again.
    pub(crate) fn release(&mut self, needed: u64) {
        let keep_from = self.files.iter().rposition(|file| file.first <= needed).unwrap_or(0);
        for _ in 0..keep_from {
            match self.disk.remove(&self.files[0].path()) {
                Err(error) if error.kind != DiskErrorKind::NotFound => return,
                _ => drop(self.files.remove(0)),
            }
        }
    }
}

/// An error after which nobody knows what the log holds.
fn final_error(error: DiskError) -> Error {
    Error::disk(format!("{error}; the log takes no more records until the store is opened again"))
}
