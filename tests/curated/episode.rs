//! One store from its creation to its end, and the model beside it.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use barrow_engine::batch::{Applied, Counts};
use barrow_engine::disk::Disk;
use barrow_engine::features::Gap;
use barrow_engine::{
    CompactDone, Engine, Error, FlushDone, MasksDone, Options, Prepared, Scope, Snapshot,
    TilesDone, prepare, verify,
};
use barrow_tests::bar_store::INSTANCE;
use barrow_tests::curated_model::{CuratedModel, Offer};
use barrow_tests::curated_schedule::{Act, Generator, Timed};
use barrow_tests::faulty_disk::{Done, FaultyDisk};
use barrow_tests::model::{COLUMN_COUNT, Outcome};
use barrow_tests::random::Random;
use barrow_types::{Adjust, Step, Timestamp};

use crate::answer::{self, Asked};
use crate::batches::batch_of;
use crate::features::{self, Kind, Watched};
use crate::live::Followed;
use crate::story::{Story, readable};
use crate::tally::Tally;
use crate::vintage;

/// Questions that may be asked again.
const ASKED_MAX: usize = 12;

/// Features that are asked for again and again.
const WATCHED_MAX: usize = 3;

/// A batch that was acknowledged.
struct Known {
    id: String,
    sequence: u64,
    now: i64,
}

/// See the module.
pub(crate) struct Episode {
    seed: u64,
    generator: Generator,
    /// Draws what the schedule leaves open.
    random: Random,
    options: Options,
    disk: FaultyDisk,
    /// `None` only between a close or a crash and the opening that follows.
    engine: Option<Engine>,
    model: CuratedModel,
    known: Vec<Known>,
    /// A flush, a compaction, a file of masks and one of tiles that ran and wait to be installed.
    flush: Option<Result<FlushDone, Error>>,
    compaction: Option<Result<CompactDone, Error>>,
    masks: Option<Result<MasksDone, Error>>,
    tiles: Option<Result<TilesDone, Error>>,
    /// A snapshot that somebody still reads.
    old: Option<Snapshot>,
    /// Questions that may be asked again: what was made for them is remembered.
    asked: Vec<Asked>,
    /// Features that are asked for again and again.
    watched: Vec<Watched>,
    /// Live features, kept up to date through commits.
    followed: Followed,
    story: Story,
    tally: Tally,
}

impl Episode {
    /// All of it, to the last look at the store at rest.
    pub(crate) fn run(seed: u64, is_alone: bool) -> Result<Tally, String> {
        let mut random = Random::new(!seed);
        let options = Options {
            wal_file_bytes: [8_192, 65_536][random.place(2)],
            manifest_bytes_max: 400,
            compact_fan_out: 2,
            own_file_bytes: 500,
            pack_bytes_max: 4_000,
            // Room for all tiles, for few, for none.
            tile_bytes_max: [256 << 20, 16 << 10, 0][usize::from(seed.to_le_bytes()[0]) % 3],
            checkpoint_bytes_max: [1 << 20, 4 << 10, 0][random.place(3)],
            checkpoint_slots: [1, 5, 40][random.place(3)],
            cell_slots: [1, 4, 30][random.place(3)],
            ..Options::default()
        };
        let generator = Generator::new(seed);
        // Without rules that keep rows out gaps are found in masks alone.
        let generator = if random.chance(25) { generator.without_quality() } else { generator };
        let mut episode = Self {
            seed,
            generator,
            random,
            options,
            disk: FaultyDisk::new(),
            engine: None,
            model: CuratedModel::default(),
            known: Vec::new(),
            flush: None,
            compaction: None,
            masks: None,
            tiles: None,
            old: None,
            asked: Vec::new(),
            watched: Vec::new(),
            followed: Followed::default(),
            story: Story::new(is_alone),
            tally: Tally::default(),
        };
        match catch_unwind(AssertUnwindSafe(|| episode.live())) {
            Ok(Ok(())) => Ok(episode.tally),
            Ok(Err(what)) => Err(episode.failure(&what)),
            Err(panic) => Err(episode.failure(&said(panic.as_ref()))),
        }
    }

