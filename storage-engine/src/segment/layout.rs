//! Where the bytes of a segment are.
//!
//! ```text
//! header 64 | block, zeros to 64 | block, zeros to 64 | ... | footer | trailer 32
//! ```
//!
//! Header (the rest is zero):
//!
//! | at | size | field     | meaning                                   |
//! |---:|-----:|-----------|-------------------------------------------|
//! |  0 |    8 | `magic`   | `BARROSEG`                                |
//! |  8 |    4 | `version` | of the layout, [`VERSION`]                |
//! | 12 |    4 | `crc`     | CRC-32C of bytes 16 to 64                 |
//! | 16 |    8 | `number`  | the segment's number, as in its name      |
//!
//! Footer: count u32, then an extent each:
//!
//! ```text
//! series u32, dataset u16, schema_version u16, kind u8 (1 base, 2 delta, 3 history),
//! flags u8 (those that any row has), rows u32,
//! ts min i64, max i64, known_at min i64, max i64, sequence min u64, max u64,
//! blocks: count u32, each role u8, column u16, at u64, len u32, crc u32
//! ```
//!
//! Roles of blocks, each a chunk as `column` encodes it unless said otherwise:
//!
//! | role | what |
//! |-----:|------|
//! |    1 | `ts` of every row |
//! |    2 | `sequence` of every row |
//! |    3 | `flags` of every row |
//! |    4 | ingest times: count u32, then two chunks with their u32 lengths before them: the distinct sequences of rows that neither state nor assume `known_at`, and the ingest time of each |
//! |    5 | stated `known_at` of each row that states one, in order |
//! |    6 | for each row that assumes its `known_at`, that minus the nominal end of its bar |
//! |    7 | the user column `column` |
//! |    8 | open, high, low and close together, in candle form |
//! |    9 | bloom filter over the texts of user column `column`: see [`bloom_positions`] |
//!
//! Trailer:
//!
//! | at | size | field        | meaning                          |
//! |---:|-----:|--------------|----------------------------------|
//! |  0 |    8 | `footer_len` | length of the footer             |
//! |  8 |    4 | `footer_crc` | CRC-32C of the footer            |
//! | 12 |    4 | `version`    | as in the header                 |
//! | 16 |    4 | `crc`        | CRC-32C of bytes 0 to 16         |
//! | 20 |    4 |              | zero                             |
//! | 24 |    8 | `magic`      | `BARROSEG`                       |
//!
//! The manifest repeats the file's length and `footer_crc`, the footer holds each block's
//! checksum: a block is checked whenever it is read. Bytes between blocks are zero and belong to
//! nobody; damage there changes no answer, and `verify` reports it.

use barrow_types::{ColumnId, DatasetId, SeriesId};

use crate::bytes::{Fields, Put, u32_len};
use crate::column::Damaged;
use crate::memtable::{Span, Zone};
use crate::rows::flags;

/// Version of the layout this build writes and reads.
pub const VERSION: u32 = 2;
/// Length of the header, and what blocks are aligned to.
pub const HEADER_LEN: usize = 64;
/// Length of the trailer.
pub const TRAILER_LEN: usize = 32;

const MAGIC: [u8; 8] = *b"BARROSEG";
const BLOCK_LEN: usize = 1 + 2 + 8 + 4 + 4;
const EXTENT_LEN_MIN: usize = 4 + 2 + 2 + 1 + 1 + 4 + 6 * 8 + 4;

/// What the rows of an extent are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExtentKind {
    /// Winners; base extents of a series do not overlap and hold a key once.
    Base = 1,
    /// Late rows and corrections, to be merged with what they overlap.
    Delta = 2,
    /// Rows that lost; read only for a time or sequence at which their victors were not known.
    History = 3,
}

impl ExtentKind {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Base),
            2 => Some(Self::Delta),
            3 => Some(Self::History),
            _ => None,
        }
    }
}

/// What a block holds; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the table of the module says it")]
pub enum Role {
    Ts = 1,
    Sequence = 2,
    Flags = 3,
    IngestTimes = 4,
    Stated = 5,
    Assumed = 6,
    Column = 7,
    Candle = 8,
    Bloom = 9,
}

impl Role {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ts),
            2 => Some(Self::Sequence),
            3 => Some(Self::Flags),
            4 => Some(Self::IngestTimes),
            5 => Some(Self::Stated),
            6 => Some(Self::Assumed),
            7 => Some(Self::Column),
            8 => Some(Self::Candle),
            9 => Some(Self::Bloom),
            _ => None,
        }
    }
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it holds.
    pub role: Role,
    /// Of which user column; 0 for the others.
    pub column: ColumnId,
    /// Its first byte in the file.
    pub at: u64,
    /// How many bytes.
    pub len: u32,
    /// Their CRC-32C.
    pub crc: u32,
}

/// The directory entry of an extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentMeta {
    /// Whose rows.
    pub series: SeriesId,
    /// Of which dataset.
    pub dataset: DatasetId,
    /// By which version of its schema.
    pub schema_version: u16,
    /// What they are to each other.
    pub kind: ExtentKind,
    /// The [`flags`] that any of the rows has.
    pub flags: u8,
    /// How many rows, at most [`super::EXTENT_ROWS_MAX`].
    pub rows: u32,
    /// What they span.
    pub zone: Zone,
    /// Where their columns are.
    pub blocks: Vec<Block>,
}

