//! The outer form of a file, found by a look at its beginning, and its rows by that form.

use std::io;
use std::path::Path;

use super::Reading;
use super::batches::{self, Batches};
use super::delimited;
use super::files::{self, Kind};
use super::json::{self, Json};
use super::known::Known;
use super::layout::Layout;
use super::table::Sampled;

/// How the rows stand in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// CSV and its kin.
    Delimited(Layout),
    /// JSON.
    Json(Json),
    /// Parquet and Arrow.
    Batches(Batches),
}

impl Form {
    /// For a person.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Delimited(layout) => {
                let header =
                    if layout.header.is_some() { "header in the first line" } else { "no header" };
                format!("{} between fields, {header}", layout.separator_name())
            }
            Self::Json(json) => json.describe(),
            Self::Batches(batches) => batches.describe(),
        }
    }

    /// What its rows are counted by.
    pub(crate) const fn unit(&self) -> &'static str {
        match self {
            Self::Delimited(_) => "line",
            Self::Json(_) | Self::Batches(_) => "row",
        }
    }

    /// The names of the columns, if the file has them.
    fn names(&self) -> Option<&[String]> {
        match self {
            Self::Delimited(layout) => layout.header.as_deref(),
            Self::Json(json) => json.names.as_deref(),
            Self::Batches(batches) => Some(batches.names()),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Delimited(layout) => layout.width,
            Self::Json(json) => json.width,
            Self::Batches(batches) => batches.names().len(),
        }
    }
}

/// What a look at a file gives.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) form: Form,
    /// How it is packed, for a person; empty if it is not.
    pub(crate) packing: &'static str,
    /// What it is told by if it has no names.
    pub(crate) known: Option<Known>,
    /// Names of the columns: its own, those of its known form, or numbers from 1.
    pub(crate) names: Vec<String>,
    /// Whether those are no more than numbers.
    pub(crate) is_nameless: bool,
    /// Whether the first column has no name, though others have.
    pub(crate) unnamed_first: bool,
    /// The symbol of all rows, if the file says it outside its columns.
    pub(crate) symbol: Option<String>,
    /// The first rows.
    pub(crate) rows: Vec<Sampled>,
}

impl Table {
    /// The table of that form and these rows.
    pub(crate) fn new(form: Form, symbol: Option<String>, rows: Vec<Sampled>) -> Self {
        let separator = match &form {
            Form::Delimited(layout) => Some(layout.separator),
            Form::Json(_) | Form::Batches(_) => None,
        };
        let numbers = || (1..=form.width()).map(|number| number.to_string());
        let known = match form.names() {
            Some(_) => None,
            None => Known::detect(separator, form.width(), &rows),
        };
        let names = match (form.names(), known) {
            (Some(names), _) => names
                .iter()
                .zip(numbers())
                .map(|(name, number)| if name.is_empty() { number } else { name.clone() })
                .collect(),
            (None, Some(known)) => known.columns().iter().map(|name| (*name).to_owned()).collect(),
            (None, None) => numbers().collect(),
        };
        let is_nameless = form.names().is_none() && known.is_none();
        let unnamed_first = form.names().and_then(<[String]>::first).is_some_and(String::is_empty);
        Self { form, packing: "", known, names, is_nameless, unnamed_first, symbol, rows }
    }

    /// Looks at the file at `path`; the inner error is why it is not understood.
    pub(crate) fn look(path: &Path, reading: &Reading) -> io::Result<Result<Self, String>> {
        let reading = &reading.uncounted();
        let open = || files::open(path, reading);
        let mut table = match files::kind(path) {
            Kind::Parquet | Kind::Arrow => {
                let is_parquet = files::kind(path) == Kind::Parquet;
                let looked = batches::look(path, is_parquet, reading)?;
                Self::new(Form::Batches(looked.form), looked.symbol, looked.rows)
            }
            Kind::Json(_) => match json::look(open)? {
                Ok(looked) => Self::new(Form::Json(looked.form), looked.symbol, looked.rows),
                Err(why) => return Ok(Err(why)),
            },
            Kind::Csv(_) | Kind::NotRead(_) | Kind::Unknown => match delimited::look(open()?)? {
                Some((layout, rows)) => Self::new(Form::Delimited(layout), None, rows),
                None => {
                    let why = "it has no lines that comma, semicolon, tab or bar would split";
                    return Ok(Err(why.to_owned()));
                }
            },
        };
        table.packing = files::packing(path).name();
        Ok(Ok(table))
    }
}
