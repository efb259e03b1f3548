//! Decimal grids: doubles that are integers divided by a power of ten.
//!
//! A grid is a byte:
//!
//! | bits | field | meaning |
//! |-----:|-------|---------|
//! | 0–6 | `exponent` | e, 0 to 10 |
//! | 7 | `is_single` | whether values were rounded to single precision on their way here |
//!
//! The value of an integer is the nearest double to it, divided by 10^e, as IEEE 754 divides: the
//! one correctly rounded result, the same on every machine. On a grid of single precision that is
//! then rounded to the nearest single (24 bits, ties to even) and widened again: 51.06 from a
//! table of singles is the double 51.060001373291016.

use super::Damaged;

/// 10^e for every exponent there is. Each is a double exactly.
const POWERS: [f64; 11] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
/// Adding and taking away 1.5 × 2^52 rounds any double below 2^51 to an integer, which then
/// stands in the lowest bits of the sum: no conversion, so loops become vector instructions.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Largest integer on a grid: 2^51.
const INTEGER_MAX: f64 = 2_251_799_813_685_248.0;
/// Values looked at to choose an exponent.
const SAMPLE_LEN: usize = 32;
/// Bits that a value which is not on the grid takes.
const EXCEPTION_WIDTH: usize = 74;
const SINGLE: u8 = 0x80;

/// Exponents below which integers below 2^31 need no division.
const FAST_LEN: usize = 7;
/// 1 / 10^e, cut off after 22 bits: times an integer of 31 bits that is a double exactly.
const INVERSES: [f64; FAST_LEN] = {
    let mut inverses = [0.0; FAST_LEN];
    let mut exponent = 0;
    while exponent < FAST_LEN {
        inverses[exponent] = f64::from_bits((1.0 / POWERS[exponent]).to_bits() >> 31 << 31);
        exponent += 1;
    }
    inverses
};
/// What [`INVERSES`] lack: 1 - 10^e × inverse is exact, its quotient the nearest double.
const INVERSE_RESTS: [f64; FAST_LEN] = {
    let mut rests = [0.0; FAST_LEN];
    let mut exponent = 0;
    while exponent < FAST_LEN {
        rests[exponent] = (1.0 - INVERSES[exponent] * POWERS[exponent]) / POWERS[exponent];
        exponent += 1;
    }
    rests
};

/// A decimal grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grid {
    exponent: u8,
    is_single: bool,
}

impl Grid {
    /// The byte that says which one it is.
    pub(super) const fn code(self) -> u8 {
        self.exponent | if self.is_single { SINGLE } else { 0 }
    }

    /// The grid of that byte.
    pub(super) fn from_code(code: u8) -> Result<Self, Damaged> {
        let grid = Self { exponent: code & !SINGLE, is_single: code & SINGLE != 0 };
        if usize::from(grid.exponent) < POWERS.len() {
            Ok(grid)
        } else {
            Err(Damaged("the exponent of a decimal vector is larger than 10"))
        }
    }

    /// 10^e: how many steps of the grid there are from 0 to 1.
    pub(super) fn power(self) -> f64 {
        POWERS[usize::from(self.exponent)]
    }

    /// The nearest integer of `value`, and whether it gives the value back.
    #[inline]
    fn integer(self, value: f64) -> (i64, bool) {
        let power = self.power();
        let sum = value * power + ROUND;
        let rounded = sum - ROUND;
        let quotient = rounded / power;
        let back = if self.is_single { single(quotient) } else { quotient };
        let is_small = rounded.abs() <= INTEGER_MAX;
        (bits_of(sum), (back.to_bits() == value.to_bits()) & is_small)
    }

    /// Whether `value` is on the grid.
    pub(super) fn holds(self, value: f64) -> bool {
        self.integer(value).1
    }

