//! Opening a store: read the root and the manifest, open the segments, replay the log.
//!
//! Nothing is changed before everything that was acknowledged has passed its checks. A crash of the
//! process alone leaves bytes and names in the system's cache that were never synced; what is
//! served must not be lost by a power cut afterwards, so what is relied on is synced, or copied,
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use barrow_types::{DatasetId, PriceSide, Sequence, SeriesKey, Source, Step, Symbol, Timestamp};

use crate::aggregates::{Tiles, find_stored_tiles};
use crate::catalog::{Catalog, LEDGERS};
use crate::compact::{Dropped, Swept};
use crate::dataset;
use crate::dataset::retention::{self, RETENTION, SetFloor};
use crate::dataset::tables::{Definition, TABLES};
use crate::derived::Found as Derived;
use crate::disk::Disk;
use crate::error::Error;
use crate::features::{Checkpoints, StoredCells};
use crate::gaps::find_stored;
use crate::generation::{Generation, Published};
use crate::manifest::root::Root;
use crate::manifest::{self, Manifest};
use crate::memtable::Memtable;
use crate::options::Options;
use crate::rows::Rows;
use crate::segment::{self, Segment};
use crate::snapshot::{Revisions, Scan, Snapshot, integer, narrow, text};
use crate::wal;
use crate::wal::body::RowsBody;
use crate::wal::file::WalFile;
use crate::wal::record::{Body, Header, Kind};
use crate::wal::scan::{End, Expected};

use super::{Engine, Format, apply};

/// The folders of a store, outer ones first.
const FOLDERS: [&str; 4] = [wal::DIR, manifest::DIR, segment::DIR, "quarantine"];

/// What opening a store found, for the log of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the store was made now.
    pub created: bool,
    /// Records read from the log.
    pub replayed_records: u64,
    /// Rows of theirs that were put in memory.
    pub replayed_rows: u64,
    /// Bytes at the end of the log that were never acknowledged and are left out.
    pub torn_bytes: u64,
    /// Files that nothing refers to, of flushes that were never installed and the like, which were
    /// removed.
    pub removed_files: Vec<String>,
    /// Files of masks that could not be used, each with the reason. They were removed: masks are
    /// made from rows.
    pub refused_masks: Vec<String>,
    /// Files of tiles that could not be used, each with the reason. They were removed: tiles are
    /// made again.
    pub refused_tiles: Vec<String>,
}

/// A store as it was found: everything but the log's rows.
pub(crate) struct Found {
    pub(crate) format: Format,
    pub(crate) manifest: manifest::State,
    pub(crate) generation: Generation,
    pub(crate) wal_files: Vec<WalFile>,
    /// The newest ingest time that segments hold or the root knows.
    pub(crate) now: Timestamp,
}

impl Found {
    pub(crate) fn expected(&self) -> Expected {
        Expected {
            low: self.manifest.root.low,
            durable: self.manifest.root.durable,
            instance: self.format.instance,
            up_to: u64::MAX,
        }
    }
}

