//! `GET /v1/quality/{dataset}` and `GET /v1/health/{dataset}`: how good the data of a dataset are,
//! now or as of then.
//!
//! | file | holds |
//! |---|---|
//! | `asked.rs` | which data: parameters, and the instruments of each step and side |
//! | `fold.rs` | counts by session and series, added up as far as nobody asked for them |
//! | `metric.rs` | a count as a metric with its status |
//! | `health.rs` | metrics as one colour with reasons |
//! | `advice.rs` | what a person can do |

mod advice;
mod asked;
mod fold;
pub(crate) mod health;
mod metric;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::Problem;
use super::facts::dataset_of;
use super::params::{Known, Params};
use super::table::{date, table_with_warnings};
use crate::clock;
use asked::Asked;
use fold::{Fold, Splits};

const KNOWN: Known = Known {
    built: &[
        "symbols",
        "start_date",
        "end_date",
        "frequency",
        "price",
        "source",
        "session",
        "align",
        "as_of",
        "at_sequence",
        "by",
        "format",
    ],
    not_built: &[],
};

/// Answers metrics.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let schema = dataset_of(&dataset)?;
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    let format = Format::negotiate(&params, &headers)?;
    let splits = params.read("by", Splits::parse)?.unwrap_or_default();
    let mut asked = Asked::read(schema, &params, clock::now())?;
    let dates = asked::dates(&params)?;
    asked.dates = dates.0.unwrap_or(i32::MIN)..dates.1.unwrap_or(i32::MAX);
    let snapshot = app.engine.snapshot();
    app.query(move || answer(asked, splits, format, &snapshot)).await?
}

fn answer(
    mut asked: Asked,
    splits: Splits,
    format: Format,
    snapshot: &Snapshot,
) -> Result<Response, Problem> {
    asked.fix_due(snapshot)?;
    let groups = asked.groups(snapshot)?;
    let mut fold = Fold::new(&asked, &groups, splits);
    fold.run(snapshot)?;
    let (metrics, warnings) = (fold.metrics(), fold.warnings());
    if format != Format::Json {
        let rows: Vec<Value> = metrics.iter().map(|metric| metric.row(&fold)).collect();
        return table_with_warnings(format, &metric::COLUMNS, &rows, &warnings);
    }
    let metrics: Vec<Value> = metrics.iter().map(|metric| metric.json(&fold)).collect();
    let dates = &asked.dates;
    let body = json!({
        "dataset": asked.schema.name,
        "start_date": (dates.start > i32::MIN).then(|| date(dates.start)),
        "end_date": (dates.end < i32::MAX).then(|| date(dates.end)),
        "sequence": asked.sequence(snapshot),
        "metrics": metrics,
        "warnings": warnings,
        "complete": true,
    });
    Ok(Json(body).into_response())
}
