//! Unsigned numbers of one width, packed bit by bit.
//!
//! Value `i` of width `w` takes the bits `i * w .. (i + 1) * w` of a stream whose bit `b` is bit
//! `b % 8` of byte `b / 8`. `n` values take `n * w / 8` bytes, rounded up; the bits left over in
//! the last byte are zero, and anything else there is damage.
//!
//! The loops work on blocks of 64 values, which are exactly `w` words of 64 bits whatever `w` is.

use super::Damaged;
use super::number::Reader;

/// Values in a block.
const BLOCK_LEN: usize = 64;

/// Bytes that `count` values of `width` bits take.
pub(super) const fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The bits that `value` needs: 0 for 0, 64 for the largest.
pub(super) const fn width_of(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// The lowest `width` bits set.
pub(super) const fn mask(width: u32) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (u64::BITS - width) }
}

/// Appends the lowest `width` bits of each value.
pub(super) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let end = out.len() + packed_len(values.len(), width);
    if width == 0 {
        return;
    }
    let mask = mask(width);
    for block in values.chunks(BLOCK_LEN) {
        let (mut word, mut filled) = (0_u64, 0);
        for value in block {
            let value = value & mask;
            word |= value << filled;
            filled += width;
            if filled >= u64::BITS {
                out.extend_from_slice(&word.to_le_bytes());
                filled -= u64::BITS;
                // The bits that did not fit; in two shifts because all 64 may have.
                word = value >> 1 >> (width - filled - 1);
            }
        }
        if filled > 0 {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
    out.truncate(end);
}

/// Takes the bytes of `count` values of `width` bits, at most 64, and checks what is left over.
pub(super) fn take<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    width: u32,
) -> Result<&'a [u8], Damaged> {
    let bytes = reader.take(packed_len(count, width))?;
    let used = count * width as usize % 8;
    match bytes.last() {
        Some(last) if used != 0 && last >> used != 0 => {
            Err(Damaged("the bits after the last packed value are not zero"))
        }
        _ => Ok(bytes),
    }
}

/// Unpacks as many values of `width` bits as `out` holds, from the bytes that [`take`] took.
pub(super) fn unpack(bytes: &[u8], width: u32, out: &mut [u64]) {
    assert_eq!(bytes.len(), packed_len(out.len(), width), "invariant: `take` took them");
    if width == 0 {
        out.fill(0);
        return;
    }
    let mask = mask(width);
    // Twice as long as needed, so that an index below 128 needs no check.
    let mut words = [0_u64; 2 * BLOCK_LEN];
    let sources = bytes.chunks(width as usize * 8);
    for (values, source) in out.chunks_mut(BLOCK_LEN).zip(sources) {
        let (whole, rest) = source.as_chunks::<8>();
        for (word, bytes) in words.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(*bytes);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()] = u64::from_le_bytes(last);
        for (index, value) in values.iter_mut().enumerate() {
            let at = index * width as usize;
            let (word, shift) = (at / 64, at % 64);
            let low = words[word % words.len()] >> shift;
            // In two shifts: none of the next word is wanted where `shift` is 0.
            let high = words[(word + 1) % words.len()] << 1 << (63 - shift);
            *value = (low | high) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(values: &[u64], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        pack(values, width, &mut out);
        out
    }

    #[test]
    fn golden_bytes() {
        // 1, 2, 3 in 3 bits: 001, 010, 011 from the low end: 0b11_010_001, then 0.
        assert_eq!(packed(&[1, 2, 3], 3), [0b1101_0001, 0]);
        assert_eq!(packed(&[0x0A, 0x0B, 0x0C], 4), [0xBA, 0x0C]);
        assert_eq!(packed(&[u64::MAX], 64), [0xFF; 8]);
        assert_eq!(packed(&[7, 7], 0), []);
        // Only the lowest bits count.
        assert_eq!(packed(&[0xF2], 4), [0x02]);
    }

    #[test]
    fn a_bit_after_the_last_value_is_damage() {
        assert!(take(&mut Reader::new(&[0b0000_0111]), 1, 3).is_ok());
        assert!(take(&mut Reader::new(&[0b0000_1111]), 1, 3).is_err());
        assert!(take(&mut Reader::new(&[0]), 3, 3).is_err());
    }

    proptest! {
        #[test]
        fn values_of_every_width_come_back(
            values in prop::collection::vec(any::<u64>(), 0..200),
            width in 0_u32..=64,
        ) {
            let values: Vec<u64> = values.iter().map(|value| value & mask(width)).collect();
            let bytes = packed(&values, width);
            let mut reader = Reader::new(&bytes);
            let taken = take(&mut reader, values.len(), width).unwrap();
            prop_assert_eq!(reader.end(), Ok(()));
            let mut back = vec![0; values.len()];
            unpack(taken, width, &mut back);
            prop_assert_eq!(back, values);
        }
    }
}
