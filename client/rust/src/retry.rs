//! When a request is tried again, and after how long.
//!
//! Only what is safe is asked about here: reads before the first byte of their answer, and batches,
//! which all have an id under which the server stores them once however often they come.
//!
//! | what happened | tried again |
//! |---|---|
//! | nobody answers, or the connection broke or fell silent | after a back-off |
//! | 429, 503 with `Retry-After` | as asked, if that is at most [`RETRY_AFTER_MAX`] |
//! | 429, 503 without it | after a back-off |
//! | 503 `intake_stopped` (the disk failed), 507 (the disk is full) | no: a person is needed |
//! | anything else | no: the answer would be the same |
//!
//! The back-off is doubled each time up to a bound; a random part of it, up to a half, is left
//! away, so that many clients of a server that comes back do not come all at once.

use std::time::Duration;

use crate::error::ClientError;

/// How often a request is tried again before its error is handed on, unless the client says.
pub const RETRIES_MAX: u32 = 6;

/// Longest wait that a server may ask for; the error is handed on if it asks for more.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

const FIRST_WAIT: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long to wait before repetition `attempt` (1 for the first); `None` if trying again cannot
/// help or was tried `retries_max` times. `chance` is any number, a new one each time.
pub(crate) fn wait_before(
    attempt: u32,
    retries_max: u32,
    error: &ClientError,
    chance: u32,
) -> Option<Duration> {
    if attempt > retries_max {
        return None;
    }
    let doublings = (attempt - 1).min(16);
    let longest = FIRST_WAIT.saturating_mul(1 << doublings).min(WAIT_MAX);
    let part = f64::from(chance) / f64::from(u32::MAX);
    let back_off = longest.mul_f64(1.0 - part / 2.0);
    match error {
        ClientError::Unreachable { .. } | ClientError::Interrupted { .. } => Some(back_off),
        // The disk failed: only a person and a restart help.
        ClientError::Problem(problem) if problem.code == "intake_stopped" => None,
        ClientError::Problem(problem) => match (problem.status, problem.retry_after) {
            (429 | 503, Some(seconds)) => {
                let asked = Duration::from_secs(seconds);
                (asked <= RETRY_AFTER_MAX).then(|| asked + longest.mul_f64(part / 2.0))
            }
            (429 | 503, None) => Some(back_off),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    fn problem(status: u16, retry_after: Option<u64>) -> ClientError {
        Problem::read(status, retry_after, b"{}").into_error()
    }

    fn wait(attempt: u32, error: &ClientError) -> Option<Duration> {
        wait_before(attempt, RETRIES_MAX, error, 0)
    }

    #[test]
    fn a_server_whose_disk_failed_is_not_asked_again() {
        let body = br#"{"code":"intake_stopped","detail":"the disk failed"}"#;
        assert_eq!(wait(1, &Problem::read(503, Some(60), body).into_error()), None);
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for status in [400, 401, 404, 409, 413, 422, 500, 507] {
            assert_eq!(wait(1, &problem(status, None)), None, "{status}");
            assert_eq!(wait(1, &problem(status, Some(1))), None, "{status}");
        }
        assert_eq!(wait(1, &problem(503, None)), Some(FIRST_WAIT));
        assert_eq!(wait(3, &problem(429, None)), Some(FIRST_WAIT * 4));
        assert_eq!(wait(1, &problem(503, Some(2))), Some(Duration::from_secs(2)));
        assert_eq!(wait(1, &problem(503, Some(3_600))), None, "an hour is too long");
        assert_eq!(wait(RETRIES_MAX + 1, &problem(503, None)), None);
        assert_eq!(wait(1, &ClientError::decode("x", "y")), None);
        assert_eq!(wait_before(1, 0, &problem(503, None), 0), None, "switched off");
    }

    #[test]
    fn a_back_off_has_bounds_and_the_server_is_never_asked_sooner_than_it_said() {
        for chance in [0, 1, u32::MAX / 2, u32::MAX] {
            for attempt in 1..100 {
                let waits = wait_before(attempt, 100, &problem(503, None), chance).unwrap();
                assert!(waits >= FIRST_WAIT / 2 && waits <= WAIT_MAX, "{attempt}: {waits:?}");
                let asked = wait_before(attempt, 100, &problem(503, Some(1)), chance).unwrap();
                assert!(asked >= Duration::from_secs(1), "{attempt}: {asked:?}");
            }
        }
    }
}
