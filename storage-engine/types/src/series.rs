//! What identifies a series, a column and a record.

use crate::{Source, Step, Symbol};

/// The number of a log record: 1 for the first record of a store, then one more each.
/// 0 means "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first record.
    pub const ZERO: Self = Self(0);
    /// After every record.
    pub const MAX: Self = Self(u64::MAX);

    /// The sequence of that number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Dense number of a series inside one store, in order of first appearance in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SeriesId(u32);

impl SeriesId {
    /// The series of that number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Its place in a vector indexed by series.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which table a row belongs to: a built-in dataset, a ledger of the system's own, or a user's
/// table. The numbers are what the files hold: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct DatasetId(u16);

impl DatasetId {
    /// Open, high, low, close bars.
    pub const BARS: Self = Self(1);
    /// Trades.
    pub const TRADES: Self = Self(2);
    /// Quotes.
    pub const QUOTES: Self = Self(3);
    /// Ledger: one row per accepted batch.
    pub const BATCHES: Self = Self(64);
    /// Ledger: one row per rejected row.
    pub const DEAD_LETTERS: Self = Self(65);
    /// Ledger: what a source delivers (session set, alignment) per dataset and step.
    pub const SOURCE_FACTS: Self = Self(66);
    /// Ledger: one row per series.
    pub const SERIES: Self = Self(67);
    /// Facts: days of calendars.
    pub const CALENDAR_DAYS: Self = Self(80);
    /// Facts: which instrument a source's symbol is.
    pub const BINDINGS: Self = Self(81);
    /// Facts: attributes of instruments.
    pub const INSTRUMENTS: Self = Self(82);
    /// Facts: splits and dividends.
    pub const ACTIONS: Self = Self(83);
    /// Facts: claims of coverage.
    pub const CLAIMS: Self = Self(84);
    /// Facts: times for which rows were rejected.
    pub const REJECTS: Self = Self(85);
    /// Facts: halts of trading.
    pub const HALTS: Self = Self(86);
    /// Facts: outages of sources.
    pub const OUTAGES: Self = Self(87);
    /// Facts: settings of datasets.
    pub const SETTINGS: Self = Self(88);
    /// Facts: quality rules of datasets.
    pub const RULES: Self = Self(89);
    /// Facts: what persons decided about rows.
    pub const VERDICTS: Self = Self(90);
    /// Facts: rows that a batch held twice.
    pub const REPEATS: Self = Self(91);
    /// Ledger: long work of the server, a row for each change of a job.
    pub const JOBS: Self = Self(92);
    /// Facts: definitions of groups of features, each version by itself.
    pub const DEFINITIONS: Self = Self(93);
    /// Facts: definitions of users' tables, a row for each column of each version.
    pub const TABLES: Self = Self(94);
    /// Facts: from when on questions about a dataset are answered.
    pub const RETENTION: Self = Self(95);
    /// The first user's table; the others follow in the order in which they were defined.
    pub const FIRST_TABLE: Self = Self(1_024);

    /// The dataset of that number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether it is a user's table.
    pub const fn is_table(self) -> bool {
        self.0 >= Self::FIRST_TABLE.0
    }
}

/// A column inside its dataset. Columns are told apart by number, so they can be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ColumnId(u16);

impl ColumnId {
    /// The column of that number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Which price a series is about. The numbers are what the files hold: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PriceSide {
    /// Prices paid.
    Trade = 0,
    /// Best bid.
    Bid = 1,
    /// Best ask.
    Ask = 2,
    /// Middle of bid and ask.
    Mid = 3,
}

impl PriceSide {
    /// Every side.
    pub const ALL: [Self; 4] = [Self::Trade, Self::Bid, Self::Ask, Self::Mid];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Bid => "bid",
            Self::Ask => "ask",
            Self::Mid => "mid",
        }
    }

    /// The side of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.name() == name)
    }

    /// The number in files.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The side of that number, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.code() == code)
    }
}

/// What one raw series is: rows of one dataset, for one symbol as received, at one step and
/// price side, from one source. Raw series are never re-keyed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The table.
    pub dataset: DatasetId,
    /// The instrument's name as the source writes it.
    pub symbol: Symbol,
    /// The length of its bars.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// Where it comes from.
    pub source: Source,
}
