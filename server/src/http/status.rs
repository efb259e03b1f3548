//! `GET /healthz`, `/readyz` and `/metrics`: for those who look after the server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::{Code, Problem};

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

/// All metrics as text.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.metrics.queued(app.intake.len());
    app.metrics.masks(&app.engine.masks());
    app.metrics.tiles(&app.engine.tiles());
    app.metrics.checkpoints(&app.engine.checkpoints());
    app.metrics.cells(&app.engine.cells());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text()).into_response()
}
