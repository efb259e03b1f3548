//! One JSON object that holds a table: read whole, so of at most [`DOCUMENT_LEN_MAX`] bytes.
//!
//! | shape | written by |
//! |---|---|
//! | `{"ts":[…],"open":[…]}`: columns | many |
//! | `{"open":{"0":1.5,…},"close":{…}}`: columns of keyed values | pandas, `to_json()` |
//! | `{"columns":[…],"index":[…],"data":[[…],…]}` | pandas, `orient="split"` |
//! | `{"2024-01-02":{"open":…},…}`: keyed rows | pandas, `orient="index"` |
//! | `{"symbol":"A","bars":[{…},…],…}`: one member holds the rows | Alpaca, Coinbase, Oanda |
//! | `{"Meta Data":{…},"Time Series (1min)":{"2024-01-02 09:30:00":{…},…}}` | Alpha Vantage |
//!
//! The key of a keyed row, and pandas' index, is the column `index`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use serde_json::value::RawValue;

use super::super::clock::Unusable;
use super::super::columns;
use super::super::delimited::check_width;
use super::super::table::{Cell, Raw, Record, Sink};
use super::{Pairs, Row, by_name, cell, unreadable};

/// Longest document.
const DOCUMENT_LEN_MAX: u64 = 64 * 1024 * 1024;

/// The name of the column of keys.
const INDEX: &str = "index";

/// How the rows stand in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Columns,
    KeyedColumns,
    Split,
    KeyedRows,
    Member,
    KeyedMember,
}

impl Shape {
    /// For a person.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Columns => "an object of columns",
            Self::KeyedColumns => "an object of columns by index, as pandas writes it",
            Self::Split => "columns, index and data, as pandas writes it",
            Self::KeyedRows => "an object of rows by key",
            Self::Member => "rows in one member of an object",
            Self::KeyedMember => "rows by key in one member of an object",
        }
    }
}

/// A document as a table.
pub(super) struct Document<'a> {
    pub(super) shape: Shape,
    /// Names of the columns; `None` where rows are arrays.
    pub(super) names: Option<Vec<String>>,
    pub(super) width: usize,
    /// The symbol of all rows, if the document says it.
    pub(super) symbol: Option<String>,
    rows: Vec<DocumentRow<'a>>,
}

struct DocumentRow<'a> {
    cells: Result<Vec<Cell<'a>>, Unusable>,
    /// As it stands in the document, if it stands in one place.
    raw: Option<&'a str>,
}

type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// Reads a document.
pub(super) fn read(input: impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    input.take(DOCUMENT_LEN_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > DOCUMENT_LEN_MAX {
        return Err(io::Error::other(
            "it is one JSON object of more than 64 MiB, which has to be read whole: write it as an \
             array of rows, or one row a line",
        ));
    }
    Ok(text)
}

fn is_array(value: &RawValue) -> bool {
    value.get().starts_with('[')
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn array(value: &RawValue) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(value.get()).map_err(|error| error.to_string())
}

fn object(value: &RawValue) -> Result<Vec<Member<'_>>, String> {
    let Pairs(pairs) = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    Ok(pairs)
}

/// Whether a member holds rows: an array of them, or rows by key.
fn holds_rows(value: &RawValue) -> bool {
    if is_array(value) {
        let is_row = |value: &&RawValue| is_array(value) || is_object(value);
        return array(value).is_ok_and(|values| values.first().is_some_and(is_row));
    }
    let first_is_row =
        |pairs: Vec<Member<'_>>| pairs.first().is_some_and(|(_, value)| is_object(value));
    is_object(value) && object(value).is_ok_and(first_is_row)
}

