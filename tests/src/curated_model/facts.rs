//! Facts with both clocks, in a plain list.
//!
//! A fact's key is its ledger, what it is about, its `ts` and the columns in bold on the page.
//! Versions of a key are told apart like those of a bar: the greatest (`known_at`, `sequence`,
//! place in batch) that is known is the visible one, and a retraction takes it away.

use std::collections::BTreeMap;

use barrow_types::{DAY_NANOS, PriceSide, SeriesKey, Source, Step, Symbol, days_from_civil};

use super::calendar::Hours;
use crate::model::{Outcome, Table};

/// The `ts` of a fact that holds since ever.
pub const ALWAYS: i64 = days_from_civil(1700, 1, 1) * DAY_NANOS;

/// The symbol that stands for every symbol of a source.
pub const EVERY_SYMBOL: &str = "*";

/// The tables of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ledger {
    /// What a date of a calendar is.
    CalendarDays,
    /// Which instrument a symbol of a source is.
    Bindings,
    /// What an instrument is.
    Instruments,
    /// What a company did to its shares.
    Actions,
    /// What a source has delivered is all there is.
    Claims,
    /// A row came and was turned away.
    Rejects,
    /// Trading was halted.
    Halts,
    /// A source delivered nothing.
    Outages,
    /// How a dataset is curated.
    Settings,
    /// How a quality rule is applied.
    Rules,
    /// What a person decided about a row.
    Verdicts,
}

impl Ledger {
    /// Whether a first fact of its key is known since its `ts`, if nobody says since when.
    const fn is_dated_back(self) -> bool {
        match self {
            Self::CalendarDays
            | Self::Bindings
            | Self::Instruments
            | Self::Actions
            | Self::Settings
            | Self::Rules => true,
            Self::Claims | Self::Rejects | Self::Halts | Self::Outages | Self::Verdicts => false,
        }
    }
}

/// A raw series of bars, or those of trades and of quotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The instrument, as the source writes it; of a claim also [`EVERY_SYMBOL`].
    pub symbol: String,
    /// Who delivers.
    pub source: String,
    /// The length of its bars.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
}

impl Series {
    /// The series of the same symbol and source that has these; ticks have no side of their own.
    #[must_use]
    pub fn with_step(&self, step: Step, side: PriceSide) -> Self {
        let side = if step == Step::Tick { PriceSide::Trade } else { side };
        Self { step, side, ..self.clone() }
    }

    /// The table from which bars of a side come that are made of it.
    pub fn table(&self, side: PriceSide) -> Table {
        match (self.step, side) {
            (Step::Tick, PriceSide::Trade) => Table::Trades,
            (Step::Tick, _) => Table::Quotes,
            _ => Table::Bars,
        }
    }

    /// As rows of a table are found by it.
    pub fn key(&self, table: Table) -> SeriesKey {
        SeriesKey {
            dataset: table.dataset(),
            symbol: Symbol::new(&self.symbol).expect("invariant: the door checked it"),
            step: self.step,
            side: self.side,
            source: Source::new(&self.source).expect("invariant: the door checked it"),
        }
    }
}

/// Why a claim was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A batch said that it is all there is.
    Covers,
    /// An import said so.
    Complete,
    /// The source said how far it is.
    Watermark,
    /// A batch said that it is all there is, whatever is stored.
    Replaces,
}

/// What a rule does with a row on which it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Says so.
    Flag,
    /// Keeps it out.
    Quarantine,
    /// Turns it away at the door; says so of one that an import brought.
    Reject,
}

