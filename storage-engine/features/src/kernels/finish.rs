//! Results of windows become cells, node by node: the first rule that applies.

use crate::call::Out;
use crate::cell::{NON_FINITE, OK, TOO_FEW, WARM_UP};
use crate::columns::Scratch;

/// The rows at hand of one window: which slots they are and how many of their places are valid.
/// `ONE` says that there is one row, so that nothing is spent on more.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a, const ONE: bool> {
    /// The slot of the first row, counted from 1.
    pub(super) first: u64,
    /// Valid places of each row.
    pub(super) valid: &'a [f64],
}

impl<const ONE: bool> Finish<'_, ONE> {
    /// Sets the column of a node to what `f` says of each row. `newest` are the reasons of the
    /// newest places, if the operator looks at them.
    #[inline(always)]
    pub(super) fn column(
        &self,
        out: &Out,
        scratch: &mut Scratch,
        newest: Option<&[u8]>,
        f: impl Fn(usize) -> f64,
    ) {
        if ONE {
            let newest = newest.map_or(OK, |newest| newest[0]);
            let cell = settle(out, self.first, self.valid[0], newest, f(0));
            scratch.set_one(out.node, cell);
            return;
        }
        let rows = self.valid.len();
        let at = out.node * scratch.stride;
        let values = &mut scratch.values[at..at + rows];
        let mut good = self.first > out.warm_up;
        for (row, (value, valid)) in values.iter_mut().zip(self.valid).enumerate() {
            let result = f(row) + 0.0;
            good &= result.abs() < f64::INFINITY && *valid >= out.min_valid;
            *value = result;
        }
        good &= newest.is_none_or(|newest| newest.iter().all(|reason| *reason == OK));
        scratch.clean[out.node] = good;
        let reasons = &mut scratch.reasons[at..at + rows];
        if good {
            reasons.fill(OK);
        } else {
            self.settle_rows(out, values, reasons, newest);
        }
    }

    #[inline(never)]
    fn settle_rows(
        &self,
        out: &Out,
        values: &mut [f64],
        reasons: &mut [u8],
        newest: Option<&[u8]>,
    ) {
        for (row, (value, reason)) in values.iter_mut().zip(reasons).enumerate() {
            let newest = newest.map_or(OK, |newest| newest[row]);
            let slot = self.first + row as u64;
            (*value, *reason) = settle(out, slot, self.valid[row], newest, *value);
        }
    }
}

#[inline(always)]
fn settle(out: &Out, slot: u64, valid: f64, newest: u8, value: f64) -> (f64, u8) {
    let value = value + 0.0;
    let good = slot > out.warm_up && valid >= out.min_valid && newest == OK;
    if good && value.abs() < f64::INFINITY {
        return (value, OK);
    }
    let reason = if slot <= out.warm_up {
        WARM_UP
    } else if valid < out.min_valid {
        TOO_FEW
    } else if newest != OK {
        newest
    } else {
        NON_FINITE
    };
    (0.0, reason)
}
