//! Keys of rows that are taken away: `{"keys":[{"symbol","ts"}...]}`, and for rows that have more
//! in their key the values of those columns beside them.

use std::collections::HashMap;

use barrow_engine::batch::Symbols;
use barrow_engine::dataset::{ColumnDef, Schema};
use barrow_engine::rows::{Column, Values};
use barrow_types::{Step, Timestamp};
use serde_json::Value;

use super::super::decode::{Cell, Incoming, push, value};
use super::super::error::{Code, Problem};
use super::super::facts::json::{Fields, fault, parse};
use super::super::time;

/// The key of a row: its symbol, its `ts`, and the values of the key's columns.
pub(super) type Key = (String, Timestamp, Vec<Value>);

/// The columns that are part of the key of rows of `schema` beside symbol and `ts`.
fn columns_of(schema: &Schema) -> Vec<&'static ColumnDef> {
    schema.id_places().into_iter().map(|place| &schema.columns[place]).collect()
}

/// Whether a symbol and a `ts` are a key.
pub(super) fn are_plain(schema: &Schema) -> bool {
    columns_of(schema).is_empty()
}

/// The keys in a body. A key that cannot be read refuses all of them.
pub(super) fn read(body: &[u8], schema: &Schema, step: Step) -> Result<Vec<Key>, Problem> {
    let columns = columns_of(schema);
    let mut names = vec!["symbol", "ts"];
    names.extend(columns.iter().map(|column| column.name));
    let wrong = |what: &str| {
        let names = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(",");
        let detail = format!(
            "the body is not {{\"keys\":[{{{names}}}...]}}: {what}; or name symbol and ts, or \
             batch, in the query"
        );
        Problem::new(Code::InvalidBody, detail).about("keys")
    };
    let body = parse(body).map_err(|problem| wrong(&problem.detail))?;
    let fields =
        Fields::of_shape(&body, "", &super::KEYS).map_err(|problem| wrong(&problem.detail))?;
    let keys = fields.list("keys")?;
    if !fields.has("keys") {
        return Err(wrong("there are no keys"));
    }
    let mut read = Vec::with_capacity(keys.len());
    for (place, value) in keys {
        let key = Fields::of(value, place, &names)?;
        let symbol = match key.get("symbol") {
            Some(Value::String(symbol)) => symbol.clone(),
            _ => return Err(key.fault("symbol", "is not the text of a symbol")),
        };
        let ts = match key.get("ts") {
            Some(Value::String(text)) => time::parse(text, true),
            Some(Value::Number(number)) => time::parse(&number.to_string(), true),
            _ => Err("is no time".to_owned()),
        };
        let ts = ts.and_then(|ts| super::stored(ts, step));
        let ts = ts.map_err(|what| key.fault("ts", what))?;
        let values = columns.iter().map(|column| {
            let value = key.get(column.name).cloned();
            value.ok_or_else(|| key.fault(column.name, "is missing: it is part of the key"))
        });
        read.push((symbol, ts, values.collect::<Result<_, _>>()?));
    }
    Ok(read)
}

/// Rows with these keys and no other values.
///
/// # Errors
/// A value is none of its column.
pub(super) fn incoming(keys: Vec<Key>, schema: &Schema) -> Result<Incoming, Problem> {
    let columns = columns_of(schema);
    let rows = keys.len();
    let mut of_key: Vec<Column> =
        columns.iter().map(|column| Column::empty(column.kind(), rows)).collect();
    let mut places = HashMap::new();
    let mut symbols = Symbols::default();
    let mut ts = Vec::with_capacity(rows);
    for (at, (symbol, time, values)) in keys.into_iter().enumerate() {
        let place = *places.entry(symbol).or_insert_with_key(|symbol| {
            symbols.names.push(symbol.clone());
            u32::try_from(symbols.names.len() - 1).expect("invariant: memory is bounded")
        });
        symbols.of_row.push(place);
        ts.push(time.nanos());
        for ((column, to), given) in columns.iter().zip(&mut of_key).zip(&values) {
            let text = match given {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let cell = match given {
                Value::String(_) => Cell::Text(&text),
                Value::Number(_) => Cell::Number(&text),
                _ => Cell::Other(&text),
            };
            let found = value(cell, column);
            push(to, found.map_err(|what| fault(&format!("keys[{at}]"), what.detail))?);
        }
    }
    let column = |column: &ColumnDef| match columns.iter().position(|own| own.id == column.id) {
        Some(at) => of_key[at].clone(),
        None => Column::nulls(column.kind(), rows),
    };
    // Where symbol and `ts` are the key a retraction has no values.
    let is_plain = columns.is_empty();
    let columns = if is_plain { Vec::new() } else { schema.columns.iter().map(column).collect() };
    Ok(Incoming {
        numbers: (0..).take(ts.len()).collect(),
        symbols,
        ts: Column::new(Values::I64(ts)),
        known_at: None,
        columns,
        raw: None,
        refused: Vec::new(),
        ignored: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use barrow_engine::dataset::{BARS, TRADES};

    use super::*;

    #[test]
    fn keys_are_read_from_a_body() {
        let body = br#"{"keys":[{"symbol":"A","ts":"2013-10-07T13:30:00Z"},
                                {"symbol":"B","ts":1381152600000000000}]}"#;
        let read = read(body, &BARS, Step::M1).unwrap();
        assert_eq!(read[0], ("A".to_owned(), read[1].1, Vec::new()));
        let incoming = incoming(read, &BARS).unwrap();
        assert_eq!(incoming.symbols.names, ["A", "B"]);
        assert_eq!(incoming.symbols.of_row, [0, 1]);
        assert!(incoming.columns.is_empty());
    }

    #[test]
    fn a_key_may_have_more_than_symbol_and_time() {
        let body = br#"{"keys":[{"symbol":"A","ts":"2013-10-07T13:30:00Z","venue":"N",
                                 "trade_id":7}]}"#;
        let incoming = incoming(read(body, &TRADES, Step::Tick).unwrap(), &TRADES).unwrap();
        let there: Vec<bool> = incoming.columns.iter().map(|column| column.is_valid(0)).collect();
        assert_eq!(there, [false, false, true, false, true]);
    }

    #[test]
    fn a_body_that_is_no_list_of_keys_says_where() {
        for (body, field) in [
            (&b"[]"[..], "keys"),
            (b"", "keys"),
            (b"{}", "keys"),
            (br#"{"keys":[],"x":1}"#, "keys"),
            (br#"{"keys":[{"symbol":"A"}]}"#, "keys[0].ts"),
            (br#"{"keys":[{"symbol":"A","ts":"2013-10-07","x":1}]}"#, "keys[0].x"),
            (br#"{"keys":[{"symbol":"A","ts":1381152600}]}"#, "keys[0].ts"),
            (br#"{"keys":[{"symbol":"A","ts":null}]}"#, "keys[0].ts"),
            (br#"{"keys":[{"ts":"2013-10-07"}]}"#, "keys[0].symbol"),
        ] {
            let problem = read(body, &BARS, Step::M1).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
        }
        let noon = br#"{"keys":[{"symbol":"A","ts":"2013-10-07T12:00:00Z"}]}"#;
        assert!(read(noon, &BARS, Step::D1).is_err());
        let bare = br#"{"keys":[{"symbol":"A","ts":"2013-10-07T12:00:00Z","venue":"N"}]}"#;
        let problem = read(bare, &TRADES, Step::Tick).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("keys[0].trade_id"));
    }
}
