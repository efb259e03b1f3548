//! JSON: an array of rows, a row a line, or one object that holds rows or columns.
//!
//! | shape | |
//! |---|---|
//! | `[{"ts":…,"open":…}, …]`, `[[…], …]` | read element by element |
//! | the same, one a line (NDJSON) | read line by line |
//! | `{"ts":[…],"open":[…]}` and others, see [`document`] | read whole, so of bounded size |
//!
//! Numbers stay the text that they are in the file. An element that is no row becomes a dead
//! letter; the others are read.

mod document;
mod elements;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::clock::Unusable;
use super::delimited;
use super::lines::{Line, Lines};
use super::table::{Cell, Raw, Record, Sampled, Sink};
use elements::Elements;

/// How much of a file is looked at before it is planned.
const SAMPLE_ROWS_MAX: usize = 10_000;

/// How the rows stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Array,
    Lines,
    Document(document::Shape),
}

/// The outer form of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Json {
    shape: Shape,
    /// Keys of the rows; `None` where rows are arrays.
    pub(crate) names: Option<Vec<String>>,
    /// Cells of a row.
    pub(crate) width: usize,
}

/// What a look at a file gives.
pub(crate) struct Looked {
    pub(crate) form: Json,
    pub(crate) rows: Vec<Sampled>,
    /// The symbol of all rows, if the file says it.
    pub(crate) symbol: Option<String>,
}

impl Json {
    /// For a person.
    pub(crate) fn describe(&self) -> String {
        let rows = if self.names.is_some() { "objects" } else { "arrays" };
        match self.shape {
            Shape::Array => format!("JSON, an array of {rows}"),
            Shape::Lines => format!("JSON, {rows} one a line"),
            Shape::Document(shape) => format!("JSON, {}", shape.describe()),
        }
    }
}

/// The text of a string.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Keys and values of an object, in their order.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Keys)
    }
}

/// A value as a cell; what holds others is kept as its text.
fn cell(value: &RawValue) -> Cell<'_> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => match serde_json::from_str(text) {
            Ok(Text(text)) => Cell::Text(text),
            Err(_) => Cell::borrowed(text),
        },
        Some(b't' | b'f') => Cell::Bool(text == "true"),
        Some(b'n') => Cell::Null,
        _ => Cell::borrowed(text),
    }
}

fn unreadable(detail: impl fmt::Display) -> Unusable {
    Unusable { reason: "unreadable", detail: detail.to_string() }
}

/// An element that is a row.
enum Row<'a> {
    Object(Pairs<'a>),
    Array(Vec<&'a RawValue>),
}

impl<'a> Row<'a> {
    fn parse(text: &'a str) -> Result<Self, Unusable> {
        let parsed = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(Self::Object),
            Some(b'[') => serde_json::from_str(text).map(Self::Array),
            _ => return Err(unreadable("it is neither an object nor an array")),
        };
        parsed.map_err(|error| unreadable(format!("it is no JSON: {error}")))
    }

    /// Its cells: by `names`, or all of an array where rows have none.
    fn cells(self, names: Option<&[String]>) -> Result<Vec<Cell<'a>>, Unusable> {
        match (self, names) {
            (Self::Object(Pairs(pairs)), Some(names)) => Ok(by_name(&pairs, names)),
            (Self::Array(values), None) => Ok(values.into_iter().map(cell).collect()),
            (Self::Object(_), None) => Err(unreadable("it is an object, the others are arrays")),
            (Self::Array(_), Some(_)) => Err(unreadable("it is an array, the others are objects")),
        }
    }
}

/// The cell of each name: null where the object has no such key.
fn by_name<'a>(pairs: &[(Cow<'a, str>, &'a RawValue)], names: &[String]) -> Vec<Cell<'a>> {
    let value = |(at, name): (usize, &String)| {
        // Rows mostly have the same keys in the same order.
        let here = pairs.get(at).filter(|(key, _)| key == name);
        let found = here.or_else(|| pairs.iter().find(|(key, _)| key == name));
        found.map_or(Cell::Null, |(_, value)| cell(value))
    };
    names.iter().enumerate().map(value).collect()
}

/// Hands each element and its number to `sink`, until it has enough.
fn each_element(
    input: impl BufRead,
    shape: Shape,
    mut sink: impl FnMut(u64, &[u8], Result<&str, Unusable>) -> ControlFlow<()>,
) -> io::Result<()> {
    if shape == Shape::Lines {
        let mut lines = Lines::new(input);
        while let Some(line) = lines.next()? {
            let text = delimited::text(&line).map(str::trim);
            if sink(line.number, line.bytes, text).is_break() {
                break;
            }
        }
        return Ok(());
    }
    let mut elements = Elements::new(input);
    while let Some(element) = elements.next()? {
        let text = element.fault.map_or_else(
            || std::str::from_utf8(element.bytes).map_err(unreadable),
            |fault| Err(unreadable(fault)),
        );
        if sink(element.number, element.bytes, text).is_break() {
            break;
        }
    }
    Ok(())
}

