//! Where the bytes of a file of cells are.
//!
//! ```text
//! header 40 | chunk | chunk | ... | index | trailer 32
//! ```
//!
//! A file holds the cells of consecutive slots of one version of a group for one instrument. Header
//! and trailer are those of a file of tiles but for the magic, `BARCELLS`; the header's sequence is
//! the record up to which the rows and facts are known that the cells follow from.
//!
//! Chunks of encoded integers: `ts`, `ts_end`, `available_at`, session, `known_at`, `sequence` of
//! each slot; a chunk of the share of the features that has a number; then of each feature a chunk
//! of its numbers (+0.0 where a cell is null) and one of the codes of its reasons, as encoded
//! integers. The codes are left out if no cell is null, the numbers if all are. Numbers are
//! binary64, 8 bytes each: they are read as fast as memory is.
//!
//! Index:
//!
//! | size | field         | meaning                                                        |
//! |-----:|---------------|----------------------------------------------------------------|
//! |  4 + n | `identity`  | length and bytes of the text below                              |
//! |    8 | `from`        | no slot starts before this                                     |
//! |    8 | `next`        | or from this on                                                |
//! |    8 | `since`       | slots before this have no say in a cell; the least number: all have |
//! |    4 | `slots`       | how many                                                       |
//! |    4 | `contexts`    | of how many pairs of instrument and step cells follow          |
//!
//! then of each context
//!
//! | size | field         | meaning                                                        |
//! |-----:|---------------|----------------------------------------------------------------|
//! |    8 | `world`       | XXH3-64 of the sessions, bindings, settings and actions that entered |
//! |    8 | `due`         | when the last of the slots could surely be had                 |
//! |    4 | `watermarks`  | how many, and each of them:                                     |
//! |    1 |               | 1 if there is one, else 0                                      |
//! |    8 |               | up to when rows were final                                     |
//!
//! then the number of features in 4 bytes, and of each chunk, in order:
//!
//! | size | field | meaning                  |
//! |-----:|-------|--------------------------|
//! |    4 | `len` | its length; 0: left out  |
//! |    4 | `crc` | CRC-32C of it            |
//!
//! The *identity* is the version, then instrument and calendar of each context in their order, each
//! as a length in 4 bytes and a text; without a calendar the text is empty.
//!
//! A file is called `derived/<version>-<identity>-<from>-<next>-<sequence>.cells`, 16 hexadecimal
//! digits each (XXH3-64 of the identity; instants plus 2^63), and `.cells.tmp` until it is whole
//! and synced. It says nothing that rows, facts and definitions do not say: one that is damaged, or
//! was made from more than the store holds, is left aside, and opening the store removes the
//! latter.

use std::ops::Range;

use barrow_types::Reason;

use crate::bytes::{Fields, Put, u32_len};
use crate::column::{self, Damaged};
use crate::derived::{HEADER_LEN, Kind};
use crate::features::{Column, FeaturePiece};

/// What tells a file of cells from others.
pub(crate) const KIND: Kind = Kind { magic: *b"BARCELLS", version: VERSION, suffix: ".cells" };
/// Version of the layout.
pub const VERSION: u32 = 1;

/// Chunks that are of slots, before those of features.
const OF_SLOTS: usize = 7;
/// Most slots of a file.
pub const SLOTS_MAX: u32 = 8_192;

/// What a file of cells is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The version of the group, as a number.
    pub version: u64,
    /// Hash of the identity.
    pub identity: u64,
    /// No slot starts before this,
    pub from: i64,
    /// or from this on.
    pub next: i64,
    /// The record up to which rows and facts are known.
    pub sequence: u64,
}

/// Of what a context's slots were when the cells were computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds {
    /// Hash of the facts that entered.
    pub world: u64,
    /// When the last of the slots could surely be had.
    pub due: i64,
    /// Up to when rows were final.
    pub watermarks: Vec<Option<i64>>,
}

/// What an index tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Version, instruments and calendars.
    pub identity: Vec<u8>,
    /// No slot starts before this,
    pub from: i64,
    /// or from this on.
    pub next: i64,
    /// Slots before this have no say.
    pub since: i64,
    /// How many slots there are.
    pub slots: u32,
    /// Of each context.
    pub contexts: Vec<Grounds>,
    /// Of each chunk its length and checksum.
    pub chunks: Vec<(u32, u32)>,
}

const SIGN: u64 = 1 << 63;

