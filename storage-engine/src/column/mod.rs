//! One column of an extent as bytes, and back: pure functions over slices.
//!
//! A chunk holds one column of up to 65,536 rows of one series, or the four prices of its bars
//! together. Rows are cut into vectors of [`VECTOR_LEN`]; each vector chooses its own encoding and
//! is read without the others.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 1 | `form` | 1 one column; 2 open, high, low and close together; 3 beside high and low |
//! | 1 | 1 | `kind` | [`ColumnType`] code of the values; that of doubles if `form` is 2 or 3 |
//! | 2 | 2 | `vector_count` | rows / 1,024, rounded up |
//! | 4 | | `vectors` | a `directory` of `vector`s (`form` 1), `candle`s (2) or `beside`s (3) |
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
//!                  ├▶ doubles ──┬▶ decimal ─▶ integers, packed
//!                  │            └▶ (bits as) ─▶ integers
//!                  ├▶ integers ─▶ constant, runs, packed, delta, dictionary, raw
//!                  └▶ text ─────▶ raw, dictionary
//!       ─▶ candle ─┬▶ four × packed
//!                  └▶ four × vector
//!       ─▶ beside ───▶ integers, doubles
//! ```

mod beside;
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
mod grid;
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
use grid::Grid;
use nulls::{Nulls, Validity};

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
const FORM_BESIDE: u8 = 3;

