//! Making blocks: of what is not in one that holds, as far as it is settled.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_features::{ContextId, Gap};
use barrow_types::Timestamp;
use parking_lot::Mutex;

use crate::bytes::u32_len;
use crate::dataset::BARS;
use crate::derived::{self, Header, Output};
use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;
use crate::vintage::Vintage;

use super::super::basis::Comparison;
use super::super::begin::{self, Lead};
use super::super::cell_file::{self, Grounds, Index, KIND, Name};
use super::super::lane::{Asked, CELL_BYTES};
use super::super::stream::{Part, Stream};
use super::super::{FeatureGroup, FeaturePiece, FeatureScan, Way};
use super::read::{Identity, Source};
use super::{Block, CellsKey, Contents, StoredCellsStats};

/// Cells of a block, about.
const BLOCK_BYTES: usize = 16 << 20;
const BLOCK_SLOTS_MIN: usize = 1_024;
/// What a slot takes beside its cells, with a share of the index: seven columns.
const OF_SLOT_BYTES: usize = 64;

/// What became of the cells of a version and an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellsMade {
    /// What its files are called.
    pub key: CellsKey,
    /// Whether there was no room for some.
    pub is_full: bool,
}

impl Snapshot {
    /// Writes the cells of an instrument to files, as far as they are settled and not there: whole
    /// blocks of some thousand slots. `pace` is asked between pieces.
    ///
    /// # Errors
    /// As [`Self::features`]; those of the disk; `Stopped` if `pace` ends it. What is there then
    /// is of use.
    pub fn store_cells(
        &self,
        group: &Arc<FeatureGroup>,
        instrument: &Arc<str>,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<CellsMade, Error> {
        let reference = Reference::at(self, None, None)?;
        let scan = FeatureScan {
            vintage: Vintage::Final,
            instrument: Arc::clone(instrument),
            group: Arc::clone(group),
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            as_of: None,
            at_sequence: None,
            due: self.now(),
            since: Timestamp::MIN,
            way: Way::Columns,
        };
        let asked = Asked::new((self, &reference), &scan);
        let identity = asked.identity()?;
        let sources = asked.sources()?;
        let generation = self.generation();
        let all = generation.cells.of(identity.key);
        let sorted = asked.sorted(&identity, &sources, all)?;
        for block in sorted.others {
            generation.cells.remove(&*generation.disk, &block.name);
        }
        let mut maker = Maker { asked, reference: &reference, identity, sources, is_full: false };
        let mut from = i64::MIN;
        for block in sorted.that_hold {
            if block.name.from > from {
                maker.make((from, block.name.from), true, pace)?;
            }
            from = block.name.next;
        }
        if maker.is_whole_behind(from)? {
            maker.make((from, i64::MAX), false, pace)?;
        }
        Ok(CellsMade { key: maker.identity.key, is_full: maker.is_full })
    }

    /// How many files there are of a group's version, and their bytes.
    pub fn stored_cells(&self, group: &FeatureGroup) -> StoredCellsStats {
        self.generation().cells.of_version(group)
    }

    /// Removes all files of cells but those of these.
    pub fn retain_cells(&self, keep: &BTreeSet<CellsKey>) {
        let generation = self.generation();
        generation.cells.retain(&*generation.disk, keep);
    }
}

struct Maker<'a> {
    asked: Asked<'a>,
    reference: &'a Arc<Reference>,
    identity: Identity,
    sources: Vec<Source>,
    is_full: bool,
}

