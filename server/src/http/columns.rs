//! The columns of rows as they are answered, and the pieces that answers are made of.

use std::borrow::Cow;
use std::ops::Range;

use barrow_engine::dataset::{ColumnDef, Schema, ValueType};
use barrow_engine::rows::Rows;
use barrow_types::{ColumnId, DatasetId, PriceSide, Step, Timestamp};

use super::slots::{NO_SOURCE, Slots};

/// A column of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Out {
    /// The symbol as received.
    Symbol,
    /// The step's name.
    Timeframe,
    /// The price side's name.
    Price,
    /// The bar's open, or when the event happened.
    Ts,
    /// A column of the schema, and its place there.
    User(usize, &'static ColumnDef),
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
    /// The date of the slot's session.
    Session,
    /// Whether the row may still change.
    State,
    /// Whether what was derived is older than what it was derived from.
    Stale,
    /// Whether the slot is empty.
    IsGap,
    /// Why the slot is empty.
    Reason,
    /// Whether the values were filled in.
    IsFilled,
    /// What rules and persons say of the row.
    DqStatus,
    /// The share of the slot that is covered by rows.
    Coverage,
    /// The instrument.
    InstrumentId,
    /// A feature, and its place in [`Layout::features`].
    Feature(usize),
    /// Why that feature is null.
    FeatureReason(usize),
    /// The versions of the groups.
    Version,
    /// Whether something that the row depends on may still change.
    Provisional,
    /// How long ago the row could first be had, in seconds.
    Age,
    /// The time that a row of a join asks for.
    Asked,
}

/// What the name of a column ends with that says why a feature is null.
pub(crate) const REASON: &str = "__reason";

/// Which rows of an answer may be without values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hollow {
    /// None is.
    #[default]
    None,
    /// Retractions are.
    Retractions,
    /// Empty slots are.
    Slots,
    /// Rows of a join that have no slot are.
    Joined,
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
    /// A date.
    Date,
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
            Self::Date => "date",
        }
    }
}

