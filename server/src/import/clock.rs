//! Which instant, or which session, a written time means.
//!
//! - Times with an offset are instants. Times without one need a zone. A local time that a change
//!   of the clocks skipped is rejected; one that came twice is told by the order of the file: in a
//!   file that runs forward, the first of the two that lies after the row before it.
//! - Bars of a day and longer belong to the date that is written, whatever the offset: a stamp
//!   `2022-06-06 00:00:00+01:00` is the session of 2022-06-06. Only a UTC instant that is no
//!   midnight needs a zone to have a date.
//! - Stamps at the end of a bar become its beginning. A week then begins on the Monday, a month on
//!   the 1st, of the day before the stamp.

use std::collections::HashMap;

use barrow_types::{DAY_NANOS, Step, civil_from_days, days_from_civil};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::time::{Offset, Written};

const SECOND: i64 = 1_000_000_000;

/// Where in its bar a stamp stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// At the open.
    Start,
    /// At the end.
    End,
}

impl Stamp {
    /// The name users write.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }
}

/// In which direction the rows of a symbol run through time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
    /// Neither.
    Mixed,
}

/// Why a time cannot be used: a word for programs, a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

fn unusable(reason: &'static str, detail: impl Into<String>) -> Unusable {
    Unusable { reason, detail: detail.into() }
}

/// How far the local time of one day is from UTC.
#[derive(Clone, Copy)]
enum DayOffset {
    /// The same for all of the day, in seconds.
    Whole(i64),
    /// The clocks change.
    Changes,
}

/// A zone, with the offsets of the days met so far.
#[derive(Clone)]
struct Zone {
    tz: TimeZone,
    days: HashMap<i64, DayOffset>,
}

/// Turns written times into the `ts` of bars.
#[derive(Clone)]
pub(crate) struct Clock {
    step: Step,
    stamp: Stamp,
    order: Order,
    zone: Option<Zone>,
}

fn civil(wall: i64) -> Option<jiff::civil::DateTime> {
    let days = wall.div_euclid(DAY_NANOS);
    let (year, month, day) = civil_from_days(days);
    let date = jiff::civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    let nanos = wall.rem_euclid(DAY_NANOS);
    let time =
        jiff::civil::Time::midnight().checked_add(jiff::SignedDuration::from_nanos(nanos)).ok()?;
    Some(date.to_datetime(time))
}

impl Zone {
    fn offset_at(&self, wall: i64) -> Option<AmbiguousOffset> {
        Some(self.tz.to_ambiguous_timestamp(civil(wall)?).offset())
    }

    fn day(&mut self, day: i64) -> Option<DayOffset> {
        if let Some(known) = self.days.get(&day) {
            return Some(*known);
        }
        let first = self.offset_at(day.checked_mul(DAY_NANOS)?)?;
        let last = self.offset_at((day + 1).checked_mul(DAY_NANOS)? - 1)?;
        let offset = match (first, last) {
            (
                AmbiguousOffset::Unambiguous { offset: first },
                AmbiguousOffset::Unambiguous { offset: last },
            ) if first == last => DayOffset::Whole(i64::from(first.seconds())),
            _ => DayOffset::Changes,
        };
        self.days.insert(day, offset);
        Some(offset)
    }

    /// The date in this zone of an instant, as days since 1970-01-01.
    fn date_of(&self, instant: i64) -> Option<i64> {
        let timestamp = jiff::Timestamp::from_nanosecond(i128::from(instant)).ok()?;
        let offset = i64::from(self.tz.to_offset(timestamp).seconds());
        Some(instant.checked_add(offset * SECOND)?.div_euclid(DAY_NANOS))
    }
}

impl Clock {
    /// A clock for bars of `step`, stamped at `stamp`, in a file that runs in `order`; `zone` is
    /// where times without an offset are meant.
    pub(crate) fn new(step: Step, stamp: Stamp, order: Order, zone: Option<TimeZone>) -> Self {
        let zone = zone.map(|tz| Zone { tz, days: HashMap::new() });
        Self { step, stamp, order, zone }
    }

