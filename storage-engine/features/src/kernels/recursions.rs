//! Operators of all slots since the begin, one step a slot.
//!
//! The state of each is a few numbers, all 0 before the first step, so that states are written,
//! read and compared alike. A step that would leave a number that is not finite is not taken: its
//! cell is null, `non_finite`, and the next step goes on from the state before.

use super::lanes::{Eight, LANES};
use crate::call::Recursion;
use crate::cell::{NON_FINITE, OK, WARM_UP};
use crate::columns::Scratch;
use crate::operator::Operator;
use crate::state::State;

/// How many numbers the state of an operator has.
pub(crate) const fn state_len(operator: Operator, slots: usize) -> usize {
    match operator {
        Operator::Ema => 3,
        Operator::EwmVar => 6,
        Operator::Kama => 2 + slots + 1,
        Operator::PrevLast => 5,
        Operator::Emas | Operator::Wilder | Operator::WilderSum => 2,
        _ => 3,
    }
}

pub(super) fn run(call: &Recursion, scratch: &mut Scratch, state: &mut State, rows: usize) {
    let first = state.slots + 1;
    let memory = &mut state.recursions[call.state..call.state + call.state_len];
    for row in 0..rows {
        let x = scratch.get(call.inputs[0], row);
        let cell = if call.operator.has_session() {
            let session = scratch.get(call.inputs[1], row);
            within_session(call.operator, memory, x, session)
        } else if x.1 == OK {
            step(call, memory, x.0)
        } else {
            rest(call, memory)
        };
        let cell = if first + row as u64 <= call.warm_up { (0.0, WARM_UP) } else { cell };
        scratch.set(call.out, row, cell);
    }
    scratch.look(call.out, rows);
}

impl Operator {
    const fn has_session(self) -> bool {
        matches!(
            self,
            Self::CumSum
                | Self::CumMax
                | Self::CumMin
                | Self::CumCount
                | Self::CumFirst
                | Self::PrevLast
        )
    }
}

/// Takes a step with a valid value.
fn step(call: &Recursion, memory: &mut [f64], x: f64) -> (f64, u8) {
    let n = call.slots as f64;
    let rate = 2.0 / (n + 1.0);
    let taken = match call.operator {
        Operator::Ema => ema(memory, rate, x),
        Operator::EwmVar => return ewm_var(memory, rate, x),
        Operator::Emas => seeded(memory, n, x, |e| e + rate * (x - e)),
        Operator::Wilder => seeded(memory, n, x, |e| (e * (n - 1.0) + x) / n),
        Operator::WilderSum => wilder_sum(memory, n, x),
        _ => kama(memory, x),
    };
    if taken.is_some() { value(call, memory) } else { (0.0, NON_FINITE) }
}

/// What is said where there is no valid value: the value before, though weights grow old.
fn rest(call: &Recursion, memory: &mut [f64]) -> (f64, u8) {
    let kept = 1.0 - 2.0 / (call.slots as f64 + 1.0);
    match call.operator {
        Operator::Ema => memory[1] *= kept,
        Operator::EwmVar => {
            memory[1] *= kept;
            memory[2] *= kept * kept;
        }
        _ => {}
    }
    value(call, memory)
}

fn value(call: &Recursion, memory: &[f64]) -> (f64, u8) {
    let n = call.slots as f64;
    let (seeded, value) = match call.operator {
        Operator::Ema => (memory[0] > 0.0, memory[2]),
        Operator::EwmVar => (memory[0] > 1.0, memory[5]),
        Operator::Kama => (memory[0] > n, memory[1]),
        _ => (memory[0] >= n, memory[1]),
    };
    if seeded { (value + 0.0, OK) } else { (0.0, WARM_UP) }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value + 0.0)
}

/// Whether there was a value, the sum of the weights, the mean.
fn ema(memory: &mut [f64], rate: f64, x: f64) -> Option<()> {
    let [seen, weights, mean] = memory else { return None };
    if *seen == 0.0 {
        (*seen, *weights, *mean) = (1.0, 1.0, x);
        return Some(());
    }
    let old = *weights * (1.0 - rate);
    // Of equal values the mean is that value, in every bit.
    *mean = finite(*mean + (x - *mean) / (old + 1.0))?;
    *weights = old + 1.0;
    Some(())
}

