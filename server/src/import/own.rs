//! Files of rows of a user's table. The server knows the columns, so a file is sent as it is, in
//! parts: nothing is detected but its form, and times are written as the server reads them.
//!
//! A file's parts are cut in its order by counts that depend on nothing but the file, and their ids
//! come from its content: importing it again stores nothing.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use barrow_client::IngestOptions;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::Xxh3;

use super::files::{self, Kind};
use super::form::{Form, Table};
use super::{ImportError, ImportOptions, Reading, Sending, Tally, Watcher};

/// Bytes of text that are gathered before they are sent.
const PART_BYTES: usize = 8 << 20;

/// Rows of typed columns that are sent together.
const PART_ROWS: usize = 65_536;

/// Longest array, line or record of a text: what has to be held whole.
const WHOLE_BYTES_MAX: usize = 64 << 20;

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

/// Files of rows of one table.
pub(super) struct OwnFiles {
    name: String,
    source: String,
    symbol: Option<String>,
    known_at: Option<String>,
    map: Map,
    files: Vec<PathBuf>,
    /// Hashes of the files' contents, if they were taken already.
    contents: Vec<u128>,
}

impl OwnFiles {
    /// The `files` as rows of the table `name`.
    ///
    /// # Errors
    /// An option that is said of market data.
    pub(super) fn new(
        name: &str,
        files: &[PathBuf],
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            name: name.to_owned(),
            source: options.source.clone(),
            symbol: options.symbol.clone(),
            known_at: options.known_at.clone(),
            map: options.own_map()?,
            files: files.to_vec(),
            contents: Vec::new(),
        })
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Counts the rows of every file.
    ///
    /// # Errors
    /// A file cannot be read, or reading was stopped.
    pub(super) fn dry_run(&self, reading: &Reading, tally: &mut Tally) -> Result<(), ImportError> {
        for path in &self.files {
            let shown = path.display().to_string();
            let mut count = |part: Part| {
                tally.add_unsent(&shown, part.unit(), part.rows(), &[]);
                !reading.is_stopped()
            };
            parts(path, &self.map, reading, &mut count)
                .map_err(|error| ImportError::failed(format!("read {shown}: {error}")))?;
        }
        Ok(())
    }

    /// Takes the hashes of the files' contents.
    ///
    /// # Errors
    /// As [`Self::dry_run`].
    pub(super) fn identify(
        &mut self,
        reading: &Reading,
    ) -> Result<Vec<(&PathBuf, u128)>, ImportError> {
        let hashes = self.files.iter().map(|path| files::content(path, reading));
        self.contents = hashes.collect::<Result<_, _>>()?;
        Ok(self.files.iter().zip(self.contents.iter().copied()).collect())
    }

    /// Sends file `at`; adds what became of its rows to the tally, also when it fails midway.
    ///
    /// # Errors
    /// As [`super::Import::send`].
    pub(super) async fn send<W: Watcher>(
        &self,
        at: usize,
        sending: &mut Sending<'_, W>,
    ) -> Result<(), ImportError> {
        let table = sending.way.dataset(&self.name).await;
        let table = table.map_err(|error| ImportError::request("import", error))?;
        if table.kind != "table" {
            let fault = format!("--dataset: {} is no table of your own", self.name);
            return Err(ImportError::usage(fault));
        }
        let path = &self.files[at];
        let shown = path.display().to_string();
        let failed = |what: &dyn fmt::Display| ImportError::failed(format!("read {shown}: {what}"));
        let symbol = self.symbol.as_deref().map(|symbol| files::symbol_of(symbol, path));
        let Self { name, source, known_at, map, contents, .. } = self;
        let identity = format!("{name} {source} {symbol:?} {map:?} {known_at:?}");
        let (sender, mut receiver) = tokio::sync::mpsc::channel(PARTS_WAITING_MAX);
        let handle = {
            let (path, map, content) = (path.clone(), map.clone(), contents.get(at).copied());
            let reading = sending.reading.clone();
            tokio::task::spawn_blocking(move || {
                let content = match content {
                    Some(content) => content,
                    None => files::content_hash(&path, &reading)?,
                };
                let mut hasher = Xxh3::new();
                hasher.update(&content.to_le_bytes());
                hasher.update(identity.as_bytes());
                let id = format!("import-{:032x}", hasher.digest128());
                let mut send = |part| sender.blocking_send((id.clone(), part)).is_ok();
                parts(&path, &map, &reading, &mut send)?;
                Ok::<_, io::Error>(files::content_hash(&path, &reading)? == content)
            })
        };
        let mut number = 0_u32;
        while let Some((id, part)) = receiver.recv().await {
            sending.check()?;
            number += 1;
            sending.watcher.part(path, sending.tally).await;
            let options = IngestOptions {
                symbol: symbol.clone(),
                batch_id: Some(format!("{id}#{number}")),
                known_at_policy: known_at.clone(),
                import: true,
                ..IngestOptions::table(name, source.clone())
            };
            let (rows, unit) = (part.rows(), part.unit());
            let answer = match part {
                Part::Text(kind, text, _) => {
                    sending.way.rows(&options, (kind, Bytes::from(text))).await
                }
                Part::Rows(batch) => sending.way.arrow(&options, &batch).await,
            };
            let answer = answer.map_err(|error| {
                let doing = format!(
                    "import {shown}: its part {number} was not stored ({} rows before it were; \
                     importing the file again skips them)",
                    sending.tally.answered()
                );
                ImportError::request(doing, error)
            })?;
            if number == 1 && !answer.ignored.is_empty() {
                sending.tally.note(format!("{shown}: left out: {}", answer.ignored.join(", ")));
            }
            sending.tally.add(&shown, unit, rows, &[], &answer);
        }
        let read = handle.await.map_err(|_| failed(&"its decoder broke down"))?;
        if read.map_err(|error| failed(&error))? {
            return Ok(());
        }
        Err(ImportError::failed(format!(
            "import {shown}: the file changed while it was read; import it again when it is whole"
        )))
    }
}

