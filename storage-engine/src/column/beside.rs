//! A vector of doubles beside two other columns of its rows: the average price of bars beside
//! their high and low.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | | `nulls` | which rows have a value, as [`super::nulls`] |
//! | | 1 | `encoding` | 10 beside, or that of [`super::doubles`]; absent if every row is null |
//! | | | `body` | 10: the two below; else that of [`super::doubles`] |
//!
//! | size | field | meaning |
//! |-----:|-------|---------|
//! | 1 | `grid` | see [`super::grid`]; all values are on it |
//! | | `integers` | each value's integer less the expected one, as [`super::integers`] |
//!
//! The expected integer is (high + low) × (10^e / 2), in doubles and in that order, rounded to the
//! nearest integer, ties to even. Where the sum before rounding is not between -2^51 and 2^51 it
//! is what adding 1.5 × 2^52 leaves in the bits of the double; writers do not use that.
//!
//! Bytes after the body are damage.

use std::ops::Range;

use super::encoding::Encoding;
use super::grid::{self, Grid};
use super::nulls::{self, Nulls};
use super::number::Reader;
use super::{Damaged, VECTOR_LEN, doubles, integers, vector};
use crate::rows::{Column, Values};

/// Largest expected integer that a writer uses: 2^50.
const EXPECTED_MAX: f64 = 1_125_899_906_842_624.0;

/// Bytes a value below which no other way to write a vector is tried.
const BESIDE_LEN_SURE: usize = 2;

/// Appends the vector of `rows` of `column`; returns whether high and low are needed to read it.
/// `grid` is a first guess, handed from vector to vector.
pub(super) fn encode(
    column: &Column,
    high_low: [&Column; 2],
    rows: Range<usize>,
    grid: &mut Grid,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let mut buffer = [0; VECTOR_LEN];
    let distances = distances(column, high_low, rows.clone(), grid, &mut buffer);
    let plan = distances.map(|distances| (distances, integers::plan(distances)));
    if let Some((distances, plan)) = &plan {
        nulls::put(column.validity.as_ref(), rows.clone(), out);
        out.push(Encoding::Beside.code());
        out.push(grid.code());
        plan.encode(distances, out);
        if plan.len <= distances.len() * BESIDE_LEN_SURE {
            return true;
        }
    }
    let alone_at = out.len();
    vector::encode(column, rows, grid, out);
    let is_beside = plan.is_some() && alone_at - start < out.len() - alone_at;
    if is_beside {
        out.truncate(alone_at);
    } else {
        out.drain(start..alone_at);
    }
    is_beside
}

/// The integers of the values of `rows` less the expected ones; `None` if some value is not on
/// the guessed grid nor on a likely one (which then is the guess), has no high or low beside it,
/// or there is no value.
fn distances<'a>(
    column: &Column,
    [high, low]: [&Column; 2],
    rows: Range<usize>,
    grid: &mut Grid,
    buffer: &'a mut [i64; VECTOR_LEN],
) -> Option<&'a [i64]> {
    let pick = |other: &Column| {
        let Values::F64(values) = &other.values else { return None };
        let rows = rows.clone().filter(|&row| column.is_valid(row));
        let all_valid = rows.clone().all(|row| other.is_valid(row));
        all_valid.then(|| rows.map(|row| values[row]).collect::<Vec<_>>())
    };
    let (values, highs, lows) = (pick(column)?, pick(high)?, pick(low)?);
    let distances = &mut buffer[..values.len()];
    if values.is_empty() {
        return None;
    }
    if grid.integers(&values, distances) > 0 {
        let likely = Grid::likely(&values)?;
        if likely.integers(&values, distances) > 0 {
            return None;
        }
        *grid = likely;
    }
    let mut farthest = 0.0_f64;
    for ((distance, high), low) in distances.iter_mut().zip(highs).zip(lows) {
        let expected = expected(high, low, *grid);
        farthest = farthest.max(if expected.is_nan() { f64::INFINITY } else { expected.abs() });
        *distance = distance.wrapping_sub(grid::nearest(expected));
    }
    (farthest <= EXPECTED_MAX).then_some(distances)
}

/// Half way between high and low, in steps of the grid.
#[inline]
fn expected(high: f64, low: f64, grid: Grid) -> f64 {
    (high + low) * (grid.power() / 2.0)
}

