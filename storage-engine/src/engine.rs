//! The spine: the only file that knows all stages.
//!
//! ```text
//! prepare ─▶ commit: log, sync ─▶ apply (ground) ─▶ visible ─▶ advance (derived)
//! open: root, manifest, segments, then replay: the same apply
//! flush: plan ─▶ run (any thread) ─▶ install
//! spare: plan ─▶ run (any thread) ─▶ install
//! masks: plan ─▶ run (any thread) ─▶ install
//! backup: plan ─▶ run (any thread); nothing to install
//! ```

pub(crate) mod apply;
mod format;
pub(crate) mod open;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use barrow_types::{Sequence, SeriesId, Timestamp};

use crate::aggregates::{TileStats, tile_file};
use crate::batch::Applied;
use crate::compact::{self, CompactDone, CompactJob, Dropped, Scope, Swept};
use crate::copy::{CopyJob, DerivedFile};
use crate::curate::{TilesDone, TilesJob};
use crate::disk::Disk;
use crate::error::{Error, ErrorKind};
use crate::features::{CheckpointStats, StoredCellsStats};
use crate::flush::{FlushDone, FlushJob};
use crate::gaps::{MaskStats, MasksDone, MasksJob, mask_file};
use crate::generation::{Generation, Published};
use crate::manifest::edit::Edit;
use crate::manifest::{Certain, Manifest};
use crate::options::Options;
use crate::prepare::{Outcome, Prepared, Ready, prepare, repeated};
use crate::segment::{self, Segment};
use crate::snapshot::Snapshot;
use crate::wal;
use crate::wal::record::{Body, Kind};
use crate::wal::spare::{SpareDone, SpareJob};

pub(crate) use format::Format;
pub use open::Recovery;

/// Files of the log above which a flush is due, however few rows they hold: every opening that
/// writes makes one. One flush lets them go when the next has come, because both roots count.
const WAL_FILES_MAX: u64 = 8;

/// Counters since the store was opened, and sizes now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// The last record that is visible.
    pub sequence: u64,
    /// Series, of ledgers too.
    pub series: u64,
    /// Bytes of rows in memory.
    pub memtable_bytes: u64,
    /// Rows in memory, of ledgers too.
    pub memtable_rows: u64,
    /// Live segments.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Files of the log.
    pub wal_files: u64,
    /// Batches committed.
    pub batches: u64,
    /// Groups they were committed in.
    pub groups: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Flushes installed.
    pub flushes: u64,
    /// Bytes of the segments they wrote.
    pub flushed_bytes: u64,
    /// Compactions installed.
    pub compactions: u64,
    /// Bytes of the segments they wrote.
    pub compacted_bytes: u64,
    /// Rows that compactions left out because no question above a floor of retention sees them.
    pub retention_rows: u64,
    /// Bytes that they took, about.
    pub retention_bytes: u64,
    /// Files of replaced segments that wait for their last reader.
    pub retired_files: u64,
}

/// Hands out snapshots on any thread.
#[derive(Clone)]
pub struct Reader {
    published: Arc<Published>,
    instance: [u8; 16],
}

impl Reader {
    /// The newest state.
    pub fn snapshot(&self) -> Snapshot {
        self.published.snapshot()
    }

    /// The identity of the store, for ever.
    pub const fn instance(&self) -> [u8; 16] {
        self.instance
    }

    /// What became of gap masks.
    pub fn masks(&self) -> MaskStats {
        self.published.generation().masks.stats()
    }

    /// Tiles, the bars that were made of others and are remembered: counters and sizes.
    pub fn tiles(&self) -> TileStats {
        self.snapshot().generation().tiles.stats()
    }

    /// What is kept of the states of feature kernels, and how often one was used.
    pub fn checkpoints(&self) -> CheckpointStats {
        self.snapshot().generation().checkpoints.stats()
    }

    /// What became of cells of features in files.
    pub fn cells(&self) -> StoredCellsStats {
        self.snapshot().generation().cells.stats()
    }
}

