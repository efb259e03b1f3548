//! The columns of bars as they are answered, and the pieces that answers are made of.

use barrow_engine::dataset::{BARS, Schema};
use barrow_engine::rows::{ColumnType, Rows};
use barrow_types::{PriceSide, Step, Timestamp};

/// A column of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Out {
    /// The symbol as received.
    Symbol,
    /// The step's name.
    Timeframe,
    /// The price side's name.
    Price,
    /// The bar's open.
    Ts,
    /// A column of the schema, by its place there.
    User(usize),
    /// The bar's end.
    TsEnd,
    /// Where the row comes from.
    Source,
    /// When the bar could be known at the earliest: its end.
    AvailableAt,
    /// When this value was learned.
    KnownAt,
    /// Whether `known_at` comes from a policy for loads of history.
    Assumed,
    /// The record that brought the row.
    Sequence,
    /// Whether the row takes its key away.
    Retracted,
}

/// What a column of an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutType {
    /// A name: one of a few.
    Name,
    /// An instant.
    Timestamp,
    /// A double.
    F64,
    /// A whole number.
    I64,
    /// A free text.
    Text,
    /// A flag.
    Bool,
}

impl OutType {
    /// The word for it in JSON answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Name | Self::Text => "text",
            Self::Timestamp => "timestamp",
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

/// The schema of the rows that are answered.
pub(crate) static SCHEMA: &Schema = &BARS;

impl Out {
    /// The name users write.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Timeframe => "timeframe",
            Self::Price => "price",
            Self::Ts => "ts",
            Self::User(place) => SCHEMA.columns[place].name,
            Self::TsEnd => "ts_end",
            Self::Source => "source",
            Self::AvailableAt => "available_at",
            Self::KnownAt => "known_at",
            Self::Assumed => "assumed",
            Self::Sequence => "sequence",
            Self::Retracted => "retracted",
        }
    }

    /// What it holds.
    pub(crate) fn kind(self) -> OutType {
        match self {
            Self::Symbol | Self::Timeframe | Self::Price | Self::Source => OutType::Name,
            Self::Ts | Self::TsEnd | Self::AvailableAt | Self::KnownAt => OutType::Timestamp,
            Self::Assumed | Self::Retracted => OutType::Bool,
            Self::Sequence => OutType::I64,
            Self::User(place) => match SCHEMA.columns[place].kind {
                ColumnType::F64 => OutType::F64,
                ColumnType::I64 => OutType::I64,
                ColumnType::Text => OutType::Text,
            },
        }
    }

    /// Whether a row may have no value there; a retraction has none in any user column.
    pub(crate) fn is_nullable(self, retractions: bool) -> bool {
        match self {
            Self::User(place) => retractions || SCHEMA.columns[place].nullable,
            _ => false,
        }
    }

    /// The columns of a range of raw bars, in order; `retracted` only where retractions show.
    pub(crate) fn of_range(retractions: bool) -> Vec<Self> {
        let mut columns = vec![Self::Symbol, Self::Ts];
        columns.extend((0..SCHEMA.columns.len()).map(Self::User));
        columns.extend([
            Self::TsEnd,
            Self::Source,
            Self::AvailableAt,
            Self::KnownAt,
            Self::Assumed,
            Self::Sequence,
        ]);
        if retractions {
            columns.push(Self::Retracted);
        }
        columns
    }

    /// The columns of the latest rows, in order.
    pub(crate) fn of_latest() -> Vec<Self> {
        let mut columns = Self::of_range(false);
        columns.splice(1..1, [Self::Timeframe, Self::Price]);
        columns
    }
}

/// Picks the columns named in `list` (`ts,close`) out of `all`, in the order of the list.
///
/// # Errors
/// A name that is not in `all` or is there twice.
pub(crate) fn select(all: &[Out], list: &str) -> Result<Vec<Out>, String> {
    let mut selected = Vec::new();
    for name in list.split(',') {
        let column = all.iter().copied().find(|column| column.name() == name).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|column| column.name()).collect();
            format!("there is no column '{name}' (there are: {})", names.join(", "))
        })?;
        if selected.contains(&column) {
            return Err(format!("'{name}' is named twice"));
        }
        selected.push(column);
    }
    Ok(selected)
}

