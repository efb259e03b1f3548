//! `stale_price`: a close that does not move though bars are traded.

use std::ops::Range;

use super::view::View;

/// At least the `n`th bar in a row with one close and a volume above 0, of one session; of dated
/// bars whatever their dates.
pub(super) fn stale_price(
    view: &View<'_>,
    rows: Range<usize>,
    n: usize,
    mut hit: impl FnMut(usize),
) {
    let (close, volume) = (view.close(), view.volume());
    let dated = view.step.is_dated();
    let mut run = 0;
    for at in rows.start.saturating_sub(n - 1)..rows.end {
        let traded = volume[at] > 0.0;
        let goes_on = run > 0
            && traded
            && close[at] == close[at - 1]
            && (dated || view.places[at].date == view.places[at - 1].date);
        run = match (traded, goes_on) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => run + 1,
        };
        if run >= n && at >= rows.start {
            hit(at);
        }
    }
}
