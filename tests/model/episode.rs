//! One store from its creation to its end, and the model beside it.

mod backups;
mod floors;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::batch::Applied;
use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::{
    CompactDone, CompactJob, Engine, Error, ErrorKind, FlushDone, FlushJob, Options, Prepared,
    Revisions, Scope, Snapshot, prepare, retraction_of, verify,
};
use barrow_tests::model::{Floor, Load, Model, Table, Value, Verdict};
use barrow_tests::random::Random;
use barrow_types::{Sequence, SeriesId, SeriesKey, Timestamp};

use self::backups::Backup;
use crate::compare::{self, Question};
use crate::generate::{self, Horizon, START, Shape, pick, span};
use crate::trail::Trail;

/// Most batches that are prepared and wait; most old snapshots that are kept.
const WAITING_MAX: usize = 4;

/// How many times of the past are remembered to be asked about.
const INSTANTS_MAX: usize = 500;

/// What was done, for a person.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    operations: u64,
    batches: u64,
    rows: u64,
    repeated: u64,
    conflicts: u64,
    flushes: u64,
    compactions: u64,
    reopenings: u64,
    restores: u64,
    floors: u64,
    dropped: u64,
    questions: u64,
    compared: u64,
}

impl Totals {
    /// Stores that were made of backups.
    pub(crate) const fn restores(&self) -> u64 {
        self.restores
    }

    pub(crate) const fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.batches += other.batches;
        self.rows += other.rows;
        self.repeated += other.repeated;
        self.conflicts += other.conflicts;
        self.flushes += other.flushes;
        self.compactions += other.compactions;
        self.reopenings += other.reopenings;
        self.restores += other.restores;
        self.floors += other.floors;
        self.dropped += other.dropped;
        self.questions += other.questions;
        self.compared += other.compared;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations: {} batches of {} rows, {} repeated, {} conflicts, {} flushes, \
             {} compactions, {} reopenings, {} floors raised, {} rows dropped; {} questions, \
             {} rows compared",
            self.operations,
            self.batches,
            self.rows,
            self.repeated,
            self.conflicts,
            self.flushes,
            self.compactions,
            self.reopenings,
            self.floors,
            self.dropped,
            self.questions,
            self.compared
        )
    }
}

/// A flush on its way.
enum Flush {
    Planned(FlushJob),
    Ran(Result<FlushDone, Error>),
}

/// A compaction on its way.
enum Compaction {
    Planned(CompactJob),
    Ran(Result<CompactDone, Error>),
}

pub(crate) struct Episode {
    shape: Shape,
    random: Random,
    disk: MemoryDisk,
    /// `None` only between a close and the opening that follows.
    engine: Option<Engine>,
    model: Model,
    /// What the outside thinks is now; may fall.
    clock: i64,
    /// `now` of the newest record; never falls.
    held_now: i64,
    last_sequence: u64,
    ids: Vec<String>,
    /// What each known id was first offered as, stored or not.
    offered: BTreeMap<String, Load>,
    waiting: Vec<(Load, Prepared)>,
    flush: Option<Flush>,
    compaction: Option<Compaction>,
    backup: Option<Backup>,
    old: Vec<Snapshot>,
    instants: Vec<i64>,
    series: BTreeMap<SeriesKey, SeriesId>,
    totals: Totals,
    trail: Trail,
}

impl Episode {
    pub(crate) fn new(shape: Shape, seed: u64) -> Self {
        let title = format!("the episode of seed {seed} ({shape:?})");
        let test = if shape.backups > 0 { "restored" } else { "engine" };
        let repeat = format!(
            "BARROW_MODEL_EPISODE={seed} cargo test -p barrow-tests --test model {test} (and \
             BARROW_MODEL_SEED as it was)"
        );
        Self {
            shape,
            random: Random::new(seed),
            disk: MemoryDisk::new(),
            engine: None,
            model: Model::default(),
            clock: START,
            held_now: i64::MIN,
            last_sequence: 0,
            ids: Vec::new(),
            offered: BTreeMap::new(),
            waiting: Vec::new(),
            flush: None,
            compaction: None,
            backup: None,
            old: Vec::new(),
            instants: Vec::new(),
            series: BTreeMap::new(),
            totals: Totals::default(),
            trail: Trail::new(title, repeat),
        }
    }

