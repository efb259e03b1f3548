//! Which rows of a vector have a value. Null rows have no values: those of the rest follow each
//! other, and are put in their places when read.
//!
//! | at | size     | field    | meaning                                                        |
//! |---:|---------:|----------|----------------------------------------------------------------|
//! |  0 |        1 | `nulls`  | 0 every row has a value; 1 some have; 2 none has               |
//! |  1 | ⌈n / 8⌉  | `bitmap` | bit per row, lowest bit first, set where it has a value;       |
//! |    |          |          | only if `nulls` is 1                                           |
//!
//! Damage: another number, a bitmap whose rows all have a value or all have none, bits after the
//! last row that are not zero.

use std::ops::Range;

use super::Damaged;
use super::bits;
use super::number::Reader;
use crate::rows::Bitmap;

const NONE: u8 = 0;
const SOME: u8 = 1;
const ALL: u8 = 2;

/// Which rows of a vector are null.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nulls<'a> {
    /// No row.
    None,
    /// The rows whose bit is not set; at least one, and not all.
    Some(&'a [u8]),
    /// Every row.
    All,
}

fn bit(bitmap: &[u8], at: usize) -> bool {
    bitmap[at / 8] >> (at % 8) & 1 == 1
}

fn ones(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| byte.count_ones() as usize).sum()
}

impl<'a> Nulls<'a> {
    /// Reads what [`put`] appended for a vector of `count` rows.
    pub(super) fn take(reader: &mut Reader<'a>, count: usize) -> Result<Self, Damaged> {
        match reader.byte()? {
            NONE => Ok(Self::None),
            SOME => {
                let bitmap = bits::take(reader, count, 1)?;
                if (1..count).contains(&ones(bitmap)) {
                    Ok(Self::Some(bitmap))
                } else {
                    Err(Damaged("a bitmap of nulls says all or none"))
                }
            }
            ALL => Ok(Self::All),
            _ => Err(Damaged("a vector has nulls of a kind that does not exist")),
        }
    }

    /// How many of the first `row_count` rows have a value.
    pub(super) fn value_count(self, row_count: usize) -> usize {
        match self {
            Self::None => row_count,
            Self::Some(bitmap) => {
                let last = if row_count.is_multiple_of(8) { 0 } else { bitmap[row_count / 8] };
                let last = last & !(u8::MAX << (row_count % 8));
                ones(&bitmap[..row_count / 8]) + ones(&[last])
            }
            Self::All => 0,
        }
    }

    /// Whether row `at` has a value.
    pub(super) fn is_valid(self, at: usize) -> bool {
        match self {
            Self::None => true,
            Self::Some(bitmap) => bit(bitmap, at),
            Self::All => false,
        }
    }

    /// Moves values from the front of `values` to their rows; null rows become 0.
    pub(super) fn spread<T: Copy + Default>(self, values: &mut [T]) {
        match self {
            Self::None => {}
            Self::Some(bitmap) => {
                // From the back: a value's place among the values is never after its row.
                let mut from = self.value_count(values.len());
                for at in (0..values.len()).rev() {
                    if bit(bitmap, at) {
                        from -= 1;
                        values[at] = values[from];
                    } else {
                        values[at] = T::default();
                    }
                }
            }
            Self::All => values.fill(T::default()),
        }
    }
}

/// Appends which of `rows` are null and returns it. `rows` begin at a multiple of 8.
pub(super) fn put<'a>(
    validity: Option<&'a Bitmap>,
    rows: Range<usize>,
    out: &mut Vec<u8>,
) -> Nulls<'a> {
    let Some(validity) = validity else {
        out.push(NONE);
        return Nulls::None;
    };
    let bitmap = &validity.bytes()[rows.start / 8..rows.end.div_ceil(8)];
    let value_count = ones(bitmap);
    if value_count == rows.len() {
        out.push(NONE);
        Nulls::None
    } else if value_count == 0 {
        out.push(ALL);
        Nulls::All
    } else {
        out.push(SOME);
        out.extend_from_slice(bitmap);
        Nulls::Some(bitmap)
    }
}

/// Puts the validity of a column together from that of its vectors.
#[derive(Debug)]
pub(super) struct Validity {
    bytes: Vec<u8>,
    len: usize,
    has_null: bool,
}

impl Validity {
    /// That of no rows.
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), len: 0, has_null: false }
    }

    /// Adds `rows` of a vector.
    pub(super) fn extend(&mut self, nulls: Nulls<'_>, rows: Range<usize>) {
        let is_aligned = self.len.is_multiple_of(8) && rows.start.is_multiple_of(8);
        let byte_count = rows.len().div_ceil(8);
        match nulls {
            _ if rows.is_empty() => {}
            Nulls::None if self.len.is_multiple_of(8) => {
                self.bytes.resize(self.bytes.len() + byte_count, u8::MAX);
                self.len += rows.len();
                self.clear_rest();
            }
            Nulls::All if self.len.is_multiple_of(8) => {
                self.bytes.resize(self.bytes.len() + byte_count, 0);
                self.len += rows.len();
                self.has_null = true;
            }
            Nulls::Some(bitmap) if is_aligned => {
                self.bytes.extend_from_slice(&bitmap[rows.start / 8..][..byte_count]);
                self.len += rows.len();
                self.clear_rest();
                self.has_null |=
                    nulls.value_count(rows.end) - nulls.value_count(rows.start) < rows.len();
            }
            _ => rows.for_each(|at| self.push(nulls.is_valid(at))),
        }
    }

    fn clear_rest(&mut self) {
        if let Some(last) = self.bytes.last_mut()
            && !self.len.is_multiple_of(8)
        {
            *last &= !(u8::MAX << (self.len % 8));
        }
    }

    fn push(&mut self, is_valid: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        self.bytes[self.len / 8] |= u8::from(is_valid) << (self.len % 8);
        self.len += 1;
        self.has_null |= !is_valid;
    }

    /// The bitmap, if any row is null.
    pub(super) fn finish(self) -> Option<Bitmap> {
        self.has_null.then(|| {
            Bitmap::from_bytes(self.bytes, self.len).expect("invariant: a byte for every 8 rows")
        })
    }
}
