//! `GET /v1/dead-letters`, `GET /v1/dead-letters/{id}`, `POST /v1/dead-letters/{id}/replay`:
//! rejected rows as they came, and their way in after all.
//!
//! A letter's id is `<sequence>-<place>`: the record that holds it, and which of its rejected rows
//! it is, from 0. Neither ever changes. A replay is a batch like any other, `replay:<id>`, or
//! `replay:<id>:<n>` for the n-th attempt; a letter counts as replayed once the ledger of batches
//! holds an attempt that was not rejected. The letter itself stays as it is.

mod raw;
mod replay;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::Reason;
use barrow_engine::dataset::Schema;
use barrow_engine::{BatchEntry, DeadLetter, Error, LetterId, Snapshot};
use barrow_types::Sequence;
use serde::Serialize;
use serde_json::{Value, json};

use self::raw::{Form, Row};
use super::App;
use super::encode::Format;
use super::error::{Code, Problem};
use super::openapi::{Answer, Columns, FINDS, Field, Operation, Param, READS, Shape, Tag, Type};
use super::parameters::{CURSOR, FORMAT, ID, LIMIT as PAGE};
use super::params::Params;
use super::table::{instant, table};

pub(crate) use replay::{POST as REPLAYS, REPLAY, post as replay};

/// How many rows are listed if the request does not say.
const LIMIT: u64 = 100;
/// How many rows are listed at most: each holds a raw text of up to 4 KiB.
const LIMIT_MAX: u64 = 10_000;

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_dead_letters",
    tag: Tag::Ingestion,
    summary: "Lists rows that were rejected",
    query: &[
        Param::new("batch", Type::Text, "Only those of this batch"),
        PAGE.within(1, LIMIT_MAX).meaning("How many at most").or("100"),
        CURSOR.meaning("The id of the last one seen, as the header barrow-cursor says"),
        FORMAT,
    ],
    not_built: &["source", "dataset", "start", "end"],
    answer: Answer::Table(COLUMNS),
    problems: &[READS, FINDS],
    ..Operation::GET
};

/// One of them.
pub(crate) static SHOW: Operation = Operation {
    id: "show_dead_letter",
    tag: Tag::Ingestion,
    summary: "Shows a rejected row, and what is missing to send it again",
    path: &[OF_LETTER],
    answer: Answer::Json(&LETTER),
    problems: &[READS, FINDS],
    ..Operation::GET
};

/// The id of a letter in a path.
pub(super) const OF_LETTER: Param = ID.meaning("The id of the letter, <sequence>-<place>");

const COLUMNS: Columns = &[
    ("id", "text"),
    ("batch_id", "text"),
    ("row", "i64"),
    ("reason", "text"),
    ("detail", "text"),
    ("raw", "text"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
    ("replayed_as", "text"),
];

/// [`Shown`], for the document.
static LETTER: Shape = Shape {
    name: "DeadLetter",
    about: "A rejected row",
    fields: &[
        Field::new("id", Type::Text, ""),
        Field::new("batch_id", Type::Text, "The batch that brought it"),
        Field::new("row", Type::Whole, "The row of that request, from 0"),
        Field::new("reason", Type::Text, "What kind of fault"),
        Field::new("detail", Type::Text, "The fault"),
        Field::new("raw", Type::Text, "The row as it came, up to a length"),
        Field::new("known_at", Type::Instant, "When it came"),
        Field::new("sequence", Type::Whole, ""),
        Field::new("dataset", Type::Text, ""),
        Field::new("source", Type::Text, ""),
        Field::new(
            "form",
            Type::Words(|| vec!["columns", "json", "text", "retraction"]),
            "What kind of text raw is",
        ),
        Field::or_null("values", Type::Map(&Type::Any), "By column, if raw tells them"),
        Field::or_null("missing", Type::List(&Type::Text), "Columns without a value"),
        Field::new("attempts", Type::Whole, "How often it was sent again"),
        Field::or_null("replayed_as", Type::Text, "The batch by which it came in after all"),
    ],
};

/// Lists dead letters, of one batch if it is named; `cursor` is the id of the last one seen.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let limit = params.integer("limit")?.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is not 1 to {LIMIT_MAX}")));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = params.read("cursor", parse_id)?;
    let batch = params.get("batch").map(str::to_owned);
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || rows(&snapshot, batch.as_deref(), after, limit)).await??;
    let mut response = table(format, COLUMNS, &rows)?;
    let cursor = rows.last().filter(|_| rows.len() == limit);
    let cursor = cursor.and_then(|row| HeaderValue::from_str(row["id"].as_str()?).ok());
    if let Some(cursor) = cursor {
        response.headers_mut().insert(HeaderName::from_static("barrow-cursor"), cursor);
    }
    Ok(response)
}

