//! `GET /v1/datasets` and `GET /v1/datasets/{dataset}`: which tables there are and what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use barrow_engine::dataset::{BARS, Identity};
use barrow_engine::rows::ColumnType;
use serde_json::{Value, json};

use super::App;
use super::error::Problem;
use super::ingest::check_dataset;
use super::params::{Known, Params};
use super::table::table;

const KNOWN: Known = Known { built: &[], not_built: &["symbols"] };

/// Lists the datasets.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Params::parse(query.as_deref(), &KNOWN)?;
    let snapshot = app.engine.snapshot();
    let row = app.query(move || bars_row(&snapshot)).await?;
    let columns = [
        ("name", "text"),
        ("type", "text"),
        ("version", "i64"),
        ("series", "i64"),
        ("symbols", "i64"),
        ("sources", "i64"),
    ];
    Ok(table(&columns, &[row]))
}

fn bars_row(snapshot: &Snapshot) -> Value {
    let series = snapshot.series(BARS.dataset, None);
    let symbols: BTreeSet<_> = series.iter().map(|(_, key)| &key.symbol).collect();
    let sources: BTreeSet<_> = series.iter().map(|(_, key)| &key.source).collect();
    json!({
        "name": BARS.name,
        "type": "raw",
        "version": BARS.version,
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
    check_dataset(&dataset)?;
    Params::parse(query.as_deref(), &KNOWN)?;
    let snapshot = app.engine.snapshot();
    let body = app.query(move || description(&snapshot)).await?;
    Ok(Json(body).into_response())
}

fn description(snapshot: &Snapshot) -> Value {
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
    columns.extend(BARS.columns.iter().map(|c| column(c.name, kind(c.kind), c.nullable)));
    columns.push(column("known_at", "timestamp", true));
    let mut groups: BTreeMap<(u8, u8, String), u64> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (_, key) in snapshot.series(BARS.dataset, None) {
        let group = (key.step.code(), key.side.code(), key.source.as_str().to_owned());
        names.insert((group.0, group.1), (key.step.name(), key.side.name()));
        *groups.entry(group).or_default() += 1;
    }
    let series: Vec<Value> = groups
        .into_iter()
        .map(|((step, side, source), symbols)| {
            let (timeframe, price) = names[&(step, side)];
            json!({"timeframe": timeframe, "price": price, "source": source, "symbols": symbols})
        })
        .collect();
    let key: &[&str] = match BARS.identity {
        Identity::Ts => &["symbol", "timeframe", "price", "source", "ts"],
        Identity::Event { .. } | Identity::Append => &[],
    };
    json!({
        "name": BARS.name,
        "type": "raw",
        "version": BARS.version,
        "key": key,
        "columns": columns,
        "series": series,
        "sequence": snapshot.sequence().get(),
    })
}
