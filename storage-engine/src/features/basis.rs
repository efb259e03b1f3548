//! What something that was computed of an instrument's slots was computed from, and whether a
//! question would compute the same.
//!
//! That is compared when somebody asks, so nothing that writes has to know of what was computed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barrow_types::{Adjust, Sequence, Timestamp};

use crate::curate::{Curated, CuratedScan, watermarks};
use crate::error::Error;

use super::Way;
use super::begin;
use super::changes::{self, Change};
use super::lane::Asked;
use super::world::World;

/// What slots of one context were computed from.
#[derive(Debug)]
pub(super) struct Basis {
    /// The records up to this one are known.
    sequence: Sequence,
    /// A record up to which nothing came since that matters.
    unchanged: AtomicU64,
    /// What [`World::before`] says of `next`.
    world: u64,
    /// Up to when rows were final.
    watermarks: Arc<[Option<i64>]>,
    /// No slot that starts before this has a say, and neither does how many there are, if one of
    /// them is the begin; the beginning of time: all do.
    since: i64,
    /// Every slot that starts before this, and none that starts later.
    pub(super) next: i64,
    /// The end of the last slot that was empty, or whose row may change.
    pub(super) unsettled: i64,
    /// When the last of them could be had.
    pub(super) due: i64,
}

impl Basis {
    /// One of slots that depend on all before them.
    pub(super) fn new(
        (sequence, watermarks): (Sequence, Arc<[Option<i64>]>),
        world: u64,
        (next, unsettled): (i64, i64),
        due: i64,
    ) -> Self {
        let unchanged = AtomicU64::new(sequence.get());
        Self { sequence, unchanged, world, watermarks, since: i64::MIN, next, unsettled, due }
    }

    /// The same, of slots in which those that start before an instant have no say.
    pub(super) fn without_those_before(self, since: i64) -> Self {
        Self { since, ..self }
    }

    /// The record up to which nothing came that matters.
    fn unchanged(&self) -> Sequence {
        // It says nothing of other memory.
        Sequence::new(self.unchanged.load(Ordering::Relaxed))
    }
}

/// Compares what slots of one context were computed from with what a question would use.
pub(super) struct Comparison<'a> {
    asked: &'a Asked<'a>,
    scan: &'a CuratedScan,
    curated: &'a Curated,
    world: World,
    /// What came after each of some records.
    changes: Vec<(Sequence, Vec<Change>)>,
    watermarks: Option<Arc<[Option<i64>]>>,
    /// When the first slot with a row starts, if there is one.
    begin: Option<Option<i64>>,
}

impl<'a> Comparison<'a> {
    /// With what `scan` would read of a context, which `curated` can.
    pub(super) fn new(asked: &'a Asked<'a>, scan: &'a CuratedScan, curated: &'a Curated) -> Self {
        let world = asked.world(curated);
        Self { asked, scan, curated, world, changes: Vec::new(), watermarks: None, begin: None }
    }

    /// Whether it is what the question would compute.
    pub(super) fn holds(&mut self, basis: &Basis) -> Result<bool, Error> {
        if basis.sequence > self.asked.sequence()
            || basis.due > self.scan.due.nanos()
            || basis.world != self.world.before(basis.next)
        {
            return Ok(false);
        }
        let changes = self.changes_that_matter(basis)?;
        if self.asked.is_adjusted() && changes.iter().any(|change| change.closes_before(basis.next))
        {
            return Ok(false);
        }
        let mut moved = i64::MAX;
        if !changes.iter().all(|change| matches!(change, Change::Rows { .. })) {
            moved = changes::first_final(&basis.watermarks, &self.watermarks()?, basis.unsettled);
        }
        let head = (basis.next, basis.unsettled);
        let holds = changes::first_changed(self.curated, &changes, head, moved) >= basis.next;
        if holds {
            let newest = self.asked.snapshot.sequence().get();
            basis.unchanged.fetch_max(newest, Ordering::Relaxed);
        }
        Ok(holds)
    }

    /// Up to when rows are final.
    pub(super) fn watermarks(&mut self) -> Result<Arc<[Option<i64>]>, Error> {
        let Asked { snapshot, reference, .. } = *self.asked;
        Ok(Arc::clone(match &mut self.watermarks {
            Some(known) => known,
            unknown => unknown.insert(watermarks(snapshot, reference, self.scan)?.into()),
        }))
    }

    /// The facts that its slots follow from.
    pub(super) const fn world(&self) -> &World {
        &self.world
    }

    fn changes_that_matter(&mut self, basis: &Basis) -> Result<Vec<Change>, Error> {
        let since = basis.unchanged();
        let known = self.changes.iter().position(|(sequence, _)| *sequence == since);
        let place = known.unwrap_or_else(|| {
            let Asked { snapshot, reference, .. } = *self.asked;
            let of = &self.scan.instrument;
            self.changes.push((since, changes::of_instrument(since, (snapshot, reference), of)));
            self.changes.len() - 1
        });
        let all = &self.changes[place].1;
        let matters = |change: &Change| match change {
            Change::Rows { last, .. } => self.curated.may_reach(*last, basis.since),
            Change::Reasons(_) | Change::All => true,
        };
        let some: Vec<Change> = all.iter().copied().filter(matters).collect();
        if some.len() == all.len() {
            return Ok(some);
        }
        // Rows before may have gone, and the begin come nearer.
        let all = all.clone();
        let begins = self.begin()?.is_some_and(|begin| begin <= basis.since);
        Ok(if begins { some } else { all })
    }

    fn begin(&mut self) -> Result<Option<i64>, Error> {
        if let Some(known) = self.begin {
            return Ok(known);
        }
        let Asked { snapshot, reference, .. } = *self.asked;
        let calendar = self.curated.calendar_shared();
        let found = begin::begin(snapshot, reference, &calendar, self.scan)?;
        self.begin = Some(found);
        Ok(found)
    }
}

impl Asked<'_> {
    /// The facts that a context's slots follow from.
    pub(super) fn world(&self, curated: &Curated) -> World {
        let adjust = self.scan.group.definition.bars.adjust;
        World::new((self.snapshot, self.reference), curated, adjust)
    }

    /// Whether what was computed from the newest records may answer it.
    pub(super) fn is_plain(&self) -> bool {
        self.scan.way == Way::Columns
            && self.scan.since == Timestamp::MIN
            && self.scan.as_of.is_none()
    }

    /// The last record that the question admits.
    pub(super) fn sequence(&self) -> Sequence {
        let newest = self.snapshot.sequence();
        self.scan.at_sequence.map_or(newest, |sequence| sequence.min(newest))
    }

    /// Whether corporate actions change the rows that its cells come from.
    pub(super) fn is_adjusted(&self) -> bool {
        self.scan.group.definition.bars.adjust != Adjust::None
    }
}
