//! S(f) of `docs/FEATURES.md`: sums in eight lanes, the same for windows with and without nulls.
//!
//! A window is looked at in eights, the last one beyond its end if need be; what lies there, and
//! what is null, counts as 0.

use std::ops::{Add, Div, Mul, Sub};

/// The lanes of a sum. They are part of what a sum means.
pub(crate) const LANES: usize = 8;

/// Eight places of a window, a lane each.
#[derive(Clone, Copy)]
pub(crate) struct Eight(pub(crate) [f64; LANES]);

impl Eight {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    pub(crate) const fn all(value: f64) -> Self {
        Self([value; LANES])
    }

    /// The first eight.
    #[inline(always)]
    pub(crate) fn of(values: &[f64]) -> Self {
        Self(*values.first_chunk().expect("invariant: rows have windows of eight"))
    }

    #[inline(always)]
    fn both(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self(self.0.map(f))
    }

    /// +0.0 where the bits are not.
    #[inline(always)]
    fn only(self, bits: [u64; LANES]) -> Self {
        Self(std::array::from_fn(|lane| f64::from_bits(self.0[lane].to_bits() & bits[lane])))
    }

    /// Another value where the bits are not.
    #[inline(always)]
    fn or(self, bits: [u64; LANES], other: f64) -> Self {
        Self(std::array::from_fn(|lane| {
            let (value, other) = (self.0[lane].to_bits(), other.to_bits());
            f64::from_bits((value & bits[lane]) | (other & !bits[lane]))
        }))
    }

    /// ((a0+a4)+(a2+a6)) + ((a1+a5)+(a3+a7)).
    #[inline(always)]
    pub(crate) fn total(self) -> f64 {
        let a = self.0;
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
}

impl Add for Eight {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.both(other, |x, y| x + y)
    }
}

impl Sub for Eight {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.both(other, |x, y| x - y)
    }
}

impl Div for Eight {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.both(other, |x, y| x / y)
    }
}

impl Mul for Eight {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.both(other, |x, y| x * y)
    }
}

/// A window, in eights.
pub(crate) type Eights<'a> = &'a [[f64; LANES]];

/// Which places of a window are valid.
pub(crate) trait Mask: Copy {
    /// All bits set for each valid place of an eight that lies in the window whole.
    fn bits(self, at: usize) -> Option<[u64; LANES]>;
    /// The same of the last eight.
    fn last(self, at: usize) -> [u64; LANES];
    /// How many places there are, if all are valid.
    fn dense(self) -> Option<usize>;
}

/// For each rest of a window by eight, the lanes that lie in it; for 0 all.
const TAILS: [[u64; LANES]; LANES] = {
    let mut tails = [[0; LANES]; LANES];
    let mut rest = 0;
    while rest < LANES {
        let mut lane = 0;
        while lane < LANES {
            if rest == 0 || lane < rest {
                tails[rest][lane] = u64::MAX;
            }
            lane += 1;
        }
        rest += 1;
    }
    tails
};

/// All are: so many.
#[derive(Clone, Copy)]
pub(crate) struct Dense(pub(crate) usize);

impl Mask for Dense {
    #[inline(always)]
    fn bits(self, _at: usize) -> Option<[u64; LANES]> {
        None
    }

    #[inline(always)]
    fn last(self, _at: usize) -> [u64; LANES] {
        TAILS[self.0 % LANES]
    }

    #[inline(always)]
    fn dense(self) -> Option<usize> {
        Some(self.0)
    }
}

/// Those that have no reason to be null.
#[derive(Clone, Copy)]
pub(crate) struct Sparse<'a> {
    pub(crate) reasons: &'a [[u8; LANES]],
    pub(crate) slots: usize,
}

