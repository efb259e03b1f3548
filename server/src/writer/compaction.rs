//! Compactions: when one runs, how fast, and who waits for it.
//!
//! The engine says which segments are due. They are merged on a thread of their own, slowly enough
//! to leave the disk to others; what a person asks for runs at full speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use barrow_engine::disk::Disk;
use barrow_engine::{CompactDone, CompactJob, Engine, Error, ErrorKind, Scope, Stats};
use barrow_types::Sequence;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::pace::Pacer;

/// First pause after a compaction failed; doubles with each failure.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// Longest pause after a compaction failed.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// What a compaction that was asked for did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompactionReport {
    /// Segments before it.
    pub(crate) segments_before: u64,
    /// Segments after it.
    pub(crate) segments_after: u64,
    /// Bytes of segments before it, after the flush it begins with.
    pub(crate) bytes_before: u64,
    /// Bytes of segments after it.
    pub(crate) bytes_after: u64,
    /// Rows that were dropped by retention.
    pub(crate) rows_dropped: u64,
}

/// What whoever asks for a compaction and the one at work know of each other.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    gone: AtomicBool,
    written: AtomicU64,
    bytes: AtomicU64,
}

impl Wanted {
    /// From now on nobody waits for it any more.
    pub(crate) fn end(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// How far it is, from 0 to 1: bytes written of the bytes that are merged.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(crate) fn progress(&self) -> f64 {
        let [written, bytes] =
            [&self.written, &self.bytes].map(|count| count.load(Ordering::Relaxed) as f64);
        (written / bytes.max(1.0)).min(1.0)
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// A wish for everything to be compacted, and where the report goes.
pub(crate) struct Wish {
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) reply: oneshot::Sender<Result<CompactionReport, Error>>,
}

/// Somebody waits for everything to be compacted.
struct Asked {
    wish: Wish,
    /// What was visible when it was asked for; it has to be in segments first.
    up_to: Sequence,
    flushed: bool,
    before: Option<Stats>,
}

/// A compaction on its way to its thread.
pub(super) struct Job {
    job: CompactJob,
    bytes_per_second: Option<u64>,
    /// Who asked for it; it ends when none of them waits any more. Nobody asks for what is due.
    wanted: Vec<Arc<Wanted>>,
}

/// A compaction on its way back.
pub(super) struct Compacted {
    result: Result<CompactDone, Error>,
    took: Duration,
}

/// The writer's side.
pub(super) struct Compactions {
    jobs: Sender<Job>,
    stop: Arc<AtomicBool>,
    automatic: bool,
    bytes_per_second: u64,
    running: bool,
    asked: Vec<Asked>,
    pause: Duration,
    not_before: Option<Instant>,
    metrics: Arc<Metrics>,
}

impl Compactions {
    pub(super) fn new(
        jobs: Sender<Job>,
        stop: Arc<AtomicBool>,
        config: &Config,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            jobs,
            stop,
            automatic: config.engine.compaction,
            bytes_per_second: config.engine.compact_bytes_per_second,
            running: false,
            asked: Vec::new(),
            pause: PAUSE_MIN,
            not_before: None,
            metrics,
        }
    }

    /// Somebody wants everything compacted.
    pub(super) fn ask(&mut self, wish: Wish, up_to: Sequence) {
        self.asked.push(Asked { wish, up_to, flushed: false, before: None });
    }

    /// Whether somebody waits for a flush of what is in memory.
    pub(super) fn wants_flush(&self) -> bool {
        self.asked.iter().any(|asked| !asked.flushed && !asked.wish.wanted.is_gone())
    }

