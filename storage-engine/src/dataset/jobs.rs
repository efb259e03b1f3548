//! The ledger of jobs: long work of the server. The engine keeps it and reads nothing from it.

use barrow_types::{ColumnId, DatasetId};

use super::{ColumnType, Identity, Schema, column};

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
        column(1, "job_id", ColumnType::Text, false),
        column(2, "kind", ColumnType::Text, false),
        column(3, "state", ColumnType::Text, false),
        column(4, "params", ColumnType::Text, false),
        column(5, "source", ColumnType::Text, false),
        column(6, "request_id", ColumnType::Text, true),
        column(7, "retry_of", ColumnType::Text, true),
        column(8, "started", ColumnType::I64, true),
        column(9, "ended", ColumnType::I64, true),
        column(10, "progress", ColumnType::F64, false),
        column(11, "attempts", ColumnType::I64, false),
        column(12, "checkpoint", ColumnType::Text, true),
        column(13, "summary", ColumnType::Text, true),
        column(14, "error", ColumnType::Text, true),
    ],
};
