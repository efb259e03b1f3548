//! A vector of a column: up to [`VECTOR_LEN`](super::VECTOR_LEN) rows that are read by themselves.
//!
//! | at | size | field    | meaning                                                             |
//! |---:|-----:|----------|---------------------------------------------------------------------|
//! |  0 |      | `nulls`  | which rows have a value, as [`super::nulls`]                        |
//! |    |      | `values` | their values: [`super::doubles`], [`super::integers`] or            |
//! |    |      |          | [`super::text`], by the column's type; absent if every row is null  |
//!
//! Bytes after the values are damage.

use std::ops::Range;

use super::encoding::Encoding;
use super::grid::Grid;
use super::nulls::{self, Nulls};
use super::number::Reader;
use super::{Damaged, VECTOR_LEN, decimal, doubles, integers, text};
use crate::rows::{Column, Values};

/// Appends the vector of `rows`, at most a vector's length. `grid` is a first guess for
/// decimals, handed from vector to vector.
pub(super) fn encode(column: &Column, rows: Range<usize>, grid: &mut Grid, out: &mut Vec<u8>) {
    let nulls = nulls::put(column.validity.as_ref(), rows.clone(), out);
    let first = rows.start;
    let valid = rows.clone().filter(|at| nulls.is_valid(at - first));
    match (&column.values, nulls) {
        (_, Nulls::All) => {}
        (Values::F64(values), Nulls::None) => doubles::encode(&values[rows], grid, out),
        (Values::F64(values), Nulls::Some(_)) => {
            let values: Vec<f64> = valid.map(|at| values[at]).collect();
            doubles::encode(&values, grid, out);
        }
        (Values::I64(values), Nulls::None) => encode_integers(&values[rows], out),
        (Values::I64(values), Nulls::Some(_)) => {
            encode_integers(&valid.map(|at| values[at]).collect::<Vec<_>>(), out);
        }
        (Values::Text(values), _) => {
            text::encode(&valid.map(|at| values.get(at)).collect::<Vec<_>>(), out);
        }
    }
}

/// Appends the vector of `values`, none of which is null.
pub(super) fn encode_i64(values: &[i64], out: &mut Vec<u8>) {
    nulls::put(None, 0..values.len(), out);
    encode_integers(values, out);
}

fn encode_integers(values: &[i64], out: &mut Vec<u8>) {
    integers::plan(values).encode(values, out);
}

/// Fills `out`, one place a row, from a vector of integers.
pub(super) fn decode_integers<'a>(bytes: &'a [u8], out: &mut [i64]) -> Result<Nulls<'a>, Damaged> {
    decode(bytes, out, integers::decode)
}

/// The value of the first row of a vector of integers without nulls.
pub(super) fn first(bytes: &[u8], count: usize) -> Result<i64, Damaged> {
    let mut reader = Reader::new(bytes);
    if let Nulls::None = Nulls::take(&mut reader, count)?
        && let Some(first) = integers::first(Encoding::from_code(reader.byte()?)?, &mut reader)?
    {
        return Ok(first);
    }
    let mut values = [0; VECTOR_LEN];
    decode_integers(bytes, &mut values[..count])?;
    Ok(values[0])
}

/// The value of all rows of a vector of integers, if it is written as a constant.
pub(super) fn constant(bytes: &[u8], count: usize) -> Result<Option<i64>, Damaged> {
    let mut reader = Reader::new(bytes);
    if let Nulls::None = Nulls::take(&mut reader, count)?
        && Encoding::from_code(reader.byte()?)? == Encoding::Constant
    {
        let value = reader.signed()?;
        reader.end()?;
        return Ok(Some(value));
    }
    Ok(None)
}

/// Fills `out`, one place a row, from a vector of doubles.
pub(super) fn decode_doubles<'a>(bytes: &'a [u8], out: &mut [f64]) -> Result<Nulls<'a>, Damaged> {
    decode(bytes, out, doubles::decode)
}

fn decode<'a, T: Copy + Default>(
    bytes: &'a [u8],
    out: &mut [T],
    decode_values: impl FnOnce(&mut Reader<'a>, &mut [T]) -> Result<(), Damaged>,
) -> Result<Nulls<'a>, Damaged> {
    let mut reader = Reader::new(bytes);
    let nulls = Nulls::take(&mut reader, out.len())?;
    let value_count = nulls.value_count(out.len());
    if value_count > 0 {
        decode_values(&mut reader, &mut out[..value_count])?;
    }
    reader.end()?;
    nulls.spread(out);
    Ok(nulls)
}

