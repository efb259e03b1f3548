//! Rules about the volume of bars.

use std::collections::BTreeSet;
use std::ops::Range;

use super::sorted::Sorted;
use super::view::View;

/// Rows before the one at hand that say what is usual.
pub(super) const WINDOW: usize = 60;
/// Fewer than this many say nothing.
pub(super) const ENOUGH: usize = 20;

/// `volume_spike`: above `k` times the median, above 0, of the volumes before.
pub(super) fn volume_spike(
    view: &View<'_>,
    rows: Range<usize>,
    k: f64,
    mut hit: impl FnMut(usize),
) {
    let volume = view.volume();
    let mut window = Sorted::with_capacity(WINDOW);
    let start = rows.start.saturating_sub(WINDOW);
    for at in start..rows.end {
        if at >= rows.start && window.len() >= ENOUGH {
            let median = window.median();
            if median > 0.0 && volume[at] > k * median {
                hit(at);
            }
        }
        let old = at.checked_sub(WINDOW).filter(|old| *old >= start);
        window.slide(old.map_or(f64::NAN, |old| volume[old]), volume[at]);
    }
}

/// `zero_volume_bar` of dated bars: 0 in an expected slot, and another volume in the `before` rows
/// before.
pub(super) fn zero_volume_dated(
    view: &View<'_>,
    rows: Range<usize>,
    before: usize,
    mut hit: impl FnMut(usize),
) {
    let volume = view.volume();
    for at in rows.filter(|&at| volume[at] == 0.0 && view.places[at].regular) {
        if volume[at.saturating_sub(before)..at].iter().any(|volume| *volume > 0.0) {
            hit(at);
        }
    }
}

/// `zero_volume_bar` of shorter bars: 0 in a slot expected in regular hours, and another volume in
/// the session or one of the `before` sessions before; `ranks` are those of sessions with one.
pub(super) fn zero_volume(
    view: &View<'_>,
    rows: Range<usize>,
    before: usize,
    ranks: &BTreeSet<i64>,
    mut hit: impl FnMut(usize),
) {
    let before = i64::try_from(before).expect("invariant: the threshold has a bound");
    for at in rows.filter(|&at| is_zero(view, at)) {
        let rank = view.places[at].rank;
        if ranks.range(rank - before..=rank).next().is_some() {
            hit(at);
        }
    }
}

/// Whether the volume is 0 in a slot expected in regular hours.
pub(super) fn is_zero(view: &View<'_>, at: usize) -> bool {
    view.volume()[at] == 0.0 && view.places[at].regular
}

/// The ranks of sessions with a volume above 0.
pub(super) fn ranks_with_volume(view: &View<'_>) -> BTreeSet<i64> {
    let mut ranks = BTreeSet::new();
    let mut last = None;
    for (volume, place) in view.volume().iter().zip(view.places) {
        if *volume > 0.0 && last != Some(place.rank) {
            ranks.insert(place.rank);
            last = Some(place.rank);
        }
    }
    ranks
}
