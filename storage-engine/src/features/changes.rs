//! What commits changed, as far as features have to know that were computed before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use barrow_types::{DatasetId, Sequence, SeriesId, SeriesKey, Step, Timestamp};

use crate::curate::Curated;
use crate::dataset::facts::{EVERY_SYMBOL, REFERENCE};
use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::{Revisions, Scan, Snapshot};

/// The datasets whose rows tell of slots, besides facts that are read whole.
const TOLD: [DatasetId; 9] = [
    DatasetId::BARS,
    DatasetId::TRADES,
    DatasetId::QUOTES,
    DatasetId::CLAIMS,
    DatasetId::REJECTS,
    DatasetId::HALTS,
    DatasetId::OUTAGES,
    DatasetId::VERDICTS,
    DatasetId::REPEATS,
];

/// Something that changed of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Rows of bars of a step, or ticks: none of them earlier than the first, or later than the
    /// last.
    Rows { step: Step, first: i64, last: i64 },
    /// Why slots are empty or whether they are final, of none that ends before this.
    Reasons(i64),
    /// Anything.
    All,
}

impl Change {
    /// Whether it may be a close that a dividend is measured by, of slots that start before an
    /// instant: that of a day's own bar, or of the one before where there was nothing to trade.
    pub(super) fn closes_before(&self, instant: i64) -> bool {
        match *self {
            Self::Rows { step, first, .. } => step == Step::D1 && first < instant,
            Self::Reasons(first) => first < instant,
            Self::All => true,
        }
    }
}

/// What changed between two records.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Of every instrument.
    pub(super) of_all: Vec<Change>,
    /// Of some.
    pub(super) of_each: BTreeMap<Arc<str>, Vec<Change>>,
}

impl Changes {
    /// What the records after `since` brought to some series.
    pub(super) fn between(
        since: Sequence,
        snapshot: &Snapshot,
        reference: &Reference,
        touched: impl IntoIterator<Item = SeriesId>,
    ) -> Self {
        let mut changes = Self::default();
        for series in touched {
            let generation = snapshot.generation();
            let Some(key) = generation.catalog.key(series) else { continue };
            if let Some(changed) = changed(snapshot, (series, &key), since) {
                changes.add(reference, &key, changed);
            }
        }
        changes
    }

    fn add(&mut self, reference: &Reference, key: &SeriesKey, changed: Changed) {
        let dataset = key.dataset;
        let Changed { first, last, is_new } = changed;
        if REFERENCE.contains(&dataset) {
            self.of_all.push(Change::All);
            return;
        }
        let change = match dataset {
            // Another series may be preferred for whole sessions, and explain others' slots.
            DatasetId::BARS | DatasetId::TRADES | DatasetId::QUOTES | DatasetId::CLAIMS
                if is_new =>
            {
                Change::All
            }
            DatasetId::BARS | DatasetId::TRADES | DatasetId::QUOTES => {
                Change::Rows { step: key.step, first, last }
            }
            DatasetId::CLAIMS | DatasetId::REJECTS | DatasetId::HALTS | DatasetId::OUTAGES => {
                Change::Reasons(first)
            }
            DatasetId::VERDICTS | DatasetId::REPEATS => Change::All,
            _ => return,
        };
        if key.symbol.as_str() == EVERY_SYMBOL {
            self.of_all.push(change);
            return;
        }
        let (source, symbol) = (key.source.as_str(), key.symbol.as_str());
        let bound = reference.bindings(source, symbol).iter();
        let mut instruments: BTreeSet<Arc<str>> =
            bound.filter_map(|(_, instrument)| instrument.clone()).collect();
        instruments.insert(symbol.into());
        for instrument in instruments {
            self.of_each.entry(instrument).or_default().push(change);
        }
    }
}

/// What the records after `since` may have changed of one instrument, but for facts that are read
/// whole.
pub(super) fn of_instrument(
    since: Sequence,
    (snapshot, reference): (&Snapshot, &Reference),
    instrument: &Arc<str>,
) -> Vec<Change> {
    if since >= snapshot.sequence() {
        return Vec::new();
    }
    let bound = reference.bound_to(instrument).map(|(_, symbol)| symbol);
    let symbols: BTreeSet<&str> = bound.chain([&**instrument, EVERY_SYMBOL]).collect();
    let series = TOLD.into_iter().flat_map(|dataset| {
        symbols.iter().flat_map(move |symbol| snapshot.series(dataset, Some(symbol)))
    });
    let touched: Vec<SeriesId> = series.map(|(series, _)| series).collect();
    let mut changes = Changes::between(since, snapshot, reference, touched);
    changes.of_all.extend(changes.of_each.remove(instrument).into_iter().flatten());
    changes.of_all
}

