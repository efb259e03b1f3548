//! CSV and its kin: a line a row, with or without a header.

use std::io::{self, BufRead};

use super::clock::Unusable;
use super::layout::{FirstLines, Layout};
use super::lines::{LINE_LEN_MAX, Line, Lines, split};
use super::table::{Cell, Raw, Record, Sampled, Sink};

/// How much of a file is looked at before it is planned.
const SAMPLE_BYTES_MAX: usize = 1024 * 1024;
const SAMPLE_LINES_MAX: usize = 10_000;

fn unreadable(detail: impl Into<String>) -> Unusable {
    Unusable { reason: "unreadable", detail: detail.into() }
}

/// The text of a line, or why it has none.
pub(crate) fn text<'l>(line: &Line<'l>) -> Result<&'l str, Unusable> {
    if line.too_long {
        return Err(unreadable(format!("the line is longer than {LINE_LEN_MAX} bytes")));
    }
    std::str::from_utf8(line.bytes)
        .map_err(|error| unreadable(format!("the line is no UTF-8 text: {error}")))
}

/// A row that has another number of fields than the others.
pub(crate) fn check_width(found: usize, width: usize) -> Result<(), Unusable> {
    let reason = match found.cmp(&width) {
        std::cmp::Ordering::Less => "too_few_fields",
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "too_many_fields",
    };
    Err(Unusable { reason, detail: format!("{found} fields where there are {width}") })
}

fn cells<'l>(line: &Line<'l>, layout: &Layout) -> Result<Vec<Cell<'l>>, Unusable> {
    let mut fields = Vec::with_capacity(layout.width);
    if !split(text(line)?, layout.separator, &mut fields) {
        return Err(unreadable("a quote is not closed, or not at its end"));
    }
    check_width(fields.len(), layout.width)?;
    Ok(fields.into_iter().map(super::lines::Field::into_cell).collect())
}

/// Hands every row of `input` to `sink`.
pub(crate) fn records(input: impl BufRead, layout: &Layout, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut lines = Lines::new(input);
    if layout.header.is_some() {
        lines.next()?;
    }
    while let Some(line) = lines.next()? {
        let cells = cells(&line, layout);
        let cells = cells.as_deref();
        let record = Record { number: line.number, cells, raw: Raw::Bytes(line.bytes) };
        if sink(&record).is_break() {
            break;
        }
    }
    Ok(())
}

/// The form of a file and its first rows; `None` if no separator splits its lines.
pub(crate) fn look(input: impl BufRead) -> io::Result<Option<(Layout, Vec<Sampled>)>> {
    let mut lines = Lines::new(input);
    let mut first = FirstLines::new();
    let mut bytes = 0;
    while bytes < SAMPLE_BYTES_MAX && first.len() < SAMPLE_LINES_MAX {
        let Some(line) = lines.next()? else { break };
        bytes += line.bytes.len();
        // A line that is no text says nothing about the form.
        if let Ok(text) = std::str::from_utf8(line.bytes) {
            first.push((line.number, text.to_owned()));
        }
    }
    let Some(layout) = Layout::detect(&first) else { return Ok(None) };
    let rows = first.iter().skip(usize::from(layout.header.is_some())).map(|(number, text)| {
        let line = Line { number: *number, bytes: text.as_bytes(), too_long: false };
        let cells = cells(&line, &layout);
        Sampled {
            number: *number,
            cells: cells.map(|cells| cells.into_iter().map(Cell::into_owned).collect()),
        }
    });
    let rows = rows.collect();
    Ok(Some((layout, rows)))
}
