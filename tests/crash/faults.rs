//! A disk that is full, fails or lies: what must stop, what must go on, what must still be there.

use std::sync::Arc;

use barrow_engine::disk::{Disk, DiskErrorKind};
use barrow_engine::{ErrorKind, Options, Reader, Scope};
use barrow_tests::bar_store::{Act, BarStore, Expected};
use barrow_tests::compare::{self, Trouble};
use barrow_tests::console::say;
use barrow_tests::faulty_disk::{Call, Done, Fault, FaultyDisk};
use barrow_tests::loads::{random_load, run_of_bars};
use barrow_tests::random::Random;
use barrow_tests::volume::Volume;
use barrow_tests::workers::on_all_cores;

use crate::small;

const WAL_FILE_BYTES: u64 = 4_096;

/// A manifest that is seldom begun anew, so that edits follow each other in one file.
const MANIFEST_BYTES_LONG: u64 = 4_096;

fn open_with(options: Options, disk: &FaultyDisk, expected: Expected) -> Result<BarStore, Trouble> {
    BarStore::open(Arc::new(disk.clone()), options, expected).map(|(store, _)| store)
}

fn open(disk: &FaultyDisk, expected: Expected) -> Result<BarStore, Trouble> {
    open_with(small(WAL_FILE_BYTES), disk, expected)
}

/// Both kinds of manifest: often begun anew, and never.
fn both_manifests() -> [Options; 2] {
    let often = small(WAL_FILE_BYTES);
    [often, Options { manifest_bytes_max: MANIFEST_BYTES_LONG, ..often }]
}

/// A store with a few batches, some of them in a segment.
fn started() -> (FaultyDisk, BarStore) {
    let disk = FaultyDisk::new();
    let mut store = open(&disk, Expected::default()).unwrap_or_else(|trouble| panic!("{trouble}"));
    for act in [commit("first", 0, 3), Act::Flush, commit("second", 2, 3)] {
        done(&mut store, &act);
    }
    (disk, store)
}

fn commit(id: &str, minute: i64, rows: usize) -> Act {
    Act::Commit(vec![run_of_bars(id.to_owned(), "SPY", minute, rows)])
}

#[track_caller]
fn done(store: &mut BarStore, act: &Act) {
    if let Err(trouble) = store.act(act) {
        panic!("{act:?}: {trouble}");
    }
    checked(store);
}

#[track_caller]
fn checked(store: &mut BarStore) {
    if let Err(trouble) = store.check() {
        panic!("{trouble}");
    }
}

/// The act fails with that kind of error, and what is there stays readable.
#[track_caller]
fn refused(store: &mut BarStore, act: &Act, kind: ErrorKind) {
    match store.act(act) {
        Err(Trouble::Failed(error)) => assert_eq!(error.kind(), kind, "{error}"),
        Err(trouble) => panic!("{act:?}: {trouble}"),
        Ok(()) => panic!("{act:?} went well"),
    }
    checked(store);
}

#[test]
fn a_full_disk_refuses_commits_reads_go_on_and_so_do_commits_when_there_is_room() {
    for spare in [0, 100, WAL_FILE_BYTES - 1, WAL_FILE_BYTES, 3 * WAL_FILE_BYTES] {
        let (disk, mut store) = started();
        disk.set_capacity(Some(disk.volume().byte_len() + spare));
        let mut id = 0;
        let mut next = || {
            id += 1;
            commit(&format!("batch-{id}"), id, 9)
        };
        let mut act = next();
        while store.act(&act).is_ok() {
            act = next();
            assert!(disk.volume().byte_len() < 1 << 20, "the disk never gets full");
        }
        refused(&mut store, &act, ErrorKind::Full);
        refused(&mut store, &next(), ErrorKind::Full);
        assert_eq!(store.engine().poisoned(), None, "with {spare} bytes to spare");

        disk.set_capacity(Some(disk.volume().byte_len() + 8 * WAL_FILE_BYTES));
        done(&mut store, &act);
        done(&mut store, &next());
        done(&mut store, &Act::Reopen);
        done(&mut store, &Act::Abandon);
    }
}

#[test]
fn a_full_disk_refuses_some_of_a_group_and_keeps_the_rest() {
    let (disk, mut store) = started();
    disk.set_capacity(Some(disk.volume().byte_len() + WAL_FILE_BYTES));
    let loads = (0..40).map(|at| run_of_bars(format!("batch-{at}"), "SPY", at, 4));
    let group = Act::Commit(loads.collect());
    refused(&mut store, &group, ErrorKind::Full);
    disk.set_capacity(None);
    done(&mut store, &group);
    done(&mut store, &Act::Abandon);
}

