//! What each row of a series is: first of its key, duplicate, correction, superseded.
//!
//! A row that states when it became known is compared with what was visible then; any other row
//! with the newest. Equal in all user columns: a duplicate, ignored. Otherwise it is stored, and
//! counts as `superseded` if something known later stands above it, as `corrected` if it takes the
//! place of a visible row, as `accepted` if it does neither.

use barrow_types::{SeriesId, Timestamp};

use crate::batch::{Act, Batch, Counts, KnownAt};
use crate::error::Error;
use crate::rows::{Column, Rank, Rows, Values, flags};
use crate::snapshot::{Revisions, Scan, Scanner, Snapshot};

use super::Incoming;

/// Keys further apart than this many steps are looked up by separate scans.
const LOOKUP_STEPS_MAX: i64 = 4_096;

/// The instants of commit for which what was decided still holds: from the instant it was decided
/// for up to the first at which something would be decided otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    from: i64,
    until: i64,
}

impl Validity {
    /// From `now` on.
    pub(crate) const fn always(now: Timestamp) -> Self {
        Self { from: now.nanos(), until: i64::MAX }
    }

    /// Whether `instant` is not after `now`; if it is, what is decided ends with it.
    pub(crate) fn has_come(&mut self, instant: i64, now: Timestamp) -> bool {
        if instant > now.nanos() {
            self.until = self.until.min(instant);
            return false;
        }
        // At a later `now` a row known since its ingest stands above one known since `instant`.
        if instant == now.nanos() {
            self.until = self.until.min(instant + 1);
        }
        true
    }

    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        (self.from..self.until).contains(&now.nanos())
    }
}

/// The outcome for the rows of one series.
pub(super) struct Decided {
    /// Rows to store, sorted by (`ts`, `known_at`, place in batch).
    pub(super) rows: Rows,
    /// What became of the rows; rejected ones are not counted here.
    pub(super) counts: Counts,
    /// Places of retractions that found nothing.
    pub(super) nothing_to_retract: Vec<usize>,
}

/// A stored row of the key at hand, or one of this batch that came before.
#[derive(Clone, Copy)]
struct Version {
    rank: Rank,
    retract: bool,
    /// Its values: a place in the looked-up rows, or in the incoming ones.
    values: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Stored(usize),
    Incoming(usize),
}

/// Rows of this batch rank by their place after all stored ones with the same `known_at`.
const THIS_BATCH: u64 = u64::MAX;

pub(super) fn decide(
    batch: &Batch,
    snapshot: &Snapshot,
    known: Option<SeriesId>,
    incoming: &Incoming,
    now: Timestamp,
    validity: &mut Validity,
) -> Result<Decided, Error> {
    let newest = known.map_or(Ok(None), |series| newest_ts(snapshot, series))?;
    let mut decided = Decided {
        rows: Rows::empty(incoming.columns.iter().map(Column::kind)),
        counts: Counts::default(),
        nothing_to_retract: Vec::new(),
    };
    let ts = &incoming.ts;
    if batch.act == Act::Insert
        && newest.is_none_or(|newest| ts[0] > newest)
        && ts.is_sorted_by(|a, b| a < b)
    {
        decided.all_new(batch, incoming, now, validity);
        return Ok(decided);
    }
    let mut stored = Stored::new(batch, snapshot, known, incoming, newest);
    let mut start = 0;
    while start < ts.len() {
        let end = start + ts[start..].partition_point(|&t| t == ts[start]);
        let at_key = stored.at(start)?;
        decided.key(batch, incoming, start..end, &stored, at_key, now, validity);
        start = end;
    }
    Ok(decided)
}

impl Decided {
    /// Every row is the first of its key.
    fn all_new(
        &mut self,
        batch: &Batch,
        incoming: &Incoming,
        now: Timestamp,
        validity: &mut Validity,
    ) {
        for at in 0..incoming.ts.len() {
            let (known_at, row_flags) = known_at(batch, incoming, at, true, now, validity);
            self.rows.known_at.push(known_at);
            self.rows.flags.push(row_flags);
        }
        self.rows.ts.clone_from(&incoming.ts);
        self.rows.columns.clone_from(&incoming.columns);
        self.counts.accepted += incoming.ts.len() as u64;
    }

    #[expect(clippy::too_many_arguments, reason = "one key of the batch against one of the store")]
    fn key(
        &mut self,
        batch: &Batch,
        incoming: &Incoming,
        places: std::ops::Range<usize>,
        stored: &Stored,
        mut versions: Vec<Version>,
        now: Timestamp,
        validity: &mut Validity,
    ) {
        // Place, known_at and flags of the rows that are stored.
        let mut kept: Vec<(usize, i64, u8)> = Vec::new();
        let mut winner = greatest(versions.iter());
        for at in places {
            let (known_at, mut row_flags) =
                known_at(batch, incoming, at, versions.is_empty(), now, validity);
            let live = winner.is_some_and(|version| !version.retract);
            // Among equals the later place wins.
            let loses = winner.is_some_and(|version| version.rank.0 > known_at);
            if batch.act == Act::Retract {
                if !live {
                    self.nothing_to_retract.push(at);
                    continue;
                }
                row_flags |= flags::RETRACT;
                self.counts.accepted += 1;
            } else {
                let visible = if loses {
                    greatest(versions.iter().filter(|version| version.rank.0 <= known_at))
                } else {
                    winner
                };
                let equal = |version: Version| stored.same(version.values, incoming, at);
                if visible.is_some_and(|version| !version.retract && equal(version)) {
                    self.counts.duplicates += 1;
                    continue;
                }
                if loses {
                    self.counts.superseded += 1;
                } else if live {
                    self.counts.corrected += 1;
                } else {
                    self.counts.accepted += 1;
                }
            }
            let rank = (known_at, THIS_BATCH);
            let retract = row_flags & flags::RETRACT != 0;
            let version = Version { rank, retract, values: Place::Incoming(at) };
            versions.push(version);
            if !loses {
                winner = Some(version);
            }
            kept.push((at, known_at, row_flags));
        }
        // Stable: equals stay in the order of the batch.
        kept.sort_by_key(|&(_, known_at, _)| known_at);
        for (at, known_at, row_flags) in kept {
            self.rows.ts.push(incoming.ts[at]);
            self.rows.known_at.push(known_at);
            self.rows.flags.push(row_flags);
            for (to, from) in self.rows.columns.iter_mut().zip(&incoming.columns) {
                to.push_from(from, at);
            }
        }
    }
}

