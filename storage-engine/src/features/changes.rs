//! What commits changed, as far as features have to know that were computed before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use barrow_types::{DatasetId, Sequence, SeriesId, SeriesKey, Step};

use crate::curate::Curated;
use crate::dataset::facts::{EVERY_SYMBOL, REFERENCE};
use crate::memtable::Zone;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

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
    /// Rows of bars of a step, or ticks, none of them earlier than this.
    Rows(Step, i64),
    /// Why slots are empty or whether they are final, of none that ends before this.
    Reasons(i64),
    /// Anything.
    All,
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
        let Changed { first, is_new } = changed;
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
                Change::Rows(key.step, first)
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

/// What the records after `since` may have changed of one instrument.
pub(super) fn of_instrument(
    since: Sequence,
    (snapshot, reference): (&Snapshot, &Reference),
    instrument: &Arc<str>,
) -> Vec<Change> {
    if since == snapshot.sequence() {
        return Vec::new();
    }
    if snapshot.generation().facts.newest() > since.get() {
        return vec![Change::All];
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
        Change::Rows(step, first) => curated.first_changed(step, first).unwrap_or(i64::MIN),
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
    /// No row of it has an earlier `ts`.
    first: i64,
    /// Whether there was nothing of the series before.
    is_new: bool,
}

/// What came to the series `series` of `key` after `since`; `None`: nothing. Of what is in segments
/// already it is only known where it may lie.
fn changed(
    snapshot: &Snapshot,
    (series, key): (SeriesId, &SeriesKey),
    since: Sequence,
) -> Option<Changed> {
    let floor = snapshot.floor(key.dataset, key.step).filter(|_| key.step == Step::Tick);
    if floor.is_some_and(|set| set.floor.at_sequence_from > since) {
        // Events may be gone together with the retractions that tell of the change.
        return Some(Changed { first: i64::MIN, is_new: true });
    }
    let generation = snapshot.generation();
    let since = since.get();
    let mut found: Option<Changed> = None;
    let mut is_new = true;
    let mut note = |zone: &Zone, first: Option<i64>| {
        is_new &= zone.sequence.min > since;
        if let Some(first) = first {
            let first = found.map_or(first, |found| found.first.min(first));
            found = Some(Changed { first, is_new: false });
        }
    };
    for extent in generation.extents(series) {
        let zone = extent.meta().zone;
        note(&zone, (zone.sequence.max > since).then_some(zone.ts.min));
    }
    for run in generation.runs(series) {
        let rows = run.rows();
        let first = if run.zone.sequence.min > since {
            Some(run.zone.ts.min)
        } else {
            run.range().find(|at| rows.sequence[*at] > since).map(|at| rows.ts[at])
        };
        note(&run.zone, first);
    }
    found.map(|found| Changed { is_new, ..found })
}
