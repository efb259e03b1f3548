//! Runs of expected slots. A *unit* is what is worked out at once: a session, or, for days and
//! longer, the sessions of one slot; without a calendar a day, or a slot.
//!
//! Nothing is allocated and a session costs a few divisions, since a year of minutes of hundreds of
//! instruments is walked through in one answer.

use std::ops::Range;

use barrow_types::{Align, DAY_NANOS, SessionSet};

use super::grid::{Bucket, SlotGrid, slot_begin, slot_of, width};
use super::{Calendar, DATE_MAX, DATE_MIN, Session, day_of};

/// Consecutive expected slots of one session, whose buckets begin a step apart. A break splits a
/// session into two; of days and longer each is one by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The date of the session, in days since 1970; of several the first.
    pub date: i32,
    /// Number of the first slot.
    pub first_slot: i64,
    /// How many slots; never 0.
    pub count: u32,
    /// When the first bucket begins.
    pub first_start: i64,
    /// How far apart buckets begin.
    step: i64,
    /// When the last bucket ends.
    last_end: i64,
    /// When the hours of the session begin.
    from: i64,
}

impl Stretch {
    /// The numbers of its slots.
    pub fn slots(&self) -> Range<i64> {
        self.first_slot..self.first_slot + i64::from(self.count)
    }

    /// When bucket `place`, below `count`, begins.
    pub fn start_of(&self, place: u32) -> i64 {
        self.first_start + i64::from(place) * self.step
    }

    /// When bucket `place`, below `count`, ends.
    pub fn end_of(&self, place: u32) -> i64 {
        if place + 1 == self.count { self.last_end } else { self.start_of(place + 1) }
    }

    /// From when on bucket `place`, below `count`, can hold anything: its start, or the begin of
    /// the session's hours if that is later.
    pub fn begin_of(&self, place: u32) -> i64 {
        self.start_of(place).max(self.from)
    }

    /// Bucket `place`, below `count`.
    pub fn bucket(&self, place: u32) -> Bucket {
        Bucket {
            date: self.date,
            slot: self.first_slot + i64::from(place),
            start: self.start_of(place),
            end: self.end_of(place),
        }
    }

    /// The last bucket that ends at `at` or earlier.
    pub(super) fn last_ending(&self, at: i64) -> Option<Bucket> {
        if self.last_end <= at {
            return Some(self.bucket(self.count - 1));
        }
        let ended = at.saturating_sub(self.first_start).div_euclid(self.step);
        let ended = u32::try_from(ended.min(i64::from(self.count) - 1)).ok()?;
        ended.checked_sub(1).map(|place| self.bucket(place))
    }

    /// What of it begins in [`start`, `end`).
    fn clip(self, start: i64, end: i64) -> Option<Self> {
        if start <= self.first_start && self.start_of(self.count - 1) < end {
            return Some(self);
        }
        let before = |at: i64| {
            let places = ceil_div(at.saturating_sub(self.first_start), self.step);
            u32::try_from(places.clamp(0, i64::from(self.count))).unwrap_or(self.count)
        };
        let (from, to) = (before(start), before(end));
        (from < to).then(|| Self {
            first_slot: self.first_slot + i64::from(from),
            count: to - from,
            first_start: self.start_of(from),
            last_end: self.end_of(to - 1),
            ..self
        })
    }
}

fn ceil_div(dividend: i64, divisor: i64) -> i64 {
    dividend.div_euclid(divisor) + i64::from(dividend.rem_euclid(divisor) != 0)
}

/// The stretches of a session, or of the sessions of a slot.
pub(super) struct Unit {
    /// One, two around a break, or none if all was another session's.
    pub(super) stretches: [Option<Stretch>; 2],
    /// Rank of the first session behind it.
    next: usize,
}

/// The hours of a session that buckets lie in, and when the first bucket begins.
#[derive(Clone, Copy)]
struct Reach {
    base: i64,
    from: i64,
    to: i64,
}

impl Reach {
    /// How many buckets there are.
    fn count(&self, step: i64) -> i64 {
        ceil_div(self.to - self.base, step)
    }

    /// Whether the first slot of `later` is the last one of `self`.
    fn shares(&self, later: &Self, step: i64) -> bool {
        // The last bucket begins before `to`, and the slot of the first one reaches to `from`.
        later.from - self.to < step && {
            let last = self.base.div_euclid(step) + self.count(step) - 1;
            last == later.base.div_euclid(step)
        }
    }
}

impl SlotGrid {
    /// Rank of the first session of the unit that holds the session of `rank`.
    pub(super) fn unit_of(&self, calendar: &Calendar, rank: usize) -> usize {
        match calendar.nth(rank) {
            Some(session) if self.step.is_dated() => {
                let slot = slot_of(self.step, i64::from(session.date) * DAY_NANOS);
                calendar.rank(day_of(slot_begin(self.step, slot)))
            }
            _ => rank,
        }
    }

    /// The unit whose first session has this rank; `None` behind the last.
    pub(super) fn unit(&self, calendar: &Calendar, rank: usize) -> Option<Unit> {
        if self.step.is_dated() {
            self.dated_unit(calendar, rank)
        } else {
            let stretches = self.session_unit(calendar, rank)?;
            Some(Unit { stretches, next: rank + 1 })
        }
    }

    fn dated_unit(&self, calendar: &Calendar, rank: usize) -> Option<Unit> {
        let first = calendar.nth(rank)?;
        let slot = slot_of(self.step, i64::from(first.date) * DAY_NANOS);
        let next = calendar.rank(day_of(slot_begin(self.step, slot + 1)));
        let last = calendar.nth(next - 1)?;
        let stretch = Stretch {
            date: first.date,
            first_slot: slot,
            count: 1,
            first_start: first.open,
            step: last.close - first.open,
            last_end: last.close,
            from: first.open,
        };
        Some(Unit { stretches: [Some(stretch), None], next })
    }

