//! Times as text: read from requests and bodies, written to JSON and CSV.
//!
//! In: RFC 3339 with an offset; a bare `YYYY-MM-DD`, where the caller allows one, as 00:00 UTC of
//! that day; whole nanoseconds since 1970. A whole number outside 1e17..5e18 in size (1973 to
//! 2128, and as far before 1970) is refused: it is much likelier seconds or milliseconds.
//! Out: RFC 3339 with as many digits as needed.

use std::io::Write as _;

use barrow_engine::calendar::Calendar;
use barrow_types::{DAY_NANOS, Timestamp, civil_from_days};
use jiff::tz::TimeZone;

use super::error::Problem;
use super::params::Params;

/// Smallest whole number that is taken for nanoseconds, in size.
const NANOS_MIN: u64 = 100_000_000_000_000_000;
/// Largest whole number that is taken for nanoseconds, in size.
const NANOS_MAX: u64 = 5_000_000_000_000_000_000;

/// Whole nanoseconds, if they are plausible.
///
/// # Errors
/// What they look like.
pub(crate) fn from_integer(nanos: i64) -> Result<Timestamp, String> {
    let size = nanos.unsigned_abs();
    if (NANOS_MIN..=NANOS_MAX).contains(&size) {
        return Ok(Timestamp::from_nanos(nanos));
    }
    let looks = match size {
        0..100_000_000_000 => "looks like seconds",
        100_000_000_000..100_000_000_000_000 => "looks like milliseconds",
        100_000_000_000_000..NANOS_MIN => "looks like microseconds",
        _ => "is too far from 1970",
    };
    Err(format!("{nanos} {looks}; whole numbers are nanoseconds since 1970"))
}

/// An instant as text: whole nanoseconds or RFC 3339; a bare date if `dates`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str, dates: bool) -> Result<Timestamp, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .map_err(|_| format!("{text} is too far from 1970"))
            .and_then(from_integer);
    }
    if text.len() == 10
        && let Ok(date) = text.parse::<jiff::civil::Date>()
    {
        if !dates {
            return Err(format!("{text} is a date; bars of this step need a time with an offset"));
        }
        let time = date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
        return time.map_err(|error| error.to_string()).and_then(in_range);
    }
    let time = text.parse::<jiff::Timestamp>().map_err(|_| {
        format!(
            "'{text}' is not a time: write 2013-10-07T09:30:00-04:00, or nanoseconds since 1970"
        )
    })?;
    in_range(time)
}

/// As [`parse`] with dates, for a parameter of a request, where a plus sign that was not escaped
/// arrives as a space.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_parameter(text: &str) -> Result<Timestamp, String> {
    match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't']) && offset.contains(':') => {
            parse(&format!("{time}+{offset}"), true)
        }
        _ => parse(text, true),
    }
}

/// A time of a request: an instant, or the session of a date by a calendar that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// An instant.
    Instant(Timestamp),
    /// A bare date, in days since 1970.
    Date(i32),
}

impl When {
    /// The first instant of it: of a date, when its session or the next one begins by `calendar`,
    /// before the open included; without a calendar 00:00 UTC.
    pub(crate) fn start(self, calendar: Option<&Calendar>) -> Timestamp {
        match self {
            Self::Instant(instant) => instant,
            Self::Date(date) => {
                let midnight = i64::from(date) * DAY_NANOS;
                let session = calendar.and_then(|calendar| {
                    calendar.session(date).or_else(|| calendar.next_session(date))
                });
                Timestamp::from_nanos(session.map_or(midnight, |session| session.pre_open))
            }
        }
    }
}

/// As [`parse_parameter`], but a bare date stays one.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_when(text: &str) -> Result<When, String> {
    let instant = parse_parameter(text)?;
    let is_date = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    let date = i32::try_from(instant.nanos().div_euclid(DAY_NANOS)).ok();
    Ok(date.filter(|_| is_date).map_or(When::Instant(instant), When::Date))
}

/// `start` and `end` of a request.
///
/// # Errors
/// One is no time, or `start` lies after `end`; of a date and an instant only a calendar knows.
pub(crate) fn parse_range(params: &Params) -> Result<(Option<When>, Option<When>), Problem> {
    let range = (params.read("start", parse_when)?, params.read("end", parse_when)?);
    let is_turned = match range {
        (Some(When::Instant(start)), Some(When::Instant(end))) => start > end,
        (Some(When::Date(start)), Some(When::Date(end))) => start > end,
        _ => false,
    };
    if is_turned {
        return Err(Problem::parameter("start", "lies after end"));
    }
    Ok(range)
}

fn in_range(time: jiff::Timestamp) -> Result<Timestamp, String> {
    i64::try_from(time.as_nanosecond())
        .map(Timestamp::from_nanos)
        .map_err(|_| format!("{time} is outside 1677-09-21 to 2262-04-11"))
}

