//! The engine's answers beside the model's.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_engine::calendar::slot_of;
use barrow_engine::dataset;
use barrow_engine::rows::{Column, Rows, Values, flags};
use barrow_engine::{Content, CuratedScan, Error, Revisions, Scan, Snapshot};
use barrow_types::{DatasetId, Sequence, SeriesId, SeriesKey, SessionSet, Step, Timestamp};

use crate::model::{Model, Stored, Table, Value};

/// Why a store is not what it must be.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The engine said that it cannot.
    Failed(Error),
    /// The engine gave a wrong answer: what was asked, what came, what is right.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "error ({:?}): {error}", error.kind()),
            Self::Wrong(what) => write!(f, "WRONG: {what}"),
        }
    }
}

/// Fails with the words where `found` is not `expected`.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Trouble> {
    if found == expected {
        Ok(())
    } else {
        Err(Trouble::Wrong(format!("{what}: found {found:?}, expected {expected:?}")))
    }
}

/// Asks for everything: series, visible rows, all revisions, rows as of earlier knowledge and
/// earlier sequences, slots of bars without a row, newest rows, batches.
///
/// # Errors
/// The first question that was answered wrong or not at all.
pub fn everything(snapshot: &Snapshot, model: &Model) -> Result<(), Trouble> {
    let series = Table::ALL.map(|table| snapshot.series(table.dataset(), None)).concat();
    let keys: Vec<_> = series.iter().map(|(_, key)| key.clone()).collect();
    let expected: Vec<_> = model.series(u64::MAX).cloned().collect();
    same("series", &keys, &expected)?;

    let newest_batch = model.batches().max_by_key(|entry| entry.sequence);
    let (last, last_now) = newest_batch.map_or((0, 0), |entry| (entry.sequence, entry.now));
    let earlier = [
        (None, None),
        (Some(last_now - 1), None),
        (None, Some(last.saturating_sub(1))),
        (Some(last_now - 2_500_000_000), Some(last)),
    ];
    for (id, key) in series {
        for (as_of, at_sequence) in earlier {
            for revisions in [Revisions::Visible, Revisions::All] {
                let found = read(snapshot, id, key.dataset, as_of, at_sequence, revisions)?;
                let (known, held) = (as_of.unwrap_or(i64::MAX), at_sequence.unwrap_or(u64::MAX));
                let expected = match revisions {
                    Revisions::Visible => model.visible(&key, i64::MIN, i64::MAX, known, held),
                    Revisions::All => model.all(&key, i64::MIN, i64::MAX, known, held),
                };
                let what =
                    format!("{revisions:?} {key:?} as of {as_of:?}, at sequence {at_sequence:?}");
                rows(&what, &found, &expected)?;
            }
        }
        if key.dataset == DatasetId::BARS {
            for at_sequence in [None, Some(last.saturating_sub(1))] {
                let found = slots(snapshot, &key, at_sequence)?;
                let held = at_sequence.unwrap_or(u64::MAX);
                let visible = model.visible(&key, i64::MIN, i64::MAX, i64::MAX, held);
                let expected = visible.iter().map(|row| slot_of(key.step, row.ts)).collect();
                let what = format!("slots with a row of {key:?} at sequence {at_sequence:?}");
                same(&what, &found, &expected)?;
            }
        }
        let newest = snapshot.newest(id)?;
        let none = || Arc::new(Rows::empty(schema(key.dataset).kinds()));
        let newest = newest.unwrap_or_else(none);
        let expected = model.newest(&key, u64::MAX).pop();
        rows(&format!("newest {key:?}"), &newest, expected.as_slice())?;
    }
    batches(snapshot, model)
}

/// The slots of a series that hold a row, as they stand between its gaps.
fn slots(
    snapshot: &Snapshot,
    key: &SeriesKey,
    at_sequence: Option<u64>,
) -> Result<BTreeSet<i64>, Error> {
    let mut gaps = snapshot.gaps(CuratedScan {
        instrument: key.symbol.as_str().into(),
        step: key.step,
        side: key.side,
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        session: SessionSet::All,
        align: None,
        columns: Vec::new(),
        source: Some(key.source.as_str().to_owned()),
        fallback: None,
        as_of: None,
        at_sequence: at_sequence.map(Sequence::new),
        due: Timestamp::MAX,
        empty: true,
        flags: false,
        coverage: false,
    })?;
    let mut found = BTreeSet::new();
    while let Some(piece) = gaps.next()? {
        for span in piece.spans.iter().filter(|span| matches!(span.content, Content::Rows(_))) {
            let first = span.stretch.first_slot + i64::from(span.first);
            found.extend(first..first + i64::from(span.count));
        }
    }
    Ok(found)
}

