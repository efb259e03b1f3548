//! Users' tables. `docs/TABLES.md` says what they are to users.
//!
//! A table is defined by facts, rows of the dataset [`TABLES`]: one for each column of each of its
//! versions, all columns of a version in one batch. A version has the columns of the one before it
//! at the same places and may have more behind them; none ever goes, it is at most hidden. So rows
//! of an earlier version are rows of a later one that lack the last columns.
//!
//! | file | holds |
//! |---|---|
//! | `definition.rs` | one version of a table: what is sound, and how it is kept |
//! | `change.rs` | from what a user asks for to the next version |

mod change;
mod definition;

use barrow_types::{DatasetId, PriceSide, Sequence, SeriesKey, Source, Step, Symbol, Timestamp};

pub use change::{Asked, AskedColumn, ChangeFault, next};
pub use definition::{DefinedColumn, Definition, Fault};

use super::facts::FACT_SOURCE;
use super::{ColumnId, Identity, Schema, ValueType, column};

/// Most tables.
pub const TABLES_MAX: usize = 1_000;

/// Most versions of one table: all of them are kept in memory.
pub const VERSIONS_MAX: u16 = 100;

/// Most columns of one table, hidden ones among them: they are kept for ever.
pub const COLUMNS_MAX: usize = 256;

/// Most columns of a key.
pub const KEY_COLUMNS_MAX: usize = 8;

/// Longest name of a table or column, in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// The symbol of the one series of definitions. It is one series so that whoever defines a table
/// notices all others who do.
pub const TABLES_SYMBOL: &str = "tables";

/// Definitions of users' tables. `dataset` is the number of the table, `column` that of the column,
/// `type` a [`ValueType`]'s name; `nullable`, `hidden` and `keyed` are 0 or 1, `key` is the
/// column's place in the key, from 1. Rows of a table that is not keyed are never matched.
pub static TABLES: Schema = Schema {
    dataset: DatasetId::TABLES,
    name: "tables",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1), ColumnId::new(3), ColumnId::new(4)] },
    columns: &[
        column(1, "name", ValueType::Text, false),
        column(2, "dataset", ValueType::I64, false),
        column(3, "version", ValueType::I64, false),
        column(4, "column", ValueType::I64, false),
        column(5, "column_name", ValueType::Text, false),
        column(6, "type", ValueType::Text, false),
        column(7, "nullable", ValueType::I64, false),
        column(8, "hidden", ValueType::I64, false),
        column(9, "keyed", ValueType::I64, false),
        column(10, "key", ValueType::I64, true),
        column(11, "extra", ValueType::Text, false),
    ],
};

/// The series of definitions.
pub(crate) fn key() -> SeriesKey {
    SeriesKey {
        dataset: DatasetId::TABLES,
        symbol: Symbol::new(TABLES_SYMBOL).expect("invariant: it is a name"),
        step: Step::Tick,
        side: PriceSide::Trade,
        source: Source::new(FACT_SOURCE).expect("invariant: a dash is a name"),
    }
}

/// The table that is defined as number `place`, from 0.
fn dataset_at(place: usize) -> DatasetId {
    let place = u16::try_from(place).expect("invariant: there are at most TABLES_MAX");
    DatasetId::new(DatasetId::FIRST_TABLE.get() + place)
}

/// The place of a table among those that are defined; `None` if it is no user's.
pub(crate) fn place_of(dataset: DatasetId) -> Option<usize> {
    dataset.get().checked_sub(DatasetId::FIRST_TABLE.get()).map(usize::from)
}

/// What becomes of a body with a column that the table does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// It is refused.
    #[default]
    Reject,
    /// The column is left out, and the answer says so.
    Ignore,
}

impl Extra {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Reject, Self::Ignore];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Ignore => "ignore",
        }
    }

    /// The policy of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extra| extra.name() == name)
    }
}

/// A version of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableVersion {
    /// What its rows look like.
    pub schema: &'static Schema,
    /// What becomes of columns that it does not have.
    pub extra: Extra,
    /// The record that brought it.
    pub since: Sequence,
    /// Since when Barrow has it.
    pub known_at: Timestamp,
}

/// A user's table, by its versions.
#[derive(Clone, Debug)]
pub struct Table {
    /// Oldest first, never none.
    versions: Vec<TableVersion>,
}

impl Table {
    pub(crate) fn new(first: TableVersion) -> Self {
        Self { versions: vec![first] }
    }

    pub(crate) fn add(&mut self, version: TableVersion) {
        self.versions.push(version);
    }

    /// Its versions, oldest first.
    pub fn versions(&self) -> &[TableVersion] {
        &self.versions
    }

    /// The newest version.
    pub fn newest(&self) -> &TableVersion {
        self.versions.last().expect("invariant: a table has a version")
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.newest().schema.name
    }

    /// Its number.
    pub fn dataset(&self) -> DatasetId {
        self.newest().schema.dataset
    }

    /// The table as it was known at `as_of`; `None` if it was not.
    #[must_use]
    pub fn known_at(&self, as_of: Timestamp) -> Option<Self> {
        self.of(|version| version.known_at <= as_of)
    }

    /// The table as it was at `sequence`; `None` if it was not there.
    pub(crate) fn at(&self, sequence: Sequence) -> Option<Self> {
        self.of(|version| version.since <= sequence)
    }

    fn of(&self, is_there: impl Fn(&TableVersion) -> bool) -> Option<Self> {
        let versions = self.versions.iter().filter(|version| is_there(version));
        let versions: Vec<TableVersion> = versions.copied().collect();
        (!versions.is_empty()).then_some(Self { versions })
    }
}
