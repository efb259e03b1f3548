//! Files of gap masks and of tiles: when one is written, and how gently.
//!
//! They are a convenience: the first question about gaps, or about bars that are made of others,
//! need not read all rows. So they are written when segments have come to rest, on a thread that
//! sleeps most of the time, and left unwritten where that fails or the server has no time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use barrow_engine::disk::Disk;
use barrow_engine::{Engine, Error, ErrorKind, MasksDone, MasksJob, TilesDone, TilesJob};
use crossbeam_channel::{Receiver, Sender};

use crate::gently::Pace;
use crate::metrics::Metrics;

/// No flush for so long: segments are at rest.
const REST: Duration = Duration::from_secs(2);
/// Longest wait for that.
const REST_WAIT_MAX: Duration = Duration::from_secs(300);
/// A pause after a file that took a time is so many times as long.
const PAUSE_SHARE: u32 = 20;
/// First pause after a file could not be written; doubles with each failure.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// Longest pause after a file could not be written.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Longest time for a file when the server stops.
const STOP_MAX: Duration = Duration::from_secs(1);

/// A file to be written.
pub(super) enum Job {
    /// Of gap masks.
    Masks(MasksJob),
    /// Of tiles.
    Tiles(TilesJob),
}

/// A file that was written, or why it was not.
enum Outcome {
    Masks(Result<MasksDone, Error>),
    Tiles(Result<TilesDone, Error>),
}

impl Job {
    /// The next one that is due, of the kind that was not written last if both are.
    fn plan(engine: &mut Engine, last_was_masks: bool) -> Option<Self> {
        if last_was_masks && let Some(job) = engine.plan_tiles() {
            return Some(Self::Tiles(job));
        }
        let masks = engine.plan_masks().map(Self::Masks);
        masks.or_else(|| engine.plan_tiles().map(Self::Tiles))
    }

    fn run(self, disk: &dyn Disk, pace: &mut dyn FnMut() -> ControlFlow<()>) -> Outcome {
        match self {
            Self::Masks(job) => Outcome::Masks(job.run(disk, pace)),
            Self::Tiles(job) => Outcome::Tiles(job.run(disk, pace)),
        }
    }
}

/// A file on its way back.
pub(super) struct Written {
    outcome: Outcome,
    took: Duration,
}

/// The writer's side.
pub(super) struct Derived {
    jobs: Sender<Job>,
    stop: Arc<AtomicBool>,
    running: bool,
    last_was_masks: bool,
    /// When segments changed first since the last file, and when last.
    changed: Option<(Instant, Instant)>,
    not_before: Instant,
    pause: Duration,
    metrics: Arc<Metrics>,
}

impl Derived {
    pub(super) fn new(jobs: Sender<Job>, stop: Arc<AtomicBool>, metrics: Arc<Metrics>) -> Self {
        let now = Instant::now();
        let changed = Some((now, now));
        Self {
            jobs,
            stop,
            running: false,
            last_was_masks: false,
            changed,
            not_before: now,
            pause: PAUSE_MIN,
            metrics,
        }
    }

    /// Rows came into segments.
    pub(super) fn note_changed(&mut self) {
        let now = Instant::now();
        let first = self.changed.map_or(now, |(first, _)| first);
        self.changed = Some((first, now));
    }

    /// When the next file may be begun, if one is due.
    pub(super) fn next(&self, engine: &Engine) -> Option<Instant> {
        if self.running || !(engine.masks_due() || engine.tiles_due()) {
            return None;
        }
        let rest = self.changed.map(|(first, last)| (last + REST).min(first + REST_WAIT_MAX));
        Some(rest.map_or(self.not_before, |rest| rest.max(self.not_before)))
    }

    /// Begins one if it is due and it is time.
    pub(super) fn start(&mut self, engine: &mut Engine) {
        if self.next(engine).is_none_or(|time| time > Instant::now()) {
            return;
        }
        self.changed = None;
        if let Some(job) = Job::plan(engine, self.last_was_masks) {
            self.last_was_masks = matches!(job, Job::Masks(_));
            self.running = true;
            self.jobs.send(job).expect("invariant: its thread outlives the writer");
        }
    }

    /// Has readers use what the thread brings back.
    pub(super) fn install(&mut self, engine: &mut Engine, written: Written) {
        self.running = false;
        let Written { outcome, took } = written;
        let is_masks = matches!(outcome, Outcome::Masks(_));
        let what = if is_masks { "gap masks" } else { "tiles" };
        let result = match outcome {
            Outcome::Masks(result) => engine.install_masks(result),
            Outcome::Tiles(result) => engine.install_tiles(result),
        };
        let stopped = matches!(&result, Err(error) if error.kind() == ErrorKind::Stopped);
        let is_fine = result.is_ok() || stopped;
        if is_masks {
            self.metrics.mask_file(took, is_fine);
        } else {
            self.metrics.tile_file(took, is_fine);
        }
        match result {
            Ok(()) => {
                self.pause = PAUSE_MIN;
                self.not_before = Instant::now() + took * PAUSE_SHARE;
                tracing::debug!(took_ms = took.as_millis(), "{what} written");
            }
            Err(error) => {
                if !stopped {
                    let pause_s = self.pause.as_secs();
                    tracing::warn!(%error, pause_s, "{what} not written");
                }
                self.not_before = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Ends the one that is being written; its result still has to be taken in.
    pub(super) fn stop(&mut self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.running
    }

    /// Writes last ones if they are due and take little time.
    pub(super) fn write_last(&mut self, engine: &mut Engine, disk: &dyn Disk) {
        let start = Instant::now();
        for last_was_masks in [false, true] {
            let Some(job) = Job::plan(engine, last_was_masks) else { return };
            let begun = Instant::now();
            let outcome = job.run(disk, &mut || match start.elapsed() < STOP_MAX {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
            self.install(engine, Written { outcome, took: begun.elapsed() });
        }
    }
}

/// The thread.
pub(super) fn run(
    jobs: &Receiver<Job>,
    done: &Sender<Written>,
    disk: &dyn Disk,
    stop: &AtomicBool,
) {
    for job in jobs {
        let start = Instant::now();
        let mut pace = Pace::new(stop);
        let outcome = job.run(disk, &mut || pace.keep());
        if done.send(Written { outcome, took: start.elapsed() }).is_err() {
            return;
        }
    }
}
