//! Features over HTTP: groups are put and described, their cells read.
//!
//! | file | holds |
//! |---|---|
//! | `document.rs` | the document of a group, field by field |
//! | `named.rs` | groups by name and version, kept ready |
//! | `groups.rs` | `/v1/feature-groups` |
//! | `reader.rs` | cells on their way out |
//! | `range.rs` | `GET /v1/features` |
//! | `point.rs` | `GET /v1/features/latest` and `/at`: one slot of each symbol |
//! | `newest.rs` | the same from rows that are kept ready |
//! | `events.rs` | `GET /v1/features/stream`: rows as they come |
//! | `join.rs` | `POST /v1/features/join`: a slot for each of many rows |
//! | `row.rs` | one slot as the words of a row |
//! | `check.rs` | `verify` and `lint`, as requests and as jobs |

pub(crate) mod check;
mod document;
pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod join;
mod named;
mod newest;
pub(crate) mod point;
pub(crate) mod range;
mod reader;
mod row;

pub(crate) use check::{Check, LintSum, OF_JOB as CHECKED, Sum, VerifySum};
pub(crate) use named::{Ready, is_materialized, promoted};
pub(crate) use reader::{columns_of, with_age};
pub(crate) use row::row_at;
