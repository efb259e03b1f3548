//! Cells of features in files: the same as computed ones, whatever came since.

use std::ops::ControlFlow;

use super::*;
use crate::curate::Adjust;
use crate::dataset::facts::FACT_SOURCE;
use crate::derived;
use crate::features::{
    CellsMade, Definition, FeatureBars, FeatureGroup, FeatureRule, FeatureScan, LiveRow, Way,
    cell_file,
};
use crate::vintage::Vintage;

const SLOTS: i64 = 10_000;
/// Slots of a file.
const BLOCK: i64 = 1_000;

fn small() -> Options {
    let cell_slots = u32::try_from(BLOCK).unwrap();
    Options { cell_slots, memtable_bytes_max: 64 << 20, ..options() }
}

/// Minutes 0, 1, ... of A, all of them known.
fn filled(disk: &Arc<MemoryDisk>) -> Engine {
    let mut engine = Engine::open(Arc::clone(disk) as Arc<dyn Disk>, small(), [7; 16]).unwrap().0;
    let rows: Vec<(i64, f64, Option<i64>)> =
        (0..SLOTS).map(|minute| (minute, (minute % 17 + 1) as f64, None)).collect();
    send(&mut engine, bars("all", &rows), SLOTS);
    engine
}

fn group(features: &[(&str, &str)]) -> Arc<FeatureGroup> {
    let mut definition = Definition::new("g", FeatureBars::every(Step::M1));
    definition.features =
        features.iter().map(|(name, expr)| FeatureRule::new(*name, *expr)).collect();
    Arc::new(FeatureGroup::new(definition).unwrap())
}

fn windows() -> Arc<FeatureGroup> {
    group(&[("m", "Mean($close, 60)"), ("r", "Ref($close, 5)/$close")])
}

fn recursions() -> Arc<FeatureGroup> {
    group(&[("e", "EMA($close, 30)"), ("n", "CumCount($close)")])
}

fn of_hours() -> Arc<FeatureGroup> {
    group(&[("h", "At('1h', Mean($close, 3))"), ("m", "Mean($close, 5)")])
}

fn make(engine: &Engine, group: &Arc<FeatureGroup>) -> CellsMade {
    let mut go_on = || ControlFlow::Continue(());
    engine.snapshot().store_cells(group, &"A".into(), &mut go_on).unwrap()
}

/// The slots from one minute on, up to another.
fn ask(
    engine: &Engine,
    group: &Arc<FeatureGroup>,
    way: Way,
    (start, end): (i64, i64),
) -> Vec<LiveRow> {
    let scan = FeatureScan {
        instrument: "A".into(),
        group: Arc::clone(group),
        start: at(start),
        end: at(end),
        as_of: None,
        at_sequence: None,
        due: Timestamp::MAX,
        since: Timestamp::MIN,
        vintage: Vintage::Final,
        way,
    };
    let mut rows = Vec::new();
    let mut features = engine.snapshot().features(&scan).unwrap();
    while let Some(piece) = features.next().unwrap() {
        rows.extend((0..piece.len()).map(|at| LiveRow::of_piece(&piece, at)));
    }
    rows
}

/// How many files were read while ranges were compared with what each slot is by itself.
fn used_in_comparing(engine: &Engine, group: &Arc<FeatureGroup>) -> u64 {
    let before = engine.reader().cells().used;
    for range in [(-10, SLOTS + 10), (0, SLOTS / 2), (BLOCK + 1, 3 * BLOCK - 1)] {
        let found = ask(engine, group, Way::Columns, range);
        assert_eq!(found, ask(engine, group, Way::Slots, range), "{range:?}");
    }
    engine.reader().cells().used - before
}

#[test]
fn cells_in_files_are_those_that_are_computed() {
    for group in [windows(), recursions(), of_hours()] {
        let engine = filled(&Arc::new(MemoryDisk::new()));
        assert_eq!(used_in_comparing(&engine, &group), 0);
        make(&engine, &group);
        let stats = engine.reader().cells();
        assert_eq!((stats.blocks, stats.made), (10, 10));
        assert_eq!(used_in_comparing(&engine, &group), 10 + 5 + 2);
        make(&engine, &group);
        assert_eq!(engine.reader().cells().made, 10, "all are there");
    }
}

#[test]
fn files_serve_a_store_that_was_opened_again() {
    let disk = Arc::new(MemoryDisk::new());
    let group = recursions();
    let engine = filled(&disk);
    make(&engine, &group);
    drop(engine);
    let engine = Engine::open(Arc::clone(&disk) as Arc<dyn Disk>, small(), [7; 16]).unwrap().0;
    assert_eq!(engine.reader().cells().blocks, 10);
    assert_eq!(used_in_comparing(&engine, &group), 10 + 5 + 2);
}

