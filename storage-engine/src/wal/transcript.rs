//! The log of a copy of a store: records that were read from one log, written to another.
//!
//! They keep their sequences, times and bodies, and are of one epoch. None of them says that the
//! ones before it are on disk: the copy's root does, when all of them are.

use crate::bytes::Put;
use crate::disk::{Disk, DiskError};

use super::file::WalFile;
use super::record::{self, Header};

/// Length of a file at which the next one is begun: each is read as a whole.
pub(crate) const TRANSCRIPT_BYTES: u64 = 64 << 20;
/// Bytes gathered before they are written and synced.
const WRITE_BYTES: usize = 4 << 20;

/// See the module.
pub(crate) struct Transcript<'a> {
    disk: &'a dyn Disk,
    instance: [u8; 16],
    epoch: u64,
    /// What every record says was on disk when it was written.
    durable: u64,
    file_bytes: u64,
    chain: u32,
    /// The file that is being written, and how long it is.
    file: Option<(WalFile, u64)>,
    /// What comes behind that.
    buffer: Vec<u8>,
}

impl<'a> Transcript<'a> {
    /// An empty log, in an empty folder, of a store that holds everything before record `low`; its
    /// files are of about `file_bytes`.
    pub(crate) fn new(
        disk: &'a dyn Disk,
        instance: [u8; 16],
        (epoch, low): (u64, u64),
        file_bytes: u64,
    ) -> Self {
        let (durable, file, buffer) = (low - 1, None, Vec::new());
        Self { disk, instance, epoch, durable, file_bytes, chain: 0, file, buffer }
    }

    /// Adds the record that follows.
    pub(crate) fn add(&mut self, header: &Header, body: &[u8]) -> Result<(), DiskError> {
        if self.file.is_some_and(|(_, len)| len + self.buffer.len() as u64 >= self.file_bytes) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::disk::MemoryDisk;
    use crate::wal::record::{Body, Kind};
    use crate::wal::scan::{self, Expected};

    /// Record `sequence` as another log had it.
    fn record(sequence: u64) -> (Header, Vec<u8>) {
        let len = usize::try_from(sequence % 50).unwrap();
        let body = Body::new(vec![7; len]);
        let header = Header {
            body_len: body.len,
            body_crc: body.crc,
            epoch: sequence / 9,
            sequence,
            durable: sequence - 1,
            now: i64::try_from(sequence).unwrap() * 10,
            chain: 4,
            kind: if len == 0 { Kind::Seal } else { Kind::Rows },
        };
        (header, vec![7; len])
    }

    #[test]
    fn records_keep_what_they_say_in_files_of_any_length() {
        for (file_bytes, files) in [(0, 40), (1_000, 4), (1 << 20, 1)] {
            let disk = MemoryDisk::new();
            disk.create_dir(crate::wal::DIR).unwrap();
            let mut transcript = Transcript::new(&disk, [3; 16], (9, 31), file_bytes);
            for sequence in 31..=70 {
                let (header, body) = record(sequence);
                transcript.add(&header, &body).unwrap();
            }
            transcript.seal().unwrap();
            let found = scan::files(&disk).unwrap();
            assert_eq!(found.len(), files, "files of {file_bytes} bytes");
            for up_to in [u64::MAX, 50, 31, 30] {
                let mut read = BTreeSet::new();
                let expected = Expected { low: 31, durable: 70, instance: [3; 16], up_to };
                let end = scan::replay(&disk, &found, expected, |header, body| {
                    let (was, text) = record(header.sequence);
                    assert_eq!((header.now, header.kind), (was.now, was.kind));
                    assert_eq!((header.epoch, header.durable, body), (9, 30, text.as_slice()));
                    read.insert(header.sequence);
                    Ok(())
                });
                assert_eq!(end.unwrap().last, up_to.min(70));
                assert_eq!(read, (31..=up_to.min(70)).collect());
            }
        }
    }
}
