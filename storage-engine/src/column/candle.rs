//! A vector of the four prices of bars: in candle form, or as four columns.
//!
//! | at | size | field  | meaning                               |
//! |---:|-----:|--------|---------------------------------------|
//! |  0 |    1 | `form` | 1 candle, 2 columns                   |
//! |  1 |      | `body` | one of the two below                  |
//!
//! Candle: all four prices of all rows lie on one decimal grid (see [`super::decimal`]) and none
//! is null. Their integers are told by how a bar is drawn: each number is small.
//!
//! | at | size | field        | meaning                                                        |
//! |---:|-----:|--------------|----------------------------------------------------------------|
//! |  0 |    1 | `exponent`   | e, 0 to 10: prices are integers / 10^e                         |
//! |  1 | 1–10 | `seed`       | signed number: stands for the close before the first row       |
//! |    |      | `gaps`       | open - previous close, n values as [`super::packed`]           |
//! |    |      | `bodies`     | close - open, the same                                         |
//! |    |      | `upper_wicks` | high - max(open, close), the same                             |
//! |    |      | `lower_wicks` | min(open, close) - low, the same                              |
//!
//! Differences are modulo 2^64, so a bar whose high is not its highest is merely longer to write.
//! The writer takes the first open as `seed`: a vector needs no other vector.
//!
//! Columns: a [`super::directory`] of four [`super::vector`]s: open, high, low, close.
//!
//! Bytes after the body are damage.

use std::ops::Range;

use super::directory::{self, Directory};
use super::nulls::Nulls;
use super::number::{self, Reader};
use super::packed::{self, Packed};
use super::{Damaged, VECTOR_LEN, decimal, vector};
use crate::rows::{Column, ColumnType, Values};

const FORM_AT: usize = 0;
const BODY_AT: usize = FORM_AT + 1;
const _: () = assert!(BODY_AT == 1, "the table above says 1");
const CANDLE: u8 = 1;
const COLUMNS: u8 = 2;

/// How many prices a bar has: open, high, low, close.
pub(super) const PRICE_COUNT: usize = 4;
/// Bytes a row beyond which the candle form is compared with four columns. Bars of a liquid stock
/// take 2 to 3.
const CANDLE_LEN_DOUBTFUL: usize = 6;

/// The integers of four prices, in the order open, high, low, close.
type Prices = [[i64; VECTOR_LEN]; PRICE_COUNT];

/// Appends the vector of `rows`. `exponents` are first guesses, handed from vector to vector.
pub(super) fn encode(
    prices: [&Column; PRICE_COUNT],
    rows: Range<usize>,
    exponents: &mut [u8; PRICE_COUNT],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let candle = plan(prices, rows.clone(), &mut exponents[0]);
    if let Some(plan) = &candle {
        plan.encode(out);
        if out.len() - start <= rows.len() * CANDLE_LEN_DOUBTFUL {
            return;
        }
    }
    let columns_at = out.len();
    out.push(COLUMNS);
    directory::write(PRICE_COUNT, out, |price, out| {
        vector::encode(prices[price], rows.clone(), &mut exponents[price], out);
    });
    if candle.is_some() {
        if columns_at - start <= out.len() - columns_at {
            out.truncate(columns_at);
        } else {
            out.drain(start..columns_at);
        }
    }
}

/// The candle form of some rows.
struct Plan {
    exponent: u8,
    seed: i64,
    count: usize,
    /// Gaps, bodies, upper wicks, lower wicks.
    parts: Prices,
}

/// The candle form of `rows`, if all prices lie on one decimal grid.
fn plan(prices: [&Column; PRICE_COUNT], rows: Range<usize>, exponent: &mut u8) -> Option<Plan> {
    let mut slices = [[].as_slice(); PRICE_COUNT];
    for (slice, price) in slices.iter_mut().zip(prices) {
        let Values::F64(values) = &price.values else { return None };
        if rows.clone().any(|at| !price.is_valid(at)) {
            return None;
        }
        *slice = &values[rows.clone()];
    }
    let mut integers = [[0; VECTOR_LEN]; PRICE_COUNT];
    if !on_grid(slices, *exponent, &mut integers) {
        let common = slices
            .into_iter()
            .try_fold(0, |exponent, values| decimal::exponent_of_all(values, exponent))?;
        if !on_grid(slices, common, &mut integers) {
            return None;
        }
        *exponent = common;
    }
    let seed = integers[0][0];
    to_parts(seed, rows.len(), &mut integers);
    Some(Plan { exponent: *exponent, seed, count: rows.len(), parts: integers })
}