#[test]
fn a_late_row_takes_as_many_files_as_its_windows_reach() {
    let (group, disk) = (windows(), Arc::new(MemoryDisk::new()));
    let mut engine = filled(&disk);
    make(&engine, &group);
    // A day has 1,440 slots, and rows of a day may have a say in slots of the next ones.
    send(&mut engine, bars("corrected", &[(1_500, 99.0, None)]), SLOTS + 1);
    let all = used_in_comparing(&engine, &group);
    assert!((1 + 1..10 + 5 + 2).contains(&all), "{all} files");
    make(&engine, &group);
    let made = engine.reader().cells().made;
    assert!((11..20).contains(&made), "{made} files");
    assert_eq!(used_in_comparing(&engine, &group), 10 + 5 + 2);
    flush(&mut engine);
    assert_eq!(used_in_comparing(&engine, &group), 10 + 5 + 2, "a flush changes nothing");
}

#[test]
fn a_late_row_takes_all_files_behind_it_of_what_remembers_everything() {
    let mut engine = filled(&Arc::new(MemoryDisk::new()));
    let group = recursions();
    make(&engine, &group);
    send(&mut engine, bars("corrected", &[(4_500, 99.0, None)]), SLOTS + 1);
    assert_eq!(used_in_comparing(&engine, &group), 4 + 4 + 2);
    make(&engine, &group);
    assert_eq!(engine.reader().cells().made, 10 + 6);
    assert_eq!(used_in_comparing(&engine, &group), 10 + 5 + 2);
    send(&mut engine, bars("first", &[(-100, 99.0, None)]), SLOTS + 2);
    assert_eq!(used_in_comparing(&engine, &group), 0, "counted from another begin");
}

#[test]
fn a_begin_that_comes_nearer_takes_files_whose_windows_become_cold() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let mut engine = Engine::open(disk, small(), [7; 16]).unwrap().0;
    let rows = |minutes: std::ops::Range<i64>| -> Vec<(i64, f64, Option<i64>)> {
        minutes.map(|minute| (minute, (minute % 17 + 1) as f64, None)).collect()
    };
    send(&mut engine, bars("early", &rows(0..7_990)), SLOTS);
    send(&mut engine, bars("late", &rows(7_990..SLOTS)), SLOTS);
    let group = windows();
    make(&engine, &group);
    let gone = crate::retraction_of("early", "gone", &engine.snapshot()).unwrap().unwrap();
    send(&mut engine, gone, SLOTS + 1);
    assert_eq!(used_in_comparing(&engine, &group), 0);
    make(&engine, &group);
    assert!(used_in_comparing(&engine, &group) > 0);
}

#[test]
fn a_damaged_file_is_computed_instead_and_made_again() {
    let disk = Arc::new(MemoryDisk::new());
    let group = windows();
    let engine = filled(&disk);
    make(&engine, &group);
    let names: Vec<String> = disk.list("derived").unwrap();
    for (at, name) in names.iter().enumerate() {
        let path = format!("derived/{name}");
        let place = [50, disk.len(&path).unwrap() - 40][at % 2];
        let byte = disk.read(&path, place, 1).unwrap()[0];
        disk.write_at(&path, place, &[byte ^ 1]).unwrap();
    }
    drop(engine);
    let store: Arc<dyn Disk> = disk;
    let problems = crate::verify(&store).unwrap().problems;
    assert_eq!(problems.len(), 10, "{problems:?}");
    let engine = Engine::open(store, small(), [7; 16]).unwrap().0;
    assert_eq!(used_in_comparing(&engine, &group), 0);
    let stats = engine.reader().cells();
    assert_eq!((stats.blocks, stats.dropped), (0, 10));
    make(&engine, &group);
    assert_eq!(used_in_comparing(&engine, &group), 10 + 5 + 2);
}

#[test]
fn a_file_whose_checksums_are_right_and_whose_cells_are_none_is_computed_instead() {
    let disk = Arc::new(MemoryDisk::new());
    let group = windows();
    let engine = filled(&disk);
    make(&engine, &group);
    for name in disk.list("derived").unwrap() {
        let path = format!("derived/{name}");
        let len = usize::try_from(disk.len(&path).unwrap()).unwrap();
        let mut bytes = disk.read(&path, 0, len).unwrap();
        let trailer = len - derived::TRAILER_LEN;
        let index_len = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().unwrap());
        let end = trailer - usize::try_from(index_len).unwrap();
        let mut index = cell_file::decode_index(&bytes[end..trailer], end as u64).unwrap();
        // The first chunk has no form that there is.
        bytes[derived::HEADER_LEN] = 0xFF;
        let chunk = derived::HEADER_LEN..derived::HEADER_LEN + index.chunks[0].0 as usize;
        index.chunks[0].1 = crc32c::crc32c(&bytes[chunk]);
        bytes.truncate(end);
        bytes.extend(cell_file::encode_index(&index));
        disk.write_at(&path, 0, &bytes).unwrap();
    }
    let store = Arc::clone(&disk) as Arc<dyn Disk>;
    drop(engine);
    let engine = Engine::open(store, small(), [7; 16]).unwrap().0;
    used_in_comparing(&engine, &group);
    let stats = engine.reader().cells();
    assert_eq!((stats.blocks, stats.dropped), (0, 10));
}

