//! Every route: its path, what it does, and who does it. There is no other way for a route into
//! the router, so that none is without its declaration.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodRouter, on};
use bytes::Bytes;

use super::App;
use super::openapi::{self, Declared, Operation};
use super::{
    calendars, datasets, dead_letters, facts, features, gaps, ingest, jobs, latest, not_built,
    quality, range, retract, sources, status, tables,
};

/// Routes on their way into the router.
struct Routes {
    declared: Vec<Declared>,
    served: Vec<(String, MethodRouter<Arc<App>>)>,
}

impl Routes {
    fn add<H, T>(&mut self, path: &str, operation: &'static Operation, handler: H)
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        self.declared.push((path.to_owned(), operation));
        self.served.push((path.to_owned(), on(operation.verb.filter(), handler)));
    }
}

/// Adds every route.
pub(super) fn add(router: Router<Arc<App>>) -> Router<Arc<App>> {
    let served = all().served.into_iter();
    served.fold(router, |router, (path, method)| router.route(&path, method))
}

/// Answers the document of all routes, which is made when it is asked for first.
async fn document() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let made = || Bytes::from(openapi::document(&all().declared).to_string());
    openapi::json(DOCUMENT.get_or_init(made).clone())
}

fn all() -> Routes {
    let mut routes = Routes { declared: Vec::new(), served: Vec::new() };
    let r = &mut routes;
    r.add("/healthz", &status::HEALTHZ, status::healthz);
    r.add("/readyz", &status::READYZ, status::readyz);
    r.add("/metrics", &status::METRICS, status::metrics);
    r.add("/openapi.json", &openapi::DOCUMENT, document);
    r.add("/docs", &openapi::PAGE, openapi::page);
    r.add("/v1/datasets", &datasets::LIST, datasets::list);
    r.add("/v1/datasets/{dataset}", &datasets::SHOW, datasets::describe);
    r.add("/v1/datasets/{dataset}", &tables::PUT, tables::put);
    r.add("/v1/datasets/{dataset}/rows", &ingest::POST, ingest::post);
    r.add("/v1/datasets/{dataset}/rows", &retract::DELETE, retract::delete);
    r.add("/v1/datasets/{dataset}/claims", &facts::claims::POST, facts::claims::post);
    r.add("/v1/tables/{dataset}", &tables::GET, tables::get);
    for (schema, of_range, of_latest) in [
        (ingest::DATASETS[0], &range::BARS, &latest::BARS),
        (ingest::DATASETS[1], &range::TRADES, &latest::TRADES),
        (ingest::DATASETS[2], &range::QUOTES, &latest::QUOTES),
    ] {
        let name = schema.name;
        let range = (schema, of_range);
        r.add(&format!("/v1/{name}"), of_range, move |app, query, headers| {
            range::get(range, app, query, headers)
        });
        let latest = (schema, of_latest);
        r.add(&format!("/v1/{name}/latest"), of_latest, move |app, query, headers| {
            latest::get(latest, app, query, headers)
        });
    }
    r.add("/v1/gaps", &gaps::GET, gaps::get);
    r.add("/v1/jobs", &jobs::LIST, jobs::list);
    r.add("/v1/jobs", &jobs::POST, jobs::post);
    r.add("/v1/jobs/{id}", &jobs::SHOW, jobs::show);
    r.add("/v1/jobs/{id}/cancel", &jobs::CANCEL, jobs::cancel);
    r.add("/v1/jobs/{id}/retry", &jobs::RETRY, jobs::retry);
    r.add("/v1/claims", &facts::claims::LIST, facts::claims::list);
    r.add("/v1/sources", &sources::LIST, sources::list);
    r.add("/v1/sources/{dataset}", &facts::settings::SHOW, facts::settings::show);
    r.add("/v1/sources/{dataset}", &facts::settings::PUT, facts::settings::put);
    r.add("/v1/instruments", &facts::instruments::LIST, facts::instruments::list);
    r.add("/v1/instruments", &facts::instruments::PUT_ALL, facts::instruments::put_all);
    r.add("/v1/instruments/{id}", &facts::instruments::SHOW, facts::instruments::show);
    r.add("/v1/instruments/{id}", &facts::instruments::PUT, facts::instruments::put);
    r.add("/v1/rules", &facts::rules::LIST_ALL, facts::rules::list_all);
    r.add("/v1/rules/{dataset}", &facts::rules::LIST_OF, facts::rules::list_of);
    r.add("/v1/rules/{dataset}", &facts::rules::PUT, facts::rules::put);
    r.add("/v1/retention", &facts::retention::LIST, facts::retention::list);
    r.add("/v1/retention/{dataset}", &facts::retention::PUT, facts::retention::put);
    r.add("/v1/halts", &facts::spans::LIST_HALTS, facts::spans::list_halts);
    r.add("/v1/halts", &facts::spans::POST_HALTS, facts::spans::post_halts);
    r.add("/v1/outages", &facts::spans::LIST_OUTAGES, facts::spans::list_outages);
    r.add("/v1/outages", &facts::spans::POST_OUTAGES, facts::spans::post_outages);
    r.add("/v1/watermarks", &facts::watermarks::LIST, facts::watermarks::list);
    r.add("/v1/watermarks", &facts::watermarks::PUT, facts::watermarks::put);
    r.add("/v1/quality/verdicts", &facts::verdicts::LIST, facts::verdicts::list);
    r.add("/v1/quality/verdicts", &facts::verdicts::POST, facts::verdicts::post);
    r.add("/v1/quality/{dataset}", &quality::GET, quality::get);
    r.add("/v1/health/{dataset}", &quality::health::GET, quality::health::get);
    r.add("/v1/calendars", &calendars::LIST, calendars::list);
    r.add("/v1/calendars/{name}", &calendars::SHOW, calendars::describe);
    r.add("/v1/calendars/{name}", &facts::days::PUT_FILE, facts::days::put_file);
    r.add("/v1/calendars/{name}/days", &facts::days::PUT_DAYS, facts::days::put_days);
    r.add("/v1/calendars/{name}/sessions", &calendars::SESSIONS, calendars::sessions);
    r.add("/v1/features", &features::range::GET, features::range::get);
    r.add("/v1/features/latest", &features::point::LATEST, features::point::latest);
    r.add("/v1/features/stream", &features::events::GET, features::events::get);
    r.add("/v1/features/at", &features::point::AT, features::point::at);
    r.add("/v1/features/join", &features::join::POST, features::join::post);
    let group = "/v1/feature-groups/{name}";
    r.add("/v1/feature-groups", &features::groups::LIST, features::groups::list);
    r.add(group, &features::groups::SHOW, features::groups::show);
    r.add(group, &features::groups::PUT, features::groups::put);
    let (promote, verify, lint) =
        (format!("{group}/promote"), format!("{group}/verify"), format!("{group}/lint"));
    r.add(&promote, &features::groups::PROMOTE, features::groups::promote);
    r.add(&verify, &features::check::VERIFY, features::check::verify);
    r.add(&lint, &features::check::LINT, features::check::lint);
    let version = format!("{group}/{{version}}");
    r.add(&version, &features::groups::SHOW_VERSION, features::groups::show_version);
    r.add("/v1/dead-letters", &dead_letters::LIST, dead_letters::list);
    r.add("/v1/dead-letters/{id}", &dead_letters::SHOW, dead_letters::show);
    r.add("/v1/dead-letters/{id}/replay", &dead_letters::REPLAYS, dead_letters::replay);
    for (path, operation) in not_built::OF_BUILT {
        r.add(path, operation, not_built::refuse);
    }
    routes
}