/// Hands each part of a file to `sink`.
fn parts(path: &Path, map: &Map, reading: &Reading, sink: &mut Sink<'_>) -> io::Result<()> {
    let damaged = |error: ArrowError| io::Error::other(error);
    match files::kind(path) {
        Kind::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(reading.open(path)?)
                .and_then(|builder| builder.with_batch_size(PART_ROWS).build())
                .map_err(io::Error::other)?;
            typed(reader, map, sink).map_err(damaged)
        }
        Kind::Arrow => match FileReader::try_new(reading.open(path)?, None) {
            Ok(reader) => typed(reader, map, sink).map_err(damaged),
            Err(_) => {
                let reader = StreamReader::try_new(reading.open(path)?, None).map_err(damaged)?;
                typed(reader, map, sink).map_err(damaged)
            }
        },
        Kind::Json(_) => json(files::open(path, reading)?, map, sink),
        Kind::Csv(_) | Kind::NotRead(_) | Kind::Unknown => {
            let separator = match Table::look(path, reading)? {
                Ok(Table { form: Form::Delimited(layout), .. }) => layout.separator,
                // One column needs no separator.
                _ => ',',
            };
            let separator = u8::try_from(separator).map_err(io::Error::other)?;
            delimited(files::open(path, reading)?, separator, map, sink)
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
    read_line(&mut input, &mut line)?;
    if line.trim_ascii_start().first() == Some(&b'[') {
        input.by_ref().take(WHOLE_BYTES_MAX as u64 + 1).read_to_end(&mut line)?;
        check_whole(line.len())?;
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
        read_line(&mut input, &mut line)?;
    }
    if rows > 0 {
        sink(Part::Text(NDJSON, text, rows));
    }
    Ok(())
}

/// Reads a line with its end, of bounded length.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    input.take(WHOLE_BYTES_MAX as u64 + 1).read_until(b'\n', line)?;
    check_whole(line.len())
}

fn check_whole(len: usize) -> io::Result<()> {
    if len <= WHOLE_BYTES_MAX {
        return Ok(());
    }
    Err(io::Error::other(
        "it holds an array or a line of more than 64 MiB, which has to be read whole: write one \
         object a line",
    ))
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
        parts(&path, &map, &Reading::default(), &mut |part| {
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
