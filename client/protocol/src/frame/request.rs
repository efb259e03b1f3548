//! What clients say.
//!
//! | kind | body |
//! |---|---|
//! | hello 1 | `BRWF` 4, version u16, key text, name text |
//! | resolve 2 | groups u16, text each; symbols u32, text each. Flag 1: all symbols |
//! | latest 3 | group u32, which u32, symbol u32 each to the end. Flag 1: all symbols |
//! | at 4 | group u32, symbol u32, ts i64, mode u32 |
//! | subscribe 5 | group u32, instance 16, sequence u64, index u32, symbol u32 each to the end. Flags 1: all symbols, 2: resume, 4: corrections, 8: forming |
//! | unsubscribe 6 | group u32 |
//! | ping 7 | at most 64 bytes |

use super::fields::{Fault, Fields, Indexes, Texts, put_text};
use super::{Frame, Header, Kind, PING_LEN_MAX, Token, flag};

const MAGIC: [u8; 4] = *b"BRWF";

/// Who a client is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hello<'a> {
    /// The newest version of the protocol that it speaks.
    pub version: u16,
    /// The secret of its key; empty without one.
    pub key: &'a str,
    /// What it calls itself, for logs.
    pub name: &'a str,
}

/// Which row of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Of the newest slot that is due.
    Newest,
    /// Of the slot before that.
    Previous,
    /// Of the slot that is not due.
    Forming,
}

impl Which {
    /// Each of them, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Newest, Self::Previous, Self::Forming];

    const fn code(self) -> u32 {
        match self {
            Self::Newest => 0,
            Self::Previous => 1,
            Self::Forming => 2,
        }
    }

    fn of(code: u32) -> Result<Self, Fault> {
        match code {
            0 => Ok(Self::Newest),
            1 => Ok(Self::Previous),
            2 => Ok(Self::Forming),
            _ => Err(Fault("`which` is not 0, 1 or 2")),
        }
    }
}

/// Which slot an instant means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The one that starts then.
    Exact,
    /// The last that could be had then.
    Latest,
}

/// Some symbols of a group, or all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Symbols<'a> {
    /// All there are, also those to come.
    All,
    /// Those with these numbers.
    These(Indexes<'a>),
}

impl<'a> Symbols<'a> {
    fn read(header: Header, bytes: &'a [u8]) -> Result<Self, Fault> {
        let these = Indexes::read(bytes)?;
        match (header.flags & flag::ALL != 0, these.is_empty()) {
            (true, true) => Ok(Self::All),
            (true, false) => Err(Fault("symbols are named beside all of them")),
            (false, _) => Ok(Self::These(these)),
        }
    }

