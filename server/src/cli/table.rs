//! Arrow rows as an aligned table for a terminal.

use std::io::{self, IsTerminal, Write};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

const TIME: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// Most columns that are named where they are left out.
const NAMED_MAX: usize = 5;

/// How many characters a line of the terminal holds; `None` if standard output is none.
pub(crate) fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (width, _) = terminal_size::terminal_size()?;
    Some(width.0.into())
}

/// Writes the rows of `batches`, which are of one schema: names, then a line a row; numbers to the
/// right. Nulls are left empty.
pub(crate) fn write(out: &mut dyn Write, batches: &[RecordBatch]) -> io::Result<()> {
    write_within(out, batches, None)
}

/// The same, of the first columns that fit into `width` characters, but one at least; the others
/// are named below.
pub(crate) fn write_within(
    out: &mut dyn Write,
    batches: &[RecordBatch],
    width: Option<usize>,
) -> io::Result<()> {
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
    let fitting = width.map_or(widths.len(), |width| fitting(&widths, width));
    for line in &lines {
        let mut text = String::new();
        let cells = line.iter().zip(&widths).zip(&numeric);
        for ((value, width), numeric) in cells.take(fitting) {
            if *numeric {
                text.push_str(&format!("{value:>width$}  "));
            } else {
                text.push_str(&format!("{value:<width$}  "));
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    let left_out = &lines[0][fitting..];
    if !left_out.is_empty() {
        let count = left_out.len();
        let mut names = left_out.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        if count > NAMED_MAX {
            names.push_str(", ...");
        }
        let columns = if count == 1 { "column" } else { "columns" };
        writeln!(out, "... and {count} {columns} more, {names}: see them with --format csv")?;
    }
    Ok(())
}

/// How many of the first columns fit, each with two blanks behind it.
fn fitting(widths: &[usize], width: usize) -> usize {
    let mut used = 0;
    let fit = widths.iter().take_while(|column| {
        used += **column + 2;
        used <= width + 2
    });
    fit.count().max(1)
}

/// One cell as it is shown in a table.
pub(crate) fn cell(column: &ArrayRef, row: usize) -> io::Result<String> {
    let column = with_offset(column);
    let options = FormatOptions::default().with_null("").with_timestamp_tz_format(Some(TIME));
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(io::Error::other)?;
    Ok(formatter.value(row).to_string())
}

/// Adds the rows of a batch as texts; nulls are empty.
pub(crate) fn rows(batch: &RecordBatch, lines: &mut Vec<Vec<String>>) -> io::Result<()> {
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

    #[test]
    fn columns_that_do_not_fit_are_named_below() {
        let names: Vec<String> = (0..8).map(|at| format!("c{at}")).collect();
        let column = |name: &String| {
            (name.clone(), Arc::new(Float64Array::from(vec![1.25])) as Arc<dyn Array>, true)
        };
        let batch = RecordBatch::try_from_iter_with_nullable(names.iter().map(column)).unwrap();
        let shown = |width: usize| {
            let mut out = Vec::new();
            write_within(&mut out, std::slice::from_ref(&batch), Some(width)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let rest = "see them with --format csv";
        assert_eq!(
            shown(46),
            "  c0    c1    c2    c3    c4    c5    c6    c7\n\
            1.25  1.25  1.25  1.25  1.25  1.25  1.25  1.25\n"
        );
        assert_eq!(
            shown(45),
            format!(
                "  c0    c1    c2    c3    c4    c5    c6\n\
            1.25  1.25  1.25  1.25  1.25  1.25  1.25\n... and 1 column more, c7: {rest}\n"
            )
        );
        let many = format!("... and 6 columns more, c2, c3, c4, c5, c6, ...: {rest}\n");
        assert_eq!(shown(10), format!("  c0    c1\n1.25  1.25\n{many}"));
        assert_eq!(shown(3).lines().nth(1), Some("1.25"));
    }
}
