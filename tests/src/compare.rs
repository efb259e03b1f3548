//! The engine's answers beside the model's.

use barrow_engine::dataset::BARS;
use barrow_engine::rows::{Column, Rows, Values, flags};
use barrow_engine::{Error, Revisions, Scan, Snapshot};
use barrow_types::{DatasetId, Sequence, SeriesId, Timestamp};

use crate::model::{Model, Stored, Value};

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
/// earlier sequences, newest rows, batches.
///
/// # Errors
/// The first question that was answered wrong or not at all.
pub fn everything(snapshot: &Snapshot, model: &Model) -> Result<(), Trouble> {
    let series = snapshot.series(DatasetId::BARS, None);
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
                let found = read(snapshot, id, as_of, at_sequence, revisions)?;
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
        let newest = snapshot.newest(id)?.unwrap_or_else(|| Rows::empty(BARS.kinds()));
        let expected = model.newest(&key, u64::MAX);
        rows(&format!("newest {key:?}"), &newest, &expected)?;
    }
    batches(snapshot, model)
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

fn read(
    snapshot: &Snapshot,
    series: SeriesId,
    as_of: Option<i64>,
    at_sequence: Option<u64>,
    revisions: Revisions,
) -> Result<Rows, Error> {
    let mut scanner = snapshot.scan(Scan {
        series,
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        columns: BARS.columns.iter().map(|column| column.id).collect(),
        as_of: as_of.map(Timestamp::from_nanos),
        at_sequence: at_sequence.map(Sequence::new),
        revisions,
    })?;
    let mut rows = Rows::empty(BARS.kinds());
    while let Some(piece) = scanner.next()? {
        rows.extend_from(&piece);
    }
    Ok(rows)
}

fn rows(what: &str, found: &Rows, expected: &[&Stored]) -> Result<(), Trouble> {
    same(&format!("rows of {what}"), &found.ts, &expected.iter().map(|row| row.ts).collect())?;
    for (at, row) in expected.iter().enumerate() {
        let set = |on: bool, flag: u8| if on { flag } else { 0 };
        let expected = (
            row.known_at,
            row.sequence,
            set(row.retract, flags::RETRACT)
                | set(row.stated, flags::STATED)
                | set(row.assumed, flags::ASSUMED),
            row.values.clone(),
        );
        let values: Vec<Value> = found.columns.iter().map(|column| value(column, at)).collect();
        let found = (found.known_at[at], found.sequence[at], found.flags[at], values);
        same(&format!("row {at} of {what}"), &found, &expected)?;
    }
    Ok(())
}

fn value(column: &Column, at: usize) -> Value {
    match &column.values {
        _ if !column.is_valid(at) => Value::Null,
        Values::F64(values) => Value::F64(values[at].to_bits()),
        Values::I64(values) => Value::I64(values[at]),
        Values::Text(_) => panic!("invariant: a bar has no texts"),
    }
}
