//! The rows of one candidate in some sessions, wherever they come from: its own bars, finer bars,
//! or ticks, for each session the first that has a row there.

use std::ops::Range;

use barrow_types::{
    Align, ColumnId, DAY_NANOS, DatasetId, PriceSide, SeriesId, SeriesKey, SessionSet, Source,
    Step, Symbol, Timestamp,
};

use crate::bytes::u32_len;
use crate::calendar::{Calendar, SlotGrid, Stretch, slot_begin, slot_of};
use crate::dataset::schema;
use crate::error::Error;
use crate::gaps::{FactsAt, Intervals, Reason};
use crate::quality::Settled;
use crate::rows::{Column, ColumnType, Rows, Values};
use crate::snapshot::{Revisions, Scan};

use super::bars::{self, Bucket, Fine, buckets, needed};
use super::coverage::{Finer, coverage};
use super::finer::{Memo, Read};
use super::gathered::{Gathered, places_of};
use super::inspect::{Inspected, Inspector};
use super::lineage::{Lineage, MadeOf, Origin, Steps, Supply};
use super::reasons::Reasons;
use super::targets::Targets;
use super::ticks::{self, TickFold};

/// Finer slots that are read at one time, or those of one session: so much memory is needed.
const FINE_SLOTS: i64 = 65_536;

/// No session is longer.
pub(super) const SESSION_NANOS_MAX: i64 = 3 * DAY_NANOS;

/// Makes the bars of one candidate.
pub(crate) struct Maker<'a> {
    pub(crate) at: FactsAt<'a>,
    pub(crate) symbol: &'a Symbol,
    pub(crate) source: &'a Source,
    pub(crate) side: PriceSide,
    pub(crate) lineage: &'a Lineage,
    /// When it is bound.
    pub(crate) bound: &'a Intervals,
    pub(crate) calendar: Option<&'a Calendar>,
    pub(crate) inspector: &'a Inspector,
    pub(crate) reasons: &'a Reasons,
    /// Whether bars that were made before are taken, and kept.
    pub(crate) remembers: bool,
    /// Where finer rows are kept that were read.
    pub(crate) memo: Option<&'a Memo>,
}

/// What is told of how much of each slot is there, in a column behind the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// Nothing.
    No,
    /// The share of its finer slots that have a row or nothing to have.
    Share,
    /// The share of its finer slots that have a row.
    OfRows,
}

impl Coverage {
    /// Whether there is such a column.
    pub(crate) fn is_told(self) -> bool {
        self != Self::No
    }
}

/// What is wanted of bars.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) grid: SlotGrid,
    /// Columns of bars.
    pub(crate) columns: &'a [ColumnId],
    /// Whether it is told which rows rules flag.
    pub(crate) flags: bool,
    pub(crate) coverage: Coverage,
}

/// Rows of a candidate in some sessions.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// Its visible rows, in order of `ts`.
    pub(crate) rows: Rows,
    /// What becomes of them by rules and verdicts.
    pub(crate) settled: Settled,
    /// When the slots begin that have no row because those of which it would be are quarantined.
    pub(crate) blocked: Vec<i64>,
    /// Where the rows of each session come from, by its date; empty: all are its own.
    pub(crate) origins: Vec<(i32, Origin)>,
}

impl Made {
    /// Where the rows of a session come from.
    pub(crate) fn origin(&self, date: i32) -> Origin {
        origin_of(&self.origins, date)
    }
}

pub(super) fn origin_of(origins: &[(i32, Origin)], date: i32) -> Origin {
    let found = origins.binary_search_by_key(&date, |(of, _)| *of);
    found.map_or(Origin::Own, |place| origins[place].1)
}

/// Kinds of columns of bars.
pub(crate) fn kinds(columns: &[ColumnId], coverage: bool) -> Result<Vec<ColumnType>, Error> {
    let schema = schema(DatasetId::BARS).expect("invariant: bars have a schema");
    let kind = |&id: &ColumnId| {
        let place = schema.place(id);
        place
            .map(|place| schema.columns[place].kind())
            .ok_or_else(|| Error::invalid(format!("columns: bars have no column {}", id.get())))
    };
    let mut kinds = columns.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
    kinds.extend(coverage.then_some(ColumnType::F64));
    Ok(kinds)
}

