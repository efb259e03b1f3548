//! `GET /v1/retention`, `PUT /v1/retention/{dataset}`: from when on questions about a dataset are
//! answered.
//!
//! A PUT that names one of the two times takes the other from it: what Barrow held when the time
//! came, or when the record came in. Both are answered, and so is how many rows may go; with
//! `dry_run=true` nothing else happens.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::dataset::retention::{self, Floor, SetFloor};
use barrow_engine::{Error, Lost, Snapshot};
use barrow_types::{DatasetId, Sequence, Step, Timestamp};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::encode::Format;
use super::super::error::{Code, Problem};
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Format as Media, JUDGES, Operation, Param, READS, Shape, Tag,
    Type, WRITES,
};
use super::super::parameters::{BATCH_ID, DATASET, FORMAT};
use super::super::params::Params;
use super::super::table::{instant, table};
use super::super::tables::target;
use super::json::Fields;
use super::stated::{Context, Read, state};
use super::{STATING, stating};

/// Floors out.
pub(crate) static LIST: Operation = Operation {
    id: "list_retention",
    tag: Tag::Reference,
    summary: "Lists from when on questions about datasets are answered",
    query: &[FORMAT],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

/// A floor in.
pub(crate) static PUT: Operation = Operation {
    id: "put_retention",
    summary: "States from when on questions about a dataset are answered",
    about: "Of the two times one may be left out. A floor is never lowered. With `dry_run=true` \
            it is only told what would happen.",
    path: &[DATASET],
    query: &[BATCH_ID, DRY_RUN],
    body: stating("A floor", &[Media::json(Type::Object(&FLOOR))]),
    answer: Answer::Json(&RAISED),
    problems: &[READS, WRITES, FINDS, JUDGES],
    example: ("/v1/retention/bars", r#"{"timeframe": "1m", "as_of_from": "2013-10-08"}"#),
    ..STATING
};

const DRY_RUN: Param = Param::new("dry_run", Type::Flag, "Only tell what would happen");

static FLOOR: Shape = Shape {
    name: "Floor",
    about: "From when on questions are answered",
    fields: &[
        Field::maybe("timeframe", Type::Text, "Of which bars"),
        Field::maybe("as_of_from", Type::When, "The first `as_of`"),
        Field::maybe("at_sequence_from", Type::Whole, "The first `at_sequence`"),
    ],
};

static RAISED: Shape = Shape {
    name: "FloorRaised",
    about: "A floor, and what may go by it",
    fields: &[
        Field::or_null("dataset", Type::Text, ""),
        Field::or_null("timeframe", Type::Text, "Of bars"),
        Field::or_null("as_of_from", Type::Instant, ""),
        Field::new("at_sequence_from", Type::Whole, ""),
        Field::maybe("set_at", Type::Instant, "When it was stated"),
        Field::maybe("sequence", Type::Whole, "The record that brought it"),
        Field::new("droppable", Type::Object(&DROPPABLE), ""),
        Field::new("dry_run", Type::Flag, "Whether nothing else has happened"),
    ],
};

static DROPPABLE: Shape = Shape {
    name: "Droppable",
    about: "What compactions may leave out from now on",
    fields: &[
        Field::new("rows_at_least", Type::Whole, ""),
        Field::new("rows_at_most", Type::Whole, ""),
        Field::new("bytes_at_most", Type::Whole, ""),
    ],
};

const COLUMNS: Columns = &[
    ("dataset", "text"),
    ("timeframe", "text"),
    ("as_of_from", "timestamp"),
    ("at_sequence_from", "i64"),
    ("set_at", "timestamp"),
    ("sequence", "i64"),
];

/// Lists the floors.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let snapshot = app.engine.snapshot();
    let rows: Vec<Value> =
        snapshot.floors().iter().map(|set| Value::Object(shown(&snapshot, set))).collect();
    table(format, COLUMNS, &rows)
}

/// Raises a floor, or says what that would do.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT)?;
    let is_dry = params.flag("dry_run")?;
    let (sender, asked) = std::sync::mpsc::channel();
    state(&app, &params, &headers, body, move |context, value| {
        let asked = read(&dataset, context, value)?;
        let Asked { dataset, step, floor } = asked;
        // The listener is this function: it waits for what is stated.
        let _ = sender.send(asked);
        let is_new = context.snapshot.floor(dataset, step).is_none_or(|set| set.floor != floor);
        let batch = retention::batch(context.batch_id.clone(), dataset, step, floor);
        if is_dry {
            // Whatever is wrong with it is told all the same.
            let prepared = barrow_engine::prepare(batch, &context.snapshot, context.now);
            return prepared.map(|_| Read::default()).map_err(|error| Problem::write(&error));
        }
        let others = is_new.then_some(batch).into_iter().collect();
        Ok(Read { others, ..Read::default() })
    })
    .await?;
    let Asked { dataset, step, floor } = asked.recv().expect("invariant: what was stated was read");
    let snapshot = app.engine.snapshot();
    let answer = app.query(move || {
        let mut answer = match snapshot.floor(dataset, step).filter(|_| !is_dry) {
            Some(set) => shown(&snapshot, &set),
            None => named(&snapshot, dataset, step, &floor),
        };
        let Lost { rows_min, rows_max, bytes_max } = snapshot.lost_below(dataset, step, floor);
        let droppable = json!({
            "rows_at_least": rows_min,
            "rows_at_most": rows_max,
            "bytes_at_most": bytes_max,
        });
        answer.insert("droppable".to_owned(), droppable);
        answer.insert("dry_run".to_owned(), is_dry.into());
        Value::Object(answer)
    });
    Ok(Json(answer.await?).into_response())
}