/// Appends the chunk of one column; chooses the encoding of each vector by its size.
pub fn encode(column: &Column, out: &mut Vec<u8>) {
    let rows = column.len();
    let vector_count = put_header(FORM_COLUMN, column.kind(), rows, out);
    let mut grid = Grid::default();
    directory::write(vector_count, out, |index, out| {
        vector::encode(column, vector::rows_of(index, rows), &mut grid, out);
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
    let mut grids = [Grid::default(); PRICE_COUNT];
    directory::write(vector_count, out, |index, out| {
        candle::encode(prices, vector::rows_of(index, rows), &mut grids, out);
    });
}

/// Appends the chunk of a column of doubles that lie between `high` and `low`, as the average
/// price of bars does. Only if that makes it shorter does reading it need the other two
/// ([`is_beside`]); else it is the chunk that [`encode`] appends.
pub fn encode_beside(column: &Column, high: &Column, low: &Column, out: &mut Vec<u8>) {
    let rows = column.len();
    for other in [column, high, low] {
        assert_eq!(other.len(), rows, "invariant: the prices of bars have the same rows");
        assert_eq!(other.kind(), ColumnType::F64, "invariant: prices are doubles");
    }
    let form_at = out.len() + FORM_AT;
    let vector_count = put_header(FORM_COLUMN, ColumnType::F64, rows, out);
    let mut grid = Grid::default();
    let mut is_beside = false;
    directory::write(vector_count, out, |index, out| {
        let rows = vector::rows_of(index, rows);
        is_beside |= beside::encode(column, [high, low], rows, &mut grid, out);
    });
    if is_beside {
        out[form_at] = FORM_BESIDE;
    }
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
            let (values, validity) = gather(vectors, rows, range, vector::decode_doubles)?;
            Ok(Column { values: Values::F64(values), validity })
        }
        ColumnType::I64 => {
            let (values, validity) = gather(vectors, rows, range, vector::decode_integers)?;
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
    match gather(vectors, rows, range, vector::decode_integers)? {
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
    let mut prices =
        wanted.map(|is_wanted| is_wanted.then(|| Vec::<f64>::with_capacity(range.len())));
    let mut validities = [const { Validity::new() }; PRICE_COUNT];
    let mut scratch = candle::Scratch::new();
    let mut edge = [const { Vec::<f64>::new() }; PRICE_COUNT];
    for (index, count, part) in vector::touched(range, rows) {
        let is_whole = part.len() == count;
        let nulls = {
            let mut edges = edge.iter_mut();
            let places = prices.each_mut().map(|price| {
                let edge = edges.next().expect("invariant: an edge a price");
                let price = price.as_mut()?;
                if is_whole {
                    return Some(grown(price, count));
                }
                edge.resize(count, 0.0);
                Some(edge.as_mut_slice())
            });
            candle::decode(vectors.part(index), count, places, &mut scratch)?
        };
        for (at, price) in prices.iter_mut().enumerate() {
            if let Some(price) = price {
                if !is_whole {
                    price.extend_from_slice(&edge[at][part.clone()]);
                }
                validities[at].extend(nulls[at], part.clone());
            }
        }
    }
    let mut validities = validities.into_iter();
    Ok(prices.map(|price| {
        let validity = validities.next().and_then(Validity::finish);
        price.map(|values| Column { values: Values::F64(values), validity })
    }))
}

/// Whether a chunk that [`encode_beside`] wrote needs [`decode_beside`]; if not, [`decode`] reads
/// it.
pub fn is_beside(chunk: &[u8]) -> bool {
    chunk.get(FORM_AT) == Some(&FORM_BESIDE)
}

/// Decodes rows `range` of a chunk that [`is_beside`], given the high and the low of those rows.
///
/// # Errors
/// As [`decode`].
pub fn decode_beside(
    chunk: &[u8],
    rows: usize,
    range: Range<usize>,
    high: &Column,
    low: &Column,
) -> Result<Column, Damaged> {
    let vectors = Chunk::parse_as(chunk, FORM_BESIDE, ColumnType::F64, rows, &range)?;
    let [highs, lows] = [high, low].map(|price| match &price.values {
        Values::F64(values) if values.len() == range.len() => values.as_slice(),
        _ => unreachable!("invariant: prices of the rows that are asked for"),
    });
    let mut values = Vec::with_capacity(range.len());
    let mut validity = Validity::new();
    for (index, count, part) in vector::touched(range, rows) {
        let beside = values.len()..values.len() + part.len();
        let beside = [&highs[beside.clone()], &lows[beside]];
        let bytes = vectors.part(index);
        let nulls = beside::decode(bytes, count, part.clone(), beside, &mut values)?;
        validity.extend(nulls, part);
    }
    Ok(Column { values: Values::F64(values), validity: validity.finish() })
}

/// How many values of a chunk of `rows` integers without nulls, which rise, are below `value`.
/// Decodes one vector; looks at the first values of some others.
///
/// # Errors
/// As [`decode`], for what it looks at. If the integers do not rise, the answer is some number of
/// rows.
pub fn locate_i64(chunk: &[u8], rows: usize, value: i64) -> Result<usize, Damaged> {
    let vectors = Chunk::parse_as(chunk, FORM_COLUMN, ColumnType::I64, rows, &(0..rows))?;
    let first = |index: usize| {
        let count = vector::rows_of(index, rows).len();
        vector::first(vectors.part(index), count)
    };
    // The last vector whose first value is below `value`: only in it can others not be.
    let (mut low, mut high) = (0, rows.div_ceil(VECTOR_LEN));
    while low < high {
        let middle = low.midpoint(high);
        if first(middle)? < value {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let Some(index) = low.checked_sub(1) else { return Ok(0) };
    let rows = vector::rows_of(index, rows);
    let mut buffer = [0; VECTOR_LEN];
    let values = &mut buffer[..rows.len()];
    match vector::decode_integers(vectors.part(index), values)? {
        Nulls::None => Ok(rows.start + values.partition_point(|&it| it < value)),
        _ => Err(Damaged("a column that always has a value has a null")),
    }
}

/// The value of all rows of a chunk of `rows` integers, if every vector is written as that
/// constant: so no row needs to be decoded.
///
/// # Errors
/// As [`decode`], for what it looks at.
pub fn constant_i64(chunk: &[u8], rows: usize) -> Result<Option<i64>, Damaged> {
    let vectors = Chunk::parse_as(chunk, FORM_COLUMN, ColumnType::I64, rows, &(0..rows))?;
    let mut all = None;
    for (index, count, _) in vector::touched(0..rows, rows) {
        match vector::constant(vectors.part(index), count)? {
            Some(value) if all.is_none_or(|it| it == value) => all = Some(value),
            _ => return Ok(None),
        }
    }
    Ok(all)
}

/// Puts the values of `range` together from the vectors that hold them.
fn gather<T: Copy + Default>(
    vectors: Directory<'_>,
    rows: usize,
    range: Range<usize>,
    decode: for<'a> fn(&'a [u8], &mut [T]) -> Result<Nulls<'a>, Damaged>,
) -> Result<(Vec<T>, Option<Bitmap>), Damaged> {
    let mut values = Vec::with_capacity(range.len());
    let mut validity = Validity::new();
    for (index, count, part) in vector::touched(range, rows) {
        let bytes = vectors.part(index);
        let nulls = if part.len() == count {
            decode(bytes, grown(&mut values, count))?
        } else {
            let mut edge = [T::default(); VECTOR_LEN];
            let nulls = decode(bytes, &mut edge[..count])?;
            values.extend_from_slice(&edge[part.clone()]);
            nulls
        };
        validity.extend(nulls, part);
    }
    Ok((values, validity.finish()))
}

/// The `count` places that are added to `values`.
fn grown<T: Copy + Default>(values: &mut Vec<T>, count: usize) -> &mut [T] {
    let len = values.len();
    values.resize(len + count, T::default());
    &mut values[len..]
}

fn decode_texts(
    vectors: Directory<'_>,
    rows: usize,
    range: Range<usize>,
) -> Result<Column, Damaged> {
    let mut values = Texts::new();
    let mut validity = Validity::new();
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
            FORM_COLUMN | FORM_BESIDE => vector::describe(bytes, count)?,
            FORM_CANDLE => candle::describe(bytes)?,
            _ => return Err(Damaged("a chunk has a form that does not exist")),
        };
        *vector_counts.entry(name).or_insert(0) += 1;
    }
    Ok(vector_counts)
}
