//! Where the bytes of a file of tiles are.
//!
//! ```text
//! header 40 | tile | tile | ... | index | trailer 32
//! ```
//!
//! A *tile* holds the bars that are made of one raw series on one grid, in one *block*: the
//! sessions of the 64 dates from 64 * b days after 1970-01-01 on. It tells of all of them what the
//! rows say that are visible when all up to the header's sequence is known. A block without a bar
//! has no tile.
//!
//! Header:
//!
//! | at | size | field      | meaning                                                    |
//! |---:|-----:|------------|------------------------------------------------------------|
//! |  0 |    8 | `magic`    | `BARTILES`                                                 |
//! |  8 |    4 | `version`  | of the layout, [`VERSION`]                                 |
//! | 12 |    4 | `crc`      | CRC-32C of bytes 16 to 40                                  |
//! | 16 |   16 | `instance` | the store it belongs to                                    |
//! | 32 |    8 | `sequence` | the tiles are of the rows visible when all up to it is known |
//!
//! Index, an entry for each tile in order of the first seven fields, block before step; the tiles
//! lie in the same order without a hole from the header to the index:
//!
//! | at | size | field        | meaning                                                  |
//! |---:|-----:|--------------|----------------------------------------------------------|
//! |  0 |    4 | `series`     | number of the raw series                                 |
//! |  4 |    1 | `side`       | code of the price that its ticks give                    |
//! |  5 |    1 | `step`       | code of the length of the bars                           |
//! |  6 |    1 | `session`    | place of the session set: regular, extended, all         |
//! |  7 |    1 | `align`      | bit 0: the bars lie on the clock; bit 1: the finer ones do |
//! |  8 |    4 | `block`      | which block, signed                                      |
//! | 12 |    4 | `rows`       | how many bars                                            |
//! | 16 |    8 | `world`      | XXH3-64 of the sessions, bindings and settings that entered |
//! | 24 |    8 | `told`       | bit d: the block's date d has a session                  |
//! | 32 |    4 | `len`        | length of the tile                                       |
//! | 36 |    4 | `crc`        | CRC-32C of the tile                                      |
//!
//! A tile is nine chunks of encoded values, each with its length before it in 4 bytes: `ts`,
//! `sequence`, `known_at`, flags, the four prices in candle form, volume, vwap, trades, and the
//! share of each bar's finer slots that have a row.
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
//! | 24 |    8 | `magic`     | `BARTILES`                       |
//!
//! A file is called `derived/<10 digits>.tiles`, and `.tiles.tmp` until it is whole and synced. It
//! says nothing that rows and facts do not say: one that is damaged, or was made from more than
//! the store holds, is left aside, and opening the store removes it.

use std::ops::Range;

use barrow_types::{Align, DAY_NANOS, PriceSide, SeriesId, SessionSet, Step};

use crate::bytes::{Fields, Put, u32_len, usize_from};
use crate::calendar::day_of;
use crate::column::{self, Damaged};
use crate::dataset::BARS;
use crate::derived::Kind;
pub use crate::derived::{HEADER_LEN, Header, TRAILER_LEN};
use crate::rows::{Column, Rows, Values, flags};

/// Version of the layout this build writes and reads.
pub const VERSION: u32 = 1;

/// What tells these files from others.
pub(crate) const KIND: Kind = Kind { magic: *b"BARTILES", version: VERSION, suffix: ".tiles" };

/// Length of an entry of the index.
pub(crate) const ENTRY_LEN: usize = 4 + 4 + 4 + 4 + 8 + 8 + 4 + 4;
/// A tile has at most so many bars: the minutes of its dates.
const ROWS_MAX: u32 = 64 * 1_440;
/// Blocks of all time, and more.
const BLOCK_MAX: i32 = 1_700;
/// Hours of a session begin at most a day before its date, and end at most two days after.
const BEFORE_DAYS: i32 = 2;
const AFTER_DAYS: i32 = 3;
const CLOCK: u8 = 1;
const FROM_CLOCK: u8 = 2;
/// Places of columns of bars that are no prices.
const OTHERS: [usize; 3] = [4, 5, 6];

