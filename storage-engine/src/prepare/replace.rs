//! What a batch that replaces ranges takes away: the visible rows of its source there that it does
//! not bring.
//!
//! A row is brought if the batch holds it: a row of its key, or, of events without an id, an equal
//! one for each that is stored. Of a `ts` for which a row was turned away nothing is taken: what
//! it would have replaced is not known.

use std::collections::{BTreeMap, BTreeSet};

use barrow_types::{SeriesId, SeriesKey, Source, Symbol, Timestamp};

use crate::batch::{Act, Batch, ClaimOrigin, KnownAt};
use crate::bytes::u32_len;
use crate::dataset::{Identity, Schema};
use crate::error::Error;
use crate::rows::{Column, Rows, Values};
use crate::snapshot::{Revisions, Scan, Snapshot};
use crate::visible::{by_columns, end_of_ts, has_id, order};

use super::claims;
use super::incoming::Incoming;

/// Most rows that one batch takes away: they stand in its record.
const ROWS_MAX: usize = 1 << 20;

/// The ranges that a batch replaces, by symbol.
#[derive(Default)]
pub(super) struct Replaced(BTreeMap<String, Vec<(i64, i64)>>);

impl Replaced {
    /// Those of a batch whose claims are taken.
    pub(super) fn by(batch: &Batch) -> Self {
        let mut ranges: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        for claim in batch.claims.iter().filter(|claim| claim.origin == ClaimOrigin::Replaces) {
            let range = (claim.start.nanos(), claim.end.nanos());
            ranges.entry(claim.symbol.clone()).or_default().push(range);
        }
        for ranges in ranges.values_mut() {
            ranges.sort_unstable();
            // What two of them share is looked at once.
            let mut done = i64::MIN;
            for range in &mut *ranges {
                range.0 = range.0.max(done);
                done = done.max(range.1);
            }
            ranges.retain(|range| range.0 < range.1);
        }
        Self(ranges)
    }

    /// Whether it replaces what stands at `ts` of a symbol.
    pub(super) fn holds(&self, symbol: &str, ts: i64) -> bool {
        let ranges = self.0.get(symbol).map_or(&[][..], Vec::as_slice);
        ranges.iter().any(|&(start, end)| start <= ts && ts < end)
    }

    /// The series that rows are taken from.
    pub(super) fn series(&self, batch: &Batch, source: &Source) -> Vec<SeriesKey> {
        let symbols = self.0.keys().filter_map(|symbol| Symbol::new(symbol).ok());
        let key = |symbol| SeriesKey {
            dataset: batch.dataset,
            symbol,
            step: batch.step,
            side: batch.side,
            source: source.clone(),
        };
        symbols.map(key).collect()
    }

    /// The batch that takes the rows away which `incoming`, the admitted rows of `batch`, do not
    /// hold; `None` if there are none. `turned_away` are the keys of rows that are not admitted.
    pub(super) fn batch(
        &self,
        batch: &Batch,
        schema: &'static Schema,
        incoming: &Incoming,
        turned_away: &BTreeSet<(&str, i64)>,
        (snapshot, source): (&Snapshot, &Source),
    ) -> Result<Option<Batch>, Error> {
        let is_event = matches!(schema.identity, Identity::Event { .. });
        // Events are taken away by what they say, other rows by their key.
        let kinds = || schema.kinds().filter(|_| is_event);
        let mut symbols = Vec::new();
        let mut gone = Rows::empty(kinds());
        for key in self.series(batch, source) {
            let Some(series) = snapshot.generation().catalog.find(&key) else { continue };
            let symbol = key.symbol.as_str();
            let same = incoming.series.iter().find(|of| batch.symbols.names[of.name] == symbol);
            let brought = Brought {
                ids: schema.id_places(),
                is_event,
                columns: &incoming.columns,
                ts: same.map_or(&[], |of| &incoming.ts[of.rows.clone()]),
                first: same.map_or(0, |of| of.rows.start),
            };
            for &range in &self.0[symbol] {
                let is_kept = |ts: i64| turned_away.contains(&(symbol, ts));
                each_ts(snapshot, (series, schema, is_event), range, |rows| {
                    if is_kept(rows.ts[0]) {
                        return Ok(());
                    }
                    gone.extend_from(&rows.take(&brought.missing(rows)));
                    if gone.len() > ROWS_MAX {
                        return Err(Error::invalid(format!(
                            "replace: more than {ROWS_MAX} rows would be taken away; replace \
                             shorter ranges"
                        )));
                    }
                    Ok(())
                })?;
            }
            symbols.resize(gone.len(), key.symbol.to_string());
        }
        let symbols = symbols.iter().map(String::as_str);
        let gone = claims::rows(batch, source, batch.dataset, symbols, gone.ts, gone.columns);
        Ok(gone.map(|gone| Batch { act: Act::Retract, known_at_policy: KnownAt::Ingest, ..gone }))
    }
}

