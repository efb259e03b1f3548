//! Files of the operating system, all below one folder that one process holds.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::mapped::{Count, MAPS_MAX, Mapped};
use super::{Disk, DiskError, DiskErrorKind, check_path};

/// The file whose lock says that the folder is in use; it holds the process's number. It belongs
/// to the disk: nobody sees it in a list or reaches it by its path.
const LOCK: &str = "LOCK";

/// Most files held open. Far below the usual limit of 1,024 a process, far above what a store
/// writes to at a time; a store with more segments opens them again.
const HANDLES_MAX: usize = 256;

/// A file gets its space in pieces of so many zeros.
const ZEROS_LEN: usize = 1 << 20;
static ZEROS: [u8; ZEROS_LEN] = [0; ZEROS_LEN];

/// Files below one folder.
///
/// "Allocated" holds where writing zeros reserves the space that a later write uses. File systems
/// that copy on write (btrfs, ZFS) give that promise only with it switched off.
#[derive(Debug)]
pub struct OsDisk {
    root: PathBuf,
    may_write: bool,
    /// Held as long as the disk lives.
    _lock: Option<File>,
    handles: Mutex<Handles>,
    maps: Count,
    maps_max: usize,
}

/// Open files, the least recently used given up first.
///
/// Invariant: a handle here is the file that has that path now. Opening, renaming and removing
/// therefore happen under the lock.
#[derive(Debug, Default)]
struct Handles {
    by_path: BTreeMap<String, (Arc<File>, u64)>,
    uses: u64,
}

impl OsDisk {
    /// The files below `root`, which is made if it is not there, for this process alone.
    ///
    /// # Errors
    /// "in use by process PID" if another disk holds the folder; whatever the system says.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        let shown = root.display().to_string();
        make_folder(root).map_err(|error| failed("open", &shown, &error))?;
        let lock = take_lock(root, &shown)?;
        Ok(Self::of(root, true, Some(lock)))
    }

    /// The files below `root` for looking at, whoever holds the folder. Every change is refused.
    ///
    /// # Errors
    /// `NotFound` if there is no such folder.
    pub fn open_read_only(root: &Path) -> Result<Self, DiskError> {
        check_folder(root, &root.display().to_string())?;
        Ok(Self::of(root, false, None))
    }

    /// The files below `root` for looking at, while nobody changes them: no process that wants to
    /// can hold the folder meanwhile. Every change is refused here too.
    ///
    /// # Errors
    /// `NotFound` if there is no such folder; "in use by process PID" if another disk holds it.
    pub fn open_at_rest(root: &Path) -> Result<Self, DiskError> {
        let shown = root.display().to_string();
        check_folder(root, &shown)?;
        // Nobody has held a folder without that file yet.
        let lock = match File::options().read(true).open(root.join(LOCK)) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened.map_err(|error| failed("lock", &shown, &error))?),
        };
        if let Some(file) = &lock {
            locked(file.try_lock_shared(), root, &shown)?;
        }
        Ok(Self::of(root, false, lock))
    }

    fn of(root: &Path, may_write: bool, lock: Option<File>) -> Self {
        let (root, handles, maps) = (root.to_owned(), Mutex::default(), Count::default());
        Self { root, may_write, _lock: lock, handles, maps, maps_max: MAPS_MAX }
    }

    /// The same disk with at most so many files mapped at a time, instead of [`MAPS_MAX`], which
    /// all disks of a process have together.
    #[must_use]
    pub const fn with_maps_max(mut self, maps_max: usize) -> Self {
        self.maps_max = maps_max;
        self
    }

    fn place(&self, operation: &str, path: &str) -> Result<PathBuf, DiskError> {
        check_path(operation, path)?;
        if path == LOCK {
            return Err(DiskError::new(DiskErrorKind::Io, operation, path, "is the disk's own"));
        }
        Ok(self.root.join(path))
    }

    /// As [`Self::place`], where something is to be changed.
    fn place_to_change(&self, operation: &str, path: &str) -> Result<PathBuf, DiskError> {
        if !self.may_write {
            let why = "the folder is open for reading only";
            return Err(DiskError::new(DiskErrorKind::Io, operation, path, why));
        }
        self.place(operation, path)
    }

    fn folder(&self, operation: &str, dir: &str) -> Result<PathBuf, DiskError> {
        if dir.is_empty() { Ok(self.root.clone()) } else { self.place(operation, dir) }
    }

    /// Makes a file and gives it its space; without that the file is gone again.
    fn make(
        &self,
        operation: &str,
        path: &str,
        allocate: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        let place = self.place_to_change(operation, path)?;
        let made = OpenOptions::new().write(true).create_new(true).open(&place);
        let file = made.map_err(|error| failed(operation, path, &error))?;
        allocate(&file).map_err(|error| {
            let error = failed(operation, path, &error);
            match fs::remove_file(&place) {
                Ok(()) => error,
                Err(left) => DiskError {
                    kind: error.kind,
                    detail: format!("{}; and the file could not be removed: {left}", error.detail),
                },
            }
        })
    }

    fn handle(&self, operation: &str, path: &str) -> Result<Arc<File>, DiskError> {
        let place = self.place(operation, path)?;
        let open = || OpenOptions::new().read(true).write(self.may_write).open(&place);
        let file = self.handles.lock().get_or_open(path, open);
        file.map_err(|error| failed(operation, path, &error))
    }
}

