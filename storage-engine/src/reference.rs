//! Facts that any question may need, read whole: calendars, bindings, instruments, actions,
//! settings, rules and definitions, as they are visible at one (T, N).
//!
//! Facts are rows like any other ([`crate::dataset::facts`]). They are few beside the rows they
//! speak of, so the newest state is read once and kept until a record brings another fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use barrow_types::{DAY_NANOS, DatasetId, Nanos, Sequence, SeriesKey, Timestamp};

use crate::calendar::{Calendar, Day, Hours};
use crate::dataset::{self, facts};
use crate::error::Error;
use crate::rows::{Column, Rows, Values};
use crate::snapshot::{Revisions, Scan, Snapshot, text};

/// How many states are kept: the newest and some that questions asked for.
const KEPT_MAX: usize = 4;

/// What settings of publish delays begin with; the source follows.
const PUBLISH_DELAY: &str = "publish_delay:";

/// What settings of calendars are of: `zone:NAME` and `version:NAME`.
const CALENDARS: &str = "calendars";

/// Something that holds from an instant on, until the next of its kind.
pub type Since<T> = Vec<(i64, T)>;

/// A source and a symbol of it.
type Listing = (Arc<str>, Arc<str>);

/// Attributes of one instrument, and what each was over time.
type Attributes = BTreeMap<Arc<str>, Since<Option<Arc<str>>>>;

/// A corporate action.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Days from 1970-01-01 to the ex-date.
    pub ex_date: i64,
    /// `split` or `dividend`.
    pub kind: String,
    /// New shares for one old, or cash for one share.
    pub value: f64,
    /// Since when it is known.
    pub known_at: Timestamp,
}

/// How a rule is applied, as far as a fact says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFact {
    /// Whether it is applied.
    pub enabled: Option<bool>,
    /// `info`, `warn` or `error`.
    pub severity: Option<String>,
    /// `flag`, `quarantine` or `reject`.
    pub action: Option<String>,
    /// `name=number` separated by spaces.
    pub thresholds: Option<String>,
}

/// A version of something that is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionFact {
    /// Its version.
    pub version: Arc<str>,
    /// What is defined: `FeatureSet`.
    pub kind: Arc<str>,
    /// JSON.
    pub document: Arc<str>,
    /// Since when Barrow has it.
    pub known_at: Timestamp,
    /// The record that brought it.
    pub sequence: Sequence,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reference {
    /// (source, symbol) to what it is bound to.
    bindings: BTreeMap<Listing, Since<Option<Arc<str>>>>,
    /// Instrument to the (source, symbol) that are ever bound to it.
    bound: BTreeMap<Arc<str>, BTreeSet<Listing>>,
    /// Instrument and attribute to values.
    attributes: BTreeMap<Arc<str>, Attributes>,
    /// Name to the instruments that ever have it.
    named: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    actions: BTreeMap<Arc<str>, Vec<Action>>,
    calendars: BTreeMap<Arc<str>, Arc<Calendar>>,
    settings: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<str>>>,
    rules: BTreeMap<Arc<str>, BTreeMap<Arc<str>, RuleFact>>,
    definitions: BTreeMap<Arc<str>, Vec<DefinitionFact>>,
}

/// The last of `since` that is not after `at`.
fn in_force<T>(since: &Since<T>, at: Timestamp) -> Option<&T> {
    let end = since.partition_point(|(from, _)| *from <= at.nanos());
    end.checked_sub(1).map(|last| &since[last].1)
}

