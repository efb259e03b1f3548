//! What the work of a job has at hand: what was asked, where it was, and how it tells how far it
//! is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use barrow_engine::Snapshot;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::job::Job;
use super::store::{Jobs, passes};
use crate::config::Config;
use crate::http::error::Problem;
use crate::http::inside::Inside;
use crate::metrics::Metrics;
use crate::writer::{Intake, IntakeError};

/// How long work waits before it asks again where there was no room for what it asked.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What others want of a job at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// That it goes on.
    GoOn,
    /// That it ends.
    Cancel,
    /// That it stops, to go on when the server starts again.
    Stop,
}

/// Why work ends without a result.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It was told to stop.
    Stopped,
    /// It cannot be done, and why.
    Failed(String),
}

/// A job at work, as others see it.
pub(super) struct Live {
    progress: AtomicU64,
    done: Mutex<Option<Value>>,
    pub(super) wish: watch::Sender<Wish>,
}

impl Live {
    pub(super) fn new(progress: f64) -> Arc<Self> {
        let progress = AtomicU64::new(progress.to_bits());
        Arc::new(Self { progress, done: Mutex::default(), wish: watch::Sender::new(Wish::GoOn) })
    }

    fn wish(&self) -> Wish {
        *self.wish.borrow()
    }

    /// From 0 to 1.
    pub(super) fn progress(&self) -> f64 {
        f64::from_bits(self.progress.load(Ordering::Relaxed))
    }

    /// What it did and what there is to do, if its kind counts that.
    pub(super) fn done(&self) -> Option<Value> {
        self.done.lock().clone()
    }

    /// What there is to do may grow; it never seems to go back.
    fn tell(&self, share: f64) {
        let share = share.max(self.progress()).min(1.0);
        self.progress.store(share.to_bits(), Ordering::Relaxed);
    }

    /// Who wants it to end has the last word.
    pub(super) fn stop(&self) {
        self.wish.send_if_modified(|wish| {
            let goes_on = *wish == Wish::GoOn;
            if goes_on {
                *wish = Wish::Stop;
            }
            goes_on
        });
    }
}

/// See [`Work::wishes`].
pub(crate) struct Wishes(Arc<Live>);

impl Wishes {
    /// Whether it may go on.
    pub(crate) fn go_on(&self) -> bool {
        self.0.wish() == Wish::GoOn
    }

    /// Tells how far it is, as [`Work::progress`].
    pub(crate) fn progress(&self, share: f64) {
        self.0.tell(share);
    }

    /// Tells what it did and what there is to do.
    pub(crate) fn done(&self, done: Value) {
        *self.0.done.lock() = Some(done);
    }
}

/// See the module.
pub(crate) struct Work {
    job: Job,
    jobs: Jobs,
    inside: Inside,
    live: Arc<Live>,
    kept: Mutex<Instant>,
}

impl Work {
    pub(super) fn new(job: Job, jobs: Jobs, inside: Inside, live: Arc<Live>) -> Self {
        Self { job, jobs, inside, live, kept: Mutex::new(Instant::now()) }
    }

    /// The job's number.
    pub(crate) const fn id(&self) -> u64 {
        self.job.id
    }

    /// What others want of it.
    pub(super) fn wish(&self) -> Wish {
        self.live.wish()
    }

    /// What others want of it, for a thread of its own.
    pub(crate) fn wishes(&self) -> Wishes {
        Wishes(Arc::clone(&self.live))
    }

    /// What was asked for, the kind not among it.
    pub(crate) fn params(&self) -> Map<String, Value> {
        self.job.asked.own_params().unwrap_or_default()
    }

    /// Where figures are counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.jobs.metrics()
    }

    /// The settings of the server.
    pub(crate) fn config(&self) -> &Config {
        self.jobs.config()
    }

    /// What it kept when it was broken off; `None` if it begins.
    pub(crate) const fn checkpoint(&self) -> Option<&Value> {
        self.job.checkpoint.as_ref()
    }

    /// The newest state of the store.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.jobs.snapshot()
    }

    /// The identity of the store.
    pub(crate) fn instance(&self) -> [u8; 16] {
        self.jobs.instance()
    }

    /// The way of its requests to the server's routes.
    pub(crate) const fn inside(&self) -> &Inside {
        &self.inside
    }

    /// The way to the writer.
    pub(crate) fn intake(&self) -> &Intake {
        self.jobs.intake()
    }

    /// How long a piece of work may take before it looks up.
    pub(crate) fn slice(&self) -> Duration {
        self.jobs.checkpoint_every().min(Duration::from_millis(50))
    }

    /// Tells how far it is, from 0 to 1. What there is to do may grow; it never seems to go back.
    pub(crate) fn progress(&self, share: f64) {
        self.live.tell(share);
    }

    /// Whether it may go on. To be asked more often than every 100 ms.
    ///
    /// # Errors
    /// `Stopped` if it is to stop.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        if self.wish() == Wish::GoOn { Ok(()) } else { Err(Broken::Stopped) }
    }

    /// Returns when it is to stop.
    pub(crate) async fn stopped(&self) {
        let mut wish = self.live.wish.subscribe();
        // It fails only if nobody can wish any more; `live` can.
        let _ = wish.wait_for(|wish| *wish != Wish::GoOn).await;
    }

    /// Keeps where it can go on, if it was not kept for a while. Where that cannot be stored the
    /// work goes on, and would be done again from the place that was kept before.
    pub(crate) async fn keep(&self, checkpoint: impl FnOnce() -> Value) {
        if self.kept.lock().elapsed() < self.jobs.checkpoint_every() {
            return;
        }
        if let Err(error) = self.jobs.keep(self.job.id, checkpoint(), self.live.progress()).await {
            tracing::debug!(job = self.job.id, ?error, "a checkpoint was not stored");
        }
        *self.kept.lock() = Instant::now();
    }

    /// Keeps where it can go on, and returns when that is stored for sure. Waits where there is no
    /// room for it.
    ///
    /// # Errors
    /// `Stopped` if it is to stop, `Failed` if it cannot be stored.
    pub(crate) async fn keep_for_sure(&self, checkpoint: &Value) -> Result<(), Broken> {
        loop {
            let kept = self.jobs.keep(self.job.id, checkpoint.clone(), self.live.progress()).await;
            match kept {
                Ok(()) => return Ok(()),
                Err(IntakeError::Stopping) => return Err(Broken::Stopped),
                Err(error) if passes(&error) => tokio::time::sleep(BUSY_PAUSE).await,
                Err(error) => return Err(Broken::Failed(Problem::from(error).detail)),
            }
            self.check()?;
        }
    }
}
