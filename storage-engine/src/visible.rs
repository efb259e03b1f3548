//! Which rows of a series are visible: the one rule, for reading, flushing and joining segments.
//!
//! Rows of one `ts` are told apart by the dataset's [`Identity`]:
//!
//! - `Ts`: all are versions of one row.
//! - `Event`: rows that have a value in the last of the id columns are versions of one row if they
//!   are equal in all id columns. Rows without one are never matched with each other, but a
//!   retraction takes away one row that is equal in all user columns.
//! - `Append`: every row stands for itself.
//!
//! Of versions of one row the last in rank (`known_at`, `sequence`, place in batch) is the winner,
//! and visible unless it is a retraction. Of equal rows without an id, in the order in which they
//! came (`sequence`), each retraction cancels the last insert that is not cancelled yet, as a
//! closing bracket does its opening one.
//!
//! Why in the order in which they came: a retraction is known since its ingest, so whatever stood
//! there when it came is known wherever it is known, and no row that comes later changes a pair.
//!
//! *Losers* may be put aside into history, without which most questions are answered:
//!
//! - A loser among versions has a victor that stays; where the victor is visible, it is not.
//! - A pair goes together. Where both are known, neither is visible; where the retraction is not,
//!   history has to be read: a reader of events looks at the zones of history. It may go if nobody
//!   else holds a row of its `ts` that came between the two: brackets match alike in the whole and
//!   in a part of it without holes.
//! - Events that one record brought with one `known_at` are in the order of their places in the
//!   batch, which no segment tells: where one of them stays, all rows of its `ts` do. So they are
//!   never apart, and rows of one place are read in the order in which they were written.

use std::cmp::Ordering;
use std::ops::{Range, RangeInclusive};

use crate::dataset::{Identity, Schema};
use crate::rows::{Column, Rows};

mod unseen;

pub(crate) use unseen::unseen;

/// What a row is among some rows of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The question does not admit it.
    Barred,
    /// Another version of it outranks it.
    Lost,
    /// One of a pair: an event that a retraction cancels, or that retraction. The other came with
    /// this sequence.
    Cancelled(u64),
    /// Visible.
    Visible,
    /// A retraction that no other of the rows outranks: not visible, but it takes away what the
    /// other rows of the series may hold.
    Retraction,
}

/// Judges rows of one series, sorted by (`ts`, `known_at`, `sequence`, place in batch), of which
/// `admit` tells which take part. `ids` are the places of the identity's id columns in
/// `rows.columns`; if any row of an `Event` is a retraction, all user columns must be there.
pub(crate) fn judge(
    identity: Identity,
    rows: &Rows,
    ids: &[usize],
    admit: impl Fn(usize) -> bool,
) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Barred; rows.len()];
    let mut admitted = Vec::new();
    let mut start = 0;
    while start < rows.len() {
        let end = end_of_ts(&rows.ts, start);
        admitted.clear();
        admitted.extend((start..end).filter(|&at| admit(at)));
        match identity {
            Identity::Append => admitted.iter().for_each(|&at| verdicts[at] = Verdict::Visible),
            Identity::Ts => versions(rows, &admitted, &mut verdicts),
            Identity::Event { .. } => events(rows, ids, &mut admitted, &mut verdicts),
        }
        start = end;
    }
    verdicts
}

/// Which of some rows of one series, with all user columns, may be put aside into history.
/// `has_all` tells of a `ts` whether all rows that came with these sequences are among them.
pub(crate) fn losers(
    schema: &Schema,
    rows: &Rows,
    has_all: impl Fn(i64, RangeInclusive<u64>) -> bool,
) -> Vec<bool> {
    let verdicts = judge(schema.identity, rows, &schema.id_places(), |_| true);
    let lost = |(at, verdict): (usize, Verdict)| match verdict {
        Verdict::Lost => true,
        Verdict::Cancelled(other) => {
            let one = rows.sequence[at];
            has_all(rows.ts[at], one.min(other)..=one.max(other))
        }
        Verdict::Barred | Verdict::Visible | Verdict::Retraction => false,
    };
    let mut losers: Vec<bool> = verdicts.into_iter().enumerate().map(lost).collect();
    if matches!(schema.identity, Identity::Event { .. }) && losers.contains(&true) {
        keep_together(rows, &mut losers);
    }
    losers
}

/// Keeps all rows of a `ts` if some of its events of one rank would be put aside and others not.
fn keep_together(rows: &Rows, losers: &mut [bool]) {
    let mut start = 0;
    while start < rows.len() {
        let end = end_of_ts(&rows.ts, start);
        let is_split =
            |at: usize| rows.rank(at - 1) == rows.rank(at) && losers[at - 1] != losers[at];
        if (start + 1..end).any(is_split) {
            losers[start..end].fill(false);
        }
        start = end;
    }
}

