//! One column of an extent as bytes, and back: pure functions over slices.
//!
//! A chunk holds one column of up to 65,536 rows of one series, or the four prices of its bars
//! together. Rows are cut into vectors of [`VECTOR_LEN`]; each vector chooses its own encoding and
//! is read without the others.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1 | `form` | 1 one column; 2 open, high, low and close together |
//! | 1 | 1 | `kind` | [`ColumnType`] code of the values; that of doubles if `form` is 2 |
//! | 2 | 2 | `vector_count` | rows / 1,024, rounded up |
//! | 4 | | `vectors` | a `directory` of `vector`s (`form` 1) or `candle`s (`form` 2) |
//!
//! Integers are little-endian. The number of rows is not in the chunk: whoever refers to it knows.
//! A chunk carries no checksum; the block it stands in does. Readers accept any bytes: they return
//! what is wrong with them, never panic, and never need more memory than the rows asked for (for
//! texts: than 256 bytes a row and the chunk's own length). Every value comes back bit for bit:
//! NaN payloads, -0.0, subnormal numbers.
//!
//! Version rule: the numbers of forms and encodings are never used again for another meaning; a
//! reader refuses those it does not know.
//!
//! ```text
//! chunk ─▶ vector ─┬▶ nulls
//!                  ├▶ doubles ──┬▶ decimal ─▶ integers
//!                  │            └▶ (bits as) ─▶ integers
//!                  ├▶ integers ─▶ constant, runs, packed, delta, dictionary, raw
//!                  └▶ text ─────▶ raw, dictionary
//!       ─▶ candle ─┬▶ four × packed
//!                  └▶ four × vector
//! ```

mod bits;
mod candle;
mod constant;
mod damaged;
mod decimal;
mod delta;
mod dictionary;
mod directory;
mod divisor;
mod doubles;
mod encoding;
mod integers;
mod nulls;
mod number;
mod packed;
mod raw;
mod runs;
mod text;
mod vector;

#[cfg(test)]
mod real_bars;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

pub use damaged::Damaged;

use crate::rows::{Bitmap, Column, ColumnType, Texts, Values};
use candle::PRICE_COUNT;
use directory::Directory;
use nulls::Validity;

/// Rows in a vector: the unit that is encoded, pruned and decoded by itself.
pub const VECTOR_LEN: usize = 1024;

const FORM_AT: usize = 0;
const KIND_AT: usize = FORM_AT + 1;
const VECTOR_COUNT_AT: usize = KIND_AT + 1;
const VECTORS_AT: usize = VECTOR_COUNT_AT + 2;
const _: () = assert!(KIND_AT == 1, "the table above says 1");
const _: () = assert!(VECTOR_COUNT_AT == 2, "the table above says 2");
const _: () = assert!(VECTORS_AT == 4, "the table above says 4");

const FORM_COLUMN: u8 = 1;
const FORM_CANDLE: u8 = 2;

/// Appends the chunk of one column; chooses the encoding of each vector by its size.
pub fn encode(column: &Column, out: &mut Vec<u8>) {
    let rows = column.len();
    let vector_count = put_header(FORM_COLUMN, column.kind(), rows, out);
    let mut exponent = 0;
    directory::write(vector_count, out, |index, out| {
        vector::encode(column, vector::rows_of(index, rows), &mut exponent, out);
    });
}

/// Appends the chunk of a column of integers without nulls: the same bytes as [`encode`].
pub fn encode_i64(values: &[i64], out: &mut Vec<u8>) {
    let vector_count = put_header(FORM_COLUMN, ColumnType::I64, values.len(), out);
    directory::write(vector_count, out, |index, out| {
        vector::encode_i64(&values[vector::rows_of(index, values.len())], out);
    });
}

