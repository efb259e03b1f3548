//! An engine and a model that do the same, through crashes.
//!
//! The model holds what was acknowledged. A batch whose commit was cut off is *in doubt*: after
//! the next opening it must be there whole, and then stay for ever, or not at all, and then never
//! come back.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::disk::Disk;
use barrow_engine::{Engine, ErrorKind, Options, Recovery, Scope, prepare};
use barrow_types::Timestamp;

use crate::compare::{self, Trouble, same};
use crate::loads;
use crate::model::{Load, Model, Verdict};

/// The name of every store of the tests.
pub const INSTANCE: [u8; 16] = *b"barrow-tests-ab\0";

/// Between two acts: one second.
const TICK: i64 = 1_000_000_000;

/// Something to do to a store.
#[derive(Clone, Debug)]
pub enum Act {
    /// Commits these as one group.
    Commit(Vec<Load>),
    /// Writes what is in memory to segments.
    Flush,
    /// Merges segments: what is due, or all.
    Compact(Scope),
    /// Puts a seal on the log.
    Seal,
    /// Makes the next log file ahead of its time.
    Spare,
    /// Writes the masks of what is in segments to a file.
    Masks,
    /// Writes the tiles of what is in segments to a file.
    Tiles,
    /// Closes it and opens it again.
    Reopen,
    /// Opens it again without closing it first.
    Abandon,
}

/// What a store must hold, whatever became of the process.
#[derive(Clone, Debug)]
pub struct Expected {
    /// What was acknowledged, or seen after an opening.
    pub model: Model,
    /// What was being committed, in order, each with its ingest time.
    pub in_doubt: Vec<(Load, i64)>,
    /// Ids of batches that were found not to be there.
    pub lost: BTreeSet<String>,
    /// The latest time there was.
    pub now: i64,
}

impl Default for Expected {
    fn default() -> Self {
        let (model, in_doubt, lost) = (Model::default(), Vec::new(), BTreeSet::new());
        Self { model, in_doubt, lost, now: loads::START }
    }
}

/// An open engine and what it must hold.
pub struct BarStore {
    disk: Arc<dyn Disk>,
    options: Options,
    engine: Option<Engine>,
    expected: Expected,
}

