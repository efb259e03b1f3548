//! Power that fails while a backup is made, or while a store is made of one: what is left is no
//! store, or it is a whole one.
//!
//! `BARROW_CRASH_COPIES` sets how many crash points are tried at least.

use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::disk::{Disk, DiskErrorKind};
use barrow_engine::{CopyJob, Engine, ErrorKind, StoreAtRest, verify};
use barrow_tests::bar_store::{Act, BarStore, Expected, INSTANCE};
use barrow_tests::compare::{self, Trouble};
use barrow_tests::console::{say, setting};
use barrow_tests::faulty_disk::{Fault, FaultyDisk};
use barrow_tests::model::{Entry, Model};
use barrow_tests::volume::{Image, Volume};
use barrow_tests::workers::on_all_cores;
use barrow_types::Sequence;

use crate::random::History;

/// Crash points where nothing else is asked for.
const POINTS: u64 = 2_000;

/// What a store that is made of a backup is called.
const OTHER: [u8; 16] = *b"barrow-restored\0";

#[test]
fn a_copy_that_loses_power_is_no_store_or_a_whole_one() {
    let wanted = setting("BARROW_CRASH_COPIES").unwrap_or(POINTS);
    let only = setting("BARROW_CRASH_SEED");
    let pieces = if only.is_some() { 1 } else { usize::MAX };
    let (mut points, mut whole) = (0, 0);
    let count = |tally: Tally| {
        points += tally.points;
        whole += tally.whole;
        points < wanted
    };
    on_all_cores(pieces, |piece| run(only.unwrap_or(piece as u64)), count);
    say(&format!("{points} crash points of backups and restores: {whole} left a whole store"));
    assert!(only.is_some() || (points >= wanted && whole > 0 && whole < points));
}

/// What was tried, and how often a store was left.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    points: u64,
    whole: u64,
}

fn run(seed: u64) -> Result<Tally, String> {
    let mut history = History::new(seed);
    let disk = FaultyDisk::new();
    let failed = |history: &History, trouble: &Trouble| history.failure(trouble, &disk);
    let opened = BarStore::open(Arc::new(disk.clone()), history.options, Expected::default());
    let (mut store, _) = opened.map_err(|trouble| failed(&history, &trouble))?;
    for _ in 0..2 + history.random.below(9) {
        act(&mut history, &mut store).map_err(|trouble| failed(&history, &trouble))?;
    }
    let job = store.engine().plan_backup();
    let model = store.expected().model.clone();
    let sequences = job.sequences();
    history.story.push(format!("a backup of {sequences:?}"));
    let mut tally = Tally::default();
    // The store goes on while it is copied.
    let mut trouble = None;
    let backup = crash_along(&mut history, &mut tally, job, &model, |history| {
        if trouble.is_none() && history.random.chance(30) {
            trouble = act(history, &mut store).err();
        }
    });
    let backup = backup.map_err(|trouble| failed(&history, &trouble))?;
    if let Some(trouble) = trouble {
        return Err(failed(&history, &trouble));
    }
    store.check().map_err(|trouble| failed(&history, &trouble))?;

    let (first, last) = (sequences.start().get(), sequences.end().get());
    let sequence = first + history.random.below(last - first + 1);
    history.story.push(format!("brought back to {sequence}"));
    let restored = StoreAtRest::open(&backup)
        .and_then(|backup| backup.plan_restore(Some(Sequence::new(sequence)), OTHER))
        .map_err(|error| failed(&history, &error.into()))?;
    let model = as_of(&model, sequence);
    crash_along(&mut history, &mut tally, restored, &model, |_| {})
        .map_err(|trouble| failed(&history, &trouble))?;
    Ok(tally)
}

/// Does something with the store that leaves it open.
fn act(history: &mut History, store: &mut BarStore) -> Result<(), Trouble> {
    let act = match history.random_act(store.expected(), store.next_now()) {
        Act::Reopen | Act::Abandon => Act::Seal,
        act => act,
    };
    history.story.push(format!("{act:?}"));
    store.act(&act)
}

/// What a store held when `sequence` was its last record.
fn as_of(model: &Model, sequence: u64) -> Model {
    let mut entries: Vec<&Entry> =
        model.batches().filter(|entry| entry.sequence <= sequence).collect();
    entries.sort_by_key(|entry| entry.sequence);
    let mut then = Model::default();
    for entry in entries {
        then.apply(entry.load.clone(), entry.sequence, entry.now);
    }
    then
}

