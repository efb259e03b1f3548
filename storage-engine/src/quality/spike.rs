//! `spike`: a close that jumps and comes back. And what is usual before a row.

use std::ops::Range;

use super::sorted::Sorted;
use super::view::View;
use super::volume::{ENOUGH, WINDOW};

/// From the median distance from the median to the standard deviation of a normal distribution.
const SCALE: f64 = 1.4826;
/// A jump is over when the close is back by half.
const BACK: f64 = 0.5;
/// Far more than the rounding of a product.
const ROUNDING: f64 = 1e-12;

/// Rows before one that its return and its scale are made of.
pub(super) const ROWS_BEFORE: usize = WINDOW + 1;

/// The logarithm of the return from row `at - 1` to `at`; NaN if there is none.
pub(super) fn return_at(close: &[f64], at: usize) -> f64 {
    match at.checked_sub(1) {
        Some(before) if close[before] > 0.0 && close[at] > 0.0 => (close[at] / close[before]).ln(),
        _ => f64::NAN,
    }
}

/// The returns of the rows before the one at hand.
pub(super) struct Returns<'a> {
    close: &'a [f64],
    window: Sorted,
    /// The last [`WINDOW`] returns, that of row `at` at the place `at % WINDOW`.
    recent: [f64; WINDOW],
    /// The row at hand, and its return.
    at: usize,
    own: f64,
}

impl<'a> Returns<'a> {
    /// At row `at`.
    pub(super) fn before(close: &'a [f64], at: usize) -> Self {
        let start = at.saturating_sub(WINDOW);
        let window = Sorted::with_capacity(WINDOW);
        let recent = [f64::NAN; WINDOW];
        let own = return_at(close, start);
        let mut returns = Self { close, window, recent, at: start, own };
        while returns.at < at {
            returns.step();
        }
        returns
    }

    /// Goes on to the next row.
    pub(super) fn step(&mut self) {
        let old = std::mem::replace(&mut self.recent[self.at % WINDOW], self.own);
        self.window.slide(old, self.own);
        self.at += 1;
        self.own =
            if self.at < self.close.len() { return_at(self.close, self.at) } else { f64::NAN };
    }

    /// Whether a return is more than `k` times what is usual before the row at hand.
    pub(super) fn is_far(&self, own: f64, k: f64) -> bool {
        if own.is_nan() || self.window.len() < ENOUGH {
            return false;
        }
        let near_enough = own.abs() / (k * SCALE) * (1.0 + ROUNDING);
        if self.window.deviates_by(near_enough) {
            return false;
        }
        let sigma = SCALE * self.window.deviation();
        sigma > 0.0 && own.abs() > k * sigma
    }
}

/// `spike`: the return is `min` or more and more than `k` times what is usual, and one of the next
/// `m` closes is back by half.
pub(super) fn spike(
    view: &View<'_>,
    rows: Range<usize>,
    k: f64,
    m: usize,
    min: f64,
    mut hit: impl FnMut(usize),
) {
    let close = view.close();
    let mut returns = Returns::before(close, rows.start);
    for at in rows {
        if returns.own.abs() >= min && returns.is_far(returns.own, k) {
            let before = close[at - 1];
            let after = &close[at + 1..close.len().min(at + 1 + m)];
            let is_back = |later: &f64| {
                *later > 0.0 && (later / before).ln().abs() < BACK * returns.own.abs()
            };
            if after.iter().any(is_back) {
                hit(at);
            }
        }
        returns.step();
    }
}
