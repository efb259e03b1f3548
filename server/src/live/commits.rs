//! What the writer has committed and live features have not seen yet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use barrow_engine::Snapshot;
use barrow_types::SeriesId;
use parking_lot::{Condvar, Mutex};

/// See the module. The writer never waits for who reads it: commits gather.
#[derive(Default)]
pub(crate) struct Commits {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    has_ended: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    snapshot: Option<Snapshot>,
    touched: BTreeSet<SeriesId>,
}

/// What there is.
pub(crate) enum Next {
    /// All up to a snapshot, and the series that were touched on the way.
    Commits(Snapshot, BTreeSet<SeriesId>),
    /// Nothing yet.
    Nothing,
    /// Nobody is to look any more.
    End,
}

impl Commits {
    /// After a commit: what is visible now, and what it has touched.
    pub(crate) fn offer(&self, snapshot: Snapshot, touched: Vec<SeriesId>) {
        let mut waiting = self.waiting.lock();
        waiting.snapshot = Some(snapshot);
        waiting.touched.extend(touched);
        self.changed.notify_one();
    }

    /// Nobody is to look at commits any more.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // Whoever is about to wait holds the lock until it does.
        let _waiting = self.waiting.lock();
        self.changed.notify_one();
    }

    /// Whether nobody is to look at commits any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Waits for commits until then.
    pub(crate) fn next(&self, until: Instant) -> Next {
        let mut waiting = self.waiting.lock();
        loop {
            if self.has_ended() {
                return Next::End;
            }
            if let Some(snapshot) = waiting.snapshot.take() {
                return Next::Commits(snapshot, std::mem::take(&mut waiting.touched));
            }
            if self.changed.wait_until(&mut waiting, until).timed_out() {
                return Next::Nothing;
            }
        }
    }
}