/// Appends the chunk of the open, high, low and close of bars: columns of doubles of one length.
pub fn encode_candle(prices: [&Column; 4], out: &mut Vec<u8>) {
    let rows = prices[0].len();
    for price in prices {
        assert_eq!(price.len(), rows, "invariant: the prices of bars have the same rows");
        assert_eq!(price.kind(), ColumnType::F64, "invariant: prices are doubles");
    }
    let vector_count = put_header(FORM_CANDLE, ColumnType::F64, rows, out);
    let mut exponents = [0; PRICE_COUNT];
    directory::write(vector_count, out, |index, out| {
        candle::encode(prices, vector::rows_of(index, rows), &mut exponents, out);
    });
}

fn put_header(form: u8, kind: ColumnType, rows: usize, out: &mut Vec<u8>) -> usize {
    let vector_count = rows.div_ceil(VECTOR_LEN);
    let count = u16::try_from(vector_count).expect("invariant: an extent has few vectors");
    out.extend_from_slice(&[form, kind.code()]);
    out.extend_from_slice(&count.to_le_bytes());
    vector_count
}

/// A chunk whose header and directory are checked.
struct Chunk<'a> {
    form: u8,
    kind: ColumnType,
    vectors: Directory<'a>,
}

impl<'a> Chunk<'a> {
    fn parse(chunk: &'a [u8], rows: usize) -> Result<Self, Damaged> {
        let split = chunk.split_first_chunk::<VECTORS_AT>();
        let (header, vectors) = split.ok_or(Damaged("the header of a chunk is cut off"))?;
        let [form, kind, count_low, count_high] = *header;
        let vector_count = usize::from(u16::from_le_bytes([count_low, count_high]));
        if vector_count != rows.div_ceil(VECTOR_LEN) {
            return Err(Damaged("a chunk does not have the vectors that its rows need"));
        }
        let kind = ColumnType::from_code(kind)
            .ok_or(Damaged("a chunk holds values of a type that does not exist"))?;
        Ok(Self { form, kind, vectors: Directory::parse(vectors, vector_count)? })
    }

    /// The vectors of a chunk of this form and type.
    fn parse_as(
        chunk: &'a [u8],
        form: u8,
        kind: ColumnType,
        rows: usize,
        range: &Range<usize>,
    ) -> Result<Directory<'a>, Damaged> {
        let chunk = Self::parse(chunk, rows)?;
        if chunk.form != form {
            return Err(Damaged("a chunk has another form than its place says"));
        }
        if chunk.kind != kind {
            return Err(Damaged("a chunk holds values of another type than its column"));
        }
        if range.start > range.end || range.end > rows {
            return Err(Damaged("a chunk does not have the rows that are asked for"));
        }
        Ok(chunk.vectors)
    }
}

/// Decodes rows `range` (row numbers within the chunk) of a chunk that holds `rows` rows of type
/// `kind`. Touches only the vectors needed.
///
/// # Errors
/// What is wrong with the bytes (of the header, the directory and the vectors needed), or that the
/// range is not within the rows.
pub fn decode(
    chunk: &[u8],
    kind: ColumnType,
    rows: usize,
    range: Range<usize>,
) -> Result<Column, Damaged> {
    let vectors = Chunk::parse_as(chunk, FORM_COLUMN, kind, rows, &range)?;
    match kind {
        ColumnType::F64 => {
            let (bits, validity) = decode_numbers(vectors, kind, rows, range)?;
            let values = bits.into_iter().map(|bits| f64::from_bits(bits.cast_unsigned()));
            Ok(Column { values: Values::F64(values.collect()), validity })
        }
        ColumnType::I64 => {
            let (values, validity) = decode_numbers(vectors, kind, rows, range)?;
            Ok(Column { values: Values::I64(values), validity })
        }
        ColumnType::Text => decode_texts(vectors, rows, range),
    }
}

/// Decodes rows `range` of a chunk that holds `rows` integers without nulls.
///
/// # Errors
/// As [`decode`]; also if a row in the range is null.
pub fn decode_i64(chunk: &[u8], rows: usize, range: Range<usize>) -> Result<Vec<i64>, Damaged> {
    let vectors = Chunk::parse_as(chunk, FORM_COLUMN, ColumnType::I64, rows, &range)?;
    match decode_numbers(vectors, ColumnType::I64, rows, range)? {
        (values, None) => Ok(values),
        (_, Some(_)) => Err(Damaged("a column that always has a value has a null")),
    }
}