impl Name {
    /// Where the file is.
    pub fn path(&self) -> String {
        let Self { version, identity, from, next, sequence } = self;
        let [from, next] = [from, next].map(|instant| instant.cast_unsigned() ^ SIGN);
        let (dir, suffix) = (crate::derived::DIR, KIND.suffix);
        format!(
            "{dir}/{version:016x}-{identity:016x}-{from:016x}-{next:016x}-{sequence:016x}{suffix}"
        )
    }

    /// What a file of that name holds; `None` if it is not the name of one.
    pub fn parse(name: &str) -> Option<Self> {
        let mut numbers = name.strip_suffix(KIND.suffix)?.split('-').map(|digits| {
            let is_number = digits.len() == 16 && digits.bytes().all(is_digit);
            is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        });
        let mut next = || numbers.next().flatten();
        let instant = |number: u64| (number ^ SIGN).cast_signed();
        let name = Self {
            version: next()?,
            identity: next()?,
            from: instant(next()?),
            next: instant(next()?),
            sequence: next()?,
        };
        (numbers.next().is_none() && name.from < name.next).then_some(name)
    }
}

const fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The bytes of index and trailer.
pub fn encode_index(index: &Index) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32(u32_len(index.identity.len()));
    out.extend_from_slice(&index.identity);
    for instant in [index.from, index.next, index.since] {
        out.put_i64(instant);
    }
    out.put_u32(index.slots);
    out.put_u32(u32_len(index.contexts.len()));
    for Grounds { world, due, watermarks } in &index.contexts {
        out.put_u64(*world);
        out.put_i64(*due);
        out.put_u32(u32_len(watermarks.len()));
        for watermark in watermarks {
            out.put_u8(watermark.is_some().into());
            out.put_i64(watermark.unwrap_or_default());
        }
    }
    out.put_u32(u32_len((index.chunks.len() - OF_SLOTS) / 2));
    for (len, crc) in &index.chunks {
        out.put_u32(*len);
        out.put_u32(*crc);
    }
    KIND.add_trailer(&mut out);
    out
}

/// Reads the index, which passed its checksum, of a file whose chunks end at `chunks_end`.
///
/// # Errors
/// It is not that of chunks that fill just that place.
pub fn decode_index(bytes: &[u8], chunks_end: u64) -> Result<Index, Damaged> {
    let mut fields = Fields::new(bytes);
    let identity_len = fields.count(1)?;
    let identity = fields.bytes(identity_len)?.to_vec();
    let (from, next, since) = (fields.i64()?, fields.i64()?, fields.i64()?);
    let slots = fields.u32()?;
    if slots == 0 || slots > SLOTS_MAX || from >= next {
        return Err(Damaged("a file of cells has no slots, or too many"));
    }
    let contexts = fields.count(20)?;
    let mut index =
        Index { identity, from, next, since, slots, contexts: Vec::new(), chunks: Vec::new() };
    for _ in 0..contexts {
        let (world, due) = (fields.u64()?, fields.i64()?);
        let mut watermarks = Vec::new();
        for _ in 0..fields.count(9)? {
            let is_there = fields.u8()?;
            let at = fields.i64()?;
            match (is_there, at) {
                (1, at) => watermarks.push(Some(at)),
                (0, 0) => watermarks.push(None),
                _ => return Err(Damaged("a watermark is neither there nor not")),
            }
        }
        index.contexts.push(Grounds { world, due, watermarks });
    }
    let features = fields.count(16)?;
    let mut end = HEADER_LEN as u64;
    for _ in 0..OF_SLOTS + 2 * features {
        let chunk = (fields.u32()?, fields.u32()?);
        end += u64::from(chunk.0);
        index.chunks.push(chunk);
    }
    fields.end()?;
    if end != chunks_end {
        return Err(Damaged("the chunks do not fill the place before the index"));
    }
    Ok(index)
}

/// The chunks of slots of which none is provisional, in order.
pub fn encode_piece(piece: &FeaturePiece) -> Vec<Vec<u8>> {
    let words = |values: &[i64]| {
        let mut chunk = Vec::new();
        column::encode_i64(values, &mut chunk);
        chunk
    };
    let doubles = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let session: Vec<i64> = piece.session.iter().map(|date| i64::from(*date)).collect();
    let sequence: Vec<i64> = piece.sequence.iter().map(|it| it.cast_signed()).collect();
    let mut chunks = vec![
        words(&piece.ts),
        words(&piece.ts_end),
        words(&piece.available_at),
        words(&session),
        words(&piece.known_at),
        words(&sequence),
        doubles(&piece.coverage),
    ];
    for cells in &piece.cells {
        let all_are_null = !cells.reasons().contains(&Reason::Ok.code());
        chunks.push(if all_are_null { Vec::new() } else { doubles(cells.values()) });
        let codes: Vec<i64> = cells.reasons().iter().map(|code| i64::from(*code)).collect();
        let all_are_numbers = codes.iter().all(|code| *code == i64::from(Reason::Ok.code()));
        chunks.push(if all_are_numbers { Vec::new() } else { words(&codes) });
    }
    chunks
}

