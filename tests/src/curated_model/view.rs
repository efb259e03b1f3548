//! The answers: one cell for every expected slot, and runs of empty ones.

use barrow_types::{DAY_NANOS, PriceSide, Step};

use super::CuratedModel;
use super::calendar::{Align, Session, SessionSet, Slot, apart, expected, number};
use super::facts::Series;
use super::world::{Fallback, Judged, World};
use crate::model::{Stored, Value};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whose bars.
    pub instrument: String,
    /// How long they are.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// Which hours.
    pub set: SessionSet,
    /// Where buckets begin.
    pub align: Align,
    /// Slots that begin here or later.
    pub start: i64,
    /// Slots that begin before this.
    pub end: i64,
    /// Which candidate, if not as the setting says.
    pub fallback: Option<Fallback>,
    /// Only this source.
    pub source: Option<String>,
    /// T: what was known then.
    pub as_of: i64,
    /// N: what was held then.
    pub at_sequence: u64,
    /// D: what ends later is not due.
    pub due: i64,
}

/// Why a slot has no row. The numbers are those of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// It has one.
    Ok = 0,
    /// It is not expected; never answered.
    Closed = 1,
    /// The instrument is not listed.
    NotListed = 2,
    /// It cannot be there yet.
    NotDue = 3,
    /// The source says that nothing happened.
    NoTrade = 4,
    /// Trading was halted.
    Halted = 5,
    /// The source delivered nothing, whatever happened.
    Outage = 6,
    /// There is a row and it is kept out.
    Quarantined = 7,
    /// Nobody knows why.
    Missing = 8,
}

/// How settled a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More may come.
    Provisional,
    /// It stays so, as far as is known.
    Final,
    /// It took the place of another.
    Corrected,
}

/// The row of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As stored.
    pub ts: i64,
    /// Open, high, low, close, volume, vwap, trades.
    pub values: Vec<Value>,
    /// When it was learned.
    pub known_at: i64,
    /// Which record brought it.
    pub sequence: u64,
    /// How settled it is.
    pub state: State,
    /// `dq_status`: whether a rule flags it.
    pub is_flagged: bool,
}

/// What is answered about an expected slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The slot.
    pub slot: Slot,
    /// Why it is empty, if it is.
    pub reason: Reason,
    /// The candidate that was chosen, if any is bound.
    pub chosen: Option<Series>,
    /// The slot's end and the publish delay.
    pub available_at: i64,
    /// The row, if there is one.
    pub row: Option<Row>,
}

/// Consecutive slots that are empty for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub reason: Reason,
    /// When the first begins.
    pub start: i64,
    /// When the last ends.
    pub end: i64,
    /// How many.
    pub slots: usize,
}

/// A series and its visible rows.
struct Candidate<'a> {
    series: Series,
    rows: Vec<Judged<'a>>,
}

impl Candidate<'_> {
    fn rows_in(&self, slot: &Slot) -> Vec<Judged<'_>> {
        let lies = |judged: &&Judged| number(self.series.step, judged.row.ts) == slot.number;
        self.rows.iter().filter(lies).copied().collect()
    }

    /// The last good row of the slot.
    fn good(&self, slot: &Slot) -> Option<Judged<'_>> {
        self.rows_in(slot).into_iter().rfind(|judged| !judged.is_quarantined)
    }
}

impl CuratedModel {
    /// Whether the calendar that the question is about is known.
    pub fn knows_calendar(&self, ask: &Ask) -> bool {
        let world = World::new(self, ask.as_of, ask.at_sequence);
        world.calendar(&ask.instrument, ask.end).is_none_or(|name| world.is_calendar(name))
    }

    /// What stands in every expected slot of a range, in order.
    pub fn curated(&self, ask: &Ask) -> Vec<Cell> {
        let world = World::new(self, ask.as_of, ask.at_sequence);
        let mut series = world.series(ask.step, ask.side);
        series.retain(|series| ask.source.as_ref().is_none_or(|source| *source == series.source));
        let sessions = sessions(&world, ask);
        let of_rules = |row: &Stored| rules_session(&sessions, ask.step, row.ts);
        let candidate = |series| Candidate { rows: world.rows(&series, &of_rules), series };
        let candidates: Vec<Candidate> = series.into_iter().map(candidate).collect();
        let slots = expected(&sessions, ask.step, ask.set, ask.align);
        let mut cells = Vec::new();
        // A session's slots, or the one slot of days, weeks and months.
        for session in slots.chunk_by(|one, other| one.session == other.session) {
            let is_asked = |slot: &&Slot| ask.start <= slot.start && slot.start < ask.end;
            if !session.iter().any(|slot| is_asked(&slot)) {
                continue;
            }
            let is_bound = |candidate: &Candidate, slot: &Slot| {
                let Series { symbol, source, .. } = &candidate.series;
                world.bound(symbol, source, slot.start).as_ref() == Some(&ask.instrument)
            };
            let delivers = |candidate: &Candidate| {
                let good = |slot: &Slot| candidate.good(slot).is_some();
                session.iter().any(|slot| good(slot) && is_bound(candidate, slot))
            };
            let fallback = ask.fallback.unwrap_or_else(|| world.fallback());
            let delivering: Vec<bool> = candidates.iter().map(delivers).collect();
            for slot in session.iter().filter(is_asked) {
                let bound: Vec<usize> =
                    (0..candidates.len()).filter(|at| is_bound(&candidates[*at], slot)).collect();
                let wanted = |at: &usize| match fallback {
                    Fallback::None => true,
                    Fallback::Slot => candidates[*at].good(slot).is_some(),
                    Fallback::Session => delivering[*at],
                };
                let chosen = bound.iter().copied().find(wanted).or(bound.first().copied());
                let chosen = chosen.map(|at| &candidates[at]);
                cells.push(cell(&world, ask, slot, chosen));
            }
        }
        cells.sort_by_key(|cell| (cell.slot.start, cell.slot.session));
        cells
    }