/// How many values there were, up to two; the sums of the weights and of their products with each
/// other, the mean, the biased variance, the value. The square of the one sum less the squares of
/// the weights would be those products too, but nothing is left of it where all but one are small.
fn ewm_var(memory: &mut [f64], rate: f64, x: f64) -> (f64, u8) {
    let [seen, weights, products, mean, biased, value] = memory else { return (0.0, NON_FINITE) };
    if *seen == 0.0 {
        (*seen, *weights, *products, *mean) = (1.0, 1.0, 0.0, x);
        return (0.0, WARM_UP);
    }
    let kept = 1.0 - rate;
    let old = *weights * kept;
    let next = *mean + (x - *mean) / (old + 1.0);
    let (moved, away) = (*mean - next, x - next);
    let variance = (old * (*biased + moved * moved) + away * away) / (old + 1.0);
    let (Some(next), Some(variance)) = (finite(next), finite(variance)) else {
        return (0.0, NON_FINITE);
    };
    (*mean, *biased, *weights) = (next, variance, old + 1.0);
    *products = *products * (kept * kept) + 2.0 * old;
    let square = *weights * *weights;
    match finite(square / *products * variance) {
        Some(result) => {
            (*seen, *value) = (2.0, result);
            (result, OK)
        }
        None => {
            (*seen, *value) = (1.0, 0.0);
            (0.0, NON_FINITE)
        }
    }
}

/// How many values there were, up to N; their sum, and from the Nth on the mean.
fn seeded(memory: &mut [f64], n: f64, x: f64, next: impl Fn(f64) -> f64) -> Option<()> {
    let [count, mean] = memory else { return None };
    if *count >= n {
        *mean = finite(next(*mean))?;
        return Some(());
    }
    let sum = finite(*mean + x)?;
    *count += 1.0;
    *mean = if *count >= n { sum / n } else { sum };
    Some(())
}

/// How many values there were, up to N; their sum, from the Nth on the running one.
fn wilder_sum(memory: &mut [f64], n: f64, x: f64) -> Option<()> {
    let [count, sum] = memory else { return None };
    let kept = if *count + 1.0 >= n { *sum - *sum / n } else { *sum };
    *sum = finite(kept + x)?;
    *count = (*count + 1.0).min(n);
    Some(())
}

/// How many values there were, up to N + 1; the average; the last N + 1 values.
fn kama(memory: &mut [f64], x: f64) -> Option<()> {
    let [count, average, values @ ..] = memory else { return None };
    let n = values.len() - 1;
    let full = n as f64;
    let mut next = *average;
    if *count + 1.0 == full {
        next = x;
    } else if *count >= full {
        let (slow, fast) = (2.0 / 31.0, 2.0 / 3.0);
        let before = &values[1..];
        let change = |at: usize| (before.get(at + 1).unwrap_or(&x) - before[at]).abs();
        let mut lanes = [0.0; LANES];
        for at in 0..n {
            lanes[at % LANES] += change(at);
        }
        let path = Eight(lanes).total();
        let way = (x - before[0]).abs();
        let efficiency = if way >= path { 1.0 } else { way / path };
        let rate = efficiency * (fast - slow) + slow;
        next = *average + (x - *average) * (rate * rate);
    }
    *average = finite(next)?;
    *count = (*count + 1.0).min(full + 1.0);
    values.copy_within(1.., 0);
    values[n] = x;
    Some(())
}

/// A step of an operator that begins anew with each session.
fn within_session(
    operator: Operator,
    memory: &mut [f64],
    (x, reason): (f64, u8),
    (session, session_reason): (f64, u8),
) -> (f64, u8) {
    if session_reason != OK {
        return (0.0, session_reason);
    }
    if operator == Operator::PrevLast {
        return previous_last(memory, x, reason, session);
    }
    let [of, seen, so_far] = memory else { return (0.0, NON_FINITE) };
    if *of != session {
        (*of, *seen, *so_far) = (session, 0.0, 0.0);
    }
    if reason == OK {
        let is_first = *seen == 0.0;
        let next = match operator {
            Operator::CumSum => *so_far + x,
            Operator::CumCount => *so_far + 1.0,
            Operator::CumMax if !is_first && *so_far >= x => *so_far,
            Operator::CumMin if !is_first && *so_far <= x => *so_far,
            Operator::CumFirst if !is_first => *so_far,
            _ => x,
        };
        let Some(next) = finite(next) else { return (0.0, NON_FINITE) };
        (*seen, *so_far) = (1.0, next);
    }
    if *seen > 0.0 || operator == Operator::CumCount { (*so_far, OK) } else { (0.0, WARM_UP) }
}

/// The session; whether there was a value, the last; the same as the session began.
fn previous_last(memory: &mut [f64], x: f64, reason: u8, session: f64) -> (f64, u8) {
    let [of, seen, last, seen_before, before] = memory else { return (0.0, NON_FINITE) };
    if *of != session {
        (*of, *seen_before, *before) = (session, *seen, *last);
    }
    if reason == OK {
        (*seen, *last) = (1.0, x);
    }
    if *seen_before > 0.0 { (*before, OK) } else { (0.0, WARM_UP) }
}