#[test]
fn files_that_know_more_than_the_store_are_removed() {
    let disk = Arc::new(MemoryDisk::new());
    let group = windows();
    let mut engine = filled(&disk);
    let earlier = MemoryDisk::new();
    let copy = |dir: &str| {
        if !dir.is_empty() {
            earlier.create_dir(dir).unwrap();
        }
        for name in disk.list(dir).unwrap() {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            let len = usize::try_from(disk.len(&path).unwrap()).unwrap();
            earlier.create_anew(&path, len as u64).unwrap();
            earlier.write_at(&path, 0, &disk.read(&path, 0, len).unwrap()).unwrap();
        }
    };
    ["", "wal", "manifest", "segments"].into_iter().for_each(copy);
    send(&mut engine, bars("corrected", &[(5, 99.0, None)]), SLOTS + 1);
    make(&engine, &group);
    copy("derived");
    let (engine, recovery) = Engine::open(Arc::new(earlier), small(), [7; 16]).unwrap();
    assert_eq!(recovery.removed_files.len(), 10, "{:?}", recovery.removed_files);
    assert_eq!(used_in_comparing(&engine, &group), 0);
}

#[test]
fn there_are_never_more_bytes_than_asked_for() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = Options { cell_bytes_max: 110_000, ..small() };
    let mut engine = Engine::open(disk, options, [7; 16]).unwrap().0;
    let rows: Vec<(i64, f64, Option<i64>)> =
        (0..SLOTS).map(|minute| (minute, (minute % 1_009) as f64 / 7.0, None)).collect();
    send(&mut engine, bars("all", &rows), SLOTS);
    let group = windows();
    assert!(make(&engine, &group).is_full);
    let stats = engine.reader().cells();
    assert!(stats.blocks > 0 && stats.bytes <= 110_000, "{stats:?}");
    used_in_comparing(&engine, &group);
}

#[test]
fn files_of_what_nobody_wants_any_more_are_removed() {
    let disk = Arc::new(MemoryDisk::new());
    let engine = filled(&disk);
    let kept = make(&engine, &windows()).key;
    make(&engine, &recursions());
    assert_eq!(disk.list("derived").unwrap().len(), 20);
    engine.snapshot().retain_cells(&[kept].into());
    assert_eq!(disk.list("derived").unwrap().len(), 10);
    assert_eq!(used_in_comparing(&engine, &recursions()), 0);
    assert_eq!(used_in_comparing(&engine, &windows()), 10 + 5 + 2);
}

#[test]
fn a_corrected_close_of_a_day_takes_the_files_that_a_dividend_made_of_it() {
    let mut bars = FeatureBars::every(Step::M1);
    bars.adjust = Adjust::All;
    let mut definition = Definition::new("g", bars);
    definition.features = vec![FeatureRule::new("e", "EMA($close, 30)")];
    let group = Arc::new(FeatureGroup::new(definition).unwrap());
    let mut engine = filled(&Arc::new(MemoryDisk::new()));
    send(&mut engine, day("day", 2, 8.0), SLOTS + 1);
    let dividend = vec![text("dividend"), Column::new(Values::F64(vec![2.0]))];
    let of = (DatasetId::ACTIONS, FACT_SOURCE);
    send(&mut engine, fact("dividend", of, 3 * 1_440, dividend), SLOTS + 2);
    let before = ask(&engine, &group, Way::Columns, (SLOTS - 1, SLOTS));
    make(&engine, &group);
    assert!(used_in_comparing(&engine, &group) > 0);
    send(&mut engine, day("corrected", 2, 4.0), SLOTS + 3);
    used_in_comparing(&engine, &group);
    let after = ask(&engine, &group, Way::Columns, (SLOTS - 1, SLOTS));
    assert_ne!(before[0].cells, after[0].cells, "half of a price is more than a quarter");
}

#[test]
fn a_binding_from_the_midst_of_a_slot_takes_the_file_that_ends_with_it() {
    let mut definition = Definition::new("g", FeatureBars::every(Step::M5));
    definition.features = vec![FeatureRule::new("c", "$close")];
    let group = Arc::new(FeatureGroup::new(definition).unwrap());
    let mut engine = filled(&Arc::new(MemoryDisk::new()));
    make(&engine, &group);
    // The last slot of the first file begins three minutes before.
    let since = 5 * BLOCK - 2;
    let of = (DatasetId::BINDINGS, "test");
    send(&mut engine, fact("bound", of, since, vec![text("B")]), SLOTS + 1);
    used_in_comparing(&engine, &group);
}