#[test]
fn a_flush_that_finds_the_disk_full_is_dropped_and_done_again_later() {
    for spare in [0, 1, 512, 1_500] {
        let (disk, mut store) = started();
        disk.set_capacity(Some(disk.volume().byte_len() + spare));
        refused(&mut store, &Act::Flush, ErrorKind::Full);
        assert_eq!(store.engine().poisoned(), None);
        disk.set_capacity(None);
        done(&mut store, &commit("third", 4, 1));
        done(&mut store, &Act::Flush);
        done(&mut store, &Act::Reopen);
    }
}

#[test]
fn a_store_on_a_full_disk_still_opens_for_reading_or_says_full() {
    let (disk, store) = started();
    let expected = store.abandon();
    disk.set_capacity(Some(disk.volume().byte_len()));
    match open(&disk, expected.clone()) {
        Ok(mut store) => checked(&mut store),
        Err(Trouble::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Full, "{error}"),
        Err(trouble) => panic!("{trouble}"),
    }
    disk.set_capacity(None);
    let mut store = open(&disk, expected).map_err(|trouble| trouble.to_string()).unwrap();
    done(&mut store, &commit("third", 4, 1));
}

#[test]
fn a_failed_log_or_manifest_stops_intake_for_good_and_says_so() {
    let io = DiskErrorKind::Io;
    let wal = || Fault::next(Call::Sync, io).below("wal/");
    let across = || {
        let load = |symbol| run_of_bars(format!("third-{symbol}"), symbol, 4, 60);
        Act::Commit(vec![load("AAPL"), load("IBM")])
    };
    for (act, fault) in [
        (commit("third", 4, 1), wal()),
        (commit("third", 4, 1), Fault::next(Call::Write, io).below("wal/")),
        (
            commit("third", 4, 1),
            Fault::next(Call::Write, io).below("wal/").having_done(Done::Bytes(40)),
        ),
        (across(), wal()),
        (across(), Fault::next(Call::SyncDir, io).below("wal")),
        (across(), Fault::next(Call::Create, io).below("wal/")),
        (Act::Seal, wal()),
        (Act::Flush, Fault::next(Call::Sync, io).below("manifest/")),
        (Act::Flush, Fault::next(Call::Write, io).below("manifest/")),
    ] {
        let (disk, mut store) = started();
        disk.fail(fault.clone());
        let (act, what) = (&act, format!("{fault:?}"));
        match store.act(act) {
            Err(Trouble::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Disk, "{what}"),
            other => panic!("{what}: {:?}", other.map_err(|trouble| trouble.to_string())),
        }
        disk.heal();
        checked(&mut store);
        for more in [commit("fourth", 5, 1), commit("fifth", 6, 1)] {
            refused(&mut store, &more, ErrorKind::Disk);
        }
        let why = store.engine().poisoned().map(str::to_owned);
        assert!(why.is_some_and(|why| !why.is_empty()), "{what}");
        assert!(store.engine().plan_flush().is_none(), "{what}");
        done(&mut store, &Act::Abandon);
        assert_eq!(store.engine().poisoned(), None, "{what}");
        done(&mut store, &commit("sixth", 7, 1));
        done(&mut store, &Act::Reopen);
    }
}

#[test]
fn an_error_in_a_file_not_yet_published_drops_only_that_file() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::SyncDir] {
        let (disk, mut store) = started();
        disk.fail(Fault::next(call, DiskErrorKind::Io).below("segments"));
        refused(&mut store, &Act::Flush, ErrorKind::Disk);
        assert_eq!(store.engine().poisoned(), None, "{call:?}");
        done(&mut store, &commit("third", 4, 1));
        done(&mut store, &Act::Flush);
        done(&mut store, &Act::Reopen);
    }
}

#[test]
fn masks_that_cannot_be_written_are_done_without_and_written_later() {
    cannot_be_written(&Act::Masks, |reader| reader.masks().loaded);
}

#[test]
fn tiles_that_cannot_be_written_are_done_without_and_written_later() {
    cannot_be_written(&Act::Tiles, |reader| reader.tiles().stored);
}