/// A floor that is asked for.
#[derive(Clone, Copy)]
struct Asked {
    dataset: DatasetId,
    step: Step,
    floor: Floor,
}

fn read(name: &str, context: &Context, value: &Value) -> Result<Asked, Problem> {
    let snapshot = &context.snapshot;
    let schema = target(name, snapshot)?.schema;
    if super::is_fact(schema.dataset) {
        let detail = format!("dataset: {name} are facts, which are kept for ever");
        return Err(Problem::new(Code::NotFound, detail).about("dataset"));
    }
    let fields = Fields::of_shape(value, "", &FLOOR)?;
    let step = step(&fields, schema.dataset)?;
    let as_of = fields.when("as_of_from")?.map(|when| when.start(None));
    let at_sequence = sequence(&fields)?;
    let unreadable = |error: Error| Problem::read(&error);
    let before = snapshot.floor(schema.dataset, step).map(|set| set.floor);
    let floor = match (as_of, at_sequence) {
        (None, None) => {
            let what = "is missing: give the first time that questions are about, or \
                        at_sequence_from, or both";
            return Err(fields.fault("as_of_from", what));
        }
        (Some(as_of_from), Some(at_sequence_from)) => Floor { as_of_from, at_sequence_from },
        (Some(as_of_from), None) => {
            let held = snapshot.sequence_at(as_of_from).map_err(unreadable)?;
            let at_sequence_from = held.max(before.map_or(held, |it| it.at_sequence_from));
            Floor { as_of_from, at_sequence_from }
        }
        (None, Some(at_sequence_from)) => {
            let came = snapshot.now_at(at_sequence_from).map_err(unreadable)?;
            let as_of_from = came.max(before.map_or(came, |it| it.as_of_from));
            Floor { as_of_from, at_sequence_from }
        }
    };
    Ok(Asked { dataset: schema.dataset, step, floor })
}

fn step(fields: &Fields<'_>, dataset: DatasetId) -> Result<Step, Problem> {
    let name = fields.text("timeframe")?;
    if dataset != DatasetId::BARS {
        return match name {
            None => Ok(Step::Tick),
            Some(_) => Err(fields.fault("timeframe", "only bars have one: leave it out")),
        };
    }
    let steps = || Step::ALL[1..].iter().map(|step| step.name()).collect::<Vec<_>>().join(", ");
    let Some(name) = name else {
        let what = format!("is missing: say of which bars: {}", steps());
        return Err(fields.fault("timeframe", what));
    };
    let step = Step::parse(name).filter(|step| *step != Step::Tick);
    step.ok_or_else(|| fields.fault("timeframe", format!("'{name}' is none of {}", steps())))
}

fn sequence(fields: &Fields<'_>) -> Result<Option<Sequence>, Problem> {
    let Some(value) = fields.get("at_sequence_from") else { return Ok(None) };
    let number = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    match number {
        Some(number) => Ok(Some(Sequence::new(number))),
        None => Err(fields.fault("at_sequence_from", format!("{value} is not a sequence"))),
    }
}

fn named(snapshot: &Snapshot, dataset: DatasetId, step: Step, floor: &Floor) -> Map<String, Value> {
    let name = snapshot.schema(dataset).map(|schema| schema.name);
    let timeframe = (step != Step::Tick).then(|| step.name());
    // The first of all times is before every answer: no time is as good.
    let as_of_from = Some(floor.as_of_from).filter(|from| *from > Timestamp::MIN);
    let mut row = Map::new();
    row.insert("dataset".to_owned(), json!(name));
    row.insert("timeframe".to_owned(), json!(timeframe));
    row.insert("as_of_from".to_owned(), json!(as_of_from.map(instant)));
    row.insert("at_sequence_from".to_owned(), floor.at_sequence_from.get().into());
    row
}

fn shown(snapshot: &Snapshot, set: &SetFloor) -> Map<String, Value> {
    let mut row = named(snapshot, set.dataset, set.step, &set.floor);
    row.insert("set_at".to_owned(), instant(set.set_at));
    row.insert("sequence".to_owned(), set.since.get().into());
    row
}
