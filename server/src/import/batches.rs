//! Parquet and Arrow (Feather): typed columns, read a record batch at a time.
//!
//! Types are kept: a timestamp is not read as text, a 32-bit float becomes exactly the double that
//! it is (112.63 written as a 32-bit float is 112.62999725341797: the file does not say that its
//! writer meant less). Columns of types that are none of numbers, texts, times and flags are not
//! read, and cannot be mapped.
//!
//! Whole numbers in fixed-length binary columns are read where the file says `price_precision`, as
//! Nautilus writes them. Its builds scaled by ten to the power of 16 or of 18; the right one is
//! that by which the longest price has as many decimals as the file says.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use barrow_types::DAY_NANOS;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::Reading;
use super::reading::Counted;
use super::table::{Cell, Raw, Record, Sampled, Sink};
use super::time::{Offset, Written};

/// Rows that are looked at before a file is planned.
const SAMPLE_ROWS_MAX: usize = 10_000;

/// Rows that become cells at a time.
const CHUNK_ROWS: usize = 8_192;

/// Powers of ten by which fixed-point numbers of 16 bytes are scaled.
const FIXED_SCALES: [u8; 2] = [16, 18];

/// What wrote the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Parquet,
    /// The form that Feather has since its version 2.
    ArrowFile,
    ArrowStream,
}

/// A file of typed columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    kind: Kind,
    names: Vec<String>,
    types: Vec<DataType>,
    compression: String,
    /// Units of fixed-point numbers, as a power of ten, if the file shows it.
    pub(crate) fixed_scale: Option<u8>,
}

/// What a look at a file gives.
pub(crate) struct Looked {
    pub(crate) form: Batches,
    pub(crate) rows: Vec<Sampled>,
    /// The symbol of all rows, if the file says it.
    pub(crate) symbol: Option<String>,
}

impl Batches {
    /// The columns' names.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// For a person.
    pub(crate) fn describe(&self) -> String {
        let kind = match self.kind {
            Kind::Parquet => "Parquet",
            Kind::ArrowFile => "Arrow file (Feather)",
            Kind::ArrowStream => "Arrow stream",
        };
        let fixed = match self.fixed_scale {
            Some(scale) => format!(", fixed point with {scale} decimals"),
            None => String::new(),
        };
        if self.compression.is_empty() {
            format!("{kind}{fixed}")
        } else {
            format!("{kind}, {}{fixed}", self.compression)
        }
    }

    /// The type of a column.
    pub(crate) fn type_of(&self, place: usize) -> String {
        self.types[place].to_string()
    }

    /// Whether a column holds fixed-point numbers.
    pub(crate) fn is_fixed(&self, place: usize) -> bool {
        matches!(self.types[place], DataType::FixedSizeBinary(8 | 16))
    }

    /// Whether a column is of a type that is read.
    pub(crate) fn is_read(&self, place: usize) -> bool {
        let kind = match &self.types[place] {
            DataType::Dictionary(_, values) => values,
            kind => kind,
        };
        match kind {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Boolean => {
                true
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale) => *scale >= 0,
            DataType::FixedSizeBinary(8 | 16) => true,
            kind => kind.is_integer() || kind.is_floating(),
        }
    }

    /// The zone that a column of timestamps names.
    pub(crate) fn zone(&self, place: usize) -> Option<&str> {
        match &self.types[place] {
            DataType::Timestamp(_, Some(zone)) => Some(zone),
            _ => None,
        }
    }
}

impl Length for Counted {
    fn len(&self) -> u64 {
        // A file that cannot be asked has no end that could be read.
        self.taking(0).and_then(|file| file.metadata()).map_or(0, |about| about.len())
    }
}

impl ChunkReader for Counted {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.taking(0)?.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.taking(length as u64)?.get_bytes(start, length)
    }
}

type Reader = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

