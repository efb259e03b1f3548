//! From rows to a file of tiles: long work as a value (plan, run on any thread, install).
//!
//! The tiles are of the rows in segments: those up to the generation's floor, which no crash takes
//! back. What an older file says of a block into which nothing came since is taken from it, and of
//! others only the sessions that changed are made anew. Bars of minutes and longer are kept, with
//! regular hours, as their source aligns its own; all others are made when somebody asks.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_types::{DatasetId, PriceSide, Sequence, SeriesId, SessionSet, Step, Timestamp};

use crate::aggregates::tile_file::{self, Block, ENTRY_LEN, Entry, KIND};
use crate::aggregates::{Inspector, Maker, Memo, Reasons, StoredTiles, Subjects, ticks_of};
use crate::calendar::{Calendar, SlotGrid, day_of};
use crate::derived::{self, Header, Output};
use crate::disk::Disk;
use crate::error::{Error, ErrorKind};
use crate::gaps::FactsAt;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use super::calendar_of;
use super::candidates::{Candidate, Wanted, candidates};

/// Most bytes of a file. What does not fit is made when it is asked for: the longer bars come
/// first, because more rows have to be read for them.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes that a bar takes in a file, about.
const BAR_BYTES: u64 = 24;
/// Sessions lie at most so many days around the dates of their rows.
const DAYS_AROUND: i32 = 2;

/// Tiles to be written.
pub struct TilesJob {
    /// Of everything that is in segments.
    snapshot: Snapshot,
    number: u64,
    instance: [u8; 16],
}

/// Tiles that were written and wait to be installed.
pub struct TilesDone {
    pub(crate) stored: StoredTiles,
}

impl TilesJob {
    /// The tiles of `snapshot`, which holds what is in segments; `None` if there is nothing of
    /// which bars are made.
    pub(crate) fn plan(snapshot: Snapshot, number: u64, instance: [u8; 16]) -> Option<Self> {
        let generation = snapshot.generation();
        let is_there = |dataset| {
            let all = generation.catalog.list(dataset, None, snapshot.sequence());
            all.into_iter().any(|(series, _)| !generation.extents(series).is_empty())
        };
        let is_any = [DatasetId::BARS, DatasetId::TRADES].into_iter().any(is_there);
        is_any.then_some(Self { snapshot, number, instance })
    }

    /// Makes, writes and syncs the file. Long; on any thread. `pace` is asked after each block of a
    /// series: it may take its time, and may end the work.
    ///
    /// # Errors
    /// What the disk says, `Corrupt` if a block that is read is damaged, `Stopped` if `pace` ended
    /// it. Nothing has changed, and no file is left.
    pub fn run(
        self,
        disk: &dyn Disk,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<TilesDone, Error> {
        let number = self.number;
        self.write(disk, pace).inspect_err(|_| derived::discard(disk, &KIND.path(number)))
    }

    fn write(
        self,
        disk: &dyn Disk,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<TilesDone, Error> {
        let Self { snapshot, number, instance } = self;
        let header = Header { instance, sequence: snapshot.sequence().get() };
        let makers = Makers::new(&snapshot, snapshot.sequence(), true)?;
        let steps = affordable(&makers);
        let mut output = Output::begin(disk, KIND, KIND.path(number), &header)?;
        let mut entries: Vec<Entry> = Vec::new();
        'units: for unit in makers.units() {
            let memo = Memo::default();
            let maker = makers.maker(&unit, Some(&memo));
            for step in maker.steps_of(unit.series) {
                if !steps.contains(&step) {
                    continue;
                }
                let grid = unit.grid(&maker, step);
                let made = maker.tile_of_block(grid, unit.series, unit.block)?;
                let Some((entry, bytes)) = made else { continue };
                let index_len = (entries.len() + 1) * ENTRY_LEN;
                if output.len() + (bytes.len() + index_len) as u64 > FILE_BYTES_MAX {
                    break 'units;
                }
                entries.push(Entry { at: output.add(&bytes)?, ..entry });
            }
            if pace().is_break() {
                return Err(Error::stopped("the writing of tiles was stopped"));
            }
        }
        let len = output.seal(&tile_file::encode_index(&entries))?;
        Ok(TilesDone { stored: StoredTiles::new(number, len, header, entries) })
    }
}

/// The steps of which tiles fit a file, about.
fn affordable(makers: &Makers) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut bytes = 0;
    for step in Step::ALL.into_iter().rev() {
        let Some(width) = step.width() else { continue };
        let bars = makers.raw().map(|(raw, rows, span)| match raw.width() {
            Some(raw) if raw.get() > 0 => {
                rows * raw.get().unsigned_abs() / width.get().unsigned_abs()
            }
            _ => rows.min(span / width.get().unsigned_abs()),
        });
        bytes += bars.sum::<u64>() * BAR_BYTES;
        if bytes > FILE_BYTES_MAX {
            break;
        }
        steps.push(step);
    }
    steps
}

/// An instrument and what delivers bars of it.
struct Owner {
    side: PriceSide,
    calendar: Option<Arc<Calendar>>,
    inspector: Inspector,
    reasons: Reasons,
    candidates: Vec<Candidate>,
}

/// A raw series in a block, and whose bars are made of it.
pub(super) struct Unit {
    pub(super) series: SeriesId,
    pub(super) side: PriceSide,
    pub(super) block: Block,
    owner: usize,
    candidate: usize,
}

impl Unit {
    pub(super) fn grid(&self, maker: &Maker<'_>, step: Step) -> SlotGrid {
        SlotGrid { step, session: SessionSet::Regular, align: maker.lineage.align }
    }
}

