//! Facts about single dates, laid over a table: surprise closures, half days, added sessions.

use std::collections::BTreeMap;

use super::hours::{Day, SessionKind};
use super::{Calendar, DATE_MAX, DATE_MIN, Shape};

impl Calendar {
    /// This calendar with some dates changed; of several changes of one date the last counts.
    ///
    /// A date outside the table becomes covered by itself. Sessions never overlap: where a change
    /// would make two of them, the later begins when the earlier ends, and is none if nothing of
    /// its regular hours is left. Dates outside [`DATE_MIN`] to [`DATE_MAX`] have no sessions.
    ///
    /// A session that a fact brings is an early close if it closes before the regular sessions next
    /// to it do, by UTC, on either side; else a late open if it opens after both of them.
    #[must_use]
    pub fn with_days(&self, changes: impl IntoIterator<Item = (i32, Day)>) -> Self {
        let changes: BTreeMap<i32, Day> =
            changes.into_iter().filter(|(date, _)| (DATE_MIN..=DATE_MAX).contains(date)).collect();
        if changes.is_empty() {
            return self.clone();
        }
        let mut days: BTreeMap<i32, Shape> = self
            .sessions
            .iter()
            .map(|&(date, shape)| (date, self.shapes[shape as usize]))
            .collect();
        let mut stated = self.stated.clone();
        for (&date, day) in &changes {
            match day {
                Day::Closed => days.remove(&date),
                Day::Session(hours) => {
                    let shape = Shape { hours: *hours, kind: SessionKind::Regular };
                    days.insert(date, Shape { kind: self.kind_of(date, &shape), ..shape })
                }
            };
            if !self.covers(date) {
                stated.push(date);
            }
        }
        stated.sort_unstable();
        Self::build(self.head.clone(), &apart(days), stated)
    }

    /// Of which kind a session of these hours is on `date`, going by the regular ones around it.
    fn kind_of(&self, date: i32, shape: &Shape) -> SessionKind {
        let here = self.rank(date);
        let usual = |&(_, shape): &(i32, u32)| {
            let shape = self.shapes[shape as usize];
            (shape.kind == SessionKind::Regular).then_some(shape.hours)
        };
        let before = self.sessions[..here].iter().rev().find_map(usual);
        let after = self.sessions[here..].iter().find_map(usual);
        let mut around = before.iter().chain(&after).peekable();
        if around.peek().is_none() {
            return SessionKind::Regular;
        }
        let hours = &shape.hours;
        if around.clone().all(|usual| hours.close() < usual.close()) {
            SessionKind::EarlyClose
        } else if around.all(|usual| hours.open() > usual.open()) {
            SessionKind::LateOpen
        } else {
            SessionKind::Regular
        }
    }
}

/// The sessions with what overlaps the one before cut off.
fn apart(days: BTreeMap<i32, Shape>) -> Vec<(i32, Shape)> {
    let mut kept: Vec<(i32, Shape)> = Vec::with_capacity(days.len());
    for (date, shape) in days {
        let hours = match kept.last() {
            None => Some(shape.hours),
            Some((earlier, before)) => {
                let days_between = i64::from(date) - i64::from(*earlier);
                let end = before.hours.post_close() - days_between * barrow_types::DAY_NANOS;
                shape.hours.from(end)
            }
        };
        kept.extend(hours.map(|hours| (date, Shape { hours, ..shape })));
    }
    kept
}
