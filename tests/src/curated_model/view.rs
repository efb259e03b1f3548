//! The answers: one cell for every expected slot, and runs of empty ones.

use barrow_types::{DAY_NANOS, PriceSide, Step};

use super::CuratedModel;
use super::aggregates::{Candidate, Made};
use super::calendar::{Align, Session, SessionSet, Slot, apart, expected};
use super::facts::Series;
use super::folds::Bar;
use super::world::{Fallback, World};
use crate::model::Value;

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
    /// As stored, or as a stored one would have it.
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
    /// The bits of the share of its finer slots that are known.
    pub coverage: u64,
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

impl CuratedModel {
    /// Whether the calendar that the question is about is known.
    pub fn knows_calendar(&self, ask: &Ask) -> bool {
        let world = World::new(self, ask.as_of, ask.at_sequence);
        world.calendar(&ask.instrument, ask.end).is_none_or(|name| world.is_calendar(name))
    }

    /// What stands in every expected slot of a range, in order.
    pub fn curated(&self, ask: &Ask) -> Vec<Cell> {
        let world = World::new(self, ask.as_of, ask.at_sequence);
        let mut symbols = world.symbols();
        symbols.retain(|(source, _)| ask.source.as_ref().is_none_or(|wanted| wanted == source));
        let sessions = sessions(&world, ask);
        let near = near(&sessions, ask);
        let candidate = |symbol| Candidate::of(&world, ask, &near, &sessions, symbol);
        let candidates: Vec<Candidate> = symbols.into_iter().filter_map(candidate).collect();
        let slots = expected(&near, ask.step, ask.set, ask.align);
        let places: Vec<usize> = (0..slots.len()).collect();
        let mut cells = Vec::new();
        // A session's slots, or the one slot of days, weeks and months.
        for session in places.chunk_by(|one, other| slots[*one].session == slots[*other].session) {
            let is_asked =
                |at: &&usize| ask.start <= slots[**at].start && slots[**at].start < ask.end;
            if !session.iter().any(|at| is_asked(&at)) {
                continue;
            }
            let is_good = |candidate: &Candidate, at: usize| candidate.cells[at].bar.is_some();
            let delivers = |candidate: &Candidate| {
                let good = |at: &&usize| is_good(candidate, **at);
                session.iter().filter(good).any(|at| candidate.is_bound(slots[*at].start))
            };
            let fallback = ask.fallback.unwrap_or_else(|| world.fallback());
            let delivering: Vec<bool> = candidates.iter().map(delivers).collect();
            for at in session.iter().filter(is_asked) {
                let is_bound = |of: &usize| candidates[*of].is_bound(slots[*at].start);
                let bound: Vec<usize> = (0..candidates.len()).filter(is_bound).collect();
                let wanted = |of: &usize| match fallback {
                    Fallback::None => true,
                    Fallback::Slot => is_good(&candidates[*of], *at),
                    Fallback::Session => delivering[*of],
                };
                let chosen = bound.iter().copied().find(wanted).or(bound.first().copied());
                let chosen = chosen.map(|of| (&candidates[of].series, &candidates[of].cells[*at]));
                cells.push(cell(&world, ask, &slots[*at], chosen));
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

/// Those that may share a slot with a session that has something in the range.
fn near(sessions: &[Session], ask: &Ask) -> Vec<Session> {
    let is_near = |session: &&Session| {
        session.last + DAY_NANOS >= ask.start && session.first - DAY_NANOS <= ask.end
    };
    let all = ask.step.is_dated();
    sessions.iter().filter(|session| all || is_near(session)).copied().collect()
}

/// The date of the session that a bar is of, for rules: that which goes on at its `ts`, else the
/// UTC date. Dated bars are of none.
pub(super) fn rules_session(sessions: &[Session], step: Step, ts: i64) -> Option<i64> {
    let on = |session: &&Session| session.first <= ts && ts < session.last;
    let on = || sessions.iter().find(on).map(|session| session.date);
    (!step.is_dated()).then(|| on().unwrap_or(ts.div_euclid(DAY_NANOS)))
}

fn cell(world: &World, ask: &Ask, slot: &Slot, chosen: Option<(&Series, &Made)>) -> Cell {
    let delay = chosen.map_or(0, |(series, _)| world.publish_delay(&series.source));
    let available_at = slot.end + delay;
    let good = chosen.and_then(|(_, made)| Some((made, made.bar.as_deref()?)));
    let row = good.map(|(made, bar)| Row {
        ts: bar.ts,
        values: bar.values.clone(),
        known_at: bar.known_at,
        sequence: bar.sequence,
        state: state(world, ask, made, bar),
        is_flagged: bar.is_flagged,
        coverage: bar.coverage.to_bits(),
    });
    let reason = match (&row, chosen) {
        (Some(_), _) => Reason::Ok,
        (None, Some((series, made))) => reason(world, ask, &series.source, made),
        (None, None) => reason_of_nobody(world, ask, slot),
    };
    Cell {
        slot: *slot,
        reason,
        chosen: chosen.map(|(series, _)| series.clone()),
        available_at,
        row,
    }
}

/// Why a slot that a candidate of a source has no bar for is empty.
pub(super) fn reason(world: &World, ask: &Ask, source: &str, made: &Made) -> Reason {
    let Slot { start, end, number, .. } = made.slot;
    let table = made.of.table(ask.side);
    let is_rejected = || {
        if made.of.step == made.step || made.of.step.is_dated() {
            world.has_reject(&made.of, table, made.step, number)
        } else {
            world.has_reject_in(&made.of, table, start, end)
        }
    };
    if world.is_not_listed(&ask.instrument, start) {
        Reason::NotListed
    } else if end + world.publish_delay(source) > ask.due {
        Reason::NotDue
    } else if world.is_claimed(&made.of, table, start, end)
        && !is_rejected()
        && !made.is_quarantined
    {
        Reason::NoTrade
    } else if world.is_halted(&ask.instrument, start, end) {
        Reason::Halted
    } else if world.is_out(&made.of, start, end) {
        Reason::Outage
    } else if made.is_quarantined {
        Reason::Quarantined
    } else {
        Reason::Missing
    }
}

/// Why a slot is empty that no candidate is bound at.
fn reason_of_nobody(world: &World, ask: &Ask, slot: &Slot) -> Reason {
    if world.is_not_listed(&ask.instrument, slot.start) {
        Reason::NotListed
    } else if slot.end > ask.due {
        Reason::NotDue
    } else if world.is_halted(&ask.instrument, slot.start, slot.end) {
        Reason::Halted
    } else {
        Reason::Missing
    }
}

fn state(world: &World, ask: &Ask, made: &Made, bar: &Bar) -> State {
    let end = made.slot.end;
    let is_behind =
        |of: &Series| world.watermark(of, of.table(ask.side)).is_some_and(|to| to < end);
    let grows = if bar.made_of.is_empty() {
        is_behind(&made.of)
    } else {
        let of = |step| made.of.with_step(step, ask.side);
        bar.made_of.iter().any(|step| is_behind(&of(*step)))
    };
    let grows = grows || ask.due < end;
    // What a source delivered stays corrected while it grows, what was made of it does not.
    match (bar.corrected, bar.made_of.is_empty()) {
        (true, true) => State::Corrected,
        _ if grows => State::Provisional,
        (true, false) => State::Corrected,
        (false, _) => State::Final,
    }
}
