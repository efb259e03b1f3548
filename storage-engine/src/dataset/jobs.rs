//! The ledger of jobs: long work of the server. The engine keeps it and reads nothing from it.

use barrow_types::{ColumnId, DatasetId};

use super::{Identity, Schema, ValueType, column};

/// The symbol of the one series of jobs.
pub const JOBS_SYMBOL: &str = "jobs";

/// Jobs: `ts` is when one was asked for, and each change of it is a row; the visible row says how
/// it is. Times are nanoseconds; `params`, `checkpoint` and `summary` are JSON.
pub static JOBS: Schema = Schema {
    dataset: DatasetId::JOBS,
    name: "jobs",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1)] },
    columns: &[
        column(1, "job_id", ValueType::Text, false),
        column(2, "kind", ValueType::Text, false),
        column(3, "state", ValueType::Text, false),
        column(4, "params", ValueType::Text, false),
        column(5, "source", ValueType::Text, false),
        column(6, "request_id", ValueType::Text, true),
        column(7, "retry_of", ValueType::Text, true),
        column(8, "started", ValueType::I64, true),
        column(9, "ended", ValueType::I64, true),
        column(10, "progress", ValueType::F64, false),
        column(11, "attempts", ValueType::I64, false),
        column(12, "checkpoint", ValueType::Text, true),
        column(13, "summary", ValueType::Text, true),
        column(14, "error", ValueType::Text, true),
    ],
};
