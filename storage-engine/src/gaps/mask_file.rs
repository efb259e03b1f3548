//! Where the bytes of a file of masks are.
//!
//! ```text
//! header 40 | mask | mask | ... | index | trailer 32
//! ```
//!
//! A *mask* says which slots of one series hold a visible row, within one *block* of 2^20 slots:
//! block b holds the slots from b * 2^20 on. Its bytes are the portable form of a roaring bitmap
//! of the slots' places in their block, each container in the form that roaring's `optimize` gives
//! it. A block without a visible row has no mask.
//!
//! Header:
//!
//! | at | size | field      | meaning                                                    |
//! |---:|-----:|------------|------------------------------------------------------------|
//! |  0 |    8 | `magic`    | `BARMASKS`                                                 |
//! |  8 |    4 | `version`  | of the layout, [`VERSION`]                                 |
//! | 12 |    4 | `crc`      | CRC-32C of bytes 16 to 40                                  |
//! | 16 |   16 | `instance` | the store it belongs to                                    |
//! | 32 |    8 | `sequence` | the masks are of the rows visible when all up to it is known |
//!
//! Index, an entry for each mask in order of series and block; the masks lie in the same order
//! without a hole from the header to the index:
//!
//! | at | size | field    | meaning                          |
//! |---:|-----:|----------|----------------------------------|
//! |  0 |    4 | `series` | its number                       |
//! |  4 |    1 | `step`   | code of the length of a slot     |
//! |  5 |    3 |          | zero                             |
//! |  8 |    8 | `block`  | which block                      |
//! | 16 |    4 | `len`    | length of the mask               |
//! | 20 |    4 | `crc`    | CRC-32C of the mask              |
//!
//! Trailer:
//!
//! | at | size | field       | meaning                          |
//! |---:|-----:|-------------|----------------------------------|
//! |  0 |    8 | `index_len` | length of the index              |
//! |  8 |    4 | `index_crc` | CRC-32C of the index             |
//! | 12 |    4 | `version`   | as in the header                 |
//! | 16 |    4 | `crc`       | CRC-32C of bytes 0 to 16         |
//! | 20 |    4 |             | zero                             |
//! | 24 |    8 | `magic`     | `BARMASKS`                       |
//!
//! A file is called `derived/<10 digits>.masks`, and `.masks.tmp` until it is whole and synced. It
//! says nothing that the rows do not say: one that is damaged, or was made from more than the
//! store holds, is left aside, and opening the store removes it.

use barrow_types::{SeriesId, Step};
use roaring::RoaringBitmap;

use crate::bytes::{Fields, Put};
use crate::calendar::slot_of;
use crate::column::Damaged;
use crate::derived::Kind;
pub use crate::derived::{HEADER_LEN, Header, TRAILER_LEN};

/// Version of the layout this build writes and reads.
pub const VERSION: u32 = 1;
/// Slots of a block, as a power of two.
pub const BLOCK_BITS: u32 = 20;

/// What tells these files from others.
pub(crate) const KIND: Kind = Kind { magic: *b"BARMASKS", version: VERSION, suffix: ".masks" };

/// Length of an entry of the index.
pub(crate) const ENTRY_LEN: usize = 4 + 1 + 3 + 8 + 4 + 4;
const CONTAINERS_MAX: u32 = 1 << (BLOCK_BITS - 16);
/// No mask takes more: roaring's header, and a bitmap of 8 KiB for each container.
const MASK_LEN_MAX: u32 = 8 + CONTAINERS_MAX * (8 + 8_192) + 8;
/// First bytes of roaring's portable form, without and with containers of runs.
const COOKIE: u32 = 12_346;
const COOKIE_RUNS: u32 = 12_347;

/// Where a mask is, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of which series.
    pub series: SeriesId,
    /// The length of its slots.
    pub step: Step,
    /// Which block of them.
    pub block: i64,
    /// Its first byte in the file.
    pub at: u64,
    /// Its length.
    pub len: u32,
    /// Its checksum.
    pub crc: u32,
}

/// Path of the file of masks of that number.
pub fn path(number: u64) -> String {
    KIND.path(number)
}

/// The number of the file of masks of that name; `None` if it is not the name of one.
pub fn number_of(name: &str) -> Option<u64> {
    KIND.number_of(name)
}

/// The bytes of a header.
pub fn encode_header(header: &Header) -> Vec<u8> {
    KIND.encode_header(header)
}

/// Reads a header.
///
/// # Errors
/// The bytes are not one of a version that this build knows.
pub fn decode_header(bytes: &[u8]) -> Result<Header, Damaged> {
    KIND.decode_header(bytes)
}

/// The bytes of index and trailer.
pub fn encode_index(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * ENTRY_LEN + TRAILER_LEN);
    for entry in entries {
        out.put_u32(entry.series.get());
        out.put_u8(entry.step.code());
        out.extend_from_slice(&[0; 3]);
        out.put_i64(entry.block);
        out.put_u32(entry.len);
        out.put_u32(entry.crc);
    }
    KIND.add_trailer(&mut out);
    out
}

