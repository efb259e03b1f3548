//! `POST /v1/jobs`, `GET /v1/jobs`, `GET /v1/jobs/{id}`, `POST /v1/jobs/{id}/cancel` and `/retry`:
//! long work, started, listed, watched, ended and begun again.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::error::{Code, Problem};
use super::openapi::{
    Answer, Body as Bodied, FINDS, Field, Format, Operation, Param, READS, Shape, Tag, Type, Verb,
    WRITES,
};
use super::parameters::{CURSOR, ID, LIMIT as PAGE};
use super::params::Params;
use super::{App, body};
use crate::jobs::{Asked, Filter, Job, Refusal, State as JobState, kinds};

/// Kinds that the contract names and that are not built.
const NOT_BUILT: [&str; 5] = ["ingest", "daily", "backfill", "export", "features"];

/// Largest body: a job says what is to be done, it does not bring data.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// Longest `request_id`, in bytes.
const REQUEST_ID_LEN_MAX: usize = 128;

/// How many jobs are listed if the request does not say, and at most.
const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 1_000;

/// Longest `wait`, in seconds: below what connections between here and there may stand still.
const WAIT_SECONDS_MAX: u64 = 30;

/// Starts one.
pub(crate) static POST: Operation = Operation {
    id: "post_job",
    summary: "Starts a job",
    about: "The answer comes when the job is sure to be done. The same request_id is the same job.",
    body: Some(Bodied {
        about: "The kind, and its own parameters",
        is_required: true,
        formats: &[Format::json(kinds::ASKED)],
    }),
    problems: &[READS, WRITES, &[Code::NotAvailable]],
    example: ("/v1/jobs", r#"{"kind": "compact"}"#),
    ..CHANGE
};

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_jobs",
    tag: Tag::Jobs,
    summary: "Lists jobs, the newest first",
    query: &[
        Param::new("state", Type::List(&STATES), "Only those of these states"),
        Param::new("kind", Type::List(&KINDS), "Only those of these kinds"),
        PAGE.within(1, LIMIT_MAX).meaning("How many at most").or("100"),
        CURSOR.within(0, u64::MAX).meaning("The number of the last one that was seen"),
    ],
    answer: Answer::Json(&LISTED),
    problems: &[],
    ..Operation::GET
};

/// One of them.
pub(crate) static SHOW: Operation = Operation {
    id: "show_job",
    tag: Tag::Jobs,
    summary: "Shows a job",
    path: &[JOB_ID],
    query: &[Param::new(
        "wait",
        Type::Within(0, WAIT_SECONDS_MAX),
        "Answer when its state has changed, or after so many seconds",
    )
    .or("0")],
    answer: Answer::Json(&JOB),
    problems: &[FINDS],
    example: ("/v1/jobs/1", ""),
    ..Operation::GET
};

/// Ends one.
pub(crate) static CANCEL: Operation = Operation {
    id: "cancel_job",
    summary: "Ends a job, and answers when it has ended",
    path: &[JOB_ID],
    problems: &[READS, WRITES, FINDS],
    ..CHANGE
};

/// Does one again.
pub(crate) static RETRY: Operation = Operation {
    id: "retry_job",
    summary: "Starts a job that does again what a failed or cancelled one did not do",
    path: &[JOB_ID],
    body: Some(Bodied {
        about: "What makes it safe to ask again",
        is_required: false,
        formats: &[Format::json(Type::Object(&AGAIN))],
    }),
    problems: &[READS, WRITES, FINDS],
    ..CHANGE
};

const CHANGE: Operation =
    Operation { verb: Verb::Post, tag: Tag::Jobs, answer: Answer::Json(&JOB), ..Operation::PUT };

const JOB_ID: Param = ID.meaning("The number of the job");
const STATES: Type = Type::Words(|| JobState::ALL.map(JobState::name).to_vec());
const KINDS: Type = Type::Words(|| kinds::KINDS.map(kinds::Kind::name).to_vec());

