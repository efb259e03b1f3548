//! `POST /v1/dead-letters/{id}/replay`: the row of a dead letter through the normal intake again,
//! as a new batch of its source and dataset, with the values that the body puts right.
//!
//! What the first request said beside its rows is not in the letter and is said again:
//! `timeframe`, `price`, `stamp`, and `symbol` if its rows had none; `columns` names the fields of
//! a letter that is a line of CSV. The body is a JSON object of values by column, which take the
//! place of the letter's; of a letter whose text does not name its columns, it is the whole row.
//!
//! The answer is that of any batch. A repetition of a replay that succeeded is answered as such;
//! another row for the same letter is a conflict. One that was rejected leaves a dead letter of its
//! own, and the next attempt has the next number.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::Act;
use barrow_engine::dataset::tables::Extra;
use barrow_engine::{BatchEntry, Error, LetterId, Snapshot};
use barrow_types::{Source, Symbol};
use bytes::Bytes;

use super::super::answer::APPLIED;
use super::super::body;
use super::super::decode::{self, Incoming, Kind, Plan};
use super::super::ingest::{apply, common, stamped_at_end};
use super::super::openapi::{
    Body as Bodied, FINDS, Format, JUDGES, Operation, Param, READS, Tag, Type, Verb, WRITES,
};
use super::super::parameters::{PRICE, TIMEFRAME};
use super::super::parts::{self, Common};
use super::raw::{Form, Row, is_cut};
use super::{App, Code, Found, OF_LETTER, Params, Problem, id_text, known_id};
use crate::http::ingest::{POLICY, STAMP, SYMBOL};

/// How the ids of replays begin; no other batch may be called so.
pub(crate) const REPLAY: &str = "replay:";

/// How often one letter can be sent in vain.
const ATTEMPTS_MAX: u32 = 100;

/// Sends one again.
pub(crate) static POST: Operation = Operation {
    id: "replay_dead_letter",
    verb: Verb::Post,
    tag: Tag::Ingestion,
    summary: "Sends a rejected row again, with what is put right",
    about: "What the first request said beside its rows is said again.",
    path: &[OF_LETTER],
    query: &[
        TIMEFRAME.meaning("The length of the bars, which only they have and must have"),
        PRICE.or("\"trade\""),
        SYMBOL,
        STAMP,
        Param::new(
            "columns",
            Type::List(&Type::Text),
            "The columns of a letter that is a line of CSV; - leaves one out",
        ),
        POLICY,
    ],
    body: Some(Bodied {
        about: "Values by column, which take the place of the letter's",
        is_required: false,
        formats: &[Format::json(Type::Map(&Type::Any))],
    }),
    answer: APPLIED,
    problems: &[READS, WRITES, FINDS, JUDGES],
    ..Operation::PUT
};

fn attempt_id(letter: LetterId, attempt: u32) -> String {
    match attempt {
        1 => format!("{REPLAY}{}", id_text(letter)),
        _ => format!("{REPLAY}{}:{attempt}", id_text(letter)),
    }
}

/// How many attempts there were, and the one that was not rejected.
pub(super) fn attempts(
    snapshot: &Snapshot,
    letter: LetterId,
) -> Result<(u32, Option<BatchEntry>), Error> {
    for attempt in 1..=ATTEMPTS_MAX {
        match snapshot.batch(&attempt_id(letter, attempt))? {
            None => return Ok((attempt - 1, None)),
            Some(entry) if entry.counts.rejected == 0 => return Ok((attempt, Some(entry))),
            Some(_) => {}
        }
    }
    Ok((ATTEMPTS_MAX, None))
}