    /// Everything up to `up_to` is in segments, or could not be written.
    pub(super) fn note_flushed(&mut self, result: &Result<(), Error>, up_to: Sequence) {
        match result {
            Ok(()) => self.asked.iter_mut().for_each(|asked| asked.flushed |= asked.up_to <= up_to),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: &Error) {
        for asked in self.asked.drain(..) {
            // Nobody listens any more: the work is done all the same.
            let _ = asked.wish.reply.send(Err(error.clone()));
        }
    }

    /// Starts what is due or asked for.
    pub(super) fn start(&mut self, engine: &mut Engine) {
        self.not_before = self.not_before.filter(|until| *until > Instant::now());
        self.asked.retain(|asked| !asked.wish.wanted.is_gone());
        if self.running || self.wants_flush() {
            return;
        }
        let is_asked = !self.asked.is_empty();
        if is_asked {
            let stats = engine.stats();
            self.asked.iter_mut().for_each(|asked| {
                asked.before.get_or_insert(stats);
            });
        }
        let paused = self.not_before.is_some();
        let scope = match is_asked {
            true => Scope::All,
            false if self.automatic && !paused && engine.compaction_due() => Scope::Due,
            false => return,
        };
        match engine.plan_compaction(scope) {
            Some(job) => {
                let bytes_per_second = (scope == Scope::Due).then_some(self.bytes_per_second);
                tracing::debug!(bytes = job.bytes(), ?scope, "compaction started");
                self.running = true;
                let of_all = self.asked.iter().filter(|_| scope == Scope::All);
                let wanted: Vec<_> = of_all.map(|asked| Arc::clone(&asked.wish.wanted)).collect();
                for wanted in &wanted {
                    wanted.bytes.store(job.bytes(), Ordering::Relaxed);
                }
                let sent = self.jobs.send(Job { job, bytes_per_second, wanted });
                sent.expect("invariant: the compactor outlives the writer");
            }
            None => self.report(engine),
        }
    }

    fn report(&mut self, engine: &Engine) {
        let after = engine.stats();
        for asked in self.asked.drain(..) {
            let before = asked.before.unwrap_or(after);
            // Nobody listens any more: the work is done all the same.
            let _ = asked.wish.reply.send(Ok(CompactionReport {
                segments_before: before.segments,
                segments_after: after.segments,
                bytes_before: before.segment_bytes,
                bytes_after: after.segment_bytes,
                rows_dropped: after.retention_rows - before.retention_rows,
            }));
        }
    }

    /// Makes what the thread brings back the state of the store.
    pub(super) fn install(&mut self, engine: &mut Engine, compacted: Compacted) {
        self.running = false;
        let result = engine.install_compaction(compacted.result);
        let stopped = matches!(&result, Err(error) if error.kind() == ErrorKind::Stopped);
        self.metrics.compaction(compacted.took, result.is_ok() || stopped);
        match result {
            Ok(()) => {
                self.pause = PAUSE_MIN;
                self.not_before = None;
                tracing::info!(took_ms = compacted.took.as_millis(), "segments compacted");
            }
            // Those who wanted it are gone; whoever came later has another one made.
            Err(_) if stopped && !self.stop.load(Ordering::Relaxed) => {
                self.asked.retain(|asked| !asked.wish.wanted.is_gone());
            }
            Err(error) => {
                if !stopped {
                    let pause_s = self.pause.as_secs();
                    tracing::warn!(%error, pause_s, "compaction given up");
                }
                self.not_before = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                self.fail(&error);
            }
        }
    }

    /// When the next one may start, if it has to wait for that. Not long past, if it is past: see
    /// [`Self::start`].
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.automatic && !self.running)
    }

    /// Ends the one that runs; its result still has to be taken in.
    pub(super) fn stop(&mut self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.fail(&Error::stopped("the server is stopping"));
        self.running
    }
}

/// The thread.
pub(super) fn run(
    jobs: &Receiver<Job>,
    done: &Sender<Compacted>,
    disk: &dyn Disk,
    stop: &AtomicBool,
) {
    for Job { job, bytes_per_second, wanted } in jobs {
        let is_unwanted = || !wanted.is_empty() && wanted.iter().all(|wanted| wanted.is_gone());
        let start = Instant::now();
        let mut written = 0_u64;
        let mut pacer = Pacer::new(bytes_per_second);
        let result = job.run(disk, &mut |bytes| {
            written += bytes;
            for wanted in &wanted {
                wanted.written.store(written, Ordering::Relaxed);
            }
            let is_over = || stop.load(Ordering::Relaxed) || is_unwanted();
            pacer.hold(bytes, is_over)
        });
        if done.send(Compacted { result, took: start.elapsed() }).is_err() {
            return;
        }
    }
}