/// 64 consecutive dates, numbered from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block(i32);

impl Block {
    /// How many dates it has.
    pub(crate) const DATES: i32 = 64;

    /// The block of that number.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The block of a date.
    pub(crate) const fn of(date: i32) -> Self {
        Self(date.div_euclid(Self::DATES))
    }

    /// Its first date.
    pub(crate) const fn first(self) -> i32 {
        self.0 * Self::DATES
    }

    /// The date after its last.
    pub(crate) const fn end(self) -> i32 {
        self.first() + Self::DATES
    }

    /// Where rows may lie of which bars of its sessions are made.
    pub(crate) fn instants(self) -> Range<i64> {
        let midnight = |date: i32| i64::from(date) * DAY_NANOS;
        midnight(self.first() - BEFORE_DAYS)..midnight(self.end() + AFTER_DAYS)
    }

    /// The dates, a bit each, of whose sessions rows from `first` to `last` may be.
    pub(crate) fn dates_around(self, first: i64, last: i64) -> u64 {
        let first = (day_of(first) - AFTER_DAYS).max(self.first());
        let last = (day_of(last) + BEFORE_DAYS).min(self.end() - 1);
        (first..=last).fold(0, |bits, date| bits | Self::bit(date))
    }

    /// The bit of a date of it.
    pub(crate) const fn bit(date: i32) -> u64 {
        1 << date.rem_euclid(Self::DATES)
    }
}

/// What a tile is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The raw series.
    pub series: SeriesId,
    /// Which price its ticks give.
    pub side: PriceSide,
    /// Which dates.
    pub block: Block,
    /// The length of the bars.
    pub step: Step,
    /// Which hours of a session.
    pub session: SessionSet,
    /// How the bars lie.
    pub align: Align,
    /// How the finer bars lie that they are made of.
    pub from_align: Align,
}

/// Where a tile is, of what, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is of.
    pub key: Key,
    /// How many bars it has.
    pub rows: u32,
    /// Hash of the sessions, bindings and settings that entered.
    pub world: u64,
    /// The dates of the block whose sessions it tells, a bit each.
    pub told: u64,
    /// Its first byte in the file.
    pub at: u64,
    /// Its length.
    pub len: u32,
    /// Its checksum.
    pub crc: u32,
}

/// Path of the file of tiles of that number.
pub fn path(number: u64) -> String {
    KIND.path(number)
}

/// The number of the file of tiles of that name; `None` if it is not the name of one.
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

/// Length and checksum of the index.
///
/// # Errors
/// The bytes are not a trailer of a version that this build knows.
pub fn decode_trailer(bytes: &[u8]) -> Result<(u64, u32), Damaged> {
    KIND.decode_trailer(bytes)
}

/// The bytes of index and trailer.
pub fn encode_index(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * ENTRY_LEN + TRAILER_LEN);
    for Entry { key, rows, world, told, len, crc, .. } in entries {
        out.put_u32(key.series.get());
        out.put_u8(key.side.code());
        out.put_u8(key.step.code());
        out.put_u8(place_of(key.session));
        let clock = if key.align == Align::Clock { CLOCK } else { 0 };
        let from_clock = if key.from_align == Align::Clock { FROM_CLOCK } else { 0 };
        out.put_u8(clock | from_clock);
        out.put_u32(key.block.0.cast_unsigned());
        out.put_u32(*rows);
        out.put_u64(*world);
        out.put_u64(*told);
        out.put_u32(*len);
        out.put_u32(*crc);
    }
    KIND.add_trailer(&mut out);
    out
}

fn place_of(session: SessionSet) -> u8 {
    match session {
        SessionSet::Regular => 0,
        SessionSet::Extended => 1,
        SessionSet::All => 2,
    }
}

