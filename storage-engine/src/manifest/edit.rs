//! One change of the manifest, and the header of the log that holds it.
//!
//! Header of a log: `BARROMAN`, version u32, CRC-32C of the number u32, number u64: 24 bytes.
//! Then edits:
//!
//! | at | size | field     | meaning                                                      |
//! |---:|-----:|-----------|--------------------------------------------------------------|
//! |  0 |    4 | `crc`     | CRC-32C of all that follows in the edit                      |
//! |  4 |    4 | `len`     | bytes that follow this field in the edit                     |
//! |  8 |    4 | `chain`   | `crc` of the edit before; 0 in the first of a log            |
//! | 12 |    8 | `low`     | sequence of the first record that is not in segments         |
//! | 20 |    4 | `added`   | count, then 36 bytes each: number u64, run u64, len u64, rows u64, footer_crc u32 |
//! |    |    4 | `removed` | count, then number u64 each                                  |
//!
//! A *run* is what one flush or one compaction wrote: its segments, named by the smallest number
//! among them, hold no series twice.

use crate::bytes::{Fields, Put, u32_len};
use crate::column::Damaged;

/// Length of a log's header.
pub const HEADER_LEN: usize = 24;
/// Version of the layout this build writes and reads.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"BARROMAN";
const ENTRY_LEN: usize = 8 + 8 + 8 + 8 + 4;

/// A live segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Its number, which is its name.
    pub number: u64,
    /// The run it is part of.
    pub run: u64,
    /// Length of the file.
    pub len: u64,
    /// Rows in it, ledgers' too.
    pub rows: u64,
    /// Checksum of its footer, which holds the checksums of its blocks.
    pub footer_crc: u32,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Sequence of the first record that is not in segments afterwards.
    pub low: u64,
    /// Segments that become live.
    pub added: Vec<SegmentEntry>,
    /// Segments that are no longer live.
    pub removed: Vec<u64>,
}

/// The header of log `number`.
pub fn encode_header(number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN);
    out.extend_from_slice(&MAGIC);
    out.put_u32(VERSION);
    out.put_u32(crc32c::crc32c(&number.to_le_bytes()));
    out.put_u64(number);
    out
}

/// Checks that `bytes` begin with the header of log `number`.
///
/// # Errors
/// They do not, or its version is not known.
pub fn check_header(bytes: &[u8], number: u64) -> Result<(), Damaged> {
    if Fields::new(bytes).bytes(HEADER_LEN)? == encode_header(number) {
        Ok(())
    } else {
        Err(Damaged("its header is not that of this log, or of another version"))
    }
}

impl Edit {
    /// Appends the edit to `out`; returns its checksum.
    pub fn append_to(&self, out: &mut Vec<u8>, chain: u32) -> u32 {
        let mut rest = Vec::new();
        rest.put_u32(chain);
        rest.put_u64(self.low);
        rest.put_u32(u32_len(self.added.len()));
        for entry in &self.added {
            rest.put_u64(entry.number);
            rest.put_u64(entry.run);
            rest.put_u64(entry.len);
            rest.put_u64(entry.rows);
            rest.put_u32(entry.footer_crc);
        }
        rest.put_u32(u32_len(self.removed.len()));
        for number in &self.removed {
            rest.put_u64(*number);
        }
        let len = u32_len(rest.len()).to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&len), &rest);
        out.put_u32(crc);
        out.extend_from_slice(&len);
        out.extend_from_slice(&rest);
        crc
    }

    /// Reads the edit at the front of `bytes` that follows one with checksum `chain`; returns its
    /// length and checksum too.
    ///
    /// # Errors
    /// There is no whole edit there, or it follows another one.
    pub fn read(bytes: &[u8], chain: u32) -> Result<(Self, usize, u32), Damaged> {
        let mut fields = Fields::new(bytes);
        let crc = fields.u32()?;
        let len = fields.u32()? as usize;
        let rest = fields.bytes(len)?;
        if crc32c::crc32c(&bytes[4..8 + len]) != crc {
            return Err(Damaged("the checksum of an edit is wrong"));
        }
        let mut fields = Fields::new(rest);
        if fields.u32()? != chain {
            return Err(Damaged("the chain of an edit does not lead to the one before it"));
        }
        let low = fields.u64()?;
        let added = (0..fields.count(ENTRY_LEN)?)
            .map(|_| {
                Ok(SegmentEntry {
                    number: fields.u64()?,
                    run: fields.u64()?,
                    len: fields.u64()?,
                    rows: fields.u64()?,
                    footer_crc: fields.u32()?,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let removed = (0..fields.count(8)?).map(|_| fields.u64()).collect::<Result<Vec<_>, _>>()?;
        fields.end()?;
        Ok((Self { low, added, removed }, 8 + len, crc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> Edit {
        let entry = SegmentEntry { number: 1, run: 4, len: 2, rows: 3, footer_crc: 0x0403_0201 };
        Edit { low: 9, added: vec![entry], removed: vec![7] }
    }

    #[test]
    fn golden_bytes_of_an_edit() {
        let mut bytes = Vec::new();
        let crc = edit().append_to(&mut bytes, 0x0D0C_0B0A);
        assert_eq!(bytes[..4], crc.to_le_bytes());
        assert_eq!(
            &bytes[4..],
            b"\x40\0\0\0\x0A\x0B\x0C\x0D\x09\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\
              \x04\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\
              \x03\0\0\0\0\0\0\0\x01\x02\x03\x04\x01\0\0\0\x07\0\0\0\0\0\0\0"
        );
        assert_eq!(Edit::read(&bytes, 0x0D0C_0B0A).unwrap(), (edit(), bytes.len(), crc));
        assert!(Edit::read(&bytes, 0).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_an_edit_is_found() {
        let mut bytes = Vec::new();
        edit().append_to(&mut bytes, 5);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Edit::read(&flipped, 5).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Edit::read(&bytes[..len], 5).is_err(), "cut at {len}");
        }
    }
}