/// The end of the rows that have the `ts` of row `start`.
pub(crate) fn end_of_ts(ts: &[i64], start: usize) -> usize {
    let same = ts[start..].iter().take_while(|&&other| other == ts[start]);
    start + same.count()
}

/// Whether row `at` has an id, the id columns being at `ids`.
pub(crate) fn has_id(columns: &[Column], ids: &[usize], at: usize) -> bool {
    ids.last().is_some_and(|&last| columns[last].is_valid(at))
}

/// Compares row `a.1` of the columns `a.0` with row `b.1` of `b.0`, column by column at `places`:
/// equal where they hold the same bits, else in an order that is always the same.
pub(crate) fn order(a: (&[Column], usize), b: (&[Column], usize), places: &[usize]) -> Ordering {
    let by_column = |&place: &usize| a.0[place].order(a.1, &b.0[place], b.1);
    // Back to front: a number of its own tells more than a venue.
    places.iter().rev().map(by_column).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Sorts rows by the columns at `places` and calls `on_each` with each set of equal rows, in the
/// order in which they stood.
pub(crate) fn by_columns(
    columns: &[Column],
    places: &[usize],
    rows: &mut [usize],
    mut on_each: impl FnMut(&mut [usize]),
) {
    let order = |a: usize, b: usize| order((columns, a), (columns, b), places);
    rows.sort_by(|&a, &b| order(a, b));
    for equal in rows.chunk_by_mut(|&a, &b| order(a, b).is_eq()) {
        on_each(equal);
    }
}

/// Judges rows that are versions of one, given in order of rank.
fn versions(rows: &Rows, versions: &[usize], verdicts: &mut [Verdict]) {
    let Some((&winner, losers)) = versions.split_last() else { return };
    losers.iter().for_each(|&at| verdicts[at] = Verdict::Lost);
    verdicts[winner] = alone(rows, winner);
}

/// What a row is that no other matches.
fn alone(rows: &Rows, at: usize) -> Verdict {
    if rows.is_retract(at) { Verdict::Retraction } else { Verdict::Visible }
}

/// Judges events of one `ts`, given in order of rank. Leaves `events` in another order.
fn events(rows: &Rows, ids: &[usize], events: &mut [usize], verdicts: &mut [Verdict]) {
    if let [at] = *events {
        verdicts[at] = alone(rows, at);
        return;
    }
    let columns = &rows.columns;
    // Those with an id first; stable.
    events.sort_by_key(|&at| !has_id(columns, ids, at));
    let with_id = events.partition_point(|&at| has_id(columns, ids, at));
    let (with_id, without) = events.split_at_mut(with_id);
    by_columns(columns, ids, with_id, |equal| versions(rows, equal, verdicts));
    if without.iter().any(|&at| rows.is_retract(at)) {
        let all: Vec<usize> = (0..columns.len()).collect();
        by_columns(columns, &all, without, |equal| brackets(rows, equal, verdicts));
    } else {
        without.iter().for_each(|&at| verdicts[at] = Verdict::Visible);
    }
}

/// Judges events without an id that are equal in all user columns.
fn brackets(rows: &Rows, equal: &mut [usize], verdicts: &mut [Verdict]) {
    equal.iter().for_each(|&at| verdicts[at] = alone(rows, at));
    pairs(rows, equal, |insert, retraction| {
        verdicts[insert] = Verdict::Cancelled(rows.sequence[retraction]);
        verdicts[retraction] = Verdict::Cancelled(rows.sequence[insert]);
    });
}

/// Calls `on_pair` with each event without an id that a retraction cancels, and that retraction,
/// of events that are equal in all user columns.
fn pairs(rows: &Rows, equal: &mut [usize], mut on_pair: impl FnMut(usize, usize)) {
    // Rows of one record stand in order of `known_at` and place, in segments too.
    equal.sort_by_key(|&at| (rows.sequence[at], at));
    let mut open = Vec::new();
    for &at in &*equal {
        if !rows.is_retract(at) {
            open.push(at);
        } else if let Some(cancelled) = open.pop() {
            on_pair(cancelled, at);
        }
    }
}

/// The places for which `verdict` was given, in order.
pub(crate) fn places_of(verdicts: &[Verdict], verdict: Verdict) -> Vec<u32> {
    let range: Range<u32> = 0..crate::bytes::u32_len(verdicts.len());
    range.zip(verdicts).filter(|&(_, given)| *given == verdict).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests;