fn cannot_be_written(act: &Act, count: impl Fn(&Reader) -> u64) {
    let io = DiskErrorKind::Io;
    for fault in [
        Fault::next(Call::CreateDir, io),
        Fault::next(Call::SyncDir, io),
        Fault::next(Call::Create, DiskErrorKind::Full).below("derived/"),
        Fault::next(Call::Write, DiskErrorKind::Full).below("derived/"),
        Fault::next(Call::Write, io).below("derived/").having_done(Done::Bytes(40)),
        Fault::next(Call::Sync, io).below("derived/"),
        Fault::next(Call::Rename, io).below("derived/"),
        Fault::next(Call::SyncDir, io).below("derived"),
    ] {
        let (disk, mut store) = started();
        disk.fail(fault.clone());
        assert!(matches!(store.act(act), Err(Trouble::Failed(_))), "{fault:?}");
        assert_eq!(disk.list("derived").expect("it can be read"), Vec::<String>::new());
        assert_eq!(store.engine().poisoned(), None, "{fault:?}");
        done(&mut store, &commit("third", 4, 1));
        done(&mut store, act);
        assert_eq!(disk.list("derived").expect("it can be read").len(), 1, "{fault:?}");
        done(&mut store, &Act::Reopen);
        assert!(count(&store.engine().reader()) > 0, "{fault:?}");
    }
}

#[test]
fn masks_that_cannot_be_read_are_made_from_rows() {
    let (disk, mut store) = started();
    done(&mut store, &Act::Masks);
    done(&mut store, &Act::Reopen);
    let expected = store.abandon();
    let opening = Fault::next(Call::Read, DiskErrorKind::Io).below("derived/").lasting();
    for fault in [opening.clone().after(3), opening] {
        disk.fail(fault);
        let mut store = open(&disk, expected.clone()).unwrap_or_else(|error| panic!("{error}"));
        assert!(store.engine().reader().masks().dropped > 0);
        disk.heal();
        checked(&mut store);
    }
}

#[test]
fn tiles_that_cannot_be_read_are_made_from_rows() {
    let (disk, mut store) = started();
    done(&mut store, &Act::Tiles);
    done(&mut store, &Act::Reopen);
    let right = compare::made_bars(&store.engine().snapshot()).expect("it can be read");
    let expected = store.abandon();
    let opening = Fault::next(Call::Read, DiskErrorKind::Io).below("derived/").lasting();
    for fault in [opening.clone().after(3), opening] {
        disk.fail(fault);
        let mut store = open(&disk, expected.clone()).unwrap_or_else(|error| panic!("{error}"));
        let found = compare::made_bars(&store.engine().snapshot()).expect("it can be read");
        assert_eq!(found, right);
        assert!(store.engine().reader().tiles().dropped > 0);
        disk.heal();
        checked(&mut store);
    }
}

/// A history that meets every file there is: log files, segments, masks, tiles, the manifest begun
/// anew.
fn eventful() -> Vec<Act> {
    let mut random = Random::new(7);
    let mut acts = Vec::new();
    let empty = Expected::default();
    for (round, last) in (0..).zip([Act::Abandon, Act::Reopen, Act::Flush]) {
        for batch in 0..3 {
            let load =
                random_load(format!("batch-{round}-{batch}"), &empty.model, empty.now, &mut random);
            acts.push(Act::Commit(vec![load]));
        }
        let load = |symbol| run_of_bars(format!("large-{round}-{symbol}"), symbol, round, 60);
        acts.push(Act::Commit(vec![load("IBM"), load("MSFT")]));
        acts.extend([Act::Seal, Act::Flush, Act::Masks, Act::Tiles]);
        acts.push(Act::Compact(Scope::All));
        acts.push(last);
    }
    acts
}

/// The calls of [`eventful`] where nothing fails.
fn calls(options: Options) -> Vec<Call> {
    let disk = FaultyDisk::new();
    disk.record_crash_points();
    assert_eq!(play(options, &disk, &eventful()).1, None, "without a fault");
    let calls: Vec<Call> = disk.take_crash_points().into_iter().map(|point| point.call).collect();
    assert!(calls.len() > 100, "the history is too short to mean anything: {}", calls.len());
    calls
}

