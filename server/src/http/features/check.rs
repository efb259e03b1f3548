//! `POST /v1/feature-groups/{name}/verify` and `/lint`: whether cells are what they must be.
//!
//! *verify* computes each slot by itself from the begin on, as if it had just closed, and compares
//! bits, validity and reasons with what `GET /v1/features` answers. *lint* leaves out the past, and
//! then the future: cells of windows must not change once they are warm, and no cell may change
//! with what comes after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use barrow_engine::features::Class;
use barrow_engine::{Error, FeaturePiece, FeatureScan, Features, Reference, Snapshot, Way};
use barrow_types::{Symbol, Timestamp};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use super::super::App;
use super::super::error::{Code, Problem};
use super::super::params::{Known, Params};
use super::super::table::date;
use super::super::time::parse_range;
use super::groups::reference;
use super::reader::{Asked, missing};

const KNOWN: Known =
    Known { built: &["symbols", "start", "end", "as_of", "at_sequence"], not_built: &[] };

/// Sessions with a difference that are named of each symbol.
const SESSIONS_MAX: usize = 20;

/// Compares with a computation of each slot by itself.
pub(crate) async fn verify(
    state: State<Arc<App>>,
    name: Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    check(state, name, query, |seen| seen.verify()).await
}

/// Compares with computations that lack some of the past or of the future.
pub(crate) async fn lint(
    state: State<Arc<App>>,
    name: Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    check(state, name, query, |seen| seen.lint()).await
}

async fn check(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    run: impl FnOnce(&Check) -> Result<Value, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    let snapshot = app.engine.snapshot();
    let of = Arc::clone(&app);
    let body = app.query(move || {
        let check = Check::read(&of, &name, &params, snapshot)?;
        run(&check)
    });
    Ok(Json(body.await??).into_response())
}

/// What is compared.
struct Check {
    snapshot: Snapshot,
    asked: Asked,
    instruments: Vec<Arc<str>>,
    reference: Arc<Reference>,
}

impl Check {
    fn read(app: &App, name: &str, params: &Params, snapshot: Snapshot) -> Result<Self, Problem> {
        let failed = |error: Error| Problem::read(&error);
        let named = app.groups.named(&*reference(&snapshot)?, name)?;
        let (start, end) = parse_range(params)?;
        let asked = Asked::read(params, &snapshot, vec![named], params.symbols()?)?;
        let asked = Asked { start, end, ..asked };
        let Asked { as_of, at_sequence, .. } = asked;
        let reference = Reference::at(&snapshot, as_of, at_sequence).map_err(failed)?;
        let instruments = asked.instruments(&reference);
        Ok(Self { snapshot, asked, instruments, reference })
    }

    /// What to compute of an instrument.
    fn scan(&self, instrument: &Arc<str>) -> FeatureScan {
        let range = self.asked.range(&self.reference, instrument);
        let mut scans = self.asked.scans(instrument, range);
        scans.pop().expect("invariant: there is one group")
    }

    /// The instruments of which there is something.
    fn delivered(&self) -> Result<Vec<(&Symbol, &Arc<str>)>, Problem> {
        let symbols = self.asked.symbols.iter().zip(&self.instruments);
        let mut found = Vec::new();
        let mut delivered = Vec::new();
        for (symbol, instrument) in symbols {
            let features = self.open(&self.scan(instrument))?;
            delivered.push(features.is_delivered());
            if features.is_delivered() {
                found.push((symbol, instrument));
            }
        }
        missing(&self.asked, &delivered)?;
        Ok(found)
    }

    fn open(&self, scan: &FeatureScan) -> Result<Features, Problem> {
        self.snapshot.features(scan).map_err(|error| Problem::read(&error))
    }