/// The version of the greatest rank; among equals the last.
fn greatest<'a>(versions: impl Iterator<Item = &'a Version>) -> Option<Version> {
    versions.max_by_key(|version| version.rank).copied()
}

/// Since when row `at` counts as known, and the flags that say why.
fn known_at(
    batch: &Batch,
    incoming: &Incoming,
    at: usize,
    first_of_key: bool,
    now: Timestamp,
    validity: &mut Validity,
) -> (i64, u8) {
    if let Some(stated) = &incoming.stated
        && stated.is_valid(at)
        && let Values::I64(values) = &stated.values
    {
        return (values[at], flags::STATED);
    }
    if let KnownAt::TsEnd(delay) = batch.known_at_policy
        && batch.act == Act::Insert
        && first_of_key
    {
        let end = batch.step.ts_end(Timestamp::from_nanos(incoming.ts[at]));
        let assumed = end.saturating_add(delay).nanos();
        if validity.has_come(assumed, now) {
            return (assumed, flags::ASSUMED);
        }
    }
    (now.nanos(), 0)
}

/// The greatest `ts` of a series, visible or not.
fn newest_ts(snapshot: &Snapshot, series: SeriesId) -> Result<Option<i64>, Error> {
    let generation = snapshot.generation();
    let runs = generation.runs(series);
    let in_memory = runs.iter().map(|run| run.zone.ts.max).max();
    let on_disk = generation.extents(series).iter().map(|extent| extent.meta().zone.ts.max).max();
    Ok(in_memory.max(on_disk))
}

/// The stored rows of the keys at hand, read a stretch of keys at a time.
struct Stored<'a> {
    snapshot: &'a Snapshot,
    /// The series and its newest `ts`; `None` if nothing is stored.
    series: Option<(SeriesId, i64)>,
    ts: &'a [i64],
    columns: Vec<barrow_types::ColumnId>,
    reach: i64,
    scanner: Option<Scanner>,
    /// End of what the scanner reads.
    scanned_to: i64,
    rows: Option<Rows>,
}

impl<'a> Stored<'a> {
    fn new(
        batch: &Batch,
        snapshot: &'a Snapshot,
        known: Option<SeriesId>,
        incoming: &'a Incoming,
        newest: Option<i64>,
    ) -> Self {
        let schema = crate::dataset::schema(batch.dataset);
        let schema = schema.expect("invariant: prepare checked the dataset");
        let width = batch.step.width().map_or(31 * barrow_types::DAY_NANOS, |width| width.get());
        Self {
            snapshot,
            series: known.zip(newest),
            ts: &incoming.ts,
            columns: schema.columns.iter().map(|column| column.id).collect(),
            reach: width.saturating_mul(LOOKUP_STEPS_MAX),
            scanner: None,
            scanned_to: i64::MIN,
            rows: None,
        }
    }

    /// The stored rows of the key of incoming row `place`; places never fall.
    fn at(&mut self, place: usize) -> Result<Vec<Version>, Error> {
        let Some((series, newest)) = self.series else { return Ok(Vec::new()) };
        let ts = self.ts[place];
        if ts > newest {
            return Ok(Vec::new());
        }
        if ts >= self.scanned_to {
            let near = self.ts[place..]
                .windows(2)
                .take_while(|pair| pair[1].saturating_sub(pair[0]) <= self.reach);
            let end = self.ts[place + near.count()].saturating_add(1);
            self.scanned_to = end;
            self.rows = None;
            self.scanner = Some(self.snapshot.scan(Scan {
                series,
                start: Timestamp::from_nanos(ts),
                end: Timestamp::from_nanos(end),
                columns: self.columns.clone(),
                as_of: None,
                at_sequence: None,
                revisions: Revisions::All,
            })?);
        }
        while self.rows.as_ref().is_none_or(|rows| rows.ts.last().is_none_or(|&last| last < ts)) {
            let next = match &mut self.scanner {
                Some(scanner) => scanner.next()?,
                None => None,
            };
            match next {
                Some(rows) => self.rows = Some(rows),
                None => {
                    self.scanner = None;
                    return Ok(Vec::new());
                }
            }
        }
        let rows = self.rows.as_ref().expect("invariant: the loop above found some");
        let start = rows.ts.partition_point(|&t| t < ts);
        let end = rows.ts.partition_point(|&t| t <= ts);
        Ok((start..end)
            .map(|at| Version {
                rank: rows.rank(at),
                retract: rows.is_retract(at),
                values: Place::Stored(at),
            })
            .collect())
    }

    /// Whether a version has the same user columns as incoming row `at`.
    fn same(&self, version: Place, incoming: &Incoming, at: usize) -> bool {
        let (columns, other_at) = match version {
            Place::Incoming(other_at) => (&incoming.columns, other_at),
            Place::Stored(other_at) => {
                let rows = self.rows.as_ref().expect("invariant: the version came from them");
                (&rows.columns, other_at)
            }
        };
        columns.iter().zip(&incoming.columns).all(|(a, b)| a.same(other_at, b, at))
    }
}
