//! Appends records. The space of a record is there before its first byte is written.

use std::sync::Arc;

use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::error::Error;

use super::file::{self, WalFile};
use super::record::{self, Body, Header, Kind};

/// Bytes of staged records that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A record that was read, but that nothing witnesses to be on disk.
pub(crate) struct Doubtful {
    pub(crate) sequence: u64,
    pub(crate) kind: Kind,
    pub(crate) now: i64,
    pub(crate) body: Body,
}

struct Open {
    file: WalFile,
    len: u64,
    at: u64,
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
        self.current = Some(Open { file, len, at });
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
        if len > space {
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

    /// Makes a file with room for a record of `len` bytes, and leaves the current one.
    fn begin_file(&mut self, len: u64) -> Result<(), Error> {
        let file = WalFile { epoch: self.epoch, first: self.next_sequence };
        let file_len = self.file_bytes.max(file::HEADER_LEN as u64 + len);
        self.make(file, file_len)?;
        self.write_buffer()?;
        if let Some(left) = self.current.take() {
            self.unsynced.push(left.file);
        }
        self.files.push(file);
        self.current = Some(Open { file, len: file_len, at: file::HEADER_LEN as u64 });
        Ok(())
    }

    fn make(&self, file: WalFile, len: u64) -> Result<(), Error> {
        let path = file.path();
        match self.disk.create(&path, len) {
            Err(error) if error.kind == DiskErrorKind::Full => {
                return Err(Error::from(error).within("allocate space in the log"));
            }
            other => other.map_err(final_error)?,
        }
        self.disk.write_at(&path, 0, &file.encode(self.instance)).map_err(final_error)?;
        self.disk.sync(&path).map_err(final_error)?;
        self.disk.sync_dir(super::DIR).map_err(final_error)
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