fn rows(
    snapshot: &Snapshot,
    batch: Option<&str>,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Vec<Value>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    if let Some(batch) = batch
        && !is_there(snapshot, batch).map_err(failed)?
    {
        let detail = format!("batch: there is no batch {batch:?}");
        return Err(Problem::new(Code::NotFound, detail).about("batch"));
    }
    let wanted = |id: &str| batch.is_none_or(|batch| is_of(id, batch));
    let letters = snapshot.dead_letters(wanted, after, limit).map_err(failed)?;
    letters
        .iter()
        .map(|letter| {
            let (_, replayed) = replay::attempts(snapshot, letter.id).map_err(failed)?;
            Ok(json!({
                "id": id_text(letter.id),
                "batch_id": letter.batch_id,
                "row": letter.row,
                "reason": letter.reason,
                "detail": letter.detail,
                "raw": letter.raw,
                "known_at": instant(letter.now),
                "sequence": letter.id.sequence.get(),
                "replayed_as": replayed.map(|entry| entry.batch_id),
            }))
        })
        .collect()
}

/// Whether there is such a batch, or parts of it: it may have been cut by its sender and here.
fn is_there(snapshot: &Snapshot, batch: &str) -> Result<bool, Error> {
    for id in [batch.to_owned(), format!("{batch}#1"), format!("{batch}#1#1")] {
        if snapshot.batch(&id)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `id` is the batch or one of its parts.
fn is_of(id: &str, batch: &str) -> bool {
    let Some(rest) = id.strip_prefix(batch) else { return false };
    let mut parts = rest.split('#');
    parts.next() == Some("")
        && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A letter, and all that can be said about sending it again.
#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    batch_id: &'a str,
    row: u64,
    reason: &'a str,
    detail: &'a str,
    raw: &'a str,
    known_at: Value,
    sequence: u64,
    dataset: &'a str,
    source: &'a str,
    form: Form,
    values: Option<&'a Row>,
    missing: Option<Vec<&'static str>>,
    attempts: u32,
    replayed_as: Option<String>,
}

/// Shows one letter.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Params::parse(query.as_deref(), &SHOW)?;
    let id = known_id(&id)?;
    let snapshot = app.engine.snapshot();
    app.query(move || {
        let found = Found::read(&snapshot, id)?;
        let (attempts, replayed) =
            replay::attempts(&snapshot, id).map_err(|error| Problem::read(&error))?;
        let Found { letter, batch, schema, form, row } = &found;
        let shown = Shown {
            id: id_text(id),
            batch_id: &letter.batch_id,
            row: letter.row,
            reason: &letter.reason,
            detail: &letter.detail,
            raw: &letter.raw,
            known_at: instant(letter.now),
            sequence: id.sequence.get(),
            dataset: schema.name,
            source: &batch.source,
            form: *form,
            values: row.as_ref(),
            missing: row.as_ref().map(|row| row.missing(schema)),
            attempts,
            replayed_as: replayed.map(|entry| entry.batch_id),
        };
        Ok(Json(shown).into_response())
    })
    .await?
}

/// A letter and what is known of the batch that brought it.
struct Found {
    letter: DeadLetter,
    batch: BatchEntry,
    schema: &'static Schema,
    form: Form,
    /// What its text says by itself, if it says which value is of which column.
    row: Option<Row>,
}

impl Found {
    fn read(snapshot: &Snapshot, id: LetterId) -> Result<Self, Problem> {
        let failed = |error: Error| Problem::read(&error);
        let missing = || {
            let detail = format!("id: there is no dead letter {:?}", id_text(id));
            Problem::new(Code::NotFound, detail).about("id")
        };
        let letter = snapshot.dead_letter(id).map_err(failed)?.ok_or_else(missing)?;
        let batch = snapshot.batch(&letter.batch_id).map_err(failed)?;
        let batch = batch.expect("invariant: the record that holds a letter adds its batch too");
        let schema = snapshot.schema(batch.dataset);
        let schema = schema.expect("invariant: a batch is of a dataset");
        let (form, row) = if letter.reason == Reason::NothingToRetract.name() {
            (Form::Retraction, None)
        } else {
            raw::read(&letter.raw, schema)
        };
        Ok(Self { letter, batch, schema, form, row })
    }
}

fn id_text(id: LetterId) -> String {
    format!("{}-{}", id.sequence, id.place)
}

fn parse_id(text: &str) -> Result<LetterId, String> {
    let parse = || {
        let (sequence, place) = text.split_once('-')?;
        let id = LetterId {
            sequence: Sequence::new(sequence.parse().ok()?),
            place: place.parse().ok()?,
        };
        (id_text(id) == text).then_some(id)
    };
    parse().ok_or_else(|| format!("'{text}' is not the id of a dead letter, such as 17-0"))
}

/// The id in a path. One that cannot be is not there either.
fn known_id(text: &str) -> Result<LetterId, Problem> {
    parse_id(text).map_err(|fault| Problem::new(Code::NotFound, format!("id: {fault}")).about("id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_way_to_be_written() {
        let id = parse_id("17-0").unwrap();
        assert_eq!((id.sequence.get(), id.place), (17, 0));
        for text in ["", "17", "17-", "-0", "017-0", "17-00", "+17-0", "17-0-0", "a-b", "17- 0"] {
            assert!(parse_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_belong_to_their_batch_and_other_batches_do_not() {
        for (id, is_one) in [
            ("b", true),
            ("b#1", true),
            ("b#12#3", true),
            ("b#", false),
            ("b#x", false),
            ("bc", false),
            ("bc#1", false),
            ("a", false),
            ("b1#1", false),
        ] {
            assert_eq!(is_of(id, "b"), is_one, "{id}");
        }
    }
}
