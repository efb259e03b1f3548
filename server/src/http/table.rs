//! Small answers: tables of a few columns whose rows are made at once, in every format there is.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use barrow_types::{Timestamp, civil_from_days};
use serde_json::{Value, json};

use super::encode::{Format, csv_text};
use super::error::{Code, Problem};
use super::stream::append_warnings;
use super::time::{self, Zone};
use crate::parquet_out::ParquetOut;

/// A table: columns as (name, type), where a type is `text`, `i64`, `f64`, `bool`, `timestamp` or
/// `date`; rows as objects, instants and dates as [`instant`] and [`date`] write them.
///
/// # Errors
/// The rows are not of these types; that would be a fault of ours.
pub(crate) fn table(
    format: Format,
    columns: &[(&str, &str)],
    rows: &[Value],
) -> Result<Response, Problem> {
    table_with_warnings(format, columns, rows, &[])
}

/// The same, with what a person should know: headers `barrow-warning`, and in JSON `warnings`.
///
/// # Errors
/// As [`table`].
pub(crate) fn table_with_warnings(
    format: Format,
    columns: &[(&str, &str)],
    rows: &[Value],
    warnings: &[String],
) -> Result<Response, Problem> {
    let mut response = answer(format, columns, rows, warnings)?;
    append_warnings(response.headers_mut(), warnings);
    Ok(response)
}

fn answer(
    format: Format,
    columns: &[(&str, &str)],
    rows: &[Value],
    warnings: &[String],
) -> Result<Response, Problem> {
    let failed = |error: ArrowError| Problem::new(Code::Internal, error.to_string());
    let bytes = match format {
        Format::Json => return Ok(json_table(columns, rows, warnings)),
        Format::Csv => csv(columns, rows),
        Format::Arrow => arrow(columns, rows).map_err(failed)?,
        Format::Parquet => parquet(columns, rows).map_err(failed)?,
    };
    let kind = HeaderValue::from_static(format.media_type());
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

fn json_table(columns: &[(&str, &str)], rows: &[Value], warnings: &[String]) -> Response {
    let columns: Vec<Value> =
        columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let mut body = json!({"columns": columns, "rows": rows, "complete": true});
    if !warnings.is_empty() {
        body["warnings"] = json!(warnings);
    }
    Json(body).into_response()
}

fn csv(columns: &[(&str, &str)], rows: &[Value]) -> Vec<u8> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut out = format!("{}\n", names.join(",")).into_bytes();
    for row in rows {
        for (place, name) in names.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            match &row[*name] {
                Value::Null => {}
                Value::String(text) => csv_text(text, &mut out),
                other => out.extend(other.to_string().as_bytes()),
            }
        }
        out.push(b'\n');
    }
    out
}

fn batch(columns: &[(&str, &str)], rows: &[Value]) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for &(name, kind) in columns {
        let cells = rows.iter().map(|row| &row[name]);
        let array: ArrayRef = match kind {
            "i64" => Arc::new(cells.map(Value::as_i64).collect::<Int64Array>()),
            "f64" => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
            "bool" => Arc::new(cells.map(Value::as_bool).collect::<BooleanArray>()),
            "timestamp" => {
                let nanos = |cell: &Value| {
                    let text = cell.as_str()?;
                    time::parse(text, false).ok().map(Timestamp::nanos)
                };
                let times: TimestampNanosecondArray = cells.map(nanos).collect();
                Arc::new(times.with_timezone("UTC"))
            }
            "date" => {
                let days = |cell: &Value| {
                    let midnight = time::parse(cell.as_str()?, true).ok()?;
                    i32::try_from(midnight.day()).ok()
                };
                Arc::new(cells.map(days).collect::<Date32Array>())
            }
            _ => Arc::new(cells.map(Value::as_str).collect::<StringArray>()),
        };
        let kind = match kind {
            "i64" => DataType::Int64,
            "f64" => DataType::Float64,
            "bool" => DataType::Boolean,
            "timestamp" => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            "date" => DataType::Date32,
            _ => DataType::Utf8,
        };
        fields.push(Field::new(name, kind, true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn arrow(columns: &[(&str, &str)], rows: &[Value]) -> Result<Vec<u8>, ArrowError> {
    let batch = batch(columns, rows)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    writer.into_inner()
}

fn parquet(columns: &[(&str, &str)], rows: &[Value]) -> Result<Vec<u8>, ArrowError> {
    let batch = batch(columns, rows)?;
    let mut out = ParquetOut::new(&batch.schema())?;
    let mut bytes = out.write(&batch)?;
    bytes.extend(out.finish()?);
    Ok(bytes)
}

/// An instant as text.
pub(crate) fn instant(at: Timestamp) -> Value {
    let mut text = Vec::new();
    Zone::Utc.write(at, &mut text);
    Value::String(String::from_utf8(text).expect("invariant: times are ASCII"))
}

/// A date, given in days since 1970, as text.
pub(crate) fn date(days: i32) -> Value {
    let (year, month, day) = civil_from_days(days.into());
    Value::String(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Int64Type, TimestampNanosecondType};
    use arrow::ipc::reader::StreamReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    const COLUMNS: [(&str, &str); 3] = [("raw", "text"), ("row", "i64"), ("known_at", "timestamp")];

    fn rows() -> [Value; 2] {
        [
            json!({"raw": "a,\"b", "row": 7, "known_at": instant(Timestamp::from_nanos(1))}),
            json!({"raw": null, "row": null, "known_at": null}),
        ]
    }

    async fn bytes(format: Format) -> (String, bytes::Bytes) {
        let response = table(format, &COLUMNS, &rows()).unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn a_small_table_comes_in_every_format() {
        let (_, json) = bytes(Format::Json).await;
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["rows"], json!(rows()));
        let (kind, csv) = bytes(Format::Csv).await;
        assert_eq!(kind, "text/csv");
        assert_eq!(csv, "raw,row,known_at\n\"a,\"\"b\",7,1970-01-01T00:00:00.000000001Z\n,,\n");
        let (_, stream) = bytes(Format::Arrow).await;
        let stream = StreamReader::try_new(&stream[..], None).unwrap();
        let (kind, file) = bytes(Format::Parquet).await;
        assert_eq!(kind, "application/vnd.apache.parquet");
        let file = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let stream: Vec<_> = stream.map(Result::unwrap).collect();
        let file: Vec<_> = file.map(Result::unwrap).collect();
        for batches in [stream, file] {
            let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
            assert_eq!(
                batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(),
                [Some("a,\"b"), None]
            );
            let numbers = batch.column(1).as_primitive::<Int64Type>();
            assert_eq!(numbers.iter().collect::<Vec<_>>(), [Some(7), None]);
            let times = batch.column(2).as_primitive::<TimestampNanosecondType>();
            assert_eq!(times.iter().collect::<Vec<_>>(), [Some(1), None]);
        }
    }
}
