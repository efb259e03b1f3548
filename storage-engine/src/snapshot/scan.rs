//! Reading a range of one series: which extents and runs, in what pieces, and which row of a key.
//!
//! *Sources* are the extents and runs that overlap the range. If each of them that is not history
//! lies wholly at or below (T, N), the visible row of a key is the greatest of base, delta and
//! memtable, and history is left out: a loser's victor is visible too. Of events history counts
//! too, because it holds retractions beside what they cancel. Otherwise every source takes part
//! and rows above (T, N) are dropped one by one. Which rows are visible says [`crate::visible`].
//!
//! The range is read in pieces that end where enough sources end, so that memory is bounded by the
//! sources that overlap one piece.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use barrow_types::{SeriesId, SeriesKey, Timestamp};

use crate::dataset::{Identity, Schema};
use crate::error::Error;
use crate::memtable::{Run, Zone, sorted_places};
use crate::rows::{Column, Rows, flags};
use crate::segment::Extent;
use crate::visible::{Verdict, judge, places_of};

use super::{Revisions, Scan, Snapshot};

/// A piece ends once the sources that end in it have this many rows.
const PIECE_ROWS: usize = 32_768;

/// Rows of which columns alone are read at one time: so few that their memory is used again and
/// again, because fresh memory costs more than decoding into it.
const COLUMNS_ROWS: usize = 8_192;

/// How many rows from the end of a source are looked at first for the newest row; doubles while
/// they are all retracted.
const NEWEST_ROWS: usize = 64;

enum Data {
    Run(Run),
    Extent(Extent),
    /// What is left of an extent that reaches past the last piece, decoded.
    Decoded(Rows),
}

/// Rows of one key and one rank stand in the order of their places in the batch: of bars those that
/// lost are in history, so history comes first, and one extent of it after the other as it was
/// written. Events of one `ts` and rank are together in history or beside it.
type Order = (Kind, usize);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    History,
    Current,
}

struct Source {
    zone: Zone,
    /// The flags that any of its rows has.
    flags: u8,
    rows: usize,
    order: Order,
    data: Data,
}

/// The limits (T, N) of a question.
#[derive(Clone, Copy)]
struct Limits {
    known_at: i64,
    sequence: u64,
}

impl Limits {
    const fn admit_all_of(&self, zone: &Zone) -> bool {
        zone.known_at.max <= self.known_at && zone.sequence.max <= self.sequence
    }

    const fn admit_none_of(&self, zone: &Zone) -> bool {
        zone.known_at.min > self.known_at || zone.sequence.min > self.sequence
    }

    fn admit(&self, rows: &Rows, at: usize) -> bool {
        rows.known_at[at] <= self.known_at && rows.sequence[at] <= self.sequence
    }
}

/// The rows of a scan, a piece at a time.
pub struct Scanner {
    snapshot: Snapshot,
    key: Arc<SeriesKey>,
    schema: &'static Schema,
    /// The columns that are read: those that were asked for, then those that the identity needs.
    places: Vec<usize>,
    asked_count: usize,
    limits: Limits,
    revisions: Revisions,
    /// Whether rows have to be compared with the limits one by one.
    filter: bool,
    /// First and last `ts` still to read; `None` when done.
    range: Option<(i64, i64)>,
    sources: Vec<Source>,
    /// An extent of which columns alone are being read, and its rows still to read.
    plain: Option<(Extent, Range<usize>)>,
}

