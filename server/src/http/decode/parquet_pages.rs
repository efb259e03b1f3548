//! Looks over a Parquet file before it is decoded. The decoder allocates what the footer, the page
//! headers and some encodings claim, so the claims are weighed here, where nothing is allocated.
//!
//! ```text
//! "PAR1" | column chunks, each: page header, page, ... | footer | its length u32 | "PAR1"
//! ```
//!
//! Not read: `DELTA_LENGTH_BYTE_ARRAY` and `DELTA_BYTE_ARRAY`, whose pages say how many texts they
//! hold, and of what length, in the compressed bytes themselves.

use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::thrift::{Kind, STRUCT, Thrift};

const MAGIC: &[u8; 4] = b"PAR1";
/// The footer's length and the magic behind it.
const TAIL_LEN: usize = 8;
/// Longest footer: about 20,000 column chunks with their statistics.
const FOOTER_LEN_MAX: usize = 4 << 20;
/// Columns, groups of columns included: above what any dataset has.
const COLUMNS_MAX: usize = 64;
/// The format counts them in 15 bits.
const ROW_GROUPS_MAX: usize = 32_767;
/// Elements of any other list.
const LIST_MAX: usize = 65_536;
/// Longest value of a column of fixed length; decimals take 16.
const FIXED_LEN_MAX: i32 = 32;
/// What a value of a dictionary takes once it is decoded, beside its text.
const DICTIONARY_VALUE_BYTES: u64 = 16;

/// Field numbers of the format's `FileMetaData` and `PageHeader`.
mod field {
    pub(super) const SCHEMA: i64 = 2;
    pub(super) const ROW_GROUPS: i64 = 4;
    pub(super) const UNCOMPRESSED_LEN: i64 = 2;
    pub(super) const COMPRESSED_LEN: i64 = 3;
    pub(super) const DATA: i64 = 5;
    pub(super) const DICTIONARY: i64 = 7;
    pub(super) const DATA_V2: i64 = 8;
    pub(super) const VALUES: i64 = 1;
    pub(super) const ENCODING: i64 = 2;
    pub(super) const ENCODING_V2: i64 = 4;
}

/// Encodings by their numbers in the format: plain, dictionaries, runs, deltas of numbers, split
/// streams.
const ENCODINGS: [i64; 6] = [0, 2, 3, 5, 8, 9];

/// Checks that the footer of `file` can be decoded in the memory that a footer may take.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_footer(file: &[u8]) -> Result<(), String> {
    let is_whole =
        file.len() >= MAGIC.len() + TAIL_LEN && file.starts_with(MAGIC) && file.ends_with(MAGIC);
    if !is_whole {
        return Err("it is no whole Parquet file: PAR1 does not stand at both ends".to_owned());
    }
    let end = file.len() - TAIL_LEN;
    let len = file[end..end + 4].try_into().expect("invariant: four bytes are four bytes");
    let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if len > FOOTER_LEN_MAX {
        return Err(format!("its footer has {len} bytes, above {FOOTER_LEN_MAX}"));
    }
    let start = end.checked_sub(len).filter(|start| *start >= MAGIC.len());
    let start = start.ok_or("its footer is longer than the file")?;
    let mut footer = Thrift::new(&file[start..end]);
    let mut check = || {
        let mut last = 0;
        while let Some((id, kind)) = footer.field(&mut last)? {
            let elements_max = match id {
                field::SCHEMA => COLUMNS_MAX,
                field::ROW_GROUPS => ROW_GROUPS_MAX,
                _ => LIST_MAX,
            };
            footer.skip(kind, elements_max)?;
        }
        Ok(())
    };
    check().map_err(|fault: String| format!("its footer cannot be read: {fault}"))
}

/// Checks that the pages of `file`, which together may become `bytes_max` bytes, are all there and
/// of encodings that become no more than their headers say.
///
/// # Errors
/// What is wrong with them.
pub(super) fn check_pages(
    file: &[u8],
    metadata: &ParquetMetaData,
    bytes_max: u64,
) -> Result<(), String> {
    let mut decoded = 0_u64;
    for group in metadata.row_groups() {
        for column in group.columns() {
            let name = column.column_path().string();
            let in_column = |fault: String| format!("column {name}: {fault}");
            check_column(column).map_err(in_column)?;
            let in_column = |fault: String| format!("column {name}: {fault}");
            let len = chunk_len(file, column).map_err(in_column)?;
            decoded = decoded.saturating_add(len);
            if decoded > bytes_max {
                return Err(format!("its pages become more than {bytes_max} bytes"));
            }
        }
    }
    Ok(())
}

