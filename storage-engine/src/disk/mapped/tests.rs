//! Real files, real faults. What must end a process happens in a child: this program again, told
//! by its environment what to do.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::*;
use crate::disk::{Disk, DiskErrorKind, OsDisk};

/// Larger than a page of any system this runs on, so that what is cut off takes whole pages along.
const STEP: usize = 64 << 10;

fn disk() -> (TempDir, OsDisk) {
    let folder = TempDir::new().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    (folder, disk)
}

/// Bytes that tell where they lie and are never zero.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap() + 1).collect()
}

fn put(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    disk.create(path, bytes.len() as u64).unwrap();
    disk.write_at(path, 0, bytes).unwrap();
}

fn map(disk: &dyn Disk, path: &str) -> Option<Arc<Mapped>> {
    disk.map(path, disk.len(path).unwrap()).unwrap()
}

/// What a person does to a file who does not know better.
fn set_len(file: &Path, len: usize) {
    OpenOptions::new().write(true).open(file).unwrap().set_len(len as u64).unwrap();
}

#[test]
fn a_map_holds_what_the_disk_reads() {
    let (_folder, disk) = disk();
    for len in [1, 4_095, 4_096, 4_097, 3 * STEP + 1] {
        let (path, bytes) = (format!("f{len}"), pattern(len));
        put(&disk, &path, &bytes);
        let mapped = map(&disk, &path).unwrap();
        assert_eq!(mapped.bytes(), bytes);
        assert!(!mapped.is_poisoned());
    }
}

#[test]
fn what_cannot_be_mapped_truthfully_is_refused_or_left_to_the_disk() {
    let (_folder, disk) = disk();
    put(&disk, "f", b"abc");
    for len in [0, 2, 4] {
        let refused = disk.map("f", len).unwrap_err();
        assert_eq!(refused.kind, DiskErrorKind::Io);
        assert_eq!(refused.detail, format!("map f: is 3 bytes long, not {len}"));
    }
    assert_eq!(disk.map("no", 1).unwrap_err().kind, DiskErrorKind::NotFound);
    put(&disk, "empty", b"");
    put(&disk, "zero", b"ab\0");
    for path in ["empty", "zero"] {
        assert!(map(&disk, path).is_none(), "{path}: nobody could tell that its end was cut off");
    }
}

#[test]
fn a_file_cut_under_its_reader_reads_as_zeros_and_says_so() {
    let (folder, disk) = disk();
    let bytes = pattern(4 * STEP);
    put(&disk, "f", &bytes);
    let mapped = map(&disk, "f").unwrap();
    let faults = map_faults();
    set_len(&folder.path().join("f"), STEP + 100);
    assert_eq!(mapped.bytes()[..STEP + 100], bytes[..STEP + 100], "what was not cut off");
    assert!(mapped.bytes()[2 * STEP..].iter().all(|&byte| byte == 0));
    assert!(mapped.is_poisoned());
    assert!(map_faults() > faults);
    set_len(&folder.path().join("f"), 4 * STEP);
    assert!(mapped.is_poisoned(), "for ever");
}

#[test]
fn a_cut_of_any_length_is_told_from_the_last_byte_alone() {
    for cut in [1, 10, 4_000, STEP, 2 * STEP + 77, 3 * STEP] {
        for grown_again in [false, true] {
            let (folder, disk) = disk();
            put(&disk, "f", &pattern(3 * STEP));
            let mapped = map(&disk, "f").unwrap();
            set_len(&folder.path().join("f"), 3 * STEP - cut);
            if grown_again {
                set_len(&folder.path().join("f"), 3 * STEP);
            }
            assert!(mapped.is_poisoned(), "cut by {cut}, grown again: {grown_again}");
        }
    }
}

#[test]
fn a_removed_file_is_read_as_long_as_it_is_mapped() {
    let (_folder, disk) = disk();
    let bytes = pattern(2 * STEP);
    put(&disk, "f", &bytes);
    let mapped = map(&disk, "f").unwrap();
    disk.remove("f").unwrap();
    put(&disk, "f", b"another of its name");
    assert_eq!(mapped.bytes(), bytes);
    assert!(!mapped.is_poisoned());
}