/// Sends a letter again.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = known_id(&id)?;
    let params = Params::parse(query.as_deref(), &POST)?;
    app.check_intake()?;
    let http = &app.config.http;
    let time_max = Duration::from_secs(http.body_seconds_max);
    let sent = body::take(&headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
    let bytes_max = http.body_decoded_bytes_max;
    let snapshot = app.engine.snapshot();
    let (incoming, common) = app
        .prepare(move || {
            let corrections = corrections(&headers, &sent.decode(bytes_max)?.bytes)?;
            let found = Found::read(&snapshot, id)?;
            let table = snapshot.table(found.schema.name, None);
            let extra = table.map_or(Extra::Reject, |table| table.newest().extra);
            read(&found, &params, corrections, (extra, bytes_max))
        })
        .await??;
    loop {
        let snapshot = app.engine.snapshot();
        let known = app.query(move || attempts(&snapshot, id)).await?;
        let (count, replayed) = known.map_err(|error| Problem::read(&error))?;
        if replayed.is_none() && count == ATTEMPTS_MAX {
            let detail = format!("id: the letter was sent again {ATTEMPTS_MAX} times in vain");
            return Err(Problem::new(Code::Conflict, detail).about("id"));
        }
        let attempt = if replayed.is_some() { count } else { count + 1 };
        let common = Common { id: attempt_id(id, attempt), ..common.clone() };
        let batches = parts::batches(incoming.clone(), &common, app.config.engine.batch_bytes_max)
            .map_err(|detail| Problem::new(Code::TooLarge, detail).about("body"))?;
        match (apply(&app, common.id, batches).await, replayed) {
            (Err(problem), Some(entry)) if problem.code == Code::Conflict => {
                let detail = format!(
                    "id: the letter was replayed as another row, by batch {} at sequence {}; to \
                     correct that row, send it as rows are sent",
                    entry.batch_id, entry.sequence
                );
                return Err(Problem::new(Code::Conflict, detail).about("id"));
            }
            // Somebody else took the number in between.
            (Err(problem), None) if problem.code == Code::Conflict => {}
            (answer, _) => {
                let mut sum = answer?;
                sum.ignore(incoming.ignored);
                return Ok(sum.into_response());
            }
        }
    }
}

/// The values in the body of a request.
fn corrections(headers: &HeaderMap, body: &[u8]) -> Result<Row, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Row::default());
    }
    let kind = headers.get(header::CONTENT_TYPE).map(|_| Kind::of(headers)).transpose()?;
    if kind.is_some_and(|kind| kind != Kind::Json) {
        let detail = "Content-Type: the values of a replay are one application/json object";
        return Err(Problem::new(Code::UnsupportedMediaType, detail).about("Content-Type"));
    }
    let row: Row = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is not an object of values by column: {error}");
        Problem::new(Code::InvalidBody, detail).about("body")
    })?;
    match row.twice() {
        None => Ok(row),
        Some(name) => {
            Err(Problem::new(Code::InvalidBody, format!("{name}: is there twice")).about(name))
        }
    }
}

/// The row that the letter, the parameters and the corrections make together.
fn read(
    found: &Found,
    params: &Params,
    corrections: Row,
    (extra, decoded_bytes_max): (Extra, u64),
) -> Result<(Incoming, Common), Problem> {
    let Found { letter, batch, schema, form, row } = found;
    if *form == Form::Retraction {
        let detail = "id: this was a retraction that found nothing: delete the row again, once it \
                      is there";
        return Err(Problem::new(Code::InvalidParameter, detail).about("id"));
    }
    let common = common(schema, params, Act::Insert)?;
    let source = Source::new(&batch.source).expect("invariant: the ledger holds names");
    let common = Common { source, ..common };
    let mut values = match (row, params.get("columns")) {
        (Some(row), None) => row.clone(),
        (Some(_), Some(_)) => {
            let fault = "the letter's text names its columns itself: leave them out";
            return Err(Problem::parameter("columns", fault));
        }
        (None, Some(_)) if is_cut(&letter.raw) => {
            let fault = "the letter's text was too long to be kept whole: send the row as a JSON \
                         object in the body";
            return Err(Problem::parameter("columns", fault));
        }
        (None, Some(names)) => Row::of_line(&letter.raw, names)
            .map_err(|fault| Problem::parameter("columns", fault))?,
        (None, None) if corrections.is_empty() => {
            let fault = "the letter's text does not name its columns: say columns=symbol,ts,... \
                         in its order (- leaves a field out) if it is a line of CSV, or send the \
                         row as a JSON object in the body";
            return Err(Problem::parameter("columns", fault));
        }
        (None, None) => Row::default(),
    };
    let stamped_at_end = stamped_at_end(params)?;
    if *form == Form::Columns && stamped_at_end && !corrections.has("ts") {
        let fault = "the letter's ts is the open of its bar already: leave it out";
        return Err(Problem::parameter("stamp", fault));
    }
    values.replace(corrections);
    if let Some(name) = values.twice() {
        let detail = format!("{name}: is there twice in the letter: say in the body which it is");
        return Err(Problem::new(Code::InvalidBody, detail).about(name));
    }
    let symbol = params.read("symbol", Symbol::new)?;
    let plan = Plan {
        schema,
        step: common.step,
        symbol: symbol.map(|symbol| symbol.as_str().to_owned()),
        stamped_at_end,
        extra,
        decoded_bytes_max,
    };
    let body = serde_json::to_vec(&[values]).expect("invariant: the values are JSON");
    let incoming = decode::decode(Kind::Json, &Bytes::from(body), &plan)?;
    Ok((incoming, common))
}
