//! The jobs that are remembered, and the one way to change one: a row of the ledger first, then
//! what others see. Changes are made one after the other, so that each sees the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use barrow_engine::{Error, Reader, Snapshot};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Mutex as OneAfterTheOther, watch};
use tokio::time::{Instant, timeout_at};

use super::job::{Asked, Job, State};
use super::kinds::{Kind, kind};
use super::ledger;
use super::work::{Live, Wish, Work};
use crate::config::Config;
use crate::http::inside::Inside;
use crate::metrics::Metrics;
use crate::writer::{Intake, IntakeError};
use crate::{clock, random};

/// Jobs that are remembered; those that have not ended always are.
const JOBS_MAX: usize = 1_000;

/// Jobs that may wait or be at work.
const OPEN_MAX: usize = 1_000;

/// How often a job is begun without getting on before it counts as one that cannot be done.
const ATTEMPTS_MAX: i64 = 10;

/// How long a cancellation waits for the work to end.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

/// Who asks for jobs over HTTP.
const SOURCE: &str = "request";

/// Why a job is not made or changed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no such job.
    NotFound,
    /// It contradicts what is there.
    Conflict(String),
    /// Too many wait.
    Busy,
    /// The change was not stored.
    Intake(IntakeError),
}

/// Which jobs are listed; of an empty set all.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Only in one of these states.
    pub(crate) states: Vec<State>,
    /// Only of one of these kinds.
    pub(crate) kinds: Vec<String>,
    /// Only those before this one.
    pub(crate) before: Option<u64>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Store>);

struct Store {
    engine: Reader,
    intake: Intake,
    metrics: Arc<Metrics>,
    config: Config,
    seen: Mutex<Seen>,
    changing: OneAfterTheOther<()>,
    /// Something has changed.
    changed: watch::Sender<()>,
    stopping: watch::Sender<bool>,
}

/// What others see.
struct Seen {
    jobs: BTreeMap<u64, Job>,
    /// Those at work.
    live: BTreeMap<u64, Arc<Live>>,
    /// Those that cannot be begun because the disk has failed.
    stuck: BTreeSet<u64>,
    last: u64,
}

/// How the work of a job ended.
pub(super) enum End {
    /// With this result.
    Succeeded(Value),
    /// Without one.
    Failed(String),
    /// Because somebody wanted it to.
    Cancelled,
    /// To go on when the server starts again.
    Later,
}

/// Forgets the oldest jobs that have ended when there are too many.
pub(super) fn forget(jobs: &mut BTreeMap<u64, Job>) {
    while jobs.len() > JOBS_MAX {
        let oldest = jobs.values().find(|job| job.state.has_ended()).map(|job| job.id);
        let Some(oldest) = oldest else { return };
        jobs.remove(&oldest);
    }
}

/// Whether trying again can help.
pub(super) fn passes(error: &IntakeError) -> bool {
    use barrow_engine::ErrorKind::Full;
    match error {
        IntakeError::Busy => true,
        IntakeError::Stopping => false,
        IntakeError::Engine(error) => error.kind() == Full,
    }
}

impl Jobs {
    /// `jobs` as the ledger has them.
    pub(crate) fn new(
        jobs: BTreeMap<u64, Job>,
        engine: Reader,
        intake: Intake,
        metrics: Arc<Metrics>,
        config: &Config,
    ) -> Self {
        let last = jobs.keys().next_back().copied().unwrap_or(0);
        let live = BTreeMap::new();
        let all = Self(Arc::new(Store {
            engine,
            intake,
            metrics,
            config: config.clone(),
            seen: Mutex::new(Seen { jobs, live, stuck: BTreeSet::new(), last }),
            changing: OneAfterTheOther::new(()),
            changed: watch::Sender::new(()),
            stopping: watch::Sender::new(false),
        }));
        all.count();
        all
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.0.engine.snapshot()
    }