/// One store, open for writing. One owner; readers take a [`Reader`].
pub struct Engine {
    disk: Arc<dyn Disk>,
    options: Options,
    instance: [u8; 16],
    epoch: u64,
    published: Arc<Published>,
    log: wal::Writer,
    manifest: Manifest,
    next_segment: u64,
    /// The flush in progress reads the memtable up to here.
    flushing: Option<Sequence>,
    /// Whether something was committed since the last seal.
    unsealed: bool,
    /// Whether the log is still being replayed, and so must not lose a file.
    opening: bool,
    touched: Vec<SeriesId>,
    poisoned: Option<String>,
    batches: u64,
    groups: u64,
    flushes: u64,
    flushed_bytes: u64,
    compactions: u64,
    compacted_bytes: u64,
    /// Which segments have no more to lose.
    swept: Swept,
    /// What compactions left out because of floors of retention.
    dropped: Dropped,
    /// The segments that the compaction in progress replaces.
    compacting: Option<BTreeSet<u64>>,
    compaction_due: bool,
    /// What is being copied: its log, behind its floor, is not removed.
    copying: Vec<Weak<Generation>>,
    /// Segments that are no longer live, and who still reads them.
    retired: Vec<(u64, Weak<Segment>)>,
    next_masks: u64,
    writing_masks: bool,
    /// What segments hold up to here is in the file of masks, or has none.
    masks_up_to: Sequence,
    /// The number of the next file of tiles.
    next_tiles: u64,
    writing_tiles: bool,
    /// The records whose rows the file of tiles knows.
    tiles_up_to: Sequence,
}

