//! A file of the log: its name and the 64 bytes before its first record.
//!
//! | at | size | field      | meaning                                          |
//! |---:|-----:|------------|--------------------------------------------------|
//! |  0 |    8 | `magic`    | `BARROWAL`                                       |
//! |  8 |    4 | `version`  | of the file's layout, [`VERSION`]                |
//! | 12 |    4 | `crc`      | CRC-32C of all other bytes of the header         |
//! | 16 |    8 | `first`    | sequence of its first record                     |
//! | 24 |    8 | `epoch`    | which opening of the store made it               |
//! | 32 |   16 | `instance` | the store it belongs to                          |
//! | 48 |   16 |            | zero                                             |
//!
//! Records follow without a hole; whatever is not a good record ends them. The name repeats `first`
//! and `epoch` in decimal digits: `<20>-<10>.wal`.

use crate::bytes::{Fields, Put};
use crate::column::Damaged;

/// Length of the header.
pub const HEADER_LEN: usize = 64;
/// Version of the layout this build writes and reads.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"BARROWAL";
const CRC_AT: usize = MAGIC.len() + 4;
const FIRST_AT: usize = CRC_AT + 4;
const _: () = assert!(FIRST_AT + 8 + 8 + 16 + 16 == HEADER_LEN, "the table above says 64");

/// Which file of the log. Orders as the log was written: by epoch, then by first sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalFile {
    /// Which opening of the store made it.
    pub epoch: u64,
    /// Sequence of its first record.
    pub first: u64,
}

impl WalFile {
    /// Its path in the store.
    pub fn path(&self) -> String {
        format!("{}/{:020}-{:010}.wal", super::DIR, self.first, self.epoch)
    }

    /// The file of that name, if it is the name of one.
    pub fn from_name(name: &str) -> Option<Self> {
        let (first, epoch) = name.strip_suffix(".wal")?.split_once('-')?;
        let all_digits =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(first, 20) || !all_digits(epoch, 10) {
            return None;
        }
        Some(Self { epoch: epoch.parse().ok()?, first: first.parse().ok()? })
    }

    /// The bytes before the first record.
    pub fn encode(&self, instance: [u8; 16]) -> [u8; HEADER_LEN] {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.put_u32(VERSION);
        out.put_u32(0);
        out.put_u64(self.first);
        out.put_u64(self.epoch);
        out.extend_from_slice(&instance);
        out.put_u64(0);
        out.put_u64(0);
        let crc = checksum(&out);
        out[CRC_AT..FIRST_AT].copy_from_slice(&crc.to_le_bytes());
        out.try_into().expect("invariant: the fields above are 64 bytes")
    }

    /// Checks the bytes before the first record against the name and the store.
    ///
    /// # Errors
    /// They are not the header of this file of this store, or of a version this build knows.
    pub fn check(&self, bytes: &[u8], instance: [u8; 16]) -> Result<(), Damaged> {
        let mut fields = Fields::new(bytes);
        let header = fields.bytes(HEADER_LEN)?;
        let mut fields = Fields::new(header);
        if fields.bytes(MAGIC.len())? != MAGIC {
            return Err(Damaged("the file does not begin with BARROWAL"));
        }
        let version = fields.u32()?;
        if fields.u32()? != checksum(header) {
            return Err(Damaged("the checksum of the file's header is wrong"));
        }
        if version != VERSION {
            return Err(Damaged("this build does not know the file's version"));
        }
        if (fields.u64()?, fields.u64()?) != (self.first, self.epoch) {
            return Err(Damaged("the file's header belongs to a file of another name"));
        }
        if fields.bytes(16)? != instance {
            return Err(Damaged("the file belongs to another store"));
        }
        Ok(())
    }
}

fn checksum(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..CRC_AT]), &header[FIRST_AT..HEADER_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_file_and_other_names_to_none() {
        let file = WalFile { epoch: 3, first: 42 };
        assert_eq!(file.path(), "wal/00000000000000000042-0000000003.wal");
        assert_eq!(WalFile::from_name("00000000000000000042-0000000003.wal"), Some(file));
        for name in
            ["42-3.wal", "x", "00000000000000000042.wal", "+0000000000000000042-0000000003.wal"]
        {
            assert_eq!(WalFile::from_name(name), None);
        }
    }

    #[test]
    fn golden_bytes_of_a_file_header() {
        let bytes = WalFile { epoch: 3, first: 42 }.encode([0xAB; 16]);
        assert_eq!(&bytes[..12], b"BARROWAL\x01\0\0\0");
        assert_eq!(&bytes[16..32], b"\x2A\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
        assert_eq!(&bytes[32..], &[[0xAB; 16], [0; 16]].concat());
    }

    #[test]
    fn every_flipped_bit_of_a_file_header_is_found() {
        let file = WalFile { epoch: 3, first: 42 };
        let bytes = file.encode([7; 16]);
        file.check(&bytes, [7; 16]).unwrap();
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(file.check(&flipped, [7; 16]).is_err(), "bit {bit}");
        }
    }
}
