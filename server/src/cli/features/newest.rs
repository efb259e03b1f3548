//! Features on a terminal.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use barrow_client::{Client, LatestFeaturesQuery};

use crate::cli::query::warn;
use crate::cli::{CliError, table};

/// What stands beside the features of a row, in the order in which a person wants it.
const BESIDE: [&str; 10] = [
    "ts_end",
    "available_at",
    "known_at",
    "age",
    "coverage",
    "provisional",
    "session",
    "version",
    "sequence",
    "instrument_id",
];

/// What of these stands in a table.
const FIRST_BESIDE: [&str; 2] = ["age", "coverage"];

/// Digits of a number on a terminal.
const DIGITS: usize = 6;

/// What a person looks at first: symbol, time and features, with numbers rounded to six digits,
/// then age and coverage. Other formats have everything.
pub(crate) fn shortened(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let shorten = |batch: &RecordBatch| {
        let schema = batch.schema();
        let wanted = schema.fields().iter().enumerate().filter_map(|(place, field)| {
            let is_beside = BESIDE.contains(&field.name().as_str());
            (!is_beside || FIRST_BESIDE.contains(&field.name().as_str())).then_some(place)
        });
        let batch = batch.project(&wanted.collect::<Vec<_>>());
        batch.expect("invariant: the places are of its columns")
    };
    rounded(&batches.iter().map(shorten).collect::<Vec<_>>())
}

/// The same with numbers rounded to six digits.
pub(crate) fn rounded(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let round = |column: &ArrayRef| match column.data_type() {
        DataType::Float64 => {
            let numbers = column.as_primitive::<Float64Type>().iter();
            let numbers: Float64Array = numbers.map(|number| number.map(to_digits)).collect();
            Arc::new(numbers) as ArrayRef
        }
        _ => Arc::clone(column),
    };
    let batch = |batch: &RecordBatch| {
        let columns = batch.columns().iter().map(round).collect();
        let batch = RecordBatch::try_new(batch.schema(), columns);
        batch.expect("invariant: rounding changes neither types nor lengths")
    };
    batches.iter().map(batch).collect()
}

fn to_digits(number: f64) -> f64 {
    let digits = DIGITS - 1;
    format!("{number:.digits$e}").parse().unwrap_or(number)
}

/// Shows the latest features: of one symbol a line each with the reason of a null, of several a
/// row each.
pub(crate) async fn latest(
    client: &Client,
    query: LatestFeaturesQuery,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let is_one = query.symbols.len() == 1;
    let query = if is_one { query.with_reasons() } else { query };
    let batches = client.latest_features(&query).await?;
    warn(batches.head())?;
    let batches = batches.all().await?;
    if is_one {
        for batch in batches.iter().filter(|batch| batch.num_rows() == 1) {
            write_slot(batch, out)?;
        }
        return Ok(());
    }
    Ok(table::write_within(out, &shortened(&batches), width)?)
}

/// A span as a person says it.
fn span(seconds: f64) -> String {
    for (unit, length) in [("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)] {
        if seconds >= 2.0 * length {
            return format!("{:.0} {unit}", (seconds / length).floor());
        }
    }
    format!("{seconds:.1} s")
}

/// One slot: what it is, then a line for each feature.
fn write_slot(batch: &RecordBatch, out: &mut dyn Write) -> Result<(), CliError> {
    let schema = batch.schema();
    let shown = |name: &str| -> Result<Option<String>, CliError> {
        let Some(column) = batch.column_by_name(name) else { return Ok(None) };
        Ok(Some(table::cell(column, 0)?))
    };
    for name in ["symbol", "ts"].into_iter().chain(BESIDE) {
        let Some(value) = shown(name)? else { continue };
        let value = match value.parse() {
            Ok(seconds) if name == "age" => span(seconds),
            _ => value,
        };
        writeln!(out, "{name:<13}  {value}")?;
    }
    writeln!(out)?;
    let (mut names, mut values, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for name in features(&schema) {
        let Some(reason) = shown(&format!("{name}__reason"))? else { continue };
        let value = batch.column_by_name(name).expect("invariant: it is of the schema");
        let value = value.as_primitive::<Float64Type>().iter().next().flatten();
        values.push(value.map(to_digits));
        reasons.push(if reason == "ok" { String::new() } else { reason });
        names.push(name);
    }
    let columns: [(&str, ArrayRef); 3] = [
        ("feature", Arc::new(StringArray::from(names))),
        ("value", Arc::new(Float64Array::from(values))),
        ("reason", Arc::new(StringArray::from(reasons))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    let batch = batch.expect("invariant: the columns are equally long");
    Ok(table::write(out, &[batch])?)
}

/// The columns of features: each is followed by its reason.
fn features(schema: &Schema) -> impl Iterator<Item = &str> {
    let names = schema.fields().windows(2).filter_map(|pair| {
        let [feature, reason] = pair else { return None };
        let is_reason = reason.name().strip_suffix("__reason") == Some(feature.name());
        is_reason.then(|| feature.name().as_str())
    });
    names.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_of_which_there_are_two() {
        for (seconds, expected) in [
            (0.25, "0.2 s"),
            (90.0, "90.0 s"),
            (120.0, "2 min"),
            (7_199.0, "119 min"),
            (7_200.0, "2 h"),
            (172_799.0, "47 h"),
            (62_386_134.5, "722 days"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn numbers_keep_six_digits() {
        for (number, expected) in [
            (1.0 / 3.0, 0.333333),
            (-123_456.789, -123_457.0),
            (1e-300 / 3.0, 3.33333e-301),
            (0.0, 0.0),
        ] {
            assert_eq!(to_digits(number), expected);
        }
    }
}
