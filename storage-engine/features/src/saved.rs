//! A state as bytes.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 8 | `plan` | fingerprint of the plan and the context |
//! | 8 | 8 | `slots` | slots since the begin |
//! | 16 | 8 r | `recursions` | the states of the recursions in the plan's order, as f64 |
//! | .. | 8 k | `values` | the cells that rings keep, ring by ring, the oldest first, as f64 |
//! | .. | k | `reasons` | the codes of their reasons |
//!
//! Little-endian. r and k follow from the plan. Two states are equal if their bytes are. Bytes of
//! another length, of another plan, with a number that is not finite or -0 or with a null that is
//! not +0 are refused; whoever stores them adds a checksum.

use std::fmt;

use barrow_types::Reason;

use crate::cell::OK;
use crate::plan::ContextPlan;
use crate::state::State;

const SLOTS_AT: usize = 8;
const NUMBERS_AT: usize = SLOTS_AT + 8;

/// Bytes that are not a state of the plan that they were given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// What is wrong with them.
    pub what: &'static str,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read the state of features: {}; compute it anew from the begin", self.what)
    }
}

impl std::error::Error for Damaged {}

pub(crate) fn encode(state: &State, plan: &ContextPlan) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NUMBERS_AT + 8 * state.recursions.len() + 9 * plan.kept);
    bytes.extend(plan.fingerprint.to_le_bytes());
    bytes.extend(state.slots.to_le_bytes());
    bytes.extend(state.recursions.iter().flat_map(|number| number.to_le_bytes()));
    for ring in 0..plan.rings.len() {
        bytes.extend(state.kept(plan, ring).0.iter().flat_map(|value| value.to_le_bytes()));
    }
    for ring in 0..plan.rings.len() {
        bytes.extend(state.kept(plan, ring).1);
    }
    bytes
}

pub(crate) fn decode(bytes: &[u8], plan: &ContextPlan, room: usize) -> Result<State, Damaged> {
    let damaged = |what| Err(Damaged { what });
    if bytes.len() != NUMBERS_AT + 8 * plan.recursion_len + 9 * plan.kept {
        return damaged("it has another length");
    }
    let (numbers, reasons) = bytes.split_at(bytes.len() - plan.kept);
    let numbers: Vec<[u8; 8]> = numbers.as_chunks().0.to_vec();
    let [fingerprint, slots, numbers @ ..] = numbers.as_slice() else {
        return damaged("it has no head");
    };
    if u64::from_le_bytes(*fingerprint) != plan.fingerprint {
        return damaged("it is of another plan");
    }
    let numbers: Vec<f64> = numbers.iter().map(|number| f64::from_le_bytes(*number)).collect();
    let negative_zero = (-0.0_f64).to_bits();
    if numbers.iter().any(|number| !number.is_finite() || number.to_bits() == negative_zero) {
        return damaged("it has a number that is not finite, or -0");
    }
    let (recursions, values) = numbers.split_at(plan.recursion_len);
    let cells: Vec<(f64, u8)> = values.iter().copied().zip(reasons.iter().copied()).collect();
    let known = |reason: u8| usize::from(reason) < Reason::ALL.len();
    if cells.iter().any(|(value, reason)| !known(*reason) || *reason != OK && *value != 0.0) {
        return damaged("it has a null with a value or with an unknown reason");
    }
    let mut state = State::new(plan, room, u64::from_le_bytes(*slots));
    state.recursions.copy_from_slice(recursions);
    let mut rest = cells.as_slice();
    for (at, ring) in plan.rings.iter().enumerate() {
        let (kept, after) = rest.split_at(ring.keep);
        state.restore(plan, at, kept);
        rest = after;
    }
    Ok(state)
}
