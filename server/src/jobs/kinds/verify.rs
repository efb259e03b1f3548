//! `verify`: reads every block of every live segment, every gap mask and every tile. Broken off, it
//! goes on behind what was checked when its place was last kept, with the problems found before it.
//! What is verified of an open store is a part of the engine's `Verifier`.

use std::time::{Duration, Instant};

use barrow_engine::{Stepped, Verifier, VerifyPlace, VerifyReport};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{BadParam, Kind, Outcome, REQUEST_ID, blocking, check_names};
use crate::config::Config;
use crate::http::openapi::{Field, Shape, Type};
use crate::jobs::work::{Broken, Work};

/// Problems that the summary lists.
const PROBLEMS_MAX: usize = 100;

/// What a request for such a job says.
pub(super) static ASKED: Shape = Shape {
    name: "VerifyJob",
    about: "Reads every stored block, and recomputes its checksum",
    fields: &[Field::new("kind", Type::Words(|| vec!["verify"]), ""), REQUEST_ID],
};

/// See the module.
pub(super) struct Verify;

/// Where it is, and what was found so far.
#[derive(Default, Serialize, Deserialize)]
struct Checkpoint {
    place: (u64, u64, u64),
    found: Found,
}

/// What comes of it.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    files: u64,
    bytes: u64,
    extents: u64,
    rows: u64,
    masks: u64,
    tiles: u64,
    problem_count: usize,
    problems: Vec<String>,
}

impl Found {
    fn add(&mut self, report: VerifyReport) {
        self.files += report.files;
        self.bytes += report.bytes;
        self.extents += report.extents;
        self.rows += report.rows;
        self.masks += report.masks;
        self.tiles += report.tiles;
        self.problem_count += report.problems.len();
        let room = PROBLEMS_MAX - self.problems.len().min(PROBLEMS_MAX);
        self.problems.extend(report.problems.into_iter().take(room));
    }
}

impl Kind for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn check(&self, params: &Map<String, Value>, _: &Config) -> Result<(), BadParam> {
        check_names(params, &ASKED)
    }

    fn run<'a>(&'a self, work: &'a Work) -> Outcome<'a> {
        Box::pin(verify(work))
    }
}

async fn verify(work: &Work) -> Result<Value, Broken> {
    // What another version kept and this one cannot read is done again.
    let kept = work.checkpoint().and_then(|kept| Checkpoint::deserialize(kept).ok());
    let Checkpoint { place: (part, first, second), mut found } = kept.unwrap_or_default();
    let place = VerifyPlace { part, first, second };
    let mut verifier = Verifier::new(&work.snapshot(), place);
    loop {
        let slice = work.slice();
        let (next, last) = blocking(move || steps(verifier, slice)).await?;
        verifier = next;
        found.add(verifier.take_report());
        work.progress(verifier.progress());
        match last {
            Stepped::Checked => {}
            Stepped::Outdated => verifier = Verifier::new(&work.snapshot(), verifier.place()),
            Stepped::Done => return Ok(json!(found)),
        }
        work.check()?;
        let VerifyPlace { part, first, second } = verifier.place();
        let place = (part, first, second);
        work.keep(|| json!({ "place": place, "found": found })).await;
    }
}

/// Verifies for as long as `slice`, or until there is nothing more to check; returns what came of
/// the last step.
fn steps(mut verifier: Verifier, slice: Duration) -> (Verifier, Stepped) {
    let start = Instant::now();
    loop {
        let stepped = verifier.step();
        if stepped != Stepped::Checked || start.elapsed() >= slice {
            return (verifier, stepped);
        }
    }
}
