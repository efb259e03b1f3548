//! Masks in files: used, brought up to date, made again, never believed.

use std::collections::BTreeSet;

use barrow_types::SeriesId;

use super::*;
use crate::calendar::slot_of;
use crate::derived::DIR;
use crate::gaps::Asked;
use crate::gaps::mask_file::{self, BLOCK_BITS, Header};

/// Minutes of four blocks, one of them before 1970.
const MINUTES: [i64; 7] = [-3, 5, 6, 7, (1 << 20) - 1, 1 << 20, 5 << 20];

/// How many blocks they lie in.
pub(super) const BLOCKS: u64 = 4;

/// How many blocks between them hold none.
const EMPTY: u64 = 3;

/// One of them that is alone in its block.
const LAST: i64 = 5 << 20;

fn series(engine: &Engine) -> SeriesId {
    engine.snapshot().series(DatasetId::BARS, Some("A"))[0].0
}

/// The slots that masks say hold a row.
fn slots(engine: &Engine, at_sequence: Option<u64>) -> BTreeSet<i64> {
    slots_of(&engine.snapshot(), series(engine), at_sequence)
}

fn slots_of(snapshot: &Snapshot, series: SeriesId, at_sequence: Option<u64>) -> BTreeSet<i64> {
    let at_sequence = at_sequence.map(Sequence::new);
    let asked = Asked { snapshot, series, step: Step::M1, as_of: None, at_sequence };
    let all = -10..(6 << 20);
    let presence = snapshot.generation().masks.presence(asked, &all).unwrap();
    let mut found = BTreeSet::new();
    presence.runs(all, |run| found.extend(run));
    found
}

/// The slots of the rows.
fn right(engine: &Engine, at_sequence: Option<u64>) -> BTreeSet<i64> {
    let mut scanner = engine
        .snapshot()
        .scan(Scan {
            series: series(engine),
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: Vec::new(),
            as_of: None,
            at_sequence: at_sequence.map(Sequence::new),
            revisions: Revisions::Visible,
        })
        .unwrap();
    let mut found = BTreeSet::new();
    while let Some(rows) = scanner.next().unwrap() {
        found.extend(rows.ts.iter().map(|&ts| slot_of(Step::M1, ts)));
    }
    found
}

#[track_caller]
fn assert_right(engine: &Engine) {
    for at_sequence in (1..=engine.snapshot().sequence().get()).map(Some).chain([None]) {
        assert_eq!(slots(engine, at_sequence), right(engine, at_sequence), "at {at_sequence:?}");
    }
}

fn add(engine: &mut Engine, id: &str, minutes: &[i64], now: i64) {
    let rows: Vec<(i64, f64, Option<i64>)> = minutes.iter().map(|&at| (at, 1.0, None)).collect();
    send(engine, bars(id, &rows), now);
}

pub(super) fn write(engine: &mut Engine) {
    let job = engine.plan_masks().unwrap();
    let disk = Arc::clone(&engine.disk);
    engine.install_masks(job.run(&*disk, &mut || ControlFlow::Continue(()))).unwrap();
    assert!(!engine.masks_due());
}

/// The only file of masks.
pub(super) fn file(disk: &MemoryDisk) -> (String, Vec<u8>) {
    let names = disk.list(DIR).unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    let path = format!("{DIR}/{}", names[0]);
    let bytes = disk.files()[&path].clone();
    (path, bytes)
}

pub(super) const NOW: i64 = 6 << 20;

/// A store whose rows are in segments and whose masks are in a file, closed.
pub(super) fn written() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    add(&mut engine, "first", &MINUTES[..4], NOW);
    flush(&mut engine);
    add(&mut engine, "second", &MINUTES[2..], NOW + 1);
    flush(&mut engine);
    write(&mut engine);
    engine.close(at(NOW + 2)).unwrap();
    disk
}

