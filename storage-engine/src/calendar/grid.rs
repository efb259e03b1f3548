//! Slots: intervals of a step, numbered on the UTC clock, and the grid of those that are expected.
//!
//! The number of a slot depends on nothing but the step, so no calendar ever renumbers one. A
//! calendar says which of them are *expected*, and from when to when their *buckets* go:
//!
//! - Shorter than a day: buckets begin at the start of the session's range, or, on the clock, at
//!   the multiple of the step that is at or before it; then a step apart up to the end of the
//!   range. One that lies wholly in the break is not expected. A bucket ends a step after its
//!   start, or with the range. Its slot is the one that its start lies in.
//! - A day: from open to close, whatever the session set. A week or a month: from the first open to
//!   the last close in it.
//! - Two sessions may share a slot, the last of the one and the first of the other: bars of 4h on
//!   the clock where trading breaks off for an hour, or never. It is one bucket then, of the
//!   earlier session, and ends when the later one's share ends.
//! - Without a calendar every slot is expected, all day, every day of the years 1678 to 2261.

use barrow_types::{Align, DAY_NANOS, SessionSet, Step, civil_from_days, days_from_civil};

use super::stretches::Stretches;
use super::{Calendar, DATE_MAX, DATE_MIN, day_of};

/// 1970-01-01 was a Thursday: days from the Monday before it.
const MONDAY_DAYS: i64 = 3;

/// The number of the slot that contains `ts`: whole steps since 1970, days, weeks from the Monday
/// before 1970, months. Floors, so it is right before 1970 too.
///
/// # Panics
/// Events ([`Step::Tick`]) have no slots; asking for one is a fault of ours.
pub const fn slot_of(step: Step, ts: i64) -> i64 {
    let days = ts.div_euclid(DAY_NANOS);
    match step {
        Step::D1 => days,
        Step::W1 => (days + MONDAY_DAYS).div_euclid(7),
        Step::Mo1 => {
            let (year, month, _) = civil_from_days(days);
            (year - 1970) * 12 + month - 1
        }
        _ => ts.div_euclid(width(step)),
    }
}

/// When slot number `slot` begins on the UTC clock; stays at the end of the range of time rather
/// than wrapping. Within it `slot_of(step, slot_begin(step, slot))` is `slot`.
///
/// # Panics
/// As [`slot_of`].
pub const fn slot_begin(step: Step, slot: i64) -> i64 {
    match step {
        Step::D1 => slot.saturating_mul(DAY_NANOS),
        Step::W1 => slot.saturating_mul(7).saturating_sub(MONDAY_DAYS).saturating_mul(DAY_NANOS),
        Step::Mo1 => {
            // Years in which time is, and some more: beyond them days would overflow.
            let slot = if slot < -10_000 {
                -10_000
            } else if slot > 10_000 {
                10_000
            } else {
                slot
            };
            let days = days_from_civil(1970 + slot.div_euclid(12), slot.rem_euclid(12) + 1, 1);
            days.saturating_mul(DAY_NANOS)
        }
        _ => slot.saturating_mul(width(step)),
    }
}

/// The length of a step shorter than a day.
pub(super) const fn width(step: Step) -> i64 {
    match step.width() {
        Some(width) => width.get(),
        None => panic!("invariant: events have no slots, and months no one length"),
    }
}

/// Slots of one step, of which a calendar expects some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotGrid {
    /// The length of a slot; never [`Step::Tick`].
    pub step: Step,
    /// Which hours of a session count.
    pub session: SessionSet,
    /// Where buckets begin.
    pub align: Align,
}

/// The expected part of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The date of its session, in days since 1970; of several the first.
    pub date: i32,
    /// Its number.
    pub slot: i64,
    /// When it begins; on a clock grid perhaps before the session does.
    pub start: i64,
    /// When it ends.
    pub end: i64,
}