    /// All of it, to the last check of the store at rest.
    pub(crate) fn run(mut self) -> Totals {
        self.open();
        for _ in 0..self.shape.operations {
            self.trail.advance();
            self.operate();
            if self.random.chance(self.shape.questions) {
                self.ask();
            }
        }
        self.totals.operations = self.shape.operations;
        self.finish();
        self.totals
    }

    fn operate(&mut self) {
        self.tick();
        if self.shape.backups > 0 && self.random.chance(self.shape.backups) {
            return self.back_up_a_step();
        }
        if self.shape.floors > 0 && self.random.chance(self.shape.floors) {
            return self.raise_a_floor();
        }
        if self.random.chance(self.shape.flushes) {
            return self.flush_a_step();
        }
        if self.random.chance(self.shape.flushes / 2 + 1) {
            return self.compact_a_step();
        }
        match self.random.below(100) {
            0..70 => self.offer_now(),
            70..80 => self.prepare_and_wait(),
            80..88 => self.commit_waiting(),
            88..92 => self.retract_a_batch(),
            92..94 => self.seal(),
            94..98 => self.keep_a_snapshot(),
            98 => self.reopen(true),
            _ => self.reopen(false),
        }
        if self.engine().flush_due() && self.random.chance(50) {
            self.flush_a_step();
        }
    }

    /// Time goes on, stands still or falls.
    fn tick(&mut self) {
        self.clock += match self.random.below(10) {
            0..3 => 0,
            3 => -span(&mut self.random, 3_600_000_000_000),
            4 | 5 => 1,
            6..9 => span(&mut self.random, 60_000_000_000),
            _ => span(&mut self.random, 40_000_000_000_000),
        };
        self.clock = self.clock.max(START);
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("invariant: open between operations")
    }

    fn engine_mut(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("invariant: open between operations")
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos(self.clock)
    }

    /// The ingest time of a commit at this moment.
    fn ingest_now(&self) -> i64 {
        self.clock.max(self.held_now)
    }

    fn options(&self) -> Options {
        Options {
            wal_file_bytes: self.shape.wal_file_bytes,
            memtable_bytes_max: self.shape.memtable_bytes_max,
            compact_fan_out: 3,
            compact_first_bytes: 8 << 10,
            own_file_bytes: self.shape.memtable_bytes_max / 8,
            pack_bytes_max: self.shape.memtable_bytes_max,
            ..Options::default()
        }
    }

    fn open(&mut self) {
        let (engine, _) = Engine::open(Arc::new(self.disk.clone()), self.options(), [7; 16])
            .unwrap_or_else(|error| panic!("open: {error}"));
        let snapshot = engine.snapshot();
        assert!(snapshot.sequence().get() >= self.last_sequence, "an acknowledged record is lost");
        self.engine = Some(engine);
        self.observe_now();
    }

    /// Reads `now` of the newest record, which a seal may have moved, but never back.
    fn observe_now(&mut self) {
        let now = self.engine().snapshot().now().nanos();
        let highest = self.held_now.max(self.clock);
        let (low, held) = (now >= self.held_now, self.held_now);
        assert!(low && now <= highest, "now is {now} after {held}, at the clock's {}", self.clock);
        self.held_now = now;
    }

    fn remember(&mut self, at: i64) {
        if self.instants.len() < INSTANTS_MAX {
            self.instants.push(at);
        } else {
            let place = self.random.place(INSTANTS_MAX);
            self.instants[place] = at;
        }
    }

    /// A batch with a new id, or one that was offered before, as it was or altered.
    fn next_load(&mut self, horizon: Horizon) -> Load {
        if !self.ids.is_empty() && self.random.chance(12) {
            let id = pick(&mut self.random, &self.ids);
            let load = self.offered[id].clone();
            if self.random.chance(60) { load } else { generate::altered(&mut self.random, load) }
        } else {
            let id = format!("b{}", self.ids.len());
            let load = generate::load(&mut self.random, &self.shape, &self.model, id, horizon);
            self.know(&load);
            load
        }
    }

