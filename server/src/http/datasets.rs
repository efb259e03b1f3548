//! `GET /v1/datasets` and `GET /v1/datasets/{dataset}`: which tables there are and what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use barrow_engine::dataset::{Identity, Schema};
use barrow_engine::rows::ColumnType;
use barrow_types::{PriceSide, Step};
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::Problem;
use super::ingest::{DATASETS, schema_of};
use super::params::{Known, Params};
use super::table::table;

const LIST_KNOWN: Known = Known { built: &["format"], not_built: &["symbols"] };
const KNOWN: Known = Known { built: &[], not_built: &["symbols"] };

/// Lists the datasets.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST_KNOWN)?;
    let format = Format::negotiate(&params, &headers)?;
    let snapshot = app.engine.snapshot();
    let rows = move || DATASETS.map(|schema| row(schema, &snapshot));
    let rows = app.query(rows).await?;
    let columns = [
        ("name", "text"),
        ("type", "text"),
        ("version", "i64"),
        ("series", "i64"),
        ("symbols", "i64"),
        ("sources", "i64"),
    ];
    table(format, &columns, &rows)
}

fn row(schema: &Schema, snapshot: &Snapshot) -> Value {
    let series = snapshot.series(schema.dataset, None);
    let symbols: BTreeSet<_> = series.iter().map(|(_, key)| &key.symbol).collect();
    let sources: BTreeSet<_> = series.iter().map(|(_, key)| &key.source).collect();
    json!({
        "name": schema.name,
        "type": "raw",
        "version": schema.version,
        "series": series.len(),
        "symbols": symbols.len(),
        "sources": sources.len(),
    })
}

/// Describes one dataset: its columns, and how many series of which kind it holds.
pub(crate) async fn describe(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let schema = schema_of(&dataset)?;
    Params::parse(query.as_deref(), &KNOWN)?;
    let snapshot = app.engine.snapshot();
    let body = app.query(move || description(schema, &snapshot)).await?;
    Ok(Json(body).into_response())
}

fn description(schema: &Schema, snapshot: &Snapshot) -> Value {
    let kind = |kind| match kind {
        ColumnType::F64 => "f64",
        ColumnType::I64 => "i64",
        ColumnType::Text => "text",
    };
    let column = |name: &str, kind: &str, nullable: bool| {
        json!({
            "name": name,
            "type": kind,
            "nullable": nullable,
        })
    };
    let mut columns = vec![column("symbol", "text", false), column("ts", "timestamp", false)];
    columns.extend(schema.columns.iter().map(|c| column(c.name, kind(c.kind), c.nullable)));
    columns.push(column("known_at", "timestamp", true));
    let mut groups: BTreeMap<(u8, u8, String), u64> = BTreeMap::new();
    for (_, key) in snapshot.series(schema.dataset, None) {
        let group = (key.step.code(), key.side.code(), key.source.as_str().to_owned());
        *groups.entry(group).or_default() += 1;
    }
    let series: Vec<Value> = groups
        .into_iter()
        .map(|((step, side, source), symbols)| {
            let step = Step::from_code(step).filter(|step| *step != Step::Tick);
            let side = PriceSide::from_code(side).filter(|_| step.is_some());
            json!({
                "timeframe": step.map(Step::name),
                "price": side.map(PriceSide::name),
                "source": source,
                "symbols": symbols,
            })
        })
        .collect();
    let key = match schema.identity {
        Identity::Ts => vec!["symbol", "timeframe", "price", "source", "ts"],
        Identity::Event { id: [] } | Identity::Append => Vec::new(),
        Identity::Event { id } => {
            let ids = schema.columns.iter().filter(|column| id.contains(&column.id));
            ["symbol", "source", "ts"].into_iter().chain(ids.map(|column| column.name)).collect()
        }
    };
    json!({
        "name": schema.name,
        "type": "raw",
        "version": schema.version,
        "key": key,
        "columns": columns,
        "series": series,
        "sequence": snapshot.sequence().get(),
    })
}
