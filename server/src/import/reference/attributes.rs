//! Attributes of instruments from a table: a line each.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Names of columns, as they are compared, and which attribute each is.
const COLUMNS: [(&str, &str); 13] = [
    ("security", "security"),
    ("name", "security"),
    ("company", "security"),
    ("gics sector", "sector"),
    ("sector", "sector"),
    ("gics sub-industry", "industry"),
    ("industry", "industry"),
    ("currency", "currency"),
    ("calendar", "calendar"),
    ("exchange calendar", "calendar"),
    ("tick_size", "tick_size"),
    ("tick size", "tick_size"),
    ("listed", "listed"),
];

const SYMBOLS: [&str; 2] = ["symbol", "ticker"];

/// What a table says.
pub(super) struct Attributes {
    /// The attributes that it has.
    pub(super) columns: Vec<&'static str>,
    /// The columns that are none.
    pub(super) ignored: Vec<String>,
    /// An object an instrument.
    pub(super) instruments: Vec<Value>,
}

fn compared(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

/// Whether a header names a symbol.
pub(super) fn has_symbol(header: &str) -> bool {
    header.split(',').any(|name| SYMBOLS.contains(&&*compared(name)))
}

/// Reads a table.
pub(super) fn read(text: &str, since: Option<&str>) -> Result<Attributes, String> {
    let mut lines = csv::Reader::from_reader(text.as_bytes());
    let header = lines.headers().map_err(|error| error.to_string())?.clone();
    let names: Vec<String> = header.iter().map(compared).collect();
    let symbol = names.iter().position(|name| SYMBOLS.contains(&name.as_str()));
    let symbol = symbol.ok_or("it has no column symbol or ticker")?;
    let attribute = |name: &String| {
        COLUMNS.iter().find(|(known, _)| known == name).map(|(_, attribute)| *attribute)
    };
    let columns: Vec<Option<&'static str>> = names.iter().map(attribute).collect();
    let found: Vec<&'static str> = columns.iter().copied().flatten().collect();
    if found.is_empty() {
        let known: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        return Err(format!("it has no column of an attribute (read: {})", known.join(", ")));
    }
    if let Some(twice) = found.iter().find(|name| found.iter().filter(|n| n == name).count() > 1) {
        return Err(format!("two of its columns are the attribute {twice}"));
    }
    let is_ignored = |(at, _): &(usize, &str)| *at != symbol && columns[*at].is_none();
    let ignored = header.iter().enumerate().filter(is_ignored);
    let ignored: Vec<String> = ignored.map(|(_, name)| name.to_owned()).collect();
    let mut seen = BTreeSet::new();
    let mut instruments = Vec::new();
    for line in lines.records() {
        let line = line.map_err(|error| error.to_string())?;
        let number = line.position().map_or(0, csv::Position::line);
        let id = line.get(symbol).unwrap_or_default().trim();
        if id.is_empty() {
            return Err(format!("line {number} has no symbol"));
        }
        if !seen.insert(id.to_owned()) {
            return Err(format!("line {number}: {id} is there twice"));
        }
        let mut instrument = Map::new();
        instrument.insert("id".to_owned(), json!(id));
        for (name, value) in columns.iter().zip(&line) {
            if let Some(name) = name
                && !value.trim().is_empty()
            {
                instrument.insert((*name).to_owned(), json!(value.trim()));
            }
        }
        if let Some(since) = since {
            instrument.insert("since".to_owned(), json!(since));
        }
        instruments.push(Value::Object(instrument));
    }
    Ok(Attributes { columns: found, ignored, instruments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_attributes_and_the_others_are_listed() {
        let text = "Symbol,Security,GICS Sector,Founded\nMMM,3M,Industrials,1902\n\
                    AOS,\"Smith, A. O.\",,1916\n";
        let read = read(text, Some("2024-01-01")).unwrap();
        assert_eq!(read.columns, ["security", "sector"]);
        assert_eq!(read.ignored, ["Founded"]);
        let expected = json!([
            {"id": "MMM", "security": "3M", "sector": "Industrials", "since": "2024-01-01"},
            {"id": "AOS", "security": "Smith, A. O.", "since": "2024-01-01"},
        ]);
        assert_eq!(Value::Array(read.instruments), expected);
    }

    #[test]
    fn tables_that_cannot_be_say_where() {
        for (text, fault) in [
            ("ticker,start_date,end_date\nA,2000-06-05,\n", "no column of an attribute"),
            ("symbol,name,security\n", "two of its columns are the attribute security"),
            ("symbol,sector\n,x\n", "line 2 has no symbol"),
            ("symbol,sector\nA,x\nA,y\n", "line 3: A is there twice"),
            ("symbol,sector\nA\n", "line: 2"),
        ] {
            let error = read(text, None).err().unwrap();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