impl Reference {
    /// The facts visible in `snapshot` at (T, N).
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn at(
        snapshot: &Snapshot,
        as_of: Option<Timestamp>,
        at_sequence: Option<Sequence>,
    ) -> Result<Arc<Self>, Error> {
        let generation = snapshot.generation();
        let facts = &generation.facts;
        let newest = facts.newest();
        let sequence = at_sequence.unwrap_or(Sequence::MAX).min(snapshot.sequence());
        let key = Key {
            newest,
            known_at: as_of.unwrap_or(Timestamp::MAX).nanos().min(facts.known_at_max()),
            sequence: sequence.get().min(newest),
        };
        if let Some(kept) = facts.kept(key) {
            return Ok(kept);
        }
        let mut loader = Loader { snapshot, as_of, at_sequence, found: Self::default() };
        loader.load()?;
        let found = Arc::new(loader.found);
        facts.keep(key, &found);
        Ok(found)
    }

    /// What a source's symbol is bound to over time; nothing if no binding was ever stated.
    pub fn bindings(&self, source: &str, symbol: &str) -> &[(i64, Option<Arc<str>>)] {
        self.bindings.get(&(source.into(), symbol.into())).map_or(&[], Vec::as_slice)
    }

    /// The sources and symbols that are at any time bound to `instrument` by a fact.
    pub fn bound_to(&self, instrument: &str) -> impl Iterator<Item = (&str, &str)> {
        let bound = self.bound.get(instrument).into_iter().flatten();
        bound.map(|(source, symbol)| (&**source, &**symbol))
    }

    /// The instruments of which a fact says anything: an attribute, a binding, an action.
    pub fn instruments(&self) -> BTreeSet<&str> {
        let all = self.attributes.keys().chain(self.bound.keys()).chain(self.actions.keys());
        all.map(|instrument| &**instrument).collect()
    }

    /// The attributes of `instrument` over time.
    pub fn attributes(
        &self,
        instrument: &str,
    ) -> impl Iterator<Item = (&str, &Since<Option<Arc<str>>>)> {
        let attributes = self.attributes.get(instrument).into_iter().flatten();
        attributes.map(|(attribute, since)| (&**attribute, since))
    }

    /// The value of an attribute over time.
    pub fn attribute(&self, instrument: &str, attribute: &str) -> &[(i64, Option<Arc<str>>)] {
        let attributes = self.attributes.get(instrument);
        attributes.and_then(|of| of.get(attribute)).map_or(&[], Vec::as_slice)
    }

    /// Whether an attribute is from `at` on for ever what it is then.
    pub fn keeps(&self, instrument: &str, attribute: &str, at: Timestamp) -> bool {
        self.attribute(instrument, attribute).iter().all(|(since, _)| *since <= at.nanos())
    }

    /// The value of an attribute in force at `at`.
    pub fn attribute_at(&self, instrument: &str, attribute: &str, at: Timestamp) -> Option<&str> {
        let attributes = self.attributes.get(instrument)?;
        in_force(attributes.get(attribute)?, at)?.as_deref()
    }

    /// The instrument that has `name` at `at`: by a name of its own, else by the binding of a
    /// symbol of that name of one of `sources`, in their order.
    pub fn named(&self, name: &str, at: Timestamp, sources: &[&str]) -> Option<Arc<str>> {
        let has_name = |instrument: &&Arc<str>| {
            self.attribute_at(instrument, "name", at).is_some_and(|own| own == name)
        };
        if let Some(found) = self.named.get(name).and_then(|all| all.iter().find(has_name)) {
            return Some(Arc::clone(found));
        }
        let bound = |source: &&str| {
            in_force(self.bindings.get(&((*source).into(), name.into()))?, at)?.clone()
        };
        sources.iter().find_map(bound)
    }

    /// The instrument that a question about times of a dataset before `end` names: behind `id:`
    /// stands an id; a name that nobody has is one too.
    pub fn instrument(&self, dataset: &str, name: &str, end: Timestamp) -> Arc<str> {
        if let Some(id) = name.strip_prefix("id:") {
            return Arc::from(id);
        }
        let sources = self.setting(dataset, "sources").unwrap_or_default();
        let sources: Vec<&str> = sources.split_whitespace().collect();
        // The end is not in the range, so that a name that begins with it is another's.
        let last = Timestamp::from_nanos(end.nanos().saturating_sub(1));
        self.named(name, last, &sources).unwrap_or_else(|| name.into())
    }

