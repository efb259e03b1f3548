use std::collections::BTreeMap;

use barrow_types::{Align, DAY_NANOS, SessionSet, Step, civil_from_days, days_from_civil};
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000_000_000;

fn date(text: &str) -> i32 {
    let part = |range: Range<usize>| text[range].parse().unwrap();
    date_of(part(0..4), part(5..7), part(8..10))
}

fn instant(text: &str) -> i64 {
    let (hour, minute): (i64, i64) = (text[11..13].parse().unwrap(), text[14..16].parse().unwrap());
    i64::from(date(text)) * DAY_NANOS + (hour * 60 + minute) * MINUTE
}

fn shown(ts: i64) -> String {
    let (year, month, day) = civil_from_days(ts.div_euclid(DAY_NANOS));
    let minutes = ts.rem_euclid(DAY_NANOS) / MINUTE;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

fn embedded(name: &str) -> Arc<Calendar> {
    Calendar::embedded(name).unwrap()
}

fn grid(step: Step, session: SessionSet, align: Align) -> SlotGrid {
    SlotGrid { step, session, align }
}

fn buckets(
    grid: SlotGrid,
    calendar: Option<&Calendar>,
    start: i64,
    end: i64,
) -> impl Iterator<Item = Bucket> {
    let stretches = grid.stretches(calendar, start, end);
    stretches.flat_map(|stretch| (0..stretch.count).map(move |place| stretch.bucket(place)))
}

// --- the embedded tables ------------------------------------------------------------------------

#[test]
fn every_embedded_calendar_reads_and_its_sessions_are_apart() {
    for name in Calendar::names() {
        let calendar = embedded(name);
        let (first, last) = calendar.covered();
        assert!(calendar.covers(first) && calendar.covers(last), "{name}");
        assert!(!calendar.covers(first - 1) && !calendar.covers(last + 1), "{name}");
        let mut end = i64::MIN;
        let mut rank = 0;
        for day in first - 3..=last + 3 {
            assert_eq!(calendar.rank(day), rank, "{name} {day}");
            if let Some(session) = calendar.session(day) {
                assert!(end <= session.pre_open, "{name} {day}");
                end = session.post_close;
                rank += 1;
            }
        }
        assert_eq!(calendar.count(), rank, "{name}");
    }
    assert!(Calendar::embedded("XXXX").is_none());
}

/// Hours as the venues publish them; by UTC.
#[test]
fn known_days_have_their_known_hours() {
    for (name, day, hours) in [
        // A half day in New York closes at 13:00, and what trades after it at 17:00.
        ("XNYS", "2015-12-24", "09:00 14:30 - 18:00 22:00 early_close"),
        // Monday before and after daylight saving began on 2013-03-10 and ended on 2013-11-03.
        ("XNYS", "2013-03-08", "09:00 14:30 - 21:00 01:00 regular"),
        ("XNYS", "2013-03-11", "08:00 13:30 - 20:00 00:00 regular"),
        ("XNAS", "2013-11-01", "08:00 13:30 - 20:00 00:00 regular"),
        ("XNAS", "2013-11-04", "09:00 14:30 - 21:00 01:00 regular"),
        ("XLON", "2015-12-24", "08:00 08:00 - 12:30 12:30 early_close"),
        ("XTKS", "2013-10-07", "00:00 00:00 02:30-03:30 06:00 06:00 regular"),
        ("XHKG", "2013-10-07", "01:30 01:30 04:00-05:00 08:00 08:00 regular"),
        ("FX", "2013-03-08", "22:00 22:00 - 22:00 22:00 regular"),
        ("FX", "2013-03-11", "21:00 21:00 - 21:00 21:00 regular"),
        ("CRYPTO", "2013-03-10", "00:00 00:00 - 00:00 00:00 regular"),
    ] {
        let session = embedded(name).session(date(day)).unwrap();
        let clock = |at: i64| shown(at)[11..].to_owned();
        let pause = match session.pause {
            Some((from, to)) => format!("{}-{}", clock(from), clock(to)),
            None => "-".to_owned(),
        };
        let found = format!(
            "{} {} {pause} {} {} {}",
            clock(session.pre_open),
            clock(session.open),
            clock(session.close),
            clock(session.post_close),
            session.kind.name(),
        );
        assert_eq!(found, hours, "{name} {day}");
    }
    for (name, day) in [
        ("XNYS", "2001-09-11"),
        ("XNYS", "2013-10-06"),
        ("XLON", "2015-12-28"),
        ("FX", "2013-10-06"),
    ] {
        let calendar = embedded(name);
        assert!(calendar.covers(date(day)) && calendar.session(date(day)).is_none(), "{day}");
    }
}

#[test]
fn a_session_is_found_by_its_hours_and_its_neighbours() {
    let calendar = embedded("XNYS");
    let at = |text| calendar.session_at(instant(text)).map(|session| session.date);
    let friday = Some(date("2013-10-04"));
    assert_eq!(at("2013-10-04 08:00"), friday);
    // What trades after the close goes on until 20:00 in New York, which is the next day by UTC.
    assert_eq!(at("2013-10-04 23:59"), friday);
    assert_eq!(at("2013-10-05 00:00"), None);
    assert_eq!(at("2013-10-04 07:59"), None);
    let next = calendar.next_session(date("2013-10-04")).unwrap();
    assert_eq!(next.date, date("2013-10-07"));
    assert_eq!(calendar.previous_session(next.date).unwrap().date, date("2013-10-04"));
    assert_eq!(calendar.next_session(i32::MAX), None);
    assert_eq!(calendar.previous_session(i32::MIN), None);
    let fx = embedded("FX");
    let sunday = fx.session_at(instant("2013-10-06 21:00")).unwrap();
    assert_eq!(sunday.date, date("2013-10-07"));
    assert_eq!(fx.session_at(instant("2013-10-04 21:00")), None);
}

// --- slots of known days ------------------------------------------------------------------------

fn check(name: &str, grid: SlotGrid, start: &str, end: &str, expected: &str) {
    let calendar = embedded(name);
    let found = buckets(grid, Some(&calendar), instant(start), instant(end));
    let found: Vec<_> =
        found.map(|bucket| format!("{} - {}", shown(bucket.start), shown(bucket.end))).collect();
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(found, expected, "{name} {start}");
}

#[test]
fn a_half_day_ends_with_a_short_hour() {
    check(
        "XNYS",
        grid(Step::H1, SessionSet::Regular, Align::Session),
        "2015-12-24 00:00",
        "2015-12-25 00:00",
        "2015-12-24 14:30 - 2015-12-24 15:30
         2015-12-24 15:30 - 2015-12-24 16:30
         2015-12-24 16:30 - 2015-12-24 17:30
         2015-12-24 17:30 - 2015-12-24 18:00",
    );
    check(
        "XNYS",
        grid(Step::H1, SessionSet::Regular, Align::Clock),
        "2015-12-24 00:00",
        "2015-12-25 00:00",
        "2015-12-24 14:00 - 2015-12-24 15:00
         2015-12-24 15:00 - 2015-12-24 16:00
         2015-12-24 16:00 - 2015-12-24 17:00
         2015-12-24 17:00 - 2015-12-24 18:00",
    );
}

#[test]
fn buckets_that_lie_in_the_break_are_not_expected() {
    check(
        "XTKS",
        grid(Step::M30, SessionSet::Regular, Align::Session),
        "2013-10-07 01:30",
        "2013-10-07 05:00",
        "2013-10-07 01:30 - 2013-10-07 02:00
         2013-10-07 02:00 - 2013-10-07 02:30
         2013-10-07 03:30 - 2013-10-07 04:00
         2013-10-07 04:00 - 2013-10-07 04:30
         2013-10-07 04:30 - 2013-10-07 05:00",
    );
    let tokyo = embedded("XTKS");
    let minutes = grid(Step::M1, SessionSet::Regular, Align::Session);
    let day = i64::from(date("2013-10-07")) * DAY_NANOS;
    let counts: Vec<_> =
        minutes.stretches(Some(&tokyo), day, day + DAY_NANOS).map(|run| run.count).collect();
    assert_eq!(counts, [150, 150]);
}

#[test]
fn four_hours_on_the_clock_that_two_fx_days_share_are_one_bucket() {
    check(
        "FX",
        grid(Step::H4, SessionSet::Regular, Align::Clock),
        "2013-10-07 16:00",
        "2013-10-08 04:00",
        "2013-10-07 16:00 - 2013-10-07 20:00
         2013-10-07 20:00 - 2013-10-08 00:00
         2013-10-08 00:00 - 2013-10-08 04:00",
    );
    // On Friday the market closes at 21:00, and the bucket with it.
    check(
        "FX",
        grid(Step::H4, SessionSet::Regular, Align::Clock),
        "2013-10-04 16:00",
        "2013-10-07 04:00",
        "2013-10-04 16:00 - 2013-10-04 20:00
         2013-10-04 20:00 - 2013-10-04 21:00
         2013-10-06 20:00 - 2013-10-07 00:00
         2013-10-07 00:00 - 2013-10-07 04:00",
    );
}

#[test]
fn a_week_goes_from_its_first_open_to_its_last_close() {
    check(
        "XNYS",
        grid(Step::W1, SessionSet::Regular, Align::Session),
        "2015-12-20 00:00",
        "2016-01-09 00:00",
        "2015-12-21 14:30 - 2015-12-24 18:00
         2015-12-28 14:30 - 2015-12-31 21:00
         2016-01-04 14:30 - 2016-01-08 21:00",
    );
    check(
        "FX",
        grid(Step::D1, SessionSet::Regular, Align::Session),
        "2013-10-06 21:00",
        "2013-10-07 21:01",
        "2013-10-06 21:00 - 2013-10-07 21:00
         2013-10-07 21:00 - 2013-10-08 21:00",
    );
}

#[test]
fn a_year_of_new_york_minutes_has_its_known_count() {
    let calendar = embedded("XNYS");
    let year = (instant("2015-01-01 00:00"), instant("2016-01-01 00:00"));
    let count =
        |step, session| grid(step, session, Align::Session).count(Some(&calendar), year.0, year.1);
    // 252 sessions, two of them half days of 210 minutes.
    assert_eq!(count(Step::M1, SessionSet::Regular), 250 * 390 + 2 * 210);
    assert_eq!(count(Step::M1, SessionSet::Extended), 250 * 960 + 2 * 780);
    assert_eq!(count(Step::D1, SessionSet::Regular), 252);
    assert_eq!(count(Step::Mo1, SessionSet::All), 12);
    let all = grid(Step::M1, SessionSet::All, Align::Session);
    assert_eq!(all.count(None, year.0, year.1), 365 * 1440);
}

// --- facts --------------------------------------------------------------------------------------

fn hours(open: i64, close: i64) -> Hours {
    Hours::new(open * MINUTE, close * MINUTE, None, open * MINUTE, close * MINUTE).unwrap()
}

#[test]
fn a_surprise_closure_and_an_added_day_change_their_dates_alone() {
    let calendar = embedded("XNYS");
    let (monday, saturday) = (date("2013-10-07"), date("2013-10-05"));
    let changed = calendar.with_days([
        (monday, Day::Session(hours(0, 1))),
        (monday, Day::Closed),
        (saturday, Day::Session(hours(870, 1080))),
    ]);
    for day in date("1990-01-01")..=date("2035-12-31") {
        match day {
            _ if day == monday => assert_eq!(changed.session(day), None),
            _ if day == saturday => {
                let session = changed.session(day).unwrap();
                assert_eq!(session.open, instant("2013-10-05 14:30"));
                assert_eq!(session.kind, SessionKind::EarlyClose);
            }
            _ => assert_eq!(changed.session(day), calendar.session(day), "{day}"),
        }
    }
    let same = calendar.with_days([]);
    assert!(same.sessions(DATE_MIN, DATE_MAX).eq(calendar.sessions(DATE_MIN, DATE_MAX)));
}

#[test]
fn a_fact_of_a_date_outside_the_table_covers_that_date_alone() {
    let calendar = embedded("XNYS");
    let (_, last) = calendar.covered();
    let changed = calendar.with_days([
        (last + 10, Day::Session(hours(870, 1260))),
        (last + 5, Day::Closed),
        (i32::MAX, Day::Closed),
    ]);
    let known = (last + 1..=last + 20).filter(|&day| changed.covers(day)).collect::<Vec<_>>();
    assert_eq!(known, [last + 5, last + 10]);
    assert_eq!(changed.next_session(last).unwrap().date, last + 10);
    assert_eq!(changed.rank(i32::MAX), calendar.count() + 1);
    assert_eq!(changed.covered(), calendar.covered());
}

#[test]
fn the_kind_of_a_stated_session_goes_by_its_neighbours() {
    let calendar = embedded("XNYS");
    // Monday after daylight saving began: by UTC everything is an hour earlier than on Friday.
    for (open, close, kind) in [
        (810, 1200, SessionKind::Regular),
        (810, 1199, SessionKind::EarlyClose),
        (900, 1200, SessionKind::LateOpen),
        (900, 1100, SessionKind::EarlyClose),
    ] {
        let monday = date("2013-03-11");
        let changed = calendar.with_days([(monday, Day::Session(hours(open, close)))]);
        assert_eq!(changed.session(monday).unwrap().kind, kind, "{open} {close}");
    }
}

// --- against the definition ---------------------------------------------------------------------

/// Every bucket of these sessions, by the words of the definition.
fn model(grid: SlotGrid, sessions: &[Session]) -> Vec<Bucket> {
    let mut found: Vec<Bucket> = Vec::new();
    if grid.step.is_dated() {
        for session in sessions {
            let (year, month, _) = civil_from_days(session.date.into());
            let slot = match grid.step {
                Step::D1 => i64::from(session.date),
                Step::W1 => (i64::from(session.date) - days_from_civil(1969, 12, 29)).div_euclid(7),
                _ => year * 12 + month - 1 - 1970 * 12,
            };
            match found.last_mut().filter(|last| last.slot == slot) {
                Some(last) => last.end = session.close,
                None => found.push(Bucket {
                    date: session.date,
                    slot,
                    start: session.open,
                    end: session.close,
                }),
            }
        }
        return found;
    }
    let step = grid.step.width().unwrap().get();
    for session in sessions {
        let (from, to) = match grid.session {
            SessionSet::Regular => (session.open, session.close),
            _ => (session.pre_open, session.post_close),
        };
        let mut start = match grid.align {
            Align::Session => from,
            Align::Clock => from.div_euclid(DAY_NANOS) * DAY_NANOS,
        };
        while start < to {
            let shared = |from: i64, to: i64| (to.min(start + step) - from.max(start)).max(0);
            let paused = session.pause.map_or(0, |(from, to)| shared(from, to));
            if shared(from, to) > paused {
                let end = (start + step).min(to);
                let slot = start.div_euclid(step);
                match found.last_mut().filter(|last| last.slot == slot) {
                    Some(last) => last.end = last.end.max(end),
                    None => found.push(Bucket { date: session.date, slot, start, end }),
                }
            }
            start += step;
        }
    }
    found
}

/// Compares every question about the grid with the model, for questions in [`from`, `to`).
fn agree(
    grid: SlotGrid,
    calendar: &Calendar,
    dates: Range<i32>,
    questions: &[(i64, i64)],
) -> Result<(), TestCaseError> {
    // Some more sessions than the questions reach, so that months at the ends are whole.
    let sessions: Vec<_> = calendar.sessions(dates.start - 70, dates.end + 70).collect();
    let all = model(grid, &sessions);
    for &(start, end) in questions {
        let asked = |bucket: &&Bucket| start <= bucket.start && bucket.start < end;
        let expected: Vec<_> = all.iter().filter(asked).copied().collect();
        let found: Vec<_> = buckets(grid, Some(calendar), start, end).collect();
        prop_assert_eq!(&found, &expected, "{:?} {} {}", grid, start, end);
        let count = grid.count(Some(calendar), start, end);
        prop_assert_eq!(usize::try_from(count).unwrap(), expected.len());
        let mut before: Option<(i32, i64)> = None;
        for stretch in grid.stretches(Some(calendar), start, end) {
            prop_assert!(stretch.count > 0);
            // A session is split only where something is missing.
            prop_assert!(before != Some((stretch.date, stretch.first_slot)));
            before = Some((stretch.date, stretch.slots().end));
            let one = |place| stretch.start_of(place) - stretch.start_of(0);
            let step = grid.step.width().map_or(0, |width| width.get());
            prop_assert!((0..stretch.count).all(|p| one(p) == i64::from(p) * step));
        }
        let next = all.iter().find(|bucket| bucket.start >= start).copied();
        let last = all.iter().rfind(|bucket| bucket.end <= end).copied();
        if next.is_some() {
            prop_assert_eq!(grid.next_starting(Some(calendar), start), next);
        }
        if last.is_some() {
            prop_assert_eq!(grid.last_ending(Some(calendar), end), last);
        }
        let slot = slot_of(grid.step, start);
        let bucket = all.iter().find(|bucket| bucket.slot == slot).copied();
        prop_assert_eq!(grid.bucket(Some(calendar), slot), bucket);
    }
    Ok(())
}

fn any_grid() -> impl Strategy<Value = SlotGrid> {
    let step = prop::sample::select(&Step::ALL[2..]);
    let session = prop::sample::select(&SessionSet::ALL[..]);
    let align = prop::sample::select(&Align::ALL[..]);
    (step, session, align).prop_map(|(step, session, align)| SlotGrid { step, session, align })
}

/// Hours in steps of five minutes: short, long, with and without a break and what lies around.
fn any_hours() -> impl Strategy<Value = Hours> {
    let time = |from: i64, to: i64| (from / 5..to / 5).prop_map(|time| time * 5 * MINUTE);
    (time(-700, 1_000), time(5, 1_400), time(0, 400), time(0, 400), any::<(u8, u8)>()).prop_map(
        |(open, len, before, after, (from, to))| {
            let close = open + len;
            let within = |part: u8| open + len / 256 * i64::from(part);
            let pause = (within(from.min(to)), within(from.max(to)));
            let pause = Some(pause).filter(|&(from, to)| open < from && from < to && to < close);
            Hours::new(open, close, pause, open - before, close + after).unwrap()
        },
    )
}

fn empty(covers: &str, months: &str) -> Calendar {
    let text = format!("calendar T\nzone UTC\nversion 1\ncovers {covers}\n{months}");
    Calendar::parse(&text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn slots_of_any_calendar_are_those_of_the_definition(
        days in prop::collection::vec((-40_i32..40, any_hours()), 0..60),
        grid in any_grid(),
        questions in prop::collection::vec((-42_i64 * 1_440..42 * 1_440, 0_i64..20_000), 1..8),
    ) {
        let none = "...............................";
        let calendar = empty("1969-12-01 1970-01-31", &format!("1969-12 {none}\n1970-01 {none}\n"));
        let days = days.into_iter().map(|(date, hours)| (date, Day::Session(hours)));
        let calendar = calendar.with_days(days);
        let questions: Vec<_> = questions
            .into_iter()
            .map(|(start, len)| (start * MINUTE, (start + len) * MINUTE))
            .collect();
        agree(grid, &calendar, -45..45, &questions)?;
    }

    #[test]
    fn slots_of_the_embedded_calendars_are_those_of_the_definition(
        name in prop::sample::select(Calendar::names().collect::<Vec<_>>()),
        place in prop::sample::select(&[
            // Half days, daylight saving in spring and autumn on both sides of the ocean, a
            // holiday, the change of Tokyo's hours, and the ends of the tables.
            "2015-12-24", "2013-03-10", "2013-11-03", "2014-03-30", "2014-10-26", "2012-10-29",
            "2024-11-05", "1990-01-02", "2035-12-30",
        ][..]),
        grid in any_grid(),
        questions in prop::collection::vec((-6_i64 * 1_440..6 * 1_440, 0_i64..9_000), 1..4),
    ) {
        let calendar = embedded(name);
        let date = date(place);
        let noon = i64::from(date) * DAY_NANOS + DAY_NANOS / 2;
        let questions: Vec<_> = questions
            .into_iter()
            .map(|(start, len)| (noon + start * MINUTE, noon + (start + len) * MINUTE))
            .collect();
        agree(grid, &calendar, date - 20..date + 20, &questions)?;
    }

    #[test]
    fn without_a_calendar_every_slot_is_expected(
        grid in any_grid(),
        start in -2_000_000_i64..2_000_000,
        len in 0_i64..200_000,
    ) {
        let (start, end) = (start * 7 * MINUTE, (start * 7 + len) * MINUTE);
        let found: Vec<_> = buckets(grid, None, start, end).collect();
        let mut slot = slot_of(grid.step, start);
        slot += i64::from(slot_begin(grid.step, slot) < start);
        for bucket in &found {
            prop_assert_eq!(bucket.slot, slot);
            prop_assert_eq!(bucket.start, slot_begin(grid.step, slot));
            prop_assert_eq!(bucket.end, slot_begin(grid.step, slot + 1));
            prop_assert_eq!(i64::from(bucket.date), bucket.start.div_euclid(DAY_NANOS));
            slot += 1;
        }
        prop_assert!(slot_begin(grid.step, slot) >= end);
        prop_assert_eq!(grid.count(None, start, end), found.len() as u64);
        if let Some(first) = found.first() {
            prop_assert_eq!(grid.next_starting(None, start), Some(*first));
        }
        let last = grid.last_ending(None, end).unwrap();
        prop_assert!(last.end <= end && end < slot_begin(grid.step, last.slot + 2));
        prop_assert_eq!(grid.bucket(None, last.slot), Some(last));
    }

    #[test]
    fn a_calendar_with_facts_is_that_of_the_facts_and_the_table(
        first in prop::collection::vec((-40_i32..70, prop::option::of(any_hours())), 0..20),
        second in prop::collection::vec((-40_i32..70, prop::option::of(any_hours())), 0..20),
    ) {
        let months = ["1969-12", "1970-01"].into_iter().zip([".", "a"]);
        let months = months.map(|(month, day)| format!("{month} {}\n", day.repeat(31)));
        let text = format!("shape a 60 90\n{}", months.collect::<String>());
        let plain = empty("1969-12-01 1970-01-31", &text);
        let day = |(date, hours): &(i32, Option<Hours>)| {
            (*date, hours.map_or(Day::Closed, Day::Session))
        };
        let changed = plain.with_days(first.iter().chain(&second).map(day));
        let mut facts: BTreeMap<i32, Option<Hours>> = BTreeMap::new();
        facts.extend(first.iter().chain(&second).cloned());
        let mut end = i64::MIN;
        for date in -60..90 {
            let table = plain.session(date).map(|session| (session.open, session.close));
            let midnight = i64::from(date) * DAY_NANOS;
            let stated = match facts.get(&date) {
                Some(hours) => {
                    hours.map(|hours| (midnight + hours.open(), midnight + hours.close()))
                }
                None => table,
            };
            let found = changed.session(date);
            let known = (-31..31).contains(&date) || facts.contains_key(&date);
            prop_assert_eq!(changed.covers(date), known, "{}", date);
            match (stated, found) {
                (None, found) => prop_assert_eq!(found, None),
                // Nothing is left of what the session before it covers.
                (Some((_, close)), None) => prop_assert!(close <= end),
                (Some((open, close)), Some(session)) => {
                    prop_assert!(session.pre_open >= end);
                    prop_assert_eq!(session.close, close);
                    prop_assert!(session.open >= open);
                    // Cut where the one before ends, or behind the break that it ends in.
                    let is_cut = session.pre_open == end || session.pre_open == session.open;
                    prop_assert!(session.open == open || is_cut);
                    let lies_within = |(from, to): (i64, i64)| {
                        session.open < from && from < to && to < session.close
                    };
                    prop_assert!(session.pause.is_none_or(lies_within));
                    end = session.post_close;
                }
            }
            let on = changed.session_at(midnight).map(|session| session.date);
            let holds = |session: &Session| {
                session.pre_open <= midnight && midnight < session.post_close
            };
            let around = (date - 2..=date + 1).filter_map(|date| changed.session(date));
            prop_assert_eq!(on, around.into_iter().find(holds).map(|session| session.date));
        }
    }
}