    fn know(&mut self, load: &Load) {
        self.ids.push(load.id.clone());
        self.offered.insert(load.id.clone(), load.clone());
        for row in load.rows.iter().take(4) {
            if let Some(at) = row.known_at {
                self.remember(at);
            }
        }
    }

    /// Prepares on `snapshot`; `None` if that refused the batch, rightly.
    fn prepare(&mut self, load: &Load, snapshot: &Snapshot) -> Option<Prepared> {
        let batch = generate::batch(&mut self.random, load);
        match prepare(batch, snapshot, self.timestamp()) {
            Ok(prepared) => Some(prepared),
            Err(error) => {
                self.refused(load, &error);
                None
            }
        }
    }

    fn refused(&mut self, load: &Load, error: &Error) {
        let is_conflict = matches!(self.model.verdict(load), Verdict::Conflict);
        let right = is_conflict && error.kind() == ErrorKind::Conflict;
        assert!(right, "batch {} was refused: {:?}, {error}", load.id, error.kind());
        self.totals.conflicts += 1;
    }

    fn offer_now(&mut self) {
        let count = if self.random.chance(80) { 1 } else { 1 + self.random.place(4) };
        let horizon = Horizon::Exact(self.ingest_now());
        let loads: Vec<Load> = (0..count).map(|_| self.next_load(horizon)).collect();
        self.commit_all(loads);
    }

    /// Prepares all on the newest snapshot and commits them as one group.
    fn commit_all(&mut self, loads: Vec<Load>) {
        let snapshot = self.engine().snapshot();
        let mut group = Vec::new();
        for load in loads {
            self.trail.offered("offers", &load);
            if let Some(prepared) = self.prepare(&load, &snapshot) {
                group.push((load, prepared));
            }
        }
        self.commit(group);
    }

    fn prepare_and_wait(&mut self) {
        if self.waiting.len() == WAITING_MAX {
            return self.commit_waiting();
        }
        let load = self.next_load(Horizon::AtLeast(self.clock));
        self.trail.offered("prepares", &load);
        // On an older snapshot, now and then, as a slow preparing thread would.
        let snapshot = match self.old.last() {
            Some(old) if self.random.chance(30) => old.clone(),
            _ => self.engine().snapshot(),
        };
        if let Some(prepared) = self.prepare(&load, &snapshot) {
            self.waiting.push((load, prepared));
        }
    }

    fn commit_waiting(&mut self) {
        let count = self.random.place(self.waiting.len() + 1);
        let group: Vec<_> = self.waiting.drain(..count).collect();
        self.trail.did(format!("commits {count} of those that wait"));
        self.commit(group);
    }

    fn commit(&mut self, group: Vec<(Load, Prepared)>) {
        if group.is_empty() {
            return;
        }
        let (loads, prepared): (Vec<Load>, Vec<Prepared>) = group.into_iter().unzip();
        let now = self.timestamp();
        let ids: Vec<&str> = loads.iter().map(|load| load.id.as_str()).collect();
        self.trail.did(format!("commits {} at {}", ids.join(", "), now.nanos()));
        match self.engine_mut().commit(prepared, now) {
            Ok(results) => {
                assert_eq!(results.len(), loads.len(), "one result a batch");
                for (load, result) in loads.into_iter().zip(results) {
                    self.answered(load, result);
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "commit: {error}");
                self.make_room();
                let snapshot = self.engine().snapshot();
                let again = |load: Load| Some((self.prepare(&load, &snapshot)?, load));
                let group: Vec<_> = loads.into_iter().filter_map(again).collect();
                self.commit(group.into_iter().map(|(prepared, load)| (load, prepared)).collect());
            }
        }
        self.engine_mut().advance();
        let sequence = self.engine().snapshot().sequence().get();
        assert_eq!(sequence, self.last_sequence, "a commit is visible when it returns");
    }

    /// The memtable is at its bound: a whole flush brings it down.
    fn make_room(&mut self) {
        let bytes = self.engine().stats().memtable_bytes;
        let bound = self.shape.memtable_bytes_max;
        assert!(bytes >= bound, "full with {bytes} bytes in the memtable, flush due at {bound}");
        self.trail.did("makes room");
        while self.flush.is_some() {
            self.flush_a_step();
        }
        self.plan_flush();
        while self.flush.is_some() {
            self.flush_a_step();
        }
    }