/// Reads a store without changing anything; `None` if there is none.
pub(crate) fn find(disk: &Arc<dyn Disk>) -> Result<Option<Found>, Error> {
    let Some(format) = Format::read(&**disk)? else {
        let wal_files = disk.list(wal::DIR)?;
        let segments = disk.list(segment::DIR)?;
        if !wal_files.is_empty() || !segments.is_empty() {
            return Err(Error::corrupt(
                "there are rows in wal or segments, but the file FORMAT is missing; restore it \
                 from a backup",
            ));
        }
        return Ok(None);
    };
    let manifest = manifest::load(&**disk)?;
    let segments = manifest
        .segments
        .iter()
        .map(|entry| {
            let found = Segment::open(&**disk, entry);
            found.map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let now = newest_ingest(&segments).max(Timestamp::from_nanos(manifest.root.now));
    let low = Sequence::new(manifest.root.low - 1);
    let catalog = Arc::new(Catalog::new());
    // The ledger of series is read through a generation whose catalog knows only the ledgers.
    let ledgers = Generation::new(
        Arc::clone(disk),
        Arc::clone(&catalog),
        segments.clone(),
        Memtable::with_slots(LEDGERS.len()),
        low,
    );
    let ledgers = Snapshot::new(Arc::new(ledgers), low, now);
    let keys = series_keys(&ledgers)?;
    for (key, since) in keys {
        catalog.add(key, since);
    }
    define_tables(&ledgers, &catalog)?;
    set_floors(&ledgers, &catalog)?;
    let slots = catalog.len();
    let of_known_series = segments.iter().flat_map(|segment| &segment.extents).all(|extent| {
        let key = catalog.key(extent.series);
        key.is_some_and(|key| key.dataset == extent.dataset)
    });
    if !of_known_series {
        return Err(Error::corrupt(
            "a segment holds rows of a series that the ledger of series does not know; restore \
             the folders segments and manifest from a backup",
        ));
    }
    let memtable = Memtable::with_slots(slots);
    let generation = Generation::new(Arc::clone(disk), catalog, segments, memtable, low);
    let wal_files = wal::scan::files(&**disk)?;
    Ok(Some(Found { format, manifest, generation, wal_files, now }))
}

/// The newest ingest time of a batch in segments.
pub(crate) fn newest_ingest(segments: &[Arc<Segment>]) -> Timestamp {
    let extents = segments.iter().flat_map(|segment| &segment.extents);
    let batches = extents.filter(|extent| extent.dataset == DatasetId::BATCHES);
    let newest = batches.map(|extent| extent.zone.ts.max).max();
    newest.map_or(Timestamp::MIN, Timestamp::from_nanos)
}

/// The keys of all series in segments, in order of their numbers, with the records that brought
/// them.
fn series_keys(snapshot: &Snapshot) -> Result<Vec<(SeriesKey, Sequence)>, Error> {
    let mut keys: BTreeMap<i64, (SeriesKey, Sequence)> = BTreeMap::new();
    let mut unreadable = false;
    snapshot.each_of_ledger(&dataset::SERIES, |rows, at| {
        let key = || {
            Some(SeriesKey {
                dataset: DatasetId::new(narrow(&rows.columns[1], at)),
                step: Step::from_code(narrow(&rows.columns[2], at))?,
                side: PriceSide::from_code(narrow(&rows.columns[3], at))?,
                symbol: Symbol::new(text(&rows.columns[4], at)).ok()?,
                source: Source::new(text(&rows.columns[5], at)).ok()?,
            })
        };
        let is_known = |dataset| dataset::schema(dataset).is_some() || dataset.is_table();
        match key().filter(|key| is_known(key.dataset)) {
            Some(key) => {
                let since = Sequence::new(rows.sequence[at]);
                let known = keys.insert(integer(&rows.columns[0], at), (key, since));
                unreadable |= known.is_some();
            }
            None => unreadable = true,
        }
    })?;
    let first = i64::try_from(LEDGERS.len()).expect("invariant: there are four ledgers");
    let dense = keys.keys().enumerate().all(|(at, &id)| i64::try_from(at) == Ok(id - first));
    if unreadable || !dense {
        return Err(Error::corrupt(
            "the ledger of series cannot be read as this build knows it; restore the folders \
             segments and manifest from a backup",
        ));
    }
    Ok(keys.into_values().collect())
}

/// Makes the tables known that are defined in segments; every series of a table has one.
fn define_tables(snapshot: &Snapshot, catalog: &Catalog) -> Result<(), Error> {
    let damaged = || {
        Error::corrupt(
            "the definitions of tables cannot be read as this build knows them; restore the \
             folders segments and manifest from a backup",
        )
    };
    for (series, _) in snapshot.series(DatasetId::TABLES, None) {
        let mut all = Rows::empty(TABLES.kinds());
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: TABLES.columns.iter().map(|column| column.id).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::All,
        })?;
        while let Some(rows) = scanner.next()? {
            all.extend_from(&rows);
        }
        let mut start = 0;
        // A record each, oldest first.
        for record in all.sequence.chunk_by(|a, b| a == b) {
            let rows = all.slice(start..start + record.len());
            start += record.len();
            let definition = Definition::read(&rows.columns, rows.len());
            let definition = definition.map_err(|_| damaged())?;
            catalog.check_next(&definition).map_err(|_| damaged())?;
            let known_at = Timestamp::from_nanos(rows.known_at[0]);
            catalog.define(&definition, Sequence::new(record[0]), known_at);
        }
    }
    let is_defined = |dataset| catalog.schema(dataset, Sequence::MAX).is_some();
    if catalog.datasets().into_iter().all(is_defined) { Ok(()) } else { Err(damaged()) }
}

