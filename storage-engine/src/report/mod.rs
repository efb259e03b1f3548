//! How good some data are: counts by session date of what rules, slots, sources and arrivals tell.
//!
//! A function of rows and facts that are visible at (T, N), and of the due time D, like the curated
//! layer. One instrument is looked at after the other, and of a series some thousand rows, so what
//! is in memory does not grow with the range but for a few counts a session date.
//!
//! | file | holds |
//! |---|---|
//! | this one | [`QualityQuery`], [`Quality`]: the question, and its instruments one by one |
//! | `finding.rs` | [`Finding`]: a count of one thing on one session date |
//! | `member.rs` | an instrument: its calendar and its series |
//! | `rows.rs` | what rules say of rows, nulls, rows that came late or out of order |
//! | `arrivals.rs` | rows that were turned away, and keys that came twice |
//! | `slots.rs` | expected slots and their reasons, gaps, freshness |
//! | `sources.rs` | closes of two sources |
//! | `steps.rs` | bars beside the shorter bars in them |

mod arrivals;
mod finding;
mod member;
mod rows;
mod slots;
mod sources;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use barrow_types::{Align, DAY_NANOS, DatasetId, PriceSide, Sequence, SessionSet, Step, Timestamp};

pub use finding::{Count, Finding, Measure};

use crate::dataset::facts::ALWAYS;
use crate::error::Error;
use crate::gaps::FactsAt;
use crate::quality::{Fired, RuleId, RuleSet};
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use finding::Found;
use member::Member;

/// Which data.
#[derive(Clone, Debug)]
pub struct QualityQuery {
    /// Bars, trades or quotes.
    pub dataset: DatasetId,
    /// Ids of instruments, in the order of the answer.
    pub instruments: Vec<Arc<str>>,
    /// Whether somebody named them; else one that neither has any row nor is listed is left out.
    pub named: bool,
    /// The length of bars; [`Step::Tick`] of trades and quotes.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// Only this source.
    pub source: Option<String>,
    /// Session dates, in days since 1970; from the first row on if it starts at [`i32::MIN`], up to
    /// the last one if it ends at [`i32::MAX`].
    pub dates: Range<i32>,
    /// Whose slots are expected.
    pub session: SessionSet,
    /// How bars lie in a session.
    pub align: Option<Align>,
    /// T: only what was known then.
    pub as_of: Option<Timestamp>,
    /// N: only what Barrow held then.
    pub at_sequence: Option<Sequence>,
    /// D: what ends later is not due.
    pub due: Timestamp,
}

impl QualityQuery {
    /// Every instant at which a row of these dates may lie.
    fn instants(&self) -> (i64, i64) {
        let midnight = |date: i32| i64::from(date).saturating_mul(DAY_NANOS);
        let Range { start, end } = self.dates;
        // Sessions open at most a day before their date, and not two days after it.
        let from =
            if start == i32::MIN { i64::MIN } else { midnight(start).saturating_sub(DAY_NANOS) };
        let to =
            if end == i32::MAX { i64::MAX } else { midnight(end).saturating_add(2 * DAY_NANOS) };
        (from, to)
    }

    /// The last record that counts.
    fn sequence(&self, snapshot: &Snapshot) -> Sequence {
        self.at_sequence.unwrap_or(Sequence::MAX).min(snapshot.sequence())
    }
}

/// What was found about one instrument, or about all together.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Its place in [`QualityQuery::instruments`]; `None`: all together.
    pub instrument: Option<usize>,
    /// Whether there is anything of it, or somebody named it.
    pub is_there: bool,
    /// In order of dates.
    pub findings: Vec<Finding>,
}

/// The instruments of a question, one after the other. See the module.
pub struct Quality {
    snapshot: Snapshot,
    reference: Arc<Reference>,
    query: QualityQuery,
    rules: RuleSet,
    next: usize,
    /// By date: how many instruments should have rows, and how many have none.
    universe: BTreeMap<i32, (u64, u64)>,
}

impl Snapshot {
    /// How good some data are, instrument by instrument.
    ///
    /// # Errors
    /// `BelowRetention` if the rows that (T, N) asks for may be gone; `Corrupt` if a block that is
    /// needed is damaged.
    pub fn quality(&self, query: QualityQuery) -> Result<Quality, Error> {
        self.check_retention(query.dataset, query.step, query.as_of, query.at_sequence)?;
        let reference = Reference::at(self, query.as_of, query.at_sequence)?;
        let rules = RuleSet::of(&reference, query.dataset);
        let (snapshot, universe) = (self.clone(), BTreeMap::new());
        Ok(Quality { snapshot, reference, query, rules, next: 0, universe })
    }

