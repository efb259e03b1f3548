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
use super::super::params::{Known, Params};
use super::super::table::{instant, table};
use super::super::time::parse_parameter;
use super::json::Fields;
use super::seen::{Seen, Wanted};
use super::stated::{Cell, Context, Fact, Group, Stated, state};
use super::{STATING, each};

const LIST: Known = Known {
    built: &["format", "symbols", "source", "start", "end", "as_of", "at_sequence"],
    not_built: &[],
};

/// States halts.
pub(crate) async fn post_halts(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &STATING)?;
    let sum = state(&app, &params, &headers, body, |context, value| {
        const FIELDS: [&str; 6] = ["instrument", "symbol", "start", "end", "note", "known_at"];
        let reference = reference(&context.snapshot)?;
        let (mut stated, mut seen) = (Stated::default(), BTreeSet::new());
        for (place, value) in each(value) {
            let fields = Fields::of(value, place, &FIELDS)?;
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
    let params = Params::parse(query.as_deref(), &STATING)?;
    let sum = state(&app, &params, &headers, body, |context, value| {
        const FIELDS: [&str; 6] = ["source", "symbol", "start", "end", "note", "known_at"];
        let (mut stated, mut seen) = (Stated::default(), BTreeSet::new());
        for (place, value) in each(value) {
            let fields = Fields::of(value, place, &FIELDS)?;
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
    let known = Known { built: LIST.built, not_built: LIST.not_built };
    let params = Params::parse(query.as_deref(), &known)?;
    if params.get("source").is_some() {
        return Err(Problem::parameter("source", "halts are of instruments, whatever the source"));
    }
    list(&app, DatasetId::HALTS, &params, &headers).await
}

/// Lists outages.
pub(crate) async fn list_outages(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
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
    let mut columns = vec![
        ("start", "timestamp"),
        ("end", "timestamp"),
        ("note", "text"),
        ("known_at", "timestamp"),
        ("sequence", "i64"),
    ];
    let subject: &[_] =
        if is_halt { &[("instrument", "text")] } else { &[("source", "text"), ("symbol", "text")] };
    columns.splice(..0, subject.iter().copied());
    table(format, &columns, &rows)
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
