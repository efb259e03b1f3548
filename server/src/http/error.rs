//! Bad news over HTTP: RFC 9457 `application/problem+json`, and the one table of what has which
//! status.
//!
//! | code | status | when |
//! |---|---|---|
//! | `invalid_parameter` | 400 | a parameter or header says what it must not; `field` names it |
//! | `unknown_parameter` | 400 | there is no such parameter; `field` names it |
//! | `not_available` | 400 | the contract names it, this build does not have it; `field` names it |
//! | `invalid_body` | 400 | the body cannot be read; `field` names the column, if it is one |
//! | `unauthorized` | 401 | no key, or an unknown one |
//! | `forbidden` | 403 | the key does not allow this |
//! | `not_found` | 404 | no such route, symbol, dataset or batch |
//! | `method_not_allowed` | 405 | the route has no such method |
//! | `not_acceptable` | 406 | `Accept` names no format there is |
//! | `timeout` | 408 | the body did not arrive in time |
//! | `conflict` | 409 | a known batch id with another body |
//! | `below_retention` | 410 | it asks for a past below a floor of retention; ask for a later one |
//! | `too_large` | 413 | the body is above a bound |
//! | `unsupported_media_type` | 415 | a `Content-Type` or `Content-Encoding` that is not read |
//! | `every_row_rejected` | 422 | all rows of the request became dead letters |
//! | `internal` | 500 | a fault of ours |
//! | `storage` | 500 | stored bytes could not be read |
//! | `busy` | 503 | a bound on work is reached; with `Retry-After` |
//! | `intake_stopped` | 503 | the disk failed; no rows are taken until a restart |
//! | `sequence_not_reached` | 503 | `min_sequence` is not there yet; with `Retry-After` |
//! | `stopping` | 503 | the server is going down; with `Retry-After` |
//! | `full` | 507 | no room on the disk or in memory; nothing was stored |

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use barrow_engine::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::writer::IntakeError;

/// What went wrong, from the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// A parameter or header says what it must not.
    InvalidParameter,
    /// There is no such parameter.
    UnknownParameter,
    /// Not built.
    NotAvailable,
    /// The body cannot be read.
    InvalidBody,
    /// No key, or an unknown one.
    Unauthorized,
    /// The key does not allow this.
    Forbidden,
    /// No such thing.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// No such format.
    NotAcceptable,
    /// The body did not arrive in time.
    Timeout,
    /// It contradicts what is stored.
    Conflict,
    /// A past below a floor of retention.
    BelowRetention,
    /// The body is above a bound.
    TooLarge,
    /// A body of that kind is not read.
    UnsupportedMediaType,
    /// All rows became dead letters.
    EveryRowRejected,
    /// A fault of ours.
    Internal,
    /// Stored bytes could not be read.
    Storage,
    /// A bound on work is reached.
    Busy,
    /// The disk failed.
    IntakeStopped,
    /// A sequence that is not there yet.
    SequenceNotReached,
    /// The server is going down.
    Stopping,
    /// No room.
    Full,
}

impl Code {
    /// (status, code, title).
    pub(crate) const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::InvalidParameter => (400, "invalid_parameter", "A parameter cannot be used"),
            Self::UnknownParameter => (400, "unknown_parameter", "There is no such parameter"),
            Self::NotAvailable => (400, "not_available", "Not available in this version"),
            Self::InvalidBody => (400, "invalid_body", "The body cannot be read"),
            Self::Unauthorized => (401, "unauthorized", "A key is needed"),
            Self::Forbidden => (403, "forbidden", "The key does not allow this"),
            Self::NotFound => (404, "not_found", "There is no such thing"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "No such method here"),
            Self::NotAcceptable => (406, "not_acceptable", "No such format"),
            Self::Timeout => (408, "timeout", "The body did not arrive in time"),
            Self::Conflict => (409, "conflict", "It contradicts what is stored"),
            Self::BelowRetention => (410, "below_retention", "That past is no longer answered"),
            Self::TooLarge => (413, "too_large", "The body is too large"),
            Self::UnsupportedMediaType => {
                (415, "unsupported_media_type", "A body of that kind is not read")
            }
            Self::EveryRowRejected => (422, "every_row_rejected", "Every row was rejected"),
            Self::Internal => (500, "internal", "A fault of the server"),
            Self::Storage => (500, "storage", "Stored data could not be read"),
            Self::Busy => (503, "busy", "Too much at once"),
            Self::IntakeStopped => (503, "intake_stopped", "No rows are taken any more"),
            Self::SequenceNotReached => (503, "sequence_not_reached", "Not there yet"),
            Self::Stopping => (503, "stopping", "The server is stopping"),
            Self::Full => (507, "full", "No room"),
        }
    }

    /// Seconds after which it makes sense to try again.
    const fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::Busy | Self::SequenceNotReached => Some("1"),
            Self::Stopping => Some("5"),
            Self::IntakeStopped => Some("60"),
            _ => None,
        }
    }

    /// The code of an engine error met while reading.
    const fn of_read(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::InvalidParameter,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::BelowRetention => Self::BelowRetention,
            ErrorKind::Full => Self::Full,
            ErrorKind::Disk | ErrorKind::Corrupt => Self::Storage,
            _ => Self::Internal,
        }
    }

    /// The code of an engine error met while writing.
    const fn of_write(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::InvalidBody,
            ErrorKind::Disk => Self::IntakeStopped,
            other => Self::of_read(other),
        }
    }
}

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// What kind.
    pub(crate) code: Code,
    /// What was wrong and what to do, for a person.
    pub(crate) detail: String,
    /// The parameter, header or column it is about.
    pub(crate) field: Option<String>,
    /// Members beyond those of every problem.
    pub(crate) more: Map<String, Value>,
}

