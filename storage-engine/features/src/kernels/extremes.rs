//! The greatest and the least of a window, and where they are.

use super::finish::Finish;
use super::uncounted;
use crate::call::{Extreme, Extremes};
use crate::cell::OK;
use crate::columns::Scratch;
use crate::operator::Operator;
use crate::plan::ContextPlan;
use crate::state::{State, Window};

/// Where the extreme of a window is: it follows from the window's cells, but is kept so that they
/// are only looked through when it has left them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    value: f64,
    /// The slot, counted from 1; 0 if there is none.
    slot: u64,
}

/// What is known of each row: how many cells are valid, the extreme, its place.
const COLUMNS: usize = 3;

pub(super) fn run<const ONE: bool>(
    call: &Extremes,
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &mut State,
    rows: usize,
) {
    match call.extreme {
        Extreme::Greatest => {
            run_one::<ONE>(call, plan, scratch, state, rows, |new, old| new > old);
        }
        Extreme::Least => run_one::<ONE>(call, plan, scratch, state, rows, |new, old| new < old),
        Extreme::LastGreatest => {
            run_one::<ONE>(call, plan, scratch, state, rows, |new, old| new >= old);
        }
        Extreme::LastLeast => {
            run_one::<ONE>(call, plan, scratch, state, rows, |new, old| new <= old);
        }
    }
}

#[inline(always)]
fn run_one<const ONE: bool>(
    call: &Extremes,
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &mut State,
    rows: usize,
    replaces: impl Fn(f64, f64) -> bool,
) {
    let (rows, stride) = if ONE { (1, 1) } else { (rows, scratch.stride) };
    let mut one = [0.0; COLUMNS];
    let mut taken = if ONE { Vec::new() } else { scratch.take_sums(COLUMNS) };
    let columns = if ONE { one.as_mut_slice() } else { taken.as_mut_slice() };
    let slots = call.slots as u64;
    let mut found = state.found[call.found];
    for row in 0..rows {
        let window = state.window(plan, call.ring, call.slots, row);
        let slot = state.slots + row as u64 + 1;
        // The window begins with slot - N + 1.
        if found.slot == 0 || found.slot + slots <= slot {
            found = look(&window, slot, &replaces);
        } else if let (value, OK) = window.newest()
            && replaces(value, found.value)
        {
            found = Found { value, slot };
        }
        let valid = if state.is_dense(call.ring, rows - 1 - row, &window) {
            call.slots
        } else {
            window.reasons().iter().filter(|reason| **reason == OK).count()
        };
        // 1 is the oldest of the window; 0 if there is none.
        let place = (found.slot + slots).saturating_sub(slot);
        columns[row] = valid as f64;
        columns[stride + row] = found.value;
        columns[2 * stride + row] = place as f64;
    }
    state.found[call.found] = found;
    let of = |column: usize| &columns[column * stride..][..rows];
    let (values, places) = (of(1), of(2));
    let first = state.slots + 1;
    let finish = Finish::<ONE> { first, valid: of(0) };
    for out in &call.outs {
        match out.operator {
            Operator::Max | Operator::Min => finish.column(out, scratch, None, |row| values[row]),
            Operator::IdxMax | Operator::IdxMin if plan.qlib => {
                finish.column(out, scratch, None, |row| {
                    places[row] - uncounted(plan, call.slots, first + row as u64)
                });
            }
            _ => finish.column(out, scratch, None, |row| places[row]),
        }
    }
    if !ONE {
        scratch.sums = taken;
    }
}

/// Looks through a window whose newest cell is of this slot.
#[inline(never)]
fn look(window: &Window<'_>, slot: u64, replaces: impl Fn(f64, f64) -> bool) -> Found {
    let mut found = Found::default();
    let (values, reasons) = (window.values(), window.reasons());
    for (place, (value, reason)) in values.iter().zip(reasons).enumerate() {
        if *reason == OK && (found.slot == 0 || replaces(*value, found.value)) {
            // A valid place is a slot since the begin, so this is at least 1.
            let slot = slot + 1 + place as u64 - values.len() as u64;
            found = Found { value: *value, slot };
        }
    }
    found
}