impl Maker<'_> {
    /// Writes the slots that start from one instant to another; of those behind all blocks only
    /// as many as fill some.
    fn make(
        &mut self,
        (mut from, to): (i64, i64),
        is_between: bool,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let most = self.slots_max();
        let [start, end] = [from, to].map(Timestamp::from_nanos);
        let scan = FeatureScan { start, end, ..self.asked.scan.clone() };
        let whole = (self.asked.snapshot.clone(), Arc::clone(self.reference), scan);
        let parts = vec![Part::Computed { start: from, end: to, is_followed: is_between }];
        let mut stream = Stream::new(whole, self.asked.until, parts)?;
        let mut gathered = FeaturePiece::default();
        let mut is_cut = false;
        while !is_cut && let Some(piece) = stream.next()? {
            if pace().is_break() {
                return Err(Error::stopped("writing cells was stopped"));
            }
            let settled = self.settled(&piece);
            is_cut = settled < piece.len();
            gathered.append(if is_cut { piece.split_at(settled).0 } else { piece });
            while gathered.len() >= most {
                if !self.has_room() {
                    return Ok(());
                }
                let (block, rest) = gathered.split_at(most);
                gathered = rest;
                let next = block.ts[most - 1].saturating_add(1);
                self.write((from, next), &block)?;
                from = next;
            }
        }
        if is_between && !is_cut && !gathered.is_empty() && self.has_room() {
            self.write((from, to), &gathered)?;
        }
        Ok(())
    }

    /// How many slots a block has, at most.
    fn slots_max(&self) -> usize {
        let most = (BLOCK_BYTES / self.slot_bytes()).max(BLOCK_SLOTS_MIN);
        most.min(self.asked.snapshot.generation().cells.slots as usize)
    }

    /// Bytes of a slot in a block, at most.
    fn slot_bytes(&self) -> usize {
        OF_SLOT_BYTES + CELL_BYTES * self.asked.scan.group.graph().outputs.len()
    }

    /// Whether there is room for another block.
    fn has_room(&mut self) -> bool {
        let block = self.slots_max() * self.slot_bytes();
        self.is_full |= !self.asked.snapshot.generation().cells.has_room(block as u64);
        !self.is_full
    }

    /// Whether as many slots as a block has may lie behind an instant, and have ended.
    fn is_whole_behind(&self, from: i64) -> Result<bool, Error> {
        let Source { scan, curated } = &self.sources[0];
        let calendar = curated.calendar_shared();
        let begin = match from {
            i64::MIN => begin::begin(self.asked.snapshot, self.reference, &calendar, scan)?,
            from => Some(from),
        };
        let count = |from| curated.grid().count(calendar.as_deref(), from, self.now());
        Ok(begin.is_some_and(|from| count(from) >= self.slots_max() as u64))
    }

    /// How many of the first slots no longer change by themselves.
    fn settled(&self, piece: &FeaturePiece) -> usize {
        let open = (0..piece.len())
            .position(|at| piece.provisional[at] || self.due(piece.ts_end[at]) > self.now());
        open.unwrap_or(piece.len())
    }

    /// When whatever ends with an instant can surely be had.
    fn due(&self, ts_end: i64) -> i64 {
        ts_end.saturating_add(self.reference.publish_delay_max(BARS.name).get())
    }

    fn now(&self) -> i64 {
        self.asked.scan.due.nanos()
    }

    fn write(&mut self, (from, next): (i64, i64), piece: &FeaturePiece) -> Result<(), Error> {
        let generation = self.asked.snapshot.generation();
        let (cells, disk) = (&generation.cells, &*generation.disk);
        let chunks = cell_file::encode_piece(piece);
        let due = piece.ts_end.iter().copied().max().map_or(i64::MIN, |last| self.due(last));
        let mut contexts = Vec::with_capacity(self.sources.len());
        for Source { scan, curated } in &self.sources {
            let mut comparison = Comparison::new(&self.asked, scan, curated);
            let watermarks = comparison.watermarks()?.to_vec();
            contexts.push(Grounds { world: comparison.world().before(next), due, watermarks });
        }
        let index = Index {
            identity: self.identity.bytes.clone(),
            from,
            next,
            since: self.since(piece.ts[0])?,
            slots: u32_len(piece.len()),
            contexts,
            chunks: chunks.iter().map(|it| (u32_len(it.len()), crc32c::crc32c(it))).collect(),
        };
        let CellsKey { version, identity } = self.identity.key;
        let sequence = self.asked.snapshot.sequence();
        let name = Name { version, identity, from, next, sequence: sequence.get() };
        let header = Header { instance: cells.instance, sequence: sequence.get() };
        let path = name.path();
        let written = || -> Result<u64, Error> {
            let mut output = Output::begin(disk, KIND, path.clone(), &header)?;
            for chunk in &chunks {
                output.add(chunk)?;
            }
            output.seal(&cell_file::encode_index(&index))
        };
        let len = written().inspect_err(|_| derived::discard(disk, &path))?;
        let contents = Mutex::new(Some(Arc::new(Contents::new(sequence, index))));
        cells.insert(Block { name, len, contents });
        Ok(())
    }

    /// Before when slots have no say in the cells of those from `first` on.
    fn since(&self, first: i64) -> Result<i64, Error> {
        let group = &self.asked.scan.group;
        let Lead::Slots(lookback) = self.asked.lead(ContextId(0)) else { return Ok(i64::MIN) };
        let is_alone = self.sources.len() == 1 && !self.asked.is_adjusted();
        let is_warm = group.compiled.totals.warm_up <= lookback;
        if !is_alone || !is_warm || group.gap() == Gap::Rows {
            return Ok(i64::MIN);
        }
        self.asked.no_say_before(Timestamp::from_nanos(first), &self.sources[0])
    }
}

impl Asked<'_> {
    /// No slot that starts before this has a say in those from `first` on, if the begin is not
    /// later than this.
    fn no_say_before(&self, first: Timestamp, own: &Source) -> Result<i64, Error> {
        let lead = self.lead(ContextId(0));
        let calendar = own.curated.calendar_shared();
        let since_of = |start: Timestamp| {
            let mut scan = own.scan.clone();
            scan.start = start;
            let what = (lead, self.scan.group.gap(), Timestamp::MIN, barrow_types::Adjust::None);
            let found = begin::find(self.snapshot, self.reference, &calendar, &scan, what)?;
            Ok::<_, Error>(found.map_or(i64::MIN, |begin| begin.since))
        };
        // Twice as far: what is read before the first slot is itself warm then.
        match since_of(first)? {
            i64::MIN => Ok(i64::MIN),
            since => since_of(Timestamp::from_nanos(since)),
        }
    }
}
