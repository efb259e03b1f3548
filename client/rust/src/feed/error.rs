//! What can go wrong on the feed, told by what the caller should do.

use std::io;

use barrow_protocol::frame::{ErrorCode, Fault};

/// Why a call failed.
///
/// | kind | is the connection still good? | what to do |
/// |---|---|---|
/// | [`Unreachable`](Self::Unreachable) | there is none | start the server, correct the address |
/// | [`Interrupted`](Self::Interrupted) | no | connect anew; subscriptions resume with tokens |
/// | [`Going`](Self::Going) | no | connect anew later |
/// | [`Refused`](Self::Refused) | unless the text says otherwise | what the text says |
/// | [`Decode`](Self::Decode) | no | see what answers at that address |
/// | [`Invalid`](Self::Invalid) | as before | correct the call |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Nobody takes connections there.
    #[error("no feature feed at {address}: {error}")]
    Unreachable {
        /// The address that was tried.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke, or the server said nothing for as long as was to be waited.
    #[error("feature feed: {0}")]
    Interrupted(io::Error),
    /// The server stops.
    #[error("feature feed: the server stops")]
    Going,
    /// The server does not answer this.
    #[error("feature feed: {text} ({})", .code.map_or("a later version's", ErrorCode::name))]
    Refused {
        /// For programs; `None` for a code of a later version.
        code: Option<ErrorCode>,
        /// For people.
        text: String,
    },
    /// What came is not what a feature feed says.
    #[error("feature feed: what came is not of the protocol: {0}")]
    Decode(String),
    /// The call makes no sense as it is; nothing was sent.
    #[error("feature feed: {0}")]
    Invalid(String),
}

impl FeedError {
    pub(super) fn decode(fault: Fault) -> Self {
        Self::Decode(fault.to_string())
    }

    pub(super) fn invalid(fault: Fault) -> Self {
        Self::Invalid(fault.to_string())
    }
}
