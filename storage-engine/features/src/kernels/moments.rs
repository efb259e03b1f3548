//! What comes of sums over one window of one series: means, deviations, least squares on places.

use super::finish::Finish;
use super::lanes::{
    Dense, Eight, Eights, LANES, Mask, Sparse, clamp, mean, put, row_sums, sum, sums,
};
use super::means::eight_means;
use super::uncounted;
use crate::call::{Moments, Need, Out};
use crate::cell::OK;
use crate::columns::Scratch;
use crate::operator::Operator;
use crate::plan::ContextPlan;
use crate::state::{State, Window};

/// The sums of a window, of the valid places; those that no node needs are 0.
#[derive(Default)]
struct Sums {
    n: f64,
    sum: f64,
    mean: f64,
    squares: f64,
    cubes: f64,
    fourths: f64,
    absolute: f64,
    truths: f64,
    /// The mean place, S((i-p)²), its root, and S((i-p)(x-m)).
    place: f64,
    places: f64,
    places_root: f64,
    products: f64,
    /// The number of the newest place.
    last: f64,
}

/// How many numbers there are in [`Sums`].
const COLUMNS: usize = 13;

impl Sums {
    /// Writes those that are needed to their columns.
    #[inline(always)]
    fn store(&self, need: Need, columns: &mut [f64], stride: usize, row: usize) {
        columns[row] = self.n;
        let mut set = |column: usize, value: f64| columns[column * stride + row] = value;
        if need.sum {
            set(1, self.sum);
            set(2, self.mean);
            set(3, self.squares);
        }
        if need.powers {
            set(4, self.cubes);
            set(5, self.fourths);
        }
        if need.absolute {
            set(6, self.absolute);
        }
        if need.truths {
            set(7, self.truths);
        }
        if need.line {
            set(8, self.place);
            set(9, self.places);
            set(10, self.places_root);
            set(11, self.products);
            set(12, self.last);
        }
    }
}

/// The columns of sums.
struct Columns<'a> {
    columns: &'a [f64],
    stride: usize,
}

impl<'a> Columns<'a> {
    #[inline(always)]
    fn get(&self, column: usize, rows: usize) -> &'a [f64] {
        &self.columns[column * self.stride..][..rows]
    }
}

pub(super) fn run<const ONE: bool>(
    call: &Moments,
    plan: &ContextPlan,
    scratch: &mut Scratch,
    state: &State,
    rows: usize,
) {
    if ONE {
        return run_one(call, plan, scratch, state);
    }
    let stride = scratch.stride;
    let mut columns = scratch.take_sums(COLUMNS);
    let mut row = 0;
    while row < rows {
        if let Some(x) = state.eight_rows(plan, call.ring, call.slots, row, rows)
            && !(call.need.powers || call.need.absolute || call.need.truths)
        {
            eight_sums(call, x, &mut columns[row..], stride);
            row += LANES;
            continue;
        }
        let sums = sums_of(call, plan, state, row, rows);
        sums.store(call.need, &mut columns, stride, row);
        row += 1;
    }
    let newest = state.ago(plan, call.ring, 0, rows);
    let finish = Finish::<false> { first: state.slots + 1, valid: &columns[..rows] };
    let sums = Columns { columns: &columns, stride };
    for out in &call.outs {
        write(out, &sums, newest, &finish, scratch);
    }
    scratch.sums = columns;
}

/// One row: nothing goes by way of columns.
fn run_one(call: &Moments, plan: &ContextPlan, scratch: &mut Scratch, state: &State) {
    let sums = sums_of(call, plan, state, 0, 1);
    let (newest, reason) = state.newest(plan, call.ring);
    let finish = Finish::<true> { first: state.slots + 1, valid: &[sums.n] };
    for out in &call.outs {
        let looks = matches!(out.operator, Operator::ZScore | Operator::Resi);
        let reason = if looks { reason } else { OK };
        let value = result(out, &sums, newest);
        finish.column(out, scratch, Some(&[reason]), |_| value);
    }
}

#[inline(always)]
fn sums_of(call: &Moments, plan: &ContextPlan, state: &State, row: usize, rows: usize) -> Sums {
    let window = state.window(plan, call.ring, call.slots, row);
    if state.is_dense(call.ring, rows - 1 - row, &window) {
        dense_sums(call, window.eights)
    } else {
        let slot = state.slots + row as u64 + 1;
        sparse_sums(call, &window, uncounted(plan, call.slots, slot))
    }
}

