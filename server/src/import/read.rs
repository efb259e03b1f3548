//! A file from its first row to its last, as parts.

use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::form::Form;
use super::part::{Part, PartBuilder, RAW_LEN_MAX};
use super::plan::Plan;
use super::rows::{Refused, RowReader};
use super::table::{Record, Sink};
use super::{Reading, batches, delimited, files, json};

/// Hashes what passes through it.
struct Hashed<'h, R> {
    input: R,
    hasher: &'h mut Xxh3,
}

impl<R: BufRead> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Hashed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // What is consumed stands in the buffer already, so this reads nothing and cannot fail.
        if let Ok(buffer) = self.input.fill_buf() {
            self.hasher.update(&buffer[..count.min(buffer.len())]);
        }
        self.input.consume(count);
    }
}

/// Reads the file at `path` by `plan` and hands each part to `sink` with whether it is the last;
/// stops early if `sink` says false.
///
/// Returns the hash of the content, which differs from the hash taken before if the file was
/// changed meanwhile.
pub(crate) fn parts(
    path: &Path,
    plan: &Plan,
    reading: &Reading,
    sink: impl FnMut(Part, bool) -> bool,
) -> io::Result<u128> {
    let bytes_max = super::part::BYTES_MAX;
    if let Form::Batches(form) = &plan.form {
        cut(|rows| batches::records(path, form, reading, rows), plan, bytes_max, sink)?;
        return files::content_hash(path, reading);
    }
    let mut hasher = Xxh3::new();
    let mut input = Hashed { input: files::open(path, reading)?, hasher: &mut hasher };
    cut(|rows| text(&mut input, &plan.form, rows), plan, bytes_max, sink)?;
    // What stands behind the last row is part of the content.
    io::copy(&mut input, &mut io::sink())?;
    Ok(hasher.digest128())
}

/// Hands every row of a text to `sink`.
pub(crate) fn text(input: impl BufRead, form: &Form, sink: &mut Sink<'_>) -> io::Result<()> {
    match form {
        Form::Delimited(layout) => delimited::records(input, layout, sink),
        Form::Json(form) => json::records(input, form, sink),
        Form::Batches(_) => Err(io::Error::other("typed columns are not read from text")),
    }
}

/// Cuts the rows that `records` hands on into parts of about `bytes_max` bytes.
pub(crate) fn cut(
    records: impl FnOnce(&mut Sink<'_>) -> io::Result<()>,
    plan: &Plan,
    bytes_max: usize,
    mut sink: impl FnMut(Part, bool) -> bool,
) -> io::Result<()> {
    let mut reader = RowReader::new(plan);
    let mut builder = PartBuilder::new(plan, bytes_max);
    let mut is_stopped = false;
    records(&mut |record: &Record<'_>| {
        let read = match record.cells {
            Ok(cells) => reader.read(cells),
            Err(error) => Err(Refused { error: error.clone(), key: None }),
        };
        if builder.is_cut_before(read.as_ref().ok()) && !sink(builder.take(), false) {
            is_stopped = true;
            return ControlFlow::Break(());
        }
        match read {
            Ok(row) => builder.push(record.number, &row, reader.symbols()),
            Err(refused) => {
                let text = record.raw_text(RAW_LEN_MAX);
                builder.push_unread(record.number, text, refused, reader.symbols());
            }
        }
        ControlFlow::Continue(())
    })?;
    if builder.len() > 0 && !is_stopped {
        sink(builder.take(), true);
    }
    Ok(())
}