/// What a person decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The row is kept out.
    Quarantine,
    /// The row is let in.
    Release,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `calendar_days`: this date is so.
    CalendarDay {
        /// Of which calendar.
        calendar: String,
        /// In days from 1970.
        date: i64,
        /// None if it is closed.
        hours: Option<Hours>,
    },
    /// `bindings`: since then this symbol of this source is that instrument.
    Binding {
        /// As the source writes it.
        symbol: String,
        /// Who delivers.
        source: String,
        /// Since when.
        from: i64,
        /// Empty: none.
        instrument: String,
    },
    /// `instruments`: since then the attribute has this value.
    Attribute {
        /// Of which instrument.
        instrument: String,
        /// Since when.
        from: i64,
        /// `calendar`, `listed`.
        attribute: String,
        /// Empty: none.
        value: String,
    },
    /// `actions`: a split or a dividend. Bars do not show it; features do.
    CorporateAction {
        /// Of which instrument.
        instrument: String,
        /// The ex-date in days from 1970.
        date: i64,
        /// `split`, `dividend`.
        kind: String,
        /// Hundredths of new shares for one old, or of cash for one share.
        hundredths: i32,
    },
    /// `claims`: what was delivered for [start, end) is all there is.
    Claim {
        /// Of a symbol or of [`EVERY_SYMBOL`].
        of: Series,
        /// Which of its rows.
        table: Table,
        /// From when.
        start: i64,
        /// Until when.
        end: i64,
        /// Why.
        origin: Origin,
    },
    /// `rejects`: made where the door turns a row away.
    Reject {
        /// Where the row would have been.
        of: Series,
        /// The same.
        table: Table,
        /// Its `ts`.
        ts: i64,
        /// Its place in its batch.
        row: usize,
        /// Why.
        reason: String,
    },
    /// `halts`: trading was halted in [start, end).
    Halt {
        /// Whose trading.
        instrument: String,
        /// From when.
        start: i64,
        /// Until when; none if it is not over.
        end: Option<i64>,
        /// For a person.
        note: String,
    },
    /// `outages`: the source delivered nothing in [start, end).
    Outage {
        /// A symbol or [`EVERY_SYMBOL`].
        symbol: String,
        /// Who failed.
        source: String,
        /// From when.
        start: i64,
        /// Until when; none if it is not over.
        end: Option<i64>,
        /// For a person.
        note: String,
    },
    /// `settings`: how bars are curated, what conditions of trades mean.
    Setting {
        /// Of which table.
        table: Table,
        /// `sources`, `fallback`, `publish_delay:SOURCE`, `alignment:SOURCE` of bars;
        /// `conditions:SOURCE` of trades.
        key: String,
        /// What it is set to.
        value: String,
    },
    /// `rules`: how a quality rule is applied.
    Rule {
        /// On which table.
        table: Table,
        /// Its name.
        rule: String,
        /// Whether it is.
        enabled: bool,
        /// `info`, `warn`, `error`.
        severity: String,
        /// What it does.
        action: Action,
        /// By name.
        thresholds: Vec<(String, i64)>,
    },
    /// `verdicts`: what a person decided about a row.
    Verdict {
        /// Where the row is.
        of: Series,
        /// Its `ts`.
        ts: i64,
        /// A rule to release it from, or `manual`.
        rule: String,
        /// What was decided.
        act: Ruling,
        /// Which record brought the row.
        of_sequence: u64,
        /// For a person.
        note: String,
    },
}

/// What makes two facts versions of one. Texts that a ledger does not have are empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactKey {
    /// Its table.
    pub ledger: Ledger,
    /// What its series is about: a calendar, symbol, instrument or dataset.
    pub about: String,
    /// The source of the series.
    pub source: String,
    /// The step of the series.
    pub step: Step,
    /// The price side of the series.
    pub side: PriceSide,
    /// From when, or when.
    pub ts: i64,
    /// The columns of the key.
    pub part: String,
}

impl Fact {
    /// What makes two facts versions of one.
    pub fn key(&self) -> FactKey {
        let key = |ledger, about: &str, source: &str, ts, part: &str| FactKey {
            ledger,
            about: about.to_owned(),
            source: source.to_owned(),
            step: Step::Tick,
            side: PriceSide::Trade,
            ts,
            part: part.to_owned(),
        };
        let of_series = |ledger, of: &Series, ts, part: &str| FactKey {
            step: of.step,
            side: of.side,
            ..key(ledger, &of.symbol, &of.source, ts, part)
        };
        match self {
            Self::CalendarDay { calendar, date, .. } => {
                key(Ledger::CalendarDays, calendar, "", date * DAY_NANOS, "")
            }
            Self::Binding { symbol, source, from, .. } => {
                key(Ledger::Bindings, symbol, source, *from, "")
            }
            Self::Attribute { instrument, from, attribute, .. } => {
                key(Ledger::Instruments, instrument, "", *from, attribute)
            }
            Self::CorporateAction { instrument, date, kind, .. } => {
                key(Ledger::Actions, instrument, "", date * DAY_NANOS, kind)
            }
            Self::Claim { of, table, start, end, .. } => {
                of_series(Ledger::Claims, of, *start, &format!("{table:?} {end}"))
            }
            Self::Reject { of, table, ts, .. } => {
                of_series(Ledger::Rejects, of, *ts, &format!("{table:?}"))
            }
            Self::Halt { instrument, start, .. } => key(Ledger::Halts, instrument, "", *start, ""),
            Self::Outage { symbol, source, start, .. } => {
                key(Ledger::Outages, symbol, source, *start, "")
            }
            Self::Setting { table, key: name, .. } => {
                key(Ledger::Settings, name_of(*table), "", ALWAYS, name)
            }
            Self::Rule { table, rule, .. } => key(Ledger::Rules, name_of(*table), "", ALWAYS, rule),
            Self::Verdict { of, ts, rule, .. } => of_series(Ledger::Verdicts, of, *ts, rule),
        }
    }
}