impl BarStore {
    /// Opens a store, settles what was in doubt, and compares everything.
    ///
    /// # Errors
    /// The engine cannot open it, or it does not hold what it must.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        expected: Expected,
    ) -> Result<(Self, Recovery), Trouble> {
        let (engine, recovery) = Engine::open(Arc::clone(&disk), options, INSTANCE)?;
        let mut store = Self { disk, options, engine: Some(engine), expected };
        store.settle()?;
        store.check()?;
        Ok((store, recovery))
    }

    /// What it must hold.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// What it must hold, given away with the process.
    pub fn abandon(self) -> Expected {
        self.expected
    }

    /// Closes it.
    ///
    /// # Errors
    /// The engine could not.
    pub fn close(mut self) -> Result<Expected, Trouble> {
        let now = Timestamp::from_nanos(self.next_now());
        if let Some(engine) = self.engine.take() {
            engine.close(now)?;
        }
        Ok(self.expected)
    }

    /// Whether it is open; not after an opening inside an act failed.
    pub fn is_open(&self) -> bool {
        self.engine.is_some()
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("invariant: it is open but inside an act")
    }

    /// The time of the next act.
    pub fn next_now(&self) -> i64 {
        self.expected.now + TICK
    }

    /// What it must hold if the process dies during `act`.
    pub fn expected_during(&self, act: &Act) -> Expected {
        let mut expected = self.expected.clone();
        expected.doubt(act, self.next_now());
        expected
    }

    /// Does something with both.
    ///
    /// # Errors
    /// The engine failed; what was being committed is then in doubt, or lost if it said `Full`. Or
    /// it gave a wrong answer.
    pub fn act(&mut self, act: &Act) -> Result<(), Trouble> {
        assert!(self.is_open(), "invariant: nothing is done to a store that could not be opened");
        let was_poisoned = self.engine().poisoned().is_some();
        // Not empty only where an earlier commit failed for good.
        let in_doubt_before = self.expected.in_doubt.len();
        self.expected.now = self.next_now();
        self.expected.doubt(act, self.expected.now);
        let now = Timestamp::from_nanos(self.expected.now);
        let done = match act {
            Act::Commit(loads) => self.commit(loads, now, in_doubt_before),
            Act::Flush => self.flush(),
            Act::Compact(scope) => self.compact(*scope),
            Act::Seal => self.engine().seal(now).map_err(Trouble::Failed),
            Act::Spare => self.spare(),
            Act::Masks => self.masks(),
            Act::Tiles => self.tiles(),
            Act::Reopen => self.reopen(now),
            Act::Abandon => self.open_again(),
        };
        if let Err(Trouble::Failed(error)) = &done
            && (error.kind() == ErrorKind::Full || was_poisoned)
        {
            self.expected.give_up(in_doubt_before);
        }
        done
    }

    fn commit(
        &mut self,
        loads: &[Load],
        now: Timestamp,
        in_doubt_before: usize,
    ) -> Result<(), Trouble> {
        let snapshot = self.engine().snapshot();
        let group: Result<Vec<_>, _> =
            loads.iter().map(|load| prepare(loads::batch_of(load), &snapshot, now)).collect();
        let results = self.engine().commit(group?, now)?;
        self.expected.in_doubt.truncate(in_doubt_before);
        same("results of a group", &results.len(), &loads.len())?;
        let mut failed = None;
        for (load, result) in loads.iter().zip(results) {
            let applied = match result {
                Ok(applied) => applied,
                Err(error) => {
                    self.expected.lost.insert(load.id.clone());
                    failed = Some(error);
                    continue;
                }
            };
            let what = format!("answer to batch {}", load.id);
            let known = match self.expected.model.verdict(load) {
                Verdict::Repeated(entry) => Some(entry.sequence),
                Verdict::New | Verdict::Conflict => None,
            };
            same(&what, &applied.repeated, &known.is_some())?;
            match known {
                Some(sequence) => same(&what, &applied.sequence.get(), &sequence)?,
                None => {
                    let sequence = applied.sequence.get();
                    let entry = self.expected.model.apply(load.clone(), sequence, now.nanos());
                    let expected = compare::outcome_of(entry);
                    same(&what, &compare::counts_of(&applied.counts), &expected)?;
                    self.expected.lost.remove(&load.id);
                }
            }
        }
        self.engine().advance();
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let Some(job) = self.engine().plan_flush() else { return Ok(()) };
        let done = job.run(self.disk.as_ref());
        Ok(self.engine().install(done)?)
    }

    fn compact(&mut self, scope: Scope) -> Result<(), Trouble> {
        let Some(job) = self.engine().plan_compaction(scope) else { return Ok(()) };
        let done = job.run(self.disk.as_ref(), &mut |_| ControlFlow::Continue(()));
        Ok(self.engine().install_compaction(done)?)
    }

    fn spare(&mut self) -> Result<(), Trouble> {
        let Some(job) = self.engine().plan_spare() else { return Ok(()) };
        let done = job.run(self.disk.as_ref());
        Ok(self.engine().install_spare(done)?)
    }

    fn masks(&mut self) -> Result<(), Trouble> {
        let Some(job) = self.engine().plan_masks() else { return Ok(()) };
        let done = job.run(self.disk.as_ref(), &mut || ControlFlow::Continue(()));
        Ok(self.engine().install_masks(done)?)
    }

    fn tiles(&mut self) -> Result<(), Trouble> {
        let Some(job) = self.engine().plan_tiles() else { return Ok(()) };
        let done = job.run(self.disk.as_ref(), &mut || ControlFlow::Continue(()));
        Ok(self.engine().install_tiles(done)?)
    }

    fn reopen(&mut self, now: Timestamp) -> Result<(), Trouble> {
        if let Some(engine) = self.engine.take() {
            engine.close(now)?;
        }
        self.open_again()
    }

    fn open_again(&mut self) -> Result<(), Trouble> {
        self.engine = None;
        let (engine, _) = Engine::open(Arc::clone(&self.disk), self.options, INSTANCE)?;
        self.engine = Some(engine);
        self.settle()?;
        self.check()
    }

    /// Compares everything.
    ///
    /// # Errors
    /// What is not as it must be.
    pub fn check(&mut self) -> Result<(), Trouble> {
        let snapshot = self.engine().snapshot();
        compare::everything(&snapshot, &self.expected.model)?;
        for id in &self.expected.lost {
            if snapshot.batch(id)?.is_some() {
                return Err(Trouble::Wrong(format!("batch {id} was gone and is back")));
            }
        }
        Ok(())
    }

    /// Finds out what became of the batches in doubt: the first of them are there, the rest not.
    fn settle(&mut self) -> Result<(), Trouble> {
        let snapshot = self.engine().snapshot();
        let mut missing: Option<String> = None;
        for (load, now) in std::mem::take(&mut self.expected.in_doubt) {
            match (snapshot.batch(&load.id)?, &missing) {
                (Some(entry), None) => {
                    self.expected.lost.remove(&load.id);
                    self.expected.model.apply(load, entry.sequence.get(), now);
                }
                (Some(_), Some(missing)) => {
                    let id = &load.id;
                    let what = format!("batch {id} is there, {missing} of its group before it not");
                    return Err(Trouble::Wrong(what));
                }
                (None, _) => {
                    self.expected.lost.insert(load.id.clone());
                    missing = Some(load.id);
                }
            }
        }
        Ok(())
    }
}

impl Expected {
    /// The new batches of a commit that is cut off.
    fn doubt(&mut self, act: &Act, now: i64) {
        if let Act::Commit(loads) = act {
            let new = |load: &&Load| matches!(self.model.verdict(load), Verdict::New);
            self.in_doubt.extend(loads.iter().filter(new).map(|load| (load.clone(), now)));
        }
    }

    /// What was in doubt from number `first` on must not be there.
    fn give_up(&mut self, first: usize) {
        for (load, _) in self.in_doubt.drain(first.min(self.in_doubt.len())..) {
            self.lost.insert(load.id);
        }
    }
}
