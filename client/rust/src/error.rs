//! What can go wrong between a client and its server, told by what the caller should do.

use serde::Deserialize;

use crate::answer::IngestAnswer;

/// The server's own words about a request it did not serve (RFC 9457).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status: 400, 409, 507.
    pub status: u16,
    /// A word for programs: `not_available`, `conflict`.
    pub code: String,
    /// What was wrong, for a person.
    pub detail: String,
    /// The parameter or column it is about, where there is one.
    pub field: Option<String>,
    /// Seconds after which the server asks to be tried again.
    pub retry_after: Option<u64>,
    /// The whole body, for members that are not named here.
    pub body: serde_json::Value,
}

/// Why a call failed.
///
/// | kind | was something stored? | what to do |
/// |---|---|---|
/// | [`Unreachable`](Self::Unreachable) | no | start the server, or correct the address |
/// | [`Interrupted`](Self::Interrupted) | perhaps | call again with the same batch id |
/// | [`Problem`](Self::Problem) | no, or its first parts | what `detail` says |
/// | [`Conflict`](Self::Conflict) | no | another batch id, or the rows it was used for |
/// | [`Rejected`](Self::Rejected) | dead letters only | correct the rows |
/// | [`Decode`](Self::Decode) | perhaps | see what answers at that address |
/// | [`Invalid`](Self::Invalid) | no, nothing was sent | correct the call |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers at that address.
    #[error("no server answers at {url}: {detail}")]
    Unreachable {
        /// The address that was tried.
        url: String,
        /// What the system said.
        detail: String,
    },
    /// The connection broke or fell silent before the answer was whole. What came of the answer so
    /// far is not all of it.
    #[error("{doing}: {detail}")]
    Interrupted {
        /// What was being done.
        doing: String,
        /// What the system said.
        detail: String,
    },
    /// The server answered with an error.
    #[error("{}", describe(.0))]
    Problem(Box<Problem>),
    /// The batch id stands for other rows (409).
    #[error("{}", describe(.0))]
    Conflict(Box<Problem>),
    /// Every row of the batch was rejected (422): they are dead letters, and the batch id is used.
    #[error("{}", describe_rejected(.0))]
    Rejected(Box<IngestAnswer>),
    /// The answer is not what a Barrow server says.
    #[error("{doing}: {detail}")]
    Decode {
        /// What was being done.
        doing: String,
        /// What was wrong with the answer.
        detail: String,
    },
    /// The call makes no sense as it is; nothing was sent.
    #[error("{0}")]
    Invalid(String),
}

impl ClientError {
    pub(crate) fn decode(doing: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Decode { doing: doing.into(), detail: detail.to_string() }
    }

    pub(crate) fn broken_off(doing: impl Into<String>, error: &reqwest::Error) -> Self {
        let detail = format!("the answer broke off and is not complete: {}", causes(error));
        Self::Interrupted { doing: doing.into(), detail }
    }

    /// What reqwest reports, with the chain of causes it hides in `source`.
    pub(crate) fn transport(url: &str, doing: &str, error: &reqwest::Error) -> Self {
        let detail = causes(error);
        if error.is_connect() {
            Self::Unreachable { url: url.to_owned(), detail }
        } else if error.is_builder() {
            Self::Invalid(format!("{doing}: {detail}"))
        } else {
            Self::Interrupted { doing: doing.to_owned(), detail }
        }
    }

    /// What an answer says that is not 200: for those who carry requests themselves.
    #[must_use]
    pub fn of_answer(status: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        Problem::read(status, retry_after, body).into_error()
    }