#[test]
fn masks_of_a_file_are_used_and_only_what_came_since_is_read() {
    let disk = written();
    let mut engine = open(&disk);
    assert_eq!(slots(&engine, None), right(&engine, None));
    let stats = engine.reader().masks();
    assert_eq!((stats.stored, stats.loaded, stats.made, stats.updated), (BLOCKS, BLOCKS, EMPTY, 0));
    add(&mut engine, "third", &[LAST + 1], NOW + 3);
    assert_eq!(slots(&engine, None), right(&engine, None));
    let stats = engine.reader().masks();
    assert_eq!((stats.loaded, stats.made, stats.updated), (BLOCKS, EMPTY, 1));
    assert_right(&engine);
    drop(engine);

    let mut engine = open(&disk);
    flush(&mut engine);
    assert_eq!(slots(&engine, None), right(&engine, None));
    let stats = engine.reader().masks();
    assert_eq!((stats.loaded, stats.made, stats.updated), (BLOCKS, EMPTY, 1));
    assert_right(&engine);
}

#[test]
fn a_snapshot_that_is_older_than_a_file_of_masks_is_answered_from_its_rows() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    add(&mut engine, "first", &[1, 2], NOW);
    flush(&mut engine);
    let old = engine.snapshot();
    add(&mut engine, "second", &[3], NOW + 1);
    flush(&mut engine);
    write(&mut engine);
    for at_sequence in [None, Some(1), Some(9)] {
        let found = slots_of(&old, series(&engine), at_sequence);
        assert_eq!(found, BTreeSet::from([1, 2]), "at {at_sequence:?}");
    }
    assert_right(&engine);
}

#[test]
fn a_mask_whose_last_row_was_retracted_is_empty() {
    let disk = written();
    let mut engine = open(&disk);
    let mut retraction = bars("retraction", &[(LAST, 1.0, None)]);
    retraction.act = Act::Retract;
    retraction.columns.clear();
    retraction.known_at = None;
    send(&mut engine, retraction, NOW + 3);
    assert!(!slots(&engine, None).contains(&LAST));
    assert_right(&engine);
    flush(&mut engine);
    write(&mut engine);
    drop(engine);
    let engine = open(&disk);
    assert_right(&engine);
    assert_eq!(engine.reader().masks().stored, BLOCKS - 1);
}

#[test]
fn masks_that_are_made_again_have_the_same_bytes() {
    let disk = written();
    let (path, bytes) = file(&disk);
    disk.remove(&path).unwrap();
    let mut engine = open(&disk);
    write(&mut engine);
    assert_eq!(file(&disk).1, bytes, "without the file");

    compact(&mut engine, Scope::All).unwrap();
    assert!(!engine.masks_due(), "a compaction changes no mask");
    assert_right(&engine);
    drop(engine);
    disk.remove(&file(&disk).0).unwrap();
    let mut engine = open(&disk);
    write(&mut engine);
    assert_eq!(file(&disk).1, bytes, "after a compaction");

    // Brought up to date, and made from nothing.
    add(&mut engine, "third", &[8, 9, 11, LAST + 1], NOW + 3);
    flush(&mut engine);
    write(&mut engine);
    let updated = file(&disk).1;
    assert_ne!(updated, bytes);
    drop(engine);
    disk.remove(&file(&disk).0).unwrap();
    let mut engine = open(&disk);
    write(&mut engine);
    assert_eq!(file(&disk).1, updated, "after an update");
}

#[test]
fn files_of_another_store_or_another_past_are_removed_and_change_no_answer() {
    let good = file(&written()).1;
    let header = mask_file::decode_header(&good[..mask_file::HEADER_LEN]).unwrap();
    let with_header = |header: Header| {
        let mut bytes = mask_file::encode_header(&header);
        bytes.extend_from_slice(&good[mask_file::HEADER_LEN..]);
        bytes
    };
    let mut other_version = good.clone();
    other_version[8] = 2;
    for (bytes, why) in [
        (with_header(Header { instance: [8; 16], ..header }), "another store"),
        (with_header(Header { sequence: 99, ..header }), "records up to 99"),
        (other_version, "version"),
        (good[..good.len() - 1].to_vec(), "checksum"),
        (Vec::new(), "too short"),
    ] {
        let disk = written();
        let path = file(&disk).0;
        disk.put(&path, bytes);
        let report = crate::verify(&(Arc::new(disk.clone()) as Arc<dyn Disk>)).unwrap();
        assert_eq!(report.problems.len(), 1, "{why}: {:?}", report.problems);
        assert!(report.problems[0].contains("remove the file"), "{:?}", report.problems);
        let (mut engine, recovery) =
            Engine::open(Arc::new(disk.clone()), options(), [7; 16]).unwrap();
        assert_eq!(recovery.refused_masks.len(), 1, "{why}");
        assert!(recovery.refused_masks[0].contains(why), "{:?}", recovery.refused_masks);
        assert_eq!(disk.list(DIR).unwrap(), Vec::<String>::new(), "{why}");
        assert_eq!(engine.reader().masks().dropped, 1, "{why}");
        assert_right(&engine);
        write(&mut engine);
        assert_eq!(file(&disk).1, good, "{why}");
    }
}

