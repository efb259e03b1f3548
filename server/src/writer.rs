//! The thread that owns the engine: the only caller that may change anything.
//!
//! Batches come through one bounded queue, already prepared. While a group of them is being
//! synced, the next one gathers in the queue: natural group commit, without a timer. Flushes run
//! on a second thread, compactions on a third, the log's next file is made on a fourth, gap masks
//! and tiles are written on a fifth; all are installed here. A panic on any of them stops the
//! process: rows in memory could no longer be trusted, and the log brings back every acknowledged
//! one.

mod compaction;
mod derived;
mod spare;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use barrow_engine::batch::Applied;
use barrow_engine::disk::Disk;
use barrow_engine::{CopyJob, Engine, Error, ErrorKind, FlushDone, FlushJob, Prepared};
use crossbeam_channel::{Receiver, Sender, TrySendError, after, at, bounded, never, select_biased};
use tokio::sync::{oneshot, watch};

use self::compaction::{Compacted, Compactions};
use self::derived::{Derived, Written};
use self::spare::{Made, Spares};
use crate::clock;
use crate::config::Config;
use crate::live::Commits;
use crate::metrics::{Metrics, Refusal};
use crate::threads::spawn;

pub(crate) use self::compaction::{CompactionReport, Wanted};

/// First pause after a flush failed; doubles with each failure.
const FLUSH_PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause after a flush failed.
const FLUSH_PAUSE_MAX: Duration = Duration::from_secs(60);

struct Request {
    prepared: Prepared,
    reply: oneshot::Sender<Result<Applied, Error>>,
}

enum Message {
    /// Batches of one group; at least one.
    Commit(Vec<Request>),
    Compact(compaction::Wish),
    /// A backup is to be planned.
    Backup(oneshot::Sender<CopyJob>),
    /// A slot is due that nothing else closes.
    Tick,
    Stop,
}

/// Why a batch was not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IntakeError {
    /// The queue is full; nothing was stored.
    Busy,
    /// The server is stopping; nothing was stored.
    Stopping,
    /// The engine says why.
    Engine(Error),
}

/// A batch that was handed in.
pub(crate) struct Pending(oneshot::Receiver<Result<Applied, Error>>);

impl Pending {
    /// Returns once the batch is durable and visible.
    pub(crate) async fn answer(self) -> Result<Applied, IntakeError> {
        match self.0.await {
            Ok(result) => result.map_err(IntakeError::Engine),
            Err(_) => Err(IntakeError::Stopping),
        }
    }
}

/// Where batches are handed in.
#[derive(Clone)]
pub(crate) struct Intake {
    messages: Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Intake {
    /// How many batches wait.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns once the batch is durable and visible.
    pub(crate) async fn commit(&self, prepared: Prepared) -> Result<Applied, IntakeError> {
        self.hand_in(prepared)?.answer().await
    }

    /// Hands a batch in, which will be answered. It does not wait for anything.
    pub(crate) fn hand_in(&self, prepared: Prepared) -> Result<Pending, IntakeError> {
        let mut pending = self.hand_in_together(vec![prepared])?;
        Ok(pending.pop().expect("invariant: there is an answer to each batch"))
    }

    /// Returns once all of these batches are durable; they share a sync and become visible at one
    /// instant.
    pub(crate) async fn commit_together(
        &self,
        group: Vec<Prepared>,
    ) -> Result<Vec<Result<Applied, IntakeError>>, IntakeError> {
        let pending = self.hand_in_together(group)?;
        let mut applied = Vec::with_capacity(pending.len());
        for pending in pending {
            applied.push(pending.answer().await);
        }
        Ok(applied)
    }

    fn hand_in_together(&self, group: Vec<Prepared>) -> Result<Vec<Pending>, IntakeError> {
        let (requests, pending): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|prepared| {
                let (reply, answer) = oneshot::channel();
                (Request { prepared, reply }, Pending(answer))
            })
            .unzip();
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        match self.messages.try_send(Message::Commit(requests)) {
            Ok(()) => Ok(pending),
            Err(TrySendError::Full(_)) => {
                self.metrics.refused(Refusal::Queue);
                Err(IntakeError::Busy)
            }
            Err(TrySendError::Disconnected(_)) => Err(IntakeError::Stopping),
        }
    }

