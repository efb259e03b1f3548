//! The largest unit that all numbers of a vector are multiples of: minutes in times, round lots in
//! volumes, quarter points in prices.

use std::ops::ControlFlow;

/// Divides exactly, by a multiplication.
///
/// Source: Henry S. Warren, "Hacker's Delight", 2nd edition, section 10-17: for an odd `d`,
/// `x * inverse(d)` modulo 2^64 is `x / d` if `d` divides `x`, and larger than any such quotient
/// if it does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divisor {
    value: u64,
    inverse: u64,
    shift: u32,
    quotient_max: u64,
}

impl Divisor {
    /// The divisor `value`, which is not 0.
    pub(super) fn new(value: u64) -> Self {
        assert_ne!(value, 0, "invariant: nothing is divided by 0");
        let shift = value.trailing_zeros();
        let odd = value >> shift;
        // Newton: each step doubles the number of right bits; an odd number inverts itself to 3.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { value, inverse, shift, quotient_max: u64::MAX / value }
    }

    /// The divisor.
    pub(super) const fn get(self) -> u64 {
        self.value
    }

    /// `number` divided by the divisor, which divides it.
    #[inline]
    pub(super) const fn quotient(self, number: u64) -> u64 {
        number.wrapping_mul(self.inverse).rotate_right(self.shift)
    }

    const fn divides(self, number: u64) -> bool {
        self.quotient(number) <= self.quotient_max
    }
}

/// The largest number that divides both; the other one if one is 0.
pub(super) const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The greatest common divisor of all numbers; 1 if there are none or all are 0.
pub(super) fn common(mut numbers: impl Iterator<Item = u64>) -> Divisor {
    let first = numbers.find(|&number| number != 0).unwrap_or(1);
    let found = numbers.try_fold(Divisor::new(first), |divisor, number| {
        if divisor.value == 1 {
            ControlFlow::Break(divisor)
        } else if divisor.divides(number) {
            ControlFlow::Continue(divisor)
        } else {
            ControlFlow::Continue(Divisor::new(gcd(number, divisor.value)))
        }
    });
    match found {
        ControlFlow::Break(divisor) | ControlFlow::Continue(divisor) => divisor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_unit_of_lots_and_of_nothing() {
        assert_eq!(common([300, 20_000, 0, 500].into_iter()).get(), 100);
        assert_eq!(common([0, 0].into_iter()).get(), 1);
        assert_eq!(common([u64::MAX, 0].into_iter()).get(), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_multiplication_divides(quotient: u64, divisor in 1_u64.., shift in 0_u32..63) {
            let divisor = (divisor >> shift).max(1);
            let quotient = quotient % (u64::MAX / divisor).max(1);
            prop_assert_eq!(Divisor::new(divisor).quotient(quotient * divisor), quotient);
        }

        #[test]
        fn what_divides_is_told_from_what_does_not(number: u64, divisor in 1_u64..5_000) {
            prop_assert_eq!(Divisor::new(divisor).divides(number), number % divisor == 0);
        }
    }
}