/// The instants of the slots from the first stretch to the last: where their rows may lie.
pub(crate) fn bounds(step: Step, first: &Stretch, last: &Stretch) -> (i64, i64) {
    (slot_begin(step, first.first_slot), slot_begin(step, last.slots().end))
}

/// When the slots of some stretches begin and end.
pub(super) fn instants(stretches: &[Stretch]) -> (i64, i64) {
    let last = &stretches[stretches.len() - 1];
    (stretches[0].first_start, last.end_of(last.count - 1))
}

impl Maker<'_> {
    /// The rows in some stretches, whole sessions of them where [`Lineage::has_choice`].
    pub(crate) fn make(&self, wanted: Wanted<'_>, stretches: &[Stretch]) -> Result<Made, Error> {
        let step = wanted.grid.step;
        if self.lineage.is_own_only(step) {
            let (rows, settled) = self.own(wanted, stretches)?;
            return Ok(Made { rows, settled, blocked: Vec::new(), origins: Vec::new() });
        }
        let mut gathered = Gathered::new(stretches);
        for from in self.lineage.order(step) {
            for run in gathered.open() {
                let sessions = &gathered.sessions[run.clone()];
                match from {
                    Supply::Own => {
                        let (first, last) = (run.start, run.end - 1);
                        let places = gathered.places[first].start..gathered.places[last].end;
                        let (rows, settled) = self.own(wanted, &stretches[places])?;
                        let has_row = |stretch: &Stretch| {
                            places_of(step, &rows.ts, stretch).any(|place| {
                                let slot = slot_of(step, rows.ts[place]);
                                self.is_bound_in(stretch, slot)
                            })
                        };
                        let found: Vec<bool> =
                            sessions.iter().map(|all| all.iter().any(has_row)).collect();
                        gathered
                            .add(step, run, rows, settled, |at| found[at].then_some(Origin::Own));
                    }
                    from if self.add_tiles(wanted, from, run.clone(), &mut gathered)? => {}
                    Supply::Ticks => self.add_ticks(wanted, run, &mut gathered)?,
                    Supply::Bars(finer) => self.add_bars(wanted, finer, run, &mut gathered)?,
                }
            }
        }
        gathered.finish(kinds(wanted.columns, wanted.coverage.is_told())?)
    }

    /// Whether it is bound where a slot of a stretch begins.
    fn is_bound_in(&self, stretch: &Stretch, slot: i64) -> bool {
        let place = u32::try_from(slot - stretch.first_slot);
        let start = stretch.start_of(place.expect("invariant: the slot lies in the stretch"));
        self.bound.cover(start, start.saturating_add(1))
    }

    pub(super) fn key(&self, dataset: DatasetId, step: Step, side: PriceSide) -> SeriesKey {
        let (symbol, source) = (self.symbol.clone(), self.source.clone());
        SeriesKey { dataset, symbol, step, side, source }
    }

    pub(super) fn scan(&self, series: SeriesId, range: (i64, i64), columns: Vec<ColumnId>) -> Scan {
        Scan {
            series,
            start: Timestamp::from_nanos(range.0),
            end: Timestamp::from_nanos(range.1),
            columns,
            as_of: self.at.as_of,
            at_sequence: self.at.at_sequence,
            revisions: Revisions::Visible,
        }
    }

    /// Its own bars in some stretches, at least one.
    fn own(&self, wanted: Wanted<'_>, stretches: &[Stretch]) -> Result<(Rows, Settled), Error> {
        let Wanted { grid, columns, flags, coverage } = wanted;
        let mut all = Rows::empty(kinds(columns, false)?);
        let range = bounds(grid.step, &stretches[0], &stretches[stretches.len() - 1]);
        let mut settled = Settled::default();
        if let Some(series) = self.lineage.series(grid.step) {
            let scan = self.scan(series, range, columns.to_vec());
            let mut scanner = self.at.snapshot.scan(scan)?;
            while let Some(piece) = scanner.next()? {
                if all.is_empty() {
                    all = piece;
                } else {
                    all.extend_from(&piece);
                }
            }
            let key = self.key(DatasetId::BARS, grid.step, self.side);
            let of = Inspected { at: self.at, series, key, align: grid.align, flags };
            settled = self.inspector.settle(&of, &all, range.0..range.1)?;
        }
        if coverage.is_told() {
            all.columns.push(Column::new(Values::F64(vec![1.0; all.len()])));
        }
        Ok((all, settled))
    }

    /// Adds bars from ticks.
    pub(super) fn add_ticks(
        &self,
        wanted: Wanted<'_>,
        run: Range<usize>,
        gathered: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        let step = wanted.grid.step;
        let series = self.lineage.series(Step::Tick).expect("invariant: there are ticks");
        let conditions = &*self.lineage.conditions;
        let with_auctions = !conditions.are_all() && self.side == PriceSide::Trade;
        let stretches = gathered.stretches(&run);
        let hours = wanted.grid.session;
        let targets = Targets::new(step, hours, self.calendar, stretches, with_auctions);
        let mut fold = TickFold::new(targets, self.side, conditions, self.bound);
        let Some(range) = fold.range() else { return Ok(()) };
        let dataset = ticks_of(self.side);
        let key = self.key(dataset, Step::Tick, PriceSide::Trade);
        let (at, align) = (self.at, wanted.grid.align);
        let of = Inspected { at, series, key, align, flags: false };
        let columns = ticks::columns(self.side, conditions).to_vec();
        let mut scanner = self.at.snapshot.scan(self.scan(series, range, columns))?;
        while let Some(piece) = scanner.next()? {
            let last = piece.ts[piece.len() - 1];
            let instants = piece.ts[0]..last.saturating_add(1);
            let settled = self.inspector.settle(&of, &piece, instants)?;
            fold.add(&piece, &settled.quarantined);
        }
        let (mut rows, blocked) = fold.finish(wanted.columns);
        if wanted.coverage.is_told() {
            rows.columns.push(Column::new(Values::F64(vec![1.0; rows.len()])));
        }
        gathered.blocked.extend(blocked);
        gathered.add_made(step, run, rows, |_| MadeOf::all(Steps::of(Step::Tick)));
        Ok(())
    }

    /// Adds bars from bars of a finer step.
    pub(super) fn add_bars(
        &self,
        wanted: Wanted<'_>,
        finer: Step,
        run: Range<usize>,
        gathered: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        let coarse = wanted.grid;
        let session = if coarse.step.is_dated() { SessionSet::Regular } else { coarse.session };
        let grid = SlotGrid { step: finer, session, align: self.lineage.align };
        let mut start = run.start;
        while start < run.end {
            let mut end = start + 1;
            let reach = reach(grid.step);
            while end < run.end {
                let (from, to) = instants(gathered.stretches(&(start..end + 1)));
                if to - from > reach {
                    break;
                }
                end += 1;
            }
            self.add_chunk(wanted, grid, start..end, gathered)?;
            start = end;
        }
        Ok(())
    }

    fn add_chunk(
        &self,
        wanted: Wanted<'_>,
        grid: SlotGrid,
        run: Range<usize>,
        gathered: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        let coarse = wanted.grid;
        let sessions = &gathered.sessions[run.clone()];
        let nested = sessions.iter().filter(|session| self.nests(grid, session));
        let buckets: Vec<Bucket> =
            nested.flat_map(|session| buckets(coarse.step, *session)).collect();
        let (start, end) = instants(gathered.stretches(&run));
        if buckets.is_empty() {
            return Ok(());
        }
        let read = self.read(grid, (start, end), needed(wanted.columns))?;
        let Some(read) = read else { return Ok(()) };
        let Read { stretches, origins, fine, blocked } = &*read;
        let mut folded = bars::fold(fine, &buckets, wanted.columns);
        if wanted.coverage.is_told() {
            let (rows, step) = (fine, grid.step);
            let finer = Finer { rows, step, stretches, blocked };
            let shares = coverage(&folded, &finer, &buckets, |stretch, place, is_blocked| {
                if wanted.coverage == Coverage::OfRows {
                    return false;
                }
                let explainer = self.reasons.of(step, origin_of(origins, stretch.date));
                explainer.reason(stretch, step, place, is_blocked) == Reason::NoTrade
            });
            folded.rows.columns.push(Column::new(Values::F64(shares)));
        }
        let has_bar = |bucket: usize| {
            folded.parts.binary_search_by_key(&bucket, |part| part.bucket as usize).is_ok()
        };
        for &begin in blocked {
            let next = buckets.partition_point(|bucket| bucket.start <= begin);
            if let Some(bucket) = next.checked_sub(1)
                && begin < buckets[bucket].end
                && !has_bar(bucket)
            {
                gathered.blocked.push(buckets[bucket].start);
            }
        }
        let dates: Vec<i32> = sessions.iter().map(|session| session[0].date).collect();
        let is_dated = coarse.step.is_dated();
        let last = |session: &&[Stretch]| {
            let last = session.last().filter(|_| !is_dated && !origins.is_empty())?;
            read.made_of_last(grid.step, &last.bucket(last.count - 1))
        };
        let lasts: Vec<Option<(i64, Steps)>> = sessions.iter().map(last).collect();
        let delivering = dates_with_rows(fine, stretches);
        let made_of = |at: usize| {
            if origins.is_empty() {
                return MadeOf::all(Steps::of(grid.step));
            }
            let from = origins.partition_point(|(date, _)| *date < dates[at]);
            let next = match is_dated {
                true => dates.get(at + 1).copied().unwrap_or(i32::MAX),
                false => dates[at] + 1,
            };
            let of_session = origins[from..].iter().take_while(|(date, _)| *date < next);
            // A session of which every row is kept out is no part of the bar.
            let delivers = |(date, _): &&(i32, Origin)| delivering.binary_search(date).is_ok();
            let steps = of_session.filter(delivers).map(|(_, origin)| match origin {
                Origin::Own => Steps::of(grid.step),
                Origin::Made(of) if is_dated => of.any(),
                Origin::Made(of) => of.steps,
            });
            MadeOf { steps: steps.fold(Steps::NONE, Steps::with), last: lasts[at] }
        };
        gathered.add_made(coarse.step, run, folded.rows, made_of);
        Ok(())
    }

    /// The finer slots that begin in a range, whole sessions of them if there is a choice.
    pub(super) fn finer(&self, grid: SlotGrid, start: i64, end: i64) -> Vec<Stretch> {
        // On the clock, one that starts before a session begins with it.
        let earlier = match grid.step.width() {
            Some(width) if grid.align == Align::Clock && !grid.step.is_dated() => width.get(),
            _ => 0,
        };
        let from = start.saturating_sub(earlier);
        let asked: Vec<Stretch> = grid.stretches(self.calendar, from, end).collect();
        let (Some(first), Some(last)) = (asked.first(), asked.last()) else { return asked };
        if grid.step.is_dated() || !self.lineage.has_choice(grid.step) {
            return asked;
        }
        let dates = first.date..=last.date;
        let from = start.saturating_sub(SESSION_NANOS_MAX);
        let to = end.saturating_add(SESSION_NANOS_MAX);
        let all = grid.stretches(self.calendar, from, to);
        all.filter(|stretch| dates.contains(&stretch.date)).collect()
    }

    /// Whether a finer grid nests in the slots of a session: none of them begins or ends inside a
    /// finer one.
    fn nests(&self, grid: SlotGrid, session: &[Stretch]) -> bool {
        let width = match grid.step {
            Step::S1 | Step::M1 => return true,
            step if step.is_dated() => return true,
            step => step.width().expect("invariant: it is shorter than a day").get(),
        };
        let (start, end) = instants(session);
        let finer: Vec<Stretch> =
            grid.stretches(self.calendar, start.saturating_sub(width), end).collect();
        let is_inside = |at: i64| {
            let before = finer.partition_point(|stretch| stretch.begin_of(0) < at);
            let Some(stretch) = before.checked_sub(1).map(|place| &finer[place]) else {
                return false;
            };
            let is_edge = (at - stretch.first_start).rem_euclid(width) == 0;
            at < stretch.end_of(stretch.count - 1) && !is_edge
        };
        let mut slots =
            session.iter().flat_map(|stretch| (0..stretch.count).map(move |at| (stretch, at)));
        !slots.any(|(stretch, at)| is_inside(stretch.begin_of(at)) || is_inside(stretch.end_of(at)))
    }

    /// The good rows among some in finer slots, one a slot, and when the slots begin of which only
    /// quarantined rows are there.
    pub(super) fn fine(&self, step: Step, made: Made, stretches: &[Stretch]) -> (Fine, Vec<i64>) {
        let Made { rows, settled, blocked, .. } = made;
        let (start, end) = instants(stretches);
        let is_bound = self.bound.cover(start, end);
        // What is kept out while the symbol is not bound is another's.
        let counts = |start: &i64| is_bound || self.bound.cover(*start, start.saturating_add(1));
        let mut blocked: Vec<i64> =
            blocked.into_iter().filter(counts).map(|start| begin_of(stretches, start)).collect();
        if is_bound && settled.quarantined.is_empty() && is_one_a_slot(step, &rows.ts, stretches) {
            return (Fine { begins: None, rows }, blocked);
        }
        let (mut begins, mut places) = (Vec::new(), Vec::new());
        for stretch in stretches {
            let of_stretch = places_of(step, &rows.ts, stretch);
            let ts = &rows.ts[of_stretch.clone()];
            let mut first = of_stretch.start;
            for of_slot in ts.chunk_by(|a, b| slot_of(step, *a) == slot_of(step, *b)) {
                let mut all = first..first + of_slot.len();
                first = all.end;
                let slot = slot_of(step, of_slot[0]);
                let place = u32::try_from(slot - stretch.first_slot);
                let place = place.expect("invariant: the row lies in the stretch");
                let begin = stretch.begin_of(place);
                if !is_bound && !self.is_bound_in(stretch, slot) {
                    continue;
                }
                match all.rfind(|place| !settled.is_quarantined(*place)) {
                    None => blocked.push(begin),
                    Some(place) => {
                        begins.push(begin);
                        places.push(u32_len(place));
                    }
                }
            }
        }
        blocked.sort_unstable();
        let rows = if places.len() == rows.len() { rows } else { rows.take(&places) };
        (Fine { begins: Some(begins), rows }, blocked)
    }
}

