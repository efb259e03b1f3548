//! The log's next file, made on a thread of its own: a flush or a compaction may take longer than
//! the log takes to fill the file before.

use std::time::{Duration, Instant};

use barrow_engine::disk::Disk;
use barrow_engine::{Engine, Error, SpareDone, SpareJob};
use crossbeam_channel::{Receiver, Sender};

/// A spare on its way back.
pub(super) struct Made {
    result: Result<SpareDone, Error>,
    took: Duration,
}

/// The writer's side.
pub(super) struct Spares {
    jobs: Sender<SpareJob>,
    making: bool,
}

impl Spares {
    pub(super) const fn new(jobs: Sender<SpareJob>) -> Self {
        Self { jobs, making: false }
    }

    /// Starts one if it is due.
    pub(super) fn start(&mut self, engine: &mut Engine) {
        if let Some(job) = engine.plan_spare() {
            self.making = true;
            self.jobs.send(job).expect("invariant: the log maker outlives the writer");
        }
    }

    /// Hands what the thread brings back to the log.
    pub(super) fn install(&mut self, engine: &mut Engine, made: Made) {
        self.making = false;
        match engine.install_spare(made.result) {
            Ok(()) => tracing::debug!(took_ms = made.took.as_millis(), "spare log file made"),
            Err(error) => {
                tracing::warn!(%error, "no spare log file: a commit that needs one makes it");
            }
        }
    }

    /// Whether one is being made and still has to be taken in.
    pub(super) const fn is_making(&self) -> bool {
        self.making
    }
}

/// The thread.
pub(super) fn run(jobs: &Receiver<SpareJob>, done: &Sender<Made>, disk: &dyn Disk) {
    for job in jobs {
        let start = Instant::now();
        let result = job.run(disk);
        if done.send(Made { result, took: start.elapsed() }).is_err() {
            return;
        }
    }
}
