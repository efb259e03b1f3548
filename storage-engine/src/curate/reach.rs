//! Which slots what comes in may change.

use barrow_types::{Align, DAY_NANOS, Step};

use crate::aggregates::{Reasons, Subjects};
use std::sync::Arc;

use crate::calendar::{Bucket, Calendar, SlotGrid, Stretch, slot_begin, slot_of};
use crate::error::Error;
use crate::gaps::FactsAt;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use super::candidates::{Candidate, Wanted, candidates};
use super::{Curated, CuratedScan, SLOT_NANOS_MAX, in_hours, open_of, partition};

impl Curated {
    /// When the first slot starts that rows of `step` may change of which none has an earlier `ts`
    /// than `first`; `None`: any may. Slots of the same session are told apart only where the rows
    /// of one do not decide who delivers the others.
    pub(crate) fn first_changed(&self, step: Step, first: i64) -> Option<i64> {
        if self.may_quarantine() {
            return None;
        }
        let after = |instant| self.first_ending_after(instant, self.by_session);
        Some(self.changes_after(step, first).map_or(i64::MAX, after))
    }

    /// An instant so that a row of `step` with that `ts` changes no slot by itself that has ended
    /// by then; `None`: it changes none. It does not fall where `ts` rises.
    pub(crate) fn changes_after(&self, step: Step, ts: i64) -> Option<i64> {
        let of_days = self.scan.step.is_dated();
        let calendar = self.calendar.as_deref();
        Some(match step {
            Step::Tick => minute_of(self.grid(), calendar, ts.min(in_hours(calendar, ts))),
            Step::S1 => minute_of(self.grid(), calendar, ts),
            _ if step.is_dated() && !of_days => return None,
            _ if step.is_dated() => open_of(calendar, ts).min(ts),
            _ => slot_begin(step, slot_of(step, ts)),
        })
    }

    /// When the first slot starts that ends after an instant; with `whole` the first of its
    /// session. The end of time if there is none.
    pub(crate) fn first_ending_after(&self, instant: i64, whole: bool) -> i64 {
        let found = self.ending().after(instant);
        found.map_or(i64::MAX, |Ends { session, slot }| if whole { session } else { slot }.start)
    }

    /// Its slots, to be asked which of them end when.
    pub(crate) fn ending(&self) -> Ending {
        let grid = self.grid();
        Ending { grid, calendar: self.calendar_shared(), reach: reach(grid.step), found: None }
    }

    /// When the last slot ends that starts in its range; the end of the range, if that is later.
    pub(crate) fn last_end(&self) -> i64 {
        let end = self.scan.end.nanos();
        if end == i64::MAX {
            return end;
        }
        let from = end.saturating_sub(self.reach());
        let stretches = self.grid().stretches(self.calendar.as_deref(), from, end);
        stretches.last().map_or(end, |stretch| stretch.end_of(stretch.count - 1).max(end))
    }

    /// How long slots are at most, with all that they are made of: half of this.
    pub(crate) const fn reach(&self) -> i64 {
        reach(self.scan.step)
    }

    /// Whether a row at an instant may have a say in slots that start at `from` or later, of which
    /// each knows rows of its own session alone.
    pub(crate) fn may_reach(&self, instant: i64, from: i64) -> bool {
        instant.saturating_add(self.reach()) >= from || self.may_quarantine()
    }

    /// Whether a rule or a person may keep a row of any series out, that slots come from.
    pub(crate) fn may_quarantine(&self) -> bool {
        let mut makers = self.makers();
        makers.any(|maker| {
            let mut all = maker.lineage.all();
            all.any(|(step, _)| maker.may_quarantine(step))
        })
    }
}

/// No slot of a step, with all that it is made of, is longer than half of this.
const fn reach(step: Step) -> i64 {
    if step.is_dated() { 2 * SLOT_NANOS_MAX } else { 4 * DAY_NANOS }
}

/// Which slots end when. What it found last is looked at first.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    grid: SlotGrid,
    calendar: Option<Arc<Calendar>>,
    reach: i64,
    found: Option<Found>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    /// No slot before those of the stretch ends after this.
    before: i64,
    stretch: Stretch,
    session: Bucket,
}