/// Length and checksum of the index.
///
/// # Errors
/// The bytes are not a trailer of a version that this build knows.
pub fn decode_trailer(bytes: &[u8]) -> Result<(u64, u32), Damaged> {
    KIND.decode_trailer(bytes)
}

/// Reads the index, which passed its checksum, of a file whose masks end at `masks_end`.
///
/// # Errors
/// The entries are not in order, or are not those of masks that fill just that place.
pub fn decode_index(bytes: &[u8], masks_end: u64) -> Result<Vec<Entry>, Damaged> {
    if !bytes.len().is_multiple_of(ENTRY_LEN) {
        return Err(Damaged("the index ends within an entry"));
    }
    let mut fields = Fields::new(bytes);
    let mut entries = Vec::with_capacity(bytes.len() / ENTRY_LEN);
    let mut at = HEADER_LEN as u64;
    while fields.len() > 0 {
        let series = SeriesId::new(fields.u32()?);
        let step = Step::from_code(fields.u8()?).filter(|step| *step != Step::Tick);
        let step = step.ok_or(Damaged("a mask is of slots of no known length"))?;
        fields.zeros(3)?;
        let block = fields.i64()?;
        let (len, crc) = (fields.u32()?, fields.u32()?);
        if len > MASK_LEN_MAX {
            return Err(Damaged("a mask is longer than any can be"));
        }
        let of_time = [i64::MIN, i64::MAX].map(|ts| slot_of(step, ts) >> BLOCK_BITS);
        if block < of_time[0] || block > of_time[1] {
            return Err(Damaged("a mask is of a block before or after all time"));
        }
        entries.push(Entry { series, step, block, at, len, crc });
        at += u64::from(len);
    }
    let key = |entry: &Entry| (entry.series, entry.block);
    if !entries.is_sorted_by(|a, b| key(a) < key(b)) {
        return Err(Damaged("the masks are not in order"));
    }
    if at != masks_end {
        return Err(Damaged("the masks do not fill the place before the index"));
    }
    Ok(entries)
}

/// The bytes of a mask: the same for the same slots, however they came together.
pub fn encode_mask(slots: &RoaringBitmap) -> Vec<u8> {
    let mut built = RoaringBitmap::new();
    let mut runs = slots.iter();
    while let Some(run) = runs.next_range() {
        built.insert_range(run);
    }
    built.optimize();
    bytes_of(&built)
}

fn bytes_of(slots: &RoaringBitmap) -> Vec<u8> {
    let mut out = Vec::with_capacity(slots.serialized_size());
    slots.serialize_into(&mut out).expect("invariant: writing to a Vec succeeds");
    out
}

