//! Work at a rate, whether or not the work before it is done: what is late is not left out, and
//! its time counts from when it was due.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Lets sleeps of this thread, and of those that it starts, end when they should: the system may
/// make them up to 50 us longer.
///
/// # Panics
/// The kernel does not let it.
pub fn wake_in_time() {
    fs::write("/proc/self/timerslack_ns", "1").expect("a process may set its own slack");
}

/// Calls `work` at `rate` a second for some time, first `phase` after the start, with its number
/// and the instant it is due at. Ends early if `work` says so.
pub fn each(
    rate: f64,
    (start, time): (Instant, Duration),
    phase: Duration,
    mut work: impl FnMut(usize, Instant) -> bool,
) {
    for number in 0.. {
        let after = phase + Duration::from_secs_f64(number as f64 / rate);
        if after >= time {
            return;
        }
        let due = start + after;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if !work(number, due) {
            return;
        }
    }
}