    /// The instruments that a name means at any time.
    pub(crate) fn ever_named(&self, name: &str) -> BTreeSet<Arc<str>> {
        let own = name.strip_prefix("id:").unwrap_or(name);
        let by_name = self.named.get(name).into_iter().flatten().cloned();
        let of_symbol = self.bindings.iter().filter(|((_, symbol), _)| **symbol == *name);
        let bound = of_symbol.flat_map(|(_, since)| since.iter().filter_map(|(_, it)| it.clone()));
        by_name.chain(bound).chain([own.into()]).collect()
    }

    /// The actions of `instrument` in order of their ex-dates.
    pub fn actions(&self, instrument: &str) -> &[Action] {
        self.actions.get(instrument).map_or(&[], Vec::as_slice)
    }

    /// The calendar of that name: the embedded one with the days that facts state, or one that
    /// facts alone make.
    pub fn calendar(&self, name: &str) -> Option<Arc<Calendar>> {
        self.calendars.get(name).cloned().or_else(|| Calendar::embedded(name))
    }

    /// The names of calendars of which facts speak.
    pub fn calendars(&self) -> impl Iterator<Item = &str> {
        self.calendars.keys().map(|name| &**name)
    }

    /// A setting of a dataset.
    pub fn setting(&self, dataset: &str, key: &str) -> Option<&str> {
        self.settings.get(dataset)?.get(key).map(|value| &**value)
    }

    /// The settings of a dataset in order of their keys.
    pub fn settings(&self, dataset: &str) -> impl Iterator<Item = (&str, &str)> {
        let settings = self.settings.get(dataset).into_iter().flatten();
        settings.map(|(key, value)| (&**key, &**value))
    }

    /// How long after a bar's end `source` publishes it.
    pub fn publish_delay(&self, dataset: &str, source: &str) -> Nanos {
        let setting = self.setting(dataset, &format!("{PUBLISH_DELAY}{source}"));
        Nanos::new(setting.and_then(|value| value.parse().ok()).unwrap_or_default())
    }

    /// The longest of all sources.
    pub fn publish_delay_max(&self, dataset: &str) -> Nanos {
        let delays = self.settings(dataset).filter(|(key, _)| key.starts_with(PUBLISH_DELAY));
        let longest = delays.filter_map(|(_, value)| value.parse().ok()).max();
        Nanos::new(longest.unwrap_or_default())
    }

    /// What facts say of a rule of a dataset.
    pub fn rule(&self, dataset: &str, rule: &str) -> Option<&RuleFact> {
        self.rules.get(dataset)?.get(rule)
    }

    /// What facts say of the rules of a dataset.
    pub fn rules(&self, dataset: &str) -> impl Iterator<Item = (&str, &RuleFact)> {
        let rules = self.rules.get(dataset).into_iter().flatten();
        rules.map(|(rule, fact)| (&**rule, fact))
    }

    /// The versions of a definition, in the order in which they came.
    pub fn definitions(&self, name: &str) -> &[DefinitionFact] {
        self.definitions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of what is defined.
    pub fn defined(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(|name| &**name)
    }
}

/// Gathers the facts of one (T, N).
struct Loader<'a> {
    snapshot: &'a Snapshot,
    as_of: Option<Timestamp>,
    at_sequence: Option<Sequence>,
    found: Reference,
}