/// Reads a mask, which passed its checksum.
///
/// # Errors
/// The bytes are not those of a roaring bitmap of some places of a block, and no more.
pub fn decode_mask(bytes: &[u8]) -> Result<RoaringBitmap, Damaged> {
    // Counts are looked at first: roaring makes room for them before it reads what follows.
    let mut fields = Fields::new(bytes);
    let containers = match fields.u32()? {
        COOKIE => fields.u32()?,
        cookie if cookie & 0xFFFF == COOKIE_RUNS => (cookie >> 16) + 1,
        _ => return Err(Damaged("a mask is not a roaring bitmap")),
    };
    if containers == 0 || containers > CONTAINERS_MAX {
        return Err(Damaged("a mask is empty or reaches past its block"));
    }
    let mut rest = bytes;
    let slots = RoaringBitmap::deserialize_from(&mut rest)
        .map_err(|_| Damaged("a mask is not a roaring bitmap"))?;
    if slots.max().is_none_or(|last| last >> BLOCK_BITS != 0) {
        return Err(Damaged("a mask is empty or reaches past its block"));
    }
    // Offsets and counts that reading does without.
    if bytes_of(&slots) != bytes {
        return Err(Damaged("a mask contradicts itself"));
    }
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::u32_len;

    fn entries() -> Vec<Entry> {
        let entry = |series, step, block, at, len, crc| {
            let series = SeriesId::new(series);
            Entry { series, step, block, at, len, crc }
        };
        vec![
            entry(4, Step::M1, -1, 40, 3, 0x0403_0201),
            entry(4, Step::M1, 26, 43, 7, 0x0807_0605),
            entry(5, Step::D1, 0, 50, 1, 9),
        ]
    }

    const HEADER: Header = Header { instance: *b"0123456789abcdef", sequence: 0x1122 };

    #[test]
    fn golden_bytes_of_header_index_and_trailer() {
        let header = encode_header(&HEADER);
        assert_eq!(&header[..12], b"BARMASKS\x01\0\0\0");
        assert_eq!(&header[16..], b"0123456789abcdef\x22\x11\0\0\0\0\0\0");
        assert_eq!(decode_header(&header).unwrap(), HEADER);
        let bytes = encode_index(&entries());
        let index =
            b"\x04\0\0\0\x02\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x03\0\0\0\x01\x02\x03\x04\
            \x04\0\0\0\x02\0\0\0\x1A\0\0\0\0\0\0\0\x07\0\0\0\x05\x06\x07\x08\
            \x05\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x09\0\0\0";
        assert_eq!(&bytes[..72], index);
        assert_eq!(&bytes[72..80], b"\x48\0\0\0\0\0\0\0");
        assert_eq!(&bytes[84..88], b"\x01\0\0\0");
        assert_eq!(&bytes[92..], b"\0\0\0\0BARMASKS");
        assert_eq!(decode_trailer(&bytes[72..]).unwrap().0, 72);
        assert_eq!(decode_index(&bytes[..72], 51).unwrap(), entries());
    }

    /// The bytes are those of the public description of the portable form.
    #[test]
    fn golden_bytes_of_a_mask() {
        let runs: RoaringBitmap = (3..10).chain(20..22).collect();
        let of_runs = b"\x3B\x30\0\0\x01\0\0\x08\0\x02\0\x03\0\x06\0\x14\0\x01\0";
        assert_eq!(encode_mask(&runs), of_runs);
        let few: RoaringBitmap = [1, 0x0002_0003].into_iter().collect();
        let of_few = b"\x3A\x30\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x18\0\0\0\x1A\0\0\0\x01\0\x03\0";
        assert_eq!(encode_mask(&few), of_few);
        assert_eq!(decode_mask(of_runs).unwrap(), runs);
        assert_eq!(decode_mask(of_few).unwrap(), few);
    }

    #[test]
    fn every_flipped_bit_of_header_and_trailer_is_found() {
        let header = encode_header(&HEADER);
        for bit in 0..header.len() * 8 {
            let mut flipped = header.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_header(&flipped).is_err(), "bit {bit}");
        }
        let bytes = encode_index(&entries());
        for bit in 0..TRAILER_LEN * 8 {
            let mut flipped = bytes[72..].to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_trailer(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_index_that_does_not_fit_its_file_is_refused() {
        let of = |entries: &[Entry]| {
            let bytes = encode_index(entries);
            bytes[..bytes.len() - TRAILER_LEN].to_vec()
        };
        let good = of(&entries());
        for end in [0, 50, 52] {
            assert!(decode_index(&good, end).is_err(), "masks that end at {end}");
        }
        assert!(decode_index(&good[..71], 51).is_err());
        let mut turned = entries();
        turned.swap(0, 1);
        assert!(decode_index(&of(&turned), 51).is_err());
        let twice = [entries()[0], entries()[0]];
        assert!(decode_index(&of(&twice), 46).is_err());
        let long = Entry { len: MASK_LEN_MAX + 1, ..entries()[0] };
        assert!(decode_index(&of(&[long]), 41 + u64::from(MASK_LEN_MAX)).is_err());
        let ticks = Entry { step: Step::Tick, ..entries()[0] };
        assert!(decode_index(&of(&[ticks]), 43).is_err());
    }

    #[test]
    fn a_mask_that_reaches_past_its_block_or_is_empty_is_refused() {
        for slots in [vec![], vec![1 << BLOCK_BITS], (0..17).map(|at| at << 16).collect()] {
            let slots: RoaringBitmap = slots.into_iter().collect();
            assert!(decode_mask(&bytes_of(&slots)).is_err(), "{slots:?}");
        }
        let fullest: RoaringBitmap = (0..1 << BLOCK_BITS).filter(|slot| slot % 2 == 0).collect();
        let bytes = encode_mask(&fullest);
        assert!(u32_len(bytes.len()) <= MASK_LEN_MAX, "{} bytes", bytes.len());
        assert_eq!(decode_mask(&bytes).unwrap(), fullest);
    }

    fn places() -> impl Strategy<Value = Vec<(u32, u32)>> {
        prop::collection::vec((0..1_u32 << BLOCK_BITS, 1..3_000_u32), 1..40)
    }

    proptest! {
        #[test]
        fn a_mask_has_one_encoding_however_it_was_made(runs in places(), cut in 0..4_000_u32) {
            let end = |start: u32, len: u32| (start + len).min(1 << BLOCK_BITS);
            let mut forth = RoaringBitmap::new();
            for (start, len) in &runs {
                forth.insert_range(*start..end(*start, *len));
            }
            let mut back = RoaringBitmap::new();
            for (start, len) in runs.iter().rev() {
                back.extend(*start..end(*start, *len));
                back.optimize();
            }
            // What an update does.
            let first = runs[0].0;
            let places = first..end(first, cut + 1);
            let taken: RoaringBitmap = forth.iter().filter(|at| places.contains(at)).collect();
            back.remove_range(places);
            back |= taken;
            let bytes = encode_mask(&forth);
            prop_assert_eq!(&encode_mask(&back), &bytes);
            let read = decode_mask(&bytes).unwrap();
            prop_assert_eq!(&read, &forth);
            prop_assert_eq!(encode_mask(&read), bytes);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_header(&bytes);
            let _ = decode_trailer(&bytes);
            let _ = decode_index(&bytes, 40);
            for cookie in [COOKIE, COOKIE_RUNS] {
                let mut mask = cookie.to_le_bytes().to_vec();
                mask.extend_from_slice(&bytes);
                let _ = decode_mask(&mask);
            }
        }
    }
}
