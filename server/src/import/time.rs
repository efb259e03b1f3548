//! Times as files write them.
//!
//! | format | examples |
//! |---|---|
//! | ISO | `2024-01-02`, `2024-01-02 09:30`, `2024-01-02T09:30:00.000+0000`, `2024-01-02 09:30:00-05:00`, `…Z` |
//! | compact | `20240102`, `20240102 093000`, `20240102T09:30:00`, `20240102 093000123`, `20240102093000`, `202401020930` |
//! | epoch | `1704205800`, `1704205800.25`, `1704205800000` (ms), … (us), … (ns) |
//!
//! | typed | dates and timestamps of Parquet and Arrow |
//!
//! A column has one format: it is found from a sample and then asked of every row. What is read is
//! what stands there ([`Written`]); which instant or session that is, `clock.rs` decides. A double
//! since 1970 is read by the fewest digits that mean it.

use std::fmt;

use barrow_types::{DAY_NANOS, civil_from_days, days_from_civil};

use super::table::Cell;

const SECOND: i64 = 1_000_000_000;

/// How far the text says where it is from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    /// Not at all.
    Naive,
    /// It is UTC: `Z`, `+00:00`, or an epoch number.
    Utc,
    /// By this many seconds, east positive.
    Seconds(i64),
}

/// A time as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// What the clock on the wall shows, as nanoseconds since 1970-01-01 00:00 of that wall.
    pub(crate) wall: i64,
    /// What it says about its offset.
    pub(crate) offset: Offset,
    /// Whether it is a date and nothing else.
    pub(crate) date_only: bool,
}

impl Written {
    /// Whether it shows the beginning of a day.
    pub(crate) fn is_midnight(self) -> bool {
        self.wall.rem_euclid(DAY_NANOS) == 0
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.wall.div_euclid(DAY_NANOS));
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        if self.date_only {
            return Ok(());
        }
        let nanos = self.wall.rem_euclid(DAY_NANOS);
        let (seconds, fraction) = (nanos / SECOND, nanos % SECOND);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, " {hour:02}:{minute:02}:{second:02}")?;
        if fraction > 0 {
            write!(f, ".{}", format!("{fraction:09}").trim_end_matches('0'))?;
        }
        match self.offset {
            Offset::Naive => Ok(()),
            Offset::Utc => f.write_str("Z"),
            Offset::Seconds(seconds) => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// How the times of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// Times already.
    Typed,
    /// Dates with `-`, times with `:`.
    Iso,
    /// Dates as eight digits.
    Compact,
    /// Numbers since 1970-01-01T00:00:00Z, in units of so many nanoseconds.
    Epoch(i64),
}

impl TimeFormat {
    /// The format that reads at least nine in ten samples; `None` if there is none.
    pub(crate) fn detect(samples: &[&Cell<'_>]) -> Option<Self> {
        let typed = samples.iter().filter(|cell| matches!(cell, Cell::Time(_))).count();
        if typed > 0 {
            return Some(Self::Typed);
        }
        let texts: Vec<_> = samples.iter().map(|cell| cell.text()).collect();
        Self::detect_text(&texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>())
    }

    /// As [`TimeFormat::detect`], of texts.
    pub(crate) fn detect_text(samples: &[&str]) -> Option<Self> {
        let needed = samples.len() - samples.len() / 10;
        let reads_enough = |format: &Self| {
            samples.iter().filter(|text| format.read_text(text).is_some()).count() >= needed.max(1)
        };
        if let Some(format) = [Self::Iso, Self::Compact].into_iter().find(reads_enough) {
            return Some(format);
        }
        [SECOND, 1_000_000, 1_000, 1].map(Self::Epoch).into_iter().find(|format| {
            let in_unit = |text: &&&str| epoch_unit(text).map(Self::Epoch) == Some(*format);
            samples.iter().filter(in_unit).count() >= needed.max(1) && reads_enough(format)
        })
    }

    /// Reads one time; `None` if it is not of this format, or no time there is.
    pub(crate) fn read(self, cell: &Cell<'_>) -> Option<Written> {
        match (self, cell) {
            (_, Cell::Time(written)) => Some(*written),
            (Self::Epoch(unit), Cell::Int(count)) => {
                let wall = i64::try_from(*count).ok()?.checked_mul(unit)?;
                Some(Written { wall, offset: Offset::Utc, date_only: false })
            }
            _ => self.read_text(&cell.text()),
        }
    }

    /// Reads one time that is written as text.
    pub(crate) fn read_text(self, text: &str) -> Option<Written> {
        match self {
            Self::Typed => None,
            Self::Iso => read_iso(text),
            Self::Compact => read_compact(text),
            Self::Epoch(unit) => read_epoch(text, unit),
        }
    }

    /// For a person.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Iso => "ISO",
            Self::Compact => "YYYYMMDD",
            Self::Epoch(SECOND) => "epoch seconds",
            Self::Epoch(1_000_000) => "epoch milliseconds",
            Self::Epoch(1_000) => "epoch microseconds",
            Self::Epoch(_) => "epoch nanoseconds",
        }
    }
}