    /// Writes the nearest integers of `values` and returns how many values are not on the grid.
    /// Theirs are anything if the values are 2^51 steps or more from 0.
    pub(super) fn integers(self, values: &[f64], out: &mut [i64]) -> usize {
        let mut misses = 0;
        for (&value, out) in values.iter().zip(out) {
            let (integer, is_on_grid) = self.integer(value);
            *out = integer;
            misses += usize::from(!is_on_grid);
        }
        misses
    }

    /// Writes the values of `integers`.
    pub(super) fn values(self, integers: &[i64], out: &mut [f64]) {
        // A number plus 2^n has no bit above n where it lies between -2^n and 2^n.
        let beyond = |n: u32| {
            integers.iter().fold(0, |all, it| all | it.wrapping_add(1 << n).cast_unsigned())
                >> (n + 1)
                != 0
        };
        let power = self.power();
        let pairs = integers.iter().zip(out.iter_mut());
        if let Some((inverse, rest)) = self.inverse()
            && !beyond(31)
        {
            pairs.for_each(|(it, out)| *out = times(exact(*it), inverse, rest));
        } else if beyond(51) {
            pairs.for_each(|(it, out)| *out = *it as f64 / power);
        } else if self.exponent == 0 {
            pairs.for_each(|(it, out)| *out = exact(*it));
        } else {
            pairs.for_each(|(it, out)| *out = exact(*it) / power);
        }
        self.round(out);
    }

    /// Whether [`Self::values_of_small`] can be used.
    pub(super) fn is_fast(self) -> bool {
        self.inverse().is_some()
    }

    /// As [`Self::values`] on a grid that [`Self::is_fast`].
    pub(super) fn values_of_small(self, integers: &[i32], out: &mut [f64]) {
        let (inverse, rest) = self.inverse().expect("invariant: the grid is fast");
        for (out, integer) in out.iter_mut().zip(integers) {
            *out = times(f64::from(*integer), inverse, rest);
        }
        self.round(out);
    }

    fn inverse(self) -> Option<(f64, f64)> {
        let exponent = usize::from(self.exponent);
        INVERSES.get(exponent).copied().zip(INVERSE_RESTS.get(exponent).copied())
    }

    fn round(self, values: &mut [f64]) {
        if self.is_single {
            values.iter_mut().for_each(|value| *value = single(*value));
        }
    }

    /// The grid of the smallest exponent, at least this one's, that holds `value`.
    fn finer(self, value: f64) -> Option<Self> {
        (self.exponent..)
            .map_while(|exponent| {
                let exists = usize::from(exponent) < POWERS.len();
                exists.then_some(Self { exponent, ..self })
            })
            .find(|grid| grid.holds(value))
    }

    /// The coarsest grid that holds each value by itself; large ones may still be too large for
    /// it together.
    pub(super) fn of_all<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> Option<Self> {
        let of_all = |is_single| {
            values.clone().try_fold(Self { exponent: 0, is_single }, |grid, &value| {
                if grid.holds(value) { Some(grid) } else { grid.finer(value) }
            })
        };
        of_all(false).or_else(|| of_all(true))
    }

    /// The grid that should be cheapest, from a sample of `values`; `None` if hardly any value is
    /// on one.
    pub(super) fn likely(values: &[f64]) -> Option<Self> {
        Self::likely_of(values, false).or_else(|| Self::likely_of(values, true))
    }