/// When the first slot starts that changes may have changed, of those in a state that has taken all
/// slots before `next`, of which none behind `unsettled` can change by itself. `moved` is the
/// instant behind which watermarks have moved.
pub(super) fn first_changed(
    curated: &Curated,
    changes: &[Change],
    (next, unsettled): (i64, i64),
    moved: i64,
) -> i64 {
    let ending_after = |instant: i64| match instant {
        i64::MIN | i64::MAX => instant,
        instant => curated.first_ending_after(instant, false),
    };
    let firsts = changes.iter().map(|change| match *change {
        Change::All => i64::MIN,
        Change::Rows { step, first, .. } => curated.first_changed(step, first).unwrap_or(i64::MIN),
        Change::Reasons(first) if first < unsettled => ending_after(first),
        Change::Reasons(_) => i64::MAX,
    });
    let first = firsts.chain([ending_after(moved)]).min().unwrap_or(i64::MAX);
    // Whoever delivers a session may have changed with it.
    if first > i64::MIN && first < next { curated.first_ending_after(first, true) } else { first }
}

/// The instant behind which rows have become final, or no longer are, by what watermarks said and
/// say now.
pub(super) fn first_final(old: &[Option<i64>], now: &[Option<i64>], unsettled: i64) -> i64 {
    if old.len() != now.len() {
        return i64::MIN;
    }
    let moved = old.iter().zip(now).map(|(old, now)| match (*old, *now) {
        (None, None) => i64::MAX,
        (Some(old), Some(now)) if now < old || now > old && old < unsettled => old.min(now),
        (Some(_), Some(_)) => i64::MAX,
        // Where nobody says up to when, all rows are final.
        (None, Some(_)) | (Some(_), None) => i64::MIN,
    });
    moved.min().unwrap_or(i64::MAX)
}

/// What came to a series.
#[derive(Clone, Copy)]
struct Changed {
    /// No row of it has an earlier `ts`,
    first: i64,
    /// or a later one.
    last: i64,
    /// Whether there was nothing of the series before.
    is_new: bool,
}

/// What came to the series `series` of `key` after `since`; `None`: nothing.
fn changed(
    snapshot: &Snapshot,
    (series, key): (SeriesId, &SeriesKey),
    since: Sequence,
) -> Option<Changed> {
    let floor = snapshot.floor(key.dataset, key.step).filter(|_| key.step == Step::Tick);
    if floor.is_some_and(|set| set.floor.at_sequence_from > since) {
        // Events may be gone together with the retractions that tell of the change.
        return Some(Changed { first: i64::MIN, last: i64::MAX, is_new: true });
    }
    let generation = snapshot.generation();
    let since = since.get();
    let mut spans: Vec<(i64, i64)> = Vec::new();
    // Of segments that hold older rows, too.
    let mut mixed: Option<(i64, i64)> = None;
    let mut is_new = true;
    for extent in generation.extents(series) {
        let zone = extent.meta().zone;
        is_new &= zone.sequence.min > since;
        if zone.sequence.min > since {
            spans.push((zone.ts.min, zone.ts.max));
        } else if zone.sequence.max > since {
            mixed = Some(joined(mixed, (zone.ts.min, zone.ts.max)));
        }
    }
    for run in generation.runs(series) {
        let zone = run.zone;
        is_new &= zone.sequence.min > since;
        if zone.sequence.min > since {
            spans.push((zone.ts.min, zone.ts.max));
        } else if zone.sequence.max > since {
            let rows = run.rows();
            let is_newer = |at: &usize| rows.sequence[*at] > since;
            // They are in order.
            let (first, last) = (run.range().find(is_newer), run.range().rev().find(is_newer));
            spans.extend(first.zip(last).map(|(first, last)| (rows.ts[first], rows.ts[last])));
        }
    }
    if let Some(span) = mixed {
        spans.extend(newer_rows(snapshot, series, since, span));
    }
    let all = spans.into_iter().fold(None, |all, span| Some(joined(all, span)));
    all.map(|(first, last)| Changed { first, last, is_new })
}

/// The span of both.
fn joined(all: Option<(i64, i64)>, span: (i64, i64)) -> (i64, i64) {
    all.map_or(span, |all| (all.0.min(span.0), all.1.max(span.1)))
}

/// From when to when the rows lie in a span that came after `since`; all of it, if they cannot be
/// read.
fn newer_rows(
    snapshot: &Snapshot,
    series: SeriesId,
    since: u64,
    span: (i64, i64),
) -> Option<(i64, i64)> {
    let read = || -> Result<Option<(i64, i64)>, Error> {
        let mut found = None;
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::from_nanos(span.0),
            end: Timestamp::from_nanos(span.1.saturating_add(1)),
            columns: Vec::new(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::All,
        })?;
        while let Some(rows) = scanner.next()? {
            let newer = rows.ts.iter().zip(&rows.sequence).filter(|(_, by)| **by > since);
            found = newer.fold(found, |found, (ts, _)| Some(joined(found, (*ts, *ts))));
        }
        Ok(found)
    };
    read().unwrap_or(Some(span))
}
