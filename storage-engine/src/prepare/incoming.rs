//! The admitted rows of a batch, sorted by series and `ts`.

use std::ops::Range;

use barrow_types::SeriesId;

use crate::batch::{Batch, Symbols};
use crate::catalog::Group;
use crate::dataset::Schema;
use crate::rows::{Column, Rows, Values};
use crate::snapshot::Snapshot;

/// The admitted rows of a batch, series by series, each sorted by `ts`; those of one `ts` stand as
/// they came.
pub(super) struct Incoming {
    /// The place of each row in the batch.
    pub(super) places: Vec<u32>,
    pub(super) ts: Vec<i64>,
    /// Since when rows say that they are known, if any does.
    pub(super) stated: Option<Column>,
    /// The user columns; all null in a retraction by key.
    pub(super) columns: Vec<Column>,
    pub(super) series: Vec<IncomingSeries>,
}

/// The rows of one series.
pub(super) struct IncomingSeries {
    /// The place of its symbol among the names of the batch.
    pub(super) name: usize,
    /// Its number, if there is such a series.
    pub(super) known: Option<SeriesId>,
    /// Its rows, at least one.
    pub(super) rows: Range<usize>,
}

impl Incoming {
    /// Of the rows of `batch` at the places `admitted`, with the columns of `batch` unless there
    /// are `others`. Columns that need no change are taken out of the batch; [`give_back`] puts
    /// them there again.
    pub(super) fn new(
        batch: &mut Batch,
        schema: &Schema,
        others: Option<Vec<Column>>,
        admitted: &[u32],
        snapshot: &Snapshot,
    ) -> Self {
        let (mut places, series) = by_series(batch, admitted, snapshot);
        let ts = ts_of(batch);
        for series in &series {
            let places = &mut places[series.rows.clone()];
            if !places.is_sorted_by_key(|&at| ts[at as usize]) {
                places.sort_by_key(|&at| ts[at as usize]);
            }
        }
        let all = is_all(&places, ts.len());
        let ts = if all {
            std::mem::take(ts)
        } else {
            places.iter().map(|&at| ts[at as usize]).collect()
        };
        let take = |column: &mut Column| match column.validity {
            None if all => std::mem::replace(column, Column::empty(column.kind(), 0)),
            _ => column.take(&places),
        };
        let stated = batch.known_at.as_ref().filter(|stated| stated.has_values());
        let stated = stated.map(|stated| stated.take(&places));
        let columns = match others {
            Some(mut columns) => columns.iter_mut().map(take).collect(),
            None if batch.columns.is_empty() => {
                schema.kinds().map(|kind| Column::nulls(kind, places.len())).collect()
            }
            None => batch.columns.iter_mut().map(take).collect(),
        };
        Self { ts, stated, columns, places, series }
    }

    /// The rows at the places `kept`, without their sequences.
    pub(super) fn into_rows(
        self,
        kept: &[u32],
        known_at: Vec<i64>,
        flags: Vec<u8>,
        batch: &mut Batch,
    ) -> Rows {
        let Self { mut ts, mut columns, .. } = self;
        if !is_all(kept, ts.len()) {
            let all = (ts, columns);
            ts = kept.iter().map(|&at| all.0[at as usize]).collect();
            columns = all.1.iter().map(|column| column.take(kept)).collect();
            give_back(all.0, all.1, batch);
        }
        Rows { ts, sequence: Vec::new(), known_at, flags, columns }
    }
}

/// Puts what was taken out of a batch back into it.
pub(super) fn give_back(ts: Vec<i64>, columns: Vec<Column>, batch: &mut Batch) {
    let in_batch = ts_of(batch);
    if in_batch.is_empty() {
        *in_batch = ts;
    }
    for (in_batch, column) in batch.columns.iter_mut().zip(columns) {
        if in_batch.is_empty() {
            *in_batch = column;
        }
    }
}

fn ts_of(batch: &mut Batch) -> &mut Vec<i64> {
    let Values::I64(ts) = &mut batch.ts.values else {
        unreachable!("invariant: prepare checked the type of ts")
    };
    ts
}

/// Whether `places` are those of all of so many rows, in order.
fn is_all(places: &[u32], len: usize) -> bool {
    places.len() == len && places.iter().zip(0..).all(|(&place, at)| place == at)
}

/// The admitted places, series by series, and the series in order of the batch's names.
fn by_series(
    batch: &Batch,
    admitted: &[u32],
    snapshot: &Snapshot,
) -> (Vec<u32>, Vec<IncomingSeries>) {
    let Symbols { names, of_row } = &batch.symbols;
    let mut ends = vec![0; names.len()];
    for &at in admitted {
        ends[of_row[at as usize] as usize] += 1;
    }
    let used: Vec<usize> = (0..names.len()).filter(|&name| ends[name] > 0).collect();
    let group =
        Group { dataset: batch.dataset, step: batch.step, side: batch.side, source: &batch.source };
    let known = snapshot
        .generation()
        .catalog
        .find_each(&group, used.iter().map(|&name| names[name].as_str()));
    // Where a name stands twice among the names, the first place of it counts.
    let again = repeated_names(names, &used, &known);
    for &(name, first) in &again {
        ends[first] += std::mem::take(&mut ends[name]);
    }
    let mut series = Vec::with_capacity(used.len());
    let mut end = 0;
    for (name, known) in used.into_iter().zip(known) {
        let rows = end..end + ends[name];
        (ends[name], end) = (rows.start, rows.end);
        if !rows.is_empty() {
            series.push(IncomingSeries { name, known, rows });
        }
    }
    let first_of = (!again.is_empty()).then(|| {
        let mut first: Vec<usize> = (0..names.len()).collect();
        again.iter().for_each(|&(name, to)| first[name] = to);
        first
    });
    let mut places = vec![0; admitted.len()];
    for &at in admitted {
        let name = of_row[at as usize] as usize;
        let name = first_of.as_ref().map_or(name, |first| first[name]);
        places[ends[name]] = at;
        ends[name] += 1;
    }
    (places, series)
}

/// Names that stand there before, each with the first place of it.
fn repeated_names(
    names: &[String],
    used: &[usize],
    known: &[Option<SeriesId>],
) -> Vec<(usize, usize)> {
    // Numbers are compared much faster than names, and most series are known.
    let by_number = known.iter().zip(used).filter_map(|(known, &name)| Some(((*known)?, name)));
    let mut by_number: Vec<_> = by_number.collect();
    let unknown = known.iter().zip(used).filter(|(known, _)| known.is_none());
    let mut by_name: Vec<_> = unknown.map(|(_, &name)| (names[name].as_str(), name)).collect();
    let mut again = Vec::new();
    repetitions(&mut by_number, &mut again);
    repetitions(&mut by_name, &mut again);
    again
}

fn repetitions<T: Ord>(places: &mut [(T, usize)], again: &mut Vec<(usize, usize)>) {
    if !places.is_sorted() {
        places.sort_unstable();
    }
    for equal in places.chunk_by(|a, b| a.0 == b.0) {
        again.extend(equal[1..].iter().map(|&(_, name)| (name, equal[0].1)));
    }
}
