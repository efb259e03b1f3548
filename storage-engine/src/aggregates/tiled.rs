//! Rows from tiles, and tiles from rows.

use std::ops::Range;
use std::sync::Arc;

use barrow_types::{ColumnId, DAY_NANOS, DatasetId, PriceSide, SeriesId, SeriesKey, Step};
use xxhash_rust::xxh3::xxh3_64;

use crate::calendar::{Session, SlotGrid, Stretch};
use crate::dataset::BARS;
use crate::error::Error;
use crate::memtable::Zone;
use crate::rows::Rows;
use crate::snapshot::{Revisions, Scan};

use super::bars::doubles;
use super::gathered::Gathered;
use super::lineage::{Origin, Steps, Supply};
use super::make::{Coverage, Maker, SESSION_NANOS_MAX, Wanted, bounds, instants, kinds, ticks_of};
use super::tiles::{Block, Key, Tile};

/// Sessions so many dates around a block are part of what a tile is made from: a slot that two
/// share may reach from one block to the next.
const AROUND_DATES: i32 = 4;

/// Longest step of which finer bars are made that do not begin with their sessions.
const FINER_NANOS_MAX: i64 = DAY_NANOS / 6;

/// A series from which alone bars come.
#[derive(Clone, Copy)]
struct Raw {
    step: Step,
    series: SeriesId,
    from: Supply,
}

/// What is known of the rows of a block without reading any.
struct Held {
    range: Range<i64>,
    /// Of what may hold some.
    zones: Vec<Zone>,
    /// No row came with a later record.
    newest: u64,
    /// The last record that the question admits.
    sequence: u64,
}

