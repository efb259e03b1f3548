//! Backups, and stores that are made of them.

use super::masks::{self, NOW};
use super::*;
use crate::copy::{Copied, CopyJob, Moved, StoreAtRest};
use crate::derived;

const OTHER: [u8; 16] = [9; 16];

fn bar(engine: &mut Engine, minute: i64) -> u64 {
    let batch = bars(&format!("minute {minute}"), &[(minute, 1.0, None)]);
    send(engine, batch, 100 + minute).sequence.get()
}

fn compact(engine: &mut Engine) {
    let job = engine.plan_compaction(Scope::All).unwrap();
    let disk = Arc::clone(&engine.disk);
    let done = job.run(&*disk, &mut |_| ControlFlow::Continue(()));
    engine.install_compaction(done).unwrap();
}

fn run(job: CopyJob) -> (MemoryDisk, Copied) {
    let target = MemoryDisk::new();
    let copied = job.run(&target, &mut |_| ControlFlow::Continue(())).unwrap();
    (target, copied)
}

fn at_rest(disk: &MemoryDisk) -> StoreAtRest {
    StoreAtRest::open(&(Arc::new(disk.clone()) as Arc<dyn Disk>)).unwrap()
}

fn sequences(disk: &MemoryDisk) -> (u64, u64) {
    let sequences = at_rest(disk).sequences();
    (sequences.start().get(), sequences.end().get())
}

#[track_caller]
fn assert_sound(disk: &MemoryDisk) {
    let report = crate::verify(&(Arc::new(disk.clone()) as Arc<dyn Disk>)).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

/// Minutes 0 and 1 in segments of their own, 2 and 3 in the log.
fn store() -> (MemoryDisk, Engine) {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    for minute in 0..4 {
        bar(&mut engine, minute);
        if minute < 2 {
            flush(&mut engine);
        }
    }
    (disk, engine)
}

#[test]
fn a_backup_holds_what_was_visible_when_it_was_planned_whatever_comes_meanwhile() {
    let (_, mut engine) = store();
    let job = engine.plan_backup();
    let now = engine.snapshot().now();
    let target = MemoryDisk::new();
    let mut minute = 4;
    let copied = job.run(&target, &mut |_| {
        bar(&mut engine, minute);
        flush(&mut engine);
        bar(&mut engine, minute + 1);
        compact(&mut engine);
        minute += 2;
        assert_eq!(crate::verify_live(&engine.snapshot()).problems, Vec::<String>::new());
        ControlFlow::Continue(())
    });
    let copied = copied.unwrap();
    assert!(minute > 6, "it is told of every file");
    assert_eq!((copied.first.get(), copied.last.get(), copied.files), (2, 4, 2));
    assert_sound(&target);
    assert_eq!(sequences(&target), (2, 4));
    let copy = open(&target);
    assert_eq!(copy.instance(), engine.instance());
    let snapshot = copy.snapshot();
    assert_eq!((snapshot.sequence().get(), snapshot.now()), (4, now));
    assert_eq!(read(&snapshot, None, None), "0 1, 1 1, 2 1, 3 1");
}

#[test]
fn a_copy_tells_what_it_writes_and_nothing_of_it_is_a_link_where_there_are_none() {
    let (_, mut engine) = store();
    let mut written = 0;
    let copied = engine.plan_backup().run(&MemoryDisk::new(), &mut |moved| {
        let Moved::Written(bytes) = moved else { panic!("{moved:?}: memory has no links") };
        written += bytes;
        ControlFlow::Continue(())
    });
    let copied = copied.unwrap();
    assert_eq!((written, copied.linked_files), (copied.bytes, 0));
}

#[test]
fn what_a_backup_needs_stays_until_it_is_done_and_then_goes() {
    let (disk, mut engine) = store();
    let needed: Vec<String> = disk.files().into_keys().filter(|path| is_sealed(path)).collect();
    let logs = |disk: &MemoryDisk| disk.list(wal::DIR).unwrap().len();
    let first_log = disk.list(wal::DIR).unwrap().remove(0);
    let job = engine.plan_backup();
    let second = engine.plan_backup();
    for minute in 4..60 {
        bar(&mut engine, minute);
        if minute % 10 == 0 {
            flush(&mut engine);
            compact(&mut engine);
        }
    }
    engine.advance();
    let held = logs(&disk);
    for path in &needed {
        assert!(disk.files().contains_key(path), "{path}");
    }
    assert!(disk.list(wal::DIR).unwrap().contains(&first_log));
    assert!(!engine.flush_due(), "a flush would make no log shorter");
    drop(second);
    let (target, _) = run(job);
    assert_sound(&target);
    flush(&mut engine);
    bar(&mut engine, 60);
    flush(&mut engine);
    for path in &needed {
        assert!(!disk.files().contains_key(path), "{path}");
    }
    assert!(logs(&disk) < held, "{} files of the log", logs(&disk));
}

fn is_sealed(path: &str) -> bool {
    path.starts_with(segment::DIR)
}

#[test]
fn a_store_is_brought_back_to_every_record_of_its_backup() {
    let (_, mut engine) = store();
    let (backup, _) = run(engine.plan_backup());
    let before = backup.files();
    for (sequence, rows) in [(2, "0 1, 1 1"), (3, "0 1, 1 1, 2 1"), (4, "0 1, 1 1, 2 1, 3 1")] {
        let wanted = Some(Sequence::new(sequence));
        let (disk, copied) = run(at_rest(&backup).plan_restore(wanted, OTHER).unwrap());
        assert_eq!((copied.instance, copied.last.get()), (OTHER, sequence));
        assert_sound(&disk);
        let mut restored = open(&disk);
        assert_eq!(restored.instance(), OTHER);
        let snapshot = restored.snapshot();
        assert_eq!(read(&snapshot, None, None), rows);
        let last_minute = i64::try_from(sequence).unwrap() - 1;
        assert_eq!((snapshot.sequence().get(), snapshot.now()), (sequence, at(100 + last_minute)));
        assert_eq!(bar(&mut restored, 7), sequence + 1, "it goes on behind what it holds");
        restored.close(at(200)).unwrap();
        assert_eq!(read(&open(&disk).snapshot(), None, None), format!("{rows}, 7 1"));
    }
    assert_eq!(backup.files(), before, "a backup is not changed");
}

#[test]
fn a_record_that_the_backup_cannot_be_brought_back_to_is_refused_with_those_that_it_can() {
    let (_, mut engine) = store();
    let (backup, _) = run(engine.plan_backup());
    for sequence in [0, 1, 5, u64::MAX] {
        let error = at_rest(&backup).plan_restore(Some(Sequence::new(sequence)), OTHER);
        let error = error.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.detail().contains("any record from 2 to 4"), "{error}");
        assert!(error.detail().ends_with(&format!("not to {sequence}")), "{error}");
    }
}

