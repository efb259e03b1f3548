//! `GET /healthz`, `/readyz` and `/metrics`: for those who look after the server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::{Code, Problem};
use super::openapi::{Answer, Operation, Tag};

/// Liveness.
pub(crate) static HEALTHZ: Operation = Operation {
    id: "healthz",
    summary: "Whether the process answers",
    answer: Answer::Text,
    problems: &[],
    ..Operation::GET
};

/// Readiness.
pub(crate) static READYZ: Operation = Operation {
    id: "readyz",
    summary: "Whether rows are taken",
    answer: Answer::Text,
    problems: &[&[Code::Stopping, Code::IntakeStopped]],
    ..Operation::GET
};

/// The catalogue.
pub(crate) static METRICS: Operation = Operation {
    id: "metrics",
    tag: Tag::Server,
    summary: "All metrics, as Prometheus reads them",
    answer: Answer::Metrics,
    problems: &[],
    ..Operation::GET
};

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Rows are taken. The port opens only after the log was replayed, so that is never waited for.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.is_stopping() {
        return Err(Problem::new(Code::Stopping, "the server is stopping"));
    }
    app.check_intake()?;
    Ok("ready\n")
}

/// The media type of metrics.
pub(crate) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as text.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.metrics.queued(app.intake.len());
    app.metrics.masks(&app.engine.masks());
    app.metrics.tiles(&app.engine.tiles());
    app.metrics.checkpoints(&app.engine.checkpoints());
    app.metrics.cells(&app.engine.cells());
    ([(header::CONTENT_TYPE, METRICS_TYPE)], app.metrics.text()).into_response()
}
