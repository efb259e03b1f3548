//! What the text of a dead letter says by itself: which value is of which column.
//!
//! | form | looks like | says |
//! |---|---|---|
//! | `columns` | `symbol="A" ts=1 open=NaN`, rendered by the engine | all; `ts` as it is stored |
//! | `json` | a JSON object | all but what its request said: symbol, stamp |
//! | `text` | a line of CSV, of a vendor's file, anything else | nothing: the names stood elsewhere |
//! | `retraction` | the key of a row that was not there to be taken back | nothing to send again |
//!
//! A text as long as the longest that is kept may have been cut, and counts as `text`.

use std::fmt;

use barrow_engine::batch::RAW_LEN_MAX;
use barrow_engine::dataset::Schema;
use barrow_engine::rows::ColumnType;
use barrow_types::DatasetId;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// What kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// Names and values, as the engine writes them.
    Columns,
    /// A JSON object.
    Json,
    /// Values whose names are not there.
    Text,
    /// Not a row that was brought.
    Retraction,
}

/// A row by its columns, each value as JSON, in order; a name may be there twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(Vec<(String, Box<RawValue>)>);

/// What `raw` says by itself as a row of `schema`.
pub(crate) fn read(raw: &str, schema: &Schema) -> (Form, Option<Row>) {
    if is_cut(raw) {
        return (Form::Text, None);
    }
    if let Ok(row) = serde_json::from_str::<Row>(raw) {
        return (Form::Json, Some(row));
    }
    match columns(raw, schema) {
        Some(row) => (Form::Columns, Some(row)),
        None => (Form::Text, None),
    }
}

/// Whether what was kept may be a part of what came: texts are cut at a character.
pub(crate) fn is_cut(raw: &str) -> bool {
    const CHARACTER_LEN_MAX: usize = 4;
    raw.len() + CHARACTER_LEN_MAX > RAW_LEN_MAX
}

impl Row {
    /// The fields of a line of CSV, whose columns are `names`; `-` is left out.
    ///
    /// # Errors
    /// It is not one line of that many fields.
    pub(crate) fn of_line(line: &str, names: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(line.as_bytes());
        let mut records = reader.records();
        let record = match (records.next(), records.next()) {
            (Some(Ok(record)), None) => record,
            _ => return Err("the letter's text is not one line of CSV".to_owned()),
        };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        if names.len() != record.len() {
            let (named, found) = (names.len(), record.len());
            return Err(format!("{named} columns are named, the letter's text has {found} fields"));
        }
        let mut row = Self::default();
        for (name, field) in names.into_iter().zip(&record).filter(|(name, _)| *name != "-") {
            row.add(name, &(!field.is_empty()).then_some(field));
        }
        Ok(row)
    }

