//! Histories, crashes and what the crash leaves, all at random.

use std::sync::Arc;

use barrow_engine::disk::Disk;
use barrow_engine::{Options, Scope, verify};
use barrow_tests::bar_store::{Act, BarStore, Expected};
use barrow_tests::compare::Trouble;
use barrow_tests::console::{say, setting};
use barrow_tests::faulty_disk::{Done, FaultyDisk};
use barrow_tests::loads::random_load;
use barrow_tests::model::Load;
use barrow_tests::random::Random;
use barrow_tests::volume::Volume;
use barrow_tests::workers::on_all_cores;

use crate::small;

/// Crash points of one run where nothing else is asked for.
const POINTS: u64 = 20_000;

/// So often the power may fail again while the store recovers or soon after.
const DEPTH_MAX: u32 = 3;

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    points: u64,
    kills: u64,
    nested: u64,
    survived_in_doubt: u64,
}

/// One history and the crashes along it.
pub(crate) struct History {
    seed: u64,
    pub(crate) random: Random,
    pub(crate) options: Options,
    ids: u64,
    tally: Tally,
    /// What happened since the last crash point that was taken, for a failure's message.
    pub(crate) story: Vec<String>,
}

#[test]
fn random_crashes_lose_nothing_acknowledged() {
    let wanted = setting("BARROW_CRASH_POINTS").unwrap_or(POINTS);
    let only = setting("BARROW_CRASH_SEED");
    let pieces = if only.is_some() { 1 } else { usize::MAX };
    let mut total = Tally::default();
    let mut histories = 0_u64;
    let count = |tally: Tally| {
        total.points += tally.points;
        total.kills += tally.kills;
        total.nested += tally.nested;
        total.survived_in_doubt += tally.survived_in_doubt;
        histories += 1;
        total.points < wanted
    };
    on_all_cores(pieces, |piece| History::run(only.unwrap_or(piece as u64)), count);
    say(&format!(
        "{} random crash points along {histories} histories ({} of killed processes, {} while \
         recovering from another): 0 acknowledged rows lost, 0 batches half visible; {} batches \
         that were never acknowledged were there whole",
        total.points, total.kills, total.nested, total.survived_in_doubt
    ));
    assert!(only.is_some() || total.points >= wanted);
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let options = small([4_096, 8_192][random.place(2)]);
        let (tally, story) = Default::default();
        Self { seed, random, options, ids: 0, tally, story }
    }

    fn run(seed: u64) -> Result<Tally, String> {
        let mut history = Self::new(seed);
        history.live()?;
        Ok(history.tally)
    }

    /// The life of a store that never crashes; what would happen if it did is tried on the side.
    fn live(&mut self) -> Result<(), String> {
        let disk = FaultyDisk::new();
        disk.record_crash_points();
        let opened = BarStore::open(Arc::new(disk.clone()), self.options, Expected::default());
        let (mut store, _) = opened.map_err(|trouble| self.failure(&trouble, &disk))?;
        self.crash_along(&disk, &Expected::default())?;
        for _ in 0..4 + self.random.below(9) {
            let act = self.random_act(store.expected(), store.next_now());
            let during = store.expected_during(&act);
            store.act(&act).map_err(|trouble| {
                self.story = vec![format!("{act:?}")];
                self.failure(&trouble, &disk)
            })?;
            self.crash_along(&disk, &during)?;
        }
        let expected = store.expected().clone();
        self.story = vec!["the end of the history".to_owned()];
        self.crash(disk.volume(), expected, 0)
    }

    pub(crate) fn random_act(&mut self, expected: &Expected, now: i64) -> Act {
        match self.random.below(100) {
            0..52 => Act::Commit(self.random_group(expected, now)),
            52..57 => Act::Spare,
            57..60 => Act::Masks,
            60..63 => Act::Tiles,
            63..72 => Act::Flush,
            72..75 => Act::Compact(Scope::All),
            75..78 => Act::Compact(Scope::Due),
            78..83 => Act::Seal,
            83..92 => Act::Reopen,
            _ => Act::Abandon,
        }
    }

    fn random_group(&mut self, expected: &Expected, now: i64) -> Vec<Load> {
        let batches = if self.random.chance(60) { 1 } else { 1 + self.random.below(4) };
        let ids = self.ids + 1..=self.ids + batches;
        self.ids += batches;
        let one = |id: u64| {
            let id = format!("batch-{id}");
            random_load(id, &expected.model, now, &mut self.random)
        };
        ids.map(one).collect()
    }

    /// Tries some of the crash points since the last time.
    fn crash_along(&mut self, disk: &FaultyDisk, during: &Expected) -> Result<(), String> {
        for point in disk.take_crash_points() {
            if self.random.chance(40) {
                self.story = vec![format!("history:\n{}", disk.trace())];
                self.story.push(format!("crash in operation {}", point.operation));
                self.crash(point.volume, during.clone(), 0)?;
            }
        }
        Ok(())
    }

    /// The power fails, or the process is killed; the store is opened on what is left.
    fn crash(&mut self, volume: Volume, expected: Expected, depth: u32) -> Result<(), String> {
        self.tally.points += 1;
        self.tally.nested += u64::from(depth > 0);
        let disk = if self.random.chance(75) {
            self.story.push("the power fails".to_owned());
            FaultyDisk::over(&volume.random_crash_state(&mut self.random))
        } else {
            self.tally.kills += 1;
            self.story.push("the process is killed".to_owned());
            FaultyDisk::with(volume)
        };
        if depth < DEPTH_MAX && self.random.chance(30) {
            let done = match self.random.below(4) {
                0 => Done::Nothing,
                1 => Done::Bytes(self.random.place(900)),
                _ => Done::All,
            };
            disk.crash_at(self.random.below(30), done);
        }
        self.go_on(&disk, expected, depth)
    }

    /// Opens the store, which settles what was in doubt and checks everything; works with it.
    fn go_on(&mut self, disk: &FaultyDisk, expected: Expected, depth: u32) -> Result<(), String> {
        let in_doubt: Vec<Load> = expected.in_doubt.iter().map(|(load, _)| load.clone()).collect();
        let mut store = match BarStore::open(Arc::new(disk.clone()), self.options, expected.clone())
        {
            Ok((store, _)) => store,
            Err(Trouble::Failed(_)) if disk.is_dead() => {
                self.story.push(format!("opening died:\n{}", disk.trace()));
                return self.crash(disk.volume(), expected, depth + 1);
            }
            Err(trouble) => return Err(self.failure(&trouble, disk)),
        };
        let model = &store.expected().model;
        self.tally.survived_in_doubt +=
            in_doubt.iter().filter(|load| model.batch(&load.id).is_some()).count() as u64;
        // What an opening shows is durable: the power may fail at once.
        if depth < DEPTH_MAX && self.random.chance(15) {
            self.story.push(format!("opened, then at once:\n{}", disk.trace()));
            return self.crash(disk.volume(), store.abandon(), depth + 1);
        }
        for act in self.acts_after_recovery(&store, in_doubt) {
            self.story.push(format!("{act:?}"));
            match store.act(&act).and_then(|()| store.check()) {
                Ok(()) => {}
                Err(Trouble::Failed(_)) if disk.is_dead() => {
                    self.story.push(format!("died:\n{}", disk.trace()));
                    return self.crash(disk.volume(), store.abandon(), depth + 1);
                }
                Err(trouble) => return Err(self.failure(&trouble, disk)),
            }
        }
        drop(store);
        if self.random.chance(10) && !disk.is_dead() {
            let store: Arc<dyn Disk> = Arc::new(disk.clone());
            let report = verify(&store).map_err(|error| self.failure(&error.into(), disk))?;
            if !report.problems.is_empty() {
                let trouble = Trouble::Wrong(format!("verify: {:?}", report.problems));
                return Err(self.failure(&trouble, disk));
            }
        }
        Ok(())
    }

    fn acts_after_recovery(&mut self, store: &BarStore, in_doubt: Vec<Load>) -> Vec<Act> {
        let mut acts = Vec::new();
        // Whoever got no answer sends it again.
        if !in_doubt.is_empty() && self.random.chance(50) {
            acts.push(Act::Commit(in_doubt));
        }
        acts.push(Act::Commit(self.random_group(store.expected(), store.next_now())));
        if self.random.chance(30) {
            acts.push(Act::Spare);
            acts.push(Act::Commit(self.random_group(store.expected(), store.next_now())));
        }
        if self.random.chance(30) {
            acts.push(Act::Flush);
        }
        if self.random.chance(20) {
            acts.push(Act::Compact(Scope::All));
        }
        if self.random.chance(30) {
            acts.extend([Act::Masks, Act::Tiles]);
        }
        acts.push(if self.random.chance(50) { Act::Reopen } else { Act::Abandon });
        acts
    }

    pub(crate) fn failure(&self, trouble: &Trouble, disk: &FaultyDisk) -> String {
        format!(
            "{trouble}\nBARROW_CRASH_SEED={} repeats it; wal_file_bytes {}\n{}\nthen:\n{}",
            self.seed,
            self.options.wal_file_bytes,
            self.story.join("\n"),
            disk.trace()
        )
    }
}
