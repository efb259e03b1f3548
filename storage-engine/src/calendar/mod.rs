//! Trading calendars: which dates have a session, and from when to when.
//!
//! | file | holds |
//! |---|---|
//! | this one | [`Calendar`]: dates to sessions and back, each in constant or logarithmic time |
//! | `hours.rs` | the hours of one session |
//! | `table.rs` | the text of a calendar: embedded, or a user's file |
//! | `tables/` | the embedded texts and the program that made them |
//! | `overlay.rs` | facts about single dates, laid over a table |
//! | `grid.rs` | slots: numbers of intervals on the UTC clock, and which of them are expected |
//! | `stretches.rs` | runs of expected slots, session by session |
//!
//! A calendar is a value: facts make another one of it. It knows no rules about holidays or
//! daylight saving, only dates; those who make tables know the rules. Times are nanoseconds since
//! 1970, dates are days since 1970, both right before it.

mod grid;
mod hours;
mod overlay;
mod stretches;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use barrow_types::{DAY_NANOS, days_from_civil};
use xxhash_rust::xxh3::Xxh3;

pub use grid::{Bucket, SlotGrid, slot_begin, slot_of};
pub use hours::{Day, Hours, Session, SessionKind};
pub use stretches::{Stretch, Stretches};

/// The first date that can have a session: nanoseconds reach a little further back.
pub const DATE_MIN: i32 = date_of(1678, 1, 1);
/// The last date that can have a session.
pub const DATE_MAX: i32 = date_of(2261, 12, 31);

#[expect(clippy::cast_possible_truncation, reason = "dates of these years are below 2^31")]
const fn date_of(year: i64, month: i64, day: i64) -> i32 {
    days_from_civil(year, month, day) as i32
}

const EMBEDDED: [(&str, &str); 8] = [
    ("CMES", include_str!("tables/CMES.txt")),
    ("CRYPTO", include_str!("tables/CRYPTO.txt")),
    ("FX", include_str!("tables/FX.txt")),
    ("XHKG", include_str!("tables/XHKG.txt")),
    ("XLON", include_str!("tables/XLON.txt")),
    ("XNAS", include_str!("tables/XNAS.txt")),
    ("XNYS", include_str!("tables/XNYS.txt")),
    ("XTKS", include_str!("tables/XTKS.txt")),
];

/// Each is read when somebody first asks for it.
static READ: [OnceLock<Arc<Calendar>>; EMBEDDED.len()] =
    [const { OnceLock::new() }; EMBEDDED.len()];

/// Sessions by date.
#[derive(Clone, Debug)]
pub struct Calendar {
    head: Head,
    /// The dates that `ranks` is about.
    dates: Range<i32>,
    /// How many sessions there are before each of `dates`, and before their end.
    ranks: Vec<u32>,
    /// Dates of sessions, ascending, and which of `shapes` each has.
    sessions: Vec<(i32, u32)>,
    shapes: Vec<Shape>,
    /// Dates outside the table that facts know, ascending.
    stated: Vec<i32>,
    /// A number for the sessions before each place, once somebody has asked.
    digests: OnceLock<Vec<u64>>,
}

/// What is true of a calendar as a whole.
#[derive(Clone, Debug)]
struct Head {
    name: String,
    zone: String,
    version: String,
    oracle: Option<String>,
    /// First and last date of the table.
    covers: (i32, i32),
}

/// Hours that some sessions share.
#[derive(Clone, Copy, Debug)]
struct Shape {
    hours: Hours,
    kind: SessionKind,
}

impl Calendar {
    /// The embedded calendar of that name.
    pub fn embedded(name: &str) -> Option<Arc<Self>> {
        let place = EMBEDDED.iter().position(|(known, _)| *known == name)?;
        let (name, text) = EMBEDDED[place];
        let read = || {
            let calendar = Self::parse(text)
                .unwrap_or_else(|error| panic!("invariant: embedded calendar {name}: {error}"));
            assert_eq!(calendar.name(), name, "invariant: a table is named as its file");
            Arc::new(calendar)
        };
        Some(Arc::clone(READ[place].get_or_init(read)))
    }

    /// Names of the embedded calendars, in order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// The time zone of its venue, as IANA names it.
    pub fn zone(&self) -> &str {
        &self.head.zone
    }

    /// Which version of the table it is.
    pub fn version(&self) -> &str {
        &self.head.version
    }

    /// What the table was made from.
    pub fn oracle(&self) -> Option<&str> {
        self.head.oracle.as_deref()
    }

    /// First and last date of the table.
    pub fn covered(&self) -> (i32, i32) {
        self.head.covers
    }

    /// The dates outside the table that facts know, ascending.
    pub fn stated(&self) -> &[i32] {
        &self.stated
    }

