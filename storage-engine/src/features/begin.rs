//! From where slots are read so that those that are asked for come out as if all were read.

use std::sync::Arc;

use barrow_features::Gap;
use barrow_types::{Adjust, DAY_NANOS, Timestamp};

use crate::calendar::{Calendar, SlotGrid};
use crate::curate::{Content, Curated, CuratedScan, Forward, Piece, Unknown};
use crate::error::Error;
use crate::reference::Reference;
use crate::rows::Values;
use crate::snapshot::Snapshot;

use super::checkpoints::Checkpoint;

/// What must be read before the first slot that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// Everything from the begin on.
    All,
    /// So many slots; of [`Gap::Rows`] so many with a row.
    Slots(u32),
}

/// Where to begin.
#[derive(Debug)]
pub(super) struct Begin {
    /// When the first slot to read starts.
    pub(super) start: Timestamp,
    /// How many slots there are from the begin up to it, itself included. Where they are not
    /// counted it is beyond all that anybody waits for.
    pub(super) rank: u64,
    /// The close of the last row before it; `None` at the begin.
    pub(super) close: Option<f64>,
    /// What corporate actions do to the rows.
    pub(super) forward: Option<Arc<Forward>>,
    /// No slot that starts before this has a say in those that are asked for, but for how many
    /// there are; the beginning of time: all do.
    pub(super) since: i64,
}

impl Begin {
    /// Behind the slots of a checkpoint, whose state knows how many they are.
    pub(super) fn after(checkpoint: &Checkpoint, forward: Option<Arc<Forward>>) -> Self {
        let start = Timestamp::from_nanos(checkpoint.basis.next);
        let since = i64::MIN;
        Self { start, rank: u64::MAX / 2, close: checkpoint.close, forward, since }
    }
}

/// The first slot with a row that is due.
struct First {
    start: i64,
    /// The date of its session.
    session: i32,
}

fn first(all: &mut Curated) -> Result<Option<First>, Error> {
    while let Some(piece) = all.next()? {
        if let Some(&(session, start, _)) = due_closes(all, &piece).first() {
            return Ok(Some(First { start, session }));
        }
    }
    Ok(None)
}

/// When the first slot with a row of `scan` starts, wherever its range begins; `None` if there is
/// none.
pub(super) fn begin(
    snapshot: &Snapshot,
    reference: &Reference,
    calendar: &Option<Arc<Calendar>>,
    scan: &CuratedScan,
) -> Result<Option<i64>, Error> {
    let scan = CuratedScan { start: Timestamp::MIN, empty: false, ..scan.clone() };
    let mut all = Curated::on(calendar.clone(), snapshot.clone(), reference, scan, false)?;
    Ok(first(&mut all)?.map(|first| first.start))
}

/// What corporate actions do to the rows of `scan`, which reads the close first and begins where
/// slots count; `None` if there is no row.
pub(super) fn forward(
    snapshot: &Snapshot,
    reference: &Reference,
    calendar: &Option<Arc<Calendar>>,
    (scan, adjust): (CuratedScan, Adjust),
) -> Result<Option<Forward>, Error> {
    let curated = |start, end| {
        let scan = CuratedScan { start, end, empty: false, ..scan.clone() };
        Curated::on(calendar.clone(), snapshot.clone(), reference, scan, false)
    };
    let Some(begin) = first(&mut curated(scan.start, scan.end)?)? else { return Ok(None) };
    told((reference, adjust), &scan, begin.session, curated).map(Some)
}

/// What corporate actions do to all rows from those of the session of `begin` on.
fn told(
    (reference, adjust): (&Reference, Adjust),
    scan: &CuratedScan,
    begin: i32,
    curated: impl Fn(Timestamp, Timestamp) -> Result<Curated, Error>,
) -> Result<Forward, Error> {
    let (forward, unknown) =
        Forward::new(&curated(Timestamp::MIN, scan.end)?, reference, adjust, begin)?;
    match unknown {
        Some(Unknown { start, why }) if first(&mut curated(start, scan.end)?)?.is_some() => {
            Err(why)
        }
        _ => Ok(forward),
    }
}

