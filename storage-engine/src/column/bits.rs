//! Unsigned numbers of one width, packed bit by bit, in one of two layouts.
//!
//! A **stream** of values of width `w`: value `i` takes the bits `i * w .. (i + 1) * w`, where bit
//! `b` is bit `b % 8` of byte `b / 8`. `n` values take `n * w / 8` bytes, rounded up; the bits left
//! over in the last byte are zero, and anything else there is damage.
//!
//! A **block** holds the 1,024 values of a full vector, `w * 128` bytes, as many as a stream of
//! them. It has 32 lanes, and value `i` stands in lane `i % 32`, so that a processor unpacks
//! neighbours side by side with the same shift. A lane is a row of words of 32 bits; its values
//! follow each other in their bits, lowest bit first; word `k` of lane `l` is the little-endian
//! word `32 * k + l` of the block. If `w` is larger than 32, a block of the lowest 32 bits comes
//! first, then one of the `w - 32` bits above.
//!
//! The values of a vector are a block if there are 1,024 of them, a stream if there are fewer.
//! Lists beside them (the places of patches) are always streams.

use super::number::Reader;
use super::{Damaged, VECTOR_LEN};

/// Lanes of a block, and values in each lane.
const LANES: usize = 32;
const _: () = assert!(LANES * LANES == VECTOR_LEN, "a block is as many values as a vector");
/// A word of each lane.
type Words = [u8; LANES * WORD_LEN];
const WORD_LEN: usize = size_of::<u32>();

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

/// The lowest 32 bits of `bits`.
const fn low_word(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What values are unpacked into.
pub(super) trait Unpacked: Copy {
    /// A value of at most 32 bits.
    fn from_word(word: u32) -> Self;

    /// A value of more bits; those that do not fit are lost.
    fn from_bits(bits: u64) -> Self;
}

impl Unpacked for i32 {
    #[inline]
    fn from_word(word: u32) -> Self {
        word.cast_signed()
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        low_word(bits).cast_signed()
    }
}

impl Unpacked for i64 {
    #[inline]
    fn from_word(word: u32) -> Self {
        Self::from(word)
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits.cast_signed()
    }
}

impl Unpacked for u32 {
    #[inline]
    fn from_word(word: u32) -> Self {
        word
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        low_word(bits)
    }
}

/// Appends the lowest `width` bits of each value of a vector: a block if it is full.
pub(super) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    match <&[u64; VECTOR_LEN]>::try_from(values) {
        Ok(values) => pack_block(values, width, out),
        Err(_) => pack_stream(values, width, out),
    }
}

fn pack_block(values: &[u64; VECTOR_LEN], width: u32, out: &mut Vec<u8>) {
    let low_width = width.min(u32::BITS);
    pack_lanes(values, 0, low_width, out);
    pack_lanes(values, u32::BITS, width - low_width, out);
}

/// Appends a block of the `width` bits of each value from bit `from` on.
fn pack_lanes(values: &[u64; VECTOR_LEN], from: u32, width: u32, out: &mut Vec<u8>) {
    let start = out.len();
    let mask = mask(width);
    let (mut words, mut filled) = ([0_u64; LANES], 0);
    for row in values.as_chunks::<LANES>().0 {
        for (word, value) in words.iter_mut().zip(row) {
            *word |= (value >> from & mask) << filled;
        }
        filled += width;
        if filled >= u32::BITS {
            out.extend(words.iter().flat_map(|&word| low_word(word).to_le_bytes()));
            words.iter_mut().for_each(|word| *word >>= u32::BITS);
            filled -= u32::BITS;
        }
    }
    assert_eq!(out.len() - start, packed_len(VECTOR_LEN, width), "invariant: whole words");
}

