//! Counts by session and series, added up as far as nobody asked for them one by one.

use std::collections::{BTreeMap, BTreeSet};

use barrow_engine::quality::{RuleId, RuleSet};
use barrow_engine::report::{Count, Finding, Measure};
use barrow_engine::{Reference, Snapshot};
use barrow_types::{PriceSide, Source, Step, Symbol};
use std::sync::Arc;

use super::super::error::{Code, Problem};
use super::asked::{Asked, Group, Groups};
use super::metric::Metric;

/// Parts in an answer; of more the question is too wide.
const PARTS_MAX: usize = 20_000;
/// Sessions that are named of each count.
pub(super) const SESSIONS_MAX: usize = 10;

/// What metrics are told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Splits {
    pub(super) session: bool,
    pub(super) symbol: bool,
    pub(super) source: bool,
    pub(super) frequency: bool,
    pub(super) price: bool,
}

impl Splits {
    /// Names in any order, separated by commas.
    ///
    /// # Errors
    /// One of them is none.
    pub(super) fn parse(list: &str) -> Result<Self, String> {
        let mut splits = Self::default();
        for name in list.split(',') {
            let split = match name {
                "session" => &mut splits.session,
                "symbol" => &mut splits.symbol,
                "source" => &mut splits.source,
                "frequency" => &mut splits.frequency,
                "price" => &mut splits.price,
                _ => {
                    let all = "session, symbol, source, frequency, price";
                    return Err(format!("'{name}' is not one of {all}"));
                }
            };
            if std::mem::replace(split, true) {
                return Err(format!("'{name}' is named twice"));
            }
        }
        Ok(splits)
    }
}

/// What some metrics are about, as far as they are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) session: Option<i32>,
    /// Place of the instrument's name.
    pub(super) symbol: Option<usize>,
    pub(super) source: Option<Source>,
    /// The symbol as received, if sources are told apart.
    pub(super) received: Option<Symbol>,
    pub(super) step: Option<Step>,
    pub(super) side: Option<PriceSide>,
}

/// A count, and the first sessions in which something failed that nobody settled.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) count: Count,
    pub(super) sessions: BTreeSet<i32>,
    pub(super) session_count: usize,
}

/// A series in which something is flat.
type Flat = (usize, Option<(Symbol, Source)>, Step, PriceSide);

/// The counts of a part.
#[derive(Default)]
pub(super) struct Cells {
    /// By what is counted, and beside what.
    pub(super) of: BTreeMap<(Measure, Option<Arc<str>>), Cell>,
    /// Series of which some close is stale.
    pub(super) flat: BTreeSet<Flat>,
}

/// See the module.
pub(super) struct Fold<'a> {
    pub(super) asked: &'a Asked,
    pub(super) groups: &'a Groups,
    pub(super) splits: Splits,
    /// How rules are applied.
    pub(super) rules: RuleSet,
    pub(super) parts: BTreeMap<Part, Cells>,
    /// Whether there is anything to look at.
    pub(super) is_any_there: bool,
    /// Rows that were looked at.
    rows: u64,
}

impl<'a> Fold<'a> {
    pub(super) fn new(asked: &'a Asked, groups: &'a Groups, splits: Splits) -> Self {
        let rules = RuleSet::by_default(asked.schema.dataset);
        let parts = BTreeMap::new();
        Self { asked, groups, splits, rules, parts, is_any_there: false, rows: 0 }
    }

    /// Looks at everything.
    ///
    /// # Errors
    /// It cannot be read; the parts are more than an answer holds.
    pub(super) fn run(&mut self, snapshot: &Snapshot) -> Result<(), Problem> {
        let failed = |error| Problem::read(&error);
        let asked = self.asked;
        let reference = Reference::at(snapshot, asked.as_of, asked.at_sequence).map_err(failed)?;
        self.rules = RuleSet::of(&reference, asked.schema.dataset);
        for group in &self.groups.groups {
            let mut quality = snapshot.quality(group.query.clone()).map_err(failed)?;
            while let Some(found) = quality.next().map_err(failed)? {
                self.is_any_there |= found.is_there;
                for finding in found.findings {
                    self.add(group, found.instrument, finding);
                }
                if self.parts.len() > PARTS_MAX {
                    let detail = format!(
                        "by: there are more than {PARTS_MAX} parts; ask for fewer symbols or \
                         dates, or tell fewer things apart"
                    );
                    return Err(Problem::new(Code::InvalidParameter, detail).about("by"));
                }
            }
        }
        if self.splits == Splits::default() {
            self.name_every_rule();
        }
        Ok(())
    }

    /// Where nothing is told apart, what was never looked at is told, too.
    fn name_every_rule(&mut self) {
        let cells = self.parts.entry(Part::default()).or_default();
        for setting in self.rules.iter().filter(|setting| setting.enabled) {
            if setting.rule.id != RuleId::NullRate {
                cells.of.entry((Measure::Rule(setting.rule.id), None)).or_default();
            }
        }
        for measure in [Measure::Rows, Measure::DeadLetters] {
            cells.of.entry((measure, None)).or_default();
        }
    }

    fn add(&mut self, group: &Group, instrument: Option<usize>, finding: Finding) {
        let Finding { date, series, beside, measure, count } = finding;
        if measure == Measure::Rows {
            self.rows += count.tested;
        }
        let splits = self.splits;
        let symbol = instrument.map(|place| group.names[place]);
        let of_source = series.clone().filter(|_| splits.source);
        let (received, source) = of_source.unzip();
        let part = Part {
            session: splits.session.then_some(date),
            symbol: symbol.filter(|_| splits.symbol),
            source,
            received: received.filter(|_| splits.symbol),
            step: splits.frequency.then_some(group.query.step),
            side: splits.price.then_some(group.query.side),
        };
        let cells = self.parts.entry(part).or_default();
        let cell = cells.of.entry((measure, beside.filter(|_| splits.source))).or_default();
        cell.count.add(&count);
        if count.open > 0 && !cell.sessions.contains(&date) {
            // Dates of a series come in order, those of several may come again.
            cell.session_count += 1;
            if cell.sessions.len() < SESSIONS_MAX {
                cell.sessions.insert(date);
            }
        }
        if measure == Measure::Rule(RuleId::StalePrice)
            && count.open > 0
            && let Some(symbol) = symbol
        {
            cells.flat.insert((symbol, series, group.query.step, group.query.side));
        }
    }

    /// What a person should know beside the metrics.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.groups.warnings.clone();
        if self.rows == 0 && self.asked.as_of.is_some() {
            let warning = "nothing of this was known at as_of: a later one shows what came since";
            warnings.push(warning.to_owned());
        }
        warnings
    }

    /// Everything as metrics, in order.
    pub(super) fn metrics(&self) -> Vec<Metric<'_>> {
        let of_part = |(part, cells)| Metric::all(self, part, cells);
        self.parts.iter().flat_map(of_part).collect()
    }
}