    fn answered(&mut self, load: Load, result: Result<Applied, Error>) {
        let applied = match result {
            Ok(applied) => applied,
            Err(error) => return self.refused(&load, &error),
        };
        assert_eq!(applied.batch_id, load.id);
        match self.model.verdict(&load) {
            Verdict::Conflict => panic!("batch {} is other content, yet {applied:?}", load.id),
            Verdict::Repeated(entry) => {
                assert!(applied.repeated, "batch {} is there already, yet {applied:?}", load.id);
                assert_eq!(applied.sequence.get(), entry.sequence, "sequence when repeated");
                assert_eq!(applied.now.nanos(), entry.now, "ingest time when repeated");
                compare::counts(&applied.counts, entry);
                assert!(applied.errors.is_empty(), "errors when repeated: {applied:?}");
                self.totals.repeated += 1;
            }
            Verdict::New => self.stored(load, &applied),
        }
    }

    fn stored(&mut self, load: Load, applied: &Applied) {
        assert!(!applied.repeated, "batch {} is new, yet {applied:?}", load.id);
        assert_eq!(applied.now.nanos(), self.ingest_now(), "ingest time of batch {}", load.id);
        let sequence = applied.sequence.get();
        assert!(sequence > self.last_sequence, "{applied:?} after {}", self.last_sequence);
        self.last_sequence = sequence;
        self.held_now = applied.now.nanos();
        self.remember(self.held_now);
        self.totals.batches += 1;
        self.totals.rows += applied.counts.total();
        let entry = self.model.apply(load, sequence, applied.now.nanos());
        compare::counts(&applied.counts, entry);
        let mut errors: Vec<(u64, &str)> =
            applied.errors.iter().map(|error| (error.row, error.reason.as_str())).collect();
        errors.sort_unstable();
        let mut expected = compare::rejected(entry);
        if expected.len() > errors.len() {
            assert_eq!(errors.len(), barrow_engine::batch::ERRORS_MAX, "errors listed");
            expected.retain(|error| errors.contains(error));
        }
        assert_eq!(errors, expected, "errors of batch {}", applied.batch_id);
    }

    fn retract_a_batch(&mut self) {
        let Some(target) = self.a_known_id() else { return };
        let snapshot = self.engine().snapshot();
        let id = format!("r{}", self.ids.len());
        let batches = retraction_of(&target, &id, &snapshot);
        self.trail.did(format!("retracts what batch {target} brought, as {id}"));
        let Some(entry) = self.model.batch(&target) else {
            let kind = batches.err().map(|error| error.kind());
            assert_eq!(kind, Some(ErrorKind::NotFound), "retraction of {target}, not stored");
            return;
        };
        let batches = batches.unwrap_or_else(|error| panic!("retraction of {target}: {error}"));
        let loads: Vec<Load> = batches.iter().map(generate::load_of).collect();
        let mut found: Vec<_> = loads.iter().flat_map(taken_away).collect();
        found.sort();
        let brought = self.model.brought_by(entry.sequence, snapshot.sequence().get());
        let mut expected: Vec<_> = brought
            .into_iter()
            .map(|(key, row)| match entry.load.table {
                Table::Bars => (key.clone(), row.ts, Vec::new()),
                Table::Trades | Table::Quotes => (key.clone(), row.ts, row.values.clone()),
            })
            .collect();
        expected.sort();
        assert_eq!(found, expected, "rows that the retraction of {target} takes away");
        let mut group = Vec::new();
        for (load, batch) in
            loads.into_iter().zip(batches).filter(|(load, _)| !load.rows.is_empty())
        {
            assert!(load.retract, "the retraction of {target} inserts");
            self.trail.offered("offers", &load);
            self.know(&load);
            match prepare(batch, &snapshot, self.timestamp()) {
                Ok(prepared) => group.push((load, prepared)),
                Err(error) => panic!("retraction of {target}: {error}"),
            }
        }
        if self.random.chance(70) {
            self.commit(group);
        } else {
            self.waiting.extend(group);
        }
    }

    fn a_known_id(&mut self) -> Option<String> {
        if self.ids.is_empty() { None } else { Some(pick(&mut self.random, &self.ids).clone()) }
    }

