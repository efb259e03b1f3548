//! What the contract names and this build does not have: 400 `not_available`, naming it.

use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::Method;
use axum::routing::any;

use super::App;
use super::error::{Code, Problem};
use super::openapi::{Answer, Operation, Tag, Verb};

/// Routes of which nothing is built: the document does not have them.
const ROUTES: [&str; 9] = [
    "/",
    "/v1/universes",
    "/v1/universes/{name}",
    "/v1/label-sets",
    "/v1/label-sets/{name}",
    "/v1/sql",
    "/v1/exports",
    "/v1/exports/{id}",
    "/v1/exports/{id}/files/{name}",
];

/// Methods of routes that are built for others: the document says that they are not available.
pub(super) static OF_BUILT: [(&str, &Operation); 4] = [
    ("/v1/datasets", &PUT_DATASETS),
    ("/v1/calendars", &PUT_CALENDARS),
    ("/v1/sources", &PUT_SOURCES),
    ("/v1/sources", &POST_SOURCES),
];

static PUT_DATASETS: Operation = Operation { id: "put_datasets", tag: Tag::Datasets, ..NOT_BUILT };
static PUT_CALENDARS: Operation = Operation { id: "put_calendars", ..NOT_BUILT };
static PUT_SOURCES: Operation = Operation { id: "put_sources", ..NOT_BUILT };
static POST_SOURCES: Operation = Operation { id: "post_sources", verb: Verb::Post, ..NOT_BUILT };

const NOT_BUILT: Operation = Operation {
    tag: Tag::Reference,
    summary: "Not available in this version",
    answer: Answer::Never,
    problems: &[&[Code::NotAvailable]],
    ..Operation::PUT
};

/// Adds the routes of which nothing is built to those that are.
pub(crate) fn add(router: Router<Arc<App>>) -> Router<Arc<App>> {
    ROUTES.into_iter().fold(router, |router, route| router.route(route, any(refuse)))
}

/// Says that it is not available.
pub(super) async fn refuse(method: Method, path: MatchedPath) -> Problem {
    let what = format!("{method} {}", path.as_str());
    Problem::not_available(&what, format!("{what} is not available in this version"))
}
