//! How far the rows of a symbol lie apart, and in which direction they run: what a sample shows
//! about the step, the order and the stamps of a file.

use std::collections::{BTreeMap, HashMap};

use barrow_types::{DAY_NANOS, Step, civil_from_days, days_from_civil};

use super::clock::Order;
use super::time::{Offset, Written};

const SECOND: i64 = 1_000_000_000;

/// What the times of a sample show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spacing {
    /// How often each distance between neighbours of one symbol occurs, in nanoseconds.
    distances: BTreeMap<i64, usize>,
    forward: usize,
    backward: usize,
    /// First and last time of day of the first days, as nanoseconds of the day.
    days: BTreeMap<i64, (i64, i64)>,
    /// Whether each date is the last of its month.
    all_month_ends: bool,
    count: usize,
}

impl Spacing {
    /// Looks at the rows of a sample in file order: symbol and time.
    pub(crate) fn of(rows: impl Iterator<Item = (impl Into<String>, Written)>) -> Self {
        let mut spacing = Self { all_month_ends: true, ..Self::default() };
        let mut before: HashMap<String, i64> = HashMap::new();
        for (symbol, written) in rows {
            spacing.count += 1;
            let day = written.wall.div_euclid(DAY_NANOS);
            let time = written.wall.rem_euclid(DAY_NANOS);
            spacing.all_month_ends &= is_month_end(day);
            let span = spacing.days.entry(day).or_insert((time, time));
            *span = (span.0.min(time), span.1.max(time));
            let instant = match written.offset {
                Offset::Seconds(seconds) => written.wall.saturating_sub(seconds * SECOND),
                Offset::Naive | Offset::Utc => written.wall,
            };
            if let Some(last) = before.insert(symbol.into(), instant) {
                let distance = instant.saturating_sub(last);
                match distance.signum() {
                    1 => spacing.forward += 1,
                    -1 => spacing.backward += 1,
                    _ => continue,
                }
                *spacing.distances.entry(distance.saturating_abs()).or_default() += 1;
            }
        }
        spacing
    }

    /// In which direction the rows run: nineteen in twenty must agree.
    pub(crate) fn order(&self) -> Order {
        let all = self.forward + self.backward;
        if self.forward * 20 >= all * 19 {
            Order::Forward
        } else if self.backward * 20 >= all * 19 {
            Order::Backward
        } else {
            Order::Mixed
        }
    }

    /// The distance that occurs most; the smaller of two.
    fn usual(&self) -> Option<i64> {
        let most = self.distances.values().max()?;
        self.distances.iter().find(|(_, count)| *count == most).map(|(distance, _)| *distance)
    }

    /// What the rows look like, for a person: `1m (60 s apart)`.
    pub(crate) fn looks_like(&self) -> Option<String> {
        let usual = self.usual()?;
        let shown = if usual % DAY_NANOS == 0 {
            format!("{} d", usual / DAY_NANOS)
        } else if usual % SECOND == 0 {
            format!("{} s", usual / SECOND)
        } else {
            format!("{} ms", usual / 1_000_000)
        };
        Some(match self.suggested() {
            Some(step) => format!("{} ({shown} apart)", step.name()),
            None => format!("rows {shown} apart, which is none of the steps there are"),
        })
    }

    /// The step whose bars lie as far apart as most rows.
    pub(crate) fn suggested(&self) -> Option<Step> {
        let usual = self.usual()?;
        let is_width = |step: &Step| step.width().is_some_and(|width| width.get() == usual);
        match usual / DAY_NANOS {
            28..=31 => Some(Step::Mo1),
            7 => Some(Step::W1),
            1..=4 => Some(Step::D1),
            _ => Step::ALL.into_iter().find(is_width),
        }
    }

    /// How many rows in a hundred lie closer to their neighbour than bars of `step` can.
    pub(crate) fn closer_percent(&self, step: Step) -> usize {
        let nearest = match step {
            Step::Mo1 => 20 * DAY_NANOS,
            Step::W1 => 4 * DAY_NANOS,
            // A day may be short where the clocks change.
            Step::D1 => 20 * 3_600 * SECOND,
            _ => step.width().map_or(0, |width| width.get()),
        };
        let all: usize = self.distances.values().sum();
        let closer: usize = self.distances.range(..nearest).map(|(_, count)| count).sum();
        (closer * 100).div_ceil(all.max(1))
    }