impl SlotGrid {
    /// Runs of expected slots whose start lies in [`start`, `end`), in order.
    pub fn stretches<'a>(
        &self,
        calendar: Option<&'a Calendar>,
        start: i64,
        end: i64,
    ) -> Stretches<'a> {
        Stretches::new(*self, calendar, start, end)
    }

    /// How many expected slots start in [`start`, `end`).
    pub fn count(&self, calendar: Option<&Calendar>, start: i64, end: i64) -> u64 {
        self.stretches(calendar, start, end).map(|stretch| u64::from(stretch.count)).sum()
    }

    /// The first expected slot that starts at `at` or later.
    pub fn next_starting(&self, calendar: Option<&Calendar>, at: i64) -> Option<Bucket> {
        self.stretches(calendar, at, i64::MAX).next().map(|stretch| stretch.bucket(0))
    }

    /// The last expected slot that ends at `at` or earlier.
    pub fn last_ending(&self, calendar: Option<&Calendar>, at: i64) -> Option<Bucket> {
        let Some(calendar) = calendar else {
            let (first, last) = self.slots_without_calendar();
            let slot = (slot_of(self.step, at) - 1).min(last);
            return (slot >= first).then(|| self.clock_bucket(slot));
        };
        // Sessions of later dates have not begun at `at`.
        let mut rank = calendar.rank(day_of(at) + 2);
        while let Some(before) = rank.checked_sub(1) {
            rank = self.unit_of(calendar, before);
            let stretches = self.unit(calendar, rank).into_iter().flat_map(|unit| unit.stretches);
            let ended = stretches.rev().flatten().find_map(|stretch| stretch.last_ending(at));
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    /// The bucket of slot number `slot`, if it is expected.
    pub fn bucket(&self, calendar: Option<&Calendar>, slot: i64) -> Option<Bucket> {
        let Some(calendar) = calendar else {
            let (first, last) = self.slots_without_calendar();
            return (first..=last).contains(&slot).then(|| self.clock_bucket(slot));
        };
        let (mut from, mut to) = (slot_begin(self.step, slot), slot_begin(self.step, slot + 1));
        if self.step.is_dated() {
            // Sessions open at most a day before their date, and not two days after it.
            (from, to) = (from.saturating_sub(DAY_NANOS), to.saturating_add(2 * DAY_NANOS));
        }
        let mut stretches = self.stretches(Some(calendar), from, to);
        let found = stretches.find(|stretch| stretch.slots().contains(&slot))?;
        let place = u32::try_from(slot - found.first_slot).expect("invariant: it holds the slot");
        Some(found.bucket(place))
    }

    /// The first and the last slot that are expected where there is no calendar.
    pub(super) fn slots_without_calendar(&self) -> (i64, i64) {
        let first = i64::from(DATE_MIN) * DAY_NANOS;
        let last = (i64::from(DATE_MAX) + 1) * DAY_NANOS - 1;
        (slot_of(self.step, first), slot_of(self.step, last))
    }

    /// A slot as the clock has it.
    pub(super) fn clock_bucket(&self, slot: i64) -> Bucket {
        let start = slot_begin(self.step, slot);
        Bucket { date: day_of(start), slot, start, end: slot_begin(self.step, slot + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first_before_1970_too() {
        let midnight = |year, month, day| days_from_civil(year, month, day) * DAY_NANOS;
        for (step, ts, slot) in [
            (Step::M1, -1, -1),
            (Step::H4, midnight(1969, 12, 31), -6),
            (Step::D1, midnight(1969, 12, 31) + 1, -1),
            // 1969-12-29 was a Monday.
            (Step::W1, midnight(1969, 12, 29), 0),
            (Step::W1, midnight(1969, 12, 29) - 1, -1),
            (Step::W1, midnight(1970, 1, 5), 1),
            (Step::Mo1, midnight(1970, 1, 31), 0),
            (Step::Mo1, midnight(1969, 12, 31), -1),
            (Step::Mo1, midnight(2015, 12, 24), 551),
        ] {
            assert_eq!(slot_of(step, ts), slot, "{step:?} {ts}");
        }
        assert_eq!(slot_begin(Step::W1, 0), midnight(1969, 12, 29));
        assert_eq!(slot_begin(Step::Mo1, 551), midnight(2015, 12, 1));
        assert_eq!(slot_begin(Step::Mo1, i64::MIN), i64::MIN);
        assert_eq!(slot_begin(Step::W1, i64::MAX), i64::MAX);
    }

    #[test]
    fn every_slot_holds_its_begin_and_not_its_end() {
        for step in Step::ALL.into_iter().filter(|step| *step != Step::Tick) {
            for ts in [i64::MIN / 2, -DAY_NANOS - 1, -1, 0, 1, 1_381_152_600_000_000_000] {
                let slot = slot_of(step, ts);
                let (begin, end) = (slot_begin(step, slot), slot_begin(step, slot + 1));
                assert!(begin <= ts && ts < end, "{step:?} {ts}");
                assert_eq!((slot_of(step, begin), slot_of(step, end - 1)), (slot, slot));
                assert_eq!(slot_of(step, end), slot + 1);
            }
        }
    }
}
