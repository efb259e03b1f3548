//! A vector of the four prices of bars: in candle form, or as four columns.
//!
//! | at | size | field  | meaning                               |
//! |---:|-----:|--------|---------------------------------------|
//! |  0 |    1 | `form` | 1 candle, 2 columns                   |
//! |  1 |      | `body` | one of the two below                  |
//!
//! Candle: the prices lie on one decimal grid and none is null. Their integers are told by how a
//! bar is drawn: each number is small.
//!
//! | at | size | field        | meaning                                                        |
//! |---:|-----:|--------------|----------------------------------------------------------------|
//! |  0 |    1 | `grid`       | see [`super::grid`]                                            |
//! |  1 |    1 | `corrected`  | bit 0 open, 1 high, 2 low, 3 close: it has corrections         |
//! |  2 | 1–10 | `seed`       | signed number: stands for the close before the first row       |
//! |    |      | `gaps`       | open - previous close, n values as [`super::packed`]           |
//! |    |      | `bodies`     | close - open, the same                                         |
//! |    |      | `upper_wicks` | high - max(open, close), the same                             |
//! |    |      | `lower_wicks` | min(open, close) - low, the same                              |
//! |    |      | `corrections` | of each price that is corrected, as in [`super::decimal`]     |
//!
//! Differences are modulo 2^64, so a bar whose high is not its highest is merely longer to write.
//! The writer takes the first open as `seed`: a vector needs no other vector.
//!
//! Columns: a [`super::directory`] of four [`super::vector`]s: open, high, low, close.
//!
//! Bytes after the body are damage.

use std::ops::Range;

use super::decimal::Corrections;
use super::directory::{self, Directory};
use super::grid::Grid;
use super::nulls::Nulls;
use super::number::{self, Reader};
use super::packed::{self, Packed};
use super::{Damaged, VECTOR_LEN, decimal, vector};
use crate::rows::{Column, Values};

const FORM_AT: usize = 0;
const BODY_AT: usize = FORM_AT + 1;
const _: () = assert!(BODY_AT == 1, "the table above says 1");
const CANDLE: u8 = 1;
const COLUMNS: u8 = 2;

/// How many prices a bar has: open, high, low, close.
pub(super) const PRICE_COUNT: usize = 4;
const OPEN: usize = 0;
const HIGH: usize = 1;
const LOW: usize = 2;
const CLOSE: usize = 3;
/// Bytes a row beyond which the candle form is compared with four columns. Bars of a liquid stock
/// take 2 to 3.
const CANDLE_LEN_DOUBTFUL: usize = 6;

/// The integers of four prices, in the order open, high, low, close.
type Prices = [[i64; VECTOR_LEN]; PRICE_COUNT];

/// Appends the vector of `rows`. `grids` are first guesses, handed from vector to vector.
pub(super) fn encode(
    prices: [&Column; PRICE_COUNT],
    rows: Range<usize>,
    grids: &mut [Grid; PRICE_COUNT],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let candle = plan(prices, rows.clone(), &mut grids[0]);
    if let Some(plan) = &candle
        && plan.len() <= rows.len() * CANDLE_LEN_DOUBTFUL
    {
        return plan.encode(out);
    }
    out.push(COLUMNS);
    directory::write(PRICE_COUNT, out, |price, out| {
        vector::encode(prices[price], rows.clone(), &mut grids[price], out);
    });
    if let Some(plan) = candle.filter(|plan| plan.len() <= out.len() - start) {
        out.truncate(start);
        plan.encode(out);
    }
}

/// The candle form of some rows.
struct Plan {
    grid: Grid,
    seed: i64,
    count: usize,
    /// Gaps, bodies, upper wicks, lower wicks.
    parts: Prices,
    packed: [packed::Plan; PRICE_COUNT],
    corrections: [Option<Corrections>; PRICE_COUNT],
}

/// The cheapest candle form of `rows`, if none is null and most prices lie on one decimal grid.
fn plan(prices: [&Column; PRICE_COUNT], rows: Range<usize>, guess: &mut Grid) -> Option<Plan> {
    let mut slices = [[].as_slice(); PRICE_COUNT];
    for (slice, price) in slices.iter_mut().zip(prices) {
        let Values::F64(values) = &price.values else { return None };
        if rows.clone().any(|at| !price.is_valid(at)) {
            return None;
        }
        *slice = &values[rows.clone()];
    }
    let mut integers = [[0; VECTOR_LEN]; PRICE_COUNT];
    if misses(slices, *guess, &mut integers) == 0 {
        return Some(Plan::new(*guess, rows.len(), integers, [const { None }; PRICE_COUNT]));
    }
    // A grid that holds all prices may be too fine for most of them.
    let all = Grid::of_all(slices.into_iter().flatten());
    let likely = Grid::likely(slices[CLOSE]).filter(|likely| Some(*likely) != all);
    let plans = [all, likely].into_iter().flatten().filter_map(|grid| plan_on(slices, grid));
    let best = plans.min_by_key(Plan::len)?;
    *guess = best.grid;
    Some(best)
}

