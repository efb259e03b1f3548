//! Batches that define users' tables, and what all rows of such tables depend on.

use barrow_types::{ColumnId, DatasetId, SeriesId, Timestamp};

use crate::batch::{Act, Batch};
use crate::dataset::Schema;
use crate::dataset::tables::{Definition, Fault};
use crate::error::Error;
use crate::rows::{Column, Values};
use crate::snapshot::{Revisions, Scan, Snapshot};

/// The largest whole number below which every whole number is a double.
pub(super) const EXACT_MAX: u64 = 1 << 53;

/// A table of which a column is to be kept in another way: what was decided holds as long as no
/// rows come to these series, and no other series to the table.
pub(super) struct Rewritten {
    pub(super) dataset: DatasetId,
    pub(super) series: Vec<SeriesId>,
}

/// Adds the columns that a batch does not bring, because it was made for an earlier version of its
/// table: they may be null. A retraction by key brings none.
pub(super) fn fill_up(batch: &mut Batch, schema: &Schema) {
    if !batch.dataset.is_table() || batch.columns.is_empty() {
        return;
    }
    let rows = batch.symbols.of_row.len();
    let missing = schema.columns.iter().skip(batch.columns.len());
    batch.columns.extend(missing.map(|column| Column::nulls(column.kind(), rows)));
}

/// Checks a batch that defines a table: the version that it says follows on what is known, and no
/// stored value is lost by it. Returns the table if columns of it are kept in another way then.
pub(super) fn check(batch: &Batch, snapshot: &Snapshot) -> Result<Option<Rewritten>, Error> {
    if batch.act == Act::Retract {
        return Err(Error::invalid("tables are not taken back: hide columns instead"));
    }
    let conflict = |fault: Fault| Error::conflict(format!("{}: {}", fault.field, fault.what));
    let definition = Definition::read(&batch.columns, batch.ts.len()).map_err(conflict)?;
    let before = definition.check_among(&snapshot.tables()).map_err(conflict)?;
    let Some(before) = before else { return Ok(None) };
    let rewritten: Vec<ColumnId> = definition.rewritten(&before).map(|column| column.id).collect();
    if rewritten.is_empty() {
        return Ok(None);
    }
    let series = snapshot.series(definition.dataset, None);
    let series: Vec<SeriesId> = series.into_iter().map(|(series, _)| series).collect();
    for series in &series {
        check_exact(snapshot, *series, &rewritten, &before)?;
    }
    Ok(Some(Rewritten { dataset: definition.dataset, series }))
}

/// Checks that the whole numbers in some columns of a series, visible or not, are doubles.
fn check_exact(
    snapshot: &Snapshot,
    series: SeriesId,
    columns: &[ColumnId],
    before: &Definition,
) -> Result<(), Error> {
    let mut scanner = snapshot.scan(Scan {
        series,
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        columns: columns.to_vec(),
        as_of: None,
        at_sequence: None,
        revisions: Revisions::All,
    })?;
    while let Some(rows) = scanner.next()? {
        for (column, id) in rows.columns.iter().zip(columns) {
            let Values::I64(values) = &column.values else {
                unreachable!("invariant: only whole numbers are kept in another way")
            };
            if let Some(value) = values.iter().find(|value| value.unsigned_abs() > EXACT_MAX) {
                let name = before.columns.iter().find(|known| known.id == *id);
                let name = name.map_or("", |column| &column.name);
                return Err(Error::conflict(format!(
                    "type: '{name}' holds {value}, which no double is: add a new column"
                )));
            }
        }
    }
    Ok(())
}