impl ExtentMeta {
    /// Place in [`Self::blocks`] of the block of that role and column.
    pub fn block(&self, role: Role, column: ColumnId) -> Option<usize> {
        self.blocks.iter().position(|block| block.role == role && block.column == column)
    }

    /// Bytes of its blocks.
    pub fn byte_len(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.len)).sum()
    }
}

/// The header of segment `number`.
pub fn encode_header(number: u64) -> Vec<u8> {
    let mut rest = Vec::with_capacity(48);
    rest.put_u64(number);
    rest.resize(HEADER_LEN - 16, 0);
    let mut out = Vec::with_capacity(HEADER_LEN);
    out.extend_from_slice(&MAGIC);
    out.put_u32(VERSION);
    out.put_u32(crc32c::crc32c(&rest));
    out.extend_from_slice(&rest);
    out
}

/// Checks that `bytes` begin with the header of segment `number`.
///
/// # Errors
/// They do not, or its version is not known.
pub fn check_header(bytes: &[u8], number: u64) -> Result<(), Damaged> {
    let header = Fields::new(bytes).bytes(HEADER_LEN)?;
    if header == encode_header(number) {
        return Ok(());
    }
    let mut fields = Fields::new(header);
    if fields.bytes(MAGIC.len())? == MAGIC && fields.u32()? != VERSION {
        return Err(Damaged("this build does not know the version of the segment"));
    }
    Err(Damaged("the header is not that of this segment"))
}

/// Footer and trailer of these extents, and the footer's checksum.
pub fn encode_footer(extents: &[ExtentMeta]) -> (Vec<u8>, u32) {
    let mut out = Vec::new();
    out.put_u32(u32_len(extents.len()));
    for extent in extents {
        out.put_u32(extent.series.get());
        out.put_u16(extent.dataset.get());
        out.put_u16(extent.schema_version);
        out.put_u8(extent.kind as u8);
        out.put_u8(extent.flags);
        out.put_u32(extent.rows);
        let zone = &extent.zone;
        for bound in [zone.ts.min, zone.ts.max, zone.known_at.min, zone.known_at.max] {
            out.put_i64(bound);
        }
        out.put_u64(zone.sequence.min);
        out.put_u64(zone.sequence.max);
        out.put_u32(u32_len(extent.blocks.len()));
        for block in &extent.blocks {
            out.put_u8(block.role as u8);
            out.put_u16(block.column.get());
            out.put_u64(block.at);
            out.put_u32(block.len);
            out.put_u32(block.crc);
        }
    }
    let crc = crc32c::crc32c(&out);
    let footer_len = out.len() as u64;
    let trailer_at = out.len();
    out.put_u64(footer_len);
    out.put_u32(crc);
    out.put_u32(VERSION);
    let trailer_crc = crc32c::crc32c(&out[trailer_at..]);
    out.put_u32(trailer_crc);
    out.put_u32(0);
    out.extend_from_slice(&MAGIC);
    (out, crc)
}

/// Reads the trailer: the footer's length and checksum.
///
/// # Errors
/// The bytes are not a trailer of a version that this build knows.
pub fn decode_trailer(bytes: &[u8]) -> Result<(u64, u32), Damaged> {
    let mut fields = Fields::new(bytes);
    let footer_len = fields.u64()?;
    let footer_crc = fields.u32()?;
    let version = fields.u32()?;
    if fields.u32()? != crc32c::crc32c(&bytes[..16]) {
        return Err(Damaged("the checksum of the trailer is wrong"));
    }
    fields.zeros(4)?;
    if fields.bytes(MAGIC.len())? != MAGIC {
        return Err(Damaged("the file does not end with BARROSEG"));
    }
    fields.end()?;
    if version != VERSION {
        return Err(Damaged("this build does not know the version of the segment"));
    }
    Ok((footer_len, footer_crc))
}

/// Reads a footer whose checksum was checked.
///
/// # Errors
/// The bytes are not a footer, or an extent breaks what the module says: no rows or too many,
/// spans the wrong way round, blocks outside of `data` (the bytes between header and footer).
pub fn decode_footer(bytes: &[u8], data: std::ops::Range<u64>) -> Result<Vec<ExtentMeta>, Damaged> {
    let mut fields = Fields::new(bytes);
    let count = fields.count(EXTENT_LEN_MIN)?;
    let extents =
        (0..count).map(|_| decode_extent(&mut fields, &data)).collect::<Result<Vec<_>, _>>()?;
    fields.end()?;
    Ok(extents)
}

