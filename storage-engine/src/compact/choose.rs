//! Which segments are merged: size-tiered.
//!
//! A *run* is what one flush or one compaction wrote. Its shared files (*packs*) count together:
//! when [`Options::compact_fan_out`] runs of one size are there, they are merged into one of the
//! next size, so that a row is written again about once for each size. A series that has grown past
//! [`Options::own_file_bytes`] has files of its own, and they are merged by the same rule among
//! themselves: the others are not rewritten with it.
//!
//! Where nothing is due by that rule, segments are of which a good part can no longer be asked for
//! since a floor of retention rose.

use std::collections::{BTreeMap, BTreeSet};

use barrow_types::SeriesId;

use crate::generation::Generation;
use crate::options::Options;
use crate::segment::Segment;

use super::lost::Swept;

/// Bytes that one compaction of own files, or because of retention, reads, at most about: so that
/// it ends.
const PASS_BYTES_MAX: u64 = 4 << 30;

/// A segment is due because of retention if at least one in so many of its rows goes.
const LOST_SHARE: u64 = 4;

/// How much to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What is due by the rule.
    Due,
    /// Everything that is not in one place yet.
    All,
}

/// The segments to merge; `None` if there is nothing to do.
pub(crate) fn choose(
    generation: &Generation,
    options: &Options,
    scope: Scope,
    swept: &Swept,
) -> Option<BTreeSet<u64>> {
    let sorted = Sorted::new(generation, options);
    let some = |inputs: &BTreeSet<u64>| !inputs.is_empty();
    match scope {
        Scope::Due => sorted
            .due_packs(options)
            .or_else(|| sorted.due_own_files(options).filter(some))
            .or_else(|| due_for_retention(generation, swept)),
        Scope::All => sorted.all(options).map(|mut inputs| {
            inputs.extend(swept.unswept(generation).map(|(segment, _)| segment.number));
            inputs
        }),
    }
    .filter(some)
}

/// Segments of which many rows go.
fn due_for_retention(generation: &Generation, swept: &Swept) -> Option<BTreeSet<u64>> {
    let mut inputs = BTreeSet::new();
    let mut bytes = 0;
    for (segment, lost) in swept.unswept(generation) {
        let rows: u64 = segment.extents.iter().map(|extent| u64::from(extent.rows)).sum();
        if lost.rows_min.saturating_mul(LOST_SHARE) < rows || lost.rows_min == 0 {
            continue;
        }
        inputs.insert(segment.number);
        bytes += segment.len;
        if bytes >= PASS_BYTES_MAX {
            break;
        }
    }
    Some(inputs)
}

/// The live segments by what they are.
struct Sorted<'a> {
    /// Packs by run.
    runs: BTreeMap<u64, Vec<&'a Segment>>,
    /// Own files by series.
    own: BTreeMap<SeriesId, Vec<&'a Segment>>,
}

impl<'a> Sorted<'a> {
    fn new(generation: &'a Generation, options: &Options) -> Self {
        let mut sorted = Self { runs: BTreeMap::new(), own: BTreeMap::new() };
        for segment in generation.segments.iter().map(AsRef::as_ref) {
            match segment.extents.first() {
                Some(first) if segment.is_own_file() && segment.len >= options.own_file_bytes => {
                    sorted.own.entry(first.series).or_default().push(segment);
                }
                _ => sorted.runs.entry(segment.run).or_default().push(segment),
            }
        }
        sorted
    }

    fn due_packs(&self, options: &Options) -> Option<BTreeSet<u64>> {
        let sized = self.runs.values().map(|packs| {
            (packs.iter().map(|pack| pack.len).sum(), packs.iter().map(|pack| pack.number))
        });
        let first = options.compact_first_bytes;
        let numbers = first_full_tier(sized, first, options.compact_fan_out)?;
        Some(numbers.into_iter().flatten().collect())
    }

    fn due_own_files(&self, options: &Options) -> Option<BTreeSet<u64>> {
        let mut inputs = BTreeSet::new();
        let mut bytes = 0;
        for files in self.own.values() {
            let sized = files.iter().map(|file| (file.len, *file));
            let first = options.own_file_bytes.saturating_mul(2);
            let full = first_full_tier(sized, first, options.compact_fan_out);
            for file in full.into_iter().flatten() {
                inputs.insert(file.number);
                bytes += file.len;
            }
            if bytes >= PASS_BYTES_MAX {
                break;
            }
        }
        Some(inputs)
    }

    fn all(&self, options: &Options) -> Option<BTreeSet<u64>> {
        let packs = || self.runs.values().flatten();
        let in_packs: BTreeSet<SeriesId> =
            packs().flat_map(|pack| pack.extents.iter().map(|extent| extent.series)).collect();
        let mut inputs: BTreeSet<u64> = BTreeSet::new();
        let mut also_in_packs = false;
        for (series, files) in &self.own {
            let shared = in_packs.contains(series);
            also_in_packs |= shared;
            if shared || files.len() > 1 {
                inputs.extend(files.iter().map(|file| file.number));
            }
        }
        let grown = packs().any(|pack| has_grown_series(pack, options.own_file_bytes));
        if self.runs.len() > 1 || also_in_packs || grown {
            inputs.extend(packs().map(|pack| pack.number));
        }
        Some(inputs)
    }
}

/// Whether a pack holds a series that should have a file of its own.
fn has_grown_series(pack: &Segment, own_file_bytes: u64) -> bool {
    let mut bytes: BTreeMap<SeriesId, u64> = BTreeMap::new();
    for extent in &pack.extents {
        *bytes.entry(extent.series).or_default() += extent.byte_len();
    }
    bytes.len() > 1 && bytes.values().any(|&bytes| bytes >= own_file_bytes)
}

/// All of the smallest size of which there are at least `fan_out`: the first size ends at `first`
/// bytes, each further one at `fan_out` times as much.
fn first_full_tier<T>(
    sized: impl Iterator<Item = (u64, T)>,
    first: u64,
    fan_out: u32,
) -> Option<Vec<T>> {
    let mut tiers: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for (bytes, item) in sized {
        let times = bytes.saturating_sub(1) / first.max(1);
        let tier = times.checked_ilog(u64::from(fan_out)).map_or(0, |size| size + 1);
        tiers.entry(tier).or_default().push(item);
    }
    tiers.into_values().find(|tier| tier.len() >= fan_out as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(bytes: &[u64]) -> Option<Vec<u64>> {
        first_full_tier(bytes.iter().map(|&bytes| (bytes, bytes)), 100, 4)
    }

    #[test]
    fn runs_of_one_size_are_merged_and_others_left_alone() {
        assert_eq!(full(&[1, 50, 100, 101]), None);
        assert_eq!(full(&[1, 50, 100, 101, 99]), Some(vec![1, 50, 100, 99]));
        assert_eq!(full(&[101, 200, 399, 400, 401]), Some(vec![101, 200, 399, 400]));
        assert_eq!(full(&[401, 1600, 1601, 900, 1000]), Some(vec![401, 1600, 900, 1000]));
    }
}
