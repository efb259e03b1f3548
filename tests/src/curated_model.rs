//! What `layer=curated` must answer: slots, the rows chosen for them and the reasons of the empty
//! ones, in the plainest way, written from `docs/CURATION.md`, `docs/AGGREGATES.md` and the design
//! alone.
//!
//! | module | what it is |
//! |---|---|
//! | [`calendar`] | sessions and the slots they make expected |
//! | [`facts`] | facts with both clocks |
//! | [`rules`] | quality rules |
//! | [`conditions`] | what a trade updates |
//! | [`aggregates`] | what a symbol of a source has: its own bars, or bars made of finer ones |
//! | [`folds`] | one bar of several, or of trades and quotes |
//! | [`world`] | the rows and facts that are visible at (T, N), and what follows from them |
//! | [`view`] | the answers: cells and gaps |
//!
//! Bars are those of [`crate::model`]. Like it, this shares the nouns of `barrow-types` with the
//! engine and nothing else, saves no work, and is never changed to agree with the engine: where
//! the two differ, the page decides.
//!
//! Where the page can be read in more than one way, this is the reading here:
//!
//! | about | reading | where |
//! |---|---|---|
//! | 1d, 1w, 1mo with `session=extended` | from open to close as well | [`calendar`] |
//! | several rows in a slot | the last good one, not the last one if it is good | [`view`] |
//! | the session of a row, for rules | that which goes on at its `ts`, before the open and after the close too, else its UTC date | [`view`] |
//! | an attribute whose value in force is empty | none is in force | [`world`] |
//! | `corrected` | the row was counted so when it came: its key then had a visible row, and it ranks above all rows of its key then | [`crate::model`] |
//! | the watermark of `state` | of the candidate's symbol or `*`; the newest is the one with the greatest end | [`view`] |
//! | which rejections leave a mark | all of a row to insert with a symbol and a `ts` that can be stored | here |
//! | what a replaced range loses | rows whose `ts` lies in it and for whose `ts` none is offered, be it turned away | here |
//! | a gap | a run of equal reasons in the order of expected slots: closed hours do not end it | [`view`] |

pub mod aggregates;
pub mod calendar;
pub mod conditions;
pub mod facts;
pub mod folds;
pub mod rules;
pub mod view;
pub mod world;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::{Load, Model, Offered, Outcome, TS_SIZE_MAX, Table, series_key, ts_end};
use calendar::Dates;
use facts::{Arrival, Fact, Facts, Ledger, OfferedFact, Origin, Series};
use rules::turns_away;
use world::World;

/// What a batch of bars says about its own completeness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The symbols, or [`facts::EVERY_SYMBOL`].
    pub symbol: String,
    /// From when.
    pub start: i64,
    /// Until when.
    pub end: i64,
    /// Why.
    pub origin: Origin,
}

/// Bars, trades or quotes, and claims for the same source, step and side; either may be empty, not
/// both. A retraction takes the claims back too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarLoad {
    /// The bars.
    pub load: Load,
    /// The claims.
    pub claims: Vec<Claim>,
    /// Whether rules turn nothing away, because a file is kept as it is.
    pub is_import: bool,
}

/// Facts of one ledger and, where their series have them, of one source, step and side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactLoad {
    /// Its id.
    pub id: String,
    /// Whether it takes its keys away.
    pub retract: bool,
    /// The facts.
    pub facts: Vec<OfferedFact>,
}

/// A batch as a sender offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Bars.
    Bars(BarLoad),
    /// Facts.
    Facts(FactLoad),
}

impl Offer {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Bars(bars) => &bars.load.id,
            Self::Facts(facts) => &facts.id,
        }
    }
}

/// Everything stored.
#[derive(Clone, Debug, Default)]
pub struct CuratedModel {
    calendars: BTreeMap<String, Dates>,
    bars: Model,
    facts: Facts,
    /// When each record came in.
    arrivals: BTreeMap<u64, i64>,
}

impl CuratedModel {
    /// Nothing stored, and these calendars known from the start.
    pub fn new(calendars: BTreeMap<String, Dates>) -> Self {
        Self { calendars, ..Self::default() }
    }

    /// Stores a new batch that came in at `now` as record `sequence`; what became of its bars, or
    /// of its facts.
    pub fn apply(&mut self, offer: &Offer, sequence: u64, now: i64) -> Outcome {
        self.arrivals.insert(sequence, now);
        match offer {
            Offer::Bars(bars) => self.apply_bars(bars, sequence, now),
            Offer::Facts(facts) => {
                let mut outcome = Outcome::default();
                for (place, offered) in facts.facts.iter().enumerate() {
                    let arrival = Arrival { sequence, place, now };
                    self.facts.offer(offered, facts.retract, arrival, &mut outcome);
                }
                outcome
            }
        }
    }

