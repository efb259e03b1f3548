//! The log file that is made ahead of its time: commits take it, and do without it.

use std::sync::Arc;

use barrow_engine::Options;
use barrow_engine::disk::{Disk, DiskErrorKind};
use barrow_tests::bar_store::{Act, BarStore, Expected};
use barrow_tests::compare::Trouble;
use barrow_tests::faulty_disk::{Call, Done, Fault, FaultyDisk};
use barrow_tests::loads::run_of_bars;

use crate::small;

const WAL_FILE_BYTES: u64 = 4_096;
const SPARE: &str = "wal/spare.tmp";

fn open(disk: &FaultyDisk, options: Options, expected: Expected) -> BarStore {
    BarStore::open(Arc::new(disk.clone()), options, expected)
        .unwrap_or_else(|trouble| panic!("{trouble}"))
        .0
}

fn started() -> (FaultyDisk, BarStore) {
    let disk = FaultyDisk::new();
    let mut store = open(&disk, small(WAL_FILE_BYTES), Expected::default());
    done(&mut store, &commit(0, 1));
    (disk, store)
}

fn commit(id: i64, rows: usize) -> Act {
    Act::Commit(vec![run_of_bars(format!("batch-{id}"), "SPY", id, rows)])
}

#[track_caller]
fn done(store: &mut BarStore, act: &Act) {
    let done = store.act(act).and_then(|()| store.check());
    done.unwrap_or_else(|trouble| panic!("{act:?}: {trouble}"));
}

#[track_caller]
fn fails(store: &mut BarStore, act: &Act) {
    assert!(matches!(store.act(act), Err(Trouble::Failed(_))), "{act:?} went well");
    assert_eq!(store.engine().poisoned(), None);
}

fn has_spare(disk: &FaultyDisk) -> bool {
    disk.len(SPARE).is_ok()
}

#[test]
fn a_small_commit_that_needs_a_file_takes_the_spare_and_makes_none() {
    let (disk, mut store) = started();
    done(&mut store, &Act::Spare);
    assert_eq!(disk.len(SPARE).expect("it is there"), WAL_FILE_BYTES);
    disk.fail(Fault::next(Call::Create, DiskErrorKind::Io).below("wal/").lasting());
    let files = store.engine().stats().wal_files;
    // The first file was only reserved: it is left for one that was filled.
    done(&mut store, &commit(1, 1));
    assert_eq!(store.engine().stats().wal_files, files + 1);
    assert!(!has_spare(&disk));
    done(&mut store, &commit(2, 1));
    assert_eq!(store.engine().stats().wal_files, files + 1, "a filled file is used to its end");
    disk.heal();
    done(&mut store, &Act::Abandon);
}

#[test]
fn no_spare_is_made_for_a_store_that_is_only_read_nor_a_second_one() {
    let disk = FaultyDisk::new();
    let mut store = open(&disk, small(WAL_FILE_BYTES), Expected::default());
    assert!(store.engine().plan_spare().is_none());
    done(&mut store, &commit(0, 1));
    let job = store.engine().plan_spare().expect("one is due");
    assert!(store.engine().plan_spare().is_none(), "one is being made");
    let spare = job.run(&disk);
    store.engine().install_spare(spare).expect("it was made");
    assert!(store.engine().plan_spare().is_none(), "one is there");
}

#[test]
fn a_record_with_no_room_in_the_spare_gets_a_file_of_its_own_size() {
    let (disk, mut store) = started();
    done(&mut store, &Act::Spare);
    done(&mut store, &commit(1, 600));
    assert!(has_spare(&disk), "the spare waits for a record that fits");
    let names = disk.list("wal").expect("a folder");
    let lens = names.iter().map(|name| disk.len(&format!("wal/{name}")).expect("a file"));
    assert!(lens.max() > Some(WAL_FILE_BYTES));
    done(&mut store, &commit(700, 1));
    assert!(!has_spare(&disk));
    done(&mut store, &Act::Reopen);
}

