//! Encoding `dictionary`: few distinct values, and the place of each row's value among them.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1–2 | `entry_count` | number, 1 to 256 and at most n |
//! | | | `entries` | the distinct values, rising, in [`super::packed`] |
//! | | ⌈n × w / 8⌉ | `codes` | each row's place in `entries`, in w bits |
//!
//! w is the bits of `entry_count - 1`. A code that is no place is damage.

use super::bits::{self, packed_len, width_of};
use super::number::{self, Reader};
use super::{Damaged, VECTOR_LEN, packed};

/// Most entries: with more, codes are no shorter than packed values of a byte.
const ENTRY_COUNT_MAX: usize = 256;

/// What [`encode`] will do, and how many bytes it takes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    entries: Vec<i64>,
    packed: packed::Plan,
    /// Bytes of the encoding.
    pub(super) len: usize,
}

/// Bits of a code among `entry_count` entries.
pub(super) const fn code_width(entry_count: usize) -> u32 {
    width_of(entry_count.saturating_sub(1) as u64)
}

/// The distinct values of `values`, rising; `None` if there are more than [`ENTRY_COUNT_MAX`].
fn distinct(values: &[i64]) -> Option<Vec<i64>> {
    /// Four places an entry: few collisions.
    const TABLE_LEN: usize = ENTRY_COUNT_MAX * 4;
    let mut table: [Option<i64>; TABLE_LEN] = [None; TABLE_LEN];
    let mut entries = Vec::new();
    for &value in values {
        // Fibonacci hashing: the high bits of a product with 2^64 / golden ratio.
        let hash = value.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
        let mut at = usize::try_from(hash).expect("invariant: 10 bits are left");
        loop {
            match table[at % TABLE_LEN] {
                Some(entry) if entry == value => break,
                Some(_) => at += 1,
                None => {
                    if entries.len() == ENTRY_COUNT_MAX {
                        return None;
                    }
                    table[at % TABLE_LEN] = Some(value);
                    entries.push(value);
                    break;
                }
            }
        }
    }
    entries.sort_unstable();
    Some(entries)
}

/// The dictionary of `values`; `None` if there are too many distinct ones.
pub(super) fn plan(values: &[i64]) -> Option<Plan> {
    let entries = distinct(values)?;
    let packed = packed::plan(&entries);
    let codes_len = packed_len(values.len(), code_width(entries.len()));
    let len = number::len(entries.len() as u64) + packed.len + codes_len;
    Some(Plan { entries, packed, len })
}

/// Appends the encoding of the values that `plan` was made for.
pub(super) fn encode(values: &[i64], plan: &Plan, out: &mut Vec<u8>) {
    number::put_count(plan.entries.len(), out);
    packed::encode(&plan.entries, &plan.packed, out);
    let mut buffer = [0; VECTOR_LEN];
    for (code, value) in buffer.iter_mut().zip(values) {
        let place = plan.entries.binary_search(value);
        *code = place.expect("invariant: every value has an entry") as u64;
    }
    bits::pack(&buffer[..values.len()], code_width(plan.entries.len()), out);
}

/// Takes the codes of as many rows as `codes` holds; each is below `entry_count`.
pub(super) fn take_codes(
    reader: &mut Reader<'_>,
    entry_count: usize,
    codes: &mut [u32],
) -> Result<(), Damaged> {
    let width = code_width(entry_count);
    bits::unpack(bits::take(reader, codes.len(), width)?, width, codes);
    let last = codes.iter().fold(0, |last, &code| last.max(code));
    if last as usize >= entry_count {
        return Err(Damaged("a code is no place in the dictionary"));
    }
    Ok(())
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let entry_count = reader.count(out.len().min(ENTRY_COUNT_MAX))?;
    let mut entries = [0; ENTRY_COUNT_MAX];
    packed::decode(reader, &mut entries[..entry_count])?;
    let mut buffer = [0; VECTOR_LEN];
    let codes = &mut buffer[..out.len()];
    take_codes(reader, entry_count, codes)?;
    for (value, &code) in out.iter_mut().zip(codes.iter()) {
        *value = entries[code as usize % ENTRY_COUNT_MAX];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let values = [7, -1, 7, 7];
        let plan = plan(&values).unwrap();
        let mut out = Vec::new();
        encode(&values, &plan, &mut out);
        // -1 and 7 packed: zig-zag 1 and 14 in 4 bits; then the codes 1, 0, 1, 1 in a bit each.
        assert_eq!(out, [2, 4, 1, 1, 0xE1, 0b1101]);
        assert_eq!(plan.len, out.len());
    }

    #[test]
    fn more_distinct_values_than_entries_have_no_dictionary() {
        let values: Vec<i64> = (0..257).collect();
        assert!(plan(&values[..256]).is_some());
        assert!(plan(&values).is_none());
    }

    #[test]
    fn damage_is_refused() {
        for body in [
            [0].as_slice(),              // no entry
            &[5, 0, 0, 0, 1, 0, 0],      // more entries than rows
            &[3, 0, 0, 0, 1, 0b11],      // code 3 of 3 entries
            &[2, 0, 0, 0, 1, 0b11_0000], // bits left over
        ] {
            assert!(decode(&mut Reader::new(body), &mut [0; 4]).is_err(), "{body:?}");
        }
    }
}
