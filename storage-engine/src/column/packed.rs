//! Encoding `packed`: offsets from a base in few bits, and patches for the few that need more.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1 | `width` | bits 0–6: bits of a packed offset, 0 to 64; bit 7: there are patches |
//! | 1 | 1 | `shape` | 0 from a base; 1 zig-zag, for values on both sides of 0 |
//! | 2 | 1–10 | `base` | signed number; only if `shape` is 0 |
//! | | 1–10 | `unit` | number, at least 1 |
//! | | 1–2 | `patch_count` | number, 1 to n; only with patches |
//! | | 1 | `high_width` | bits of a patch, 1 to 64 - `width`; only with patches |
//! | | ⌈n × `width` / 8⌉ | `offsets` | the lowest `width` bits of each offset, as [`super::bits`] |
//! | | ⌈10 × `patch_count` / 8⌉ | `places` | rows of the patches, rising: a stream of 10 bits each |
//! | | ⌈`high_width` × `patch_count` / 8⌉ | `highs` | a stream of the bits above `width` of their offsets |
//!
//! A value is `base + unit × offset`, or `unit × unzigzag(offset)`, modulo 2^64: no bytes are out
//! of range. The unit is what all offsets are multiples of: minutes, round lots, quarter points.
//! Patches keep one outlier (an overnight gap, an auction's volume) from widening all others.
//! Damage: a width, shape, count or place out of the ranges above, or bits left over not zero.

use super::bits::{self, Stream, Unpacked, packed_len, width_of};
use super::divisor::{self, Divisor};
use super::number::{self, Reader, unzigzag, zigzag};
use super::{Damaged, VECTOR_LEN};

const PATCHED: u8 = 0x80;
const FROM_BASE: u8 = 0;
const ZIGZAG: u8 = 1;
/// Bits of a patch's row number.
const PLACE_WIDTH: u32 = 10;
const _: () = assert!(1 << PLACE_WIDTH == VECTOR_LEN, "a place names any row of a vector");

/// How offsets are made from values.
#[derive(Clone, Copy, Debug)]
enum Shape {
    FromBase(i64),
    Zigzag,
}

impl Shape {
    #[inline]
    fn distance(self, value: i64) -> u64 {
        match self {
            Self::FromBase(base) => value.wrapping_sub(base).cast_unsigned(),
            Self::Zigzag => value.unsigned_abs(),
        }
    }

    #[inline]
    fn offset(self, value: i64, unit: Divisor) -> u64 {
        let quotient = unit.quotient(self.distance(value));
        match self {
            Self::FromBase(_) => quotient,
            Self::Zigzag if value < 0 => zigzag(quotient.cast_signed().wrapping_neg()),
            Self::Zigzag => zigzag(quotient.cast_signed()),
        }
    }

    fn header_len(self, unit: Divisor) -> usize {
        let base_len = match self {
            Self::FromBase(base) => number::len_signed(base),
            Self::Zigzag => 0,
        };
        2 + base_len + number::len(unit.get())
    }
}

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    shape: Shape,
    unit: Divisor,
    split: Split,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

/// Where offsets are cut into packed bits and patches.
#[derive(Clone, Copy, Debug)]
struct Split {
    width: u32,
    high_width: u32,
    patch_count: usize,
    len: usize,
}

impl Split {
    /// The cheapest split, given how many offsets there are of each width.
    fn cheapest(count: usize, count_of_width: &[usize; 65]) -> Self {
        let widest = (0..=64).rev().find(|&width| count_of_width[width as usize] > 0).unwrap_or(0);
        let mut best =
            Self { width: widest, high_width: 0, patch_count: 0, len: packed_len(count, widest) };
        let mut patch_count = 0;
        for width in (0..widest).rev() {
            patch_count += count_of_width[width as usize + 1];
            let high_width = widest - width;
            let len = packed_len(count, width)
                + number::len(patch_count as u64)
                + 1
                + packed_len(patch_count, PLACE_WIDTH)
                + packed_len(patch_count, high_width);
            if len < best.len {
                best = Self { width, high_width, patch_count, len };
            }
        }
        best
    }
}

