//! Lines of a text file and the fields of a line, in bounded memory.
//!
//! A quote that is never closed ends with its line, so one bad line cannot swallow the rest of the
//! file. A line longer than [`LINE_LEN_MAX`] is handed on cut, and marked.

use std::borrow::Cow;
use std::io::{self, BufRead};

use super::table::Cell;

/// Longest line: real bars are below 1 KiB.
pub(crate) const LINE_LEN_MAX: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads lines and counts them.
pub(crate) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its number in the file, from 1.
    pub(crate) number: u64,
    /// Its bytes; the first [`LINE_LEN_MAX`] of them if it is too long.
    pub(crate) bytes: &'a [u8],
    /// Whether it is longer than that.
    pub(crate) too_long: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// The next line that is not blank; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let Some(too_long) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if !self.line.trim_ascii().is_empty() {
                break Ok(Some(Line { number: self.number, bytes: &self.line, too_long }));
            }
        }
    }

    /// Reads one line into `self.line`; says whether it was cut, `None` at the end.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let mut read_any = false;
        let mut too_long = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() {
                return Ok(read_any.then_some(too_long));
            }
            read_any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let room = LINE_LEN_MAX - self.line.len();
            too_long |= piece.len() > room;
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

/// Splits a line at `separator` into `fields`, which are emptied first. A field in double quotes
/// may hold the separator, and a quote as two. White space around a field is dropped.
///
/// Says whether the line is well formed: every quote closed, nothing behind a closing one.
pub(crate) fn split<'a>(line: &'a str, separator: char, fields: &mut Vec<Field<'a>>) -> bool {
    fields.clear();
    if !line.contains('"') {
        fields.extend(line.split(separator).map(|text| Field::Plain(text.trim())));
        return true;
    }
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches(' ');
        let (field, after) = match trimmed.strip_prefix('"') {
            None => {
                let end = rest.find(separator).unwrap_or(rest.len());
                (Field::Plain(rest[..end].trim()), &rest[end..])
            }
            Some(quoted) => match closing_quote(quoted) {
                None => return false,
                Some(end) => {
                    let inner = &quoted[..end];
                    let field = if inner.contains("\"\"") {
                        Field::Unquoted(inner.replace("\"\"", "\""))
                    } else {
                        Field::Plain(inner.trim())
                    };
                    (field, quoted[end + 1..].trim_start_matches(' '))
                }
            },
        };
        fields.push(field);
        if after.is_empty() {
            return true;
        }
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None => return false,
        }
    }
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let bytes = quoted.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            if bytes.get(at + 1) != Some(&b'"') {
                return Some(at);
            }
            at += 1;
        }
        at += 1;
    }
    None
}

/// A field's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// As it stands in the line.
    Plain(&'a str),
    /// With its doubled quotes made single.
    Unquoted(String),
}

impl<'a> Field<'a> {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Unquoted(text) => text,
        }
    }

    /// As a cell.
    pub(crate) fn into_cell(self) -> Cell<'a> {
        match self {
            Self::Plain(text) => Cell::borrowed(text),
            Self::Unquoted(text) => Cell::Text(Cow::Owned(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_split(line: &str, separator: char, expected: Option<&[&str]>) {
        let mut fields = Vec::new();
        let whole = split(line, separator, &mut fields);
        let got: Vec<&str> = fields.iter().map(Field::text).collect();
        match expected {
            Some(expected) => assert_eq!((whole, got.as_slice()), (true, expected), "{line:?}"),
            None => assert!(!whole, "{line:?}"),
        }
    }

    #[test]
    fn fields_are_split_as_spreadsheets_write_them() {
        check_split("a,b,,d", ',', Some(&["a", "b", "", "d"]));
        check_split(",Open,High", ',', Some(&["", "Open", "High"]));
        check_split(" a ; b;c ", ';', Some(&["a", "b", "c"]));
        check_split("\"a,b\",c", ',', Some(&["a,b", "c"]));
        check_split("x,\"say \"\"no\"\"\", \"y\" ,z", ',', Some(&["x", "say \"no\"", "y", "z"]));
        check_split("\"\",1,", ',', Some(&["", "1", ""]));
        check_split("\"open,1", ',', None);
        check_split("\"a\"b,1", ',', None);
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them_and_blank_ones_skipped() {
        let text = b"\xEF\xBB\xBFa\r\n\n  \nb\nc";
        let mut lines = Lines::new(io::BufReader::with_capacity(2, &text[..]));
        let mut got = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            got.push((line.number, String::from_utf8(line.bytes.to_vec()).unwrap()));
        }
        assert_eq!(got, [(1, "a".to_owned()), (4, "b".to_owned()), (5, "c".to_owned())]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole() {
        let mut text = vec![b'x'; LINE_LEN_MAX * 3];
        text.extend_from_slice(b"\nnext\n");
        let mut lines = Lines::new(&text[..]);
        let line = lines.next().unwrap().unwrap();
        assert!(line.too_long && line.bytes.len() == LINE_LEN_MAX);
        let line = lines.next().unwrap().unwrap();
        assert_eq!(line, Line { number: 2, bytes: b"next", too_long: false });
        assert_eq!(lines.next().unwrap(), None);
    }
}
