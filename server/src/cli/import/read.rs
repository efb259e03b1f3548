//! A file from its first byte to its last, as parts.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use xxhash_rust::xxh3::Xxh3;

use super::clock::Unusable;
use super::files;
use super::layout::Sample;
use super::lines::{Line, Lines};
use super::part::{Part, PartBuilder};
use super::plan::Plan;
use super::rows::RowReader;

/// How much of a file is looked at before it is planned.
const SAMPLE_BYTES_MAX: usize = 1024 * 1024;
const SAMPLE_LINES_MAX: usize = 10_000;

/// The first lines of a file; those that are no text are left out.
pub(crate) fn sample(path: &Path) -> io::Result<Sample> {
    let mut lines = Lines::new(files::open(path, Arc::default())?);
    let mut sample = Sample::new();
    let mut bytes = 0;
    while bytes < SAMPLE_BYTES_MAX && sample.len() < SAMPLE_LINES_MAX {
        let Some(line) = lines.next()? else { break };
        bytes += line.bytes.len();
        if let Ok(text) = std::str::from_utf8(line.bytes) {
            sample.push((line.number, text.to_owned()));
        }
    }
    Ok(sample)
}

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
/// stops early if `sink` says false. `packed` counts bytes taken from the disk.
///
/// Returns the hash of the text, which differs from the hash taken before if the file was changed
/// meanwhile.
pub(crate) fn parts(
    path: &Path,
    plan: &Plan,
    packed: Arc<AtomicU64>,
    sink: impl FnMut(Part, bool) -> bool,
) -> io::Result<u128> {
    let mut hasher = Xxh3::new();
    let input = Hashed { input: files::open(path, packed)?, hasher: &mut hasher };
    cut(input, plan, super::part::BYTES_MAX, sink)?;
    Ok(hasher.digest128())
}

/// As [`parts`], from any text, in parts of about `bytes_max` bytes.
pub(crate) fn cut(
    input: impl BufRead,
    plan: &Plan,
    bytes_max: usize,
    mut sink: impl FnMut(Part, bool) -> bool,
) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut reader = RowReader::new(plan);
    let mut builder = PartBuilder::new(plan, bytes_max);
    if plan.layout.header.is_some() {
        lines.next()?;
    }
    while let Some(line) = lines.next()? {
        let read = read_line(&mut reader, &line);
        if builder.is_cut_before(read.as_ref().ok()) && !sink(builder.take(), false) {
            return Ok(());
        }
        match read {
            Ok(row) => builder.push(line.number, &row, reader.symbols()),
            Err(error) => builder.push_unread(line.number, line.bytes, error),
        }
    }
    if builder.len() > 0 {
        sink(builder.take(), true);
    }
    Ok(())
}

fn read_line(reader: &mut RowReader<'_>, line: &Line<'_>) -> Result<super::rows::Row, Unusable> {
    if line.too_long {
        let detail = format!("the line is longer than {} bytes", super::lines::LINE_LEN_MAX);
        return Err(Unusable { reason: "unreadable", detail });
    }
    let text = std::str::from_utf8(line.bytes).map_err(|error| Unusable {
        reason: "unreadable",
        detail: format!("the line is no UTF-8 text: {error}"),
    })?;
    reader.read(text)
}