    fn reach(&self, session: &Session, step: i64) -> Reach {
        let (from, to) = match self.session {
            SessionSet::Regular => (session.open, session.close),
            SessionSet::Extended | SessionSet::All => (session.pre_open, session.post_close),
        };
        let base = match self.align {
            Align::Session => from,
            Align::Clock => from - from.rem_euclid(step),
        };
        Reach { base, from, to }
    }

    fn session_unit(&self, calendar: &Calendar, rank: usize) -> Option<[Option<Stretch>; 2]> {
        let step = width(self.step);
        let session = calendar.nth(rank)?;
        let reach = self.reach(&session, step);
        let of_rank = |rank| calendar.nth(rank).map(|session| self.reach(&session, step));
        let count = reach.count(step);
        let mut last_end = (reach.base + count * step).min(reach.to);
        let mut later = rank + 1;
        while let Some(next) = of_rank(later).filter(|next| reach.shares(next, step)) {
            last_end = last_end.max((next.base + step).min(next.to));
            later += 1;
        }
        let earlier = rank.checked_sub(1).and_then(of_rank);
        let taken = i64::from(earlier.is_some_and(|earlier| earlier.shares(&reach, step)));
        let run = |from: i64, to: i64, last_end: i64| {
            let count = u32::try_from(to - from).ok().filter(|count| *count > 0)?;
            let first_start = reach.base + from * step;
            let first_slot = first_start.div_euclid(step);
            let (date, from) = (session.date, reach.from);
            Some(Stretch { date, first_slot, count, first_start, step, last_end, from })
        };
        if let Some((from, to)) = session.pause {
            // Of the buckets that begin in the break, those that end in it are not expected.
            let (from, to) =
                (ceil_div(from - reach.base, step), (to - reach.base).div_euclid(step));
            if from < to {
                let before = run(taken, from, reach.base + from * step);
                return Some([before, run(to, count, last_end)]);
            }
        }
        Some([run(taken, count, last_end), None])
    }

    /// A day of slots without a calendar.
    fn day(&self, date: i32) -> Stretch {
        let step = width(self.step);
        let midnight = i64::from(date) * DAY_NANOS;
        let count = u32::try_from(DAY_NANOS / step).expect("invariant: steps of a second or more");
        Stretch {
            date,
            first_slot: midnight / step,
            count,
            first_start: midnight,
            step,
            last_end: midnight + DAY_NANOS,
            from: midnight,
        }
    }
}

/// Where a walk through the stretches is.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// At the unit whose first session has this rank.
    Session(&'a Calendar, usize),
    /// Without a calendar: at the slots of this UTC day.
    Day(i32),
    /// Without a calendar: at this slot of a day or longer.
    Slot(i64),
}

/// Iterator over runs of expected slots; see [`SlotGrid::stretches`].
#[derive(Clone)]
pub struct Stretches<'a> {
    grid: SlotGrid,
    start: i64,
    end: i64,
    place: Place<'a>,
    /// The second stretch of the unit before `place`.
    pending: Option<Stretch>,
}

impl<'a> Stretches<'a> {
    /// The stretches of `grid` with buckets that begin in [`start`, `end`).
    pub(super) fn new(
        grid: SlotGrid,
        calendar: Option<&'a Calendar>,
        start: i64,
        end: i64,
    ) -> Self {
        let place = match calendar {
            Some(calendar) => {
                // What begins at `start` or later has the date of the day before, or a later one.
                let date = day_of(start) - 1;
                Place::Session(calendar, grid.unit_of(calendar, calendar.rank(date)))
            }
            None if grid.step.is_dated() => {
                let (first, _) = grid.slots_without_calendar();
                Place::Slot(slot_of(grid.step, start).max(first))
            }
            None => Place::Day(day_of(start).max(DATE_MIN)),
        };
        Self { grid, start, end, place, pending: None }
    }

    /// The stretches of the unit at hand, which is then the one before; `None` at the end.
    fn unit(&mut self) -> Option<[Option<Stretch>; 2]> {
        match &mut self.place {
            Place::Session(calendar, rank) => {
                let unit = self.grid.unit(calendar, *rank)?;
                *rank = unit.next;
                Some(unit.stretches)
            }
            Place::Day(date) => {
                let stretch = (*date <= DATE_MAX).then(|| self.grid.day(*date))?;
                *date += 1;
                Some([Some(stretch), None])
            }
            Place::Slot(slot) => {
                let (_, last) = self.grid.slots_without_calendar();
                let bucket = (*slot <= last).then(|| self.grid.clock_bucket(*slot))?;
                *slot += 1;
                let stretch = Stretch {
                    date: bucket.date,
                    first_slot: bucket.slot,
                    count: 1,
                    first_start: bucket.start,
                    step: bucket.end - bucket.start,
                    last_end: bucket.end,
                    from: bucket.start,
                };
                Some([Some(stretch), None])
            }
        }
    }
}

impl Iterator for Stretches<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        loop {
            let stretch = match self.pending.take() {
                Some(stretch) => stretch,
                None => {
                    let [first, second] = self.unit()?;
                    self.pending = second;
                    match first {
                        Some(stretch) => stretch,
                        None => continue,
                    }
                }
            };
            if stretch.first_start >= self.end {
                self.pending = None;
                return None;
            }
            if let Some(clipped) = stretch.clip(self.start, self.end) {
                return Some(clipped);
            }
        }
    }
}
