//! `GET,POST /v1/halts` and `/v1/outages`: times in which nothing could come.
//!
//! A span without end is not over; it ends when it is stated again with the same start. Halts are
//! of an instrument, by its id or by its name at their start; outages of a source, for one symbol
//! or for all.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::KnownAt;
use barrow_engine::dataset::facts::EVERY_SYMBOL;
use barrow_types::{DatasetId, Timestamp};
use serde_json::{Value, json};

use super::super::App;
use super::super::covers;
use super::super::encode::Format;
use super::super::error::Problem;
use super::super::ingest::reference;
use super::super::openapi::{
    Answer, Columns, Field, Format as Media, Operation, Param, Shape, Tag, Type, Verb,
};
use super::super::parameters::{AS_OF, AT_SEQUENCE, FORMAT, SOURCE};
use super::super::params::Params;
use super::super::table::{instant, table};
use super::super::time::parse_parameter;
use super::json::Fields;
use super::seen::{Seen, Wanted};
use super::stated::{Cell, Context, Fact, Group, Stated, state};
use super::{KNOWN_AT, STATING, each, stating};

/// Halts in.
pub(crate) static POST_HALTS: Operation = Operation {
    id: "post_halts",
    verb: Verb::Post,
    summary: "States halts: times in which an instrument was not traded",
    about: "A halt without end is not over; it ends when it is stated again with the same start.",
    body: stating("Halts, or one", &[Media::json(HALTS)]),
    example: (
        "/v1/halts",
        r#"{"symbol": "ALDR", "start": "2024-11-25T15:00:00Z", "end": "2024-11-25T15:10:00Z"}"#,
    ),
    ..STATING
};

/// Outages in.
pub(crate) static POST_OUTAGES: Operation = Operation {
    id: "post_outages",
    verb: Verb::Post,
    summary: "States outages: times in which a source delivered nothing",
    about: "An outage without end is not over; it ends when it is stated again with the same \
            start.",
    body: stating("Outages, or one", &[Media::json(OUTAGES)]),
    example: (
        "/v1/outages",
        r#"{"source": "sample", "start": "2024-11-25T15:00:00Z", "end": "2024-11-25T15:01:00Z"}"#,
    ),
    ..STATING
};

/// Halts out.
pub(crate) static LIST_HALTS: Operation = Operation {
    id: "list_halts",
    tag: Tag::Reference,
    summary: "Lists halts",
    query: &[FORMAT, ABOUT, START, END, AS_OF, AT_SEQUENCE],
    answer: Answer::Table(OF_HALTS),
    ..Operation::GET
};

/// Outages out.
pub(crate) static LIST_OUTAGES: Operation = Operation {
    id: "list_outages",
    tag: Tag::Reference,
    summary: "Lists outages",
    query: &[FORMAT, ABOUT, SOURCE, START, END, AS_OF, AT_SEQUENCE],
    answer: Answer::Table(OF_OUTAGES),
    ..Operation::GET
};

const ABOUT: Param =
    Param::new("symbols", Type::List(&Type::Text), "Only of these instruments or symbols");
const START: Param = Param::new("start", Type::When, "Only what ends after this");
const END: Param = Param::new("end", Type::When, "Only what begins before this");

const HALTS: Type = Type::Either(&[Type::List(&Type::Object(&HALT)), Type::Object(&HALT)]);
const OUTAGES: Type = Type::Either(&[Type::List(&Type::Object(&OUTAGE)), Type::Object(&OUTAGE)]);

static HALT: Shape = Shape {
    name: "Halt",
    about: "Either instrument or symbol",
    fields: &[
        Field::maybe("instrument", Type::Text, "The id of the instrument"),
        Field::maybe("symbol", Type::Text, "Its name at the start"),
        Field::new("start", Type::Time, ""),
        Field::maybe("end", Type::Time, "After the start. Left out: it is not over"),
        Field::maybe("note", Type::Text, "For persons"),
        SINCE,
    ],
};

static OUTAGE: Shape = Shape {
    name: "Outage",
    about: "",
    fields: &[
        Field::new("source", Type::Text, ""),
        Field::maybe("symbol", Type::Text, "Left out: all of the source's symbols"),
        Field::new("start", Type::Time, ""),
        Field::maybe("end", Type::Time, "After the start. Left out: it is not over"),
        Field::maybe("note", Type::Text, "For persons"),
        SINCE,
    ],
};

/// Spans are known since they came in.
const SINCE: Field = KNOWN_AT.meaning("Since when it is known. Left out: since it came in");

