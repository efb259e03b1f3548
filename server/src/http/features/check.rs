//! `POST /v1/feature-groups/{name}/verify` and `/lint`, and what jobs of these kinds share with
//! them: whether the cells of many instruments are what they must be.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use barrow_engine::features::{Changed, GoOn, Linted, Verified};
use barrow_engine::{FeatureScan, Reference, Snapshot};
use barrow_types::Symbol;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::super::App;
use super::super::error::Problem;
use super::super::openapi::{
    Answer, FINDS, Field, Operation, Param, READS, Shape, Tag, Type, Verb,
};
use super::super::parameters::{AS_OF, AT_SEQUENCE, END, NAME, START, SYMBOLS};
use super::super::params::Params;
use super::super::table::date;
use super::super::time::parse_range;
use super::groups::reference;
use super::named::Ready;
use super::reader::{Asked, missing};

/// Compares with a computation of each slot by itself.
pub(crate) static VERIFY: Operation = Operation {
    id: "verify_features",
    summary: "Recomputes features slot by slot, and compares",
    answer: Answer::Json(&VERIFIED),
    example: ("/v1/feature-groups/example/verify?symbols=ALDR&start=2024-11-25&end=2024-11-26", ""),
    ..CHECK
};

/// Compares with computations that lack some of the past or of the future.
pub(crate) static LINT: Operation = Operation {
    id: "lint_features",
    summary: "Looks whether features need more of the past than they say, or the future",
    answer: Answer::Json(&LINTED),
    example: ("/v1/feature-groups/example/lint?symbols=ALDR&start=2024-11-25&end=2024-11-26", ""),
    ..CHECK
};

const CHECK: Operation = Operation {
    verb: Verb::Post,
    tag: Tag::Features,
    path: &[NAME.meaning("NAME or NAME@VERSION of the group")],
    query: WHICH,
    problems: &[READS, FINDS],
    ..Operation::GET
};

/// Which cells.
const WHICH: &[Param] = &[SYMBOLS.required(), START, END, AS_OF, AT_SEQUENCE];

/// The same for a job.
pub(crate) static OF_JOB: Operation = Operation { id: "", ..CHECK };

static VERIFIED: Shape = Shape {
    name: "VerifiedFeatures",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("version", Type::Text, ""),
        Field::new("cells", Type::Whole, "How many were compared"),
        Field::new("mismatches", Type::Whole, "How many differ"),
        Field::new("hash_stored", Type::Text, "Of what is answered"),
        Field::new("hash_recomputed", Type::Text, "Of what was computed anew"),
        Field::new("symbols", Type::List(&Type::Object(&OF_SYMBOL)), ""),
        Field::new("sequence", Type::Whole, "The newest record"),
    ],
};

static OF_SYMBOL: Shape = Shape {
    name: "VerifiedSymbol",
    about: "",
    fields: &[
        Field::new("symbol", Type::Text, ""),
        Field::new("cells", Type::Whole, ""),
        Field::new("mismatches", Type::Whole, ""),
        Field::new("hash_stored", Type::Text, ""),
        Field::new("hash_recomputed", Type::Text, ""),
        Field::new(
            "sessions",
            Type::List(&Type::Object(&OF_SESSION)),
            "The first with differences",
        ),
    ],
};

static OF_SESSION: Shape = Shape {
    name: "VerifiedSession",
    about: "",
    fields: &[Field::new("session", Type::Date, ""), Field::new("mismatches", Type::Whole, "")],
};

static LINTED: Shape = Shape {
    name: "LintedFeatures",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("version", Type::Text, ""),
        Field::new("is_ok", Type::Flag, "Whether all features are"),
        Field::new("features", Type::List(&Type::Object(&OF_FEATURE)), ""),
        Field::new("sequence", Type::Whole, "The newest record"),
    ],
};

static OF_FEATURE: Shape = Shape {
    name: "LintedFeature",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::or_null("lookback", Type::Whole, "Slots that it looks back, if they are bounded"),
        Field::or_null("warm_up", Type::Whole, "Slots before its first value"),
        Field::new("is_ok", Type::Flag, ""),
        Field::new("without_past", Type::Object(&CHANGED), "Computed from its lookback alone"),
        Field::new("without_future", Type::Object(&CHANGED), "Computed without later rows"),
    ],
};

static CHANGED: Shape = Shape {
    name: "ChangedCells",
    about: "",
    fields: &[
        Field::new("cells", Type::Whole, "How many were compared"),
        Field::new("differ", Type::Whole, "How many differ"),
        Field::or_null("max_relative", Type::Number, "By how much at most"),
    ],
};