/// Takes text from the front, piece by piece.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(count)?;
        let mut number = 0;
        for byte in head {
            if !byte.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i64::from(byte - b'0');
        }
        self.0 = rest;
        Some(number)
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Digits after a point as nanoseconds; finer digits must be zero.
    fn fraction(&mut self) -> Option<i64> {
        if !self.take(b'.') {
            return Some(0);
        }
        let mut nanos = 0;
        let mut unit = SECOND / 10;
        let mut count = 0;
        while let Some((byte, rest)) = self.0.split_first() {
            if !byte.is_ascii_digit() {
                break;
            }
            let digit = i64::from(byte - b'0');
            if unit == 0 && digit != 0 {
                return None;
            }
            nanos += digit * unit;
            unit /= 10;
            count += 1;
            self.0 = rest;
        }
        (count > 0).then_some(nanos)
    }

    /// The digits that are left, 3, 6 or 9 of them, as nanoseconds.
    fn glued_fraction(&mut self) -> Option<i64> {
        let unit = match self.0.len() {
            3 => 1_000_000,
            6 => 1_000,
            9 => 1,
            _ => return self.fraction(),
        };
        if self.0[0] == b'.' { self.fraction() } else { Some(self.digits(self.0.len())? * unit) }
    }

    /// `HH:MM[:SS[.fraction]]` or, without colons, `HHMM[SS[.fraction]]` with or without the point,
    /// as nanoseconds of the day.
    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        let colons = self.take(b':');
        let minute = self.digits(2)?;
        let has_second = if colons { self.take(b':') } else { !self.0.is_empty() };
        let (second, fraction) = match (has_second, colons) {
            (false, _) => (0, 0),
            (true, true) => (self.digits(2)?, self.fraction()?),
            (true, false) => (self.digits(2)?, self.glued_fraction()?),
        };
        let valid = hour < 24 && minute < 60 && second < 60;
        valid.then_some((hour * 3_600 + minute * 60 + second) * SECOND + fraction)
    }

    /// `Z`, `+HH`, `+HHMM`, `+HH:MM`, or nothing; one space before it is allowed.
    fn offset(&mut self) -> Option<Offset> {
        if self.0.len() > 1 {
            self.take(b' ');
        }
        if self.0.is_empty() {
            return Some(Offset::Naive);
        }
        if self.take(b'Z') || self.take(b'z') {
            return Some(Offset::Utc);
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        let minutes = if self.take(b':') || !self.0.is_empty() { self.digits(2)? } else { 0 };
        if hours > 18 || minutes > 59 {
            return None;
        }
        let seconds = sign * (hours * 3_600 + minutes * 60);
        Some(if seconds == 0 { Offset::Utc } else { Offset::Seconds(seconds) })
    }
}

/// Nanoseconds at the beginning of a date; `None` if there is no such date or it is out of range.
fn date_nanos(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let first = days_from_civil(year, month, 1);
    if day > days_from_civil(next_year, next_month, 1) - first {
        return None;
    }
    (first + day - 1).checked_mul(DAY_NANOS)
}

fn read_iso(text: &str) -> Option<Written> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.digits(4)?;
    cursor.take(b'-').then_some(())?;
    let month = cursor.digits(2)?;
    cursor.take(b'-').then_some(())?;
    let day = cursor.digits(2)?;
    let date = date_nanos(year, month, day)?;
    if cursor.0.is_empty() {
        return Some(Written { wall: date, offset: Offset::Naive, date_only: true });
    }
    if !(cursor.take(b'T') || cursor.take(b' ')) {
        return None;
    }
    (cursor.0.get(2) == Some(&b':')).then_some(())?;
    let time = cursor.time_of_day()?;
    let offset = cursor.offset()?;
    let wall = date.checked_add(time)?;
    cursor.0.is_empty().then_some(Written { wall, offset, date_only: false })
}

fn read_compact(text: &str) -> Option<Written> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.digits(4)?;
    let month = cursor.digits(2)?;
    let day = cursor.digits(2)?;
    if !(1_900..=2_199).contains(&year) {
        return None;
    }
    let date = date_nanos(year, month, day)?;
    if cursor.0.is_empty() {
        return Some(Written { wall: date, offset: Offset::Naive, date_only: true });
    }
    if !(cursor.take(b' ') || cursor.take(b'T') || cursor.0.len() >= 4) {
        return None;
    }
    let wall = date.checked_add(cursor.time_of_day()?)?;
    cursor.0.is_empty().then_some(Written { wall, offset: Offset::Naive, date_only: false })
}

fn split_epoch(text: &str) -> Option<(i64, &str)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((is_number.then(|| whole.parse().ok())??, fraction))
}

/// The unit in which a number of this size is a time of our days: 1973 to 5138 as seconds, and so
/// on down to nanoseconds.
fn epoch_unit(text: &str) -> Option<i64> {
    let (whole, _) = split_epoch(text)?;
    match whole.unsigned_abs() {
        100_000_000..100_000_000_000 => Some(SECOND),
        100_000_000_000..100_000_000_000_000 => Some(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => Some(1_000),
        100_000_000_000_000_000.. => Some(1),
        _ => None,
    }
}

fn read_epoch(text: &str, unit: i64) -> Option<Written> {
    let (whole, fraction) = split_epoch(text)?;
    let mut nanos = 0_i64;
    let mut digit_unit = unit;
    for byte in fraction.bytes() {
        let digit = i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        digit_unit /= 10;
        if digit_unit == 0 && digit != 0 {
            return None;
        }
        nanos += digit * digit_unit;
    }
    let whole_nanos = whole.checked_mul(unit)?;
    let signed = if text.starts_with('-') { -nanos } else { nanos };
    let wall = whole_nanos.checked_add(signed)?;
    Some(Written { wall, offset: Offset::Utc, date_only: false })
}

#[cfg(test)]
mod tests;
