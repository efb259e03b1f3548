//! A calendar as text: the embedded tables, and the files that users bring for other venues.
//!
//! ```text
//! # Anything behind a hash at the start of a line is for people.
//! calendar XTKS
//! zone Asia/Tokyo
//! version 1
//! oracle exchange_calendars 4.13.2
//! covers 1997-01-01 2035-12-31
//! shape a 0 360 break 150 210
//! shape b 0 150 early_close
//! shape c -60 360 break 150 210 extended -120 400
//! 1997-01 .....baaaa..aaaaa...aaaa..aaaaa.
//! ```
//!
//! - The head, each line once: `calendar` a name without spaces, `zone` an IANA name, `version`,
//!   `covers` first and last date, and, if wanted, `oracle`: what the table was made from.
//! - `shape`: a letter or digit, then open and close, then, if there is one, `break` with its start
//!   and end, then, if something is traded outside open to close, `extended` with start and end of
//!   that, then `early_close` or `late_open` for a session that is not as long as usual. Times are
//!   whole minutes from 00:00 UTC of the session's date, negative on the day before.
//! - A line for each month from the first date's to the last one's, in order: a character for each
//!   day, the letter of its shape or `.` where there is no session.
//!
//! Sessions must not overlap. There are no rules for zones or daylight saving here: hours that move
//! on the UTC clock are two shapes.

use barrow_types::{DAY_NANOS, Symbol, civil_from_days, days_from_civil};

use super::hours::{Hours, SessionKind};
use super::{Calendar, DATE_MAX, DATE_MIN, Head, Shape, narrow};
use crate::Error;

const MINUTE_NANOS: i64 = 60_000_000_000;
/// Minutes beyond this cannot be meant; the bound keeps sums small.
const MINUTES_MAX: i64 = 1 << 20;

impl Calendar {
    /// The calendar that `text` describes.
    ///
    /// # Errors
    /// Invalid, naming the line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reading = Reading::default();
        let mut line_last = 0;
        for (number, line) in (1..).zip(text.lines()) {
            line_last = number;
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            reading.line(line).map_err(|fault| at(number, &fault))?;
        }
        reading.finish().map_err(|fault| at(line_last, &fault))
    }
}