struct Opened {
    kind: Kind,
    schema: Arc<arrow::datatypes::Schema>,
    compression: String,
    reader: Reader,
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn open(path: &Path, is_parquet: bool, reading: &Reading) -> io::Result<Opened> {
    let mut file = reading.open(path)?;
    if is_parquet {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
        let schema = Arc::clone(builder.schema());
        let compression = compression(builder.metadata());
        let reader = builder.with_batch_size(CHUNK_ROWS).build().map_err(broken)?;
        let kind = Kind::Parquet;
        return Ok(Opened { kind, schema, compression, reader: Box::new(reader) });
    }
    let mut magic = Vec::new();
    Read::by_ref(&mut file).take(6).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    if magic.starts_with(b"FEA1") {
        return Err(broken("it is Feather of version 1; write it again as version 2"));
    }
    let input = BufReader::new(file);
    let compression = String::new();
    if magic == b"ARROW1" {
        let reader = FileReader::try_new(input, None).map_err(broken)?;
        let schema = reader.schema();
        let kind = Kind::ArrowFile;
        return Ok(Opened { kind, schema, compression, reader: Box::new(reader) });
    }
    let reader = StreamReader::try_new(input, None).map_err(broken)?;
    let (schema, kind) = (reader.schema(), Kind::ArrowStream);
    Ok(Opened { kind, schema, compression, reader: Box::new(reader) })
}

/// Names of the codecs of a Parquet file.
fn compression(about: &ParquetMetaData) -> String {
    let mut names = Vec::new();
    for column in about.row_groups().iter().flat_map(|group| group.columns()) {
        let name = column.compression().to_string().to_ascii_lowercase();
        let name = name.split('(').next().unwrap_or_default().to_owned();
        if name != "uncompressed" && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// The cells of one column of a few rows.
enum Values {
    Ints(Int64Array),
    Unsigned(UInt64Array),
    Floats(Float64Array),
    Texts(StringArray),
    Flags(BooleanArray),
    Decimals(Decimal128Array, u8),
    Fixed(FixedSizeBinaryArray, u8),
    /// Units since 1970 and how many nanoseconds one has.
    Times(Int64Array, i64, Offset),
    /// Days since 1970.
    Dates(Int64Array),
    Nothing,
}

const SECOND: i64 = 1_000_000_000;

impl Values {
    fn of(array: &ArrayRef, fixed_scale: u8) -> Result<Self, ArrowError> {
        let ints = |array: &ArrayRef| {
            Ok::<_, ArrowError>(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        Ok(match array.data_type() {
            DataType::Dictionary(_, values) => Self::of(&cast(array, values)?, fixed_scale)?,
            DataType::UInt64 => Self::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            kind if kind.is_integer() => Self::Ints(ints(array)?),
            kind if kind.is_floating() => {
                let floats = cast(array, &DataType::Float64)?;
                Self::Floats(floats.as_primitive::<Float64Type>().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Texts(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
            }
            DataType::Boolean => Self::Flags(array.as_boolean().clone()),
            DataType::Timestamp(unit, zone) => {
                let unit = match unit {
                    TimeUnit::Second => SECOND,
                    TimeUnit::Millisecond => 1_000_000,
                    TimeUnit::Microsecond => 1_000,
                    TimeUnit::Nanosecond => 1,
                };
                let offset = if zone.is_some() { Offset::Utc } else { Offset::Naive };
                Self::Times(ints(array)?, unit, offset)
            }
            DataType::Date32 => Self::Dates(ints(&cast(array, &DataType::Int32)?)?),
            DataType::Date64 => Self::Times(ints(array)?, 1_000_000, Offset::Naive),
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
                if *scale >= 0 =>
            {
                let wide = cast(array, &DataType::Decimal128(38, *scale))?;
                let scale = scale.unsigned_abs();
                Self::Decimals(wide.as_primitive::<Decimal128Type>().clone(), scale)
            }
            DataType::FixedSizeBinary(8 | 16) => {
                Self::Fixed(array.as_fixed_size_binary().clone(), fixed_scale)
            }
            _ => Self::Nothing,
        })
    }

    fn cell(&self, at: usize) -> Cell<'_> {
        let array: &dyn Array = match self {
            Self::Ints(array) | Self::Times(array, ..) | Self::Dates(array) => array,
            Self::Unsigned(array) => array,
            Self::Floats(array) => array,
            Self::Texts(array) => array,
            Self::Flags(array) => array,
            Self::Decimals(array, _) => array,
            Self::Fixed(array, _) => array,
            Self::Nothing => return Cell::Null,
        };
        if array.is_null(at) {
            return Cell::Null;
        }
        match self {
            Self::Ints(array) => Cell::Int(array.value(at).into()),
            Self::Unsigned(array) => Cell::Int(array.value(at).into()),
            Self::Floats(array) => Cell::Float(array.value(at)),
            Self::Texts(array) => Cell::borrowed(array.value(at)),
            Self::Flags(array) => Cell::Bool(array.value(at)),
            Self::Decimals(array, scale) => Cell::Decimal(array.value(at), *scale),
            Self::Fixed(array, scale) => Cell::Decimal(little_endian(array.value(at)), *scale),
            Self::Times(array, unit, offset) => {
                let value = array.value(at);
                match value.checked_mul(*unit) {
                    Some(wall) => Cell::Time(Written { wall, offset: *offset, date_only: false }),
                    // Outside the years there are: a number where a time is wanted is refused.
                    None => Cell::Int(value.into()),
                }
            }
            Self::Dates(array) => {
                let value = array.value(at);
                match value.checked_mul(DAY_NANOS) {
                    Some(wall) => {
                        Cell::Time(Written { wall, offset: Offset::Naive, date_only: true })
                    }
                    None => Cell::Int(value.into()),
                }
            }
            Self::Nothing => Cell::Null,
        }
    }
}

/// The signed number of these bytes, the lowest first.
fn little_endian(bytes: &[u8]) -> i128 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { -1 } else { 0 };
    bytes.iter().rev().fold(fill, |number: i128, byte| (number << 8) | i128::from(*byte))
}

/// Hands every row of the batches to `sink`.
fn each(
    reader: Reader,
    names: &[String],
    fixed_scale: u8,
    sink: &mut Sink<'_>,
) -> Result<(), ArrowError> {
    let mut number = 0;
    for batch in reader {
        let batch = batch?;
        for start in (0..batch.num_rows()).step_by(CHUNK_ROWS) {
            let chunk = batch.slice(start, CHUNK_ROWS.min(batch.num_rows() - start));
            let columns: Result<Vec<Values>, ArrowError> =
                chunk.columns().iter().map(|array| Values::of(array, fixed_scale)).collect();
            let columns = columns?;
            let mut cells = Vec::with_capacity(columns.len());
            for at in 0..chunk.num_rows() {
                number += 1;
                cells.clear();
                cells.extend(columns.iter().map(|column| column.cell(at)));
                let record = Record { number, cells: Ok(&cells), raw: Raw::Named(names) };
                if sink(&record).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// What a decoder that breaks down says: the files come from outside.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(broken("its decoder broke down: the file is damaged")))
}

/// Hands every row of the file to `sink`.
pub(crate) fn records(
    path: &Path,
    form: &Batches,
    reading: &Reading,
    sink: &mut Sink<'_>,
) -> io::Result<()> {
    guarded(|| {
        let opened = open(path, form.kind == Kind::Parquet, reading)?;
        let names = names(&opened.schema);
        if names != form.names {
            return Err(broken("the file changed while it was read"));
        }
        each(opened.reader, &names, form.fixed_scale.unwrap_or(0), sink).map_err(broken)
    })
}

fn names(schema: &arrow::datatypes::Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// The form of a file and its first rows.
pub(crate) fn look(path: &Path, is_parquet: bool, reading: &Reading) -> io::Result<Looked> {
    guarded(|| {
        let Opened { kind, schema, compression, reader } = open(path, is_parquet, reading)?;
        let names = names(&schema);
        let mut rows = Vec::new();
        let mut keep = |record: &Record<'_>| {
            rows.push(Sampled::of(record));
            match rows.len() < SAMPLE_ROWS_MAX {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        each(reader, &names, 0, &mut keep).map_err(broken)?;
        let types: Vec<DataType> =
            schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let about = |name: &str| schema.metadata().get(name);
        let precision = about("price_precision").and_then(|text| text.parse().ok());
        let mut form = Batches { kind, names, types, compression, fixed_scale: None };
        form.fixed_scale = precision.and_then(|precision| fixed_scale(&form, &rows, precision));
        if let Some(scale) = form.fixed_scale {
            rescale(&form, &mut rows, scale);
        }
        Ok(Looked { form, rows, symbol: about("instrument_id").cloned() })
    })
}

/// The scale by which the price with the most decimals has `precision` of them.
fn fixed_scale(form: &Batches, rows: &[Sampled], precision: u8) -> Option<u8> {
    let is_price = |place: &usize| form.is_fixed(*place) && form.names[*place].contains("price");
    let places: Vec<usize> = (0..form.names.len()).filter(is_price).collect();
    let width = form.types.get(*places.first()?)?;
    let mut fewest = u32::MAX;
    for cells in rows.iter().filter_map(|row| row.cells.as_deref().ok()) {
        for place in &places {
            if let Cell::Decimal(units, _) = cells[*place]
                && units != 0
            {
                let zeros = (1..=38).take_while(|power| units % 10_i128.pow(*power) == 0).count();
                fewest = fewest.min(u32::try_from(zeros).ok()?);
            }
        }
    }
    let shown = u8::try_from(fewest).ok()?.checked_add(precision)?;
    let possible: &[u8] = if *width == DataType::FixedSizeBinary(8) { &[9] } else { &FIXED_SCALES };
    possible.contains(&shown).then_some(shown)
}

/// Gives the fixed-point numbers of a sample their scale.
pub(crate) fn rescale(form: &Batches, rows: &mut [Sampled], scale: u8) {
    for cells in rows.iter_mut().filter_map(|row| row.cells.as_mut().ok()) {
        for (place, cell) in cells.iter_mut().enumerate() {
            if let (Cell::Decimal(_, old), true) = (cell, form.is_fixed(place)) {
                *old = scale;
            }
        }
    }
}

#[cfg(test)]
mod tests;
