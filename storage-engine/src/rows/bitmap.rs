//! Which rows of a column have a value.

use std::ops::Range;

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

    /// Adds `count` bits, all equal to `bit`, at the end.
    pub fn extend_filled(&mut self, count: usize, bit: bool) {
        let until_byte = (self.len.next_multiple_of(8) - self.len).min(count);
        (0..until_byte).for_each(|_| self.push(bit));
        self.bytes.extend_from_slice(Self::filled(count - until_byte, bit).bytes());
        self.len += count - until_byte;
    }

    /// Adds the bits of `range` of `other` at the end.
    pub fn extend_from(&mut self, other: &Self, mut range: Range<usize>) {
        if self.len.is_multiple_of(8) && range.start.is_multiple_of(8) {
            let whole = range.len() / 8;
            let start = range.start / 8;
            self.bytes.extend_from_slice(&other.bytes[start..start + whole]);
            self.len += whole * 8;
            range.start += whole * 8;
        }
        range.for_each(|at| self.push(other.get(at)));
    }

    /// Whether all bits of `range` are equal to `bit`.
    pub fn is_filled(&self, range: Range<usize>, bit: bool) -> bool {
        let same = |range: Range<usize>| range.into_iter().all(|at| self.get(at) == bit);
        let whole = range.start.div_ceil(8)..range.end / 8;
        if whole.is_empty() {
            return same(range);
        }
        let byte = if bit { 0xFF } else { 0 };
        same(range.start..whole.start * 8)
            && same(whole.end * 8..range.end)
            && self.bytes[whole].iter().all(|&found| found == byte)
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
    fn bits_added_many_at_a_time_are_those_added_one_by_one() {
        for (before, count) in [(0, 0), (0, 8), (3, 2), (3, 5), (3, 30), (8, 9), (1, 64)] {
            for bit in [false, true] {
                let mut many: Bitmap = (0..before).map(|i| i % 2 == 0).collect();
                let mut one_by_one = many.clone();
                many.extend_filled(count, bit);
                (0..count).for_each(|_| one_by_one.push(bit));
                assert_eq!(many, one_by_one, "{count} after {before}");
                assert!(many.is_filled(before..before + count, bit));
                for (start, len) in [(0, 0), (0, 8), (1, 0), (8, 8), (8, 3)] {
                    let range = start.min(many.len())..many.len();
                    let mut part = Bitmap::filled(len, true);
                    part.extend_from(&many, range.clone());
                    let ones = std::iter::repeat_n(true, len);
                    let expected: Bitmap = ones.chain(range.map(|at| many.get(at))).collect();
                    assert_eq!(part, expected);
                }
                let changes = (1..many.len()).find(|&at| many.get(at) != many.get(0));
                let end = changes.unwrap_or(many.len());
                assert!(many.is_filled(0..end, end == 0 || many.get(0)));
                assert!(changes.is_none() || !many.is_filled(0..many.len(), many.get(0)));
            }
        }
    }
}
