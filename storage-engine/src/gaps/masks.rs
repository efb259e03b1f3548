//! Which slots of a raw series hold a visible row: roaring bitmaps over slots.
//!
//! A mask is of one series and one *block* of 2^20 slots (two years of minutes, twelve days of
//! seconds), and is a function of the `ts` column of the rows that are visible when everything up
//! to a sequence is known: no calendar enters into it. Masks are made when somebody asks, kept, and
//! brought up to date by reading only what came since; a question about an earlier (T, N) reads
//! the rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use barrow_types::{Sequence, SeriesId, Step, Timestamp};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::calendar::{slot_begin, slot_of};
use crate::error::Error;
use crate::memtable::Zone;
use crate::rows::Rows;
use crate::snapshot::{Revisions, Scan, Snapshot};

/// Slots of a block, as a power of two.
const BLOCK_BITS: u32 = 20;
/// Bytes of masks above which all are dropped, to be made again.
const BYTES_MAX: usize = 64 << 20;

/// Masks that were made before. Shared by the generations of a store.
#[derive(Default)]
pub(crate) struct Masks {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    masks: BTreeMap<(SeriesId, i64), Mask>,
    bytes: usize,
}

/// The mask of one block.
#[derive(Clone)]
struct Mask {
    /// The last record whose rows it knows.
    sequence: u64,
    slots: Arc<RoaringBitmap>,
}

/// What is asked of the mask of a series.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) series: SeriesId,
    pub(crate) step: Step,
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) at_sequence: Option<Sequence>,
}

impl Asked<'_> {
    fn limits(&self) -> (i64, u64) {
        let sequence = self.at_sequence.unwrap_or(Sequence::MAX).min(self.snapshot.sequence());
        (self.as_of.unwrap_or(Timestamp::MAX).nanos(), sequence.get())
    }

    /// The zones of everything that may hold rows of a range of `ts`, of records up to `sequence`.
    fn zones(&self, range: &Range<i64>, sequence: u64) -> Vec<Zone> {
        let generation = self.snapshot.generation();
        let runs = generation.runs(self.series);
        let extents = generation.extents(self.series).iter().map(|extent| extent.meta().zone);
        let overlaps = |zone: &Zone| {
            zone.ts.min < range.end && zone.ts.max >= range.start && zone.sequence.min <= sequence
        };
        extents.chain(runs.iter().map(|run| run.zone)).filter(overlaps).collect()
    }

    /// The slots of a block, numbered from its first, in a range of `ts`.
    fn read(&self, range: &Range<i64>, block: i64) -> Result<RoaringBitmap, Error> {
        let mut scanner = self.snapshot.scan(Scan {
            series: self.series,
            start: Timestamp::from_nanos(range.start),
            end: Timestamp::from_nanos(range.end),
            columns: Vec::new(),
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            revisions: Revisions::Visible,
        })?;
        let mut slots = RoaringBitmap::new();
        let mut run: Option<Range<u32>> = None;
        while let Some(rows) = scanner.next()? {
            for ts in rows.ts {
                let place = place(slot_of(self.step, ts), block);
                match &mut run {
                    Some(run) if run.end == place => run.end += 1,
                    Some(run) if run.end == place + 1 => {}
                    _ => insert(&mut slots, run.replace(place..place + 1)),
                }
            }
        }
        insert(&mut slots, run);
        slots.optimize();
        Ok(slots)
    }
}

fn insert(slots: &mut RoaringBitmap, run: Option<Range<u32>>) {
    if let Some(run) = run {
        slots.insert_range(run);
    }
}

/// The number of a slot in its block.
fn place(slot: i64, block: i64) -> u32 {
    u32::try_from(slot - (block << BLOCK_BITS)).expect("invariant: the slot lies in the block")
}

/// The instants of a block.
fn instants(step: Step, block: i64) -> Range<i64> {
    slot_begin(step, block << BLOCK_BITS)..slot_begin(step, (block + 1) << BLOCK_BITS)
}

impl Masks {
    /// The slots of one block that hold a visible row.
    fn block(&self, asked: Asked<'_>, block: i64) -> Result<Arc<RoaringBitmap>, Error> {
        let range = instants(asked.step, block);
        let (known_at, sequence) = asked.limits();
        let zones = asked.zones(&range, sequence);
        let newest = zones.iter().map(|zone| zone.sequence.max).max().unwrap_or(0);
        if newest > sequence || zones.iter().any(|zone| zone.known_at.max > known_at) {
            return Ok(Arc::new(asked.read(&range, block)?));
        }
        let key = (asked.series, block);
        let before = self.kept.lock().masks.get(&key).cloned();
        let slots = match before {
            // Nothing that the question admits came since, and all that the mask knows is admitted.
            Some(mask) if (newest..=sequence).contains(&mask.sequence) => return Ok(mask.slots),
            Some(mask) if mask.sequence < newest => match changed(asked, &range, mask.sequence) {
                Some(changed) => {
                    let mut slots = RoaringBitmap::clone(&mask.slots);
                    slots.remove_range(changed_places(asked.step, &changed, block));
                    slots |= asked.read(&changed, block)?;
                    slots
                }
                None => asked.read(&range, block)?,
            },
            _ => asked.read(&range, block)?,
        };
        let slots = Arc::new(slots);
        self.keep(key, Mask { sequence: newest, slots: Arc::clone(&slots) });
        Ok(slots)
    }