    fn verify(&self) -> Result<Value, Problem> {
        let group = &self.asked.groups[0];
        let mut symbols = Vec::new();
        let mut all = Verdict::default();
        for (symbol, instrument) in self.delivered()? {
            let stored = self.scan(instrument);
            let recomputed = FeatureScan { way: Way::Slots, ..stored.clone() };
            let mut verdict = Verdict::default();
            let mut streams = Both::new(self.open(&stored)?, self.open(&recomputed)?);
            while let Some((stored, recomputed)) = streams.next()? {
                verdict.add(&stored, &recomputed);
            }
            symbols.push(verdict.told(symbol.as_str()));
            all.join(&verdict);
        }
        Ok(json!({
            "name": group.name,
            "version": group.group.compiled.version,
            "cells": all.cells,
            "mismatches": all.mismatches,
            "hash_stored": hex(&all.stored),
            "hash_recomputed": hex(&all.recomputed),
            "symbols": symbols,
            "sequence": self.snapshot.sequence().get(),
        }))
    }

    fn lint(&self) -> Result<Value, Problem> {
        let group = &self.asked.groups[0];
        let features = &group.group.compiled.features;
        let mut past = vec![Changed::default(); features.len()];
        let mut future = vec![Changed::default(); features.len()];
        for (_, instrument) in self.delivered()? {
            let whole = self.scan(instrument);
            let Some(cut) = self.middle(&whole)? else { continue };
            let without_past = FeatureScan { since: cut, start: cut, ..whole.clone() };
            let Some(begin) = self.first(&without_past)? else { continue };
            let from_cut = FeatureScan { start: begin, ..whole.clone() };
            let mut streams = Both::new(self.open(&from_cut)?, self.open(&without_past)?);
            let mut rank = 0_u64;
            while let Some((full, cut)) = streams.next()? {
                for at in 0..full.len() {
                    rank += 1;
                    for (place, changed) in past.iter_mut().enumerate() {
                        let analysis = &features[place];
                        let lookback = analysis.lookback.unwrap_or(0).max(analysis.warm_up);
                        if rank > u64::from(lookback) {
                            changed.add(&full, &cut, place, at);
                        }
                    }
                }
            }
            let before_cut = FeatureScan { end: cut, ..whole.clone() };
            let without_future =
                FeatureScan { end: cut, due: self.asked.due.min(cut), ..whole.clone() };
            let mut streams = Both::new(self.open(&before_cut)?, self.open(&without_future)?);
            while let Some((full, cut)) = streams.next()? {
                for at in 0..full.len() {
                    for (place, changed) in future.iter_mut().enumerate() {
                        changed.add(&full, &cut, place, at);
                    }
                }
            }
        }
        let told =
            features.iter().zip(past.iter().zip(&future)).map(|(feature, (past, future))| {
                let is_recursive = feature.class == Class::Recursive;
                json!({
                    "name": feature.name,
                    "lookback": feature.lookback,
                    "warm_up": feature.warm_up,
                    "is_ok": (is_recursive || past.differ == 0) && future.differ == 0,
                    "without_past": past.told(),
                    "without_future": future.told(),
                })
            });
        let told: Vec<Value> = told.collect();
        let is_ok = told.iter().all(|feature| feature["is_ok"] == true);
        Ok(json!({
            "name": group.name,
            "version": group.group.compiled.version,
            "is_ok": is_ok,
            "features": told,
            "sequence": self.snapshot.sequence().get(),
        }))
    }

    /// When the first slot starts.
    fn first(&self, scan: &FeatureScan) -> Result<Option<Timestamp>, Problem> {
        let first = self.open(scan)?.next().map_err(|error| Problem::read(&error))?;
        Ok(first.map(|piece| Timestamp::from_nanos(piece.ts[0])))
    }

    /// When the slot in the middle of those that are asked for starts; `None` if there are few.
    fn middle(&self, scan: &FeatureScan) -> Result<Option<Timestamp>, Problem> {
        let mut features = self.open(scan)?;
        let mut starts = Vec::new();
        while let Some(piece) = features.next().map_err(|error| Problem::read(&error))? {
            starts.extend(piece.ts);
        }
        Ok(starts.get(starts.len() / 2).map(|start| Timestamp::from_nanos(*start)))
    }
}

/// Two streams of the same slots.
struct Both {
    streams: [Features; 2],
    pending: [Option<FeaturePiece>; 2],
}

