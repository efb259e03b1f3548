//! What a symbol of a source has on a grid: its own bars, or bars made from what is finer.
//!
//! Grids are computed from the finest to the one that is asked for, each from those before it.

use std::rc::Rc;

use barrow_types::{DAY_NANOS, PriceSide, Step};

use super::calendar::{Align, Session, SessionSet, Slot, begin, expected, number};
use super::conditions::{Updates, updates};
use super::facts::Series;
use super::folds::{Bar, Counted, delivered, fold_bars, fold_ticks};
use super::rules::number as double;
use super::view::{Ask, Reason, reason, rules_session};
use super::world::{Judged, World};
use crate::model::{Stored, Table, Value};

/// Steps of bars, from the finest.
const STEPS: [Step; 10] = [
    Step::S1,
    Step::M1,
    Step::M5,
    Step::M15,
    Step::M30,
    Step::H1,
    Step::H4,
    Step::D1,
    Step::W1,
    Step::Mo1,
];

/// From what bars may come that no source delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Ticks,
    Bars(Step),
}

/// In the order in which they are tried.
fn origins(step: Step) -> Vec<Origin> {
    let minutes_until = |end: Step| STEPS.into_iter().skip(1).take_while(move |s| *s != end);
    match step {
        Step::Tick => panic!("invariant: ticks are not made"),
        Step::S1 => vec![Origin::Ticks],
        Step::M1 => vec![Origin::Ticks, Origin::Bars(Step::S1)],
        Step::W1 | Step::Mo1 => {
            let steps = [Step::D1].into_iter().chain(minutes_until(Step::D1));
            steps.map(Origin::Bars).collect()
        }
        _ => minutes_until(step).map(Origin::Bars).collect(),
    }
}

/// What there is in a slot.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) slot: Slot,
    /// When it begins.
    begin: i64,
    /// What is said of this series says why the slot is empty.
    pub(super) of: Rc<Series>,
    pub(super) step: Step,
    /// Whether quarantined rows are in it and no others.
    pub(super) is_quarantined: bool,
    pub(super) bar: Option<Box<Bar>>,
}

/// What a symbol of a source has in every expected slot of a grid, in order.
struct Grid {
    step: Step,
    cells: Vec<Made>,
}

/// A trade or quote of a session, and where and for what it counts.
struct Tick<'a> {
    at: i64,
    counted: Counted<'a>,
    is_quarantined: bool,
}

/// A symbol of a source and what is known of it.
pub(super) struct Candidate<'a> {
    world: &'a World<'a>,
    ask: &'a Ask,
    /// Those around what is asked.
    sessions: &'a [Session],
    /// All of them, for rules.
    all_sessions: &'a [Session],
    /// Of the step that is asked for.
    pub(super) series: Series,
    /// What it has in every slot that is asked for.
    pub(super) cells: Vec<Made>,
}

/// The series in which the ticks of a symbol of a source are.
fn ticks_of(series: &Series) -> Series {
    series.with_step(Step::Tick, series.side)
}

impl<'a> Candidate<'a> {
    /// The symbol of the source, if anything of it is there from which its bars may come.
    pub(super) fn of(
        world: &'a World<'a>,
        ask: &'a Ask,
        sessions: &'a [Session],
        all_sessions: &'a [Session],
        (source, symbol): (String, String),
    ) -> Option<Self> {
        let series = Series { symbol, source, step: ask.step, side: ask.side };
        let cells = Vec::new();
        let mut candidate = Self { world, ask, sessions, all_sessions, series, cells };
        candidate.finest(ask.step)?;
        candidate.cells = candidate.asked();
        Some(candidate)
    }

    /// The finest of its series from which bars of a step may come.
    fn finest(&self, step: Step) -> Option<Series> {
        let ticks = ticks_of(&self.series);
        let has_ticks = self.world.are_ticks_there(&ticks, ticks.table(self.series.side));
        // Weeks are in no month.
        let may_be_in = |finer: &Step| *finer <= step && (*finer != Step::W1 || *finer == step);
        let bars = STEPS.into_iter().filter(may_be_in);
        let bars = bars.map(|step| Series { step, ..self.series.clone() });
        let mut bars = bars.filter(|of| self.world.is_there(of));
        if has_ticks { Some(ticks) } else { bars.next() }
    }