/// The candle form on a grid; `None` if more prices than not are off it.
fn plan_on(prices: [&[f64]; PRICE_COUNT], grid: Grid) -> Option<Plan> {
    let count = prices[OPEN].len();
    let mut integers = [[0; VECTOR_LEN]; PRICE_COUNT];
    let mut corrections = [const { None }; PRICE_COUNT];
    let miss_count = misses(prices, grid, &mut integers);
    if miss_count * 2 > count * PRICE_COUNT {
        return None;
    }
    if miss_count > 0 {
        repair(prices, grid, &mut integers);
        for ((corrections, values), integers) in corrections.iter_mut().zip(prices).zip(&integers) {
            *corrections = Corrections::of(grid, values, &integers[..count]);
        }
    }
    Some(Plan::new(grid, count, integers, corrections))
}

/// Writes the integers of all prices and returns how many are not on the grid.
fn misses(prices: [&[f64]; PRICE_COUNT], grid: Grid, integers: &mut Prices) -> usize {
    prices.into_iter().zip(integers).map(|(values, out)| grid.integers(values, out)).sum()
}

/// Gives prices that are far off the grid an integer that makes a small candle.
fn repair(prices: [&[f64]; PRICE_COUNT], grid: Grid, integers: &mut Prices) {
    let is_far = |price: usize, at: usize, integers: &Prices| {
        let integer = integers[price][at];
        decimal::noise(grid, prices[price][at], integer) > decimal::NOISE_MAX
    };
    let rows = 0..prices[OPEN].len();
    let first = rows.clone().find(|&at| !is_far(CLOSE, at, integers));
    let mut last_close = first.map_or(0, |at| integers[CLOSE][at]);
    for at in rows {
        if is_far(OPEN, at, integers) {
            integers[OPEN][at] = last_close;
        }
        if is_far(CLOSE, at, integers) {
            integers[CLOSE][at] = integers[OPEN][at];
        }
        let (open, close) = (integers[OPEN][at], integers[CLOSE][at]);
        if is_far(HIGH, at, integers) {
            integers[HIGH][at] = open.max(close);
        }
        if is_far(LOW, at, integers) {
            integers[LOW][at] = open.min(close);
        }
        last_close = close;
    }
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
    fn new(
        grid: Grid,
        count: usize,
        mut integers: Prices,
        corrections: [Option<Corrections>; PRICE_COUNT],
    ) -> Self {
        let seed = integers[OPEN][0];
        to_parts(seed, count, &mut integers);
        let packed = integers.each_ref().map(|part| packed::plan(&part[..count]));
        Self { grid, seed, count, parts: integers, packed, corrections }
    }

    /// Bytes of the vector.
    fn len(&self) -> usize {
        let parts_len: usize = self.packed.iter().map(|plan| plan.len).sum();
        let corrections = self.corrections.iter().flatten();
        let corrections_len: usize = corrections.map(Corrections::len).sum();
        3 + number::len_signed(self.seed) + parts_len + corrections_len
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(CANDLE);
        out.push(self.grid.code());
        let bits = self.corrections.iter().enumerate();
        out.push(bits.fold(0, |byte, (price, it)| byte | u8::from(it.is_some()) << price));
        number::put_signed(self.seed, out);
        for (part, plan) in self.parts.iter().zip(&self.packed) {
            packed::encode(&part[..self.count], plan, out);
        }
        self.corrections.iter().flatten().for_each(|corrections| corrections.encode(out));
        debug_assert_eq!(out.len() - start, self.len(), "invariant: sizes are exact");
    }
}

/// Where a reader puts what it unpacks; made once for all vectors of a chunk.
pub(super) struct Scratch {
    parts: [[i32; VECTOR_LEN]; PRICE_COUNT],
}

impl Scratch {
    pub(super) const fn new() -> Self {
        Self { parts: [[0; VECTOR_LEN]; PRICE_COUNT] }
    }
}

