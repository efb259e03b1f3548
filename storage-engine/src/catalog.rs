//! Which series there are, key to number and back, which tables users have defined, and the floors
//! of retention. Shared by every generation.

mod index;

use std::collections::BTreeMap;
use std::sync::Arc;

use barrow_types::{
    DatasetId, PriceSide, Sequence, SeriesId, SeriesKey, Source, Step, Symbol, Timestamp,
};
use parking_lot::RwLock;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::dataset::retention::{Floors, SetFloor};
use crate::dataset::tables::{self, Definition, Fault, Table, TableVersion};
use crate::dataset::{self, Schema};

use index::Index;

/// The ledgers come first and have fixed numbers, so that a store can be read before its series
/// are known.
pub(crate) const LEDGERS: [DatasetId; 4] =
    [DatasetId::BATCHES, DatasetId::DEAD_LETTERS, DatasetId::SOURCE_FACTS, DatasetId::SERIES];

/// The series of a ledger.
pub(crate) fn ledger_series(dataset: DatasetId) -> SeriesId {
    let place = LEDGERS.iter().position(|&ledger| ledger == dataset);
    let place = place.expect("invariant: only ledgers are asked for");
    SeriesId::new(u32::try_from(place).expect("invariant: there are four ledgers"))
}

/// What the series of a batch have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) dataset: DatasetId,
    pub(crate) step: Step,
    pub(crate) side: PriceSide,
    pub(crate) source: &'a str,
}

impl<'a> Group<'a> {
    fn of(key: &'a SeriesKey) -> Self {
        let SeriesKey { dataset, step, side, .. } = *key;
        Self { dataset, step, side, source: key.source.as_str() }
    }

    fn hash(&self, symbol: &str) -> u64 {
        let [low, high] = self.dataset.get().to_le_bytes();
        let codes = [low, high, self.step.code(), self.side.code(), 0, 0, 0, 0];
        let of_group = xxh3_64_with_seed(self.source.as_bytes(), u64::from_le_bytes(codes));
        xxh3_64_with_seed(symbol.as_bytes(), of_group)
    }
}

/// A series and the record that brought it.
struct Entry {
    key: Arc<SeriesKey>,
    id: SeriesId,
    since: Sequence,
}

#[derive(Default)]
struct Inner {
    by_id: Vec<Arc<SeriesKey>>,
    index: Index,
    by_symbol: BTreeMap<DatasetId, BTreeMap<Symbol, Vec<Entry>>>,
}

/// The series and the tables of a store.
pub(crate) struct Catalog {
    inner: RwLock<Inner>,
    /// In order of their numbers.
    tables: RwLock<Vec<Table>>,
    floors: RwLock<Floors>,
}

impl Catalog {
    /// Only the ledgers.
    pub(crate) fn new() -> Self {
        let catalog =
            Self { inner: RwLock::default(), tables: RwLock::default(), floors: RwLock::default() };
        let name = "-";
        for dataset in LEDGERS {
            let key = SeriesKey {
                dataset,
                symbol: Symbol::new(name).expect("invariant: a dash is a name"),
                step: Step::Tick,
                side: PriceSide::Trade,
                source: Source::new(name).expect("invariant: a dash is a name"),
            };
            catalog.add(key, Sequence::ZERO);
        }
        catalog
    }

    /// Adds a version of a table, which record `since` brought at `known_at`. It follows on what is
    /// there.
    pub(crate) fn define(&self, definition: &Definition, since: Sequence, known_at: Timestamp) {
        let (schema, extra) = (definition.schema(), definition.extra);
        let version = TableVersion { schema, extra, since, known_at };
        let mut tables = self.tables.write();
        let place = tables::place_of(definition.dataset).expect("invariant: it was checked");
        match tables.get_mut(place) {
            Some(table) => table.add(version),
            None => tables.push(Table::new(version)),
        }
    }

    /// Adds a version of a floor, of a later record than those before it.
    pub(crate) fn set_floor(&self, set: SetFloor) {
        self.floors.write().add(set);
    }

    /// The floor of a dataset and step that some record up to `sequence` set.
    pub(crate) fn floor(
        &self,
        dataset: DatasetId,
        step: Step,
        sequence: Sequence,
    ) -> Option<SetFloor> {
        self.floors.read().at(dataset, step, sequence).copied()
    }

    /// All such floors, in order of datasets and steps.
    pub(crate) fn floors(&self, sequence: Sequence) -> Vec<SetFloor> {
        self.floors.read().all(sequence)
    }

