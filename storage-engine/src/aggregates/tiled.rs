//! Rows from tiles, and tiles from rows.

use std::ops::Range;
use std::sync::Arc;

use barrow_types::{ColumnId, DAY_NANOS, DatasetId, PriceSide, SeriesId, SeriesKey, Step};
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::u32_len;
use crate::calendar::{Session, SlotGrid, Stretch};
use crate::dataset::BARS;
use crate::error::Error;
use crate::memtable::Zone;
use crate::rows::Rows;
use crate::snapshot::{Revisions, Scan};

use super::bars::doubles;
use super::gathered::Gathered;
use super::lineage::{MadeOf, Steps, Supply};
use super::make::{Coverage, Maker, SESSION_NANOS_MAX, Wanted, bounds, instants, kinds, ticks_of};
use super::tile_file::{self, Block, Entry, Key};
use super::tiles::Tile;

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
        if !self.remembers {
            return Ok(false);
        }
        let Some((of, series)) = self.lineage.only_series(from).filter(|_| is_kept(step)) else {
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
        gathered.add_made(step, run, rows, |_| MadeOf::all(Steps::of(of)));
        Ok(true)
    }

    /// The series of rows of a step: bars, or ticks.
    fn key_of(&self, step: Step) -> SeriesKey {
        match step {
            Step::Tick => self.key(ticks_of(self.side), step, PriceSide::Trade),
            _ => self.key(DatasetId::BARS, step, self.side),
        }
    }

    /// Whether a row of a step may be quarantined: by a rule, or by a person.
    pub(crate) fn may_quarantine(&self, step: Step) -> bool {
        self.inspector.may_quarantine_in(self.at.snapshot, self.key_of(step))
    }

    fn key_of_tile(&self, grid: SlotGrid, raw: Raw, block: Block) -> Key {
        let SlotGrid { step, session, align } = grid;
        let (side, from_align) = (self.side, self.lineage.align);
        Key { series: raw.series, side, block, step, session, align, from_align }
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
        let key = self.key_of_tile(grid, raw, block);
        let generation = self.at.snapshot.generation();
        let tiles = &generation.tiles;
        let mut before = tiles.get(&key);
        if before.is_none() {
            let newest = |to| self.newest_up_to(to, raw.series, &held.range);
            before = tiles.load(&*generation.disk, &key, newest);
            if let Some(tile) = &before {
                tiles.keep(key, Arc::clone(tile));
            }
        }
        if before.as_ref().is_some_and(|tile| tile.from > held.sequence) {
            return Ok(None);
        }
        let world = self.world(raw, block, &held.range);
        let before = before.filter(|tile| tile.world == world && self.is_told_since(raw, tile.to));
        if let Some(tile) = &before
            && held.newest <= tile.to
            && asked & !tile.told == 0
        {
            tiles.note_used();
            return Ok(before);
        }
        let tile =
            Arc::new(self.made(grid, raw, block, &held, (world, asked), before.as_deref())?);
        tiles.keep(key, Arc::clone(&tile));
        Ok(Some(tile))
    }

    /// A tile that tells at least the sessions of the dates `asked`, made from what an older one
    /// tells that still holds, and from rows.
    fn made(
        &self,
        grid: SlotGrid,
        raw: Raw,
        block: Block,
        held: &Held,
        (world, asked): (u64, u64),
        before: Option<&Tile>,
    ) -> Result<Tile, Error> {
        let step = grid.step;
        let told = match before {
            Some(tile) if held.newest <= tile.to => tile.told,
            Some(tile) => tile.told & !self.changed(grid, raw, block, held, tile.to)?,
            None => 0,
        };
        let all: Vec<ColumnId> = BARS.columns.iter().map(|column| column.id).collect();
        let wanted = Wanted { grid, columns: &all, flags: false, coverage: Coverage::OfRows };
        let mut rows = match before {
            Some(tile) => tile.rows.clone(),
            None => Rows::empty(kinds(&all, true)?),
        };
        let spans = held.zones.iter().map(|zone| block.dates_around(zone.ts.min, zone.ts.max));
        let missing = asked & !told & spans.fold(0, |all, dates| all | dates);
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
        if self.remembers {
            let made = u32::try_from(made).expect("invariant: a block has 64 dates");
            self.at.snapshot.generation().tiles.note_made(made);
        }
        Ok(Tile { from: held.newest, to: held.sequence, world, told: told | asked, rows })
    }

    /// The steps of which tiles of a series are kept in files; none if a row of it may be
    /// quarantined.
    pub(crate) fn steps_of(&self, series: SeriesId) -> Vec<Step> {
        let mut of_it = self.lineage.all().filter(|(_, of)| *of == series);
        if of_it.next().is_none_or(|(step, _)| self.may_quarantine(step)) {
            return Vec::new();
        }
        let all = Step::ALL.into_iter().filter(|step| is_kept(*step));
        all.filter(|step| self.supply_of(*step, series).is_some()).collect()
    }

    /// What bars of a step are made of, if all of them that are made come from one series.
    fn supply_of(&self, step: Step, series: SeriesId) -> Option<Raw> {
        let order = self.lineage.order(step).into_iter();
        let mut raw = order.filter_map(|from| {
            let (step, found) = self.lineage.only_series(from)?;
            (found == series).then_some(Raw { step, series, from })
        });
        raw.next()
    }

    /// The tile of a whole block for a file, with its entry, whose place is not known yet; `None`
    /// if there is no bar.
    pub(crate) fn tile_of_block(
        &self,
        grid: SlotGrid,
        series: SeriesId,
        block: Block,
    ) -> Result<Option<(Entry, Vec<u8>)>, Error> {
        let raw = self.supply_of(grid.step, series).filter(|_| is_kept(grid.step));
        let Some(raw) = raw else { return Ok(None) };
        let (held, is_whole) = self.sources(series, block);
        if held.zones.is_empty() || self.remembers && !is_whole {
            return Ok(None);
        }
        let world = self.world(raw, block, &held.range);
        let asked = self.dates(block);
        let key = self.key_of_tile(grid, raw, block);
        let generation = self.at.snapshot.generation();
        let (disk, tiles) = (&*generation.disk, &generation.tiles);
        let mut before = None;
        if self.remembers {
            let holds = |entry: &Entry, to: u64| {
                entry.world == world
                    && entry.told == asked
                    && held.newest <= to
                    && self.is_told_since(raw, to)
            };
            if let Some(found) = tiles.bytes(disk, &key, holds) {
                return Ok(Some(found));
            }
            let is_usable = |tile: &Arc<Tile>| {
                tile.world == world
                    && tile.from <= held.sequence
                    && self.is_told_since(raw, tile.to)
            };
            let kept = tiles.get(&key).filter(is_usable);
            let newest = |to| self.newest_up_to(to, series, &held.range);
            let loaded = || tiles.load(disk, &key, newest).filter(is_usable);
            before = kept.or_else(loaded);
        }
        let tile = match before {
            Some(tile) if tile.told == asked && held.newest <= tile.to => tile,
            before => {
                let made = self.made(grid, raw, block, &held, (world, asked), before.as_deref());
                Arc::new(made?)
            }
        };
        if tile.rows.is_empty() {
            return Ok(None);
        }
        let bytes = tile_file::encode_tile(&tile.rows);
        let (rows, len) = (u32_len(tile.rows.len()), u32_len(bytes.len()));
        let crc = crc32c::crc32c(&bytes);
        Ok(Some((Entry { key, rows, world, told: asked, at: 0, len, crc }, bytes)))
    }

    /// The dates of a block that have a session.
    fn dates(&self, block: Block) -> u64 {
        let Some(calendar) = self.calendar else { return u64::MAX };
        let sessions = calendar.sessions(block.first(), block.end());
        sessions.fold(0, |bits, session| bits | Block::bit(session.date))
    }

    /// What is known of a block; `None` if the question leaves out a row that its sources hold.
    fn held(&self, series: SeriesId, block: Block) -> Option<Held> {
        let (held, is_whole) = self.sources(series, block);
        is_whole.then_some(held)
    }

    /// What is known of a block, and whether the question admits every row that its sources hold.
    fn sources(&self, series: SeriesId, block: Block) -> (Held, bool) {
        let snapshot = self.at.snapshot;
        let sequence = self.at.at_sequence.unwrap_or(snapshot.sequence()).min(snapshot.sequence());
        let sequence = sequence.get();
        let known_at = self.at.as_of.map_or(i64::MAX, |as_of| as_of.nanos());
        let range = block.instants();
        let zones = self.zones(series, &range).filter(|zone| zone.sequence.min <= sequence);
        let zones: Vec<Zone> = zones.collect();
        let newest = zones.iter().map(|zone| zone.sequence.max).max().unwrap_or(0);
        let leaves_out = |zone: &Zone| zone.known_at.max > known_at;
        let is_whole = newest <= sequence && !zones.iter().any(leaves_out);
        (Held { range, zones, newest, sequence }, is_whole)
    }

    /// What may hold rows of a series in a range, whichever record brought them.
    fn zones(&self, series: SeriesId, range: &Range<i64>) -> impl Iterator<Item = Zone> {
        let generation = self.at.snapshot.generation();
        let extents = generation.extents(series).iter().map(|extent| extent.meta().zone);
        let zones = extents.chain(generation.runs(series).into_iter().map(|run| run.zone));
        let Range { start, end } = *range;
        zones.filter(move |zone| zone.ts.min < end && zone.ts.max >= start)
    }

    /// Whether the rows that are there tell all that changed since record `to`. Events that were
    /// retracted by a floor of retention may be gone together with their retractions.
    fn is_told_since(&self, raw: Raw, to: u64) -> bool {
        if raw.step != Step::Tick {
            return true;
        }
        let floor = self.at.snapshot.floor(ticks_of(self.side), raw.step);
        floor.is_none_or(|set| set.floor.at_sequence_from.get() <= to)
    }

    /// The last record up to `to` that may have brought a row; `None` if that is not known, because
    /// the snapshot does not hold all of them.
    fn newest_up_to(&self, to: u64, series: SeriesId, range: &Range<i64>) -> Option<u64> {
        if to > self.at.snapshot.sequence().get() {
            return None;
        }
        let zones = self.zones(series, range).filter(|zone| zone.sequence.min <= to);
        Some(zones.map(|zone| zone.sequence.max.min(to)).max().unwrap_or(0))
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

/// Whether tiles are made of bars of a step: seconds are nearly as many as ticks, and weeks and
/// months are made of few days.
const fn is_kept(step: Step) -> bool {
    !matches!(step, Step::Tick | Step::S1 | Step::W1 | Step::Mo1)
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