/// Makes the floors of retention known that segments hold.
fn set_floors(snapshot: &Snapshot, catalog: &Catalog) -> Result<(), Error> {
    let mut found: Vec<SetFloor> = Vec::new();
    for (series, _) in snapshot.series(DatasetId::RETENTION, None) {
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: RETENTION.columns.iter().map(|column| column.id).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::All,
        })?;
        while let Some(rows) = scanner.next()? {
            for at in 0..rows.len() {
                let (dataset, step, floor) =
                    retention::read(&rows.columns, at).ok_or_else(|| {
                        Error::corrupt(
                            "the floors of retention cannot be read as this build knows them; \
                             restore the folders segments and manifest from a backup",
                        )
                    })?;
                let since = Sequence::new(rows.sequence[at]);
                let set_at = Timestamp::from_nanos(rows.known_at[at]);
                found.push(SetFloor { dataset, step, floor, since, set_at });
            }
        }
    }
    found.sort_by_key(|set| set.since);
    found.into_iter().for_each(|set| catalog.set_floor(set));
    Ok(())
}

/// Decodes a record and checks it against the state before it; `None` if it has no rows.
pub(crate) fn decode(
    generation: &Generation,
    header: &Header,
    body: &[u8],
) -> Result<Option<RowsBody>, Error> {
    if header.kind == Kind::Seal {
        return Ok(None);
    }
    let refuse = |why: &str| {
        Error::corrupt(format!(
            "record {} passes its checksum but cannot be read ({why}); it was written by another \
             build, or this one is wrong",
            header.sequence
        ))
    };
    let content = RowsBody::decode(body).map_err(|damaged| refuse(damaged.0))?;
    apply::check(generation, &content).map_err(refuse)?;
    Ok(Some(content))
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    options: Options,
    instance: [u8; 16],
) -> Result<(Engine, Recovery), Error> {
    let mut recovery = Recovery::default();
    if Format::sync(&*disk)? {
        manifest::sync(&*disk)?;
    }
    let found = match find(&disk)? {
        Some(found) => found,
        None => {
            create(&*disk, instance)?;
            recovery.created = true;
            find(&disk)?.expect("invariant: it was just made")
        }
    };
    let expected = found.expected();
    let (end, doubtful) = check_log(&*disk, &found.wal_files, expected)?;
    let Found { format, manifest, mut generation, wal_files, now } = found;
    generation.tiles = Arc::new(Tiles::new(options.tile_bytes_max));
    let (bytes_max, slots) = (options.checkpoint_bytes_max, options.checkpoint_slots);
    generation.checkpoints = Arc::new(Checkpoints::new(bytes_max, slots));
    let cells = (options.cell_bytes_max, options.cell_slots);
    let cells = StoredCells::new(format.instance, cells);
    generation.cells = Arc::new(cells);
    let epoch = 1 + wal_files.iter().map(|file| file.epoch).fold(manifest.root.epoch, u64::max);
    let next_segment = next_segment(&*disk)?;
    let last = Sequence::new(manifest.root.low - 1);
    let published = Arc::new(Published::new(generation, last, now));
    let log = wal::Writer::new(
        Arc::clone(&disk),
        format.instance,
        epoch,
        options.wal_file_bytes,
        wal_files,
    );
    let manifest = Manifest::new(Arc::clone(&disk), options.manifest_bytes_max, manifest);
    let mut engine = Engine {
        disk: Arc::clone(&disk),
        options,
        instance: format.instance,
        epoch,
        published,
        log,
        manifest,
        next_segment,
        flushing: None,
        unsealed: false,
        opening: true,
        touched: Vec::new(),
        poisoned: None,
        batches: 0,
        groups: 0,
        flushes: 0,
        flushed_bytes: 0,
        compactions: 0,
        compacted_bytes: 0,
        swept: Swept::default(),
        dropped: Dropped::default(),
        compacting: None,
        copying: Vec::new(),
        compaction_due: false,
        retired: Vec::new(),
        next_masks: 1,
        writing_masks: false,
        masks_up_to: Sequence::ZERO,
        next_tiles: 1,
        writing_tiles: false,
        tiles_up_to: Sequence::ZERO,
    };
    recovery.removed_files = engine.remove_unpublished()?;
    engine.log.go_on_after(end.last);
    if !doubtful.is_empty() {
        engine.log.begin_with(&doubtful)?;
    }
    replay(&mut engine, expected, &mut recovery)?;
    let newest = engine.snapshot();
    engine.published.advance_to(newest.sequence(), newest.now().max(now));
    engine.find_masks(&mut recovery)?;
    engine.find_tiles(&mut recovery)?;
    let cells = &engine.published.generation().cells;
    recovery.removed_files.extend(cells.find(&*engine.disk, engine.snapshot().sequence())?);
    engine.opening = false;
    engine.note_segments();
    engine.log.release(engine.first_needed());
    engine.unsealed = end.last > expected.durable;
    recovery.replayed_records = end.records;
    recovery.torn_bytes = end.torn_bytes;
    Ok((engine, recovery))
}