fn at(line: usize, fault: &str) -> Error {
    Error::invalid(format!("calendar, line {line}: {fault}"))
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    name: Option<String>,
    zone: Option<String>,
    version: Option<String>,
    oracle: Option<String>,
    covers: Option<(i32, i32)>,
    letters: Vec<char>,
    /// The shape of each letter.
    shapes: Vec<Shape>,
    /// The month that the next line must be about, counted from year 0.
    month: Option<i64>,
    /// Dates, and the place of their shapes.
    sessions: Vec<(i32, u32)>,
    /// When the last session ends, in nanoseconds since 1970.
    end: Option<i64>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        if key.starts_with(|c: char| c.is_ascii_digit()) {
            return self.days(key, value);
        }
        if self.month.is_some() {
            return Err(format!("'{key}' stands behind the first month: put it before"));
        }
        if value.is_empty() {
            return Err(format!("'{key}' says nothing"));
        }
        match key {
            "calendar" => once(key, &mut self.name, checked_name(value)?),
            "zone" => once(key, &mut self.zone, value.to_owned()),
            "version" => once(key, &mut self.version, value.to_owned()),
            "oracle" => once(key, &mut self.oracle, value.to_owned()),
            "covers" => once(key, &mut self.covers, covers(value)?),
            "shape" => {
                let (letter, shape) = shape(value)?;
                if self.letters.contains(&letter) {
                    return Err(format!("shape {letter} is there already"));
                }
                self.letters.push(letter);
                self.shapes.push(shape);
                Ok(())
            }
            _ => Err(format!(
                "'{key}' is none of calendar, zone, version, oracle, covers, shape and no month"
            )),
        }
    }

    /// A line about a month.
    fn days(&mut self, month: &str, days: &str) -> Result<(), String> {
        let (first, last) = self.covers.ok_or("a month before the line 'covers'")?;
        let wanted = self.month.unwrap_or_else(|| month_of(first));
        if wanted > month_of(last) {
            return Err(format!("{month} is after the last date that 'covers' names"));
        }
        let (year, number) = (wanted.div_euclid(12), wanted.rem_euclid(12) + 1);
        let name = format!("{year:04}-{number:02}");
        if month != name {
            return Err(format!("here stands {month}, where {name} must"));
        }
        let begin = first_of(wanted);
        let len = first_of(wanted + 1) - begin;
        let given = days.chars().count();
        if i64::try_from(given) != Ok(len) {
            return Err(format!("{name} has {len} days, and here are {given} characters"));
        }
        for (day, letter) in (begin..).zip(days.chars()) {
            if letter == '.' {
                continue;
            }
            let of_month = day - begin + 1;
            let place = self.letters.iter().position(|known| *known == letter);
            let place =
                place.ok_or_else(|| format!("day {of_month}: there is no shape '{letter}'"))?;
            let hours = self.shapes[place].hours;
            let date = i32::try_from(day).ok().filter(|date| (first..=last).contains(date));
            let date = date.ok_or_else(|| format!("day {of_month} lies outside 'covers'"))?;
            let midnight = day * DAY_NANOS;
            if self.end.is_some_and(|end| midnight + hours.pre_open() < end) {
                return Err(format!(
                    "day {of_month} begins before the session before it has ended"
                ));
            }
            self.end = Some(midnight + hours.post_close());
            self.sessions.push((date, narrow(place)));
        }
        self.month = Some(wanted + 1);
        Ok(())
    }

    fn finish(self) -> Result<Calendar, String> {
        let missing = |what: &str| format!("the line '{what}' is missing");
        let covers = self.covers.ok_or_else(|| missing("covers"))?;
        let wanted = month_of(covers.1) + 1;
        if self.month != Some(wanted) {
            return Err("months up to the last date that 'covers' names are missing".to_owned());
        }
        let head = Head {
            name: self.name.ok_or_else(|| missing("calendar"))?,
            zone: self.zone.ok_or_else(|| missing("zone"))?,
            version: self.version.ok_or_else(|| missing("version"))?,
            oracle: self.oracle,
            covers,
        };
        Ok(Calendar::build(head, self.sessions, self.shapes, Vec::new()))
    }
}

fn once<T>(key: &str, place: &mut Option<T>, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("'{key}' is there already")),
    }
}

fn checked_name(name: &str) -> Result<String, String> {
    if name.contains(char::is_whitespace) {
        return Err("the name holds a space".to_owned());
    }
    let name = Symbol::new(name).map_err(|fault| format!("the name {fault}"))?;
    Ok(name.as_str().to_owned())
}

fn covers(text: &str) -> Result<(i32, i32), String> {
    let (first, last) = text.split_once(' ').ok_or("'covers' names a first and a last date")?;
    let (first, last) = (date(first)?, date(last.trim())?);
    if last < first {
        return Err("the last date lies before the first".to_owned());
    }
    Ok((first, last))
}

/// `2015-12-24` as days since 1970.
fn date(text: &str) -> Result<i32, String> {
    let no_date = || format!("'{text}' is not a date: write 2015-12-24");
    let digits = |range: std::ops::Range<usize>| {
        let digits = text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<i64>().ok()).ok_or_else(no_date)
    };
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    if text.len() != 10 || text.bytes().filter(|&b| b == b'-').count() != 2 {
        return Err(no_date());
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return Err(no_date());
    }
    let days = i32::try_from(days).ok().filter(|days| (DATE_MIN..=DATE_MAX).contains(days));
    days.ok_or_else(|| format!("{text} is outside the years 1678 to 2261"))
}

