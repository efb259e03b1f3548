//! How files are read: counted as they are taken from the disk, and given up when somebody wants
//! that.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// What the files of one import share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    bytes: Arc<AtomicU64>,
    stop: Arc<watch::Sender<bool>>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { bytes: Arc::default(), stop: Arc::new(watch::Sender::new(false)) }
    }
}

impl Reading {
    /// Bytes that were taken from the disk.
    pub(crate) fn bytes(&self) -> u64 {
        // Only shown to a person; nothing is ordered by it.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that were taken.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The same, of files that do not count: they are looked at, and read again for their rows.
    pub(crate) fn uncounted(&self) -> Self {
        Self { bytes: Arc::default(), stop: Arc::clone(&self.stop) }
    }

    /// From now on every file ends with an error.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether somebody stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns when somebody stops it.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // It fails only if nobody can stop it any more; `self` can.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Opens a file.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn open(&self, path: &Path) -> io::Result<Counted> {
        Ok(Counted { file: File::open(path)?, reading: self.clone() })
    }
}

/// A file that is read as its [`Reading`] says.
#[derive(Debug)]
pub(super) struct Counted {
    file: File,
    reading: Reading,
}

impl Counted {
    /// The file, of which `bytes` are about to be taken.
    ///
    /// # Errors
    /// Reading was stopped.
    pub(super) fn taking(&self, bytes: u64) -> io::Result<&File> {
        if self.reading.is_stopped() {
            return Err(io::Error::other("reading was stopped"));
        }
        self.reading.add(bytes);
        Ok(&self.file)
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.taking(0)?;
        let count = file.read(buffer)?;
        self.reading.add(count as u64);
        Ok(count)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