    const fn flag(self) -> u8 {
        match self {
            Self::All => flag::ALL,
            Self::These(_) => 0,
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        if let Self::These(these) = self {
            these.put(out);
        }
    }
}

/// What a client wants to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// The handle of the group.
    pub group: u32,
    /// Of which symbols.
    pub symbols: Symbols<'a>,
    /// The store, and up to where the client has seen its rows.
    pub resume: Option<([u8; 16], Token)>,
    /// Whether rows that take the place of others of the same slot are wanted.
    pub corrections: bool,
    /// Whether rows of slots that are not due are wanted.
    pub forming: bool,
}

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request<'a> {
    /// Who it is.
    Hello(Hello<'a>),
    /// Asks for numbers of groups and symbols.
    Resolve {
        /// `NAME` or `NAME@VERSION`; none: all groups.
        groups: Texts<'a>,
        /// Names of symbols; `None`: all of each group.
        symbols: Option<Texts<'a>>,
    },
    /// Asks for the latest rows of symbols.
    Latest {
        /// The handle of the group.
        group: u32,
        /// Which row.
        which: Which,
        /// Of which symbols.
        symbols: Symbols<'a>,
    },
    /// Asks for the row of an instant.
    At {
        /// The handle of the group.
        group: u32,
        /// The number of the symbol.
        symbol: u32,
        /// The instant, nanoseconds since 1970 UTC.
        ts: i64,
        /// Which slot it means.
        mode: Mode,
    },
    /// Asks to be told of new rows.
    Subscribe(Subscribe<'a>),
    /// Asks to be told no more.
    Unsubscribe {
        /// The handle of the group.
        group: u32,
    },
    /// Asks for the same bytes.
    Ping(&'a [u8]),
}

impl<'a> Request<'a> {
    /// What a frame says.
    ///
    /// # Errors
    /// It is no frame of a client.
    pub fn decode(header: Header, body: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Fields::new(body);
        let known = match header.kind {
            Kind::Resolve | Kind::Latest => flag::ALL,
            Kind::Subscribe => flag::ALL | flag::RESUME | flag::CORRECTIONS | flag::FORMING,
            _ => 0,
        };
        if header.flags & !known != 0 {
            return Err(Fault("it has flags that mean nothing"));
        }
        let request = match header.kind {
            Kind::Hello => Self::Hello(hello(&mut fields)?),
            Kind::Resolve => {
                let groups = fields.u16()?;
                let groups = fields.texts(groups.into())?;
                let count = fields.u32()?;
                let symbols = fields.texts(count)?;
                let all = header.flags & flag::ALL != 0;
                if all && count > 0 {
                    return Err(Fault("symbols are named beside all of them"));
                }
                Self::Resolve { groups, symbols: (!all).then_some(symbols) }
            }
            Kind::Latest => {
                let (group, which) = (fields.u32()?, Which::of(fields.u32()?)?);
                Self::Latest { group, which, symbols: Symbols::read(header, fields.rest())? }
            }
            Kind::At => Self::At {
                group: fields.u32()?,
                symbol: fields.u32()?,
                ts: fields.i64()?,
                mode: match fields.u32()? {
                    0 => Mode::Exact,
                    1 => Mode::Latest,
                    _ => return Err(Fault("`mode` is not 0 or 1")),
                },
            },
            Kind::Subscribe => {
                let group = fields.u32()?;
                let instance = fields.array()?;
                let token = Token { sequence: fields.u64()?, index: fields.u32()? };
                let resumes = header.flags & flag::RESUME != 0;
                if !resumes && (instance, token) != ([0; 16], Token::default()) {
                    return Err(Fault("there is a token and no flag to resume"));
                }
                Self::Subscribe(Subscribe {
                    group,
                    symbols: Symbols::read(header, fields.rest())?,
                    resume: resumes.then_some((instance, token)),
                    corrections: header.flags & flag::CORRECTIONS != 0,
                    forming: header.flags & flag::FORMING != 0,
                })
            }
            Kind::Unsubscribe => Self::Unsubscribe { group: fields.u32()? },
            Kind::Ping if body.len() <= PING_LEN_MAX => Self::Ping(fields.rest()),
            Kind::Ping => return Err(Fault("a ping has more than 64 bytes")),
            _ => return Err(Fault("it is no frame of a client")),
        };
        fields.end()?;
        Ok(request)
    }

    /// Writes the frame behind what is in `out`.
    ///
    /// # Errors
    /// A text or the body is too long; `out` is as before.
    pub fn encode(&self, request: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let frame = Frame::begin(out, self.kind(), self.flags(), request);
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
            Self::Hello(_) => Kind::Hello,
            Self::Resolve { .. } => Kind::Resolve,
            Self::Latest { .. } => Kind::Latest,
            Self::At { .. } => Kind::At,
            Self::Subscribe(_) => Kind::Subscribe,
            Self::Unsubscribe { .. } => Kind::Unsubscribe,
            Self::Ping(_) => Kind::Ping,
        }
    }

    fn flags(&self) -> u8 {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        match self {
            Self::Resolve { symbols, .. } => bit(symbols.is_none(), flag::ALL),
            Self::Latest { symbols, .. } => symbols.flag(),
            Self::Subscribe(wanted) => {
                wanted.symbols.flag()
                    | bit(wanted.resume.is_some(), flag::RESUME)
                    | bit(wanted.corrections, flag::CORRECTIONS)
                    | bit(wanted.forming, flag::FORMING)
            }
            _ => 0,
        }
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match *self {
            Self::Hello(Hello { version, key, name }) => {
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&version.to_le_bytes());
                put_text(out, key)?;
                put_text(out, name)?;
            }
            Self::Resolve { groups, symbols } => {
                let count = u16::try_from(groups.count());
                let count = count.map_err(|_| Fault("there are more than 65,535 groups"))?;
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(groups.bytes());
                let count = symbols.map_or(0, |symbols| symbols.count());
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(symbols.map_or(&[], |symbols| symbols.bytes()));
            }
            Self::Latest { group, which, symbols } => {
                out.extend_from_slice(&group.to_le_bytes());
                out.extend_from_slice(&which.code().to_le_bytes());
                symbols.put(out);
            }
            Self::At { group, symbol, ts, mode } => {
                out.extend_from_slice(&group.to_le_bytes());
                out.extend_from_slice(&symbol.to_le_bytes());
                out.extend_from_slice(&ts.to_le_bytes());
                let mode: u32 = match mode {
                    Mode::Exact => 0,
                    Mode::Latest => 1,
                };
                out.extend_from_slice(&mode.to_le_bytes());
            }
            Self::Subscribe(Subscribe { group, symbols, resume, .. }) => {
                out.extend_from_slice(&group.to_le_bytes());
                let (instance, token) = resume.unwrap_or_default();
                out.extend_from_slice(&instance);
                token.put(out);
                symbols.put(out);
            }
            Self::Unsubscribe { group } => out.extend_from_slice(&group.to_le_bytes()),
            Self::Ping(bytes) if bytes.len() <= PING_LEN_MAX => out.extend_from_slice(bytes),
            Self::Ping(_) => return Err(Fault("a ping has more than 64 bytes")),
        }
        Ok(())
    }
}

impl Token {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
    }
}

fn hello<'a>(fields: &mut Fields<'a>) -> Result<Hello<'a>, Fault> {
    if fields.array()? != MAGIC {
        return Err(Fault("a hello begins with BRWF"));
    }
    Ok(Hello { version: fields.u16()?, key: fields.text()?, name: fields.text()? })
}
