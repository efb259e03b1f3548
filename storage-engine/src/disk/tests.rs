//! What every disk does alike, and what only the real one does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Disk, DiskError, DiskErrorKind, MemoryDisk, OsDisk};

/// Runs a check over each disk; the word names it in failures.
fn on_every_disk(check: impl Fn(&dyn Disk, &str)) {
    check(&MemoryDisk::new(), "memory");
    let folder = TempDir::new().unwrap();
    check(&OsDisk::open(folder.path()).unwrap(), "os");
}

fn kind<T: std::fmt::Debug>(result: Result<T, DiskError>) -> DiskErrorKind {
    result.unwrap_err().kind
}

#[test]
fn a_new_file_is_all_zeros_of_the_length_asked_for() {
    on_every_disk(|disk, which| {
        for len in [0_usize, 1, 511, (1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
            let path = format!("f{len}");
            disk.create(&path, len as u64).unwrap();
            assert_eq!(disk.len(&path).unwrap(), len as u64, "{which}");
            assert_eq!(disk.read(&path, 0, len).unwrap(), vec![0; len], "{which}");
        }
    });
}

#[test]
fn a_reserved_file_reads_as_zeros_and_its_space_is_there() {
    on_every_disk(|disk, which| {
        for len in [0_usize, 1, 4_096, (3 << 20) + 1] {
            let path = format!("f{len}");
            disk.reserve(&path, len as u64).unwrap();
            assert_eq!(disk.len(&path).unwrap(), len as u64, "{which}");
            assert_eq!(disk.read(&path, 0, len).unwrap(), vec![0; len], "{which}");
            assert_eq!(kind(disk.reserve(&path, 1)), DiskErrorKind::Exists, "{which}");
        }
    });
    let folder = TempDir::new().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    disk.reserve("f", 3 << 20).unwrap();
    let found = fs::metadata(folder.path().join("f")).unwrap();
    assert!(found.blocks() * 512 >= 3 << 20, "{} blocks", found.blocks());
}

/// Reserving more than there is must fail now, not when it is written.
#[test]
fn a_reservation_that_finds_no_space_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    let refused = disk.reserve("f", 1 << 60).unwrap_err();
    // Past what a file may be long, where that is less than the space.
    assert!(matches!(refused.kind, DiskErrorKind::Full | DiskErrorKind::Io), "{refused}");
    assert!(disk.list("").unwrap().is_empty());
}

#[test]
fn a_write_changes_its_bytes_and_grows_the_file_with_zeros_before_it() {
    on_every_disk(|disk, which| {
        disk.create("f", 4).unwrap();
        disk.write_at("f", 1, b"ab").unwrap();
        assert_eq!(disk.read("f", 0, 4).unwrap(), b"\0ab\0", "{which}");
        disk.write_at("f", 6, b"c").unwrap();
        assert_eq!(disk.read("f", 0, 7).unwrap(), b"\0ab\0\0\0c", "{which}");
        disk.write_at("f", 99, b"").unwrap();
        assert_eq!(disk.len("f").unwrap(), 7, "{which}: no bytes change nothing");
    });
}