    fn apply_bars(&mut self, bars: &BarLoad, sequence: u64, now: i64) -> Outcome {
        let load = &bars.load;
        let of = |symbol: &str| Series {
            symbol: symbol.to_owned(),
            source: load.source.clone(),
            step: load.step,
            side: load.side,
        };
        let judges = !load.retract && !bars.is_import;
        let rejecting = if judges { self.rejecting(load.table) } else { Vec::new() };
        let judge = |row: &Offered| turns_away(&rejecting, load.table, row);
        let entry = self.bars.apply_judged(load.clone(), sequence, now, judge);
        let mut outcome = entry.outcome.clone();
        let mut found = Vec::new();
        let mut all_are_marked = load.refused == 0;
        let brought = if load.retract { &[] } else { &outcome.rejected[..] };
        for (row, reason) in brought {
            let Some(offered) = load.rows.get(*row) else { continue };
            let symbol = offered.symbol.as_deref().filter(|s| series_key(load, s).is_some());
            let ts = offered.ts.filter(|ts| i128::from(*ts).abs() <= TS_SIZE_MAX);
            let Some((symbol, ts)) = symbol.zip(ts) else {
                all_are_marked = false;
                continue;
            };
            let assumed = load.policy.map(|delay| ts_end(load.step, ts) + i128::from(delay));
            let assumed = assumed.and_then(|at| i64::try_from(at).ok()).filter(|at| *at <= now);
            let reason = (*reason).to_owned();
            let fact = Fact::Reject { of: of(symbol), table: load.table, ts, row: *row, reason };
            found.push((fact, Some(assumed.unwrap_or(now))));
        }
        for claim in bars.claims.iter().filter(|_| all_are_marked) {
            let (start, end, origin) = (claim.start, claim.end, claim.origin);
            let policy = load.policy.filter(|_| !load.retract);
            let known_at = policy.map(|delay| end.saturating_add(delay).min(now));
            let (of, table) = (of(&claim.symbol), load.table);
            found.push((Fact::Claim { of, table, start, end, origin }, known_at));
        }
        if all_are_marked && !load.retract {
            outcome.retracted = self.replace(bars, sequence, now);
        }
        for (place, (fact, known_at)) in found.into_iter().enumerate() {
            let offered = OfferedFact { fact, known_at };
            let arrival = Arrival { sequence, place, now };
            self.facts.offer(&offered, load.retract, arrival, &mut Outcome::default());
        }
        outcome
    }

    /// Takes away what stands in replaced ranges and is not offered; how many rows those are.
    fn replace(&mut self, bars: &BarLoad, sequence: u64, now: i64) -> u64 {
        let load = &bars.load;
        let mut count = 0;
        for claim in bars.claims.iter().filter(|claim| claim.origin == Origin::Replaces) {
            let Some(key) = series_key(load, &claim.symbol) else { continue };
            let symbol = Some(claim.symbol.clone());
            let is_offered =
                |ts: i64| load.rows.iter().any(|row| (&row.symbol, row.ts) == (&symbol, Some(ts)));
            let stored = self.bars.visible(&key, claim.start, claim.end, i64::MAX, u64::MAX);
            let gone = stored.iter().map(|row| row.ts).filter(|ts| !is_offered(*ts));
            let gone = gone.map(|ts| {
                let (symbol, known_at, values) = (symbol.clone(), None, Vec::new());
                Offered { symbol, ts: Some(ts), known_at, values }
            });
            let rows: Vec<Offered> = gone.collect();
            count += rows.len() as u64;
            let taking = Load { retract: true, policy: None, rows, refused: 0, ..load.clone() };
            self.bars.apply(taking, sequence, now);
        }
        count
    }

    /// The rules that turn rows of a table away now.
    fn rejecting(&self, table: Table) -> Vec<&'static str> {
        World::new(self, i64::MAX, u64::MAX).rejecting(table)
    }

    /// The bars.
    pub const fn bars(&self) -> &Model {
        &self.bars
    }

    /// The facts.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The records that brought something, in order, each with its ingest time.
    pub fn records(&self) -> impl Iterator<Item = (u64, i64)> {
        self.arrivals.iter().map(|(sequence, now)| (*sequence, *now))
    }

    /// When the newest record up to `sequence` came in.
    pub fn ingested_at(&self, sequence: u64) -> Option<i64> {
        self.arrivals.range(..=sequence).next_back().map(|(_, now)| *now)
    }

    /// The visible facts of a ledger.
    pub fn visible_facts(&self, ledger: Ledger, as_of: i64, at_sequence: u64) -> Vec<&Fact> {
        let mut facts = self.facts.visible(as_of, at_sequence);
        facts.retain(|fact| fact.key().ledger == ledger);
        facts
    }
}