    /// By step and price side: the instruments that the symbols of series of a dataset are at any
    /// time, those of which every row was turned away included; only of `source`, if it is given.
    pub fn instruments_by_step(
        &self,
        reference: &Reference,
        dataset: DatasetId,
        source: Option<&str>,
        at_sequence: Option<Sequence>,
    ) -> BTreeMap<(Step, PriceSide), BTreeSet<Arc<str>>> {
        let sequence = at_sequence.unwrap_or(Sequence::MAX).min(self.sequence());
        let mut found: BTreeMap<_, BTreeSet<Arc<str>>> = BTreeMap::new();
        let catalog = &self.generation().catalog;
        let list = |dataset| catalog.list(dataset, None, sequence);
        for (_, key) in list(dataset).into_iter().chain(list(DatasetId::REJECTS)) {
            // Rejects of bars and those of trades and quotes are told apart by their step.
            let is_of_dataset = (key.step == Step::Tick) == (dataset != DatasetId::BARS);
            if !is_of_dataset || source.is_some_and(|source| source != key.source.as_str()) {
                continue;
            }
            let instruments = found.entry((key.step, key.side)).or_default();
            let bound = reference.bindings(key.source.as_str(), key.symbol.as_str());
            // Before its first binding a symbol is the instrument of that very id.
            if bound.first().is_none_or(|(since, _)| *since > ALWAYS.nanos()) {
                instruments.insert(key.symbol.as_str().into());
            }
            instruments.extend(bound.iter().filter_map(|(_, instrument)| instrument.clone()));
        }
        found
    }
}

impl Quality {
    /// How rules are applied to the dataset.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// What is found about the next instrument, last about all together; `None` after that.
    ///
    /// # Errors
    /// `Invalid` if the instrument's calendar is not known; `Corrupt` if a block that is needed is
    /// damaged.
    #[expect(clippy::should_implement_trait, reason = "a fallible iterator is not an `Iterator`")]
    pub fn next(&mut self) -> Result<Option<Findings>, Error> {
        let place = self.next;
        self.next += 1;
        if place > self.query.instruments.len() {
            return Ok(None);
        }
        let Some(instrument) = self.query.instruments.get(place) else {
            return Ok(Some(self.together()));
        };
        let at = FactsAt {
            snapshot: &self.snapshot,
            as_of: self.query.as_of,
            at_sequence: self.query.at_sequence,
        };
        let member = Member::new(at, &self.reference, &self.query, &self.rules, instrument)?;
        let mut found = Found::default();
        for series in 0..member.series.len() {
            rows::find(&member, series, &mut found)?;
            arrivals::find(&member, series, &mut found)?;
        }
        let is_there = self.query.named || member.is_there()?;
        if is_there && self.query.dataset == DatasetId::BARS {
            slots::find(&member, &mut found, &mut self.universe)?;
            sources::find(&member, &mut found)?;
            steps::find(&member, &mut found)?;
        }
        let findings = found.list(&member);
        let is_there = is_there || !findings.is_empty();
        Ok(Some(Findings { instrument: Some(place), is_there, findings }))
    }

    /// What only all instruments together tell.
    fn together(&mut self) -> Findings {
        let setting = self.rules.get(RuleId::UniverseCoverage);
        let least = setting.number("share");
        let mut findings = Vec::new();
        if setting.enabled {
            for (date, (members, absent)) in std::mem::take(&mut self.universe) {
                let share = ratio(members - absent, members);
                let mut count = Count { tested: 1, ..Count::default() };
                count.note(1.0 - share);
                if share < least {
                    count.fail(i64::from(date).saturating_mul(DAY_NANOS), 1, true, false);
                }
                let measure = Measure::Rule(RuleId::UniverseCoverage);
                findings.push(Finding::of(date, measure, count));
            }
        }
        Findings { instrument: None, is_there: !findings.is_empty(), findings }
    }
}

/// A share of a whole that is not nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of rows and slots are below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The rules about rows that are applied.
fn of_rows(rules: &RuleSet) -> Fired {
    rules.enabled().and(crate::quality::Rule::of_rows())
}