/// Reads the whole log once before anything is changed. Returns its end and the records that
/// nothing witnesses to be on disk.
fn check_log(
    disk: &dyn Disk,
    files: &[WalFile],
    expected: Expected,
) -> Result<(End, Vec<wal::Doubtful>), Error> {
    let mut doubtful: Vec<wal::Doubtful> = Vec::new();
    let end = wal::scan::replay(disk, files, expected, |header, body| {
        doubtful.retain(|record| record.sequence > header.durable);
        if header.sequence <= expected.durable {
            return Ok(());
        }
        doubtful.push(wal::Doubtful {
            sequence: header.sequence,
            kind: header.kind,
            now: header.now,
            body: Body::new(body.to_vec()),
        });
        Ok(())
    })?;
    doubtful.retain(|record| record.sequence > end.witnessed);
    Ok((end, doubtful))
}

fn replay(engine: &mut Engine, expected: Expected, recovery: &mut Recovery) -> Result<(), Error> {
    let disk = Arc::clone(&engine.disk);
    let files = engine.log.files().to_vec();
    let replayed = wal::scan::replay(&*disk, &files, expected, |header, body| {
        if header.sequence < expected.low {
            return Ok(());
        }
        let generation = engine.published.generation();
        let sequence = Sequence::new(header.sequence);
        let now = Timestamp::from_nanos(header.now);
        if let Some(content) = decode(&generation, header, body)? {
            let rows = content.row_count();
            recovery.replayed_rows += rows as u64;
            engine.touched.extend(apply::apply(&generation, content, sequence, now));
        }
        engine.published.advance_to(sequence, now);
        engine.advance();
        engine.flush_replayed();
        Ok(())
    });
    replayed.map(|_| ())
}

/// Makes an empty store. `FORMAT` comes last: a crash before it leaves no store.
fn create(disk: &dyn Disk, instance: [u8; 16]) -> Result<(), Error> {
    create_folders(disk)?;
    manifest::create(disk, &Root::first(), &[])?;
    Format { instance }.write(disk)
}

