//! Files of rows of a user's table. The server knows the columns, so a file is sent as it is, in
//! parts: nothing is detected but its form, and times are written as the server reads them.
//!
//! A file's parts are cut in its order by counts that depend on nothing but the file, and their ids
//! come from its content: importing it again stores nothing.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use barrow_client::{Client, ClientError, IngestOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::Xxh3;

use super::files::{self, Kind};
use super::form::{Form, Table};
use super::tally::Tally;
use super::{ImportOptions, more};
use crate::cli::CliError;
use crate::cli::target::TargetArgs;

/// Bytes of text that are gathered before they are sent.
const PART_BYTES: usize = 8 << 20;

/// Rows of typed columns that are sent together.
const PART_ROWS: usize = 65_536;

/// Parts that wait to be sent: one is read while one travels.
const PARTS_WAITING_MAX: usize = 1;

const CSV: &str = "text/csv";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// Columns of the table by name and the columns of the file that fill them; `-` leaves one out.
type Map = Vec<(String, String)>;

/// Rows of a file as one request carries them.
enum Part {
    /// Written as this media type says, so many rows.
    Text(&'static str, Vec<u8>, u64),
    /// Typed columns.
    Rows(RecordBatch),
}

impl Part {
    /// What its rows are counted by.
    fn unit(&self) -> &'static str {
        match self {
            Self::Text(CSV, ..) => "line",
            Self::Text(..) | Self::Rows(_) => "row",
        }
    }

    fn rows(&self) -> u64 {
        match self {
            Self::Text(_, _, rows) => *rows,
            Self::Rows(batch) => batch.num_rows() as u64,
        }
    }
}

/// Takes parts; says whether it wants more.
type Sink<'s> = dyn FnMut(Part) -> bool + 's;

/// Runs the command for the table `name`.
pub(super) async fn run(
    name: &str,
    paths: &[PathBuf],
    options: &ImportOptions,
    (target, dry_run): (&TargetArgs, bool),
    out: &mut dyn io::Write,
) -> Result<(), CliError> {
    let map = options.own_map()?;
    let found = files::find(paths)?;
    if !found.left_out.is_empty() {
        let count = found.left_out.len();
        let first = found.left_out[0].display();
        writeln!(out, "left out: {count} files of other kinds ({first}{})", more(count))?;
    }
    let mut tally = Tally::default();
    let started = Instant::now();
    if dry_run {
        for path in &found.files {
            let shown = path.display().to_string();
            parts(path, &map, &mut |part| {
                tally.add_unsent(&shown, part.unit(), part.rows(), &[]);
                true
            })
            .map_err(|error| CliError::failed(format!("read {shown}: {error}")))?;
        }
        writeln!(out, "dry run: nothing was sent")?;
        tally.write_unsent(out, started.elapsed())?;
        return Ok(());
    }
    let target = target.clone().open().await?;
    let sent = send_all(&target.client, (name, options, &map), &found.files, &mut tally).await;
    let elapsed = started.elapsed();
    let stopped = target.close().await;
    tally.write(out, elapsed)?;
    sent.and(stopped)
}

async fn send_all(
    client: &Client,
    (name, options, map): (&str, &ImportOptions, &Map),
    files: &[PathBuf],
    tally: &mut Tally,
) -> Result<(), CliError> {
    let table = client.dataset(name).await?;
    if table.kind != "table" {
        return Err(CliError::usage(format!("--dataset: {name} is no table of your own")));
    }
    for path in files {
        send(client, (name, options, map), path, tally).await?;
    }
    Ok(())
}

