//! What each row of a batch is: first of its key, duplicate, correction, superseded.
//!
//! An event without an id is always a first one, and what is stored need not be looked up. A
//! retraction of events finds them by their ids, or by all their values. Else:
//!
//! A row that states when it became known is compared with what was visible then; any other row
//! with the newest. Equal in all user columns: a duplicate, ignored. Otherwise it is stored, and
//! counts as `superseded` if something known later stands above it, as `corrected` if it takes the
//! place of a visible row, as `accepted` if it does neither.
//!
//! A row that states a time below the floor of retention is compared with nothing if something
//! known later, but not after the floor, stands above it: no question can see it any more, and
//! what it would be equal to may have been dropped. It is stored, and counts as `superseded`.

use std::ops::Range;

use barrow_types::{SeriesId, Timestamp};

use crate::batch::{Act, Batch, Counts, KnownAt};
use crate::bytes::u32_len;
use crate::dataset::{Identity, Schema};
use crate::error::Error;
use crate::rows::{Values, flags};
use crate::snapshot::Snapshot;
use crate::visible::{by_columns, end_of_ts, has_id};

use super::incoming::{Incoming, IncomingSeries};
use super::replace::Replaced;
use super::stored::{Place, Stored, Version};

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

/// The outcome for the rows of a batch.
pub(super) struct Decided {
    /// The places among the incoming rows of those that are stored: series by series, sorted by
    /// (`ts`, `known_at`, place in batch).
    pub(super) kept: Vec<u32>,
    /// Since when each of them counts as known.
    pub(super) known_at: Vec<i64>,
    /// And what is special about it.
    pub(super) flags: Vec<u8>,
    /// Which of them are of which incoming series.
    pub(super) of_series: Vec<OfSeries>,
    /// What became of the rows; rejected ones are not counted here.
    pub(super) counts: Counts,
    /// Places of retractions that found nothing.
    pub(super) nothing_to_retract: Vec<usize>,
    /// Keys that the batch holds more than once.
    pub(super) repeated: Vec<Repeated>,
}

/// A key that a batch holds more than once.
pub(super) struct Repeated {
    /// One of its places among the incoming rows.
    pub(super) at: usize,
    /// Rows that are equal to another one.
    pub(super) duplicates: usize,
    /// Rows whose values differ from another one's.
    pub(super) conflicts: usize,
}

/// The outcome for one series.
pub(super) struct OfSeries {
    /// Its rows among those that are stored.
    pub(super) rows: Range<usize>,
    /// Whether it may be another after other rows of the series came.
    pub(super) depends_on_stored: bool,
}

/// Rows of this batch rank by their place after all stored ones with the same `known_at`.
const THIS_BATCH: u64 = u64::MAX;

/// What is decided about.
pub(super) struct Question<'a> {
    pub(super) schema: &'static Schema,
    /// What is stored.
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    /// Where events without an id are matched with stored ones, if anywhere.
    pub(super) replaced: Option<&'a Replaced>,
}

pub(super) fn decide(
    batch: &Batch,
    question: &Question<'_>,
    incoming: &Incoming,
    validity: &mut Validity,
) -> Result<Decided, Error> {
    let Question { schema, snapshot, now, replaced } = *question;
    let rows = incoming.ts.len();
    let mut decider = Decider {
        batch,
        schema,
        incoming,
        is_event: matches!(schema.identity, Identity::Event { .. }),
        ids: schema.id_places(),
        now,
        floor: floor(batch, snapshot),
        replaced,
        validity,
        at_ts: Vec::new(),
        decided: Decided {
            kept: Vec::with_capacity(rows),
            known_at: Vec::with_capacity(rows),
            flags: Vec::with_capacity(rows),
            of_series: Vec::with_capacity(incoming.series.len()),
            counts: Counts::default(),
            nothing_to_retract: Vec::new(),
            repeated: Vec::new(),
        },
    };
    for series in &incoming.series {
        let start = decider.decided.kept.len();
        let depends_on_stored = decider.series(snapshot, series)?;
        let rows = start..decider.decided.kept.len();
        decider.decided.of_series.push(OfSeries { rows, depends_on_stored });
    }
    Ok(decider.decided)
}

