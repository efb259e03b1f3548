//! Encoding `delta`: the first value, then the differences between neighbours, packed.
//!
//! | at | size | field         | meaning                                              |
//! |---:|-----:|---------------|------------------------------------------------------|
//! |  0 | 1–10 | `first`       | signed number: the value of the first row            |
//! |    |      | `differences` | n values in [`super::packed`]                        |
//!
//! Differences are taken modulo 2^64. That of the first row does not count: it makes as many
//! differences as there are rows; the writer repeats that of the second row.

use super::number::{self, Reader};
use super::{Damaged, VECTOR_LEN, packed};

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    packed: packed::Plan,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

/// The differences between neighbours of `values`, in `buffer`: one a row, the first one twice.
/// None if there are no two rows.
pub(super) fn differences<'a>(values: &[i64], buffer: &'a mut [i64; VECTOR_LEN]) -> &'a [i64] {
    if values.len() < 2 {
        return &[];
    }
    for (difference, pair) in buffer[1..].iter_mut().zip(values.windows(2)) {
        *difference = pair[1].wrapping_sub(pair[0]);
    }
    buffer[0] = buffer[1];
    &buffer[..values.len()]
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

/// Fills `out`, which has at least a row.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let first = reader.signed()?;
    packed::decode(reader, out)?;
    let mut value = first.wrapping_sub(out[0]);
    for difference in out {
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
        assert_eq!(differences, [3, 3, -2]);
        let plan = plan(&values, differences).unwrap();
        let mut out = Vec::new();
        encode(&values, differences, &plan, &mut out);
        // 200 = 1 × 128 + 72; then 3, 3 and -2 packed: -2 + 5 × (1, 1, 0) in a bit each.
        assert_eq!(out, [0x80 | 72, 1, 1, 0, 3, 5, 0b011]);
        assert_eq!(plan.len, out.len());
    }

    #[test]
    fn differences_beyond_the_range_wrap() {
        let values = [i64::MAX, i64::MIN, 0];
        let mut buffer = [0; VECTOR_LEN];
        let differences = differences(&values, &mut buffer);
        assert_eq!(differences, [1, 1, i64::MIN]);
        let plan = plan(&values, differences).unwrap();
        let mut out = Vec::new();
        encode(&values, differences, &plan, &mut out);
        let mut back = [0; 3];
        decode(&mut Reader::new(&out), &mut back).unwrap();
        assert_eq!(back, values);
    }
}
