//! The log of a copy of a store: records that were read from one log, written to another.
//!
//! They keep their sequences, times and bodies, and are of one epoch. None of them says that the
//! ones before it are on disk: the copy's root does, when all of them are.

use crate::bytes::Put;
use crate::disk::{Disk, DiskError};

use super::file::WalFile;
use super::record::{self, Header};

/// A file is begun anew above this length: it is read as a whole.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes gathered before they are written and synced.
const WRITE_BYTES: usize = 4 << 20;

/// See the module.
pub(crate) struct Transcript<'a> {
    disk: &'a dyn Disk,
    instance: [u8; 16],
    epoch: u64,
    /// What every record says was on disk when it was written.
    durable: u64,
    chain: u32,
    /// The file that is being written, and how long it is.
    file: Option<(WalFile, u64)>,
    /// What comes behind that.
    buffer: Vec<u8>,
}

impl<'a> Transcript<'a> {
    /// An empty log, in an empty folder, of a store that holds everything before record `low`.
    pub(crate) fn new(disk: &'a dyn Disk, instance: [u8; 16], epoch: u64, low: u64) -> Self {
        let (file, buffer) = (None, Vec::new());
        Self { disk, instance, epoch, durable: low - 1, chain: 0, file, buffer }
    }

    /// Adds the record that follows.
    pub(crate) fn add(&mut self, header: &Header, body: &[u8]) -> Result<(), DiskError> {
        if self.file.is_some_and(|(_, len)| len + self.buffer.len() as u64 >= FILE_BYTES) {
            self.write()?;
            self.file = None;
        }
        if self.file.is_none() {
            let file = WalFile { epoch: self.epoch, first: header.sequence };
            self.disk.create(&file.path(), 0)?;
            self.buffer.extend_from_slice(&file.encode(self.instance));
            self.file = Some((file, 0));
        }
        let (epoch, durable, chain) = (self.epoch, self.durable, self.chain);
        let header = Header { epoch, durable, chain, ..*header }.encode();
        self.chain = u32::from_le_bytes(header[..4].try_into().expect("invariant: 4 bytes"));
        self.buffer.extend_from_slice(&header);
        self.buffer.extend_from_slice(body);
        // Files and records begin at multiples of it.
        self.buffer.pad_to(record::ALIGNMENT);
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), DiskError> {
        let Some((file, len)) = &mut self.file else { return Ok(()) };
        self.disk.write_at(&file.path(), *len, &self.buffer)?;
        self.disk.sync(&file.path())?;
        *len += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes all of it durable.
    pub(crate) fn seal(mut self) -> Result<(), DiskError> {
        self.write()?;
        self.disk.sync_dir(super::DIR)
    }
}