    /// Lets time go on in the log, if nothing that waits does so anyhow.
    pub(crate) fn tick(&self) {
        // Whatever fills the queue brings the time along.
        let _ = self.messages.try_send(Message::Tick);
    }

    /// Writes what is in memory to segments, merges all segments that can be, and returns then.
    /// Who no longer waits for it says so to `wanted`.
    pub(crate) async fn compact(
        &self,
        wanted: Arc<Wanted>,
    ) -> Result<CompactionReport, IntakeError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Message::Compact(compaction::Wish { wanted, reply }))?;
        match answer.await {
            Ok(result) => result.map_err(IntakeError::Engine),
            Err(_) => Err(IntakeError::Stopping),
        }
    }

    /// A backup of what is visible when the writer comes to it, to be run on another thread.
    pub(crate) async fn plan_backup(&self) -> Result<CopyJob, IntakeError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Message::Backup(reply))?;
        answer.await.map_err(|_| IntakeError::Stopping)
    }

    /// Puts what is not rows into the queue.
    fn ask(&self, message: Message) -> Result<(), IntakeError> {
        match self.messages.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(IntakeError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(IntakeError::Stopping),
        }
    }
}

/// What other threads may know about the writer.
#[derive(Clone)]
pub(crate) struct Progress {
    /// The newest sequence that is durable and visible.
    pub(crate) sequence: watch::Receiver<u64>,
    stopped: Arc<OnceLock<String>>,
}

impl Progress {
    /// Why no more rows are taken, if the disk failed.
    pub(crate) fn intake_stopped(&self) -> Option<&str> {
        self.stopped.get().map(String::as_str)
    }
}

/// The running threads.
pub(crate) struct Handle {
    messages: Sender<Message>,
    writer: JoinHandle<Result<(), Error>>,
    flusher: JoinHandle<()>,
    compactor: JoinHandle<()>,
    log_maker: JoinHandle<()>,
    derived_writer: JoinHandle<()>,
}

impl Handle {
    /// Commits what is in the queue, closes the engine and waits until the threads are gone.
    /// Blocks.
    pub(crate) fn stop(self) -> Result<(), Error> {
        // It fails only if the writer is gone already; then its result says why.
        let _ = self.messages.send(Message::Stop);
        let closed = self.writer.join().expect("invariant: the writer aborts, it does not unwind");
        self.flusher.join().expect("invariant: the flusher aborts, it does not unwind");
        self.compactor.join().expect("invariant: the compactor aborts, it does not unwind");
        self.log_maker.join().expect("invariant: the log maker aborts, it does not unwind");
        self.derived_writer
            .join()
            .expect("invariant: the derived writer aborts, it does not unwind");
        closed
    }
}

struct Settings {
    group_batches_max: usize,
    group_bytes_max: usize,
    seal_idle: Duration,
    memtable_bytes_hold: u64,
}

struct Writer {
    engine: Engine,
    settings: Settings,
    messages: Receiver<Message>,
    jobs: Sender<FlushJob>,
    done: Receiver<Flushed>,
    flushing: bool,
    compacted: Receiver<Compacted>,
    compactions: Compactions,
    made: Receiver<Made>,
    spares: Spares,
    written: Receiver<Written>,
    derived: Derived,
    disk: Arc<dyn Disk>,
    flush_pause: Duration,
    flush_not_before: Option<Instant>,
    unsealed: bool,
    sequence: watch::Sender<u64>,
    live: Arc<Commits>,
    stopped: Arc<OnceLock<String>>,
    metrics: Arc<Metrics>,
}

struct Flushed {
    result: Result<FlushDone, Error>,
    took: Duration,
}

