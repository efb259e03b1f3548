//! What rows look like: which columns a dataset has and how its rows are told apart. The built-in
//! ones are here; those of users come from the log, see [`tables`].

pub mod facts;
pub mod jobs;
pub mod retention;
pub mod tables;

use barrow_types::{ColumnId, DatasetId};

use crate::rows::ColumnType;

/// What the values of a column are to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueType {
    /// Doubles; NaN and infinities are turned away.
    F64,
    /// Whole numbers of 64 bits.
    I64,
    /// True or false, kept as 1 or 0.
    Bool,
    /// UTF-8 text.
    Text,
    /// Instants, kept as nanoseconds since 1970 UTC.
    Timestamp,
}

impl ValueType {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::F64, Self::I64, Self::Bool, Self::Text, Self::Timestamp];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::Text => "text",
            Self::Timestamp => "timestamp",
        }
    }

    /// The type of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|holds| holds.name() == name)
    }

    /// How values are kept.
    pub const fn kind(self) -> ColumnType {
        match self {
            Self::F64 => ColumnType::F64,
            Self::I64 | Self::Bool | Self::Timestamp => ColumnType::I64,
            Self::Text => ColumnType::Text,
        }
    }
}

/// A column of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnDef {
    /// Its number, for ever.
    pub id: ColumnId,
    /// Its name today.
    pub name: &'static str,
    /// What it holds.
    pub holds: ValueType,
    /// Whether a row may leave it out.
    pub nullable: bool,
    /// Whether it is kept and no longer shown: rows cannot bring it, and answers leave it out.
    pub hidden: bool,
}

impl ColumnDef {
    /// How its values are kept.
    pub const fn kind(&self) -> ColumnType {
        self.holds.kind()
    }
}

/// How the rows of a series are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// One row a `ts`; a second one is a duplicate or a revision.
    Ts,
    /// Many rows a `ts`. Rows with a value in the last of these columns are one row if they are
    /// equal in all of them; rows without one are never matched with each other.
    Event {
        /// The id columns; none if rows have no id of their own.
        id: &'static [ColumnId],
    },
    /// Rows are never matched with each other; the batch is the unit that is not repeated.
    Append,
}

/// What rows of a dataset look like.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Schema {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its name.
    pub name: &'static str,
    /// Version of the column list; stands in every record and segment.
    pub version: u16,
    /// How rows are told apart.
    pub identity: Identity,
    /// The columns, in order of their numbers.
    pub columns: &'static [ColumnDef],
}

impl Schema {
    /// The place of column `id` in [`Schema::columns`].
    pub fn place(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// The columns that are not hidden, each with its place in [`Schema::columns`].
    pub fn shown(&self) -> impl Iterator<Item = (usize, &'static ColumnDef)> + use<> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.hidden)
    }

    /// The column of that name, unless it is hidden.
    pub fn column(&self, name: &str) -> Option<&'static ColumnDef> {
        self.shown().map(|(_, column)| column).find(|column| column.name == name)
    }

    /// The places of the id columns of an event.
    pub fn id_places(&self) -> Vec<usize> {
        let Identity::Event { id } = self.identity else { return Vec::new() };
        let place = |&id: &ColumnId| self.place(id);
        id.iter().map(|id| place(id).expect("invariant: ids are columns")).collect()
    }

    /// The kinds of all columns, in order.
    pub fn kinds(&self) -> impl Iterator<Item = ColumnType> {
        self.columns.iter().map(ColumnDef::kind)
    }
}

const fn column(id: u16, name: &'static str, holds: ValueType, nullable: bool) -> ColumnDef {
    ColumnDef { id: ColumnId::new(id), name, holds, nullable, hidden: false }
}

/// Number of the first of the four price columns of a bar; the others follow.
pub const OPEN: ColumnId = ColumnId::new(1);
/// Number of the average price of a bar, which is kept beside its high and low.
pub const VWAP: ColumnId = ColumnId::new(6);

/// Bars: open, high, low, close in the currency of the instrument; volume in units of it; vwap,
/// the volume-weighted average price; trades, how many there were.
pub static BARS: Schema = Schema {
    dataset: DatasetId::BARS,
    name: "bars",
    version: 1,
    identity: Identity::Ts,
    columns: &[
        column(1, "open", ValueType::F64, false),
        column(2, "high", ValueType::F64, false),
        column(3, "low", ValueType::F64, false),
        column(4, "close", ValueType::F64, false),
        column(5, "volume", ValueType::F64, true),
        column(6, "vwap", ValueType::F64, true),
        column(7, "trades", ValueType::I64, true),
    ],
};

/// Trades: price in the currency of the instrument, size in units of it, the venue it was made at,
/// condition codes as the source writes them, and the venue's own number of it: trades of one `ts`
/// that have one are told apart by venue and number.
pub static TRADES: Schema = Schema {
    dataset: DatasetId::TRADES,
    name: "trades",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(3), ColumnId::new(5)] },
    columns: &[
        column(1, "price", ValueType::F64, false),
        column(2, "size", ValueType::F64, false),
        column(3, "venue", ValueType::Text, true),
        column(4, "conditions", ValueType::Text, true),
        column(5, "trade_id", ValueType::Text, true),
    ],
};

