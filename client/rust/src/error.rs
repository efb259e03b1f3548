//! What can go wrong between a client and its server, told by what the caller should do.

use serde::Deserialize;

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
    /// The server answered with an error.
    #[error("{}", describe(.0))]
    Problem(Box<Problem>),
    /// The answer is not what a Barrow server says, or it broke off.
    #[error("{doing}: {detail}")]
    Protocol {
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
    pub(crate) fn protocol(doing: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Protocol { doing: doing.into(), detail: detail.to_string() }
    }

    /// What reqwest reports, with the chain of causes it hides in `source`.
    pub(crate) fn transport(url: &str, doing: &str, error: &reqwest::Error) -> Self {
        let detail = causes(error);
        if error.is_connect() {
            Self::Unreachable { url: url.to_owned(), detail }
        } else {
            Self::protocol(doing, detail)
        }
    }

    /// The problem the server reported, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
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
        let said = ClientError::Problem(Box::new(problem)).to_string();
        assert_eq!(said, "cannot read 'x' as a time (field start; bad_time, HTTP 400)");
    }

    #[test]
    fn a_body_that_is_no_problem_is_quoted() {
        let problem = Problem::read(502, None, b"<html>Bad Gateway</html>");
        assert_eq!(problem.detail, "<html>Bad Gateway</html>");
        assert_eq!(Problem::read(500, None, b"").detail, "the server gave no reason");
    }
}