impl Both {
    fn new(first: Features, second: Features) -> Self {
        Self { streams: [first, second], pending: [None, None] }
    }

    /// The next slots of both, as many of the one as of the other.
    fn next(&mut self) -> Result<Option<(FeaturePiece, FeaturePiece)>, Problem> {
        for (stream, pending) in self.streams.iter_mut().zip(&mut self.pending) {
            if pending.is_none() {
                *pending = stream.next().map_err(|error| Problem::read(&error))?;
            }
        }
        let [Some(first), Some(second)] = &self.pending else {
            return match &self.pending {
                [None, None] => Ok(None),
                _ => {
                    let detail = "two computations of the same range have different slots";
                    Err(Problem::new(Code::Internal, detail))
                }
            };
        };
        let len = first.len().min(second.len());
        let mut split = self.pending.iter_mut().map(|pending| {
            let piece = pending.take().expect("invariant: both are there");
            let (first, rest) = piece.split_at(len);
            *pending = (!rest.is_empty()).then_some(rest);
            first
        });
        let (first, second) = (split.next(), split.next());
        Ok(first.zip(second))
    }
}

/// What became of the cells of a symbol, or of all.
#[derive(Default)]
struct Verdict {
    cells: u64,
    mismatches: u64,
    stored: Xxh3,
    recomputed: Xxh3,
    /// Date of a session to its mismatches.
    sessions: BTreeMap<i32, u64>,
}

impl Verdict {
    fn add(&mut self, stored: &FeaturePiece, recomputed: &FeaturePiece) {
        for at in 0..stored.len() {
            for (one, other) in stored.cells.iter().zip(&recomputed.cells) {
                let bits = |column: &barrow_engine::features::Column| {
                    (column.values()[at].to_bits(), column.reasons()[at])
                };
                let (one, other) = (bits(one), bits(other));
                self.cells += 1;
                if one != other {
                    self.mismatches += 1;
                    *self.sessions.entry(stored.session[at]).or_default() += 1;
                }
                for (hash, (value, reason)) in
                    [(&mut self.stored, one), (&mut self.recomputed, other)]
                {
                    hash.update(&value.to_le_bytes());
                    hash.update(&[reason]);
                }
            }
        }
    }

    fn join(&mut self, other: &Self) {
        self.cells += other.cells;
        self.mismatches += other.mismatches;
        self.stored.update(&other.stored.digest().to_le_bytes());
        self.recomputed.update(&other.recomputed.digest().to_le_bytes());
    }

    fn told(&self, symbol: &str) -> Value {
        let sessions = self.sessions.iter().take(SESSIONS_MAX);
        let sessions = sessions
            .map(|(session, count)| json!({"session": date(*session), "mismatches": count}));
        json!({
            "symbol": symbol,
            "cells": self.cells,
            "mismatches": self.mismatches,
            "hash_stored": hex(&self.stored),
            "hash_recomputed": hex(&self.recomputed),
            "sessions": sessions.collect::<Vec<_>>(),
        })
    }
}

fn hex(hash: &Xxh3) -> String {
    format!("{:016x}", hash.digest())
}

/// How many cells of a feature changed, and how far.
#[derive(Clone, Default)]
struct Changed {
    cells: u64,
    differ: u64,
    max_relative: f64,
}

impl Changed {
    fn add(&mut self, full: &FeaturePiece, cut: &FeaturePiece, place: usize, at: usize) {
        let (one, other) = (full.cells[place].cell(at), cut.cells[place].cell(at));
        self.cells += 1;
        if one == other {
            return;
        }
        self.differ += 1;
        if let (Some(one), Some(other)) = (one.value(), other.value()) {
            let scale = one.abs().max(other.abs()).max(f64::MIN_POSITIVE);
            self.max_relative = self.max_relative.max((one - other).abs() / scale);
        }
    }

    fn told(&self) -> Value {
        json!({"cells": self.cells, "differ": self.differ, "max_relative": self.max_relative})
    }
}
