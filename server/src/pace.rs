//! Work on the disk that holds back, so that others have the disk too.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What slow work may catch up on: no more than this is written faster than allowed afterwards.
const CREDIT_MAX: Duration = Duration::from_millis(100);

/// Longest sleep before somebody who wants the work to end is heard.
const NAP_MAX: Duration = Duration::from_millis(100);

/// How fast bytes may be written, and up to when those that were written last.
#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    /// Since the begin of the work.
    due: Duration,
}

impl Pace {
    /// How long the work has to wait at `now`, when so many bytes more were written. A function of
    /// its arguments: it knows no clock.
    fn wait(&mut self, bytes: u64, now: Duration) -> Duration {
        let rate = u128::from(self.bytes_per_second.max(1));
        let nanos = u128::from(bytes) * 1_000_000_000 / rate;
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.due = self.due.max(now.saturating_sub(CREDIT_MAX)).saturating_add(cost);
        self.due.saturating_sub(now)
    }
}

/// Holds work back to a rate.
#[derive(Debug)]
pub(crate) struct Pacer {
    begun: Instant,
    pace: Option<Pace>,
}

impl Pacer {
    /// Work that begins now and writes so many bytes a second; any, if it is not said.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        let pace =
            bytes_per_second.map(|rate| Pace { bytes_per_second: rate, due: Duration::ZERO });
        Self { begun: Instant::now(), pace }
    }

    /// Notes that so many bytes more were written and sleeps until others may be, or the work
    /// `is_over`.
    pub(crate) fn hold(&mut self, bytes: u64, is_over: impl Fn() -> bool) -> ControlFlow<()> {
        let mut more = bytes;
        loop {
            if is_over() {
                return ControlFlow::Break(());
            }
            let Some(pace) = &mut self.pace else { return ControlFlow::Continue(()) };
            match pace.wait(std::mem::take(&mut more), self.begun.elapsed()) {
                Duration::ZERO => return ControlFlow::Continue(()),
                early => std::thread::sleep(early.min(NAP_MAX)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn pace(mib_per_second: u64) -> Pace {
        Pace { bytes_per_second: mib_per_second * MIB, due: Duration::ZERO }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn bytes_take_the_time_that_their_rate_says_however_they_are_cut() {
        for piece in [1, 4, 20] {
            let mut pace = pace(200);
            let mut now = Duration::ZERO;
            // A disk that needs no time itself.
            for _ in 0..400 / piece {
                now += pace.wait(piece * MIB, now);
            }
            assert_eq!(now, millis(2_000), "pieces of {piece} MiB");
        }
    }

    #[test]
    fn what_the_disk_needs_itself_is_part_of_the_time() {
        let mut pace = pace(100);
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            now += millis(4);
            now += pace.wait(MIB, now);
        }
        assert_eq!(now, millis(1_000));
    }

    #[test]
    fn a_disk_that_is_slower_than_the_rate_never_waits() {
        let mut pace = pace(100);
        for step in 1..=100 {
            assert_eq!(pace.wait(MIB, millis(20 * step)), Duration::ZERO);
        }
    }

    #[test]
    fn after_a_pause_no_more_than_the_credit_is_written_at_once() {
        let mut pace = pace(100);
        assert_eq!(pace.wait(0, millis(60_000)), Duration::ZERO);
        // 100 ms of 100 MiB/s are 10 MiB.
        assert_eq!(pace.wait(10 * MIB, millis(60_000)), Duration::ZERO);
        assert_eq!(pace.wait(MIB, millis(60_000)), millis(10));
    }

    #[test]
    fn nothing_overflows() {
        let mut pace = Pace { bytes_per_second: 0, due: Duration::MAX };
        assert!(pace.wait(u64::MAX, Duration::ZERO) > millis(1));
        assert!(pace.wait(u64::MAX, Duration::MAX) >= Duration::ZERO);
    }

    #[test]
    fn work_without_a_rate_goes_on_and_work_that_is_over_ends() {
        let mut free = Pacer::new(None);
        assert_eq!(free.hold(u64::MAX, || false), ControlFlow::Continue(()));
        assert_eq!(free.hold(0, || true), ControlFlow::Break(()));
        let mut slow = Pacer::new(Some(1));
        assert_eq!(slow.hold(u64::MAX, || true), ControlFlow::Break(()));
    }
}
