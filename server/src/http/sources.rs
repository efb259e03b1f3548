//! `GET /v1/sources`: who delivers what; session set and alignment where a batch stated them.
//!
//! At (T, N) the sources are those of the series that were held at N, and what is said of them was
//! said by then and known at T.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::{Error, Snapshot, SourceFactRow};
use barrow_types::{Sequence, Step, Timestamp};
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::Problem;
use super::ingest::DATASETS;
use super::openapi::{Answer, Columns, Operation, Tag};
use super::parameters::{AS_OF, AT_SEQUENCE, FORMAT};
use super::params::Params;
use super::table::{instant, table};
use super::time::parse_parameter;

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_sources",
    tag: Tag::Reference,
    summary: "Lists sources, and what each delivers",
    query: &[FORMAT, AS_OF, AT_SEQUENCE],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

const COLUMNS: Columns = &[
    ("source", "text"),
    ("dataset", "text"),
    ("timeframe", "text"),
    ("symbols", "i64"),
    ("session", "text"),
    ("align", "text"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
];

/// Lists the sources.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let as_of = params.read("as_of", parse_parameter)?;
    let at_sequence = params.integer("at_sequence")?.map(Sequence::new);
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || rows(&snapshot, as_of, at_sequence)).await?;
    let rows = rows.map_err(|error| Problem::read(&error))?;
    table(format, COLUMNS, &rows)
}

fn rows(
    snapshot: &Snapshot,
    as_of: Option<Timestamp>,
    at_sequence: Option<Sequence>,
) -> Result<Vec<Value>, Error> {
    let held = at_sequence.unwrap_or_else(|| snapshot.sequence());
    // By source, dataset, step: how many symbols, and what was stated.
    let mut delivered: BTreeMap<(String, &str, u8), (u64, Option<SourceFactRow>)> = BTreeMap::new();
    for schema in DATASETS {
        for (_, key) in snapshot.series_at(schema.dataset, held) {
            let kind = (key.source.as_str().to_owned(), schema.name, key.step.code());
            delivered.entry(kind).or_default().0 += 1;
        }
    }
    for fact in snapshot.source_facts(as_of, at_sequence)? {
        if let Some(schema) = DATASETS.iter().find(|schema| schema.dataset == fact.dataset) {
            let kind = (fact.source.clone(), schema.name, fact.step);
            delivered.entry(kind).or_default().1 = Some(fact);
        }
    }
    let row = |((source, dataset, step), (symbols, fact))| {
        let fact: Option<SourceFactRow> = fact;
        let step = Step::from_code(step).filter(|step| *step != Step::Tick);
        json!({
            "source": source,
            "dataset": dataset,
            "timeframe": step.map(Step::name),
            "symbols": symbols,
            "session": fact.as_ref().map(|fact| fact.facts.session.as_str()),
            "align": fact.as_ref().map(|fact| fact.facts.align.as_str()),
            "known_at": fact.as_ref().map(|fact| instant(fact.known_at)),
            "sequence": fact.as_ref().map(|fact| fact.sequence.get()),
        })
    };
    Ok(delivered.into_iter().map(row).collect())
}