/// One node's result. Not inlined: the compiler would compute all results for each call.
#[inline(never)]
fn result(out: &Out, s: &Sums, newest: f64) -> f64 {
    match out.operator {
        Operator::Count => s.n,
        Operator::CountIf => s.truths,
        Operator::Frac => s.truths / s.n,
        Operator::Sum => s.sum,
        Operator::Mean => s.mean,
        Operator::Var => variance(s.squares, s.n, out.number),
        Operator::Std => variance(s.squares, s.n, out.number).sqrt(),
        Operator::Mad => s.absolute,
        Operator::Skew => skew(s.n, s.squares, s.cubes),
        Operator::Kurt => kurt(s.n, s.squares, s.fourths),
        Operator::Sem => variance(s.squares, s.n, 1.0).sqrt() / s.n.sqrt(),
        Operator::Cv => variance(s.squares, s.n, 1.0).sqrt() / s.mean,
        Operator::ZScore => (newest - s.mean) / variance(s.squares, s.n, 1.0).sqrt(),
        Operator::Rsquare => rsquare(s.products, s.places_root, s.squares),
        Operator::Slope => s.products / s.places,
        Operator::Fitted => fitted(s.mean, s.products / s.places, s.last, s.place),
        Operator::Intercept => s.mean - s.products / s.places * s.place,
        _ => newest - fitted(s.mean, s.products / s.places, s.last, s.place),
    }
}

/// Writes the cells of one node. Not inlined, as `result`.
#[inline(never)]
fn write(
    out: &Out,
    sums: &Columns<'_>,
    newest: (&[f64], &[u8]),
    finish: &Finish<'_, false>,
    scratch: &mut Scratch,
) {
    let rows = finish.valid.len();
    let of = |column: usize| sums.get(column, rows);
    let n = of(0);
    macro_rules! column {
        (|$row:ident| $value:expr) => {
            finish.column(out, scratch, None, |$row| $value)
        };
    }
    match out.operator {
        Operator::Count => column!(|r| n[r]),
        Operator::CountIf => {
            let truths = of(7);
            column!(|r| truths[r]);
        }
        Operator::Frac => {
            let truths = of(7);
            column!(|r| truths[r] / n[r]);
        }
        Operator::Sum => {
            let sum = of(1);
            column!(|r| sum[r]);
        }
        Operator::Mean => {
            let mean = of(2);
            column!(|r| mean[r]);
        }
        Operator::Var => {
            let squares = of(3);
            column!(|r| variance(squares[r], n[r], out.number));
        }
        Operator::Std => {
            let squares = of(3);
            column!(|r| variance(squares[r], n[r], out.number).sqrt());
        }
        Operator::Mad => {
            let absolute = of(6);
            column!(|r| absolute[r]);
        }
        Operator::Skew | Operator::Kurt => {
            let (squares, cubes, fourths) = (of(3), of(4), of(5));
            if out.operator == Operator::Skew {
                column!(|r| skew(n[r], squares[r], cubes[r]));
            } else {
                column!(|r| kurt(n[r], squares[r], fourths[r]));
            }
        }
        Operator::Sem | Operator::Cv | Operator::ZScore => {
            let (mean, squares) = (of(2), of(3));
            let std = |r: usize| variance(squares[r], n[r], 1.0).sqrt();
            match out.operator {
                Operator::Sem => column!(|r| std(r) / n[r].sqrt()),
                Operator::Cv => column!(|r| std(r) / mean[r]),
                _ => finish
                    .column(out, scratch, Some(newest.1), |r| (newest.0[r] - mean[r]) / std(r)),
            }
        }
        Operator::Rsquare => {
            let (squares, root, products) = (of(3), of(10), of(11));
            column!(|r| rsquare(products[r], root[r], squares[r]));
        }
        Operator::Slope | Operator::Fitted | Operator::Resi | Operator::Intercept => {
            let (mean, place, places, products) = (of(2), of(8), of(9), of(11));
            let last = of(12);
            let slope = |r: usize| products[r] / places[r];
            let fitted = |r: usize| fitted(mean[r], slope(r), last[r], place[r]);
            match out.operator {
                Operator::Slope => column!(|r| slope(r)),
                Operator::Fitted => column!(|r| fitted(r)),
                Operator::Intercept => column!(|r| mean[r] - slope(r) * place[r]),
                _ => finish.column(out, scratch, Some(newest.1), |r| newest.0[r] - fitted(r)),
            }
        }
        other => unreachable!("invariant: {other:?} is not made of moments"),
    }
}

