//! What a reader holds on to: the live segments, the memtable above them, and the catalog.
//!
//! A generation lasts from one install to the next. Within it the memtable only grows, and a
//! snapshot is a generation together with a sequence: what lies above the sequence is not there.

use std::sync::Arc;

use barrow_types::{Sequence, SeriesId, Timestamp};
use parking_lot::RwLock;

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::memtable::{Memtable, Run};
use crate::segment::{Extent, Segment};
use crate::snapshot::Snapshot;

/// See the module.
pub(crate) struct Generation {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The extents of each series, in order of their segments.
    extents: Vec<Vec<Extent>>,
    pub(crate) memtable: Memtable,
    /// The memtable holds every record after this one.
    pub(crate) floor: Sequence,
}

impl Generation {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        catalog: Arc<Catalog>,
        segments: Vec<Arc<Segment>>,
        memtable: Memtable,
        floor: Sequence,
    ) -> Self {
        let mut extents: Vec<Vec<Extent>> = Vec::new();
        for segment in &segments {
            for (place, meta) in segment.extents.iter().enumerate() {
                let series = meta.series.index();
                if extents.len() <= series {
                    extents.resize_with(series + 1, Vec::new);
                }
                extents[series].push(Extent { segment: Arc::clone(segment), place });
            }
        }
        Self { disk, catalog, segments, extents, memtable, floor }
    }

    /// The runs of a series, oldest first.
    pub(crate) fn runs(&self, series: SeriesId) -> Vec<Arc<Run>> {
        self.memtable.slot(series).map(|slot| slot.runs()).unwrap_or_default()
    }

    /// The extents of a series.
    pub(crate) fn extents(&self, series: SeriesId) -> &[Extent] {
        self.extents.get(series.index()).map_or(&[], Vec::as_slice)
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
