//! What the writer has committed and live features have not seen yet.

use std::collections::BTreeSet;
use std::time::Instant;

use barrow_engine::Snapshot;
use barrow_types::SeriesId;
use parking_lot::{Condvar, Mutex};

/// See the module. The writer never waits for who reads it: commits gather.
#[derive(Default)]
pub(crate) struct Commits {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    snapshot: Option<Snapshot>,
    touched: BTreeSet<SeriesId>,
    has_ended: bool,
}

/// What there is.
pub(crate) enum Next {
    /// All up to a snapshot, and the series that were touched on the way.
    Commits(Snapshot, BTreeSet<SeriesId>),
    /// Nothing yet.
    Nothing,
    /// There will be nothing any more.
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

    /// There will be no more commits.
    pub(crate) fn end(&self) {
        self.waiting.lock().has_ended = true;
        self.changed.notify_one();
    }

    /// Waits for commits until then.
    pub(crate) fn next(&self, until: Instant) -> Next {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(snapshot) = waiting.snapshot.take() {
                return Next::Commits(snapshot, std::mem::take(&mut waiting.touched));
            }
            if waiting.has_ended {
                return Next::End;
            }
            if self.changed.wait_until(&mut waiting, until).timed_out() {
                return Next::Nothing;
            }
        }
    }
}
