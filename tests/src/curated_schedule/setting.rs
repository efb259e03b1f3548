//! The small world of the schedules: four session dates around the turn of a week and a month.

use barrow_types::{DAY_NANOS, civil_from_days, days_from_civil};

use crate::curated_model::calendar::Hours;
use crate::curated_model::facts::{ALWAYS, Action, Fact, OfferedFact};
use crate::curated_model::rules::{OTHERS, RULES};
use crate::model::Table;

/// One second.
pub const SECOND: i64 = 1_000_000_000;

/// One minute.
pub const MINUTE: i64 = 60 * SECOND;

/// One hour.
pub const HOUR: i64 = 60 * MINUTE;

/// The dates that have a session at first: Thursday 2024-02-29, Friday, Monday and Tuesday.
pub const DATES: [i64; 4] = [
    days_from_civil(2024, 2, 29),
    days_from_civil(2024, 3, 1),
    days_from_civil(2024, 3, 4),
    days_from_civil(2024, 3, 5),
];

/// When the sessions of the calendar TINY open: no bucket of five minutes begins then.
pub const OPEN: i64 = (14 * 60 + 31) * MINUTE;

/// When the sessions of the calendar LATE open: on the day before their date.
pub const LATE_OPEN: i64 = -5 * MINUTE;

/// When the sessions of the calendar LONG open, on the day before their date, and close: one begins
/// where the other ends.
pub const LONG_OPEN: i64 = -150 * MINUTE;

/// Names of symbols, as received.
pub const SYMBOLS: [&str; 3] = ["AAA", "BBB", "CC.C"];

/// Names of sources; unlike their order of preference often is.
pub const SOURCES: [&str; 3] = ["one", "two", "six"];

/// Names of instruments: two are also symbols.
pub const INSTRUMENTS: [&str; 4] = ["AAA", "BBB", "I1", "I2"];

/// The calendars. An instrument may also have none.
pub const CALENDARS: [&str; 3] = ["TINY", "LATE", "LONG"];

/// What sources may say of the conditions of their trades.
pub const CONDITIONS: [&str; 6] = [
    "us",
    "us",
    "us I=last,range,volume T=none 4=last,closing Z=range,opening",
    "lean",
    "lean 20=last,range,volume 1=volume 80=last,volume",
    "all",
];

/// Conditions of trades: of the tapes, of Lean, and of neither.
pub const TEXTS: [&str; 18] = [
    "@", "T", "I", "O", "6", "M", "@ 4", "L", "7Z", "9", "1", "20", "20000020", "40", "80",
    "1000000", "20002020", "?",
];

/// The hours of a calendar's dates at first.
pub fn hours(calendar: &str) -> Hours {
    let (pause, pre_open, post_close) = (None, None, None);
    if calendar == "LATE" {
        let close = 2 * MINUTE;
        return Hours { open: LATE_OPEN, close, pause, pre_open, post_close };
    }
    if calendar == "LONG" {
        let close = LONG_OPEN + DAY_NANOS;
        return Hours { open: LONG_OPEN, close, pause, pre_open, post_close };
    }
    Hours {
        open: OPEN,
        close: OPEN + 7 * MINUTE,
        pause: None,
        pre_open: Some(OPEN - MINUTE),
        post_close: Some(OPEN + 8 * MINUTE),
    }
}

/// What the calendars are at first.
pub(super) fn calendar_days() -> Vec<OfferedFact> {
    let days = CALENDARS.into_iter().flat_map(|calendar| {
        DATES.map(|date| {
            let hours = Some(hours(calendar));
            Fact::CalendarDay { calendar: calendar.to_owned(), date, hours }
        })
    });
    offered(days)
}

/// What the instruments are at first: those of long sessions, or of short ones; perhaps the last
/// without a calendar.
pub(super) fn instruments(is_long: bool, last_has_none: bool) -> Vec<OfferedFact> {
    let usual = CALENDARS[if is_long { 2 } else { 0 }];
    let last = if last_has_none { "" } else { CALENDARS[1] };
    let calendars = [usual, usual, CALENDARS[0], last];
    offered(INSTRUMENTS.into_iter().zip(calendars).map(|(instrument, calendar)| Fact::Attribute {
        instrument: instrument.to_owned(),
        from: ALWAYS,
        attribute: "calendar".to_owned(),
        value: calendar.to_owned(),
    }))
}

/// How the rules are applied at first: all that are modelled flag, or none does.
pub(super) fn rules(enabled: bool) -> Vec<OfferedFact> {
    let all = RULES.into_iter().zip([enabled; 4]).chain(OTHERS.into_iter().zip([false; 8]));
    offered(all.map(|(rule, enabled)| Fact::Rule {
        table: Table::Bars,
        rule: rule.to_owned(),
        enabled,
        severity: "warn".to_owned(),
        action: Action::Flag,
        thresholds: if rule == "stale_price" { vec![("n".to_owned(), 3)] } else { Vec::new() },
    }))
}

fn offered(facts: impl Iterator<Item = Fact>) -> Vec<OfferedFact> {
    facts.map(|fact| OfferedFact { fact, known_at: None }).collect()
}

/// 00:00 UTC of the Monday of a week.
pub(super) fn monday(at: i64) -> i64 {
    let day = at.div_euclid(DAY_NANOS);
    (day - (day + 3).rem_euclid(7)) * DAY_NANOS
}

/// 00:00 UTC of the first day of a month.
pub(super) fn first_of_month(at: i64) -> i64 {
    let (year, month, _) = civil_from_days(at.div_euclid(DAY_NANOS));
    days_from_civil(year, month, 1) * DAY_NANOS
}
