//! Facts about single dates, laid over a table: surprise closures, half days, added sessions.

use std::collections::BTreeMap;

use barrow_types::DAY_NANOS;

use super::hours::{Day, Hours, SessionKind};
use super::{Calendar, DATE_MAX, DATE_MIN, Shape, narrow};

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
        let mut shapes = self.shapes.clone();
        let mut sessions = Vec::with_capacity(self.sessions.len() + changes.len());
        let mut stated = self.stated.clone();
        let mut rest = &self.sessions[..];
        for (&date, day) in &changes {
            let before = rest.partition_point(|(other, _)| *other < date);
            sessions.extend_from_slice(&rest[..before]);
            rest = &rest[before..];
            if rest.first().is_some_and(|(old, _)| *old == date) {
                rest = &rest[1..];
            }
            if let Day::Session(hours) = day {
                sessions.push((date, narrow(shapes.len())));
                shapes.push(Shape { hours: *hours, kind: self.kind_of(date, hours) });
            }
            if !self.covers(date) {
                stated.push(date);
            }
        }
        sessions.extend_from_slice(rest);
        stated.sort_unstable();
        let sessions = apart(sessions, &mut shapes);
        Self::build(self.head.clone(), sessions, shapes, stated)
    }

    /// Of which kind a session of these hours is on `date`, going by the regular ones around it.
    fn kind_of(&self, date: i32, hours: &Hours) -> SessionKind {
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
fn apart(sessions: Vec<(i32, u32)>, shapes: &mut Vec<Shape>) -> Vec<(i32, u32)> {
    let mut end = i64::MIN;
    let mut kept = sessions;
    kept.retain_mut(|(date, place)| {
        let midnight = i64::from(*date) * DAY_NANOS;
        let shape = shapes[*place as usize];
        let Some(hours) = shape.hours.from(end.saturating_sub(midnight)) else { return false };
        if hours != shape.hours {
            *place = narrow(shapes.len());
            shapes.push(Shape { hours, ..shape });
        }
        end = midnight + hours.post_close();
        true
    });
    kept
}
