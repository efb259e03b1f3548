//! What the contract names and this build does not have: 400 `not_available`, naming it.

use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::Method;
use axum::routing::{any, post, put};

use super::App;
use super::error::Problem;

/// Routes of which nothing is built.
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

/// Adds what is not built to the routes that are.
pub(crate) fn add(mut router: Router<Arc<App>>) -> Router<Arc<App>> {
    for route in ROUTES {
        router = router.route(route, any(refuse));
    }
    router
        .route("/v1/datasets", put(refuse))
        .route("/v1/calendars", put(refuse))
        .route("/v1/sources", put(refuse).merge(post(refuse)))
}

async fn refuse(method: Method, path: MatchedPath) -> Problem {
    let what = format!("{method} {}", path.as_str());
    Problem::not_available(&what, format!("{what} is not available in this version"))
}