/// All that bars are made for, when all up to a record is known.
pub(super) struct Makers {
    snapshot: Snapshot,
    sequence: Sequence,
    /// Whether bars that were made before are taken.
    remembers: bool,
    owners: Vec<Owner>,
}

impl Makers {
    pub(super) fn new(
        snapshot: &Snapshot,
        sequence: Sequence,
        remembers: bool,
    ) -> Result<Self, Error> {
        let at = FactsAt { snapshot, as_of: None, at_sequence: Some(sequence) };
        let reference = Reference::at(snapshot, None, Some(sequence))?;
        let mut instruments: BTreeSet<(Arc<str>, PriceSide)> = BTreeSet::new();
        for dataset in [DatasetId::BARS, DatasetId::TRADES] {
            for (_, key) in snapshot.generation().catalog.list(dataset, None, sequence) {
                let bound = reference.bindings(key.source.as_str(), key.symbol.as_str());
                let bound = bound.iter().filter_map(|(_, instrument)| instrument.clone());
                let all = bound.chain([Arc::from(key.symbol.as_str())]);
                instruments.extend(all.map(|instrument| (instrument, key.side)));
            }
        }
        let mut owners = Vec::new();
        for (instrument, side) in instruments {
            let wanted = Wanted {
                instrument: &instrument,
                step: Step::D1,
                side,
                range: (i64::MIN, i64::MAX),
                as_of: None,
                at_sequence: Some(sequence),
                source: None,
            };
            let of_it = || -> Result<Owner, Error> {
                let candidates = candidates(snapshot, &reference, &wanted)?;
                let calendar = calendar_of(&reference, &instrument, Timestamp::MAX)?;
                let ticks = ticks_of(side);
                let inspector =
                    Inspector::new(&reference, &instrument, calendar.clone(), Some(ticks));
                let subjects = Subjects {
                    facts: at,
                    reference: &reference,
                    instrument: &instrument,
                    side,
                    range: (0, 0),
                    due: Timestamp::MAX,
                };
                let reasons = Reasons::of_nobody(&subjects)?;
                Ok(Owner { side, calendar, inspector, reasons, candidates })
            };
            match of_it() {
                Ok(owner) => owners.push(owner),
                // A question about it is refused, too.
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { snapshot: snapshot.clone(), sequence, remembers, owners })
    }

    /// The series of which tiles are written: each with its owner and candidate.
    fn series(&self) -> impl Iterator<Item = (usize, usize, Step, SeriesId)> {
        self.owners.iter().enumerate().flat_map(|(owner, of)| {
            of.candidates.iter().enumerate().flat_map(move |(candidate, it)| {
                // Quotes come in numbers that few ask for as bars.
                let is_kept = |(step, _): &(Step, SeriesId)| {
                    *step != Step::Tick || of.side == PriceSide::Trade
                };
                let all = it.lineage.all().filter(is_kept);
                all.map(move |(step, series)| (owner, candidate, step, series))
            })
        })
    }

    /// Step, rows and span in nanoseconds of each series.
    fn raw(&self) -> impl Iterator<Item = (Step, u64, u64)> {
        let generation = self.snapshot.generation();
        self.series().map(|(_, _, step, series)| {
            let extents = generation.extents(series).iter();
            let of = extents.map(|extent| {
                let meta = extent.meta();
                (u64::from(meta.rows), meta.zone.ts.max.abs_diff(meta.zone.ts.min))
            });
            let (rows, span) = of.fold((0, 0), |all, of| (all.0 + of.0, all.1 + of.1));
            (step, rows, span)
        })
    }

    /// What there are tiles of, in the order of a file.
    pub(super) fn units(&self) -> Vec<Unit> {
        let generation = self.snapshot.generation();
        let mut units: Vec<Unit> = Vec::new();
        for (owner, candidate, _, series) in self.series() {
            let of = &self.owners[owner];
            let mut blocks: BTreeSet<Block> = BTreeSet::new();
            for extent in generation.extents(series) {
                let ts = extent.meta().zone.ts;
                let first = Block::of(day_of(ts.min) - DAYS_AROUND);
                let last = Block::of(day_of(ts.max) + DAYS_AROUND);
                blocks.extend((first.get()..=last.get()).map(Block::new));
            }
            let bound = &of.candidates[candidate].bound;
            let is_bound = |block: &Block| {
                let range = block.instants();
                bound.touch(range.start, range.end)
            };
            let unit = |block| Unit { series, side: of.side, block, owner, candidate };
            units.extend(blocks.into_iter().filter(is_bound).map(unit));
        }
        let key = |unit: &Unit| (unit.series, unit.side, unit.block);
        units.sort_by_key(key);
        units.dedup_by_key(|unit| key(unit));
        units
    }

    /// What makes the bars of a unit.
    pub(super) fn maker<'a>(&'a self, unit: &Unit, memo: Option<&'a Memo>) -> Maker<'a> {
        let owner = &self.owners[unit.owner];
        let Candidate { symbol, source, lineage, bound } = &owner.candidates[unit.candidate];
        Maker {
            at: FactsAt { snapshot: &self.snapshot, as_of: None, at_sequence: Some(self.sequence) },
            symbol,
            source,
            side: owner.side,
            lineage,
            bound,
            calendar: owner.calendar.as_deref(),
            inspector: &owner.inspector,
            reasons: &owner.reasons,
            remembers: self.remembers,
            memo,
        }
    }
}
