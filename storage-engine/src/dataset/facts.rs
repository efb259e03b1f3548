//! Datasets of facts: what the curated layer goes by. What each of them says is told in
//! `docs/CURATION.md`.
//!
//! The value columns of facts may be null, so that a retraction need only repeat the key.

use barrow_types::{ColumnId, DatasetId, Timestamp};

use super::{Identity, Schema, ValueType, column};

/// The source of facts that are not about a source.
pub const FACT_SOURCE: &str = "-";

/// The symbol of facts about every symbol of a source.
pub const EVERY_SYMBOL: &str = "*";

/// The `ts` of facts that hold since ever: 1700-01-01T00:00:00Z.
pub const ALWAYS: Timestamp = Timestamp::from_nanos(-8_520_336_000_000_000_000);

/// Calendar days: the series' symbol is a calendar, `ts` 00:00 UTC of a session date, and times
/// are nanoseconds from then. `kind` is `regular` or `closed`.
pub static CALENDAR_DAYS: Schema = Schema {
    dataset: DatasetId::CALENDAR_DAYS,
    name: "calendar_days",
    version: 1,
    identity: Identity::Ts,
    columns: &[
        column(1, "kind", ValueType::Text, true),
        column(2, "open", ValueType::I64, true),
        column(3, "close", ValueType::I64, true),
        column(4, "break_start", ValueType::I64, true),
        column(5, "break_end", ValueType::I64, true),
        column(6, "pre_open", ValueType::I64, true),
        column(7, "post_close", ValueType::I64, true),
    ],
};

/// Bindings: since `ts` the symbol of this source is this instrument; null: none.
pub static BINDINGS: Schema = Schema {
    dataset: DatasetId::BINDINGS,
    name: "bindings",
    version: 1,
    identity: Identity::Ts,
    columns: &[column(1, "instrument", ValueType::Text, true)],
};

/// Attributes of instruments: since `ts` the attribute has this value; null: none.
pub static INSTRUMENTS: Schema = Schema {
    dataset: DatasetId::INSTRUMENTS,
    name: "instruments",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[
        column(1, "attribute", ValueType::Text, false),
        column(2, "value", ValueType::Text, true),
    ],
};

/// Corporate actions: `ts` is 00:00 UTC of the ex-date, `value` new shares for one old (split) or
/// cash for one share in the instrument's currency (dividend).
pub static ACTIONS: Schema = Schema {
    dataset: DatasetId::ACTIONS,
    name: "actions",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[column(1, "kind", ValueType::Text, false), column(2, "value", ValueType::F64, true)],
};

/// Claims of coverage: what the source delivered of `dataset` for [`ts`, `end`) is all there is.
/// Trades and quotes have no step and side to be told apart by.
pub static CLAIMS: Schema = Schema {
    dataset: DatasetId::CLAIMS,
    name: "claims",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(3), ColumnId::new(1)] },
    columns: &[
        column(1, "end", ValueType::I64, false),
        column(2, "origin", ValueType::Text, true),
        column(3, "dataset", ValueType::I64, false),
    ],
};

/// Marks of rejected rows: one of `dataset` for `ts` came and was turned away. `row` is its number
/// in the batch.
pub static REJECTS: Schema = Schema {
    dataset: DatasetId::REJECTS,
    name: "rejects",
    version: 1,
    identity: Identity::Event { id: &[] },
    columns: &[
        column(1, "row", ValueType::I64, false),
        column(2, "reason", ValueType::Text, false),
        column(3, "dataset", ValueType::I64, false),
    ],
};

/// Halts: trading in the instrument was halted in [`ts`, `end`); null: not over.
pub static HALTS: Schema = Schema {
    dataset: DatasetId::HALTS,
    name: "halts",
    version: 1,
    identity: Identity::Ts,
    columns: &[column(1, "end", ValueType::I64, true), column(2, "note", ValueType::Text, true)],
};

/// Outages: the source delivered nothing in [`ts`, `end`); null: not over.
pub static OUTAGES: Schema = Schema {
    dataset: DatasetId::OUTAGES,
    name: "outages",
    version: 1,
    identity: Identity::Ts,
    columns: &[column(1, "end", ValueType::I64, true), column(2, "note", ValueType::Text, true)],
};

/// Settings of a dataset, which is the series' symbol.
pub static SETTINGS: Schema = Schema {
    dataset: DatasetId::SETTINGS,
    name: "settings",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[column(1, "key", ValueType::Text, false), column(2, "value", ValueType::Text, true)],
};

/// Quality rules of a dataset, which is the series' symbol; null: the rule's default. `enabled` is
/// 0 or 1, `thresholds` are `name=number` separated by spaces.
pub static RULES: Schema = Schema {
    dataset: DatasetId::RULES,
    name: "rules",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[
        column(1, "rule", ValueType::Text, false),
        column(2, "enabled", ValueType::I64, true),
        column(3, "severity", ValueType::Text, true),
        column(4, "action", ValueType::Text, true),
        column(5, "thresholds", ValueType::Text, true),
    ],
};

/// Verdicts of persons: the row that record `of_sequence` brought for `ts` is quarantined, or
/// released from a rule. `act` is `quarantine` or `release`.
pub static VERDICTS: Schema = Schema {
    dataset: DatasetId::VERDICTS,
    name: "verdicts",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[
        column(1, "rule", ValueType::Text, false),
        column(2, "act", ValueType::Text, true),
        column(3, "of_sequence", ValueType::I64, true),
        column(4, "note", ValueType::Text, true),
    ],
};

/// Marks of keys that a batch of `dataset` held more than once: how many of its rows for `ts` were
/// equal to another (`duplicate_key`), or had other values (`conflicting_duplicate`).
pub static REPEATS: Schema = Schema {
    dataset: DatasetId::REPEATS,
    name: "repeats",
    version: 1,
    identity: Identity::Event { id: &[] },
    columns: &[
        column(1, "rule", ValueType::Text, false),
        column(2, "count", ValueType::I64, false),
        column(3, "dataset", ValueType::I64, false),
    ],
};

/// Definitions: the series' symbol is the name of what is defined, `document` JSON as the server
/// reads it, `version` names what it says.
pub static DEFINITIONS: Schema = Schema {
    dataset: DatasetId::DEFINITIONS,
    name: "definitions",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[
        column(1, "version", ValueType::Text, false),
        column(2, "kind", ValueType::Text, true),
        column(3, "document", ValueType::Text, true),
    ],
};

/// The facts that anybody may state as rows of a batch.
pub const STATED: [DatasetId; 9] = [
    DatasetId::CALENDAR_DAYS,
    DatasetId::BINDINGS,
    DatasetId::INSTRUMENTS,
    DatasetId::ACTIONS,
    DatasetId::HALTS,
    DatasetId::OUTAGES,
    DatasetId::SETTINGS,
    DatasetId::RULES,
    DatasetId::VERDICTS,
];

/// The facts that are read whole, because every question may need any of them.
pub const REFERENCE: [DatasetId; 7] = [
    DatasetId::CALENDAR_DAYS,
    DatasetId::BINDINGS,
    DatasetId::INSTRUMENTS,
    DatasetId::ACTIONS,
    DatasetId::SETTINGS,
    DatasetId::RULES,
    DatasetId::DEFINITIONS,
];