    /// Runs of slots that are empty for one reason.
    pub fn gaps(&self, ask: &Ask) -> Vec<Gap> {
        let cells = self.curated(ask);
        let runs = cells.chunk_by(|one, other| one.reason == other.reason);
        let gap = |run: &[Cell]| Gap {
            reason: run[0].reason,
            start: run[0].slot.start,
            end: run[run.len() - 1].slot.end,
            slots: run.len(),
        };
        runs.map(gap).filter(|gap| gap.reason != Reason::Ok).collect()
    }
}

/// The sessions that may have something in the range, and all others of their weeks and months.
fn sessions(world: &World, ask: &Ask) -> Vec<Session> {
    // A session opens and closes within two days of its date; two more for those that cut it.
    let around = match ask.step {
        Step::W1 => 11,
        Step::Mo1 => 35,
        _ => 4,
    };
    let first = ask.start.div_euclid(DAY_NANOS) - around;
    let last = ask.end.div_euclid(DAY_NANOS) + around;
    let calendar = world.calendar(&ask.instrument, ask.end);
    apart((first..=last).filter_map(|date| world.session(calendar, date)))
}

/// The date of the session that a bar is of, for rules: that which goes on at its `ts`, else the
/// UTC date. Dated bars are of none.
fn rules_session(sessions: &[Session], step: Step, ts: i64) -> Option<i64> {
    let on = |session: &&Session| session.first <= ts && ts < session.last;
    let on = || sessions.iter().find(on).map(|session| session.date);
    (!step.is_dated()).then(|| on().unwrap_or(ts.div_euclid(DAY_NANOS)))
}

fn cell(world: &World, ask: &Ask, slot: &Slot, chosen: Option<&Candidate>) -> Cell {
    let delay = chosen.map_or(0, |chosen| world.publish_delay(&chosen.series.source));
    let available_at = slot.end + delay;
    let good = chosen.and_then(|chosen| Some((chosen, chosen.good(slot)?)));
    let row = good.map(|(chosen, judged)| Row {
        ts: judged.row.ts,
        values: judged.row.values.clone(),
        known_at: judged.row.known_at,
        sequence: judged.row.sequence,
        state: state(world, ask, slot, &chosen.series, judged.row),
        is_flagged: judged.is_flagged,
    });
    let reason = match row {
        Some(_) => Reason::Ok,
        None => reason(world, ask, slot, chosen, available_at),
    };
    let chosen = chosen.map(|chosen| chosen.series.clone());
    Cell { slot: *slot, reason, chosen, available_at, row }
}

fn reason(
    world: &World,
    ask: &Ask,
    slot: &Slot,
    chosen: Option<&Candidate>,
    available_at: i64,
) -> Reason {
    let (start, end) = (slot.start, slot.end);
    let is_quarantined = chosen.is_some_and(|chosen| !chosen.rows_in(slot).is_empty());
    let of_chosen =
        |applies: &dyn Fn(&Series) -> bool| chosen.is_some_and(|chosen| applies(&chosen.series));
    if world.is_not_listed(&ask.instrument, start) {
        Reason::NotListed
    } else if available_at > ask.due {
        Reason::NotDue
    } else if of_chosen(&|series| world.is_claimed(series, start, end))
        && !of_chosen(&|series| world.has_reject(series, slot.number))
        && !is_quarantined
    {
        Reason::NoTrade
    } else if world.is_halted(&ask.instrument, start, end) {
        Reason::Halted
    } else if of_chosen(&|series| world.is_out(series, start, end)) {
        Reason::Outage
    } else if is_quarantined {
        Reason::Quarantined
    } else {
        Reason::Missing
    }
}

fn state(world: &World, ask: &Ask, slot: &Slot, series: &Series, row: &Stored) -> State {
    if row.corrected {
        State::Corrected
    } else if ask.due < slot.end || world.watermark(series).is_some_and(|to| to < slot.end) {
        State::Provisional
    } else {
        State::Final
    }
}