    /// The problem the server reported, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) | Self::Conflict(problem) => Some(problem),
            _ => None,
        }
    }

    /// The answer, for callers to whom a batch of dead letters only is an answer like another:
    /// `client.ingest_arrow(..).await.or_else(ClientError::into_answer)`.
    ///
    /// # Errors
    /// This error, if it is no [`ClientError::Rejected`].
    pub fn into_answer(self) -> Result<IngestAnswer, Self> {
        match self {
            Self::Rejected(answer) => Ok(*answer),
            other => Err(other),
        }
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

fn describe(problem: &Problem) -> String {
    let Problem { status, code, detail, field, .. } = problem;
    match field {
        Some(field) if !detail.contains(field.as_str()) => {
            format!("{detail} (field {field}; {code}, HTTP {status})")
        }
        _ => format!("{detail} ({code}, HTTP {status})"),
    }
}

fn describe_rejected(answer: &IngestAnswer) -> String {
    let IngestAnswer { batch_id, rejected, errors, .. } = answer;
    let first = match errors.first() {
        Some(error) => format!(", row {}: {}: {}", error.row, error.reason, error.detail),
        None => String::new(),
    };
    format!("all {rejected} rows of batch {batch_id} were rejected{first} (HTTP 422)")
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    code: String,
    field: Option<String>,
}

impl Problem {
    /// Reads a problem+json body; any other body becomes the detail, cut to a line or so.
    pub(crate) fn read(status: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        const DETAIL_LEN_MAX: usize = 300;
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let (code, detail, field) = match serde_json::from_value::<Body>(json.clone()) {
            Ok(body) => {
                let detail = if body.detail.is_empty() { body.title } else { body.detail };
                (body.code, detail, body.field)
            }
            Err(_) => {
                let text: String =
                    String::from_utf8_lossy(body).chars().take(DETAIL_LEN_MAX).collect();
                (String::new(), text, None)
            }
        };
        let code = if code.is_empty() { "http".to_owned() } else { code };
        let detail =
            if detail.is_empty() { "the server gave no reason".to_owned() } else { detail };
        Self { status, code, detail, field, retry_after, body: json }
    }

    /// The kind of error it is.
    pub(crate) fn into_error(self) -> ClientError {
        match self.status {
            409 => ClientError::Conflict(Box::new(self)),
            422 => match serde_json::from_value::<IngestAnswer>(self.body.clone()) {
                Ok(answer) if answer.rejected > 0 => ClientError::Rejected(Box::new(answer)),
                _ => ClientError::Problem(Box::new(self)),
            },
            _ => ClientError::Problem(Box::new(self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_body_keeps_code_detail_and_field() {
        let body = br#"{"type":"about:blank","title":"Bad Request","status":400,
            "detail":"cannot read 'x' as a time","code":"bad_time","field":"start"}"#;
        let problem = Problem::read(400, None, body);
        assert_eq!(problem.code, "bad_time");
        assert_eq!(problem.field.as_deref(), Some("start"));
        let said = problem.into_error().to_string();
        assert_eq!(said, "cannot read 'x' as a time (field start; bad_time, HTTP 400)");
    }

    #[test]
    fn a_body_that_is_no_problem_is_quoted() {
        let problem = Problem::read(502, None, b"<html>Bad Gateway</html>");
        assert_eq!(problem.detail, "<html>Bad Gateway</html>");
        assert_eq!(Problem::read(500, None, b"").detail, "the server gave no reason");
    }

    #[test]
    fn a_conflict_and_a_batch_of_rejected_rows_are_kinds_of_their_own() {
        let conflict = Problem::read(409, None, br#"{"code":"conflict","detail":"used"}"#);
        let conflict = conflict.into_error();
        assert!(matches!(conflict, ClientError::Conflict(_)), "{conflict:?}");
        assert_eq!(conflict.problem().unwrap().code, "conflict");
        let body = br#"{"code":"every_row_rejected","detail":"all","batch_id":"b","rejected":2,
            "errors":[{"row":1,"reason":"non_finite","detail":"open is NaN"}]}"#;
        let rejected = Problem::read(422, None, body).into_error();
        let said = "all 2 rows of batch b were rejected, row 1: non_finite: open is NaN (HTTP 422)";
        assert_eq!(rejected.to_string(), said);
        assert_eq!(rejected.into_answer().unwrap().errors[0].row, 1);
        let other = Problem::read(422, None, br#"{"code":"x","detail":"y"}"#).into_error();
        assert!(matches!(other, ClientError::Problem(_)), "{other:?}");
    }
}
