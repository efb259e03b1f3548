//! Bars from finer bars: one fold, column by column, so that each loop is over one array.
//!
//! What each column becomes is told in `docs/AGGREGATES.md`. Sums are added in the order of the
//! rows, because floating point gives other bits in another order.

use std::ops::Range;

use barrow_types::{ColumnId, DAY_NANOS, Step};

use crate::bytes::u32_len;
use crate::calendar::Stretch;
use crate::dataset::{OPEN, VWAP};
use crate::rows::{Bitmap, Column, Rows, Values, flags};

/// Numbers of columns of bars.
pub(super) const HIGH: ColumnId = ColumnId::new(OPEN.get() + 1);
pub(super) const LOW: ColumnId = ColumnId::new(OPEN.get() + 2);
pub(super) const CLOSE: ColumnId = ColumnId::new(OPEN.get() + 3);
pub(super) const VOLUME: ColumnId = ColumnId::new(OPEN.get() + 4);

/// Flags of a row that a bar has if any row of it has them.
pub(super) const INHERITED: u8 = flags::CORRECTED | flags::ASSUMED;

/// How many values are compared at one time.
const LANES: usize = 4;

/// A slot that a bar is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// As a stored bar of it has it.
    pub(crate) ts: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// The slots of some stretches of a step, in order.
pub(crate) fn buckets<'a>(
    step: Step,
    stretches: impl IntoIterator<Item = &'a Stretch>,
) -> impl Iterator<Item = Bucket> {
    stretches.into_iter().flat_map(move |stretch| {
        (0..stretch.count).map(move |place| {
            let (start, end) = (stretch.start_of(place), stretch.end_of(place));
            let ts = if step.is_dated() { i64::from(stretch.date) * DAY_NANOS } else { start };
            Bucket { ts, start, end }
        })
    })
}

/// The columns of finer bars that columns of coarser ones are made of.
pub(crate) fn needed(wanted: &[ColumnId]) -> Vec<ColumnId> {
    let mut needed: Vec<ColumnId> = Vec::with_capacity(wanted.len() + 1);
    for &column in wanted {
        let with = (column == VWAP).then_some(VOLUME);
        for column in [Some(column), with].into_iter().flatten() {
            if !needed.contains(&column) {
                needed.push(column);
            }
        }
    }
    needed
}

/// Good rows of finer slots, one a slot, in order, with the columns that [`needed`] names.
pub(crate) struct Fine {
    /// When the slot of each row begins; `None`: at its `ts`.
    pub(crate) begins: Option<Vec<i64>>,
    pub(crate) rows: Rows,
}

/// Bars, and which finer rows each is made of.
pub(crate) struct Folded {
    pub(crate) rows: Rows,
    /// The bucket of each bar, and its rows.
    pub(crate) parts: Vec<Part>,
}

/// The rows of a bucket that has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) bucket: u32,
    from: u32,
    to: u32,
}

impl Part {
    pub(crate) const fn rows(&self) -> Range<usize> {
        self.from as usize..self.to as usize
    }
}

/// The bars of `buckets`, which are in order and apart, with the columns `wanted`.
pub(crate) fn fold(fine: &Fine, buckets: &[Bucket], wanted: &[ColumnId]) -> Folded {
    let rows = &fine.rows;
    let parts = parts(fine.begins.as_deref().unwrap_or(&rows.ts), buckets);
    let needed = needed(wanted);
    let column = |id: ColumnId| {
        let place = needed.iter().position(|other| *other == id);
        &rows.columns[place.expect("invariant: finer rows have the columns that are needed")]
    };
    let columns = wanted.iter().map(|&id| match id {
        OPEN => prices(&parts, column(id), |values| values[0]),
        HIGH => prices(&parts, column(id), greatest),
        LOW => prices(&parts, column(id), least),
        CLOSE => prices(&parts, column(id), |values| values[values.len() - 1]),
        VWAP => averages(&parts, column(VWAP), column(VOLUME)),
        _ => sums(&parts, column(id)),
    });
    let columns = columns.collect();
    let rows = Rows {
        ts: parts.iter().map(|part| buckets[part.bucket as usize].ts).collect(),
        sequence: newest(&parts, &rows.sequence),
        known_at: newest(&parts, &rows.known_at),
        flags: inherited(&parts, &rows.flags),
        columns,
    };
    Folded { rows, parts }
}

/// The buckets that have rows.
fn parts(begins: &[i64], buckets: &[Bucket]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(buckets.len().min(begins.len()));
    let (mut at, mut usual) = (0, 1);
    for (bucket, Bucket { start, end, .. }) in (0..).zip(buckets) {
        if begins.get(at).is_some_and(|first| first < start) {
            at += end_of(&begins[at..], *start, 1);
        }
        let len = end_of(&begins[at..], *end, usual);
        if len > 0 {
            let to = at + len;
            parts.push(Part { bucket, from: u32_len(at), to: u32_len(to) });
            (at, usual) = (to, len);
        }
    }
    parts
}