/// The texts of those rows of `wanted` that have a value, of a vector of `count` rows.
pub(super) fn decode_texts(
    bytes: &[u8],
    count: usize,
    wanted: Range<usize>,
) -> Result<(Nulls<'_>, Vec<&str>), Damaged> {
    let mut reader = Reader::new(bytes);
    let nulls = Nulls::take(&mut reader, count)?;
    let value_count = nulls.value_count(count);
    let mut texts = Vec::new();
    if value_count > 0 {
        let wanted = nulls.value_count(wanted.start)..nulls.value_count(wanted.end);
        texts = text::decode(&mut reader, value_count, wanted)?;
    }
    reader.end()?;
    Ok((nulls, texts))
}

/// How the vector of `count` rows is written, for people.
pub(super) fn describe(bytes: &[u8], count: usize) -> Result<String, Damaged> {
    let mut reader = Reader::new(bytes);
    let nulls = Nulls::take(&mut reader, count)?;
    let value_count = nulls.value_count(count);
    if value_count == 0 {
        return Ok("null".to_owned());
    }
    Ok(match Encoding::from_code(reader.byte()?)? {
        Encoding::Decimal => {
            let integers = decimal::take_integers(&mut reader)?;
            format!("{} {}", Encoding::Decimal.name(), integers.name())
        }
        encoding => encoding.name().to_owned(),
    })
}

/// The rows of vector `index` in a chunk of `row_count` rows.
pub(super) fn rows_of(index: usize, row_count: usize) -> Range<usize> {
    let start = index * VECTOR_LEN;
    start..row_count.min(start + VECTOR_LEN)
}

/// The vectors that hold any of the rows `wanted` of a chunk, each with its number, its row count
/// and which of its rows are wanted.
pub(super) fn touched(
    wanted: Range<usize>,
    row_count: usize,
) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
    let indexes = wanted.start / VECTOR_LEN..wanted.end.div_ceil(VECTOR_LEN);
    let indexes = if wanted.is_empty() { 0..0 } else { indexes };
    indexes.map(move |index| {
        let rows = rows_of(index, row_count);
        let start = wanted.start.max(rows.start) - rows.start;
        let end = wanted.end.min(rows.end) - rows.start;
        (index, rows.len(), start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ColumnType;

    #[test]
    fn golden_bytes() {
        let mut column = Column::new(Values::I64(vec![5]));
        column.push_null();
        column.push_from(&column.clone(), 0);
        let mut out = Vec::new();
        encode(&column, 0..3, &mut Grid::default(), &mut out);
        assert_eq!(out, [1, 0b101, 1, 10], "nulls, their bitmap, the constant 5");
        out.clear();
        encode(&Column::nulls(ColumnType::Text, 9), 0..9, &mut Grid::default(), &mut out);
        assert_eq!(out, [2], "all null");
        out.clear();
        encode_i64(&[5, 5], &mut out);
        assert_eq!(out, [0, 1, 10], "no nulls");
    }

    #[test]
    fn a_bitmap_that_says_all_or_none_is_refused() {
        for bytes in [[1, 0b111, 1, 10], [1, 0, 1, 10], [1, 0b1101, 1, 10], [3, 1, 1, 10]] {
            assert!(decode_integers(&bytes, &mut [0; 3]).is_err(), "{bytes:?}");
        }
        let mut out = [9; 3];
        decode_integers(&[1, 0b101, 1, 10], &mut out).unwrap();
        assert_eq!(out, [5, 0, 5]);
    }

    #[test]
    fn the_first_value_is_found_in_every_encoding() {
        for values in [
            [7; 40].as_slice(),                                             // constant
            &(0..40).map(|i| i * 60).collect::<Vec<_>>(),                   // runs
            &(0..40).map(|i| i * 60 + i * i % 7).collect::<Vec<_>>(),       // delta
            &(0..40).map(|i| i * 37 % 16).collect::<Vec<_>>(),              // packed
            &[3, 1 << 40, 3, 1 << 60, 3, 1 << 60, 3, 1 << 40, 3].repeat(5), // dictionary
            &[i64::MIN],                                                    // raw
        ] {
            let mut out = Vec::new();
            encode_i64(values, &mut out);
            assert_eq!(first(&out, values.len()), Ok(values[0]));
            let all_are = values.iter().all(|&value| value == 7).then_some(7);
            assert_eq!(constant(&out, values.len()), Ok(all_are));
        }
    }

    #[test]
    fn touched_vectors_are_those_of_the_rows() {
        let touched = |range| touched(range, 2500).collect::<Vec<_>>();
        assert_eq!(touched(1023..1024), [(0, 1024, 1023..1024)]);
        assert_eq!(touched(1023..1025), [(0, 1024, 1023..1024), (1, 1024, 0..1)]);
        assert_eq!(touched(2048..2500), [(2, 452, 0..452)]);
        assert_eq!(touched(1024..1024), []);
    }
}
