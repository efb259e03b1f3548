//! A column of rows in memory: values, and which of them are there.

use std::ops::Range;

use super::{Bitmap, Texts};

/// Which kind of values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ColumnType {
    /// IEEE 754 doubles; every bit pattern is kept.
    F64 = 0,
    /// Signed 64-bit integers.
    I64 = 1,
    /// UTF-8 text.
    Text = 2,
}

impl ColumnType {
    /// The number in files.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type of that number, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::F64),
            1 => Some(Self::I64),
            2 => Some(Self::Text),
            _ => None,
        }
    }
}

/// The values of a column, one a row. The value of a null row is 0 or the empty text.
#[derive(Clone, Debug)]
pub enum Values {
    /// Doubles.
    F64(Vec<f64>),
    /// Integers.
    I64(Vec<i64>),
    /// Texts.
    Text(Texts),
}

/// Values and which of them are there.
#[derive(Clone, Debug)]
pub struct Column {
    /// One value a row.
    pub values: Values,
    /// A set bit where the row has a value; `None` where every row has one.
    pub validity: Option<Bitmap>,
}

impl Values {
    /// No values of type `kind`, with room for `capacity`.
    pub fn empty(kind: ColumnType, capacity: usize) -> Self {
        match kind {
            ColumnType::F64 => Self::F64(Vec::with_capacity(capacity)),
            ColumnType::I64 => Self::I64(Vec::with_capacity(capacity)),
            ColumnType::Text => Self::Text(Texts::new()),
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kind of values.
    pub const fn kind(&self) -> ColumnType {
        match self {
            Self::F64(_) => ColumnType::F64,
            Self::I64(_) => ColumnType::I64,
            Self::Text(_) => ColumnType::Text,
        }
    }

    fn push_from(&mut self, source: &Self, at: usize) {
        match (self, source) {
            (Self::F64(to), Self::F64(from)) => to.push(from[at]),
            (Self::I64(to), Self::I64(from)) => to.push(from[at]),
            (Self::Text(to), Self::Text(from)) => to.push(from.get(at)),
            _ => panic!("invariant: rows of one dataset have columns of one type"),
        }
    }

    fn extend_from(&mut self, source: &Self, range: Range<usize>) {
        match (self, source) {
            (Self::F64(to), Self::F64(from)) => to.extend_from_slice(&from[range]),
            (Self::I64(to), Self::I64(from)) => to.extend_from_slice(&from[range]),
            (Self::Text(to), Self::Text(from)) => to.extend_from(from, range),
            // A column that was widened, of rows that are older than that or read as they were
            // then: no number was lost, see `prepare::tables`.
            (Self::F64(to), Self::I64(from)) => to.extend(from[range].iter().map(|&n| double(n))),
            (Self::I64(to), Self::F64(from)) => to.extend(from[range].iter().map(|&n| whole(n))),
            _ => panic!("invariant: rows of one dataset have columns of one type"),
        }
    }

    fn push_default(&mut self) {
        match self {
            Self::F64(to) => to.push(0.0),
            Self::I64(to) => to.push(0),
            Self::Text(to) => to.push(""),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "only numbers that a double holds are widened")]
const fn double(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "of rows that are looked at it was whole")]
const fn whole(number: f64) -> i64 {
    number as i64
}

impl Column {
    /// A column without a null.
    pub const fn new(values: Values) -> Self {
        Self { values, validity: None }
    }

    /// A column of `len` nulls.
    pub fn nulls(kind: ColumnType, len: usize) -> Self {
        let values = match kind {
            ColumnType::F64 => Values::F64(vec![0.0; len]),
            ColumnType::I64 => Values::I64(vec![0; len]),
            ColumnType::Text => Values::Text((0..len).map(|_| "").collect()),
        };
        let validity = if len == 0 { None } else { Some(Bitmap::filled(len, false)) };
        Self { values, validity }
    }

    /// No rows.
    pub fn empty(kind: ColumnType, capacity: usize) -> Self {
        Self::new(Values::empty(kind, capacity))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kind of values.
    pub const fn kind(&self) -> ColumnType {
        self.values.kind()
    }

    /// Whether row `at` has a value.
    pub fn is_valid(&self, at: usize) -> bool {
        self.validity.as_ref().is_none_or(|bits| bits.get(at))
    }

    /// Whether any row has a value.
    pub fn has_values(&self) -> bool {
        self.validity.as_ref().map_or(!self.is_empty(), |bits| bits.count() > 0)
    }

    /// Adds row `at` of `source` at the end.
    pub fn push_from(&mut self, source: &Self, at: usize) {
        if source.is_valid(at) {
            self.values.push_from(&source.values, at);
            if let Some(bits) = &mut self.validity {
                bits.push(true);
            }
        } else {
            self.push_null();
        }
    }

    /// Adds a null at the end.
    pub fn push_null(&mut self) {
        let len = self.len();
        self.validity.get_or_insert_with(|| Bitmap::filled(len, true)).push(false);
        self.values.push_default();
    }

    /// The rows at the places `at`, in that order. A null row gets the value that stands for null,
    /// whatever it had.
    #[must_use]
    pub fn take(&self, at: &[u32]) -> Self {
        let Some(bits) = &self.validity else {
            return Self::new(match &self.values {
                Values::F64(from) => Values::F64(at.iter().map(|&i| from[i as usize]).collect()),
                Values::I64(from) => Values::I64(at.iter().map(|&i| from[i as usize]).collect()),
                Values::Text(from) => {
                    Values::Text(at.iter().map(|&i| from.get(i as usize)).collect())
                }
            });
        };
        if bits.count() == 0 {
            return Self::nulls(self.kind(), at.len());
        }
        let valid = |i: u32| bits.get(i as usize);
        let or_null = |i: u32| valid(i).then_some(i as usize);
        let places = at.iter().map(|&i| or_null(i));
        let values = match &self.values {
            Values::F64(from) => Values::F64(places.map(|i| i.map_or(0.0, |i| from[i])).collect()),
            Values::I64(from) => Values::I64(places.map(|i| i.map_or(0, |i| from[i])).collect()),
            Values::Text(from) => {
                Values::Text(places.map(|i| i.map_or("", |i| from.get(i))).collect())
            }
        };
        let validity: Bitmap = at.iter().map(|&i| valid(i)).collect();
        let is_full = validity.count() == validity.len();
        Self { values, validity: if is_full { None } else { Some(validity) } }
    }

    /// The rows of `range`, in order.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut slice = Self::empty(self.kind(), range.len());
        slice.extend_range(self, range);
        slice
    }

    /// Adds `count` nulls at the end.
    pub fn extend_nulls(&mut self, count: usize) {
        self.extend_from(&Self::nulls(self.kind(), count));
    }

    /// The same values, kept as `kind`: as it is, or as a column that was widened to it.
    #[must_use]
    pub(crate) fn kept_as(self, kind: ColumnType) -> Self {
        if self.kind() == kind {
            return self;
        }
        let mut column = Self::empty(kind, self.len());
        column.extend_from(&self);
        column
    }

    /// Adds every row of `other` at the end.
    pub fn extend_from(&mut self, other: &Self) {
        self.extend_range(other, 0..other.len());
    }

    /// Adds the rows of `range` of `other` at the end.
    pub fn extend_range(&mut self, other: &Self, range: Range<usize>) {
        let nulls = other.validity.as_ref().filter(|bits| !bits.is_filled(range.clone(), true));
        if self.validity.is_some() || nulls.is_some() {
            let len = self.len();
            let validity = self.validity.get_or_insert_with(|| Bitmap::filled(len, true));
            match nulls {
                Some(bits) => validity.extend_from(bits, range.clone()),
                None => validity.extend_filled(range.len(), true),
            }
        }
        self.values.extend_from(&other.values, range);
    }

    /// Whether row `at` and row `other_at` of `other` hold the same bits (or are both null).
    /// Doubles are compared as bits: -0.0 differs from 0.0, a NaN equals itself.
    pub fn same(&self, at: usize, other: &Self, other_at: usize) -> bool {
        match (self.is_valid(at), other.is_valid(other_at)) {
            (false, false) => true,
            (true, true) => match (&self.values, &other.values) {
                (Values::F64(a), Values::F64(b)) => a[at].to_bits() == b[other_at].to_bits(),
                (Values::I64(a), Values::I64(b)) => a[at] == b[other_at],
                (Values::Text(a), Values::Text(b)) => a.get(at) == b.get(other_at),
                _ => false,
            },
            _ => false,
        }
    }

    /// Compares row `at` with row `other_at` of `other` in an order that is always the same: equal
    /// where [`Self::same`] says so, nulls first.
    pub fn order(&self, at: usize, other: &Self, other_at: usize) -> std::cmp::Ordering {
        let valid = (self.is_valid(at), other.is_valid(other_at));
        valid.0.cmp(&valid.1).then_with(|| match (valid, &self.values, &other.values) {
            ((false, false), ..) => std::cmp::Ordering::Equal,
            (_, Values::F64(a), Values::F64(b)) => a[at].to_bits().cmp(&b[other_at].to_bits()),
            (_, Values::I64(a), Values::I64(b)) => a[at].cmp(&b[other_at]),
            (_, Values::Text(a), Values::Text(b)) => a.get(at).cmp(b.get(other_at)),
            _ => panic!("invariant: rows of one dataset have columns of one type"),
        })
    }

    /// Bytes of memory the values take.
    pub fn byte_len(&self) -> usize {
        let values = match &self.values {
            Values::F64(values) => values.len() * 8,
            Values::I64(values) => values.len() * 8,
            Values::Text(values) => values.byte_len() + values.len() * 4,
        };
        values + self.validity.as_ref().map_or(0, |bits| bits.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_tells_null_from_zero_and_zero_from_minus_zero() {
        let mut a = Column::new(Values::F64(vec![0.0, -0.0, f64::NAN]));
        a.push_null();
        assert!(a.same(2, &a, 2) && a.same(3, &a, 3));
        assert!(!a.same(0, &a, 1) && !a.same(0, &a, 3));
        let taken = a.take(&[3, 1]);
        assert!(!taken.is_valid(0) && taken.same(1, &a, 1));
        assert!(a.take(&[0, 1]).validity.is_none());
    }

    #[test]
    fn rows_added_as_a_range_are_those_added_one_by_one() {
        let mut some = Column::new(Values::I64(vec![1, 2]));
        some.push_null();
        some.push_from(&some.clone(), 0);
        let full = Column::new(Values::I64(vec![7, 8, 9]));
        let none = Column::nulls(ColumnType::I64, 3);
        for first in [&some, &full, &none] {
            for second in [&some, &full, &none] {
                for range in [0..0, 0..2, 1..3, 2..3, 0..3] {
                    let (mut at_once, mut one_by_one) = (first.clone(), first.clone());
                    at_once.extend_range(second, range.clone());
                    range.clone().for_each(|at| one_by_one.push_from(second, at));
                    assert_eq!(at_once.len(), one_by_one.len());
                    assert!((0..at_once.len()).all(|at| at_once.same(at, &one_by_one, at)));
                    assert_eq!(second.slice(range.clone()).len(), range.len());
                }
            }
        }
        assert!(some.slice(0..2).validity.is_none());
    }
}
