//! A disk in memory that can be told to fail or to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use barrow_engine::disk::{Disk, DiskError, DiskErrorKind, MemoryDisk};

/// See the module.
pub(crate) struct FaultyDisk {
    memory: MemoryDisk,
    /// Syncs fail.
    pub(crate) sync_fails: AtomicBool,
    /// There is no room for new files.
    pub(crate) is_full: AtomicBool,
    /// Reads of segments that will still succeed.
    pub(crate) segment_reads_left: AtomicU64,
    /// Syncs of files so far.
    pub(crate) syncs: AtomicU64,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    /// Syncs that wait and may not pass.
    waiting: u32,
    /// So many may pass though it is closed.
    passes: u32,
}

impl FaultyDisk {
    /// A disk without faults.
    pub(crate) fn new() -> Arc<Self> {
        Self::of(MemoryDisk::new())
    }

    /// The same, with what is in `memory`.
    pub(crate) fn of(memory: MemoryDisk) -> Arc<Self> {
        Arc::new(Self {
            memory,
            sync_fails: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            segment_reads_left: AtomicU64::new(u64::MAX),
            syncs: AtomicU64::new(0),
            gate: Mutex::default(),
            moved: Condvar::new(),
        })
    }

    /// What would be there if the program were killed now.
    pub(crate) fn image(&self) -> MemoryDisk {
        MemoryDisk::from_files(self.memory.files())
    }

    /// From now on syncs wait.
    pub(crate) fn close_gate(&self) {
        self.gate.lock().unwrap().closed = true;
    }

    /// Returns once a sync is waiting. Blocks.
    pub(crate) fn await_sync(&self) {
        let gate = self.gate.lock().unwrap();
        drop(self.moved.wait_while(gate, |gate| gate.waiting == 0).unwrap());
    }

    /// Whether a sync is waiting.
    pub(crate) fn has_waiting(&self) -> bool {
        self.gate.lock().unwrap().waiting > 0
    }

    /// Lets syncs go on.
    pub(crate) fn open_gate(&self) {
        self.gate.lock().unwrap().closed = false;
        self.moved.notify_all();
    }

    /// Lets a sync that waits pass; the next one waits again.
    pub(crate) fn pass_one(&self) {
        let mut gate = self.gate.lock().unwrap();
        gate.waiting = gate.waiting.checked_sub(1).expect("one waits");
        gate.passes += 1;
        self.moved.notify_all();
    }

    fn pass_gate(&self) {
        let mut gate = self.gate.lock().unwrap();
        if !gate.closed {
            return;
        }
        gate.waiting += 1;
        self.moved.notify_all();
        gate = self.moved.wait_while(gate, |gate| gate.closed && gate.passes == 0).unwrap();
        match gate.passes.checked_sub(1) {
            Some(passes) => gate.passes = passes,
            None => gate.waiting -= 1,
        }
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.memory.create_dir(dir)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.memory.list(dir)
    }

    fn create(&self, path: &str, len: u64) -> Result<(), DiskError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(DiskError::new(DiskErrorKind::Full, "create", path, "no space left"));
        }
        self.memory.create(path, len)
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.memory.write_at(path, at, bytes)
    }

    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        if path.starts_with("segments/") {
            let one_less = |left: u64| left.checked_sub(1);
            let left = &self.segment_reads_left;
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
                return Err(DiskError::new(DiskErrorKind::Io, "read", path, "input/output error"));
            }
        }
        self.memory.read_at(path, at, buffer)
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        self.memory.len(path)
    }

    fn sync(&self, path: &str) -> Result<(), DiskError> {
        self.pass_gate();
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.sync_fails.load(Ordering::SeqCst) {
            return Err(DiskError::new(DiskErrorKind::Io, "sync", path, "input/output error"));
        }
        self.memory.sync(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.memory.sync_dir(dir)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.memory.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.memory.remove(path)
    }
}
