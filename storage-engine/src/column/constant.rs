//! Encoding `constant`: every row has the same value.
//!
//! | at | size | field   | meaning                  |
//! |---:|-----:|---------|--------------------------|
//! |  0 | 1–10 | `value` | a signed [`super::number`] |

use super::Damaged;
use super::number::{self, Reader};

/// Bytes of the encoding, or `None` if the values differ.
pub(super) fn plan(values: &[i64]) -> Option<usize> {
    let first = *values.first()?;
    values.iter().all(|&value| value == first).then(|| number::len_signed(first))
}

/// Appends the encoding of values for which [`plan`] found a size.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    number::put_signed(values[0], out);
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [i64]) -> Result<(), Damaged> {
    out.fill(reader.signed()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        assert_eq!(plan(&[-3, -3]), Some(1));
        let mut out = Vec::new();
        encode(&[-3, -3], &mut out);
        assert_eq!(out, [5], "zig-zag of -3");
        assert_eq!(plan(&[-3, -2]), None);
    }
}