fn plan_shape(values: &[i64], shape: Shape, unit: Divisor) -> Plan {
    let mut count_of_width = [0; 65];
    if unit.get() == 1 {
        for &value in values {
            let offset = match shape {
                Shape::FromBase(base) => value.wrapping_sub(base).cast_unsigned(),
                Shape::Zigzag => zigzag(value),
            };
            count_of_width[width_of(offset) as usize] += 1;
        }
    } else {
        for &value in values {
            count_of_width[width_of(shape.offset(value, unit)) as usize] += 1;
        }
    }
    let split = Split::cheapest(values.len(), &count_of_width);
    Plan { shape, unit, split, len: shape.header_len(unit) + split.len }
}

/// The cheapest way to write `values`.
pub(super) fn plan(values: &[i64]) -> Plan {
    let (min, max) = values
        .iter()
        .fold((i64::MAX, i64::MIN), |(min, max), &value| (min.min(value), max.max(value)));
    let min = if values.is_empty() { 0 } else { min };
    let shape = Shape::FromBase(min);
    let unit = divisor::common(values.iter().map(|&value| shape.distance(value)));
    let from_base = plan_shape(values, shape, unit);
    // Zig-zag keeps outliers on both sides from widening the rest. It needs a bit more than the
    // base does unless there are such outliers, and cannot help where nothing is below 0.
    if min >= 0 || max == min || from_base.split.width == 0 {
        return from_base;
    }
    let unit = if unit.get() == 1 {
        unit
    } else {
        // What divides all values divides their distances from the base.
        Divisor::new(divisor::gcd(min.unsigned_abs(), unit.get()))
    };
    let zigzag = plan_shape(values, Shape::Zigzag, unit);
    if zigzag.len < from_base.len { zigzag } else { from_base }
}

/// Appends the encoding of the values that `plan` was made for.
pub(super) fn encode(values: &[i64], plan: &Plan, out: &mut Vec<u8>) {
    let Plan { shape, unit, split, .. } = *plan;
    let mut buffer = [0; VECTOR_LEN];
    let offsets = &mut buffer[..values.len()];
    for (offset, &value) in offsets.iter_mut().zip(values) {
        *offset = shape.offset(value, unit);
    }
    out.push(byte(split.width) | if split.patch_count > 0 { PATCHED } else { 0 });
    match shape {
        Shape::FromBase(base) => {
            out.push(FROM_BASE);
            number::put_signed(base, out);
        }
        Shape::Zigzag => out.push(ZIGZAG),
    }
    number::put(unit.get(), out);
    if split.patch_count > 0 {
        number::put_count(split.patch_count, out);
        out.push(byte(split.high_width));
    }
    bits::pack(offsets, split.width, out);
    if split.patch_count > 0 {
        let mut places = Vec::with_capacity(split.patch_count);
        let mut highs = Vec::with_capacity(split.patch_count);
        for (place, offset) in (0_u64..).zip(offsets.iter()) {
            let high = offset >> split.width;
            if high != 0 {
                places.push(place);
                highs.push(high);
            }
        }
        bits::pack_stream(&places, PLACE_WIDTH, out);
        bits::pack_stream(&highs, split.high_width, out);
    }
}

fn byte(width: u32) -> u8 {
    u8::try_from(width).expect("invariant: a width is at most 64")
}

/// A packed vector, checked but not unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    count: usize,
    shape: Shape,
    unit: i64,
    width: u32,
    offsets: &'a [u8],
    patches: Option<Patches<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Patches<'a> {
    count: usize,
    high_width: u32,
    places: &'a [u8],
    highs: &'a [u8],
}

impl<'a> Packed<'a> {
    /// Takes the packed vector of `count` values, at most [`VECTOR_LEN`], that is next.
    pub(super) fn take(reader: &mut Reader<'a>, count: usize) -> Result<Self, Damaged> {
        let first = reader.byte()?;
        let width = u32::from(first & !PATCHED);
        if width > u64::BITS {
            return Err(Damaged("a packed width is larger than 64 bits"));
        }
        let shape = match reader.byte()? {
            FROM_BASE => Shape::FromBase(reader.signed()?),
            ZIGZAG => Shape::Zigzag,
            _ => return Err(Damaged("a packed vector has a shape that does not exist")),
        };
        let unit = reader.number()?;
        if unit == 0 {
            return Err(Damaged("the unit of a packed vector is 0"));
        }
        let patch_counts = if first & PATCHED == 0 {
            None
        } else {
            let patch_count = reader.count(count)?;
            let high_width = u32::from(reader.byte()?);
            if high_width == 0 || high_width + width > u64::BITS {
                return Err(Damaged("the patches of a packed vector have an impossible width"));
            }
            Some((patch_count, high_width))
        };
        let offsets = bits::take(reader, count, width)?;
        let patches = match patch_counts {
            None => None,
            Some((count, high_width)) => Some(Patches {
                count,
                high_width,
                places: bits::take(reader, count, PLACE_WIDTH)?,
                highs: bits::take(reader, count, high_width)?,
            }),
        };
        Ok(Self { count, shape, unit: unit.cast_signed(), width, offsets, patches })
    }