/// Appends the rows `wanted` of the vector of `count` rows to `out`. `highs` and `lows` are those
/// of the wanted rows.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    count: usize,
    wanted: Range<usize>,
    [highs, lows]: [&[f64]; 2],
    out: &mut Vec<f64>,
) -> Result<Nulls<'a>, Damaged> {
    let mut reader = Reader::new(bytes);
    let nulls = Nulls::take(&mut reader, count)?;
    let value_count = nulls.value_count(count);
    if value_count == 0 {
        reader.end()?;
        out.resize(out.len() + wanted.len(), 0.0);
        return Ok(nulls);
    }
    let mut rest = reader;
    if Encoding::from_code(rest.byte()?)? != Encoding::Beside {
        let mut values = [0.0; VECTOR_LEN];
        doubles::decode(&mut reader, &mut values[..value_count])?;
        reader.end()?;
        nulls.spread(&mut values[..count]);
        out.extend_from_slice(&values[wanted]);
        return Ok(nulls);
    }
    let grid = Grid::from_code(rest.byte()?)?;
    let mut buffer = [0; VECTOR_LEN];
    integers::decode(&mut rest, &mut buffer[..value_count])?;
    rest.end()?;
    nulls.spread(&mut buffer[..count]);
    let integers = &mut buffer[wanted.clone()];
    for ((integer, high), low) in integers.iter_mut().zip(highs).zip(lows) {
        *integer = integer.wrapping_add(grid::nearest(expected(*high, *low, grid)));
    }
    let start = out.len();
    out.resize(start + wanted.len(), 0.0);
    let values = &mut out[start..];
    grid.values(integers, values);
    if let Nulls::Some(_) = nulls {
        for (value, at) in values.iter_mut().zip(wanted) {
            if !nulls.is_valid(at) {
                *value = 0.0;
            }
        }
    }
    Ok(nulls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubles<const N: usize>(values: [f64; N]) -> Column {
        Column::new(Values::F64(values.to_vec()))
    }

    fn encoded(column: &Column, high: &Column, low: &Column) -> (bool, Vec<u8>) {
        let (mut out, rows) = (Vec::new(), 0..column.len());
        let is_beside = encode(column, [high, low], rows, &mut Grid::default(), &mut out);
        (is_beside, out)
    }

    #[test]
    fn golden_bytes() {
        let high = doubles([10.03, 10.5, 11.0, 11.01]);
        let low = doubles([10.0, 10.25, 10.0, 11.0]);
        // Half way: 10.015, 10.375, 10.5, 11.005.
        let average = doubles([10.0151, 10.3752, 10.5, 11.0053]);
        // No nulls; beside; ten-thousandths; packed in 2 bits from 0: 1, 2, 0, 3.
        let golden = [0, 10, 4, 3, 2, 0, 0, 1, 0b11_00_10_01];
        assert_eq!(encoded(&average, &high, &low), (true, golden.to_vec()));
        let mut out = vec![1.0];
        decode(&golden, 4, 1..3, [&[10.5, 11.0], &[10.25, 10.0]], &mut out).unwrap();
        assert_eq!(out, [1.0, 10.3752, 10.5]);
    }

    #[test]
    fn what_has_no_decimals_or_no_neighbours_stands_alone() {
        let one = doubles([1.5, 2.5]);
        let off = doubles([1.0 / 3.0, 2.5]);
        assert!(!encoded(&off, &one, &one).0);
        let mut null = one.clone();
        null.validity = Some([true, false].into_iter().collect());
        assert!(!encoded(&one, &null, &one).0);
        assert!(!encoded(&one, &doubles([f64::NAN; 2]), &one).0);
        assert!(!encoded(&one, &doubles([f64::MAX; 2]), &one).0);
    }

    #[test]
    fn damage_is_refused() {
        for bytes in [
            [0, 10, 11, 1, 0].as_slice(), // grid
            &[0, 10, 2, 1],               // cut off
            &[0, 10, 2, 1, 0, 0],         // followed by more
            &[0, 8, 1, 0],                // texts
            &[2, 0],                      // null, followed by more
        ] {
            let both = [[1.0; 2].as_slice(); 2];
            assert!(decode(bytes, 2, 0..2, both, &mut Vec::new()).is_err(), "{bytes:?}");
        }
    }
}
