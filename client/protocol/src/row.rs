//! The cells of one slot, in words of eight bytes.
//!
//! | word | field | meaning |
//! |---:|-------|---------|
//! | 0 | `ts` | when the slot starts, i64 nanoseconds since 1970 UTC |
//! | 1 | `ts_end` | when it ends |
//! | 2 | `available_at` | when its cells could first be had |
//! | 3 | `known_at` | when the last of the rows was learned that the cells come from |
//! | 4 | `sequence` | the last record that brought one of them |
//! | 5 | `at_sequence` | the record after which the row was made: what `at_sequence=` takes |
//! | 6 | `session`, `flags` | low half: date of the session in days since 1970, i32; high half: flags, u32 |
//! | 7 | `reasons` | a byte for each feature: 0 if it has a number, else the code of its reason; little-endian, padded with 0 to whole words |
//! | .. | `values` | a word for each feature: its number as f64, +0.0 without one |
//!
//! | flag | name | meaning |
//! |-----:|------|---------|
//! | 1 | `provisional` | a row that the cells come from may still change |
//! | 2 | `corrected` | the row took the place of another of the same slot |
//! | 4 | `forming` | the slot is not due: this is what its cells would be if it closed now |

use std::fmt;

use barrow_types::Reason;

/// The words before the reasons.
pub const HEAD_WORDS: usize = 7;

const REASONS_PER_WORD: usize = 8;

/// How long rows of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    features: usize,
}

impl RowLayout {
    /// Of rows with so many features.
    pub const fn new(features: usize) -> Self {
        Self { features }
    }

    /// How many features there are.
    pub const fn features(self) -> usize {
        self.features
    }

    /// The length of a row in words.
    pub const fn words(self) -> usize {
        HEAD_WORDS + self.reason_words() + self.features
    }

    /// The length of a row in bytes.
    pub const fn bytes(self) -> usize {
        self.words() * size_of::<u64>()
    }

    const fn reason_words(self) -> usize {
        self.features.div_ceil(REASONS_PER_WORD)
    }
}

/// Flags of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowFlags(u32);

impl RowFlags {
    /// A row that the cells come from may still change.
    pub const PROVISIONAL: Self = Self(1);
    /// The row took the place of another of the same slot.
    pub const CORRECTED: Self = Self(2);
    /// The slot is not due.
    pub const FORMING: Self = Self(4);

    /// Those with these bits; bits that mean nothing are kept.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Their bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The union.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of `others` are set.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// What stands before the cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowHead {
    /// When the slot starts, nanoseconds since 1970 UTC.
    pub ts: i64,
    /// When it ends.
    pub ts_end: i64,
    /// When its cells could first be had.
    pub available_at: i64,
    /// When the last of the rows was learned that the cells come from.
    pub known_at: i64,
    /// The last record that brought one of them.
    pub sequence: u64,
    /// The record after which the row was made.
    pub at_sequence: u64,
    /// The date of the session, in days since 1970.
    pub session: i32,
    /// What else there is to know.
    pub flags: RowFlags,
}

impl RowHead {
    fn words(&self) -> [u64; HEAD_WORDS] {
        let date_and_flags =
            u64::from(self.session.cast_unsigned()) | u64::from(self.flags.bits()) << 32;
        [
            self.ts.cast_unsigned(),
            self.ts_end.cast_unsigned(),
            self.available_at.cast_unsigned(),
            self.known_at.cast_unsigned(),
            self.sequence,
            self.at_sequence,
            date_and_flags,
        ]
    }

    /// Writes a row: this and the cells, a reason and a number each, as many as the layout has.
    ///
    /// # Panics
    /// If there are more or fewer cells, or if `out` is not a row long.
    pub fn encode(
        &self,
        layout: RowLayout,
        cells: impl IntoIterator<Item = (Reason, f64)>,
        out: &mut [u64],
    ) {
        assert_eq!(out.len(), layout.words(), "invariant: a row fits its place");
        let (head, rest) = out.split_at_mut(HEAD_WORDS);
        head.copy_from_slice(&self.words());
        let (reasons, values) = rest.split_at_mut(layout.reason_words());
        reasons.fill(0);
        let mut count = 0;
        for (reason, value) in cells {
            let shift = 8 * (count % REASONS_PER_WORD);
            reasons[count / REASONS_PER_WORD] |= u64::from(reason.code()) << shift;
            values[count] = if reason == Reason::Ok { value.to_bits() } else { 0 };
            count += 1;
        }
        assert_eq!(count, layout.features, "invariant: a cell for each feature");
    }
}

/// A row that somebody wrote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    layout: RowLayout,
    words: &'a [u64],
}