/// How many of `starts`, which rise, are before `end`: most probably `usual`.
pub(super) fn end_of(starts: &[i64], end: i64, usual: usize) -> usize {
    let is_before = |at: usize| starts.get(at).is_some_and(|start| *start < end);
    if is_before(usual - 1) && !is_before(usual) {
        return usual;
    }
    if !is_before(0) {
        return 0;
    }
    let mut reach = 1;
    while is_before(reach) {
        reach *= 2;
    }
    let (low, high) = (reach / 2, reach.min(starts.len()));
    low + starts[low..high].partition_point(|start| *start < end)
}

pub(super) fn doubles(column: &Column) -> &[f64] {
    match &column.values {
        Values::F64(values) => values,
        _ => unreachable!("invariant: prices and volumes are doubles"),
    }
}

fn prices(parts: &[Part], column: &Column, of: impl Fn(&[f64]) -> f64) -> Column {
    let values = doubles(column);
    Column::new(Values::F64(parts.iter().map(|part| of(&values[part.rows()])).collect()))
}

/// The greatest of some values, of which there is one. Prices are finite.
pub(super) fn greatest(values: &[f64]) -> f64 {
    extreme(values, |value, so_far| value > so_far)
}

/// The least of some values, of which there is one.
pub(super) fn least(values: &[f64]) -> f64 {
    extreme(values, |value, so_far| value < so_far)
}

#[inline]
fn extreme(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    let better = |value, so_far| if beats(value, so_far) { value } else { so_far };
    let mut lanes = [values[0]; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = better(*value, *lane);
        }
    }
    let all = lanes.iter().chain(rest);
    all.fold(values[0], |so_far, value| better(*value, so_far))
}

/// Sums of those that have a value; null if none has.
fn sums(parts: &[Part], column: &Column) -> Column {
    let valid = column.validity.as_ref();
    match &column.values {
        Values::F64(values) => {
            let sum = |rows: Range<usize>| match valid {
                None => values[rows].iter().fold(0.0, |sum, value| sum + value),
                Some(bits) => {
                    let there = rows.filter(|at| bits.get(*at));
                    there.fold(0.0, |sum, at| sum + values[at])
                }
            };
            let sums = parts.iter().map(|part| sum(part.rows())).collect();
            Column { values: Values::F64(sums), validity: any_valid(parts, valid) }
        }
        Values::I64(values) => {
            let sum = |rows: Range<usize>| match valid {
                None => values[rows].iter().fold(0, |sum: i64, value| sum.saturating_add(*value)),
                Some(bits) => {
                    let there = rows.filter(|at| bits.get(*at));
                    there.fold(0, |sum: i64, at| sum.saturating_add(values[at]))
                }
            };
            let sums = parts.iter().map(|part| sum(part.rows())).collect();
            Column { values: Values::I64(sums), validity: any_valid(parts, valid) }
        }
        Values::Text(_) => unreachable!("invariant: bars have no texts"),
    }
}

/// Which parts have a row with a value.
fn any_valid(parts: &[Part], valid: Option<&Bitmap>) -> Option<Bitmap> {
    let bits = valid?;
    let any = |part: &Part| !bits.is_filled(part.rows(), false);
    partial(parts.iter().map(any).collect())
}

/// `None` if all bits are set.
fn partial(bits: Bitmap) -> Option<Bitmap> {
    (bits.count() < bits.len()).then_some(bits)
}

/// Average prices by volume; null if a row with a volume has none, or if none has a volume. The
/// volume of a row that has none is 0.
fn averages(parts: &[Part], vwap: &Column, volume: &Column) -> Column {
    let (averages, volumes) = (doubles(vwap), doubles(volume));
    let average = |part: &Part| {
        let (mut value, mut total) = (0.0, 0.0);
        for at in part.rows().filter(|at| volumes[*at] > 0.0) {
            if !vwap.is_valid(at) {
                return None;
            }
            value += averages[at] * volumes[at];
            total += volumes[at];
        }
        (total > 0.0).then(|| value / total)
    };
    optional(parts.iter().map(average))
}

/// A column of doubles of which some may be null.
pub(super) fn optional(values: impl Iterator<Item = Option<f64>>) -> Column {
    let found: Vec<Option<f64>> = values.collect();
    let validity = partial(found.iter().map(Option::is_some).collect());
    let values = found.into_iter().map(Option::unwrap_or_default).collect();
    Column { values: Values::F64(values), validity }
}

/// The greatest of the values of each part.
fn newest<T: Copy + Ord>(parts: &[Part], values: &[T]) -> Vec<T> {
    let greatest = |part: &Part| {
        let values = &values[part.rows()];
        values.iter().copied().fold(values[0], T::max)
    };
    parts.iter().map(greatest).collect()
}

fn inherited(parts: &[Part], values: &[u8]) -> Vec<u8> {
    let all = |part: &Part| values[part.rows()].iter().fold(0, |all, one| all | one) & INHERITED;
    parts.iter().map(all).collect()
}
