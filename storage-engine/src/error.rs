//! What can go wrong in the engine, told by what the caller should do.

use std::fmt;

use crate::disk::{DiskError, DiskErrorKind};

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the request; as it is, it will fail again.
    Invalid,
    /// Nothing there by that name.
    NotFound,
    /// It contradicts what is stored: a known batch id with another body.
    Conflict,
    /// It asks for a past of which rows may be gone; ask for a later one.
    BelowRetention,
    /// A bound is reached (disk, memory); make room or try again later. Nothing was stored.
    Full,
    /// The disk failed; the engine takes no more rows until it is opened again. Reads go on.
    Disk,
    /// Stored bytes do not say what they must; a person has to look.
    Corrupt,
    /// Long work ended because its caller wanted it to. Nothing has changed.
    Stopped,
}

/// An operation that failed: what was tried, on what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    detail: String,
}

impl Error {
    /// The request cannot be served as it is.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, detail: detail.into() }
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NotFound, detail: detail.into() }
    }

    /// The request contradicts what is stored.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Conflict, detail: detail.into() }
    }

    /// The question is about a past below a floor of retention.
    pub fn below_retention(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BelowRetention, detail: detail.into() }
    }

    /// There is no room.
    pub fn full(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Full, detail: detail.into() }
    }

    /// The disk failed for good.
    pub fn disk(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Disk, detail: detail.into() }
    }

    /// Stored bytes are damaged.
    pub fn corrupt(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Corrupt, detail: detail.into() }
    }

    /// The caller wanted it to end.
    pub fn stopped(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Stopped, detail: detail.into() }
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What failed, where and why, for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same error, with what was being done put before it.
    #[must_use]
    pub fn within(self, doing: &str) -> Self {
        Self { kind: self.kind, detail: format!("{doing}: {}", self.detail) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        let kind = match error.kind {
            DiskErrorKind::Full => ErrorKind::Full,
            DiskErrorKind::NotFound | DiskErrorKind::Exists | DiskErrorKind::Io => ErrorKind::Disk,
        };
        Self { kind, detail: error.to_string() }
    }
}
