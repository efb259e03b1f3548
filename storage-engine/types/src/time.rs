//! Instants and spans. Integers of nanoseconds, UTC, right before 1970; leap seconds do not exist.

/// Nanoseconds in a day of 24 hours.
pub const DAY_NANOS: i64 = 86_400_000_000_000;

/// Nanoseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(i64);

/// A span of time in nanoseconds; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(i64);

impl Timestamp {
    /// The earliest instant there is: 1677-09-21.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant there is: 2262-04-11.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `nanos` nanoseconds after 1970-01-01T00:00:00Z.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// This instant plus `span`; stays at the end of the range rather than wrapping.
    pub const fn saturating_add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The UTC day that contains this instant, as days since 1970-01-01. Floors.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY_NANOS)
    }
}

/// RFC 3339 in UTC; the fraction is left out where there is none.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = civil_from_days(self.day());
        let of_day = self.0.rem_euclid(DAY_NANOS);
        let (seconds, fraction) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if fraction != 0 {
            write!(f, ".{fraction:09}")?;
        }
        f.write_str("Z")
    }
}

impl Nanos {
    /// A span of `nanos` nanoseconds.
    pub const fn new(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of `seconds` seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// The number of nanoseconds.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The proleptic Gregorian date `(year, month, day)` of a day since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_before_1970_belongs_to_the_day_that_contains_it() {
        assert_eq!(Timestamp::from_nanos(-1).day(), -1);
        assert_eq!(Timestamp::from_nanos(0).day(), 0);
        assert_eq!(Timestamp::from_nanos(-DAY_NANOS).day(), -1);
        assert_eq!(Timestamp::from_nanos(-DAY_NANOS - 1).day(), -2);
    }

    #[test]
    fn instants_are_written_as_rfc_3339() {
        // Seconds from `date -u -d DATE +%s`.
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_381_152_600_000_000_000, "2013-10-07T13:30:00Z"),
            (1_381_152_600_000_000_001, "2013-10-07T13:30:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn known_dates_have_their_known_day_numbers() {
        // Day numbers from `date -u -d DATE +%s` divided by 86400.
        for (date, day) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2000, 2, 29), 11_016),
            ((2013, 10, 7), 15_985),
            ((1900, 3, 1), -25_508),
        ] {
            assert_eq!(days_from_civil(date.0, date.1, date.2), day);
            assert_eq!(civil_from_days(day), date);
        }
    }

    #[test]
    fn every_day_of_five_centuries_goes_there_and_back() {
        for day in -100_000..100_000 {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day, "{y}-{m}-{d}");
        }
    }
}