impl Loader<'_> {
    fn load(&mut self) -> Result<(), Error> {
        let mut days: BTreeMap<Arc<str>, Vec<(i32, Day)>> = BTreeMap::new();
        for dataset in facts::REFERENCE {
            for (series, key) in self.snapshot.series(dataset, None) {
                let schema = dataset::schema(dataset).expect("invariant: facts have schemas");
                let mut scanner = self.snapshot.scan(Scan {
                    series,
                    start: Timestamp::MIN,
                    end: Timestamp::MAX,
                    columns: schema.columns.iter().map(|column| column.id).collect(),
                    as_of: self.as_of,
                    at_sequence: self.at_sequence,
                    revisions: Revisions::Visible,
                })?;
                while let Some(rows) = scanner.next()? {
                    for at in 0..rows.len() {
                        if dataset == DatasetId::CALENDAR_DAYS {
                            let of = days.entry(key.symbol.as_str().into()).or_default();
                            of.extend(day(&rows, at));
                        } else {
                            self.add(&key, &rows, at);
                        }
                    }
                }
            }
        }
        for (name, days) in days {
            let calendar = match Calendar::embedded(&name) {
                Some(calendar) => calendar.with_days(days),
                None => {
                    let zone = self.found.setting(CALENDARS, &format!("zone:{name}"));
                    let version = self.found.setting(CALENDARS, &format!("version:{name}"));
                    let (zone, version) = (zone.unwrap_or("UTC"), version.unwrap_or("facts"));
                    Calendar::empty(&name, zone, version).with_days(days)
                }
            };
            self.found.calendars.insert(name, Arc::new(calendar));
        }
        Ok(())
    }

    /// Adds row `at`; rows of a series come in order of `ts`.
    fn add(&mut self, key: &SeriesKey, rows: &Rows, at: usize) {
        let subject: Arc<str> = key.symbol.as_str().into();
        let ts = rows.ts[at];
        let found = &mut self.found;
        match key.dataset {
            DatasetId::BINDINGS => {
                let source: Arc<str> = key.source.as_str().into();
                let instrument = name(&rows.columns[0], at);
                if let Some(instrument) = &instrument {
                    let bound = found.bound.entry(Arc::clone(instrument)).or_default();
                    bound.insert((Arc::clone(&source), Arc::clone(&subject)));
                }
                found.bindings.entry((source, subject)).or_default().push((ts, instrument));
            }
            DatasetId::INSTRUMENTS => {
                let attribute: Arc<str> = text(&rows.columns[0], at).into();
                let value = name(&rows.columns[1], at);
                if let Some(value) = value.as_ref().filter(|_| &*attribute == "name") {
                    let named = found.named.entry(Arc::clone(value)).or_default();
                    named.insert(Arc::clone(&subject));
                }
                let attributes = found.attributes.entry(subject).or_default();
                attributes.entry(attribute).or_default().push((ts, value));
            }
            DatasetId::ACTIONS => {
                if let Some(value) = double(&rows.columns[1], at) {
                    found.actions.entry(subject).or_default().push(Action {
                        ex_date: ts.div_euclid(DAY_NANOS),
                        kind: text(&rows.columns[0], at).to_owned(),
                        value,
                        known_at: Timestamp::from_nanos(rows.known_at[at]),
                    });
                }
            }
            DatasetId::SETTINGS => {
                if let Some(value) = name(&rows.columns[1], at) {
                    let settings = found.settings.entry(subject).or_default();
                    settings.insert(text(&rows.columns[0], at).into(), value);
                }
            }
            DatasetId::RULES => {
                let (rule, fact) = rule_fact(rows, at);
                found.rules.entry(subject).or_default().insert(rule.into(), fact);
            }
            DatasetId::DEFINITIONS => {
                let own = |place: usize| name(&rows.columns[place], at);
                if let (Some(version), Some(kind), Some(document)) = (own(0), own(1), own(2)) {
                    let known_at = Timestamp::from_nanos(rows.known_at[at]);
                    let sequence = Sequence::new(rows.sequence[at]);
                    let fact = DefinitionFact { version, kind, document, known_at, sequence };
                    let versions = found.definitions.entry(subject).or_default();
                    let place = versions.partition_point(|other| other.sequence <= sequence);
                    versions.insert(place, fact);
                }
            }
            _ => unreachable!("invariant: these are the datasets that are read whole"),
        }
    }
}