/// Fills those of `out` (open, high, low, close) that are there; they hold `count` rows each.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    count: usize,
    out: [Option<&mut [f64]>; PRICE_COUNT],
    scratch: &mut Scratch,
) -> Result<[Nulls<'a>; PRICE_COUNT], Damaged> {
    let mut nulls = [Nulls::None; PRICE_COUNT];
    let (form, body) = bytes.split_first().ok_or(Damaged("a vector is cut off"))?;
    match *form {
        CANDLE => Candle::take(body, count)?.decode(out, scratch)?,
        COLUMNS => {
            let columns = Directory::parse(body, PRICE_COUNT)?;
            for (price, out) in out.into_iter().enumerate() {
                if let Some(out) = out {
                    nulls[price] = vector::decode_doubles(columns.part(price), out)?;
                }
            }
        }
        _ => return Err(Damaged("a vector of prices has a form that does not exist")),
    }
    Ok(nulls)
}

/// The candle form, checked but not unpacked.
struct Candle<'a> {
    count: usize,
    grid: Grid,
    seed: i64,
    gaps: Packed<'a>,
    bodies: Packed<'a>,
    upper_wicks: Packed<'a>,
    lower_wicks: Packed<'a>,
    corrections: [Option<Packed<'a>>; PRICE_COUNT],
}

impl<'a> Candle<'a> {
    fn take(body: &'a [u8], count: usize) -> Result<Self, Damaged> {
        let mut reader = Reader::new(body);
        let grid = Grid::from_code(reader.byte()?)?;
        let corrected = reader.byte()?;
        if corrected >> PRICE_COUNT != 0 {
            return Err(Damaged("a fifth price of a candle is corrected"));
        }
        let mut candle = Self {
            count,
            grid,
            seed: reader.signed()?,
            gaps: Packed::take(&mut reader, count)?,
            bodies: Packed::take(&mut reader, count)?,
            upper_wicks: Packed::take(&mut reader, count)?,
            lower_wicks: Packed::take(&mut reader, count)?,
            corrections: [None; PRICE_COUNT],
        };
        for (price, corrections) in candle.corrections.iter_mut().enumerate() {
            if corrected >> price & 1 == 1 {
                *corrections = Some(Packed::take(&mut reader, count)?);
            }
        }
        reader.end()?;
        Ok(candle)
    }

    fn decode(
        &self,
        mut out: [Option<&mut [f64]>; PRICE_COUNT],
        scratch: &mut Scratch,
    ) -> Result<(), Damaged> {
        if self.is_small() {
            self.decode_small(&mut out, scratch)?;
        } else {
            self.decode_large(&mut out)?;
        }
        for (values, corrections) in out.into_iter().zip(&self.corrections) {
            if let (Some(values), Some(corrections)) = (values, corrections) {
                decimal::correct(corrections, values)?;
            }
        }
        Ok(())
    }

    /// Whether no integer on the way to a price can need more than 32 bits.
    fn is_small(&self) -> bool {
        let chain = self.gaps.bounds().sum.saturating_add(self.bodies.bounds().sum);
        let wick = self.upper_wicks.bounds().max.max(self.lower_wicks.bounds().max);
        let farthest = self.seed.unsigned_abs().saturating_add(chain).saturating_add(wick);
        self.grid.is_fast() && farthest <= u64::from(i32::MAX.unsigned_abs())
    }

    fn decode_small(
        &self,
        out: &mut [Option<&mut [f64]>; PRICE_COUNT],
        scratch: &mut Scratch,
    ) -> Result<(), Damaged> {
        let [opens, bodies, highs, lows] =
            scratch.parts.each_mut().map(|part| &mut part[..self.count]);
        self.gaps.decode_small(opens)?;
        self.bodies.decode_small(bodies)?;
        // From close to close first: so a bar waits for one addition of the last one, not for two.
        let steps = &mut *highs;
        for ((step, gap), body) in steps.iter_mut().zip(opens.iter()).zip(bodies.iter()) {
            *step = gap.wrapping_add(*body);
        }
        let mut close = i32::try_from(self.seed).expect("invariant: everything is small");
        for (open, step) in opens.iter_mut().zip(steps.iter()) {
            *open = open.wrapping_add(close);
            close = close.wrapping_add(*step);
        }
        let [open_out, high_out, low_out, close_out] = out;
        if let Some(out) = open_out {
            self.grid.values_of_small(opens, out);
        }
        if let Some(out) = high_out {
            self.upper_wicks.decode_small(highs)?;
            for ((high, open), body) in highs.iter_mut().zip(opens.iter()).zip(bodies.iter()) {
                *high = high.wrapping_add(open.wrapping_add((*body).max(0)));
            }
            self.grid.values_of_small(highs, out);
        }
        if let Some(out) = low_out {
            self.lower_wicks.decode_small(lows)?;
            for ((low, open), body) in lows.iter_mut().zip(opens.iter()).zip(bodies.iter()) {
                *low = open.wrapping_add((*body).min(0)).wrapping_sub(*low);
            }
            self.grid.values_of_small(lows, out);
        }
        if let Some(out) = close_out {
            for (close, open) in bodies.iter_mut().zip(opens.iter()) {
                *close = close.wrapping_add(*open);
            }
            self.grid.values_of_small(bodies, out);
        }
        Ok(())
    }