/// Reads some of the slots of a file from the bytes of all its chunks, which passed their
/// checksums.
///
/// # Errors
/// The bytes are not those of cells of so many slots.
pub fn decode_piece(
    index: &Index,
    bytes: &[u8],
    range: Range<usize>,
) -> Result<FeaturePiece, Damaged> {
    let slots = index.slots as usize;
    let mut fields = Fields::new(bytes);
    let mut chunks = Vec::with_capacity(index.chunks.len());
    for (len, _) in &index.chunks {
        chunks.push(fields.bytes(*len as usize)?);
    }
    fields.end()?;
    let words = |place: usize| column::decode_i64(chunks[place], slots, range.clone());
    let doubles = |place: usize| {
        let (numbers, rest) = chunks[place].as_chunks::<8>();
        if numbers.len() != slots || !rest.is_empty() {
            return Err(Damaged("a column of cells does not have a number for each slot"));
        }
        let wanted = numbers[range.clone()].iter();
        Ok(wanted.map(|bytes| f64::from_le_bytes(*bytes)).collect::<Vec<f64>>())
    };
    let session = words(3)?.into_iter().map(|date| {
        i32::try_from(date).map_err(|_| Damaged("a slot is of a session that cannot be"))
    });
    let mut piece = FeaturePiece {
        ts: words(0)?,
        ts_end: words(1)?,
        available_at: words(2)?,
        session: session.collect::<Result<_, _>>()?,
        known_at: words(4)?,
        sequence: words(5)?.into_iter().map(i64::cast_unsigned).collect(),
        provisional: vec![false; range.len()],
        coverage: doubles(6)?,
        cells: Vec::with_capacity((chunks.len() - OF_SLOTS) / 2),
    };
    for place in (OF_SLOTS..chunks.len()).step_by(2) {
        let (numbers, reasons) = match (chunks[place], chunks[place + 1]) {
            (_, []) => (doubles(place)?, vec![Reason::Ok.code(); range.len()]),
            ([], _) => (vec![0.0; range.len()], codes(words(place + 1)?)?),
            _ => (doubles(place)?, codes(words(place + 1)?)?),
        };
        piece.cells.push(Column::from_parts(numbers, reasons));
    }
    Ok(piece)
}

fn codes(words: Vec<i64>) -> Result<Vec<u8>, Damaged> {
    words.into_iter().map(code).collect()
}

fn code(word: i64) -> Result<u8, Damaged> {
    let code = u8::try_from(word).ok().filter(|code| usize::from(*code) < Reason::ALL.len());
    code.ok_or(Damaged("a cell is null for a reason that does not exist"))
}

#[cfg(test)]
mod tests {
    use barrow_features::Cell;
    use proptest::prelude::*;

    use super::*;
    use crate::derived::TRAILER_LEN;

    fn index() -> Index {
        Index {
            identity: b"abc".to_vec(),
            from: i64::MIN,
            next: 0x55,
            since: -2,
            slots: 2,
            contexts: vec![Grounds { world: 7, due: 0x66, watermarks: vec![Some(9), None] }],
            chunks: (1..=9).map(|len| (len, 0xA0 + len)).collect(),
        }
    }

