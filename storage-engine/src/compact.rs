//! From many segments to fewer: long work as a value (plan, run on any thread, install).
//!
//! Per series the rows of all chosen segments are merged: winners go to base extents (delta extents
//! if they lie among rows of segments that were not chosen), losers to history. What no question
//! above the floor of retention sees is left out; only floors that are in segments themselves
//! count, so whatever a store is brought back to knows of the floor by which rows were dropped. A
//! series with many bytes gets a file of its own, the others share packs with their neighbours
//! of one dataset and step.

mod choose;
mod lost;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use barrow_types::{DatasetId, Sequence, SeriesId, SeriesKey, Step, Timestamp};

use crate::dataset::Schema;
use crate::dataset::retention::Floor;
use crate::disk::Disk;
use crate::error::Error;
use crate::generation::Generation;
use crate::memtable::Zone;
use crate::options::Options;
use crate::rows::Rows;
use crate::segment::layout::ExtentKind;
use crate::segment::{self, EXTENT_ROWS_MAX, Extent, Segment, Writer};
use crate::snapshot::{Scanner, Snapshot};
use crate::visible::{losers, unseen};

pub use choose::Scope;
pub(crate) use choose::choose;
pub use lost::Lost;
pub(crate) use lost::Swept;

/// A pack ends where the dataset or step changes once it has this share of its greatest length.
const PACK_SHARE: u64 = 8;

/// A compaction that was decided on: which segments become fewer.
pub struct CompactJob {
    snapshot: Snapshot,
    inputs: BTreeSet<u64>,
    shares: Vec<Share>,
    first_number: u64,
    numbers: u64,
    options: Options,
}

/// What one series brings to a compaction.
struct Share {
    series: SeriesId,
    key: Arc<SeriesKey>,
    /// The newest version that one of the extents is of.
    schema: &'static Schema,
    extents: Vec<Extent>,
    bytes: u64,
    /// From when on questions about it are answered.
    floor: Option<Floor>,
    /// Where segments that are not merged have rows of it, and whether those are history.
    others: Vec<(Zone, bool)>,
}

/// A compaction that was written and waits to be installed.
pub struct CompactDone {
    pub(crate) segments: Vec<Segment>,
    /// It knew the floors of retention up to this record.
    pub(crate) floors_up_to: Sequence,
    pub(crate) dropped: Dropped,
}

/// What was left out because no question above a floor of retention sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) rows: u64,
    /// Their share of the bytes that their series took before.
    pub(crate) bytes: u64,
}

impl CompactJob {
    /// The merging of `inputs` into files numbered from `first_number` on.
    pub(crate) fn plan(
        generation: Arc<Generation>,
        inputs: BTreeSet<u64>,
        first_number: u64,
        options: Options,
    ) -> Self {
        let chosen = generation.segments.iter().filter(|live| inputs.contains(&live.number));
        let series: BTreeSet<SeriesId> =
            chosen.flat_map(|segment| segment.extents.iter().map(|meta| meta.series)).collect();
        let mut shares: Vec<Share> =
            series.into_iter().map(|series| Share::of(&generation, series, &inputs)).collect();
        shares.sort_by_key(|share| (share.key.dataset, share.key.step, share.series));
        let own =
            shares.iter().filter(|share| share.bytes >= options.own_file_bytes).count() as u64;
        let bytes: u64 = shares.iter().map(|share| share.bytes).sum();
        let packs = 2 + bytes.saturating_mul(2 * PACK_SHARE) / options.pack_bytes_max.max(1);
        let numbers = own + packs.min(shares.len() as u64);
        let snapshot =
            Snapshot::new(generation, Sequence::new(u64::MAX), Timestamp::from_nanos(i64::MAX));
        Self { snapshot, inputs, shares, first_number, numbers, options }
    }

    /// The segments it replaces.
    pub(crate) fn inputs(&self) -> &BTreeSet<u64> {
        &self.inputs
    }

    /// How many file numbers it may use.
    pub(crate) fn numbers(&self) -> u64 {
        self.numbers
    }

    /// Bytes of the segments it replaces, without their directories.
    pub fn bytes(&self) -> u64 {
        self.shares.iter().map(|share| share.bytes).sum()
    }