/// Reads the index, which passed its checksum, of a file whose tiles end at `tiles_end`.
///
/// # Errors
/// The entries are not in order, or are not those of tiles that fill just that place.
pub fn decode_index(bytes: &[u8], tiles_end: u64) -> Result<Vec<Entry>, Damaged> {
    if !bytes.len().is_multiple_of(ENTRY_LEN) {
        return Err(Damaged("the index ends within an entry"));
    }
    let wrong = Damaged("a tile is of something that does not exist");
    let mut fields = Fields::new(bytes);
    let mut entries: Vec<Entry> = Vec::with_capacity(bytes.len() / ENTRY_LEN);
    let mut at = HEADER_LEN as u64;
    while fields.len() > 0 {
        let series = SeriesId::new(fields.u32()?);
        let side = PriceSide::from_code(fields.u8()?).ok_or(wrong)?;
        let step = Step::from_code(fields.u8()?).filter(|step| *step != Step::Tick).ok_or(wrong)?;
        let place = usize::from(fields.u8()?);
        let sets = [SessionSet::Regular, SessionSet::Extended, SessionSet::All];
        let session = *sets.get(place).ok_or(wrong)?;
        let bits = fields.u8()?;
        if bits & !(CLOCK | FROM_CLOCK) != 0 {
            return Err(wrong);
        }
        let align = |bit: u8| if bits & bit == 0 { Align::Session } else { Align::Clock };
        let (align, from_align) = (align(CLOCK), align(FROM_CLOCK));
        let block = Block(fields.u32()?.cast_signed());
        if !(-BLOCK_MAX..=BLOCK_MAX).contains(&block.0) {
            return Err(wrong);
        }
        let rows = fields.u32()?;
        if rows == 0 || rows > ROWS_MAX {
            return Err(Damaged("a tile has no bars, or more than its dates have minutes"));
        }
        let (world, told) = (fields.u64()?, fields.u64()?);
        let (len, crc) = (fields.u32()?, fields.u32()?);
        let key = Key { series, side, block, step, session, align, from_align };
        entries.push(Entry { key, rows, world, told, at, len, crc });
        at = at.checked_add(len.into()).ok_or(wrong)?;
    }
    if !entries.is_sorted_by(|a, b| a.key < b.key) {
        return Err(Damaged("the tiles are not in order"));
    }
    if at != tiles_end {
        return Err(Damaged("the tiles do not fill the place before the index"));
    }
    Ok(entries)
}

/// The bytes of a tile of bars with all columns and the share of their finer slots behind them.
pub fn encode_tile(rows: &Rows) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chunk = |encode: &dyn Fn(&mut Vec<u8>)| {
        let at = out.len();
        out.put_u32(0);
        encode(&mut out);
        let len = u32_len(out.len() - at - 4);
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    };
    let sequence: Vec<i64> = rows.sequence.iter().map(|it| it.cast_signed()).collect();
    let row_flags: Vec<i64> = rows.flags.iter().map(|it| i64::from(*it)).collect();
    for words in [&rows.ts, &sequence, &rows.known_at, &row_flags] {
        chunk(&|out| column::encode_i64(words, out));
    }
    let prices = [0, 1, 2, 3].map(|place| &rows.columns[place]);
    chunk(&|out| column::encode_candle(prices, out));
    for place in OTHERS.into_iter().chain([BARS.columns.len()]) {
        chunk(&|out| column::encode(&rows.columns[place], out));
    }
    out
}