/// A slot, and the first one of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) slot: Bucket,
    pub(crate) session: Bucket,
}

impl Ending {
    /// The length of the slots.
    pub(crate) const fn step(&self) -> Step {
        self.grid.step
    }

    /// The first slot that ends after an instant; `None` if there is none.
    pub(crate) fn after(&mut self, instant: i64) -> Option<Ends> {
        if let Some(Found { before, stretch, session }) = self.found
            && instant >= before
            && let Some(slot) = ending(&stretch, instant)
        {
            return Some(Ends { slot, session });
        }
        let calendar = self.calendar.as_deref();
        let (mut before, mut session): (i64, Option<Bucket>) = (instant, None);
        let from = instant.saturating_sub(self.reach);
        for stretch in self.grid.stretches(calendar, from, i64::MAX) {
            let first = session.filter(|first| first.date == stretch.date);
            let first = *session.insert(first.unwrap_or_else(|| stretch.bucket(0)));
            if let Some(slot) = ending(&stretch, instant) {
                self.found = Some(Found { before, stretch, session: first });
                return Some(Ends { slot, session: first });
            }
            before = stretch.end_of(stretch.count - 1);
        }
        None
    }

    /// The first slot that starts at an instant or later.
    pub(crate) fn next_starting(&self, at: i64) -> Option<Bucket> {
        self.grid.next_starting(self.calendar.as_deref(), at)
    }

    /// The last slot that ends at an instant or earlier.
    pub(crate) fn last_ending(&self, at: i64) -> Option<Bucket> {
        self.grid.last_ending(self.calendar.as_deref(), at)
    }

    /// Whether slots end when those of the other do.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let digest =
            |of: &Self| of.calendar.as_ref().map(|calendar| calendar.digest_before(i32::MAX));
        digest(self) == digest(other)
    }
}

/// The first slot of a stretch that ends after an instant.
fn ending(stretch: &Stretch, instant: i64) -> Option<Bucket> {
    let ended = partition(stretch.count, |at| stretch.end_of(at) <= instant);
    (ended < stretch.count).then(|| stretch.bucket(ended))
}

/// How long a minute is.
const MINUTE_NANOS: i64 = 60_000_000_000;

/// When the minute begins in which an instant lies, if slots of `grid` may be made of minutes: a
/// slot has those that begin in it, and minutes of sessions begin as their session does.
pub(super) fn minute_of(grid: SlotGrid, calendar: Option<&Calendar>, instant: i64) -> i64 {
    if grid.step <= Step::M1 {
        return instant;
    }
    let minutes = SlotGrid { step: Step::M1, align: Align::Session, ..grid };
    let after = instant.saturating_sub(MINUTE_NANOS);
    let first = minutes.next_starting(calendar, after.saturating_add(1));
    first.map_or(instant, |minute| minute.start.min(instant))
}

/// How far the watermarks of each step have come of all who deliver an instrument at any time;
/// `None`: there are none.
pub(crate) fn watermarks(
    snapshot: &Snapshot,
    reference: &Reference,
    scan: &CuratedScan,
) -> Result<Vec<Option<i64>>, Error> {
    let wanted = Wanted {
        instrument: &scan.instrument,
        step: scan.step,
        side: scan.side,
        range: (i64::MIN, i64::MAX),
        as_of: None,
        at_sequence: None,
        source: scan.source.as_deref(),
    };
    let of = Subjects {
        facts: FactsAt { snapshot, as_of: scan.as_of, at_sequence: scan.at_sequence },
        reference,
        instrument: &scan.instrument,
        side: scan.side,
        range: (0, 0),
        due: scan.due,
    };
    let mut all = Vec::new();
    for Candidate { symbol, source, lineage, .. } in candidates(snapshot, reference, &wanted)? {
        let reasons = Reasons::new(&of, (&symbol, &source), &lineage, scan.step)?;
        all.extend(reasons.watermarks());
    }
    Ok(all)
}