    fn plan_flush(&mut self) {
        let job = self.engine_mut().plan_flush();
        self.trail.did(if job.is_some() { "plans a flush" } else { "finds nothing to flush" });
        self.flush = job.map(Flush::Planned);
    }

    fn flush_a_step(&mut self) {
        match self.flush.take() {
            None => self.plan_flush(),
            Some(Flush::Planned(job)) => {
                assert!(self.engine_mut().plan_flush().is_none(), "two flushes at a time");
                self.trail.did("runs the flush");
                self.flush = Some(Flush::Ran(job.run(&self.disk)));
            }
            Some(Flush::Ran(done)) if done.is_ok() && self.random.chance(10) => {
                self.trail.did("gives the flush up");
                let refusal =
                    self.engine_mut().install(Err(Error::full("no space, says the test")));
                let kind = refusal.err().map(|error| error.kind());
                assert_eq!(kind, Some(ErrorKind::Full), "a failed flush hands its error back");
            }
            Some(Flush::Ran(done)) => {
                self.trail.did("installs the flush");
                let installed = self.engine_mut().install(done);
                installed.unwrap_or_else(|error| panic!("install: {error}"));
                self.totals.flushes += 1;
            }
        }
    }

    fn compact_a_step(&mut self) {
        match self.compaction.take() {
            None => {
                let scope = if self.random.chance(70) { Scope::Due } else { Scope::All };
                let job = self.engine_mut().plan_compaction(scope);
                let found = if job.is_some() { "plans" } else { "finds nothing for" };
                self.trail.did(format!("{found} a compaction of {scope:?}"));
                self.compaction = job.map(Compaction::Planned);
            }
            Some(Compaction::Planned(job)) => {
                let second = self.engine_mut().plan_compaction(Scope::All);
                assert!(second.is_none(), "two compactions at a time");
                self.trail.did("runs the compaction");
                let stop = self.random.chance(5);
                let done = job.run(&self.disk, &mut |_| match stop {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                });
                self.compaction = Some(Compaction::Ran(done));
            }
            Some(Compaction::Ran(done)) => {
                self.trail.did("installs the compaction");
                let before = self.engine().stats().retention_rows;
                match self.engine_mut().install_compaction(done) {
                    Ok(()) => {
                        self.totals.compactions += 1;
                        self.totals.dropped += self.engine().stats().retention_rows - before;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Stopped, "{error}"),
                }
            }
        }
    }

    fn seal(&mut self) {
        let now = self.timestamp();
        self.trail.did(format!("seals at {}", self.clock));
        self.engine_mut().seal(now).unwrap_or_else(|error| panic!("seal: {error}"));
        self.last_sequence = self.last_sequence.max(self.engine().snapshot().sequence().get());
        self.observe_now();
    }

    fn keep_a_snapshot(&mut self) {
        if self.old.len() == WAITING_MAX {
            let place = self.random.place(WAITING_MAX);
            self.old.remove(place);
        }
        let snapshot = self.engine().snapshot();
        self.trail.did(format!("keeps a snapshot at {}", snapshot.sequence()));
        self.old.push(snapshot);
    }

    fn reopen(&mut self, close: bool) {
        self.trail.did(if close { "closes and opens" } else { "stops short and opens" });
        self.waiting.clear();
        self.flush = None;
        self.compaction = None;
        self.forget_planned_backup();
        self.old.clear();
        let engine = self.engine.take().expect("invariant: open between operations");
        if close {
            engine.close(self.timestamp()).unwrap_or_else(|error| panic!("close: {error}"));
        } else {
            drop(engine);
        }
        self.open();
        self.totals.reopenings += 1;
        self.last_sequence = self.engine().snapshot().sequence().get();
    }

    /// Puts a few random questions to the newest snapshot, or to one that was kept.
    fn ask(&mut self) {
        let snapshot = match self.old.len() {
            0 => self.engine().snapshot(),
            _ if self.random.chance(70) => self.engine().snapshot(),
            _ => pick(&mut self.random, &self.old).clone(),
        };
        self.ask_of(&snapshot);
    }