#[test]
fn no_single_failing_call_loses_or_halves_anything() {
    let mut faults = Vec::new();
    for options in both_manifests() {
        for (number, call) in (0..).zip(calls(options)) {
            let io = |done| Fault::at(number, DiskErrorKind::Io).having_done(done);
            let mut add = |fault| faults.push((options, fault));
            add(io(Done::All));
            if call != Call::Sync {
                add(io(Done::Nothing));
            }
            if call == Call::Write {
                add(io(Done::Bytes(24)));
                add(io(Done::Bytes(512)));
            }
            if matches!(call, Call::Write | Call::Create) {
                add(Fault::at(number, DiskErrorKind::Full));
            }
        }
    }
    let one = |piece: usize| survive(faults[piece].0, &faults[piece].1);
    on_all_cores(faults.len(), one, |()| true);
    say(&format!(
        "{} failing calls: 0 acknowledged rows lost, 0 batches half visible",
        faults.len(),
    ));
}

#[test]
fn what_a_failed_sync_left_in_the_cache_alone_is_never_built_upon() {
    let mut syncs = Vec::new();
    for options in both_manifests() {
        for (number, call) in (0..).zip(calls(options)) {
            if call == Call::Sync {
                syncs.push((options, Fault::at(number, DiskErrorKind::Io)));
            }
        }
    }
    let mut failures = Vec::new();
    on_all_cores(
        syncs.len(),
        |piece| Ok(survive(syncs[piece].0, &syncs[piece].1)),
        |survived: Result<(), String>| {
            failures.extend(survived.err());
            true
        },
    );
    let (failed, all) = (failures.len(), syncs.len());
    let heads: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
    assert!(
        failures.is_empty(),
        "{failed} of {all} failed syncs:\n{}\nthe first:\n{}",
        heads.join("\n"),
        failures[0]
    );
    say(&format!("{all} failed syncs: nothing was built upon what the cache alone held"));
}

/// Plays until the store cannot be opened; errors on the way are what happens on such a disk.
fn play(options: Options, disk: &FaultyDisk, acts: &[Act]) -> (Expected, Option<String>) {
    let mut first_error = None;
    let mut store = match open_with(options, disk, Expected::default()) {
        Ok(store) => store,
        Err(trouble) => return (Expected::default(), Some(trouble.to_string())),
    };
    for act in acts {
        match store.act(act) {
            Ok(()) => continue,
            Err(trouble @ Trouble::Wrong(_)) => panic!("{trouble}\n{}", disk.trace()),
            Err(trouble @ Trouble::Failed(_)) => {
                first_error.get_or_insert(trouble.to_string());
            }
        }
        if !store.is_open() {
            break;
        }
        if let Err(trouble) = store.check() {
            panic!("{trouble}\nafter {act:?}\n{}", disk.trace());
        }
    }
    (store.abandon(), first_error)
}

fn survive(options: Options, fault: &Fault) -> Result<(), String> {
    let disk = FaultyDisk::new();
    disk.fail(fault.clone());
    let (expected, _) = play(options, &disk, &eventful());
    disk.heal();
    let cut = |volume: &Volume, seed| {
        FaultyDisk::over(&volume.random_crash_state(&mut Random::new(seed)))
    };
    let failure = |what: &str, trouble: &Trouble| {
        format!("{fault:?}, then {what}: {trouble}\n{}", disk.trace())
    };
    for seed in 0..6 {
        let after = open_with(options, &cut(&disk.volume(), seed), expected.clone());
        after.map_err(|error| failure(&format!("lost power (seed {seed})"), &error))?;
    }
    // The process begins again on the same computer: its cache holds what the disk may not.
    let mut store =
        open_with(options, &disk, expected).map_err(|error| failure("opened again", &error))?;
    let more = store.act(&commit("more", 9, 2)).and_then(|()| store.check());
    more.map_err(|error| failure("committed", &error))?;
    let expected = store.abandon();
    for seed in 0..6 {
        let after = open_with(options, &cut(&disk.volume(), seed), expected.clone());
        let what = format!("committed and lost power (seed {seed})");
        after.map_err(|error| failure(&what, &error))?;
    }
    Ok(())
}

#[test]
fn a_failing_read_is_an_error_never_a_wrong_answer() {
    let (disk, store) = started();
    let expected = store.abandon();
    let mut failed = 0;
    for read in 0.. {
        let left = FaultyDisk::over(&disk.volume().current());
        left.fail(Fault::next(Call::Read, DiskErrorKind::Io).after(read));
        match open(&left, expected.clone()) {
            Err(Trouble::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Disk, "{error}"),
            Err(trouble) => panic!("read {read}: {trouble}"),
            Ok(_) => break,
        }
        failed += 1;
        left.heal();
        let again = open(&left, expected.clone());
        again.map_err(|trouble| format!("read {read}, opened again: {trouble}")).unwrap();
    }
    assert!(failed > 3, "an opening reads more than {failed} times");
}