/// Makes a copy, and looks at what would be there if the power had failed on the way; returns it.
fn crash_along(
    history: &mut History,
    tally: &mut Tally,
    job: CopyJob,
    model: &Model,
    mut meanwhile: impl FnMut(&mut History),
) -> Result<Arc<dyn Disk>, Trouble> {
    let last = *job.sequences().end();
    let target = FaultyDisk::new();
    target.record_crash_points();
    job.run(&target, &mut |_| {
        meanwhile(history);
        ControlFlow::Continue(())
    })?;
    for point in target.take_crash_points() {
        if history.random.chance(40) {
            history.story.push(format!("a crash in operation {}", point.operation));
            let image = left(history, &point.volume);
            tally.points += 1;
            tally.whole += u64::from(is_whole(history, &image, last, model)?);
        }
    }
    history.story.push("a crash when it was done".to_owned());
    let image = target.volume().random_crash_state(&mut history.random);
    if !is_whole(history, &image, last, model)? {
        return Err(Trouble::Wrong("a copy that was called whole is gone".to_owned()));
    }
    Ok(Arc::new(target))
}

/// The power fails, or the process is killed.
fn left(history: &mut History, volume: &Volume) -> Image {
    if history.random.chance(75) {
        volume.random_crash_state(&mut history.random)
    } else {
        volume.current()
    }
}

/// Whether there is a store; if so, it must be all that was to be copied.
fn is_whole(
    history: &History,
    image: &Image,
    last: Sequence,
    model: &Model,
) -> Result<bool, Trouble> {
    let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::over(image));
    let opened = StoreAtRest::open(&disk);
    if !image.files.contains_key("FORMAT") {
        return match opened {
            Err(error) if [ErrorKind::NotFound, ErrorKind::Corrupt].contains(&error.kind()) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(Trouble::Wrong("half a copy is taken for a store".to_owned())),
        };
    }
    if *opened?.sequences().end() != last {
        return Err(Trouble::Wrong(format!("a copy does not end with {last}")));
    }
    let problems = verify(&disk)?.problems;
    if !problems.is_empty() {
        return Err(Trouble::Wrong(format!("verify: {problems:?}")));
    }
    let (engine, _) = Engine::open(disk, history.options, INSTANCE)?;
    compare::everything(&engine.snapshot(), model)?;
    Ok(true)
}

#[test]
fn a_copy_that_meets_a_failing_or_a_full_disk_harms_no_store() {
    for seed in 0..8 {
        let mut history = History::new(seed);
        let disk = FaultyDisk::new();
        let opened = BarStore::open(Arc::new(disk.clone()), history.options, Expected::default());
        let (mut store, _) = opened.unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"));
        for _ in 0..8 {
            act(&mut history, &mut store).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        }
        let model = store.expected().model.clone();
        let pace = &mut |_| ControlFlow::Continue(());
        let whole = FaultyDisk::new();
        let copied = store.engine().plan_backup().run(&whole, pace);
        let copied = copied.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let bytes = whole.volume().byte_len();
        for operation in 0..whole.operations() {
            let target = FaultyDisk::new();
            target.fail(Fault::at(operation, DiskErrorKind::Io));
            let error = store.engine().plan_backup().run(&target, pace).expect_err("it fails");
            assert_eq!(error.kind(), ErrorKind::Disk, "seed {seed}, {operation}: {error}");
            // The last call makes the name of what is whole already durable.
            let found = is_whole(&history, &target.volume().current(), copied.last, &model);
            let found = found.unwrap_or_else(|why| panic!("seed {seed}, {operation}: {why}"));
            assert_eq!(found, operation + 1 == whole.operations(), "seed {seed}, {operation}");
        }
        for share in 1..8 {
            let target = FaultyDisk::new();
            target.set_capacity(Some(bytes * share / 8));
            let error = store.engine().plan_backup().run(&target, pace).expect_err("it is full");
            assert!(error.detail().contains("no space left"), "seed {seed}: {error}");
            assert!(!target.volume().current().files.contains_key("FORMAT"), "seed {seed}");
        }
        store.check().unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"));
    }
}
