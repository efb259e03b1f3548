//! All the engine may ask of the outside: a folder of files.
//!
//! Real in the server ([`OsDisk`]), memory in unit tests ([`MemoryDisk`]), faulty in the
//! simulator (package `barrow-tests`). Paths are relative, with `/` between a folder and a name.
//!
//! What survives a loss of power, and all the engine relies on:
//! - bytes written to a file, once [`Disk::sync`] of that file returned `Ok`;
//! - a file's name (created, renamed or removed), once [`Disk::sync_dir`] of its folder returned
//!   `Ok`; the same for a folder's name and the folder above it;
//! - anything else may be lost, kept, torn at 512 bytes, zeroed, or kept out of order.
//!
//! After a `sync` has failed nothing is known about the bytes it covered: the engine never
//! retries it.

mod mapped;
mod memory;
mod os;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use mapped::{MAPS_MAX, Mapped, map_faults};
pub use memory::MemoryDisk;
pub use os::OsDisk;

/// What went wrong, as far as the engine decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// No such file or folder.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// No space (ENOSPC, EDQUOT): nothing was allocated.
    Full,
    /// Anything else.
    Io,
}

/// A file operation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// What went wrong.
    pub kind: DiskErrorKind,
    /// The operation, the path and what the system said.
    pub detail: String,
}

impl DiskError {
    /// An error of `kind` at `operation` on `path`.
    pub fn new(kind: DiskErrorKind, operation: &str, path: &str, why: impl fmt::Display) -> Self {
        Self { kind, detail: format!("{operation} {path}: {why}") }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for DiskError {}

/// A folder of files. See the module for what survives a loss of power.
pub trait Disk: Send + Sync {
    /// Makes a folder; `Ok` if it is there already. Its name needs [`Disk::sync_dir`] of the
    /// folder above it (`""` is the top).
    fn create_dir(&self, dir: &str) -> Result<(), DiskError>;

    /// Names of the files in `dir`, sorted; folders are left out. Empty if there is no such folder.
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError>;

    /// Makes a file of `len` zero bytes whose space is allocated, so that writing inside it cannot
    /// find the disk full. On `Full` the file is gone again.
    ///
    /// # Errors
    /// `Exists` if there is a file of that name, `Full` if there is no space.
    fn create(&self, path: &str, len: u64) -> Result<(), DiskError>;

    /// [`Disk::create`] at once: the space is the file's and reads as zeros, but nothing was
    /// written. The first write to a place of it makes the next sync dearer.
    ///
    /// # Errors
    /// As [`Disk::create`].
    fn reserve(&self, path: &str, len: u64) -> Result<(), DiskError> {
        self.create(path, len)
    }

    /// Writes all of `bytes` at `at`, growing the file if they go past its end.
    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Fills `buffer` from `at`; `Io` if the file ends before that.
    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// Length of the file in bytes.
    fn len(&self, path: &str) -> Result<u64, DiskError>;

    /// Returns once every byte written to the file would survive a loss of power.
    fn sync(&self, path: &str) -> Result<(), DiskError>;

    /// Returns once the names in `dir` would survive a loss of power.
    fn sync_dir(&self, dir: &str) -> Result<(), DiskError>;

    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file.
    fn remove(&self, path: &str) -> Result<(), DiskError>;

    /// The file in memory, which is read without a call and a copy. `None` where that cannot be had
    /// (a bound on maps is reached, the disk has none): then [`Disk::read_at`] serves.
    ///
    /// Only for a file that nobody will change any more, and of just `len` bytes. It may be
    /// removed, or lose its name, while it is mapped.
    ///
    /// # Errors
    /// `Io` if the file has another length.
    fn map(&self, path: &str, len: u64) -> Result<Option<Arc<Mapped>>, DiskError> {
        let _ = (path, len);
        Ok(None)
    }

    /// Where the system has this file, for another disk that may link it; `None` if it is not a
    /// file of the system.
    fn system_path(&self, path: &str) -> Option<PathBuf> {
        let _ = path;
        None
    }

    /// Gives the file `path` of `source` the same path here without copying it, if both are of
    /// one file system that can do so; returns whether it has. Both names then lead to the same
    /// bytes. Only for a file that nobody will change any more.
    fn link_from(&self, source: &dyn Disk, path: &str) -> bool {
        let _ = (source, path);
        false
    }

    /// [`Disk::create`] in place of a file that has the name: one that an earlier attempt left.
    fn create_anew(&self, path: &str, len: u64) -> Result<(), DiskError> {
        match self.create(path, len) {
            Err(error) if error.kind == DiskErrorKind::Exists => {
                self.remove(path)?;
                self.create(path, len)
            }
            other => other,
        }
    }

    /// The `len` bytes at `at`.
    fn read(&self, path: &str, at: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let mut buffer = vec![0; len];
        self.read_at(path, at, &mut buffer)?;
        Ok(buffer)
    }
}

/// Refuses a path that could lead out of the folder or name one file in two ways: one that is
/// empty or absolute, or has an empty part, `.`, `..`, a backslash or NUL.
///
/// # Errors
/// `Io`, naming the path.
pub fn check_path(operation: &str, path: &str) -> Result<(), DiskError> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    if path.split('/').all(plain) {
        Ok(())
    } else {
        let path = path.escape_debug().to_string();
        Err(DiskError::new(DiskErrorKind::Io, operation, &path, "is not a path below the folder"))
    }
}

/// The folder a path lies in; `""` is the top.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
