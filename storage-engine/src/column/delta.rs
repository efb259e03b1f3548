//! Encoding `delta`: the first value, then the differences between neighbours, packed.
//!
//! | at | size | field         | meaning                                              |
//! |---:|-----:|---------------|------------------------------------------------------|
//! |  0 | 1–10 | `first`       | signed number: the value of the first row            |
//! |    |      | `differences` | n - 1 values in [`super::packed`]; none if n is 1    |
//!
//! Differences are taken modulo 2^64.

use super::number::{self, Reader};
use super::{Damaged, VECTOR_LEN, packed};

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    packed: packed::Plan,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

/// The differences between neighbours of `values`, in `buffer`.
pub(super) fn differences<'a>(values: &[i64], buffer: &'a mut [i64; VECTOR_LEN]) -> &'a [i64] {
    for (difference, pair) in buffer.iter_mut().zip(values.windows(2)) {
        *difference = pair[1].wrapping_sub(pair[0]);
    }
    &buffer[..values.len().saturating_sub(1)]
}

/// The cheapest way to write `values`, whose [`differences`] are given; `None` if there are none.
pub(super) fn plan(values: &[i64], differences: &[i64]) -> Option<Plan> {
    if differences.is_empty() {
        return None;
    }
    let packed = packed::plan(differences);
    Some(Plan { packed, len: number::len_signed(values[0]) + packed.len })
}

/// Appends the encoding of the values that `plan` was made for.
pub(super) fn encode(values: &[i64], differences: &[i64], plan: &Plan, out: &mut Vec<u8>) {
    number::put_signed(values[0], out);
    packed::encode(differences, &plan.packed, out);
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let Some((first, rest)) = out.split_first_mut() else {
        return Err(Damaged("a vector of differences has no rows"));
    };
    *first = reader.signed()?;
    if rest.is_empty() {
        return Ok(());
    }
    packed::decode(reader, rest)?;
    let mut value = *first;
    for difference in rest {
        value = value.wrapping_add(*difference);
        *difference = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let values = [100, 103, 101];
        let mut buffer = [0; VECTOR_LEN];
        let differences = differences(&values, &mut buffer);
        assert_eq!(differences, [3, -2]);
        let plan = plan(&values, differences).unwrap();
        let mut out = Vec::new();
        encode(&values, differences, &plan, &mut out);
        // 200 = 1 × 128 + 72; then 3 and -2 packed: zig-zag 6 and 3 in 3 bits, 0b011_110.
        assert_eq!(out, [0x80 | 72, 1, 3, 1, 1, 0x1E]);
        assert_eq!(plan.len, out.len());
    }

    #[test]
    fn differences_beyond_the_range_wrap() {
        let values = [i64::MAX, i64::MIN, 0];
        let mut buffer = [0; VECTOR_LEN];
        let differences = differences(&values, &mut buffer);
        assert_eq!(differences, [1, i64::MIN]);
        let plan = plan(&values, differences).unwrap();
        let mut out = Vec::new();
        encode(&values, differences, &plan, &mut out);
        let mut back = [0; 3];
        decode(&mut Reader::new(&out), &mut back).unwrap();
        assert_eq!(back, values);
    }
}
