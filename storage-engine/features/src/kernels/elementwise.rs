//! Operators of the cells of one slot.

use super::{Rules, logic};
use crate::call::Each;
use crate::cell::{NON_FINITE, OK, WARM_UP, settle};
use crate::columns::Scratch;
use crate::operator::Operator;

pub(super) fn run<const ONE: bool>(
    operator: Operator,
    each: &[Each],
    rules: Rules,
    scratch: &mut Scratch,
    rows: usize,
) {
    match operator {
        Operator::Add => binary::<ONE>(each, scratch, rows, |x, y| x + y),
        Operator::Sub => binary::<ONE>(each, scratch, rows, |x, y| x - y),
        Operator::Mul => binary::<ONE>(each, scratch, rows, |x, y| x * y),
        Operator::Div => binary::<ONE>(each, scratch, rows, |x, y| x / y),
        // The remainder is exact, so that every implementation gives the same bits.
        Operator::Mod => binary::<ONE>(each, scratch, rows, |x, y| x % y),
        Operator::Power => binary::<ONE>(each, scratch, rows, libm::pow),
        Operator::SignedPower => {
            binary::<ONE>(each, scratch, rows, |x, y| sign(x) * libm::pow(x.abs(), y));
        }
        Operator::Greater => binary::<ONE>(each, scratch, rows, |x, y| if x > y { x } else { y }),
        Operator::Less => binary::<ONE>(each, scratch, rows, |x, y| if x < y { x } else { y }),
        Operator::Neg => unary::<ONE>(each, scratch, rows, |x| -x),
        Operator::Abs => unary::<ONE>(each, scratch, rows, f64::abs),
        Operator::Sign => unary::<ONE>(each, scratch, rows, sign),
        Operator::Sqrt => unary::<ONE>(each, scratch, rows, f64::sqrt),
        Operator::Log => unary::<ONE>(each, scratch, rows, libm::log),
        Operator::Log1p => unary::<ONE>(each, scratch, rows, libm::log1p),
        Operator::Exp => unary::<ONE>(each, scratch, rows, libm::exp),
        Operator::Tanh => unary::<ONE>(each, scratch, rows, libm::tanh),
        Operator::Sigmoid => unary::<ONE>(each, scratch, rows, |x| 1.0 / (1.0 + libm::exp(-x))),
        Operator::Not => unary::<ONE>(each, scratch, rows, |x| truth(x == 0.0)),
        Operator::Gt => compare::<ONE>(each, scratch, rows, rules, |x, y| x > y),
        Operator::Ge => compare::<ONE>(each, scratch, rows, rules, |x, y| x >= y),
        Operator::Lt => compare::<ONE>(each, scratch, rows, rules, |x, y| x < y),
        Operator::Le => compare::<ONE>(each, scratch, rows, rules, |x, y| x <= y),
        Operator::Eq => compare::<ONE>(each, scratch, rows, rules, |x, y| x == y),
        Operator::Ne => compare::<ONE>(each, scratch, rows, rules, |x, y| x != y),
        operator => logic::run(operator, each, rules, scratch, rows),
    }
}

fn sign(x: f64) -> f64 {
    truth(x > 0.0) - truth(x < 0.0)
}

#[inline(always)]
pub(super) fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// The least of the reasons of two cells; 0 if both have a number.
#[inline(always)]
pub(super) fn least(x: u8, y: u8) -> u8 {
    // 0 becomes the greatest.
    x.wrapping_sub(1).min(y.wrapping_sub(1)).wrapping_add(1)
}