    /// What it has in every expected slot of the grid that is asked for.
    fn asked(&self) -> Vec<Made> {
        let alignment = self.world.alignment(&self.series.source);
        let mut grids: Vec<Grid> = Vec::new();
        for step in STEPS.into_iter().take_while(|step| *step < self.ask.step) {
            let is_needed = match step {
                // Ticks come before bars of seconds that were made of them.
                Step::S1 => self.world.is_there(&Series { step, ..self.series.clone() }),
                // Weeks are in no month.
                Step::W1 => false,
                _ => true,
            };
            if is_needed && self.finest(step).is_some() {
                // A day goes from open to close, whatever is asked.
                let is_dated = self.ask.step.is_dated();
                let set = if is_dated { SessionSet::Regular } else { self.ask.set };
                let cells = self.cells(step, alignment, set, &grids);
                grids.push(Grid { step, cells });
            }
        }
        self.cells(self.ask.step, self.ask.align, self.ask.set, &grids)
    }

    /// What it has in every expected slot of a grid, from its own bars or from finer grids.
    fn cells(&self, step: Step, align: Align, set: SessionSet, finer: &[Grid]) -> Vec<Made> {
        let slots = expected(self.sessions, step, set, align);
        let of_rules = |row: &Stored| rules_session(self.all_sessions, step, row.ts);
        let own = Rc::new(Series { step, ..self.series.clone() });
        let rows = self.world.rows(&own, &of_rules);
        let finest = Rc::new(self.finest(step).expect("invariant: something is there"));
        let ticks = self.ticks(set);
        let empty = |slot: &Slot| Made {
            slot: *slot,
            begin: begin(slot, self.sessions, set),
            of: Rc::clone(&finest),
            step,
            is_quarantined: false,
            bar: None,
        };
        let mut cells: Vec<Made> = slots.iter().map(empty).collect();
        // A session's slots, or the one slot of days, weeks and months.
        for session in cells.chunk_by_mut(|one, other| one.slot.session == other.slot.session) {
            if !self.deliver(step, session, &rows, &own) {
                self.make(step, session, finer, &ticks);
            }
            // What is there while the symbol is not bound is another's.
            for cell in session {
                cell.is_quarantined = cell.is_quarantined && self.is_bound(cell.slot.start);
            }
        }
        cells
    }

    /// Whether the symbol is the instrument that is asked for.
    pub(super) fn is_bound(&self, at: i64) -> bool {
        let Series { symbol, source, .. } = &self.series;
        self.world.bound(symbol, source, at).as_ref() == Some(&self.ask.instrument)
    }

