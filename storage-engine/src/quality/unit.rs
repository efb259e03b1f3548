//! `unit_error`: prices in another unit than before, as pence are a hundredth of pounds.

use std::ops::Range;

use super::split::{Split, factor};
use super::view::View;

/// How many of the one unit make one of the other.
const UNITS: f64 = 100.0;

/// A price of the row over the close before is near 100 or 1/100, and no split is on record between
/// them.
pub(super) fn unit_error(
    view: &View<'_>,
    rows: Range<usize>,
    tolerance: f64,
    splits: &[Split],
    mut hit: impl FnMut(usize),
) {
    let close = view.close();
    for at in rows.start.max(1)..rows.end {
        let before = close[at - 1];
        let is_off = |price: f64| {
            let ratio = price / before;
            let near = |usual: f64| (ratio / usual - 1.0).abs() <= tolerance;
            near(UNITS) || near(1.0 / UNITS)
        };
        let any_off = before > 0.0 && view.prices.iter().any(|prices| is_off(prices[at]));
        if any_off && factor(view, at, splits).is_none() {
            hit(at);
        }
    }
}
