//! What a reader holds on to: the live segments, the memtable above them, and the catalog.
//!
//! A generation lasts from one install to the next. Within it the memtable only grows, and a
//! snapshot is a generation together with a sequence: what lies above the sequence is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use barrow_types::{Sequence, SeriesId, Timestamp};
use parking_lot::RwLock;

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::memtable::Memtable;
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
}

impl Generation {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        catalog: Arc<Catalog>,
        segments: Vec<Arc<Segment>>,
        memtable: Memtable,
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
        Self { disk, catalog, segments, extents, memtable }
    }

    /// The extents of a series.
    pub(crate) fn extents(&self, series: SeriesId) -> &[Extent] {
        self.extents.get(series.index()).map_or(&[], Vec::as_slice)
    }
}

/// Where the writer leaves the newest generation and sequence for readers.
pub(crate) struct Published {
    generation: RwLock<Arc<Generation>>,
    sequence: AtomicU64,
    now: AtomicI64,
}

impl Published {
    pub(crate) fn new(generation: Generation, sequence: Sequence, now: Timestamp) -> Self {
        Self {
            generation: RwLock::new(Arc::new(generation)),
            sequence: AtomicU64::new(sequence.get()),
            now: AtomicI64::new(now.nanos()),
        }
    }

    /// The newest state. The sequence is read first: a generation that is installed in between
    /// holds every row up to it, and the rows above it are not looked at.
    pub(crate) fn snapshot(&self) -> Snapshot {
        // Pairs with the store in `advance_to`: rows pushed before it are seen.
        let sequence = Sequence::new(self.sequence.load(Ordering::Acquire));
        let now = Timestamp::from_nanos(self.now.load(Ordering::Relaxed));
        let generation = Arc::clone(&self.generation.read());
        Snapshot::new(generation, sequence, now)
    }

    /// The state as the writer sees it while a group is half applied.
    pub(crate) fn snapshot_at(&self, sequence: Sequence, now: Timestamp) -> Snapshot {
        Snapshot::new(Arc::clone(&self.generation.read()), sequence, now)
    }

    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.read())
    }

    /// Makes everything up to `sequence` visible.
    pub(crate) fn advance_to(&self, sequence: Sequence, now: Timestamp) {
        self.now.store(now.nanos(), Ordering::Relaxed);
        // Pairs with the load in `snapshot`.
        self.sequence.store(sequence.get(), Ordering::Release);
    }

    pub(crate) fn install(&self, generation: Generation) {
        *self.generation.write() = Arc::new(generation);
    }
}
