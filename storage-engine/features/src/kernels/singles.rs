//! Operators of a window that share nothing with others.

use super::finish::Finish;
use super::lanes::{Dense, LANES, Mask, product, sums};
use super::pairs::{correlation_of, join};
use crate::call::Single;
use crate::cell::OK;
use crate::columns::Scratch;
use crate::operator::Operator;
use crate::plan::ContextPlan;
use crate::state::{State, Window};

pub(super) fn run(
    call: &Single,
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &State,
    rows: usize,
) {
    let mut columns = scratch.take_sums(2);
    let (valid, values) = columns.split_at_mut(scratch.stride);
    let (valid, values) = (&mut valid[..rows], &mut values[..rows]);
    let mut both = std::mem::take(&mut scratch.both);
    for row in 0..rows {
        let x = state.window(plan, call.rings[0], call.slots, row);
        let y = state.window(plan, call.rings[1], call.slots, row);
        let after = rows - 1 - row;
        let dense =
            state.is_dense(call.rings[0], after, &x) && state.is_dense(call.rings[1], after, &y);
        let (count, value) = if dense {
            (call.slots, result(call, &x, &y, |_| true, Dense(call.slots)))
        } else {
            let mask = join(&x, &y, &mut both);
            let is_valid = |place: usize| mask.reasons.as_flattened()[place] == OK;
            (mask.count(), result(call, &x, &y, is_valid, mask))
        };
        // A window in which nothing is found counts as one without values.
        (valid[row], values[row]) = value.map_or((0.0, 0.0), |value| (count as f64, value));
    }
    scratch.both = both;
    let finish = Finish::<false> { first: state.slots + 1, valid };
    finish.column(&call.out, scratch, None, |row| values[row]);
    scratch.sums = columns;
}

/// The result, if there is one.
fn result<M: Mask>(
    call: &Single,
    x: &Window<'_>,
    y: &Window<'_>,
    is_valid: impl Fn(usize) -> bool,
    mask: M,
) -> Option<f64> {
    let places = 0..call.slots;
    let newest_true =
        || places.clone().rev().find(|place| is_valid(*place) && x.values()[*place] != 0.0);
    let value = match call.out.operator {
        Operator::Wma | Operator::DecayExp => {
            let [weighed, weights] = sums(x.eights, &call.weights, mask, |x, w| [w * x, w]);
            weighed / weights
        }
        Operator::Vwap => {
            let [amount, volume] = sums(x.eights, y.eights, mask, |x, v| [x * v, v]);
            amount / volume
        }
        Operator::Prod => product(x.eights, mask),
        Operator::RankCorr => {
            let valid: Vec<usize> = places.filter(|place| is_valid(*place)).collect();
            if valid.is_empty() {
                return None;
            }
            let [x, y] = [x, y].map(|series| ranks(valid.iter().map(|at| series.values()[*at])));
            correlation_of(&x, &y, valid.len())
        }
        Operator::BarsSince => {
            newest_true().map_or(call.slots as f64, |place| (call.slots - 1 - place) as f64)
        }
        // `ValueWhen`: x is the condition.
        _ => y.values()[newest_true()?],
    };
    Some(value)
}

/// The average ranks of values, in eights. They are halves of whole numbers, so that their sums
/// are exact, in whatever lanes.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<[f64; LANES]> {
    let values: Vec<f64> = values.collect();
    let mut sorted = values.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let equal = sorted[below..].partition_point(|other| other <= value);
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    let mut ranks: Vec<f64> = values.iter().map(rank).collect();
    ranks.resize(values.len().next_multiple_of(LANES), 0.0);
    ranks.as_chunks().0.to_vec()
}