    /// The same to this one.
    fn ask_of(&mut self, snapshot: &Snapshot) {
        let series = compare::series(snapshot, &self.model);
        for (id, key) in &series {
            let known = *self.series.entry(key.clone()).or_insert(*id);
            assert_eq!(known, *id, "the number of {key:?}");
        }
        if !series.is_empty() {
            for _ in 0..3 {
                let (id, key) = pick(&mut self.random, &series).clone();
                let question = self.question(id, key, snapshot.sequence());
                self.totals.compared += compare::scan(snapshot, &self.model, &question);
            }
            let (id, key) = pick(&mut self.random, &series);
            compare::newest(snapshot, &self.model, key, *id);
        }
        if let Some(id) = self.a_known_id() {
            compare::batch(snapshot, &self.model, &id);
        }
        if self.random.chance(5) {
            compare::dead_letters(snapshot, &self.model);
        }
        self.totals.questions += 5;
    }

    fn question(&mut self, series: SeriesId, key: SeriesKey, held: Sequence) -> Question {
        let random = &mut self.random;
        let (start, end) = generate::range(random, &self.shape);
        let column_count = Table::of(key.dataset).column_count();
        let mut columns: Vec<usize> = (0..column_count).collect();
        if random.chance(40) {
            for _ in 0..random.place(column_count + 1) {
                columns.swap_remove(random.place(columns.len()));
            }
        }
        let at_sequence = match random.below(10) {
            0..5 => None,
            5 => Some(Sequence::ZERO),
            6 => Some(Sequence::MAX),
            _ => Some(Sequence::new(random.below(held.get() + 2))),
        };
        let mut as_of = generate::instant(random, &self.instants);
        let mut at_sequence = at_sequence;
        let floor = self.model.floor((key.dataset, key.step), held.get());
        if floor != Floor::NONE && random.chance(70) {
            as_of = as_of.map(|as_of| as_of.max(Timestamp::from_nanos(floor.as_of)));
            at_sequence = at_sequence.map(|at| at.max(Sequence::new(floor.at_sequence)));
        }
        let revisions = if random.chance(60) { Revisions::Visible } else { Revisions::All };
        Question { key, series, start, end, columns, as_of, at_sequence, revisions }
    }

    /// Everything once more, then the store at rest.
    fn finish(&mut self) {
        self.trail.did("is asked everything, closes and is verified");
        let snapshot = self.engine().snapshot();
        self.ask_everything(&snapshot);
        self.old.clear();
        self.flush = None;
        self.forget_planned_backup();
        drop(snapshot);
        let engine = self.engine.take().expect("invariant: open between operations");
        engine.close(self.timestamp()).unwrap_or_else(|error| panic!("close: {error}"));
        assert_sound(&self.disk);
    }

    /// Asks for all there is.
    fn ask_everything(&mut self, snapshot: &Snapshot) {
        for (series, key) in compare::series(snapshot, &self.model) {
            for revisions in [Revisions::Visible, Revisions::All] {
                let question = Question {
                    key: key.clone(),
                    series,
                    start: i64::MIN,
                    end: i64::MAX,
                    columns: (0..Table::of(key.dataset).column_count()).collect(),
                    as_of: None,
                    at_sequence: None,
                    revisions,
                };
                self.totals.compared += compare::scan(snapshot, &self.model, &question);
            }
            compare::newest(snapshot, &self.model, &key, series);
        }
        compare::dead_letters(snapshot, &self.model);
    }
}

/// Nothing is wrong with the store at rest.
fn assert_sound(disk: &MemoryDisk) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let report = verify(&disk).unwrap_or_else(|error| panic!("verify: {error}"));
    assert!(report.problems.is_empty(), "verify finds {:?}", report.problems);
}

/// What a retraction names: keys, or whole events.
fn taken_away(load: &Load) -> Vec<(SeriesKey, i64, Vec<Value>)> {
    let named = |row: &barrow_tests::model::Offered| {
        let symbol = row.symbol.as_deref().expect("a retraction names its symbols");
        let key = barrow_tests::model::series_key(load, symbol).expect("a stored symbol is a name");
        (key, row.ts.expect("a retraction names its times"), row.values.clone())
    };
    load.rows.iter().map(named).collect()
}