/// Reads a tile of so many bars, which passed its checksum.
///
/// # Errors
/// The bytes are not those of bars in order, and no more.
pub fn decode_tile(bytes: &[u8], rows: u32) -> Result<Rows, Damaged> {
    if rows == 0 || rows > ROWS_MAX {
        return Err(Damaged("a tile has no bars, or more than its dates have minutes"));
    }
    let mut fields = Fields::new(bytes);
    let mut chunk = || {
        let len = usize_from(fields.u32()?.into())?;
        fields.bytes(len)
    };
    let rows = usize_from(rows.into())?;
    let mut words = || column::decode_i64(chunk()?, rows, 0..rows);
    let (ts, sequence, known_at, row_flags) = (words()?, words()?, words()?, words()?);
    if !ts.is_sorted_by(|a, b| a < b) {
        return Err(Damaged("the bars of a tile are not in order"));
    }
    let flag = |word: i64| u8::try_from(word).ok().filter(|flag| flag & !flags::ALL == 0);
    let row_flags = row_flags.into_iter().map(flag).collect::<Option<Vec<u8>>>();
    let row_flags = row_flags.ok_or(Damaged("a bar of a tile has a flag that is none"))?;
    let prices = column::decode_candle(chunk()?, rows, 0..rows, [true; 4])?;
    let mut columns: Vec<Column> = prices.into_iter().flatten().collect();
    if columns.iter().any(|column| column.validity.is_some()) {
        return Err(Damaged("a bar of a tile has no price"));
    }
    for place in OTHERS {
        columns.push(column::decode(chunk()?, BARS.columns[place].kind(), rows, 0..rows)?);
    }
    let shares = column::decode(chunk()?, BARS.columns[0].kind(), rows, 0..rows)?;
    if shares.validity.is_some() || !matches!(shares.values, Values::F64(_)) {
        return Err(Damaged("a bar of a tile has no share of finer slots"));
    }
    columns.push(shares);
    fields.end()?;
    let sequence = sequence.into_iter().map(i64::cast_unsigned).collect();
    Ok(Rows { ts, sequence, known_at, flags: row_flags, columns })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header { instance: *b"0123456789abcdef", sequence: 0x1122 };

    fn entries() -> Vec<Entry> {
        let key = |series, block, step, session, align, from_align| {
            let (series, block) = (SeriesId::new(series), Block(block));
            Key { series, side: PriceSide::Trade, block, step, session, align, from_align }
        };
        let (regular, clock) = (SessionSet::Regular, Align::Clock);
        let first = key(4, -1, Step::H1, regular, Align::Session, Align::Session);
        let second = key(4, 307, Step::M5, SessionSet::All, clock, clock);
        let entry =
            |key, rows, world, told, at, len, crc| Entry { key, rows, world, told, at, len, crc };
        vec![
            entry(first, 2, 0x0807_0605_0403_0201, 0x11, 40, 3, 0x0D0C_0B0A),
            entry(second, 1, 1, u64::MAX, 43, 5, 9),
        ]
    }

    #[test]
    fn golden_bytes_of_header_index_and_trailer() {
        let header = encode_header(&HEADER);
        assert_eq!(&header[..12], b"BARTILES\x01\0\0\0");
        assert_eq!(&header[16..], b"0123456789abcdef\x22\x11\0\0\0\0\0\0");
        assert_eq!(decode_header(&header).unwrap(), HEADER);
        let bytes = encode_index(&entries());
        let index = b"\x04\0\0\0\0\x06\0\0\xFF\xFF\xFF\xFF\x02\0\0\0\
            \x01\x02\x03\x04\x05\x06\x07\x08\x11\0\0\0\0\0\0\0\x03\0\0\0\x0A\x0B\x0C\x0D\
            \x04\0\0\0\0\x03\x02\x03\x33\x01\0\0\x01\0\0\0\
            \x01\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x05\0\0\0\x09\0\0\0";
        assert_eq!(&bytes[..80], index);
        assert_eq!(&bytes[80..88], b"\x50\0\0\0\0\0\0\0");
        assert_eq!(&bytes[92..96], b"\x01\0\0\0");
        assert_eq!(&bytes[100..], b"\0\0\0\0BARTILES");
        assert_eq!(decode_trailer(&bytes[80..]).unwrap().0, 80);
        assert_eq!(decode_index(&bytes[..80], 48).unwrap(), entries());
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
            let mut flipped = bytes[80..].to_vec();
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
        for end in [0, 47, 49] {
            assert!(decode_index(&good, end).is_err(), "tiles that end at {end}");
        }
        assert!(decode_index(&good[..79], 48).is_err());
        let mut turned = entries();
        turned.swap(0, 1);
        assert!(decode_index(&of(&turned), 48).is_err());
        assert!(decode_index(&of(&[entries()[0], entries()[0]]), 46).is_err());
        for rows in [0, ROWS_MAX + 1] {
            assert!(decode_index(&of(&[Entry { rows, ..entries()[0] }]), 43).is_err(), "{rows}");
        }
        let key = Key { block: Block(BLOCK_MAX + 1), ..entries()[0].key };
        assert!(decode_index(&of(&[Entry { key, ..entries()[0] }]), 43).is_err());
    }

    #[test]
    fn dates_around_rows_are_those_whose_instants_hold_them() {
        let block = Block(307);
        let day = |at: i64| (i64::from(block.first()) + at) * DAY_NANOS;
        assert_eq!(block.dates_around(day(5), day(5) + 1), 0b1111_1100);
        assert_eq!(block.dates_around(day(6) - 1, day(6)), 0b1_1111_1100);
        assert_eq!(block.dates_around(day(-9), day(90)), u64::MAX);
        assert_eq!(block.dates_around(day(-9), day(-3)), 0);
        assert_eq!(block.dates_around(day(67), day(90)), 0);
        assert_eq!(block.dates_around(day(66), day(66)), 1 << 63);
    }

    fn rows(of: &[(f64, Option<f64>, u64)]) -> Rows {
        let doubles = |values: Vec<f64>| Column::new(Values::F64(values));
        let price = |at: f64| doubles(of.iter().map(|bar| bar.0 + at).collect());
        let optional = || super::super::bars::optional(of.iter().map(|bar| bar.1));
        Rows {
            ts: (0..).map(|at| at * 60 - 120).take(of.len()).collect(),
            sequence: of.iter().map(|bar| bar.2).collect(),
            known_at: of.iter().map(|bar| bar.2.cast_signed() * 7).collect(),
            flags: of.iter().map(|bar| if bar.2 % 2 == 0 { flags::CORRECTED } else { 0 }).collect(),
            columns: vec![
                price(0.0),
                price(2.0),
                price(-1.0),
                price(0.5),
                optional(),
                optional(),
                Column::new(Values::I64(of.iter().map(|bar| bar.2.cast_signed()).collect())),
                doubles(vec![0.25; of.len()]),
            ],
        }
    }

    #[test]
    fn a_tile_is_nine_chunks_with_their_lengths() {
        let rows = rows(&[(1.5, Some(2.0), 3), (2.5, None, 4)]);
        let bytes = encode_tile(&rows);
        let mut ts = Vec::new();
        column::encode_i64(&[-120, -60], &mut ts);
        assert_eq!(bytes[..4], u32_len(ts.len()).to_le_bytes());
        assert_eq!(bytes[4..4 + ts.len()], ts);
        let (mut rest, mut chunks) = (&bytes[..], 0);
        while !rest.is_empty() {
            let len = u32::from_le_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4 + len as usize..];
            chunks += 1;
        }
        assert_eq!(chunks, 9);
        assert!(decode_tile(&bytes, 3).is_err());
        assert!(decode_tile(&bytes[..bytes.len() - 1], 2).is_err());
        assert!(decode_tile(&[&bytes[..], &[0]].concat(), 2).is_err());
    }

    proptest! {
        #[test]
        fn a_tile_comes_back_as_it_was(
            of in prop::collection::vec(
                (any::<f64>(), prop::option::of(any::<f64>()), 0_u64..1 << 40),
                1..300,
            ),
        ) {
            let rows = rows(&of);
            let bytes = encode_tile(&rows);
            let read = decode_tile(&bytes, u32_len(of.len())).unwrap();
            prop_assert_eq!(encode_tile(&read), bytes);
            prop_assert_eq!(&read.ts, &rows.ts);
            prop_assert_eq!(&read.sequence, &rows.sequence);
            prop_assert_eq!(&read.known_at, &rows.known_at);
            prop_assert_eq!(&read.flags, &rows.flags);
            let bits = |rows: &Rows| -> Vec<Vec<Option<u64>>> {
                rows.columns
                    .iter()
                    .map(|column| {
                        let bit = |at: usize| match &column.values {
                            _ if !column.is_valid(at) => None,
                            Values::F64(values) => Some(values[at].to_bits()),
                            Values::I64(values) => Some(values[at].cast_unsigned()),
                            Values::Text(_) => None,
                        };
                        (0..rows.len()).map(bit).collect()
                    })
                    .collect()
            };
            prop_assert_eq!(bits(&read), bits(&rows));
        }
    }
}