    /// The instant that is written. `before` is the instant of the same symbol's row before it in
    /// the file.
    pub(crate) fn instant(
        &mut self,
        written: Written,
        before: Option<i64>,
    ) -> Result<i64, Unusable> {
        let shifted = |seconds: i64| {
            written
                .wall
                .checked_sub(seconds * SECOND)
                .ok_or_else(|| unusable("bad_time", "lies outside the years 1678 to 2261"))
        };
        match written.offset {
            Offset::Utc => Ok(written.wall),
            Offset::Seconds(seconds) => shifted(seconds),
            Offset::Naive => {
                let order = self.order;
                // Many ticks share an instant, no two bars do.
                let may_repeat = self.step == Step::Tick;
                let zone = self.zone.as_mut().ok_or_else(|| {
                    unusable("needs_time_zone", "carries no offset: give --time-zone")
                })?;
                let out_of_range = || unusable("bad_time", "lies outside the years 1678 to 2261");
                let day = zone.day(written.wall.div_euclid(DAY_NANOS)).ok_or_else(out_of_range)?;
                if let DayOffset::Whole(seconds) = day {
                    return shifted(seconds);
                }
                match zone.offset_at(written.wall).ok_or_else(out_of_range)? {
                    AmbiguousOffset::Unambiguous { offset } => shifted(i64::from(offset.seconds())),
                    AmbiguousOffset::Gap { .. } => Err(unusable(
                        "skipped_local_time",
                        "does not exist: the clocks of its zone went forward over it",
                    )),
                    AmbiguousOffset::Fold { before: summer, after: winter } => choose(
                        order,
                        may_repeat,
                        shifted(i64::from(summer.seconds()))?,
                        shifted(i64::from(winter.seconds()))?,
                        before,
                    ),
                }
            }
        }
    }

    /// The `ts` of the bar with this stamp, and the instant (or written midnight) to hand in as
    /// `before` with the next row.
    pub(crate) fn bar(
        &mut self,
        written: Written,
        before: Option<i64>,
    ) -> Result<(i64, i64), Unusable> {
        if self.step.is_dated() {
            let day = self.session_day(written)?;
            let first = match (self.step, self.stamp) {
                (Step::W1, Stamp::End) => monday_of(day - 1),
                (Step::Mo1, Stamp::End) => first_of_month(day - 1),
                (Step::D1, Stamp::End) if !written.date_only && written.is_midnight() => day - 1,
                _ => day,
            };
            return Ok((first * DAY_NANOS, day * DAY_NANOS));
        }
        let instant = self.instant(written, before)?;
        let width = self.step.width().map_or(0, |width| width.get());
        let ts = match self.stamp {
            Stamp::Start => instant,
            Stamp::End => instant.saturating_sub(width),
        };
        Ok((ts, instant))
    }

    fn session_day(&self, written: Written) -> Result<i64, Unusable> {
        let as_written = written.wall.div_euclid(DAY_NANOS);
        match (written.offset, &self.zone) {
            (Offset::Utc, Some(zone)) => zone
                .date_of(written.wall)
                .ok_or_else(|| unusable("bad_time", "lies outside the years 1678 to 2261")),
            (Offset::Utc, None) if !written.is_midnight() => Err(unusable(
                "needs_time_zone",
                "is a UTC instant, which has no session date without --time-zone",
            )),
            _ => Ok(as_written),
        }
    }
}

/// Which of the two instants of a repeated hour is meant.
fn choose(
    order: Order,
    may_repeat: bool,
    first: i64,
    second: i64,
    before: Option<i64>,
) -> Result<i64, Unusable> {
    let fits = |candidate: i64| match (order, before) {
        (Order::Forward | Order::Backward, Some(before)) if before == candidate => may_repeat,
        (Order::Mixed, _) => false,
        (_, None) => true,
        (Order::Forward, Some(before)) => candidate > before,
        (Order::Backward, Some(before)) => candidate < before,
    };
    let candidates = match order {
        Order::Backward => [second, first],
        Order::Forward | Order::Mixed => [first, second],
    };
    candidates.into_iter().find(|candidate| fits(*candidate)).ok_or_else(|| {
        unusable(
            "ambiguous_local_time",
            "came twice when the clocks of its zone went back, and the rows around it do not tell \
             which",
        )
    })
}

/// The Monday on or before a day since 1970-01-01, which was a Thursday.
fn monday_of(day: i64) -> i64 {
    day - (day + 3).rem_euclid(7)
}