fn shape(pairs: &[Member<'_>]) -> Result<Shape, String> {
    let has = |name: &str| pairs.iter().any(|(key, value)| key == name && is_array(value));
    if has("columns") && has("data") {
        return Ok(Shape::Split);
    }
    let all = |test: fn(&RawValue) -> bool| {
        !pairs.is_empty() && pairs.iter().all(|(_, value)| test(value))
    };
    if all(is_array) && pairs.iter().all(|(_, value)| !holds_rows(value)) {
        return Ok(Shape::Columns);
    }
    let rows: Vec<_> = pairs.iter().filter(|(_, value)| holds_rows(value)).collect();
    match rows.as_slice() {
        [(_, value)] if is_array(value) => return Ok(Shape::Member),
        [_] => return Ok(Shape::KeyedMember),
        [] => {}
        several => {
            let names: Vec<&str> = several.iter().map(|(key, _)| key.as_ref()).collect();
            let names = names.join(", ");
            return Err(format!("several members hold rows ({names}): write a file of each"));
        }
    }
    if all(is_object) {
        let are_columns = pairs.iter().any(|(key, _)| columns::is_known_name(key));
        return Ok(if are_columns { Shape::KeyedColumns } else { Shape::KeyedRows });
    }
    let names: Vec<&str> = pairs.iter().map(|(key, _)| key.as_ref()).take(8).collect();
    Err(format!("no rows are found in it; its members are {}", names.join(", ")))
}

/// Reads `text` as a table.
pub(super) fn parse(text: &str) -> Result<Document<'_>, String> {
    let text = text.trim_start_matches('\u{FEFF}');
    let Pairs(pairs) =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let shape = shape(&pairs)?;
    let member = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let symbol = member("symbol").map(|value| cell(value).text().into_owned());
    let (names, rows) = match shape {
        Shape::Columns => plain_columns(&pairs)?,
        Shape::KeyedColumns => keyed_columns(&pairs)?,
        Shape::Split => {
            let part = |name: &str| {
                array(member(name).ok_or_else(|| format!("it has no array '{name}'"))?)
            };
            split(&part("columns")?, &part("index").unwrap_or_default(), part("data")?)
        }
        Shape::KeyedRows => keyed_rows(pairs),
        Shape::Member | Shape::KeyedMember => {
            let (_, value) = pairs
                .iter()
                .find(|(_, value)| holds_rows(value))
                .expect("invariant: shape() has found it");
            if is_array(value) { plain_rows(&array(value)?) } else { keyed_rows(object(value)?) }
        }
    };
    let widths = rows.iter().filter_map(|row| row.cells.as_ref().ok()).map(Vec::len);
    let width = names.as_ref().map_or_else(|| widths.max().unwrap_or(0), Vec::len);
    let mut document = Document { shape, names, width, symbol, rows };
    for row in &mut document.rows {
        if let Ok(cells) = &row.cells
            && let Err(error) = check_width(cells.len(), width)
        {
            row.cells = Err(error);
        }
    }
    Ok(document)
}

type Parsed<'a> = (Option<Vec<String>>, Vec<DocumentRow<'a>>);

fn plain_columns<'a>(pairs: &[Member<'a>]) -> Result<Parsed<'a>, String> {
    let columns: Result<Vec<_>, _> = pairs.iter().map(|(_, value)| array(value)).collect();
    let columns = columns?;
    let len = columns.iter().map(Vec::len).max().unwrap_or(0);
    if let Some((name, _)) =
        pairs.iter().zip(&columns).find(|(_, column)| column.len() != len).map(|(pair, _)| pair)
    {
        return Err(format!("its columns are not equally long: {name} is shorter than others"));
    }
    let row = |at: usize| {
        let cells = columns.iter().map(|column| cell(column[at])).collect();
        DocumentRow { cells: Ok(cells), raw: None }
    };
    let names = pairs.iter().map(|(key, _)| key.to_string()).collect();
    Ok((Some(names), (0..len).map(row).collect()))
}

