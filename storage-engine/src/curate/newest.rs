//! The newest slot that has a row, found from the end back: some slots at a time, more and more of
//! them, and none where no candidate has stored anything that was there then.

use std::sync::Arc;

use barrow_types::{DAY_NANOS, Sequence, Step, Timestamp};

use crate::aggregates::Lineage;
use crate::bytes::u32_len;
use crate::calendar::{Calendar, slot_begin, slot_of};
use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use super::candidates::{Wanted, candidates};
use super::{Content, Curated, CuratedScan, Piece, SlotSpan, WINDOW_SLOTS, calendar_of};

/// How many slots of a day and longer are looked at first.
const DATED_SLOTS: i64 = 8;

/// How many slots there may be between that of the clock that an instant lies in, and that of the
/// bar that is made of it: an evening before a long weekend.
const SLOTS_BESIDE: i64 = 5;

/// The newest row of an instrument.
pub struct Newest {
    /// Whether any source has delivered something of it at that step and side.
    pub is_delivered: bool,
    /// The slots around it, and the one slot with the row; `None` if no slot has a good row.
    pub found: Option<(Curated, Piece)>,
}

impl Snapshot {
    /// The last slot of [`Self::curated`] that has a row, whatever the range of `scan`.
    ///
    /// # Errors
    /// As [`Self::curated`].
    pub fn newest_curated(&self, scan: CuratedScan) -> Result<Newest, Error> {
        let reference = Reference::at(self, scan.as_of, scan.at_sequence)?;
        let scan = CuratedScan { empty: false, ..scan };
        let calendar = calendar_of(&reference, &scan.instrument, Timestamp::MAX)?;
        let walk = Walk::new(self, &reference, &scan)?;
        let Some(first) = walk.first else {
            return Ok(Newest { is_delivered: walk.is_delivered, found: None });
        };
        let step = scan.step;
        let slack = walk.slack;
        let mut before = i64::MAX;
        let mut count =
            if step.is_dated() { DATED_SLOTS } else { slots_of_a_day(step) } + 2 * slack;
        while let Some(last) = walk.last_before(before) {
            let end = slot_of(step, last) + 1 + slack;
            let start = (end - count).max(slot_of(step, first) - slack);
            if let Some(found) = newest_in(self, &reference, &calendar, &scan, (start, end))? {
                return Ok(Newest { is_delivered: true, found: Some(found) });
            }
            // What is made of rows near the start may lie before it.
            before = slot_begin(step, start + slack);
            count = (count * 2).min(i64::from(WINDOW_SLOTS)).max(count);
        }
        Ok(Newest { is_delivered: walk.is_delivered, found: None })
    }
}

/// How many slots a day has.
fn slots_of_a_day(step: Step) -> i64 {
    step.width().map_or(1, |width| DAY_NANOS / width.get())
}

/// See [`Walk`].
fn slack(lineage: &Lineage, scan: &CuratedScan) -> i64 {
    let has_auctions = !lineage.conditions.are_all() && lineage.series(Step::Tick).is_some();
    if lineage.is_own_only(scan.step) {
        0
    } else if has_auctions && !scan.step.is_dated() {
        // An auction comes long before or after its slot, but on the same day.
        slots_of_a_day(scan.step)
    } else {
        // Of an evening in the next session's, of the hour that began before it.
        SLOTS_BESIDE
    }
}

/// The last row in slots from `start` to before `end`.
fn newest_in(
    snapshot: &Snapshot,
    reference: &Reference,
    calendar: &Option<Arc<Calendar>>,
    scan: &CuratedScan,
    (start, end): (i64, i64),
) -> Result<Option<(Curated, Piece)>, Error> {
    // A dated bar's slot starts when its session opens, up to a day before its date.
    let slack = if scan.step.is_dated() { DAY_NANOS } else { 0 };
    let begin = slot_begin(scan.step, start).saturating_sub(slack);
    let scan = CuratedScan {
        start: Timestamp::from_nanos(begin),
        end: Timestamp::from_nanos(slot_begin(scan.step, end)),
        ..scan.clone()
    };
    let mut curated = Curated::on(calendar.clone(), snapshot.clone(), reference, scan, false)?;
    let mut newest = None;
    while let Some(piece) = curated.next()? {
        newest = last_row(&piece).or(newest);
    }
    Ok(newest.map(|piece| (curated, piece)))
}

/// The last slot of a piece that has a row, alone.
fn last_row(piece: &Piece) -> Option<Piece> {
    let (span, first) = piece.spans.iter().rev().find_map(|span| match span.content {
        Content::Rows(first) => Some((span, first)),
        Content::Empty(_) => None,
    })?;
    let place = first + span.count as usize - 1;
    let at = span.first + span.count - 1;
    Some(Piece {
        spans: vec![SlotSpan { first: at, count: 1, content: Content::Rows(0), ..*span }],
        rows: piece.rows.take(&[u32_len(place)]),
        flagged: piece.flagged.binary_search(&place).map_or_else(|_| Vec::new(), |_| vec![0]),
        coverage: piece.coverage.get(place).copied().into_iter().collect(),
    })
}

/// Where an instrument's rows lie.
struct Walk {
    is_delivered: bool,
    /// How many slots there may be between that in which a row lies and that of the bar that is
    /// made of it.
    slack: i64,
    /// The first `ts` of all candidates; `None` if they have no rows.
    first: Option<i64>,
    /// First and last `ts` of what is stored together and may have been there then.
    spans: Vec<(i64, i64)>,
}

impl Walk {
    fn new(snapshot: &Snapshot, reference: &Reference, scan: &CuratedScan) -> Result<Self, Error> {
        let sequence = scan.at_sequence.unwrap_or(Sequence::MAX).min(snapshot.sequence());
        let candidates = candidates(
            snapshot,
            reference,
            &Wanted {
                instrument: &scan.instrument,
                step: scan.step,
                side: scan.side,
                range: (i64::MIN, i64::MAX),
                as_of: scan.as_of,
                at_sequence: scan.at_sequence,
                source: scan.source.as_deref(),
            },
        )?;
        let known_at = scan.as_of.unwrap_or(Timestamp::MAX).nanos();
        let mut spans = Vec::new();
        let series = candidates.iter().flat_map(|candidate| candidate.lineage.all());
        for (_, series) in series {
            let generation = snapshot.generation();
            let runs = generation.runs(series);
            let extents = generation.extents(series).iter().map(|extent| extent.meta().zone);
            let zones = extents.chain(runs.iter().map(|run| run.zone));
            let there = zones.filter(|zone| {
                zone.known_at.min <= known_at && zone.sequence.min <= sequence.get()
            });
            spans.extend(there.map(|zone| (zone.ts.min, zone.ts.max)));
        }
        let first = spans.iter().map(|span| span.0).min();
        let slack = candidates.iter().map(|of| slack(&of.lineage, scan)).max().unwrap_or(0);
        Ok(Self { is_delivered: !candidates.is_empty(), slack, first, spans })
    }

    /// The last `ts` before `end` at which there may be a row.
    fn last_before(&self, end: i64) -> Option<i64> {
        let before = self.spans.iter().filter(|span| span.0 < end);
        before.map(|span| span.1.min(end - 1)).max()
    }
}