/// `a 870 1260 break 1000 1060 extended 540 1500 early_close`.
fn shape(text: &str) -> Result<(char, Shape), String> {
    let mut words = text.split_whitespace().peekable();
    let word = words.next().unwrap_or_default();
    let letter = match (word.chars().next(), word.len()) {
        (Some(letter), 1) if letter.is_ascii_alphanumeric() => letter,
        _ => return Err(format!("'{word}' is not one letter or digit, the name of a shape")),
    };
    let fault = |what: String| format!("shape {letter}: {what}");
    let time = |of: &str, words: &mut dyn Iterator<Item = &str>| {
        let word = words.next().ok_or_else(|| fault(format!("{of}: is missing")))?;
        let minutes = word.parse::<i64>().ok().filter(|m| m.abs() <= MINUTES_MAX);
        let minutes = minutes
            .ok_or_else(|| fault(format!("{of}: '{word}' is not whole minutes from 00:00 UTC")))?;
        Ok::<i64, String>(minutes * MINUTE_NANOS)
    };
    let (open, close) = (time("open", &mut words)?, time("close", &mut words)?);
    let (mut pause, mut outer, mut kind) = (None, (open, close), SessionKind::Regular);
    if words.next_if_eq(&"break").is_some() {
        pause = Some((time("break_start", &mut words)?, time("break_end", &mut words)?));
    }
    if words.next_if_eq(&"extended").is_some() {
        outer = (time("pre_open", &mut words)?, time("post_close", &mut words)?);
    }
    if let Some(word) = words.next() {
        kind = SessionKind::parse(word)
            .ok_or_else(|| fault(format!("'{word}' is not known, or not in its place")))?;
    }
    if let Some(word) = words.next() {
        return Err(fault(format!("'{word}' is too much")));
    }
    let hours = Hours::new(open, close, pause, outer.0, outer.1)
        .map_err(|error| fault(error.detail().to_owned()))?;
    Ok((letter, Shape { hours, kind }))
}

/// Months since year 0 of a date's month.
fn month_of(date: i32) -> i64 {
    let (year, month, _) = civil_from_days(i64::from(date));
    year * 12 + month - 1
}

