//! Files of tables in memory.
//!
//! This is the only file of the client with `unsafe` in it. A map is not covered against a person
//! who cuts its file: touching what was cut off ends the process with a SIGBUS, as the system
//! means it. The server never changes the length of a table's file, it only removes its name, and
//! a map outlives that.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use barrow_protocol::table::TableWord;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// A table's file that can only be read. Storing to its words ends the process: it must not leave
/// this module but in a `TableReader`, which has no way to store.
#[derive(Debug)]
pub(super) struct ReadMap(MmapRaw);

/// A table's file that can be written, too.
#[derive(Debug)]
pub struct WriteMap(MmapRaw);

impl ReadMap {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        MmapOptions::new().map_raw_read_only(&file).map(Self)
    }

    /// Has the system enter all pages now, so that no read has to. A system that does not know how
    /// enters them as they are read.
    pub(super) fn warm(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.0.advise(memmap2::Advice::PopulateRead);
    }
}

impl WriteMap {
    /// Makes a file of zeros, in the place of another of that name.
    pub(super) fn create(path: &Path, bytes: usize) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        allocate(&file, bytes as u64)?;
        MmapOptions::new().populate().map_raw(&file).map(Self)
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        MmapOptions::new().map_raw(&file).map(Self)
    }
}

/// Gives the file its length with room on the disk for all of it: a full disk is an error here, and
/// would be a SIGBUS later.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // A file system that cannot reserve.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            io::copy(&mut io::repeat(0).take(bytes), &mut &*file).map(|_| ())
        }
        result => Ok(result?),
    }
}

impl AsRef<[TableWord]> for ReadMap {
    fn as_ref(&self) -> &[TableWord] {
        words(&self.0)
    }
}

impl AsRef<[TableWord]> for WriteMap {
    fn as_ref(&self) -> &[TableWord] {
        words(&self.0)
    }
}

/// The words of a map; bytes behind the last whole word are left out.
fn words(map: &MmapRaw) -> &[TableWord] {
    let len = map.len() / size_of::<TableWord>();
    let start = map.as_ptr().cast::<TableWord>();
    // SAFETY: the map begins at a page, so words lie where they must, and is `len` words long for
    // as long as the borrow lasts. All processes touch the words through atomics only, so that
    // others change them is no race; readers load with `Relaxed` only, which is certain to work on
    // memory that cannot be written.
    #[expect(unsafe_code, reason = "memory shared with other processes, as atomics")]
    unsafe {
        std::slice::from_raw_parts(start, len)
    }
}
