//! Parquet files, a few thousand rows at a time. Texts are read as views of their pages, so that a
//! long text in a dictionary that many rows name is there once, until it is weighed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;

use super::super::error::Problem;
use super::arrow_rows::{Rows, roles_of};
use super::rows::Incoming;
use super::{Plan, parquet_pages, unreadable};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;

/// The rows of a Parquet file.
///
/// # Errors
/// The file is not whole, or its columns are not those of the dataset.
pub(crate) fn decode(body: &Bytes, plan: &Plan) -> Result<Incoming, Problem> {
    parquet_pages::check_footer(body).map_err(unreadable)?;
    let metadata =
        ArrowReaderMetadata::load(body, ArrowReaderOptions::new()).map_err(unreadable)?;
    let (roles, ignored) = roles_of(metadata.schema(), plan)?;
    let schema = with_views(&metadata).map_err(unreadable)?;
    parquet_pages::check_pages(body, metadata.metadata(), plan.decoded_bytes_max)
        .map_err(unreadable)?;
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
        .map_err(unreadable)?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(body.clone(), metadata)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(unreadable)?;
    let mut rows = Rows::new(plan);
    rows.all.ignored = ignored;
    for batch in reader {
        rows.add(&batch.map_err(unreadable)?, &roles)?;
    }
    Ok(rows.all)
}

/// The file's columns with every text as a view.
fn with_views(metadata: &ArrowReaderMetadata) -> Result<Schema, String> {
    let columns = metadata.parquet_schema().columns();
    let fields = metadata.schema().fields().iter().zip(columns).map(|(field, column)| {
        let kind = match field.data_type() {
            DataType::Dictionary(_, values) => values,
            kind => kind,
        };
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if column.physical_type() == Type::BYTE_ARRAY && !is_text {
            return Err(format!("column {}: its bytes are {kind}, not text", field.name()));
        }
        let kind = if is_text { DataType::Utf8View } else { kind.clone() };
        Ok(Field::new(field.name(), kind, field.is_nullable()))
    });
    Ok(Schema::new(fields.collect::<Result<Vec<_>, _>>()?))
}