    /// Puts the source's own bars into the slots of a session, if it delivered any.
    fn deliver(
        &self,
        step: Step,
        session: &mut [Made],
        rows: &[Judged<'a>],
        own: &Rc<Series>,
    ) -> bool {
        if rows.is_empty() {
            return false;
        }
        let before = |slot: i64| rows.partition_point(|of| number(step, of.row.ts) < slot);
        let rows_of = |cell: &Made| &rows[before(cell.slot.number)..before(cell.slot.number + 1)];
        let has_some = |cell: &Made| !rows_of(cell).is_empty() && self.is_bound(cell.slot.start);
        if !session.iter().any(has_some) {
            return false;
        }
        for cell in session {
            let rows = rows_of(cell);
            let good = rows.iter().rfind(|judged| !judged.is_quarantined);
            cell.of = Rc::clone(own);
            cell.is_quarantined = !rows.is_empty() && good.is_none();
            cell.bar = good.map(|judged| Box::new(delivered(judged.row, judged.is_flagged)));
        }
        true
    }

    /// Makes the bars of a session from the first origin that gives any.
    fn make(&self, step: Step, session: &mut [Made], finer: &[Grid], ticks: &[Tick]) {
        for origin in origins(step) {
            match origin {
                Origin::Ticks => self.make_from_ticks(step, session, ticks),
                Origin::Bars(from) => {
                    let Some(grid) = finer.iter().find(|grid| grid.step == from) else { continue };
                    if nests(grid, session) {
                        self.make_from_bars(step, session, grid);
                    }
                }
            }
            if session.iter().any(|cell| cell.bar.is_some()) {
                return;
            }
        }
    }

    fn make_from_bars(&self, step: Step, session: &mut [Made], finer: &Grid) {
        for cell in session {
            let first = finer.cells.partition_point(|fine| fine.begin < cell.slot.start);
            let last = finer.cells.partition_point(|fine| fine.begin < cell.slot.end);
            let inside = &finer.cells[first..last];
            let bar_of =
                |fine: &'_ Made| fine.bar.clone().filter(|_| self.is_bound(fine.slot.start));
            let bars: Vec<Box<Bar>> = inside.iter().filter_map(bar_of).collect();
            cell.is_quarantined |= inside.iter().any(|fine| fine.is_quarantined);
            if bars.is_empty() {
                continue;
            }
            let is_covered = |fine: &&Made| {
                bar_of(fine).is_some()
                    || reason(self.world, self.ask, &self.series.source, fine) == Reason::NoTrade
            };
            let count = |of: usize| f64::from(u32::try_from(of).expect("invariant: there are few"));
            let covered = inside.iter().filter(is_covered).count();
            cell.bar = Some(Box::new(Bar {
                ts: ts_of(step, &cell.slot),
                coverage: count(covered) / count(inside.len()),
                ..fold_bars(&bars, finer.step)
            }));
        }
    }

    fn make_from_ticks(&self, step: Step, session: &mut [Made], ticks: &[Tick]) {
        let (first, last) = (session[0].slot.start, session[session.len() - 1].slot.end);
        let ticks: Vec<&Tick> = ticks.iter().filter(|of| first <= of.at && of.at < last).collect();
        if ticks.is_empty() {
            return;
        }
        for cell in session {
            let lies = |tick: &&Tick| cell.slot.start <= tick.at && tick.at < cell.slot.end;
            let inside: Vec<&Tick> = ticks.iter().copied().filter(lies).collect();
            cell.is_quarantined |= inside.iter().any(|tick| tick.is_quarantined);
            let good = inside.iter().filter(|tick| !tick.is_quarantined);
            let good: Vec<Counted> = good.map(|tick| tick.counted).collect();
            let bar = fold_ticks(&good, ticks_of(&self.series).table(self.series.side));
            cell.bar = bar.map(|bar| Box::new(Bar { ts: ts_of(step, &cell.slot), ..bar }));
        }
    }

    /// The ticks that count in sessions, in order.
    fn ticks(&self, set: SessionSet) -> Vec<Tick<'a>> {
        let table = ticks_of(&self.series).table(self.series.side);
        let setting = self.world.conditions(&self.series.source);
        let mut ticks = Vec::new();
        for (row, is_quarantined) in self.world.ticks(&ticks_of(&self.series), table) {
            let Some(price) = price(self.series.side, row) else { continue };
            let updates = match (table, &row.values[3]) {
                (Table::Trades, Value::Text(text)) => {
                    updates(setting, Some(text), self.is_regular(row.ts))
                }
                (Table::Trades, _) => updates(setting, None, self.is_regular(row.ts)),
                _ => Updates { volume: false, ..Updates::ALL },
            };
            if let Some(at) = self.counts_at(set, row.ts, updates)
                && updates.any()
                && self.is_bound(row.ts)
            {
                ticks.push(Tick { at, counted: Counted { row, updates, price }, is_quarantined });
            }
        }
        ticks
    }

    /// Whether a session goes on at an instant, between its open and its close.
    fn is_regular(&self, at: i64) -> bool {
        self.sessions.iter().any(|session| session.open <= at && at < session.close)
    }

    /// The instant at which a tick counts; none if it is outside of all sessions.
    fn counts_at(&self, set: SessionSet, ts: i64, updates: Updates) -> Option<i64> {
        let has_calendar = self.world.calendar(&self.ask.instrument, self.ask.end).is_some();
        if set == SessionSet::Regular && has_calendar {
            for session in self.sessions {
                if updates.opening && session.first <= ts && ts < session.open {
                    return Some(session.open);
                }
                if updates.closing && session.close <= ts && ts < session.last {
                    return Some(session.close - 1);
                }
            }
        }
        self.sessions.iter().any(|session| session.is_on(set, ts)).then_some(ts)
    }
}

/// The price that a tick has of a side, if any.
fn price(side: PriceSide, row: &Stored) -> Option<f64> {
    let of = |place: usize| double(&row.values[place]);
    match side {
        PriceSide::Trade | PriceSide::Bid => of(0),
        PriceSide::Ask => of(1),
        PriceSide::Mid => Some((of(0)? + of(1)?) / 2.0),
    }
}

/// As a stored bar of the slot has it.
fn ts_of(step: Step, slot: &Slot) -> i64 {
    if step.is_dated() { slot.session * DAY_NANOS } else { slot.start }
}

/// Whether no bucket of a session begins or ends inside a finer one.
fn nests(finer: &Grid, session: &[Made]) -> bool {
    let lies_inside = |at: i64| {
        let before = finer.cells.partition_point(|fine| fine.begin < at);
        before > 0 && at < finer.cells[before - 1].slot.end
    };
    matches!(finer.step, Step::S1 | Step::M1 | Step::D1)
        || !session.iter().any(|cell| lies_inside(cell.begin) || lies_inside(cell.slot.end))
}