#[test]
fn a_read_past_the_end_is_an_error() {
    on_every_disk(|disk, which| {
        disk.create("f", 4).unwrap();
        assert_eq!(kind(disk.read("f", 3, 2)), DiskErrorKind::Io, "{which}");
        assert_eq!(kind(disk.read("f", u64::MAX, 1)), DiskErrorKind::Io, "{which}");
        assert_eq!(disk.read("f", 4, 0).unwrap(), b"", "{which}");
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    on_every_disk(|disk, which| {
        let results = [
            disk.create("no/f", 1),
            disk.create_dir("no/deeper"),
            disk.write_at("f", 0, b"x"),
            disk.read("f", 0, 1).map(|_| ()),
            disk.len("f").map(|_| ()),
            disk.sync("f"),
            disk.sync_dir("no"),
            disk.rename("f", "g"),
            disk.remove("f"),
        ];
        for (at, result) in results.into_iter().enumerate() {
            assert_eq!(kind(result), DiskErrorKind::NotFound, "{which}, call {at}");
        }
        assert_eq!(disk.list("no").unwrap(), Vec::<String>::new(), "{which}");
        disk.create("f", 1).unwrap();
        assert_eq!(kind(disk.rename("f", "no/f")), DiskErrorKind::NotFound, "{which}");
        assert_eq!(disk.len("f").unwrap(), 1, "{which}");
    });
}

#[test]
fn a_second_file_of_the_same_name_is_refused_and_the_first_stays() {
    on_every_disk(|disk, which| {
        disk.create("f", 1).unwrap();
        disk.write_at("f", 0, b"x").unwrap();
        assert_eq!(kind(disk.create("f", 9)), DiskErrorKind::Exists, "{which}");
        assert_eq!(disk.read("f", 0, 1).unwrap(), b"x", "{which}");
        assert_eq!(kind(disk.create_dir("f")), DiskErrorKind::Exists, "{which}");
        disk.create_dir("d").unwrap();
        disk.create_dir("d").unwrap();
        assert_eq!(kind(disk.create("d", 1)), DiskErrorKind::Exists, "{which}");
    });
}

#[test]
fn a_list_holds_the_files_of_one_folder_sorted() {
    on_every_disk(|disk, which| {
        for dir in ["d", "d/e", "d2"] {
            disk.create_dir(dir).unwrap();
        }
        for path in ["d/b", "d/a", "d/e/c", "d2/x", "top"] {
            disk.create(path, 0).unwrap();
        }
        assert_eq!(disk.list("d").unwrap(), ["a", "b"], "{which}");
        assert_eq!(disk.list("d/e").unwrap(), ["c"], "{which}");
        assert_eq!(disk.list("").unwrap(), ["top"], "{which}");
    });
}

#[test]
fn a_rename_takes_the_place_of_the_file_that_was_there() {
    on_every_disk(|disk, which| {
        disk.create_dir("d").unwrap();
        for (path, content) in [("a", b"new"), ("d/b", b"old")] {
            disk.create(path, 3).unwrap();
            disk.write_at(path, 0, content).unwrap();
        }
        disk.rename("a", "d/b").unwrap();
        assert_eq!(disk.read("d/b", 0, 3).unwrap(), b"new", "{which}");
        assert_eq!(kind(disk.len("a")), DiskErrorKind::NotFound, "{which}");
        disk.rename("d/b", "d/b").unwrap();
        assert_eq!(disk.read("d/b", 0, 3).unwrap(), b"new", "{which}");
    });
}

#[test]
fn a_removed_file_is_gone_and_its_name_is_free() {
    on_every_disk(|disk, which| {
        disk.create("f", 3).unwrap();
        disk.write_at("f", 0, b"old").unwrap();
        disk.remove("f").unwrap();
        assert_eq!(kind(disk.len("f")), DiskErrorKind::NotFound, "{which}");
        disk.create("f", 3).unwrap();
        disk.sync("f").unwrap();
        disk.sync_dir("").unwrap();
        assert_eq!(disk.read("f", 0, 3).unwrap(), b"\0\0\0", "{which}");
    });
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    on_every_disk(|disk, which| {
        for path in ["", "/etc/x", "../x", "a/../x", "a//x", "./x", "a/", "x\0", "a\\x"] {
            for result in [
                disk.create(path, 1),
                disk.create_dir(path),
                disk.write_at(path, 0, b"x"),
                disk.len(path).map(|_| ()),
                disk.sync(path),
                disk.rename(path, "y"),
                disk.remove(path),
            ] {
                assert_eq!(kind(result), DiskErrorKind::Io, "{which}, {path:?}");
            }
        }
    });
}

/// One call on a disk; names and lengths are few, so that calls meet.
#[derive(Clone, Debug)]
enum Call {
    Create(u8, u16),
    Write(u8, u16, Vec<u8>),
    Read(u8, u16, u8),
    Rename(u8, u8),
    Remove(u8),
    List(bool),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let file = 0..6_u8;
    let call = prop_oneof![
        (file.clone(), 0..2_000_u16).prop_map(|(f, len)| Call::Create(f, len)),
        (file.clone(), 0..2_000_u16, prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(f, at, bytes)| Call::Write(f, at, bytes)),
        (file.clone(), 0..2_000_u16, any::<u8>()).prop_map(|(f, at, len)| Call::Read(f, at, len)),
        (file.clone(), file.clone()).prop_map(|(from, to)| Call::Rename(from, to)),
        file.prop_map(Call::Remove),
        any::<bool>().prop_map(Call::List),
    ];
    prop::collection::vec(call, 1..60)
}

/// The answer in words, without the system's own.
fn answer(disk: &dyn Disk, call: &Call) -> String {
    let name = |f: u8| if f < 3 { format!("f{f}") } else { format!("d/f{f}") };
    let said = match call {
        Call::Create(f, len) => disk.create(&name(*f), u64::from(*len)).map(|()| Vec::new()),
        Call::Write(f, at, bytes) => {
            disk.write_at(&name(*f), u64::from(*at), bytes).map(|()| Vec::new())
        }
        Call::Read(f, at, len) => disk.read(&name(*f), u64::from(*at), usize::from(*len)),
        Call::Rename(from, to) => disk.rename(&name(*from), &name(*to)).map(|()| Vec::new()),
        Call::Remove(f) => disk.remove(&name(*f)).map(|()| Vec::new()),
        Call::List(top) => {
            disk.list(if *top { "" } else { "d" }).map(|names| names.concat().into_bytes())
        }
    };
    match said {
        Ok(bytes) => format!("{bytes:?}"),
        Err(error) => format!("{:?}", error.kind),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_real_disk_and_the_one_in_memory_give_the_same_answers(calls in calls()) {
        let folder = TempDir::new().unwrap();
        let real = OsDisk::open(folder.path()).unwrap();
        let memory = MemoryDisk::new();
        real.create_dir("d").unwrap();
        memory.create_dir("d").unwrap();
        for (at, call) in calls.iter().enumerate() {
            prop_assert_eq!(answer(&real, call), answer(&memory, call), "call {}: {:?}", at, call);
        }
    }
}

#[test]
fn a_folder_in_use_is_refused_naming_the_process_until_it_is_given_up() {
    let folder = TempDir::new().unwrap();
    let first = OsDisk::open(folder.path()).unwrap();
    let refused = OsDisk::open(folder.path()).unwrap_err();
    let holder = format!("in use by process {}", std::process::id());
    assert!(refused.detail.ends_with(&holder), "{}", refused.detail);
    drop(first);
    OsDisk::open(folder.path()).unwrap();
}

#[test]
fn the_lock_is_no_file_of_the_store() {
    let folder = TempDir::new().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    assert!(folder.path().join("LOCK").exists());
    assert!(disk.list("").unwrap().is_empty());
    assert_eq!(kind(disk.remove("LOCK")), DiskErrorKind::Io);
    assert_eq!(kind(disk.create("LOCK", 0)), DiskErrorKind::Io);
}

#[test]
fn a_reader_beside_the_holder_sees_everything_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    assert_eq!(kind(OsDisk::open_read_only(&folder.path().join("no"))), DiskErrorKind::NotFound);
    let holder = OsDisk::open(folder.path()).unwrap();
    holder.create("f", 2).unwrap();
    let reader = OsDisk::open_read_only(folder.path()).unwrap();
    assert_eq!(reader.read("f", 0, 2).unwrap(), b"\0\0");
    for result in [
        reader.write_at("f", 0, b"x"),
        reader.create("g", 1),
        reader.create_dir("d"),
        reader.remove("f"),
        reader.rename("f", "g"),
        reader.sync("f"),
    ] {
        assert_eq!(kind(result), DiskErrorKind::Io);
    }
    assert_eq!(reader.list("").unwrap(), ["f"]);
}

#[test]
fn a_folder_at_rest_is_read_by_many_while_nobody_may_write_to_it() {
    let folder = TempDir::new().unwrap();
    let holder = OsDisk::open(folder.path()).unwrap();
    holder.create("f", 2).unwrap();
    let refused = OsDisk::open_at_rest(folder.path()).unwrap_err();
    assert!(refused.detail.contains("in use by process"), "{refused}");
    drop(holder);
    let readers = [(), ()].map(|()| OsDisk::open_at_rest(folder.path()).unwrap());
    assert_eq!(readers[1].read("f", 0, 2).unwrap(), b"\0\0");
    assert_eq!(kind(readers[0].remove("f")), DiskErrorKind::Io);
    assert!(OsDisk::open(folder.path()).is_err());
    drop(readers);
    OsDisk::open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    OsDisk::open_at_rest(folder.path()).unwrap();
    assert!(!folder.path().join("LOCK").exists(), "nothing is written");
}

#[test]
fn a_linked_file_is_the_same_file_and_stays_when_the_first_name_goes() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = OsDisk::open(one.path()).unwrap();
    let target = OsDisk::open(two.path()).unwrap();
    source.create("f", 0).unwrap();
    source.write_at("f", 0, b"abc").unwrap();
    let reader = OsDisk::open_read_only(one.path()).unwrap();
    assert!(target.link_from(&reader, "f"));
    assert!(!target.link_from(&reader, "f"), "there is a file of that name");
    assert!(!target.link_from(&reader, "g"), "there is none to link");
    assert!(!target.link_from(&MemoryDisk::new(), "f"), "it is no file of the system");
    assert!(!reader.link_from(&target, "f"), "it may not be changed");
    source.remove("f").unwrap();
    assert_eq!(target.read("f", 0, 3).unwrap(), b"abc");
}

#[test]
fn more_files_than_may_be_open_can_be_written_and_read() {
    let folder = TempDir::new().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    let content = |file: u32| file.to_le_bytes();
    for file in 0..300_u32 {
        disk.create(&file.to_string(), 4).unwrap();
        disk.write_at(&file.to_string(), 0, &content(file)).unwrap();
    }
    for file in 0..300_u32 {
        assert_eq!(disk.read(&file.to_string(), 0, 4).unwrap(), content(file));
    }
    assert!(open_files_below(folder.path()) <= 256 + 1, "the lock is one more");
}

fn open_files_below(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return 0 };
    let targets = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(folder)).count()
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    // /dev/full answers every write with ENOSPC.
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("f")).unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    assert_eq!(kind(disk.write_at("f", 0, b"x")), DiskErrorKind::Full);
}
