//! States of kernels part of the way through a series. Shared by the generations of a store.
//!
//! Cells that remember everything since the begin (recursions, windows where slots are rows) are
//! read from the begin on, whichever range is asked for. On the way the state is kept every some
//! thousand slots. A later question goes on from the last one before its range, if nothing that
//! came since can have changed a slot before it. That is compared when it is asked, so nothing that
//! writes has to know of checkpoints.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barrow_features::{ContextId, History, Plan};
use barrow_types::{Reason, Sequence};
use parking_lot::Mutex;

use crate::curate::{Curated, CuratedScan};
use crate::error::Error;
use crate::remembered::Remembered;

use super::basis::{Basis, Comparison};
use super::begin::Lead;
use super::clocks::Clocks;
use super::inputs::Slots;
use super::lane::Asked;
use super::world::World;

/// The slots of which context of a group they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Of {
    version: String,
    context: usize,
    instrument: Arc<str>,
    /// Ranges follow the calendar of their end.
    calendar: Option<String>,
}

/// Whose, and every slot that starts before which instant is in it.
type Key = (Arc<Of>, i64);

/// What the slots up to one leave behind.
pub(super) struct Checkpoint {
    /// What it was computed from.
    pub(super) basis: Basis,
    /// The close of the last row.
    pub(super) close: Option<f64>,
    pub(super) clocks: Clocks,
    /// As [`History::save`] gives it.
    pub(super) state: Vec<u8>,
}

impl Checkpoint {
    fn byte_len(&self) -> usize {
        size_of::<(Key, Self)>() + self.state.len() + self.clocks.byte_len()
    }
}

/// What is kept now, and what was done with it since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Checkpoints in memory.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Questions that went on from one.
    pub used: u64,
    /// Those that left memory to make room for others.
    pub evicted: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Checkpoints {
    /// Bytes of all, at most.
    bytes_max: usize,
    /// A state is kept after so many slots.
    slots: u64,
    kept: Mutex<Remembered<Key, Arc<Checkpoint>>>,
    used: AtomicU64,
    evicted: AtomicU64,
}

impl Checkpoints {
    /// None yet.
    pub(crate) fn new(bytes_max: u64, slots: u64) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Self { bytes_max, slots, ..Self::default() }
    }

    /// Counters and sizes.
    pub(crate) fn stats(&self) -> CheckpointStats {
        let (kept, kept_bytes) = {
            let kept = self.kept.lock();
            (kept.len() as u64, kept.bytes() as u64)
        };
        let [used, evicted] =
            [&self.used, &self.evicted].map(|counter| counter.load(Ordering::Relaxed));
        CheckpointStats { kept, kept_bytes, used, evicted }
    }

    fn keep(&self, of: &Arc<Of>, checkpoint: Checkpoint) {
        let (key, bytes) = ((Arc::clone(of), checkpoint.basis.next), checkpoint.byte_len());
        let evicted = self.kept.lock().insert(key, Arc::new(checkpoint), bytes, self.bytes_max);
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
    }

    /// The last one of no slot from `start` on that `holds`.
    fn last(
        &self,
        of: &Arc<Of>,
        start: i64,
        mut holds: impl FnMut(&Checkpoint) -> Result<bool, Error>,
    ) -> Result<Option<Arc<Checkpoint>>, Error> {
        let mut up_to = start;
        loop {
            let found = {
                let kept = self.kept.lock();
                let found = kept.last_up_to(&(Arc::clone(of), up_to));
                found.filter(|((whose, _), _)| whose == of).map(|(_, found)| Arc::clone(found))
            };
            let Some(found) = found else { return Ok(None) };
            if holds(&found)? {
                self.kept.lock().get(&(Arc::clone(of), found.basis.next));
                self.used.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(found));
            }
            let Some(before) = found.basis.next.checked_sub(1) else { return Ok(None) };
            up_to = before;
        }
    }
}

