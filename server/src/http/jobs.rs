//! `POST /v1/jobs`, `GET /v1/jobs` and `GET /v1/jobs/{id}`: long work, started and looked at.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use barrow_engine::verify_live;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::error::{Code, Problem};
use super::params::{Known, Params};
use crate::jobs::{Job, Kind, State as JobState};

const KNOWN: Known = Known { built: &[], not_built: &["state", "kind", "limit", "cursor"] };

/// Kinds that the contract names and that are not built.
const NOT_BUILT: [&str; 7] =
    ["ingest", "daily", "backfill", "export", "backup", "import", "features"];

/// Problems of a verification that its summary lists.
const PROBLEMS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    kind: String,
}

/// Starts a job and answers at once.
pub(crate) async fn post(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body is a JSON object such as {{\"kind\":\"compact\"}}: {error}");
        Problem::new(Code::InvalidBody, detail).about("kind")
    })?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == wanted.kind).ok_or_else(|| {
        if NOT_BUILT.contains(&wanted.kind.as_str()) {
            let detail = format!("jobs of kind {} are not available in this version", wanted.kind);
            return Problem::not_available("kind", detail);
        }
        let names = Kind::ALL.map(Kind::name).join(", ");
        Problem::parameter("kind", format!("{:?} is none; there are {names}", wanted.kind))
    })?;
    let job = app.jobs.begin(kind).ok_or_else(|| {
        Problem::new(Code::Busy, "too many jobs are at work; try again when one has ended")
    })?;
    let answer = Json(job.to_json());
    let app = Arc::clone(&app);
    tokio::spawn(async move {
        let state = run(&app, kind).await;
        app.jobs.end(&job, state);
    });
    Ok(answer)
}

async fn run(app: &App, kind: Kind) -> JobState {
    match kind {
        Kind::Compact => match app.intake.compact().await {
            Ok(report) => JobState::Succeeded(json!({
                "segments_before": report.segments_before,
                "segments_after": report.segments_after,
                "bytes_before": report.bytes_before,
                "bytes_after": report.bytes_after,
            })),
            Err(error) => JobState::Failed(Problem::from(error).detail),
        },
        Kind::Verify => {
            let snapshot = app.engine.snapshot();
            match app.query(move || verify_live(&snapshot)).await {
                Ok(report) => JobState::Succeeded(json!({
                    "files": report.files,
                    "bytes": report.bytes,
                    "extents": report.extents,
                    "rows": report.rows,
                    "problem_count": report.problems.len(),
                    "problems": &report.problems[..report.problems.len().min(PROBLEMS_MAX)],
                })),
                Err(problem) => JobState::Failed(problem.detail),
            }
        }
    }
}

/// Lists jobs, the newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    Params::parse(query.as_deref(), &KNOWN)?;
    let jobs: Vec<Value> = app.jobs.list().iter().map(Job::to_json).collect();
    Ok(Json(json!({ "jobs": jobs })))
}

/// Shows one job.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let job = app.jobs.get(&id).ok_or_else(|| {
        let detail = format!("there is no job {id:?}; a restart forgets them");
        Problem::new(Code::NotFound, detail)
    })?;
    Ok(Json(job.to_json()))
}