    fn keep(&self, key: (SeriesId, i64), mask: Mask) {
        let mut kept = self.kept.lock();
        if kept.bytes > BYTES_MAX {
            *kept = Kept::default();
        }
        if kept.masks.get(&key).is_some_and(|other| other.sequence >= mask.sequence) {
            return;
        }
        kept.bytes += mask.slots.serialized_size();
        if let Some(old) = kept.masks.insert(key, mask) {
            kept.bytes -= old.slots.serialized_size();
        }
    }

    /// The slots of some blocks that hold a visible row.
    pub(crate) fn presence(&self, asked: Asked<'_>, slots: &Range<i64>) -> Result<Presence, Error> {
        let blocks = slots.start >> BLOCK_BITS..((slots.end - 1) >> BLOCK_BITS) + 1;
        let first = blocks.start;
        let masks = blocks.map(|block| self.block(asked, block)).collect::<Result<_, _>>()?;
        Ok(Presence { first, masks })
    }
}

/// Where rows of a range changed after record `since`: from the first to behind the last such
/// slot. `None` if not all of them are in memory.
fn changed(asked: Asked<'_>, range: &Range<i64>, since: u64) -> Option<Range<i64>> {
    let generation = asked.snapshot.generation();
    let is_newer = |zone: &Zone| zone.sequence.max > since;
    if generation.extents(asked.series).iter().any(|extent| is_newer(&extent.meta().zone)) {
        return None;
    }
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for run in generation.runs(asked.series).iter().filter(|run| is_newer(&run.zone)) {
        let rows: &Rows = run.rows();
        for at in run.range() {
            if rows.sequence[at] > since && range.contains(&rows.ts[at]) {
                (first, last) = (first.min(rows.ts[at]), last.max(rows.ts[at]));
            }
        }
    }
    if first > last {
        return Some(range.start..range.start);
    }
    let slot = |ts| slot_of(asked.step, ts);
    Some(slot_begin(asked.step, slot(first))..slot_begin(asked.step, slot(last) + 1))
}

fn changed_places(step: Step, changed: &Range<i64>, block: i64) -> Range<u32> {
    if changed.is_empty() {
        return 0..0;
    }
    place(slot_of(step, changed.start), block)..place(slot_of(step, changed.end - 1), block) + 1
}

/// The slots of one series that hold a visible row, in some blocks.
pub(crate) struct Presence {
    /// Number of the first block.
    first: i64,
    masks: Vec<Arc<RoaringBitmap>>,
}

impl Presence {
    /// Whether a slot holds a row.
    pub(crate) fn contains(&self, slot: i64) -> bool {
        let block = slot >> BLOCK_BITS;
        let mask = usize::try_from(block - self.first).ok().and_then(|at| self.masks.get(at));
        mask.is_some_and(|mask| mask.contains(place(slot, block)))
    }

    /// Calls `on_run` with each run of slots of a range that hold rows, in order.
    pub(crate) fn runs(&self, slots: Range<i64>, mut on_run: impl FnMut(Range<i64>)) {
        let mut at = slots.start;
        let mut open: Option<Range<i64>> = None;
        while at < slots.end {
            let block = at >> BLOCK_BITS;
            let base = block << BLOCK_BITS;
            let end = slots.end.min(base + (1 << BLOCK_BITS));
            let mask = usize::try_from(block - self.first).ok().and_then(|at| self.masks.get(at));
            let (from, to) = (place(at, block), place(end - 1, block));
            if let Some(mask) = mask {
                let mut runs = mask.range(from..=to);
                while let Some(found) = runs.next_range() {
                    let found =
                        base + i64::from(*found.start())..base + i64::from(*found.end()) + 1;
                    match &mut open {
                        Some(run) if run.end == found.start => run.end = found.end,
                        _ => {
                            if let Some(run) = open.replace(found) {
                                on_run(run);
                            }
                        }
                    }
                }
            }
            at = end;
        }
        if let Some(run) = open {
            on_run(run);
        }
    }
}
