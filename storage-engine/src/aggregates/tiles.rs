//! Bars that were made before, with all that they were made from. Shared by the generations of a
//! store.
//!
//! A *tile* holds the bars of one raw series on one grid, of the sessions of a *block* of 64 dates
//! that it *tells*. Beside them stands up to which record it knows the rows of the block, and a
//! hash of the sessions, bindings and settings that entered. Before a tile is used that is compared
//! with what the question would use, so nothing that writes has to know of tiles.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barrow_types::{Align, DAY_NANOS, PriceSide, SeriesId, SessionSet, Step};
use parking_lot::Mutex;

use crate::rows::Rows;

/// Bytes of tiles in memory above which all are dropped, to be made again.
const BYTES_MAX: usize = 128 << 20;

/// How many dates a block has.
const BLOCK_DATES: i32 = 64;

/// Hours of a session begin at most a day before its date, and end at most two days after.
const BEFORE_NANOS: i64 = 2 * DAY_NANOS;
const AFTER_NANOS: i64 = 3 * DAY_NANOS;

/// 64 consecutive dates, the first a multiple of 64 days from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block(i32);

impl Block {
    /// The block of a date.
    pub(super) const fn of(date: i32) -> Self {
        Self(date.div_euclid(BLOCK_DATES))
    }

    /// Its first date.
    pub(super) const fn first(self) -> i32 {
        self.0 * BLOCK_DATES
    }

    /// The date after its last.
    pub(super) const fn end(self) -> i32 {
        self.first() + BLOCK_DATES
    }

    /// Where rows may lie of which bars of its sessions are made.
    pub(super) fn instants(self) -> Range<i64> {
        let midnight = |date: i32| i64::from(date) * DAY_NANOS;
        midnight(self.first()) - BEFORE_NANOS..midnight(self.end()) + AFTER_NANOS
    }

    /// The bit of a date of it.
    pub(super) const fn bit(date: i32) -> u64 {
        1 << date.rem_euclid(BLOCK_DATES)
    }
}

/// What a tile is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) series: SeriesId,
    /// Which price its ticks give.
    pub(super) side: PriceSide,
    pub(super) step: Step,
    pub(super) session: SessionSet,
    pub(super) align: Align,
    /// How the finer bars lie that the bars are made of.
    pub(super) from_align: Align,
    pub(super) block: Block,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tile {
    /// It knows the rows of its block at any record from here
    pub(super) from: u64,
    /// to here.
    pub(super) to: u64,
    /// Hash of the sessions, bindings and settings that entered.
    pub(super) world: u64,
    /// The dates of the block whose sessions it tells, a bit each.
    pub(super) told: u64,
    /// Bars with all columns, then the share of their finer slots that have a row. Those of dates
    /// that it does not tell mean nothing.
    pub(super) rows: Rows,
}

/// What is kept now, and what was done for it since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileStats {
    /// Tiles in memory.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Sessions whose bars were made.
    pub made: u64,
    /// Questions that a tile answered as it was.
    pub used: u64,
}

/// Tiles that were made before.
#[derive(Default)]
pub(crate) struct Tiles {
    kept: Mutex<Kept>,
    made: AtomicU64,
    used: AtomicU64,
}

#[derive(Default)]
struct Kept {
    tiles: BTreeMap<Key, Arc<Tile>>,
    bytes: usize,
}

impl Tiles {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Tile>> {
        self.kept.lock().tiles.get(key).cloned()
    }

    /// Keeps a tile in place of an older one.
    pub(super) fn keep(&self, key: Key, tile: Arc<Tile>) {
        let mut kept = self.kept.lock();
        if kept.bytes > BYTES_MAX {
            *kept = Kept::default();
        }
        if kept.tiles.get(&key).is_some_and(|other| other.to > tile.to) {
            return;
        }
        kept.bytes += tile.rows.byte_len();
        if let Some(old) = kept.tiles.insert(key, tile) {
            kept.bytes -= old.rows.byte_len();
        }
    }

    pub(super) fn note_used(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_made(&self, sessions: u32) {
        self.made.fetch_add(sessions.into(), Ordering::Relaxed);
    }

    /// Counters and sizes.
    pub(crate) fn stats(&self) -> TileStats {
        let (kept, kept_bytes) = {
            let kept = self.kept.lock();
            (kept.tiles.len() as u64, kept.bytes as u64)
        };
        let [made, used] = [&self.made, &self.used].map(|it| it.load(Ordering::Relaxed));
        TileStats { kept, kept_bytes, made, used }
    }
}