    fn add(&mut self, name: &str, value: &(impl serde::Serialize + ?Sized)) {
        let value = to_raw_value(value).expect("invariant: numbers and texts can be JSON");
        self.0.push((name.to_owned(), value));
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the values of `other` in the place of those of the same name.
    pub(crate) fn replace(&mut self, other: Self) {
        self.0.retain(|(name, _)| !other.has(name));
        self.0.extend(other.0);
    }

    /// Whether there is a value of that name, be it `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// The first name that is there twice.
    pub(crate) fn twice(&self) -> Option<&str> {
        let names = self.0.iter().map(|(name, _)| name);
        names.enumerate().find_map(|(at, name)| {
            self.0[..at].iter().any(|(other, _)| other == name).then_some(name.as_str())
        })
    }

    fn has_value(&self, name: &str) -> bool {
        self.0.iter().any(|(other, value)| other == name && value.get() != "null")
    }

    /// Names of columns that a row of `schema` must have and this one has not.
    pub(crate) fn missing(&self, schema: &Schema) -> Vec<&'static str> {
        let required = schema.columns.iter().filter(|column| !column.nullable);
        let mut names = vec!["symbol", "ts"];
        names.extend(required.map(|column| column.name));
        names.retain(|name| !self.has_value(name));
        if schema.dataset == DatasetId::QUOTES && !self.has_value("bid") && !self.has_value("ask") {
            names.extend(["bid", "ask"]);
        }
        names
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object: the row's values by column")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut row = Row::default();
                while let Some(entry) = map.next_entry()? {
                    row.0.push(entry);
                }
                Ok(row)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads `symbol="A" ts=1 open=NaN venue="X"`, exactly as the engine renders a row of `schema`.
fn columns(raw: &str, schema: &Schema) -> Option<Row> {
    let mut row = Row::default();
    let mut rest = raw;
    loop {
        let (name, value) = rest.split_once('=')?;
        if row.has(name) {
            return None;
        }
        let kind = match name {
            "symbol" => ColumnType::Text,
            "ts" => ColumnType::I64,
            _ => schema.column(name)?.kind(),
        };
        let end = match kind {
            ColumnType::Text => {
                let (text, len) = quoted(value)?;
                row.add(name, &text);
                len
            }
            ColumnType::I64 => {
                let len = value.find(' ').unwrap_or(value.len());
                row.add(name, &value[..len].parse::<i64>().ok()?);
                len
            }
            ColumnType::F64 => {
                let len = value.find(' ').unwrap_or(value.len());
                let number: f64 = value[..len].parse().ok()?;
                if number.is_finite() {
                    row.add(name, &number);
                } else {
                    row.add(name, &value[..len]);
                }
                len
            }
        };
        rest = &value[end..];
        if rest.is_empty() {
            return Some(row);
        }
        rest = rest.strip_prefix(' ')?;
    }
}

/// The text in a literal of Rust at the start of `source`, and how long the literal is.
fn quoted(source: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = source.char_indices();
    if characters.next()?.1 != '"' {
        return None;
    }
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, at + 1)),
            '\\' => text.push(match characters.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let (open, _) = characters.next().filter(|(_, c)| *c == '{')?;
                    let (close, _) = characters.find(|(_, c)| *c == '}')?;
                    let code = u32::from_str_radix(&source[open + 1..close], 16).ok()?;
                    char::from_u32(code)?
                }
                same @ ('"' | '\'' | '\\') => same,
                _ => return None,
            }),
            other => text.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use barrow_engine::dataset::{BARS, QUOTES, TRADES};
    use proptest::prelude::*;

    use super::*;

    fn shown(raw: &str, schema: &Schema) -> String {
        let (form, row) = read(raw, schema);
        let row = row.map_or(String::new(), |row| serde_json::to_string(&row).unwrap());
        format!("{form:?} {row}").trim_end().to_owned()
    }

    #[test]
    fn a_text_says_which_value_is_of_which_column_or_it_counts_as_text() {
        for (raw, expected) in [
            (
                r#"symbol="A B" ts=-5 open=NaN close=1.5"#,
                r#"Columns {"symbol":"A B","ts":-5,"open":"NaN","close":1.5}"#,
            ),
            ("ts=1 high=-inf", r#"Columns {"ts":1,"high":"-inf"}"#),
            (r#"{"ts": 1.50, "x":[1]}"#, r#"Json {"ts":1.50,"x":[1]}"#),
            (r#" {"ts":1,"ts":2} "#, r#"Json {"ts":1,"ts":2}"#),
            ("A,2013-10-07T13:31:00Z,1,2,0.5,NaN", "Text"),
            ("symbol=A,ts=1,open=x", "Text"),
            ("ts=1 ts=2", "Text"),
            ("ts=1 colour=2", "Text"),
            ("ts=1  open=2", "Text"),
            (r#"symbol="A"#, "Text"),
            (r#"{"ts":1"#, "Text"),
            ("[1]", "Text"),
            ("", "Text"),
        ] {
            assert_eq!(shown(raw, &BARS), expected, "{raw}");
        }
        assert_eq!(shown(r#"ts=1 venue="X""#, &TRADES), r#"Columns {"ts":1,"venue":"X"}"#);
        assert_eq!(shown(r#"ts=1 venue="X""#, &BARS), "Text");
    }

    #[test]
    fn a_text_that_may_have_been_cut_is_not_taken_for_whole() {
        let whole = format!(r#"{{"symbol":"{}"}}"#, "x".repeat(4_000));
        assert!(shown(&whole, &BARS).starts_with("Json"));
        let long = format!(r#"{{"symbol":"{}"}}"#, "x".repeat(RAW_LEN_MAX - 13));
        assert_eq!((long.len(), shown(&long, &BARS).as_str()), (RAW_LEN_MAX, "Text"));
    }

    #[test]
    fn what_is_missing_is_what_the_dataset_cannot_do_without() {
        let missing = |raw: &str, schema| read(raw, schema).1.unwrap().missing(schema).join(",");
        assert_eq!(missing(r#"{"ts":1,"open":null,"high":2}"#, &BARS), "symbol,open,low,close");
        assert_eq!(missing(r#"{"symbol":"A","ts":1,"bid":2}"#, &QUOTES), "");
        assert_eq!(missing(r#"{"symbol":"A","ts":1}"#, &QUOTES), "bid,ask");
    }

    #[test]
    fn a_line_is_read_by_the_names_that_it_is_given() {
        let row = |line: &str, names: &str| {
            Row::of_line(line, names).map(|row| serde_json::to_string(&row).unwrap())
        };
        let expected = r#"{"symbol":"A","open":"1.5","close":null}"#;
        assert_eq!(row("A,1.5,\"x,y\",", "symbol, open,-,close").unwrap(), expected);
        for (line, names) in [("A,1", "symbol"), ("A\nB", "symbol"), ("", "symbol"), ("A", "")] {
            assert!(row(line, names).is_err() || names.is_empty(), "{line}: {names}");
        }
    }

    #[test]
    fn values_are_replaced_by_name() {
        let mut row: Row = serde_json::from_str(r#"{"a":1,"b":2,"b":3}"#).unwrap();
        assert_eq!(row.twice(), Some("b"));
        row.replace(serde_json::from_str(r#"{"b":null,"c":4}"#).unwrap());
        assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"a":1,"b":null,"c":4}"#);
        assert_eq!(row.twice(), None);
    }

    proptest! {
        #[test]
        fn whatever_the_engine_renders_is_read_back(
            symbol in ".*", venue in ".*", ts: i64, price: f64,
        ) {
            let raw = format!("symbol={symbol:?} ts={ts} price={price} venue={venue:?}");
            prop_assume!(!is_cut(&raw));
            let (form, row) = read(&raw, &TRADES);
            prop_assert_eq!(form, Form::Columns);
            let text = serde_json::to_string(&row.unwrap()).unwrap();
            let values: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(values["symbol"].as_str(), Some(symbol.as_str()));
            prop_assert_eq!(values["venue"].as_str(), Some(venue.as_str()));
            prop_assert_eq!(values["ts"].as_i64(), Some(ts));
            let read = match &values["price"] {
                serde_json::Value::String(text) => text.parse().unwrap(),
                // As the decoder reads it: the digits themselves.
                _ => columns(&raw, &TRADES).unwrap().0[2].1.get().parse::<f64>().unwrap(),
            };
            prop_assert!(read == price || (read.is_nan() && price.is_nan()));
        }

        #[test]
        fn no_text_makes_the_reader_panic(raw in ".*") {
            let _ = read(&raw, &QUOTES);
            let _ = read(&format!("symbol={raw}"), &QUOTES);
        }
    }
}