const OF_HALTS: Columns = &[
    ("instrument", "text"),
    ("start", "timestamp"),
    ("end", "timestamp"),
    ("note", "text"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
];

const OF_OUTAGES: Columns = &[
    ("source", "text"),
    ("symbol", "text"),
    ("start", "timestamp"),
    ("end", "timestamp"),
    ("note", "text"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
];

/// States halts.
pub(crate) async fn post_halts(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &POST_HALTS)?;
    let sum = state(&app, &params, &headers, body, |context, value| {
        let reference = reference(&context.snapshot)?;
        let (mut stated, mut seen) = (Stated::default(), BTreeSet::new());
        for (place, value) in each(value) {
            let fields = Fields::of_shape(value, place, &HALT)?;
            let start = fields.required("start", Fields::instant)?;
            let subject = match (fields.symbol("instrument")?, fields.symbol("symbol")?) {
                (Some(id), None) => id.to_string(),
                (None, Some(name)) => {
                    let id = reference.named(name.as_str(), start, &[]);
                    id.map_or(name.to_string(), |id| id.to_string())
                }
                (Some(_), Some(_)) => {
                    return Err(fields.fault(
                        "symbol",
                        "cannot be used together with instrument: say one of them",
                    ));
                }
                (None, None) => {
                    let what = "is missing: say its id, or its name then as symbol";
                    return Err(fields.fault("instrument", what));
                }
            };
            let fact = span(context, &fields, subject, start)?;
            once(&mut seen, &fields, (String::new(), fact.subject.clone(), start))?;
            stated.add(known_now(Group::of(DatasetId::HALTS)), fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

/// States outages.
pub(crate) async fn post_outages(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &POST_OUTAGES)?;
    let sum = state(&app, &params, &headers, body, |context, value| {
        let (mut stated, mut seen) = (Stated::default(), BTreeSet::new());
        for (place, value) in each(value) {
            let fields = Fields::of_shape(value, place, &OUTAGE)?;
            let source = fields.required("source", Fields::source)?;
            let start = fields.required("start", Fields::instant)?;
            let symbol = fields.text("symbol")?.unwrap_or(EVERY_SYMBOL);
            covers::checked(symbol).map_err(|what| fields.fault("symbol", what))?;
            let fact = span(context, &fields, symbol.to_owned(), start)?;
            once(&mut seen, &fields, (source.to_string(), fact.subject.clone(), start))?;
            let group = Group::from_source(DatasetId::OUTAGES, source.as_str());
            stated.add(known_now(group), fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

/// What a span is of: a source or none, and its subject; and its start.
type Key = (String, String, Timestamp);

/// Refuses a span that the body states twice: only one of them could count.
fn once(seen: &mut BTreeSet<Key>, fields: &Fields<'_>, key: Key) -> Result<(), Problem> {
    if seen.insert(key) {
        return Ok(());
    }
    Err(fields.fault("start", "is there twice for the same subject: say each span once"))
}

/// Spans are known since they came in: nobody knows of one before it begins, and rarely then.
fn known_now(group: Group) -> Group {
    Group { policy: KnownAt::Ingest, ..group }
}

fn span(
    context: &Context,
    fields: &Fields<'_>,
    subject: String,
    start: Timestamp,
) -> Result<Fact, Problem> {
    let end = fields.instant("end")?;
    if end.is_some_and(|end| end <= start) {
        return Err(fields.fault("end", "is not after start: leave it out if it is not over"));
    }
    let values = vec![Cell::from(end.map(Timestamp::nanos)), Cell::from(fields.text("note")?)];
    Ok(Fact { subject, ts: start, known_at: fields.known_at(context.now)?, values })
}

/// Lists halts.
pub(crate) async fn list_halts(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST_HALTS)?;
    list(&app, DatasetId::HALTS, &params, &headers).await
}

/// Lists outages.
pub(crate) async fn list_outages(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST_OUTAGES)?;
    list(&app, DatasetId::OUTAGES, &params, &headers).await
}

async fn list(
    app: &Arc<App>,
    dataset: DatasetId,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::negotiate(params, headers)?;
    let wanted = Wanted::read(params)?;
    let start = params.read("start", parse_parameter)?.unwrap_or(Timestamp::MIN);
    let end = params.read("end", parse_parameter)?.unwrap_or(Timestamp::MAX);
    let is_halt = dataset == DatasetId::HALTS;
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || {
        wanted.facts(&snapshot, dataset, |seen| {
            let until = seen.long(0).map(Timestamp::from_nanos);
            let touches = seen.ts() < end && until.is_none_or(|until| until > start);
            touches.then(|| row(seen, until, is_halt))
        })
    });
    let rows = rows.await??;
    table(format, if is_halt { OF_HALTS } else { OF_OUTAGES }, &rows)
}

fn row(seen: &Seen<'_>, until: Option<Timestamp>, is_halt: bool) -> Value {
    let mut row = json!({
        "start": instant(seen.ts()),
        "end": until.map(instant),
        "note": seen.text(1),
        "known_at": instant(seen.known_at()),
        "sequence": seen.sequence(),
    });
    if is_halt {
        row["instrument"] = seen.key.symbol.as_str().into();
    } else {
        row["source"] = seen.key.source.as_str().into();
        row["symbol"] = seen.key.symbol.as_str().into();
    }
    row
}
