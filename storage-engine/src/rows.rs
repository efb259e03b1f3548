//! Columns of rows in memory: what a batch brings, a memtable holds and a scan returns.
//!
//! Buffers are plain vectors of 8-byte words (and bytes for text and bitmaps), so they cross the
//! engine's border and become Arrow arrays without a copy.

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

/// A bit per row, least significant bit of the first byte first, as Arrow has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    bytes: Vec<u8>,
    len: usize,
}

impl Bitmap {
    /// No bits.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), len: 0 }
    }

    /// `len` bits, all equal to `bit`.
    pub fn filled(len: usize, bit: bool) -> Self {
        let mut bytes = vec![if bit { 0xFF } else { 0 }; len.div_ceil(8)];
        if let Some(last) = bytes.last_mut()
            && bit
            && !len.is_multiple_of(8)
        {
            *last = (1 << (len % 8)) - 1;
        }
        Self { bytes, len }
    }

    /// `len` bits from `bytes`; bits after `len` are cleared.
    /// `None` if there are not exactly as many bytes as `len` bits need.
    pub fn from_bytes(mut bytes: Vec<u8>, len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        if let Some(last) = bytes.last_mut()
            && !len.is_multiple_of(8)
        {
            *last &= (1 << (len % 8)) - 1;
        }
        Some(Self { bytes, len })
    }

    /// The bits as bytes; the unused high bits of the last byte are zero.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bits as bytes, given away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bits there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bit of row `at`.
    pub fn get(&self, at: usize) -> bool {
        assert!(at < self.len, "invariant: row {at} of a bitmap of {}", self.len);
        self.bytes[at / 8] >> (at % 8) & 1 == 1
    }

    /// Adds one bit at the end.
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if bit {
            self.bytes[self.len / 8] |= 1 << (self.len % 8);
        }
        self.len += 1;
    }

    /// How many bits are set.
    pub fn count(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }
}

impl FromIterator<bool> for Bitmap {
    fn from_iter<T: IntoIterator<Item = bool>>(bits: T) -> Self {
        let mut bitmap = Self::new();
        for bit in bits {
            bitmap.push(bit);
        }
        bitmap
    }
}

/// Texts one after the other: text `i` is `bytes[ends[i - 1]..ends[i]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Texts {
    /// No texts.
    pub const fn new() -> Self {
        Self { ends: Vec::new(), bytes: Vec::new() }
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a text at the end.
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        let end = u32::try_from(self.bytes.len());
        self.ends.push(end.expect("invariant: a batch is far below 4 GiB"));
    }

    /// The text of row `at`.
    pub fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        let bytes = &self.bytes[start..self.ends[at] as usize];
        std::str::from_utf8(bytes).expect("invariant: only whole texts are pushed")
    }

    /// Every text in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<T: IntoIterator<Item = &'a str>>(texts: T) -> Self {
        let mut all = Self::new();
        for text in texts {
            all.push(text);
        }
        all
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

    fn push_default(&mut self) {
        match self {
            Self::F64(to) => to.push(0.0),
            Self::I64(to) => to.push(0),
            Self::Text(to) => to.push(""),
        }
    }
}

impl Column {
    /// A column without a null.
    pub const fn new(values: Values) -> Self {
        Self { values, validity: None }
    }

    /// A column of `len` nulls.
    pub fn nulls(kind: ColumnType, len: usize) -> Self {
        let mut values = Values::empty(kind, len);
        for _ in 0..len {
            values.push_default();
        }
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

    /// The rows at the places `at`, in that order.
    #[must_use]
    pub fn take(&self, at: &[u32]) -> Self {
        if self.validity.is_some() {
            // A null row gets the value that stands for null, whatever it had.
            let mut taken = Self::empty(self.kind(), at.len());
            at.iter().for_each(|&i| taken.push_from(self, i as usize));
            return taken;
        }
        Self::new(match &self.values {
            Values::F64(from) => Values::F64(at.iter().map(|&i| from[i as usize]).collect()),
            Values::I64(from) => Values::I64(at.iter().map(|&i| from[i as usize]).collect()),
            Values::Text(from) => Values::Text(at.iter().map(|&i| from.get(i as usize)).collect()),
        })
    }

    /// The rows of `range`, in order.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let values = match &self.values {
            Values::F64(from) => Values::F64(from[range.clone()].to_vec()),
            Values::I64(from) => Values::I64(from[range.clone()].to_vec()),
            Values::Text(from) => Values::Text(range.clone().map(|at| from.get(at)).collect()),
        };
        let validity = self
            .validity
            .as_ref()
            .map(|bits| range.map(|at| bits.get(at)).collect::<Bitmap>())
            .filter(|bits| bits.count() < bits.len());
        Self { values, validity }
    }

    /// Adds every row of `other` at the end.
    pub fn extend_from(&mut self, other: &Self) {
        if self.validity.is_none() && other.validity.is_none() {
            match (&mut self.values, &other.values) {
                (Values::F64(to), Values::F64(from)) => to.extend_from_slice(from),
                (Values::I64(to), Values::I64(from)) => to.extend_from_slice(from),
                (to, from) => (0..from.len()).for_each(|at| to.push_from(from, at)),
            }
        } else {
            (0..other.len()).for_each(|at| self.push_from(other, at));
        }
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

/// Rows of one series with what the system knows about each.
///
/// Sorted by (`ts`, `known_at`, `sequence`, place in batch) wherever the engine hands them out.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Event time; for a bar its open, as stored.
    pub ts: Vec<i64>,
    /// The log record that brought the row.
    pub sequence: Vec<u64>,
    /// When the value was learned: ingest time, stated time, or the policy's.
    pub known_at: Vec<i64>,
    /// [`flags`] of the row.
    pub flags: Vec<u8>,
    /// The user columns, in the order that was asked for.
    pub columns: Vec<Column>,
}