/// The batch against what is stored.
struct Decider<'a> {
    batch: &'a Batch,
    schema: &'static Schema,
    incoming: &'a Incoming,
    is_event: bool,
    ids: Vec<usize>,
    now: Timestamp,
    /// Since when questions are answered.
    floor: i64,
    replaced: Option<&'a Replaced>,
    validity: &'a mut Validity,
    /// Place, `known_at` and flags of the rows of the `ts` at hand that are to be stored.
    at_ts: Vec<(usize, i64, u8)>,
    decided: Decided,
}

impl Decider<'_> {
    /// Decides on the rows of one series; whether the outcome depends on what is stored.
    fn series(&mut self, snapshot: &Snapshot, series: &IncomingSeries) -> Result<bool, Error> {
        let rows = series.rows.clone();
        let ts = &self.incoming.ts[..rows.end];
        let any_id = || rows.clone().any(|at| has_id(&self.incoming.columns, &self.ids, at));
        let symbol = self.batch.symbols.names[series.name].as_str();
        let replaces = |at: usize| self.replaced.is_some_and(|all| all.holds(symbol, ts[at]));
        let any_replaces = || self.is_event && rows.clone().any(replaces);
        let retracts = self.batch.act == Act::Retract;
        let matches_others = retracts || !self.is_event || any_id() || any_replaces();
        let unique = || ts[rows.clone()].is_sorted_by(|a, b| a < b);
        let newest = series.known.filter(|_| matches_others);
        let newest = newest.and_then(|series| newest_ts(snapshot, series));
        let past_stored = || newest.is_none_or(|newest| ts[rows.start] > newest);
        let all_new = if matches_others {
            self.batch.act == Act::Insert && past_stored() && unique()
        } else {
            self.incoming.stated.is_none() || unique()
        };
        if all_new {
            self.all_new(rows);
            return Ok(matches_others);
        }
        let known = series.known.zip(newest);
        let mut stored = Stored::new(self.schema, self.batch.step, snapshot, known, ts);
        let mut start = rows.start;
        while start < rows.end {
            let end = end_of_ts(ts, start);
            if self.is_event {
                let replaces = self.replaced.is_some_and(|all| all.holds(symbol, ts[start]));
                self.events(start..end, replaces, &mut stored)?;
            } else {
                let found = stored.at(start)?;
                self.versions(&(start..end).collect::<Vec<_>>(), found, &stored);
            }
            self.keep();
            start = end;
        }
        Ok(matches_others)
    }

    /// Every row is the first of its key.
    fn all_new(&mut self, rows: Range<usize>) {
        self.decided.counts.accepted += rows.len() as u64;
        let plain = self.incoming.stated.is_none() && self.batch.known_at_policy == KnownAt::Ingest;
        if plain {
            let end = self.decided.kept.len() + rows.len();
            self.decided.known_at.resize(end, self.now.nanos());
            self.decided.flags.resize(end, 0);
        } else {
            for at in rows.clone() {
                let (known_at, row_flags) = self.known_at(at, true);
                self.decided.known_at.push(known_at);
                self.decided.flags.push(row_flags);
            }
        }
        self.decided.kept.extend(rows.map(u32_len));
    }

    /// Events of one `ts`, at which those that are stored may be replaced.
    fn events(
        &mut self,
        places: Range<usize>,
        replaces: bool,
        stored: &mut Stored<'_>,
    ) -> Result<(), Error> {
        let columns = &self.incoming.columns;
        let retracts = self.batch.act == Act::Retract;
        let (mut with_id, mut without): (Vec<usize>, Vec<usize>) =
            places.clone().partition(|&at| has_id(columns, &self.ids, at));
        if !retracts && !replaces {
            self.first(&without);
            without.clear();
        }
        if with_id.is_empty() && without.is_empty() {
            return Ok(());
        }
        let found = stored.at(places.start)?;
        let (stored_with_id, stored_without) = stored.sorted(found, &self.ids);
        let ids = self.ids.clone();
        by_columns(columns, &ids, &mut with_id, |equal| {
            let found = stored.equal(&stored_with_id, columns, equal[0], &ids);
            self.versions(equal, found, stored);
        });
        let all: Vec<usize> = (0..columns.len()).collect();
        by_columns(columns, &all, &mut without, |equal| {
            let found = stored.equal(&stored_without, columns, equal[0], &all);
            if retracts {
                self.cancel(equal, &found);
            } else {
                self.again(equal, &found);
            }
        });
        Ok(())
    }

    /// Events that none is matched with.
    fn first(&mut self, events: &[usize]) {
        for &at in events {
            let (known_at, row_flags) = self.known_at(at, true);
            self.at_ts.push((at, known_at, row_flags));
        }
        self.decided.counts.accepted += events.len() as u64;
    }

    /// Equal events without an id that replace those found: as many as are visible stay.
    fn again(&mut self, events: &[usize], found: &[Version]) {
        let (same, more) = events.split_at(events.len().min(visible_count(found)));
        self.decided.counts.duplicates += same.len() as u64;
        self.first(more);
    }

    /// Retractions of equal events without an id: each takes one of those that are visible.
    fn cancel(&mut self, retractions: &[usize], found: &[Version]) {
        let taken = retractions.len().min(visible_count(found));
        let (take, find_nothing) = retractions.split_at(taken);
        let now = self.now.nanos();
        self.at_ts.extend(take.iter().map(|&at| (at, now, flags::RETRACT)));
        self.decided.counts.accepted += take.len() as u64;
        self.decided.nothing_to_retract.extend(find_nothing);
    }

    /// Rows that are versions of one, of which some are stored.
    fn versions(&mut self, places: &[usize], mut versions: Vec<Version>, stored: &Stored<'_>) {
        if places.len() > 1 && self.batch.act == Act::Insert {
            self.note_repeated(places);
        }
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
                    let seen_from = known_at.max(self.floor);
                    greatest(versions.iter().filter(|version| version.rank.0 <= seen_from))
                        .filter(|version| version.rank.0 <= known_at)
                } else {
                    winner
                };
                let equal =
                    |version: Version| stored.same(version.values, &self.incoming.columns, at);
                if visible.is_some_and(|version| !version.retract && equal(version)) {
                    self.decided.counts.duplicates += 1;
                    continue;
                }
                if loses {
                    self.decided.counts.superseded += 1;
                } else if live {
                    row_flags |= flags::CORRECTED;
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
            self.at_ts.push((at, known_at, row_flags));
        }
    }

    /// Notes rows of one key. Those that state when they became known are a key's history where
    /// they state different times.
    fn note_repeated(&mut self, places: &[usize]) {
        let stated = |at: usize| match self.incoming.stated.as_ref().map(|own| (own, &own.values)) {
            Some((own, Values::I64(values))) if own.is_valid(at) => Some(values[at]),
            _ => None,
        };
        let mut sorted = places.to_vec();
        sorted.sort_by_key(|&at| stated(at));
        let (mut duplicates, mut conflicts) = (0, 0);
        let columns = &self.incoming.columns;
        let all: Vec<usize> = (0..columns.len()).collect();
        for at_once in sorted.chunk_by(|a, b| stated(*a) == stated(*b)) {
            let mut distinct = 0;
            by_columns(columns, &all, &mut at_once.to_vec(), |_| distinct += 1);
            duplicates += at_once.len() - distinct;
            conflicts += distinct - 1;
        }
        if duplicates + conflicts > 0 {
            self.decided.repeated.push(Repeated { at: places[0], duplicates, conflicts });
        }
    }

    /// Moves the rows of the `ts` at hand to those that are to be stored.
    fn keep(&mut self) {
        self.at_ts.sort_unstable_by_key(|&(at, known_at, _)| (known_at, at));
        for (at, known_at, row_flags) in self.at_ts.drain(..) {
            self.decided.kept.push(u32_len(at));
            self.decided.known_at.push(known_at);
            self.decided.flags.push(row_flags);
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

/// Since when questions about the rows of a batch are answered.
fn floor(batch: &Batch, snapshot: &Snapshot) -> i64 {
    let set = snapshot.floor(batch.dataset, batch.step);
    set.map_or(i64::MIN, |set| set.floor.as_of_from.nanos())
}

/// How many of all equal events without an id are visible.
fn visible_count(found: &[Version]) -> usize {
    let retracted = found.iter().filter(|version| version.retract).count();
    found.len() - 2 * retracted
}

/// The version of the greatest rank; among equals the last.
fn greatest<'a>(versions: impl Iterator<Item = &'a Version>) -> Option<Version> {
    versions.max_by_key(|version| version.rank).copied()
}

/// The greatest `ts` of a series, visible or not.
fn newest_ts(snapshot: &Snapshot, series: SeriesId) -> Option<i64> {
    let generation = snapshot.generation();
    let in_memory = generation.memtable.slot(series).and_then(|slot| slot.ts_max());
    let on_disk = generation.extents(series).iter().map(|extent| extent.meta().zone.ts.max).max();
    in_memory.max(on_disk)
}
