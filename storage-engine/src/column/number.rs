//! Numbers of variable length in the headers of vectors, and the cursor that reads them.
//!
//! A number is written in groups of 7 bits, the lowest group first, one a byte; bit 7 is set in
//! every byte but the last. A signed number is zig-zagged first: 0, -1, 1, -2, 2 … become 0, 1, 2,
//! 3, 4 …, so that small ones of either sign are short. There is one way to write a number: a last
//! byte of zero after another byte, or more than 64 bits, is damage.

use super::Damaged;

/// Longest number in bytes: 64 bits in groups of 7.
const NUMBER_LEN_MAX: u32 = 10;

/// Interleaves the signs: 0, -1, 1, -2 … become 0, 1, 2, 3 …
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Takes [`zigzag`] back.
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a number.
pub(super) fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a count.
pub(super) fn put_count(count: usize, out: &mut Vec<u8>) {
    put(count as u64, out);
}

/// Appends a signed number.
pub(super) fn put_signed(value: i64, out: &mut Vec<u8>) {
    put(zigzag(value), out);
}

/// How many bytes [`put`] appends.
pub(super) const fn len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// How many bytes [`put_signed`] appends.
pub(super) const fn len_signed(value: i64) -> usize {
    len(zigzag(value))
}

/// Reads from the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damaged("a vector is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for group in 0..NUMBER_LEN_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            let is_last = byte & 0x80 == 0;
            if (is_last && byte == 0 && group > 0) || (group == NUMBER_LEN_MAX - 1 && bits > 1) {
                break;
            }
            value |= bits << (7 * group);
            if is_last {
                return Ok(value);
            }
        }
        Err(Damaged("a number is not written the one way there is"))
    }

    /// The next signed number.
    pub(super) fn signed(&mut self) -> Result<i64, Damaged> {
        self.number().map(unzigzag)
    }

    /// The next number, which counts things there are at least one and at most `max` of.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, Damaged> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|count| (1..=max).contains(count))
            .ok_or(Damaged("a count is zero or larger than the vector allows"))
    }

    /// Whether every byte was read.
    pub(super) fn end(self) -> Result<(), Damaged> {
        if self.0.is_empty() { Ok(()) } else { Err(Damaged("a vector is followed by more bytes")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put(value, &mut out);
        out
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [127]);
        assert_eq!(written(128), [0x80, 1]);
        // 300 = 2 * 128 + 44
        assert_eq!(written(300), [0x80 | 44, 2]);
        assert_eq!(written(u64::MAX), [[0xFF; 9].as_slice(), &[1]].concat());
        let mut out = Vec::new();
        for value in [0, -1, 1, -2, i64::MIN] {
            put_signed(value, &mut out);
        }
        assert_eq!(out, [[0, 1, 2, 3].as_slice(), &[0xFF; 9], &[1]].concat());
    }

    #[test]
    fn a_number_has_one_way_to_be_written() {
        let too_long = [[0xFF; 9].as_slice(), &[2]].concat();
        let endless = [0xFF; 11];
        for bytes in [[0x80, 0].as_slice(), &[0x81], &[], &too_long, &endless] {
            assert!(Reader::new(bytes).number().is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, shift in 0_u32..64) {
            let value = value >> shift;
            let bytes = written(value);
            prop_assert_eq!(bytes.len(), len(value));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
            prop_assert_eq!(zigzag(unzigzag(value)), value);
        }
    }
}