fn decode_extent(
    fields: &mut Fields<'_>,
    data: &std::ops::Range<u64>,
) -> Result<ExtentMeta, Damaged> {
    let series = SeriesId::new(fields.u32()?);
    let dataset = DatasetId::new(fields.u16()?);
    let schema_version = fields.u16()?;
    let kind = ExtentKind::from_code(fields.u8()?).ok_or(Damaged("there is no such extent"))?;
    let row_flags = fields.u8()?;
    if row_flags & !flags::ALL != 0 {
        return Err(Damaged("a row has a flag that this build does not know"));
    }
    let rows = fields.u32()?;
    if rows == 0 || rows as usize > super::EXTENT_ROWS_MAX {
        return Err(Damaged("an extent has no rows or too many"));
    }
    let ts = Span { min: fields.i64()?, max: fields.i64()? };
    let known_at = Span { min: fields.i64()?, max: fields.i64()? };
    let sequence = Span { min: fields.u64()?, max: fields.u64()? };
    if ts.min > ts.max || known_at.min > known_at.max || sequence.min > sequence.max {
        return Err(Damaged("a span ends before it begins"));
    }
    let blocks = (0..fields.count(BLOCK_LEN)?)
        .map(|_| {
            let role = Role::from_code(fields.u8()?).ok_or(Damaged("there is no such block"))?;
            let column = ColumnId::new(fields.u16()?);
            let block =
                Block { role, column, at: fields.u64()?, len: fields.u32()?, crc: fields.u32()? };
            let end = block.at.checked_add(u64::from(block.len));
            if block.at < data.start || end.is_none_or(|end| end > data.end) {
                return Err(Damaged("a block lies outside of the segment's data"));
            }
            Ok(block)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let zone = Zone { ts, known_at, sequence };
    Ok(ExtentMeta { series, dataset, schema_version, kind, flags: row_flags, rows, zone, blocks })
}

/// Bits of a bloom filter per text: with four positions about one false answer in forty.
pub const BLOOM_BITS_PER_TEXT: usize = 8;

/// The bits that a text sets in a filter of `bits` bits: four, from the two halves of its XXH3-128
/// (Kirsch and Mitzenmacher, "Less hashing, same performance", 2006).
pub fn bloom_positions(text: &str, bits: u64) -> [u64; 4] {
    let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes()).to_le_bytes();
    let (low, high) = hash.split_at(8);
    let low = u64::from_le_bytes(low.try_into().expect("invariant: 8 bytes"));
    let high = u64::from_le_bytes(high.try_into().expect("invariant: 8 bytes")) | 1;
    [0, 1, 2, 3].map(|i: u64| low.wrapping_add(high.wrapping_mul(i)) % bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent() -> ExtentMeta {
        ExtentMeta {
            series: SeriesId::new(4),
            dataset: DatasetId::BARS,
            schema_version: 1,
            kind: ExtentKind::Delta,
            flags: 4,
            rows: 2,
            zone: Zone {
                ts: Span { min: -1, max: 1 },
                known_at: Span { min: 2, max: 3 },
                sequence: Span { min: 4, max: 5 },
            },
            blocks: vec![Block {
                role: Role::Candle,
                column: ColumnId::new(1),
                at: 64,
                len: 9,
                crc: 0x0403_0201,
            }],
        }
    }

    #[test]
    fn golden_bytes_of_a_footer() {
        let (bytes, _) = encode_footer(&[extent()]);
        let mut expected = b"\x01\0\0\0\x04\0\0\0\x01\0\x01\0\x02\x04\x02\0\0\0".to_vec();
        for word in [-1_i64, 1, 2, 3, 4, 5] {
            expected.extend_from_slice(&word.to_le_bytes());
        }
        expected
            .extend_from_slice(b"\x01\0\0\0\x08\x01\0\x40\0\0\0\0\0\0\0\x09\0\0\0\x01\x02\x03\x04");
        assert_eq!(bytes[..expected.len()], expected);
        assert_eq!(&bytes[expected.len()..][..8], (expected.len() as u64).to_le_bytes());
        assert!(bytes.ends_with(b"\x01\0\0\0\0BARROSEG") || bytes.ends_with(b"\0\0\0\0BARROSEG"));
        assert_eq!(decode_footer(&expected, 64..128).unwrap(), [extent()]);
    }

    #[test]
    fn a_footer_that_points_outside_of_its_segment_is_refused() {
        let (bytes, _) = encode_footer(&[extent()]);
        let footer = &bytes[..bytes.len() - TRAILER_LEN];
        assert!(decode_footer(footer, 64..73).is_ok());
        assert!(decode_footer(footer, 64..72).is_err());
        assert!(decode_footer(footer, 65..80).is_err());
        for len in 0..footer.len() {
            assert!(decode_footer(&footer[..len], 64..128).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn every_flipped_bit_of_header_and_trailer_is_found() {
        let header = encode_header(7);
        check_header(&header, 7).unwrap();
        assert!(check_header(&header, 8).is_err());
        let (bytes, _) = encode_footer(&[extent()]);
        let trailer = &bytes[bytes.len() - TRAILER_LEN..];
        decode_trailer(trailer).unwrap();
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = header.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check_header(&flipped, 7).is_err(), "bit {bit}");
        }
        for bit in 0..TRAILER_LEN * 8 {
            let mut flipped = trailer.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_trailer(&flipped).is_err(), "bit {bit}");
        }
    }
}