/// Quotes: best bid and ask and their sizes. A side that is absent is null; one side is enough.
pub static QUOTES: Schema = Schema {
    dataset: DatasetId::QUOTES,
    name: "quotes",
    version: 1,
    identity: Identity::Event { id: &[] },
    columns: &[
        column(1, "bid", ValueType::F64, true),
        column(2, "ask", ValueType::F64, true),
        column(3, "bid_size", ValueType::F64, true),
        column(4, "ask_size", ValueType::F64, true),
        column(5, "venue", ValueType::Text, true),
        column(6, "conditions", ValueType::Text, true),
    ],
};

/// Ledger of batches: `ts` is the ingest time. `body_hash` is the XXH3-128 of the batch's content,
/// 32 hexadecimal digits.
pub static BATCHES: Schema = Schema {
    dataset: DatasetId::BATCHES,
    name: "batches",
    version: 1,
    identity: Identity::Append,
    columns: &[
        column(1, "batch_id", ValueType::Text, false),
        column(2, "source", ValueType::Text, false),
        column(3, "dataset", ValueType::I64, false),
        column(4, "body_hash", ValueType::Text, false),
        column(5, "accepted", ValueType::I64, false),
        column(6, "duplicates", ValueType::I64, false),
        column(7, "corrected", ValueType::I64, false),
        column(8, "superseded", ValueType::I64, false),
        column(9, "rejected", ValueType::I64, false),
        column(10, "known_at_policy", ValueType::Text, true),
        column(11, "claims", ValueType::I64, false),
        column(12, "retracted", ValueType::I64, false),
    ],
};

/// Ledger of rejected rows: `ts` is the ingest time, `row` the row's number in its batch (or line
/// in its file), `raw` the row as it came.
pub static DEAD_LETTERS: Schema = Schema {
    dataset: DatasetId::DEAD_LETTERS,
    name: "dead_letters",
    version: 1,
    identity: Identity::Append,
    columns: &[
        column(1, "batch_id", ValueType::Text, false),
        column(2, "row", ValueType::I64, false),
        column(3, "reason", ValueType::Text, false),
        column(4, "detail", ValueType::Text, false),
        column(5, "raw", ValueType::Text, false),
    ],
};

/// Ledger of what a source delivers: the newest row of a (source, dataset, step) counts.
pub static SOURCE_FACTS: Schema = Schema {
    dataset: DatasetId::SOURCE_FACTS,
    name: "source_facts",
    version: 1,
    identity: Identity::Append,
    columns: &[
        column(1, "source", ValueType::Text, false),
        column(2, "dataset", ValueType::I64, false),
        column(3, "step", ValueType::I64, false),
        column(4, "session", ValueType::Text, false),
        column(5, "align", ValueType::Text, false),
    ],
};

/// Ledger of series: `ts` is the ingest time of the batch that brought the first row.
pub static SERIES: Schema = Schema {
    dataset: DatasetId::SERIES,
    name: "series",
    version: 1,
    identity: Identity::Append,
    columns: &[
        column(1, "series", ValueType::I64, false),
        column(2, "dataset", ValueType::I64, false),
        column(3, "step", ValueType::I64, false),
        column(4, "side", ValueType::I64, false),
        column(5, "symbol", ValueType::Text, false),
        column(6, "source", ValueType::Text, false),
    ],
};

/// The schema of every built-in dataset.
pub static SCHEMAS: [&Schema; 23] = [
    &BARS,
    &TRADES,
    &QUOTES,
    &BATCHES,
    &DEAD_LETTERS,
    &SOURCE_FACTS,
    &SERIES,
    &facts::CALENDAR_DAYS,
    &facts::BINDINGS,
    &facts::INSTRUMENTS,
    &facts::ACTIONS,
    &facts::CLAIMS,
    &facts::REJECTS,
    &facts::HALTS,
    &facts::OUTAGES,
    &facts::SETTINGS,
    &facts::RULES,
    &facts::VERDICTS,
    &facts::REPEATS,
    &jobs::JOBS,
    &facts::DEFINITIONS,
    &tables::TABLES,
    &retention::RETENTION,
];

/// What only the server itself writes: no route takes rows of these as they are.
pub const OF_SERVER: [DatasetId; 4] =
    [DatasetId::JOBS, DatasetId::DEFINITIONS, DatasetId::TABLES, DatasetId::RETENTION];

/// The schema of a built-in dataset; users' tables are known to [`crate::Snapshot::schema`].
pub fn schema(dataset: DatasetId) -> Option<&'static Schema> {
    SCHEMAS.into_iter().find(|schema| schema.dataset == dataset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_order_of_their_numbers() {
        for schema in SCHEMAS {
            for (place, column) in schema.columns.iter().enumerate() {
                assert_eq!(usize::from(column.id.get()), place + 1, "{}", schema.name);
                assert_eq!(schema.place(column.id), Some(place));
            }
            let names: Vec<_> =
                schema.id_places().iter().map(|&at| schema.columns[at].name).collect();
            let expected: &[&str] = match schema.name {
                "trades" => &["venue", "trade_id"],
                "instruments" => &["attribute"],
                "actions" => &["kind"],
                "claims" => &["dataset", "end"],
                "settings" => &["key"],
                "rules" | "verdicts" => &["rule"],
                "jobs" => &["job_id"],
                "definitions" => &["version"],
                "tables" => &["name", "version", "column"],
                "retention" => &["dataset", "step"],
                _ => &[],
            };
            assert_eq!(names, expected, "{}", schema.name);
        }
    }
}
