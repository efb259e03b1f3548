//! One record of the write-ahead log: the unit that survives a crash whole or not at all.
//!
//! | at | size | field      | meaning                                                         |
//! |---:|-----:|------------|-----------------------------------------------------------------|
//! |  0 |    4 | `crc`      | CRC-32C of bytes 4 to 64                                        |
//! |  4 |    4 | `magic`    | `BREC`                                                          |
//! |  8 |    4 | `body_len` | length of the body without its padding                          |
//! | 12 |    4 | `body_crc` | CRC-32C of the body with its padding                            |
//! | 16 |    8 | `epoch`    | which opening of the store wrote it                             |
//! | 24 |    8 | `sequence` | the previous record's plus one                                  |
//! | 32 |    8 | `durable`  | the greatest sequence known to be on disk when this was written |
//! | 40 |    8 | `now`      | ingest time, ns since 1970 UTC; never below the previous one    |
//! | 48 |    4 | `chain`    | `crc` of the previous record of its epoch; 0 in the first one   |
//! | 52 |    1 | `kind`     | what the body is: see [`Kind`]                                  |
//! | 53 |    1 |            | zero                                                            |
//! | 54 |    2 | `version`  | of the body's layout, [`BODY_VERSION`]                          |
//! | 56 |    8 |            | zero                                                            |
//! | 64 |    n | `body`     | then zero bytes up to a multiple of 8                           |
//!
//! Integers are little-endian. A reader refuses an unknown kind or version. What it does with a
//! record whose checks fail is told in [`super::scan`].

use crate::bytes::{Fields, Put, u32_len};
use crate::column::Damaged;

/// Length of the fields before the body.
pub const HEADER_LEN: usize = 64;
/// Records begin at multiples of this.
pub const ALIGNMENT: usize = 8;
/// Version of the bodies this build writes and reads.
pub const BODY_VERSION: u16 = 3;
/// The bytes at offset 4.
pub const MAGIC: [u8; 4] = *b"BREC";

const CRC_END: usize = 4;
const MAGIC_AT: usize = CRC_END;
const BODY_LEN_AT: usize = MAGIC_AT + 4;
const BODY_CRC_AT: usize = BODY_LEN_AT + 4;
const EPOCH_AT: usize = BODY_CRC_AT + 4;
const SEQUENCE_AT: usize = EPOCH_AT + 8;
const DURABLE_AT: usize = SEQUENCE_AT + 8;
const NOW_AT: usize = DURABLE_AT + 8;
const CHAIN_AT: usize = NOW_AT + 8;
const KIND_AT: usize = CHAIN_AT + 4;
const VERSION_AT: usize = KIND_AT + 2;
const _: () = assert!(VERSION_AT + 2 + 8 == HEADER_LEN, "the table above says 64");

/// What a record's body is. The numbers are what the log holds: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A batch of rows: `body`.
    Rows = 1,
    /// Facts that come without rows. Not written yet.
    Facts = 2,
    /// A claim of coverage. Not written yet.
    Claim = 3,
    /// A watermark. Not written yet.
    Watermark = 4,
    /// A deadline. Not written yet.
    Deadline = 5,
    /// No body: witnesses that every record before it is on disk.
    Seal = 6,
}

impl Kind {
    /// The kind of that number, if this build reads it.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Rows),
            6 => Some(Self::Seal),
            _ => None,
        }
    }
}

/// The fields before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the body without padding.
    pub body_len: u32,
    /// Checksum of the body with padding.
    pub body_crc: u32,
    /// Which opening of the store wrote it.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// The greatest sequence known to be on disk when it was written.
    pub durable: u64,
    /// Ingest time.
    pub now: i64,
    /// Checksum of the previous record's header.
    pub chain: u32,
    /// What the body is.
    pub kind: Kind,
}

impl Header {
    /// Length of header, body and padding.
    pub const fn record_len(&self) -> usize {
        HEADER_LEN + (self.body_len as usize).next_multiple_of(ALIGNMENT)
    }

    /// The 64 bytes; the first four are the checksum that the next record's `chain` repeats.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.put_u32(0);
        out.extend_from_slice(&MAGIC);
        out.put_u32(self.body_len);
        out.put_u32(self.body_crc);
        out.put_u64(self.epoch);
        out.put_u64(self.sequence);
        out.put_u64(self.durable);
        out.put_i64(self.now);
        out.put_u32(self.chain);
        out.put_u8(self.kind as u8);
        out.put_u8(0);
        out.put_u16(BODY_VERSION);
        out.put_u64(0);
        let crc = crc32c::crc32c(&out[CRC_END..]);
        out[..CRC_END].copy_from_slice(&crc.to_le_bytes());
        out.try_into().expect("invariant: the fields above are 64 bytes")
    }

    /// Reads the 64 bytes. Returns the header and its checksum.
    ///
    /// # Errors
    /// The checksum, the magic or the zeros are wrong, or kind or version are unknown.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<(Self, u32), Damaged> {
        let mut fields = Fields::new(bytes);
        let crc = fields.u32()?;
        if crc32c::crc32c(&bytes[CRC_END..]) != crc {
            return Err(Damaged("the header's checksum is wrong"));
        }
        if fields.bytes(MAGIC.len())? != MAGIC {
            return Err(Damaged("it does not begin with BREC"));
        }
        let body_len = fields.u32()?;
        let body_crc = fields.u32()?;
        let epoch = fields.u64()?;
        let sequence = fields.u64()?;
        let durable = fields.u64()?;
        let now = fields.i64()?;
        let chain = fields.u32()?;
        let kind = fields.u8()?;
        fields.zeros(1)?;
        let version = fields.u16()?;
        fields.zeros(8)?;
        let kind = Kind::from_code(kind).ok_or(Damaged("this build does not know its kind"))?;
        if version != BODY_VERSION {
            return Err(Damaged("this build does not know its version"));
        }
        Ok((Self { body_len, body_crc, epoch, sequence, durable, now, chain, kind }, crc))
    }
}

/// A body with its padding and checksum, ready to be logged.
#[derive(Clone, Debug)]
pub struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

impl Body {
    /// Pads and checksums `bytes`.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        let len = u32_len(bytes.len());
        bytes.pad_to(ALIGNMENT);
        let crc = crc32c::crc32c(&bytes);
        Self { bytes, len, crc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_header() {
        let header = Header {
            body_len: 2,
            body_crc: 0x0403_0201,
            epoch: 5,
            sequence: 7,
            durable: 6,
            now: -1,
            chain: 0x0D0C_0B0A,
            kind: Kind::Rows,
        };
        let bytes = header.encode();
        assert_eq!(
            &bytes[4..],
            b"BREC\x02\0\0\0\x01\x02\x03\x04\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\
              \x06\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0A\x0B\x0C\x0D\
              \x01\0\x03\0\0\0\0\0\0\0\0\0"
        );
        assert_eq!(Header::decode(&bytes).unwrap().0, header);
        assert_eq!(header.record_len(), 72);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_found() {
        let header = Header {
            body_len: 0,
            body_crc: 0,
            epoch: 1,
            sequence: 1,
            durable: 0,
            now: 0,
            chain: 0,
            kind: Kind::Seal,
        };
        let bytes = header.encode();
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}
