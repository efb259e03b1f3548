//! Rules about a row by itself, or beside facts.

use super::view::View;

/// `ohlc_order`: low is at or below, high at or above, the other prices.
pub(super) fn ohlc_order(view: &View<'_>, at: usize) -> bool {
    let [open, high, low, close] = [0, 1, 2, 3].map(|price: usize| view.prices[price][at]);
    !(low <= open.min(close) && high >= open.max(close) && low <= high)
}

/// `price_positive`.
pub(super) fn price_positive(view: &View<'_>, at: usize) -> bool {
    view.prices.iter().any(|prices| prices[at] <= 0.0)
}

/// `size_nonneg`.
pub(super) fn size_nonneg(view: &View<'_>, at: usize) -> bool {
    view.sizes.iter().any(|sizes| sizes[at] < 0.0)
}

/// `vwap_in_range`, where low and high are positive.
pub(super) fn vwap_in_range(view: &View<'_>, at: usize, tolerance: f64) -> bool {
    let (vwap, high, low) = (view.vwap[at], view.prices[1][at], view.prices[2][at]);
    let outside = vwap < low * (1.0 - tolerance) || vwap > high * (1.0 + tolerance);
    outside && low > 0.0 && high > 0.0
}

/// `crossed_locked`: of quotes with both sides.
pub(super) fn crossed_locked(view: &View<'_>, at: usize) -> bool {
    view.prices[0][at] >= view.prices[1][at]
}

/// Whether a quote on which `crossed_locked` fires is only locked: that is a warning at most.
pub(super) fn is_locked(view: &View<'_>, at: usize) -> bool {
    view.prices[0][at] == view.prices[1][at]
}

/// `tick_size`: `ticks` are tick sizes, each since an instant.
pub(super) fn tick_size(
    view: &View<'_>,
    at: usize,
    ticks: &[(i64, Option<f64>)],
    tolerance: f64,
) -> bool {
    let Some(tick) = tick_in_force(ticks, view.ts[at]) else { return false };
    view.prices.iter().any(|prices| {
        let count = prices[at] / tick;
        (count - count.round()).abs() > tolerance * count.abs().max(1.0)
    })
}

/// The tick size in force at `ts`.
pub(super) fn tick_in_force(ticks: &[(i64, Option<f64>)], ts: i64) -> Option<f64> {
    let in_force = ticks.partition_point(|(since, _)| *since <= ts);
    in_force.checked_sub(1).and_then(|last| ticks[last].1)
}