    /// Whether a version of a table comes next: see [`Definition::check_among`].
    pub(crate) fn check_next(&self, definition: &Definition) -> Result<Option<Definition>, Fault> {
        definition.check_among(&self.tables.read())
    }

    /// The table of that name, as it was at `sequence`.
    pub(crate) fn table(&self, name: &str, sequence: Sequence) -> Option<Table> {
        self.tables.read().iter().find(|table| table.name() == name)?.at(sequence)
    }

    /// The tables that were there at `sequence`, in order of their numbers, as they were then.
    pub(crate) fn tables(&self, sequence: Sequence) -> Vec<Table> {
        self.tables.read().iter().filter_map(|table| table.at(sequence)).collect()
    }

    /// What rows of a dataset look like to who asks for what was held at `sequence`: of a table,
    /// its newest version then, or its first.
    pub(crate) fn schema(&self, dataset: DatasetId, sequence: Sequence) -> Option<&'static Schema> {
        self.version(dataset, |versions| {
            let known = versions.partition_point(|version| version.since <= sequence);
            versions.get(known.max(1) - 1)
        })
    }

    /// The same for rows that were written as version `number`.
    pub(crate) fn schema_of(&self, dataset: DatasetId, number: u16) -> Option<&'static Schema> {
        self.version(dataset, |versions| versions.get(usize::from(number).checked_sub(1)?))
    }

    fn version(
        &self,
        dataset: DatasetId,
        choose: impl FnOnce(&[TableVersion]) -> Option<&TableVersion>,
    ) -> Option<&'static Schema> {
        let Some(place) = tables::place_of(dataset) else { return dataset::schema(dataset) };
        let tables = self.tables.read();
        choose(tables.get(place)?.versions()).map(|version| version.schema)
    }

    /// Gives `key`, which record `since` brought, the next number.
    pub(crate) fn add(&self, key: SeriesKey, since: Sequence) -> SeriesId {
        let mut inner = self.inner.write();
        let id = u32::try_from(inner.by_id.len()).expect("invariant: series_max is a u32");
        let id = SeriesId::new(id);
        let key = Arc::new(key);
        let hash = Group::of(&key).hash(key.symbol.as_str());
        inner.index.insert(hash, id.get());
        inner.by_id.push(Arc::clone(&key));
        let symbols = inner.by_symbol.entry(key.dataset).or_default();
        let of_symbol = symbols.entry(key.symbol.clone()).or_default();
        let place = of_symbol.partition_point(|other| other.key < key);
        of_symbol.insert(place, Entry { key, id, since });
        id
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().by_id.len()
    }

    /// The datasets that have a series.
    pub(crate) fn datasets(&self) -> Vec<DatasetId> {
        self.inner.read().by_symbol.keys().copied().collect()
    }

    /// The key of a series.
    pub(crate) fn key(&self, id: SeriesId) -> Option<Arc<SeriesKey>> {
        self.inner.read().by_id.get(id.index()).cloned()
    }

    /// The number of a key.
    pub(crate) fn find(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.find_each(&Group::of(key), [key.symbol.as_str()]).pop().flatten()
    }

    /// The numbers of the series of some symbols in a group, in the order of the symbols.
    pub(crate) fn find_each<'a>(
        &self,
        group: &Group<'_>,
        symbols: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Option<SeriesId>> {
        let inner = self.inner.read();
        let find = |symbol: &str| {
            let is_it = |id: u32| {
                let key = &inner.by_id[id as usize];
                key.symbol.as_str() == symbol && Group::of(key) == *group
            };
            inner.index.find(group.hash(symbol), is_it).map(SeriesId::new)
        };
        symbols.into_iter().map(find).collect()
    }

    /// The series of a dataset that were there at `sequence`, in order of their keys; of one
    /// symbol, if it is given.
    pub(crate) fn list(
        &self,
        dataset: DatasetId,
        symbol: Option<&str>,
        sequence: Sequence,
    ) -> Vec<(SeriesId, SeriesKey)> {
        let inner = self.inner.read();
        let Some(symbols) = inner.by_symbol.get(&dataset) else { return Vec::new() };
        let take = |entries: &[Entry]| {
            let known = entries.iter().filter(|entry| entry.since <= sequence);
            known.map(|entry| (entry.id, SeriesKey::clone(&entry.key))).collect::<Vec<_>>()
        };
        match symbol {
            None => symbols.values().flat_map(|entries| take(entries)).collect(),
            Some(symbol) => Symbol::new(symbol)
                .ok()
                .and_then(|symbol| symbols.get(&symbol))
                .map(|entries| take(entries))
                .unwrap_or_default(),
        }
    }
}
