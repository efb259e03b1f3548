//! From rows to a file of masks: long work as a value (plan, run on any thread, install).
//!
//! The masks are of the rows in segments: those up to the generation's floor, which no crash takes
//! back. What an older file knows is taken from it where nothing came since, and of a block in
//! which something changed only that part is read.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use barrow_types::{DatasetId, SeriesId, Step};

use crate::bytes::u32_len;
use crate::calendar::slot_of;
use crate::derived::{self, Output};
use crate::disk::Disk;
use crate::error::Error;
use crate::snapshot::Snapshot;

use super::mask_file::{self, BLOCK_BITS, ENTRY_LEN, Entry, HEADER_LEN, Header, KIND};
use super::masks::{Asked, BYTES_MAX};
use super::stored::Stored;

/// Blocks that an extent may span without a look at which of them it has rows in.
const BLOCKS_MAX: i64 = 64;

/// Masks to be written.
pub struct MasksJob {
    /// Of everything that is in segments.
    snapshot: Snapshot,
    series: Vec<(SeriesId, Step)>,
    number: u64,
    instance: [u8; 16],
}

/// Masks that were written and wait to be installed.
pub struct MasksDone {
    pub(crate) stored: Stored,
}

impl MasksJob {
    /// The masks of `snapshot`, which holds what is in segments; `None` if there are no bars.
    pub(crate) fn plan(snapshot: Snapshot, number: u64, instance: [u8; 16]) -> Option<Self> {
        let generation = snapshot.generation();
        let bars = generation.catalog.list(DatasetId::BARS, None, snapshot.sequence());
        let mut series: Vec<(SeriesId, Step)> = bars
            .into_iter()
            .filter(|(id, key)| key.step != Step::Tick && !generation.extents(*id).is_empty())
            .map(|(id, key)| (id, key.step))
            .collect();
        series.sort_unstable();
        (!series.is_empty()).then_some(Self { snapshot, series, number, instance })
    }

    /// Makes, writes and syncs the file. Long; on any thread. `pace` is asked after each mask: it
    /// may take its time, and may end the work.
    ///
    /// # Errors
    /// What the disk says, `Corrupt` if a block that is read is damaged, `Stopped` if `pace` ended
    /// it. Nothing has changed, and no file is left.
    pub fn run(
        self,
        disk: &dyn Disk,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<MasksDone, Error> {
        let number = self.number;
        self.write(disk, pace).inspect_err(|_| derived::discard(disk, &KIND.path(number)))
    }

    fn write(
        self,
        disk: &dyn Disk,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<MasksDone, Error> {
        let sequence = self.snapshot.sequence().get();
        let header = Header { instance: self.instance, sequence };
        let output = Output::begin(disk, KIND, KIND.path(self.number), &header)?;
        let mut file = Masks { output, entries: Vec::new() };
        'series: for &(series, step) in &self.series {
            for block in self.blocks(series, step)? {
                let bytes = self.mask(series, step, block)?;
                if !file.has_room_for(&bytes) {
                    break 'series;
                }
                file.add(series, step, block, &bytes)?;
                if pace().is_break() {
                    return Err(Error::stopped("the writing of masks was stopped"));
                }
            }
        }
        let Masks { output, entries } = file;
        let len = output.seal(&mask_file::encode_index(&entries))?;
        Ok(MasksDone { stored: Stored::new(self.number, len, header, entries) })
    }

    /// The blocks in which a series may have rows.
    fn blocks(&self, series: SeriesId, step: Step) -> Result<BTreeSet<i64>, Error> {
        let generation = self.snapshot.generation();
        let block = |ts: i64| slot_of(step, ts) >> BLOCK_BITS;
        let mut blocks = BTreeSet::new();
        for extent in generation.extents(series) {
            let ts = extent.meta().zone.ts;
            let span = block(ts.min)..=block(ts.max);
            if span.end() - span.start() < BLOCKS_MAX {
                blocks.extend(span);
            } else {
                blocks.extend(extent.ts(&*generation.disk)?.into_iter().map(block));
            }
        }
        Ok(blocks)
    }

    /// The bytes of the mask of a block; none if no row of it is visible.
    fn mask(&self, series: SeriesId, step: Step, block: i64) -> Result<Vec<u8>, Error> {
        let asked =
            Asked { snapshot: &self.snapshot, series, step, as_of: None, at_sequence: None };
        self.snapshot.generation().masks.bytes(asked, block)
    }
}

/// The file in the making.
struct Masks<'a> {
    output: Output<'a>,
    entries: Vec<Entry>,
}

impl Masks<'_> {
    /// Whether the file stays as small as what may be kept in memory. What does not fit is made
    /// when it is asked for.
    fn has_room_for(&self, bytes: &[u8]) -> bool {
        let index_len = (self.entries.len() + 1) * ENTRY_LEN;
        self.output.len() + (bytes.len() + index_len + HEADER_LEN) as u64 <= BYTES_MAX as u64
    }

    fn add(&mut self, series: SeriesId, step: Step, block: i64, mask: &[u8]) -> Result<(), Error> {
        if mask.is_empty() {
            return Ok(());
        }
        let (at, len, crc) = (self.output.add(mask)?, u32_len(mask.len()), crc32c::crc32c(mask));
        self.entries.push(Entry { series, step, block, at, len, crc });
        Ok(())
    }
}