#[inline(always)]
fn unary<const ONE: bool>(
    each: &[Each],
    scratch: &mut Scratch,
    rows: usize,
    f: impl Fn(f64) -> f64,
) {
    if ONE {
        let (values, reasons) = scratch.ones();
        for node in each {
            let [x, ..] = node.inputs;
            (values[node.out], reasons[node.out]) = settle(f(values[x]), reasons[x]);
        }
        return;
    }
    for node in each {
        let [x, ..] = node.inputs;
        let stride = scratch.stride;
        let (before, out) = scratch.values.split_at_mut(node.out * stride);
        let (out, x_values) = (&mut out[..rows], &before[x * stride..][..rows]);
        let (reasons_before, reasons) = scratch.reasons.split_at_mut(node.out * stride);
        let (reasons, x_reasons) = (&mut reasons[..rows], &reasons_before[x * stride..][..rows]);
        let mut finite = true;
        for (out, x) in out.iter_mut().zip(x_values) {
            let value = f(*x) + 0.0;
            finite &= value.abs() < f64::INFINITY;
            *out = value;
        }
        reasons.copy_from_slice(x_reasons);
        let clean = scratch.clean[x] && finite;
        if !clean {
            settle_column(out, reasons);
        }
        scratch.clean[node.out] = clean;
    }
}

#[inline(always)]
fn binary<const ONE: bool>(
    each: &[Each],
    scratch: &mut Scratch,
    rows: usize,
    f: impl Fn(f64, f64) -> f64,
) {
    if ONE {
        let (values, reasons) = scratch.ones();
        for node in each {
            let [x, y, ..] = node.inputs;
            let value = f(values[x], values[y]);
            (values[node.out], reasons[node.out]) = if reasons[x] | reasons[y] == OK {
                settle(value, OK)
            } else {
                (0.0, least(reasons[x], reasons[y]))
            };
        }
        return;
    }
    for node in each {
        let [x, y, ..] = node.inputs;
        let stride = scratch.stride;
        let (before, out) = scratch.values.split_at_mut(node.out * stride);
        let out = &mut out[..rows];
        let (x_values, y_values) = (&before[x * stride..][..rows], &before[y * stride..][..rows]);
        let mut finite = true;
        for ((out, x), y) in out.iter_mut().zip(x_values).zip(y_values) {
            let value = f(*x, *y) + 0.0;
            finite &= value.abs() < f64::INFINITY;
            *out = value;
        }
        let (before, reasons) = scratch.reasons.split_at_mut(node.out * stride);
        let reasons = &mut reasons[..rows];
        let inputs_clean = scratch.clean[x] && scratch.clean[y];
        if inputs_clean {
            reasons.fill(OK);
        } else {
            let (xs, ys) = (&before[x * stride..][..rows], &before[y * stride..][..rows]);
            for ((reason, x), y) in reasons.iter_mut().zip(xs).zip(ys) {
                *reason = least(*x, *y);
            }
        }
        let clean = inputs_clean && finite;
        if !clean {
            settle_column(out, reasons);
        }
        scratch.clean[node.out] = clean;
    }
}

/// Makes cells of results and of the reasons of their arguments.
#[inline(never)]
fn settle_column(values: &mut [f64], reasons: &mut [u8]) {
    for (value, reason) in values.iter_mut().zip(reasons) {
        if *reason == OK && value.abs() < f64::INFINITY {
            continue;
        }
        *value = 0.0;
        *reason = if *reason == OK { NON_FINITE } else { *reason };
    }
}

/// A comparison. Qlib's is false where an argument is null.
fn compare<const ONE: bool>(
    each: &[Each],
    scratch: &mut Scratch,
    rows: usize,
    rules: Rules,
    f: impl Fn(f64, f64) -> bool,
) {
    binary::<ONE>(each, scratch, rows, |x, y| truth(f(x, y)));
    if !rules.qlib {
        return;
    }
    for node in each {
        for row in 0..rows {
            // The value of a null is 0 already.
            let value = scratch.get(node.out, row).0;
            scratch.set(node.out, row, rules.begun(node, row, (value, OK)));
        }
        scratch.look(node.out, rows);
    }
}

impl Rules {
    /// The cell of an operator that does not pass nulls on: null in the first slots.
    #[inline(always)]
    pub(super) const fn begun(self, node: &Each, row: usize, cell: (f64, u8)) -> (f64, u8) {
        if self.first + row as u64 <= node.warm_up { (0.0, WARM_UP) } else { cell }
    }
}
