//! Encoding `raw`: eight bytes a value, for values without any order that could be used.
//!
//! | at | size  | field    | meaning                                |
//! |---:|------:|----------|----------------------------------------|
//! |  0 | 8 × n | `values` | each value's 64 bits, little-endian    |

use super::Damaged;
use super::number::Reader;

const VALUE_LEN: usize = size_of::<i64>();
const _: () = assert!(VALUE_LEN == 8, "the table above says 8");

/// Bytes of the encoding.
pub(super) const fn plan(values: &[i64]) -> usize {
    values.len() * VALUE_LEN
}

/// Appends the encoding.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    let bytes = reader.take(out.len() * VALUE_LEN)?;
    for (value, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
        *value = i64::from_le_bytes(*bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        encode(&[1, -2], &mut out);
        assert_eq!(out, b"\x01\0\0\0\0\0\0\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    }
}
