//! Arrow rows as an aligned table for a terminal.

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

const TIME: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// Writes the rows of `batches`, which are of one schema: names, then a line a row; numbers to the
/// right. Nulls are left empty.
pub(crate) fn write(out: &mut dyn Write, batches: &[RecordBatch]) -> io::Result<()> {
    let Some(first) = batches.first() else { return writeln!(out, "no rows") };
    let schema = first.schema();
    let mut lines = vec![schema.fields().iter().map(|field| field.name().clone()).collect()];
    for batch in batches {
        rows(batch, &mut lines)?;
    }
    let numeric: Vec<bool> =
        schema.fields().iter().map(|field| is_number(field.data_type())).collect();
    let widths: Vec<usize> = (0..numeric.len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default())
        .collect();
    for line in &lines {
        let mut text = String::new();
        for ((value, width), numeric) in line.iter().zip(&widths).zip(&numeric) {
            if *numeric {
                text.push_str(&format!("{value:>width$}  "));
            } else {
                text.push_str(&format!("{value:<width$}  "));
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

fn rows(batch: &RecordBatch, lines: &mut Vec<Vec<String>>) -> io::Result<()> {
    let options = FormatOptions::default().with_null("").with_timestamp_tz_format(Some(TIME));
    let columns: Vec<ArrayRef> = batch.columns().iter().map(with_offset).collect();
    let formatters = columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    for row in 0..batch.num_rows() {
        let line = formatters.iter().map(|formatter| formatter.value(row).to_string());
        lines.push(line.collect());
    }
    Ok(())
}

/// The same column, with the zone `UTC` named as the offset it is: Arrow shows times of named zones
/// only with a table of zones.
pub(crate) fn with_offset(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if zone.as_ref() == "UTC" => {
            let times = column.as_primitive::<TimestampNanosecondType>().clone();
            std::sync::Arc::new(times.with_timezone("+00:00"))
        }
        _ => ArrayRef::clone(column),
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray, TimestampNanosecondArray};

    #[test]
    fn columns_are_aligned_and_nulls_are_empty() {
        let ts = TimestampNanosecondArray::from(vec![0, 1_700_000_000_500_000_000]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("symbol", Arc::new(StringArray::from(vec!["A", "BRK.B"])) as Arc<dyn Array>, false),
            ("ts", Arc::new(ts.with_timezone("UTC")), false),
            ("open", Arc::new(Float64Array::from(vec![Some(1.5), None])), true),
            ("close", Arc::new(Float64Array::from(vec![Some(10.25), Some(0.1)])), true),
        ])
        .unwrap();
        let mut out = Vec::new();
        write(&mut out, &[batch]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "symbol  ts                        open  close\n\
             A       1970-01-01T00:00:00Z       1.5  10.25\n\
             BRK.B   2023-11-14T22:13:20.500Z          0.1\n"
        );
    }
}
