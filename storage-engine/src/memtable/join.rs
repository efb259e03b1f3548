//! Joining small runs, so that n commits of a row leave about log(n) runs of a series.
//!
//! Runs are sorted into tiers by the logarithm of their length; when the newest runs that are not
//! above one tier are [`FAN_IN`], they become one. Runs of many series are joined at one time into
//! rows that they share, so that it costs little more than copying the rows.

use std::ops::Range;

use barrow_types::{Sequence, SeriesId};

use super::run::{Run, Summary, in_order, merge};
use crate::rows::{Column, ColumnType, Rows};

/// Runs of one tier that become one.
const FAN_IN: usize = 8;
/// Runs of more rows than this are not made.
const RUN_ROWS_MAX: usize = 65_536;
/// Rows that are joined at one time, at most about.
const JOINED_ROWS_MAX: usize = 4 * RUN_ROWS_MAX;

/// From where on `runs` are to be joined, if so; never across `floor`.
pub(super) fn first_to_join(runs: &[Run], floor: Sequence) -> Option<usize> {
    let movable = |at: usize| runs[at].zone.sequence.min > floor.get();
    if runs.len() < FAN_IN || !movable(runs.len() - FAN_IN) {
        return None;
    }
    first_of_lens(runs.len(), |at| if movable(at) { runs[at].len() } else { RUN_ROWS_MAX })
}

/// The same for so many runs of these lengths.
fn first_of_lens(count: usize, len_of: impl Fn(usize) -> usize) -> Option<usize> {
    let tier = |len: usize| len.ilog(FAN_IN);
    let (mut first, mut joined) = (count - 1, len_of(count - 1));
    let mut found = None;
    loop {
        let (mut start, mut len) = (first, joined);
        while start > 0 {
            let before = len_of(start - 1);
            if tier(before) > tier(joined) || len + before > RUN_ROWS_MAX {
                break;
            }
            start -= 1;
            len += before;
        }
        if first - start + 1 < FAN_IN {
            return found;
        }
        found = Some(start);
        (first, joined) = (start, len);
    }
}

/// Runs on their way to be joined.
#[derive(Default)]
pub(super) struct Joins {
    /// Rows of one set of columns each.
    parts: Vec<Part>,
    len: usize,
}

/// Joined rows with the same columns.
pub(super) struct Part {
    pub(super) rows: Rows,
    pub(super) of_series: Vec<Joined>,
}

/// What replaces some runs of a series.
pub(super) struct Joined {
    pub(super) series: SeriesId,
    /// How many runs there are before them.
    pub(super) from: usize,
    /// Its rows.
    pub(super) range: Range<usize>,
    pub(super) summary: Summary,
}

impl Joins {
    /// Adds the runs of a series from number `from` on.
    pub(super) fn add(&mut self, series: SeriesId, from: usize, runs: &[Run]) {
        // Runs come oldest first, and no version of a table has fewer columns than one before it.
        let newest = runs.last().expect("invariant: there are runs to join");
        let columns = &newest.rows().columns;
        let kinds = |columns: &[Column]| columns.iter().map(Column::kind).collect::<Vec<_>>();
        let kinds_of: Vec<ColumnType> = kinds(columns);
        let place = self.parts.iter().position(|part| kinds(&part.rows.columns) == kinds_of);
        let place = place.unwrap_or_else(|| {
            let rows = Rows::empty(kinds_of.iter().copied());
            self.parts.push(Part { rows, of_series: Vec::new() });
            self.parts.len() - 1
        });
        let part = &mut self.parts[place];
        let start = part.rows.len();
        if in_order(runs) {
            for run in runs {
                part.rows.extend_range(run.rows(), run.range());
            }
        } else {
            part.rows.extend_from(&merge(runs, kinds_of));
        }
        let range = start..part.rows.len();
        self.len += range.len();
        let summary = Summary::of_all(runs);
        part.of_series.push(Joined { series, from, range, summary });
    }

    /// Whether it is time to install what was joined.
    pub(super) const fn is_large(&self) -> bool {
        self.len >= JOINED_ROWS_MAX
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_tier_are_joined_and_what_comes_of_it_with_its_like() {
        let check = |lens: &[usize], first| {
            assert_eq!(first_of_lens(lens.len(), |at| lens[at]), first, "{lens:?}");
        };
        check(&[1; 7], None);
        check(&[1; 8], Some(0));
        check(&[64, 1, 1, 1, 1, 1, 1, 1], None);
        check(&[64, 1, 1, 1, 1, 1, 1, 1, 1], Some(1));
        check(&[8, 8, 8, 8, 8, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1], Some(0));
        check(&[1, 9, 1, 9, 1, 9, 1, 9], Some(0));
        check(&[RUN_ROWS_MAX, 1, 1, 1, 1, 1, 1, 1, 1], Some(1));
        check(&[RUN_ROWS_MAX; 9], None);
    }
}
