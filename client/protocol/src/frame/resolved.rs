//! The answer to names: groups, their features, symbols.
//!
//! Groups u16, then for each
//!
//! | size | field | meaning |
//! |-----:|-------|---------|
//! | 4 | `handle` | the group's number until the server's end |
//! | 1 | `promoted` | 1 if the bare name means this version, else 0 |
//! | text | `name` | the group's name |
//! | text | `version` | its version |
//! | 2 | `features` | how many features there are |
//! | text each | | their names, in the order of rows |
//! | 4 | `symbols` | how many symbols follow |
//! | 4, text each | | a symbol's number, all ones if the group has none of that name; its name |

use std::fmt;

use super::fields::{Fault, Fields, Texts, put_text};
use super::{Frame, Kind};

/// The number of a symbol that there is not.
const ABSENT: u32 = u32::MAX;

/// Groups as they lie in an answer.
#[derive(Clone, Copy, PartialEq)]
pub struct Resolved<'a> {
    count: u16,
    bytes: &'a [u8],
}

/// A group of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupEntry<'a> {
    /// Its number until the server's end.
    pub handle: u32,
    /// Whether the bare name means this version.
    pub is_promoted: bool,
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The names of its features, in the order of rows.
    pub features: Texts<'a>,
    symbol_count: u32,
    symbols: &'a [u8],
}

/// A symbol of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolEntry<'a> {
    /// Its number in the group; `None` if the group has none of that name.
    pub index: Option<u32>,
    /// Its name.
    pub name: &'a str,
}

fn symbol<'a>(fields: &mut Fields<'a>) -> Result<SymbolEntry<'a>, Fault> {
    let index = fields.u32()?;
    Ok(SymbolEntry { index: (index != ABSENT).then_some(index), name: fields.text()? })
}

fn group<'a>(fields: &mut Fields<'a>) -> Result<GroupEntry<'a>, Fault> {
    let handle = fields.u32()?;
    let is_promoted = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Fault("`promoted` is not 0 or 1")),
    };
    let (name, version) = (fields.text()?, fields.text()?);
    let features = fields.u16()?;
    let features = fields.texts(features.into())?;
    let symbol_count = fields.u32()?;
    let all = fields.rest();
    let mut walk = Fields::new(all);
    for _ in 0..symbol_count {
        symbol(&mut walk)?;
    }
    let rest = walk.rest();
    let (symbols, rest) = all.split_at(all.len() - rest.len());
    *fields = Fields::new(rest);
    Ok(GroupEntry { handle, is_promoted, name, version, features, symbol_count, symbols })
}

impl<'a> GroupEntry<'a> {
    /// How many symbols it names.
    pub const fn symbol_count(&self) -> u32 {
        self.symbol_count
    }

    /// The symbols, in the order of the request; of all in the order of their numbers.
    pub fn symbols(&self) -> impl Iterator<Item = SymbolEntry<'a>> + use<'a> {
        let mut rest = self.symbols;
        // They were read when the body was.
        std::iter::from_fn(move || {
            let mut fields = Fields::new(rest);
            let symbol = symbol(&mut fields).ok()?;
            rest = fields.rest();
            Some(symbol)
        })
    }
}

impl<'a> Resolved<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Fields::new(body);
        let count = fields.u16()?;
        let bytes = fields.rest();
        let mut walk = Fields::new(bytes);
        for _ in 0..count {
            group(&mut walk)?;
        }
        walk.end()?;
        Ok(Self { count, bytes })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(self.bytes);
    }

    /// How many groups there are.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// The groups.
    pub fn groups(&self) -> impl Iterator<Item = GroupEntry<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let mut fields = Fields::new(rest);
            let group = group(&mut fields).ok()?;
            rest = fields.rest();
            Some(group)
        })
    }
}

impl fmt::Debug for Resolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.groups()).finish()
    }
}

/// Writes the answer group by group.
pub struct ResolvedWriter<'a> {
    frame: Frame<'a>,
    count_at: usize,
    count: u16,
    /// Where the count of symbols of the last group stands, and how many there are.
    symbols: (usize, u32),
}

impl<'a> ResolvedWriter<'a> {
    /// An answer behind what is in `out`.
    pub fn begin(out: &'a mut Vec<u8>, request: u32) -> Self {
        let frame = Frame::begin(out, Kind::Resolved, 0, request);
        let count_at = frame.out.len();
        frame.out.extend_from_slice(&0_u16.to_le_bytes());
        Self { frame, count_at, count: 0, symbols: (0, 0) }
    }

    /// The next group; `version` and whether it is the promoted one.
    ///
    /// # Errors
    /// There are more groups or features than can be, or a name is too long.
    pub fn group<T: AsRef<str>>(
        &mut self,
        handle: u32,
        name: &str,
        (version, is_promoted): (&str, bool),
        features: impl ExactSizeIterator<Item = T>,
    ) -> Result<(), Fault> {
        self.count = self.count.checked_add(1).ok_or(Fault("there are more than 65,535 groups"))?;
        let out = &mut *self.frame.out;
        out.extend_from_slice(&handle.to_le_bytes());
        out.push(is_promoted.into());
        put_text(out, name)?;
        put_text(out, version)?;
        let count = u16::try_from(features.len());
        let count = count.map_err(|_| Fault("there are more than 65,535 features"))?;
        out.extend_from_slice(&count.to_le_bytes());
        for feature in features {
            put_text(out, feature.as_ref())?;
        }
        self.symbols = (out.len(), 0);
        out.extend_from_slice(&0_u32.to_le_bytes());
        Ok(())
    }

    /// The next symbol of the last group.
    ///
    /// # Errors
    /// Its name is too long, or the answer is by now.
    ///
    /// # Panics
    /// If there is no group yet.
    pub fn symbol(&mut self, index: Option<u32>, name: &str) -> Result<(), Fault> {
        assert!(self.count > 0, "invariant: symbols follow their group");
        let out = &mut *self.frame.out;
        out.extend_from_slice(&index.unwrap_or(ABSENT).to_le_bytes());
        put_text(out, name)?;
        let (at, count) = &mut self.symbols;
        *count = count.checked_add(1).ok_or(Fault("there are too many symbols"))?;
        out[*at..*at + 4].copy_from_slice(&count.to_le_bytes());
        Ok(())
    }

    /// How long the body is by now.
    pub const fn len(&self) -> usize {
        self.frame.out.len() - self.count_at
    }

    /// Whether there is no group yet.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// It is too long; the buffer is as before.
    pub fn finish(self) -> Result<(), Fault> {
        let at = self.count_at;
        self.frame.out[at..at + 2].copy_from_slice(&self.count.to_le_bytes());
        self.frame.end()
    }

    /// Takes all of it back.
    pub fn discard(self) {
        self.frame.out.truncate(self.frame.start);
    }
}
