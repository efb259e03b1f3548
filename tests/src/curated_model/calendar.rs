//! Sessions, and the slots that they make expected: each found by its definition, one after the
//! other.

use std::collections::BTreeMap;

use barrow_types::{DAY_NANOS, Step, civil_from_days};

/// The hours of a session, in nanoseconds from 00:00 UTC of its date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// It begins.
    pub open: i64,
    /// It is over.
    pub close: i64,
    /// From when to when it rests, if it does.
    pub pause: Option<(i64, i64)>,
    /// Trading before the open begins.
    pub pre_open: Option<i64>,
    /// Trading after the close is over.
    pub post_close: Option<i64>,
}

/// The dates of a calendar, in days from 1970, that have a session.
pub type Dates = BTreeMap<i64, Hours>;

/// Which part of a session counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionSet {
    /// From open to close.
    Regular,
    /// What comes before and after too.
    Extended,
    /// The same.
    All,
}

/// Where buckets begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// With the session's range.
    Session,
    /// At multiples of the step from 00:00 UTC.
    Clock,
}

/// A session, in nanoseconds from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its date, in days from 1970.
    pub date: i64,
    /// It begins.
    pub open: i64,
    /// It is over.
    pub close: i64,
    /// From when to when it rests, if it does.
    pub pause: Option<(i64, i64)>,
    /// Trading begins.
    pub first: i64,
    /// Trading is over.
    pub last: i64,
}

/// An expected slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number.
    pub number: i64,
    /// When it begins.
    pub start: i64,
    /// When it is over.
    pub end: i64,
    /// The date of its (first) session, in days from 1970.
    pub session: i64,
}

impl Session {
    /// The session of `date` with these hours.
    pub fn of(date: i64, hours: &Hours) -> Self {
        let at = |offset: i64| date * DAY_NANOS + offset;
        Self {
            date,
            open: at(hours.open),
            close: at(hours.close),
            pause: hours.pause.map(|(start, end)| (at(start), at(end))),
            first: at(hours.pre_open.unwrap_or(hours.open)),
            last: at(hours.post_close.unwrap_or(hours.close)),
        }
    }

    /// The session of `date` where there is no calendar: the day of the UTC clock.
    pub fn of_clock(date: i64) -> Self {
        let (pause, pre_open, post_close) = (None, None, None);
        Self::of(date, &Hours { open: 0, close: DAY_NANOS, pause, pre_open, post_close })
    }

    /// What is left of it at `at` and later, if some of it from open to close is.
    fn after(mut self, at: i64) -> Option<Self> {
        if at <= self.first {
            return Some(self);
        }
        (self.first, self.open) = (at, self.open.max(at));
        if let Some((_, go)) = self.pause.take_if(|(stop, _)| *stop <= at) {
            (self.first, self.open) = (self.first.max(go), self.open.max(go));
        }
        Some(self).filter(|left| left.open < left.close)
    }

    fn range(&self, set: SessionSet) -> (i64, i64) {
        match set {
            SessionSet::Regular => (self.open, self.close),
            SessionSet::Extended | SessionSet::All => (self.first, self.last),
        }
    }

    /// Whether it goes on at an instant.
    pub fn is_on(&self, set: SessionSet, at: i64) -> bool {
        let (first, last) = self.range(set);
        let rests = self.pause.is_some_and(|(stop, go)| stop <= at && at < go);
        first <= at && at < last && !rests
    }

    /// The expected slots of a step shorter than a day.
    fn buckets(&self, step: Step, set: SessionSet, align: Align) -> Vec<Slot> {
        let width = step.width().expect("invariant: shorter than a day").get();
        let (first, last) = self.range(set);
        let mut start = match align {
            Align::Session => first,
            Align::Clock => first.div_euclid(DAY_NANOS) * DAY_NANOS,
        };
        let mut slots = Vec::new();
        while start < last {
            let shared = (start.max(first), (start + width).min(last));
            if self.some_is_open(shared) {
                let number = number(step, start);
                slots.push(Slot { number, start, end: shared.1, session: self.date });
            }
            start += width;
        }
        slots
    }

    /// Whether some of a part of the session lies outside its break.
    fn some_is_open(&self, (start, end): (i64, i64)) -> bool {
        match self.pause {
            None => start < end,
            Some((stop, go)) => start < end.min(stop) || start.max(go) < end,
        }
    }
}

/// The number of the slot that a stored `ts` lies in.
pub fn number(step: Step, ts: i64) -> i64 {
    let day = ts.div_euclid(DAY_NANOS);
    match step {
        Step::Tick => panic!("ticks lie in no slot"),
        Step::D1 => day,
        // 1970-01-01 was a Thursday: the Monday of its week lies three days before it.
        Step::W1 => (day + 3).div_euclid(7),
        Step::Mo1 => {
            let (year, month, _) = civil_from_days(day);
            (year - 1970) * 12 + month - 1
        }
        _ => {
            let width = step.width().expect("invariant: shorter than a day").get();
            ts.div_euclid(width)
        }
    }
}

