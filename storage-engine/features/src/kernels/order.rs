//! Order statistics: the window is kept sorted, one cell leaves it and one enters at each slot.

use super::finish::Finish;
use crate::call::Order;
use crate::cell::OK;
use crate::columns::Scratch;
use crate::operator::Operator;
use crate::plan::ContextPlan;
use crate::state::State;

pub(super) fn run<const ONE: bool>(
    call: &Order,
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &mut State,
    rows: usize,
) {
    let spec = &plan.sorted[call.sorted];
    let mut len = state.sorted_lens[call.sorted];
    let mut sorted = std::mem::take(&mut state.sorted);
    let window = &mut sorted[spec.at..spec.at + spec.slots];
    let mut columns = scratch.take_sums(1 + call.outs.len());
    let (rows, stride) = if ONE { (1, 1) } else { (rows, scratch.stride) };
    for row in 0..rows {
        let with_last = state.window(plan, call.ring, call.slots + 1, row);
        let (values, reasons) = (with_last.values(), with_last.reasons());
        let leaves = (reasons[0] == OK).then_some(values[0]);
        let newest = values[call.slots];
        let enters = (reasons[call.slots] == OK).then_some(newest);
        let place = replace(window, &mut len, leaves, enters);
        let valid = &window[..len];
        columns[row] = len as f64;
        for (out, column) in call.outs.iter().zip(1..) {
            columns[column * stride + row] = match out.operator {
                _ if len == 0 => 0.0,
                Operator::Quantile => quantile(valid, out.number),
                Operator::Rank => rank(valid, place, newest),
                _ => median_deviation(valid, &mut scratch.order),
            };
        }
    }
    state.sorted = sorted;
    state.sorted_lens[call.sorted] = len;
    let reasons = state.ago(plan, call.ring, 0, rows).1;
    let finish = Finish::<ONE> { first: state.slots + 1, valid: &columns[..rows] };
    for (out, column) in call.outs.iter().zip(1..) {
        let values = &columns[column * stride..][..rows];
        let newest = (out.operator == Operator::Rank).then_some(reasons);
        finish.column(out, scratch, newest, |row| values[row]);
    }
    scratch.sums = columns;
}

/// Takes one number out of a sorted window and puts one in; the place of the latter, before all
/// that are equal to it.
#[inline(always)]
fn replace(window: &mut [f64], len: &mut usize, leaves: Option<f64>, enters: Option<f64>) -> usize {
    let below = |window: &[f64], value: f64| window.partition_point(|other| *other < value);
    match (leaves, enters) {
        (Some(old), Some(new)) => {
            let valid = &mut window[..*len];
            let (from, to) = (below(valid, old), below(valid, new));
            if from < to {
                valid.copy_within(from + 1..to, from);
                valid[to - 1] = new;
                to - 1
            } else {
                valid.copy_within(to..from, to + 1);
                valid[to] = new;
                to
            }
        }
        (Some(old), None) => {
            let from = below(&window[..*len], old);
            window.copy_within(from + 1..*len, from);
            *len -= 1;
            0
        }
        (None, Some(new)) => {
            let to = below(&window[..*len], new);
            window.copy_within(to..*len, to + 1);
            window[to] = new;
            *len += 1;
            to
        }
        (None, None) => 0,
    }
}

/// Between the two neighbours of q(n-1), in proportion.
#[inline(always)]
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= q <= 1, so the place is one of the window's"
    )]
    let at = place as usize;
    let low = sorted[at];
    let high = sorted[(at + 1).min(sorted.len() - 1)];
    low + (high - low) * (place - at as f64)
}

/// The average rank of a number, the first of whose equals is at a place, by the count.
#[inline(always)]
fn rank(sorted: &[f64], place: usize, value: f64) -> f64 {
    let equal = sorted[place..].iter().take_while(|other| **other == value).count();
    (place as f64 + (equal as f64 + 1.0) / 2.0) / sorted.len() as f64
}

fn median_deviation(sorted: &[f64], deviations: &mut Vec<f64>) -> f64 {
    let median = quantile(sorted, 0.5);
    deviations.clear();
    deviations.extend(sorted.iter().map(|value| (value - median).abs()));
    deviations.sort_unstable_by(f64::total_cmp);
    quantile(deviations, 0.5)
}