fn on_grid(prices: [&[f64]; PRICE_COUNT], exponent: u8, integers: &mut Prices) -> bool {
    prices
        .into_iter()
        .zip(integers)
        .all(|(values, integers)| decimal::integers_of(values, exponent, integers) == 0)
}

/// Turns prices into gaps, bodies, upper and lower wicks, in place.
fn to_parts(seed: i64, count: usize, prices: &mut Prices) {
    let [opens, highs, lows, closes] = prices.each_mut().map(|price| &mut price[..count]);
    let mut last_close = seed;
    for (((open, high), low), close) in opens.iter_mut().zip(highs).zip(lows).zip(closes) {
        let prices = (*open, *high, *low, *close);
        *open = prices.0.wrapping_sub(last_close);
        *high = prices.3.wrapping_sub(prices.0);
        *low = prices.1.wrapping_sub(prices.0.max(prices.3));
        *close = prices.0.min(prices.3).wrapping_sub(prices.2);
        last_close = prices.3;
    }
}

impl Plan {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(CANDLE);
        out.push(self.exponent);
        number::put_signed(self.seed, out);
        for part in &self.parts {
            let values = &part[..self.count];
            packed::encode(values, &packed::plan(values), out);
        }
    }
}

/// Fills those of `out` (open, high, low, close; as bits of doubles) that are `wanted`, each for
/// `count` rows. What is in the others is not defined.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    count: usize,
    wanted: [bool; PRICE_COUNT],
    out: &mut Prices,
) -> Result<[Nulls<'a>; PRICE_COUNT], Damaged> {
    let mut nulls = [Nulls::None; PRICE_COUNT];
    let (form, body) = bytes.split_first().ok_or(Damaged("a vector is cut off"))?;
    match *form {
        CANDLE => decode_candle(body, count, wanted, out)?,
        COLUMNS => {
            let columns = Directory::parse(body, PRICE_COUNT)?;
            for price in (0..PRICE_COUNT).filter(|&price| wanted[price]) {
                let out = &mut out[price][..count];
                nulls[price] = vector::decode(columns.part(price), ColumnType::F64, out)?;
            }
        }
        _ => return Err(Damaged("a vector of prices has a form that does not exist")),
    }
    Ok(nulls)
}

fn decode_candle(
    body: &[u8],
    count: usize,
    wanted: [bool; PRICE_COUNT],
    out: &mut Prices,
) -> Result<(), Damaged> {
    let mut reader = Reader::new(body);
    let exponent = decimal::exponent_from(reader.byte()?)?;
    let seed = reader.signed()?;
    let gaps = Packed::take(&mut reader, count)?;
    let bodies = Packed::take(&mut reader, count)?;
    let upper_wicks = Packed::take(&mut reader, count)?;
    let lower_wicks = Packed::take(&mut reader, count)?;
    reader.end()?;

    let [opens, highs, lows, closes] = out.each_mut().map(|price| &mut price[..count]);
    // Open and close carry each other from row to row; the wicks only hang on to them.
    gaps.decode(opens)?;
    bodies.decode(closes)?;
    let mut last_close = seed;
    for (open, close) in opens.iter_mut().zip(closes.iter_mut()) {
        *open = open.wrapping_add(last_close);
        *close = close.wrapping_add(*open);
        last_close = *close;
    }
    if wanted[1] {
        upper_wicks.decode(highs)?;
        for ((high, open), close) in highs.iter_mut().zip(opens.iter()).zip(closes.iter()) {
            *high = high.wrapping_add(*open.max(close));
        }
    }
    if wanted[2] {
        lower_wicks.decode(lows)?;
        for ((low, open), close) in lows.iter_mut().zip(opens.iter()).zip(closes.iter()) {
            *low = open.min(close).wrapping_sub(*low);
        }
    }
    for (price, is_wanted) in [opens, highs, lows, closes].into_iter().zip(wanted) {
        if is_wanted {
            decimal::to_values(exponent, price);
        }
    }
    Ok(())
}