/// Sessions in order of date without what of them begins before the one before is over.
pub fn apart(sessions: impl IntoIterator<Item = Session>) -> Vec<Session> {
    let mut kept: Vec<Session> = Vec::new();
    for session in sessions {
        let over = kept.last().map_or(i64::MIN, |before| before.last);
        kept.extend(session.after(over));
    }
    kept
}

/// When a slot begins: at its start, or with its (first) session.
pub fn begin(slot: &Slot, sessions: &[Session], set: SessionSet) -> i64 {
    let session = sessions.iter().find(|session| session.date == slot.session);
    let (first, _) = session.expect("invariant: a slot is of a session").range(set);
    slot.start.max(first)
}

/// The slots that these sessions, in order of date, make expected.
pub fn expected(sessions: &[Session], step: Step, set: SessionSet, align: Align) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    if !step.is_dated() {
        for slot in sessions.iter().flat_map(|session| session.buckets(step, set, align)) {
            match slots.last_mut().filter(|last| last.number == slot.number) {
                // Two sessions share it.
                Some(shared) => shared.end = slot.end,
                None => slots.push(slot),
            }
        }
        return slots;
    }
    for session in sessions {
        let number = number(step, session.date * DAY_NANOS);
        match slots.iter_mut().find(|slot| slot.number == number) {
            Some(slot) => slot.end = session.close,
            None => slots.push(Slot {
                number,
                start: session.open,
                end: session.close,
                session: session.date,
            }),
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use barrow_types::days_from_civil;

    const MINUTE: i64 = 60_000_000_000;

    /// 2024-02-29, a Thursday.
    const THURSDAY: i64 = days_from_civil(2024, 2, 29);

    fn at(text: &str) -> i64 {
        let (hours, minutes) = text.split_once(':').unwrap();
        (hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap()) * MINUTE
    }

    fn hours(open: &str, close: &str) -> Hours {
        let (pause, pre_open, post_close) = (None, None, None);
        Hours { open: at(open), close: at(close), pause, pre_open, post_close }
    }

    /// The slots of Thursday as `start-end`, in hours and minutes of that day.
    fn told(hours: &Hours, step: Step, set: SessionSet, align: Align) -> String {
        let slots = expected(&[Session::of(THURSDAY, hours)], step, set, align);
        let clock = |ts: i64| {
            let minutes = (ts - THURSDAY * DAY_NANOS) / MINUTE;
            format!("{}:{:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
        };
        let one = |slot: &Slot| format!("{}-{}", clock(slot.start), clock(slot.end));
        slots.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn buckets_begin_with_the_session_or_with_the_clock_and_are_clipped_at_its_end() {
        let hours = hours("9:30", "12:15");
        let told = |align| told(&hours, Step::H1, SessionSet::Regular, align);
        assert_eq!(told(Align::Session), "9:30-10:30 10:30-11:30 11:30-12:15");
        assert_eq!(told(Align::Clock), "9:00-10:00 10:00-11:00 11:00-12:00 12:00-12:15");
    }

    #[test]
    fn a_bucket_inside_the_break_is_not_expected_and_one_that_reaches_out_of_it_is() {
        let mut hours = hours("9:00", "15:00");
        hours.pause = Some((at("11:30"), at("13:15")));
        let told = |step| told(&hours, step, SessionSet::Regular, Align::Session);
        let hourly = "9:00-10:00 10:00-11:00 11:00-12:00 13:00-14:00 14:00-15:00";
        assert_eq!(told(Step::H1), hourly);
        assert_eq!(told(Step::H4), "9:00-13:00 13:00-15:00");
        // 11:30 begins in the break, 13:00 reaches out of it.
        let halves = "9:00-9:30 9:30-10:00 10:00-10:30 10:30-11:00 11:00-11:30 13:00-13:30 \
                      13:30-14:00 14:00-14:30 14:30-15:00";
        assert_eq!(told(Step::M30), halves);
    }

    #[test]
    fn extended_hours_count_where_there_are_any() {
        let mut hours = hours("9:30", "10:00");
        let told = |hours: &Hours, set| told(hours, Step::M30, set, Align::Session);
        for set in [SessionSet::Regular, SessionSet::Extended, SessionSet::All] {
            assert_eq!(told(&hours, set), "9:30-10:00");
        }
        (hours.pre_open, hours.post_close) = (Some(at("9:15")), Some(at("10:10")));
        assert_eq!(told(&hours, SessionSet::Regular), "9:30-10:00");
        assert_eq!(told(&hours, SessionSet::Extended), "9:15-9:45 9:45-10:10");
        assert_eq!(told(&hours, SessionSet::All), "9:15-9:45 9:45-10:10");
    }

    #[test]
    fn a_session_may_open_on_the_day_before_its_date() {
        let mut hours = hours("0:00", "2:00");
        hours.open = -at("3:00");
        let told = told(&hours, Step::H4, SessionSet::Regular, Align::Clock);
        assert_eq!(told, "-4:00-0:00 0:00-2:00");
    }

    #[test]
    fn a_slot_of_two_sessions_is_of_the_earlier_and_ends_with_the_later() {
        let dates = [THURSDAY, THURSDAY + 1];
        let mut hours = hours("0:00", "1:30");
        hours.open = -90 * MINUTE;
        let sessions = dates.map(|date| Session::of(date, &hours));
        hours.close = 22 * 60 * MINUTE;
        let long = dates.map(|date| Session::of(date, &hours));
        let clock = |sessions: &[Session]| {
            let slots = expected(sessions, Step::H4, SessionSet::Regular, Align::Clock);
            let of = |ts: i64| (ts - THURSDAY * DAY_NANOS) / MINUTE;
            let told = |slot: &Slot| (of(slot.start), of(slot.end), slot.session - THURSDAY);
            slots.iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(
            clock(&sessions),
            [(-240, 0, 0), (0, 90, 0), (1_200, 1_440, 1), (1_440, 1_530, 1)]
        );
        let all = clock(&long);
        // From 20:00 on the first session shares the slot with the next until midnight.
        assert!(all.contains(&(1_200, 1_440, 0)), "{all:?}");
        assert_eq!(all.iter().filter(|slot| slot.0 == 1_200).count(), 1);
    }

    #[test]
    fn of_a_session_that_begins_before_the_one_before_is_over_the_rest_is_left() {
        let mut early = hours("9:00", "12:00");
        early.post_close = Some(at("14:00"));
        let told = |late: &Hours| {
            // The hours of the second are those of a date, told as if it were the same.
            let sessions = apart([Session::of(THURSDAY, &early), Session::of(THURSDAY, late)]);
            let of = |ts: i64| (ts - THURSDAY * DAY_NANOS) / MINUTE;
            let later = sessions.get(1);
            later.map(|s| (of(s.first), of(s.open), s.pause.map(|p| of(p.0)), of(s.last)))
        };
        let mut late = hours("11:00", "18:00");
        assert_eq!(told(&late), Some((840, 840, None, 1_080)));
        late.pause = Some((at("15:00"), at("16:00")));
        assert_eq!(told(&late), Some((840, 840, Some(900), 1_080)));
        late.pause = Some((at("13:00"), at("16:00")));
        assert_eq!(told(&late), Some((960, 960, None, 1_080)));
        late.pause = Some((at("12:00"), at("13:00")));
        assert_eq!(told(&late), Some((840, 840, None, 1_080)));
        late = hours("15:00", "18:00");
        late.pre_open = Some(at("13:00"));
        assert_eq!(told(&late), Some((840, 900, None, 1_080)));
        assert_eq!(told(&hours("11:00", "14:00")), None);
        assert_eq!(told(&hours("14:00", "15:00")), Some((840, 840, None, 900)));
    }

    #[test]
    fn weeks_and_months_reach_from_the_first_open_to_the_last_close() {
        let dates = [THURSDAY, THURSDAY + 1, THURSDAY + 4, THURSDAY + 5];
        let sessions = dates.map(|date| Session::of(date, &hours("9:30", "16:00")));
        let slots = |step| expected(&sessions, step, SessionSet::Extended, Align::Session);
        let (open, close) = (|at: usize| sessions[at].open, |at: usize| sessions[at].close);
        let weeks = slots(Step::W1);
        assert_eq!(weeks.len(), 2);
        assert_eq!((weeks[0].start, weeks[0].end, weeks[0].session), (open(0), close(1), dates[0]));
        assert_eq!((weeks[1].start, weeks[1].end, weeks[1].session), (open(2), close(3), dates[2]));
        let months = slots(Step::Mo1);
        assert_eq!(months.len(), 2);
        assert_eq!((months[0].start, months[0].end), (open(0), close(0)));
        assert_eq!((months[1].start, months[1].end), (open(1), close(3)));
        let days: Vec<i64> = slots(Step::D1).iter().map(|slot| slot.number).collect();
        assert_eq!(days, dates);
    }

    #[test]
    fn slots_are_numbered_from_1970_and_before_it() {
        for (step, ts, expected) in [
            (Step::M1, 0, 0),
            (Step::M1, -1, -1),
            (Step::D1, -1, -1),
            // 1970-01-04 was a Sunday, 1970-01-05 a Monday.
            (Step::W1, 4 * DAY_NANOS - 1, 0),
            (Step::W1, 4 * DAY_NANOS, 1),
            (Step::W1, -3 * DAY_NANOS, 0),
            (Step::W1, -3 * DAY_NANOS - 1, -1),
            (Step::Mo1, 31 * DAY_NANOS, 1),
            (Step::Mo1, -1, -1),
        ] {
            assert_eq!(number(step, ts), expected, "{step:?} {ts}");
        }
    }

    #[test]
    fn without_a_calendar_every_minute_of_the_day_is_expected() {
        let day = [Session::of_clock(THURSDAY)];
        let minutes = expected(&day, Step::M1, SessionSet::Regular, Align::Session);
        assert_eq!(minutes.len(), 1_440);
        assert_eq!(minutes[0].start, THURSDAY * DAY_NANOS);
        let days = expected(&day, Step::D1, SessionSet::Regular, Align::Session);
        assert_eq!((days[0].start, days[0].end), (day[0].open, day[0].open + DAY_NANOS));
    }
}