fn check_column(column: &ColumnChunkMetaData) -> Result<(), String> {
    match column.compression() {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
        other => {
            return Err(format!("compressed by {other}; read are zstd, snappy and none"));
        }
    }
    let fixed_len = column.column_descr().type_length();
    if column.column_type() == Type::FIXED_LEN_BYTE_ARRAY && fixed_len > FIXED_LEN_MAX {
        return Err(format!("its values have {fixed_len} bytes, above {FIXED_LEN_MAX}"));
    }
    Ok(())
}

/// What the pages of a column chunk become.
fn chunk_len(file: &[u8], column: &ColumnChunkMetaData) -> Result<u64, String> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let len = usize::try_from(column.compressed_size()).unwrap_or(usize::MAX);
    let chunk = start.checked_add(len).and_then(|end| file.get(start..end));
    let mut rest = chunk.ok_or("lies outside the file")?;
    let mut decoded = 0_u64;
    while !rest.is_empty() {
        let (page, header_len) = page(rest)?;
        rest = header_len
            .checked_add(page.compressed_len)
            .and_then(|end| rest.get(end..))
            .ok_or("a page reaches outside its column")?;
        decoded = decoded.saturating_add(page.decoded_len);
    }
    Ok(decoded)
}

struct Page {
    compressed_len: usize,
    decoded_len: u64,
}

/// The page whose header `bytes` begin with, and the header's length.
fn page(bytes: &[u8]) -> Result<(Page, usize), String> {
    let mut header = Thrift::new(bytes);
    let (mut compressed, mut uncompressed, mut dictionary_values) = (0, 0, 0);
    let mut encoding = 0;
    let mut last = 0;
    while let Some((id, kind)) = header.field(&mut last)? {
        match id {
            field::UNCOMPRESSED_LEN => uncompressed = header.number_of(kind)?,
            field::COMPRESSED_LEN => compressed = header.number_of(kind)?,
            field::DATA => (_, encoding) = values_of(&mut header, kind, field::ENCODING)?,
            field::DATA_V2 => (_, encoding) = values_of(&mut header, kind, field::ENCODING_V2)?,
            field::DICTIONARY => {
                (dictionary_values, encoding) = values_of(&mut header, kind, field::ENCODING)?;
            }
            _ => header.skip(kind, LIST_MAX)?,
        }
    }
    if !ENCODINGS.contains(&encoding) {
        return Err(format!(
            "a page is of encoding {encoding}, which is not read here: write the column plain or \
             with a dictionary"
        ));
    }
    let below_zero = || "a page says that its length is below zero".to_owned();
    let uncompressed = u64::try_from(uncompressed).map_err(|_| below_zero())?;
    let dictionary_values = u64::try_from(dictionary_values).map_err(|_| below_zero())?;
    let page = Page {
        compressed_len: usize::try_from(compressed).map_err(|_| below_zero())?,
        decoded_len: dictionary_values
            .saturating_mul(DICTIONARY_VALUE_BYTES)
            .saturating_add(uncompressed),
    };
    Ok((page, header.read_len()))
}

/// How many values the header of a page of one kind says there are, and its encoding.
fn values_of(
    header: &mut Thrift<'_>,
    kind: Kind,
    encoding_field: i64,
) -> Result<(i64, i64), String> {
    if kind != STRUCT {
        return Err("a page header is something else".to_owned());
    }
    let (mut values, mut encoding) = (0, 0);
    let mut last = 0;
    while let Some((id, kind)) = header.field(&mut last)? {
        match id {
            field::VALUES => values = header.number_of(kind)?,
            id if id == encoding_field => encoding = header.number_of(kind)?,
            _ => header.skip(kind, LIST_MAX)?,
        }
    }
    Ok((values, encoding))
}