    /// Whether it knows if there is a session on `date`.
    pub fn covers(&self, date: i32) -> bool {
        let (first, last) = self.head.covers;
        (first..=last).contains(&date) || self.stated.binary_search(&date).is_ok()
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// How many sessions there are before `date`.
    pub fn rank(&self, date: i32) -> usize {
        if date >= self.dates.end {
            return self.sessions.len();
        }
        let place = i64::from(date) - i64::from(self.dates.start);
        usize::try_from(place).map_or(0, |place| self.ranks[place] as usize)
    }

    /// The session with `rank` sessions before it.
    pub fn nth(&self, rank: usize) -> Option<Session> {
        let &(date, shape) = self.sessions.get(rank)?;
        let Shape { hours, kind } = &self.shapes[shape as usize];
        Some(Session::new(date, hours, *kind))
    }

    /// The session of `date`.
    pub fn session(&self, date: i32) -> Option<Session> {
        self.nth(self.rank(date)).filter(|session| session.date == date)
    }

    /// The first session after `date`.
    pub fn next_session(&self, date: i32) -> Option<Session> {
        self.nth(self.rank(date.checked_add(1)?))
    }

    /// The last session before `date`.
    pub fn previous_session(&self, date: i32) -> Option<Session> {
        self.nth(self.rank(date).checked_sub(1)?)
    }

    /// The sessions of the dates from `from` on and before `to`.
    pub fn sessions(&self, from: i32, to: i32) -> impl DoubleEndedIterator<Item = Session> + '_ {
        (self.rank(from)..self.rank(to)).filter_map(|rank| self.nth(rank))
    }

    /// A number for dates and hours of all sessions before `date`: another one if they are others,
    /// as sure as a hash is.
    pub(crate) fn digest_before(&self, date: i32) -> u64 {
        let digests = self.digests.get_or_init(|| {
            let mut all = Xxh3::new();
            let mut digests = vec![all.digest()];
            for session in (0..self.sessions.len()).filter_map(|rank| self.nth(rank)) {
                let Session { date, kind, .. } = session;
                let pause = session.pause.unwrap_or_default();
                let hours = [session.pre_open, session.open, pause.0, pause.1];
                let kind = match kind {
                    SessionKind::Regular => 0,
                    SessionKind::EarlyClose => 1,
                    SessionKind::LateOpen => 2,
                };
                let rest = [session.close, session.post_close, date.into(), kind];
                for word in hours.into_iter().chain(rest) {
                    all.update(&word.to_le_bytes());
                }
                digests.push(all.digest());
            }
            digests
        });
        digests[self.rank(date)]
    }

    /// The session that trades at `ts`, before the open and after the close included.
    pub fn session_at(&self, ts: i64) -> Option<Session> {
        // Hours begin at most a day before their midnight, so no later session has begun.
        let mut rank = self.rank(day_of(ts) + 2);
        while let Some(session) = rank.checked_sub(1).and_then(|before| self.nth(before)) {
            if session.pre_open <= ts {
                return Some(session).filter(|session| ts < session.post_close);
            }
            rank -= 1;
        }
        None
    }

    /// A calendar of no sessions, for facts to be laid over: then it covers their dates.
    pub fn empty(name: &str, zone: &str, version: &str) -> Self {
        let head = Head {
            name: name.to_owned(),
            zone: zone.to_owned(),
            version: version.to_owned(),
            oracle: None,
            covers: (0, -1),
        };
        Self::build(head, Vec::new(), Vec::new(), Vec::new())
    }

    /// A calendar of these sessions, which must be ascending; each with its place in `shapes`.
    fn build(
        mut head: Head,
        sessions: Vec<(i32, u32)>,
        shapes: Vec<Shape>,
        mut stated: Vec<i32>,
    ) -> Self {
        if head.covers.0 > head.covers.1
            && let (Some(&first), Some(&last)) = (stated.first(), stated.last())
        {
            let run = (first..=last).zip(&stated).take_while(|(date, found)| date == *found);
            let count = run.count();
            head.covers = (first, stated[count - 1]);
            stated.drain(..count);
        }
        let (first, last) = head.covers;
        let from = stated.first().map_or(first, |&date| date.min(first));
        let to = stated.last().map_or(last, |&date| date.max(last)) + 1;
        let mut ranks = Vec::new();
        let place = |date: i32| {
            usize::try_from(date - from).expect("invariant: covered dates are from `from` on")
        };
        for (rank, (date, _)) in (0..).zip(&sessions) {
            ranks.resize(place(*date) + 1, rank);
        }
        ranks.resize(place(to) + 1, narrow(sessions.len()));
        let digests = OnceLock::new();
        Self { head, dates: from..to, ranks, sessions, shapes, stated, digests }
    }
}

/// Counts and places of sessions and shapes, of which there are fewer than dates.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).expect("invariant: dates are fewer than 2^32")
}

/// The UTC day that contains `ts`.
pub(crate) fn day_of(ts: i64) -> i32 {
    i32::try_from(ts.div_euclid(DAY_NANOS)).expect("invariant: 2^63 nanoseconds are 106751 days")
}
