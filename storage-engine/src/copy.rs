//! A copy of a store as it was when it held the records up to one of them: what a backup is, and
//! what is made of one.
//!
//! Long work as a value: planned by an engine at work ([`crate::Engine::plan_backup`]) or of a
//! store that nobody has open ([`StoreAtRest`]), then run on any thread over what nobody changes.
//! Sealed files are linked where both disks lie on one file system, and copied elsewhere. Records
//! of the log that no segment holds are written to a log of the copy's own, and its manifest says
//! what there is. The file `FORMAT` comes last, when all the rest would survive a loss of power: a
//! copy that was broken off is no store.
//!
//! As long as a job lives, no file that it needs is removed.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use barrow_types::{Sequence, Timestamp};

use crate::aggregates::tile_file;
use crate::derived;
use crate::disk::{Disk, DiskErrorKind};
use crate::engine::Format;
use crate::engine::open::{self, Found};
use crate::error::Error;
use crate::gaps::mask_file;
use crate::generation::Generation;
use crate::manifest;
use crate::manifest::root::Root;
use crate::segment;
use crate::wal::file::WalFile;
use crate::wal::record::Header;
use crate::wal::scan::{self, Expected};
use crate::wal::{TRANSCRIPT_BYTES, Transcript};

/// Bytes that are copied before they are synced. Few, because commits that sync meanwhile may have
/// to wait for them.
const PIECE: usize = 4 << 20;

/// A copy that was decided on.
pub struct CopyJob {
    /// Its segments are copied, and it keeps them and the log behind them from being removed.
    pub(crate) generation: Arc<Generation>,
    pub(crate) derived: Vec<DerivedFile>,
    pub(crate) wal_files: Vec<WalFile>,
    /// The store that is copied.
    pub(crate) source: [u8; 16],
    /// The copy.
    pub(crate) instance: [u8; 16],
    pub(crate) last: Sequence,
    pub(crate) epoch: u64,
    /// A time that is not after that of the last record, nor before what segments hold.
    pub(crate) now: Timestamp,
}

/// A file of what is derived from rows, which readers do without.
#[derive(Clone)]
pub(crate) struct DerivedFile {
    pub(crate) path: String,
    pub(crate) len: u64,
}

/// Bytes that are in a copy now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Of a file that was linked: nothing was written.
    Linked(u64),
    /// Written and synced.
    Written(u64),
}

impl Moved {
    /// However they came there.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Linked(bytes) | Self::Written(bytes) => bytes,
        }
    }
}

/// A copy that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What it is called for ever.
    pub instance: [u8; 16],
    /// What its segments hold: the first record to which it can be brought back.
    pub first: Sequence,
    /// Its last record.
    pub last: Sequence,
    /// Sealed files in it.
    pub files: u64,
    /// Their bytes, and those of records of the log.
    pub bytes: u64,
    /// How many of the files were linked, and take no space of their own as long as the store has
    /// them too.
    pub linked_files: u64,
}

impl CopyJob {
    /// The records to which the copy can be brought back, from the first to the last.
    pub fn sequences(&self) -> RangeInclusive<Sequence> {
        self.generation.floor..=self.last
    }

    /// Bytes of the sealed files.
    pub fn bytes(&self) -> u64 {
        let segments = self.generation.segments.iter().map(|segment| segment.len);
        segments.chain(self.derived.iter().map(|file| file.len)).sum()
    }

