//! Wiring: everything is started in order and stopped in reverse.
//!
//! The store is opened, its log replayed and the writer started before the port opens, so whoever
//! reaches the server finds all data there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use barrow_engine::disk::{Disk, OsDisk};
use barrow_engine::{Engine, Error, Options, Recovery};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::auth::Keys;
use crate::config::{Config, ConfigError};
use crate::feed::{self, BindError, Listeners};
use crate::http::inside::Inside;
use crate::http::{self, App};
use crate::jobs::{self, Jobs};
use crate::live::worker::{self, Parts, Worker};
use crate::live::{Bounds, Commits, Folder, Identity, Live};
use crate::materializer::Materializer;
use crate::metrics::Metrics;
use crate::{random, writer};

/// Why the server did not start: one line for a person.
#[derive(Debug)]
pub enum StartError {
    /// The settings make no sense.
    Config(ConfigError),
    /// The keys file cannot be used.
    Keys(String),
    /// The store cannot be opened: in use by another process, damaged, on a failing disk.
    Store(Error),
    /// The port cannot be opened.
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A socket of the feature feed cannot be opened; the text says which, and why.
    Feed(String),
    /// The system gives no thread or no random bytes.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Keys(why) | Self::Feed(why) => f.write_str(why),
            Self::Store(error) => error.fmt(f),
            Self::Bind { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "bind {address}: the port is taken; stop what holds it or choose another")
            }
            Self::Bind { address, error } => write!(f, "bind {address}: {error}"),
            Self::System(error) => write!(f, "start: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Why the server did not stop cleanly. Everything acknowledged is on disk all the same.
#[derive(Debug)]
pub enum StopError {
    /// Requests were still going when `[server] shutdown_seconds` were over; they were broken off.
    Unfinished,
    /// The store was not closed; the next start replays its log.
    Store(Error),
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => {
                f.write_str("stop: requests were broken off after [server] shutdown_seconds")
            }
            Self::Store(error) => write!(f, "close the store: {error}"),
        }
    }
}

impl std::error::Error for StopError {}

/// A server that takes requests.
pub struct Running {
    /// The address it listens on, with the port it was given.
    pub http: SocketAddr,
    /// The address of the feature feed, if there is one.
    pub feed: Option<SocketAddr>,
    pub(crate) app: Arc<App>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<bool>,
    stop_feed: watch::Sender<bool>,
    feeding: Option<JoinHandle<()>>,
    working: JoinHandle<()>,
    behind: Behind,
}

/// Threads that work behind whoever serves.
struct Behind {
    features: worker::Handle,
    materializer: Materializer,
    writer: writer::Handle,
}

/// Opens the store in `[server] data_dir` and takes requests.
///
/// # Errors
/// Before anything is served: what did not start and why.
pub async fn start(config: Config) -> Result<Running, StartError> {
    // The folder is not touched if the settings are refused.
    let keys = check(&config)?;
    let dir = config.server.data_dir.clone();
    let disk = blocking(move || OsDisk::open(&dir)).await?;
    let disk = disk.map_err(|error| StartError::Store(error.into()))?;
    start_checked(config, keys, Arc::new(disk)).await
}

/// As [`start`], with the store on `disk`.
///
/// # Errors
/// As [`start`].
pub async fn start_on(config: Config, disk: Arc<dyn Disk>) -> Result<Running, StartError> {
    let keys = check(&config)?;
    start_checked(config, keys, disk).await
}

fn check(config: &Config) -> Result<Keys, StartError> {
    config.check().map_err(StartError::Config)?;
    let file = &config.auth.keys_file;
    let keys = if file.as_os_str().is_empty() { Ok(Keys::open()) } else { Keys::load(file) };
    keys.map_err(StartError::Keys)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StartError::System(error.into()))
}

async fn start_checked(
    config: Config,
    keys: Keys,
    disk: Arc<dyn Disk>,
) -> Result<Running, StartError> {
    let (opening, opened_on) = (config.clone(), Arc::clone(&disk));
    let (engine, recovery) = blocking(move || open(&opening, opened_on)).await??;
    let metrics = Arc::new(Metrics::new());
    metrics.recovery(&recovery);
    // Before the writer starts: a port that is taken leaves nothing to stop.
    let address = config.server.http;
    let bind = |error| StartError::Bind { address, error };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let http = listener.local_addr().map_err(bind)?;
    let listeners = config.feed.enabled.then(|| Listeners::bind(&config)).transpose();
    let listeners = listeners.map_err(|error: BindError| StartError::Feed(error.to_string()))?;
    let feed = listeners.as_ref().map(|listeners| listeners.address);
    let identity = Identity { instance: engine.instance(), epoch: engine.epoch() };
    let reader = engine.reader();
    let snapshot = reader.snapshot();
    let (live, publisher) = Live::new(identity, bounds(&config), snapshot.sequence().get());
    let commits = Arc::new(Commits::default());
    let parts = Parts {
        live: Arc::clone(&live),
        publisher,
        commits: Arc::clone(&commits),
        folder: folder(&config, identity)?,
        metrics: Arc::clone(&metrics),
        groups_max: size(config.live.groups_max.into()),
        symbols_max: size(config.live.symbols_max.into()),
    };
    let newest = snapshot.clone();
    // Whoever finds the port open finds the rows, too.
    let features = blocking(move || Worker::new(parts, &newest)).await?;
    let known = blocking(move || jobs::ledger::read(&snapshot)).await?;
    let known = known.map_err(|error| StartError::Store(error.within("read the jobs")))?;
    let (writer, intake, progress) =
        writer::start(engine, disk, &config, (Arc::clone(&metrics), commits))
            .map_err(StartError::System)?;
    let features = features.start(intake.clone()).map_err(StartError::System)?;
    let materializer = Materializer::start(reader.clone()).map_err(StartError::System)?;
    let jobs = Jobs::new(known, reader.clone(), intake.clone(), Arc::clone(&metrics), &config);
    let max_running = config.jobs.max_running;
    let parts = (intake, progress);
    let app = Arc::new(App::new(config, reader, parts, keys, metrics, jobs.clone(), live));
    let working = jobs::start(jobs, Inside::new(&app), max_running);
    let (stop, stopped) = oneshot::channel();
    let router = http::router(Arc::clone(&app));
    let serving = tokio::spawn(http::serve::serve(listener, router, Arc::clone(&app), stopped));
    let (stop_feed, feed_stopped) = watch::channel(false);
    let feeding = listeners
        .map(|listeners| tokio::spawn(feed::serve(listeners, Arc::clone(&app), feed_stopped)));
    tracing::info!(%http, ?feed, "taking requests");
    let behind = Behind { features, materializer, writer };
    Ok(Running { http, feed, app, stop, serving, stop_feed, feeding, working, behind })
}

