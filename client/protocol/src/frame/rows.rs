//! Rows in an answer.
//!
//! | size | field | meaning |
//! |-----:|-------|---------|
//! | 4 | `group` | the handle of the group |
//! | 4 | `row_words` | the length of a row in words |
//! | 4 | `count` | how many rows were asked for |
//! | `count` | `absent` | for each, as asked: 0 if its row follows, else why it does not |
//! | 8 `row_words` each | `rows` | those that follow, in order |

use std::fmt;

use super::fields::{Fault, Fields, Words};
use super::{Absence, Frame, Kind};
use crate::RowLayout;

/// Rows as they lie in an answer.
#[derive(Clone, Copy, PartialEq)]
pub struct Rows<'a> {
    group: u32,
    row_words: u32,
    absent: &'a [u8],
    rows: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Fields::new(body);
        let (group, row_words, count) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let count = usize::try_from(count).map_err(|_| Fault("it ends too early"))?;
        let absent = fields.bytes(count)?;
        let rows = fields.rest();
        if absent.iter().any(|code| *code != 0 && Absence::of(*code).is_none()) {
            return Err(Fault("a row is absent for no known reason"));
        }
        let present = absent.iter().filter(|code| **code == 0).count() as u64;
        let expected = present.saturating_mul(u64::from(row_words)).saturating_mul(8);
        if rows.len() as u64 != expected {
            return Err(Fault("there are more or fewer rows than it says"));
        }
        Ok(Self { group, row_words, absent, rows })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.group.to_le_bytes());
        out.extend_from_slice(&self.row_words.to_le_bytes());
        let count = u32::try_from(self.absent.len());
        out.extend_from_slice(&count.expect("invariant: it was read").to_le_bytes());
        out.extend_from_slice(self.absent);
        out.extend_from_slice(self.rows);
    }

    /// The handle of their group.
    pub const fn group(&self) -> u32 {
        self.group
    }

    /// The length of a row in words.
    pub const fn row_words(&self) -> u32 {
        self.row_words
    }

    /// How many were asked for.
    pub const fn len(&self) -> usize {
        self.absent.len()
    }

    /// Whether none was asked for.
    pub const fn is_empty(&self) -> bool {
        self.absent.is_empty()
    }

    /// Each that was asked for, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Words<'a>, Absence>> + use<'a> {
        // The length was checked against the bytes that are there.
        let len = usize::try_from(self.row_words).unwrap_or(usize::MAX).saturating_mul(8);
        let mut rest = self.rows;
        self.absent.iter().map(move |code| match Absence::of(*code) {
            Some(absence) => Err(absence),
            None => {
                let (row, after) = rest.split_at(len);
                rest = after;
                Ok(Words::read(row).expect("invariant: a row is whole words"))
            }
        })
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Writes an answer row by row, without anything between the rows and the buffer.
pub struct RowsWriter<'a> {
    frame: Frame<'a>,
    row_words: usize,
    next: usize,
    end: usize,
}

impl<'a> RowsWriter<'a> {
    /// An answer of `count` rows, behind what is in `out`.
    pub fn begin(
        out: &'a mut Vec<u8>,
        request: u32,
        group: u32,
        layout: RowLayout,
        count: u32,
    ) -> Self {
        let frame = Frame::begin(out, Kind::Rows, 0, request);
        frame.out.extend_from_slice(&group.to_le_bytes());
        let words = u32::try_from(layout.words()).expect("invariant: a row is short");
        frame.out.extend_from_slice(&words.to_le_bytes());
        frame.out.extend_from_slice(&count.to_le_bytes());
        let next = frame.out.len();
        let end = next + usize::try_from(count).expect("invariant: 32 bits fit an address");
        frame.out.resize(end, 0);
        Self { frame, row_words: layout.words(), next, end }
    }

    /// The next one's words.
    ///
    /// # Panics
    /// If they are not as many as a row has, or all have been written.
    pub fn row(&mut self, words: &[u64]) {
        assert_eq!(words.len(), self.row_words, "invariant: rows of an answer have one length");
        self.advance(0);
        Words::of(words).put(self.frame.out);
    }

    /// The next one is not there.
    ///
    /// # Panics
    /// If all have been written.
    pub fn absent(&mut self, why: Absence) {
        self.advance(why.code());
    }

    fn advance(&mut self, code: u8) {
        assert!(self.next < self.end, "invariant: as many rows as were said");
        self.frame.out[self.next] = code;
        self.next += 1;
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// It is too long; the buffer is as before.
    ///
    /// # Panics
    /// If rows are missing.
    pub fn finish(self) -> Result<(), Fault> {
        assert_eq!(self.next, self.end, "invariant: as many rows as were said");
        self.frame.end()
    }
}
