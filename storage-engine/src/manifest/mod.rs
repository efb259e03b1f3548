//! Which segments are live and from where the log is needed.
//!
//! A log of *edits* (`manifest/<n>.log`), and two *roots* (`manifest/CURRENT.a`, `.b`) that say
//! how much of which log counts. An install appends an edit, syncs it, then writes the older root
//! and syncs that: the root is what makes it so. Whatever a crash or a flipped bit does to one
//! root, the other leads to the state before, for which everything is kept. A log that has grown
//! past its bound is begun anew with one edit that holds it all.

pub mod edit;
pub mod root;

use std::sync::Arc;

use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::error::Error;

use edit::{Edit, SegmentEntry};
use root::Root;

/// The folder of the manifest.
pub const DIR: &str = "manifest";

/// What the manifest says, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) roots: [Option<Root>; 2],
    /// The newest root.
    pub(crate) root: Root,
    /// Live segments by number.
    pub(crate) segments: Vec<SegmentEntry>,
    /// Numbers of the segments that the state of each root needs, sorted.
    needed: [Vec<u64>; 2],
}

impl State {
    /// Whether the state of either root needs the file of segment `number`.
    pub(crate) fn needs(&self, number: u64) -> bool {
        self.needed.iter().any(|numbers| numbers.binary_search(&number).is_ok())
    }
}

/// The manifest of an open store.
pub(crate) struct Manifest {
    disk: Arc<dyn Disk>,
    log_bytes_max: u64,
    state: State,
}

/// What is known to be on disk when a root is written.
#[derive(Clone, Copy)]
pub(crate) struct Certain {
    /// The greatest sequence.
    pub(crate) durable: u64,
    /// The ingest time of the last visible record.
    pub(crate) now: i64,
    /// Which opening of the store says so.
    pub(crate) epoch: u64,
}

fn log_path(number: u64) -> String {
    format!("{DIR}/{number:010}.log")
}

/// Makes the manifest of a store that holds `segments`; `root` says the rest.
pub(crate) fn create(disk: &dyn Disk, root: &Root, segments: &[SegmentEntry]) -> Result<(), Error> {
    let root = begin_log(disk, root, segments)?;
    for slot in 0..2 {
        write_root(disk, slot, &root)?;
    }
    disk.sync_dir(DIR)?;
    Ok(())
}

/// Writes a new log that begins with one edit holding `segments`; returns the root that names it.
fn begin_log(disk: &dyn Disk, root: &Root, segments: &[SegmentEntry]) -> Result<Root, Error> {
    let path = log_path(root.log);
    disk.create_anew(&path, 0)?;
    let first = Edit { low: root.low, added: segments.to_vec(), removed: Vec::new() };
    let mut bytes = edit::encode_header(root.log);
    let chain = first.append_to(&mut bytes, 0);
    disk.write_at(&path, 0, &bytes)?;
    disk.sync(&path).map_err(final_error)?;
    disk.sync_dir(DIR).map_err(final_error)?;
    Ok(Root { log_len: bytes.len() as u64, chain, ..*root })
}

fn root_path(slot: usize) -> &'static str {
    ["manifest/CURRENT.a", "manifest/CURRENT.b"][slot]
}

fn write_root(disk: &dyn Disk, slot: usize, root: &Root) -> Result<(), Error> {
    let path = root_path(slot);
    match disk.create(path, root::LEN as u64) {
        Err(error) if error.kind == DiskErrorKind::Exists => {}
        other => other.map_err(final_error)?,
    }
    disk.write_at(path, 0, &root.encode()).map_err(final_error)?;
    disk.sync(path).map_err(final_error)
}

/// An error after which nobody knows what the manifest holds, a full disk among them.
fn final_error(error: DiskError) -> Error {
    Error::disk(error.detail)
}

/// Makes sure that what [`load`] will find survives a loss of power: a crash of the process alone
/// may have left it in the system's cache only.
pub(crate) fn sync(disk: &dyn Disk) -> Result<(), Error> {
    for name in disk.list(DIR)? {
        disk.sync(&format!("{DIR}/{name}"))?;
    }
    disk.sync_dir(DIR)?;
    Ok(())
}

/// Reads the manifest without changing anything.
pub(crate) fn load(disk: &dyn Disk) -> Result<State, Error> {
    let mut roots = [None, None];
    for (slot, root) in roots.iter_mut().enumerate() {
        *root = match disk.read(root_path(slot), 0, root::LEN) {
            Ok(bytes) => Root::decode(&bytes).ok(),
            Err(error) if error.kind == DiskErrorKind::NotFound => None,
            Err(error) => match disk.len(root_path(slot)) {
                Ok(len) if len < root::LEN as u64 => None,
                _ => return Err(error.into()),
            },
        };
    }
    let newest = roots.iter().flatten().max_by_key(|root| root.generation).copied();
    let root = newest.ok_or_else(|| {
        Error::corrupt(
            "neither manifest/CURRENT.a nor manifest/CURRENT.b can be read; restore the folder \
             manifest from a backup",
        )
    })?;
    let segments = replay(disk, &root)?;
    // A root that leads to nothing readable is no way back, and needs no file.
    let needed = roots.map(|slot| match slot {
        Some(slot) if slot == root => numbers(&segments),
        Some(slot) => replay(disk, &slot).map(|older| numbers(&older)).unwrap_or_default(),
        None => Vec::new(),
    });
    Ok(State { roots, root, segments, needed })
}

fn numbers(segments: &[SegmentEntry]) -> Vec<u64> {
    segments.iter().map(|entry| entry.number).collect()
}