impl Asked<'_> {
    /// Whose checkpoints a context may use and leave; `None` if it needs none, or its cells follow
    /// from more than its own slots and the newest records.
    pub(super) fn checkpoints_of(
        &self,
        context: ContextId,
        scan: &CuratedScan,
        curated: &Curated,
    ) -> Option<Arc<Of>> {
        let group = &self.scan.group;
        let reads_others = group.plan.imports(context).len() > 0;
        if !self.is_plain() || reads_others || self.lead(context) != Lead::All {
            return None;
        }
        Some(Arc::new(Of {
            version: group.compiled.version.clone(),
            context: context.0.into(),
            instrument: Arc::clone(&scan.instrument),
            calendar: curated.calendar().map(|calendar| calendar.name().to_owned()),
        }))
    }

    /// The last checkpoint before the slots of `scan` that holds.
    pub(super) fn checkpoint(
        &self,
        of: &Arc<Of>,
        scan: &CuratedScan,
        curated: &Curated,
    ) -> Result<Option<Arc<Checkpoint>>, Error> {
        let checkpoints = &self.snapshot.generation().checkpoints;
        let mut comparison = Comparison::new(self, scan, curated);
        checkpoints.last(of, scan.start.nanos(), |found| comparison.holds(&found.basis))
    }

    /// What keeps states on the way through `scan`, which `curated` reads, if that is long enough.
    pub(super) fn recorder(
        &self,
        of: Arc<Of>,
        (scan, curated): (&CuratedScan, &Curated),
        from: Option<&Checkpoint>,
    ) -> Result<Option<Recorder>, Error> {
        let (start, end) = (scan.start.nanos(), curated.end().nanos());
        let generation = self.snapshot.generation();
        let every = generation.checkpoints.slots.max(1);
        if curated.grid().count(curated.calendar(), start, end) < every {
            return Ok(None);
        }
        let mut comparison = Comparison::new(self, scan, curated);
        Ok(Some(Recorder {
            of,
            checkpoints: Arc::clone(&generation.checkpoints),
            every,
            sequence: self.sequence(),
            watermarks: comparison.watermarks()?,
            world: self.world(curated),
            slots: 0,
            unsettled: from.map_or(i64::MIN, |from| from.basis.unsettled),
            due: from.map_or(i64::MIN, |from| from.basis.due),
            is_mixed: false,
        }))
    }
}

/// Keeps states on the way through a range.
pub(super) struct Recorder {
    of: Arc<Of>,
    checkpoints: Arc<Checkpoints>,
    every: u64,
    sequence: Sequence,
    watermarks: Arc<[Option<i64>]>,
    world: World,
    /// Slots since the last one.
    slots: u64,
    unsettled: i64,
    due: i64,
    /// Whether a slot was not due though a later one was.
    is_mixed: bool,
}

impl Recorder {
    /// How many of the slots that come next it takes at once, of so many.
    pub(super) fn next(&self, slots: usize) -> usize {
        usize::try_from(self.every - self.slots).map_or(slots, |next| next.min(slots))
    }

    /// Takes slots in that were computed, as many as [`Self::next`] said; `kernels` and `clocks`
    /// are as they left them.
    pub(super) fn take(
        &mut self,
        plan: &Plan,
        (slots, part): (&Slots, Range<usize>),
        (kernels, clocks): (&History, &Clocks),
    ) {
        let Some(last) = part.clone().next_back() else { return };
        self.slots += part.len() as u64;
        for at in part {
            if slots.reason[at] != Reason::Ok.code() || slots.provisional[at] {
                self.unsettled = slots.ts_end[at];
            }
            self.due = self.due.max(slots.available_at[at]);
            self.is_mixed |= slots.reason[at] == Reason::NotDue.code();
        }
        if self.slots < self.every {
            return;
        }
        self.slots = 0;
        if self.is_mixed {
            return;
        }
        let next = slots.ts[last].saturating_add(1);
        self.checkpoints.keep(
            &self.of,
            Checkpoint {
                basis: Basis::new(
                    (self.sequence, Arc::clone(&self.watermarks)),
                    self.world.before(next),
                    (next, self.unsettled),
                    self.due,
                ),
                close: slots.close[last],
                clocks: clocks.clone(),
                state: kernels.save(plan),
            },
        );
    }
}