/// How the vector is written, for people.
pub(super) fn describe(bytes: &[u8]) -> Result<String, Damaged> {
    match bytes.first() {
        Some(&CANDLE) => Ok("candle".to_owned()),
        Some(&COLUMNS) => Ok("columns".to_owned()),
        _ => Err(Damaged("a vector of prices has a form that does not exist")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(prices: [Column; PRICE_COUNT]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(prices.each_ref(), 0..prices[0].len(), &mut [0; PRICE_COUNT], &mut out);
        out
    }

    fn doubles<const N: usize>(values: [f64; N]) -> Column {
        Column::new(Values::F64(values.to_vec()))
    }

    #[test]
    fn golden_bytes_of_candles() {
        let opens = doubles([10.0, 10.02]);
        let highs = doubles([10.05, 10.03]);
        let lows = doubles([9.98, 10.01]);
        let closes = doubles([10.02, 10.01]);
        let golden = [
            [CANDLE, 2, 0x80 | 80, 15].as_slice(), // hundredths; 1000 (zig-zag 15 × 128 + 80)
            &[0, 0, 0, 1],                         // gaps 0, 0
            &[3, 1, 1, 0b001_100],                 // bodies 2, -1: zig-zag 4, 1 in 3 bits
            &[1, 0, 2, 2, 0b01],                   // upper wicks 3, 1: 1 + 2 × (1, 0)
            &[1, 0, 0, 2, 0b01],                   // lower wicks 2, 0: 0 + 2 × (1, 0)
        ];
        assert_eq!(encoded([opens, highs, lows, closes]), golden.concat());
    }

    #[test]
    fn golden_bytes_of_columns() {
        let null = Column::nulls(ColumnType::F64, 1);
        let golden = [
            [COLUMNS].as_slice(),
            b"\x06\0\0\0\x07\0\0\0\x0D\0\0\0\x13\0\0\0",
            &[0, 7, 0, 0, 1, 2], // no nulls; decimal, whole numbers, no exceptions; constant 1
            &[2],                // null
            &[0, 7, 0, 0, 1, 4],
            &[0, 7, 0, 0, 1, 6],
        ];
        assert_eq!(
            encoded([doubles([1.0]), null, doubles([2.0]), doubles([3.0])]),
            golden.concat()
        );
    }

    #[test]
    fn a_bar_whose_high_is_not_its_highest_is_still_a_candle() {
        let mut prices = [(); PRICE_COUNT].map(|()| doubles([10.25; 200]));
        if let Values::F64(highs) = &mut prices[1].values {
            highs[100] = 9.0;
        }
        let bytes = encoded(prices.clone());
        assert_eq!(bytes[FORM_AT], CANDLE);
        let mut out = [[0; VECTOR_LEN]; PRICE_COUNT];
        decode(&bytes, 200, [true; PRICE_COUNT], &mut out).unwrap();
        for (price, bits) in prices.iter().zip(&out) {
            let back = bits[..200].iter().map(|bits| f64::from_bits(bits.cast_unsigned()));
            let Values::F64(values) = &price.values else { unreachable!() };
            assert_eq!(&back.collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn damage_is_refused() {
        let good = encoded([(); PRICE_COUNT].map(|()| doubles([1.5, 2.5])));
        let mut out = [[0; VECTOR_LEN]; PRICE_COUNT];
        decode(&good, 2, [true; PRICE_COUNT], &mut out).unwrap();
        for (at, byte) in [(FORM_AT, 0), (FORM_AT, 3), (BODY_AT, 11)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(decode(&bad, 2, [true; PRICE_COUNT], &mut out).is_err(), "{at} {byte}");
        }
        let longer = [good.as_slice(), &[0]].concat();
        let unwanted = [false; PRICE_COUNT];
        assert!(decode(&longer, 2, unwanted, &mut out).is_err(), "unwanted prices are checked");
        assert!(decode(&[], 2, unwanted, &mut out).is_err());
    }
}