    /// The largest distance from 0 that a value can have, and that of a sum of any of the values.
    pub(super) const fn bounds(&self) -> Bounds {
        let high_width = match &self.patches {
            Some(patches) => patches.high_width,
            None => 0,
        };
        let patch_count = match &self.patches {
            Some(patches) => patches.count,
            None => 0,
        };
        let max = self.largest(self.width + high_width);
        let unpatched = self.largest(self.width).saturating_mul(self.count as u64);
        Bounds { max, sum: unpatched.saturating_add(max.saturating_mul(patch_count as u64)) }
    }

    /// The largest distance from 0 of a value whose offset has `width` bits.
    const fn largest(&self, width: u32) -> u64 {
        let offset = bits::mask(width);
        let unit = self.unit.cast_unsigned();
        match self.shape {
            Shape::FromBase(base) => {
                unit.saturating_mul(offset).saturating_add(base.unsigned_abs())
            }
            Shape::Zigzag => unit.saturating_mul(offset.div_ceil(2)),
        }
    }

    /// Unpacks into `out`, which is as long as the count that was taken.
    pub(super) fn decode(&self, out: &mut [i64]) -> Result<(), Damaged> {
        self.unpack_offsets(out, |offset, high| *offset |= high.cast_signed())?;
        let unit = self.unit;
        let values = out.iter_mut();
        match (self.shape, unit) {
            (Shape::FromBase(0), 1) => {}
            (Shape::FromBase(base), 1) => values.for_each(|it| *it = base.wrapping_add(*it)),
            (Shape::FromBase(base), _) => {
                values.for_each(|it| *it = base.wrapping_add(unit.wrapping_mul(*it)));
            }
            (Shape::Zigzag, 1) => values.for_each(|it| *it = unzigzag(it.cast_unsigned())),
            (Shape::Zigzag, _) => {
                values.for_each(|it| *it = unit.wrapping_mul(unzigzag(it.cast_unsigned())));
            }
        }
        Ok(())
    }

    /// As [`Self::decode`] for values whose [`Self::bounds`] are below 2^31, in half the space.
    pub(super) fn decode_small(&self, out: &mut [i32]) -> Result<(), Damaged> {
        let small = |value| i32::try_from(value).expect("invariant: the bounds are below 2^31");
        self.unpack_offsets(out, |offset, high| *offset |= i32::from_bits(high))?;
        let values = out.iter_mut();
        // A unit that is not small has no offset to be multiplied with.
        let unit = i32::try_from(self.unit).unwrap_or(0);
        let unzigzag = |it: i32| (it.cast_unsigned() >> 1).cast_signed() ^ -(it & 1);
        match (self.shape, unit) {
            (Shape::FromBase(0), 1) => {}
            (Shape::FromBase(base), 1) => {
                let base = small(base);
                values.for_each(|it| *it = base.wrapping_add(*it));
            }
            (Shape::FromBase(base), _) => {
                let base = small(base);
                values.for_each(|it| *it = base.wrapping_add(unit.wrapping_mul(*it)));
            }
            (Shape::Zigzag, 1) => values.for_each(|it| *it = unzigzag(*it)),
            (Shape::Zigzag, _) => values.for_each(|it| *it = unit.wrapping_mul(unzigzag(*it))),
        }
        Ok(())
    }

    /// Unpacks the offsets; `patch` adds bits that stand above a packed offset.
    fn unpack_offsets<T: Unpacked>(
        &self,
        out: &mut [T],
        mut patch: impl FnMut(&mut T, u64),
    ) -> Result<(), Damaged> {
        assert_eq!(out.len(), self.count, "invariant: as many values as were taken");
        bits::unpack(self.offsets, self.width, out);
        let Some(patches) = &self.patches else { return Ok(()) };
        let places = Stream::new(patches.places, PLACE_WIDTH);
        let highs = Stream::new(patches.highs, patches.high_width);
        let mut first_allowed = 0;
        for index in 0..patches.count {
            let place = usize::try_from(places.get(index)).expect("invariant: it has 10 bits");
            if place < first_allowed {
                return Err(Damaged("the places of patches do not rise"));
            }
            first_allowed = place + 1;
            let offset = out.get_mut(place);
            let offset = offset.ok_or(Damaged("a patch is for a row that is not there"))?;
            patch(offset, highs.get(index) << self.width);
        }
        Ok(())
    }
}