impl Handles {
    fn get_or_open(
        &mut self,
        path: &str,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<Arc<File>> {
        self.uses += 1;
        if let Some((file, used)) = self.by_path.get_mut(path) {
            *used = self.uses;
            return Ok(Arc::clone(file));
        }
        if self.by_path.len() >= HANDLES_MAX {
            let oldest = self.by_path.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
                self.by_path.remove(&oldest);
            }
        }
        let file = Arc::new(open()?);
        self.by_path.insert(path.to_owned(), (Arc::clone(&file), self.uses));
        Ok(file)
    }
}

/// Makes a folder and those above it, each with a name that survives a loss of power.
#[expect(clippy::disallowed_methods, reason = "this file is where files are opened")]
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above)?.sync_all()
}

fn take_lock(root: &Path, shown: &str) -> Result<File, DiskError> {
    let of_system = |error: &io::Error| failed("lock", shown, error);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(root.join(LOCK));
    let file = file.map_err(|error| of_system(&error))?;
    locked(file.try_lock(), root, shown)?;
    let pid = format!("{}\n", std::process::id());
    let written = file.set_len(0).and_then(|()| file.write_all_at(pid.as_bytes(), 0));
    written.map_err(|error| of_system(&error))?;
    Ok(file)
}

/// What came of trying to lock `root`.
fn locked(tried: Result<(), TryLockError>, root: &Path, shown: &str) -> Result<(), DiskError> {
    match tried {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(root.join(LOCK)).unwrap_or_default();
            let why = match holder.trim() {
                // The holder has the lock but has not yet written its number.
                "" => "in use by another process".to_owned(),
                pid => format!("in use by process {pid}"),
            };
            Err(DiskError::new(DiskErrorKind::Io, "open", shown, why))
        }
        Err(TryLockError::Error(error)) => Err(failed("lock", shown, &error)),
    }
}

fn check_folder(root: &Path, shown: &str) -> Result<(), DiskError> {
    let found = fs::metadata(root).map_err(|error| failed("open", shown, &error))?;
    if found.is_dir() {
        Ok(())
    } else {
        Err(DiskError::new(DiskErrorKind::Io, "open", shown, "is not a folder"))
    }
}

fn failed(operation: &str, path: &str, error: &io::Error) -> DiskError {
    let kind = match error.kind() {
        ErrorKind::NotFound => DiskErrorKind::NotFound,
        ErrorKind::AlreadyExists => DiskErrorKind::Exists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DiskErrorKind::Full,
        _ => DiskErrorKind::Io,
    };
    DiskError::new(kind, operation, path, error)
}

