//! Verifying a store that is open, a step at a time.

use std::cmp::Ordering;
use std::sync::Arc;

use barrow_types::{DatasetId, SeriesId};

use crate::curate::{LiveTiles, NextTiles};
use crate::gaps::{LiveMasks, NextMask, Verified};
use crate::segment::layout::ExtentMeta;
use crate::segment::{Extent, Segment};
use crate::snapshot::Snapshot;

use super::{VerifyReport, check_extent, check_file, check_order};

/// Checks the segments, masks and tiles that `snapshot` reads, of a store that is open.
pub fn verify_live(snapshot: &Snapshot) -> VerifyReport {
    let mut verifier = Verifier::new(snapshot, VerifyPlace::default());
    while verifier.step() == Stepped::Checked {}
    verifier.take_report()
}

/// How far a [`Verifier`] is: all parts before `part` are done, and of this one what lies before
/// (`first`, `second`). It stays true when the store is opened again, for numbers of segments rise,
/// what is sealed stays as it is, and masks and tiles are in the order of what they are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyPlace {
    /// Which part.
    pub part: u64,
    /// In the part of segments the number of one, in those of masks and tiles the number of a
    /// series.
    pub first: u64,
    /// In the part of segments an extent of this one, in that of masks a block of slots.
    pub second: u64,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// It checked something.
    Checked,
    /// Masks or tiles were written anew, of rows that the verifier's snapshot does not know. A
    /// verifier of a newer one goes on from the same place.
    Outdated,
    /// Everything is checked.
    Done,
}

/// What comes behind a step of a part.
enum Next {
    /// This place of it.
    At(u64, u64),
    /// See [`Stepped::Outdated`].
    Outdated,
    /// The next part.
    End,
}

/// A part of a verification: checks what comes next at a place of it, and says where to go on.
type Part = fn(&mut Verifier, u64, u64) -> Next;

/// What is verified of a store that is open. Places in this list are kept by those who go on later:
/// add at the end.
const PARTS: [Part; 4] =
    [Verifier::next_extent, Verifier::order, Verifier::next_mask, Verifier::next_tiles];
/// Places in [`PARTS`].
const SEGMENTS: u64 = 0;
const MASKS: u64 = 2;
const TILES: u64 = 3;

/// Checks a store that is open in small steps, so that others may stop it between two of them,
/// look how far it is, and go on from a place it was at.
pub struct Verifier {
    snapshot: Snapshot,
    /// In order of their numbers.
    segments: Vec<Arc<Segment>>,
    masks: LiveMasks,
    tiles: LiveTiles,
    place: VerifyPlace,
    report: VerifyReport,
}

impl Verifier {
    /// Goes on from `place`; the default is the beginning. Of `snapshot` it keeps what is in
    /// segments.
    pub fn new(snapshot: &Snapshot, place: VerifyPlace) -> Self {
        let generation = snapshot.generation().in_segments();
        let floor = generation.floor;
        let snapshot = Snapshot::new(Arc::new(generation), floor, snapshot.now());
        let mut segments: Vec<_> = snapshot.generation().segments.to_vec();
        segments.sort_unstable_by_key(|segment| segment.number);
        let (masks, tiles, report) = Default::default();
        Self { snapshot, segments, masks, tiles, place, report }
    }

    /// Checks one extent or mask, or the tiles of a series, or as much of another part.
    pub fn step(&mut self) -> Stepped {
        let VerifyPlace { part, first, second } = self.place;
        let Some(check) = usize::try_from(part).ok().and_then(|part| PARTS.get(part)) else {
            return Stepped::Done;
        };
        self.place = match check(self, first, second) {
            Next::At(first, second) => VerifyPlace { part, first, second },
            Next::Outdated => return Stepped::Outdated,
            Next::End => VerifyPlace { part: part + 1, ..VerifyPlace::default() },
        };
        Stepped::Checked
    }

    /// How far it is.
    pub const fn place(&self) -> VerifyPlace {
        self.place
    }