/// Decodes rows `range` of the wanted ones of open, high, low, close.
///
/// # Errors
/// As [`decode`].
pub fn decode_candle(
    chunk: &[u8],
    rows: usize,
    range: Range<usize>,
    wanted: [bool; 4],
) -> Result<[Option<Column>; 4], Damaged> {
    let vectors = Chunk::parse_as(chunk, FORM_CANDLE, ColumnType::F64, rows, &range)?;
    let mut values =
        wanted.map(|is_wanted| Vec::<f64>::with_capacity(if is_wanted { range.len() } else { 0 }));
    let mut validities = [(); PRICE_COUNT].map(|()| Validity::default());
    let mut buffers = [[0; VECTOR_LEN]; PRICE_COUNT];
    for (index, count, part) in vector::touched(range, rows) {
        let nulls = candle::decode(vectors.part(index), count, wanted, &mut buffers)?;
        for price in (0..PRICE_COUNT).filter(|&price| wanted[price]) {
            let bits = &buffers[price][part.clone()];
            values[price].extend(bits.iter().map(|bits| f64::from_bits(bits.cast_unsigned())));
            validities[price].extend(nulls[price], part.clone());
        }
    }
    let mut wanted = wanted.into_iter();
    let mut validities = validities.into_iter();
    Ok(values.map(|values| {
        let validity = validities.next().and_then(Validity::finish);
        let is_wanted = wanted.next() == Some(true);
        is_wanted.then_some(Column { values: Values::F64(values), validity })
    }))
}

fn decode_numbers(
    vectors: Directory<'_>,
    kind: ColumnType,
    rows: usize,
    range: Range<usize>,
) -> Result<(Vec<i64>, Option<Bitmap>), Damaged> {
    let mut values = Vec::with_capacity(range.len());
    let mut validity = Validity::default();
    let mut buffer = [0; VECTOR_LEN];
    for (index, count, part) in vector::touched(range, rows) {
        let nulls = vector::decode(vectors.part(index), kind, &mut buffer[..count])?;
        values.extend_from_slice(&buffer[part.clone()]);
        validity.extend(nulls, part);
    }
    Ok((values, validity.finish()))
}

fn decode_texts(
    vectors: Directory<'_>,
    rows: usize,
    range: Range<usize>,
) -> Result<Column, Damaged> {
    let mut values = Texts::new();
    let mut validity = Validity::default();
    for (index, count, part) in vector::touched(range, rows) {
        let (nulls, texts) = vector::decode_texts(vectors.part(index), count, part.clone())?;
        let mut texts = texts.into_iter();
        for at in part.clone() {
            let text = if nulls.is_valid(at) { texts.next() } else { None }.unwrap_or("");
            if u32::try_from(values.byte_len().saturating_add(text.len())).is_err() {
                return Err(Damaged("the texts of a column are larger than 4 GiB"));
            }
            values.push(text);
        }
        validity.extend(nulls, part);
    }
    Ok(Column { values: Values::Text(values), validity: validity.finish() })
}

/// The encodings in a chunk of either form that holds `rows` rows, for people, each with the
/// number of its vectors.
///
/// # Errors
/// What is wrong with the bytes that say so. The values are not read.
pub fn describe(chunk: &[u8], rows: usize) -> Result<BTreeMap<String, usize>, Damaged> {
    let chunk = Chunk::parse(chunk, rows)?;
    let mut vector_counts = BTreeMap::new();
    for (index, count, _) in vector::touched(0..rows, rows) {
        let bytes = chunk.vectors.part(index);
        let name = match chunk.form {
            FORM_COLUMN => vector::describe(bytes, count)?,
            FORM_CANDLE => candle::describe(bytes)?,
            _ => return Err(Damaged("a chunk has a form that does not exist")),
        };
        *vector_counts.entry(name).or_insert(0) += 1;
    }
    Ok(vector_counts)
}