/// Starts the threads that own `engine`.
pub(crate) fn start(
    engine: Engine,
    disk: Arc<dyn Disk>,
    config: &Config,
    (metrics, live): (Arc<Metrics>, Arc<Commits>),
) -> std::io::Result<(Handle, Intake, Progress)> {
    let settings = Settings {
        group_batches_max: usize::try_from(config.writer.group_batches_max).unwrap_or(usize::MAX),
        group_bytes_max: usize::try_from(config.writer.group_bytes_max).unwrap_or(usize::MAX),
        seal_idle: Duration::from_millis(config.writer.seal_idle_ms),
        memtable_bytes_hold: config.engine.memtable_bytes_max.saturating_mul(3) / 2,
    };
    let queue_max = usize::try_from(config.writer.queue_batches_max).unwrap_or(usize::MAX);
    let (messages, queue) = bounded(queue_max);
    let (jobs, jobs_queue) = bounded::<FlushJob>(1);
    let (done_sender, done) = bounded(1);
    let (compact_jobs, compact_queue) = bounded(1);
    let (compacted_sender, compacted) = bounded(1);
    let (spare_jobs, spare_queue) = bounded(1);
    let (made_sender, made) = bounded(1);
    let (derived_jobs, derived_queue) = bounded(1);
    let (written_sender, written) = bounded(1);
    let stop_derived = Arc::new(AtomicBool::new(false));
    let stop_compacting = Arc::new(AtomicBool::new(false));
    let (sequence_sender, sequence) = watch::channel(engine.snapshot().sequence().get());
    let stopped = Arc::new(OnceLock::new());
    metrics.stats(&engine.stats());
    let writer = Writer {
        engine,
        settings,
        messages: queue,
        jobs,
        done,
        flushing: false,
        compacted,
        compactions: Compactions::new(
            compact_jobs,
            Arc::clone(&stop_compacting),
            config,
            Arc::clone(&metrics),
        ),
        made,
        spares: Spares::new(spare_jobs),
        written,
        derived: Derived::new(derived_jobs, Arc::clone(&stop_derived), Arc::clone(&metrics)),
        disk: Arc::clone(&disk),
        flush_pause: FLUSH_PAUSE_MIN,
        flush_not_before: None,
        unsealed: false,
        sequence: sequence_sender,
        live,
        stopped: Arc::clone(&stopped),
        metrics: Arc::clone(&metrics),
    };
    let compact_disk = Arc::clone(&disk);
    let compactor = spawn("compactor", move || {
        let disk = compact_disk.as_ref();
        compaction::run(&compact_queue, &compacted_sender, disk, &stop_compacting);
    })?;
    let spare_disk = Arc::clone(&disk);
    let log_maker =
        spawn("log-maker", move || spare::run(&spare_queue, &made_sender, spare_disk.as_ref()))?;
    let derived_disk = Arc::clone(&disk);
    let derived_writer = spawn("derived-writer", move || {
        derived::run(&derived_queue, &written_sender, derived_disk.as_ref(), &stop_derived);
    })?;
    let flusher = spawn("flusher", move || flush_jobs(&jobs_queue, &done_sender, disk.as_ref()))?;
    let writer = spawn("writer", move || writer.run())?;
    let intake = Intake { messages: messages.clone(), metrics };
    let handle = Handle { messages, writer, flusher, compactor, log_maker, derived_writer };
    Ok((handle, intake, Progress { sequence, stopped }))
}

fn flush_jobs(jobs: &Receiver<FlushJob>, done: &Sender<Flushed>, disk: &dyn Disk) {
    for job in jobs {
        let start = Instant::now();
        let result = job.run(disk);
        if done.send(Flushed { result, took: start.elapsed() }).is_err() {
            return;
        }
    }
}

