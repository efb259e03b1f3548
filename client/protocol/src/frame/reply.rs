//! What servers say.
//!
//! | kind | body |
//! |---|---|
//! | welcome 129 | version u16, 0 u16, request bytes u32, answer bytes u32, subscriptions u32, instance 16, epoch u64, sequence u64, index u32, server text |
//! | resolved 130 | see `resolved.rs` |
//! | rows 131 | see `rows.rs` |
//! | subscribed 133 | group u32, sequence u64, index u32 |
//! | unsubscribed 134 | group u32 |
//! | pong 135 | the bytes of the ping |
//! | error 143 | code u16, text |
//! | update 193 | group u32, symbol u32, sequence u64, index u32, words of the row u64 each to the end |
//! | resync 194 | group u32, reason u32, sequence u64, index u32 |
//! | progress 195 | group u32, sequence u64, index u32 |
//! | going 196 | nothing |

use super::fields::{Fault, Fields, Words, put_text};
use super::{ErrorCode, Frame, Header, Kind, PING_LEN_MAX, Resolved, ResyncReason, Rows, Token};

/// What one connection may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of a request.
    pub request_bytes_max: u32,
    /// Longest body of an answer; what would be longer is answered `too_large`.
    pub answer_bytes_max: u32,
    /// Most groups that are subscribed at once.
    pub subscriptions_max: u32,
}

/// Whom a client talks to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welcome<'a> {
    /// The version of the protocol that is spoken from now on.
    pub version: u16,
    /// What one connection may ask.
    pub limits: Limits,
    /// The store's identity, for ever.
    pub instance: [u8; 16],
    /// Counts the starts of the server: handles and numbers of symbols hold within one.
    pub epoch: u64,
    /// All before and including this is in the latest rows.
    pub newest: Token,
    /// What the server calls itself.
    pub server: &'a str,
}