/// What the store says of bars that are made of others: days of all rows, and five minutes.
///
/// # Errors
/// What the engine says.
pub fn made_bars(snapshot: &Snapshot) -> Result<String, Error> {
    let schema = schema(DatasetId::BARS);
    let mut told = String::new();
    for (_, key) in snapshot.series(DatasetId::BARS, None) {
        for step in [Step::M5, Step::D1] {
            let mut bars = snapshot.curated(CuratedScan {
                instrument: key.symbol.as_str().into(),
                step,
                side: key.side,
                start: Timestamp::MIN,
                end: Timestamp::MAX,
                session: SessionSet::Regular,
                align: None,
                columns: schema.columns.iter().map(|column| column.id).collect(),
                source: Some(key.source.as_str().to_owned()),
                fallback: None,
                as_of: None,
                at_sequence: None,
                due: Timestamp::MAX,
                empty: false,
                flags: false,
                coverage: false,
            })?;
            while let Some(piece) = bars.next()? {
                told += &format!("{:?}", piece.rows);
            }
        }
    }
    Ok(told)
}

fn batches(snapshot: &Snapshot, model: &Model) -> Result<(), Trouble> {
    for entry in model.batches() {
        let what = format!("batch {}", entry.load.id);
        let found = snapshot.batch(&entry.load.id)?;
        let found = found.ok_or_else(|| Trouble::Wrong(format!("{what} is gone")))?;
        same(&what, &found.sequence.get(), &entry.sequence)?;
        same(&what, &found.now.nanos(), &entry.now)?;
        same(&what, &counts_of(&found.counts), &outcome_of(entry))?;
    }
    Ok(())
}

pub(crate) fn counts_of(counts: &barrow_engine::batch::Counts) -> [u64; 5] {
    [counts.accepted, counts.duplicates, counts.corrected, counts.superseded, counts.rejected]
}

pub(crate) fn outcome_of(entry: &crate::model::Entry) -> [u64; 5] {
    let outcome = &entry.outcome;
    let rejected = outcome.rejected.len() as u64;
    [outcome.accepted, outcome.duplicates, outcome.corrected, outcome.superseded, rejected]
}

fn schema(dataset: DatasetId) -> &'static dataset::Schema {
    dataset::schema(dataset).expect("invariant: the tables are built in")
}

fn read(
    snapshot: &Snapshot,
    series: SeriesId,
    dataset: DatasetId,
    as_of: Option<i64>,
    at_sequence: Option<u64>,
    revisions: Revisions,
) -> Result<Rows, Error> {
    let mut scanner = snapshot.scan(Scan {
        series,
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        columns: schema(dataset).columns.iter().map(|column| column.id).collect(),
        as_of: as_of.map(Timestamp::from_nanos),
        at_sequence: at_sequence.map(Sequence::new),
        revisions,
    })?;
    let mut rows = Rows::empty(schema(dataset).kinds());
    while let Some(piece) = scanner.next()? {
        rows.extend_from(&piece);
    }
    Ok(rows)
}

fn rows(what: &str, found: &Rows, expected: &[&Stored]) -> Result<(), Trouble> {
    let set = |on: bool, flag: u8| if on { flag } else { 0 };
    let expected = expected.iter().map(|row| {
        let row_flags = set(row.retract, flags::RETRACT)
            | set(row.stated, flags::STATED)
            | set(row.assumed, flags::ASSUMED)
            | set(row.corrected, flags::CORRECTED);
        (row.ts, row.known_at, row.sequence, row_flags, row.values.clone())
    });
    let found = (0..found.len()).map(|at| {
        let values: Vec<Value> = found.columns.iter().map(|column| value(column, at)).collect();
        (found.ts[at], found.known_at[at], found.sequence[at], found.flags[at], values)
    });
    let (found, expected): (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
    same(&format!("number of rows of {what}"), &found.len(), &expected.len())?;
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        same(&format!("row {at} of {what}"), found, expected)?;
    }
    Ok(())
}

fn value(column: &Column, at: usize) -> Value {
    match &column.values {
        _ if !column.is_valid(at) => Value::Null,
        Values::F64(values) => Value::F64(values[at].to_bits()),
        Values::I64(values) => Value::I64(values[at]),
        Values::Text(texts) => Value::Text(texts.get(at).to_owned()),
    }
}