impl Writer {
    fn run(mut self) -> Result<(), Error> {
        // What an earlier start left due.
        self.compactions.start(&mut self.engine);
        loop {
            let idle = if self.unsealed { after(self.settings.seal_idle) } else { never() };
            let retry = self.compactions.not_before().map_or_else(never, at);
            let derived = self.derived.next(&self.engine).map_or_else(never, at);
            let mut go_on = true;
            select_biased! {
                recv(self.done) -> flushed => {
                    self.install(flushed.expect("invariant: the flusher outlives the writer"));
                }
                recv(self.compacted) -> compacted => {
                    let compacted =
                        compacted.expect("invariant: the compactor outlives the writer");
                    self.install_compaction(compacted);
                }
                recv(self.made) -> made => {
                    let made = made.expect("invariant: the log maker outlives the writer");
                    self.spares.install(&mut self.engine, made);
                }
                recv(self.written) -> written => {
                    let written = written.expect("invariant: its thread outlives the writer");
                    self.derived.install(&mut self.engine, written);
                }
                recv(self.messages) -> message => match message {
                    Ok(Message::Commit(first)) => go_on = self.commit_group(first),
                    Ok(Message::Compact(wish)) => self.ask_to_compact(wish),
                    Ok(Message::Backup(reply)) => self.plan_backup(reply),
                    Ok(Message::Tick) => self.tick(),
                    Ok(Message::Stop) | Err(_) => go_on = false,
                },
                recv(idle) -> _ => self.seal(),
                recv(retry) -> _ => {}
                recv(derived) -> _ => {}
            }
            if !go_on {
                break;
            }
            self.start_flush();
            self.compactions.start(&mut self.engine);
            self.spares.start(&mut self.engine);
            self.derived.start(&mut self.engine);
        }
        self.await_flush();
        if self.compactions.stop() {
            let compacted = self.compacted.recv();
            let compacted = compacted.expect("invariant: the compactor outlives the writer");
            self.install_compaction(compacted);
        }
        if self.spares.is_making() {
            let made = self.made.recv().expect("invariant: the log maker outlives the writer");
            self.spares.install(&mut self.engine, made);
        }
        if self.derived.stop() {
            let written = self.written.recv();
            let written = written.expect("invariant: its thread outlives the writer");
            self.derived.install(&mut self.engine, written);
        }
        self.derived.write_last(&mut self.engine, self.disk.as_ref());
        let poisoned = self.engine.poisoned().map(str::to_owned);
        match poisoned {
            None => self.engine.close(clock::now()),
            Some(why) => Err(Error::disk(why)),
        }
    }

    /// Commits `first` and whatever else is waiting. Returns whether to go on.
    fn commit_group(&mut self, mut group: Vec<Request>) -> bool {
        let bytes_of = |requests: &[Request]| -> usize {
            requests.iter().map(|request| request.prepared.byte_len()).sum()
        };
        let mut bytes = bytes_of(&group);
        let mut go_on = true;
        while group.len() < self.settings.group_batches_max && bytes < self.settings.group_bytes_max
        {
            match self.messages.try_recv() {
                Ok(Message::Commit(requests)) => {
                    bytes += bytes_of(&requests);
                    group.extend(requests);
                }
                Ok(Message::Compact(wish)) => self.ask_to_compact(wish),
                Ok(Message::Backup(reply)) => self.plan_backup(reply),
                // The group that is being gathered brings the time along.
                Ok(Message::Tick) => {}
                Ok(Message::Stop) => {
                    go_on = false;
                    break;
                }
                Err(_) => break,
            }
        }
        self.hold_while_full();
        self.commit(group);
        go_on
    }