    /// Merges, writes and syncs. Long; on any thread. `pace` is told of bytes as they are written;
    /// it may take its time, and may end the work.
    ///
    /// # Errors
    /// What the disk says, `Corrupt` if a block that is read is damaged, `Stopped` if `pace` ended
    /// it. Nothing that is published has changed, and no file is left.
    pub fn run(
        self,
        disk: &dyn Disk,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<CompactDone, Error> {
        let (first, end) = (self.first_number, self.first_number + self.numbers);
        let floors_up_to = self.snapshot.generation().floor;
        let mut output = Output {
            disk,
            pace,
            run: first,
            numbers: first..end,
            pack: None,
            pack_bytes_max: self.options.pack_bytes_max,
            segments: Vec::new(),
            dropped: Dropped::default(),
        };
        let done = self.shares.iter().try_for_each(|share| {
            let own = share.bytes >= self.options.own_file_bytes;
            output.add(&self.snapshot, share, own)
        });
        match done.and_then(|()| output.finish()) {
            Ok((segments, dropped)) => Ok(CompactDone { segments, floors_up_to, dropped }),
            Err(error) => {
                (first..end).for_each(|number| segment::discard(disk, number));
                Err(error)
            }
        }
    }
}

impl Share {
    fn of(generation: &Generation, series: SeriesId, inputs: &BTreeSet<u64>) -> Self {
        let key = generation.catalog.key(series).expect("invariant: extents are of known series");
        let (extents, others): (Vec<Extent>, Vec<Extent>) = generation
            .extents(series)
            .iter()
            .cloned()
            .partition(|extent| inputs.contains(&extent.segment.number));
        let version = extents.iter().map(|extent| extent.meta().schema_version).max();
        let schema = version.and_then(|it| generation.catalog.schema_of(key.dataset, it));
        let schema = schema.expect("invariant: what is in segments was defined before");
        let bytes = extents.iter().map(|extent| extent.meta().byte_len()).sum();
        let others = others.iter().map(|extent| (extent.meta().zone, extent.is_history()));
        let others = others.collect();
        let floor = lost::floor_in_segments(generation, &key);
        Self { series, key, schema, extents, bytes, floor, others }
    }

    /// How many rows are merged.
    fn rows(&self) -> u64 {
        self.extents.iter().map(|extent| u64::from(extent.meta().rows)).sum()
    }

    /// The first and the last `ts` of the rows that are merged.
    fn ends(&self) -> (i64, i64) {
        let spans = self.extents.iter().map(|extent| extent.meta().zone.ts);
        let spans = spans.map(|ts| (ts.min, ts.max));
        let ends = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        ends.expect("invariant: a share has an extent")
    }

    /// Those of its rows that some question sees.
    fn seen(&self, rows: Rows) -> Rows {
        let Some(floor) = &self.floor else { return rows };
        let has_all = |ts, sequences| self.has_all(ts, sequences);
        let unseen = unseen(self.schema, &rows, floor, self.ends(), has_all);
        if !unseen.contains(&true) {
            return rows;
        }
        let places = (0..crate::bytes::u32_len(rows.len())).filter(|&at| !unseen[at as usize]);
        rows.take(&places.collect::<Vec<_>>())
    }

