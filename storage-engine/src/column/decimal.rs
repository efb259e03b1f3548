//! Encoding `decimal`: doubles as integers on a decimal grid, and corrections of those that are
//! not on it.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1 | `grid` | see [`super::grid`] |
//! | 1 | 1 | `is_corrected` | 1 if there are corrections, else 0 |
//! | 2 | | `integers` | n values as [`super::integers`] |
//! | | | `corrections` | n values as [`super::packed`]; only if `is_corrected` is 1 |
//!
//! The 64 bits of a value are those of its integer's value on the grid, as an integer, plus its
//! correction, modulo 2^64. So sums that are a few units in the last place off the grid cost
//! little more than those that are on it; and -0.0, NaN, infinities and what else has no decimals
//! are patches in corrections that otherwise take no bits.

use super::encoding::Encoding;
use super::grid::Grid;
use super::number::Reader;
use super::packed::Packed;
use super::{Damaged, VECTOR_LEN, integers, packed};

const GRID_AT: usize = 0;
const IS_CORRECTED_AT: usize = GRID_AT + 1;
const INTEGERS_AT: usize = IS_CORRECTED_AT + 1;
const _: () = assert!(IS_CORRECTED_AT == 1, "the table above says 1");
const _: () = assert!(INTEGERS_AT == 2, "the table above says 2");

/// Largest correction that leaves a value's integer as it is; others get their neighbour's.
pub(super) const NOISE_MAX: u64 = 1 << 16;

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    grid: Grid,
    integers: [i64; VECTOR_LEN],
    plan: integers::Plan,
    corrections: Option<Corrections>,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

impl Plan {
    /// Whether some values are not on the grid.
    pub(super) const fn has_corrections(&self) -> bool {
        self.corrections.is_some()
    }
}

/// The decimal form of `values`, if they have one that could pay. `grid` is the previous
/// vector's; it is tried first and replaced.
pub(super) fn plan(values: &[f64], grid: &mut Grid) -> Option<Plan> {
    let mut buffer = [0; VECTOR_LEN];
    let integers = &mut buffer[..values.len()];
    let mut corrections = None;
    if grid.integers(values, integers) > 0 {
        let likely = Grid::likely(values)?;
        if likely.integers(values, integers) > 0 {
            repair(likely, values, integers);
            corrections = Corrections::of(likely, values, integers);
        }
        *grid = likely;
    }
    let plan = integers::plan(integers);
    let len = INTEGERS_AT + plan.len + corrections.as_ref().map_or(0, Corrections::len);
    Some(Plan { grid: *grid, integers: buffer, plan, corrections, len })
}

/// Gives values that are far off the grid an integer that costs little: their neighbour's.
fn repair(grid: Grid, values: &[f64], integers: &mut [i64]) {
    let is_near = |at: usize, integer| noise(grid, values[at], integer) <= NOISE_MAX;
    let first = (0..values.len()).find(|&at| is_near(at, integers[at]));
    let mut last = first.map_or(0, |at| integers[at]);
    for (at, integer) in integers.iter_mut().enumerate() {
        if !is_near(at, *integer) {
            *integer = last;
        }
        last = *integer;
    }
}

/// How far `value` is from that of `integer` on the grid, in units in the last place.
pub(super) fn noise(grid: Grid, value: f64, integer: i64) -> u64 {
    let mut on_grid = [0.0];
    grid.values(&[integer], &mut on_grid);
    value.to_bits().wrapping_sub(on_grid[0].to_bits()).cast_signed().unsigned_abs()
}

/// What is to be added to the bits of values on a grid.
#[derive(Clone, Debug)]
pub(super) struct Corrections {
    values: Vec<i64>,
    plan: packed::Plan,
}

impl Corrections {
    /// The corrections that make `values` of the values of `integers`, if any needs one.
    pub(super) fn of(grid: Grid, values: &[f64], integers: &[i64]) -> Option<Self> {
        let mut on_grid = vec![0.0; values.len()];
        grid.values(integers, &mut on_grid);
        let differences = values
            .iter()
            .zip(on_grid)
            .map(|(value, on_grid)| value.to_bits().wrapping_sub(on_grid.to_bits()).cast_signed());
        let values: Vec<i64> = differences.collect();
        if values.iter().all(|&value| value == 0) {
            return None;
        }
        let plan = packed::plan(&values);
        Some(Self { values, plan })
    }

