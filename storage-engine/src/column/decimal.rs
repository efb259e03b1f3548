//! Encoding `decimal`: doubles that are integers on a decimal grid, and exceptions that are not.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1 | `exponent` | e, 0 to 10 |
//! | 1 | 1–2 | `exception_count` | number, 0 to n |
//! | | ⌈10 × `exception_count` / 8⌉ | `places` | rows of the exceptions, rising, 10 bits each |
//! | | 8 × `exception_count` | `exceptions` | their 64 bits, little-endian |
//! | | | `integers` | n values as [`super::integers`]; those of exceptions do not count |
//!
//! A value is its integer, as the nearest double, divided by 10^e, as IEEE 754 divides: the one
//! correctly rounded result, the same on every machine. A value is on the grid only if that gives
//! its 64 bits back; -0.0, NaN and infinities never do, so they are exceptions.

use super::bits::{self, packed_len};
use super::encoding::Encoding;
use super::number::{self, Reader};
use super::{Damaged, VECTOR_LEN, integers, raw};

const EXPONENT_AT: usize = 0;
const EXCEPTION_COUNT_AT: usize = EXPONENT_AT + 1;
const _: () = assert!(EXCEPTION_COUNT_AT == 1, "the table above says 1");

/// 10^e for every exponent there is. Each is a double exactly.
const POWERS: [f64; 11] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
/// Adding and taking away 1.5 × 2^52 rounds any double below 2^51 to an integer, which then
/// stands in the lowest bits of the sum: no conversion, so the loop vectorises.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Largest integer on a grid: 2^51.
const INTEGER_MAX: f64 = 2_251_799_813_685_248.0;
const PLACE_WIDTH: u32 = 10;
/// Values looked at to choose an exponent.
const SAMPLE_LEN: usize = 32;
/// Bits of an exception: its place and its value.
const EXCEPTION_WIDTH: usize = 74;

/// The power of ten of an exponent that is known to exist.
fn power(exponent: u8) -> f64 {
    POWERS[usize::from(exponent)]
}

/// The integer of `value` where 10^e is `power`, and whether it gives the value back.
#[inline]
fn integer(value: f64, power: f64) -> (i64, bool) {
    let sum = value * power + ROUND;
    let rounded = sum - ROUND;
    let is_back = (rounded / power).to_bits() == value.to_bits();
    let is_small = rounded.abs() <= INTEGER_MAX;
    (sum.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed(), is_back & is_small)
}

/// Turns integers on the grid of 10^-`exponent` into the bits of their values.
pub(super) fn to_values(exponent: u8, integers: &mut [i64]) {
    let power = power(exponent);
    for integer in integers {
        *integer = (*integer as f64 / power).to_bits().cast_signed();
    }
}

/// Writes the integers of `values` and returns how many are not on the grid.
pub(super) fn integers_of(values: &[f64], exponent: u8, out: &mut [i64]) -> usize {
    let power = power(exponent);
    let mut misses = 0;
    for (&value, out) in values.iter().zip(out) {
        let (integer, is_on_grid) = integer(value, power);
        *out = integer;
        misses += usize::from(!is_on_grid);
    }
    misses
}

/// The smallest exponent, at least `from`, of a grid that holds `value`.
fn exponent_of(value: f64, from: u8) -> Option<u8> {
    (from..).zip(&POWERS[usize::from(from)..]).find_map(|(exponent, &power)| {
        let (_, is_on_grid) = integer(value, power);
        is_on_grid.then_some(exponent)
    })
}

/// The smallest exponent of a grid that holds each of `values` by itself; large ones may still be
/// too large for it.
pub(super) fn exponent_of_all(values: &[f64], from: u8) -> Option<u8> {
    let mut exponent = from;
    for &value in values {
        if !integer(value, power(exponent)).1 {
            exponent = exponent_of(value, exponent)?;
        }
    }
    Some(exponent)
}

