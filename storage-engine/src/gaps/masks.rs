//! Which slots of a raw series hold a visible row: roaring bitmaps over slots.
//!
//! A mask is of one series and one *block* of 2^20 slots (two years of minutes, twelve days of
//! seconds), and is a function of the `ts` column of the rows that are visible when everything up
//! to a sequence is known: no calendar enters into it. Masks are made when somebody asks, or taken
//! from a file of masks; they are kept, and brought up to date by reading only where something
//! came since. A question about an earlier (T, N) reads the rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barrow_types::{Sequence, SeriesId, Step, Timestamp};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::calendar::{slot_begin, slot_of};
use crate::error::Error;
use crate::memtable::Zone;
use crate::rows::Rows;
use crate::snapshot::{Revisions, Scan, Snapshot};

use super::mask_file::{self, BLOCK_BITS};
use super::stored::Stored;

/// Bytes of masks in memory above which all are dropped, to be made again; and most of a file.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// Masks that were made before. Shared by the generations of a store.
#[derive(Default)]
pub(crate) struct Masks {
    kept: Mutex<Kept>,
    /// The file of masks that is in use. It is read under this lock, so that nobody reads one that
    /// was replaced.
    stored: RwLock<Option<Stored>>,
    made: AtomicU64,
    updated: AtomicU64,
    loaded: AtomicU64,
    dropped: AtomicU64,
}

/// Masks now, and what was done for them since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskStats {
    /// Masks in memory.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Masks in the file that is in use.
    pub stored: u64,
    /// Bytes of the file.
    pub stored_bytes: u64,
    /// Masks made from the rows of their block.
    pub made: u64,
    /// Masks brought up to date by reading a part of their block.
    pub updated: u64,
    /// Masks taken from the file.
    pub loaded: u64,
    /// Files and masks in them that could not be used.
    pub dropped: u64,
}

#[derive(Default)]
struct Kept {
    masks: BTreeMap<(SeriesId, i64), Mask>,
    bytes: usize,
}

/// The mask of one block, at any sequence from `from` to `to`: no record between brought a row of
/// the block.
#[derive(Clone)]
struct Mask {
    from: u64,
    to: u64,
    slots: Arc<RoaringBitmap>,
}

/// A block, and what is known of its rows without reading any.
struct Held {
    block: i64,
    /// Its instants.
    range: Range<i64>,
    /// No row of it that the question admits came with a later record.
    newest: u64,
    /// The last record that the question admits.
    sequence: u64,
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

    /// What is known of a block; `None` if the question leaves out a row that its sources hold.
    fn held(&self, block: i64) -> Option<Held> {
        let range = instants(self.step, block);
        let (known_at, sequence) = self.limits();
        let zones = self.zones(&range, sequence);
        let newest = newest(&zones);
        let leaves_out = |zone: &Zone| zone.known_at.max > known_at;
        let is_whole = newest <= sequence && !zones.iter().any(leaves_out);
        is_whole.then_some(Held { block, range, newest, sequence })
    }

