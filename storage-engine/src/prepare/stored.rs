//! What is stored beside the rows of a batch: looked up in order, a stretch at a time.

use barrow_types::{ColumnId, DAY_NANOS, SeriesId, Step, Timestamp};

use crate::dataset::Schema;
use crate::error::Error;
use crate::rows::{Column, Rank, Rows};
use crate::snapshot::{Revisions, Scan, Scanner, Snapshot};
use crate::visible::{has_id, order};

/// Keys further apart than this many steps are looked up by separate scans.
const LOOKUP_STEPS_MAX: i64 = 4_096;
/// Ticks further apart than this are looked up by separate scans.
const LOOKUP_TICK_NANOS_MAX: i64 = 60_000_000_000;

/// A stored row, or one of this batch that came before.
#[derive(Clone, Copy)]
pub(super) struct Version {
    pub(super) rank: Rank,
    pub(super) retract: bool,
    /// Its values.
    pub(super) values: Place,
}

/// A place in the looked-up rows, or in the incoming ones.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Stored(usize),
    Incoming(usize),
}

/// The stored rows of the keys at hand, read a stretch of keys at a time.
pub(super) struct Stored<'a> {
    snapshot: &'a Snapshot,
    /// The series and the greatest `ts` stored; `None` if there is none.
    series: Option<(SeriesId, i64)>,
    ts: &'a [i64],
    columns: Vec<ColumnId>,
    reach: i64,
    scanner: Option<Scanner>,
    /// End of what the scanner reads.
    scanned_to: i64,
    rows: Option<Rows>,
}

impl<'a> Stored<'a> {
    /// Of a series with rows up to `newest`; `None` if nothing is stored. The rows to look up are
    /// those of `ts`.
    pub(super) fn new(
        schema: &Schema,
        step: Step,
        snapshot: &'a Snapshot,
        series: Option<(SeriesId, i64)>,
        ts: &'a [i64],
    ) -> Self {
        let reach = match step {
            Step::Tick => LOOKUP_TICK_NANOS_MAX,
            step => {
                let width = step.width().map_or(31 * DAY_NANOS, |width| width.get());
                width.saturating_mul(LOOKUP_STEPS_MAX)
            }
        };
        Self {
            snapshot,
            series,
            ts,
            columns: schema.columns.iter().map(|column| column.id).collect(),
            reach,
            scanner: None,
            scanned_to: i64::MIN,
            rows: None,
        }
    }

    /// The stored rows with the `ts` at `place`; places never fall.
    pub(super) fn at(&mut self, place: usize) -> Result<Vec<Version>, Error> {
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
    pub(super) fn sorted(&self, found: Vec<Version>, ids: &[usize]) -> (Vec<usize>, Vec<usize>) {
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
    pub(super) fn equal(
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

    /// Whether a version has the same user columns as row `at` of the incoming ones.
    pub(super) fn same(&self, version: Place, incoming: &[Column], at: usize) -> bool {
        let (columns, other_at) = match version {
            Place::Incoming(other_at) => (incoming, other_at),
            Place::Stored(other_at) => (&self.rows().columns[..], other_at),
        };
        columns.iter().zip(incoming).all(|(a, b)| a.same(other_at, b, at))
    }
}