#[test]
fn a_backup_of_a_store_at_rest_is_that_of_the_open_store() {
    let (disk, mut engine) = store();
    let (open_copy, _) = run(engine.plan_backup());
    drop(engine);
    let (rest_copy, _) = run(at_rest(&disk).plan_backup());
    assert_eq!(rest_copy.files(), open_copy.files());
    let (again, _) = run(at_rest(&rest_copy).plan_backup());
    assert_eq!(again.files(), open_copy.files(), "a backup of a backup");
}

#[test]
fn an_empty_store_is_copied_too() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    let (backup, copied) = run(engine.plan_backup());
    assert_eq!((copied.first, copied.last, copied.files), (Sequence::ZERO, Sequence::ZERO, 0));
    let (disk, _) = run(at_rest(&backup).plan_restore(None, OTHER).unwrap());
    assert_eq!(bar(&mut open(&disk), 0), 1);
}

#[test]
fn masks_go_with_a_backup_and_stay_behind_where_another_store_is_made_of_it() {
    let mut engine = open(&masks::written());
    let (backup, _) = run(engine.plan_backup());
    let (path, bytes) = masks::file(&backup);
    assert_eq!(engine.disk.read(&path, 0, bytes.len()).unwrap(), bytes);
    assert_sound(&backup);
    assert!(open(&backup).reader().masks().stored > 0);
    let (restored, _) = run(at_rest(&backup).plan_restore(None, OTHER).unwrap());
    assert!(restored.list(derived::DIR).unwrap().is_empty());
    // A file that was replaced before it was copied is left out.
    let job = engine.plan_backup();
    bar(&mut engine, NOW);
    flush(&mut engine);
    masks::write(&mut engine);
    let (backup, copied) = run(job);
    assert!(backup.list(derived::DIR).unwrap().is_empty());
    assert_eq!(copied.files, 2, "the segments");
    assert_sound(&backup);
}

#[test]
fn a_copy_that_is_broken_off_is_no_store_and_harms_none() {
    let (_, mut engine) = store();
    let steps = {
        let mut steps = 0;
        let count = &mut |_| {
            steps += 1;
            ControlFlow::Continue(())
        };
        engine.plan_backup().run(&MemoryDisk::new(), count).unwrap();
        steps
    };
    assert_eq!(steps, 4, "two segments and two records");
    for stop in 0..steps {
        let target = MemoryDisk::new();
        let mut step = 0;
        let stopped = engine.plan_backup().run(&target, &mut |_| {
            step += 1;
            if step > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Stopped);
        let opened = StoreAtRest::open(&(Arc::new(target) as Arc<dyn Disk>));
        assert_eq!(opened.err().unwrap().kind(), ErrorKind::Corrupt, "stopped at {stop}");
    }
    assert_eq!(read(&engine.snapshot(), None, None), "0 1, 1 1, 2 1, 3 1");
}

#[test]
fn no_copy_is_made_where_a_store_is() {
    let (_, mut engine) = store();
    let (disk, _) = store();
    let before = disk.files();
    let refused = engine.plan_backup().run(&disk, &mut |_| ControlFlow::Continue(()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(disk.files(), before);
}

#[test]
fn a_log_that_fills_many_files_is_copied_whole() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    let mut minutes = 0;
    // Fewer than the opening that follows would make a segment of.
    while engine.stats().wal_files < 5 {
        bar(&mut engine, minutes);
        minutes += 1;
    }
    drop(engine);
    // Another epoch.
    let mut engine = open(&disk);
    let last = bar(&mut engine, minutes);
    let (backup, _) = run(engine.plan_backup());
    assert_eq!(sequences(&backup), (0, last));
    let rows = |engine: &Engine| read(&engine.snapshot(), None, None);
    assert_eq!(rows(&open(&backup)), rows(&engine));
}

#[test]
fn damage_to_what_is_copied_is_found_where_the_copy_would_be_cut_elsewhere() {
    let (disk, engine) = store();
    engine.close(at(500)).unwrap();
    let path = format!("{}/{}", wal::DIR, disk.list(wal::DIR).unwrap().pop().unwrap());
    let mut bytes = disk.files()[&path].clone();
    let body = wal::file::HEADER_LEN + wal::record::HEADER_LEN + 9;
    bytes[body] ^= 1;
    disk.put(&path, bytes);
    let refused = StoreAtRest::open(&(Arc::new(disk) as Arc<dyn Disk>));
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::Corrupt);
}
