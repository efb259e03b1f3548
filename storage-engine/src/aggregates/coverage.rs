//! How much of a bar its finer slots cover.

use barrow_types::Step;

use crate::calendar::Stretch;

use super::bars::{Bucket, Fine, Folded, Part};

/// What is known of finer slots.
pub(super) struct Finer<'a> {
    pub(super) rows: &'a Fine,
    pub(super) step: Step,
    /// The expected ones.
    pub(super) stretches: &'a [Stretch],
    /// When those begin that have only quarantined rows; ascending.
    pub(super) blocked: &'a [i64],
}

/// Of each bar the share of its finer expected slots that have a row or are covered without one;
/// `is_covered` says of a slot without one whether it is, knowing whether it has quarantined ones.
pub(super) fn coverage(
    folded: &Folded,
    finer: &Finer<'_>,
    buckets: &[Bucket],
    is_covered: impl Fn(&Stretch, u32, bool) -> bool,
) -> Vec<f64> {
    let Finer { rows, step, stretches, blocked } = *finer;
    let begins = rows.begins.as_deref().unwrap_or(&rows.rows.ts);
    let share = |part: &Part| {
        let Bucket { start, end, .. } = buckets[part.bucket as usize];
        let rows = &begins[part.rows()];
        let is_before = |stretch: &Stretch| stretch.begin_of(stretch.count - 1) < start;
        let next = stretches.partition_point(is_before);
        let (mut slots, mut covered) = (0_u32, 0_u32);
        for stretch in stretches[next..].iter().take_while(|of| of.begin_of(0) < end) {
            for place in first_from(step, stretch, start)..stretch.count {
                let begin = stretch.begin_of(place);
                if begin >= end {
                    break;
                }
                slots += 1;
                let is_there = rows.binary_search(&begin).is_ok();
                let is_covered =
                    is_there || is_covered(stretch, place, blocked.binary_search(&begin).is_ok());
                covered += u32::from(is_covered);
            }
        }
        f64::from(covered) / f64::from(slots)
    };
    folded.parts.iter().map(share).collect()
}

/// The first slot of a stretch that begins at `begin` or later.
fn first_from(step: Step, stretch: &Stretch, begin: i64) -> u32 {
    if begin <= stretch.begin_of(0) {
        return 0;
    }
    let before = begin - stretch.first_start;
    match step.width() {
        Some(width) if !step.is_dated() => {
            let whole = before / width.get() + i64::from(before % width.get() != 0);
            u32::try_from(whole).unwrap_or(stretch.count)
        }
        _ => 1,
    }
}