/// When the slot that starts at `start` begins.
fn begin_of(stretches: &[Stretch], start: i64) -> i64 {
    let next = stretches.partition_point(|stretch| stretch.first_start <= start);
    let stretch = &stretches[next.checked_sub(1).expect("invariant: it is a slot of a stretch")];
    start.max(stretch.begin_of(0))
}

/// The dates of the sessions of some slots that have a row in one; ascending.
fn dates_with_rows(fine: &Fine, stretches: &[Stretch]) -> Vec<i32> {
    let begins = fine.begins.as_deref().unwrap_or(&fine.rows.ts);
    let has_row = |stretch: &&Stretch| {
        let next = begins.partition_point(|begin| *begin < stretch.begin_of(0));
        begins.get(next).is_some_and(|begin| *begin <= stretch.begin_of(stretch.count - 1))
    };
    let mut dates: Vec<i32> = stretches.iter().filter(has_row).map(|of| of.date).collect();
    dates.dedup();
    dates
}

/// The dataset of the ticks that bars of a side come from.
pub(crate) const fn ticks_of(side: PriceSide) -> DatasetId {
    match side {
        PriceSide::Trade => DatasetId::TRADES,
        PriceSide::Bid | PriceSide::Ask | PriceSide::Mid => DatasetId::QUOTES,
    }
}

/// How long a range of finer slots may be that is read at one time.
fn reach(finer: Step) -> i64 {
    match finer.width() {
        Some(width) if !finer.is_dated() => FINE_SLOTS * width.get(),
        _ => i64::MAX,
    }
}

/// Whether each of `ts` is where an expected slot begins, and none is there twice.
fn is_one_a_slot(step: Step, ts: &[i64], stretches: &[Stretch]) -> bool {
    let Some(width) = step.width().filter(|_| !step.is_dated()) else { return false };
    let mut rest = ts;
    for stretch in stretches {
        let mut start = stretch.first_start;
        if stretch.begin_of(0) != start {
            return false;
        }
        let last = stretch.start_of(stretch.count - 1);
        while let Some((first, others)) = rest.split_first() {
            if *first > last {
                break;
            }
            while start < *first {
                start += width.get();
            }
            if start != *first {
                return false;
            }
            start += width.get();
            rest = others;
        }
    }
    rest.is_empty()
}