impl Sparse<'_> {
    #[inline(always)]
    fn eight(self, at: usize) -> [u64; LANES] {
        self.reasons[at].map(|reason| u64::from(reason == 0).wrapping_neg())
    }

    pub(crate) fn count(self) -> usize {
        let reasons = &self.reasons.as_flattened()[..self.slots];
        reasons.iter().filter(|reason| **reason == 0).count()
    }
}

impl Mask for Sparse<'_> {
    #[inline(always)]
    fn bits(self, at: usize) -> Option<[u64; LANES]> {
        Some(self.eight(at))
    }

    #[inline(always)]
    fn last(self, at: usize) -> [u64; LANES] {
        let (valid, tail) = (self.eight(at), TAILS[self.slots % LANES]);
        std::array::from_fn(|lane| valid[lane] & tail[lane])
    }

    #[inline(always)]
    fn dense(self) -> Option<usize> {
        None
    }
}

/// S of each of the K numbers that `f` makes of the places of two series (twice the same for one).
#[inline(always)]
pub(crate) fn sums<const K: usize, M: Mask>(
    x: Eights<'_>,
    y: Eights<'_>,
    mask: M,
    f: impl Fn(Eight, Eight) -> [Eight; K],
) -> [f64; K] {
    let mut lanes = [Eight::ZERO; K];
    let (Some((x_last, x)), Some((y_last, y))) = (x.split_last(), y.split_last()) else {
        return [0.0; K];
    };
    for (at, (x, y)) in x.iter().zip(y).enumerate() {
        let terms = f(Eight(*x), Eight(*y));
        for k in 0..K {
            let term = mask.bits(at).map_or(terms[k], |bits| terms[k].only(bits));
            lanes[k] = lanes[k] + term;
        }
    }
    let terms = f(Eight(*x_last), Eight(*y_last));
    let bits = mask.last(x.len());
    let mut totals = [0.0; K];
    for k in 0..K {
        totals[k] = (lanes[k] + terms[k].only(bits)).total();
    }
    totals
}

/// S for the windows of eight rows, each a slot later than the one before, without nulls: the same
/// sums as [`sums`] takes of each, side by side. `x` and `y` begin with the first window and end
/// with the last; `f` is also told the place.
#[inline(always)]
pub(crate) fn row_sums<const K: usize>(
    x: &[f64],
    y: &[f64],
    slots: usize,
    f: impl Fn(usize, Eight, Eight) -> [Eight; K],
) -> [Eight; K] {
    let (x, y) = (&x[..slots + LANES - 1], &y[..slots + LANES - 1]);
    let mut lanes = [[Eight::ZERO; K]; LANES];
    for (lane, sums) in lanes.iter_mut().enumerate() {
        let mut sum = [Eight::ZERO; K];
        for place in (lane..slots).step_by(LANES) {
            let terms = f(place, Eight::of(&x[place..]), Eight::of(&y[place..]));
            for k in 0..K {
                sum[k] = sum[k] + terms[k];
            }
        }
        *sums = sum;
    }
    let mut totals = [Eight::ZERO; K];
    for k in 0..K {
        let a = lanes.map(|sums| sums[k]);
        totals[k] = ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
    }
    totals
}

/// The means of eight rows, as [`clamp`] brings them back.
#[inline(always)]
pub(crate) fn row_clamp(means: Eight, x: &[f64], slots: usize) -> Eight {
    let mut low = Eight::of(&x[slots - 1..]);
    let mut high = low;
    for (place, x) in x[..slots + LANES - 1].windows(LANES).enumerate() {
        let x = Eight::of(x);
        low = low.both(x, |x, y| if y < x { y } else { x });
        high = high.both(x, |x, y| if y > x { y } else { x });
        if place % LANES == 3 {
            let mut inside = true;
            for row in 0..LANES {
                inside &= low.0[row] <= means.0[row] && means.0[row] <= high.0[row];
            }
            if inside {
                return means;
            }
        }
    }
    Eight(std::array::from_fn(|row| back(means.0[row], low.0[row], high.0[row])))
}