    /// A flush that is under way makes room: waiting for it is better than refusing rows.
    fn hold_while_full(&mut self) {
        if self.flushing && self.engine.stats().memtable_bytes > self.settings.memtable_bytes_hold {
            self.await_flush();
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        let (prepared, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|request| (request.prepared, request.reply)).unzip();
        let start = Instant::now();
        let results = self.engine.commit(prepared, clock::now());
        self.metrics.commit(replies.len(), start.elapsed());
        // A failed reply means that the sender gave up waiting; the rows are there all the same.
        match results {
            Ok(results) => {
                let touched = self.engine.advance();
                self.live.offer(self.engine.snapshot(), touched);
                self.unsealed = true;
                self.publish();
                for (reply, result) in replies.into_iter().zip(results) {
                    if let Ok(applied) = &result {
                        self.metrics.batch(&applied.counts, applied.repeated);
                    }
                    let _ = reply.send(result);
                }
            }
            Err(error) => {
                if error.kind() == ErrorKind::Full {
                    tracing::warn!(%error, batches = replies.len(), "rows refused: no room");
                }
                self.note_poison();
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn publish(&self) {
        let stats = self.engine.stats();
        self.metrics.stats(&stats);
        self.sequence.send_replace(self.engine.snapshot().sequence().get());
    }

    fn seal(&mut self) {
        let sealed = self.engine.seal(clock::now());
        self.note_sealed(sealed);
    }

    fn tick(&mut self) {
        let sealed = self.engine.tick(clock::now());
        self.note_sealed(sealed);
    }

    fn note_sealed(&mut self, sealed: Result<(), Error>) {
        self.unsealed = false;
        match sealed {
            Ok(()) => {
                self.live.offer(self.engine.snapshot(), Vec::new());
                self.publish();
            }
            Err(error) => {
                tracing::warn!(%error, "the log was not sealed");
                self.note_poison();
            }
        }
    }

    fn start_flush(&mut self) {
        let paused = self.flush_not_before.is_some_and(|until| Instant::now() < until);
        let due = self.engine.flush_due() && !paused;
        if self.flushing || !(due || self.compactions.wants_flush()) {
            return;
        }
        match self.engine.plan_flush() {
            Some(job) => {
                self.flushing = true;
                tracing::debug!("flush started");
                self.jobs.send(job).expect("invariant: the flusher outlives the writer");
            }
            // Nothing is in memory.
            None => self.compactions.note_flushed(&Ok(()), self.engine.snapshot().sequence()),
        }
    }

    fn ask_to_compact(&mut self, wish: compaction::Wish) {
        self.compactions.ask(wish, self.engine.snapshot().sequence());
    }

    fn plan_backup(&mut self, reply: oneshot::Sender<CopyJob>) {
        // Nobody waits for it any more if this fails; then what it holds back is free again.
        let _ = reply.send(self.engine.plan_backup());
    }

    fn install_compaction(&mut self, compacted: Compacted) {
        self.compactions.install(&mut self.engine, compacted);
        self.note_poison();
        self.publish();
    }

    fn await_flush(&mut self) {
        if self.flushing {
            let flushed = self.done.recv().expect("invariant: the flusher outlives the writer");
            self.install(flushed);
        }
    }

    fn install(&mut self, flushed: Flushed) {
        self.flushing = false;
        let result = self.engine.install(flushed.result);
        self.compactions.note_flushed(&result, self.engine.flushed());
        self.metrics.flush(flushed.took, result.is_ok());
        match result {
            Ok(()) => {
                self.flush_pause = FLUSH_PAUSE_MIN;
                self.flush_not_before = None;
                self.derived.note_changed();
                tracing::info!(took_ms = flushed.took.as_millis(), "memtable flushed to a segment");
            }
            Err(error) => {
                tracing::warn!(%error, pause_s = self.flush_pause.as_secs(), "flush given up");
                self.flush_not_before = Some(Instant::now() + self.flush_pause);
                self.flush_pause = (self.flush_pause * 2).min(FLUSH_PAUSE_MAX);
                self.note_poison();
            }
        }
        self.publish();
    }

    fn note_poison(&self) {
        if let Some(why) = self.engine.poisoned()
            && self.stopped.set(why.to_owned()).is_ok()
        {
            self.metrics.intake_stopped();
            tracing::error!(
                why,
                "intake stopped for good: reads go on; look at the disk, then restart"
            );
        }
    }
}
