//! What each row of a series is: first of its key, duplicate, correction, superseded.
//!
//! An event without an id is always a first one, and what is stored need not be looked up. A
//! retraction of events finds them by their ids, or by all their values. Else:
//!
//! A row that states when it became known is compared with what was visible then; any other row
//! with the newest. Equal in all user columns: a duplicate, ignored. Otherwise it is stored, and
//! counts as `superseded` if something known later stands above it, as `corrected` if it takes the
//! place of a visible row, as `accepted` if it does neither.

use std::ops::Range;

use barrow_types::{DAY_NANOS, SeriesId, Step, Timestamp};

use crate::batch::{Act, Batch, Counts, KnownAt};
use crate::dataset::{Identity, Schema};
use crate::error::Error;
use crate::rows::{Column, Rank, Rows, Values, flags};
use crate::snapshot::{Revisions, Scan, Scanner, Snapshot};
use crate::visible::{by_columns, end_of_ts, has_id, order};

use super::Incoming;

/// Keys further apart than this many steps are looked up by separate scans.
const LOOKUP_STEPS_MAX: i64 = 4_096;
/// Ticks further apart than this are looked up by separate scans.
const LOOKUP_TICK_NANOS_MAX: i64 = 60_000_000_000;

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
    /// Whether it may be another after other rows of the series came.
    pub(super) depends_on_stored: bool,
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
    schema: &'static Schema,
    snapshot: &Snapshot,
    known: Option<SeriesId>,
    incoming: &Incoming,
    now: Timestamp,
    validity: &mut Validity,
) -> Result<Decided, Error> {
    let newest = known.map_or(Ok(None), |series| newest_ts(snapshot, series))?;
    let ids = schema.id_places();
    let is_event = matches!(schema.identity, Identity::Event { .. });
    let any_id = || ids.last().is_some_and(|&last| incoming.columns[last].has_values());
    let matches_others = batch.act == Act::Retract || !is_event || any_id();
    let mut decider = Decider {
        batch,
        incoming,
        ids,
        stored: Stored::new(schema, batch, snapshot, known, incoming, newest),
        now,
        validity,
        kept: Vec::new(),
        decided: Decided {
            rows: Rows::empty(incoming.columns.iter().map(Column::kind)),
            counts: Counts::default(),
            nothing_to_retract: Vec::new(),
            depends_on_stored: matches_others,
        },
    };
    let ts = &incoming.ts;
    let unique = || ts.is_sorted_by(|a, b| a < b);
    let past_stored = || newest.is_none_or(|newest| ts[0] > newest);
    let in_order = || incoming.stated.as_ref().is_none_or(|stated| !stated.has_values());
    let all_new = if matches_others {
        batch.act == Act::Insert && past_stored() && unique()
    } else {
        in_order() || unique()
    };
    if all_new {
        decider.all_new();
        return Ok(decider.decided);
    }
    let mut start = 0;
    while start < ts.len() {
        let end = end_of_ts(ts, start);
        if is_event {
            decider.events(start..end)?;
        } else {
            let found = decider.stored.at(start)?;
            decider.versions(&(start..end).collect::<Vec<_>>(), found);
        }
        decider.keep();
        start = end;
    }
    Ok(decider.decided)
}

/// One series of the batch against what is stored of it.
struct Decider<'a> {
    batch: &'a Batch,
    incoming: &'a Incoming,
    ids: Vec<usize>,
    stored: Stored<'a>,
    now: Timestamp,
    validity: &'a mut Validity,
    /// Place, `known_at` and flags of the rows of the `ts` at hand that are to be stored.
    kept: Vec<(usize, i64, u8)>,
    decided: Decided,
}