impl Maker<'_> {
    /// Adds rows of a run of sessions from tiles, which are made and kept as needed. False if the
    /// rows are none of which tiles are made, or the question is about an earlier (T, N).
    pub(super) fn add_tiles(
        &self,
        wanted: Wanted<'_>,
        from: Supply,
        run: Range<usize>,
        gathered: &mut Gathered<'_>,
    ) -> Result<bool, Error> {
        let step = wanted.grid.step;
        // Seconds are nearly as many as ticks, weeks and months are made of few days.
        let is_kept = !matches!(step, Step::S1 | Step::W1 | Step::Mo1);
        let Some((of, series)) = self.lineage.only_series(from).filter(|_| is_kept) else {
            return Ok(false);
        };
        if self.inspector.may_quarantine_in(self.at.snapshot, self.key_of(of)) {
            return Ok(false);
        }
        let raw = Raw { step: of, series, from };
        let sessions = &gathered.sessions[run.clone()];
        let mut parts: Vec<(Arc<Tile>, Range<usize>)> = Vec::new();
        let block = |session: &[Stretch]| Block::of(session[0].date);
        for of_block in sessions.chunk_by(|a, b| block(a) == block(b)) {
            let dates = of_block.iter().fold(0, |bits, of| bits | Block::bit(of[0].date));
            let Some(tile) = self.tile(wanted.grid, raw, block(of_block[0]), dates)? else {
                return Ok(false);
            };
            let (first, last) = (of_block[0], of_block[of_block.len() - 1]);
            let (start, end) = bounds(step, &first[0], &last[last.len() - 1]);
            let before = |end: i64| tile.rows.ts.partition_point(|ts| *ts < end);
            let places = before(start)..before(end);
            parts.push((tile, places));
        }
        #[expect(clippy::float_cmp, reason = "all of it is there, or not")]
        let is_full = |(tile, places): &(Arc<Tile>, Range<usize>)| {
            shares(&tile.rows)[places.clone()].iter().all(|share| *share == 1.0)
        };
        // Why slots are empty, and so whether they are covered, is not remembered.
        if wanted.coverage.is_told() && !parts.iter().all(is_full) {
            return Ok(false);
        }
        let rows = rows_of(&parts, wanted)?;
        gathered.add_made(step, run, rows, |_| Origin::Made(Steps::of(of)));
        Ok(true)
    }

    /// The series of rows of a step: bars, or ticks.
    fn key_of(&self, step: Step) -> SeriesKey {
        match step {
            Step::Tick => self.key(ticks_of(self.side), step, PriceSide::Trade),
            _ => self.key(DatasetId::BARS, step, self.side),
        }
    }

    /// The tile of a block that tells at least the sessions of some dates; `None` if the question
    /// leaves out what is there.
    fn tile(
        &self,
        grid: SlotGrid,
        raw: Raw,
        block: Block,
        asked: u64,
    ) -> Result<Option<Arc<Tile>>, Error> {
        let Some(held) = self.held(raw.series, block) else { return Ok(None) };
        let SlotGrid { step, session, align } = grid;
        let (side, from_align) = (self.side, self.lineage.align);
        let key = Key { series: raw.series, side, step, session, align, from_align, block };
        let tiles = &self.at.snapshot.generation().tiles;
        let world = self.world(raw, block, &held.range);
        let before = tiles.get(&key);
        if before.as_ref().is_some_and(|tile| tile.from > held.sequence) {
            return Ok(None);
        }
        let before = before.filter(|tile| tile.world == world);
        let told = match &before {
            Some(tile) if held.newest <= tile.to => {
                if asked & !tile.told == 0 {
                    tiles.note_used();
                    return Ok(before);
                }
                tile.told
            }
            Some(tile) => tile.told & !self.changed(grid, raw, block, &held, tile.to)?,
            None => 0,
        };
        let all: Vec<ColumnId> = BARS.columns.iter().map(|column| column.id).collect();
        let wanted = Wanted { grid, columns: &all, flags: false, coverage: Coverage::OfRows };
        let mut rows = match &before {
            Some(tile) => tile.rows.clone(),
            None => Rows::empty(kinds(&all, true)?),
        };
        let missing = asked & !told;
        let sessions = self.sessions(grid, block, missing);
        let of_date: Vec<&[Stretch]> = sessions.chunk_by(|a, b| a.date == b.date).collect();
        let is_missing = |session: &[Stretch]| missing & Block::bit(session[0].date) != 0;
        let mut made = 0;
        for run in of_date.chunk_by(|a, b| is_missing(a) == is_missing(b)) {
            if !is_missing(run[0]) {
                continue;
            }
            let stretches = run.concat();
            let mut fresh = Gathered::new(&stretches);
            let all_of_it = 0..fresh.sessions.len();
            match raw.from {
                Supply::Bars(finer) => self.add_bars(wanted, finer, all_of_it, &mut fresh)?,
                Supply::Ticks | Supply::Own => self.add_ticks(wanted, all_of_it, &mut fresh)?,
            }
            let fresh = fresh.finish(kinds(&all, true)?)?.rows;
            replace(
                &mut rows,
                bounds(step, &stretches[0], &stretches[stretches.len() - 1]),
                &fresh,
            );
            made += run.len();
        }
        tiles.note_made(u32::try_from(made).expect("invariant: a block has 64 dates"));
        let Held { newest, sequence, .. } = held;
        let told = told | asked;
        let tile = Arc::new(Tile { from: newest, to: sequence, world, told, rows });
        tiles.keep(key, Arc::clone(&tile));
        Ok(Some(tile))
    }

    /// What is known of a block; `None` if the question leaves out a row that its sources hold.
    fn held(&self, series: SeriesId, block: Block) -> Option<Held> {
        let snapshot = self.at.snapshot;
        let sequence = self.at.at_sequence.unwrap_or(snapshot.sequence()).min(snapshot.sequence());
        let sequence = sequence.get();
        let known_at = self.at.as_of.map_or(i64::MAX, |as_of| as_of.nanos());
        let range = block.instants();
        let generation = snapshot.generation();
        let runs = generation.runs(series);
        let extents = generation.extents(series).iter().map(|extent| extent.meta().zone);
        let overlaps = |zone: &Zone| {
            zone.ts.min < range.end && zone.ts.max >= range.start && zone.sequence.min <= sequence
        };
        let zones = extents.chain(runs.iter().map(|run| run.zone)).filter(overlaps);
        let zones: Vec<Zone> = zones.collect();
        let newest = zones.iter().map(|zone| zone.sequence.max).max().unwrap_or(0);
        let leaves_out = |zone: &Zone| zone.known_at.max > known_at;
        let is_whole = newest <= sequence && !zones.iter().any(leaves_out);
        is_whole.then_some(Held { range, zones, newest, sequence })
    }

    /// Hash of the sessions, bindings and settings that enter into a block.
    fn world(&self, raw: Raw, block: Block, range: &Range<i64>) -> u64 {
        let mut words: Vec<i64> = Vec::with_capacity(512);
        if let Some(calendar) = self.calendar {
            let around = (block.first() - AROUND_DATES, block.end() + AROUND_DATES);
            for session in calendar.sessions(around.0, around.1) {
                let Session { date, open, close, pause, pre_open, post_close, .. } = session;
                let (pause, resume) = pause.unwrap_or((close, close));
                words.extend([date.into(), pre_open, open, pause, resume, close, post_close]);
            }
        }
        let bound = self.bound.iter().map(|(start, end)| {
            [start.clamp(range.start, range.end), end.clamp(range.start, range.end)]
        });
        words.push(i64::MAX);
        words.extend(bound.filter(|[start, end]| start < end).flatten());
        let mut bytes: Vec<u8> = words.into_iter().flat_map(i64::to_le_bytes).collect();
        if raw.step == Step::Tick && !self.lineage.conditions.are_all() {
            bytes.extend_from_slice(self.lineage.conditions.text().as_bytes());
        }
        xxh3_64(&bytes)
    }

    /// The whole sessions from the first to the last of some dates of a block.
    fn sessions(&self, grid: SlotGrid, block: Block, dates: u64) -> Vec<Stretch> {
        if dates == 0 {
            return Vec::new();
        }
        let place = |bits: u32| i32::try_from(bits).expect("invariant: there are 64 bits");
        let first = block.first() + place(dates.trailing_zeros());
        let last = block.end() - 1 - place(dates.leading_zeros());
        let midnight = |date: i32| i64::from(date) * DAY_NANOS;
        let from = midnight(first).saturating_sub(SESSION_NANOS_MAX);
        let to = midnight(last).saturating_add(SESSION_NANOS_MAX);
        let all = grid.stretches(self.calendar, from, to);
        all.filter(|stretch| (first..=last).contains(&stretch.date)).collect()
    }

    /// The dates of a block whose sessions a record after `since` may have changed.
    fn changed(
        &self,
        grid: SlotGrid,
        raw: Raw,
        block: Block,
        held: &Held,
        since: u64,
    ) -> Result<u64, Error> {
        let newer = held.zones.iter().filter(|zone| zone.sequence.max > since);
        let spans = newer.map(|zone| (zone.ts.min, zone.ts.max));
        let Some((first, last)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return Ok(0);
        };
        let range = (first.max(held.range.start), last.saturating_add(1).min(held.range.end));
        let scan = self.scan(raw.series, range, Vec::new());
        let scan = Scan { revisions: Revisions::All, ..scan };
        let mut scanner = self.at.snapshot.scan(scan)?;
        let mut changed: Vec<i64> = Vec::new();
        while let Some(rows) = scanner.next()? {
            let newer = rows.ts.iter().zip(&rows.sequence).filter(|(_, by)| **by > since);
            changed.extend(newer.map(|(ts, _)| *ts));
        }
        changed.sort_unstable();
        let mut dates = 0;
        for session in self.sessions(grid, block, u64::MAX).chunk_by(|a, b| a.date == b.date) {
            let date = session[0].date;
            let (mut start, mut end) = instants(session);
            if let Some(hours) = self.calendar.and_then(|calendar| calendar.session(date)) {
                (start, end) = (start.min(hours.pre_open), end.max(hours.post_close));
            }
            let (start, end) = (start - FINER_NANOS_MAX, end + FINER_NANOS_MAX);
            let next = changed.partition_point(|ts| *ts < start);
            if changed.get(next).is_some_and(|ts| *ts < end) {
                dates |= Block::bit(date);
            }
        }
        Ok(dates)
    }
}