fn fill_with_zeros(file: &File, len: u64) -> io::Result<()> {
    let mut at = 0;
    while at < len {
        let piece = usize::try_from(len - at).map_or(ZEROS_LEN, |left| left.min(ZEROS_LEN));
        file.write_all_at(&ZEROS[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

fn reserve_space(file: &File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
        // A file system that cannot reserve.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill_with_zeros(file, len),
        reserved => Ok(reserved?),
    }
}

impl Disk for OsDisk {
    fn create_dir(&self, dir: &str) -> Result<(), DiskError> {
        let place = self.place_to_change("create folder", dir)?;
        match fs::create_dir(&place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && place.is_dir() => Ok(()),
            made => made.map_err(|error| failed("create folder", dir, &error)),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let of_system = |error: &io::Error| failed("list", dir, error);
        let entries = match fs::read_dir(self.folder("list", dir)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| of_system(&error))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| of_system(&error))?;
            if !entry.file_type().map_err(|error| of_system(&error))?.is_file() {
                continue;
            }
            let name = entry.file_name().into_string().map_err(|name| {
                DiskError::new(DiskErrorKind::Io, "list", dir, format!("{name:?} is not UTF-8"))
            })?;
            if !(dir.is_empty() && name == LOCK) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &str, len: u64) -> Result<(), DiskError> {
        self.make("create", path, |file| fill_with_zeros(file, len))
    }

    fn reserve(&self, path: &str, len: u64) -> Result<(), DiskError> {
        self.make("reserve", path, |file| reserve_space(file, len))
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.place_to_change("write", path)?;
        let written = self.handle("write", path)?.write_all_at(bytes, at);
        written.map_err(|error| failed("write", path, &error))
    }

    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let len = buffer.len();
        match self.handle("read", path)?.read_exact_at(buffer, at) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let why = format!("ends before {len} bytes at {at}");
                Err(DiskError::new(DiskErrorKind::Io, "read", path, why))
            }
            read => read.map_err(|error| failed("read", path, &error)),
        }
    }

    fn len(&self, path: &str) -> Result<u64, DiskError> {
        let found = fs::metadata(self.place("length of", path)?);
        let found = found.map_err(|error| failed("length of", path, &error))?;
        if found.is_file() {
            Ok(found.len())
        } else {
            Err(DiskError::new(DiskErrorKind::NotFound, "length of", path, "is not a file"))
        }
    }

    fn sync(&self, path: &str) -> Result<(), DiskError> {
        self.place_to_change("sync", path)?;
        let synced = self.handle("sync", path)?.sync_data();
        synced.map_err(|error| failed("sync", path, &error))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        let place = self.folder("sync folder", dir)?;
        #[expect(clippy::disallowed_methods, reason = "this is the disk that files go through")]
        let synced = File::open(place).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed("sync folder", dir, &error))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let source = self.place_to_change("rename", from)?;
        let target = self.place_to_change("rename", to)?;
        let mut handles = self.handles.lock();
        fs::rename(source, target)
            .map_err(|error| failed("rename", &format!("{from} to {to}"), &error))?;
        handles.by_path.remove(from);
        handles.by_path.remove(to);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let place = self.place_to_change("remove", path)?;
        let mut handles = self.handles.lock();
        fs::remove_file(place).map_err(|error| failed("remove", path, &error))?;
        handles.by_path.remove(path);
        Ok(())
    }

    fn system_path(&self, path: &str) -> Option<PathBuf> {
        self.place("link", path).ok()
    }

    fn link_from(&self, source: &dyn Disk, path: &str) -> bool {
        let Some(from) = source.system_path(path) else { return false };
        let Ok(to) = self.place_to_change("link", path) else { return false };
        // Where a symbolic link stands, the link would be another one.
        let is_file = fs::symlink_metadata(&from).is_ok_and(|found| found.is_file());
        is_file && fs::hard_link(from, to).is_ok()
    }

    fn map(&self, path: &str, len: u64) -> Result<Option<Arc<Mapped>>, DiskError> {
        let of_system = |error: &io::Error| failed("map", path, error);
        let Some(permit) = self.maps.permit(self.maps_max) else { return Ok(None) };
        let file = self.handle("map", path)?;
        let actual = file.metadata().map_err(|error| of_system(&error))?.len();
        if actual != len {
            let why = format!("is {actual} bytes long, not {len}");
            return Err(DiskError::new(DiskErrorKind::Io, "map", path, why));
        }
        let Ok(len) = usize::try_from(len) else { return Ok(None) };
        let mapped = Mapped::of_file(&file, len, permit).map_err(|error| of_system(&error))?;
        Ok(mapped.map(Arc::new))
    }
}
