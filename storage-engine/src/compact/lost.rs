//! What a floor of retention lets go, as far as the directories of segments tell.
//!
//! Of the rows of one key that lie wholly at or below a floor only the last is seen. History of a
//! segment lies in it beside the rows that it lost to; where those are at or below the floor too,
//! all of it goes. Each row beside it that is younger may keep one of its key.

use std::collections::{BTreeMap, BTreeSet};

use barrow_types::{DatasetId, Sequence, SeriesId, SeriesKey, Step};

use crate::dataset::retention::Floor;
use crate::generation::Generation;
use crate::memtable::Zone;
use crate::segment::Segment;
use crate::segment::layout::ExtentKind;
use crate::snapshot::Snapshot;

/// How many rows that lost go below a floor, about: which of them are seen is not known before
/// they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// At least so many.
    pub rows_min: u64,
    /// At most so many.
    pub rows_max: u64,
    /// Bytes of those.
    pub bytes_max: u64,
}

/// One series in one segment.
#[derive(Default)]
struct Share {
    lost: Lost,
    /// Rows that lost and lie wholly at or below the floor.
    below: u64,
    /// Rows beside them that may lie above it.
    above: u64,
}

/// What goes of a segment if `floor_of` is the floor of each series.
fn of_segment(segment: &Segment, floor_of: impl Fn(SeriesId) -> Option<Floor>) -> Lost {
    let mut shares: BTreeMap<SeriesId, Share> = BTreeMap::new();
    for extent in &segment.extents {
        let Some(floor) = floor_of(extent.series) else { continue };
        let share = shares.entry(extent.series).or_default();
        let rows = u64::from(extent.rows);
        let is_below = is_below(&extent.zone, &floor);
        match extent.kind {
            ExtentKind::History if extent.zone.sequence.min <= floor.at_sequence_from.get() => {
                share.lost.rows_max += rows;
                share.lost.bytes_max += extent.byte_len();
                share.below += if is_below { rows } else { 0 };
            }
            ExtentKind::History => {}
            ExtentKind::Base | ExtentKind::Delta => share.above += if is_below { 0 } else { rows },
        }
    }
    let mut all = Lost::default();
    for Share { lost, below, above } in shares.into_values() {
        all.rows_min += below.saturating_sub(above);
        all.rows_max += lost.rows_max;
        all.bytes_max += lost.bytes_max;
    }
    all
}

fn is_below(zone: &Zone, floor: &Floor) -> bool {
    zone.known_at.max <= floor.as_of_from.nanos()
        && zone.sequence.max <= floor.at_sequence_from.get()
}

/// The floor of a series that no crash and no restore takes back.
pub(super) fn floor_in_segments(generation: &Generation, key: &SeriesKey) -> Option<Floor> {
    let set = generation.catalog.floor(key.dataset, key.step, generation.floor)?;
    (set.since <= generation.floor).then_some(set.floor)
}

/// Segments that compactions wrote, each with the last record whose floors they knew: until one
/// rises they have nothing more to lose.
#[derive(Default)]
pub(crate) struct Swept(BTreeMap<u64, Sequence>);

impl Swept {
    /// Notes what a compaction wrote; of `generation`, which has it.
    pub(crate) fn note(
        &mut self,
        generation: &Generation,
        made: impl IntoIterator<Item = u64>,
        floors_up_to: Sequence,
    ) {
        self.0.extend(made.into_iter().map(|number| (number, floors_up_to)));
        let is_live = |number: u64| generation.segments.iter().any(|live| live.number == number);
        self.0.retain(|number, _| is_live(*number));
    }

    /// The segments that may have something to lose, and how much.
    pub(super) fn unswept<'a>(
        &'a self,
        generation: &'a Generation,
    ) -> impl Iterator<Item = (&'a Segment, Lost)> {
        let floors = generation.catalog.floors(generation.floor);
        let since = floors.iter().map(|set| set.since).filter(|since| *since <= generation.floor);
        let newest = since.max();
        let is_unswept = move |segment: &&Segment| {
            let known = self.0.get(&segment.number).copied().unwrap_or(Sequence::ZERO);
            newest.is_some_and(|newest| known < newest)
        };
        let datasets: BTreeSet<DatasetId> = floors.iter().map(|set| set.dataset).collect();
        let may_lose = move |segment: &&Segment| {
            segment.extents.iter().any(|extent| {
                extent.kind == ExtentKind::History && datasets.contains(&extent.dataset)
            })
        };
        let segments = generation.segments.iter().map(AsRef::as_ref);
        let lost = |segment: &'a Segment| {
            let lost = of_segment(segment, |series| {
                let key = generation.catalog.key(series)?;
                floor_in_segments(generation, &key)
            });
            (lost.rows_max > 0).then_some((segment, lost))
        };
        segments.filter(is_unswept).filter(may_lose).filter_map(lost)
    }
}

impl Snapshot {
    /// What would go of the rows of a dataset and step that are in segments, if this was its
    /// floor.
    pub fn lost_below(&self, dataset: DatasetId, step: Step, floor: Floor) -> Lost {
        let generation = self.generation();
        let floor_of = |series: SeriesId| {
            let key = generation.catalog.key(series)?;
            (key.dataset == dataset && key.step == step).then_some(floor)
        };
        let mut all = Lost::default();
        for segment in &generation.segments {
            let lost = of_segment(segment, floor_of);
            all.rows_min += lost.rows_min;
            all.rows_max += lost.rows_max;
            all.bytes_max += lost.bytes_max;
        }
        all
    }
}