/// The shares of finer slots that have a row, of the bars of a tile.
fn shares(rows: &Rows) -> &[f64] {
    doubles(&rows.columns[BARS.columns.len()])
}

/// The rows at some places of tiles, one after the other, with the columns that are wanted.
fn rows_of(parts: &[(Arc<Tile>, Range<usize>)], wanted: Wanted<'_>) -> Result<Rows, Error> {
    let kinds = kinds(wanted.columns, wanted.coverage.is_told())?;
    let place = |id: &ColumnId| BARS.place(*id).expect("invariant: its kind is known");
    let mut columns: Vec<usize> = wanted.columns.iter().map(place).collect();
    columns.extend(wanted.coverage.is_told().then_some(BARS.columns.len()));
    let mut all: Option<Rows> = None;
    for (tile, places) in parts {
        match &mut all {
            None => all = Some(tile.rows.slice_columns(places.clone(), &columns)),
            Some(all) => all.extend_columns(&tile.rows, places.clone(), &columns),
        }
    }
    Ok(all.unwrap_or_else(|| Rows::empty(kinds)))
}

/// Puts rows in place of all those from `start` up to `end`.
fn replace(rows: &mut Rows, (start, end): (i64, i64), fresh: &Rows) {
    let before = |end: i64| rows.ts.partition_point(|ts| *ts < end);
    let (from, to, len) = (before(start), before(end), rows.len());
    let mut all = rows.slice(0..from);
    all.extend_from(fresh);
    all.extend_range(rows, to..len);
    *rows = all;
}
