//! Files as a computer holds them: what is on the disk for sure, and what may still be only in
//! its cache. The judge of every crash test: what it lets a loss of power do, the engine must bear.
//!
//! - A file is what was there at its last successful `sync` plus a list of writes since. A new
//!   file begins empty; that its space was filled with zeros is itself a write not yet synced.
//! - A folder is the names at its last successful `sync_dir` plus a list of changes since. A file
//!   whose name is lost is lost with its content, however well that was synced. A rename within a
//!   folder is one change; into another folder it is two, and either may be lost.
//! - A sync that failed leaves its writes *doubtful* for good: the system may have dropped them
//!   and forgotten so (Linux marks the pages clean), and a later successful sync says nothing about
//!   them. Names are kept in a journal, which does not forget: after a failed `sync_dir` they are
//!   as before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use barrow_engine::disk::{DiskError, DiskErrorKind, MemoryDisk, folder_of};
use xxhash_rust::xxh3::Xxh3Default;

/// A file, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode(u64);

/// How sure a write is to outlive the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nobody synced it yet.
    Unsynced,
    /// A sync of it failed; only writes can be so.
    Doubtful,
    /// A sync of it succeeded, but a doubtful one stands before it.
    Synced,
}

/// Bytes written at a place.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) at: usize,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) durability: Durability,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    /// On the disk for sure.
    pub(crate) base: Arc<Vec<u8>>,
    pub(crate) writes: Vec<Write>,
    /// What a program reads.
    current: Arc<Vec<u8>>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File(Inode),
    Folder,
}

pub(crate) type Names = BTreeMap<String, Entry>;

#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Link { name: String, entry: Entry },
    Unlink { name: String, inode: Inode },
    Rename { from: String, to: String, inode: Inode },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    /// On the disk for sure.
    pub(crate) base: Names,
    /// Not yet synced.
    pub(crate) changes: Vec<NameChange>,
    /// What a program sees.
    current: Names,
}

/// Files and folders, on the disk and in its cache.
#[derive(Clone, Debug)]
pub struct Volume {
    /// By path; the top is `""` and always there.
    pub(crate) folders: BTreeMap<String, Folder>,
    pub(crate) files: BTreeMap<Inode, File>,
    inodes: u64,
}

/// The files and folders that one moment, or one crash, leaves. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Every file.
    pub files: BTreeMap<String, Arc<Vec<u8>>>,
    /// Every folder but the top.
    pub folders: BTreeSet<String>,
}

impl Image {
    /// What a disk in memory holds.
    pub fn of(disk: &MemoryDisk) -> Self {
        let files = disk.files().into_iter().map(|(path, bytes)| (path, Arc::new(bytes)));
        Self { files: files.collect(), folders: disk.folders() }
    }

    /// A disk in memory that holds this.
    pub fn disk(&self) -> MemoryDisk {
        let disk = MemoryDisk::new();
        for folder in &self.folders {
            let made = barrow_engine::disk::Disk::create_dir(&disk, folder);
            made.expect("invariant: a folder comes after the one above it");
        }
        for (path, bytes) in &self.files {
            disk.put(path, bytes.as_ref().clone());
        }
        disk
    }

    /// Equal for equal images and, for all a test will see, only for those.
    pub fn digest(&self) -> u128 {
        let mut hash = Xxh3Default::new();
        let mut add = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(&(self.files.len() as u64).to_le_bytes());
        for (path, bytes) in &self.files {
            add(path.as_bytes());
            add(bytes);
        }
        for folder in &self.folders {
            add(folder.as_bytes());
        }
        hash.digest128()
    }
}