/// A new row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update<'a> {
    /// The handle of its group.
    pub group: u32,
    /// The number of its symbol.
    pub symbol: u32,
    /// Where it stands among all updates.
    pub token: Token,
    /// Its words.
    pub row: Words<'a>,
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// Whom the client talks to.
    Welcome(Welcome<'a>),
    /// Numbers of groups and symbols.
    Resolved(Resolved<'a>),
    /// Rows.
    Rows(Rows<'a>),
    /// Updates come from behind the token on.
    Subscribed {
        /// The handle of the group.
        group: u32,
        /// The token that was resumed from, or the newest.
        token: Token,
    },
    /// No more updates come.
    Unsubscribed {
        /// The handle of the group.
        group: u32,
    },
    /// The bytes of the ping.
    Pong(&'a [u8]),
    /// Why there is no answer.
    Error {
        /// For programs; `None` for a code that this build does not know.
        code: Option<ErrorCode>,
        /// For people.
        text: &'a str,
    },
    /// A new row.
    Update(Update<'a>),
    /// Updates were left out: the latest rows say where things are now.
    Resync {
        /// The handle of the group.
        group: u32,
        /// Why; `None` for a code that this build does not know.
        reason: Option<ResyncReason>,
        /// Updates come from behind this on.
        token: Token,
    },
    /// The client was told all that it wanted up to here.
    Progress {
        /// The handle of the group.
        group: u32,
        /// Up to where.
        token: Token,
    },
    /// The server stops: nothing follows.
    Going,
}

impl<'a> Reply<'a> {
    /// What a frame says.
    ///
    /// # Errors
    /// It is no frame of a server.
    pub fn decode(header: Header, body: &'a [u8]) -> Result<Self, Fault> {
        if header.flags != 0 {
            return Err(Fault("it has flags that mean nothing"));
        }
        let mut fields = Fields::new(body);
        let token =
            |fields: &mut Fields<'_>| Ok(Token { sequence: fields.u64()?, index: fields.u32()? });
        let reply = match header.kind {
            Kind::Welcome => {
                let version = fields.u16()?;
                if fields.u16()? != 0 {
                    return Err(Fault("what stands behind the version is not 0"));
                }
                let limits = Limits {
                    request_bytes_max: fields.u32()?,
                    answer_bytes_max: fields.u32()?,
                    subscriptions_max: fields.u32()?,
                };
                let (instance, epoch) = (fields.array()?, fields.u64()?);
                let newest = token(&mut fields)?;
                let server = fields.text()?;
                Self::Welcome(Welcome { version, limits, instance, epoch, newest, server })
            }
            Kind::Resolved => Self::Resolved(Resolved::read(fields.rest())?),
            Kind::Rows => Self::Rows(Rows::read(fields.rest())?),
            Kind::Subscribed => {
                Self::Subscribed { group: fields.u32()?, token: token(&mut fields)? }
            }
            Kind::Unsubscribed => Self::Unsubscribed { group: fields.u32()? },
            Kind::Pong if body.len() <= PING_LEN_MAX => Self::Pong(fields.rest()),
            Kind::Pong => return Err(Fault("a pong has more than 64 bytes")),
            Kind::Error => Self::Error { code: ErrorCode::of(fields.u16()?), text: fields.text()? },
            Kind::Update => Self::Update(Update {
                group: fields.u32()?,
                symbol: fields.u32()?,
                token: token(&mut fields)?,
                row: Words::read(fields.rest())?,
            }),
            Kind::Resync => Self::Resync {
                group: fields.u32()?,
                reason: ResyncReason::of(fields.u32()?),
                token: token(&mut fields)?,
            },
            Kind::Progress => Self::Progress { group: fields.u32()?, token: token(&mut fields)? },
            Kind::Going => Self::Going,
            _ => return Err(Fault("it is no frame of a server")),
        };
        fields.end()?;
        Ok(reply)
    }

    /// Writes the frame behind what is in `out`; events have request 0.
    ///
    /// # Errors
    /// A text or the body is too long, or a code is none; `out` is as before.
    pub fn encode(&self, request: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let frame = Frame::begin(out, self.kind(), 0, request);
        match self.put(frame.out) {
            Ok(()) => frame.end(),
            Err(fault) => {
                out.truncate(start);
                Err(fault)
            }
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Welcome(_) => Kind::Welcome,
            Self::Resolved(_) => Kind::Resolved,
            Self::Rows(_) => Kind::Rows,
            Self::Subscribed { .. } => Kind::Subscribed,
            Self::Unsubscribed { .. } => Kind::Unsubscribed,
            Self::Pong(_) => Kind::Pong,
            Self::Error { .. } => Kind::Error,
            Self::Update(_) => Kind::Update,
            Self::Resync { .. } => Kind::Resync,
            Self::Progress { .. } => Kind::Progress,
            Self::Going => Kind::Going,
        }
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        const NO_CODE: Fault = Fault("a code that is not known cannot be sent");
        match *self {
            Self::Welcome(Welcome { version, limits, instance, epoch, newest, server }) => {
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&[0, 0]);
                let Limits { request_bytes_max, answer_bytes_max, subscriptions_max } = limits;
                for limit in [request_bytes_max, answer_bytes_max, subscriptions_max] {
                    out.extend_from_slice(&limit.to_le_bytes());
                }
                out.extend_from_slice(&instance);
                out.extend_from_slice(&epoch.to_le_bytes());
                newest.put(out);
                put_text(out, server)?;
            }
            Self::Resolved(resolved) => resolved.put(out),
            Self::Rows(rows) => rows.put(out),
            Self::Subscribed { group, token } | Self::Progress { group, token } => {
                out.extend_from_slice(&group.to_le_bytes());
                token.put(out);
            }
            Self::Unsubscribed { group } => out.extend_from_slice(&group.to_le_bytes()),
            Self::Pong(bytes) if bytes.len() <= PING_LEN_MAX => out.extend_from_slice(bytes),
            Self::Pong(_) => return Err(Fault("a pong has more than 64 bytes")),
            Self::Error { code, text } => {
                out.extend_from_slice(&code.ok_or(NO_CODE)?.code().to_le_bytes());
                put_text(out, text)?;
            }
            Self::Update(Update { group, symbol, token, row }) => {
                out.extend_from_slice(&group.to_le_bytes());
                out.extend_from_slice(&symbol.to_le_bytes());
                token.put(out);
                row.put(out);
            }
            Self::Resync { group, reason, token } => {
                out.extend_from_slice(&group.to_le_bytes());
                out.extend_from_slice(&reason.ok_or(NO_CODE)?.code().to_le_bytes());
                token.put(out);
            }
            Self::Going => {}
        }
        Ok(())
    }
}
