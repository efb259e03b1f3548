//! Floors of retention: what is refused, what is dropped when, and what a row below one becomes.

use super::*;
use crate::copy::StoreAtRest;
use crate::dataset::retention::{Floor, batch};
use crate::disk::Disk;
use crate::error::Error;

fn raise(engine: &mut Engine, as_of: i64, at_sequence: u64, minute: i64) -> Result<(), Error> {
    let floor = Floor { as_of_from: at(as_of), at_sequence_from: Sequence::new(at_sequence) };
    let id = format!("floor at {minute}");
    let prepared =
        prepare(batch(id, DatasetId::BARS, Step::M1, floor), &engine.snapshot(), at(minute))?;
    engine.commit(vec![prepared], at(minute))?.remove(0)?;
    Ok(())
}

fn compact(engine: &mut Engine, scope: Scope) -> bool {
    let Some(job) = engine.plan_compaction(scope) else { return false };
    let disk = Arc::clone(&engine.disk);
    let done = job.run(&*disk, &mut |_| ControlFlow::Continue(()));
    engine.install_compaction(done).unwrap();
    true
}

fn dropped(engine: &Engine) -> u64 {
    engine.stats().retention_rows
}

/// A store in whose segments each of ten bars has had three values, the last at minute 30.
fn corrected(disk: &MemoryDisk) -> Engine {
    let mut engine = open(disk);
    for (id, value) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
        let rows: Vec<_> = (0..10).map(|minute| (minute, value, None)).collect();
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        send(&mut engine, bars(id, &rows), 10 * value as i64);
    }
    flush(&mut engine);
    engine
}

