//! The faulty disk without faults is a disk; with faults it fails as told.

use barrow_engine::disk::MemoryDisk;
use proptest::prelude::*;

use super::*;
use crate::random::Random;

fn kind<T: fmt::Debug>(result: Result<T, DiskError>) -> DiskErrorKind {
    result.unwrap_err().kind
}

/// A disk with the file `f` of four bytes `abcd`, all durable: operations 0 to 3.
fn disk_with_file() -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.create("f", 4).unwrap();
    disk.write_at("f", 0, b"abcd").unwrap();
    disk.sync("f").unwrap();
    disk.sync_dir("").unwrap();
    disk
}

fn content(disk: &FaultyDisk) -> Vec<u8> {
    disk.volume().content("read", "f").unwrap().to_vec()
}

/// Every content of `f` that a loss of power may leave.
fn survivors(volume: &Volume) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        volume.crash_states().map(|image| image.files["f"].to_vec()).collect();
    all.sort();
    all
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8, u16),
    Write(u8, u16, Vec<u8>),
    Read(u8, u16, u8),
    Rename(u8, u8),
    Remove(u8),
    Sync(u8),
    SyncDir(bool),
    List(bool),
    MakeDir(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..6_u8;
    let step = prop_oneof![
        (file.clone(), 0..900_u16).prop_map(|(f, len)| Step::Create(f, len)),
        (file.clone(), 0..900_u16, prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(f, at, bytes)| Step::Write(f, at, bytes)),
        (file.clone(), 0..900_u16, any::<u8>()).prop_map(|(f, at, len)| Step::Read(f, at, len)),
        (file.clone(), file.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        file.clone().prop_map(Step::Remove),
        file.clone().prop_map(Step::Sync),
        any::<bool>().prop_map(Step::SyncDir),
        any::<bool>().prop_map(Step::List),
        file.prop_map(Step::MakeDir),
    ];
    prop::collection::vec(step, 1..60)
}

fn answer(disk: &dyn Disk, step: &Step) -> Result<Vec<u8>, DiskErrorKind> {
    let name = |f: u8| if f < 3 { format!("f{f}") } else { format!("d/f{f}") };
    let dir = |top: bool| if top { "" } else { "d" };
    let done = match step {
        Step::Create(f, len) => disk.create(&name(*f), u64::from(*len)),
        Step::Write(f, at, bytes) => disk.write_at(&name(*f), u64::from(*at), bytes),
        Step::Read(f, at, len) => {
            let read = disk.read(&name(*f), u64::from(*at), usize::from(*len));
            return read.map_err(|error| error.kind);
        }
        Step::Rename(from, to) => disk.rename(&name(*from), &name(*to)),
        Step::Remove(f) => disk.remove(&name(*f)),
        Step::Sync(f) => disk.sync(&name(*f)),
        Step::SyncDir(top) => disk.sync_dir(dir(*top)),
        Step::List(top) => {
            let names = disk.list(dir(*top)).map_err(|error| error.kind)?;
            return Ok(names.join(" ").into_bytes());
        }
        Step::MakeDir(f) => disk.create_dir(if *f < 3 { "d" } else { "d/e" }),
    };
    done.map(|()| Vec::new()).map_err(|error| error.kind)
}

proptest! {
    #[test]
    fn without_faults_it_answers_as_the_disk_in_memory(steps in steps()) {
        let (faulty, memory) = (FaultyDisk::new(), MemoryDisk::new());
        for (at, step) in steps.iter().enumerate() {
            prop_assert_eq!(answer(&faulty, step), answer(&memory, step), "{}: {:?}", at, step);
        }
        prop_assert_eq!(faulty.volume().current(), Image::of(&memory));
    }

    #[test]
    fn after_a_sync_of_everything_a_loss_of_power_changes_nothing(steps in steps(), seed: u64) {
        let disk = FaultyDisk::new();
        for step in &steps {
            let _refused = answer(&disk, step);
        }
        let now = disk.volume().current();
        for path in now.files.keys() {
            disk.sync(path).unwrap();
        }
        disk.sync_dir("").unwrap();
        for dir in &now.folders {
            disk.sync_dir(dir).unwrap();
        }
        prop_assert_eq!(disk.volume().random_crash_state(&mut Random::new(seed)), now);
    }

    #[test]
    fn every_recorded_crash_point_is_where_a_live_crash_ends(steps in steps(), at in 0..60_u64) {
        let recorded = FaultyDisk::new();
        recorded.record_crash_points();
        let live = FaultyDisk::new();
        live.crash_at(at, Done::All);
        for step in &steps {
            let _refused = answer(&recorded, step);
            let _dead = answer(&live, step);
        }
        let points = recorded.take_crash_points();
        for (number, point) in points.iter().enumerate() {
            prop_assert_eq!(point.operation, number as u64);
        }
        if let Some(point) = points.get(usize::try_from(at).unwrap()) {
            prop_assert!(live.is_dead());
            prop_assert_eq!(point.volume.current(), live.volume().current());
        }
    }
}

#[test]
fn a_crash_fails_its_call_and_every_later_one_reads_too() {
    let disk = disk_with_file();
    assert_eq!(disk.operations(), 4);
    disk.crash_at(5, Done::Nothing);
    disk.write_at("f", 0, b"x").unwrap();
    let error = disk.write_at("f", 1, b"y").unwrap_err();
    assert!(error.kind == DiskErrorKind::Io && error.detail.contains("power lost"), "{error}");
    assert_eq!(kind(disk.sync("f")), DiskErrorKind::Io);
    assert_eq!(kind(disk.read("f", 0, 1)), DiskErrorKind::Io);
    assert_eq!(kind(disk.list("")), DiskErrorKind::Io);
    assert_eq!(content(&disk), b"xbcd");
    let expected = [b"\0bcd".to_vec(), b"abcd".to_vec(), b"xbcd".to_vec()];
    assert_eq!(survivors(&disk.volume()), expected);
}

#[test]
fn the_call_that_crashes_is_done_as_far_as_told() {
    for (done, expected) in
        [(Done::Nothing, b"abcd"), (Done::Bytes(2), b"xycd"), (Done::All, b"xyzw")]
    {
        let disk = disk_with_file();
        disk.crash_at(4, done);
        disk.write_at("f", 0, b"xyzw").unwrap_err();
        assert_eq!(content(&disk), expected, "{done:?}");
    }
}

#[test]
fn a_crash_point_of_a_sync_has_nothing_synced() {
    let disk = disk_with_file();
    disk.record_crash_points();
    disk.write_at("f", 0, b"x").unwrap();
    disk.sync("f").unwrap();
    let points = disk.take_crash_points();
    assert_eq!(points.iter().map(|point| point.operation).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(survivors(&points[1].volume).len(), 3);
    assert_eq!(survivors(&disk.volume()), [b"xbcd"]);
}

#[test]
fn a_process_that_died_finds_what_it_wrote_and_the_power_may_still_take_it() {
    let disk = disk_with_file();
    disk.crash_at(5, Done::Nothing);
    disk.write_at("f", 0, b"x").unwrap();
    disk.sync("f").unwrap_err();
    let again = FaultyDisk::with(disk.volume());
    assert_eq!(again.read("f", 0, 4).unwrap(), b"xbcd");
    assert!(survivors(&again.volume()).contains(&b"abcd".to_vec()));
    again.sync("f").unwrap();
    assert_eq!(survivors(&again.volume()), [b"xbcd"]);
}

#[test]
fn a_fault_meets_its_kind_of_call_its_folder_and_its_turn_once() {
    let disk = disk_with_file();
    disk.create_dir("d").unwrap();
    disk.fail(Fault::next(Call::Create, DiskErrorKind::Io).below("d/").after(1));
    disk.create("g", 0).unwrap();
    disk.create("d/a", 0).unwrap();
    assert_eq!(kind(disk.create("d/b", 0)), DiskErrorKind::Io);
    assert_eq!(disk.list("d").unwrap(), ["a"]);
    disk.create("d/b", 0).unwrap();
}

#[test]
fn a_lasting_fault_stays_until_the_disk_is_healed() {
    let disk = disk_with_file();
    disk.fail(Fault::next(Call::Rename, DiskErrorKind::Io).lasting());
    for _ in 0..3 {
        assert_eq!(kind(disk.rename("f", "g")), DiskErrorKind::Io);
    }
    disk.heal();
    disk.rename("f", "g").unwrap();
}

#[test]
fn a_failed_rename_may_have_happened() {
    let disk = disk_with_file();
    disk.fail(Fault::next(Call::Rename, DiskErrorKind::Io).having_done(Done::All));
    disk.rename("f", "g").unwrap_err();
    assert_eq!(disk.list("").unwrap(), ["g"]);
}

#[test]
fn a_failed_sync_makes_no_later_one_true() {
    let disk = disk_with_file();
    disk.fail(Fault::next(Call::Sync, DiskErrorKind::Io));
    disk.write_at("f", 0, b"x").unwrap();
    assert_eq!(kind(disk.sync("f")), DiskErrorKind::Io);
    disk.sync("f").unwrap();
    assert_eq!(disk.read("f", 0, 4).unwrap(), b"xbcd", "the cache still has it");
    assert!(survivors(&disk.volume()).contains(&b"abcd".to_vec()));
}

#[test]
fn a_failed_sync_of_a_folder_leaves_its_names_as_they_were_before_it() {
    let disk = disk_with_file();
    disk.fail(Fault::next(Call::SyncDir, DiskErrorKind::Io));
    disk.create("g", 0).unwrap();
    let has_name = |image: Image| image.files.contains_key("g");
    assert_eq!(kind(disk.sync_dir("")), DiskErrorKind::Io);
    assert!(!disk.volume().crash_states().all(has_name));
    disk.sync_dir("").unwrap();
    assert!(disk.volume().crash_states().all(has_name));
}

#[test]
fn a_short_write_leaves_its_first_bytes() {
    let disk = disk_with_file();
    let short = Fault::next(Call::Write, DiskErrorKind::Io).having_done(Done::Bytes(1));
    disk.fail(short);
    assert_eq!(kind(disk.write_at("f", 0, b"xy")), DiskErrorKind::Io);
    assert_eq!(content(&disk), b"xbcd");
}

#[test]
fn a_failed_read_says_so() {
    let disk = disk_with_file();
    disk.fail(Fault::next(Call::Read, DiskErrorKind::Io));
    assert_eq!(kind(disk.read("f", 0, 1)), DiskErrorKind::Io);
    assert_eq!(disk.read("f", 0, 1).unwrap(), b"a");
}

#[test]
fn a_full_disk_refuses_growth_and_takes_everything_else_until_there_is_room() {
    let disk = disk_with_file();
    disk.set_capacity(Some(6));
    assert_eq!(kind(disk.create("g", 3)), DiskErrorKind::Full);
    assert_eq!(disk.list("").unwrap(), ["f"], "what did not fit is gone");
    disk.write_at("f", 0, b"wxyz").unwrap();
    assert_eq!(kind(disk.write_at("f", 3, b"1234")), DiskErrorKind::Full);
    assert_eq!(content(&disk), b"wxy123", "what fits of a growing write is written");
    disk.sync("f").unwrap();
    disk.set_capacity(Some(9));
    disk.create("g", 3).unwrap();
    assert_eq!(kind(disk.create("g", 99)), DiskErrorKind::Exists);
    assert_eq!(kind(disk.create("h", 1)), DiskErrorKind::Full);
    disk.remove("g").unwrap();
    disk.create("h", 3).unwrap();
    disk.set_capacity(None);
    disk.write_at("h", 1_000, b"x").unwrap();
}

#[test]
fn the_trace_tells_what_was_called_and_what_failed() {
    let disk = disk_with_file();
    disk.crash_at(5, Done::Nothing);
    disk.rename("f", "g").unwrap();
    disk.remove("g").unwrap_err();
    let expected = "      0  Create f of 4
      1  Write f 4 at 0
      2  Sync f
      3  SyncDir \n      4  Rename f to g
      5  Remove g FAILED\n";
    assert_eq!(disk.trace(), expected);
}