impl Out {
    /// The name users write; [`Layout::name`] knows those of features.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Timeframe => "timeframe",
            Self::Price => "price",
            Self::Ts => "ts",
            Self::User(_, column) => column.name,
            Self::TsEnd => "ts_end",
            Self::Source => "source",
            Self::AvailableAt => "available_at",
            Self::KnownAt => "known_at",
            Self::Assumed => "assumed",
            Self::Sequence => "sequence",
            Self::Retracted => "retracted",
            Self::Session => "session",
            Self::State => "state",
            Self::Stale => "stale",
            Self::IsGap => "is_gap",
            Self::Reason => "reason",
            Self::IsFilled => "is_filled",
            Self::DqStatus => "dq_status",
            Self::Coverage => "coverage",
            Self::InstrumentId => "instrument_id",
            Self::Version => "version",
            Self::Provisional => "provisional",
            Self::Age => "age",
            Self::Asked => "t",
            Self::Feature(_) | Self::FeatureReason(_) => "",
        }
    }

    /// What it holds.
    pub(crate) fn kind(self) -> OutType {
        match self {
            Self::Symbol
            | Self::Timeframe
            | Self::Price
            | Self::Source
            | Self::State
            | Self::Reason
            | Self::DqStatus
            | Self::InstrumentId
            | Self::FeatureReason(_)
            | Self::Version => OutType::Name,
            Self::Ts | Self::TsEnd | Self::AvailableAt | Self::KnownAt | Self::Asked => {
                OutType::Timestamp
            }
            Self::Assumed
            | Self::Retracted
            | Self::Stale
            | Self::IsGap
            | Self::IsFilled
            | Self::Provisional => OutType::Bool,
            Self::Sequence => OutType::I64,
            Self::Session => OutType::Date,
            Self::Coverage | Self::Feature(_) | Self::Age => OutType::F64,
            Self::User(_, column) => match column.holds {
                ValueType::F64 => OutType::F64,
                ValueType::I64 => OutType::I64,
                ValueType::Bool => OutType::Bool,
                ValueType::Text => OutType::Text,
                ValueType::Timestamp => OutType::Timestamp,
            },
        }
    }

    /// Whether a row may have no value there; rows that are `hollow`, retractions and empty slots,
    /// have none in any user column.
    pub(crate) fn is_nullable(self, hollow: Hollow) -> bool {
        match self {
            Self::User(_, column) => hollow != Hollow::None || column.nullable,
            Self::Feature(_) => true,
            _ if hollow == Hollow::Joined => self.is_of_row() || self.is_of_slot(),
            _ => hollow == Hollow::Slots && self.is_of_row(),
        }
    }

    /// Whether it says something of a row, so that an empty slot has nothing to say.
    pub(crate) const fn is_of_row(self) -> bool {
        matches!(self, Self::Source | Self::KnownAt | Self::Assumed | Self::Sequence | Self::State)
    }

    /// Whether it says something of a slot, so that a row of a join without one has nothing to say.
    pub(crate) const fn is_of_slot(self) -> bool {
        matches!(self, Self::Ts | Self::TsEnd | Self::AvailableAt | Self::Session)
    }

    /// The columns of a range of curated bars, in order.
    pub(crate) fn of_curated(schema: &'static Schema) -> Vec<Self> {
        let mut columns = vec![Self::Symbol, Self::Ts];
        let user = schema.shown();
        columns.extend(user.map(|(place, column)| Self::User(place, column)));
        columns.extend([
            Self::TsEnd,
            Self::Session,
            Self::Source,
            Self::State,
            Self::Stale,
            Self::IsGap,
            Self::Reason,
            Self::IsFilled,
            Self::DqStatus,
            Self::Coverage,
            Self::AvailableAt,
            Self::KnownAt,
            Self::Assumed,
            Self::Sequence,
            Self::InstrumentId,
        ]);
        columns
    }

    /// The columns of a range of raw rows, in order; `retracted` only where retractions show. An
    /// event ends when it happens, so only bars have an end.
    pub(crate) fn of_range(schema: &'static Schema, retractions: bool) -> Vec<Self> {
        let bars = schema.dataset == DatasetId::BARS;
        let mut columns = vec![Self::Symbol, Self::Ts];
        let user = schema.shown();
        columns.extend(user.map(|(place, column)| Self::User(place, column)));
        columns.extend(bars.then_some(Self::TsEnd));
        columns.push(Self::Source);
        columns.extend(bars.then_some(Self::AvailableAt));
        columns.extend([Self::KnownAt, Self::Assumed, Self::Sequence]);
        columns.extend(retractions.then_some(Self::Retracted));
        columns
    }

    /// The same with the price side, where bars of several sides stand side by side.
    pub(crate) fn of_sides(schema: &'static Schema, retractions: bool) -> Vec<Self> {
        let mut columns = Self::of_range(schema, retractions);
        columns.insert(2, Self::Price);
        columns
    }

    /// The columns of the latest rows, in order.
    pub(crate) fn of_latest(schema: &'static Schema) -> Vec<Self> {
        let mut columns = Self::of_range(schema, false);
        if schema.dataset == DatasetId::BARS {
            columns.splice(1..1, [Self::Timeframe, Self::Price]);
        }
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

/// Which of a few things each row of a piece belongs to, by number.
#[derive(Clone, Debug)]
pub(crate) enum PerRow {
    /// The same for every row.
    One(u32),
    /// One for each row.
    Each(Vec<u32>),
}

impl PerRow {
    /// The number of row `at`.
    pub(crate) fn get(&self, at: usize) -> u32 {
        match self {
            Self::One(place) => *place,
            Self::Each(places) => places[at],
        }
    }

    fn slice(self, start: usize, end: usize) -> Self {
        match self {
            Self::One(place) => Self::One(place),
            Self::Each(all) => Self::Each(all[start..end].to_vec()),
        }
    }
}

/// Rows of one symbol and step, ready to be encoded. `rows.columns` are the user
/// columns that the answer shows, in the order of [`Layout::user`].
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Place of the symbol in [`Layout::symbols`].
    pub(crate) symbol: u32,
    /// Place of the source in [`Layout::sources`].
    pub(crate) source: PerRow,
    /// Code of the price side.
    pub(crate) side: PerRow,
    /// The length of the bars.
    pub(crate) step: Step,
    /// The rows.
    pub(crate) rows: Rows,
    /// Their slots, if they are of the curated layer.
    pub(crate) slots: Option<Slots>,
    /// What else is known of features, if they are rows of these.
    pub(crate) features: Option<FeatureRows>,
}

/// What is known of rows of features beside their values, which are the rows' columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeatureRows {
    /// Of each feature the code of the reason why it is null; 0 if it is not.
    pub(crate) reasons: Vec<Vec<u8>>,
    /// Whether something that the row depends on may still change.
    pub(crate) provisional: Vec<bool>,
    /// How long ago each row could first be had, in seconds; empty if nobody asks.
    pub(crate) age: Vec<f64>,
    /// What each row of a join asks for; such rows may be without a slot. Empty otherwise.
    pub(crate) asked: Vec<i64>,
}

impl FeatureRows {
    fn slice(&self, range: Range<usize>) -> Self {
        Self {
            reasons: self.reasons.iter().map(|codes| codes[range.clone()].to_vec()).collect(),
            provisional: self.provisional[range.clone()].to_vec(),
            age: self.age.get(range.clone()).map(<[f64]>::to_vec).unwrap_or_default(),
            asked: self.asked.get(range).map(<[i64]>::to_vec).unwrap_or_default(),
        }
    }
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
        Self {
            source: self.source.slice(start, end),
            side: self.side.slice(start, end),
            rows: self.rows.slice(start..end),
            slots: self.slots.map(|slots| slots.slice(start..end)),
            features: self.features.map(|features| features.slice(start..end)),
            ..self
        }
    }

    /// Whether a column of the system has nothing to say of row `at`.
    pub(crate) fn is_null(&self, column: Out, at: usize) -> bool {
        match &self.slots {
            Some(slots) if slots.is_gap(at) && column.is_of_row() => {
                column != Out::Source || self.source.get(at) == NO_SOURCE
            }
            Some(slots) if slots.is_gap(at) => self.features.is_some() && column.is_of_slot(),
            _ => false,
        }
    }

    /// The price side of row `at`.
    pub(crate) fn side(&self, at: usize) -> PriceSide {
        let code = u8::try_from(self.side.get(at)).ok();
        code.and_then(PriceSide::from_code).expect("invariant: the code came from a side")
    }
}

