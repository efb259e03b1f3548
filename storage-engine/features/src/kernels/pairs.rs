//! What comes of sums over one window of two series, of the places where both are valid.

use super::elementwise::least;
use super::finish::Finish;
use super::lanes::{
    Dense, Eight, Eights, LANES, Mask, Sparse, clamp, put, row_clamp, row_sums, sums,
};
use crate::call::Pair;
use crate::columns::Scratch;
use crate::operator::Operator;
use crate::plan::ContextPlan;
use crate::state::{State, Window};

struct Sums {
    n: f64,
    x_mean: f64,
    y_mean: f64,
    /// S((x-mx)²), S((y-my)²) and S((x-mx)(y-my)).
    xx: f64,
    yy: f64,
    xy: f64,
}

pub(super) fn run<const ONE: bool>(
    call: &Pair,
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &State,
    rows: usize,
) {
    let (rows, stride) = if ONE { (1, 1) } else { (rows, scratch.stride) };
    let mut one = [0.0; 6];
    let mut taken = if ONE { Vec::new() } else { scratch.take_sums(6) };
    let columns = if ONE { one.as_mut_slice() } else { taken.as_mut_slice() };
    let mut both = std::mem::take(&mut scratch.both);
    let mut row = 0;
    while row < rows {
        if !ONE
            && let Some(x) = state.eight_rows(plan, call.rings[0], call.slots, row, rows)
            && let Some(y) = state.eight_rows(plan, call.rings[1], call.slots, row, rows)
        {
            for (column, values) in eight_sums(x, y, call.slots).into_iter().enumerate() {
                put(columns, column, stride, row, values);
            }
            row += LANES;
            continue;
        }
        let x = state.window(plan, call.rings[0], call.slots, row);
        let y = state.window(plan, call.rings[1], call.slots, row);
        let after = rows - 1 - row;
        let dense =
            state.is_dense(call.rings[0], after, &x) && state.is_dense(call.rings[1], after, &y);
        let s = if dense {
            sums_of(x.eights, y.eights, call.slots, Dense(call.slots))
        } else {
            let mask = join(&x, &y, &mut both);
            sums_of(x.eights, y.eights, mask.count(), mask)
        };
        let numbers = [s.n, s.x_mean, s.y_mean, s.xx, s.yy, s.xy];
        for (column, number) in numbers.into_iter().enumerate() {
            columns[column * stride + row] = number;
        }
        row += 1;
    }
    scratch.both = both;
    let of = |column: usize| &columns[column * stride..][..rows];
    let [n, x_mean, y_mean, xx, yy, xy] = std::array::from_fn(of);
    let finish = Finish::<ONE> { first: state.slots + 1, valid: n };
    let correlation = |r: usize| correlation(xx[r], yy[r], xy[r]);
    let slope = |r: usize| xy[r] / xx[r];
    let intercept = |r: usize| y_mean[r] - slope(r) * x_mean[r];
    for out in &call.outs {
        match out.operator {
            Operator::Cov => finish.column(out, scratch, None, |r| xy[r] / (n[r] - out.number)),
            Operator::Corr => finish.column(out, scratch, None, correlation),
            Operator::RsqXy => finish.column(out, scratch, None, |r| {
                let r = correlation(r);
                r * r
            }),
            Operator::Beta => finish.column(out, scratch, None, slope),
            Operator::Alpha => finish.column(out, scratch, None, intercept),
            _ => {
                let (x, x_reasons) = state.ago(plan, call.rings[0], 0, rows);
                let (y, y_reasons) = state.ago(plan, call.rings[1], 0, rows);
                let newest: Vec<u8> =
                    x_reasons.iter().zip(y_reasons).map(|(x, y)| least(*x, *y)).collect();
                finish.column(out, scratch, Some(&newest), |r| {
                    y[r] - (intercept(r) + slope(r) * x[r])
                });
            }
        }
    }
    if !ONE {
        scratch.sums = taken;
    }
}

/// The sums of eight rows.
fn eight_sums(x: &[f64], y: &[f64], slots: usize) -> [Eight; 6] {
    let n = Eight::all(slots as f64);
    let [x_sum, y_sum] = row_sums(x, y, slots, |_, x, y| [x, y]);
    let x_mean = row_clamp(x_sum / n, x, slots);
    let y_mean = row_clamp(y_sum / n, y, slots);
    let [xx, yy, xy] = row_sums(x, y, slots, |_, x, y| {
        let (x, y) = (x - x_mean, y - y_mean);
        [x * x, y * y, x * y]
    });
    [n, x_mean, y_mean, xx, yy, xy]
}

/// Where both are valid.
pub(super) fn join<'a>(
    x: &Window<'_>,
    y: &Window<'_>,
    both: &'a mut Vec<[u8; LANES]>,
) -> Sparse<'a> {
    both.clear();
    both.extend(
        x.reasons
            .iter()
            .zip(y.reasons)
            .map(|(x, y)| std::array::from_fn::<u8, LANES, _>(|lane| x[lane] | y[lane])),
    );
    Sparse { reasons: both, slots: x.slots }
}

#[inline(always)]
fn sums_of<M: Mask>(x: Eights<'_>, y: Eights<'_>, valid: usize, mask: M) -> Sums {
    let n = valid as f64;
    let [x_sum, y_sum] = sums(x, y, mask, |x, y| [x, y]);
    let x_mean = clamp(x_sum / n, x, mask, |x| x);
    let y_mean = clamp(y_sum / n, y, mask, |y| y);
    let (x_all, y_all) = (Eight::all(x_mean), Eight::all(y_mean));
    let [xx, yy, xy] = sums(x, y, mask, |x, y| {
        let (x, y) = (x - x_all, y - y_all);
        [x * x, y * y, x * y]
    });
    Sums { n, x_mean, y_mean, xx, yy, xy }
}

#[inline(always)]
fn correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)
}

/// The correlation of two series without nulls.
pub(super) fn correlation_of(x: Eights<'_>, y: Eights<'_>, places: usize) -> f64 {
    let s = sums_of(x, y, places, Dense(places));
    correlation(s.xx, s.yy, s.xy)
}
