//! `GET /v1/claims`: what sources say that they delivered all of, and
//! `POST /v1/datasets/{dataset}/claims`: claims of several symbols, each for a range of its own,
//! as an import makes them when it has sent a file.
//!
//! The body is an array of `{symbol, start, end}`; bare dates are sessions by each symbol's
//! calendar, as in `covers=` of rows.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::{Act, Batch, Claim, ClaimOrigin};
use barrow_engine::dataset::schema;
use barrow_types::{DatasetId, Step, Timestamp};
use serde_json::json;

use super::super::App;
use super::super::covers::{Range, checked};
use super::super::decode::Incoming;
use super::super::encode::Format;
use super::super::error::{Code, Problem};
use super::super::ingest::{common, reference, schema_of};
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Format as Media, Operation, Param, READS, Shape, Tag, Type,
    Verb, WRITES,
};
use super::super::parameters::{
    AS_OF, AT_SEQUENCE, BATCH_ID, FORMAT, MARKET, MARKET_DATASET, PRICE, SOURCE, SYMBOLS, TIMEFRAME,
};
use super::super::params::Params;
use super::super::parts::{self, Common};
use super::super::table::{instant, table};
use super::super::time::parse_parameter;
use super::json::{Fields, fault};
use super::seen::{Seen, Wanted};
use super::stated::{Read, state};
use super::{STATING, each, stating};

/// Claims in.
pub(crate) static POST: Operation = Operation {
    id: "post_claims",
    verb: Verb::Post,
    tag: Tag::Ingestion,
    summary: "Claims that ranges were delivered whole",
    about: "What is missing in them was not traded. Bare dates are sessions by the calendar of \
            each symbol.",
    path: &[MARKET_DATASET],
    query: &[
        TIMEFRAME.meaning("The length of the bars, which only they have and must have"),
        SOURCE.meaning("Whose rows they are about").or("\"http\""),
        PRICE.or("\"trade\""),
        BATCH_ID,
        Param::new(
            "origin",
            Type::Words(|| ORIGINS.map(ClaimOrigin::name).to_vec()),
            "Where the claim comes from",
        )
        .or("\"covers\""),
    ],
    body: stating("Claims", &[Media::json(Type::List(&Type::Object(&CLAIM)))]),
    problems: &[READS, WRITES, FINDS],
    example: (
        "/v1/datasets/bars/claims?timeframe=1m&source=sample",
        r#"[{"symbol": "ALDR", "start": "2024-11-25", "end": "2024-11-26"}]"#,
    ),
    ..STATING
};

/// Claims out.
pub(crate) static LIST: Operation = Operation {
    id: "list_claims",
    tag: Tag::Ingestion,
    summary: "Lists what sources say that they delivered all of",
    query: &[
        FORMAT,
        Param::new("dataset", MARKET, "Only about this dataset"),
        SYMBOLS,
        SOURCE,
        TIMEFRAME,
        PRICE,
        Param::new("start", Type::When, "Only what ends after this"),
        Param::new("end", Type::When, "Only what begins before this"),
        AS_OF,
        AT_SEQUENCE,
    ],
    answer: Answer::Table(COLUMNS),
    problems: &[READS, FINDS],
    ..Operation::GET
};

static CLAIM: Shape = Shape {
    name: "Claim",
    about: "",
    fields: &[
        Field::new("symbol", Type::Text, "A symbol, or * for all of the source"),
        Field::new("start", Type::When, ""),
        Field::new("end", Type::When, "After the start, and not in the future"),
    ],
};