/// The sums of eight rows, but for powers, absolute values and truths.
fn eight_sums(call: &Moments, x: &[f64], columns: &mut [f64], stride: usize) {
    let n = call.slots as f64;
    put(columns, 0, stride, 0, Eight::all(n));
    if !call.need.sum {
        return;
    }
    let (sum, m) = eight_means(x, call.slots, Eight::all(n));
    put(columns, 1, stride, 0, sum);
    put(columns, 2, stride, 0, m);
    if call.need.line {
        let middle = (n + 1.0) / 2.0;
        let places = call.places.as_flattened();
        let [squares, products] = row_sums(x, x, call.slots, |place, x, _| {
            let d = x - m;
            [d * d, Eight::all(places[place] - middle) * d]
        });
        put(columns, 3, stride, 0, squares);
        let same = [(8, middle), (9, call.spread), (10, call.spread_root), (12, n)];
        for (column, value) in same {
            put(columns, column, stride, 0, Eight::all(value));
        }
        put(columns, 11, stride, 0, products);
    } else if call.need.squares {
        let [squares] = row_sums(x, x, call.slots, |_, x, _| [(x - m) * (x - m)]);
        put(columns, 3, stride, 0, squares);
    }
}

#[inline(always)]
fn dense_sums(call: &Moments, x: Eights<'_>) -> Sums {
    let mask = Dense(call.slots);
    let n = call.slots as f64;
    let mut s = Sums { n, ..Sums::default() };
    centred(&mut s, call.need, x, mask);
    if call.need.line {
        (s.place, s.last) = ((n + 1.0) / 2.0, n);
        (s.places, s.places_root) = (call.spread, call.spread_root);
        let (m, p) = (Eight::all(s.mean), Eight::all(s.place));
        [s.squares, s.products] = sums(x, &call.places, mask, |x, i| {
            let d = x - m;
            [d * d, (i - p) * d]
        });
    }
    s
}

#[inline(never)]
fn sparse_sums(call: &Moments, window: &Window<'_>, before: f64) -> Sums {
    let mask = Sparse { reasons: window.reasons, slots: window.slots };
    let mut s = Sums { n: mask.count() as f64, ..Sums::default() };
    centred(&mut s, call.need, window.eights, mask);
    if call.need.line {
        s.last = call.slots as f64 - before;
        let before = Eight::all(before);
        s.place = sum(&call.places, mask, |i| i - before) / s.n;
        let (m, p) = (Eight::all(s.mean), Eight::all(s.place));
        [s.squares, s.products, s.places] = sums(window.eights, &call.places, mask, |x, i| {
            let (d, i) = (x - m, (i - before) - p);
            [d * d, i * d, i * i]
        });
        s.places_root = s.places.sqrt();
    }
    s
}

/// All but what a line takes.
#[inline(always)]
fn centred<M: Mask>(s: &mut Sums, need: Need, x: Eights<'_>, mask: M) {
    if need.truths {
        s.truths = sum(x, mask, |x| x.map(|x| if x == 0.0 { 0.0 } else { 1.0 }));
    }
    if !need.sum {
        return;
    }
    s.sum = sum(x, mask, |x| x);
    if !need.mean {
        return;
    }
    s.mean = clamp(s.sum / s.n, x, mask, |x| x);
    let m = Eight::all(s.mean);
    if need.squares && !need.line {
        s.squares = sum(x, mask, |x| (x - m) * (x - m));
    }
    if need.powers {
        [s.cubes, s.fourths] = sums(x, x, mask, |x, _| {
            let d = x - m;
            let square = d * d;
            [square * d, square * square]
        });
    }
    if need.absolute {
        s.absolute = mean(x, mask, s.n, |x| (x - m).map(f64::abs));
    }
}

#[inline(always)]
fn variance(squares: f64, n: f64, ddof: f64) -> f64 {
    squares / (n - ddof)
}

#[inline(always)]
fn rsquare(products: f64, places_root: f64, squares: f64) -> f64 {
    let r = (products / (places_root * squares.sqrt())).clamp(-1.0, 1.0);
    r * r
}

#[inline(always)]
fn fitted(mean: f64, slope: f64, last: f64, place: f64) -> f64 {
    mean + slope * (last - place)
}

fn skew(n: f64, squares: f64, cubes: f64) -> f64 {
    let second = squares / n;
    let third = cubes / n;
    ((n * (n - 1.0)).sqrt() / (n - 2.0)) * (third / (second * second.sqrt()))
}

fn kurt(n: f64, squares: f64, fourths: f64) -> f64 {
    let second = squares / n;
    let fourth = fourths / n;
    let excess = fourth / (second * second) - 3.0;
    ((n - 1.0) / ((n - 2.0) * (n - 3.0))) * ((n + 1.0) * excess + 6.0)
}
