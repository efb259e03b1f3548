//! How a command ends when it does not end well.

use std::fmt;

use barrow_client::ClientError;

use crate::import::ImportError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    /// Nobody reads what is written: the end of a pipe like `| head`.
    BrokenPipe,
}

/// What failed, where, and what to do.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: Kind,
    message: String,
}

impl CliError {
    /// The command was understood and did not succeed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into() }
    }

    /// The command cannot be done as it was said.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    /// Part of the contract, but not built.
    pub(crate) fn not_available(what: impl fmt::Display) -> Self {
        Self::usage(format!("not available yet: {what}"))
    }

    /// The same, with what was being done put before it.
    pub(crate) fn within(self, doing: &str) -> Self {
        Self { kind: self.kind, message: format!("{doing}: {}", self.message) }
    }

    /// The exit code: 1 failed, 2 wrong usage.
    pub(crate) const fn code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::Failed | Kind::BrokenPipe => 1,
        }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.kind == Kind::BrokenPipe
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Unreachable { url, .. } => {
                Self::failed(format!("no server at {url}: start `barrow serve` or give --data DIR"))
            }
            ClientError::Invalid(_) => Self::usage(error.to_string()),
            ClientError::Problem(problem) if problem.code == "not_available" => {
                Self::usage(format!("not available yet: {}", problem.detail))
            }
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<ImportError> for CliError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Failed(message) => Self::failed(message),
            ImportError::Usage(message) => Self::usage(message),
            ImportError::Request(doing, error) => Self::from(*error).within(&doing),
        }
    }
}

impl From<barrow_client::feed::FeedError> for CliError {
    fn from(error: barrow_client::feed::FeedError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
            _ => Kind::Failed,
        };
        Self { kind, message: format!("write the answer: {error}") }
    }
}
