//! The hours of one session: when it opens, breaks and closes.

use barrow_types::DAY_NANOS;

use crate::Error;

/// Hours begin at most this long before 00:00 UTC of the session's date: Asia and evening opens.
const HOURS_MIN: i64 = -DAY_NANOS;
/// Hours end at most this long after 00:00 UTC of the session's date.
const HOURS_MAX: i64 = 2 * DAY_NANOS;

/// Hours of a session in nanoseconds from 00:00 UTC of its date, which may lie before it.
///
/// Invariant: `pre_open <= open < close <= post_close`, the break lies strictly between open and
/// close, and all of it from one day before that midnight to two days after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours {
    open: i64,
    close: i64,
    pause: Option<(i64, i64)>,
    pre_open: i64,
    post_close: i64,
}

impl Hours {
    /// Hours from `open` to `close` with at most one break, and what is traded before and after.
    ///
    /// # Errors
    /// Invalid, naming the first field that cannot be so.
    pub fn new(
        open: i64,
        close: i64,
        pause: Option<(i64, i64)>,
        pre_open: i64,
        post_close: i64,
    ) -> Result<Self, Error> {
        let fault = |fault: &str| Err(Error::invalid(fault));
        if close <= open {
            return fault("close: is not after open");
        }
        if pre_open > open {
            return fault("pre_open: is after open");
        }
        if post_close < close {
            return fault("post_close: is before close");
        }
        if pre_open < HOURS_MIN {
            return fault("pre_open: is more than a day before 00:00 UTC of the session's date");
        }
        if post_close > HOURS_MAX {
            return fault(
                "post_close: is more than two days after 00:00 UTC of the session's date",
            );
        }
        if let Some((from, to)) = pause {
            if from <= open {
                return fault("break_start: is not after open");
            }
            if to <= from {
                return fault("break_end: is not after break_start");
            }
            if to >= close {
                return fault("break_end: is not before close");
            }
        }
        Ok(Self { open, close, pause, pre_open, post_close })
    }

    /// The open.
    pub fn open(&self) -> i64 {
        self.open
    }

    /// The close.
    pub fn close(&self) -> i64 {
        self.close
    }

    /// Start and end of the break.
    pub fn pause(&self) -> Option<(i64, i64)> {
        self.pause
    }

    /// When trading before the open begins; the open where there is none.
    pub fn pre_open(&self) -> i64 {
        self.pre_open
    }

    /// When trading after the close ends; the close where there is none.
    pub fn post_close(&self) -> i64 {
        self.post_close
    }

    /// What of these hours lies at or after `at`, if something of open to close does.
    pub(super) fn from(self, at: i64) -> Option<Self> {
        if self.pre_open >= at {
            return Some(self);
        }
        let in_pause = self.pause.filter(|&(from, to)| from <= at && at < to);
        let pre_open = in_pause.map_or(at, |(_, to)| to);
        let open = self.open.max(pre_open);
        let pause = self.pause.filter(|&(from, _)| from > open);
        (open < self.close).then_some(Self { open, pause, pre_open, ..self })
    }
}

/// Whether a session is as long as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionKind {
    /// It is.
    Regular,
    /// It closes earlier than usual, and perhaps opens later.
    EarlyClose,
    /// It opens later than usual.
    LateOpen,
}

impl SessionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Regular, Self::EarlyClose, Self::LateOpen];

    /// The name users read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::EarlyClose => "early_close",
            Self::LateOpen => "late_open",
        }
    }

    /// The kind of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One session of a calendar; instants in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its date, in days since 1970.
    pub date: i32,
    /// The open.
    pub open: i64,
    /// The close.
    pub close: i64,
    /// Start and end of the break.
    pub pause: Option<(i64, i64)>,
    /// When trading before the open begins; the open where there is none.
    pub pre_open: i64,
    /// When trading after the close ends; the close where there is none.
    pub post_close: i64,
    /// Whether it is as long as usual.
    pub kind: SessionKind,
}

impl Session {
    /// The session of that date and those hours.
    pub(super) fn new(date: i32, hours: &Hours, kind: SessionKind) -> Self {
        let midnight = i64::from(date) * DAY_NANOS;
        Self {
            date,
            open: midnight + hours.open,
            close: midnight + hours.close,
            pause: hours.pause.map(|(from, to)| (midnight + from, midnight + to)),
            pre_open: midnight + hours.pre_open,
            post_close: midnight + hours.post_close,
            kind,
        }
    }
}

/// What a fact says about a date of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// There is a session of these hours.
    Session(Hours),
    /// There is none.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = DAY_NANOS / 24;

    #[test]
    fn hours_that_cannot_be_name_the_field_that_is_wrong() {
        let new = |open: i64, close: i64, pause: Option<(i64, i64)>, pre: i64, post: i64| {
            let pause = pause.map(|(from, to)| (from * HOUR, to * HOUR));
            Hours::new(open * HOUR, close * HOUR, pause, pre * HOUR, post * HOUR)
        };
        assert!(new(1, 7, Some((3, 4)), 1, 7).is_ok());
        assert!(new(-24, 48, None, -24, 48).is_ok());
        for (hours, field) in [
            (new(7, 7, None, 7, 7), "close"),
            (new(1, 7, None, 2, 7), "pre_open"),
            (new(1, 7, None, 1, 6), "post_close"),
            (new(1, 7, None, -25, 7), "pre_open"),
            (new(1, 7, None, 1, 49), "post_close"),
            (new(1, 7, Some((1, 2)), 1, 7), "break_start"),
            (new(1, 7, Some((3, 3)), 1, 7), "break_end"),
            (new(1, 7, Some((3, 7)), 1, 7), "break_end"),
        ] {
            let error = hours.unwrap_err();
            assert!(error.detail().starts_with(&format!("{field}: ")), "{error}");
        }
    }

    #[test]
    fn what_is_left_of_hours_begins_where_they_are_cut() {
        let hours = Hours::new(10, 60, Some((30, 40)), 5, 70).unwrap();
        let left =
            |at| hours.from(at).map(|h| (h.pre_open, h.open, h.pause, h.close, h.post_close));
        assert_eq!(left(5), Some((5, 10, Some((30, 40)), 60, 70)));
        assert_eq!(left(7), Some((7, 10, Some((30, 40)), 60, 70)));
        assert_eq!(left(20), Some((20, 20, Some((30, 40)), 60, 70)));
        assert_eq!(left(30), Some((40, 40, None, 60, 70)));
        assert_eq!(left(39), Some((40, 40, None, 60, 70)));
        assert_eq!(left(50), Some((50, 50, None, 60, 70)));
        assert_eq!(left(60), None);
    }
}
