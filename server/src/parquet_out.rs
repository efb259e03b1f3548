//! Record batches become a Parquet file, given away as it grows: what is in memory is the row group
//! at hand, encoded, and what the footer will say of those before it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 131_072;
/// Memory of a row group above which it ends before it has so many rows: texts may be long.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// A Parquet file in the making.
pub(crate) struct ParquetOut {
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetOut {
    /// For batches of that schema.
    ///
    /// # Errors
    /// Parquet does not take the schema; that would be a fault of ours.
    pub(crate) fn new(schema: &Arc<Schema>) -> Result<Self, ArrowError> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties(schema)));
        Ok(Self { writer: writer? })
    }

    /// Adds the rows of `batch`, and gives away the bytes that are ready, if any are.
    ///
    /// # Errors
    /// The batch is of another schema; that would be a fault of ours.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.writer.write(batch)?;
        if self.writer.memory_size() > ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    /// The last bytes: without them it is no Parquet file.
    ///
    /// # Errors
    /// The footer cannot be written; that would be a fault of ours.
    pub(crate) fn finish(self) -> Result<Vec<u8>, ArrowError> {
        Ok(self.writer.into_inner()?)
    }
}

fn properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Of pages they would be kept in memory until the end.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for field in schema.fields() {
        if matches!(field.data_type(), DataType::Timestamp(..) | DataType::Int64) {
            let column = || ColumnPath::from(field.name().as_str());
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_encoding(column(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, AsArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
    };
    use arrow::datatypes::{Int64Type, TimestampNanosecondType};
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn batch(first: i64, rows: i64, text: &str) -> RecordBatch {
        let ts = TimestampNanosecondArray::from_iter_values(first..first + rows);
        let places = Int64Array::from_iter_values(first..first + rows);
        let count = usize::try_from(rows).unwrap();
        RecordBatch::try_from_iter([
            ("ts", Arc::new(ts.with_timezone("UTC")) as ArrayRef),
            ("price", Arc::new(Float64Array::from(vec![0.1 + 0.2; count]))),
            ("sequence", Arc::new(places)),
            ("venue", Arc::new(StringArray::from(vec![text; count]))),
        ])
        .unwrap()
    }

    #[test]
    fn a_long_file_is_given_away_in_parts_and_reads_back() {
        let mut out = ParquetOut::new(&batch(0, 1, "").schema()).unwrap();
        let mut bytes = Vec::new();
        let mut longest = 0;
        let (batches, rows) = (40, 10_000);
        for number in 0..batches {
            let part = out.write(&batch(number * rows, rows, "Q")).unwrap();
            longest = longest.max(part.len());
            bytes.extend(part);
        }
        bytes.extend(out.finish().unwrap());
        assert!(longest < bytes.len() / 2, "{longest} of {}", bytes.len());
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        let groups: Vec<_> =
            reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        assert_eq!(groups, [131_072, 131_072, 131_072, 6_784]);
        let mut next = 0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let ts = batch.column(0).as_primitive::<TimestampNanosecondType>();
            assert_eq!(ts.timezone(), Some("UTC"));
            let places = batch.column(2).as_primitive::<Int64Type>();
            assert_eq!(ts.values(), places.values());
            assert_eq!(ts.value(0), next);
            next += i64::try_from(batch.num_rows()).unwrap();
        }
        assert_eq!(next, batches * rows);
    }

    #[test]
    fn long_texts_end_a_row_group_early() {
        let mut out = ParquetOut::new(&batch(0, 1, "").schema()).unwrap();
        let mut bytes = Vec::new();
        let mut state = 1_u64;
        for number in 0..40 {
            // Digits that nothing makes short.
            let digit = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (state >> 58) as u8)
            };
            let text: String = (0..1 << 20).map(digit).collect();
            bytes.extend(out.write(&batch(number, 1, &text)).unwrap());
        }
        bytes.extend(out.finish().unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        assert!(reader.metadata().num_row_groups() > 1);
        let rows = reader.build().unwrap().map(|batch| batch.unwrap().num_rows());
        assert_eq!(rows.sum::<usize>(), 40);
    }
}