fn first_of_month(day: i64) -> i64 {
    let (year, month, _) = civil_from_days(day);
    days_from_civil(year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::time::TimeFormat;

    fn shown(nanos: i64) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_string()
    }

    /// Stamps, one a line, through one clock; shows `ts` or the reason.
    fn check(step: Step, stamp: Stamp, order: Order, zone: &str, input: &str, expected: &str) {
        let zone = (!zone.is_empty()).then(|| TimeZone::get(zone).unwrap());
        let mut clock = Clock::new(step, stamp, order, zone);
        let mut before = None;
        let mut got = Vec::new();
        for line in input.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let format = TimeFormat::detect_text(&[line]).unwrap();
            let written = format.read_text(line).unwrap();
            got.push(match clock.bar(written, before) {
                Ok((ts, instant)) => {
                    before = Some(instant);
                    shown(ts)
                }
                Err(error) => error.reason.to_owned(),
            });
        }
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(got, expected, "{input}");
    }

    #[test]
    fn a_local_time_means_another_instant_in_summer_and_in_winter() {
        check(
            Step::M1,
            Stamp::Start,
            Order::Forward,
            "America/New_York",
            "2013-10-04 09:30:00
             2013-11-04 09:30:00",
            "2013-10-04T13:30:00Z 2013-11-04T14:30:00Z",
        );
    }

    #[test]
    fn a_skipped_local_time_is_rejected_and_its_neighbours_are_not() {
        check(
            Step::M1,
            Stamp::Start,
            Order::Forward,
            "America/New_York",
            "2024-03-10 01:59:00
             2024-03-10 02:00:00
             2024-03-10 02:59:59
             2024-03-10 03:00:00",
            "2024-03-10T06:59:00Z skipped_local_time skipped_local_time 2024-03-10T07:00:00Z",
        );
    }

    #[test]
    fn a_repeated_hour_is_told_by_the_order_of_the_rows() {
        let rows = "2024-11-03 00:59:00
             2024-11-03 01:00:00
             2024-11-03 01:59:00
             2024-11-03 01:00:00
             2024-11-03 01:59:00
             2024-11-03 02:00:00";
        check(
            Step::M1,
            Stamp::Start,
            Order::Forward,
            "America/New_York",
            rows,
            "2024-11-03T04:59:00Z 2024-11-03T05:00:00Z 2024-11-03T05:59:00Z
             2024-11-03T06:00:00Z 2024-11-03T06:59:00Z 2024-11-03T07:00:00Z",
        );
        let backward: Vec<&str> = rows.lines().rev().collect();
        check(
            Step::M1,
            Stamp::Start,
            Order::Backward,
            "America/New_York",
            &backward.join("\n"),
            "2024-11-03T07:00:00Z 2024-11-03T06:59:00Z 2024-11-03T06:00:00Z
             2024-11-03T05:59:00Z 2024-11-03T05:00:00Z 2024-11-03T04:59:00Z",
        );
        check(
            Step::M1,
            Stamp::Start,
            Order::Mixed,
            "America/New_York",
            "2024-11-03 01:00:00
             2024-11-03 03:00:00",
            "ambiguous_local_time 2024-11-03T08:00:00Z",
        );
    }

    #[test]
    fn ticks_of_one_instant_stay_together_in_a_repeated_hour() {
        check(
            Step::Tick,
            Stamp::Start,
            Order::Forward,
            "America/New_York",
            "2024-11-03 01:00:00
             2024-11-03 01:00:00
             2024-11-03 01:59:00
             2024-11-03 01:00:00",
            "2024-11-03T05:00:00Z 2024-11-03T05:00:00Z 2024-11-03T05:59:00Z
             2024-11-03T06:00:00Z",
        );
    }

    #[test]
    fn a_stamp_at_the_end_moves_back_one_step() {
        check(
            Step::M15,
            Stamp::End,
            Order::Forward,
            "",
            "2019-01-04 09:45:00-05:00
             2019-01-04 16:00:00Z",
            "2019-01-04T14:30:00Z 2019-01-04T15:45:00Z",
        );
    }

    #[test]
    fn a_daily_bar_belongs_to_the_date_that_is_written() {
        check(
            Step::D1,
            Stamp::Start,
            Order::Forward,
            "",
            "2022-06-06
             2022-06-06 00:00:00+01:00
             2023-04-14 00:00:00+09:00
             2022-01-03 16:00:00-05:00
             2022-06-05T23:00:00Z
             1637971200000",
            "2022-06-06T00:00:00Z 2022-06-06T00:00:00Z 2023-04-14T00:00:00Z
             2022-01-03T00:00:00Z needs_time_zone 2021-11-27T00:00:00Z",
        );
        check(
            Step::D1,
            Stamp::Start,
            Order::Forward,
            "Europe/London",
            "2022-06-05T23:00:00Z
             2022-06-06",
            "2022-06-06T00:00:00Z 2022-06-06T00:00:00Z",
        );
    }

    #[test]
    fn a_month_or_week_stamped_at_its_end_begins_on_its_first_day() {
        check(
            Step::Mo1,
            Stamp::End,
            Order::Forward,
            "",
            "2012-01-31
             2012-02-29
             2013-01-01",
            "2012-01-01T00:00:00Z 2012-02-01T00:00:00Z 2012-12-01T00:00:00Z",
        );
        check(
            Step::W1,
            Stamp::End,
            Order::Forward,
            "",
            "2024-01-05
             2024-01-07
             2024-01-08",
            "2024-01-01T00:00:00Z 2024-01-01T00:00:00Z 2024-01-01T00:00:00Z",
        );
    }

    #[test]
    fn a_local_time_without_a_zone_is_not_guessed() {
        check(Step::M1, Stamp::Start, Order::Forward, "", "2024-01-05 10:00:00", "needs_time_zone");
    }
}
