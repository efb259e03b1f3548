//! A vector of doubles: decimal where that pays, else their bits as integers.
//!
//! | at | size | field      | meaning                                                     |
//! |---:|-----:|------------|-------------------------------------------------------------|
//! |  0 |    1 | `encoding` | 1 to 7: see [`Encoding`]                                    |
//! |  1 |      | `body`     | 7: [`super::decimal`]; else the bits of the values, each as |
//! |    |      |            | a signed integer of 64 bits, as [`super::integers`]         |

use super::encoding::Encoding;
use super::grid::Grid;
use super::number::Reader;
use super::{Damaged, VECTOR_LEN, decimal, integers};

/// Bytes a value beyond which a decimal form is compared with the plain bits.
const DECIMAL_LEN_DOUBTFUL: usize = 6;

/// Appends the vector of `values`. `grid` is handed from vector to vector as a first guess.
pub(super) fn encode(values: &[f64], grid: &mut Grid, out: &mut Vec<u8>) {
    let decimal = decimal::plan(values, grid);
    if let Some(plan) = &decimal
        && !plan.has_corrections()
        && plan.len < values.len() * DECIMAL_LEN_DOUBTFUL
    {
        return encode_decimal(values, plan, out);
    }
    let mut buffer = [0; VECTOR_LEN];
    for (bits, value) in buffer.iter_mut().zip(values) {
        *bits = value.to_bits().cast_signed();
    }
    let bits = &buffer[..values.len()];
    let plan = integers::plan(bits);
    match &decimal {
        Some(decimal) if 1 + decimal.len < plan.len => encode_decimal(values, decimal, out),
        _ => plan.encode(bits, out),
    }
}

fn encode_decimal(values: &[f64], plan: &decimal::Plan, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(Encoding::Decimal.code());
    decimal::encode(plan, values.len(), out);
    debug_assert_eq!(out.len() - start, 1 + plan.len, "invariant: sizes are exact");
}

/// Fills `out`.
pub(super) fn decode(reader: &mut Reader<'_>, out: &mut [f64]) -> Result<(), Damaged> {
    match Encoding::from_code(reader.byte()?)? {
        Encoding::Decimal => decimal::decode(reader, out),
        encoding => {
            let mut buffer = [0; VECTOR_LEN];
            let bits = &mut buffer[..out.len()];
            integers::decode_body(encoding, reader, bits)?;
            for (value, bits) in out.iter_mut().zip(bits) {
                *value = f64::from_bits(bits.cast_unsigned());
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[f64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, &mut Grid::default(), &mut out);
        out
    }

    #[test]
    fn golden_bytes() {
        // Decimal, tenths, not corrected; constant 5.
        assert_eq!(encoded(&[0.5]), [7, 1, 0, 1, 10]);
        // Constant; zig-zag of the bits is 0xFFF0_0000_0000_0002.
        let nan = f64::from_bits(0x7FF8_0000_0000_0001);
        let golden = [[1, 0x82].as_slice(), &[0x80; 6], &[0x80 | 0x78, 0xFF, 1]].concat();
        assert_eq!(encoded(&[nan, nan]), golden);
        // Alone it is shorter raw.
        assert_eq!(encoded(&[nan]), b"\x06\x01\0\0\0\0\0\xF8\x7F");
    }
}