#[test]
fn a_large_record_leaves_the_spare_to_small_ones() {
    let disk = FaultyDisk::new();
    let options = Options { wal_file_bytes: 4 << 20, ..Options::default() };
    let mut store = open(&disk, options, Expected::default());
    for act in [commit(0, 2_000), Act::Spare] {
        store.act(&act).unwrap_or_else(|trouble| panic!("{trouble}"));
    }
    assert!(has_spare(&disk));
    for id in 1..5 {
        let act = commit(100_000 * id, 40_000);
        store.act(&act).unwrap_or_else(|trouble| panic!("{trouble}"));
        assert!(has_spare(&disk), "batch {id} took it");
    }
    assert!(store.engine().stats().wal_files > 1, "they needed a file");
    store.act(&commit(900_000, 1)).unwrap_or_else(|trouble| panic!("{trouble}"));
    assert!(!has_spare(&disk));
}

#[test]
fn a_spare_that_cannot_be_made_harms_nobody_and_is_tried_again_with_the_next_file() {
    let kinds = [DiskErrorKind::Full, DiskErrorKind::Io];
    let calls = [Call::Create, Call::Write, Call::Sync];
    for (call, kind) in calls.iter().flat_map(|&call| kinds.map(|kind| (call, kind))) {
        let (disk, mut store) = started();
        disk.fail(Fault::next(call, kind).below(SPARE).having_done(Done::Bytes(100)));
        fails(&mut store, &Act::Spare);
        assert!(!has_spare(&disk), "{call:?} {kind:?}");
        assert!(store.engine().plan_spare().is_none(), "not at once");
        let files = store.engine().stats().wal_files;
        for id in 1.. {
            done(&mut store, &commit(id, 4));
            if store.engine().stats().wal_files > files {
                break;
            }
        }
        done(&mut store, &Act::Spare);
        assert!(has_spare(&disk), "{call:?} {kind:?}");
        done(&mut store, &Act::Abandon);
    }
}

#[test]
fn on_a_full_disk_the_spare_is_the_last_space_of_the_log() {
    let (disk, mut store) = started();
    done(&mut store, &Act::Spare);
    disk.set_capacity(Some(disk.volume().byte_len()));
    done(&mut store, &commit(1, 1));
    assert!(!has_spare(&disk));
    let mut id = 2;
    while store.act(&commit(id, 9)).is_ok() {
        id += 1;
    }
    assert_eq!(store.engine().poisoned(), None);
    disk.set_capacity(None);
    done(&mut store, &commit(id, 9));
}

#[test]
fn a_spare_that_cannot_be_renamed_stops_intake_and_nothing_acknowledged_is_lost() {
    for done_so_far in [Done::Nothing, Done::All] {
        let (disk, mut store) = started();
        done(&mut store, &Act::Spare);
        let fault = Fault::next(Call::Rename, DiskErrorKind::Io).below(SPARE);
        disk.fail(fault.having_done(done_so_far));
        assert!(store.act(&commit(1, 1)).is_err());
        assert!(store.engine().poisoned().is_some());
        done(&mut store, &Act::Abandon);
        assert!(!has_spare(&disk));
        done(&mut store, &commit(2, 1));
    }
}

#[test]
fn closing_and_opening_remove_the_spare_without_a_word() {
    for last in [Act::Reopen, Act::Abandon] {
        let (disk, mut store) = started();
        done(&mut store, &Act::Spare);
        done(&mut store, &last);
        assert!(!has_spare(&disk), "{last:?}");
    }
    let (disk, mut store) = started();
    done(&mut store, &Act::Spare);
    let expected = store.abandon();
    let options = small(WAL_FILE_BYTES);
    let (_, recovery) = BarStore::open(Arc::new(disk), options, expected)
        .unwrap_or_else(|trouble| panic!("{trouble}"));
    assert_eq!(recovery.removed_files, Vec::<String>::new());
}