impl Engine {
    /// Opens the store on `disk`, or makes one there; `instance` is its identity if it is new, and
    /// should be random.
    ///
    /// # Errors
    /// `Corrupt` if acknowledged data is damaged or missing: nothing was changed. `Disk` or `Full`
    /// if the disk failed.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        instance: [u8; 16],
    ) -> Result<(Self, Recovery), Error> {
        open::open(disk, options, instance)
    }

    /// Hands out snapshots on any thread.
    pub fn reader(&self) -> Reader {
        Reader { published: Arc::clone(&self.published), instance: self.instance }
    }

    /// The newest state.
    pub fn snapshot(&self) -> Snapshot {
        self.published.snapshot()
    }

    /// Makes a group of batches durable with one sync, then visible. Results are in the order of
    /// the group; an error inside is about that batch alone, which left no trace. `now` is raised
    /// to the `now` of the last commit if it lies before.
    ///
    /// # Errors
    /// About the whole group: `Full` if the disk or the memtable has no room; nothing was stored,
    /// and it may be tried again. `Disk` if the log failed: what happened to the group is not
    /// known before the store is opened again, and no more commits are taken.
    pub fn commit(
        &mut self,
        group: Vec<Prepared>,
        now: Timestamp,
    ) -> Result<Vec<Result<Applied, Error>>, Error> {
        self.check_intake()?;
        let snapshot = self.snapshot();
        let now = now.max(snapshot.now());
        let generation = self.published.generation();
        if generation.memtable.bytes() >= self.options.memtable_bytes_max * 2 {
            return Err(Error::full(
                "the memtable is at its bound because flushes do not keep up or fail; free disk \
                 space, or send more slowly",
            ));
        }
        // Rows are applied as their records are staged, so that the next batch of the group sees
        // them; readers do not before `advance_to`. If the sync fails they never do.
        let mut sequence = snapshot.sequence();
        let mut results = Vec::with_capacity(group.len());
        for prepared in group {
            let view = self.published.snapshot_at(sequence, now);
            let result = self.admit(prepared, &view).and_then(|admitted| match admitted {
                Admitted::Repeated(answer) => Ok(answer),
                Admitted::Ready(ready) => {
                    sequence = self.stage(Kind::Rows, now, &ready.body)?;
                    Ok(self.apply(&generation, *ready, sequence, now))
                }
            });
            self.check_intake()?;
            results.push(result);
        }
        if sequence > snapshot.sequence() {
            self.sync_log()?;
            self.groups += 1;
            self.unsealed = true;
            self.published.advance_to(sequence, now);
        }
        Ok(results)
    }

    /// Checks that what was prepared still holds, and prepares it anew if not.
    fn admit(&self, prepared: Prepared, view: &Snapshot) -> Result<Admitted, Error> {
        let fresh = if holds(&prepared, view) {
            prepared
        } else {
            prepare(prepared.into_batch(), view, view.now())?
        };
        let ready = match fresh.outcome {
            Outcome::Repeated(entry) => return Ok(Admitted::Repeated(repeated(&entry))),
            Outcome::Ready(ready) => ready,
        };
        if ready.body.bytes.len() as u64 > self.options.batch_bytes_max {
            return Err(Error::invalid(format!(
                "the batch takes {} bytes, more than batch_bytes_max = {}; send it in parts",
                ready.body.bytes.len(),
                self.options.batch_bytes_max
            )));
        }
        let new = ready.content.sections.iter().map(|section| section.new_symbols.len());
        let series = view.generation().catalog.len() + new.sum::<usize>();
        if series > self.options.series_max as usize {
            return Err(Error::full(format!(
                "the store would have {series} series, more than series_max = {}; raise the \
                 setting, or check the symbols",
                self.options.series_max
            )));
        }
        Ok(Admitted::Ready(ready))
    }

    fn apply(
        &mut self,
        generation: &Generation,
        ready: Ready,
        sequence: Sequence,
        now: Timestamp,
    ) -> Applied {
        let Ready { content, errors, .. } = ready;
        let answer = Applied {
            batch_id: content.batch_id.clone(),
            sequence,
            now,
            counts: content.counts,
            errors,
            claims: content.claims,
            retracted: content.retracted,
            repeated: false,
        };
        self.touched.extend(apply::apply(generation, content, sequence, now));
        self.batches += 1;
        answer
    }

    /// Derived work that is due after commits. It may lag: readers find the same rows before and
    /// after. Small runs of the memtable are joined; returns the series to which commits have
    /// brought anything since the last call, for [`crate::LiveFeatures`].
    pub fn advance(&mut self) -> Vec<SeriesId> {
        let generation = self.published.generation();
        let floor = self.flushing.unwrap_or(Sequence::ZERO);
        self.touched.sort_unstable();
        self.touched.dedup();
        generation.memtable.coalesce(&self.touched, floor);
        drop(generation);
        self.remove_retired();
        std::mem::take(&mut self.touched)
    }

    /// Appends a seal if anything was committed since the last one: it witnesses that the last
    /// commit was on disk. For the server's timer, when it is idle.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn seal(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.unsealed { self.tick(now) } else { Ok(()) }
    }

    /// Appends a seal whatever was committed: time goes on with it. For the server's timer, when
    /// a slot is due that nothing else closes.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        self.check_intake()?;
        let now = now.max(self.snapshot().now());
        let sequence = self.stage(Kind::Seal, now, &Body::new(Vec::new()))?;
        self.sync_log()?;
        self.unsealed = false;
        self.published.advance_to(sequence, now);
        Ok(())
    }

    /// Whether the memtable or the log is large enough for a flush, and none is in progress.
    pub fn flush_due(&self) -> bool {
        let memtable = &self.published.generation().memtable;
        let is_large = memtable.bytes() >= self.options.memtable_bytes_max;
        let long_log = self.log.file_count() > WAL_FILES_MAX && memtable.rows() > 0;
        // A flush would not make a log shorter that is being copied.
        let long_log = long_log && self.copies().next().is_none();
        self.flushing.is_none() && self.poisoned.is_none() && (is_large || long_log)
    }

    /// Whether a flush was planned and not yet installed.
    pub fn flush_in_progress(&self) -> bool {
        self.flushing.is_some()
    }

    /// The last record whose rows are in segments.
    pub fn flushed(&self) -> Sequence {
        self.published.generation().floor
    }

    /// A flush of everything committed so far; `None` if there is nothing, or one is in progress.
    pub fn plan_flush(&mut self) -> Option<FlushJob> {
        let generation = self.published.generation();
        if self.flushing.is_some() || self.poisoned.is_some() || generation.memtable.rows() == 0 {
            return None;
        }
        let up_to = self.snapshot().sequence();
        self.flushing = Some(up_to);
        let job = FlushJob::plan(&generation, self.next_segment, up_to);
        self.next_segment += 1;
        Some(job)
    }

    /// Makes a flush that was run the state of the store, or drops it if it failed: its rows stay
    /// in the memtable and the log.
    ///
    /// # Errors
    /// The error of the run, or `Full` if the manifest has no room: another flush may be planned.
    /// If the manifest failed, [`Self::poisoned`] says so.
    pub fn install(&mut self, done: Result<FlushDone, Error>) -> Result<(), Error> {
        self.flushing = None;
        let FlushDone { segment, up_to } = done?;
        let edit =
            Edit { low: up_to.next().get(), added: vec![segment.entry()], removed: Vec::new() };
        self.record(&edit)?;
        self.flushed_bytes += segment.len;
        let generation = self.published.generation().flushed(segment, up_to);
        self.published.install(generation);
        self.flushes += 1;
        if !self.opening {
            self.log.release(self.first_needed());
        }
        self.note_segments();
        Ok(())
    }

    /// Whether a compaction is due, and none is in progress.
    pub fn compaction_due(&self) -> bool {
        self.compaction_due && self.compacting.is_none() && self.poisoned.is_none()
    }

    /// Looks at the live segments anew, after they have changed.
    fn note_segments(&mut self) {
        let generation = self.published.generation();
        let chosen = compact::choose(&generation, &self.options, Scope::Due, &self.swept);
        self.compaction_due = chosen.is_some();
        drop(generation);
        self.remove_retired();
    }

    /// Whether a compaction was planned and not yet installed.
    pub fn compaction_in_progress(&self) -> bool {
        self.compacting.is_some()
    }

    /// A compaction; `None` if nothing is to be done in that scope, or one is in progress.
    pub fn plan_compaction(&mut self, scope: Scope) -> Option<CompactJob> {
        if self.compacting.is_some() || self.poisoned.is_some() {
            return None;
        }
        let generation = self.published.generation();
        let inputs = compact::choose(&generation, &self.options, scope, &self.swept)?;
        let job = CompactJob::plan(generation, inputs, self.next_segment, self.options);
        self.next_segment += job.numbers();
        self.compacting = Some(job.inputs().clone());
        Some(job)
    }

    /// Makes a compaction that was run the state of the store, or drops it if it failed. The files
    /// it replaces go when neither root nor any reader needs them.
    ///
    /// # Errors
    /// The error of the run, or `Full` if the manifest has no room: nothing has changed, and
    /// another may be planned. If the manifest failed, [`Self::poisoned`] says so.
    pub fn install_compaction(&mut self, done: Result<CompactDone, Error>) -> Result<(), Error> {
        let removed = self.compacting.take().expect("invariant: one was planned");
        let done = done?;
        let edit = Edit {
            low: self.manifest.low(),
            added: done.segments.iter().map(Segment::entry).collect(),
            removed: removed.iter().copied().collect(),
        };
        self.record(&edit)?;
        let old = self.published.generation();
        let replaced = old.segments.iter().filter(|segment| removed.contains(&segment.number));
        for segment in replaced {
            self.retired.push((segment.number, Arc::downgrade(segment)));
        }
        self.compactions += 1;
        self.dropped.rows += done.dropped.rows;
        self.dropped.bytes += done.dropped.bytes;
        self.compacted_bytes += done.segments.iter().map(|made| made.len).sum::<u64>();
        let made: Vec<u64> = done.segments.iter().map(|made| made.number).collect();
        let generation = old.compacted(done.segments, &removed);
        drop(old);
        self.swept.note(&generation, made, done.floors_up_to);
        self.published.install(generation);
        // Now the older root leads here too, and what was replaced may go.
        if let Err(error) = self.manifest.note(self.certain()) {
            return Err(self.poison(error));
        }
        self.note_segments();
        Ok(())
    }

    /// Appends an edit to the manifest. A full disk leaves it as it was and the files that the
    /// edit adds are dropped; after any other error nobody knows whether they are needed.
    fn record(&mut self, edit: &Edit) -> Result<(), Error> {
        let recorded = self.check_intake().and_then(|()| {
            self.manifest.install(edit, self.certain()).map_err(|error| {
                if error.kind() == ErrorKind::Full { error } else { self.poison(error) }
            })
        });
        if matches!(&recorded, Err(error) if error.kind() == ErrorKind::Full) {
            edit.added.iter().for_each(|made| segment::discard(&*self.disk, made.number));
        }
        recorded
    }

    /// Removes files of replaced segments that nobody needs any more. One that cannot be removed
    /// harms nobody: it is tried again, and opening the store removes it.
    fn remove_retired(&mut self) {
        let (disk, manifest) = (&*self.disk, &self.manifest);
        self.retired.retain(|(number, readers)| {
            readers.strong_count() > 0
                || manifest.needs(*number)
                || disk.remove(&segment::path(*number)).is_err()
        });
    }

    /// The next file of the log, to be made ahead of the commit that needs it; `None` if none is
    /// due, or one is there or being made.
    pub fn plan_spare(&mut self) -> Option<SpareJob> {
        if self.poisoned.is_some() { None } else { self.log.plan_spare() }
    }

    /// Hands a spare to the log, which uses it when it needs a file.
    ///
    /// # Errors
    /// The error of the run, which harms nobody: a commit that needs a file makes it.
    pub fn install_spare(&mut self, done: Result<SpareDone, Error>) -> Result<(), Error> {
        self.log.install_spare(done)
    }

    /// Whether segments hold rows that the file of masks does not know, and none is being written.
    pub fn masks_due(&self) -> bool {
        let generation = self.published.generation();
        let is_behind = generation.floor > self.masks_up_to || generation.masks.is_damaged();
        is_behind && !self.writing_masks && self.poisoned.is_none()
    }

    /// The masks of what is in segments, to be written; `None` if that is not due, or there are
    /// none.
    pub fn plan_masks(&mut self) -> Option<MasksJob> {
        if !self.masks_due() {
            return None;
        }
        let generation = self.published.generation().in_segments();
        let floor = generation.floor;
        let snapshot = Snapshot::new(Arc::new(generation), floor, self.snapshot().now());
        let job = MasksJob::plan(snapshot, self.next_masks, self.instance);
        match job {
            Some(_) => (self.next_masks, self.writing_masks) = (self.next_masks + 1, true),
            None => self.masks_up_to = floor,
        }
        job
    }

    /// Has readers use masks that were written, in place of older ones.
    ///
    /// # Errors
    /// The error of the run, which harms nobody: masks are made from rows.
    pub fn install_masks(&mut self, done: Result<MasksDone, Error>) -> Result<(), Error> {
        self.writing_masks = false;
        let MasksDone { stored } = done?;
        self.masks_up_to = Sequence::new(stored.header.sequence);
        if let Some(old) = self.published.generation().masks.attach(stored) {
            // One that cannot be removed harms nobody: opening the store removes it.
            let _ = self.disk.remove(&mask_file::path(old));
        }
        Ok(())
    }

    /// Whether segments hold rows that the file of tiles does not know, and none is being written.
    pub fn tiles_due(&self) -> bool {
        let generation = self.published.generation();
        let is_behind = generation.floor > self.tiles_up_to || generation.tiles.is_damaged();
        is_behind && !self.writing_tiles && self.poisoned.is_none()
    }

    /// The tiles of what is in segments, to be written; `None` if that is not due, or there are
    /// none.
    pub fn plan_tiles(&mut self) -> Option<TilesJob> {
        if !self.tiles_due() {
            return None;
        }
        let generation = self.published.generation().in_segments();
        let floor = generation.floor;
        let snapshot = Snapshot::new(Arc::new(generation), floor, self.snapshot().now());
        let job = TilesJob::plan(snapshot, self.next_tiles, self.instance);
        match job {
            Some(_) => (self.next_tiles, self.writing_tiles) = (self.next_tiles + 1, true),
            None => self.tiles_up_to = floor,
        }
        job
    }

    /// Has readers use tiles that were written, in place of older ones.
    ///
    /// # Errors
    /// The error of the run, which harms nobody: tiles are made from rows.
    pub fn install_tiles(&mut self, done: Result<TilesDone, Error>) -> Result<(), Error> {
        self.writing_tiles = false;
        let TilesDone { stored } = done?;
        self.tiles_up_to = Sequence::new(stored.header.sequence);
        if let Some(old) = self.published.generation().tiles.attach(stored) {
            // One that cannot be removed harms nobody: opening the store removes it.
            let _ = self.disk.remove(&tile_file::path(old));
        }
        Ok(())
    }

    /// A backup of what is visible now. As long as the job lives no file that it needs is removed:
    /// replaced segments take space meanwhile, and so does the log.
    pub fn plan_backup(&mut self) -> CopyJob {
        let newest = self.snapshot();
        let live = self.published.generation();
        let masks = live.masks.with_stored(|stored| (mask_file::path(stored.number), stored.len));
        let tiles = live.tiles.with_stored(|stored| (tile_file::path(stored.number), stored.len));
        let derived = masks.into_iter().chain(tiles);
        let generation = Arc::new(live.in_segments());
        self.copying.retain(|copied| copied.strong_count() > 0);
        self.copying.push(Arc::downgrade(&generation));
        CopyJob {
            generation,
            derived: derived.map(|(path, len)| DerivedFile { path, len }).collect(),
            wal_files: self.log.files().to_vec(),
            source: self.instance,
            instance: self.instance,
            last: newest.sequence(),
            epoch: self.epoch,
            now: newest.now(),
        }
    }

    /// What is being copied.
    fn copies(&self) -> impl Iterator<Item = Arc<Generation>> {
        self.copying.iter().filter_map(Weak::upgrade)
    }

    /// The first record of the log that the manifest or a copy still needs.
    fn first_needed(&self) -> u64 {
        let copied = self.copies().map(|copied| copied.floor.next().get());
        copied.fold(self.manifest.first_needed(), u64::min)
    }

    /// Why no more commits are taken, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        let generation = self.published.generation();
        Stats {
            sequence: self.snapshot().sequence().get(),
            series: generation.catalog.len() as u64,
            memtable_bytes: generation.memtable.bytes(),
            memtable_rows: generation.memtable.rows(),
            segments: generation.segments.len() as u64,
            segment_bytes: generation.segments.iter().map(|segment| segment.len).sum(),
            wal_files: self.log.file_count(),
            batches: self.batches,
            groups: self.groups,
            syncs: self.log.syncs(),
            flushes: self.flushes,
            flushed_bytes: self.flushed_bytes,
            compactions: self.compactions,
            compacted_bytes: self.compacted_bytes,
            retention_rows: self.dropped.rows,
            retention_bytes: self.dropped.bytes,
            retired_files: self.retired.len() as u64,
        }
    }

    /// Seals the log and notes in the root what is on disk, so that damage to anything
    /// acknowledged can be told from a torn tail.
    ///
    /// # Errors
    /// As [`Self::commit`]. The store is as after a crash: everything acknowledged is there.
    pub fn close(mut self, now: Timestamp) -> Result<(), Error> {
        self.check_intake()?;
        let sealed = self.seal(now);
        // A seal may find no space; the root needs none.
        self.check_intake()?;
        self.manifest.note(self.certain())?;
        self.log.remove_spare();
        sealed
    }

    /// The identity of the store, for ever.
    pub const fn instance(&self) -> [u8; 16] {
        self.instance
    }

    /// Counts the openings of the store.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    fn certain(&self) -> Certain {
        let now = self.snapshot().now().nanos();
        Certain { durable: self.log.durable(), now, epoch: self.epoch }
    }

    /// Stages a record; a full disk leaves the log as it was, any other error poisons.
    fn stage(&mut self, kind: Kind, now: Timestamp, body: &Body) -> Result<Sequence, Error> {
        self.log.stage(kind, now.nanos(), body).map(Sequence::new).map_err(|error| {
            if error.kind() == ErrorKind::Full { error } else { self.poison(error) }
        })
    }

    fn sync_log(&mut self) -> Result<(), Error> {
        let synced = self.log.sync();
        synced.map_err(|error| self.poison(error))
    }

    fn check_intake(&self) -> Result<(), Error> {
        match &self.poisoned {
            None => Ok(()),
            Some(why) => Err(Error::disk(format!(
                "intake stopped after an error of the disk; reads go on, and opening the store \
                 again resumes it: {why}"
            ))),
        }
    }

    fn poison(&mut self, error: Error) -> Error {
        self.poisoned.get_or_insert_with(|| error.to_string());
        Error::disk(error.to_string())
    }
}

enum Admitted {
    Ready(Box<Ready>),
    Repeated(Applied),
}

/// Whether what was prepared is what would be prepared on `view` too: no series it looked at has
/// changed, its id is still free, and the clock has passed nothing that decided anything.
fn holds(prepared: &Prepared, view: &Snapshot) -> bool {
    let Outcome::Ready(ready) = &prepared.outcome else { return true };
    let generation = view.generation();
    let at = prepared.at.sequence();
    let unchanged = |series: &SeriesId| {
        let slot = generation.memtable.slot(*series).expect("invariant: series have slots");
        slot.last_sequence() <= at.get()
    };
    if !prepared.validity.holds_at(view.now()) {
        return false;
    }
    if view.sequence() == at {
        return true;
    }
    // Below the floor the memtable no longer tells all that happened since.
    generation.floor <= at
        && generation.memtable.batch(&prepared.batch.id, view.sequence()).is_none()
        && ready.touched.iter().all(unchanged)
        && ready.new_keys.iter().all(|key| generation.catalog.find(key).is_none())
        && ready.whole.is_none_or(|(dataset, count)| view.series(dataset, None).len() == count)
}