/// The exponent that should be cheapest, from a sample of `values`; `None` if hardly any is
/// decimal.
fn likely_exponent(values: &[f64]) -> Option<u8> {
    let stride = values.len().div_ceil(SAMPLE_LEN);
    let mut count_of_exponent = [0_usize; POWERS.len()];
    let mut sample_count = 0;
    for &value in values.iter().step_by(stride.max(1)) {
        sample_count += 1;
        if let Some(exponent) = exponent_of(value, 0) {
            count_of_exponent[usize::from(exponent)] += 1;
        }
    }
    let mut best = None;
    let mut on_grid = 0;
    for (exponent, count) in (0_u8..).zip(count_of_exponent) {
        if count > 0 {
            on_grid += count;
            // A digit more takes 3.3 bits of every value.
            let digits_len = usize::from(exponent) * sample_count * 10 / 3;
            let len = digits_len + (sample_count - on_grid) * EXCEPTION_WIDTH;
            if best.is_none_or(|(_, best_len)| len < best_len) {
                best = Some((exponent, len));
            }
        }
    }
    best.filter(|_| on_grid * 2 >= sample_count).map(|(exponent, _)| exponent)
}

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    exponent: u8,
    integers: [i64; VECTOR_LEN],
    exceptions: Vec<usize>,
    plan: integers::Plan,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

impl Plan {
    /// Whether some values are not on the grid.
    pub(super) const fn has_exceptions(&self) -> bool {
        !self.exceptions.is_empty()
    }
}

/// The decimal form of `values`, if they have one that could pay. `exponent` is the previous
/// vector's; it is tried first and replaced.
pub(super) fn plan(values: &[f64], exponent: &mut u8) -> Option<Plan> {
    let mut buffer = [0; VECTOR_LEN];
    let integers = &mut buffer[..values.len()];
    let mut exceptions = Vec::new();
    if integers_of(values, *exponent, integers) > 0 {
        let likely = likely_exponent(values)?;
        let misses = integers_of(values, likely, integers);
        if misses * 8 > values.len() {
            return None;
        }
        *exponent = likely;
        let power = power(likely);
        exceptions.extend((0..values.len()).filter(|&at| !integer(values[at], power).1));
        replace_exceptions(integers, &exceptions);
    }
    let plan = integers::plan(integers);
    let count = exceptions.len();
    let exceptions_len = packed_len(count, PLACE_WIDTH) + count * 8;
    let len = EXCEPTION_COUNT_AT + number::len(count as u64) + exceptions_len + plan.len;
    Some(Plan { exponent: *exponent, integers: buffer, exceptions, plan, len })
}

/// Gives the rows of exceptions, which rise, an integer that costs little: their neighbour's.
fn replace_exceptions(integers: &mut [i64], exceptions: &[usize]) {
    let first_good = (0..integers.len()).find(|at| exceptions.binary_search(at).is_err());
    let mut last = first_good.map_or(0, |at| integers[at]);
    let mut exceptions = exceptions.iter().peekable();
    for (at, integer) in integers.iter_mut().enumerate() {
        if exceptions.next_if(|&&exception| exception == at).is_some() {
            *integer = last;
        }
        last = *integer;
    }
}

/// Appends the encoding of the values that `plan` was made for.
pub(super) fn encode(values: &[f64], plan: &Plan, out: &mut Vec<u8>) {
    out.push(plan.exponent);
    number::put_count(plan.exceptions.len(), out);
    let places: Vec<u64> = plan.exceptions.iter().map(|&at| at as u64).collect();
    bits::pack(&places, PLACE_WIDTH, out);
    for &at in &plan.exceptions {
        out.extend_from_slice(&values[at].to_bits().to_le_bytes());
    }
    plan.plan.encode(&plan.integers[..values.len()], out);
}

/// The exponent in a byte.
pub(super) fn exponent_from(byte: u8) -> Result<u8, Damaged> {
    if usize::from(byte) < POWERS.len() {
        Ok(byte)
    } else {
        Err(Damaged("the exponent of a decimal vector is larger than 10"))
    }
}