fn size(max: u64) -> usize {
    usize::try_from(max).unwrap_or(usize::MAX)
}

fn bounds(config: &Config) -> Bounds {
    let feed = &config.feed;
    Bounds { updates_max: size(feed.kept_updates_max.into()), bytes_max: size(feed.kept_bytes_max) }
}

/// Where latest tables are made, if they are wanted.
fn folder(config: &Config, identity: Identity) -> Result<Option<Folder>, StartError> {
    let dir = &config.server.data_dir;
    let folder = config.live.tables.then(|| Folder::open(dir, identity)).transpose();
    folder.map_err(StartError::System)
}

fn open(config: &Config, disk: Arc<dyn Disk>) -> Result<(Engine, Recovery), StartError> {
    let start = Instant::now();
    let dir = &config.server.data_dir;
    let instance = random::bytes().map_err(|error| StartError::System(io::Error::other(error)))?;
    let settings = &config.engine;
    let options = Options {
        wal_file_bytes: settings.wal_file_bytes,
        memtable_bytes_max: settings.memtable_bytes_max,
        batch_bytes_max: settings.batch_bytes_max,
        series_max: settings.series_max,
        manifest_bytes_max: settings.manifest_bytes_max,
        compact_fan_out: settings.compact_fan_out,
        own_file_bytes: settings.own_file_bytes,
        pack_bytes_max: settings.pack_bytes_max,
        tile_bytes_max: settings.tile_bytes_max,
        checkpoint_bytes_max: settings.checkpoint_bytes_max,
        cell_bytes_max: settings.cell_bytes_max,
        ..Options::default()
    };
    let doing = format!("open {}", dir.display());
    let (engine, recovery) = Engine::open(disk, options, instance)
        .map_err(|error| StartError::Store(error.within(&doing)))?;
    tracing::info!(
        data_dir = %dir.display(),
        created = recovery.created,
        records = recovery.replayed_records,
        rows = recovery.replayed_rows,
        took_ms = start.elapsed().as_millis(),
        "store opened"
    );
    if recovery.torn_bytes > 0 {
        let bytes = recovery.torn_bytes;
        tracing::warn!(bytes, "an unfinished record at the end of the log was dropped");
    }
    if !recovery.removed_files.is_empty() {
        let files = recovery.removed_files.join(", ");
        tracing::warn!(files, "files that nothing refers to were removed");
    }
    for why in &recovery.refused_masks {
        tracing::warn!(why, "a file of gap masks was removed: masks are made from rows");
    }
    for why in &recovery.refused_tiles {
        tracing::warn!(why, "a file of tiles was removed: tiles are made from rows");
    }
    Ok((engine, recovery))
}

impl Running {
    /// Takes no new connection, finishes the requests that were accepted, commits their batches
    /// and closes the store.
    ///
    /// # Errors
    /// Requests had to be broken off, or the store was not closed; both are as after a crash.
    pub async fn stop(self) -> Result<(), StopError> {
        let Self { app, stop, serving, stop_feed, feeding, working, behind, .. } = self;
        app.stop();
        tracing::info!("stopping");
        // Nobody listens only if serving has ended already.
        let _ = stop.send(());
        let _ = stop_feed.send(true);
        if let Some(feeding) = feeding {
            feeding.await.expect("invariant: serving the feed does not panic");
        }
        let finished = serving.await.expect("invariant: serving does not panic");
        // Jobs at work say where they can go on before the writer is gone.
        working.await.expect("invariant: whoever begins jobs does not panic");
        let closing = tokio::task::spawn_blocking(move || {
            behind.materializer.stop();
            let closed = behind.writer.stop();
            behind.features.stop();
            closed
        });
        let closed = closing.await.expect("invariant: the writer aborts, it does not unwind");
        closed.map_err(StopError::Store)?;
        tracing::info!("stopped");
        if finished { Ok(()) } else { Err(StopError::Unfinished) }
    }
}