/// Sessions with a difference that are named of each symbol.
const SESSIONS_MAX: usize = 20;

/// Symbols that are named though nothing differs.
const SYMBOLS_MAX: usize = 1_000;

/// Compares with a computation of each slot by itself.
pub(crate) async fn verify(
    state: State<Arc<App>>,
    name: Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    check::<VerifySum>(&VERIFY, state, name, query).await
}

/// Compares with computations that lack some of the past or of the future.
pub(crate) async fn lint(
    state: State<Arc<App>>,
    name: Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    check::<LintSum>(&LINT, state, name, query).await
}

async fn check<S: Sum>(
    operation: &Operation,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), operation)?;
    params.symbols()?;
    let snapshot = app.engine.snapshot();
    let of = Arc::clone(&app);
    let summed = app.query(move || {
        let check = Check::read(&of.groups, &name, &params, snapshot)?;
        let mut sum = S::default();
        for place in 0..check.len() {
            sum.add(&check, place, &mut || true)?;
        }
        Ok::<_, Problem>((sum.parity(), sum.told(&check)))
    });
    let ((cells, mismatches), told) = summed.await??;
    app.metrics.feature_parity(cells, mismatches);
    Ok(Json(told).into_response())
}

/// What is checked.
pub(crate) struct Check {
    snapshot: Snapshot,
    asked: Asked,
    reference: Arc<Reference>,
    instruments: Vec<(Symbol, Arc<str>)>,
}

impl Check {
    /// The instruments that `symbols` names, or all that the group has slots for.
    ///
    /// # Errors
    /// There is no such group; a parameter says what it must not; nobody has delivered anything of
    /// the symbols; stored bytes cannot be read.
    pub(crate) fn read(
        groups: &Ready,
        name: &str,
        params: &Params,
        snapshot: Snapshot,
    ) -> Result<Self, Problem> {
        let named = groups.named(&*reference(&snapshot)?, name)?;
        let (start, end) = parse_range(params)?;
        let asked = Asked::read(params, &snapshot, vec![named], Vec::new())?;
        let Asked { as_of, at_sequence, .. } = asked;
        let reference =
            Reference::at(&snapshot, as_of, at_sequence).map_err(|error| Problem::read(&error))?;
        let symbols = match params.get("symbols") {
            Some(_) => params.symbols()?,
            None => {
                let all = asked.groups[0].group.instruments(&snapshot, &reference);
                // An id that is no symbol has no name to ask for it by.
                all.iter().filter_map(|instrument| Symbol::new(instrument).ok()).collect()
            }
        };
        let asked = Asked { start, end, symbols, ..asked };
        let instruments = asked.instruments(&reference);
        let mut check = Self { snapshot, asked, reference, instruments: Vec::new() };
        let mut delivered = Vec::new();
        for (symbol, instrument) in check.asked.symbols.iter().zip(instruments) {
            let features = check.snapshot.features(&check.scan(&instrument));
            let is_delivered = features.map_err(|error| Problem::read(&error))?.is_delivered();
            delivered.push(is_delivered);
            if is_delivered {
                check.instruments.push((symbol.clone(), instrument));
            }
        }
        missing(&check.asked, &delivered)?;
        Ok(check)
    }

    /// How many instruments there are.
    pub(crate) fn len(&self) -> usize {
        self.instruments.len()
    }

    /// The symbol that an instrument was asked for by.
    pub(crate) fn symbol(&self, place: usize) -> &str {
        self.instruments[place].0.as_str()
    }

    /// What to compute of an instrument.
    fn scan(&self, instrument: &Arc<str>) -> FeatureScan {
        let range = self.asked.range(&self.reference, instrument);
        let mut scans = self.asked.scans(instrument, range);
        scans.pop().expect("invariant: there is one group")
    }

    fn verified(&self, place: usize, go_on: GoOn<'_>) -> Result<Option<Verified>, Problem> {
        let scan = self.scan(&self.instruments[place].1);
        self.snapshot.verify_features(&scan, go_on).map_err(|error| Problem::read(&error))
    }

    fn linted(&self, place: usize, go_on: GoOn<'_>) -> Result<Option<Vec<Linted>>, Problem> {
        let scan = self.scan(&self.instruments[place].1);
        self.snapshot.lint_features(&scan, go_on).map_err(|error| Problem::read(&error))
    }
}

