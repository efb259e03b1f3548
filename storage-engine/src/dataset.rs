//! The built-in tables: which columns they have and how their rows are told apart.

pub mod facts;
pub mod jobs;

use barrow_types::{ColumnId, DatasetId};

use crate::rows::ColumnType;

/// A column of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Its number, for ever.
    pub id: ColumnId,
    /// Its name today.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether a row may leave it out.
    pub nullable: bool,
}

/// How the rows of a series are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Debug, PartialEq, Eq)]
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

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The places of the id columns of an event.
    pub fn id_places(&self) -> Vec<usize> {
        let Identity::Event { id } = self.identity else { return Vec::new() };
        let place = |&id: &ColumnId| self.place(id);
        id.iter().map(|id| place(id).expect("invariant: ids are columns")).collect()
    }

    /// The kinds of all columns, in order.
    pub fn kinds(&self) -> impl Iterator<Item = ColumnType> {
        self.columns.iter().map(|column| column.kind)
    }
}

const fn column(id: u16, name: &'static str, kind: ColumnType, nullable: bool) -> ColumnDef {
    ColumnDef { id: ColumnId::new(id), name, kind, nullable }
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
        column(1, "open", ColumnType::F64, false),
        column(2, "high", ColumnType::F64, false),
        column(3, "low", ColumnType::F64, false),
        column(4, "close", ColumnType::F64, false),
        column(5, "volume", ColumnType::F64, true),
        column(6, "vwap", ColumnType::F64, true),
        column(7, "trades", ColumnType::I64, true),
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
        column(1, "price", ColumnType::F64, false),
        column(2, "size", ColumnType::F64, false),
        column(3, "venue", ColumnType::Text, true),
        column(4, "conditions", ColumnType::Text, true),
        column(5, "trade_id", ColumnType::Text, true),
    ],
};

/// Quotes: best bid and ask and their sizes. A side that is absent is null; one side is enough.
pub static QUOTES: Schema = Schema {
    dataset: DatasetId::QUOTES,
    name: "quotes",
    version: 1,
    identity: Identity::Event { id: &[] },
    columns: &[
        column(1, "bid", ColumnType::F64, true),
        column(2, "ask", ColumnType::F64, true),
        column(3, "bid_size", ColumnType::F64, true),
        column(4, "ask_size", ColumnType::F64, true),
        column(5, "venue", ColumnType::Text, true),
        column(6, "conditions", ColumnType::Text, true),
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
        column(1, "batch_id", ColumnType::Text, false),
        column(2, "source", ColumnType::Text, false),
        column(3, "dataset", ColumnType::I64, false),
        column(4, "body_hash", ColumnType::Text, false),
        column(5, "accepted", ColumnType::I64, false),
        column(6, "duplicates", ColumnType::I64, false),
        column(7, "corrected", ColumnType::I64, false),
        column(8, "superseded", ColumnType::I64, false),
        column(9, "rejected", ColumnType::I64, false),
        column(10, "known_at_policy", ColumnType::Text, true),
        column(11, "claims", ColumnType::I64, false),
        column(12, "retracted", ColumnType::I64, false),
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
        column(1, "batch_id", ColumnType::Text, false),
        column(2, "row", ColumnType::I64, false),
        column(3, "reason", ColumnType::Text, false),
        column(4, "detail", ColumnType::Text, false),
        column(5, "raw", ColumnType::Text, false),
    ],
};

/// Ledger of what a source delivers: the newest row of a (source, dataset, step) counts.
pub static SOURCE_FACTS: Schema = Schema {
    dataset: DatasetId::SOURCE_FACTS,
    name: "source_facts",
    version: 1,
    identity: Identity::Append,
    columns: &[
        column(1, "source", ColumnType::Text, false),
        column(2, "dataset", ColumnType::I64, false),
        column(3, "step", ColumnType::I64, false),
        column(4, "session", ColumnType::Text, false),
        column(5, "align", ColumnType::Text, false),
    ],
};

/// Ledger of series: `ts` is the ingest time of the batch that brought the first row.
pub static SERIES: Schema = Schema {
    dataset: DatasetId::SERIES,
    name: "series",
    version: 1,
    identity: Identity::Append,
    columns: &[
        column(1, "series", ColumnType::I64, false),
        column(2, "dataset", ColumnType::I64, false),
        column(3, "step", ColumnType::I64, false),
        column(4, "side", ColumnType::I64, false),
        column(5, "symbol", ColumnType::Text, false),
        column(6, "source", ColumnType::Text, false),
    ],
};

/// Every schema there is.
pub static SCHEMAS: [&Schema; 21] = [
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
];

/// What only the server itself writes: no route takes rows of these as they are.
pub const OF_SERVER: [DatasetId; 2] = [DatasetId::JOBS, DatasetId::DEFINITIONS];

/// The schema of a dataset, if it is built.
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
                _ => &[],
            };
            assert_eq!(names, expected, "{}", schema.name);
        }
    }
}