    /// The slots of a block, numbered from its first, in a range of `ts`.
    pub(super) fn read(&self, range: &Range<i64>, block: i64) -> Result<RoaringBitmap, Error> {
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

fn newest(zones: &[Zone]) -> u64 {
    zones.iter().map(|zone| zone.sequence.max).max().unwrap_or(0)
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
pub(super) fn instants(step: Step, block: i64) -> Range<i64> {
    slot_begin(step, block << BLOCK_BITS)..slot_begin(step, (block + 1) << BLOCK_BITS)
}

impl Masks {
    /// The slots of one block that hold a visible row.
    fn block(&self, asked: Asked<'_>, block: i64) -> Result<Arc<RoaringBitmap>, Error> {
        let Some(held) = asked.held(block) else {
            return Ok(Arc::new(asked.read(&instants(asked.step, block), block)?));
        };
        let key = (asked.series, block);
        let mut before = self.kept.lock().masks.get(&key).cloned();
        if before.is_none() {
            before = self.load(asked, &held);
            if let Some(mask) = &before {
                self.loaded.fetch_add(1, Ordering::Relaxed);
                self.keep(key, mask.clone());
            }
        }
        let mask = match self.made(asked, &held, before)? {
            Made::Before(mask) => return Ok(mask.slots),
            Made::Now(mask) => mask,
        };
        let slots = Arc::clone(&mask.slots);
        self.keep(key, mask);
        Ok(slots)
    }

    /// The mask of a block, from an older one if that helps.
    fn made(&self, asked: Asked<'_>, held: &Held, before: Option<Mask>) -> Result<Made, Error> {
        let slots = match before {
            // Nothing that the question admits came since, and all that the mask knows is admitted.
            Some(mask) if mask.from <= held.sequence && held.newest <= mask.to => {
                return Ok(Made::Before(mask));
            }
            Some(mask) if mask.to < held.newest => {
                let changed = changed(asked, &held.range, mask.to);
                let mut slots = RoaringBitmap::clone(&mask.slots);
                slots.remove_range(changed_places(asked.step, &changed, held.block));
                slots |= asked.read(&changed, held.block)?;
                self.updated.fetch_add(1, Ordering::Relaxed);
                slots
            }
            _ => {
                self.made.fetch_add(1, Ordering::Relaxed);
                asked.read(&held.range, held.block)?
            }
        };
        let slots = Arc::new(slots);
        Ok(Made::Now(Mask { from: held.newest, to: held.sequence, slots }))
    }

    /// The mask of a block from the file, if it has it and the snapshot holds every record that the
    /// file knows: an older one cannot tell since when the mask is what it is.
    fn load(&self, asked: Asked<'_>, held: &Held) -> Option<Mask> {
        let stored = self.stored.read();
        let stored = stored.as_ref()?;
        let to = stored.header.sequence;
        if to > asked.snapshot.sequence().get() {
            return None;
        }
        let entry = stored.entry(asked.series, held.block)?;
        let disk = &*asked.snapshot.generation().disk;
        let loaded = if entry.step == asked.step { stored.mask(disk, entry).ok() } else { None };
        if loaded.is_none() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let from = newest(&asked.zones(&held.range, to)).min(to);
        loaded.map(|slots| Mask { from, to, slots: Arc::new(slots) })
    }

    /// The bytes of the mask of a block for a file; none if no row of it is visible.
    pub(super) fn bytes(&self, asked: Asked<'_>, block: i64) -> Result<Vec<u8>, Error> {
        let held = asked.held(block).expect("invariant: a file admits every row in segments");
        if let Some(stored) = self.stored.read().as_ref()
            && (held.newest..=held.sequence).contains(&stored.header.sequence)
            && let Some(entry) = stored.entry(asked.series, block)
            && entry.step == asked.step
            && let Ok(bytes) = stored.bytes(&*asked.snapshot.generation().disk, entry)
        {
            return Ok(bytes);
        }
        let kept = self.kept.lock().masks.get(&(asked.series, block)).cloned();
        let before = kept.or_else(|| self.load(asked, &held));
        let (Made::Before(mask) | Made::Now(mask)) = self.made(asked, &held, before)?;
        let is_empty = mask.slots.is_empty();
        Ok(if is_empty { Vec::new() } else { mask_file::encode_mask(&mask.slots) })
    }

    fn keep(&self, key: (SeriesId, i64), mask: Mask) {
        let mut kept = self.kept.lock();
        if kept.bytes > BYTES_MAX {
            *kept = Kept::default();
        }
        if kept.masks.get(&key).is_some_and(|other| other.to >= mask.to) {
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

    /// Uses another file from now on; returns the number of the one before.
    pub(crate) fn attach(&self, stored: Stored) -> Option<u64> {
        self.stored.write().replace(stored).map(|old| old.number)
    }

    /// Notes that so many files could not be used.
    pub(crate) fn note_dropped(&self, files: usize) {
        self.dropped.fetch_add(files as u64, Ordering::Relaxed);
    }

    /// Whether the file that is in use wants to be made anew.
    pub(crate) fn is_damaged(&self) -> bool {
        self.stored.read().as_ref().is_some_and(Stored::is_damaged)
    }

    /// What `look` makes of the file that is in use, if there is one. Not for long: an install
    /// waits for it.
    pub(crate) fn with_stored<T>(&self, look: impl FnOnce(&Stored) -> T) -> Option<T> {
        self.stored.read().as_ref().map(look)
    }

    /// Counters and sizes.
    pub(crate) fn stats(&self) -> MaskStats {
        let (kept, kept_bytes) = {
            let kept = self.kept.lock();
            (kept.masks.len() as u64, kept.bytes as u64)
        };
        let stored = self.with_stored(|stored| (stored.entries.len() as u64, stored.len));
        let (stored, stored_bytes) = stored.unwrap_or_default();
        let [made, updated, loaded, dropped] =
            [&self.made, &self.updated, &self.loaded, &self.dropped]
                .map(|counter| counter.load(Ordering::Relaxed));
        MaskStats { kept, kept_bytes, stored, stored_bytes, made, updated, loaded, dropped }
    }
}

/// Where a mask comes from.
enum Made {
    /// It was there.
    Before(Mask),
    /// It is new.
    Now(Mask),
}

/// Where rows of a range may have changed after record `since`: from the first to behind the last
/// such slot; empty if nowhere. Rows in memory are looked at; what segments brought lies within the
/// spans of their extents.
fn changed(asked: Asked<'_>, range: &Range<i64>, since: u64) -> Range<i64> {
    let generation = asked.snapshot.generation();
    let is_newer = |zone: &Zone| zone.sequence.max > since;
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for extent in generation.extents(asked.series) {
        let Zone { ts, .. } = extent.meta().zone;
        let overlaps = ts.min < range.end && ts.max >= range.start;
        if is_newer(&extent.meta().zone) && overlaps {
            first = first.min(ts.min.max(range.start));
            last = last.max(ts.max.min(range.end - 1));
        }
    }
    for run in generation.runs(asked.series).iter().filter(|run| is_newer(&run.zone)) {
        let rows: &Rows = run.rows();
        for at in run.range() {
            if rows.sequence[at] > since && range.contains(&rows.ts[at]) {
                (first, last) = (first.min(rows.ts[at]), last.max(rows.ts[at]));
            }
        }
    }
    if first > last {
        return range.start..range.start;
    }
    let slot = |ts| slot_of(asked.step, ts);
    slot_begin(asked.step, slot(first))..slot_begin(asked.step, slot(last) + 1)
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
