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
use super::openapi::{Answer, FINDS, Field, Operation, Param, READS, Shape, Tag, Type};
use super::parameters::{
    ALIGN, AS_OF, AT_SEQUENCE, FORMAT, FREQUENCY, MARKET_DATASET, PRICE, SESSION, SOURCE, SYMBOLS,
};
use super::params::Params;
use super::table::{date, table_with_warnings};
use crate::clock;
use asked::Asked;
use fold::{Fold, Splits};

/// Metrics.
pub(crate) static GET: Operation = Operation {
    id: "get_quality",
    tag: Tag::Quality,
    summary: "How good the data of a dataset are, as metrics",
    path: &[MARKET_DATASET],
    query: &[
        SYMBOLS.meaning("Only these. Left out: all"),
        Param::new(
            "start_date",
            Type::Date,
            "The first session date. Left out: the first there is",
        ),
        Param::new("end_date", Type::Date, "The date after the last session date"),
        FREQUENCY.meaning("Only bars of this length"),
        PRICE.meaning("Only bars of this side"),
        SOURCE,
        SESSION.or("\"regular\""),
        ALIGN,
        AS_OF,
        AT_SEQUENCE,
        Param::new("by", Type::List(&SPLITS), "What metrics are told apart by"),
        FORMAT,
    ],
    answer: Answer::Report(&QUALITY),
    problems: &[READS, FINDS],
    example: ("/v1/quality/bars?start_date=2024-11-25&end_date=2024-11-30&by=source", ""),
    ..Operation::GET
};

const SPLITS: Type = Type::Words(|| vec!["session", "symbol", "source", "frequency", "price"]);

static QUALITY: Shape = Shape {
    name: "Quality",
    about: "Metrics of a dataset",
    fields: &[
        Field::new("dataset", Type::Text, ""),
        Field::or_null("start_date", Type::Date, ""),
        Field::or_null("end_date", Type::Date, ""),
        Field::new("sequence", Type::Whole, "The last record that counts"),
        Field::new("metrics", Type::List(&Type::Object(&metric::METRIC)), ""),
        Field::new("warnings", Type::List(&Type::Text), "What a person should know"),
        Field::new("complete", Type::Flag, ""),
    ],
};

/// Answers metrics.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let schema = dataset_of(&dataset)?;
    let params = Params::parse(query.as_deref(), &GET)?;
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
        return table_with_warnings(format, metric::COLUMNS, &rows, &warnings);
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
