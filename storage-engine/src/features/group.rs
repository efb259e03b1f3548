//! A group of features, ready to be computed.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_features::{Compiled, Definition, DefinitionError, Gap, Graph, Plan};
use barrow_types::{DatasetId, SeriesKey, Step};

use crate::aggregates::{Steps, ticks_of};
use crate::reference::Reference;
use crate::snapshot::Snapshot;

/// What its document says, and what became of it.
#[derive(Clone, Debug)]
pub struct FeatureGroup {
    /// What its document says.
    pub definition: Definition,
    /// What was made of it.
    pub compiled: Compiled,
    pub(super) plan: Plan,
}

impl FeatureGroup {
    /// Makes a definition ready.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(definition: Definition) -> Result<Self, DefinitionError> {
        let compiled = definition.compile()?;
        let plan = Plan::new(&compiled.graph).expect("invariant: a compiled graph can be run");
        Ok(Self { definition, compiled, plan })
    }

    /// What is computed.
    pub fn graph(&self) -> &Graph {
        &self.compiled.graph
    }

    /// What fields are in slots without a row.
    pub fn gap(&self) -> Gap {
        self.definition.options.gap()
    }

    /// The instruments that there may be slots for: their ids, in order.
    pub fn instruments(&self, snapshot: &Snapshot, reference: &Reference) -> BTreeSet<Arc<str>> {
        let mut all = BTreeSet::new();
        for dataset in [DatasetId::BARS, ticks_of(self.definition.bars.price)] {
            for (_, key) in snapshot.series(dataset, None) {
                if self.is_source(&key) {
                    let (source, symbol) = (key.source.as_str(), key.symbol.as_str());
                    let bound = reference.bindings(source, symbol).iter();
                    all.extend(bound.filter_map(|(_, instrument)| instrument.clone()));
                    all.insert(symbol.into());
                }
            }
        }
        all
    }

    /// Whether a series may bring slots.
    pub(super) fn is_source(&self, key: &SeriesKey) -> bool {
        let bars = &self.definition.bars;
        let is_wanted = bars.source.as_deref().is_none_or(|source| source == key.source.as_str());
        let reach = Steps::reach(bars.every);
        let is_near = match key.dataset {
            DatasetId::BARS => reach.has(key.step) && key.side == bars.price,
            ticks => ticks == ticks_of(bars.price) && reach.has(Step::Tick),
        };
        is_wanted && is_near
    }
}