/// What stands before the integers.
struct Header<'a> {
    exponent: u8,
    exception_count: usize,
    places: &'a [u8],
    exceptions: Reader<'a>,
}

impl<'a> Header<'a> {
    fn take(reader: &mut Reader<'a>, count: usize) -> Result<Self, Damaged> {
        let exponent = exponent_from(reader.byte()?)?;
        let exception_count = usize::try_from(reader.number()?)
            .ok()
            .filter(|&exceptions| exceptions <= count)
            .ok_or(Damaged("there are more exceptions than rows"))?;
        let places = bits::take(reader, exception_count, PLACE_WIDTH)?;
        let exceptions = Reader::new(reader.take(exception_count * size_of::<u64>())?);
        Ok(Self { exponent, exception_count, places, exceptions })
    }

    fn place_exceptions(mut self, out: &mut [i64]) -> Result<(), Damaged> {
        let mut places = [0; VECTOR_LEN];
        let places = &mut places[..self.exception_count];
        bits::unpack(self.places, PLACE_WIDTH, places);
        if !places.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Damaged("the places of exceptions do not rise"));
        }
        let mut exceptions = [0; VECTOR_LEN];
        raw::decode(&mut self.exceptions, &mut exceptions[..self.exception_count])?;
        for (&place, &exception) in places.iter().zip(&exceptions) {
            let value = usize::try_from(place).ok().and_then(|place| out.get_mut(place));
            *value.ok_or(Damaged("an exception is for a row that is not there"))? = exception;
        }
        Ok(())
    }
}

/// Fills `out` with the bits of the values.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let header = Header::take(reader, out.len())?;
    integers::decode(reader, out)?;
    to_values(header.exponent, out);
    if header.exception_count == 0 { Ok(()) } else { header.place_exceptions(out) }
}

/// How the integers of a vector of `count` values are written.
pub(super) fn take_integers(reader: &mut Reader<'_>, count: usize) -> Result<Encoding, Damaged> {
    Header::take(reader, count)?;
    Encoding::from_code(reader.byte()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let mut values = [1.5; 9];
        values[8] = -0.0;
        let plan = plan(&values, &mut 0).unwrap();
        let mut out = Vec::new();
        encode(&values, &plan, &mut out);
        // Tenths; one exception in row 8, whose 64 bits are 1 << 63; the constant 15.
        assert_eq!(out, b"\x01\x01\x08\0\0\0\0\0\0\0\0\x80\x01\x1E");
        assert_eq!(plan.len, out.len());
    }

    #[test]
    fn what_is_not_on_a_grid_has_no_exponent() {
        for (value, exponent) in [
            (0.0, Some(0)),
            (-7.0, Some(0)),
            (0.1, Some(1)),
            (167.65, Some(2)),
            (0.000_000_000_1, Some(10)),
            (2_251_799_813_685_248.0, Some(0)),
            (4_503_599_627_370_496.0, None),
            (-0.0, None),
            (0.1 + 0.2, None),
            (1.0 / 3.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::MIN_POSITIVE, None),
        ] {
            assert_eq!(exponent_of(value, 0), exponent, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_number_of_ten_digits_is_on_the_grid_of_its_decimals(
            integer in -9_999_999_999_i64..=9_999_999_999,
            exponent in 0..=10_u8,
        ) {
            // The standard library reads the nearest double, which is what a division gives.
            let value: f64 = format!("{integer}e-{exponent}").parse().unwrap();
            prop_assume!(integer != 0);
            let mut integers = [0];
            prop_assert_eq!(integers_of(&[value], exponent, &mut integers), 0);
            prop_assert_eq!(integers, [integer]);
            to_values(exponent, &mut integers);
            prop_assert_eq!(integers[0].cast_unsigned(), value.to_bits());
        }
    }
}