/// What is special about a row.
pub mod flags {
    /// The row takes away what is visible under its key, and has no values; of an event it repeats
    /// the values.
    pub const RETRACT: u8 = 1;
    /// The row states its own `known_at`.
    pub const STATED: u8 = 2;
    /// `known_at` comes from a policy for loads of history, not from anybody's clock.
    pub const ASSUMED: u8 = 4;
    /// Every flag there is.
    pub const ALL: u8 = RETRACT | STATED | ASSUMED;
}

/// The order of rows of one key: the greatest is the one that is visible.
pub type Rank = (i64, u64);

impl Rows {
    /// No rows, with columns of these kinds.
    pub fn empty(kinds: impl IntoIterator<Item = ColumnType>) -> Self {
        Self {
            ts: Vec::new(),
            sequence: Vec::new(),
            known_at: Vec::new(),
            flags: Vec::new(),
            columns: kinds.into_iter().map(|kind| Column::empty(kind, 0)).collect(),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// (`known_at`, `sequence`) of row `at`.
    pub fn rank(&self, at: usize) -> Rank {
        (self.known_at[at], self.sequence[at])
    }

    /// Whether row `at` takes its key away.
    pub fn is_retract(&self, at: usize) -> bool {
        self.flags[at] & flags::RETRACT != 0
    }

    /// Adds row `at` of `source` at the end.
    pub fn push_from(&mut self, source: &Self, at: usize) {
        self.ts.push(source.ts[at]);
        self.sequence.push(source.sequence[at]);
        self.known_at.push(source.known_at[at]);
        self.flags.push(source.flags[at]);
        for (to, from) in self.columns.iter_mut().zip(&source.columns) {
            to.push_from(from, at);
        }
    }

    /// Adds every row of `other` at the end.
    pub fn extend_from(&mut self, other: &Self) {
        self.ts.extend_from_slice(&other.ts);
        self.sequence.extend_from_slice(&other.sequence);
        self.known_at.extend_from_slice(&other.known_at);
        self.flags.extend_from_slice(&other.flags);
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            to.extend_from(from);
        }
    }

    /// The rows at the places `at`, in that order.
    #[must_use]
    pub fn take(&self, at: &[u32]) -> Self {
        Self {
            ts: at.iter().map(|&i| self.ts[i as usize]).collect(),
            sequence: at.iter().map(|&i| self.sequence[i as usize]).collect(),
            known_at: at.iter().map(|&i| self.known_at[i as usize]).collect(),
            flags: at.iter().map(|&i| self.flags[i as usize]).collect(),
            columns: self.columns.iter().map(|column| column.take(at)).collect(),
        }
    }

    /// The rows of `range`, in order.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.slice_columns(range, &all)
    }

    /// The rows of `range`, in order, with the columns at `places`.
    #[must_use]
    pub fn slice_columns(&self, range: std::ops::Range<usize>, places: &[usize]) -> Self {
        let column = |&place: &usize| self.columns[place].slice(range.clone());
        Self {
            ts: self.ts[range.clone()].to_vec(),
            sequence: self.sequence[range.clone()].to_vec(),
            known_at: self.known_at[range.clone()].to_vec(),
            flags: self.flags[range.clone()].to_vec(),
            columns: places.iter().map(column).collect(),
        }
    }

    /// Bytes of memory the rows take.
    pub fn byte_len(&self) -> usize {
        self.len() * 25 + self.columns.iter().map(Column::byte_len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_keeps_its_bits_and_clears_the_rest() {
        let bits: Bitmap = (0..11).map(|i| i % 3 == 0).collect();
        assert_eq!(bits.len(), 11);
        assert_eq!(bits.count(), 4);
        assert!(bits.get(9) && !bits.get(10));
        assert_eq!(Bitmap::filled(3, true).bytes(), &[0b111]);
        assert_eq!(Bitmap::from_bytes(vec![0xFF], 3), Some(Bitmap::filled(3, true)));
        assert_eq!(Bitmap::from_bytes(vec![0xFF, 0], 3), None);
    }

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
}