    /// How far it is, from 0 to 1, by bytes that are read: those of bars once more for their masks,
    /// and for tiles.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn progress(&self) -> f64 {
        let VerifyPlace { part, first, second } = self.place;
        let (mut before, mut segments, mut bars) = (0, 0, 0);
        for segment in &self.segments {
            segments += segment.len;
            before += match segment.number.cmp(&first) {
                Ordering::Less => segment.len,
                Ordering::Equal => {
                    let before = usize::try_from(second).unwrap_or(usize::MAX);
                    segment.extents.iter().take(before).map(ExtentMeta::byte_len).sum()
                }
                Ordering::Greater => 0,
            };
            let of_bars = segment.extents.iter().filter(|meta| meta.dataset == DatasetId::BARS);
            bars += of_bars.map(ExtentMeta::byte_len).sum::<u64>();
        }
        // Before their part it only says whether there are any.
        let masks = LiveMasks::share_before(&self.snapshot, mask_at(first, second));
        let tiles = LiveTiles::share_before(&self.snapshot, series_at(first));
        let for_masks = masks.map_or(0.0, |_| bars as f64);
        let for_tiles = tiles.map_or(0.0, |_| bars as f64);
        let segments = segments as f64;
        let done = match part {
            SEGMENTS => before as f64,
            MASKS => segments + for_masks * masks.unwrap_or(1.0),
            TILES => segments + for_masks + for_tiles * tiles.unwrap_or(1.0),
            _ if part < MASKS => segments,
            _ => return 1.0,
        };
        done / (segments + for_masks + for_tiles).max(1.0)
    }

    /// What was read and found since it was last taken.
    pub fn take_report(&mut self) -> VerifyReport {
        std::mem::take(&mut self.report)
    }

    /// Extent `place` of segment `number`, or the first of the next segment.
    fn next_extent(&mut self, number: u64, place: u64) -> Next {
        let at = self.segments.partition_point(|segment| segment.number < number);
        let Some(segment) = self.segments.get(at) else { return Next::End };
        // The one that was being read is gone, merged into another.
        let place = if segment.number == number { place } else { 0 };
        let generation = self.snapshot.generation();
        if place == 0 {
            check_file(generation, segment, &mut self.report);
        }
        let extents = segment.extents.len() as u64;
        if place < extents {
            let place = usize::try_from(place).expect("invariant: fewer than extents in memory");
            let extent = Extent { segment: Arc::clone(segment), place };
            check_extent(generation, &extent, &mut self.report);
        }
        if place + 1 < extents {
            Next::At(segment.number, place + 1)
        } else {
            Next::At(segment.number + 1, 0)
        }
    }

    fn order(&mut self, _: u64, _: u64) -> Next {
        check_order(self.snapshot.generation(), &mut self.report);
        Next::End
    }

    /// The mask of that block of that series, or the first behind it.
    fn next_mask(&mut self, series: u64, block: u64) -> Next {
        let mut verified = Verified::default();
        let from = mask_at(series, block);
        let next = self.masks.check_next(&self.snapshot, from, &mut verified);
        self.report.add(verified);
        match next {
            NextMask::From(series, block) => Next::At(series.get().into(), place_of(block)),
            NextMask::Outdated => Next::Outdated,
            NextMask::None => Next::End,
        }
    }

    /// The tiles of that series, or of the first behind it.
    fn next_tiles(&mut self, series: u64, _: u64) -> Next {
        let mut verified = Verified::default();
        let next = self.tiles.check_next(&self.snapshot, series_at(series), &mut verified);
        self.report.add(verified);
        match next {
            NextTiles::From(series) => Next::At(series.get().into(), 0),
            NextTiles::Outdated => Next::Outdated,
            NextTiles::None => Next::End,
        }
    }
}

/// The series at a place.
fn series_at(place: u64) -> SeriesId {
    SeriesId::new(u32::try_from(place).unwrap_or(u32::MAX))
}

/// The mask at a place: blocks are numbered there from the first that there can be.
fn mask_at(series: u64, block: u64) -> (SeriesId, i64) {
    (series_at(series), (block ^ (1 << 63)).cast_signed())
}

/// The inverse of [`mask_at`] for blocks.
const fn place_of(block: i64) -> u64 {
    block.cast_unsigned() ^ (1 << 63)
}
