//! `verify_features` and `lint_features`: what `POST /v1/feature-groups/{name}/verify` and `/lint`
//! do, of as many instruments as there are. Parameters are `group`, and as there `symbols` (left
//! out: all), `start`, `end`, `as_of`, `at_sequence`. Broken off, it goes on behind the last
//! instrument that was checked when its place was kept.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{BadParam, Kind, Outcome, REQUEST_ID, blocking};
use crate::config::Config;
use crate::http::error::Problem;
use crate::http::features::{CHECKED, Check, Ready, Sum};
use crate::http::openapi::{Field, Shape, Type};
use crate::http::params::Params;
use crate::jobs::work::{Broken, Work};

/// What a request for such a job says.
pub(super) static VERIFY: Shape = Shape {
    name: "VerifyFeaturesJob",
    about: "Recomputes features slot by slot, and compares",
    fields: &[
        Field::new("kind", Type::Words(|| vec!["verify_features"]), ""),
        REQUEST_ID,
        GROUP,
        SYMBOLS,
        START,
        END,
        AS_OF,
        AT_SEQUENCE,
    ],
};

/// What a request for such a job says.
pub(super) static LINT: Shape = Shape {
    name: "LintFeaturesJob",
    about: "Looks whether features need more of the past than they say, or the future",
    fields: &[
        Field::new("kind", Type::Words(|| vec!["lint_features"]), ""),
        REQUEST_ID,
        GROUP,
        SYMBOLS,
        START,
        END,
        AS_OF,
        AT_SEQUENCE,
    ],
};

const GROUP: Field = Field::new("group", Type::Text, "NAME or NAME@VERSION");
const SYMBOLS: Field = Field::maybe(
    "symbols",
    Type::Either(&[Type::List(&Type::Text), Type::Text]),
    "Left out: all. A text has them joined by commas",
);
const START: Field = Field::maybe("start", Type::When, "Left out: with the first slot");
const END: Field = Field::maybe("end", Type::When, "Left out: with the last slot");
const AS_OF: Field = Field::maybe("as_of", Type::When, "From what was known then");
const AT_SEQUENCE: Field = Field::maybe("at_sequence", Type::Whole, "From what was held then");

/// See the module.
pub(super) struct CheckFeatures<S> {
    name: &'static str,
    sum: PhantomData<fn() -> S>,
}

impl<S> CheckFeatures<S> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, sum: PhantomData }
    }
}

impl<S: Sum> Kind for CheckFeatures<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, params: &Map<String, Value>, _: &Config) -> Result<(), BadParam> {
        let (_, params) = read(params)?;
        let symbols = params.get("symbols").map(|_| params.symbols());
        symbols.transpose().map(|_| ()).map_err(bad)
    }

    fn run<'a>(&'a self, work: &'a Work) -> Outcome<'a> {
        Box::pin(run::<S>(work))
    }
}

/// The group's name, and which cells.
fn read(params: &Map<String, Value>) -> Result<(String, Params), BadParam> {
    let wrong = |field: &str, fault: &str| BadParam { field: field.into(), fault: fault.into() };
    let mut fields = Vec::new();
    let mut group = None;
    for (name, value) in params {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Array(list) => {
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                texts
                    .ok_or_else(|| wrong(name, "is a list of something else than texts"))?
                    .join(",")
            }
            _ => return Err(wrong(name, "is no text, number or list of texts")),
        };
        match name.as_str() {
            "group" => group = Some(text),
            _ => fields.push((name.clone(), text)),
        }
    }
    let group = group.ok_or_else(|| wrong("group", "is missing: NAME or NAME@VERSION"))?;
    Params::of(fields, &CHECKED).map(|params| (group, params)).map_err(bad)
}

fn bad(problem: Problem) -> BadParam {
    let field = problem.field.unwrap_or_default();
    let fault = problem.detail.strip_prefix(&format!("{field}: ")).unwrap_or(&problem.detail);
    BadParam { fault: fault.to_owned(), field }
}

/// Where it is, and what was found so far.
#[derive(Default, Serialize, Deserialize)]
struct Checkpoint<S> {
    /// The last symbol that was checked.
    after: Option<String>,
    sum: S,
}

async fn run<S: Sum>(work: &Work) -> Result<Value, Broken> {
    let failed = |problem: Problem| Broken::Failed(problem.detail);
    let (group, params) = read(&work.params()).map_err(|bad| Broken::Failed(bad.fault))?;
    // What another version kept and this one cannot read is done again.
    let kept = work.checkpoint().and_then(|kept| Checkpoint::deserialize(kept).ok());
    let Checkpoint::<S> { after, mut sum } = kept.unwrap_or_default();
    let snapshot = work.snapshot();
    let opened = blocking(move || Check::read(&Ready::default(), &group, &params, snapshot));
    let mut check: Check = opened.await?.map_err(failed)?;
    let mut place = match after {
        None => 0,
        Some(after) => {
            let last = (0..check.len()).find(|place| check.symbol(*place) == after);
            last.map_or(0, |last| last + 1)
        }
    };
    let mut before = sum.parity();
    while place < check.len() {
        let wishes = work.wishes();
        let added = blocking(move || {
            let added = sum.add(&check, place, &mut || wishes.go_on());
            (check, sum, added)
        });
        let added = added.await?;
        (check, sum) = (added.0, added.1);
        if !added.2.map_err(failed)? {
            return Err(Broken::Stopped);
        }
        let (cells, mismatches) = sum.parity();
        work.metrics().feature_parity(cells - before.0, mismatches - before.1);
        before = (cells, mismatches);
        work.check()?;
        work.progress(share(place + 1, check.len()));
        work.keep(|| json!(Checkpoint { after: Some(check.symbol(place).to_owned()), sum: &sum }))
            .await;
        place += 1;
    }
    Ok(sum.told(&check))
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 symbols")]
fn share(done: usize, all: usize) -> f64 {
    done as f64 / all as f64
}