impl Problem {
    /// A problem of kind `code`.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, more: Map::new() }
    }

    /// The same, about `field`.
    #[must_use]
    pub(crate) fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Parameter `field` says what it must not: `fault`.
    pub(crate) fn parameter(field: &str, fault: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidParameter, format!("{field}: {fault}")).about(field)
    }

    /// `field` is in the contract but not in this build.
    pub(crate) fn not_available(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Code::NotAvailable, detail).about(field)
    }

    /// An engine error met while answering a query.
    pub(crate) fn read(error: &Error) -> Self {
        if matches!(error.kind(), ErrorKind::Disk | ErrorKind::Corrupt) {
            tracing::error!(%error, "a query could not be answered");
        }
        Self::new(Code::of_read(error.kind()), error.detail())
    }

    /// An engine error met while taking rows.
    pub(crate) fn write(error: &Error) -> Self {
        Self::new(Code::of_write(error.kind()), error.detail())
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Busy => {
                Self::new(Code::Busy, "the queue of batches is full; nothing was stored, try again")
            }
            IntakeError::Stopping => Self::new(Code::Stopping, "the server is stopping"),
            IntakeError::Engine(error) => Self::write(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title) = self.code.row();
        let mut body = json!({
            "type": format!("urn:barrow:problem:{code}"),
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": code,
        });
        if let Value::Object(members) = &mut body {
            if let Some(field) = self.field {
                members.insert("field".to_owned(), Value::String(field));
            }
            members.extend(self.more);
        }
        let status = StatusCode::from_u16(status).expect("invariant: the table holds statuses");
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.code.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Code; 22] = [
        Code::InvalidParameter,
        Code::UnknownParameter,
        Code::NotAvailable,
        Code::InvalidBody,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::NotAcceptable,
        Code::Timeout,
        Code::Conflict,
        Code::BelowRetention,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::EveryRowRejected,
        Code::Internal,
        Code::Storage,
        Code::Busy,
        Code::IntakeStopped,
        Code::SequenceNotReached,
        Code::Stopping,
        Code::Full,
    ];

    #[test]
    fn the_table_in_the_documentation_is_the_table_in_the_code() {
        let documented: Vec<(String, u16)> = include_str!("error.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .map(|line| {
                let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
                let code = cells.next().unwrap().to_owned();
                (code, cells.next().unwrap().parse().unwrap())
            })
            .collect();
        let coded: Vec<(String, u16)> =
            ALL.iter().map(|code| (code.row().1.to_owned(), code.row().0)).collect();
        assert_eq!(documented, coded);
    }

    #[test]
    fn what_the_contract_says_of_kinds_holds() {
        for (error, status) in [
            (Error::invalid("x"), 400),
            (Error::not_found("x"), 404),
            (Error::conflict("x"), 409),
            (Error::below_retention("x"), 410),
            (Error::full("x"), 507),
            (Error::disk("x"), 503),
            (Error::corrupt("x"), 500),
        ] {
            let response = Problem::write(&error).into_response();
            assert_eq!(response.status().as_u16(), status, "{error}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503);
        }
        assert_eq!(Problem::read(&Error::disk("x")).code, Code::Storage);
    }
}
