//! The next file of the log, filled with zeros ahead of the commit that needs it.
//!
//! A commit that has to make its file waits for it, and each sync of a small record in a file that
//! was only reserved costs about twice one in a file that was filled. So one file is filled off the
//! commit's path: long work as a value (plan, run on any thread, install). Until a commit takes it,
//! it is `wal/spare.tmp`, by its name no part of the log: opening a store removes it. Taking it is:
//! write the header, sync, rename, sync the folder; only then the first record. A crash before that
//! leaves a spare, or a file of the log without a record.

use crate::disk::{Disk, DiskError};
use crate::error::Error;

/// Where the spare lies until a commit takes it.
pub(crate) const PATH: &str = "wal/spare.tmp";

/// Zeros that are written before they are synced. Small, because commits that sync meanwhile may
/// have to wait for them.
const PIECE: usize = 4 << 20;

/// A spare that was decided on.
#[derive(Debug)]
pub struct SpareJob {
    pub(super) len: u64,
}

/// A spare that is on disk.
#[derive(Debug)]
pub struct SpareDone {
    _on_disk: (),
}

impl SpareJob {
    /// Fills and syncs the file. Long; on any thread.
    ///
    /// # Errors
    /// What the disk says: the log is as it was, and no file is left.
    pub fn run(self, disk: &dyn Disk) -> Result<SpareDone, Error> {
        let filled = self.fill(disk).inspect_err(|_| remove(disk));
        filled.map_err(|error| Error::from(error).within("make a spare file for the log"))?;
        Ok(SpareDone { _on_disk: () })
    }

    fn fill(self, disk: &dyn Disk) -> Result<(), DiskError> {
        // One that an earlier attempt left behind may be anything.
        remove(disk);
        disk.reserve(PATH, self.len)?;
        let zeros = vec![0; PIECE.min(usize::try_from(self.len).unwrap_or(PIECE))];
        let mut at = 0;
        while at < self.len {
            let left = usize::try_from(self.len - at).unwrap_or(PIECE).min(PIECE);
            disk.write_at(PATH, at, &zeros[..left])?;
            disk.sync(PATH)?;
            at += left as u64;
        }
        Ok(())
    }
}

/// Removes the spare as far as the disk lets it; opening the store removes it for sure.
pub(crate) fn remove(disk: &dyn Disk) {
    let _ = disk.remove(PATH);
}
