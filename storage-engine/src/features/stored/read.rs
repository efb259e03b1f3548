//! Cells from files: which may answer a question, and their slots.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use barrow_features::ContextId;
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::Put;
use crate::column::VECTOR_LEN;
use crate::curate::{Curated, CuratedScan};
use crate::disk::Disk;
use crate::error::Error;

use super::super::basis::Comparison;
use super::super::cell_file::{self, Name};
use super::super::lane::{Asked, piece_slots};
use super::super::{FeatureGroup, FeaturePiece};
use super::{Block, CellsKey, Contents, StoredCells};

/// A block of which a smaller share is asked for is not worth being read.
const SHARE: u64 = 8;

/// The version of a group as a number.
pub(super) fn version_of(group: &FeatureGroup) -> u64 {
    let version = u64::from_str_radix(&group.compiled.version, 16);
    version.expect("invariant: a version is 16 hexadecimal digits")
}

/// What a question calls the cells that it asks for.
pub(super) struct Identity {
    pub(super) key: CellsKey,
    /// See [`cell_file`].
    pub(super) bytes: Vec<u8>,
}

/// What a context of a question reads.
pub(super) struct Source {
    pub(super) scan: CuratedScan,
    pub(super) curated: Curated,
}

/// Blocks in order.
#[derive(Default)]
pub(super) struct Sorted {
    /// What the question would compute.
    pub(super) that_hold: Vec<Arc<Block>>,
    /// Of no use any more, or to this question.
    pub(super) others: Vec<Arc<Block>>,
}

impl Asked<'_> {
    /// What its cells are called in files.
    pub(super) fn identity(&self) -> Result<Identity, Error> {
        let group = &self.scan.group;
        let mut bytes = Vec::new();
        bytes.put_text(&group.compiled.version);
        for scan in self.scans() {
            let calendar = self.calendar(&scan.instrument)?;
            bytes.put_text(&scan.instrument);
            bytes.put_text(calendar.as_ref().map_or("", |calendar| calendar.name()));
        }
        let key = CellsKey { version: version_of(group), identity: xxh3_64(&bytes) };
        Ok(Identity { key, bytes })
    }

    /// What each context reads.
    fn scans(&self) -> impl Iterator<Item = CuratedScan> {
        let contexts = self.scan.group.graph().contexts.iter().zip(0..);
        contexts.map(|(of, place)| self.curated(of, ContextId(place)))
    }

    /// The sources of all contexts.
    pub(super) fn sources(&self) -> Result<Vec<Source>, Error> {
        let open = |scan: CuratedScan| {
            let curated = self.open(scan.clone())?;
            Ok(Source { scan, curated })
        };
        self.scans().map(open).collect()
    }

    /// Some blocks by whether they hold what the question would compute.
    pub(super) fn sorted(
        &self,
        identity: &Identity,
        sources: &[Source],
        blocks: Vec<Arc<Block>>,
    ) -> Result<Sorted, Error> {
        let generation = self.snapshot.generation();
        let (cells, disk) = (&generation.cells, &*generation.disk);
        let mut comparisons: Vec<Comparison<'_>> = sources
            .iter()
            .map(|source| Comparison::new(self, &source.scan, &source.curated))
            .collect();
        let mut holds = |contents: &Contents| -> Result<bool, Error> {
            if contents.index.identity != identity.bytes
                || contents.bases.len() != comparisons.len()
            {
                return Ok(false);
            }
            for (comparison, basis) in comparisons.iter_mut().zip(&contents.bases) {
                if !comparison.holds(basis)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut sorted = Sorted::default();
        for block in blocks {
            match block.contents(cells, disk) {
                Ok(contents) if holds(&contents)? => sorted.that_hold.push(block),
                Ok(_) => sorted.others.push(block),
                Err(_) => cells.drop_damaged(disk, &block.name),
            }
        }
        Ok(sorted)
    }

    /// The blocks that answer a part of the question, in order.
    pub(in super::super) fn stored(&self) -> Result<Vec<Arc<Block>>, Error> {
        let cells = &self.snapshot.generation().cells;
        if !self.is_plain() || cells.is_empty() {
            return Ok(Vec::new());
        }
        let identity = self.identity()?;
        let (start, end) = (self.scan.start.nanos(), self.scan.end.nanos());
        let mut blocks = cells.of(identity.key);
        blocks.retain(|block| block.name.next > start && block.name.from < end);
        if blocks.is_empty() {
            return Ok(blocks);
        }
        let sources = self.sources()?;
        let curated = &sources[0].curated;
        blocks.retain(|block| {
            let (from, to) = (block.name.from.max(start), block.name.next.min(end));
            let (all, calendar) = (u64::from(cells.slots), curated.calendar());
            let is_whole = (from, to) == (block.name.from, block.name.next);
            is_whole || curated.grid().count(calendar, from, to) * SHARE >= all
        });
        Ok(self.sorted(&identity, &sources, blocks)?.that_hold)
    }
}

impl StoredCells {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.lock().is_empty()
    }
}

/// A block that is being read.
pub(in super::super) struct Reading {
    contents: Arc<Contents>,
    /// Of all chunks.
    bytes: Vec<u8>,
    /// Slots from this on are to come.
    next: usize,
    name: Name,
    /// Those that start from one instant to another are to come.
    rest: (i64, i64),
}

impl Reading {
    /// Begins with the first slot of a block; `None` if its file is damaged, or gone.
    pub(in super::super) fn new(
        cells: &StoredCells,
        disk: &dyn Disk,
        block: &Block,
    ) -> Option<Self> {
        let contents = block.contents(cells, disk);
        let read = contents.and_then(|of| block.read(disk, &of).map(|bytes| (of, bytes)));
        match read {
            Ok((contents, bytes)) => {
                cells.used.fetch_add(1, Ordering::Relaxed);
                let (name, rest) = (block.name, block.span());
                Some(Self { contents, bytes, next: 0, name, rest })
            }
            Err(_) => {
                cells.drop_damaged(disk, &block.name);
                None
            }
        }
    }

    /// The next slots; `None` at the end.
    ///
    /// # Errors
    /// They are none, though their checksums are right: from when to when the slots lie that are
    /// to be computed instead. The file is gone.
    pub(in super::super) fn next(
        &mut self,
        cells: &StoredCells,
        disk: &dyn Disk,
    ) -> Result<Option<FeaturePiece>, (i64, i64)> {
        let index = &self.contents.index;
        let (from, slots) = (self.next, index.slots as usize);
        if from >= slots {
            return Ok(None);
        }
        let features = (index.chunks.len() / 2).max(1);
        let len = piece_slots(features).next_multiple_of(VECTOR_LEN);
        self.next = slots.min(from + len);
        let Ok(piece) = cell_file::decode_piece(index, &self.bytes, from..self.next) else {
            cells.drop_damaged(disk, &self.name);
            return Err(self.rest);
        };
        self.rest.0 = piece.ts.last().map_or(self.rest.0, |last| last.saturating_add(1));
        Ok(Some(piece))
    }
}
