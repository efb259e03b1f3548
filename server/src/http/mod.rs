//! HTTP: one resource a file. Handlers read requests, hand work to threads and answer; they know
//! snapshots and the writer's queue, never the engine itself.
//!
//! Every request passes, from outside in: the log if it wants requests, metrics, a net for panics,
//! the key check, the bound on requests. Bounds on bodies and threads are taken where the work is.

mod answer;
mod body;
mod calendars;
pub(crate) mod columns;
mod covers;
mod curated;
mod cursor;
mod datasets;
mod dead_letters;
mod decode;
mod encode;
pub(crate) mod error;
mod facts;
pub(crate) mod features;
mod gaps;
mod ingest;
pub(crate) mod inside;
mod jobs;
mod latest;
mod not_built;
pub(crate) mod openapi;
mod page;
mod parameters;
pub(crate) mod params;
mod parts;
mod quality;
mod range;
mod reader;
mod requests;
mod retract;
mod routes;
pub(crate) mod serve;
pub(crate) mod slots;
mod sources;
mod status;
mod stream;
mod table;
mod tables;
mod time;
mod vintage;
mod when;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use barrow_engine::dataset::tables::Extra;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;

use self::body::Budget;
use self::error::{Code, Problem};
use crate::auth::{Denied, Keys, Role};
use crate::config::Config;
use crate::jobs::Jobs;
use crate::live::Live;
use crate::metrics::{Metrics, Refusal, RequestLabel};
use crate::writer::{Intake, Progress};

/// See [`crate::decode_body`].
pub(crate) fn decode_body(kind: u8, body: &[u8]) -> bool {
    use decode::Kind::{Arrow, Csv, Json, NdJson, Parquet};
    let kinds = [Arrow, Csv, Json, NdJson, Parquet];
    let plan = decode::Plan {
        schema: &barrow_engine::dataset::BARS,
        step: barrow_types::Step::M1,
        symbol: None,
        stamped_at_end: kind & 4 != 0,
        extra: Extra::Reject,
        decoded_bytes_max: 1 << 20,
    };
    let body = bytes::Bytes::copy_from_slice(body);
    decode::decode(kinds[usize::from(kind) % kinds.len()], &body, &plan).is_ok()
}

/// What handlers share.
pub(crate) struct App {
    /// The settings.
    pub(crate) config: Config,
    /// Hands out snapshots.
    pub(crate) engine: barrow_engine::Reader,
    /// Takes batches.
    pub(crate) intake: Intake,
    /// How far the writer is.
    pub(crate) progress: Progress,
    /// The catalogue.
    pub(crate) metrics: Arc<Metrics>,
    /// Long work.
    pub(crate) jobs: Jobs,
    /// Groups of features that were asked for.
    pub(crate) groups: features::Ready,
    /// Rows of features that are kept ready.
    pub(crate) live: Arc<Live>,
    /// Memory for request bodies.
    bodies: Arc<Budget>,
    keys: Keys,
    requests: Arc<Semaphore>,
    prepares: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

fn semaphore(permits: u32) -> Arc<Semaphore> {
    let permits = usize::try_from(permits).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

impl App {
    /// Everything at rest.
    pub(crate) fn new(
        config: Config,
        engine: barrow_engine::Reader,
        (intake, progress): (Intake, Progress),
        keys: Keys,
        metrics: Arc<Metrics>,
        jobs: Jobs,
        live: Arc<Live>,
    ) -> Self {
        let http = &config.http;
        Self {
            bodies: Budget::new(http.bodies_bytes_max, Arc::clone(&metrics)),
            requests: semaphore(http.requests_max),
            prepares: semaphore(http.prepare_threads),
            queries: semaphore(http.query_threads),
            streams: semaphore(http.streams_max),
            stopping: watch::Sender::new(false),
            groups: features::Ready::default(),
            jobs,
            live,
            config,
            engine,
            intake,
            progress,
            metrics,
            keys,
        }
    }

    /// From now on `/readyz` says that the server is going down, and jobs are put aside.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        self.jobs.stop();
    }

    /// Whether the server is going down.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Is told when the server goes down.
    pub(crate) fn watch_stop(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// The right to one stream of events.
    pub(crate) fn stream_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            self.metrics.refused(Refusal::Streams);
            let detail = "as many streams are open as [http] streams_max allows; end one or try \
                          again later";
            Problem::new(Code::Busy, detail)
        })
    }

    /// Whether who knows `secret` may do what needs `role`.
    pub(crate) fn check_key(&self, secret: Option<&[u8]>, role: Role) -> Result<(), Denied> {
        self.keys.check_secret(secret, role)
    }

    /// Refuses rows once the disk has failed, before their body is taken in.
    pub(crate) fn check_intake(&self) -> Result<(), Problem> {
        match self.progress.intake_stopped() {
            None => Ok(()),
            Some(why) => {
                let detail = format!("the disk failed; reads go on; look at it and restart: {why}");
                Err(Problem::new(Code::IntakeStopped, detail))
            }
        }
    }

    async fn permit(&self, of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
        let wait = Duration::from_secs(self.config.http.queue_seconds_max);
        match timeout(wait, Arc::clone(of).acquire_owned()).await {
            Ok(permit) => Ok(permit.expect("invariant: the semaphores are never closed")),
            Err(_) => {
                self.metrics.refused(Refusal::Threads);
                let detail = "no thread became free in time; try again later";
                Err(Problem::new(Code::Busy, detail))
            }
        }
    }

    /// The right to one query thread.
    pub(crate) async fn query_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.permit(&self.queries).await
    }

    /// Runs `work` on a query thread.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.query_permit().await?;
        run(work, permit).await
    }

    /// Runs `work` on a thread that makes batches ready.
    pub(crate) async fn prepare<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit(&self.prepares).await?;
        run(work, permit).await
    }
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    permit: OwnedSemaphorePermit,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "work on a request panicked");
        Problem::new(Code::Internal, "a fault of the server; its log says more")
    })
}

