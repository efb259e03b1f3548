//! Facts: what the curated layer goes by. Each is a row of a dataset of facts, stated by a batch
//! through the same intake as any row, and taken back by a retraction of that batch.
//!
//! | file | holds |
//! |---|---|
//! | `json.rs` | reading bodies field by field |
//! | `stated.rs` | facts on their way in |
//! | `seen.rs` | facts as they are visible |
//! | the others | one resource each |
//!
//! A request is read and checked whole before anything is stored.

mod actions;
mod bindings;
pub(crate) mod claims;
pub(crate) mod days;
pub(crate) mod follow;
pub(crate) mod instruments;
pub(crate) mod json;
pub(crate) mod retention;
pub(crate) mod rules;
mod seen;
pub(crate) mod settings;
pub(crate) mod spans;
pub(crate) mod stated;
pub(crate) mod verdicts;
pub(crate) mod watermarks;

use barrow_engine::dataset::facts::STATED;
use barrow_engine::dataset::{self, BARS, QUOTES, Schema, TRADES};
use barrow_types::DatasetId;
use serde_json::Value;

use super::answer::APPLIED;
use super::error::{Code, Problem};
use super::openapi::{Body, Field, Format, JUDGES, Operation, READS, Tag, Type, WRITES};
use super::parameters::BATCH_ID;

/// What routes that state facts have in common.
const STATING: Operation = Operation {
    tag: Tag::Reference,
    query: &[BATCH_ID],
    answer: APPLIED,
    problems: &[READS, WRITES, JUDGES],
    ..Operation::PUT
};

/// The body of a route that states facts, in JSON.
const fn stating(about: &'static str, formats: &'static [Format]) -> Option<Body> {
    Some(Body { about, is_required: true, formats })
}

/// Since when a fact is known, where nothing is said.
const KNOWN_AT: Field = Field::maybe(
    "known_at",
    Type::Time,
    "Since when it is known, which is not after now. Left out: since it holds, if it is the first",
);

/// The market data that settings and rules are about.
const DATASETS: [&Schema; 3] = [&BARS, &TRADES, &QUOTES];

/// Whether rows of a dataset are facts that anybody may state.
pub(crate) fn is_fact(dataset: DatasetId) -> bool {
    STATED.contains(&dataset)
}

/// The dataset of facts of that name.
pub(crate) fn schema_of(name: &str) -> Option<&'static Schema> {
    STATED.into_iter().filter_map(dataset::schema).find(|schema| schema.name == name)
}

/// The dataset of that name, which settings and rules are about.
pub(crate) fn dataset_of(name: &str) -> Result<&'static Schema, Problem> {
    DATASETS.into_iter().find(|schema| schema.name == name).ok_or_else(|| {
        let detail = format!("dataset: there is no {name:?}");
        Problem::new(Code::NotFound, detail).about("dataset")
    })
}

/// The objects of a body that is one or an array of them, each with its place.
fn each(body: &Value) -> Vec<(String, &Value)> {
    match body {
        Value::Array(values) => {
            values.iter().enumerate().map(|(at, value)| (format!("[{at}]"), value)).collect()
        }
        other => vec![(String::new(), other)],
    }
}