/// How far from 0 values can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Any value by itself.
    pub(super) max: u64,
    /// The sum of any of them.
    pub(super) sum: u64,
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    Packed::take(reader, out.len())?.decode(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[i64], golden: &[u8]) {
        let plan = plan(values);
        let mut out = Vec::new();
        encode(values, &plan, &mut out);
        assert_eq!(out, golden);
        assert_eq!(plan.len, golden.len());
        let mut back = vec![0; values.len()];
        decode(&mut Reader::new(golden), &mut back).unwrap();
        assert_eq!(back, values);
    }

    #[test]
    fn golden_bytes_from_a_base() {
        // Offsets 0, 3, 1, 0 from 10 in 2 bits: 0b00_01_11_00.
        check(&[10, 13, 11, 10], &[2, FROM_BASE, 20, 1, 0x1C]);
    }

    #[test]
    fn golden_bytes_in_units() {
        // 300 + 200 × (0, 1, 0, 4) in 3 bits: 0b100_000_001_000. 600 = 4 × 128 + 88.
        check(&[300, 500, 300, 1100], &[3, FROM_BASE, 0x80 | 88, 4, 0x80 | 72, 1, 0x08, 0x08]);
    }

    #[test]
    fn golden_bytes_of_zigzag() {
        // 1, 0, 2, 1 in 2 bits: 0b01_10_00_01. No base: a byte less than from -1.
        check(&[-1, 0, 1, -1], &[2, ZIGZAG, 1, 0x61]);
    }

    #[test]
    fn golden_bytes_with_a_patch() {
        let mut values: Vec<i64> = (0..40).map(|row| row % 2).collect();
        values[17] = 0x501;
        // The lowest bit of every row; then for row 17 (10 bits) the other ten bits, 0x280.
        let header = [PATCHED | 1, FROM_BASE, 0, 1, 1, 10];
        check(&values, &[header.as_slice(), &[0xAA; 5], &[17, 0], &[0x80, 0x02]].concat());
    }

    #[test]
    fn the_whole_range_of_integers_has_offsets() {
        // The distance, 2^64 - 1, is the unit: offsets 0, 1, 1, 0.
        let base = [0xFF; 9];
        let golden = [[1, FROM_BASE].as_slice(), &base, &[1], &[0xFF; 9], &[1, 0b0110]].concat();
        check(&[i64::MIN, i64::MAX, i64::MAX, i64::MIN], &golden);
    }

    #[test]
    fn damage_is_refused() {
        let patched = [PATCHED | 1, FROM_BASE, 0, 1];
        for (count, body) in [
            (1, [65, FROM_BASE, 0, 1].as_slice()),     // width
            (1, &[0, 2, 0, 1]),                        // shape
            (1, &[0, FROM_BASE, 0, 0]),                // unit
            (3, &[1, FROM_BASE, 0, 1, 0b1000]),        // bits left over
            (9, &[1, FROM_BASE, 0, 1, 0]),             // cut off
            (3, &[&patched[..], &[0, 1, 0]].concat()), // no patches
            (3, &[&patched[..], &[4, 1, 0, 0, 0, 0, 0, 0, 0]].concat()), // more than rows
            (3, &[&patched[..], &[1, 0, 0, 0, 0]].concat()), // no high bits
            (3, &[&patched[..], &[1, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()), // too many
            (3, &[&patched[..], &[1, 1, 0, 3, 0, 1]].concat()), // row 3 of 3
            (3, &[&patched[..], &[2, 1, 0, 1, 4, 0, 3]].concat()), // row 1 twice
        ] {
            let mut out = vec![0; count];
            assert!(decode(&mut Reader::new(body), &mut out).is_err(), "{body:?}");
        }
        let mut out = [0; 3];
        let right = [&patched[..], &[2, 1, 0, 1, 8, 0, 3]].concat();
        decode(&mut Reader::new(&right), &mut out).unwrap();
        assert_eq!(out, [0, 2, 2], "what is refused above is refused for what it says");
    }
}
