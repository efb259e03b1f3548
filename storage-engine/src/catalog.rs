//! Which series there are: key to number and back. Grows only; shared by every generation.

use std::collections::BTreeMap;
use std::sync::Arc;

use barrow_types::{DatasetId, PriceSide, SeriesId, SeriesKey, Source, Step, Symbol};
use parking_lot::RwLock;

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

/// The series of one symbol, in order of their keys.
type OfSymbol = Vec<(Arc<SeriesKey>, SeriesId)>;

#[derive(Default)]
struct Inner {
    by_id: Vec<Arc<SeriesKey>>,
    by_symbol: BTreeMap<DatasetId, BTreeMap<Symbol, OfSymbol>>,
}

/// The series of a store.
pub(crate) struct Catalog {
    inner: RwLock<Inner>,
}

impl Catalog {
    /// Only the ledgers.
    pub(crate) fn new() -> Self {
        let catalog = Self { inner: RwLock::default() };
        let name = "-";
        for dataset in LEDGERS {
            catalog.add(SeriesKey {
                dataset,
                symbol: Symbol::new(name).expect("invariant: a dash is a name"),
                step: Step::Tick,
                side: PriceSide::Trade,
                source: Source::new(name).expect("invariant: a dash is a name"),
            });
        }
        catalog
    }

    /// Gives `key` the next number.
    pub(crate) fn add(&self, key: SeriesKey) -> SeriesId {
        let mut inner = self.inner.write();
        let id = u32::try_from(inner.by_id.len()).expect("invariant: series_max is a u32");
        let id = SeriesId::new(id);
        let key = Arc::new(key);
        inner.by_id.push(Arc::clone(&key));
        let symbols = inner.by_symbol.entry(key.dataset).or_default();
        let of_symbol = symbols.entry(key.symbol.clone()).or_default();
        let place = of_symbol.partition_point(|(other, _)| *other < key);
        of_symbol.insert(place, (key, id));
        id
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().by_id.len()
    }

    /// The key of a series.
    pub(crate) fn key(&self, id: SeriesId) -> Option<Arc<SeriesKey>> {
        self.inner.read().by_id.get(id.index()).cloned()
    }

    /// The number of a key.
    pub(crate) fn find(&self, key: &SeriesKey) -> Option<SeriesId> {
        let inner = self.inner.read();
        let of_symbol = inner.by_symbol.get(&key.dataset)?.get(&key.symbol)?;
        of_symbol.iter().find(|(other, _)| **other == *key).map(|&(_, id)| id)
    }

    /// The series of a dataset in order of their keys, of one symbol if it is given.
    pub(crate) fn list(
        &self,
        dataset: DatasetId,
        symbol: Option<&str>,
    ) -> Vec<(SeriesId, SeriesKey)> {
        let inner = self.inner.read();
        let Some(symbols) = inner.by_symbol.get(&dataset) else { return Vec::new() };
        let take = |list: &[(Arc<SeriesKey>, SeriesId)]| {
            list.iter().map(|(key, id)| (*id, SeriesKey::clone(key))).collect::<Vec<_>>()
        };
        match symbol {
            None => symbols.values().flat_map(|list| take(list)).collect(),
            Some(symbol) => Symbol::new(symbol)
                .ok()
                .and_then(|symbol| symbols.get(&symbol))
                .map(|list| take(list))
                .unwrap_or_default(),
        }
    }
}