impl Decider<'_> {
    /// Every row is the first of its key.
    fn all_new(&mut self) {
        for at in 0..self.incoming.ts.len() {
            let (known_at, row_flags) = self.known_at(at, true);
            self.decided.rows.known_at.push(known_at);
            self.decided.rows.flags.push(row_flags);
        }
        self.decided.rows.ts.clone_from(&self.incoming.ts);
        self.decided.rows.columns.clone_from(&self.incoming.columns);
        self.decided.counts.accepted += self.incoming.ts.len() as u64;
    }

    /// Events of one `ts`.
    fn events(&mut self, places: Range<usize>) -> Result<(), Error> {
        let columns = &self.incoming.columns;
        let retracts = self.batch.act == Act::Retract;
        let (mut with_id, mut without): (Vec<usize>, Vec<usize>) =
            places.clone().partition(|&at| has_id(columns, &self.ids, at));
        if !retracts {
            for &at in &without {
                let (known_at, row_flags) = self.known_at(at, true);
                self.kept.push((at, known_at, row_flags));
            }
            self.decided.counts.accepted += without.len() as u64;
            without.clear();
        }
        if with_id.is_empty() && without.is_empty() {
            return Ok(());
        }
        let found = self.stored.at(places.start)?;
        let (stored_with_id, stored_without) = self.stored.sorted(found, &self.ids);
        let ids = self.ids.clone();
        by_columns(columns, &ids, &mut with_id, |equal| {
            let found = self.stored.equal(&stored_with_id, columns, equal[0], &ids);
            self.versions(equal, found);
        });
        let all: Vec<usize> = (0..columns.len()).collect();
        by_columns(columns, &all, &mut without, |equal| {
            let found = self.stored.equal(&stored_without, columns, equal[0], &all);
            self.cancel(equal, &found);
        });
        Ok(())
    }

    /// Retractions of equal events without an id: each takes one of those that are visible.
    fn cancel(&mut self, retractions: &[usize], found: &[Version]) {
        let retracted = found.iter().filter(|version| version.retract).count();
        let visible_count = found.len() - 2 * retracted;
        let (take, find_nothing) = retractions.split_at(retractions.len().min(visible_count));
        let now = self.now.nanos();
        self.kept.extend(take.iter().map(|&at| (at, now, flags::RETRACT)));
        self.decided.counts.accepted += take.len() as u64;
        self.decided.nothing_to_retract.extend(find_nothing);
    }

    /// Rows that are versions of one, of which some are stored.
    fn versions(&mut self, places: &[usize], mut versions: Vec<Version>) {
        let mut winner = greatest(versions.iter());
        for &at in places {
            let (known_at, mut row_flags) = self.known_at(at, versions.is_empty());
            let live = winner.is_some_and(|version| !version.retract);
            // Among equals the later place wins.
            let loses = winner.is_some_and(|version| version.rank.0 > known_at);
            if self.batch.act == Act::Retract {
                if !live {
                    self.decided.nothing_to_retract.push(at);
                    continue;
                }
                row_flags |= flags::RETRACT;
                self.decided.counts.accepted += 1;
            } else {
                let visible = if loses {
                    greatest(versions.iter().filter(|version| version.rank.0 <= known_at))
                } else {
                    winner
                };
                let equal = |version: Version| self.stored.same(version.values, self.incoming, at);
                if visible.is_some_and(|version| !version.retract && equal(version)) {
                    self.decided.counts.duplicates += 1;
                    continue;
                }
                if loses {
                    self.decided.counts.superseded += 1;
                } else if live {
                    self.decided.counts.corrected += 1;
                } else {
                    self.decided.counts.accepted += 1;
                }
            }
            let rank = (known_at, THIS_BATCH);
            let retract = row_flags & flags::RETRACT != 0;
            let version = Version { rank, retract, values: Place::Incoming(at) };
            versions.push(version);
            if !loses {
                winner = Some(version);
            }
            self.kept.push((at, known_at, row_flags));
        }
    }

    /// Moves the rows of the `ts` at hand to those that are to be stored.
    fn keep(&mut self) {
        self.kept.sort_unstable_by_key(|&(at, known_at, _)| (known_at, at));
        let rows = &mut self.decided.rows;
        for (at, known_at, row_flags) in self.kept.drain(..) {
            rows.ts.push(self.incoming.ts[at]);
            rows.known_at.push(known_at);
            rows.flags.push(row_flags);
            for (to, from) in rows.columns.iter_mut().zip(&self.incoming.columns) {
                to.push_from(from, at);
            }
        }
    }

    /// Since when row `at` counts as known, and the flags that say why.
    fn known_at(&mut self, at: usize, first_of_key: bool) -> (i64, u8) {
        if let Some(stated) = &self.incoming.stated
            && stated.is_valid(at)
            && let Values::I64(values) = &stated.values
        {
            return (values[at], flags::STATED);
        }
        if let KnownAt::TsEnd(delay) = self.batch.known_at_policy
            && self.batch.act == Act::Insert
            && first_of_key
        {
            let end = self.batch.step.ts_end(Timestamp::from_nanos(self.incoming.ts[at]));
            let assumed = end.saturating_add(delay).nanos();
            if self.validity.has_come(assumed, self.now) {
                return (assumed, flags::ASSUMED);
            }
        }
        (self.now.nanos(), 0)
    }
}