/// Columns of values by key: rows in the order in which their keys appear first.
fn keyed_columns<'a>(pairs: &[Member<'a>]) -> Result<Parsed<'a>, String> {
    let mut names = vec![INDEX.to_owned()];
    names.extend(pairs.iter().map(|(key, _)| key.to_string()));
    let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
    let mut rows: Vec<Vec<Cell<'a>>> = Vec::new();
    for (at, (_, column)) in pairs.iter().enumerate() {
        for (key, value) in object(column)? {
            let place = *places.entry(key).or_insert_with_key(|key| {
                let mut row = vec![Cell::Null; names.len()];
                row[0] = Cell::Text(key.clone());
                rows.push(row);
                rows.len() - 1
            });
            rows[place][at + 1] = cell(value);
        }
    }
    let rows = rows.into_iter().map(|cells| DocumentRow { cells: Ok(cells), raw: None });
    Ok((Some(names), rows.collect()))
}

fn split<'a>(
    columns: &[&'a RawValue],
    index: &[&'a RawValue],
    data: Vec<&'a RawValue>,
) -> Parsed<'a> {
    let mut names = vec![INDEX.to_owned()];
    names.extend(columns.iter().map(|name| cell(name).text().into_owned()));
    let row = |(at, value): (usize, &'a RawValue)| {
        let cells = array(value).map_err(unreadable).map(|values| {
            let key = index.get(at).map_or(Cell::Null, |key| cell(key));
            std::iter::once(key).chain(values.into_iter().map(cell)).collect()
        });
        DocumentRow { cells, raw: Some(value.get()) }
    };
    let rows = data.into_iter().enumerate().map(row).collect();
    (Some(names), rows)
}

fn keyed_rows<'a>(pairs: Vec<Member<'a>>) -> Parsed<'a> {
    let parsed: Vec<_> =
        pairs.into_iter().map(|(key, value)| (key, object(value), value.get())).collect();
    let found = parsed.iter().filter_map(|(_, row, _)| row.as_deref().ok());
    let names = names_of(found);
    let rows = parsed.into_iter().map(|(key, row, raw)| {
        let cells = row
            .map_err(unreadable)
            .map(|row| std::iter::once(Cell::Text(key)).chain(by_name(&row, &names)).collect());
        DocumentRow { cells, raw: Some(raw) }
    });
    let rows = rows.collect();
    (Some(std::iter::once(INDEX.to_owned()).chain(names).collect()), rows)
}

fn plain_rows<'a>(values: &[&'a RawValue]) -> Parsed<'a> {
    let parsed: Vec<_> =
        values.iter().map(|value| (Row::parse(value.get()), value.get())).collect();
    let found = parsed.iter().filter_map(|(row, _)| match row {
        Ok(Row::Object(Pairs(pairs))) => Some(pairs.as_slice()),
        _ => None,
    });
    let names = names_of(found);
    let names = (!names.is_empty()).then_some(names);
    let rows = parsed.into_iter().map(|(row, raw)| DocumentRow {
        cells: row.and_then(|row| row.cells(names.as_deref())),
        raw: Some(raw),
    });
    let rows = rows.collect();
    (names, rows)
}

/// The keys of all rows, in the order in which they appear first.
fn names_of<'a: 'r, 'r>(rows: impl Iterator<Item = &'r [Member<'a>]>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (key, _) in rows.flatten() {
        if !names.iter().any(|name| name == key) {
            names.push(key.to_string());
        }
    }
    names
}

impl Document<'_> {
    /// Hands every row to `sink`, until it has enough.
    pub(super) fn each(&self, sink: &mut Sink<'_>) {
        let names = self.names.as_deref().unwrap_or_default();
        for (number, row) in (1..).zip(&self.rows) {
            let cells = row.cells.as_deref();
            let raw = row.raw.map_or(Raw::Named(names), |text| Raw::Bytes(text.as_bytes()));
            if sink(&Record { number, cells, raw }).is_break() {
                break;
            }
        }
    }
}