    fn failure(&self, what: &str) -> String {
        let Self { seed, story, .. } = self;
        let again = "cargo test -p barrow-tests --test curated";
        format!("{}{what}\nAgain: BARROW_CURATED_SEED={seed} {again}", story.tell())
    }

    fn live(&mut self) -> Result<(), String> {
        self.open()?;
        let acts = [20, 40, 40, 80][self.random.place(4)];
        for at in 0..=acts {
            let timed = match at {
                0 => self.generator.prologue(),
                _ => self.generator.act(&self.model),
            };
            self.story.begin(&timed);
            self.act(timed)?;
            self.tally.schedules += 1;
            self.follow()?;
            for _ in 0..self.random.below(5) {
                self.ask()?;
            }
        }
        self.finish()
    }

    fn act(&mut self, timed: Timed) -> Result<(), String> {
        let now = Timestamp::from_nanos(timed.now);
        // Others go on while a flush or a compaction runs.
        let (flush, compaction) = (self.flush.take(), self.compaction.take());
        let (masks, tiles) = (self.masks.take(), self.tiles.take());
        match timed.act {
            Act::Commit(offers) => self.commit(offers, now)?,
            Act::Flush => self.run_flush()?,
            Act::Compact { all } => self.run_compaction(all)?,
            Act::Masks => {
                self.run_masks()?;
                self.run_tiles()?;
            }
            Act::Reopen => return self.reopen(now),
            Act::Crash(comes_in) => return self.crash(comes_in, now),
        }
        if let Some(done) = flush {
            self.install_flush(done)?;
        }
        if let Some(done) = compaction {
            self.install_compaction(done)?;
        }
        if let Some(done) = masks {
            self.install_masks(done)?;
        }
        if let Some(done) = tiles {
            self.install_tiles(done)?;
        }
        if self.random.chance(10) {
            self.old = Some(self.engine().snapshot());
        }
        Ok(())
    }

    fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("invariant: it is open but inside an act")
    }

    fn open(&mut self) -> Result<(), String> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (engine, _) = Engine::open(disk, self.options, INSTANCE).map_err(failed("opening"))?;
        self.engine = Some(engine);
        self.followed = Followed::new(&mut self.random);
        self.tally.openings += 1;
        Ok(())
    }

    /// What was acknowledged is there.
    fn check_known(&mut self) -> Result<(), String> {
        let snapshot = self.engine().snapshot();
        for known in &self.known {
            let found = snapshot.batch(&known.id).map_err(failed("a look at a batch"))?;
            let found = found.ok_or_else(|| format!("batch {} is gone", known.id))?;
            let found = (found.sequence.get(), found.now.nanos());
            same(&format!("batch {}", known.id), &found, &(known.sequence, known.now))?;
        }
        Ok(())
    }

    /// One group.
    fn commit(&mut self, offers: Vec<Offer>, now: Timestamp) -> Result<(), String> {
        let group = self.prepared(&offers, now)?;
        let results = self.engine().commit(group, now).map_err(failed("a commit"))?;
        same("results of a group", &results.len(), &offers.len())?;
        for (offer, result) in offers.iter().zip(results) {
            let applied = result.map_err(failed("a batch of a group"))?;
            self.acknowledged(offer, &applied, now)?;
        }
        let touched = self.engine().advance();
        self.followed.touch(touched);
        Ok(())
    }

    /// Live features are brought up to what the store holds now, mostly.
    fn follow(&mut self) -> Result<(), String> {
        if self.random.chance(30) {
            return Ok(());
        }
        let snapshot = self.engine().snapshot();
        self.followed.update(&snapshot, &mut self.random).map_err(failed("live features"))?;
        if self.random.chance(40) {
            self.tally.live += self.followed.check(&snapshot, &mut self.random)?;
        }
        Ok(())
    }

    fn prepared(&mut self, offers: &[Offer], now: Timestamp) -> Result<Vec<Prepared>, String> {
        let snapshot = self.engine().snapshot();
        let prepared = offers.iter().map(|offer| prepare(batch_of(offer), &snapshot, now));
        prepared.collect::<Result<_, _>>().map_err(failed("preparing"))
    }

    fn acknowledged(
        &mut self,
        offer: &Offer,
        applied: &Applied,
        now: Timestamp,
    ) -> Result<(), String> {
        let what = format!("answer to batch {}", offer.id());
        same(&what, &(applied.repeated, applied.now), &(false, now))?;
        self.stored(offer, applied.sequence.get(), now, (&applied.counts, applied.retracted))
    }

    /// The engine holds the offer as record `sequence`: so does the model.
    fn stored(
        &mut self,
        offer: &Offer,
        sequence: u64,
        now: Timestamp,
        (counts, retracted): (&Counts, u64),
    ) -> Result<(), String> {
        let now = now.nanos();
        let outcome = self.model.apply(offer, sequence, now);
        let what = format!(
            "accepted, duplicates, corrected, superseded, rejected, retracted of {}",
            offer.id()
        );
        let Counts { accepted, duplicates, corrected, superseded, rejected } = *counts;
        let found = [accepted, duplicates, corrected, superseded, rejected, retracted];
        same(&what, &found, &counted(&outcome))?;
        self.known.push(Known { id: offer.id().to_owned(), sequence, now });
        self.tally.batches += 1;
        Ok(())
    }

    fn run_flush(&mut self) -> Result<(), String> {
        let Some(job) = self.engine().plan_flush() else { return Ok(()) };
        let done = job.run(&self.disk);
        if self.random.chance(40) {
            self.flush = Some(done);
            return Ok(());
        }
        self.install_flush(done)
    }

    fn install_flush(&mut self, done: Result<FlushDone, Error>) -> Result<(), String> {
        self.tally.flushes += 1;
        self.engine().install(done).map_err(failed("a flush"))
    }

    fn run_compaction(&mut self, all: bool) -> Result<(), String> {
        let scope = if all { Scope::All } else { Scope::Due };
        let Some(job) = self.engine().plan_compaction(scope) else { return Ok(()) };
        let done = job.run(&self.disk, &mut |_| ControlFlow::Continue(()));
        if self.random.chance(40) {
            self.compaction = Some(done);
            return Ok(());
        }
        self.install_compaction(done)
    }

    fn install_compaction(&mut self, done: Result<CompactDone, Error>) -> Result<(), String> {
        self.tally.compactions += 1;
        self.engine().install_compaction(done).map_err(failed("a compaction"))
    }

    fn run_masks(&mut self) -> Result<(), String> {
        let Some(job) = self.engine().plan_masks() else { return Ok(()) };
        let done = job.run(&self.disk, &mut || ControlFlow::Continue(()));
        if self.random.chance(40) {
            self.masks = Some(done);
            return Ok(());
        }
        self.install_masks(done)
    }

    fn install_masks(&mut self, done: Result<MasksDone, Error>) -> Result<(), String> {
        self.tally.mask_files += 1;
        self.engine().install_masks(done).map_err(failed("a file of masks"))
    }

    fn run_tiles(&mut self) -> Result<(), String> {
        let Some(job) = self.engine().plan_tiles() else { return Ok(()) };
        let done = job.run(&self.disk, &mut || ControlFlow::Continue(()));
        if self.random.chance(40) {
            self.tiles = Some(done);
            return Ok(());
        }
        self.install_tiles(done)
    }

    fn install_tiles(&mut self, done: Result<TilesDone, Error>) -> Result<(), String> {
        self.tally.tile_files += 1;
        self.engine().install_tiles(done).map_err(failed("a file of tiles"))
    }

    fn store_cells(&mut self) -> Result<(), String> {
        let snapshot = self.engine().snapshot();
        let mut watched = self.watched.iter();
        watched.try_for_each(|watched| watched.store(&snapshot))
    }

    fn reopen(&mut self, now: Timestamp) -> Result<(), String> {
        self.old = None;
        self.note_derived();
        let engine = self.engine.take().expect("invariant: it is open but inside an act");
        engine.close(now).map_err(failed("closing"))?;
        self.open()?;
        self.check_known()
    }

    /// What the store that is about to end took from files and remembered.
    fn note_derived(&mut self) {
        let reader = self.engine().reader();
        self.tally.masks_loaded += reader.masks().loaded;
        let tiles = reader.tiles();
        self.tally.tiles_loaded += tiles.loaded;
        self.tally.tiles_used += tiles.used;
        self.tally.tile_sessions += tiles.made;
        self.tally.checkpoints_used += reader.checkpoints().used;
        let cells = reader.cells();
        self.tally.cell_files += cells.made;
        self.tally.cell_files_used += cells.used;
    }

    /// The process or the whole computer dies, at rest or in the middle of something.
    fn crash(&mut self, comes_in: Option<Offer>, now: Timestamp) -> Result<(), String> {
        self.tally.crashes += 1;
        let done = match self.random.below(3) {
            0 => Done::Nothing,
            1 => Done::Bytes(self.random.place(900)),
            _ => Done::All,
        };
        self.disk.crash_at(self.random.below(8), done);
        let mut in_doubt = None;
        let happens = match comes_in {
            Some(offer) => {
                let commits = self.commit(vec![offer.clone()], now);
                in_doubt = commits.is_err().then_some(offer);
                commits
            }
            None if self.random.chance(30) => self.run_flush(),
            None if self.random.chance(40) => self.run_compaction(true),
            None if self.random.chance(50) => self.run_masks(),
            None if self.random.chance(50) => self.run_tiles(),
            None if self.random.chance(50) => self.store_cells(),
            None => Ok(()),
        };
        match happens {
            Err(what) if !self.disk.is_dead() => return Err(what),
            _ => {}
        }
        self.note_derived();
        (self.old, self.flush, self.compaction) = (None, None, None);
        (self.masks, self.tiles) = (None, None);
        self.engine = None;
        let volume = self.disk.volume();
        self.disk = if self.random.chance(70) {
            self.story.happened("the power fails");
            FaultyDisk::over(&volume.random_crash_state(&mut self.random))
        } else {
            self.story.happened("the process is killed");
            FaultyDisk::with(volume)
        };
        self.open()?;
        if let Some(offer) = in_doubt {
            let snapshot = self.engine().snapshot();
            let found = snapshot.batch(offer.id()).map_err(failed("a look at a batch"))?;
            let became = if found.is_some() { "there" } else { "gone" };
            self.story.happened(format!("batch {} is {became}", offer.id()));
            if let Some(entry) = found {
                same("ingest time of what was in doubt", &entry.now, &now)?;
                let counts = (&entry.counts, entry.retracted);
                self.stored(&offer, entry.sequence.get(), now, counts)?;
            }
        }
        self.check_known()?;
        for _ in 0..3 {
            self.ask()?;
        }
        Ok(())
    }

    /// A question that was asked before, now.
    fn again(&mut self) -> Option<Asked> {
        if self.asked.is_empty() || !self.random.chance(35) {
            return None;
        }
        let mut asked = self.asked[self.random.place(self.asked.len())].clone();
        asked.question.now = self.generator.now();
        if self.random.chance(60) {
            (asked.question.as_of, asked.question.at_sequence) = (None, None);
        }
        Some(asked)
    }

    fn new_question(&mut self) -> Asked {
        let question = self.generator.question(&self.model);
        let mut columns: Vec<usize> = (0..COLUMN_COUNT).collect();
        if self.random.chance(30) {
            for _ in 0..self.random.place(COLUMN_COUNT + 1) {
                columns.swap_remove(self.random.place(columns.len()));
            }
        }
        let (empty, flags) = (self.random.chance(85), self.random.chance(80));
        let (coverage, gaps) = (self.random.chance(50), self.random.chance(40));
        let newest = self.random.chance(4);
        Asked { question, columns, empty, flags, coverage, gaps, newest }
    }

    fn ask(&mut self) -> Result<(), String> {
        let again = self.again();
        self.tally.asked_again += u64::from(again.is_some());
        let asked = again.unwrap_or_else(|| self.new_question());
        if self.asked.len() == ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push(asked.clone());
        let old = self.old.clone().filter(|_| self.random.chance(30));
        let snapshot = old.unwrap_or_else(|| self.engine().snapshot());
        // The model looks at every slot there is, of which seconds are too many.
        if asked.question.step != Step::S1 && self.random.chance(8) {
            let gap = Gap::ALL[self.random.place(Gap::ALL.len())];
            let kind = [Kind::Plain, Kind::Plain, Kind::Mixed, Kind::Beside][self.random.place(4)];
            let all = if kind == Kind::Plain { &Adjust::ALL[..2] } else { &Adjust::ALL };
            let adjust = all[self.random.place(all.len())];
            let about = features::Asked { question: &asked.question, gap, adjust, kind };
            self.tally.features += features::compare(&snapshot, &self.model, about)? as u64;
            if self.watched.len() < WATCHED_MAX {
                self.watched.push(Watched::new(about));
            }
        }
        if !self.watched.is_empty() && self.random.chance(20) {
            let watched = &self.watched[self.random.place(self.watched.len())];
            let share = [0, 50, 80, 95][self.random.place(4)];
            self.tally.features += features::ask_again(&snapshot, watched, share)? as u64;
            if self.random.chance(50) {
                watched.store(&snapshot)?;
                self.tally.features += features::ask_again(&snapshot, watched, share)? as u64;
            }
        }
        if asked.question.step != Step::S1 && self.random.chance(12) {
            let random = &mut self.random;
            self.tally.vintage += vintage::bars(&snapshot, &self.model, &asked, random)?;
            let gap = Gap::ALL[random.place(Gap::ALL.len())];
            let kind = [Kind::Plain, Kind::Mixed, Kind::Beside][random.place(3)];
            let adjust = Adjust::ALL[random.place(Adjust::ALL.len())];
            let about = features::Asked { question: &asked.question, gap, adjust, kind };
            self.tally.vintage += vintage::features(&snapshot, &self.model, about, random)?;
        }
        match answer::compare(&snapshot, &self.model, &asked)? {
            Some(cells) => self.tally.answered(&cells),
            None => self.tally.refused += 1,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        self.tally.episodes += 1;
        self.check_known()?;
        self.note_derived();
        let now = Timestamp::from_nanos(self.generator.now());
        let engine = self.engine.take().expect("invariant: it is open but inside an act");
        engine.close(now).map_err(failed("closing"))?;
        if self.random.chance(10) {
            let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
            let report = verify(&disk).map_err(failed("verifying"))?;
            if !report.problems.is_empty() {
                return Err(format!("verify finds {:?}", report.problems));
            }
        }
        Ok(())
    }
}

fn counted(outcome: &Outcome) -> [u64; 6] {
    let Outcome { accepted, duplicates, corrected, superseded, rejected, retracted } = outcome;
    [*accepted, *duplicates, *corrected, *superseded, rejected.len() as u64, *retracted]
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, right: &T) -> Result<(), String> {
    if found == right {
        return Ok(());
    }
    Err(format!("{what}: the engine says {}, the model {}", readable(found), readable(right)))
}

fn failed(what: &str) -> impl Fn(Error) -> String {
    move |error| format!("{what} failed: {error}")
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("see above"))
}