/// Appends the lowest `width` bits of each value as a stream.
pub(super) fn pack_stream(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let end = out.len() + packed_len(values.len(), width);
    if width == 0 {
        return;
    }
    let mask = mask(width);
    let (mut word, mut filled) = (0_u64, 0);
    for value in values {
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

/// Unpacks the values of a vector from the bytes that [`take`] took; as many as `out` holds.
pub(super) fn unpack<T: Unpacked>(bytes: &[u8], width: u32, out: &mut [T]) {
    assert_eq!(bytes.len(), packed_len(out.len(), width), "invariant: `take` took them");
    if width == 0 {
        return out.fill(T::from_word(0));
    }
    match <&mut [T; VECTOR_LEN]>::try_from(&mut *out) {
        Ok(out) => unpack_block(bytes, width, out),
        Err(_) => {
            let stream = Stream::new(bytes, width);
            for (index, value) in out.iter_mut().enumerate() {
                *value = T::from_bits(stream.get(index));
            }
        }
    }
}

fn unpack_block<T: Unpacked>(bytes: &[u8], width: u32, out: &mut [T; VECTOR_LEN]) {
    if width <= u32::BITS {
        return unpack_lanes(bytes, width, out);
    }
    let (low, high) = bytes.split_at(VECTOR_LEN * WORD_LEN);
    let mut highs = [0_u32; VECTOR_LEN];
    unpack_lanes(high, width - u32::BITS, &mut highs);
    for ((value, low), high) in out.iter_mut().zip(low.as_chunks().0).zip(highs) {
        let low = u64::from(u32::from_le_bytes(*low));
        *value = T::from_bits(low | u64::from(high) << u32::BITS);
    }
}

/// Every row of lanes has the same shifts, so that the inner loops become vector instructions.
#[inline(never)]
fn unpack_lanes<T: Unpacked>(bytes: &[u8], width: u32, out: &mut [T; VECTOR_LEN]) {
    let mask = low_word(mask(width));
    let words: &[Words] = bytes.as_chunks().0;
    let (mut at, mut shift) = (0, 0);
    for row in out.as_chunks_mut::<LANES>().0 {
        let low = lanes(&words[at]);
        let end = shift + width;
        if end <= u32::BITS {
            for (value, low) in row.iter_mut().zip(low) {
                *value = T::from_word(u32::from_le_bytes(*low) >> shift & mask);
            }
        } else {
            let high = lanes(&words[at + 1]);
            for ((value, low), high) in row.iter_mut().zip(low).zip(high) {
                let low = u32::from_le_bytes(*low) >> shift;
                let high = u32::from_le_bytes(*high) << (u32::BITS - shift);
                *value = T::from_word((low | high) & mask);
            }
        }
        at += (end / u32::BITS) as usize;
        shift = end % u32::BITS;
    }
}

const fn lanes(words: &Words) -> &[[u8; WORD_LEN]; LANES] {
    match words.as_chunks().0.first_chunk() {
        Some(lanes) => lanes,
        None => unreachable!(),
    }
}

/// A stream of values that are read one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream<'a> {
    bytes: &'a [u8],
    width: u32,
    /// All bytes, if there are fewer than a window has.
    short: u64,
}

impl<'a> Stream<'a> {
    const WINDOW_LEN: usize = size_of::<u64>();
    const SHIFT_MAX: usize = 63;

    /// The stream of values of `width` bits, at most 64, in the bytes that [`take`] took.
    pub(super) fn new(bytes: &'a [u8], width: u32) -> Self {
        let mut short = [0; Self::WINDOW_LEN];
        if bytes.len() < Self::WINDOW_LEN {
            short[..bytes.len()].copy_from_slice(bytes);
        }
        Self { bytes, width, short: u64::from_le_bytes(short) }
    }

    /// Value `index`; anything if there are not as many.
    #[inline]
    pub(super) fn get(&self, index: usize) -> u64 {
        let at = index * self.width as usize;
        // The last window ends with the bytes: no value needs bytes after them.
        let start = (at / 8).min(self.bytes.len().saturating_sub(Self::WINDOW_LEN));
        let shift = (at - start * 8).min(Self::SHIFT_MAX);
        let window = match self.bytes[start..].first_chunk() {
            Some(window) => u64::from_le_bytes(*window),
            None => self.short,
        };
        // A ninth byte's bits; in two shifts: none of it is wanted where `shift` is 0.
        let ninth = self.bytes.get(start + Self::WINDOW_LEN).copied().unwrap_or(0);
        let ninth = u64::from(ninth) << 1 << (Self::SHIFT_MAX - shift);
        (window >> shift | ninth) & mask(self.width)
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
    fn golden_bytes_of_streams() {
        // 1, 2, 3 in 3 bits: 001, 010, 011 from the low end: 0b11_010_001, then 0.
        assert_eq!(packed(&[1, 2, 3], 3), [0b1101_0001, 0]);
        assert_eq!(packed(&[0x0A, 0x0B, 0x0C], 4), [0xBA, 0x0C]);
        assert_eq!(packed(&[u64::MAX], 64), [0xFF; 8]);
        assert_eq!(packed(&[7, 7], 0), []);
        // Only the lowest bits count.
        assert_eq!(packed(&[0xF2], 4), [0x02]);
    }

    #[test]
    fn golden_bytes_of_blocks() {
        // In 3 bits: lane 0 has values 0, 32, 64 ...; its value 10 has bits 30, 31 and then bit 0
        // of the lane's second word, which follows the first words of all lanes.
        let mut values = [0; VECTOR_LEN];
        values[0] = 0b101;
        values[33] = 0b111;
        values[320] = 0b110;
        let mut golden = [0; 3 * 128];
        golden[0] = 0b101;
        golden[4] = 0b11_1000;
        golden[3] = 0b1000_0000;
        golden[128] = 0b1;
        assert_eq!(packed(&values, 3), golden);
        // In 33 bits: the low words, then a bit each.
        let mut values = [0; VECTOR_LEN];
        values[1] = 0x1_2345_6789;
        let mut golden = [0; 33 * 128];
        golden[4..8].copy_from_slice(&[0x89, 0x67, 0x45, 0x23]);
        golden[32 * 128 + 4] = 1;
        assert_eq!(packed(&values, 33), golden);
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
            values in prop_oneof![
                prop::collection::vec(any::<u64>(), 0..200),
                prop::collection::vec(any::<u64>(), VECTOR_LEN),
            ],
            width in 0_u32..=64,
        ) {
            let values: Vec<u64> = values.iter().map(|value| value & mask(width)).collect();
            let bytes = packed(&values, width);
            let mut reader = Reader::new(&bytes);
            let taken = take(&mut reader, values.len(), width).unwrap();
            prop_assert_eq!(reader.end(), Ok(()));
            let mut back = vec![0_i64; values.len()];
            unpack(taken, width, &mut back);
            prop_assert!(back.iter().zip(&values).all(|(a, b)| a.cast_unsigned() == *b));
            let mut back = vec![0_i32; values.len()];
            unpack(taken, width, &mut back);
            prop_assert!(back.iter().zip(&values).all(|(a, b)| a.cast_unsigned() == low_word(*b)));
            if width > 0 {
                let mut bytes = Vec::new();
                pack_stream(&values, width, &mut bytes);
                prop_assert_eq!(bytes.len(), packed_len(values.len(), width));
                let stream = Stream::new(&bytes, width);
                prop_assert!(values.iter().enumerate().all(|(at, &it)| stream.get(at) == it));
            }
        }
    }
}