fn missing(operation: &str, path: &str) -> DiskError {
    DiskError::new(DiskErrorKind::NotFound, operation, path, "no such file or folder")
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

impl Default for Volume {
    fn default() -> Self {
        let folders = BTreeMap::from([(String::new(), Folder::default())]);
        Self { folders, files: BTreeMap::new(), inodes: 0 }
    }
}

impl Volume {
    /// A volume on which exactly this is durable.
    pub fn of(image: &Image) -> Self {
        let mut volume = Self::default();
        for folder in &image.folders {
            volume.create_dir(folder).expect("invariant: a folder comes after the one above it");
        }
        for (path, bytes) in &image.files {
            volume.create(path, 0).expect("invariant: the file's folder is in the image");
            volume.write(path, 0, bytes).expect("invariant: the file was just made");
            volume.sync(path).expect("invariant: the file was just made");
        }
        let folders: Vec<String> = volume.folders.keys().cloned().collect();
        for folder in folders {
            volume.sync_dir(&folder).expect("invariant: the folder is there");
        }
        volume
    }

    /// What programs see now: everything, synced or not.
    pub fn current(&self) -> Image {
        let mut image = Image::default();
        for (dir, folder) in &self.folders {
            if !dir.is_empty() {
                image.folders.insert(dir.clone());
            }
            for (name, entry) in &folder.current {
                if let Entry::File(inode) = entry {
                    let content = Arc::clone(&self.files[inode].current);
                    image.files.insert(join(dir, name), content);
                }
            }
        }
        image
    }

    /// Bytes that the files with a name take.
    pub fn byte_len(&self) -> u64 {
        let entries = self.folders.values().flat_map(|folder| folder.current.values());
        let lens = entries.map(|entry| match entry {
            Entry::File(inode) => self.files[inode].current.len() as u64,
            Entry::Folder => 0,
        });
        lens.sum()
    }

    /// The file's content as programs see it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn content(&self, operation: &str, path: &str) -> Result<&[u8], DiskError> {
        Ok(&self.files[&self.inode(operation, path)?].current)
    }

    /// Names of the files in `dir`.
    pub fn list(&self, dir: &str) -> Vec<String> {
        let names = self.folders.get(dir).into_iter().flat_map(|folder| &folder.current);
        let files = names.filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(name, _)| name.clone()).collect()
    }

    fn inode(&self, operation: &str, path: &str) -> Result<Inode, DiskError> {
        let folder = self.folders.get(folder_of(path));
        match folder.and_then(|folder| folder.current.get(name_of(path))) {
            Some(Entry::File(inode)) => Ok(*inode),
            _ => Err(missing(operation, path)),
        }
    }

    fn file_mut(&mut self, operation: &str, path: &str) -> Result<&mut File, DiskError> {
        let inode = self.inode(operation, path)?;
        Ok(self.files.get_mut(&inode).expect("invariant: a name stands for a file"))
    }

    /// The folder that `path` would lie in, if `path` is free.
    fn folder_for_new(&mut self, operation: &str, path: &str) -> Result<&mut Folder, DiskError> {
        let folder = self.folders.get_mut(folder_of(path));
        let folder = folder.ok_or_else(|| missing(operation, path))?;
        if folder.current.contains_key(name_of(path)) {
            return Err(DiskError::new(DiskErrorKind::Exists, operation, path, "is there already"));
        }
        Ok(folder)
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// As `Disk::create_dir`.
    pub fn create_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        if self.folders.contains_key(dir) {
            return Ok(());
        }
        let name = name_of(dir).to_owned();
        let above = self.folder_for_new("create folder", dir)?;
        above.change(NameChange::Link { name, entry: Entry::Folder });
        self.folders.insert(dir.to_owned(), Folder::default());
        Ok(())
    }

    /// Makes a file of zeros, nothing of it durable.
    ///
    /// # Errors
    /// As `Disk::create`.
    pub fn create(&mut self, path: &str, len: usize) -> Result<(), DiskError> {
        self.inodes += 1;
        let inode = Inode(self.inodes);
        let name = name_of(path).to_owned();
        let folder = self.folder_for_new("create", path)?;
        folder.change(NameChange::Link { name, entry: Entry::File(inode) });
        self.files.insert(inode, File::default());
        self.write(path, 0, &vec![0; len])
    }

    /// Writes, not yet durable.
    ///
    /// # Errors
    /// As `Disk::write_at`.
    pub fn write(&mut self, path: &str, at: usize, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.file_mut("write", path)?;
        if !bytes.is_empty() {
            overwrite(Arc::make_mut(&mut file.current), at, bytes);
            let durability = Durability::Unsynced;
            file.writes.push(Write { at, bytes: bytes.into(), durability });
        }
        Ok(())
    }

    /// Makes the writes to a file durable, but for doubtful ones.
    ///
    /// # Errors
    /// As `Disk::sync`.
    pub fn sync(&mut self, path: &str) -> Result<(), DiskError> {
        let file = self.file_mut("sync", path)?;
        settle(file.writes.iter_mut().map(|write| &mut write.durability), Durability::Synced);
        if file.writes.iter().all(|write| write.durability == Durability::Synced) {
            file.base = Arc::clone(&file.current);
            file.writes.clear();
        }
        Ok(())
    }

    /// What a sync that fails does: its writes are doubtful from now on.
    pub fn fail_sync(&mut self, path: &str) {
        if let Ok(file) = self.file_mut("sync", path) {
            settle(file.writes.iter_mut().map(|write| &mut write.durability), Durability::Doubtful);
        }
    }

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As `Disk::sync_dir`.
    pub fn sync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        let folder = self.folders.get_mut(dir).ok_or_else(|| missing("sync folder", dir))?;
        folder.base = folder.current.clone();
        folder.changes.clear();
        self.forget_unreachable_files();
        Ok(())
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// As `Disk::rename`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let inode = self.inode("rename", from)?;
        if self.folders.contains_key(to) {
            return Err(DiskError::new(DiskErrorKind::Io, "rename", to, "is a folder"));
        }
        if !self.folders.contains_key(folder_of(to)) {
            return Err(missing("rename", to));
        }
        if from == to {
            return Ok(());
        }
        let (old, new) = (name_of(from).to_owned(), name_of(to).to_owned());
        if folder_of(from) == folder_of(to) {
            self.change(folder_of(to), NameChange::Rename { from: old, to: new, inode });
        } else {
            let entry = Entry::File(inode);
            self.change(folder_of(to), NameChange::Link { name: new, entry });
            self.change(folder_of(from), NameChange::Unlink { name: old, inode });
        }
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As `Disk::remove`.
    pub fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        let inode = self.inode("remove", path)?;
        self.change(folder_of(path), NameChange::Unlink { name: name_of(path).to_owned(), inode });
        Ok(())
    }

    fn change(&mut self, dir: &str, change: NameChange) {
        self.folders.get_mut(dir).expect("invariant: the caller found the folder").change(change);
    }

    fn forget_unreachable_files(&mut self) {
        let mut reachable = BTreeSet::new();
        for folder in self.folders.values() {
            let changed = folder.changes.iter().map(|change| match change {
                NameChange::Link { entry, .. } => *entry,
                NameChange::Unlink { inode, .. } | NameChange::Rename { inode, .. } => {
                    Entry::File(*inode)
                }
            });
            let named = folder.base.values().chain(folder.current.values()).copied();
            reachable.extend(named.chain(changed).filter_map(|entry| match entry {
                Entry::File(inode) => Some(inode),
                Entry::Folder => None,
            }));
        }
        self.files.retain(|inode, _| reachable.contains(inode));
    }
}

impl Folder {
    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.current);
        self.changes.push(change);
    }
}

impl NameChange {
    /// Changes names, whether or not the changes before it were lost.
    pub(crate) fn apply(&self, names: &mut Names) {
        match self {
            Self::Link { name, entry } => {
                names.insert(name.clone(), *entry);
            }
            Self::Unlink { name, inode } => unlink(names, name, *inode),
            Self::Rename { from, to, inode } => {
                unlink(names, from, *inode);
                names.insert(to.clone(), Entry::File(*inode));
            }
        }
    }
}

fn unlink(names: &mut Names, name: &str, inode: Inode) {
    if names.get(name) == Some(&Entry::File(inode)) {
        names.remove(name);
    }
}

/// Gives everything not yet synced its new durability.
fn settle<'a>(all: impl Iterator<Item = &'a mut Durability>, to: Durability) {
    for durability in all.filter(|durability| **durability == Durability::Unsynced) {
        *durability = to;
    }
}

/// Writes as a file does: zeros fill what lies between its end and `at`.
pub(crate) fn overwrite(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

pub(crate) fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}