    /// Bytes of them.
    pub(super) const fn len(&self) -> usize {
        self.plan.len
    }

    /// Appends them.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        packed::encode(&self.values, &self.plan, out);
    }
}

/// Adds corrections to values on the grid.
pub(super) fn correct(corrections: &Packed<'_>, values: &mut [f64]) -> Result<(), Damaged> {
    let mut buffer = [0; VECTOR_LEN];
    let corrections_of = &mut buffer[..values.len()];
    corrections.decode(corrections_of)?;
    for (value, correction) in values.iter_mut().zip(corrections_of) {
        *value = f64::from_bits(value.to_bits().wrapping_add(correction.cast_unsigned()));
    }
    Ok(())
}

/// Appends the encoding of the values that `plan` was made for.
pub(super) fn encode(plan: &Plan, count: usize, out: &mut Vec<u8>) {
    out.push(plan.grid.code());
    out.push(u8::from(plan.has_corrections()));
    plan.plan.encode(&plan.integers[..count], out);
    if let Some(corrections) = &plan.corrections {
        corrections.encode(out);
    }
}

/// Takes what stands before the integers: the grid, and whether there are corrections.
fn take_header(reader: &mut Reader<'_>) -> Result<(Grid, bool), Damaged> {
    let grid = Grid::from_code(reader.byte()?)?;
    match reader.byte()? {
        0 => Ok((grid, false)),
        1 => Ok((grid, true)),
        _ => Err(Damaged("a decimal vector is neither corrected nor not")),
    }
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [f64]) -> Result<(), Damaged> {
    let (grid, is_corrected) = take_header(reader)?;
    let mut buffer = [0; VECTOR_LEN];
    let integers = &mut buffer[..out.len()];
    integers::decode(reader, integers)?;
    grid.values(integers, out);
    if is_corrected { correct(&Packed::take(reader, out.len())?, out) } else { Ok(()) }
}

/// How the integers of a vector are written.
pub(super) fn take_integers(reader: &mut Reader<'_>) -> Result<Encoding, Damaged> {
    take_header(reader)?;
    Encoding::from_code(reader.byte()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[f64]) -> Vec<u8> {
        let plan = plan(values, &mut Grid::default()).unwrap();
        let mut out = Vec::new();
        encode(&plan, values.len(), &mut out);
        assert_eq!(plan.len, out.len());
        out
    }

    #[test]
    fn golden_bytes() {
        // Singles of tenths; not corrected; the constant 1.
        assert_eq!(encoded(&[f64::from(0.1_f32); 3]), [0x81, 0, 1, 2]);
        let mut values = [1.5; 9];
        values[8] = -0.0;
        // Tenths, corrected; the constant 15; from 0, in units of their difference, a bit each:
        // 0x8000_0000_0000_0000 - 0x3FF8_0000_0000_0000 = 0x4008 << 48, 8 bits more than 8 × 7.
        let unit = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x84, 0x40];
        let golden = [[1, 1, 1, 30, 1, 0, 0].as_slice(), &unit, &[0, 1]].concat();
        assert_eq!(encoded(&values), golden);
    }

    #[test]
    fn a_unit_in_the_last_place_costs_little() {
        let mut values: Vec<f64> = (0..1000).map(|i| f64::from(i) / 100.0).collect();
        let len = encoded(&values).len();
        for value in values.iter_mut().skip(7).step_by(97) {
            *value = value.next_up();
        }
        assert!(encoded(&values).len() < len + 30);
    }

    #[test]
    fn damage_is_refused() {
        for body in [[0, 2, 1, 2].as_slice(), &[11, 0, 1, 2], &[0, 1, 1, 2], &[0, 0]] {
            assert!(decode(&mut Reader::new(body), &mut [0.0; 2]).is_err(), "{body:?}");
        }
    }
}
