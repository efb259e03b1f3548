//! Files of gap masks: when one is written, and how gently.
//!
//! Masks are a convenience: the first question about gaps after a start need not read all rows.
//! So they are written when segments have come to rest, on a thread that sleeps most of the time,
//! and left unwritten where that fails or the server has no time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use barrow_engine::disk::Disk;
use barrow_engine::{Engine, Error, ErrorKind, MasksDone, MasksJob};
use crossbeam_channel::{Receiver, Sender};

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
/// The thread works so long, then sleeps.
const WORK: Duration = Duration::from_millis(2);
/// It sleeps so many times as long as it worked.
const SLEEP_SHARE: u32 = 3;
/// Longest sleep before somebody who wants the work to end is heard.
const NAP_MAX: Duration = Duration::from_millis(100);
/// Longest time for a file when the server stops.
const STOP_MAX: Duration = Duration::from_secs(1);

/// A file on its way back.
pub(super) struct Written {
    result: Result<MasksDone, Error>,
    took: Duration,
}

/// The writer's side.
pub(super) struct Masks {
    jobs: Sender<MasksJob>,
    stop: Arc<AtomicBool>,
    running: bool,
    /// When segments changed first since the last file, and when last.
    changed: Option<(Instant, Instant)>,
    not_before: Instant,
    pause: Duration,
    metrics: Arc<Metrics>,
}

impl Masks {
    pub(super) fn new(
        jobs: Sender<MasksJob>,
        stop: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let changed = Some((now, now));
        Self { jobs, stop, running: false, changed, not_before: now, pause: PAUSE_MIN, metrics }
    }

    /// Rows came into segments.
    pub(super) fn note_changed(&mut self) {
        let now = Instant::now();
        let first = self.changed.map_or(now, |(first, _)| first);
        self.changed = Some((first, now));
    }

    /// When the next file may be begun, if one is due.
    pub(super) fn next(&self, engine: &Engine) -> Option<Instant> {
        if self.running || !engine.masks_due() {
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
        if let Some(job) = engine.plan_masks() {
            self.running = true;
            self.jobs.send(job).expect("invariant: the mask writer outlives the writer");
        }
    }

    /// Has readers use what the thread brings back.
    pub(super) fn install(&mut self, engine: &mut Engine, written: Written) {
        self.running = false;
        let took = written.took;
        let result = engine.install_masks(written.result);
        let stopped = matches!(&result, Err(error) if error.kind() == ErrorKind::Stopped);
        self.metrics.mask_file(took, result.is_ok() || stopped);
        match result {
            Ok(()) => {
                self.pause = PAUSE_MIN;
                self.not_before = Instant::now() + took * PAUSE_SHARE;
                tracing::debug!(took_ms = took.as_millis(), "gap masks written");
            }
            Err(error) => {
                if !stopped {
                    let pause_s = self.pause.as_secs();
                    tracing::warn!(%error, pause_s, "gap masks not written");
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

    /// Writes a last one if it is due and takes little time.
    pub(super) fn write_last(&mut self, engine: &mut Engine, disk: &dyn Disk) {
        let Some(job) = engine.plan_masks() else { return };
        let start = Instant::now();
        let result = job.run(disk, &mut || match start.elapsed() < STOP_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        });
        self.install(engine, Written { result, took: start.elapsed() });
    }
}

/// The thread.
pub(super) fn run(
    jobs: &Receiver<MasksJob>,
    done: &Sender<Written>,
    disk: &dyn Disk,
    stop: &AtomicBool,
) {
    for job in jobs {
        let start = Instant::now();
        let mut begun = start;
        let result = job.run(disk, &mut || {
            let worked = begun.elapsed();
            if worked < WORK {
                return ControlFlow::Continue(());
            }
            let goes_on = sleep(worked * SLEEP_SHARE, stop);
            begun = Instant::now();
            goes_on
        });
        if done.send(Written { result, took: start.elapsed() }).is_err() {
            return;
        }
    }
}

fn sleep(long: Duration, stop: &AtomicBool) -> ControlFlow<()> {
    let end = Instant::now() + long;
    loop {
        if stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        match end.checked_duration_since(Instant::now()) {
            None | Some(Duration::ZERO) => return ControlFlow::Continue(()),
            Some(left) => std::thread::sleep(left.min(NAP_MAX)),
        }
    }
}
