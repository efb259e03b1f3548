//! Bodies become the rows of a batch: Arrow streams, Parquet files, CSV, JSON arrays, NDJSON.
//!
//! What concerns the whole body (it cannot be read, it lacks a column, it has a column that nobody
//! knows) refuses it, and nothing is stored. What concerns one row (a cell that is no number, a
//! time without an offset) refuses that row, which becomes a dead letter with its text.
//! Numbers are taken wherever they become the stored type without loss.
//!
//! | column | holds |
//! |---|---|
//! | `symbol` | the instrument's name; left out where the request names it |
//! | `ts` | the bar's open or the event's time, see [`super::time`]; a bare date only for bars of 1d and longer |
//! | `known_at` | when it was published, if the source says; an instant |
//! | the schema's | prices, sizes and counts; texts (venue, conditions, ids), where a whole number counts as its digits; of users' tables also `true` and `false` (or 1 and 0), and instants, of which a bare date is 00:00 UTC |
//! | `_raw` | the row as it came, for dead letters |
//! | `_reject` | set on a row that the sender could not read: `reason: detail`; its `symbol` and `ts`, if they are there, say where it belongs |
//! | `_line` | the row's number as the sender counts |

mod arrow_frames;
mod arrow_rows;
mod arrow_stream;
mod cells;
mod csv;
mod json;
mod parquet_file;
mod parquet_pages;
mod rows;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::http::{HeaderMap, header};
use barrow_engine::dataset::Schema;
use barrow_engine::dataset::tables::Extra;
use barrow_types::Step;
use bytes::Bytes;

pub(crate) use cells::Cell;
pub(crate) use rows::{Incoming, push, value};

/// Name of the rows of a join, whose time may be called `t`.
pub(crate) const JOIN: &str = "join";

use super::error::{Code, Problem};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
    /// Comma-separated values with a header line.
    Csv,
    /// A JSON array of objects.
    Json,
    /// A JSON object a line.
    NdJson,
}

/// Media types and what they are.
const KINDS: [(&str, Kind); 7] = [
    ("application/vnd.apache.arrow.stream", Kind::Arrow),
    ("application/vnd.apache.parquet", Kind::Parquet),
    ("text/csv", Kind::Csv),
    ("application/json", Kind::Json),
    ("application/x-ndjson", Kind::NdJson),
    ("application/ndjson", Kind::NdJson),
    ("application/jsonl", Kind::NdJson),
];

impl Kind {
    /// What `Content-Type` says.
    ///
    /// # Errors
    /// It is missing or says something else.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let name = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let kind = KINDS.iter().find(|(media_type, _)| name.eq_ignore_ascii_case(media_type));
        kind.map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
            let detail = format!("Content-Type: '{name}' is none of {}", names.join(", "));
            Problem::new(Code::UnsupportedMediaType, detail).about("Content-Type")
        })
    }
}

/// What the request says about the rows in its body.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What rows of the dataset look like.
    pub(crate) schema: &'static Schema,
    /// The length of the bars; `Tick` for rows of datasets that have none.
    pub(crate) step: Step,
    /// The symbol of every row, if the request names one.
    pub(crate) symbol: Option<String>,
    /// Whether `ts` in the body is the end of the bar.
    pub(crate) stamped_at_end: bool,
    /// What becomes of columns that the dataset does not have.
    pub(crate) extra: Extra,
    /// Bytes that compressed buffers inside the body may become.
    pub(crate) decoded_bytes_max: u64,
}

impl Plan {
    /// Whether a bare date is a time: of rows that are stored by date, and in tables of users,
    /// whose rows may be about a day.
    fn takes_dates(&self) -> bool {
        self.step.is_dated() || self.schema.dataset.is_table()
    }
}

/// The rows in `body`.
///
/// # Errors
/// What is wrong with the body as a whole; a decoder that panics counts as that.
pub(crate) fn decode(kind: Kind, body: &Bytes, plan: &Plan) -> Result<Incoming, Problem> {
    let decoded = catch_unwind(AssertUnwindSafe(|| match kind {
        Kind::Arrow => arrow_stream::decode(body, plan),
        Kind::Parquet => parquet_file::decode(body, plan),
        Kind::Csv => csv::decode(body, plan),
        Kind::Json => json::decode_array(body, plan),
        Kind::NdJson => json::decode_lines(body, plan),
    }));
    decoded.unwrap_or_else(|_| {
        tracing::warn!(?kind, "a decoder panicked; the request was refused");
        Err(Problem::new(Code::InvalidBody, "the body cannot be read: its decoder broke down"))
    })
}

/// A body that cannot be read: `fault`.
fn unreadable(fault: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidBody, format!("the body cannot be read: {fault}"))
}

#[cfg(test)]
mod tests;