    fn decode_large(&self, out: &mut [Option<&mut [f64]>; PRICE_COUNT]) -> Result<(), Damaged> {
        let mut integers = [[0; VECTOR_LEN]; PRICE_COUNT];
        let [opens, highs, lows, closes] = integers.each_mut().map(|it| &mut it[..self.count]);
        self.gaps.decode(opens)?;
        self.bodies.decode(closes)?;
        let mut last_close = self.seed;
        for (open, close) in opens.iter_mut().zip(closes.iter_mut()) {
            *open = open.wrapping_add(last_close);
            *close = close.wrapping_add(*open);
            last_close = *close;
        }
        if out[HIGH].is_some() {
            self.upper_wicks.decode(highs)?;
            for ((high, open), close) in highs.iter_mut().zip(opens.iter()).zip(closes.iter()) {
                *high = high.wrapping_add(*open.max(close));
            }
        }
        if out[LOW].is_some() {
            self.lower_wicks.decode(lows)?;
            for ((low, open), close) in lows.iter_mut().zip(opens.iter()).zip(closes.iter()) {
                *low = open.min(close).wrapping_sub(*low);
            }
        }
        for (out, integers) in out.iter_mut().zip([opens, highs, lows, closes]) {
            if let Some(out) = out {
                self.grid.values(integers, out);
            }
        }
        Ok(())
    }
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
    use crate::rows::ColumnType;

    fn encoded(prices: &[Column; PRICE_COUNT]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut grids = [Grid::default(); PRICE_COUNT];
        encode(prices.each_ref(), 0..prices[0].len(), &mut grids, &mut out);
        out
    }

    fn decoded(bytes: &[u8], count: usize) -> Result<[Vec<f64>; PRICE_COUNT], Damaged> {
        let mut out = [(); PRICE_COUNT].map(|()| vec![9.0; count]);
        let places = out.each_mut().map(|price| Some(price.as_mut_slice()));
        decode(bytes, count, places, &mut Scratch::new())?;
        Ok(out)
    }