/// Calls `on_ts` with the visible rows of each `ts` of a range of a series; of events with all
/// their columns.
fn each_ts(
    snapshot: &Snapshot,
    (series, schema, is_event): (SeriesId, &'static Schema, bool),
    range: (i64, i64),
    mut on_ts: impl FnMut(&Rows) -> Result<(), Error>,
) -> Result<(), Error> {
    let columns = schema.columns.iter().filter(|_| is_event);
    let mut scanner = snapshot.scan(Scan {
        series,
        start: Timestamp::from_nanos(range.0),
        end: Timestamp::from_nanos(range.1),
        columns: columns.map(|column| column.id).collect(),
        as_of: None,
        at_sequence: None,
        revisions: Revisions::Visible,
    })?;
    // No piece ends within a `ts`.
    while let Some(rows) = scanner.next()? {
        let mut start = 0;
        while start < rows.len() {
            let end = end_of_ts(&rows.ts, start);
            on_ts(&rows.slice(start..end))?;
            start = end;
        }
    }
    Ok(())
}

/// The admitted rows of one symbol.
struct Brought<'a> {
    ids: Vec<usize>,
    is_event: bool,
    columns: &'a [Column],
    ts: &'a [i64],
    /// The place of the first of them among the columns.
    first: usize,
}

impl Brought<'_> {
    /// The places of the rows of one `ts` that are not brought.
    fn missing(&self, stored: &Rows) -> Vec<u32> {
        let ts = stored.ts[0];
        let start = self.ts.partition_point(|&other| other < ts);
        let end = self.ts.partition_point(|&other| other <= ts);
        let all = || (0..u32_len(stored.len())).collect::<Vec<_>>();
        if start == end {
            return all();
        }
        if !self.is_event {
            return Vec::new();
        }
        let brought: Vec<usize> = (self.first + start..self.first + end).collect();
        let mut missing = Vec::new();
        let (mut with_id, mut without): (Vec<usize>, Vec<usize>) =
            (0..stored.len()).partition(|&at| has_id(&stored.columns, &self.ids, at));
        let is_equal = |stored_at: usize, at: usize, places: &[usize]| {
            order((&stored.columns, stored_at), (self.columns, at), places).is_eq()
        };
        by_columns(&stored.columns, &self.ids, &mut with_id, |equal| {
            let is_same = |&&at: &&usize| {
                has_id(self.columns, &self.ids, at) && is_equal(equal[0], at, &self.ids)
            };
            if !brought.iter().any(|at| is_same(&at)) {
                missing.extend(equal.iter().copied().map(u32_len));
            }
        });
        let columns: Vec<usize> = (0..stored.columns.len()).collect();
        by_columns(&stored.columns, &columns, &mut without, |equal| {
            let count = brought.iter().filter(|&&at| is_equal(equal[0], at, &columns)).count();
            missing.extend(equal.iter().skip(count).copied().map(u32_len));
        });
        missing.sort_unstable();
        missing
    }
}

/// The keys of the rows of a batch that were turned away, where they can be told.
pub(super) fn keys_of(marks: &Batch) -> BTreeSet<(&str, i64)> {
    let Values::I64(ts) = &marks.ts.values else { unreachable!("invariant: marks have times") };
    let names = &marks.symbols.names;
    let symbols = marks.symbols.of_row.iter().map(|&name| names[name as usize].as_str());
    symbols.zip(ts.iter().copied()).collect()
}

#[cfg(test)]
mod tests;
