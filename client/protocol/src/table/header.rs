//! The first page of a table.
//!
//! | word | field | meaning |
//! |---:|-------|---------|
//! | 0 | `magic` | `BARROWLT`; written last when the table is made |
//! | 1 | `layout_version` | 1 |
//! | 2 | `layout_id` | the hash of `capacity`, `features` and the names |
//! | 3 | `length` | of the table, in bytes |
//! | 4, 5 | `instance` | the store that the rows come from |
//! | 6 | `epoch` | another with each start of the server |
//! | 7 | `generation` | from 1: which of the tables of this version it is |
//! | 8 | `capacity` | how many symbols there may be |
//! | 9 | `features` | how many features a row has |
//! | 10 | `names_words` | words of the names; they begin at word 512 |
//! | 11 | `symbols_at` | the word where the symbols begin |
//! | 12 | `blocks_at` | the word where the blocks begin |
//! | 13 | `block_words` | words of a block |
//! | 14 | `cell_words` | words from one cell of a block to the next |
//! | 15 | `heartbeat_limit` | nanoseconds that the heartbeat may be old before the writer counts as gone |
//! | 16 | `count` | how many symbols there are; grows |
//! | 17 | `heartbeat` | nanoseconds since 1970 UTC: when the writer last gave a sign of life |
//! | 18 | `successor` | 0 while the table is written; then the generation that took its place, or 2^64 - 1 for none |
//! | 19 | `promoted` | 1 if a bare name of the group means this version |
//!
//! Words 0 to 15 never change.

use super::directory;
use super::error::OpenError;
use super::layout::{CAPACITY_MAX, FEATURES_MAX, HEADER_WORDS, Layout, TableSpec};
use super::symbol::LINE_WORDS;
use crate::sync::{AtomicU64, Ordering, load_acquire};

/// The words that never change.
const FIXED_WORDS: usize = 16;

const MAGIC: u64 = u64::from_le_bytes(*b"BARROWLT");
const LAYOUT_VERSION: u64 = 1;

pub(super) const COUNT: usize = 16;
pub(super) const HEARTBEAT: usize = 17;
pub(super) const SUCCESSOR: usize = 18;
pub(super) const PROMOTED: usize = 19;

/// What `successor` is in a table that is closed and has none.
pub(super) const NO_SUCCESSOR: u64 = u64::MAX;

const FIELDS: [&str; FIXED_WORDS] = [
    "magic",
    "layout_version",
    "layout_id",
    "length",
    "instance",
    "instance",
    "epoch",
    "generation",
    "capacity",
    "features",
    "names_words",
    "symbols_at",
    "blocks_at",
    "block_words",
    "cell_words",
    "heartbeat_limit",
];

fn fixed_words(spec: &TableSpec, layout: &Layout) -> [u64; FIXED_WORDS] {
    let [low, high] = [0, 8].map(|at| {
        let half = spec.instance[at..at + 8].try_into().expect("invariant: it is half of 16");
        u64::from_le_bytes(half)
    });
    [
        MAGIC,
        LAYOUT_VERSION,
        directory::layout_id(spec),
        layout.bytes() as u64,
        low,
        high,
        spec.epoch,
        spec.generation,
        spec.capacity as u64,
        spec.features.len() as u64,
        layout.names_words() as u64,
        layout.symbols_at() as u64,
        layout.blocks_at() as u64,
        layout.block_words() as u64,
        ((layout.block_words() - LINE_WORDS) / 3) as u64,
        spec.heartbeat_limit.cast_unsigned(),
    ]
}

/// Writes what never changes: the names, then the header, its first word last.
pub(super) fn write(memory: &[AtomicU64], spec: &TableSpec, layout: &Layout) {
    let names = directory::encode_names(spec);
    for (word, value) in memory[layout.names_at()..].iter().zip(names) {
        word.store(value, Ordering::Relaxed);
    }
    for (word, value) in memory.iter().zip(fixed_words(spec, layout)).rev() {
        // Pairs with the first load of `read`.
        word.store(value, Ordering::Release);
    }
}

/// Reads what never changes and holds it against what a writer would write.
pub(super) fn read(memory: &[AtomicU64]) -> Result<(TableSpec, Layout), OpenError> {
    let damaged = |field| OpenError::Damaged { field };
    let Some(header) = memory.get(..HEADER_WORDS) else { return Err(OpenError::NotATable) };
    if load_acquire(&header[0]) != MAGIC {
        return Err(OpenError::NotATable);
    }
    let found: [u64; FIXED_WORDS] = std::array::from_fn(|at| header[at].load(Ordering::Relaxed));
    if found[1] != LAYOUT_VERSION {
        return Err(OpenError::LayoutVersion { found: found[1], known: LAYOUT_VERSION });
    }
    let length = memory.len() as u64 * size_of::<u64>() as u64;
    if found[3] != length {
        return Err(OpenError::Length { said: found[3], found: length });
    }
    let bounded = |at: usize, max: usize| {
        let number = usize::try_from(found[at]).ok().filter(|&number| number <= max);
        number.ok_or(damaged(FIELDS[at]))
    };
    let mut names = directory::Names::new(&memory[HEADER_WORDS..]);
    let mut name = || names.next().ok_or(damaged("a name"));
    let mut instance = [0; 16];
    for (half, word) in instance.chunks_exact_mut(8).zip(&found[4..6]) {
        half.copy_from_slice(&word.to_le_bytes());
    }
    let spec = TableSpec {
        group: name()?,
        version: name()?,
        features: (0..bounded(9, FEATURES_MAX)?).map(|_| name()).collect::<Result<_, _>>()?,
        capacity: bounded(8, CAPACITY_MAX)?,
        instance,
        epoch: found[6],
        generation: found[7],
        heartbeat_limit: found[15].cast_signed(),
    };
    let layout = spec.layout().map_err(|_| damaged("a number of the header"))?;
    let right = fixed_words(&spec, &layout);
    match (0..FIXED_WORDS).find(|&at| found[at] != right[at]) {
        Some(at) => Err(damaged(FIELDS[at])),
        None => Ok((spec, layout)),
    }
}
