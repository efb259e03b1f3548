//! Where rows lie in a calendar: of which session they are, and whether a slot is expected there.

use std::ops::Range;

use barrow_types::{Align, DAY_NANOS, SessionSet, Step};

use crate::calendar::{Calendar, Session, SlotGrid, Stretches, slot_begin, slot_of};

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The date of the session whose extended hours hold it; else its UTC date. Of dated steps its
    /// own.
    pub(crate) date: i32,
    /// How many sessions there are up to that date; without a calendar, days since 1970.
    pub(super) rank: i64,
    /// Whether its slot is expected in regular hours.
    pub(super) regular: bool,
    /// Whether it is in extended hours.
    pub(super) extended: bool,
}

/// The places of rows of a step, sorted by `ts`.
pub(crate) fn places(
    calendar: Option<&Calendar>,
    step: Step,
    align: Align,
    ts: &[i64],
) -> Vec<Place> {
    let Some(calendar) = calendar else {
        return ts.iter().map(|&ts| without_calendar(day_of(ts))).collect();
    };
    let mut sessions = Sessions { calendar, step, last: None };
    let mut places: Vec<Place> = ts.iter().map(|&ts| sessions.place(ts)).collect();
    if step != Step::Tick
        && let (Some(&first), Some(&last)) = (ts.first(), ts.last())
    {
        let range = (slot_of(step, first), slot_of(step, last));
        for (session, is_regular) in [(SessionSet::Regular, true), (SessionSet::Extended, false)] {
            let mut expected =
                Expected::new(SlotGrid { step, session, align }, calendar, range.0, range.1);
            for (place, &ts) in places.iter_mut().zip(ts) {
                let is_expected = expected.has(slot_of(step, ts));
                if is_regular {
                    place.regular = is_expected;
                } else {
                    place.extended = is_expected;
                }
            }
        }
    }
    places
}

fn without_calendar(date: i32) -> Place {
    Place { date, rank: i64::from(date), regular: true, extended: true }
}

/// The UTC day that contains `ts`.
pub(crate) fn day_of(ts: i64) -> i32 {
    i32::try_from(ts.div_euclid(DAY_NANOS)).expect("invariant: 2^63 nanoseconds are 106751 days")
}

/// Finds the sessions of ascending instants.
struct Sessions<'a> {
    calendar: &'a Calendar,
    step: Step,
    /// The session found last, and until when no other has begun.
    last: Option<(Session, i64, i64)>,
}

impl Sessions<'_> {
    fn place(&mut self, ts: i64) -> Place {
        if self.step.is_dated() {
            return self.outside(day_of(ts));
        }
        if let Some((session, until, rank)) = &self.last
            && (session.pre_open..*until).contains(&ts)
        {
            return within(session, *rank, ts);
        }
        let Some(session) = self.calendar.session_at(ts) else { return self.outside(day_of(ts)) };
        let next = self.calendar.next_session(session.date).map_or(i64::MAX, |next| next.pre_open);
        let rank = self.rank(session.date);
        self.last = Some((session, session.post_close.min(next), rank));
        within(&session, rank, ts)
    }

    fn outside(&self, date: i32) -> Place {
        Place { date, rank: self.rank(date), regular: false, extended: false }
    }

    fn rank(&self, date: i32) -> i64 {
        let rank = self.calendar.rank(date.saturating_add(1));
        i64::try_from(rank).expect("invariant: dates are fewer than 2^63")
    }
}

/// The place of an instant in the extended hours of a session.
fn within(session: &Session, rank: i64, ts: i64) -> Place {
    let paused = session.pause.is_some_and(|(from, to)| from <= ts && ts < to);
    let regular = session.open <= ts && ts < session.close && !paused;
    Place { date: session.date, rank, regular, extended: !paused }
}

/// Tells of ascending slots whether they are expected.
struct Expected<'a> {
    stretches: Stretches<'a>,
    /// The slots of the stretch at hand.
    slots: Range<i64>,
}

impl<'a> Expected<'a> {
    fn new(grid: SlotGrid, calendar: &'a Calendar, first: i64, last: i64) -> Self {
        let mut from = slot_begin(grid.step, first);
        let mut to = slot_begin(grid.step, last + 1);
        if grid.step.is_dated() {
            // Sessions open at most a day before their date, and not two days after it.
            (from, to) = (from.saturating_sub(DAY_NANOS), to.saturating_add(2 * DAY_NANOS));
        }
        Self { stretches: grid.stretches(Some(calendar), from, to), slots: i64::MIN..i64::MIN }
    }

    fn has(&mut self, slot: i64) -> bool {
        while self.slots.end <= slot {
            match self.stretches.next() {
                Some(stretch) => self.slots = stretch.slots(),
                None => return false,
            }
        }
        self.slots.contains(&slot)
    }
}

#[cfg(test)]
mod tests {
    use barrow_types::days_from_civil;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn instant(day: i64, hour: i64, minute: i64) -> i64 {
        days_from_civil(2015, 12, day) * DAY_NANOS + (hour * 60 + minute) * MINUTE
    }

    #[test]
    fn a_row_belongs_to_the_session_that_holds_it_and_else_to_its_day() {
        let calendar = Calendar::embedded("XNYS").unwrap();
        let date = |day| i32::try_from(days_from_civil(2015, 12, day)).unwrap();
        // Thursday the 24th closes at 13:00 New York, 18:00 UTC; Friday is no session.
        let ts = [
            instant(24, 8, 59),
            instant(24, 9, 0),
            instant(24, 14, 29),
            instant(24, 14, 30),
            instant(24, 17, 59),
            instant(24, 18, 0),
            instant(25, 15, 0),
        ];
        let found = places(Some(&calendar), Step::M1, Align::Session, &ts);
        let told: Vec<_> =
            found.iter().map(|place| (place.date, place.regular, place.extended)).collect();
        assert_eq!(
            told,
            [
                (date(24), false, false),
                (date(24), false, true),
                (date(24), false, true),
                (date(24), true, true),
                (date(24), true, true),
                (date(24), false, true),
                (date(25), false, false),
            ]
        );
        assert!(found.iter().all(|place| place.rank == found[0].rank));
    }

    proptest! {
        #[test]
        fn places_found_together_are_those_found_one_by_one(
            mut minutes in prop::collection::vec(0_i64..60_000, 1..60),
            name in prop::sample::select(vec!["XNYS", "XHKG", "CMES", "FX"]),
            step in prop::sample::select(vec![Step::M1, Step::H1, Step::H4, Step::D1, Step::W1]),
            align in prop::sample::select(vec![Align::Session, Align::Clock]),
        ) {
            minutes.sort_unstable();
            let calendar = Calendar::embedded(name).unwrap();
            let ts: Vec<i64> = minutes.iter().map(|m| instant(1, 0, 0) + m * MINUTE).collect();
            let all = places(Some(&calendar), step, align, &ts);
            for (found, &ts) in all.iter().zip(&ts) {
                let alone = places(Some(&calendar), step, align, &[ts]);
                prop_assert_eq!(*found, alone[0]);
                let grid = |session| SlotGrid { step, session, align };
                let bucket = |set| grid(set).bucket(Some(&calendar), slot_of(step, ts));
                prop_assert_eq!(found.regular, bucket(SessionSet::Regular).is_some());
                prop_assert_eq!(found.extended, bucket(SessionSet::Extended).is_some());
            }
        }
    }
}