    /// The longer step that all distances are multiples of, if the rows look like it.
    pub(crate) fn coarser(&self, step: Step) -> Option<Step> {
        const ENOUGH: usize = 20;
        let width = step.width()?.get();
        let all: usize = self.distances.values().sum();
        let suggested = self.suggested().filter(|_| all >= ENOUGH)?;
        let longer = suggested.width().is_none_or(|found| found.get() > width);
        let divides = |found: i64| self.distances.keys().all(|distance| distance % found == 0);
        (longer && suggested.width().is_none_or(|found| divides(found.get()))).then_some(suggested)
    }

    /// Whether every row is dated on the last day of a month.
    pub(crate) fn all_month_ends(&self) -> bool {
        self.count > 1 && self.all_month_ends
    }

    /// From when to when the days of the file run, for a person who knows the market's hours.
    pub(crate) fn hours(&self) -> Option<String> {
        const DAYS_SHOWN: usize = 3;
        // The first and last day of a sample may be cut.
        let inner = self.days.len().saturating_sub(2);
        let whole = self.days.iter().skip(usize::from(inner > 0)).take(inner.clamp(1, DAYS_SHOWN));
        let spans: Vec<String> = whole
            .map(|(day, (first, last))| {
                let (year, month, day) = civil_from_days(*day);
                format!("{year}-{month:02}-{day:02} {} to {}", clock(*first), clock(*last))
            })
            .collect();
        (!spans.is_empty()).then(|| spans.join(", "))
    }
}

fn clock(nanos: i64) -> String {
    let seconds = nanos / SECOND;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn is_month_end(day: i64) -> bool {
    let (year, month, _) = civil_from_days(day + 1);
    days_from_civil(year, month, 1) == day + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::time::TimeFormat;

    fn spacing(times: &str) -> Spacing {
        let rows = times.lines().map(|line| {
            let (symbol, time) = line.trim().split_once(' ').unwrap();
            (symbol, TimeFormat::detect_text(&[time]).unwrap().read_text(time).unwrap())
        });
        Spacing::of(rows)
    }

    #[test]
    fn neighbours_are_those_of_one_symbol() {
        let spacing = spacing(
            "A 2024-01-02 09:30:00
             B 2024-01-02 09:30:00
             A 2024-01-02 09:31:00
             B 2024-01-02 09:31:00
             A 2024-01-02 09:33:00",
        );
        assert_eq!(spacing.looks_like().unwrap(), "1m (60 s apart)");
        assert_eq!(spacing.order(), Order::Forward);
        assert_eq!(spacing.closer_percent(Step::M1), 0);
        assert_eq!(spacing.closer_percent(Step::M5), 100);
    }

    #[test]
    fn dates_show_days_weeks_and_months() {
        let days = "A 2024-01-05\nA 2024-01-04\nA 2024-01-03\nA 2023-12-29";
        assert_eq!(spacing(days).looks_like().unwrap(), "1d (1 d apart)");
        assert_eq!(spacing(days).order(), Order::Backward);
        let months = "A 2012-01-31\nA 2012-02-29\nA 2012-03-31\nA 2012-04-30";
        assert_eq!(spacing(months).suggested(), Some(Step::Mo1));
        assert!(spacing(months).all_month_ends() && !spacing(days).all_month_ends());
        assert_eq!(spacing(days).closer_percent(Step::Mo1), 100);
    }

    #[test]
    fn hours_are_those_of_days_the_sample_has_whole() {
        let spacing = spacing(
            "A 2024-01-02 12:00:00
             A 2024-01-03 09:31:00
             A 2024-01-03 16:00:00
             A 2024-01-04 09:31:00",
        );
        assert_eq!(spacing.hours().unwrap(), "2024-01-03 09:31:00 to 16:00:00");
        assert_eq!(spacing.order(), Order::Forward);
    }
}