static AGAIN: Shape = Shape { name: "RetryAsked", about: "", fields: &[kinds::REQUEST_ID] };

static LISTED: Shape = Shape {
    name: "Jobs",
    about: "",
    fields: &[
        Field::new("jobs", Type::List(&Type::Object(&JOB)), "The newest first"),
        Field::or_null("cursor", Type::Text, "To go on behind the last, if there may be more"),
    ],
};

/// [`Job::to_json`], for the document.
static JOB: Shape = Shape {
    name: "Job",
    about: "A job. Times are nanoseconds since 1970",
    fields: &[
        Field::new("job_id", Type::Text, "Its number"),
        Field::new("state", STATES, ""),
        Field::new("created_ts", Type::Whole, "When it was asked for"),
        Field::or_null("start_ts", Type::Whole, "When it was first at work"),
        Field::or_null("end_ts", Type::Whole, "When it ended"),
        Field::new("source", Type::Text, "Who asked"),
        Field::new("params", Type::Any, "What was asked for"),
        Field::or_null("request_id", Type::Text, ""),
        Field::or_null("retry_of", Type::Text, "The job that it does again"),
        Field::new("progress", Type::Number, "From 0 to 1"),
        Field::new("done", Type::Any, "What of it is done, by its kind"),
        Field::new("summary", Type::Any, "What came of it, by its kind"),
        Field::or_null("error", Type::Text, "Why it failed, or cannot go on"),
    ],
};

fn refused(refusal: Refusal, id: &str) -> Problem {
    match refusal {
        Refusal::NotFound => missing(id),
        Refusal::Conflict(why) => Problem::new(Code::Conflict, why),
        Refusal::Busy => {
            Problem::new(Code::Busy, "too many jobs wait; try again when some have ended")
        }
        Refusal::Intake(error) => error.into(),
    }
}

fn missing(id: &str) -> Problem {
    let detail =
        format!("id: there is no job {id:?}; of those that have ended the newest are kept");
    Problem::new(Code::NotFound, detail).about("id")
}

/// The number in a path. One that cannot be is not there either.
fn number(id: &str) -> Result<u64, Problem> {
    let number = id.parse().ok().filter(|number: &u64| number.to_string() == id);
    number.ok_or_else(|| missing(id))
}

fn bad(field: &str, fault: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidBody, format!("{field}: {fault}")).about(field)
}

/// Takes a body in and reads its fields; without a body there are none.
async fn fields(app: &App, headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Problem> {
    let http = &app.config.http;
    let time_max = Duration::from_secs(http.body_seconds_max);
    let sent = body::take(headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
    // What is compressed becomes no longer than this before it is refused.
    let decoded = sent.decode(BODY_BYTES_MAX)?;
    if decoded.bytes.len() as u64 > BODY_BYTES_MAX {
        let detail = format!("the body of a job has more than {BODY_BYTES_MAX} bytes");
        return Err(Problem::new(Code::TooLarge, detail).about("body"));
    }
    if decoded.bytes.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&decoded.bytes).map_err(|error| {
        let detail = format!("the body is not a JSON object, {{\"kind\":\"compact\"}}: {error}");
        Problem::new(Code::InvalidBody, detail).about("body")
    })
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(bad(name, format!("{other} is not a text"))),
    }
}

fn request_id(fields: &Map<String, Value>) -> Result<Option<String>, Problem> {
    let id = text(fields, "request_id")?;
    if let Some(id) = &id
        && (id.is_empty() || id.len() > REQUEST_ID_LEN_MAX || id.chars().any(char::is_control))
    {
        let fault = format!("has not 1 to {REQUEST_ID_LEN_MAX} bytes without control characters");
        return Err(bad("request_id", fault));
    }
    Ok(id)
}

