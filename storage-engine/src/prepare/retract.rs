//! Taking back what a batch brought.

use barrow_types::{DatasetId, SeriesId, SeriesKey, Timestamp};

use crate::batch::{Act, Batch, Claim, ClaimOrigin, KnownAt, Symbols};
use crate::bytes::u32_len;
use crate::dataset::facts::CLAIMS;
use crate::dataset::{ColumnDef, Identity};
use crate::error::Error;
use crate::rows::{Column, ColumnType, Rows, Values};
use crate::snapshot::{BatchEntry, Revisions, Scan, Snapshot, integer};

/// The batch, called `id`, that retracts every visible row that batch `target` brought; `None` if
/// nothing of it is visible any more.
///
/// Of equal events without an id it takes away as many as batch `target` brought of those that are
/// visible; which of them is not told apart.
///
/// # Errors
/// `NotFound` if there is no batch `target`; what reading its rows returns.
pub fn retraction_of(target: &str, id: &str, snapshot: &Snapshot) -> Result<Option<Batch>, Error> {
    let entry = snapshot
        .batch(target)?
        .ok_or_else(|| Error::not_found(format!("there is no batch {target:?}")))?;
    let schema = snapshot
        .schema(entry.dataset)
        .ok_or_else(|| Error::corrupt(format!("batch {target:?} is of no dataset")))?;
    // Events are taken away by what they say, other rows by their key.
    let columns: &[ColumnDef] = match schema.identity {
        Identity::Event { .. } => schema.columns,
        Identity::Ts | Identity::Append => &[],
    };
    let mut retraction: Option<Batch> = None;
    for (series, key) in snapshot.series(entry.dataset, None) {
        if key.source.as_str() != entry.source {
            continue;
        }
        let rows = visible_of_record(snapshot, series, entry.sequence.get(), columns)?;
        if rows.is_empty() {
            continue;
        }
        let batch = retraction.get_or_insert_with(|| empty(id, &entry, &key, columns));
        let symbol = u32_len(batch.symbols.names.len());
        batch.symbols.names.push(key.symbol.to_string());
        batch.symbols.of_row.extend(std::iter::repeat_n(symbol, rows.len()));
        batch.ts.extend_from(&Column::new(Values::I64(rows.ts)));
        for (all, column) in batch.columns.iter_mut().zip(&rows.columns) {
            all.extend_from(column);
        }
    }
    for (series, key) in snapshot.series(DatasetId::CLAIMS, None) {
        if key.source.as_str() != entry.source {
            continue;
        }
        let rows = visible_of_record(snapshot, series, entry.sequence.get(), CLAIMS.columns)?;
        for at in 0..rows.len() {
            let batch = retraction.get_or_insert_with(|| empty(id, &entry, &key, columns));
            batch.claims.push(Claim {
                symbol: key.symbol.to_string(),
                start: Timestamp::from_nanos(rows.ts[at]),
                end: Timestamp::from_nanos(integer(&rows.columns[0], at)),
                origin: ClaimOrigin::Covers,
            });
        }
    }
    Ok(retraction)
}

/// A retraction of nothing yet. A batch is of one source, step and side: those of any series that
/// it touched.
fn empty(id: &str, entry: &BatchEntry, key: &SeriesKey, columns: &[ColumnDef]) -> Batch {
    Batch {
        id: id.to_owned(),
        dataset: entry.dataset,
        source: entry.source.clone(),
        step: key.step,
        side: key.side,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Retract,
        is_import: false,
        symbols: Symbols::default(),
        ts: Column::empty(ColumnType::I64, 0),
        known_at: None,
        columns: columns.iter().map(|column| Column::empty(column.kind(), 0)).collect(),
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

/// The visible rows of a series that record `sequence` brought.
fn visible_of_record(
    snapshot: &Snapshot,
    series: SeriesId,
    sequence: u64,
    columns: &[ColumnDef],
) -> Result<Rows, Error> {
    let mut found = Rows::empty(columns.iter().map(ColumnDef::kind));
    let Some((first, last)) = span_of_record(snapshot, series, sequence) else {
        return Ok(found);
    };
    let mut scanner = snapshot.scan(Scan {
        series,
        start: Timestamp::from_nanos(first),
        end: Timestamp::from_nanos(last.saturating_add(1)),
        columns: columns.iter().map(|column| column.id).collect(),
        as_of: None,
        at_sequence: None,
        revisions: Revisions::Visible,
    })?;
    while let Some(rows) = scanner.next()? {
        let all = 0..u32_len(rows.len());
        let of_record: Vec<u32> =
            all.filter(|&at| rows.sequence[at as usize] == sequence).collect();
        found.extend_from(&rows.take(&of_record));
    }
    Ok(found)
}

/// First and last `ts` of the extents and runs of a series that may hold rows of a record.
fn span_of_record(snapshot: &Snapshot, series: SeriesId, sequence: u64) -> Option<(i64, i64)> {
    let generation = snapshot.generation();
    let runs = generation.runs(series);
    let extents = generation.extents(series).iter().map(|extent| extent.meta().zone);
    let zones = extents.chain(runs.iter().map(|run| run.zone));
    zones
        .filter(|zone| (zone.sequence.min..=zone.sequence.max).contains(&sequence))
        .map(|zone| (zone.ts.min, zone.ts.max))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}
