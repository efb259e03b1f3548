//! Rules about splits of dated bars: those that nobody put on record, and those that do not fit.

use std::ops::Range;

use barrow_types::DAY_NANOS;

use crate::calendar::{slot_begin, slot_of};

use super::sorted::median_of_sorted;
use super::spike::Returns;
use super::view::View;

/// New shares for one old that are usual; and old ones for a new one.
const RATIOS: [f64; 8] = [2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 10.0, 20.0];
/// Volume after over volume before, from which on it goes the way of a split into more shares; of
/// one into fewer its inverse. Below 1, because a split often falls on a quiet week.
const SAME_WAY: f64 = 2.0 / 3.0;
/// Rows before, and rows from the one at hand on, whose volumes are compared.
pub(super) const AROUND: usize = 5;

/// A split: days from 1970-01-01 to the ex-date, and new shares for one old.
pub(super) type Split = (i64, f64);

/// The product of the splits between the row before `at` and this one, if there are any: after the
/// slot of the one up to the end of the other, or after the date of the one up to that of the
/// other.
pub(super) fn factor(view: &View<'_>, at: usize, splits: &[Split]) -> Option<f64> {
    if splits.is_empty() {
        return None;
    }
    let end = |at: usize| {
        if !view.step.is_dated() {
            return i64::from(view.places[at].date) + 1;
        }
        let slot = slot_of(view.step, view.ts[at]);
        slot_begin(view.step, slot + 1).div_euclid(DAY_NANOS)
    };
    let dates = end(at - 1)..end(at);
    let first = splits.partition_point(|split| split.0 < dates.start);
    let between = splits[first..].iter().take_while(|split| split.0 < dates.end);
    between.map(|split| split.1).reduce(|a, b| a * b)
}

/// `split_suspect`: the close before over the open is near a usual ratio, volume does not speak
/// against it, and no split is on record.
pub(super) fn split_suspect(
    view: &View<'_>,
    rows: Range<usize>,
    tolerance: f64,
    splits: &[Split],
    mut hit: impl FnMut(usize),
) {
    let (open, close, volume) = (view.open(), view.close(), view.volume());
    for at in rows.start.max(1)..rows.end {
        if !(open[at] > 0.0 && close[at - 1] > 0.0) {
            continue;
        }
        let ratio = close[at - 1] / open[at];
        let near = |usual: f64| (ratio / usual - 1.0).abs() <= tolerance;
        if !RATIOS.iter().any(|&usual| near(usual) || near(1.0 / usual)) {
            continue;
        }
        let before = median(&volume[at.saturating_sub(AROUND)..at]);
        let after = median(&volume[at..volume.len().min(at + AROUND)]);
        let scale = after / before;
        let same_way =
            before > 0.0 && if ratio > 1.0 { scale > SAME_WAY } else { scale < 1.0 / SAME_WAY };
        if same_way && factor(view, at, splits).is_none() {
            hit(at);
        }
    }
}

/// `adj_continuity`: across a split on record the adjusted return is more than `k` times what is
/// usual.
pub(super) fn adj_continuity(
    view: &View<'_>,
    rows: Range<usize>,
    k: f64,
    splits: &[Split],
    mut hit: impl FnMut(usize),
) {
    let close = view.close();
    for at in rows.start.max(1)..rows.end {
        let Some(factor) = factor(view, at, splits) else { continue };
        if !(close[at - 1] > 0.0 && close[at] > 0.0 && factor > 0.0) {
            continue;
        }
        let adjusted = (close[at] * factor / close[at - 1]).ln();
        if Returns::before(close, at).is_far(adjusted, k) {
            hit(at);
        }
    }
}

/// The median of some volumes; NaN if one is not known.
fn median(volumes: &[f64]) -> f64 {
    let mut sorted = volumes.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.iter().any(|volume| volume.is_nan()) { f64::NAN } else { median_of_sorted(&sorted) }
}
