//! The root of the store: one of two small files, each written in place of its older self.
//!
//! | at | size | field        | meaning                                                   |
//! |---:|-----:|--------------|-----------------------------------------------------------|
//! |  0 |    8 | `magic`      | `BARROOT\0`                                               |
//! |  8 |    4 | `version`    | of the layout, [`VERSION`]                                |
//! | 12 |    4 | `crc`        | CRC-32C of bytes 16 to 80                                 |
//! | 16 |    8 | `generation` | one more at every write; the greater root counts          |
//! | 24 |    8 | `log`        | number of the manifest's log                              |
//! | 32 |    8 | `log_len`    | how many of its bytes are certain                         |
//! | 40 |    8 | `low`        | sequence of the first record that is not in segments      |
//! | 48 |    8 | `durable`    | the greatest sequence that was on disk                    |
//! | 56 |    8 | `epoch`      | which opening of the store wrote it                       |
//! | 64 |    4 | `chain`      | checksum of the last certain edit                         |
//! | 68 |    4 |              | zero                                                      |
//! | 72 |    8 | `now`        | ingest time of the last record that was visible           |

use crate::bytes::{Fields, Put};
use crate::column::Damaged;

/// Length of a root.
pub const LEN: usize = 80;
/// Version of the layout this build writes and reads.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"BARROOT\0";
const GENERATION_AT: usize = MAGIC.len() + 4 + 4;
const _: () = assert!(GENERATION_AT + 6 * 8 + 4 + 4 + 8 == LEN, "the table above says 80");

/// What the root says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// One more at every write.
    pub generation: u64,
    /// Number of the manifest's log.
    pub log: u64,
    /// How many of its bytes are certain.
    pub log_len: u64,
    /// Sequence of the first record that is not in segments.
    pub low: u64,
    /// The greatest sequence that was on disk.
    pub durable: u64,
    /// Which opening of the store wrote it.
    pub epoch: u64,
    /// Checksum of the last certain edit.
    pub chain: u32,
    /// Ingest time of the last record that was visible.
    pub now: i64,
}

impl Root {
    /// Of a store in which nothing has happened.
    pub(crate) const fn first() -> Self {
        Self {
            generation: 1,
            log: 1,
            log_len: 0,
            low: 1,
            durable: 0,
            epoch: 0,
            chain: 0,
            now: i64::MIN,
        }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.extend_from_slice(&MAGIC);
        out.put_u32(VERSION);
        out.put_u32(0);
        for word in [self.generation, self.log, self.log_len, self.low, self.durable, self.epoch] {
            out.put_u64(word);
        }
        out.put_u32(self.chain);
        out.put_u32(0);
        out.put_i64(self.now);
        let crc = crc32c::crc32c(&out[GENERATION_AT..]);
        out[GENERATION_AT - 4..GENERATION_AT].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a root.
    ///
    /// # Errors
    /// The bytes are not a root of a version that this build knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut fields = Fields::new(bytes);
        if fields.bytes(MAGIC.len())? != MAGIC {
            return Err(Damaged("the root does not begin with BARROOT"));
        }
        let version = fields.u32()?;
        if fields.u32()? != crc32c::crc32c(&bytes[GENERATION_AT..]) {
            return Err(Damaged("the checksum of the root is wrong"));
        }
        if version != VERSION {
            return Err(Damaged("this build does not know the version of the root"));
        }
        let generation = fields.u64()?;
        let log = fields.u64()?;
        let log_len = fields.u64()?;
        let low = fields.u64()?;
        let durable = fields.u64()?;
        let epoch = fields.u64()?;
        let chain = fields.u32()?;
        fields.zeros(4)?;
        let now = fields.i64()?;
        fields.end()?;
        let root = Self { generation, log, log_len, low, durable, epoch, chain, now };
        if root.low == 0 {
            return Err(Damaged("the root needs a record 0, which there never is"));
        }
        Ok(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root { generation: 1, log: 2, log_len: 3, low: 4, durable: 5, epoch: 6, chain: 7, now: -1 }
    }

    #[test]
    fn golden_bytes_of_a_root() {
        let bytes = root().encode();
        assert_eq!(&bytes[..12], b"BARROOT\0\x01\0\0\0");
        let words: Vec<u8> = (1..=7_u64).flat_map(u64::to_le_bytes).collect();
        assert_eq!(&bytes[16..72], &words);
        assert_eq!(&bytes[72..], [0xFF; 8]);
        assert_eq!(Root::decode(&bytes).unwrap(), root());
    }

    #[test]
    fn every_flipped_bit_of_a_root_is_found() {
        let bytes = root().encode();
        for bit in 0..LEN * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Root::decode(&flipped).is_err(), "bit {bit}");
        }
        assert!(Root::decode(&bytes[..LEN - 1]).is_err());
    }
}