    #[test]
    fn golden_bytes_of_an_index() {
        let bytes = encode_index(&index());
        let mut expected = b"\x03\0\0\0abc\
            \0\0\0\0\0\0\0\x80\x55\0\0\0\0\0\0\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\
            \x02\0\0\0\x01\0\0\0\
            \x07\0\0\0\0\0\0\0\x66\0\0\0\0\0\0\0\x02\0\0\0\
            \x01\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \x01\0\0\0"
            .to_vec();
        for len in 1..=9_u8 {
            expected.extend_from_slice(&[len, 0, 0, 0, 0xA0 + len, 0, 0, 0]);
        }
        let index_len = bytes.len() - TRAILER_LEN;
        assert_eq!(bytes[..index_len], expected);
        let trailer = KIND.decode_trailer(&bytes[index_len..]).unwrap();
        assert_eq!(trailer, (index_len as u64, crc32c::crc32c(&expected)));
        assert!(bytes.ends_with(b"BARCELLS"));
        let end = HEADER_LEN as u64 + 45;
        assert_eq!(decode_index(&expected, end).unwrap(), index());
        for wrong in [end - 1, end + 1] {
            assert!(decode_index(&expected, wrong).is_err());
        }
        for len in 0..index_len {
            assert!(decode_index(&expected[..len], end).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn an_index_of_nothing_or_of_too_much_is_refused() {
        let end = HEADER_LEN as u64 + 45;
        let refused = |index: Index| {
            let bytes = encode_index(&index);
            decode_index(&bytes[..bytes.len() - TRAILER_LEN], end).is_err()
        };
        assert!(!refused(index()));
        assert!(refused(Index { slots: 0, ..index() }));
        assert!(refused(Index { slots: SLOTS_MAX + 1, ..index() }));
        assert!(refused(Index { from: 0x55, ..index() }));
    }

    #[test]
    fn a_name_tells_what_a_file_holds() {
        let name = Name { version: 0xAB, identity: 0xCD, from: i64::MIN, next: -1, sequence: 16 };
        let path = name.path();
        let expected = "derived/00000000000000ab-00000000000000cd-0000000000000000-\
                        7fffffffffffffff-0000000000000010.cells";
        assert_eq!(path, expected);
        let file = path.strip_prefix("derived/").unwrap();
        assert_eq!(Name::parse(file), Some(name));
        for wrong in [
            &file[1..],
            &file.replace(".cells", ".tiles"),
            &file.replace('b', "B"),
            &file.replace("7fff", "0000").replace("ffffffffffff", "000000000000"),
            &file.replace("10.cells", "10-0000000000000010.cells"),
            "0000000001.cells",
        ] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn cells_come_back_as_they_were(
            slots in prop::collection::vec(
                (any::<i64>(), any::<u64>(), any::<i32>(), 0_u8..=1, any::<f64>(), 0_usize..14),
                1..2_500,
            ),
            share in 0_usize..100,
        ) {
            let cell = |value: f64, reason: usize| match reason {
                0 => Cell::number(if value.is_finite() { value } else { 1.5 }),
                reason => Cell::null(Reason::ALL[reason]),
            };
            let piece = FeaturePiece {
                ts: slots.iter().map(|slot| slot.0).collect(),
                ts_end: slots.iter().map(|slot| slot.0.wrapping_add(60)).collect(),
                available_at: slots.iter().map(|slot| slot.0.wrapping_mul(3)).collect(),
                session: slots.iter().map(|slot| slot.2).collect(),
                known_at: slots.iter().map(|slot| slot.0 / 2).collect(),
                sequence: slots.iter().map(|slot| slot.1).collect(),
                provisional: vec![false; slots.len()],
                coverage: slots.iter().map(|slot| f64::from(slot.3) / 2.0).collect(),
                cells: vec![
                    slots.iter().map(|slot| cell(slot.4, slot.5)).collect(),
                    slots.iter().map(|slot| cell(slot.4 / 3.0, 0)).collect(),
                    slots.iter().map(|slot| cell(0.0, 1 + slot.5.min(12))).collect(),
                ],
            };
            let chunks = encode_piece(&piece);
            prop_assert!(chunks[8].is_empty() == slots.iter().all(|slot| slot.5 == 0));
            prop_assert!(chunks[10].is_empty(), "no cell of the second is null");
            prop_assert!(chunks[11].is_empty(), "all cells of the third are null");
            let len = |chunk: &Vec<u8>| (u32_len(chunk.len()), crc32c::crc32c(chunk));
            let index = Index {
                slots: u32_len(slots.len()),
                chunks: chunks.iter().map(len).collect(),
                ..index()
            };
            let bytes = chunks.concat();
            let cut = slots.len() * share / 100;
            let whole = decode_piece(&index, &bytes, 0..slots.len()).unwrap();
            let (first, rest) = whole.split_at(cut);
            for (expected, range) in [(first, 0..cut), (rest, cut..slots.len())] {
                let read = decode_piece(&index, &bytes, range).unwrap();
                prop_assert_eq!(&read.ts, &expected.ts);
                prop_assert_eq!(&read.cells, &expected.cells);
            }
            let read = decode_piece(&index, &bytes, 0..slots.len()).unwrap();
            prop_assert_eq!(
                (&read.ts, &read.ts_end, &read.available_at, &read.session),
                (&piece.ts, &piece.ts_end, &piece.available_at, &piece.session)
            );
            prop_assert_eq!(
                (&read.known_at, &read.sequence, &read.provisional, &read.coverage),
                (&piece.known_at, &piece.sequence, &piece.provisional, &piece.coverage)
            );
            prop_assert_eq!(&read.cells, &piece.cells);
        }
    }
}