#[test]
fn a_mask_that_was_changed_on_disk_is_made_from_rows_and_written_anew() {
    let good = file(&written()).1;
    let index_at = good.len() - mask_file::TRAILER_LEN - usize::try_from(BLOCKS).unwrap() * 24;
    for at in mask_file::HEADER_LEN..index_at {
        let disk = written();
        let path = file(&disk).0;
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        disk.put(&path, bytes);
        let mut engine = open(&disk);
        assert!(!engine.masks_due());
        assert_right(&engine);
        assert_eq!(engine.reader().masks().dropped, 1, "byte {at}");
        assert_eq!(crate::verify_live(&engine.snapshot()).problems.len(), 1, "byte {at}");
        assert!(engine.masks_due(), "byte {at}");
        write(&mut engine);
        assert_eq!(file(&disk).1, good, "byte {at}");
    }
}

#[test]
fn verify_finds_a_mask_that_is_whole_and_wrong() {
    let disk = written();
    let (path, bytes) = file(&disk);
    let header = mask_file::decode_header(&bytes[..mask_file::HEADER_LEN]).unwrap();
    let slots = [5_u32, 7].into_iter().collect();
    let mask = mask_file::encode_mask(&slots);
    let engine = open(&disk);
    let series = series(&engine);
    drop(engine);
    for (series, step) in [(series, Step::M1), (series, Step::S1), (SeriesId::new(1_000), Step::M1)]
    {
        let (len, crc) = (u32::try_from(mask.len()).unwrap(), crc32c::crc32c(&mask));
        let at = mask_file::HEADER_LEN as u64;
        let entry = mask_file::Entry { series, step, block: 0, at, len, crc };
        let mut forged = mask_file::encode_header(&header);
        forged.extend_from_slice(&mask);
        forged.extend_from_slice(&mask_file::encode_index(&[entry]));
        disk.put(&path, forged);
        let report = crate::verify(&(Arc::new(disk.clone()) as Arc<dyn Disk>)).unwrap();
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(report.problems[0].contains(&path), "{:?}", report.problems);
        let engine = open(&disk);
        assert_eq!(crate::verify_live(&engine.snapshot()).problems, report.problems);
    }
}

#[test]
fn one_file_is_left_of_many_and_unfinished_ones_are_removed() {
    let disk = written();
    let (_, bytes) = file(&disk);
    disk.put("derived/0000000007.masks", bytes);
    disk.put("derived/0000000009.masks", vec![1; 100]);
    disk.put("derived/0000000010.masks.tmp", vec![1; 100]);
    disk.put("derived/notes.txt", vec![1; 100]);
    let (engine, recovery) = Engine::open(Arc::new(disk.clone()), options(), [7; 16]).unwrap();
    assert_eq!(disk.list(DIR).unwrap(), ["0000000007.masks", "notes.txt"]);
    assert_eq!(recovery.removed_files.len(), 2, "{:?}", recovery.removed_files);
    assert_right(&engine);
}

#[test]
fn writing_masks_that_is_stopped_leaves_no_file_and_may_be_tried_again() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    assert!(engine.plan_masks().is_none(), "nothing is in segments");
    add(&mut engine, "first", &MINUTES, NOW);
    flush(&mut engine);
    let job = engine.plan_masks().unwrap();
    assert!(engine.plan_masks().is_none(), "one is being written");
    let done = job.run(&disk, &mut || ControlFlow::Break(()));
    assert_eq!(engine.install_masks(done).unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(disk.list(DIR).unwrap(), Vec::<String>::new());
    write(&mut engine);
    assert!(engine.plan_masks().is_none(), "nothing came since");
    assert_eq!(slots(&engine, None), MINUTES.into_iter().collect());
    assert!(MINUTES.map(|at| at >> BLOCK_BITS).contains(&-1));
}