    pub(super) fn instance(&self) -> [u8; 16] {
        self.0.engine.instance()
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn checkpoint_every(&self) -> Duration {
        Duration::from_millis(self.0.config.jobs.checkpoint_ms)
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    /// Tells whenever a job has changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Tells when the server stops.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// The server stops: nobody waits any more, and work is to be put aside.
    pub(crate) fn stop(&self) {
        self.0.stopping.send_replace(true);
        for live in self.0.seen.lock().live.values() {
            live.stop();
        }
    }

    /// The job of that number, as it is now.
    pub(crate) fn get(&self, id: u64) -> Option<Job> {
        let seen = self.0.seen.lock();
        let mut job = seen.jobs.get(&id)?.clone();
        if let Some(live) = seen.live.get(&id).filter(|_| job.state == State::Running) {
            job.progress = live.progress();
            job.done = live.done();
        }
        Some(job)
    }

    /// Jobs, the newest first: at most `limit`.
    pub(crate) fn list(&self, filter: &Filter, limit: usize) -> Vec<Job> {
        let all: Vec<u64> = {
            let seen = self.0.seen.lock();
            let end = filter.before.unwrap_or(u64::MAX);
            let wanted = |job: &&Job| {
                (filter.states.is_empty() || filter.states.contains(&job.state))
                    && (filter.kinds.is_empty() || filter.kinds.contains(&job.asked.kind))
            };
            let jobs = seen.jobs.range(..end).rev().map(|(_, job)| job).filter(wanted);
            jobs.take(limit).map(|job| job.id).collect()
        };
        all.into_iter().filter_map(|id| self.get(id)).collect()
    }

    /// The job of that number once its state has changed, it has ended or cannot go on, or `wait`
    /// is over, or the server stops.
    pub(crate) async fn wait(&self, id: u64, wait: Duration) -> Option<Job> {
        let first = self.get(id)?.state;
        self.wait_until(id, wait, |job| job.state != first).await
    }

    /// The same, but once it has ended.
    async fn wait_for_end(&self, id: u64, wait: Duration) -> Option<Job> {
        self.wait_until(id, wait, |_| false).await
    }

    async fn wait_until(
        &self,
        id: u64,
        wait: Duration,
        is_news: impl Fn(&Job) -> bool,
    ) -> Option<Job> {
        let end = Instant::now() + wait;
        let mut stopping = self.stopping();
        let mut changes = self.changes();
        loop {
            let job = self.get(id)?;
            let is_over = job.state.has_ended() || job.error.is_some() || *stopping.borrow();
            if is_over || is_news(&job) {
                return Some(job);
            }
            let news = async {
                // Neither fails: their senders are in `self`.
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = stopping.changed() => {}
                }
            };
            if timeout_at(end, news).await.is_err() {
                return self.get(id);
            }
        }
    }

    /// Takes a job in, or finds the one that was asked for under this request id.
    pub(crate) async fn create(&self, asked: Asked) -> Result<Job, Refusal> {
        let jobs = self.clone();
        self.detached(async move {
            let _alone = jobs.0.changing.lock().await;
            if let Some(job) = jobs.requested(&asked)? {
                return Ok(job);
            }
            let id = jobs.next_id().ok_or(Refusal::Busy)?;
            let now = clock::now().max(jobs.snapshot().now());
            let job = Job::new(id, asked, SOURCE.to_owned(), now);
            jobs.write(job.clone()).await.map_err(Refusal::Intake)?;
            Ok(job)
        })
        .await
    }

    /// The number of a new job; `None` if too many have not ended.
    fn next_id(&self) -> Option<u64> {
        let mut seen = self.0.seen.lock();
        let open = seen.jobs.values().filter(|job| !job.state.has_ended()).count();
        if open >= OPEN_MAX {
            return None;
        }
        seen.last += 1;
        Some(seen.last)
    }

    /// The job that was asked for under the same request id.
    fn requested(&self, asked: &Asked) -> Result<Option<Job>, Refusal> {
        let Some(request_id) = &asked.request_id else { return Ok(None) };
        let seen = self.0.seen.lock();
        let mut known = seen.jobs.values();
        let known = known.find(|job| job.asked.request_id.as_ref() == Some(request_id));
        match known {
            Some(job) if job.asked != *asked => Err(Refusal::Conflict(format!(
                "request_id {request_id:?} was used for job {}, which is another; choose another \
                 id, or send the same request again",
                job.id
            ))),
            Some(job) => Ok(Some(job.clone())),
            None => Ok(None),
        }
    }

    /// Takes a job in that does again what job `id` did not do.
    pub(crate) async fn retry(&self, id: u64, request_id: Option<String>) -> Result<Job, Refusal> {
        let job = self.get(id).ok_or(Refusal::NotFound)?;
        if !matches!(job.state, State::Failed | State::Cancelled) {
            return Err(Refusal::Conflict(format!(
                "job {id} is {}; only one that has FAILED or was CANCELLED is tried again",
                job.state.name()
            )));
        }
        self.create(Asked { request_id, retry_of: Some(id), ..job.asked }).await
    }

    /// Ends a job that has not ended, and returns it then.
    pub(crate) async fn cancel(&self, id: u64) -> Result<Job, Refusal> {
        // One at work is told at once, whatever is being stored meanwhile.
        if !self.tell_to_end(id) {
            let jobs = self.clone();
            self.detached(async move { jobs.end_waiting(id).await }).await?;
        }
        let job = self.get(id).ok_or(Refusal::NotFound)?;
        let job = match job.state.has_ended() {
            true => job,
            false => self.wait_for_end(id, CANCEL_WAIT).await.ok_or(Refusal::NotFound)?,
        };
        match job.state {
            State::Succeeded | State::Failed => {
                Err(Refusal::Conflict(format!("job {id} has ended: {}", job.state.name())))
            }
            _ => Ok(job),
        }
    }

    /// Returns whether the job is at work.
    fn tell_to_end(&self, id: u64) -> bool {
        let live = self.0.seen.lock().live.get(&id).cloned();
        let Some(live) = live else { return false };
        live.wish.send_replace(Wish::Cancel);
        true
    }

    /// Ends a job that waits.
    async fn end_waiting(&self, id: u64) -> Result<(), Refusal> {
        let _alone = self.0.changing.lock().await;
        let mut job = self.get(id).ok_or(Refusal::NotFound)?;
        // It may have been begun meanwhile.
        if self.tell_to_end(id) || job.state != State::Pending {
            return Ok(());
        }
        job.state = State::Cancelled;
        job.ended = Some(clock::now());
        job.error = None;
        self.write(job).await.map_err(Refusal::Intake)
    }

    /// The job that is to be begun next.
    pub(super) fn next(&self) -> Option<u64> {
        let seen = self.0.seen.lock();
        let is_next = |job: &&Job| job.state == State::Pending && !seen.stuck.contains(&job.id);
        seen.jobs.values().find(is_next).map(|job| job.id)
    }

    /// Begins a job; `None` if there is nothing to do for it.
    pub(super) async fn begin(
        &self,
        id: u64,
        inside: &Inside,
    ) -> Result<Option<(&'static dyn Kind, Work)>, IntakeError> {
        let _alone = self.0.changing.lock().await;
        let Some(mut job) = self.get(id).filter(|job| job.state == State::Pending) else {
            return Ok(None);
        };
        let kind = match doable(&job, &self.0.config) {
            Ok(kind) => kind,
            Err(why) => {
                (job.state, job.error, job.ended) = (State::Failed, Some(why), Some(clock::now()));
                self.write(job).await?;
                return Ok(None);
            }
        };
        job.state = State::Running;
        job.attempts += 1;
        job.started.get_or_insert_with(clock::now);
        let live = Live::new(job.progress);
        // Before it is seen to run: whoever cancels it then finds it.
        self.0.seen.lock().live.insert(id, Arc::clone(&live));
        if let Err(error) = self.write(job.clone()).await {
            self.0.seen.lock().live.remove(&id);
            return Err(error);
        }
        if *self.0.stopping.borrow() {
            live.stop();
        }
        Ok(Some((kind, Work::new(job, self.clone(), inside.clone(), live))))
    }

    /// Keeps where a job at work can go on.
    pub(super) async fn keep(
        &self,
        id: u64,
        checkpoint: Value,
        progress: f64,
    ) -> Result<(), IntakeError> {
        let _alone = self.0.changing.lock().await;
        let Some(mut job) = self.get(id) else { return Ok(()) };
        job.checkpoint = Some(checkpoint);
        job.progress = progress;
        job.attempts = 0;
        self.write(job).await
    }

    /// Notes how the work of a job ended.
    pub(super) async fn end(&self, id: u64, end: &End) -> Result<(), IntakeError> {
        let _alone = self.0.changing.lock().await;
        let Some(mut job) = self.get(id) else { return Ok(()) };
        job.error = None;
        match end {
            End::Succeeded(summary) => {
                job.state = State::Succeeded;
                job.progress = 1.0;
                job.summary = Some(summary.clone());
            }
            End::Failed(why) => {
                job.state = State::Failed;
                job.error = Some(why.clone());
            }
            End::Cancelled => job.state = State::Cancelled,
            End::Later => {
                job.state = State::Pending;
                job.attempts = 0;
            }
        }
        if job.state.has_ended() {
            job.ended = Some(clock::now());
            job.checkpoint = None;
        }
        self.write(job).await?;
        self.0.seen.lock().live.remove(&id);
        Ok(())
    }

    /// A job cannot be begun or ended any more, because the disk has failed.
    pub(super) fn stick(&self, id: u64, why: &str) {
        {
            let mut seen = self.0.seen.lock();
            seen.stuck.insert(id);
            if let Some(job) = seen.jobs.get_mut(&id) {
                let now = format!("{why}; it goes on when the server is started again");
                job.error = Some(now);
            }
        }
        self.0.changed.send_replace(());
    }

    /// Stores a job as it is now to be, and shows it then.
    async fn write(&self, mut job: Job) -> Result<(), IntakeError> {
        // Whoever is at work tells it, and it is gone with the work.
        job.done = None;
        let failed = |why: String| IntakeError::Engine(Error::disk(why));
        let id = random::batch_id().map_err(|error| failed(format!("no random bytes: {error}")))?;
        let batch = ledger::batch(&job, format!("job-{}-{id}", job.id));
        let snapshot = self.snapshot();
        let preparing = tokio::task::spawn_blocking(move || {
            barrow_engine::prepare(batch, &snapshot, clock::now())
        });
        let prepared = match preparing.await {
            Ok(prepared) => prepared.map_err(IntakeError::Engine)?,
            Err(_) => return Err(IntakeError::Stopping),
        };
        let applied = self.0.intake.commit(prepared).await?;
        if applied.counts.rejected > 0 {
            let why = applied.errors.first().map_or("", |error| &error.detail);
            return Err(IntakeError::Engine(Error::invalid(format!("a row of jobs: {why}"))));
        }
        if job.state.has_ended() {
            // Labels are of a closed set.
            let kind = kind(&job.asked.kind).map_or("unknown", Kind::name);
            self.0.metrics.job_ended(kind, job.state.name());
        }
        {
            let mut seen = self.0.seen.lock();
            seen.jobs.insert(job.id, job);
            forget(&mut seen.jobs);
        }
        self.count();
        self.0.changed.send_replace(());
        Ok(())
    }

    fn count(&self) {
        let seen = self.0.seen.lock();
        let count = |state| seen.jobs.values().filter(|job| job.state == state).count();
        self.0.metrics.jobs(count(State::Pending), count(State::Running));
    }

    /// Does `work` to its end even if whoever asked for it goes away in the midst of it: what is
    /// stored has to be seen, too.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        match tokio::spawn(work).await {
            Ok(done) => done,
            Err(_) => Err(Refusal::Intake(IntakeError::Stopping)),
        }
    }
}

/// The kind of a job that can be begun.
fn doable(job: &Job, config: &Config) -> Result<&'static dyn Kind, String> {
    let name = &job.asked.kind;
    let kind = kind(name).ok_or_else(|| format!("this version knows no jobs of kind {name}"))?;
    let params = job.asked.own_params();
    let params = params.ok_or("its parameters cannot be read by this version")?;
    kind.check(&params, config).map_err(|bad| format!("{}: {}", bad.field, bad.fault))?;
    if job.attempts >= ATTEMPTS_MAX {
        return Err(format!(
            "it was begun {ATTEMPTS_MAX} times, and each time the server ended before it got on; \
             look into the server's log, then retry it"
        ));
    }
    Ok(kind)
}
