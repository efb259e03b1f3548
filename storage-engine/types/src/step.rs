//! How long a bar is.

use crate::{DAY_NANOS, Nanos, Timestamp, civil_from_days, days_from_civil};

/// The step of a series. The numbers are what the files hold: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    /// No step: single events (trades, quotes, ledger entries).
    Tick = 0,
    /// One second.
    S1 = 1,
    /// One minute.
    M1 = 2,
    /// Five minutes.
    M5 = 3,
    /// Fifteen minutes.
    M15 = 4,
    /// Thirty minutes.
    M30 = 5,
    /// One hour.
    H1 = 6,
    /// Four hours.
    H4 = 7,
    /// One session. Stored at 00:00 UTC of the session's date.
    D1 = 8,
    /// One week of sessions. Stored at 00:00 UTC of its first date.
    W1 = 9,
    /// One month of sessions. Stored at 00:00 UTC of its first date.
    Mo1 = 10,
}

impl Step {
    /// Every step, shortest first.
    pub const ALL: [Self; 11] = [
        Self::Tick,
        Self::S1,
        Self::M1,
        Self::M5,
        Self::M15,
        Self::M30,
        Self::H1,
        Self::H4,
        Self::D1,
        Self::W1,
        Self::Mo1,
    ];

    /// The name users write: `1m`, `1d`, `1mo`; ticks are `tick`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::S1 => "1s",
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::M30 => "30m",
            Self::H1 => "1h",
            Self::H4 => "4h",
            Self::D1 => "1d",
            Self::W1 => "1w",
            Self::Mo1 => "1mo",
        }
    }

    /// The step of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// The number in files.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The step of that number, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.code() == code)
    }

    /// The fixed length of the step; `None` for ticks and months.
    pub const fn width(self) -> Option<Nanos> {
        let seconds = match self {
            Self::Tick | Self::Mo1 => return None,
            Self::S1 => 1,
            Self::M1 => 60,
            Self::M5 => 300,
            Self::M15 => 900,
            Self::M30 => 1_800,
            Self::H1 => 3_600,
            Self::H4 => 14_400,
            Self::D1 => 86_400,
            Self::W1 => 604_800,
        };
        Some(Nanos::from_seconds(seconds))
    }

    /// Whether bars of this step are stored by the date of their (first) session.
    pub const fn is_dated(self) -> bool {
        matches!(self, Self::D1 | Self::W1 | Self::Mo1)
    }

    /// The nominal end of the bar that opens at `ts`: the next boundary, without a calendar. A tick
    /// ends when it happens; a month ends at 00:00 UTC of the first day of the next one.
    pub const fn ts_end(self, ts: Timestamp) -> Timestamp {
        match self {
            Self::Tick => ts,
            Self::Mo1 => {
                let (year, month, _) = civil_from_days(ts.day());
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                let days = days_from_civil(year, month, 1);
                Timestamp::from_nanos(days.saturating_mul(DAY_NANOS))
            }
            _ => match self.width() {
                Some(width) => ts.saturating_add(width),
                None => ts,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_step() {
        for step in Step::ALL {
            assert_eq!(Step::parse(step.name()), Some(step));
            assert_eq!(Step::from_code(step.code()), Some(step));
        }
        assert_eq!(Step::parse("2m"), None);
        assert_eq!(Step::from_code(11), None);
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let day = |y, m, d| Timestamp::from_nanos(days_from_civil(y, m, d) * DAY_NANOS);
        assert_eq!(Step::Mo1.ts_end(day(2024, 2, 1)), day(2024, 3, 1));
        assert_eq!(Step::Mo1.ts_end(day(2023, 12, 1)), day(2024, 1, 1));
        assert_eq!(Step::Mo1.ts_end(day(1969, 12, 1)), day(1970, 1, 1));
        assert_eq!(Step::Mo1.ts_end(day(2023, 1, 31)), day(2023, 2, 1));
    }

    #[test]
    fn a_tick_ends_when_it_happens_and_a_minute_a_minute_later() {
        let ts = Timestamp::from_nanos(-5);
        assert_eq!(Step::Tick.ts_end(ts), ts);
        assert_eq!(Step::M1.ts_end(ts).nanos(), 60_000_000_000 - 5);
    }
}
