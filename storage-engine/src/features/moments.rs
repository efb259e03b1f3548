//! What the calendar says of a slot: the fields that are not of a bar.

use std::sync::Arc;

use barrow_types::DAY_NANOS;

use crate::calendar::{Calendar, SessionKind, SlotGrid, Stretch};

/// Nanoseconds of a minute, as a number to divide by.
const MINUTE: f64 = 60e9;

/// No session's hours begin or end further from the midnight of its date.
const REACH_NANOS: i64 = 2 * DAY_NANOS;

/// A session, with all the slots that a grid has in it.
struct Session {
    date: i32,
    /// Its runs of slots, in order.
    stretches: Vec<Stretch>,
    open: i64,
    close: i64,
    is_unusual: bool,
}

/// What the calendar says of one slot; see `docs/FEATURES.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) session: f64,
    pub(super) slot: f64,
    pub(super) slots: f64,
    pub(super) minute: f64,
    pub(super) to_close: f64,
    pub(super) weekday: f64,
    pub(super) half_day: f64,
}

/// Slots of one grid, asked for in order.
pub(super) struct Moments {
    grid: SlotGrid,
    calendar: Option<Arc<Calendar>>,
    session: Option<Session>,
}

impl Moments {
    pub(super) fn new(grid: SlotGrid, calendar: Option<Arc<Calendar>>) -> Self {
        Self { grid, calendar, session: None }
    }

    /// Of slot `place` of `stretch`, which may be part of a longer one.
    pub(super) fn of(&mut self, stretch: &Stretch, place: u32) -> Moment {
        if self.session.as_ref().is_none_or(|session| session.date != stretch.date) {
            self.session = Some(self.read(stretch));
        }
        let session = self.session.as_ref().expect("invariant: it was just read");
        let number = stretch.first_slot + i64::from(place);
        let (mut slot, mut slots) = (0, 0);
        for run in &session.stretches {
            if run.slots().contains(&number) {
                slot = i64::from(slots) + number - run.first_slot;
            }
            slots += run.count;
        }
        let minutes = |from: i64, to: i64| double(to.saturating_sub(from)) / MINUTE;
        Moment {
            session: f64::from(session.date),
            slot: double(slot),
            slots: f64::from(slots),
            minute: minutes(session.open, stretch.begin_of(place)),
            to_close: minutes(stretch.end_of(place), session.close),
            // 1970-01-01 was a Thursday.
            weekday: f64::from((session.date + 3).rem_euclid(7) + 1),
            half_day: f64::from(u8::from(session.is_unusual)),
        }
    }

    fn read(&self, stretch: &Stretch) -> Session {
        let date = stretch.date;
        let midnight = i64::from(date) * DAY_NANOS;
        let session = self.calendar.as_deref().and_then(|calendar| calendar.session(date));
        let (open, close) =
            session.as_ref().map_or((midnight, midnight + DAY_NANOS), |of| (of.open, of.close));
        let stretches = if self.grid.step.is_dated() {
            vec![*stretch]
        } else {
            let (from, to) =
                (midnight.saturating_sub(REACH_NANOS), midnight.saturating_add(2 * REACH_NANOS));
            let around = self.grid.stretches(self.calendar.as_deref(), from, to);
            around.filter(|run| run.date == date).collect()
        };
        let is_unusual = session.is_some_and(|of| of.kind != SessionKind::Regular);
        Session { date, stretches, open, close, is_unusual }
    }
}

/// A count or a span as a number; exact, as both are below 2^53.
#[expect(clippy::cast_precision_loss, reason = "spans inside a session, and counts of its slots")]
fn double(value: i64) -> f64 {
    value as f64
}