/// What was found of some instruments; it can be kept, to go on with.
pub(crate) trait Sum:
    Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Adds what is found of an instrument; false if it was not to go on, and then it is as before.
    ///
    /// # Errors
    /// Stored bytes cannot be read.
    fn add(&mut self, check: &Check, place: usize, go_on: GoOn<'_>) -> Result<bool, Problem>;

    /// What a person is told.
    fn told(&self, check: &Check) -> Value;

    /// Cells that were compared with what they are for a live strategy, and how many differ.
    fn parity(&self) -> (u64, u64);
}

/// See [`Sum`].
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct VerifySum {
    cells: u64,
    mismatches: u64,
    hash_stored: u64,
    hash_recomputed: u64,
    symbols: Vec<Value>,
}

impl Sum for VerifySum {
    fn add(&mut self, check: &Check, place: usize, go_on: GoOn<'_>) -> Result<bool, Problem> {
        let Some(found) = check.verified(place, go_on)? else { return Ok(false) };
        self.cells += found.cells;
        self.mismatches += found.mismatches;
        self.hash_stored = chained(self.hash_stored, found.hash_stored);
        self.hash_recomputed = chained(self.hash_recomputed, found.hash_recomputed);
        if found.mismatches > 0 || self.symbols.len() < SYMBOLS_MAX {
            self.symbols.push(of_symbol(check.symbol(place), &found));
        }
        Ok(true)
    }

    fn told(&self, check: &Check) -> Value {
        let group = &check.asked.groups[0];
        json!({
            "name": group.name,
            "version": group.group.compiled.version,
            "cells": self.cells,
            "mismatches": self.mismatches,
            "hash_stored": hex(self.hash_stored),
            "hash_recomputed": hex(self.hash_recomputed),
            "symbols": self.symbols,
            "sequence": check.snapshot.sequence().get(),
        })
    }

    fn parity(&self) -> (u64, u64) {
        (self.cells, self.mismatches)
    }
}

fn of_symbol(symbol: &str, found: &Verified) -> Value {
    let sessions = found.sessions.iter().take(SESSIONS_MAX);
    let sessions =
        sessions.map(|(session, count)| json!({"session": date(*session), "mismatches": count}));
    json!({
        "symbol": symbol,
        "cells": found.cells,
        "mismatches": found.mismatches,
        "hash_stored": hex(found.hash_stored),
        "hash_recomputed": hex(found.hash_recomputed),
        "sessions": sessions.collect::<Vec<_>>(),
    })
}

/// The hash of what came before, and of what comes now.
fn chained(before: u64, now: u64) -> u64 {
    xxh3_64([before.to_le_bytes(), now.to_le_bytes()].as_flattened())
}

fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}

/// See [`Sum`].
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct LintSum {
    /// Of each feature what became of it without its past, and without its future.
    features: Vec<[Counted; 2]>,
}

/// Cells that were compared, those that differ, and how far.
type Counted = (u64, u64, f64);

impl Sum for LintSum {
    fn add(&mut self, check: &Check, place: usize, go_on: GoOn<'_>) -> Result<bool, Problem> {
        let Some(found) = check.linted(place, go_on)? else { return Ok(false) };
        self.features.resize(found.len(), [Counted::default(); 2]);
        for (sum, found) in self.features.iter_mut().zip(found) {
            let linted = linted(*sum).and(found);
            *sum = [linted.without_past, linted.without_future]
                .map(|changed| (changed.cells, changed.differ, changed.max_relative));
        }
        Ok(true)
    }

    fn told(&self, check: &Check) -> Value {
        let group = &check.asked.groups[0];
        let features = group.group.compiled.features.iter();
        let told = features.zip(&self.features).map(|(feature, sum)| {
            let linted = linted(*sum);
            json!({
                "name": feature.name,
                "lookback": feature.lookback,
                "warm_up": feature.warm_up,
                "is_ok": linted.is_ok(feature.class),
                "without_past": told(linted.without_past),
                "without_future": told(linted.without_future),
            })
        });
        let told: Vec<Value> = told.collect();
        let is_ok = told.iter().all(|feature| feature["is_ok"] == true);
        json!({
            "name": group.name,
            "version": group.group.compiled.version,
            "is_ok": is_ok,
            "features": told,
            "sequence": check.snapshot.sequence().get(),
        })
    }

    fn parity(&self) -> (u64, u64) {
        (0, 0)
    }
}

fn linted(sum: [Counted; 2]) -> Linted {
    let [without_past, without_future] =
        sum.map(|(cells, differ, max_relative)| Changed { cells, differ, max_relative });
    Linted { without_past, without_future }
}

fn told(changed: Changed) -> Value {
    let Changed { cells, differ, max_relative } = changed;
    json!({"cells": cells, "differ": differ, "max_relative": max_relative})
}
