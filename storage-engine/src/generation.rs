//! What a reader holds on to: the live segments, the memtable above them, and the catalog.
//!
//! A generation lasts from one install to the next. Within it the memtable only grows, and a
//! snapshot is a generation together with a sequence: what lies above the sequence is not there.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use barrow_types::{Sequence, SeriesId, Timestamp};
use parking_lot::RwLock;

use crate::aggregates::Tiles;
use crate::catalog::Catalog;
use crate::dataset::facts::REFERENCE;
use crate::disk::Disk;
use crate::features::{Checkpoints, StoredCells};
use crate::gaps::Masks;
use crate::memtable::{Memtable, Run};
use crate::reference::Facts;
use crate::rows::Rows;
use crate::segment::{Extent, Segment};
use crate::snapshot::Snapshot;

/// See the module.
pub(crate) struct Generation {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The extents of each series, those of one segment in their order there. Generations share
    /// the lists that are alike.
    extents: Vec<Arc<Vec<Extent>>>,
    /// The newest visible row of each series in segments, once it was asked for.
    newest: Vec<OnceLock<Option<Arc<Rows>>>>,
    pub(crate) memtable: Arc<Memtable>,
    /// The memtable holds every record after this one.
    pub(crate) floor: Sequence,
    /// States of the facts that were read; of all generations.
    pub(crate) facts: Arc<Facts>,
    /// Masks that were made; of all generations.
    pub(crate) masks: Arc<Masks>,
    /// Bars that were made of others; of all generations.
    pub(crate) tiles: Arc<Tiles>,
    /// States of kernels; of all generations.
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Cells of features in files; of all generations.
    pub(crate) cells: Arc<StoredCells>,
}

impl Generation {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        catalog: Arc<Catalog>,
        segments: Vec<Arc<Segment>>,
        memtable: Memtable,
        floor: Sequence,
    ) -> Self {
        let mut extents = Vec::new();
        for segment in &segments {
            add_extents(&mut extents, segment);
        }
        let newest = unknown(extents.len());
        let facts = Arc::new(Facts::new());
        for dataset in REFERENCE {
            for (series, _) in catalog.list(dataset, None, Sequence::MAX) {
                for extent in extents.get(series.index()).into_iter().flat_map(|all| all.iter()) {
                    let zone = extent.meta().zone;
                    facts.note(zone.sequence.max, zone.known_at.max);
                }
            }
        }
        let memtable = Arc::new(memtable);
        Self {
            disk,
            catalog,
            segments,
            extents,
            newest,
            memtable,
            floor,
            facts,
            masks: Arc::default(),
            tiles: Arc::default(),
            checkpoints: Arc::default(),
            cells: Arc::default(),
        }
    }

    /// This generation after a flush of everything up to `floor` into `segment`.
    pub(crate) fn flushed(&self, segment: Segment, floor: Sequence) -> Self {
        let memtable = Arc::new(self.memtable.above(floor));
        self.changed(vec![segment], &BTreeSet::new(), memtable, floor)
    }

    /// This generation after `added` took the place of the segments `removed`.
    pub(crate) fn compacted(&self, added: Vec<Segment>, removed: &BTreeSet<u64>) -> Self {
        self.changed(added, removed, Arc::clone(&self.memtable), self.floor)
    }

    /// This generation without what is in memory: whoever holds it for long keeps no rows there.
    pub(crate) fn in_segments(&self) -> Self {
        let nothing = Arc::new(Memtable::with_slots(0));
        self.changed(Vec::new(), &BTreeSet::new(), nothing, self.floor)
    }

    fn changed(
        &self,
        added: Vec<Segment>,
        removed: &BTreeSet<u64>,
        memtable: Arc<Memtable>,
        floor: Sequence,
    ) -> Self {
        let is_removed = |segment: &Segment| removed.contains(&segment.number);
        let mut extents = self.extents.clone();
        let mut segments = self.segments.clone();
        let touched: BTreeSet<usize> = segments
            .iter()
            .filter(|segment| is_removed(segment))
            .flat_map(|segment| segment.extents.iter().map(|meta| meta.series.index()))
            .collect();
        for series in touched {
            Arc::make_mut(&mut extents[series]).retain(|extent| !is_removed(&extent.segment));
        }
        segments.retain(|segment| !is_removed(segment));
        for segment in added.into_iter().map(Arc::new) {
            add_extents(&mut extents, &segment);
            segments.push(segment);
        }
        Self {
            disk: Arc::clone(&self.disk),
            catalog: Arc::clone(&self.catalog),
            segments,
            newest: unknown(extents.len()),
            extents,
            memtable,
            floor,
            facts: Arc::clone(&self.facts),
            masks: Arc::clone(&self.masks),
            tiles: Arc::clone(&self.tiles),
            checkpoints: Arc::clone(&self.checkpoints),
            cells: Arc::clone(&self.cells),
        }
    }

    /// The runs of a series, oldest first.
    pub(crate) fn runs(&self, series: SeriesId) -> Vec<Run> {
        self.memtable.slot(series).map(|slot| slot.runs()).unwrap_or_default()
    }

    /// Where the newest visible row that segments have of a series is kept, if they have any.
    pub(crate) fn newest(&self, series: SeriesId) -> Option<&OnceLock<Option<Arc<Rows>>>> {
        self.newest.get(series.index())
    }

    /// The extents of a series.
    pub(crate) fn extents(&self, series: SeriesId) -> &[Extent] {
        self.extents.get(series.index()).map_or(&[], |extents| extents.as_slice())
    }
}

fn unknown(series: usize) -> Vec<OnceLock<Option<Arc<Rows>>>> {
    std::iter::repeat_with(OnceLock::new).take(series).collect()
}

fn add_extents(extents: &mut Vec<Arc<Vec<Extent>>>, segment: &Arc<Segment>) {
    for (place, meta) in segment.extents.iter().enumerate() {
        let series = meta.series.index();
        if extents.len() <= series {
            extents.resize_with(series + 1, Arc::default);
        }
        let list = Arc::make_mut(&mut extents[series]);
        list.push(Extent { segment: Arc::clone(segment), place });
    }
}

/// Where the writer leaves the newest state for readers, who hold the lock only as long as it takes
/// to copy a pointer and two numbers.
pub(crate) struct Published(RwLock<State>);

struct State {
    generation: Arc<Generation>,
    sequence: Sequence,
    now: Timestamp,
}

impl Published {
    pub(crate) fn new(generation: Generation, sequence: Sequence, now: Timestamp) -> Self {
        Self(RwLock::new(State { generation: Arc::new(generation), sequence, now }))
    }

    /// The newest state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.0.read();
        Snapshot::new(Arc::clone(&state.generation), state.sequence, state.now)
    }

    /// The state as the writer sees it while a group is half applied.
    pub(crate) fn snapshot_at(&self, sequence: Sequence, now: Timestamp) -> Snapshot {
        Snapshot::new(self.generation(), sequence, now)
    }

    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.0.read().generation)
    }

    /// Makes everything up to `sequence` visible.
    pub(crate) fn advance_to(&self, sequence: Sequence, now: Timestamp) {
        let mut state = self.0.write();
        state.sequence = sequence;
        state.now = now;
    }

    pub(crate) fn install(&self, generation: Generation) {
        self.0.write().generation = Arc::new(generation);
    }
}