/// How times are written.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// With `Z`.
    Utc,
    /// With the offset that the zone has at that instant.
    Named(TimeZone),
}

impl Zone {
    /// The zone of that IANA name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        if name == "UTC" {
            return Ok(Self::Utc);
        }
        TimeZone::get(name)
            .map(Self::Named)
            .map_err(|_| format!("'{name}' is no time zone; write America/New_York"))
    }

    /// Appends `at` as RFC 3339.
    pub(crate) fn write(&self, at: Timestamp, out: &mut Vec<u8>) {
        match self {
            Self::Utc => {
                write_civil(at.nanos(), out);
                out.push(b'Z');
            }
            Self::Named(zone) => {
                let instant = jiff::Timestamp::from_nanosecond(at.nanos().into())
                    .expect("invariant: 64 bits of nanoseconds are years 1677 to 2262");
                let offset = i64::from(zone.to_offset(instant).seconds());
                write_civil(at.nanos().saturating_add(offset * 1_000_000_000), out);
                let (sign, offset) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
                let (hours, minutes) = (offset / 3_600, offset % 3_600 / 60);
                write!(out, "{sign}{hours:02}:{minutes:02}").expect(WRITES);
            }
        }
    }
}

const WRITES: &str = "invariant: writing to a Vec succeeds";

fn write_civil(nanos: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(nanos.div_euclid(DAY_NANOS));
    let in_day = nanos.rem_euclid(DAY_NANOS);
    let (seconds, fraction) = (in_day / 1_000_000_000, in_day % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").expect(WRITES);
    if fraction != 0 {
        write!(out, ".{fraction:09}").expect(WRITES);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, nanos: i64) {
        assert_eq!(parse(text, true).map(Timestamp::nanos), Ok(nanos), "{text}");
    }

    #[test]
    fn times_with_an_offset_dates_and_nanoseconds_are_read() {
        // Seconds from `date -u -d TEXT +%s`.
        check("2013-10-07T09:30:00-04:00", 1_381_152_600_000_000_000);
        check("2013-10-07T13:30:00Z", 1_381_152_600_000_000_000);
        check("2013-10-07 13:30:00+00:00", 1_381_152_600_000_000_000);
        check("2013-10-07T13:30:00.000000001Z", 1_381_152_600_000_000_001);
        check("2013-10-07", 1_381_104_000_000_000_000);
        check("1969-12-31T23:59:59.5Z", -500_000_000);
        check("1381152600000000000", 1_381_152_600_000_000_000);
        check("-200000000000000000", -200_000_000_000_000_000);
        let plus = parse_parameter("2013-10-07T13:30:00 00:00").unwrap();
        assert_eq!(plus.nanos(), 1_381_152_600_000_000_000);
    }

    #[test]
    fn what_is_no_time_is_told_apart() {
        for (text, part) in [
            ("1381152600", "looks like seconds"),
            ("1381152600000", "looks like milliseconds"),
            ("1381152600000000", "looks like microseconds"),
            ("9000000000000000000", "too far"),
            ("99999999999999999999", "too far"),
            ("0", "looks like seconds"),
            ("2013-10-07T09:30:00", "is not a time"),
            ("yesterday", "is not a time"),
            ("", "is not a time"),
            ("-", "is not a time"),
            ("1500-01-01", "outside"),
            ("2013-13-07", "is not a time"),
        ] {
            let error = parse(text, true).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse("2013-10-07", false).unwrap_err().contains("is a date"));
    }

    fn shown(zone: &str, nanos: i64) -> String {
        let mut out = Vec::new();
        Zone::parse(zone).unwrap().write(Timestamp::from_nanos(nanos), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_written_in_the_zone_asked_for() {
        let open = 1_381_152_600_000_000_000;
        assert_eq!(shown("UTC", open), "2013-10-07T13:30:00Z");
        assert_eq!(shown("America/New_York", open), "2013-10-07T09:30:00-04:00");
        assert_eq!(shown("Asia/Kolkata", open + 50), "2013-10-07T19:00:00.00000005+05:30");
        assert_eq!(shown("UTC", -1), "1969-12-31T23:59:59.999999999Z");
        assert!(Zone::parse("Mars/Olympus").is_err());
    }

    proptest! {
        #[test]
        fn every_instant_reads_back_as_written(nanos: i64, place in 0_usize..3) {
            // Not so near the ends that the local time leaves the years 1677 to 2262.
            let nanos = nanos / 10 * 9;
            let zone = ["UTC", "America/New_York", "Asia/Tokyo"][place];
            let text = shown(zone, nanos);
            // Offsets before standard time have seconds, which RFC 3339 cannot say.
            prop_assume!(zone == "UTC" || nanos > -1_500_000_000_000_000_000);
            prop_assert_eq!(parse(&text, false).map(Timestamp::nanos), Ok(nanos), "{}", text);
        }
    }
}
