//! Which slots what comes in may change.

use barrow_types::{Align, DAY_NANOS, Step};

use crate::aggregates::{Reasons, Subjects};
use crate::calendar::{Calendar, SlotGrid, Stretch, slot_begin, slot_of};
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
        let of_days = self.scan.step.is_dated();
        let calendar = self.calendar.as_deref();
        let instant = match step {
            Step::Tick => minute_of(self.grid(), calendar, first.min(in_hours(calendar, first))),
            Step::S1 => minute_of(self.grid(), calendar, first),
            _ if step.is_dated() && !of_days => return Some(i64::MAX),
            _ if step.is_dated() => open_of(calendar, first).min(first),
            _ => slot_begin(step, slot_of(step, first)),
        };
        Some(self.first_ending_after(instant, self.by_session))
    }

    /// When the first slot starts that ends after an instant; with `whole` the first of its
    /// session. The end of time if there is none.
    pub(crate) fn first_ending_after(&self, instant: i64, whole: bool) -> i64 {
        let grid = self.grid();
        let calendar = self.calendar.as_deref();
        let mut session: Option<Stretch> = None;
        for stretch in grid.stretches(calendar, instant.saturating_sub(self.reach()), i64::MAX) {
            if session.is_none_or(|session| session.date != stretch.date) {
                session = Some(stretch);
            }
            let ended = partition(stretch.count, |at| stretch.end_of(at) <= instant);
            if ended < stretch.count {
                let first = session.filter(|_| whole).map(|session| session.start_of(0));
                return first.unwrap_or_else(|| stretch.start_of(ended));
            }
        }
        i64::MAX
    }

    /// When the last slot ends that starts in its range; the end of the range, if that is later.
    pub(crate) fn last_end(&self) -> i64 {
        let end = self.scan.end.nanos();
        if end == i64::MAX {
            return end;
        }
        let stretches =
            self.grid().stretches(self.calendar.as_deref(), end.saturating_sub(self.reach()), end);
        stretches.last().map_or(end, |stretch| stretch.end_of(stretch.count - 1).max(end))
    }

    /// No slot, with all that it is made of, is longer than half of this.
    fn reach(&self) -> i64 {
        if self.scan.step.is_dated() { 2 * SLOT_NANOS_MAX } else { 4 * DAY_NANOS }
    }

    /// Whether a row at an instant may have a say in slots that start at `from` or later, of which
    /// each knows rows of its own session alone.
    pub(crate) fn may_reach(&self, instant: i64, from: i64) -> bool {
        instant.saturating_add(self.reach()) >= from || self.may_quarantine()
    }

    /// Whether a rule or a person may keep a row of any series out, that slots come from.
    fn may_quarantine(&self) -> bool {
        let mut makers = self.makers();
        makers.any(|maker| {
            let mut all = maker.lineage.all();
            all.any(|(step, _)| maker.may_quarantine(step))
        })
    }
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
