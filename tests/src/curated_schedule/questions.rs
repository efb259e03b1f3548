//! Questions at random about the curated layer.

use barrow_types::{DAY_NANOS, PriceSide, Step};

use super::Generator;
use super::setting::{DATES, MINUTE, SECOND, SYMBOLS};
use crate::curated_model::CuratedModel;
use crate::curated_model::calendar::{Align, SessionSet};
use crate::curated_model::facts::Fact;
use crate::curated_model::view::Ask;
use crate::curated_model::world::Fallback;

/// A question as it is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose bars.
    pub instrument: String,
    /// How long they are.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// Which hours.
    pub set: SessionSet,
    /// Where buckets begin.
    pub align: Align,
    /// Slots that begin here or later.
    pub start: i64,
    /// Slots that begin before this.
    pub end: i64,
    /// Which candidate, if it is said.
    pub fallback: Option<Fallback>,
    /// Only this source, if it is said.
    pub source: Option<String>,
    /// Known then, if it is said.
    pub as_of: Option<i64>,
    /// Held then, if it is said.
    pub at_sequence: Option<u64>,
    /// The server's clock.
    pub now: i64,
}

impl Question {
    /// The question with all that follows from what is not said.
    pub fn ask(&self, model: &CuratedModel) -> Ask {
        let ingested = || self.at_sequence.and_then(|sequence| model.ingested_at(sequence));
        Ask {
            instrument: self.instrument.clone(),
            step: self.step,
            side: self.side,
            set: self.set,
            align: self.align,
            start: self.start,
            end: self.end,
            fallback: self.fallback,
            source: self.source.clone(),
            as_of: self.as_of.unwrap_or(i64::MAX),
            at_sequence: self.at_sequence.unwrap_or(u64::MAX),
            due: self.as_of.or_else(ingested).unwrap_or(self.now),
        }
    }
}

impl Generator {
    /// A question about what the model holds.
    pub fn question(&mut self, model: &CuratedModel) -> Question {
        let step = self.asked[self.random.place(self.asked.len())];
        let (start, end) = self.range(step);
        let fallbacks = [Fallback::None, Fallback::Session, Fallback::Slot];
        let set = [SessionSet::Regular, SessionSet::Extended, SessionSet::All];
        let fallback = fallbacks.get(self.random.place(fallbacks.len() + 3)).copied();
        let as_of = if self.random.chance(45) { Some(self.instant(model)) } else { None };
        Question {
            instrument: self.asked_instrument(model).to_owned(),
            step,
            side: self.asked_side(),
            set: set[self.random.place(set.len())],
            align: [Align::Session, Align::Clock][self.random.place(2)],
            start,
            end,
            fallback,
            source: self.random.chance(8).then(|| self.source().to_owned()),
            as_of,
            at_sequence: if self.random.chance(40) { self.record(model) } else { None },
            now: self.now,
        }
    }

    fn asked_side(&mut self) -> PriceSide {
        match self.random.below(6) {
            0 if self.has_ticks => {
                [PriceSide::Bid, PriceSide::Ask, PriceSide::Mid][self.random.place(3)]
            }
            _ => self.side(),
        }
    }

    /// An instrument, mostly one that some symbol is or was.
    fn asked_instrument(&mut self, model: &CuratedModel) -> &'static str {
        let drawn = self.existing_instrument();
        let is_symbol = SYMBOLS[..self.symbols].contains(&drawn);
        let is_bound = || {
            let bound = |fact: &Fact| match fact {
                Fact::Binding { instrument, .. } => instrument == drawn,
                _ => false,
            };
            model.facts().stored().iter().any(|stored| bound(&stored.fact))
        };
        if is_symbol || is_bound() || self.random.chance(15) { drawn } else { SYMBOLS[0] }
    }

    /// All dates there are, one, or some minutes of a session.
    fn range(&mut self, step: Step) -> (i64, i64) {
        let (first, last) = (DATES[0] * DAY_NANOS, (DATES[3] + 1) * DAY_NANOS);
        let at = self.moment();
        let minute = at.div_euclid(MINUTE) * MINUTE;
        let midnight = at.div_euclid(DAY_NANOS) * DAY_NANOS;
        let is_long = step.is_dated() || step >= Step::M30;
        let is_wide = is_long || (step != Step::S1 && self.random.chance(12));
        // More minutes than the engine looks at in one go.
        if self.random.below(400) == 0 && step != Step::S1 {
            return (first - 8 * DAY_NANOS, last + 8 * DAY_NANOS);
        }
        match self.random.below(10) {
            0..4 if is_wide => (first - DAY_NANOS, last + DAY_NANOS),
            4..6 if is_wide => (at - DAY_NANOS, last),
            6..9 if is_wide => (midnight, midnight + DAY_NANOS),
            0..6 => (minute - 10 * MINUTE, minute + 10 * MINUTE),
            6..9 => (minute, minute + 4 * MINUTE),
            _ => (at, at + self.span(10 * MINUTE)),
        }
    }

    /// An instant that may matter: just when something became known, came in or ended, or beside.
    fn instant(&mut self, model: &CuratedModel) -> i64 {
        let beside = self.span(3) - 1;
        let at = match self.random.below(10) {
            0..3 => {
                let facts = model.facts().stored();
                if facts.is_empty() { self.now } else { self.pick(facts).known_at }
            }
            3..6 => {
                let keys: Vec<_> = model.bars().series(u64::MAX).collect();
                let rows = |key| model.bars().all(key, i64::MIN, i64::MAX, i64::MAX, u64::MAX);
                let rows: Vec<_> = keys.into_iter().flat_map(rows).collect();
                if rows.is_empty() { self.now } else { self.pick(&rows).known_at }
            }
            6..8 => {
                let records: Vec<_> = model.records().collect();
                if records.is_empty() { self.now } else { self.pick(&records).1 }
            }
            8 => self.moment().div_euclid(30 * SECOND) * 30 * SECOND,
            _ => self.past(3 * DAY_NANOS),
        };
        // Before the first of the schedule's dates hardly anything is known.
        let first = (DATES[0] - 2) * DAY_NANOS;
        if at < first && self.random.chance(90) { self.moment() } else { at + beside }
    }

    /// A record there is.
    fn record(&mut self, model: &CuratedModel) -> Option<u64> {
        let records: Vec<_> = model.records().collect();
        if records.is_empty() { None } else { Some(self.pick(&records).0) }
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.random.place(all.len())]
    }
}
