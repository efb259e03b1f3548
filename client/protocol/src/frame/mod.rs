//! Frames of the feature feed: what client and server say to each other.
//!
//! A frame is a header of 12 bytes and a body. Numbers are little-endian; a text is its length in
//! bytes as u16 and its UTF-8.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! |  0 |    4 | `len` | length of the body, at most 16 MiB |
//! |  4 |    1 | `kind` | what the frame says |
//! |  5 |    1 | `flags` | bits, by kind; others are 0 |
//! |  6 |    2 | zero | 0 |
//! |  8 |    4 | `request` | chosen by the client; the answer has the same, events have 0 |
//!
//! | file | holds |
//! |---|---|
//! | `fields.rs` | numbers, texts and lists of them in a body |
//! | `code.rs` | codes: errors, reasons to begin anew, why there is no row |
//! | `request.rs` | what clients say |
//! | `reply.rs` | what servers say |
//! | `resolved.rs` | the answer to names: groups, their features, symbols |
//! | `rows.rs` | rows in an answer |
//!
//! Decoding is total: any bytes are a frame or a [`Fault`], nothing is allocated by what they
//! claim, and lists are walked only after their length was checked.

mod code;
mod fields;
mod reply;
mod request;
mod resolved;
mod rows;

pub use code::{Absence, ErrorCode, ResyncReason};
pub use fields::{Fault, Indexes, TextList, Texts, Words};
pub use reply::{Limits, Reply, Update, Welcome};
pub use request::{Hello, Mode, Request, Subscribe, Symbols, Which};
pub use resolved::{GroupEntry, Resolved, ResolvedWriter, SymbolEntry};
pub use rows::{Rows, RowsWriter};

use fields::Fields;

/// The version of this protocol.
pub const VERSION: u16 = 1;

/// The length of a header.
pub const HEADER_LEN: usize = 12;

/// Longest body of any frame.
pub const BODY_LEN_MAX: u32 = 16 << 20;

/// Longest body of a first frame: nobody is known yet.
pub const HELLO_LEN_MAX: u32 = 4 << 10;

/// Longest body of a ping.
pub const PING_LEN_MAX: usize = 64;

/// Bits of `flags`.
mod flag {
    /// Of all symbols.
    pub(super) const ALL: u8 = 1;
    /// From behind a token on.
    pub(super) const RESUME: u8 = 2;
    /// Corrected rows too.
    pub(super) const CORRECTIONS: u8 = 4;
    /// Rows of slots that are not due too.
    pub(super) const FORMING: u8 = 8;
}

macro_rules! kinds {
    ($( $(#[$doc:meta])* $name:ident = $code:literal, )*) => {
        /// What a frame says. Codes below 128 are of clients, from 192 on of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $( $(#[$doc])* $name = $code, )*
        }

        impl Kind {
            /// Every kind, in the order of their codes.
            pub const ALL: &[Self] = &[$( Self::$name, )*];

            /// The code in headers.
            pub const fn code(self) -> u8 {
                match self {
                    $( Self::$name => $code, )*
                }
            }

            /// The kind of a code.
            pub const fn of(code: u8) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$name), )*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// The first frame of a client: who it is.
    Hello = 1,
    /// Asks for numbers of groups and symbols.
    Resolve = 2,
    /// Asks for the latest rows of symbols.
    Latest = 3,
    /// Asks for the row of an instant.
    At = 4,
    /// Asks to be told of new rows.
    Subscribe = 5,
    /// Asks to be told no more.
    Unsubscribe = 6,
    /// Asks for the same bytes.
    Ping = 7,
    /// The answer to hello.
    Welcome = 129,
    /// The answer to resolve.
    Resolved = 130,
    /// The answer to latest and at.
    Rows = 131,
    /// The answer to subscribe.
    Subscribed = 133,
    /// The answer to unsubscribe.
    Unsubscribed = 134,
    /// The answer to ping.
    Pong = 135,
    /// The answer to what cannot be answered; with request 0 the last frame before the end.
    Error = 143,
    /// A new row.
    Update = 193,
    /// Rows were left out: read the latest ones.
    Resync = 194,
    /// Nothing was left out up to here.
    Progress = 195,
    /// The server stops.
    Going = 196,
}

/// What stands before a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The length of the body.
    pub len: u32,
    /// What the frame says.
    pub kind: Kind,
    /// Bits, by kind.
    pub flags: u8,
    /// Which request it is or answers.
    pub request: u32,
}

impl Header {
    /// The header at the front of `bytes`; `None` if it is not all there yet.
    ///
    /// # Errors
    /// It is none: what follows cannot be told apart any more.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let Some((bytes, _)) = bytes.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let mut fields = Fields::new(bytes);
        let len = fields.u32()?;
        let kind = Kind::of(fields.u8()?).ok_or(Fault("there is no frame of this kind"))?;
        let flags = fields.u8()?;
        if fields.u16()? != 0 {
            return Err(Fault("bytes 6 and 7 of the header are not 0"));
        }
        if len > BODY_LEN_MAX {
            return Err(Fault("the body is longer than 16 MiB"));
        }
        Ok(Some(Self { len, kind, flags, request: fields.u32()? }))
    }

    /// The length of the body.
    pub const fn body_len(self) -> usize {
        // It is read as at most 16 MiB.
        self.len as usize
    }

    /// The length of the frame.
    pub const fn frame_len(self) -> usize {
        HEADER_LEN + self.body_len()
    }
}

/// How far somebody has been told: all before and including this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// A record of the server's log.
    pub sequence: u64,
    /// Which of the updates after that record.
    pub index: u32,
}

/// A frame in the making, at the end of a buffer.
struct Frame<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Frame<'a> {
    fn begin(out: &'a mut Vec<u8>, kind: Kind, flags: u8, request: u32) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0, 0, 0, 0, kind.code(), flags, 0, 0]);
        out.extend_from_slice(&request.to_le_bytes());
        Self { out, start }
    }

    /// Writes the length; takes the frame back if it is too long.
    fn end(self) -> Result<(), Fault> {
        let len = u32::try_from(self.out.len() - self.start - HEADER_LEN);
        match len.ok().filter(|len| *len <= BODY_LEN_MAX) {
            Some(len) => {
                self.out[self.start..self.start + 4].copy_from_slice(&len.to_le_bytes());
                Ok(())
            }
            None => {
                self.out.truncate(self.start);
                Err(Fault("the body is longer than 16 MiB"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