/// Starts a job and answers when it is sure to be done.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    Params::parse(query.as_deref(), &POST)?;
    let mut fields = fields(&app, &headers, body).await?;
    let request_id = request_id(&fields)?;
    let name = text(&fields, "kind")?.ok_or_else(|| bad("kind", "is missing"))?;
    fields.retain(|field, _| field != "kind" && field != "request_id");
    let kind = kinds::kind(&name).ok_or_else(|| {
        if NOT_BUILT.contains(&name.as_str()) {
            let detail = format!("jobs of kind {name} are not available in this version");
            return Problem::not_available("kind", detail);
        }
        Problem::parameter("kind", format!("{name:?} is none; there are {}", kind_names()))
    })?;
    kind.check(&fields, &app.config).map_err(|wrong| bad(&wrong.field, wrong.fault))?;
    fields.insert("kind".to_owned(), Value::String(name.clone()));
    app.check_intake()?;
    let asked = Asked { kind: name, params: Value::Object(fields), request_id, retry_of: None };
    let job = app.jobs.create(asked).await.map_err(|refusal| refused(refusal, ""))?;
    Ok(Json(job.to_json()))
}

fn kind_names() -> String {
    kinds::KINDS.map(kinds::Kind::name).join(", ")
}

/// Lists jobs, the newest first; `cursor` is the number of the last one seen.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let words = |name| params.get(name).into_iter().flat_map(|list: &str| list.split(','));
    let states = words("state").map(|name| {
        JobState::parse(name).ok_or_else(|| {
            let names = JobState::ALL.map(JobState::name).join(", ");
            Problem::parameter("state", format!("{name:?} is none; there are {names}"))
        })
    });
    let kinds = words("kind").map(|name| match kinds::kind(name) {
        Some(_) => Ok(name.to_owned()),
        None => {
            let fault = format!("{name:?} is none; there are {}", kind_names());
            Err(Problem::parameter("kind", fault))
        }
    });
    let filter = Filter {
        states: states.collect::<Result<_, _>>()?,
        kinds: kinds.collect::<Result<_, _>>()?,
        before: params.integer("cursor")?,
    };
    let limit = params.integer("limit")?.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is not 1 to {LIMIT_MAX}")));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = app.jobs.list(&filter, limit);
    let cursor = found.last().filter(|_| found.len() == limit).map(|job| job.id.to_string());
    let jobs: Vec<Value> = found.iter().map(Job::to_json).collect();
    Ok(Json(json!({ "jobs": jobs, "cursor": cursor })))
}

/// Shows one job; with `wait` once its state has changed, or after so many seconds.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let params = Params::parse(query.as_deref(), &SHOW)?;
    let wait = params.integer("wait")?.unwrap_or(0);
    if wait > WAIT_SECONDS_MAX {
        let fault = format!("is more than {WAIT_SECONDS_MAX} seconds: ask again after that");
        return Err(Problem::parameter("wait", fault));
    }
    let job = app.jobs.wait(number(&id)?, Duration::from_secs(wait)).await;
    Ok(Json(job.ok_or_else(|| missing(&id))?.to_json()))
}

/// Ends a job, and answers when it has ended.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    Params::parse(query.as_deref(), &CANCEL)?;
    let known = number(&id)?;
    app.check_intake()?;
    let job = app.jobs.cancel(known).await.map_err(|refusal| refused(refusal, &id))?;
    Ok(Json(job.to_json()))
}

/// Starts a job that does again what this one did not do. The body may be empty.
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    Params::parse(query.as_deref(), &RETRY)?;
    let known = number(&id)?;
    let fields = fields(&app, &headers, body).await?;
    if let Some(field) = fields.keys().find(|field| !AGAIN.names().contains(&field.as_str())) {
        return Err(bad(field, "there is no such field here: a retry does the same again"));
    }
    let request_id = request_id(&fields)?;
    app.check_intake()?;
    let job = app.jobs.retry(known, request_id).await.map_err(|refusal| refused(refusal, &id))?;
    Ok(Json(job.to_json()))
}