/// Where to begin to read `scan`, which reads the close first, if nothing before `since` counts;
/// `None` if it has no row.
pub(super) fn find(
    snapshot: &Snapshot,
    reference: &Reference,
    calendar: &Option<Arc<Calendar>>,
    scan: &CuratedScan,
    (lead, gap, since, adjust): (Lead, Gap, Timestamp, Adjust),
) -> Result<Option<Begin>, Error> {
    let curated = |start, end| {
        let scan = CuratedScan { start, end, empty: false, ..scan.clone() };
        Curated::on(calendar.clone(), snapshot.clone(), reference, scan, false)
    };
    let mut all = curated(since, scan.end)?;
    let Some(First { start: begin, session }) = first(&mut all)? else { return Ok(None) };
    let forward = match adjust {
        Adjust::None => None,
        adjust => Some(Arc::new(told((reference, adjust), scan, session, curated)?)),
    };
    let at_begin = Begin {
        start: Timestamp::from_nanos(begin),
        rank: 1,
        close: None,
        forward: forward.clone(),
        since: i64::MIN,
    };
    let Lead::Slots(count) = lead else { return Ok(Some(at_begin)) };
    if scan.start.nanos() <= begin {
        return Ok(Some(at_begin));
    }
    let walk = Walk { grid: all.grid(), calendar: calendar.as_deref(), begin };
    let rows_of = |from: i64, to: i64| -> Result<Vec<(i64, f64)>, Error> {
        let read = curated(Timestamp::from_nanos(from), Timestamp::from_nanos(to))?;
        let mut read = read.brought_back(forward.clone());
        let mut rows = Vec::new();
        while let Some(piece) = read.next()? {
            let closes = due_closes(&read, &piece);
            rows.extend(closes.into_iter().map(|(_, start, close)| (start, close)));
        }
        Ok(rows)
    };
    if gap == Gap::Rows {
        return walk.back_by_rows(scan.start.nanos(), count, rows_of).map(|start| {
            Some(match start {
                None => at_begin,
                Some((start, close)) => Begin {
                    start: Timestamp::from_nanos(start),
                    rank: u64::MAX / 2,
                    close: Some(close),
                    forward,
                    since: i64::MIN,
                },
            })
        });
    }
    let Some(start) = walk.back_by_slots(scan.start.nanos(), u64::from(count)) else {
        return Ok(Some(at_begin));
    };
    let rank = 1 + walk.grid.count(walk.calendar, begin, start);
    // The begin has a row, so one is found.
    let (close, since) = match walk.back_by_rows(start, 1, rows_of)? {
        Some((row, close)) => (Some(close), row.min(start)),
        None => (rows_of(begin, start)?.first().map(|(_, close)| *close), i64::MIN),
    };
    Ok(Some(Begin { start: Timestamp::from_nanos(start), rank, close, forward, since }))
}

struct Walk<'a> {
    grid: SlotGrid,
    calendar: Option<&'a Calendar>,
    begin: i64,
}

impl Walk<'_> {
    /// The start of the slot `count` before the first that starts at `at` or later; `None` if that
    /// is the begin or before it.
    fn back_by_slots(&self, at: i64, count: u64) -> Option<i64> {
        let mut span = DAY_NANOS;
        loop {
            let from = at.saturating_sub(span);
            if from <= self.begin && self.grid.count(self.calendar, self.begin, at) <= count {
                return None;
            }
            let found = self.grid.count(self.calendar, from, at);
            if found >= count {
                let mut skip = found - count;
                for stretch in self.grid.stretches(self.calendar, from, at) {
                    let of_stretch = u64::from(stretch.count);
                    if skip < of_stretch {
                        let place = u32::try_from(skip).expect("invariant: it is below a count");
                        return Some(stretch.start_of(place)).filter(|start| *start > self.begin);
                    }
                    skip -= of_stretch;
                }
                return Some(at);
            }
            span = span.saturating_mul(2);
        }
    }

    /// Start and close of the row that has `count` - 1 more between it and `at`; `None` if that
    /// is the first row of all, or there is none.
    fn back_by_rows(
        &self,
        at: i64,
        count: u32,
        rows: impl Fn(i64, i64) -> Result<Vec<(i64, f64)>, Error>,
    ) -> Result<Option<(i64, f64)>, Error> {
        let mut missing = u64::from(count.max(1));
        let mut end = at;
        let mut slots = missing;
        while end > self.begin {
            let start = self.back_by_slots(end, slots).unwrap_or(self.begin);
            let found = rows(start, end)?;
            let len = found.len() as u64;
            if len >= missing {
                let place = usize::try_from(len - missing).expect("invariant: it is a place");
                return Ok(Some(found[place]).filter(|(start, _)| *start > self.begin));
            }
            missing -= len;
            end = start;
            slots = slots.saturating_mul(4);
        }
        Ok(None)
    }
}

/// When the first slot of a piece starts.
pub(super) fn first_start(piece: &Piece) -> i64 {
    let first = &piece.spans[0];
    first.stretch.start_of(first.first)
}

/// Date of the session, start and close of the slots with a row that are due.
fn due_closes(curated: &Curated, piece: &Piece) -> Vec<(i32, i64, f64)> {
    let Values::F64(closes) = &piece.rows.columns[0].values else { return Vec::new() };
    let mut all = Vec::with_capacity(closes.len());
    for span in &piece.spans {
        if let Content::Rows(first) = span.content {
            let last_end = curated.due().nanos().saturating_sub(curated.publish_delay(span).get());
            let places = (span.first..span.first + span.count).zip(first..);
            let due = places.filter(|(at, _)| span.stretch.end_of(*at) <= last_end);
            let date = span.stretch.date;
            all.extend(due.map(|(at, row)| (date, span.stretch.start_of(at), closes[row])));
        }
    }
    all
}