impl Scanner {
    pub(super) fn new(snapshot: Snapshot, scan: Scan) -> Result<Self, Error> {
        let key =
            snapshot.generation().catalog.key(scan.series).ok_or_else(|| {
                Error::not_found(format!("there is no series {}", scan.series.get()))
            })?;
        snapshot.check_retention(key.dataset, key.step, scan.as_of, scan.at_sequence)?;
        let schema = snapshot.schema_at(key.dataset, scan.at_sequence);
        let schema = schema.expect("invariant: a series has a dataset");
        let places = scan
            .columns
            .iter()
            .map(|&id| {
                schema.place(id).ok_or_else(|| {
                    Error::invalid(format!("{} has no column {}", schema.name, id.get()))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let limits = Limits {
            known_at: scan.as_of.unwrap_or(Timestamp::MAX).nanos(),
            sequence: scan
                .at_sequence
                .unwrap_or(snapshot.sequence())
                .min(snapshot.sequence())
                .get(),
        };
        let range = (scan.start < scan.end).then(|| (scan.start.nanos(), scan.end.nanos() - 1));
        let mut scanner = Self {
            key,
            schema,
            asked_count: places.len(),
            places,
            limits,
            revisions: scan.revisions,
            filter: false,
            range,
            sources: Vec::new(),
            plain: None,
            snapshot,
        };
        scanner.find_sources(scan.series);
        scanner.add_places();
        Ok(scanner)
    }

    /// Adds the columns that tell which rows are visible: of events the id columns, and all of
    /// them if any row may be a retraction.
    fn add_places(&mut self) {
        if !self.is_event() || self.revisions == Revisions::All {
            return;
        }
        let needed = if self.sources.iter().any(|source| source.flags & flags::RETRACT != 0) {
            (0..self.schema.columns.len()).collect()
        } else {
            self.schema.id_places()
        };
        for place in needed {
            if !self.places.contains(&place) {
                self.places.push(place);
            }
        }
    }

    /// Whether rows are visible or not by what other rows of their `ts` are.
    fn is_event(&self) -> bool {
        matches!(self.schema.identity, Identity::Event { .. })
    }

    /// Whether extents beside history may hold several versions of a row.
    fn has_versions(&self) -> bool {
        matches!(self.schema.identity, Identity::Event { id } if !id.is_empty())
    }

    /// Every row of some extents of a series, whatever became of it, as rows of `schema`, which
    /// is no earlier version than theirs.
    pub(crate) fn of_extents(
        snapshot: Snapshot,
        series: SeriesId,
        schema: &'static Schema,
        extents: &[Extent],
    ) -> Result<Self, Error> {
        let key = snapshot.generation().catalog.key(series).expect("invariant: it has extents");
        let mut scanner = Self {
            key,
            schema,
            places: (0..schema.columns.len()).collect(),
            asked_count: schema.columns.len(),
            limits: Limits { known_at: i64::MAX, sequence: u64::MAX },
            revisions: Revisions::All,
            filter: false,
            range: Some((i64::MIN, i64::MAX)),
            sources: Vec::new(),
            plain: None,
            snapshot,
        };
        extents.iter().for_each(|extent| scanner.add_extent(extent));
        scanner.sources.sort_by_key(|source| std::cmp::Reverse(source.zone.ts.max));
        Ok(scanner)
    }

    fn add_extent(&mut self, extent: &Extent) {
        let meta = extent.meta();
        let kind = if extent.is_history() { Kind::History } else { Kind::Current };
        self.sources.push(Source {
            zone: meta.zone,
            flags: meta.flags,
            rows: meta.rows as usize,
            order: (kind, self.sources.len()),
            data: Data::Extent(extent.clone()),
        });
    }

    fn find_sources(&mut self, series: SeriesId) {
        let Some((first, last)) = self.range else { return };
        let overlaps = |zone: &Zone| zone.ts.min <= last && zone.ts.max >= first;
        let generation = self.snapshot.generation();
        let extents: Vec<Extent> = generation
            .extents(series)
            .iter()
            .filter(|extent| overlaps(&extent.meta().zone))
            .cloned()
            .collect();
        let runs: Vec<Run> = generation
            .runs(series)
            .into_iter()
            .filter(|run| overlaps(&run.zone) && !self.limits.admit_none_of(&run.zone))
            .collect();
        let limits = self.limits;
        let counts = |extent: &&Extent| self.is_event() || !extent.is_history();
        let current = extents.iter().filter(counts);
        self.filter = !(current.map(|extent| &extent.meta().zone))
            .chain(runs.iter().map(|run| &run.zone))
            .all(|zone| limits.admit_all_of(zone));
        let history = self.filter || self.revisions == Revisions::All;
        for extent in extents {
            let wanted = history || !extent.is_history();
            if wanted && !limits.admit_none_of(&extent.meta().zone) {
                self.add_extent(&extent);
            }
        }
        for run in runs {
            self.sources.push(Source {
                zone: run.zone,
                flags: run.flags,
                rows: run.len(),
                order: (Kind::Current, self.sources.len()),
                data: Data::Run(run),
            });
        }
        if self.revisions == Revisions::All {
            self.filter = !self.sources.iter().all(|source| limits.admit_all_of(&source.zone));
        }
        // Latest end last, so that pieces take sources off the end of the list.
        self.sources.sort_by_key(|source| std::cmp::Reverse(source.zone.ts.max));
    }

    /// The next rows, never none; `None` at the end.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged, `Disk` if it cannot be read.
    #[expect(clippy::should_implement_trait, reason = "a fallible iterator is not an `Iterator`")]
    pub fn next(&mut self) -> Result<Option<Rows>, Error> {
        while let Some((first, last)) = self.range {
            let rows = self.next_piece(first, last)?;
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    /// The rows from `first` up to where a piece ends; the range begins behind it then.
    fn next_piece(&mut self, first: i64, last: i64) -> Result<Rows, Error> {
        let piece_last = self.piece_end(first, last);
        self.range = piece_last.checked_add(1).filter(|&next| next <= last).map(|n| (n, last));
        let rows = self.read(first, piece_last)?;
        if self.sources.is_empty() {
            self.range = None;
        }
        Ok(rows)
    }

    /// The user columns that were asked for of the next rows, never none; `None` at the end. The
    /// same rows as [`Self::next`] gives, without their times and what the system knows of them,
    /// which are not even read where no row has to be compared with another.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn next_columns(&mut self) -> Result<Option<Vec<Column>>, Error> {
        loop {
            if let Some((extent, rows)) = &mut self.plain {
                let end = rows.end.min(rows.start + COLUMNS_ROWS);
                let piece = std::mem::replace(&mut rows.start, end)..end;
                let disk = &*self.snapshot.generation().disk;
                let asked = &self.places[..self.asked_count];
                let own = own_schema(&self.snapshot, self.schema, extent)?;
                let len = piece.len();
                let read = extent.read_columns(disk, own, &places_in(own, asked), piece)?;
                let columns = as_columns_of(self.schema, asked, own, read, len);
                if end == rows.end {
                    self.plain = None;
                }
                return Ok(Some(columns));
            }
            let Some((first, last)) = self.range else { return Ok(None) };
            if self.is_plain(last) {
                self.take_plain(first, last)?;
                continue;
            }
            let rows = self.next_piece(first, last)?;
            if !rows.is_empty() {
                return Ok(Some(rows.columns));
            }
        }
    }

    /// Takes the source that ends first, which is plain, to be read in pieces; the range begins
    /// behind it then.
    fn take_plain(&mut self, first: i64, last: i64) -> Result<(), Error> {
        let source = self.sources.pop().expect("invariant: there is a plain one");
        let Data::Extent(extent) = source.data else {
            unreachable!("invariant: only extents are plain")
        };
        let rows = extent.rows_within(&*self.snapshot.generation().disk, first, last)?;
        let next = source.zone.ts.max.checked_add(1).filter(|&next| next <= last);
        self.range = next.map(|next| (next, last)).filter(|_| !self.sources.is_empty());
        self.plain = (!rows.is_empty()).then_some((extent, rows));
        Ok(())
    }

    /// Whether the source that ends first is an extent of visible rows and no other source has
    /// rows among its own.
    fn is_plain(&self, last: i64) -> bool {
        let Some((source, others)) = self.sources.split_last() else { return false };
        let end = source.zone.ts.max.min(last);
        matches!(source.data, Data::Extent(_))
            && !self.filter
            && self.revisions == Revisions::Visible
            && source.flags & flags::RETRACT == 0
            && !self.has_versions()
            && others.iter().all(|other| other.zone.ts.min > end)
    }

    fn piece_end(&self, first: i64, last: i64) -> i64 {
        let mut end = last;
        let mut rows = 0;
        for source in self.sources.iter().rev() {
            rows += source.rows;
            if rows >= PIECE_ROWS {
                end = source.zone.ts.max.min(last);
                break;
            }
        }
        // A run may be as long as a batch: what is in memory is cut where it has enough rows.
        for source in &self.sources {
            let ts = match &source.data {
                Data::Run(run) => run.ts(),
                Data::Decoded(rows) => &rows.ts,
                Data::Extent(_) => continue,
            };
            let start = ts.partition_point(|&ts| ts < first);
            if let Some(&enough) = ts.get(start + PIECE_ROWS - 1) {
                end = end.min(enough);
            }
        }
        end
    }

    /// The rows of `first..=last`, decided.
    fn read(&mut self, first: i64, last: i64) -> Result<Rows, Error> {
        let mut parts: Vec<(Order, Rows)> = Vec::new();
        let mut kept = Vec::with_capacity(self.sources.len());
        for mut source in std::mem::take(&mut self.sources) {
            if source.zone.ts.min <= last {
                let rows = self.read_source(&mut source, first, last)?;
                if !rows.is_empty() {
                    parts.push((source.order, rows));
                }
            }
            if source.zone.ts.max > last {
                kept.push(source);
            }
        }
        self.sources = kept;
        let Some(mut rows) = concatenate(parts) else {
            let kinds = self.places.iter().map(|&place| self.schema.columns[place].kind());
            return Ok(Rows::empty(kinds));
        };
        let in_order =
            |at: usize| (rows.ts[at - 1], rows.rank(at - 1)) <= (rows.ts[at], rows.rank(at));
        if !(1..rows.len()).all(in_order) {
            rows = rows.take(&sorted_places(&rows));
        }
        Ok(self.decide(rows))
    }

    fn read_source(&self, source: &mut Source, first: i64, last: i64) -> Result<Rows, Error> {
        match &source.data {
            Data::Run(run) => Ok(self.read_run(run, first, last)),
            Data::Decoded(rows) => Ok(rows.slice(range_of(rows, first, last))),
            Data::Extent(extent) => {
                let end = if source.zone.ts.max > last {
                    // It will be needed again: decode the rest of the range once.
                    self.range.map_or(last, |(_, end)| end)
                } else {
                    last
                };
                let rows = self.read_extent(extent, first, end)?;
                if end == last {
                    return Ok(rows);
                }
                let piece = rows.slice(range_of(&rows, first, last));
                source.data = Data::Decoded(rows);
                Ok(piece)
            }
        }
    }

    /// The rows of a run, which may be of an earlier version of its table, or of a later one if
    /// some of them are newer than what is asked for.
    fn read_run(&self, run: &Run, first: i64, last: i64) -> Rows {
        let range = run.range_of(first, last);
        let rows = run.rows();
        let column = |&place: &usize| {
            let mut column = Column::empty(self.schema.columns[place].kind(), range.len());
            match rows.columns.get(place) {
                Some(from) => column.extend_range(from, range.clone()),
                None => column.extend_nulls(range.len()),
            }
            column
        };
        let columns = self.places.iter().map(column).collect();
        Rows { columns, ..rows.slice_columns(range.clone(), &[]) }
    }

    /// The rows of an extent, which may be of another version of its table.
    fn read_extent(&self, extent: &Extent, first: i64, last: i64) -> Result<Rows, Error> {
        let own = own_schema(&self.snapshot, self.schema, extent)?;
        let disk = &*self.snapshot.generation().disk;
        let places = places_in(own, &self.places);
        let rows = extent.read(disk, self.key.step, own, &places, first, last)?;
        let len = rows.len();
        let columns = as_columns_of(self.schema, &self.places, own, rows.columns, len);
        Ok(Rows { columns, ..rows })
    }

    /// Drops what lies above the limits and, unless all revisions are wanted, what is not visible;
    /// and the columns that nobody asked for.
    fn decide(&self, rows: Rows) -> Rows {
        let mut rows = match self.wanted(&rows) {
            Some(places) if places.len() < rows.len() => rows.take(&places),
            _ => rows,
        };
        rows.columns.truncate(self.asked_count);
        rows
    }

    /// The places of the rows that are wanted; `None` if it is plain that all are.
    fn wanted(&self, rows: &Rows) -> Option<Vec<u32>> {
        let identity = self.schema.identity;
        if self.revisions == Revisions::All || identity == Identity::Append {
            let all = 0..crate::bytes::u32_len(rows.len());
            return self
                .filter
                .then(|| all.filter(|&at| self.limits.admit(rows, at as usize)).collect());
        }
        let nothing_matches = || identity == Identity::Event { id: &[] };
        let unique = || rows.ts.is_sorted_by(|a, b| a < b);
        let retracts = || (0..rows.len()).any(|at| rows.is_retract(at));
        if !self.filter && (nothing_matches() || unique()) && !retracts() {
            return None;
        }
        let ids = self.schema.id_places();
        let place_in_rows = |place: usize| self.places.iter().position(|&read| read == place);
        let ids: Vec<usize> = ids.into_iter().filter_map(place_in_rows).collect();
        let admit = |at: usize| !self.filter || self.limits.admit(rows, at);
        Some(places_of(&judge(identity, rows, &ids, admit), Verdict::Visible))
    }
}

/// All parts, one after the other in their order; `None` if there are none.
fn concatenate(mut parts: Vec<(Order, Rows)>) -> Option<Rows> {
    parts.sort_by_key(|(order, _)| *order);
    let mut parts = parts.into_iter().map(|(_, rows)| rows);
    let mut all = parts.next()?;
    for part in parts {
        all.extend_from(&part);
    }
    Some(all)
}

/// What the rows of an extent look like, those of whose series look like `schema`.
fn own_schema(
    snapshot: &Snapshot,
    schema: &'static Schema,
    extent: &Extent,
) -> Result<&'static Schema, Error> {
    let version = extent.meta().schema_version;
    if version == schema.version || !schema.dataset.is_table() {
        return Ok(schema);
    }
    let own = snapshot.generation().catalog.schema_of(schema.dataset, version);
    own.ok_or_else(|| {
        Error::corrupt(format!("an extent is of version {version} of {}, which is not defined", {
            schema.name
        }))
    })
}

/// Those of `places` that rows of `own` have.
fn places_in(own: &Schema, places: &[usize]) -> Vec<usize> {
    places.iter().copied().filter(|place| *place < own.columns.len()).collect()
}

/// The columns of rows of `own` that were read, those of `places` that it has, as all columns of
/// `schema` at `places`.
fn as_columns_of(
    schema: &Schema,
    places: &[usize],
    own: &Schema,
    read: Vec<Column>,
    len: usize,
) -> Vec<Column> {
    if schema.version == own.version {
        return read;
    }
    let mut read = read.into_iter();
    let mut column = |&place: &usize| {
        let kind = schema.columns[place].kind();
        let found = if place < own.columns.len() { read.next() } else { None };
        found.map_or_else(|| Column::nulls(kind, len), |column| column.kept_as(kind))
    };
    places.iter().map(&mut column).collect()
}

/// The places of the rows with `ts` in `first..=last`.
fn range_of(rows: &Rows, first: i64, last: i64) -> std::ops::Range<usize> {
    let start = rows.ts.partition_point(|&ts| ts < first);
    start..rows.ts.partition_point(|&ts| ts <= last).max(start)
}

/// See [`Snapshot::newest`].
pub(super) fn newest(snapshot: &Snapshot, series: SeriesId) -> Result<Option<Arc<Rows>>, Error> {
    let generation = snapshot.generation();
    // Rows in memory change the answer only if they are not all older than it.
    let in_memory = generation.memtable.slot(series).and_then(|slot| slot.ts_max());
    let is_older = |newest: &Option<Arc<Rows>>| match newest {
        Some(rows) => in_memory.is_none_or(|ts| ts < rows.ts[0]),
        None => in_memory.is_none(),
    };
    // What is kept of a table would not have the columns that it gets later.
    let key = generation.catalog.key(series);
    let is_table = key.is_some_and(|key| key.dataset.is_table());
    let kept = generation.newest(series).filter(|_| !is_table);
    if let Some(newest) = kept.and_then(OnceLock::get)
        && is_older(newest)
    {
        return Ok(newest.clone());
    }
    let newest = find_newest(snapshot, series)?.map(Arc::new);
    if let Some(kept) = kept
        && is_older(&newest)
    {
        kept.get_or_init(|| newest.clone());
    }
    Ok(newest)
}

fn find_newest(snapshot: &Snapshot, series: SeriesId) -> Result<Option<Rows>, Error> {
    let generation = snapshot.generation();
    let key = generation.catalog.key(series);
    let key =
        key.ok_or_else(|| Error::not_found(format!("there is no series {}", series.get())))?;
    let schema = snapshot.schema(key.dataset).expect("invariant: a series has a dataset");
    let mut end = i64::MAX;
    let mut window = NEWEST_ROWS;
    loop {
        let Some(first) = newest_from(snapshot, series, end, window)? else { return Ok(None) };
        window *= 2;
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::from_nanos(first),
            end: Timestamp::from_nanos(end),
            columns: schema.columns.iter().map(|column| column.id).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::Visible,
        })?;
        let mut newest = None;
        while let Some(rows) = scanner.next()? {
            newest = Some(rows);
        }
        if let Some(rows) = newest {
            let last =
                u32::try_from(rows.len() - 1).expect("invariant: a piece is below 4 Gi rows");
            return Ok(Some(rows.take(&[last])));
        }
        end = first;
    }
}

/// A `ts` from which on some of the newest rows before `end` lie; `None` if there are none.
fn newest_from(
    snapshot: &Snapshot,
    series: SeriesId,
    end: i64,
    window: usize,
) -> Result<Option<i64>, Error> {
    let generation = snapshot.generation();
    let runs = generation.runs(series);
    let before_end = |ts: &[i64]| {
        let len = ts.partition_point(|&ts| ts < end);
        (len > 0).then(|| (ts[len - 1], ts[len.saturating_sub(window)]))
    };
    let mut newest: Option<(i64, i64)> = None;
    for run in runs.iter().filter(|run| run.zone.sequence.min <= snapshot.sequence().get()) {
        newest = newest.max(before_end(run.ts()));
    }
    let mut extents: Vec<&Extent> = generation.extents(series).iter().collect();
    extents.sort_by_key(|extent| std::cmp::Reverse(extent.meta().zone.ts.max));
    for extent in extents {
        let zone = &extent.meta().zone;
        if newest.is_some_and(|(last, _)| last >= zone.ts.max) {
            break;
        }
        if zone.ts.min < end && !extent.is_history() {
            newest = newest.max(before_end(&extent.ts(&*generation.disk)?));
        }
    }
    Ok(newest.map(|(_, first)| first))
}
