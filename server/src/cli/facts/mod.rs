//! Commands about facts: each is thin over its route, and shows what the route answers.

pub(crate) mod halts;
pub(crate) mod instruments;
pub(crate) mod rules;
pub(crate) mod sources;
pub(crate) mod verdicts;

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use barrow_client::{Client, IngestAnswer};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::{CliError, table};
use crate::import::grouped;

/// How a list is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shown {
    /// Aligned for a terminal
    #[default]
    Table,
    /// As the server says it
    Json,
}

/// Which state is asked about.
#[derive(Debug, Args)]
pub(crate) struct AsOf {
    /// As it was known then
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
    /// As it was held at this sequence
    #[arg(long, value_name = "N")]
    at_sequence: Option<u64>,
}

impl AsOf {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let at_sequence = self.at_sequence.map(|sequence| sequence.to_string());
        let all = [("as_of", self.as_of.clone()), ("at_sequence", at_sequence)];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Shows a list of facts.
pub(crate) async fn list(
    client: &Client,
    path: &[&str],
    pairs: &[(&str, String)],
    shown: Shown,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let answer = client.facts(path, pairs).await?;
    match shown {
        Shown::Json => write_json(&answer, out),
        Shown::Table => write_table(&answer, out),
    }
}

/// Shows a value as JSON for people.
pub(crate) fn write_json(value: &Value, out: &mut dyn Write) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).expect("invariant: values are JSON");
    Ok(writeln!(out, "{text}")?)
}

/// Shows a JSON table as one.
pub(crate) fn write_table(answer: &Value, out: &mut dyn Write) -> Result<(), CliError> {
    let unreadable = || CliError::failed("the answer is no table of a Barrow server");
    let columns = answer["columns"].as_array().ok_or_else(unreadable)?;
    let rows = answer["rows"].as_array().ok_or_else(unreadable)?;
    if rows.is_empty() {
        return Ok(writeln!(out, "none")?);
    }
    let mut arrays: Vec<(&str, ArrayRef)> = Vec::with_capacity(columns.len());
    for column in columns {
        let name = column["name"].as_str().ok_or_else(unreadable)?;
        let cells = rows.iter().map(|row| match &row[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        });
        arrays.push((name, Arc::new(cells.collect::<StringArray>())));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(
        arrays.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.expect("invariant: the columns are as long as the rows");
    Ok(table::write(out, &[batch])?)
}

/// Says what became of facts.
pub(crate) fn write_answer(answer: &IngestAnswer, out: &mut dyn Write) -> Result<(), CliError> {
    let IngestAnswer { batch_id, accepted, corrected, duplicates, .. } = answer;
    let known = match duplicates {
        0 => String::new(),
        count => format!(", {} were known", grouped(*count)),
    };
    let stated = grouped(accepted + corrected);
    Ok(writeln!(out, "{stated} facts stated{known} (batch {batch_id})")?)
}

/// `NAME=VALUE` of an option that may be given several times.
fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
