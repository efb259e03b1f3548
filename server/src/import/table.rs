//! The seam between formats and the plan: every file is a table of columns, whose rows come one by
//! one, in the order of the file, as cells.
//!
//! A format says what its cells are as closely as it knows: text where the file has text (numbers
//! of CSV and JSON too, so that each is read once and exactly), else the typed value.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::clock::Unusable;
use super::layout::number;
use super::time::Written;

/// Words that stand for no value.
const NULLS: [&str; 8] = ["", "nan", "NaN", "null", "NULL", "None", "NA", "N/A"];

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Null,
    /// Text, or a number as it is written.
    Text(Cow<'a, str>),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A double.
    Float(f64),
    /// A whole number of units, of which ten to the power of the second make one.
    Decimal(i128, u8),
    /// A time of a typed column.
    Time(Written),
}

impl<'a> Cell<'a> {
    /// Text that stands in the file.
    pub(crate) const fn borrowed(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Whether there is no value: nothing, a word for nothing, or not a number.
    pub(crate) fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => NULLS.contains(&text.as_ref()),
            Self::Float(value) => value.is_nan(),
            Self::Bool(_) | Self::Int(_) | Self::Decimal(..) | Self::Time(_) => false,
        }
    }

    /// The double nearest to the number that it is; `None` if it is none.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => number(text),
            Self::Float(value) => Some(*value),
            // Through their digits, which are rounded once.
            Self::Int(_) | Self::Decimal(..) => number(&self.text()),
            Self::Null | Self::Bool(_) | Self::Time(_) => None,
        }
    }

    /// For a person, and for readers of text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            // The fewest digits that mean this double.
            Self::Float(value) => Cow::Owned(value.to_string()),
            Self::Decimal(units, scale) => Cow::Owned(decimal(*units, *scale)),
            Self::Time(written) => Cow::Owned(written.to_string()),
        }
    }

    /// The same, apart from the file.
    pub(crate) fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Bool(value) => Cell::Bool(value),
            Self::Int(value) => Cell::Int(value),
            Self::Float(value) => Cell::Float(value),
            Self::Decimal(units, scale) => Cell::Decimal(units, scale),
            Self::Time(written) => Cell::Time(written),
        }
    }

    /// As JSON writes it.
    fn json(&self) -> String {
        let bare = match self {
            Self::Null => return "null".to_owned(),
            Self::Float(value) => value.is_finite(),
            Self::Bool(_) | Self::Int(_) | Self::Decimal(..) => true,
            Self::Text(_) | Self::Time(_) => false,
        };
        let text = self.text();
        if bare { text.into_owned() } else { serde_json::Value::from(text.as_ref()).to_string() }
    }
}

fn decimal(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    if scale == 0 {
        return units.to_string();
    }
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if units < 0 { "-" } else { "" })
}

/// A row as it stands in the file, for dead letters.
#[derive(Clone, Copy)]
pub(crate) enum Raw<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// Columns' names; the cells are the record's own.
    Named(&'a [String]),
}

/// One row of a file.
pub(crate) struct Record<'a> {
    /// Its line, or its place among the rows; from 1.
    pub(crate) number: u64,
    /// Its cells, one a column; or why the row has none.
    pub(crate) cells: Result<&'a [Cell<'a>], &'a Unusable>,
    /// As it stands in the file.
    pub(crate) raw: Raw<'a>,
}

impl Record<'_> {
    /// The row as it stands in the file, at most `len_max` bytes of it.
    pub(crate) fn raw_text(&self, len_max: usize) -> String {
        match (self.raw, self.cells) {
            (Raw::Bytes(bytes), _) => {
                String::from_utf8_lossy(&bytes[..bytes.len().min(len_max)]).into_owned()
            }
            (Raw::Named(names), Ok(cells)) => {
                let mut text = json_object(names, cells);
                text.truncate(text.floor_char_boundary(len_max));
                text
            }
            (Raw::Named(_), Err(_)) => String::new(),
        }
    }
}

fn json_object(names: &[String], cells: &[Cell<'_>]) -> String {
    let pairs = names.iter().zip(cells).map(|(name, cell)| {
        let name = serde_json::Value::from(name.as_str());
        format!("{name}:{}", cell.json())
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// Takes rows; says whether it wants more.
pub(crate) type Sink<'s> = dyn FnMut(&Record<'_>) -> ControlFlow<()> + 's;

/// A row of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampled {
    /// Its line or place, from 1.
    pub(crate) number: u64,
    /// Its cells, or why it has none.
    pub(crate) cells: Result<Vec<Cell<'static>>, Unusable>,
}

impl Sampled {
    /// Keeps a row.
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let cells = match record.cells {
            Ok(cells) => Ok(cells.iter().cloned().map(Cell::into_owned).collect()),
            Err(error) => Err(error.clone()),
        };
        Self { number: record.number, cells }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_the_double_nearest_to_its_digits() {
        for (units, scale, text, number) in [
            (1_146_050_000_000_000_000, 18, "1.146050000000000000", 1.14605),
            (-5, 3, "-0.005", -0.005),
            (1_000_000_000_000_000_000_000_000, 18, "1000000.000000000000000000", 1e6),
            (7, 0, "7", 7.0),
            (0, 2, "0.00", 0.0),
        ] {
            let cell = Cell::Decimal(units, scale);
            assert_eq!((cell.text().as_ref(), cell.number()), (text, Some(number)));
        }
    }

    #[test]
    fn a_row_of_typed_cells_is_kept_as_json() {
        let names = ["a\"b".to_owned(), "n".to_owned(), "x".to_owned(), "t".to_owned()];
        let cells = [Cell::borrowed("é"), Cell::Null, Cell::Float(0.1), Cell::Decimal(15, 1)];
        let record = Record { number: 1, cells: Ok(&cells), raw: Raw::Named(&names) };
        assert_eq!(record.raw_text(100), r#"{"a\"b":"é","n":null,"x":0.1,"t":1.5}"#);
        // Never inside a character.
        assert_eq!(record.raw_text(10), r#"{"a\"b":""#);
    }
}
