//! When a request is tried again, and after how long.
//!
//! Only what is safe: a batch with an id, which the server stores once however often it comes.

use std::time::Duration;

use crate::error::ClientError;

/// How often a request is tried again before its error is handed on.
pub const RETRIES_MAX: u32 = 6;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long to wait before attempt `attempt` (1 for the first repetition); `None` if trying
/// again cannot help.
pub(crate) fn wait_before(attempt: u32, error: &ClientError) -> Option<Duration> {
    if attempt > RETRIES_MAX {
        return None;
    }
    let doubled = FIRST_WAIT.saturating_mul(1 << (attempt - 1)).min(WAIT_MAX);
    match error {
        ClientError::Unreachable { .. } | ClientError::Protocol { .. } => Some(doubled),
        // The disk failed: only a person and a restart help.
        ClientError::Problem(problem) if problem.code == "intake_stopped" => None,
        ClientError::Problem(problem) => match (problem.status, problem.retry_after) {
            (429 | 503 | 507, Some(seconds)) => Some(Duration::from_secs(seconds).min(WAIT_MAX)),
            (429 | 503, None) => Some(doubled),
            _ => None,
        },
        ClientError::Invalid(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    fn problem(status: u16, retry_after: Option<u64>) -> ClientError {
        ClientError::Problem(Box::new(Problem::read(status, retry_after, b"{}")))
    }

    #[test]
    fn a_server_whose_disk_failed_is_not_asked_again() {
        let body = br#"{"code":"intake_stopped","detail":"the disk failed"}"#;
        let problem = Problem::read(503, Some(60), body);
        assert_eq!(wait_before(1, &ClientError::Problem(Box::new(problem))), None);
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        assert_eq!(wait_before(1, &problem(400, None)), None);
        assert_eq!(wait_before(1, &problem(409, None)), None);
        assert_eq!(wait_before(1, &problem(507, None)), None, "the disk is full");
        assert_eq!(wait_before(1, &problem(503, None)), Some(FIRST_WAIT));
        assert_eq!(wait_before(3, &problem(503, None)), Some(FIRST_WAIT * 4));
        assert_eq!(wait_before(1, &problem(507, Some(1))), Some(Duration::from_secs(1)));
        assert_eq!(wait_before(1, &problem(503, Some(3_600))), Some(WAIT_MAX));
        assert_eq!(wait_before(RETRIES_MAX + 1, &problem(503, None)), None);
    }
}
