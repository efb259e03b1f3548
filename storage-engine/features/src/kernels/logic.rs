//! Operators of one slot that look at nulls themselves.

use super::Rules;
use super::elementwise::truth;
use crate::call::Each;
use crate::cell::OK;
use crate::columns::Scratch;
use crate::operator::Operator;

type Raw = (f64, u8);

pub(super) fn run(
    operator: Operator,
    each: &[Each],
    rules: Rules,
    scratch: &mut Scratch,
    rows: usize,
) {
    for node in each {
        for row in 0..rows {
            let [x, y, z] = node.inputs.map(|input| scratch.get(input, row));
            let cell = match operator {
                Operator::And => and(x, y),
                Operator::Or => or(x, y),
                Operator::If => choose(x, y, z),
                Operator::Coalesce => {
                    if x.1 == OK {
                        x
                    } else {
                        y
                    }
                }
                Operator::IsNull => (truth(x.1 != OK), OK),
                Operator::IsValid => (truth(x.1 == OK), OK),
                other => unreachable!("invariant: {other:?} is not elementwise"),
            };
            scratch.set(node.out, row, rules.begun(node, row, cell));
        }
        scratch.look(node.out, rows);
    }
}

/// 0 if one is 0, whatever the other.
fn and(x: Raw, y: Raw) -> Raw {
    match (known(x), known(y)) {
        (Some(false), _) | (_, Some(false)) => (0.0, OK),
        (Some(true), Some(true)) => (1.0, OK),
        _ => (0.0, least_of(x, y)),
    }
}

/// 1 if one is true, whatever the other.
fn or(x: Raw, y: Raw) -> Raw {
    match (known(x), known(y)) {
        (Some(true), _) | (_, Some(true)) => (1.0, OK),
        (Some(false), Some(false)) => (0.0, OK),
        _ => (0.0, least_of(x, y)),
    }
}

fn choose(condition: Raw, x: Raw, y: Raw) -> Raw {
    match known(condition) {
        Some(true) => x,
        Some(false) => y,
        None => (0.0, condition.1),
    }
}

fn known((value, reason): Raw) -> Option<bool> {
    (reason == OK).then_some(value != 0.0)
}

/// The least reason; one of both has one.
fn least_of(x: Raw, y: Raw) -> u8 {
    match (x.1, y.1) {
        (OK, reason) | (reason, OK) => reason,
        (x, y) => x.min(y),
    }
}
