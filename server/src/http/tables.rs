//! Users' tables: `PUT /v1/datasets/{name}` defines one, and `GET /v1/tables/{dataset}` answers its
//! rows. What a table is, is told in `docs/TABLES.md`.
//!
//! A definition is a fact like any other: it comes in as a batch, and the answer is given once it
//! is durable. Rows are answered by the version that was the newest at `at_sequence`, so that an
//! answer that is asked for again looks as it did.

mod document;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use barrow_engine::dataset::Schema;
use barrow_engine::dataset::tables::{ChangeFault, Extra, Table, next};
use barrow_types::Sequence;

use super::App;
use super::cursor::Cursor;
use super::datasets;
use super::error::{Code, Problem};
use super::facts::json::fault;
use super::facts::stated::{Read, state};
use super::ingest::{DATASETS, schema_of};
use super::openapi::{
    Answer, Body as Bodied, FINDS, Format, Operation, READS, Rows, Tag, Type, WAITS, WRITES,
};
use super::parameters::{BATCH_ID, DATASET};
use super::params::Params;
use super::range;

/// Defines one.
pub(crate) static PUT: Operation = Operation {
    id: "put_dataset",
    tag: Tag::Datasets,
    summary: "Defines a table, or makes its next version",
    about: "Columns are added, renamed (was), widened, made nullable and hidden; no change loses \
            a stored value, and one that would is a conflict. See docs/TABLES.md.",
    path: &[DATASET.meaning("The name of the table: letters, digits and _, a letter first")],
    query: &[BATCH_ID],
    body: Some(Bodied {
        about: "The columns, the key, and what becomes of others",
        is_required: true,
        formats: &[Format::json(Type::Object(&document::DOCUMENT))],
    }),
    answer: Answer::Json(&datasets::DESCRIBED),
    problems: &[READS, WRITES],
    example: (
        "/v1/datasets/sentiment",
        r#"{"columns": [{"name": "score", "type": "f64"}], "key": ["ts"]}"#,
    ),
    ..Operation::PUT
};

/// Rows of one.
pub(crate) static GET: Operation = Operation {
    id: "get_table",
    tag: Tag::Data,
    summary: "A range of rows of a table",
    about: "Of all symbols if none is named.",
    path: &[DATASET.meaning("The name of the table")],
    query: range::OF_TABLES,
    not_built: &["vintage"],
    answer: Answer::Rows(Rows::Table),
    problems: &[READS, FINDS, WAITS],
    example: ("/v1/tables/sentiment", ""),
    ..Operation::GET
};

/// A dataset that takes rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// What its rows look like.
    pub(crate) schema: &'static Schema,
    /// What becomes of columns that it does not have.
    pub(crate) extra: Extra,
}

/// The dataset of that name, as it is by now.
///
/// # Errors
/// There is none that takes rows.
pub(crate) fn target(name: &str, snapshot: &Snapshot) -> Result<Target, Problem> {
    match snapshot.table(name, None) {
        Some(table) => {
            let newest = table.newest();
            Ok(Target { schema: newest.schema, extra: newest.extra })
        }
        None => Ok(Target { schema: schema_of(name)?, extra: Extra::Reject }),
    }
}

/// Defines a table, or makes its next version; the answer describes it.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT)?;
    let of = name.clone();
    state(&app, &params, &headers, body, move |context, value| {
        let asked = document::read(value)?;
        let next = next(&of, &context.snapshot.tables(), &asked).map_err(problem)?;
        let id = || context.batch_id.clone();
        let others = next.map(|definition| definition.batch(id())).into_iter().collect();
        Ok(Read { others, ..Read::default() })
    })
    .await?;
    let snapshot = app.engine.snapshot();
    let described = app.query(move || {
        let table = snapshot.table(&name, None).expect("invariant: it was stored just now");
        datasets::of_table(&table, &snapshot)
    });
    Ok(Json(described.await?).into_response())
}

fn problem(fault_of: ChangeFault) -> Problem {
    let ChangeFault { field, what, is_conflict } = fault_of;
    let problem = fault(&field, what);
    if is_conflict { Problem { code: Code::Conflict, ..problem } } else { problem }
}

/// Answers a range of a table.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &GET)?;
    range::answer(&app, &params, &headers, |snapshot| {
        // Every page is of the version that the first one was of.
        let of_cursor = params.get("cursor").and_then(Cursor::sequence_of);
        let at_sequence = of_cursor.or(params.integer("at_sequence")?).map(Sequence::new);
        Ok(find(&name, snapshot, at_sequence)?.newest().schema)
    })
    .await
}

/// The table of that name as it was at `at_sequence`.
pub(crate) fn find(
    name: &str,
    snapshot: &Snapshot,
    at_sequence: Option<Sequence>,
) -> Result<Table, Problem> {
    let found = snapshot.table(name, at_sequence);
    found.ok_or_else(|| {
        let what = match at_sequence {
            _ if DATASETS.iter().any(|schema| schema.name == name) => {
                format!("{name} are no table of a user's: ask /v1/{name}")
            }
            Some(at) if snapshot.table(name, None).is_some() => {
                format!("there was no table '{name}' at sequence {at}")
            }
            _ => format!("there is no table '{name}'"),
        };
        Problem::new(Code::NotFound, format!("dataset: {what}")).about("dataset")
    })
}
