//! Which segments are live and from where the log is needed.
//!
//! A log of *edits* (`manifest/<number>.log`), and two *roots* (`manifest/CURRENT.a`, `.b`) that say
//! how much of which log is certain. An install appends an edit, syncs it, then writes the older
//! root and syncs that: whatever a crash or a flipped bit does to one root, the other leads to the
//! same edits. A log that has grown past its bound is begun anew with one edit that holds it all.

pub mod edit;
pub mod root;

use std::sync::Arc;

use crate::disk::{Disk, DiskErrorKind};
use crate::error::Error;

use edit::{Edit, SegmentEntry};
use root::Root;

/// The folder of the manifest.
pub const DIR: &str = "manifest";

/// What the manifest says, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) roots: [Option<Root>; 2],
    /// The newest root, with `log_len` and `chain` up to the last good edit.
    pub(crate) root: Root,
    /// Live segments by number.
    pub(crate) segments: Vec<SegmentEntry>,
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

/// Makes the manifest of an empty store.
pub(crate) fn create(disk: &dyn Disk) -> Result<(), Error> {
    let root = begin_log(disk, &Root::first(), &[])?;
    for slot in 0..2 {
        write_root(disk, slot, &root)?;
    }
    disk.sync_dir(DIR)?;
    Ok(())
}

/// Writes a new log that begins with one edit holding `segments`; returns the root that names it.
fn begin_log(disk: &dyn Disk, root: &Root, segments: &[SegmentEntry]) -> Result<Root, Error> {
    let path = log_path(root.log);
    match disk.create(&path, 0) {
        // Left by an attempt that never reached a root.
        Err(error) if error.kind == DiskErrorKind::Exists => {
            disk.remove(&path)?;
            disk.create(&path, 0)?;
        }
        other => other?,
    }
    let first = Edit { low: root.low, added: segments.to_vec(), removed: Vec::new() };
    let mut bytes = edit::encode_header(root.log);
    let chain = first.append_to(&mut bytes, 0);
    disk.write_at(&path, 0, &bytes)?;
    disk.sync(&path)?;
    disk.sync_dir(DIR)?;
    Ok(Root { log_len: bytes.len() as u64, chain, ..*root })
}

fn root_path(slot: usize) -> &'static str {
    ["manifest/CURRENT.a", "manifest/CURRENT.b"][slot]
}

fn write_root(disk: &dyn Disk, slot: usize, root: &Root) -> Result<(), Error> {
    let path = root_path(slot);
    match disk.create(path, root::LEN as u64) {
        Err(error) if error.kind == DiskErrorKind::Exists => {}
        other => other?,
    }
    disk.write_at(path, 0, &root.encode())?;
    disk.sync(path)?;
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
    let mut root = newest.ok_or_else(|| {
        Error::corrupt(
            "neither manifest/CURRENT.a nor manifest/CURRENT.b can be read; restore the folder \
             manifest from a backup",
        )
    })?;
    let path = log_path(root.log);
    let damage =
        |why: &str| Error::corrupt(format!("{path} is damaged ({why}); restore it from a backup"));
    let len = disk.len(&path).map_err(|error| damage(&error.detail))?;
    let len = crate::bytes::usize_from(len).map_err(|damaged| damage(damaged.0))?;
    let bytes = disk.read(&path, 0, len)?;
    edit::check_header(&bytes, root.log).map_err(|damaged| damage(damaged.0))?;
    let mut segments: Vec<SegmentEntry> = Vec::new();
    let (mut at, mut chain) = (edit::HEADER_LEN, 0);
    loop {
        let certain = (at as u64) < root.log_len;
        match Edit::read(&bytes[at..], chain) {
            Ok((edit, edit_len, edit_chain)) => {
                apply(&mut segments, &edit).map_err(|why| damage(&why))?;
                root.low = edit.low;
                (at, chain) = (at + edit_len, edit_chain);
            }
            // An edit past what a root vouches for was never relied on: nothing was removed
            // because of it, and the log still holds its rows.
            Err(_) if !certain => break,
            Err(damaged) => return Err(damage(&format!("{damaged} at byte {at}"))),
        }
    }
    let certain = newest.expect("invariant: it was there above");
    if (at as u64) < certain.log_len || (at as u64 == certain.log_len && chain != certain.chain) {
        return Err(damage("its edits do not end where the root says"));
    }
    root.log_len = at as u64;
    root.chain = chain;
    Ok(State { roots, root, segments })
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
    pub(crate) fn needed(&self) -> u64 {
        self.state.roots.iter().map(|root| root.map_or(0, |root| root.low)).min().unwrap_or(0)
    }

    /// Makes `edit` durable.
    ///
    /// # Errors
    /// Final: what is on disk is unknown, and the manifest must not be changed again before the
    /// store is opened anew.
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
            self.disk.sync(&path)?;
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
            self.disk.sync_dir(DIR)?;
        }
        self.state.roots[older] = Some(root);
        self.state.root = root;
        self.remove_unnamed_logs()
    }

    fn remove_unnamed_logs(&self) -> Result<(), Error> {
        let named = |number: u64| self.state.roots.iter().flatten().any(|root| root.log == number);
        if self.state.roots.iter().any(Option::is_none) {
            return Ok(());
        }
        for name in self.disk.list(DIR)? {
            let number = name.strip_suffix(".log").and_then(|digits| digits.parse().ok());
            if let Some(number) = number
                && !named(number)
            {
                self.disk.remove(&log_path(number))?;
            }
        }
        Ok(())
    }
}
