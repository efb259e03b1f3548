//! When facts became known that hold for all slots.

use std::collections::BTreeSet;

use barrow_types::{ColumnId, DatasetId, SeriesKey, Timestamp};

use crate::dataset::facts::REFERENCE;
use crate::error::Error;
use crate::rows::Rows;
use crate::snapshot::{Revisions, Scan, text};

use super::Question;

/// The column of a binding that says to what.
const INSTRUMENT: ColumnId = ColumnId::new(1);

/// The instants after `after` at which such a fact became known or was taken back.
pub(super) fn instants(question: &Question<'_>, after: i64) -> Result<BTreeSet<i64>, Error> {
    let snapshot = question.snapshot;
    let mut found = BTreeSet::new();
    for dataset in REFERENCE {
        match dataset {
            // Which features are asked for is looked up as it is now.
            DatasetId::DEFINITIONS => continue,
            DatasetId::ACTIONS if !question.is_adjusted => continue,
            _ => {}
        }
        for (series, key) in snapshot.series(dataset, None) {
            let is_binding = dataset == DatasetId::BINDINGS;
            if !is_binding && !matters(question, &key) {
                continue;
            }
            let mut scanner = snapshot.scan(Scan {
                series,
                start: Timestamp::MIN,
                end: Timestamp::MAX,
                columns: if is_binding { vec![INSTRUMENT] } else { Vec::new() },
                as_of: Some(question.up_to()),
                at_sequence: question.own.at_sequence,
                revisions: Revisions::All,
            })?;
            let (mut told, mut is_bound): (Vec<i64>, bool) = (Vec::new(), !is_binding);
            while let Some(rows) = scanner.next()? {
                told.extend(rows.known_at.iter().filter(|known_at| **known_at > after));
                is_bound |= (0..rows.len()).any(|at| binds(question, &key, &rows, at));
            }
            // What binds a symbol to another takes it from the instrument.
            if is_bound {
                found.extend(told);
            }
        }
    }
    Ok(found)
}

/// Whether what a series says holds for the instruments of a question.
fn matters(question: &Question<'_>, key: &SeriesKey) -> bool {
    match (&question.instruments, key.dataset) {
        (Some(those), DatasetId::INSTRUMENTS | DatasetId::ACTIONS) => {
            those.contains(key.symbol.as_str())
        }
        _ => true,
    }
}

/// Whether a binding is one of an instrument of the question, or of its symbol.
fn binds(question: &Question<'_>, key: &SeriesKey, rows: &Rows, at: usize) -> bool {
    let Some(those) = &question.instruments else { return true };
    let Some(column) = rows.columns.first() else { return true };
    those.contains(key.symbol.as_str()) || column.is_valid(at) && those.contains(text(column, at))
}