/// Sends one file; adds what became of its rows to `tally`, also when it fails midway.
async fn send(
    client: &Client,
    (name, options, map): (&str, &ImportOptions, &Map),
    path: &Path,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let shown = path.display().to_string();
    let failed = |what: &dyn std::fmt::Display| CliError::failed(format!("read {shown}: {what}"));
    let (path, map) = (path.to_owned(), map.clone());
    let symbol = options.symbol.as_deref().map(|symbol| files::symbol_of(symbol, &path));
    let identity = format!("{name} {} {symbol:?} {map:?} {:?}", options.source, options.known_at);
    let (sender, mut receiver) = tokio::sync::mpsc::channel(PARTS_WAITING_MAX);
    let reading = tokio::task::spawn_blocking(move || {
        let mut hasher = Xxh3::new();
        hasher.update(&files::content_hash(&path)?.to_le_bytes());
        hasher.update(identity.as_bytes());
        let id = format!("import-{:032x}", hasher.digest128());
        parts(&path, &map, &mut |part| sender.blocking_send((id.clone(), part)).is_ok())
    });
    let mut number = 0_u32;
    while let Some((id, part)) = receiver.recv().await {
        number += 1;
        let options = IngestOptions {
            symbol: symbol.clone(),
            batch_id: Some(format!("{id}#{number}")),
            known_at_policy: options.known_at.clone(),
            import: true,
            ..IngestOptions::table(name, options.source.clone())
        };
        let (rows, unit) = (part.rows(), part.unit());
        let answer = match part {
            Part::Text(kind, text, _) => {
                client.ingest_bytes(&options, kind, Bytes::from(text)).await
            }
            Part::Rows(batch) => client.ingest_arrow(&options, &[batch]).await,
        };
        let answer = answer.or_else(ClientError::into_answer).map_err(|error| {
            CliError::from(error).within(&format!(
                "import {shown}: its part {number} was not stored ({} rows before it were; \
                 importing the file again skips them)",
                tally.answered()
            ))
        })?;
        if number == 1 && !answer.ignored.is_empty() {
            tally.note(format!("{shown}: left out: {}", answer.ignored.join(", ")));
        }
        tally.add(&shown, unit, rows, &[], &answer);
    }
    let read = reading.await.map_err(|_| failed(&"its decoder broke down"))?;
    read.map_err(|error| failed(&error))
}

/// Hands each part of a file to `sink`.
fn parts(path: &Path, map: &Map, sink: &mut Sink<'_>) -> io::Result<()> {
    let damaged = |error: ArrowError| io::Error::other(error);
    match files::kind(path) {
        Kind::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)
                .and_then(|builder| builder.with_batch_size(PART_ROWS).build())
                .map_err(io::Error::other)?;
            typed(reader, map, sink).map_err(damaged)
        }
        Kind::Arrow => match FileReader::try_new(File::open(path)?, None) {
            Ok(reader) => typed(reader, map, sink).map_err(damaged),
            Err(_) => {
                let reader = StreamReader::try_new(File::open(path)?, None).map_err(damaged)?;
                typed(reader, map, sink).map_err(damaged)
            }
        },
        Kind::Json(_) => json(files::open(path, Arc::default())?, map, sink),
        Kind::Csv(_) | Kind::NotRead(_) | Kind::Unknown => {
            let separator = match Table::look(path)? {
                Ok(Table { form: Form::Delimited(layout), .. }) => layout.separator,
                // One column needs no separator.
                _ => ',',
            };
            let separator = u8::try_from(separator).map_err(io::Error::other)?;
            delimited(files::open(path, Arc::default())?, separator, map, sink)
        }
    }
}

/// What a column of a file is called in the table; `None` if it is left out.
fn name_of<'a>(column: &'a str, map: &'a Map) -> Option<&'a str> {
    let is_left_out = |(name, from): &&(String, String)| name == column && from == "-";
    if map.iter().any(|pair| is_left_out(&pair)) {
        return None;
    }
    let renamed = map.iter().find(|(_, from)| from == column);
    Some(renamed.map_or(column, |(name, _)| name))
}

fn typed(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    map: &Map,
    sink: &mut Sink<'_>,
) -> Result<(), ArrowError> {
    let mut line = 1_i64;
    for batch in batches {
        let batch = batch?;
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            if let Some(name) = name_of(field.name(), map) {
                fields.push(Field::new(name, field.data_type().clone(), true));
                arrays.push(Arc::clone(array));
            }
        }
        let lines = Int64Array::from_iter_values((line..).take(batch.num_rows()));
        line += i64::try_from(batch.num_rows()).unwrap_or_default();
        fields.push(Field::new("_line", lines_type(), false));
        arrays.push(Arc::new(lines));
        if !sink(Part::Rows(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)) {
            break;
        }
    }
    Ok(())
}

const fn lines_type() -> arrow::datatypes::DataType {
    arrow::datatypes::DataType::Int64
}