/// The live segments of the state that `root` leads to, by number.
fn replay(disk: &dyn Disk, root: &Root) -> Result<Vec<SegmentEntry>, Error> {
    let path = log_path(root.log);
    let damage =
        |why: &str| Error::corrupt(format!("{path} is damaged ({why}); restore it from a backup"));
    let len = match disk.len(&path) {
        Err(error) if error.kind == DiskErrorKind::NotFound => return Err(damage(&error.detail)),
        other => other?,
    };
    let len = crate::bytes::usize_from(len).map_err(|damaged| damage(damaged.0))?;
    let bytes = disk.read(&path, 0, len)?;
    edit::check_header(&bytes, root.log).map_err(|damaged| damage(damaged.0))?;
    let mut segments: Vec<SegmentEntry> = Vec::new();
    let (mut at, mut chain, mut low) = (edit::HEADER_LEN, 0, 0);
    // What follows `log_len` was never relied on: nothing was removed because of it, and the log
    // still holds its rows. It is written over.
    while (at as u64) < root.log_len {
        let (edit, edit_len, edit_chain) = Edit::read(&bytes[at..], chain)
            .map_err(|damaged| damage(&format!("{damaged} at byte {at}")))?;
        apply(&mut segments, &edit).map_err(|why| damage(&why))?;
        low = edit.low;
        (at, chain) = (at + edit_len, edit_chain);
    }
    if (at as u64, chain, low) != (root.log_len, root.chain, root.low) {
        return Err(damage("its edits do not end where the root says"));
    }
    Ok(segments)
}

fn apply(segments: &mut Vec<SegmentEntry>, edit: &Edit) -> Result<(), String> {
    for number in &edit.removed {
        let place = segments.iter().position(|entry| entry.number == *number);
        segments.remove(place.ok_or("it removes a segment that it never added")?);
    }
    segments.extend_from_slice(&edit.added);
    segments.sort_unstable_by_key(|entry| entry.number);
    if segments.is_sorted_by(|a, b| a.number < b.number) {
        Ok(())
    } else {
        Err("it adds a segment twice".to_owned())
    }
}

impl Manifest {
    pub(crate) fn new(disk: Arc<dyn Disk>, log_bytes_max: u64, state: State) -> Self {
        Self { disk, log_bytes_max, state }
    }

    /// The first record that anything readable in the manifest may still need: the older root
    /// counts, so that it can take the newer one's place.
    pub(crate) fn first_needed(&self) -> u64 {
        self.state.roots.iter().map(|root| root.map_or(0, |root| root.low)).min().unwrap_or(0)
    }

    /// Whether anything readable in the manifest needs the file of segment `number`.
    pub(crate) fn needs(&self, number: u64) -> bool {
        self.state.needs(number)
    }

    /// Sequence of the first record that is not in segments.
    pub(crate) fn low(&self) -> u64 {
        self.state.root.low
    }

    /// Makes `edit` durable.
    ///
    /// # Errors
    /// `Full` if there is no space: the manifest is as it was, and it may be tried again. Any other
    /// kind is final: what is on disk is unknown, and the manifest must not be changed again
    /// before the store is opened anew.
    pub(crate) fn install(&mut self, edit: &Edit, certain: Certain) -> Result<(), Error> {
        let mut segments = self.state.segments.clone();
        apply(&mut segments, edit).expect("invariant: the engine edits what it knows");
        let mut root = Root {
            generation: self.state.root.generation + 1,
            low: edit.low,
            ..self.root_with(certain)
        };
        if root.log_len > self.log_bytes_max {
            root.log += 1;
            root = begin_log(&*self.disk, &root, &segments)?;
        } else {
            let mut bytes = Vec::new();
            root.chain = edit.append_to(&mut bytes, root.chain);
            let path = log_path(root.log);
            self.disk.write_at(&path, root.log_len, &bytes)?;
            self.disk.sync(&path).map_err(final_error)?;
            root.log_len += bytes.len() as u64;
        }
        self.state.segments = segments;
        self.write_root(root)
    }

    /// Notes in the root what is on disk.
    pub(crate) fn note(&mut self, certain: Certain) -> Result<(), Error> {
        let generation = self.state.root.generation + 1;
        self.write_root(Root { generation, ..self.root_with(certain) })
    }

    fn root_with(&self, certain: Certain) -> Root {
        let root = self.state.root;
        Root {
            durable: certain.durable.max(root.durable),
            now: certain.now.max(root.now),
            epoch: certain.epoch,
            ..root
        }
    }

    fn write_root(&mut self, root: Root) -> Result<(), Error> {
        let generation = |slot: usize| self.state.roots[slot].map_or(0, |root| root.generation);
        let older = if generation(0) <= generation(1) { 0 } else { 1 };
        write_root(&*self.disk, older, &root)?;
        // A root that was missing or torn when the store was opened has no name on disk for sure.
        if self.state.roots[older].is_none() {
            self.disk.sync_dir(DIR).map_err(final_error)?;
        }
        self.state.needed[older] = numbers(&self.state.segments);
        self.state.roots[older] = Some(root);
        self.state.root = root;
        self.remove_unnamed_logs();
        Ok(())
    }

    /// Removes logs that no root names. One that cannot be removed harms nobody: the next write of
    /// a root tries again.
    fn remove_unnamed_logs(&self) {
        let named = |number: u64| self.state.roots.iter().flatten().any(|root| root.log == number);
        if self.state.roots.iter().any(Option::is_none) {
            return;
        }
        for name in self.disk.list(DIR).unwrap_or_default() {
            let number = name.strip_suffix(".log").and_then(|digits| digits.parse().ok());
            if let Some(number) = number
                && !named(number)
            {
                let _ = self.disk.remove(&log_path(number));
            }
        }
    }
}
