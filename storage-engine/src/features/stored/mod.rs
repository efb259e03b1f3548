//! Cells that were computed before and lie in files. Shared by the generations of a store.
//!
//! A *block* is a file of the cells of consecutive slots. It tells what it was computed from
//! ([`super::basis`]); before it answers anything, that is compared with what the question would
//! use, so a block is never wrong, only of no use. Blocks are made where somebody asks for it
//! ([`make`]); a range of cells takes those that hold, and computes the rest ([`read`]).

mod make;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barrow_types::Sequence;
use parking_lot::Mutex;

use crate::derived::{self, Opened, TEMPORARY};
use crate::disk::Disk;
use crate::error::Error;
use crate::gaps::Verified;

use super::basis::Basis;
use super::cell_file::{self, Index, KIND, Name, SLOTS_MAX};
use super::{FeatureGroup, FeaturePiece};
pub use make::CellsMade;
pub(super) use read::Reading;

/// A version and an instrument that cells are of, as far as files tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellsKey {
    version: u64,
    identity: u64,
}

/// What is stored now, and what was done with it since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredCellsStats {
    /// Files.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were written.
    pub made: u64,
    /// Files that were read to answer something.
    pub used: u64,
    /// Files that could not be used.
    pub dropped: u64,
}

/// A file, which is opened when it is first looked at.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: Name,
    /// Length of the file.
    len: u64,
    contents: Mutex<Option<Arc<Contents>>>,
}

/// What the index of a file tells.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) index: Index,
    /// Of each context.
    pub(super) bases: Vec<Basis>,
}

type Blocks = BTreeMap<CellsKey, BTreeMap<i64, Arc<Block>>>;

/// See the module.
#[derive(Default)]
pub(crate) struct StoredCells {
    instance: [u8; 16],
    /// Bytes of all files, at most.
    bytes_max: u64,
    /// Slots of a file, at most.
    slots: u32,
    blocks: Mutex<Blocks>,
    made: AtomicU64,
    used: AtomicU64,
    dropped: AtomicU64,
}

impl StoredCells {
    /// None yet, of the store of that name; all will have at most so many bytes, and each so many
    /// slots.
    pub(crate) fn new(instance: [u8; 16], (bytes_max, slots): (u64, u32)) -> Self {
        let slots = slots.clamp(1, SLOTS_MAX);
        Self { instance, bytes_max, slots, ..Self::default() }
    }

    /// Takes up the files that can be used, now that it is known that the store holds every record
    /// up to `last`; removes others, and tells of those.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not be removed.
    pub(crate) fn find(&self, disk: &dyn Disk, last: Sequence) -> Result<Vec<String>, Error> {
        let mut found: Vec<Name> = Vec::new();
        let mut removed = Vec::new();
        for name in disk.list(derived::DIR)? {
            let whole = name.strip_suffix(TEMPORARY).unwrap_or(&name);
            match Name::parse(whole) {
                Some(of) if whole == name && of.sequence <= last.get() => found.push(of),
                Some(_) => removed.push(format!("{}/{name}", derived::DIR)),
                None => {}
            }
        }
        // Of two that overlap the newer one was to replace the other.
        found.sort_unstable_by_key(|name| std::cmp::Reverse(name.sequence));
        let mut blocks = Blocks::new();
        for name in found {
            let of = blocks.entry(name.key()).or_default();
            let before = of.range(..name.next).next_back();
            if before.is_some_and(|(_, other)| name.from < other.name.next) {
                removed.push(name.path());
                continue;
            }
            let len = disk.len(&name.path())?;
            of.insert(name.from, Arc::new(Block { name, len, contents: Mutex::default() }));
        }
        for path in &removed {
            disk.remove(path)?;
        }
        if !removed.is_empty() {
            // One of another past must be gone before the store takes records of its numbers.
            disk.sync_dir(derived::DIR)?;
        }
        *self.blocks.lock() = blocks;
        Ok(removed)
    }

    /// Counters and sizes.
    pub(crate) fn stats(&self) -> StoredCellsStats {
        let (blocks, bytes) = {
            let blocks = self.blocks.lock();
            let count = blocks.values().map(BTreeMap::len).sum::<usize>();
            (count as u64, bytes_of(&blocks))
        };
        let [made, used, dropped] =
            [&self.made, &self.used, &self.dropped].map(|counter| counter.load(Ordering::Relaxed));
        StoredCellsStats { blocks, bytes, made, used, dropped }
    }

    /// What is stored of a version.
    fn of_version(&self, group: &FeatureGroup) -> StoredCellsStats {
        let version = read::version_of(group);
        let blocks = self.blocks.lock();
        let of = blocks.iter().filter(|(key, _)| key.version == version);
        let lens = of.flat_map(|(_, of)| of.values()).map(|block| block.len);
        let (blocks, bytes) = lens.fold((0, 0), |(blocks, bytes), len| (blocks + 1, bytes + len));
        StoredCellsStats { blocks, bytes, ..StoredCellsStats::default() }
    }