/// What holds for a whole answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// The columns, in order.
    pub(crate) columns: Vec<Out>,
    /// Symbols that rows may name.
    pub(crate) symbols: Vec<String>,
    /// Sources that rows may name.
    pub(crate) sources: Vec<String>,
    /// Instruments that rows may name.
    pub(crate) instruments: Vec<String>,
    /// Which rows may be without values.
    pub(crate) hollow: Hollow,
    /// Names of the features that rows have.
    pub(crate) features: Vec<String>,
    /// The versions of their groups, in one word.
    pub(crate) version: String,
}

impl Layout {
    /// The name of a column.
    pub(crate) fn name(&self, column: Out) -> Cow<'_, str> {
        match column {
            Out::Feature(place) => Cow::from(&self.features[place]),
            Out::FeatureReason(place) => format!("{}{REASON}", self.features[place]).into(),
            column => column.name().into(),
        }
    }

    /// Places in the schema of the user columns that are shown, in order.
    pub(crate) fn user(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().filter_map(|column| match column {
            Out::User(place, _) => Some(*place),
            _ => None,
        })
    }

    /// Numbers of the user columns that are shown, in order.
    pub(crate) fn user_ids(&self) -> Vec<ColumnId> {
        let id = |column: &Out| match column {
            Out::User(_, column) => Some(column.id),
            _ => None,
        };
        self.columns.iter().filter_map(id).collect()
    }

    /// Where in `Piece::rows.columns` each column is: user columns in their order, features at
    /// their places; `None` for columns of the system.
    pub(crate) fn places(&self) -> Vec<Option<usize>> {
        let mut next = 0;
        self.columns
            .iter()
            .map(|column| {
                if let Out::Feature(place) = column {
                    return Some(*place);
                }
                matches!(column, Out::User(..)).then(|| {
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
    if let Some(slots) = &piece.slots {
        match column {
            Out::TsEnd => return Some(Timestamp::from_nanos(slots.ts_end[at])),
            Out::AvailableAt => return Some(Timestamp::from_nanos(slots.available_at[at])),
            _ => {}
        }
    }
    match column {
        Out::Ts => Some(ts),
        Out::TsEnd | Out::AvailableAt => Some(piece.step.ts_end(ts)),
        Out::KnownAt => Some(Timestamp::from_nanos(piece.rows.known_at[at])),
        Out::Asked => {
            let features = piece.features.as_ref()?;
            Some(Timestamp::from_nanos(features.asked[at]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use barrow_engine::dataset::{BARS, QUOTES, TRADES};

    use super::*;

    #[test]
    fn columns_come_in_the_order_asked_for() {
        let all = Out::of_range(&BARS, false);
        let user = |place| Out::User(place, &BARS.columns[place]);
        assert_eq!(select(&all, "close,ts"), Ok(vec![user(3), Out::Ts]));
        assert!(select(&all, "close,colour").unwrap_err().contains("'colour'"));
        assert!(select(&all, "close,close").is_err());
        assert!(select(&all, "retracted").is_err());
        assert!(select(&Out::of_range(&BARS, true), "retracted").is_ok());
        let layout = Layout {
            columns: vec![user(3), Out::Ts, user(0)],
            symbols: Vec::new(),
            sources: Vec::new(),
            instruments: Vec::new(),
            hollow: Hollow::None,
            ..Layout::default()
        };
        assert_eq!(layout.user().collect::<Vec<_>>(), [3, 0]);
        assert_eq!(layout.places(), [Some(0), None, Some(1)]);
    }

    #[test]
    fn the_names_are_those_of_the_contract() {
        let names = |columns: Vec<Out>| {
            columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(",")
        };
        assert_eq!(
            names(Out::of_range(&BARS, true)),
            "symbol,ts,open,high,low,close,volume,vwap,trades,ts_end,source,available_at,known_at,\
             assumed,sequence,retracted"
        );
        assert_eq!(
            names(Out::of_range(&TRADES, false)),
            "symbol,ts,price,size,venue,conditions,trade_id,source,known_at,assumed,sequence"
        );
        assert_eq!(
            names(Out::of_latest(&QUOTES)),
            "symbol,ts,bid,ask,bid_size,ask_size,venue,conditions,source,known_at,assumed,sequence"
        );
    }
}