impl<'a> Row<'a> {
    /// The row in these words; `None` if they are not as many as a row has.
    pub fn new(layout: RowLayout, words: &'a [u64]) -> Option<Self> {
        (words.len() == layout.words()).then_some(Self { layout, words })
    }

    /// Its words.
    pub const fn words(self) -> &'a [u64] {
        self.words
    }

    /// What stands before the cells.
    pub fn head(self) -> RowHead {
        let [ts, ts_end, available_at, known_at, sequence, at_sequence, date_and_flags] =
            std::array::from_fn(|at| self.words[at]);
        let half = |shift: u32| {
            u32::try_from(date_and_flags >> shift & u64::from(u32::MAX))
                .expect("invariant: it is masked")
        };
        RowHead {
            ts: ts.cast_signed(),
            ts_end: ts_end.cast_signed(),
            available_at: available_at.cast_signed(),
            known_at: known_at.cast_signed(),
            sequence,
            at_sequence,
            session: half(0).cast_signed(),
            flags: RowFlags::from_bits(half(32)),
        }
    }

    /// How many features there are.
    pub const fn len(self) -> usize {
        self.layout.features
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.layout.features == 0
    }

    /// The number of a feature, if it has one.
    ///
    /// # Panics
    /// If there are not that many features.
    pub fn value(self, feature: usize) -> Option<f64> {
        assert!(feature < self.len(), "a row has {} features", self.len());
        let values = &self.words[HEAD_WORDS + self.layout.reason_words()..];
        (self.reason_code(feature) == Reason::Ok.code()).then(|| f64::from_bits(values[feature]))
    }

    /// The code of the reason why a feature has no number; 0 if it has one.
    ///
    /// # Panics
    /// If there are not that many features.
    pub fn reason_code(self, feature: usize) -> u8 {
        assert!(feature < self.len(), "a row has {} features", self.len());
        let word = self.words[HEAD_WORDS + feature / REASONS_PER_WORD];
        word.to_le_bytes()[feature % REASONS_PER_WORD]
    }

    /// Why a feature has no number; `Reason::Ok` if it has one; `None` for a code that this build
    /// does not know.
    ///
    /// # Panics
    /// If there are not that many features.
    pub fn reason(self, feature: usize) -> Option<Reason> {
        Reason::ALL.get(usize::from(self.reason_code(feature))).copied()
    }

    /// The share of the features that has a number; 0 of none.
    #[expect(clippy::cast_precision_loss, reason = "groups have a few thousand features at most")]
    pub fn coverage(self) -> f64 {
        let valid = (0..self.len()).filter(|at| self.reason_code(*at) == Reason::Ok.code());
        valid.count() as f64 / self.len().max(1) as f64
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = (0..self.len()).map(|at| (self.reason(at), self.value(at)));
        f.debug_struct("Row")
            .field("head", &self.head())
            .field("cells", &cells.collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let head = RowHead {
            ts: -1,
            ts_end: 2,
            available_at: i64::MAX,
            known_at: i64::MIN,
            sequence: u64::MAX,
            at_sequence: 7,
            session: -3,
            flags: RowFlags::PROVISIONAL.with(RowFlags::FORMING),
        };
        for features in [0, 1, 8, 9, 158] {
            let layout = RowLayout::new(features);
            let cells = (0..features).map(|at| match at % 3 {
                0 => (Reason::Ok, 1.5),
                1 => (Reason::DependencyNull, 9.0),
                _ => (Reason::WarmUp, 0.0),
            });
            let mut words = vec![u64::MAX; layout.words()];
            head.encode(layout, cells.clone(), &mut words);
            let row = Row::new(layout, &words).unwrap();
            assert_eq!(row.head(), head);
            assert!(!row.head().flags.has(RowFlags::CORRECTED));
            for (at, (reason, value)) in cells.enumerate() {
                assert_eq!(row.reason(at), Some(reason));
                assert_eq!(row.value(at), (reason == Reason::Ok).then_some(value));
            }
            assert_eq!(Row::new(layout, &words[1..]), None);
        }
    }

    #[test]
    fn words_are_what_the_table_above_says() {
        let head = RowHead {
            ts: 1,
            ts_end: 2,
            available_at: 3,
            known_at: 4,
            sequence: 5,
            at_sequence: 6,
            session: 7,
            flags: RowFlags::CORRECTED,
        };
        let cells = [(Reason::Ok, 1.0), (Reason::Missing, 1.0), (Reason::Ok, -2.0)];
        let mut words = [0; 11];
        head.encode(RowLayout::new(3), cells, &mut words);
        let one = 0x3ff0_0000_0000_0000;
        let minus_two = 0xc000_0000_0000_0000;
        assert_eq!(words, [1, 2, 3, 4, 5, 6, 0x2_0000_0007, 0x0800, one, 0, minus_two]);
    }
}
