//! Long work that nobody waits for: a thread that sleeps most of the time.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The thread works so long, then sleeps.
const WORK: Duration = Duration::from_millis(2);
/// It sleeps so many times as long as it worked.
const SLEEP_SHARE: u32 = 3;
/// Longest sleep before somebody who wants the work to end is heard.
const NAP_MAX: Duration = Duration::from_millis(100);

/// A piece of such work.
pub(crate) struct Pace<'a> {
    stop: &'a AtomicBool,
    begun: Instant,
}

impl<'a> Pace<'a> {
    /// Begins; the work ends early when `stop` is set.
    pub(crate) fn new(stop: &'a AtomicBool) -> Self {
        Self { stop, begun: Instant::now() }
    }

    /// To be called often: sleeps if it is time to, and says whether to go on.
    pub(crate) fn keep(&mut self) -> ControlFlow<()> {
        let worked = self.begun.elapsed();
        if worked < WORK {
            return ControlFlow::Continue(());
        }
        let goes_on = sleep(worked * SLEEP_SHARE, self.stop);
        self.begun = Instant::now();
        goes_on
    }
}

/// Sleeps so long, or until `stop` is set, which breaks.
pub(crate) fn sleep(long: Duration, stop: &AtomicBool) -> ControlFlow<()> {
    let end = Instant::now() + long;
    loop {
        // Nothing else is published by it.
        if stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        match end.checked_duration_since(Instant::now()) {
            None | Some(Duration::ZERO) => return ControlFlow::Continue(()),
            // Whoever stops it may wake it, too.
            Some(left) => std::thread::park_timeout(left.min(NAP_MAX)),
        }
    }
}
