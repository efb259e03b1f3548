//! Which rows no question at or above a floor of retention can see: they may be dropped.
//!
//! - A version is not seen if another one of a greater rank is known wherever it is known, as far
//!   as anybody asks: `known_at` not after the later of its own and the floor's, and likewise
//!   `sequence`. What stands above a row that stands above another stands above that one too, so
//!   the versions that stay outrank all that go; the greatest always stays, a retraction too.
//! - A pair (an event without an id, and the retraction that cancels it) is not seen if the
//!   retraction is known in that way wherever the event is. The two go together, and only where
//!   nobody else holds a row of their `ts` that came between them. Those of the first and the last
//!   `ts` stay, so that a series begins and ends where it did.
//! - Rows that are never matched all stay.

use std::ops::RangeInclusive;

use crate::dataset::retention::Floor;
use crate::dataset::{Identity, Schema};
use crate::rows::Rows;

use super::{by_columns, end_of_ts, has_id, pairs};

/// Which of some rows of one series, with all user columns and sorted as they are read, may be
/// dropped. `ends` are the first and the last `ts` of those that are read; `has_all` is as
/// [`super::losers`] takes it.
pub(crate) fn unseen(
    schema: &Schema,
    rows: &Rows,
    floor: &Floor,
    ends: (i64, i64),
    has_all: impl Fn(i64, RangeInclusive<u64>) -> bool,
) -> Vec<bool> {
    let mut unseen = vec![false; rows.len()];
    let ids = schema.id_places();
    let mut start = 0;
    while start < rows.len() {
        let end = end_of_ts(&rows.ts, start);
        match schema.identity {
            Identity::Append => {}
            Identity::Ts => {
                outranked(rows, &(start..end).collect::<Vec<_>>(), floor, &mut unseen);
            }
            Identity::Event { .. } => {
                let columns = &rows.columns;
                let (mut with_id, mut without): (Vec<usize>, Vec<usize>) =
                    (start..end).partition(|&at| has_id(columns, &ids, at));
                by_columns(columns, &ids, &mut with_id, |equal| {
                    outranked(rows, equal, floor, &mut unseen);
                });
                let ts = rows.ts[start];
                let may_go = ts != ends.0 && ts != ends.1;
                if may_go && without.iter().any(|&at| rows.is_retract(at)) {
                    let all: Vec<usize> = (0..columns.len()).collect();
                    by_columns(columns, &all, &mut without, |equal| {
                        pairs(rows, equal, |insert, retraction| {
                            let sequences = rows.sequence[insert]..=rows.sequence[retraction];
                            if hides(rows, retraction, insert, floor) && has_all(ts, sequences) {
                                (unseen[insert], unseen[retraction]) = (true, true);
                            }
                        });
                    });
                }
            }
        }
        start = end;
    }
    unseen
}

/// Whether row `above` is known wherever row `at` is, as far as anybody asks.
fn hides(rows: &Rows, above: usize, at: usize, floor: &Floor) -> bool {
    rows.known_at[above] <= reach(rows, at, floor)
        && rows.sequence[above] <= rows.sequence[at].max(floor.at_sequence_from.get())
}

/// The first T at which a row is known that anybody asks about.
fn reach(rows: &Rows, at: usize, floor: &Floor) -> i64 {
    rows.known_at[at].max(floor.as_of_from.nanos())
}

/// Notes which of some versions of one row, given in order of rank, are not seen.
fn outranked(rows: &Rows, versions: &[usize], floor: &Floor, unseen: &mut [bool]) {
    // In order of rank those that are known where a row is stand just above it, and of them the
    // one that came first decides.
    let mut first: Option<usize> = None;
    for &at in versions.iter().rev() {
        first = first.filter(|&above| rows.known_at[above] <= reach(rows, at, floor));
        unseen[at] = first.is_some_and(|above| hides(rows, above, at, floor));
        first = match first {
            Some(above) if rows.sequence[above] <= rows.sequence[at] => Some(above),
            _ => Some(at),
        };
    }
}
