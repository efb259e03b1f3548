//! `GET /v1/sources`: who delivers what; session set and alignment where a batch stated them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::{Error, Snapshot, SourceFactRow};
use barrow_types::Step;
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::Problem;
use super::ingest::DATASETS;
use super::params::{Known, Params};
use super::table::{instant, table};

const KNOWN: Known = Known { built: &["format"], not_built: &["as_of", "at_sequence"] };

/// Lists the sources.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    let format = Format::negotiate(&params, &headers)?;
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || rows(&snapshot)).await?.map_err(|error| Problem::read(&error))?;
    let columns = [
        ("source", "text"),
        ("dataset", "text"),
        ("timeframe", "text"),
        ("symbols", "i64"),
        ("session", "text"),
        ("align", "text"),
        ("known_at", "timestamp"),
        ("sequence", "i64"),
    ];
    table(format, &columns, &rows)
}

fn rows(snapshot: &Snapshot) -> Result<Vec<Value>, Error> {
    // By source, dataset, step: how many symbols, and what was stated.
    let mut delivered: BTreeMap<(String, &str, u8), (u64, Option<SourceFactRow>)> = BTreeMap::new();
    for schema in DATASETS {
        for (_, key) in snapshot.series(schema.dataset, None) {
            let kind = (key.source.as_str().to_owned(), schema.name, key.step.code());
            delivered.entry(kind).or_default().0 += 1;
        }
    }
    for fact in snapshot.source_facts()? {
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
