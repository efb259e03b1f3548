//! Sums and means, each over one window of one series.

use super::finish::Finish;
use super::lanes::{
    Dense, Eight, Eights, LANES, Mask, Sparse, clamp, put, row_clamp, row_sums, sum,
};
use crate::call::Means;
use crate::columns::Scratch;
use crate::plan::ContextPlan;
use crate::state::{State, Window};

/// Sums and means of many windows.
pub(super) fn run<const ONE: bool>(
    calls: &[Means],
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &State,
    rows: usize,
) {
    let (rows, stride) = if ONE { (1, 1) } else { (rows, scratch.stride) };
    let mut one = [0.0; 3];
    let mut taken = if ONE { Vec::new() } else { scratch.take_sums(3) };
    let columns = if ONE { one.as_mut_slice() } else { taken.as_mut_slice() };
    for call in calls {
        let mut row = 0;
        while row < rows {
            if !ONE && let Some(x) = state.eight_rows(plan, call.ring, call.slots, row, rows) {
                let n = Eight::all(call.slots as f64);
                let (sum, mean) = eight_means(x, call.slots, n);
                put(columns, 0, stride, row, n);
                put(columns, 1, stride, row, sum);
                put(columns, 2, stride, row, mean);
                row += LANES;
                continue;
            }
            let window = state.window(plan, call.ring, call.slots, row);
            let (n, (sum, mean)) = if state.is_dense(call.ring, rows - 1 - row, &window) {
                let n = call.slots as f64;
                (n, sum_and_mean(window.eights, Dense(call.slots), n, call.mean.is_some()))
            } else {
                sparse_mean(&window)
            };
            (columns[row], columns[stride + row], columns[2 * stride + row]) = (n, sum, mean);
            row += 1;
        }
        let of = |column: usize| &columns[column * stride..][..rows];
        let (sum, mean) = (of(1), of(2));
        let finish = Finish::<ONE> { first: state.slots + 1, valid: of(0) };
        if let Some(out) = &call.sum {
            finish.column(out, scratch, None, |row| sum[row]);
        }
        if let Some(out) = &call.mean {
            finish.column(out, scratch, None, |row| mean[row]);
        }
    }
    if !ONE {
        scratch.sums = taken;
    }
}

/// Sums and means of eight rows.
#[inline(always)]
pub(super) fn eight_means(x: &[f64], slots: usize, n: Eight) -> (Eight, Eight) {
    let [sum] = row_sums(x, x, slots, |_, x, _| [x]);
    (sum, row_clamp(sum / n, x, slots))
}

#[inline(always)]
fn sum_and_mean<M: Mask>(x: Eights<'_>, mask: M, n: f64, with_mean: bool) -> (f64, f64) {
    let sum = sum(x, mask, |x| x);
    (sum, if with_mean { clamp(sum / n, x, mask, |x| x) } else { 0.0 })
}

#[inline(never)]
fn sparse_mean(window: &Window<'_>) -> (f64, (f64, f64)) {
    let mask = Sparse { reasons: window.reasons, slots: window.slots };
    let n = mask.count() as f64;
    (n, sum_and_mean(window.eights, mask, n, true))
}