    fn likely_of(values: &[f64], is_single: bool) -> Option<Self> {
        let stride = values.len().div_ceil(SAMPLE_LEN);
        let mut count_of_exponent = [0_usize; POWERS.len()];
        let mut sample_count = 0;
        for &value in values.iter().step_by(stride.max(1)) {
            sample_count += 1;
            if let Some(grid) = (Self { exponent: 0, is_single }).finer(value) {
                count_of_exponent[usize::from(grid.exponent)] += 1;
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
        best.filter(|_| on_grid * 2 >= sample_count)
            .map(|(exponent, _)| Self { exponent, is_single })
    }
}

/// The integer nearest to `value`, ties to even, if that lies between -2^51 and 2^51.
pub(super) const fn nearest(value: f64) -> i64 {
    bits_of(value + ROUND)
}

const fn bits_of(sum: f64) -> i64 {
    sum.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed()
}

/// An integer between -2^51 and 2^51 as a double.
#[inline]
const fn exact(integer: i64) -> f64 {
    f64::from_bits(ROUND.to_bits().wrapping_add(integer.cast_unsigned())) - ROUND
}

/// An integer of at most 31 bits and a sign, divided by 10^e with e up to 6: two multiplications
/// take a fifth of the time of a division and give the same bits.
///
/// The first product is exact (22 and 31 bits). What the second one and the inverse's rest are
/// off by is below 2^-73 of the quotient. The sum is rounded once; it can be rounded otherwise
/// than the true quotient only if that lies as near to the middle between two doubles. But
/// x / 10^e is at least 2^-54 / 5^e of itself away from any such middle, for 5^e times their
/// difference is a whole number of half steps; and 5^6 is below 2^14.
#[inline]
fn times(integer: f64, inverse: f64, rest: f64) -> f64 {
    integer * inverse + integer * rest
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the point")]
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(exponent: u8) -> Grid {
        Grid { exponent, is_single: false }
    }

    #[test]
    fn codes_lead_back_to_their_grid() {
        for code in (0..=10).chain(0x80..=0x8A) {
            assert_eq!(Grid::from_code(code).unwrap().code(), code);
        }
        for code in [11, 0x7F, 0x8B, 0xFF] {
            assert!(Grid::from_code(code).is_err(), "{code}");
        }
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
            (51.060_001_373_291_016, None),
        ] {
            assert_eq!(grid(0).finer(value), exponent.map(grid), "{value}");
        }
    }

    #[test]
    fn singles_are_on_the_grid_of_their_decimals() {
        let values = [51.060_001_373_291_016, 51.5, 0.100_000_001_490_116_12];
        let found = Grid::of_all(values.iter()).unwrap();
        assert_eq!(found, Grid { exponent: 2, is_single: true });
        let mut integers = [0; 3];
        assert_eq!(found.integers(&values, &mut integers), 0);
        assert_eq!(integers, [5106, 5150, 10]);
        assert_eq!(Grid::likely(&values), Some(found));
        assert_eq!(Grid::of_all([51.06, 51.060_001_373_291_016].iter()), None);
    }

    #[test]
    fn values_of_integers_are_quotients_at_every_border() {
        for exponent in 0..=10 {
            for power in [0, 29, 30, 31, 49, 50, 51, 52, 53, 62] {
                for integer in [(1_i64 << power) - 1, 1 << power, (1 << power) + 1] {
                    for integer in [integer, -integer] {
                        let mut out = [0.0];
                        grid(exponent).values(&[integer], &mut out);
                        let quotient = integer as f64 / POWERS[usize::from(exponent)];
                        assert_eq!(out[0].to_bits(), quotient.to_bits(), "{integer} {exponent}");
                    }
                }
            }
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
            prop_assert_eq!(grid(exponent).integers(&[value], &mut integers), 0);
            prop_assert_eq!(integers, [integer]);
            let mut back = [0.0];
            grid(exponent).values(&integers, &mut back);
            prop_assert_eq!(back[0].to_bits(), value.to_bits());
        }

        #[test]
        fn multiplications_divide_to_the_bit(
            integers in prop::collection::vec(any::<i32>(), 256),
            shift in 0..31_u32,
            exponent in 0..7_u8,
        ) {
            let integers: Vec<i32> = integers.iter().map(|integer| integer >> shift).collect();
            let mut values = vec![0.0; integers.len()];
            grid(exponent).values_of_small(&integers, &mut values);
            for (integer, value) in integers.iter().zip(values) {
                let quotient = f64::from(*integer) / POWERS[usize::from(exponent)];
                prop_assert_eq!(value.to_bits(), quotient.to_bits(), "{}", integer);
            }
        }
    }
}