    /// Makes the copy in `target`, which holds no store. Long; on any thread. `pace` is told of
    /// bytes as they are there; it may take its time, and may end the work.
    ///
    /// # Errors
    /// `Conflict` if there is a store already. What either disk says, `Full` among it; `Corrupt`
    /// if a sealed file or a record is not what it must be; `Stopped` if `pace` ended it. The
    /// store is as it was, and what is left in `target` is no store: remove it.
    pub fn run(
        self,
        target: &dyn Disk,
        pace: &mut dyn FnMut(Moved) -> ControlFlow<()>,
    ) -> Result<Copied, Error> {
        if Format::read(target)?.is_some() {
            return Err(Error::conflict("there is a store already; choose another folder"));
        }
        let copied = Copied {
            instance: self.instance,
            first: self.generation.floor,
            last: self.last,
            files: 0,
            bytes: 0,
            linked_files: 0,
        };
        let mut copying = Copying { source: &*self.generation.disk, target, pace, copied };
        open::create_folders(target)?;
        for live in &self.generation.segments {
            copying.file(&segment::path(live.number), live.len)?;
        }
        target.sync_dir(segment::DIR)?;
        copying.derived(&self.derived)?;
        let now = copying.log(&self)?.max(self.now);
        let root = Root {
            low: self.generation.floor.next().get(),
            durable: self.last.get(),
            epoch: self.epoch,
            now: now.nanos(),
            ..Root::first()
        };
        let entries: Vec<_> = self.generation.segments.iter().map(|live| live.entry()).collect();
        manifest::create(target, &root, &entries)?;
        Format { instance: self.instance }.write(target)?;
        Ok(copying.copied)
    }
}

/// A copy in the making.
struct Copying<'a> {
    source: &'a dyn Disk,
    target: &'a dyn Disk,
    pace: &'a mut dyn FnMut(Moved) -> ControlFlow<()>,
    copied: Copied,
}

impl Copying<'_> {
    /// A sealed file of just `len` bytes; its name is not yet durable.
    fn file(&mut self, path: &str, len: u64) -> Result<(), Error> {
        if self.target.link_from(self.source, path) {
            let actual = self.target.len(path)?;
            if actual != len {
                let why = format!("{path} is damaged ({actual} bytes long, not {len})");
                return Err(Error::corrupt(why));
            }
            self.copied.linked_files += 1;
            self.tell(Moved::Linked(len))?;
        } else {
            self.copy(path, len)?;
        }
        self.copied.files += 1;
        Ok(())
    }

    fn copy(&mut self, path: &str, len: u64) -> Result<(), Error> {
        self.target.create(path, 0)?;
        let mut buffer = vec![0; PIECE.min(usize::try_from(len).unwrap_or(PIECE))];
        let mut at = 0;
        while at < len {
            let left = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
            let piece = &mut buffer[..left];
            self.source.read_at(path, at, piece)?;
            self.target.write_at(path, at, piece)?;
            self.target.sync(path)?;
            at += left as u64;
            self.tell(Moved::Written(left as u64))?;
        }
        Ok(())
    }

    /// Files that the store may replace meanwhile: one that is gone is left out.
    fn derived(&mut self, files: &[DerivedFile]) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        self.target.create_dir(derived::DIR)?;
        self.target.sync_dir("")?;
        for DerivedFile { path, len } in files {
            let copied = self.file(path, *len);
            if copied.is_err() && is_gone(self.source, path) {
                match self.target.remove(path) {
                    Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
                    _ => continue,
                }
            }
            copied?;
        }
        self.target.sync_dir(derived::DIR)?;
        Ok(())
    }

    /// The records that no segment holds. Returns the time of the last one.
    fn log(&mut self, job: &CopyJob) -> Result<Timestamp, Error> {
        let (source, low, last) = (self.source, job.generation.floor.next().get(), job.last.get());
        let expected = Expected { low, durable: last, instance: job.source, up_to: last };
        let mut transcript =
            Transcript::new(self.target, job.instance, (job.epoch, low), TRANSCRIPT_BYTES);
        let mut now = Timestamp::MIN;
        let add = |header: &Header, body: &[u8]| {
            if header.sequence < low {
                return Ok(());
            }
            now = Timestamp::from_nanos(header.now);
            transcript.add(header, body)?;
            self.tell(Moved::Written(header.record_len() as u64))
        };
        scan::replay(source, &job.wal_files, expected, add)?;
        transcript.seal()?;
        Ok(now)
    }

    fn tell(&mut self, moved: Moved) -> Result<(), Error> {
        self.copied.bytes += moved.bytes();
        if (self.pace)(moved).is_break() {
            return Err(Error::stopped("the copy was stopped; the store is as it was"));
        }
        Ok(())
    }
}

