//! `GET /v1/dead-letters`: rejected rows as they came, newest batch first.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::{DeadLetter, Error, Snapshot};
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::{Code, Problem};
use super::params::{Known, Params};
use super::table::{instant, table};

/// How many rows are listed if the request does not say.
const LIMIT: u64 = 100;
/// How many rows are listed at most: each holds a raw text of up to 4 KiB.
const LIMIT_MAX: u64 = 10_000;

const KNOWN: Known = Known {
    built: &["batch", "limit", "format"],
    not_built: &["source", "dataset", "cursor", "start", "end"],
};

/// Lists dead letters, of one batch if it is named.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    let format = Format::negotiate(&params, &headers)?;
    let limit = params.integer("limit")?.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is not 1 to {LIMIT_MAX}")));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let batch = params.get("batch").map(str::to_owned);
    let snapshot = app.engine.snapshot();
    let letters = app.query(move || read(&snapshot, batch.as_deref(), limit)).await??;
    let columns = [
        ("batch_id", "text"),
        ("row", "i64"),
        ("reason", "text"),
        ("detail", "text"),
        ("raw", "text"),
        ("known_at", "timestamp"),
        ("sequence", "i64"),
    ];
    let rows: Vec<Value> = letters.iter().map(row).collect();
    table(format, &columns, &rows)
}

fn row(letter: &DeadLetter) -> Value {
    json!({
        "batch_id": letter.batch_id,
        "row": letter.row,
        "reason": letter.reason,
        "detail": letter.detail,
        "raw": letter.raw,
        "known_at": instant(letter.now),
        "sequence": letter.sequence.get(),
    })
}

/// The dead letters of `batch`, or of its parts if it was cut, or of all.
fn read(
    snapshot: &Snapshot,
    batch: Option<&str>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    let Some(batch) = batch else { return snapshot.dead_letters(None, limit).map_err(failed) };
    if snapshot.batch(batch).map_err(failed)?.is_some() {
        return snapshot.dead_letters(Some(batch), limit).map_err(failed);
    }
    let mut letters = Vec::new();
    let mut parts = 0_u32;
    loop {
        let part = format!("{batch}#{}", parts + 1);
        if snapshot.batch(&part).map_err(failed)?.is_none() {
            break;
        }
        parts += 1;
        if letters.len() < limit {
            let more = limit - letters.len();
            letters.extend(snapshot.dead_letters(Some(&part), more).map_err(failed)?);
        }
    }
    if parts > 0 {
        return Ok(letters);
    }
    let detail = format!("batch: there is no batch {batch:?}");
    Err(Problem::new(Code::NotFound, detail).about("batch"))
}