/// The version of the greatest rank; among equals the last.
fn greatest<'a>(versions: impl Iterator<Item = &'a Version>) -> Option<Version> {
    versions.max_by_key(|version| version.rank).copied()
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
        schema: &Schema,
        batch: &Batch,
        snapshot: &'a Snapshot,
        known: Option<SeriesId>,
        incoming: &'a Incoming,
        newest: Option<i64>,
    ) -> Self {
        let reach = match batch.step {
            Step::Tick => LOOKUP_TICK_NANOS_MAX,
            step => {
                let width = step.width().map_or(31 * DAY_NANOS, |width| width.get());
                width.saturating_mul(LOOKUP_STEPS_MAX)
            }
        };
        Self {
            snapshot,
            series: known.zip(newest),
            ts: &incoming.ts,
            columns: schema.columns.iter().map(|column| column.id).collect(),
            reach,
            scanner: None,
            scanned_to: i64::MIN,
            rows: None,
        }
    }

    /// The stored rows with the `ts` of incoming row `place`; places never fall.
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
        Ok((start..end).map(|at| self.version(at)).collect())
    }

    fn rows(&self) -> &Rows {
        self.rows.as_ref().expect("invariant: only found versions are asked about")
    }

    fn version(&self, at: usize) -> Version {
        let rows = self.rows();
        Version { rank: rows.rank(at), retract: rows.is_retract(at), values: Place::Stored(at) }
    }

    /// The places of stored events with an id, sorted by it, and of those without, sorted by all
    /// columns.
    fn sorted(&self, found: Vec<Version>, ids: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let Some(rows) = self.rows.as_ref().filter(|_| !found.is_empty()) else {
            return (Vec::new(), Vec::new());
        };
        let places = found.into_iter().filter_map(|version| match version.values {
            Place::Stored(at) => Some(at),
            Place::Incoming(_) => None,
        });
        let columns = &rows.columns[..];
        let (mut with_id, mut without): (Vec<_>, Vec<_>) =
            places.partition(|&at| has_id(columns, ids, at));
        let all: Vec<usize> = (0..columns.len()).collect();
        with_id.sort_by(|&a, &b| order((columns, a), (columns, b), ids));
        without.sort_by(|&a, &b| order((columns, a), (columns, b), &all));
        (with_id, without)
    }

    /// Those of `sorted` that are equal to row `at` of `columns` in the columns at `places`.
    fn equal(
        &self,
        sorted: &[usize],
        columns: &[Column],
        at: usize,
        places: &[usize],
    ) -> Vec<Version> {
        if sorted.is_empty() {
            return Vec::new();
        }
        let order = |stored: usize| order((&self.rows().columns, stored), (columns, at), places);
        let start = sorted.partition_point(|&stored| order(stored).is_lt());
        let end = sorted.partition_point(|&stored| order(stored).is_le());
        sorted[start..end].iter().map(|&stored| self.version(stored)).collect()
    }

    /// Whether a version has the same user columns as incoming row `at`.
    fn same(&self, version: Place, incoming: &Incoming, at: usize) -> bool {
        let (columns, other_at) = match version {
            Place::Incoming(other_at) => (&incoming.columns, other_at),
            Place::Stored(other_at) => (&self.rows().columns, other_at),
        };
        columns.iter().zip(&incoming.columns).all(|(a, b)| a.same(other_at, b, at))
    }
}