/// Which source each row of a piece comes from: a place in the answer's list of sources.
#[derive(Clone, Debug)]
pub(crate) enum SourceOf {
    /// The same for every row.
    One(u32),
    /// One for each row.
    Each(Vec<u32>),
}

impl SourceOf {
    /// The source of row `at`.
    pub(crate) fn get(&self, at: usize) -> u32 {
        match self {
            Self::One(place) => *place,
            Self::Each(places) => places[at],
        }
    }
}

/// Rows of one symbol, step and price side, ready to be encoded. `rows.columns` are the user
/// columns that the answer shows, in the order of [`Layout::user`].
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Place of the symbol in [`Layout::symbols`].
    pub(crate) symbol: u32,
    /// Place of the source in [`Layout::sources`].
    pub(crate) source: SourceOf,
    /// The length of the bars.
    pub(crate) step: Step,
    /// Which price.
    pub(crate) side: PriceSide,
    /// The rows.
    pub(crate) rows: Rows,
}

impl Piece {
    /// The piece without its first `count` rows.
    #[must_use]
    pub(crate) fn skip(self, count: usize) -> Self {
        let len = self.rows.len();
        self.slice(count.min(len), len)
    }

    /// The first `count` rows of the piece.
    #[must_use]
    pub(crate) fn truncate(self, count: usize) -> Self {
        let len = self.rows.len();
        self.slice(0, count.min(len))
    }

    fn slice(self, start: usize, end: usize) -> Self {
        if start == 0 && end == self.rows.len() {
            return self;
        }
        let places: Vec<u32> = (start..end)
            .map(|at| u32::try_from(at).expect("invariant: a piece is small"))
            .collect();
        let source = match self.source {
            SourceOf::One(place) => SourceOf::One(place),
            SourceOf::Each(all) => SourceOf::Each(all[start..end].to_vec()),
        };
        Self { source, rows: self.rows.take(&places), ..self }
    }
}

/// What holds for a whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The columns, in order.
    pub(crate) columns: Vec<Out>,
    /// Symbols that rows may name.
    pub(crate) symbols: Vec<String>,
    /// Sources that rows may name.
    pub(crate) sources: Vec<String>,
    /// Whether rows may be retractions.
    pub(crate) retractions: bool,
}

impl Layout {
    /// Places in the schema of the user columns that are shown, in order.
    pub(crate) fn user(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().filter_map(|column| match column {
            Out::User(place) => Some(*place),
            _ => None,
        })
    }

    /// Where in `Piece::rows.columns` each column is; `None` for columns of the system.
    pub(crate) fn places(&self) -> Vec<Option<usize>> {
        let mut next = 0;
        self.columns
            .iter()
            .map(|column| {
                matches!(column, Out::User(_)).then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect()
    }
}

/// The instant in a column of the system of row `at`, if that column holds one.
pub(crate) fn instant(column: Out, piece: &Piece, at: usize) -> Option<Timestamp> {
    let ts = Timestamp::from_nanos(piece.rows.ts[at]);
    match column {
        Out::Ts => Some(ts),
        Out::TsEnd | Out::AvailableAt => Some(piece.step.ts_end(ts)),
        Out::KnownAt => Some(Timestamp::from_nanos(piece.rows.known_at[at])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_in_the_order_asked_for() {
        let all = Out::of_range(false);
        assert_eq!(select(&all, "close,ts"), Ok(vec![Out::User(3), Out::Ts]));
        assert!(select(&all, "close,colour").unwrap_err().contains("'colour'"));
        assert!(select(&all, "close,close").is_err());
        assert!(select(&all, "retracted").is_err());
        assert!(select(&Out::of_range(true), "retracted").is_ok());
        let layout = Layout {
            columns: vec![Out::User(3), Out::Ts, Out::User(0)],
            symbols: Vec::new(),
            sources: Vec::new(),
            retractions: false,
        };
        assert_eq!(layout.user().collect::<Vec<_>>(), [3, 0]);
        assert_eq!(layout.places(), [Some(0), None, Some(1)]);
    }

    #[test]
    fn the_names_are_those_of_the_contract() {
        let names: Vec<_> = Out::of_range(true).iter().map(|column| column.name()).collect();
        assert_eq!(
            names.join(","),
            "symbol,ts,open,high,low,close,volume,vwap,trades,ts_end,source,available_at,known_at,\
             assumed,sequence,retracted"
        );
    }
}