    /// Whether all rows of a `ts` that came with these sequences are merged.
    fn has_all(&self, ts: i64, sequences: RangeInclusive<u64>) -> bool {
        !self.others.iter().any(|(zone, _)| {
            (zone.ts.min..=zone.ts.max).contains(&ts)
                && zone.sequence.min <= *sequences.end()
                && zone.sequence.max >= *sequences.start()
        })
    }
}

/// The files in the making.
struct Output<'a> {
    disk: &'a dyn Disk,
    pace: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    run: u64,
    numbers: std::ops::Range<u64>,
    /// The pack that is open, and what the last series in it was of.
    pack: Option<(Writer<'a>, DatasetId, Step)>,
    pack_bytes_max: u64,
    segments: Vec<Segment>,
    dropped: Dropped,
}

impl<'a> Output<'a> {
    fn add(&mut self, snapshot: &Snapshot, share: &Share, own: bool) -> Result<(), Error> {
        let (dataset, step) = (share.key.dataset, share.key.step);
        let mut writer = match self.pack.take() {
            Some(pack) if own => {
                self.pack = Some(pack);
                self.begin()?
            }
            Some((writer, was_dataset, was_step)) => {
                let full = writer.len() >= self.pack_bytes_max;
                let grid_ends = (was_dataset, was_step) != (dataset, step)
                    && writer.len() >= self.pack_bytes_max / PACK_SHARE;
                if (full || grid_ends) && !self.numbers.is_empty() {
                    self.segments.push(writer.seal()?);
                    self.begin()?
                } else {
                    writer
                }
            }
            None => self.begin()?,
        };
        self.merge(snapshot, share, &mut writer)?;
        if own {
            self.segments.push(writer.seal()?);
        } else {
            self.pack = Some((writer, dataset, step));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Writer<'a>, Error> {
        let number = self.numbers.next().expect("invariant: the plan counted the files");
        Writer::new(self.disk, number, self.run)
    }

    fn merge(
        &mut self,
        snapshot: &Snapshot,
        share: &Share,
        writer: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let schema = share.schema;
        let mut scanner =
            Scanner::of_extents(snapshot.clone(), share.series, schema, &share.extents)?;
        let mut parts: BTreeMap<Part, Rows> = BTreeMap::new();
        let mut dropped = 0;
        while let Some(rows) = scanner.next()? {
            let before = rows.len();
            let rows = share.seen(rows);
            dropped += (before - rows.len()) as u64;
            let losers = losers(schema, &rows, |ts, sequences| share.has_all(ts, sequences));
            for (part, lost) in [(Part::Winners, false), (Part::Losers, true)] {
                let places: Vec<u32> = (0..crate::bytes::u32_len(rows.len()))
                    .filter(|&at| losers[at as usize] == lost)
                    .collect();
                if places.is_empty() {
                    continue;
                }
                let kept = parts.entry(part).or_insert_with(|| Rows::empty(schema.kinds()));
                if places.len() == rows.len() {
                    kept.extend_from(&rows);
                } else {
                    kept.extend_from(&rows.take(&places));
                }
                self.write(share, schema, part, kept, EXTENT_ROWS_MAX, writer)?;
            }
        }
        for (part, mut rows) in parts {
            self.write(share, schema, part, &mut rows, 1, writer)?;
        }
        self.dropped.rows += dropped;
        let bytes = u128::from(share.bytes) * u128::from(dropped) / u128::from(share.rows().max(1));
        self.dropped.bytes += u64::try_from(bytes).expect("invariant: no more than there were");
        Ok(())
    }

    /// Writes `rows` in extents as long as there are `least`, and takes them away.
    fn write(
        &mut self,
        share: &Share,
        schema: &Schema,
        part: Part,
        rows: &mut Rows,
        least: usize,
        writer: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let mut start = 0;
        while rows.len() - start >= least {
            let end = (start + EXTENT_ROWS_MAX).min(rows.len());
            let extent = rows.slice(start..end);
            let kind = part.kind(share, extent.ts[0], extent.ts[extent.len() - 1]);
            let before = writer.len();
            writer.add(share.series, share.key.step, schema, kind, &extent)?;
            if (self.pace)(writer.len() - before).is_break() {
                return Err(Error::stopped("the compaction was stopped; nothing has changed"));
            }
            start = end;
        }
        *rows = rows.slice(start..rows.len());
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<Segment>, Dropped), Error> {
        if let Some((writer, ..)) = self.pack.take() {
            self.segments.push(writer.seal()?);
        }
        self.disk.sync_dir(segment::DIR)?;
        Ok((self.segments, self.dropped))
    }
}

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Winners,
    Losers,
}

impl Part {
    fn kind(self, share: &Share, first: i64, last: i64) -> ExtentKind {
        let among_others = share
            .others
            .iter()
            .any(|(zone, is_history)| !is_history && zone.ts.min <= last && zone.ts.max >= first);
        match self {
            Self::Losers => ExtentKind::History,
            Self::Winners if among_others => ExtentKind::Delta,
            Self::Winners => ExtentKind::Base,
        }
    }
}
