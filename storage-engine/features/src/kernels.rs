//! The kernels: what a cell is, given the cells that it depends on.
//!
//! Each takes the rows at hand, one or many, and gives the same bits whatever their number.

use crate::call::Call;
use crate::columns::Scratch;
use crate::plan::ContextPlan;
use crate::state::State;

mod elementwise;
pub(crate) mod extremes;
mod finish;
pub(crate) mod lanes;
mod logic;
mod means;
mod moments;
mod order;
mod pairs;
pub(crate) mod recursions;
mod singles;

/// What elementwise operators know besides their arguments.
#[derive(Clone, Copy)]
struct Rules {
    qlib: bool,
    /// The slot of the first row, counted from 1.
    first: u64,
}

/// Computes the rows at hand of all nodes; fields and imports are there already.
pub(crate) fn run(plan: &ContextPlan, scratch: &mut Scratch, state: &mut State, rows: usize) {
    state.begin(plan, rows);
    if scratch.stride == 1 {
        run_rows::<true>(plan, scratch, state, 1);
    } else {
        run_rows::<false>(plan, scratch, state, rows);
    }
    state.end(rows);
}

/// `ONE` says that there is one row and room for one.
fn run_rows<const ONE: bool>(
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &mut State,
    rows: usize,
) {
    for call in &plan.calls {
        match call {
            Call::Each(operator, each) => {
                let rules = Rules { qlib: plan.qlib, first: state.slots + 1 };
                elementwise::run::<ONE>(*operator, each, rules, scratch, rows);
            }
            Call::Push(pushes) if ONE => {
                for push in pushes {
                    state.push_one(plan, push.ring, scratch.one(push.node));
                }
            }
            Call::Push(pushes) => {
                for push in pushes {
                    let (values, reasons) = scratch.column(push.node, rows);
                    state.push(plan, push.ring, values, reasons);
                }
            }
            Call::Lag(lags) => {
                for lag in lags {
                    let (values, reasons) = state.ago(plan, lag.ring, lag.slots, rows);
                    if ONE {
                        scratch.set_one(lag.out, (values[0], reasons[0]));
                    } else {
                        scratch.take(lag.out, values, reasons);
                    }
                }
            }
            Call::Means(calls) => means::run::<ONE>(calls, plan, scratch, state, rows),
            Call::Moments(call) => moments::run::<ONE>(call, plan, scratch, state, rows),
            Call::Extremes(call) => extremes::run::<ONE>(call, plan, scratch, state, rows),
            Call::Order(call) => order::run::<ONE>(call, plan, scratch, state, rows),
            Call::Pair(call) => pairs::run::<ONE>(call, plan, scratch, state, rows),
            Call::Single(call) => singles::run(call, plan, scratch, state, rows),
            Call::Recursion(call) => recursions::run(call, scratch, state, rows),
        }
    }
}

/// How many places of a window are before the begin, where Qlib does not count them.
#[inline(always)]
pub(crate) fn uncounted(plan: &ContextPlan, slots: usize, slot: u64) -> f64 {
    if plan.qlib { (slots as u64).saturating_sub(slot) as f64 } else { 0.0 }
}