/// Makes the folders of a store.
pub(crate) fn create_folders(disk: &dyn Disk) -> Result<(), Error> {
    for folder in FOLDERS {
        disk.create_dir(folder)?;
    }
    disk.sync_dir("")?;
    Ok(())
}

/// A number that no segment has, published or not.
fn next_segment(disk: &dyn Disk) -> Result<u64, Error> {
    let names = disk.list(segment::DIR)?;
    let numbers = names
        .iter()
        .filter_map(|name| segment::number_of(name.strip_suffix(".tmp").unwrap_or(name)));
    Ok(numbers.max().map_or(1, |number| number + 1))
}

impl Engine {
    /// Removes what flushes and compactions left that were never installed, and what an opening
    /// left that did not come to its end. Replaced segments that the older root leads to stay
    /// until it leads elsewhere.
    fn remove_unpublished(&mut self) -> Result<Vec<String>, Error> {
        let disk = &*self.disk;
        let mut removed = Vec::new();
        for name in disk.list(wal::DIR)? {
            if name.ends_with(wal::TEMPORARY) {
                let path = format!("{}/{name}", wal::DIR);
                disk.remove(&path)?;
                // A spare is there after every crash and never held anything.
                if path != wal::spare::PATH {
                    removed.push(path);
                }
            }
        }
        let generation = self.published.generation();
        let live: BTreeSet<u64> = generation.segments.iter().map(|live| live.number).collect();
        for name in disk.list(segment::DIR)? {
            let whole = name.strip_suffix(".tmp").unwrap_or(&name);
            let Some(number) = segment::number_of(whole) else { continue };
            if whole == name && live.contains(&number) {
                continue;
            }
            if whole == name && self.manifest.needs(number) {
                self.retired.push((number, Weak::new()));
                continue;
            }
            let path = format!("{}/{name}", segment::DIR);
            disk.remove(&path)?;
            removed.push(path);
        }
        Ok(removed)
    }

    /// Takes up the masks that were written before, now that it is known what the store holds.
    fn find_masks(&mut self, recovery: &mut Recovery) -> Result<(), Error> {
        let last = self.snapshot().sequence().get();
        let found = find_stored(&*self.disk, self.instance, last)?;
        let Derived { stored, next_number, removed, refused } = found;
        let masks = &self.published.generation().masks;
        masks.note_dropped(refused.len());
        recovery.removed_files.extend(removed);
        recovery.refused_masks = refused;
        self.next_masks = next_number;
        if let Some(stored) = stored {
            self.masks_up_to = Sequence::new(stored.header.sequence);
            masks.attach(stored);
        }
        Ok(())
    }

    /// Takes up the tiles that were written before, now that it is known what the store holds.
    fn find_tiles(&mut self, recovery: &mut Recovery) -> Result<(), Error> {
        let last = self.snapshot().sequence().get();
        let found = find_stored_tiles(&*self.disk, self.instance, last)?;
        let Derived { stored, next_number, removed, refused } = found;
        let tiles = &self.published.generation().tiles;
        tiles.note_dropped(refused.len());
        recovery.removed_files.extend(removed);
        recovery.refused_tiles = refused;
        self.next_tiles = next_number;
        if let Some(stored) = stored {
            self.tiles_up_to = Sequence::new(stored.header.sequence);
            tiles.attach(stored);
        }
        Ok(())
    }

    /// Replay reads a log of any length in bounded memory: what does not fit is flushed. A disk
    /// that has no room for it does not keep the store from being read: what the log can hold
    /// without a flush fits in memory, because intake stops at twice the bound.
    fn flush_replayed(&mut self) {
        if self.flush_due()
            && let Some(job) = self.plan_flush()
        {
            let disk = Arc::clone(&self.disk);
            let done = job.run(&*disk);
            // A failure of the manifest poisons the engine; any other leaves the rows in memory.
            let _ = self.install(done);
        }
    }
}