/// Hands every row of `input` to `sink`.
pub(crate) fn records(input: impl BufRead, form: &Json, sink: &mut Sink<'_>) -> io::Result<()> {
    if let Shape::Document(shape) = form.shape {
        let text = document::read(input)?;
        let document = document::parse(&text).map_err(io::Error::other)?;
        if (document.shape, &document.names) != (shape, &form.names) {
            return Err(io::Error::other("the file changed while it was read"));
        }
        document.each(sink);
        return Ok(());
    }
    each_element(input, form.shape, |number, bytes, text| {
        let cells = text.and_then(Row::parse).and_then(|row| row.cells(form.names.as_deref()));
        let cells = cells.and_then(|cells| {
            delimited::check_width(cells.len(), form.width)?;
            Ok(cells)
        });
        let cells = cells.as_deref();
        sink(&Record { number, cells, raw: Raw::Bytes(bytes) })
    })
}

/// What the first bytes that are no white space are.
fn first_byte(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let skipped = buffer
            .iter()
            .position(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xEF | 0xBB | 0xBF));
        match skipped {
            Some(at) => {
                let byte = buffer[at];
                input.consume(at);
                return Ok(Some(byte));
            }
            None => {
                let len = buffer.len();
                input.consume(len);
            }
        }
    }
}

/// The shape of a file that begins with an object: rows one a line, or one document.
fn shape_of_objects(input: impl BufRead) -> io::Result<Option<Shape>> {
    let mut lines = Lines::new(input);
    let is_row = |line: &Line<'_>| {
        let text = delimited::text(line).map(str::trim);
        let row = text.ok().and_then(|text| serde_json::from_str::<Pairs<'_>>(text).ok());
        // A document may stand in one line, too.
        row.is_some_and(|Pairs(pairs)| {
            let holds = |value: &RawValue| value.get().starts_with(['[', '{']);
            !pairs.is_empty() && !pairs.iter().all(|(_, value)| holds(value))
        })
    };
    let Some(first) = lines.next()? else { return Ok(None) };
    let first_is_row = is_row(&first);
    let second_is_row = lines.next()?.map(|line| is_row(&line));
    Ok((first_is_row && second_is_row.unwrap_or(true)).then_some(Shape::Lines))
}

/// The form of a file and its first rows, or why it is not understood. `open` begins it anew.
pub(crate) fn look<R: BufRead>(
    open: impl Fn() -> io::Result<R>,
) -> io::Result<Result<Looked, String>> {
    let shape = match first_byte(&mut open()?)? {
        None => return Ok(Err("it is empty".to_owned())),
        // Arrays may stand one a line: the first then ends before the file does.
        Some(b'[') if is_lines_of_arrays(open()?)? => Some(Shape::Lines),
        Some(b'[') => Some(Shape::Array),
        Some(b'{') => shape_of_objects(open()?)?,
        Some(_) => return Ok(Err("it begins neither with [ nor with {".to_owned())),
    };
    let Some(shape) = shape else {
        let text = document::read(open()?)?;
        return Ok(document::parse(&text).map(|document| look_at(&document)));
    };
    let mut names: Vec<String> = Vec::new();
    let mut widths: Vec<usize> = Vec::new();
    let (mut rows, mut objects) = (0, 0_usize);
    each_element(open()?, shape, |_, _, text| {
        rows += 1;
        match text.and_then(Row::parse) {
            Ok(Row::Object(Pairs(pairs))) => {
                objects += 1;
                for (key, _) in &pairs {
                    if !names.iter().any(|name| name == key) {
                        names.push(key.to_string());
                    }
                }
            }
            Ok(Row::Array(values)) => widths.push(values.len()),
            Err(_) => {}
        }
        if rows < SAMPLE_ROWS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let of_width = |width: usize| widths.iter().filter(|found| **found == width).count();
    let width = widths.iter().copied().max_by_key(|width| (of_width(*width), *width));
    let form = match width {
        Some(width) if widths.len() >= objects => Json { shape, names: None, width },
        _ if names.is_empty() => return Ok(Err("it holds no rows".to_owned())),
        _ => Json { shape, width: names.len(), names: Some(names) },
    };
    let mut sample = Vec::new();
    records(open()?, &form, &mut |record| keep(&mut sample, record))?;
    Ok(Ok(Looked { form, rows: sample, symbol: None }))
}

fn look_at(document: &document::Document<'_>) -> Looked {
    let mut rows = Vec::new();
    document.each(&mut |record| keep(&mut rows, record));
    let (names, width) = (document.names.clone(), document.width);
    let form = Json { shape: Shape::Document(document.shape), names, width };
    Looked { form, rows, symbol: document.symbol.clone() }
}

fn keep(sample: &mut Vec<Sampled>, record: &Record<'_>) -> ControlFlow<()> {
    sample.push(Sampled::of(record));
    let more = sample.len() < SAMPLE_ROWS_MAX;
    if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

fn is_lines_of_arrays(input: impl BufRead) -> io::Result<bool> {
    let mut lines = Lines::new(input);
    for _ in 0..2 {
        let Some(line) = lines.next()? else { return Ok(false) };
        let text = delimited::text(&line).map(str::trim);
        let row = text.ok().and_then(|text| serde_json::from_str::<Vec<&RawValue>>(text).ok());
        // An array of rows in one line has rows inside.
        let is_row = row.is_some_and(|row| {
            !row.is_empty() && !row.iter().all(|value| value.get().starts_with(['[', '{']))
        });
        if !is_row {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