/// An array is sent whole, as one body; objects a line are cut between lines.
fn json(mut input: impl BufRead, map: &Map, sink: &mut Sink<'_>) -> io::Result<()> {
    if !map.is_empty() {
        let what = "--map is for files with a header; rename the members of JSON objects";
        return Err(io::Error::other(what));
    }
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    if line.trim_ascii_start().first() == Some(&b'[') {
        input.read_to_end(&mut line)?;
        let rows: Vec<serde::de::IgnoredAny> = serde_json::from_slice(&line)?;
        sink(Part::Text(JSON, line, rows.len() as u64));
        return Ok(());
    }
    let (mut text, mut rows) = (Vec::new(), 0);
    while !line.is_empty() {
        rows += u64::from(!line.trim_ascii().is_empty());
        text.append(&mut line);
        if text.len() >= PART_BYTES {
            let full = std::mem::take(&mut text);
            if !sink(Part::Text(NDJSON, full, std::mem::take(&mut rows))) {
                return Ok(());
            }
        }
        input.read_until(b'\n', &mut line)?;
    }
    if rows > 0 {
        sink(Part::Text(NDJSON, text, rows));
    }
    Ok(())
}

fn delimited(input: impl Read, separator: u8, map: &Map, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .from_reader(input);
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record)? {
        return Err(io::Error::other("it is empty: the first line names the columns"));
    }
    let text = |name: &[u8]| {
        let name = name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name);
        String::from_utf8_lossy(name).trim().to_owned()
    };
    let header: Vec<String> = record.iter().map(text).collect();
    let names: Vec<Option<&str>> = header.iter().map(|name| name_of(name, map)).collect();
    let is_kept = |at: usize| names.get(at).is_none_or(Option::is_some);
    let begin = || -> io::Result<csv::Writer<Vec<u8>>> {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        writer.write_record(names.iter().flatten().copied().chain(["_line"]))?;
        Ok(writer)
    };
    let done = |writer: csv::Writer<Vec<u8>>| writer.into_inner().map_err(io::Error::other);
    let (mut writer, mut rows, mut bytes) = (begin()?, 0, 0);
    loop {
        let line = reader.position().line().to_string();
        if !reader.read_byte_record(&mut record)? {
            break;
        }
        let fields = record.iter().enumerate().filter(|(at, _)| is_kept(*at));
        let fields = fields.map(|(_, field)| field).chain([line.as_bytes()]);
        writer.write_record(fields)?;
        rows += 1;
        bytes += record.as_slice().len() + record.len();
        if bytes >= PART_BYTES {
            let full = done(std::mem::replace(&mut writer, begin()?))?;
            if !sink(Part::Text(CSV, full, std::mem::take(&mut rows))) {
                return Ok(());
            }
            bytes = 0;
        }
    }
    if rows > 0 {
        sink(Part::Text(CSV, done(writer)?, rows));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &[u8], map: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let map = map.iter().map(|(to, from)| ((*to).to_owned(), (*from).to_owned())).collect();
        let mut found = Vec::new();
        parts(&path, &map, &mut |part| {
            let Part::Text(kind, text, rows) = part else { panic!("it is a text") };
            found.push(format!("{kind} {rows}: {}", String::from_utf8(text).unwrap()));
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn a_csv_file_is_sent_with_the_tables_names_and_the_lines_of_its_rows() {
        let text = b"\xEF\xBB\xBFDate;id;\"note\";x\n2024-01-02;1;\"a,\nb\";9\n2024-01-03;2;;9\n";
        let found = read("a.csv", text, &[("ts", "Date"), ("x", "-")]);
        let expected = "text/csv 2: ts,id,note,_line\n2024-01-02,1,\"a,\nb\",2\n2024-01-03,2,,4\n";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn objects_go_as_they_are_and_an_array_in_one_body() {
        let lines = b"{\"a\":1}\n\n{\"a\":2}";
        let found = read("a.ndjson", lines, &[]);
        assert_eq!(found, ["application/x-ndjson 2: {\"a\":1}\n\n{\"a\":2}"]);
        let array = b" [{\"a\":1},\n{\"a\":2}]";
        let found = read("a.json", array, &[]);
        assert_eq!(found, ["application/json 2:  [{\"a\":1},\n{\"a\":2}]"]);
    }

    #[test]
    fn a_long_file_is_cut_between_rows_in_the_same_way_each_time() {
        let row = format!("2024-01-02,{}\n", "x".repeat(1_000_000));
        let text = format!("ts,note\n{}", row.repeat(20));
        let found = read("a.csv", text.as_bytes(), &[]);
        assert_eq!(found, read("a.csv", text.as_bytes(), &[]));
        let rows: Vec<&str> = found.iter().map(|part| part.split(' ').nth(1).unwrap()).collect();
        assert_eq!(rows, ["9:", "9:", "2:"]);
    }
}