    fn check(prices: &[Column; PRICE_COUNT], form: u8) {
        let bytes = encoded(prices);
        assert_eq!(bytes[FORM_AT], form);
        for (price, back) in prices.iter().zip(decoded(&bytes, prices[0].len()).unwrap()) {
            let Values::F64(values) = &price.values else { unreachable!() };
            assert!(back.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    fn doubles<const N: usize>(values: [f64; N]) -> Column {
        Column::new(Values::F64(values.to_vec()))
    }

    /// `count` bars of some ticks around `start` ticks of 1 / `power`.
    fn bars(start: i32, power: f64, count: i32) -> [Column; PRICE_COUNT] {
        let prices = [0, 3, -2, 1].map(|offset| {
            let ticks = (0..count).map(|row| start + row % 7 * (row % 5) + offset);
            ticks.map(|ticks| f64::from(ticks) / power).collect()
        });
        prices.map(|values| Column::new(Values::F64(values)))
    }

    fn set(prices: &mut [Column; PRICE_COUNT], price: usize, at: usize, value: f64) {
        let Values::F64(values) = &mut prices[price].values else { unreachable!() };
        values[at] = value;
    }

    #[test]
    fn golden_bytes_of_candles() {
        let opens = doubles([10.0, 10.02]);
        let highs = doubles([10.05, 10.03]);
        let lows = doubles([9.98, 10.01]);
        let closes = doubles([10.02, 10.01]);
        let golden = [
            [CANDLE, 2, 0, 0x80 | 80, 15].as_slice(), // hundredths; 1000 (zig-zag 15 × 128 + 80)
            &[0, 0, 0, 1],                            // gaps 0, 0
            &[3, 1, 1, 0b001_100],                    // bodies 2, -1: zig-zag 4, 1 in 3 bits
            &[1, 0, 2, 2, 0b01],                      // upper wicks 3, 1: 1 + 2 × (1, 0)
            &[1, 0, 0, 2, 0b01],                      // lower wicks 2, 0: 0 + 2 × (1, 0)
        ];
        assert_eq!(encoded(&[opens, highs, lows, closes]), golden.concat());
    }

    #[test]
    fn golden_bytes_of_a_corrected_candle() {
        let prices = [(); PRICE_COUNT].map(|()| doubles([0.5; 9]));
        let mut corrected = prices.clone();
        set(&mut corrected, LOW, 8, 0.5_f64.next_up());
        // Tenths; bit 2 for the low; the price is 5; four times 0 in no bits; then the
        // corrections from 0 in one bit each, with the bit of row 8.
        let golden = [[CANDLE, 1, 4, 10].as_slice(), &[0, 0, 0, 1].repeat(4), &[1, 0, 0, 1, 0, 1]];
        assert_eq!(encoded(&corrected), golden.concat());
        check(&corrected, CANDLE);
    }

    #[test]
    fn golden_bytes_of_columns() {
        let null = Column::nulls(ColumnType::F64, 1);
        let golden = [
            [COLUMNS].as_slice(),
            b"\x06\0\0\0\x07\0\0\0\x0D\0\0\0\x13\0\0\0",
            &[0, 7, 0, 0, 1, 2], // no nulls; decimal, whole numbers, not corrected; constant 1
            &[2],                // null
            &[0, 7, 0, 0, 1, 4],
            &[0, 7, 0, 0, 1, 6],
        ];
        let prices = [doubles([1.0]), null, doubles([2.0]), doubles([3.0])];
        assert_eq!(encoded(&prices), golden.concat());
    }

    #[test]
    fn bars_of_every_size_are_candles() {
        for count in [1, 2, 31, 200, 1023, 1024] {
            for (start, power) in [
                (10_000, 100.0),
                (10_000, 1e8),           // a grid that needs divisions
                (i32::MAX - 100, 100.0), // integers that do not fit 32 bits
                (i32::MIN / 2, 1e6),
            ] {
                check(&bars(start, power, count), CANDLE);
            }
        }
    }

    #[test]
    fn a_few_prices_off_the_grid_leave_a_candle() {
        let mut prices = bars(5_106, 100.0, 500);
        for (price, at, value) in [
            (OPEN, 0, f64::NAN),
            (CLOSE, 0, -0.0),
            (HIGH, 7, f64::INFINITY),
            (LOW, 8, 1.0 / 3.0),
            (CLOSE, 499, 51.06_f64.next_down()),
        ] {
            set(&mut prices, price, at, value);
        }
        check(&prices, CANDLE);
    }

    #[test]
    fn prices_of_single_precision_are_candles() {
        let prices = bars(5_106, 100.0, 500).map(|price| {
            let Values::F64(values) = price.values else { unreachable!() };
            let singles = values.into_iter().map(|value| format!("{value}").parse::<f32>());
            let singles = singles.map(|single| f64::from(single.unwrap()));
            Column::new(Values::F64(singles.collect()))
        });
        check(&prices, CANDLE);
    }

    #[test]
    fn one_price_with_more_digits_does_not_make_all_others_longer() {
        let mut prices = bars(1_000_000, 100.0, 1000);
        let len = encoded(&prices).len();
        set(&mut prices, HIGH, 500, 10_000.123_456);
        assert!(encoded(&prices).len() < len + 40);
        check(&prices, CANDLE);
    }

    #[test]
    fn a_bar_whose_high_is_not_its_highest_is_still_a_candle() {
        let mut prices = [(); PRICE_COUNT].map(|()| doubles([10.25; 200]));
        set(&mut prices, HIGH, 100, 9.0);
        check(&prices, CANDLE);
    }

    #[test]
    fn damage_is_refused() {
        let good = encoded(&[(); PRICE_COUNT].map(|()| doubles([1.5, 2.5])));
        decoded(&good, 2).unwrap();
        for (at, byte) in [(FORM_AT, 0), (FORM_AT, 3), (BODY_AT, 11), (BODY_AT + 1, 0x10)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(decoded(&bad, 2).is_err(), "{at} {byte}");
        }
        let longer = [good.as_slice(), &[0]].concat();
        for bytes in [longer.as_slice(), &[]] {
            let unwanted = [const { None }; PRICE_COUNT];
            let result = decode(bytes, 2, unwanted, &mut Scratch::new());
            assert!(result.is_err(), "unwanted prices are checked");
        }
    }
}