/// All routes, as clients reach them.
pub(crate) fn router(app: Arc<App>) -> Router {
    let router = open_routes()
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&app), measure));
    // Who wants no lines pays for none.
    let router =
        if app.config.log.requests { router.layer(from_fn(requests::log)) } else { router };
    router.with_state(app)
}

/// All routes, without what is asked of clients.
fn open_routes() -> Router<Arc<App>> {
    not_built::add(routes::add(Router::new()))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
}

async fn no_route(request: Request) -> Problem {
    let detail = format!("there is no {}", request.uri().path());
    Problem::new(Code::NotFound, detail)
}

async fn no_method(request: Request) -> Problem {
    let detail = format!("{} knows no {}", request.uri().path(), request.method());
    Problem::new(Code::MethodNotAllowed, detail)
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request panicked");
    Problem::new(Code::Internal, "a fault of the server; its log says more").into_response()
}

/// Health is asked for by machines that hold no key and must be told under load too; what the
/// interface is like is no secret, and browsers send no key.
const ALWAYS: [&str; 4] = ["/healthz", "/readyz", "/openapi.json", "/docs"];
/// Answered under load too.
const METRICS: &str = "/metrics";

/// Lets a request through if its key allows it and there is room.
async fn guard(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    if ALWAYS.contains(&path) {
        return Ok(next.run(request).await);
    }
    let role = match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => Role::Read,
        _ => Role::Write,
    };
    let key = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    app.keys.check(key, role).map_err(|denied| match denied {
        Denied::Unknown => {
            let detail = "send a key that this server knows as `Authorization: Bearer KEY`";
            Problem::new(Code::Unauthorized, detail).about("Authorization")
        }
        Denied::Forbidden { name, needed } => {
            let detail = format!("key {name} does not allow this; a {needed} key does");
            Problem::new(Code::Forbidden, detail)
        }
    })?;
    if path == METRICS {
        return Ok(next.run(request).await);
    }
    let Ok(_permit) = app.requests.try_acquire() else {
        app.metrics.refused(Refusal::Requests);
        return Err(Problem::new(Code::Busy, "too many requests at once; try again later"));
    };
    Ok(next.run(request).await)
}

async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    app.metrics.request(&RequestLabel { route, method, status }, start.elapsed());
    response
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
