//! Segments that are read in memory, and lose pages there: answers stay right, or become an error
//! that names the file. Never a wrong value.

use std::fs::{self, OpenOptions};
use std::sync::Arc;

use barrow_engine::ErrorKind;
use barrow_engine::disk::{Disk, OsDisk};
use barrow_tests::bar_store::{Act, BarStore, Expected};
use barrow_tests::compare::Trouble;
use barrow_tests::faulty_disk::{Call, Fault, FaultyDisk};
use barrow_tests::loads::run_of_bars;

use crate::small;

/// A store with one segment of so many rows that has been read often enough to be mapped.
fn mapped(disk: Arc<dyn Disk>, rows: usize) -> BarStore {
    let (mut store, _) = BarStore::open(disk, small(4_096), Expected::default())
        .unwrap_or_else(|trouble| panic!("{trouble}"));
    for act in [Act::Commit(vec![run_of_bars("only".to_owned(), "SPY", 0, rows)]), Act::Flush] {
        store.act(&act).unwrap_or_else(|trouble| panic!("{trouble}"));
    }
    for _ in 0..3 {
        good(&mut store);
    }
    store
}

#[track_caller]
fn good(store: &mut BarStore) {
    store.check().unwrap_or_else(|trouble| panic!("{trouble}"));
}

/// Whether some answer is an error of one of these kinds that names the segment. None is wrong.
#[track_caller]
fn is_refused(store: &mut BarStore, kinds: &[ErrorKind]) -> bool {
    match store.check() {
        Err(Trouble::Failed(error)) => {
            assert!(kinds.contains(&error.kind()), "{error}");
            assert!(error.detail().contains("segments/0000000001.seg"), "{error}");
            true
        }
        Err(wrong) => panic!("{wrong}"),
        Ok(()) => false,
    }
}

#[test]
fn a_map_that_loses_a_page_is_read_around_through_the_disk() {
    let disk = FaultyDisk::new();
    let mut store = mapped(Arc::new(disk.clone()), 30);
    assert!(disk.poison_maps() > 0, "nothing was mapped");
    good(&mut store);
    assert_eq!(disk.poison_maps(), 0, "a file whose map failed once is not mapped again");
}

#[test]
fn a_block_that_is_read_around_its_map_is_checked_again() {
    let disk = FaultyDisk::new();
    let mut store = mapped(Arc::new(disk.clone()), 30);
    let path = "segments/0000000001.seg";
    let bytes = vec![0x55; usize::try_from(disk.len(path).unwrap()).unwrap()];
    disk.write_at(path, 0, &bytes).unwrap();
    disk.poison_maps();
    assert!(is_refused(&mut store, &[ErrorKind::Corrupt]));
}

#[test]
fn a_disk_that_fails_under_a_poisoned_map_says_so() {
    let disk = FaultyDisk::new();
    let mut store = mapped(Arc::new(disk.clone()), 30);
    let failure = Fault::next(Call::Read, barrow_engine::disk::DiskErrorKind::Io);
    disk.fail(failure.below("segments/").lasting());
    good(&mut store);
    disk.poison_maps();
    assert!(is_refused(&mut store, &[ErrorKind::Disk]));
    disk.heal();
    good(&mut store);
}

/// Files of a few hundred bytes and of many pages, cut anywhere.
#[test]
fn a_segment_cut_off_by_hand_is_an_error_and_one_put_back_is_read_again() {
    for rows in [3, 4_000] {
        let whole = cut_to(rows, None);
        for part in [0, 1, 2, 3, 5, 8, 13, 21, 31] {
            cut_to(rows, Some(whole * part / 32));
        }
        for cut in [1, 8, 33] {
            cut_to(rows, Some(whole - cut));
        }
    }
}

/// Cuts the segment of a store of `rows` rows to `len` bytes while it is mapped, if told to.
/// Returns the length it had.
fn cut_to(rows: usize, len: Option<u64>) -> u64 {
    let folder = tempfile::TempDir::new().expect("a folder");
    let disk = OsDisk::open(folder.path()).expect("a disk");
    let mut store = mapped(Arc::new(disk), rows);
    let file = folder.path().join("segments/0000000001.seg");
    let copy = fs::read(&file).expect("readable");
    if let Some(len) = len {
        let opened = OpenOptions::new().write(true).open(&file).expect("writable");
        opened.set_len(len).expect("it can be cut");
        // The directory at the end is in memory: without it alone every answer is still right.
        let refused = is_refused(&mut store, &[ErrorKind::Disk, ErrorKind::Corrupt]);
        assert!(refused || len > copy.len() as u64 / 2, "{rows} rows cut to {len} bytes");
        fs::write(&file, &copy).expect("writable");
        good(&mut store);
    }
    copy.len() as u64
}
