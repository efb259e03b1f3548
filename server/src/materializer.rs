//! The thread that keeps the cells of groups with `history: materialized` in files.
//!
//! It follows what is committed from afar: when no rows have come for a moment, or some time after
//! they came, it looks which cells are settled and in no file that holds, and writes them. Whoever
//! asks meanwhile gets cells computed, the same ones.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use barrow_engine::features::CellsKey;
use barrow_engine::{Error, ErrorKind, FeatureGroup, Reader, Reference, Snapshot};
use barrow_types::Sequence;

use crate::gently::{self, Pace};
use crate::http::features::{Ready, is_materialized, promoted};
use crate::threads::spawn;

/// How often it looks whether something was committed.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for commits to come to rest.
const REST_WAIT_MAX: Duration = Duration::from_secs(60);
/// A pause after a pass that took a time is so many times as long.
const PAUSE_SHARE: u32 = 4;
/// Pause after files could not be written.
const PAUSE_FAILED: Duration = Duration::from_secs(60);

/// The running thread.
pub(crate) struct Materializer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Materializer {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread.
    pub(crate) fn start(reader: Reader) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&stop);
        let thread = spawn("materializer", move || Work::new(reader, &heard).run())?;
        Ok(Self { stop, thread })
    }

    /// Ends it within a moment; what it has written is of use. Blocks.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().expect("invariant: the thread aborts, it does not unwind");
    }
}

struct Work<'a> {
    reader: Reader,
    stop: &'a AtomicBool,
    ready: Ready,
    /// The record up to which everything was looked at.
    done: Option<Sequence>,
    /// What a look before found, and when it was first another than what was done.
    seen: Option<(Sequence, Instant)>,
    not_before: Instant,
}

impl<'a> Work<'a> {
    fn new(reader: Reader, stop: &'a AtomicBool) -> Self {
        let not_before = Instant::now();
        Self { reader, stop, ready: Ready::default(), done: None, seen: None, not_before }
    }

    fn run(&mut self) {
        while gently::sleep(LOOK, self.stop).is_continue() {
            if !self.is_time() {
                continue;
            }
            let (start, snapshot) = (Instant::now(), self.reader.snapshot());
            self.seen = None;
            match self.pass(&snapshot) {
                Ok(()) => {
                    self.done = Some(snapshot.sequence());
                    self.not_before = Instant::now() + start.elapsed() * PAUSE_SHARE;
                }
                Err(error) if error.kind() == ErrorKind::Stopped => return,
                Err(error) => {
                    let pause_s = PAUSE_FAILED.as_secs();
                    tracing::warn!(%error, pause_s, "cells of features not written");
                    self.not_before = Instant::now() + PAUSE_FAILED;
                }
            }
        }
    }

    /// Whether something came since all was looked at, and it is at rest or was waited for long
    /// enough.
    fn is_time(&mut self) -> bool {
        let newest = self.reader.snapshot().sequence();
        if self.done == Some(newest) || Instant::now() < self.not_before {
            return false;
        }
        let (seen, first) = self.seen.unwrap_or((Sequence::ZERO, Instant::now()));
        self.seen = Some((newest, first));
        seen == newest || first.elapsed() >= REST_WAIT_MAX
    }

    /// Writes what is settled and not there, and removes what nobody wants any more.
    fn pass(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let reference = Reference::at(snapshot, None, None)?;
        let mut wanted: BTreeSet<CellsKey> = BTreeSet::new();
        let mut is_full = false;
        for group in self.groups(&reference) {
            for instrument in group.instruments(snapshot, &reference) {
                let mut pace = Pace::new(self.stop);
                match snapshot.store_cells(&group, &instrument, &mut || pace.keep()) {
                    Ok(made) => {
                        wanted.insert(made.key);
                        is_full |= made.is_full;
                    }
                    // Whoever asks for it is told.
                    Err(error) if error.kind() == ErrorKind::Invalid => {}
                    Err(error) => return Err(error),
                }
                if pace.keep() == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
        }
        snapshot.retain_cells(&wanted);
        if is_full {
            tracing::warn!("[engine] cell_bytes_max: no room for more cells of features in files");
        }
        Ok(())
    }

    /// The promoted versions of groups that want it.
    fn groups(&self, reference: &Reference) -> Vec<Arc<FeatureGroup>> {
        let wanted = reference
            .defined()
            .filter(|name| is_materialized(reference, name) && promoted(reference, name).is_some());
        let named = wanted.map(|name| (name, self.ready.named(reference, name)));
        let read = named.filter_map(|(name, named)| match named {
            Ok(named) => Some(named.group),
            Err(problem) => {
                tracing::warn!(group = name, %problem.detail, "not materialized");
                None
            }
        });
        read.collect()
    }
}
