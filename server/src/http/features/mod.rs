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
//! | `join.rs` | `POST /v1/features/join`: a slot for each of many rows |
//! | `row.rs` | one slot as the words of a row |
//! | `check.rs` | `verify` and `lint` |

mod check;
mod document;
pub(crate) mod groups;
pub(crate) mod join;
mod named;
pub(crate) mod point;
pub(crate) mod range;
mod reader;
mod row;

pub(crate) use check::{lint, verify};
pub(crate) use named::{Ready, promoted};
pub(crate) use row::row_at;