#[test]
fn a_floor_only_rises_and_lies_in_the_past() {
    let mut engine = corrected(&MemoryDisk::new());
    let refused = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        (error.kind(), error.detail().to_owned())
    };
    let (kind, detail) = refused(raise(&mut engine, 41, 1, 40));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(detail.starts_with("as_of_from: 1970-01-01T00:41:00Z"), "{detail}");
    let (kind, detail) = refused(raise(&mut engine, 40, 4, 40));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(detail.starts_with("at_sequence_from: 4"), "{detail}");
    raise(&mut engine, 30, 2, 40).unwrap();
    for (as_of, at_sequence, field) in
        [(29, 3, "as_of_from: it is 1970-01-01T00:30:00Z"), (31, 1, "at_sequence_from: it is 2")]
    {
        let (kind, detail) = refused(raise(&mut engine, as_of, at_sequence, 50));
        assert_eq!(kind, ErrorKind::Conflict);
        assert!(detail.starts_with(field), "{detail}");
    }
    raise(&mut engine, 30, 3, 60).unwrap();
    let set = engine.snapshot().floor(DatasetId::BARS, Step::M1).unwrap();
    assert_eq!((set.set_at, set.floor.at_sequence_from.get()), (at(60), 3));
    let nobody = Floor { as_of_from: at(1), at_sequence_from: Sequence::ZERO };
    for (dataset, step) in [
        (DatasetId::BARS, Step::Tick),
        (DatasetId::TRADES, Step::M1),
        (DatasetId::SETTINGS, Step::Tick),
        (DatasetId::FIRST_TABLE, Step::Tick),
    ] {
        let floor = batch("x".to_owned(), dataset, step, nobody);
        let error = prepare(floor, &engine.snapshot(), at(70)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{dataset:?} {step:?}: {error}");
    }
    let taken_back =
        Batch { act: Act::Retract, ..batch("y".into(), DatasetId::BARS, Step::M1, nobody) };
    let error = prepare(taken_back, &engine.snapshot(), at(70)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn a_snapshot_from_before_a_floor_answers_what_it_did() {
    let disk = MemoryDisk::new();
    let mut engine = corrected(&disk);
    let before = engine.snapshot();
    raise(&mut engine, 30, 3, 40).unwrap();
    flush(&mut engine);
    assert!(compact(&mut engine, Scope::All));
    assert_eq!(dropped(&engine), 20);
    assert_eq!(read(&before, Some(20), None).split(", ").next(), Some("0 2"));
    let scan = Scan {
        series: before.series(DatasetId::BARS, None)[0].0,
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        columns: Vec::new(),
        as_of: Some(at(20)),
        at_sequence: None,
        revisions: Revisions::Visible,
    };
    let error = engine.snapshot().scan(scan).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::BelowRetention);
    for part in ["bars 1m", "as_of 1970-01-01T00:20:00Z", "as of 1970-01-01T00:30:00Z", "3"] {
        assert!(error.detail().contains(part), "{error}");
    }
}

#[test]
fn rows_go_once_the_floor_itself_is_in_segments_and_only_then_is_a_compaction_due() {
    let disk = MemoryDisk::new();
    let mut engine = corrected(&disk);
    raise(&mut engine, 30, 3, 40).unwrap();
    assert!(!engine.compaction_due());
    compact(&mut engine, Scope::All);
    assert_eq!(dropped(&engine), 0, "a store brought back may not know the floor");
    let (job, target) = (engine.plan_backup(), Arc::new(MemoryDisk::new()));
    let first = *job.sequences().start();
    job.run(&*target, &mut |_| ControlFlow::Continue(())).unwrap();
    flush(&mut engine);
    assert!(engine.compaction_due(), "two of three rows go");
    assert!(compact(&mut engine, Scope::Due));
    assert_eq!(dropped(&engine), 20);
    assert!(!engine.compaction_due());
    assert!(!compact(&mut engine, Scope::Due));
    let now = read(&engine.snapshot(), Some(30), Some(Sequence::new(3)));
    assert_eq!(now.split(", ").next(), Some("0 3"));

    let backup: Arc<dyn Disk> = target;
    let backup = StoreAtRest::open(&backup).unwrap();
    let restored = MemoryDisk::new();
    let job = backup.plan_restore(Some(first), [8; 16]).unwrap();
    job.run(&restored, &mut |_| ControlFlow::Continue(())).unwrap();
    let restored = open(&restored).snapshot();
    assert_eq!(restored.floors(), []);
    assert_eq!(read(&restored, Some(10), None).split(", ").next(), Some("0 1"));
}

#[test]
fn a_floor_is_there_again_after_a_crash_from_the_log_and_from_segments() {
    let disk = MemoryDisk::new();
    let mut engine = corrected(&disk);
    raise(&mut engine, 20, 2, 40).unwrap();
    let in_log = engine.snapshot().floors();
    drop(engine);
    let mut engine = open(&disk);
    assert_eq!(engine.snapshot().floors(), in_log);
    raise(&mut engine, 30, 3, 50).unwrap();
    flush(&mut engine);
    let in_segments = engine.snapshot().floors();
    assert_eq!(in_segments.len(), 1);
    assert_ne!(in_segments, in_log);
    drop(engine);
    assert_eq!(open(&disk).snapshot().floors(), in_segments);
}

#[test]
fn a_row_below_the_floor_becomes_the_same_whether_or_not_rows_were_dropped() {
    for drops in [false, true] {
        let mut engine = corrected(&MemoryDisk::new());
        raise(&mut engine, 30, 3, 40).unwrap();
        flush(&mut engine);
        if drops {
            assert!(compact(&mut engine, Scope::All));
            assert_eq!(dropped(&engine), 20);
        }
        // Equal to what stood there at minute 10, equal to what stands there, and of a new key.
        let late = bars("late", &[(0, 1.0, Some(10)), (1, 3.0, Some(30)), (11, 1.0, Some(12))]);
        let counts = send(&mut engine, late, 50).counts;
        let expected = Counts { superseded: 1, duplicates: 1, accepted: 1, ..Counts::default() };
        assert_eq!(counts, expected, "dropped: {drops}");
        let seen = read(&engine.snapshot(), Some(30), None);
        assert!(seen.starts_with("0 3, 1 3") && seen.ends_with("11 1"), "{seen}");
    }
}

#[test]
fn what_a_floor_would_let_go_is_told_before() {
    let mut engine = corrected(&MemoryDisk::new());
    let snapshot = engine.snapshot();
    let lost = |as_of: i64, at_sequence: u64| {
        let floor = Floor { as_of_from: at(as_of), at_sequence_from: Sequence::new(at_sequence) };
        let lost = snapshot.lost_below(DatasetId::BARS, Step::M1, floor);
        assert_eq!(lost.bytes_max > 0, lost.rows_max > 0);
        (lost.rows_min, lost.rows_max)
    };
    assert_eq!(lost(30, 3), (20, 20));
    assert_eq!(lost(20, 2), (10, 20), "one of each bar is seen at the floor");
    assert_eq!(lost(9, 0), (0, 0));
    raise(&mut engine, 20, 2, 40).unwrap();
    flush(&mut engine);
    assert!(compact(&mut engine, Scope::Due));
    assert_eq!(dropped(&engine), 10);
}
