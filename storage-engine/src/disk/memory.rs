//! Files in memory: for tests, and for looking at what a store wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskError, DiskErrorKind, Mapped, check_path, folder_of};

/// Files in memory. A clone is another handle on the same files.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// Without the top, which is always there.
    folders: BTreeSet<String>,
}

impl MemoryDisk {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// These files, and the folders they lie in.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new();
        for (path, bytes) in files {
            disk.put(&path, bytes);
        }
        disk
    }

    /// A copy of every file.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().files.clone()
    }

    /// Every folder, without the top.
    pub fn folders(&self) -> BTreeSet<String> {
        self.state.lock().folders.clone()
    }

    /// Sets a file's content, whatever was there, and makes the folders it lies in.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        let mut state = self.state.lock();
        let mut folder = folder_of(path);
        while !folder.is_empty() {
            state.folders.insert(folder.to_owned());
            folder = folder_of(folder);
        }
        state.files.insert(path.to_owned(), bytes);
    }
}

impl State {
    fn has_folder(&self, dir: &str) -> bool {
        dir.is_empty() || self.folders.contains(dir)
    }

    fn file(&self, operation: &str, path: &str) -> Result<&Vec<u8>, DiskError> {
        self.files.get(path).ok_or_else(|| missing(operation, path))
    }

    /// Whether a file of that name can be made.
    fn check_free(&self, operation: &str, path: &str) -> Result<(), DiskError> {
        if self.files.contains_key(path) || self.folders.contains(path) {
            return Err(DiskError::new(DiskErrorKind::Exists, operation, path, "is there already"));
        }
        if !self.has_folder(folder_of(path)) {
            return Err(missing(operation, path));
        }
        Ok(())
    }
}

fn missing(operation: &str, path: &str) -> DiskError {
    DiskError::new(DiskErrorKind::NotFound, operation, path, "no such file or folder")
}

fn length(operation: &str, path: &str, bytes: u64) -> Result<usize, DiskError> {
    usize::try_from(bytes)
        .map_err(|_| DiskError::new(DiskErrorKind::Full, operation, path, "no such address"))
}

impl Disk for MemoryDisk {
    fn create_dir(&self, dir: &str) -> Result<(), DiskError> {
        check_path("create folder", dir)?;
        let mut state = self.state.lock();
        if state.folders.contains(dir) {
            return Ok(());
        }
        state.check_free("create folder", dir)?;
        state.folders.insert(dir.to_owned());
        Ok(())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let state = self.state.lock();
        let names = state.files.keys().filter(|path| folder_of(path) == dir);
        Ok(names.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect())
    }

    fn create(&self, path: &str, len: u64) -> Result<(), DiskError> {
        check_path("create", path)?;
        let mut state = self.state.lock();
        state.check_free("create", path)?;
        state.files.insert(path.to_owned(), vec![0; length("create", path, len)?]);
        Ok(())
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        check_path("write", path)?;
        let at = length("write", path, at)?;
        let mut state = self.state.lock();
        let file = state.files.get_mut(path).ok_or_else(|| missing("write", path))?;
        overwrite(file, at, bytes);
        Ok(())
    }

    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        check_path("read", path)?;
        let at = length("read", path, at)?;
        let state = self.state.lock();
        let file = state.file("read", path)?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = at.checked_add(buffer.len());
        let Some(bytes) = end.and_then(|end| file.get(at..end)) else {
            let why = format!("ends before {} bytes at {at}", buffer.len());
            return Err(DiskError::new(DiskErrorKind::Io, "read", path, why));
        };
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        check_path("length of", path)?;
        Ok(self.state.lock().file("length of", path)?.len() as u64)
    }

    fn sync(&self, path: &str) -> Result<(), DiskError> {
        check_path("sync", path)?;
        self.state.lock().file("sync", path).map(|_| ())
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        if self.state.lock().has_folder(dir) { Ok(()) } else { Err(missing("sync folder", dir)) }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        check_path("rename", from)?;
        check_path("rename", to)?;
        let mut state = self.state.lock();
        state.file("rename", from)?;
        if state.folders.contains(to) {
            return Err(DiskError::new(DiskErrorKind::Io, "rename", to, "is a folder"));
        }
        if !state.has_folder(folder_of(to)) {
            return Err(missing("rename", to));
        }
        if let Some(bytes) = state.files.remove(from) {
            state.files.insert(to.to_owned(), bytes);
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        check_path("remove", path)?;
        let removed = self.state.lock().files.remove(path);
        removed.map(|_| ()).ok_or_else(|| missing("remove", path))
    }

    fn map(&self, path: &str, len: u64) -> Result<Option<Arc<Mapped>>, DiskError> {
        check_path("map", path)?;
        let state = self.state.lock();
        let bytes = state.file("map", path)?;
        if bytes.len() as u64 != len {
            let why = format!("is {} bytes long, not {len}", bytes.len());
            return Err(DiskError::new(DiskErrorKind::Io, "map", path, why));
        }
        Ok(Some(Arc::new(Mapped::of_copy(bytes.clone()))))
    }
}

/// Writes as a file does: zeros fill what lies between its end and `at`; no bytes change nothing.
fn overwrite(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