const COLUMNS: Columns = &[
    ("symbol", "text"),
    ("source", "text"),
    ("dataset", "text"),
    ("timeframe", "text"),
    ("price", "text"),
    ("start", "timestamp"),
    ("end", "timestamp"),
    ("origin", "text"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
];

/// What clients may claim here; watermarks have a route of their own.
const ORIGINS: [ClaimOrigin; 2] = [ClaimOrigin::Covers, ClaimOrigin::Complete];

/// Takes claims.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let schema = schema_of(&dataset)?;
    let params = Params::parse(query.as_deref(), &POST)?;
    let common = common(schema, &params, Act::Insert)?;
    let origin = params.read("origin", |word| {
        let found = ORIGINS.into_iter().find(|origin| origin.name() == word);
        found.ok_or_else(|| format!("'{word}' is neither covers nor complete"))
    })?;
    let origin = origin.unwrap_or(ClaimOrigin::Covers);
    let bytes_max = app.config.engine.batch_bytes_max;
    let sum = state(&app, &params, &headers, body, move |context, value| {
        if !value.is_array() {
            return Err(fault("body", "is not an array of {symbol, start, end}"));
        }
        let reference = reference(&context.snapshot)?;
        let mut claims = Vec::new();
        for (place, value) in each(value) {
            let fields = Fields::of_shape(value, place, &CLAIM)?;
            let symbol = fields.required("symbol", Fields::text)?;
            checked(symbol).map_err(|what| fields.fault("symbol", what))?;
            let range = Range {
                start: fields.required("start", Fields::when)?,
                end: fields.required("end", Fields::when)?,
            };
            let (start, end, _) = range.of(symbol, (&common.source, common.step), &reference);
            check_range(&fields, "end", (start, end), context.now)?;
            claims.push(Claim { symbol: symbol.to_owned(), start, end, origin });
        }
        let common = Common { id: context.batch_id.clone(), claims, ..common };
        Ok(Read { others: batches(&common, bytes_max)?, ..Read::default() })
    });
    Ok(sum.await?.into_response())
}

/// Refuses a range that is empty or reaches into the future.
pub(super) fn check_range(
    fields: &Fields<'_>,
    end_name: &str,
    (start, end): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<(), Problem> {
    if start >= end {
        return Err(fields.fault(end_name, "is not after the start: turn them round"));
    }
    if end > now {
        return Err(fields.fault(end_name, "lies in the future: end at the last row there is"));
    }
    Ok(())
}

/// The batches without rows that make the claims of `common`.
pub(super) fn batches(common: &Common, bytes_max: u64) -> Result<Vec<Batch>, Problem> {
    if common.claims.is_empty() {
        return Ok(Vec::new());
    }
    parts::batches(Incoming::empty(common.schema), common, bytes_max)
        .map_err(|detail| Problem::new(Code::TooLarge, detail).about("body"))
}

/// Lists claims.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let wanted = Wanted::read(&params)?;
    let (step, side) = (params.step("timeframe")?, params.side()?);
    let dataset = dataset(&params)?;
    let start = params.read("start", parse_parameter)?.unwrap_or(Timestamp::MIN);
    let end = params.read("end", parse_parameter)?.unwrap_or(Timestamp::MAX);
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || {
        wanted.facts(&snapshot, DatasetId::CLAIMS, |seen| {
            let until = Timestamp::from_nanos(seen.long(0)?);
            let is_wanted = step.is_none_or(|step| step == seen.key.step)
                && side.is_none_or(|side| side == seen.key.side)
                && dataset.is_none_or(|dataset| Some(dataset) == claimed(seen))
                && seen.ts() < end
                && until > start;
            is_wanted.then(|| {
                let mut row = of_series(seen);
                row["dataset"] = claimed(seen).map(name_of).into();
                row["start"] = instant(seen.ts());
                row["end"] = instant(until);
                row["origin"] = seen.text(1).into();
                row
            })
        })
    });
    let rows = rows.await??;
    table(format, COLUMNS, &rows)
}

/// The dataset whose claims are asked for.
pub(super) fn dataset(params: &Params) -> Result<Option<DatasetId>, Problem> {
    let name = params.get("dataset");
    name.map(|name| schema_of(name).map(|schema| schema.dataset)).transpose()
}

/// The dataset that a claim is about.
pub(super) fn claimed(claim: &Seen<'_>) -> Option<DatasetId> {
    claim.long(2).and_then(|dataset| u16::try_from(dataset).ok()).map(DatasetId::new)
}

/// What a dataset is called.
pub(super) fn name_of(dataset: DatasetId) -> Option<&'static str> {
    schema(dataset).map(|schema| schema.name)
}

/// What a fact about a series of market data says of it, and since when it is known.
pub(super) fn of_series(seen: &Seen<'_>) -> serde_json::Value {
    let step = Some(seen.key.step).filter(|step| *step != Step::Tick);
    json!({
        "symbol": seen.key.symbol.as_str(),
        "source": seen.key.source.as_str(),
        "timeframe": step.map(Step::name),
        "price": step.map(|_| seen.key.side.name()),
        "known_at": instant(seen.known_at()),
        "sequence": seen.sequence(),
    })
}