/// Writes eight rows of a column.
#[inline(always)]
pub(super) fn put(columns: &mut [f64], column: usize, stride: usize, row: usize, values: Eight) {
    columns[column * stride + row..][..LANES].copy_from_slice(&values.0);
}

/// S(f) of one series.
#[inline(always)]
pub(crate) fn sum<M: Mask>(x: Eights<'_>, mask: M, f: impl Fn(Eight) -> Eight) -> f64 {
    let mut lanes = Eight::ZERO;
    let Some((last, x)) = x.split_last() else { return 0.0 };
    for (at, x) in x.iter().enumerate() {
        let terms = f(Eight(*x));
        lanes = lanes + mask.bits(at).map_or(terms, |bits| terms.only(bits));
    }
    (lanes + f(Eight(*last)).only(mask.last(x.len()))).total()
}

/// The product in lanes, as S is the sum: beginning at 1, nulls leave a lane as it is.
pub(crate) fn product<M: Mask>(x: Eights<'_>, mask: M) -> f64 {
    let mut lanes = Eight::all(1.0);
    let last = x.len() - 1;
    for (at, x) in x.iter().enumerate() {
        let bits = if at == last { Some(mask.last(at)) } else { mask.bits(at) };
        lanes = lanes * bits.map_or(Eight(*x), |bits| Eight(*x).or(bits, 1.0));
    }
    let a = lanes.0;
    ((a[0] * a[4]) * (a[2] * a[6])) * ((a[1] * a[5]) * (a[3] * a[7]))
}

/// S(f)/n, clamped to the least and the greatest f.
#[inline(always)]
pub(crate) fn mean<M: Mask>(x: Eights<'_>, mask: M, n: f64, f: impl Fn(Eight) -> Eight) -> f64 {
    clamp(sum(x, mask, &f) / n, x, mask, f)
}

/// The mean, brought back between the least and the greatest of what it is the mean of.
#[inline(always)]
pub(crate) fn clamp<M: Mask>(mean: f64, x: Eights<'_>, mask: M, f: impl Fn(Eight) -> Eight) -> f64 {
    let last = x.len() - 1;
    // Between any two of them it is between the least and the greatest.
    if let Some(slots) = mask.dense() {
        let (oldest, newest) = (f(Eight(x[0])).0[0], f(Eight(x[last])).0[(slots - 1) % LANES]);
        if (oldest <= mean && mean <= newest) || (newest <= mean && mean <= oldest) {
            return mean;
        }
    }
    let (mut least, mut greatest) = (Eight::all(f64::INFINITY), Eight::all(f64::NEG_INFINITY));
    for (at, x) in x.iter().enumerate() {
        let terms = f(Eight(*x));
        let bits = if at == last { Some(mask.last(at)) } else { mask.bits(at) };
        let (low, high) = bits.map_or((terms, terms), |bits| {
            (terms.or(bits, f64::INFINITY), terms.or(bits, f64::NEG_INFINITY))
        });
        least = least.both(low, |x, y| if y < x { y } else { x });
        greatest = greatest.both(high, |x, y| if y > x { y } else { x });
        let below = least.0.iter().any(|x| *x <= mean);
        let above = greatest.0.iter().any(|x| *x >= mean);
        if below && above {
            return mean;
        }
    }
    outside(mean, least, greatest)
}

#[inline(never)]
fn outside(mean: f64, least: Eight, greatest: Eight) -> f64 {
    let least = least.0.into_iter().fold(f64::INFINITY, |x, y| if y < x { y } else { x });
    let greatest = greatest.0.into_iter().fold(f64::NEG_INFINITY, |x, y| if y > x { y } else { x });
    back(mean, least, greatest)
}

#[inline(always)]
fn back(mean: f64, least: f64, greatest: f64) -> f64 {
    if mean < least {
        least
    } else if mean > greatest {
        greatest
    } else {
        mean
    }
}
