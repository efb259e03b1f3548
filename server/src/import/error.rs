//! How an import ends when it does not end well.

use std::fmt;

use barrow_client::ClientError;

/// What failed, where, and what to do.
#[derive(Debug)]
pub(crate) enum ImportError {
    /// It was understood and did not succeed.
    Failed(String),
    /// It cannot be done as it was said: more has to be said, or something else.
    Usage(String),
    /// A request was not answered as it should be, and what was being done.
    Request(String, Box<ClientError>),
}

impl ImportError {
    /// It was understood and did not succeed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// It cannot be done as it was said.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A request was not answered as it should be; `doing` is what was being done.
    pub(crate) fn request(doing: impl Into<String>, error: ClientError) -> Self {
        Self::Request(doing.into(), Box::new(error))
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) => f.write_str(message),
            Self::Request(doing, error) => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for ImportError {}