/// The first day of a month since year 0, in days since 1970.
fn first_of(month: i64) -> i64 {
    days_from_civil(month.div_euclid(12), month.rem_euclid(12) + 1, 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "\
# A venue of few days.
calendar XTST
zone Etc/UTC
version 7
covers 1969-12-30 1970-02-02
shape a 540 1020 break 720 780 extended 480 1080
shape b 540 720 early_close
1969-12 .............................ab
1970-01 .a.............................
1970-02 .b..........................
";

    fn refused(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        Calendar::parse(&GOOD.replacen(from, to, 1)).unwrap_err().detail().to_owned()
    }

    #[test]
    fn a_users_table_says_which_days_have_which_hours() {
        let calendar = Calendar::parse(GOOD).unwrap();
        assert_eq!((calendar.name(), calendar.zone()), ("XTST", "Etc/UTC"));
        assert_eq!((calendar.version(), calendar.oracle()), ("7", None));
        assert_eq!(calendar.covered(), (-2, 32));
        let dates: Vec<_> = calendar.sessions(-100, 100).map(|session| session.date).collect();
        assert_eq!(dates, [-2, -1, 1, 32]);
        let whole = calendar.session(-2).unwrap();
        let minute = |day: i64, minute: i64| day * DAY_NANOS + minute * MINUTE_NANOS;
        assert_eq!((whole.open, whole.close), (minute(-2, 540), minute(-2, 1020)));
        assert_eq!(whole.pause, Some((minute(-2, 720), minute(-2, 780))));
        assert_eq!((whole.pre_open, whole.post_close), (minute(-2, 480), minute(-2, 1080)));
        let half = calendar.session(32).unwrap();
        assert_eq!((half.kind, half.pause), (SessionKind::EarlyClose, None));
        assert_eq!((half.pre_open, half.post_close), (half.open, half.close));
    }

    #[test]
    fn every_fault_of_a_table_names_its_line() {
        for (from, to, says) in [
            ("calendar XTST", "calendar X TST", "line 2: the name holds a space"),
            ("calendar XTST", "calendar ../x", "line 2: the name holds '..'"),
            ("calendar XTST", "calender XTST", "line 2: 'calender' is none of"),
            ("calendar XTST\n", "", "line 9: the line 'calendar' is missing"),
            ("zone Etc/UTC", "zone", "line 3: 'zone' says nothing"),
            ("version 7", "zone Etc/UTC", "line 4: 'zone' is there already"),
            ("covers 1969-12-30", "covers 1969-02-29", "line 5: '1969-02-29' is not a date"),
            ("covers 1969-12-30", "covers 1969-1-003", "line 5: '1969-1-003' is not a date"),
            ("covers 1969-12-30", "covers 1970-12-30", "line 5: the last date lies before"),
            ("covers 1969-12-30", "covers 1969-12-31", "line 8: day 30 lies outside 'covers'"),
            ("covers 1969-12-30", "covers 1600-12-30", "line 5: 1600-12-30 is outside the years"),
            ("covers 1969-12-30 1970-02-02", "covers 1969-12-30", "line 5: 'covers' names a first"),
            ("covers 1969-12-30 1970-02-02\n", "", "line 7: a month before the line 'covers'"),
            ("shape b", "shape a", "line 7: shape a is there already"),
            ("shape b", "shape bb", "line 7: 'bb' is not one letter"),
            ("shape b 540 720", "shape b 540", "line 7: shape b: close: 'early_close' is not"),
            ("shape b 540 720", "shape b 720 540", "line 7: shape b: close: is not after open"),
            ("early_close", "half_day", "line 7: shape b: 'half_day' is not known"),
            ("early_close", "early_close early_close", "line 7: shape b: 'early_close' is too"),
            ("break 720 780", "break 720 1020", "line 6: shape a: break_end: is not before"),
            ("extended 480 1080", "extended 480", "line 6: shape a: post_close: is missing"),
            ("extended 480 1080", "extended 480 1e9", "line 6: shape a: post_close: '1e9' is not"),
            ("shape b", "shape c", "line 8: day 31: there is no shape 'b'"),
            ("1969-12 .", "1969-12 ", "line 8: 1969-12 has 31 days, and here are 30"),
            ("1970-01", "1970-1", "line 9: here stands 1970-1, where 1970-01 must"),
            ("1970-02 .b..........................\n", "", "line 9: months up to the last date"),
            ("540 720 early", "-900 720 early", "line 8: day 31 begins before the session before"),
        ] {
            let detail = refused(from, to);
            assert!(detail.starts_with(&format!("calendar, {says}")), "{to}: {detail}");
        }
        let more = format!("{GOOD}1970-03 ...............................\n");
        let detail = Calendar::parse(&more).unwrap_err().detail().to_owned();
        assert!(detail.contains("line 11: 1970-03 is after the last date"), "{detail}");
        assert!(Calendar::parse("").is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_table_is_refused_or_read_and_nothing_else(
            edits in prop::collection::vec((0..GOOD.len(), 0_usize..4, "\\PC|[0-9. a-]"), 1..6),
        ) {
            let mut text: Vec<char> = GOOD.chars().collect();
            for (place, removed, added) in edits {
                let from = place.min(text.len());
                let to = (from + removed).min(text.len());
                text.splice(from..to, added.chars());
            }
            let text: String = text.into_iter().collect();
            if let Ok(calendar) = Calendar::parse(&text) {
                let (first, last) = calendar.covered();
                prop_assert_eq!(calendar.sessions(first, last + 1).count(), calendar.count());
            }
        }
    }
}