fn is_gone(disk: &dyn Disk, path: &str) -> bool {
    matches!(disk.len(path), Err(error) if error.kind == DiskErrorKind::NotFound)
}

/// A store that nobody has open, read and checked as at its opening, but not changed.
pub struct StoreAtRest {
    generation: Arc<Generation>,
    derived: Vec<DerivedFile>,
    wal_files: Vec<WalFile>,
    instance: [u8; 16],
    last: Sequence,
    epoch: u64,
    /// The ingest time of the newest batch in segments.
    now_of_segments: Timestamp,
    /// The record that the root knows last, and its time.
    known: (Sequence, Timestamp),
}

impl StoreAtRest {
    /// The store on `disk`, which nobody may open for writing as long as copies of it are made.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Corrupt` if it is damaged; what the disk says.
    pub fn open(disk: &Arc<dyn Disk>) -> Result<Self, Error> {
        let found = open::find(disk)?;
        let found = found.ok_or_else(|| Error::not_found("there is no store there"))?;
        let end = scan::replay(&**disk, &found.wal_files, found.expected(), |_, _| Ok(()))?;
        let derived = derived_files(&**disk)?;
        let Found { format, manifest, generation, wal_files, .. } = found;
        let epochs = wal_files.iter().map(|file| file.epoch);
        Ok(Self {
            now_of_segments: open::newest_ingest(&generation.segments),
            known: (Sequence::new(manifest.root.durable), Timestamp::from_nanos(manifest.root.now)),
            epoch: epochs.fold(manifest.root.epoch, u64::max),
            last: Sequence::new(end.last),
            instance: format.instance,
            generation: Arc::new(generation),
            derived,
            wal_files,
        })
    }

    /// What it is called for ever.
    pub const fn instance(&self) -> [u8; 16] {
        self.instance
    }

    /// The records to which it can be brought back, from the first to the last.
    pub fn sequences(&self) -> RangeInclusive<Sequence> {
        self.generation.floor..=self.last
    }

    /// A copy of all of it, under its own name.
    pub fn plan_backup(&self) -> CopyJob {
        CopyJob { derived: self.derived.clone(), ..self.copy_to(self.last, self.instance) }
    }

    /// A store of its own, called `instance`, which should be random: it holds what this one held
    /// when `sequence` was its last record; all of it if that is not said. Whatever names this
    /// store (tokens of the feature feed, masks, tiles) is of another past.
    ///
    /// # Errors
    /// `Invalid` if it cannot be brought back to that record, with those to which it can.
    pub fn plan_restore(
        &self,
        sequence: Option<Sequence>,
        instance: [u8; 16],
    ) -> Result<CopyJob, Error> {
        let sequence = sequence.unwrap_or(self.last);
        let sequences = self.sequences();
        if !sequences.contains(&sequence) {
            let (first, last) = (sequences.start(), sequences.end());
            return Err(Error::invalid(format!(
                "sequence: it can be restored to any record from {first} to {last}, not to \
                 {sequence}"
            )));
        }
        Ok(self.copy_to(sequence, instance))
    }

    fn copy_to(&self, last: Sequence, instance: [u8; 16]) -> CopyJob {
        let (known, now) = self.known;
        CopyJob {
            generation: Arc::clone(&self.generation),
            derived: Vec::new(),
            wal_files: self.wal_files.clone(),
            source: self.instance,
            instance,
            last,
            epoch: self.epoch,
            now: if known <= last { now.max(self.now_of_segments) } else { self.now_of_segments },
        }
    }
}

/// Every file of masks and of tiles that there is.
fn derived_files(disk: &dyn Disk) -> Result<Vec<DerivedFile>, Error> {
    let mut files = Vec::new();
    for kind in [mask_file::KIND, tile_file::KIND] {
        for number in kind.list(disk)?.0 {
            let path = kind.path(number);
            let len = disk.len(&path)?;
            files.push(DerivedFile { path, len });
        }
    }
    Ok(files)
}