#[test]
fn maps_past_the_bound_are_not_made_and_a_dropped_one_makes_room() {
    let (_folder, disk) = disk();
    let disk = disk.with_maps_max(2);
    for path in ["a", "b", "c"] {
        put(&disk, path, b"bytes");
    }
    let (a, b) = (map(&disk, "a"), map(&disk, "b"));
    assert!(a.is_some() && b.is_some());
    assert!(map(&disk, "c").is_none());
    assert!(disk.map("c", 9).unwrap_or_default().is_none(), "nothing is even looked at");
    drop(a);
    let c = map(&disk, "c");
    assert!(c.is_some());
    // A map that is refused for another reason takes no room.
    drop(c);
    put(&disk, "zero", b"\0");
    assert!(map(&disk, "zero").is_none());
    assert!(map(&disk, "c").is_some());
}

/// Readers on several threads, each with files that are cut while the others map and unmap: what
/// is not poisoned is right, and what is cut is poisoned.
#[test]
fn threads_that_map_and_unmap_and_lose_pages_do_not_disturb_each_other() {
    let (folder, disk) = disk();
    let bytes = pattern(2 * STEP);
    put(&disk, "whole", &bytes);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (disk, bytes, folder) = (&disk, &bytes, folder.path());
            scope.spawn(move || {
                for round in 0..150 {
                    let whole = map(disk, "whole").unwrap();
                    let path = format!("f{thread}");
                    put(disk, &path, bytes);
                    let cut = map(disk, &path).unwrap();
                    let at = round * 397 % (2 * STEP);
                    set_len(&folder.join(&path), at);
                    assert_eq!(&cut.bytes()[..at], &bytes[..at]);
                    let zeros = cut.bytes()[at..].iter().filter(|&&byte| byte == 0).count();
                    assert_eq!(zeros, 2 * STEP - at);
                    assert!(cut.is_poisoned());
                    assert_eq!(whole.bytes(), bytes);
                    assert!(!whole.is_poisoned());
                    disk.remove(&path).unwrap();
                }
            });
        }
    });
}

/// Tells the child what to do.
const CHILD: &str = "BARROW_MAPPED_CHILD";

/// Runs the test of that name in a process of its own with `CHILD` set to `what`.
fn run_child(test: &str, what: &str) -> ExitStatus {
    let name = format!("disk::mapped::tests::{test}");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &name, "--nocapture"]).env(CHILD, what);
    child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

/// Before and after our handler is installed, over the handler that Rust installs and over none.
#[test]
fn a_fault_in_somebody_elses_map_ends_the_process_as_before() {
    if let Some(what) = std::env::var_os(CHILD) {
        let what = what.into_string().unwrap();
        if what.contains("default") {
            set_action(Some(&no_action())).unwrap();
        }
        let (folder, disk) = disk();
        put(&disk, "ours", &pattern(STEP));
        put(&disk, "foreign", &pattern(STEP));
        let ours = what.contains("handled").then(|| map(&disk, "ours").unwrap());
        let file = OpenOptions::new().read(true).open(folder.path().join("foreign")).unwrap();
        let foreign = map_file(&file, STEP).unwrap();
        for file in ["ours", "foreign"] {
            set_len(&folder.path().join(file), 0);
        }
        assert!(ours.is_none_or(|ours| ours.is_poisoned()), "ours is survived");
        std::process::exit(i32::from(last_byte(&foreign)));
    }
    let test = "a_fault_in_somebody_elses_map_ends_the_process_as_before";
    for what in ["rust", "default", "rust, handled", "default, handled"] {
        assert_eq!(run_child(test, what).signal(), Some(libc::SIGBUS), "{what}");
    }
}

#[test]
fn a_signal_that_is_sent_does_what_it_did_before() {
    if let Some(what) = std::env::var_os(CHILD) {
        let what = what.into_string().unwrap();
        let mut action = no_action();
        if what.contains("ignored") {
            action.sa_sigaction = libc::SIG_IGN;
        }
        set_action(Some(&action)).unwrap();
        if what.contains("handled") {
            handle_faults().unwrap();
        }
        let send = format!("kill -BUS {}", std::process::id());
        Command::new("sh").args(["-c", &send]).status().unwrap();
        while !what.contains("ignored") {
            // Another thread may be the one that is interrupted.
            std::thread::park();
        }
        std::process::exit(0);
    }
    let test = "a_signal_that_is_sent_does_what_it_did_before";
    for what in ["default", "default, handled"] {
        assert_eq!(run_child(test, what).signal(), Some(libc::SIGBUS), "{what}");
    }
    for what in ["ignored", "ignored, handled"] {
        assert_eq!(run_child(test, what).code(), Some(0), "{what}");
    }
}
