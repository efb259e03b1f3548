//! What is known of a sealed file since it was opened: which blocks passed their checksum, and the
//! file's map, if it has one.
//!
//! A block is read through the disk the first time, in one piece, and checked: that is how cold and
//! bulk reads are served. From the second time on it is read in the map, without a call, a copy or
//! another check. A file none of whose blocks was read twice is never mapped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::disk::{Disk, DiskError, Mapped};

/// See the module.
#[derive(Debug)]
pub(super) struct Touched {
    /// A word an extent, a bit a block. Blocks past the 64th are read through the disk every time.
    checked: Vec<AtomicU64>,
    map: OnceLock<Arc<Mapped>>,
}

impl Touched {
    pub(super) fn new(extents: usize) -> Self {
        Self { checked: (0..extents).map(|_| AtomicU64::new(0)).collect(), map: OnceLock::new() }
    }

    /// The file in memory, if that block of it was found good and a map can be had.
    ///
    /// # Errors
    /// The file is not as long as it was.
    pub(super) fn map(
        &self,
        (extent, block): (usize, usize),
        disk: &dyn Disk,
        path: &str,
        len: u64,
    ) -> Result<Option<&Mapped>, DiskError> {
        // The bit says something about the file, nothing about other memory: no order is needed.
        if self.checked[extent].load(Ordering::Relaxed) & bit(block) == 0 {
            return Ok(None);
        }
        if let Some(map) = self.map.get() {
            return Ok(Some(map));
        }
        // Asked for again each time it is refused: the bound on maps may leave room later.
        let map = disk.map(path, len)?;
        Ok(map.map(|map| &**self.map.get_or_init(|| map)))
    }

    /// Notes that a block passed its checksum.
    pub(super) fn passed(&self, (extent, block): (usize, usize)) {
        self.checked[extent].fetch_or(bit(block), Ordering::Relaxed);
    }
}

fn bit(block: usize) -> u64 {
    if block < 64 { 1 << block } else { 0 }
}