    /// The blocks of a version and an instrument, in order.
    fn of(&self, key: CellsKey) -> Vec<Arc<Block>> {
        let blocks = self.blocks.lock();
        blocks.get(&key).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Whether there is room for so many bytes more.
    fn has_room(&self, bytes: u64) -> bool {
        bytes_of(&self.blocks.lock()) + bytes <= self.bytes_max
    }

    fn insert(&self, block: Block) {
        let mut blocks = self.blocks.lock();
        blocks.entry(block.name.key()).or_default().insert(block.name.from, Arc::new(block));
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets a block and removes its file.
    fn remove(&self, disk: &dyn Disk, name: &Name) {
        if let Some(of) = self.blocks.lock().get_mut(&name.key())
            && of.get(&name.from).is_some_and(|block| block.name == *name)
        {
            of.remove(&name.from);
        }
        // One that cannot be removed is found when the store is opened, and compared as any other.
        let _ = disk.remove(&name.path());
    }

    /// Forgets a block that is damaged.
    fn drop_damaged(&self, disk: &dyn Disk, name: &Name) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.remove(disk, name);
    }

    /// Removes the files of all others.
    pub(super) fn retain(&self, disk: &dyn Disk, keep: &BTreeSet<CellsKey>) {
        let gone: Vec<Arc<Block>> = {
            let blocks = self.blocks.lock();
            let others = blocks.iter().filter(|(key, _)| !keep.contains(key));
            others.flat_map(|(_, of)| of.values()).cloned().collect()
        };
        gone.iter().for_each(|block| self.remove(disk, &block.name));
        self.blocks.lock().retain(|_, of| !of.is_empty());
    }
}

/// Checks all checksums of the files of cells of a store that nobody has open.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn verify_cell_files(disk: &dyn Disk, instance: [u8; 16]) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    let cells = StoredCells::new(instance, (0, SLOTS_MAX));
    for name in disk.list(derived::DIR)?.iter().filter_map(|name| Name::parse(name)) {
        let len = disk.len(&name.path())?;
        let block = Block { name, len, contents: Mutex::default() };
        verified.files += 1;
        verified.bytes += len;
        let contents = block.contents(&cells, disk);
        let read = contents.and_then(|contents| {
            let bytes = block.read(disk, &contents)?;
            let slots = contents.index.slots as usize;
            let decoded = cell_file::decode_piece(&contents.index, &bytes, 0..slots);
            decoded.map_err(|damaged| Error::corrupt(format!("{}: {damaged}", name.path())))
        });
        if let Err(error) = read {
            let problem = format!("{error}; stop the server, remove the file, start");
            verified.problems.push(problem);
        }
    }
    Ok(verified)
}

fn bytes_of(blocks: &Blocks) -> u64 {
    blocks.values().flat_map(BTreeMap::values).map(|block| block.len).sum()
}

impl Name {
    const fn key(&self) -> CellsKey {
        CellsKey { version: self.version, identity: self.identity }
    }
}

impl Block {
    /// No slot of it starts before the first of these instants, or from the second on.
    pub(super) const fn span(&self) -> (i64, i64) {
        (self.name.from, self.name.next)
    }

    /// What its index tells.
    ///
    /// # Errors
    /// The file is damaged, or is of something else than its name says.
    fn contents(&self, cells: &StoredCells, disk: &dyn Disk) -> Result<Arc<Contents>, Error> {
        let mut contents = self.contents.lock();
        if let Some(known) = &*contents {
            return Ok(Arc::clone(known));
        }
        let path = self.name.path();
        let wrong = |why: &str| Error::corrupt(format!("{path}: {why}"));
        let Opened { header, index, data_end, .. } = KIND.open(disk, &path)?;
        let index =
            cell_file::decode_index(&index, data_end).map_err(|damaged| wrong(damaged.0))?;
        let is_named = (index.from, index.next, header.sequence)
            == (self.name.from, self.name.next, self.name.sequence);
        if header.instance != cells.instance || !is_named {
            return Err(wrong("it is not what its name says"));
        }
        let opened = Arc::new(Contents::new(Sequence::new(header.sequence), index));
        *contents = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// The bytes of all chunks, checked.
    fn read(&self, disk: &dyn Disk, contents: &Contents) -> Result<Vec<u8>, Error> {
        let path = self.name.path();
        let chunks = &contents.index.chunks;
        let len: u64 = chunks.iter().map(|(len, _)| u64::from(*len)).sum();
        let len = usize::try_from(len).expect("invariant: the index was read");
        let bytes = disk.read(&path, derived::HEADER_LEN as u64, len)?;
        let mut at = 0;
        for (len, crc) in chunks {
            let end = at + *len as usize;
            if crc32c::crc32c(&bytes[at..end]) != *crc {
                let why = format!("{path}: the checksum of the chunk at byte {at} is wrong");
                return Err(Error::corrupt(why));
            }
            at = end;
        }
        Ok(bytes)
    }
}

impl Contents {
    fn new(sequence: Sequence, index: Index) -> Self {
        let bases = index.contexts.iter().map(|of| {
            let rows = (sequence, of.watermarks.clone().into());
            // Which of the slots were empty is not known.
            let basis = Basis::new(rows, of.world, (index.next, i64::MAX), of.due);
            basis.without_those_before(index.since)
        });
        Self { bases: bases.collect(), index }
    }
}

impl FeaturePiece {
    /// Adds the slots of a piece behind its own.
    fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.ts.extend(other.ts);
        self.ts_end.extend(other.ts_end);
        self.available_at.extend(other.available_at);
        self.session.extend(other.session);
        self.known_at.extend(other.known_at);
        self.sequence.extend(other.sequence);
        self.provisional.extend(other.provisional);
        self.coverage.extend(other.coverage);
        for (cells, more) in self.cells.iter_mut().zip(other.cells) {
            cells.append(more);
        }
    }
}