/// The rule that a fact is about, and what it says.
pub(crate) fn rule_fact(rows: &Rows, at: usize) -> (String, RuleFact) {
    let own = |place: usize| name(&rows.columns[place], at).map(|value| value.to_string());
    let fact = RuleFact {
        enabled: long(&rows.columns[1], at).map(|enabled| enabled != 0),
        severity: own(2),
        action: own(3),
        thresholds: own(4),
    };
    (text(&rows.columns[0], at).to_owned(), fact)
}

/// The day that a fact states; none if its hours cannot be.
fn day(rows: &Rows, at: usize) -> Option<(i32, Day)> {
    let date = i32::try_from(rows.ts[at].div_euclid(DAY_NANOS)).ok()?;
    let columns = &rows.columns;
    let time = |place: usize| long(&columns[place], at);
    match &*name(&columns[0], at)? {
        "closed" => Some((date, Day::Closed)),
        _ => {
            let (open, close) = (time(1)?, time(2)?);
            let pause = time(3).zip(time(4));
            let pre_open = time(5).unwrap_or(open);
            let post_close = time(6).unwrap_or(close);
            let hours = Hours::new(open, close, pause, pre_open, post_close).ok()?;
            Some((date, Day::Session(hours)))
        }
    }
}

/// A text, if there is one that is not empty.
fn name(column: &Column, at: usize) -> Option<Arc<str>> {
    column.is_valid(at).then(|| text(column, at)).filter(|text| !text.is_empty()).map(Arc::from)
}

pub(crate) fn long(column: &Column, at: usize) -> Option<i64> {
    match &column.values {
        Values::I64(values) if column.is_valid(at) => Some(values[at]),
        _ => None,
    }
}

fn double(column: &Column, at: usize) -> Option<f64> {
    match &column.values {
        Values::F64(values) if column.is_valid(at) => Some(values[at]),
        _ => None,
    }
}

/// What a state of the facts depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    newest: u64,
    known_at: i64,
    sequence: u64,
}

/// States of the facts that were read before. Shared by the generations of a store.
pub(crate) struct Facts {
    inner: parking_lot::Mutex<Inner>,
}

struct Inner {
    /// The last record that brought a fact.
    newest: u64,
    /// The greatest `known_at` of any fact.
    known_at_max: i64,
    kept: Vec<(Key, Arc<Reference>)>,
}

impl Facts {
    pub(crate) fn new() -> Self {
        let inner = Inner { newest: 0, known_at_max: i64::MIN, kept: Vec::new() };
        Self { inner: parking_lot::Mutex::new(inner) }
    }

    /// Notes facts of record `sequence` or older ones that are known since `known_at` at last.
    pub(crate) fn note(&self, sequence: u64, known_at: i64) {
        let mut inner = self.inner.lock();
        inner.newest = inner.newest.max(sequence);
        inner.known_at_max = inner.known_at_max.max(known_at);
    }

    /// The last record that brought a fact.
    pub(crate) fn newest(&self) -> u64 {
        self.inner.lock().newest
    }

    fn known_at_max(&self) -> i64 {
        self.inner.lock().known_at_max
    }

    fn kept(&self, key: Key) -> Option<Arc<Reference>> {
        let inner = self.inner.lock();
        let found = inner.kept.iter().find(|(kept, _)| *kept == key);
        found.map(|(_, reference)| Arc::clone(reference))
    }

    fn keep(&self, key: Key, reference: &Arc<Reference>) {
        let mut inner = self.inner.lock();
        if key.newest != inner.newest || inner.kept.iter().any(|(kept, _)| *kept == key) {
            return;
        }
        inner.kept.retain(|(kept, _)| kept.newest == key.newest);
        if inner.kept.len() == KEPT_MAX {
            inner.kept.remove(0);
        }
        inner.kept.push((key, Arc::clone(reference)));
    }
}