/// The name of a table.
const fn name_of(table: Table) -> &'static str {
    match table {
        Table::Bars => "bars",
        Table::Trades => "trades",
        Table::Quotes => "quotes",
    }
}

/// A fact as a sender offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedFact {
    /// What it says; of a retraction only the key counts.
    pub fact: Fact,
    /// Since when the sender says it was known.
    pub known_at: Option<i64>,
}

/// A fact that is stored, for ever.
#[derive(Clone, Debug)]
pub struct StoredFact {
    /// What it says.
    pub fact: Fact,
    /// When it was learned.
    pub known_at: i64,
    /// Which record brought it.
    pub sequence: u64,
    /// Where it stood in its batch.
    pub place: usize,
    /// It takes its key away.
    pub retract: bool,
}

impl StoredFact {
    const fn rank(&self) -> (i64, u64, usize) {
        (self.known_at, self.sequence, self.place)
    }
}

/// Every fact there is.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    stored: Vec<StoredFact>,
}

/// Which record brings a fact, where it stands in it, and when the record came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The record.
    pub sequence: u64,
    /// Where it stands in its batch.
    pub place: usize,
    /// When it came in.
    pub now: i64,
}

impl Facts {
    /// Stores a fact, or takes one away, and counts what became of it.
    pub fn offer(
        &mut self,
        offered: &OfferedFact,
        retract: bool,
        arrival: Arrival,
        outcome: &mut Outcome,
    ) {
        let Arrival { sequence, place, now } = arrival;
        let key = offered.fact.key();
        let versions: Vec<_> = self.stored.iter().filter(|fact| fact.fact.key() == key).collect();
        if offered.known_at.is_some_and(|known_at| known_at > now) {
            outcome.rejected.push((place, "future_known_at"));
            return;
        }
        let is_dated_back =
            key.ledger.is_dated_back() && versions.is_empty() && !retract && key.ts <= now;
        let assumed = if is_dated_back { key.ts } else { now };
        let known_at = offered.known_at.unwrap_or(assumed);
        let fact = offered.fact.clone();
        let stored = StoredFact { fact, known_at, sequence, place, retract };
        let visible = |as_of| {
            let known = versions.iter().filter(|fact| fact.known_at <= as_of);
            known.max_by_key(|fact| fact.rank()).filter(|fact| !fact.retract)
        };
        if retract {
            if visible(i64::MAX).is_none() {
                outcome.rejected.push((place, "nothing_to_retract"));
                return;
            }
            outcome.accepted += 1;
        } else if visible(known_at).is_some_and(|other| other.fact == stored.fact) {
            outcome.duplicates += 1;
            return;
        } else if versions.iter().any(|other| other.rank() > stored.rank()) {
            outcome.superseded += 1;
        } else if visible(i64::MAX).is_some() {
            outcome.corrected += 1;
        } else {
            outcome.accepted += 1;
        }
        self.stored.push(stored);
    }

    /// The facts that are visible at (T, N), in order of key.
    pub fn visible(&self, as_of: i64, at_sequence: u64) -> Vec<&Fact> {
        self.winners(as_of, at_sequence).into_iter().map(|fact| &fact.fact).collect()
    }

    /// The same as they are stored.
    pub fn winners(&self, as_of: i64, at_sequence: u64) -> Vec<&StoredFact> {
        let mut winners: BTreeMap<FactKey, &StoredFact> = BTreeMap::new();
        for fact in &self.stored {
            if fact.known_at <= as_of && fact.sequence <= at_sequence {
                let winner = winners.entry(fact.fact.key()).or_insert(fact);
                if fact.rank() > winner.rank() {
                    *winner = fact;
                }
            }
        }
        winners.into_values().filter(|fact| !fact.retract).collect()
    }

    /// Every fact and retraction ever stored, as it came.
    pub fn stored(&self) -> &[StoredFact] {
        &self.stored
    }
}
