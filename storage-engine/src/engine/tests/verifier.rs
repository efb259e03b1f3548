//! Verifying in steps: the same as at one go, wherever it is broken off.

use super::masks::{BLOCKS, NOW, file, write, written};
use super::*;
use crate::gaps::mask_file;
use crate::{Stepped, Verifier, VerifyPlace, VerifyReport, verify_live};

fn add(to: &mut VerifyReport, more: VerifyReport) {
    to.files += more.files;
    to.bytes += more.bytes;
    to.extents += more.extents;
    to.rows += more.rows;
    to.masks += more.masks;
    to.tiles += more.tiles;
    to.problems.extend(more.problems);
}

/// What verifiers find that take a step each, and how far they say that they are.
fn broken_off_everywhere(engine: &Engine) -> (VerifyReport, Vec<f64>) {
    let mut place = VerifyPlace::default();
    let (mut found, mut shares) = (VerifyReport::default(), vec![0.0]);
    loop {
        let mut verifier = Verifier::new(&engine.snapshot(), place);
        if verifier.step() == Stepped::Done {
            return (found, shares);
        }
        add(&mut found, verifier.take_report());
        place = verifier.place();
        shares.push(verifier.progress());
    }
}

#[test]
fn a_verification_that_is_broken_off_anywhere_finds_the_same() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    for round in 0..5 {
        send(&mut engine, bars(&format!("{round}"), &[(round, 1.0, None)]), 10 + round);
        flush(&mut engine);
    }
    write(&mut engine);
    // A block of the second segment is damaged: each knows of it once.
    let path = segment::path(2);
    let byte = disk.read(&path, 80, 1).unwrap()[0];
    disk.write_at(&path, 80, &[byte ^ 1]).unwrap();
    let snapshot = engine.snapshot();
    let whole = verify_live(&snapshot);
    assert_eq!((whole.files, whole.masks, whole.problems.len()), (6, 1, 1), "{whole:?}");

    let (found, shares) = broken_off_everywhere(&engine);
    assert_eq!(found, whole);
    assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");

    // What was merged since the break is read again, in its new file.
    let mut verifier = Verifier::new(&engine.snapshot(), VerifyPlace::default());
    while verifier.place().first < 4 {
        assert_eq!(verifier.step(), Stepped::Checked);
    }
    disk.write_at(&path, 80, &[byte]).unwrap();
    compact(&mut engine, Scope::All).unwrap();
    let mut verifier = Verifier::new(&engine.snapshot(), verifier.place());
    while verifier.step() == Stepped::Checked {}
    let after = verifier.take_report();
    assert_eq!((after.files, after.masks, after.problems.len()), (2, 1, 0), "{after:?}");
}

#[test]
fn masks_of_many_blocks_are_each_checked_once_wherever_it_is_broken_off() {
    let disk = written();
    let (path, mut bytes) = file(&disk);
    bytes[mask_file::HEADER_LEN] ^= 1;
    disk.put(&path, bytes);
    let engine = open(&disk);
    let whole = verify_live(&engine.snapshot());
    assert_eq!((whole.masks, whole.problems.len()), (BLOCKS, 1), "{whole:?}");
    let (found, shares) = broken_off_everywhere(&engine);
    assert_eq!(found, whole);
    let distinct = shares.windows(2).filter(|pair| pair[0] < pair[1]).count() as u64;
    assert!(shares.is_sorted() && distinct >= whole.extents + whole.masks, "{shares:?}");
}

#[test]
fn an_index_of_masks_that_was_changed_on_disk_is_found_while_the_store_is_open() {
    let disk = written();
    let engine = open(&disk);
    let (path, mut bytes) = file(&disk);
    let index_at = bytes.len() - mask_file::TRAILER_LEN - 1;
    bytes[index_at] ^= 1;
    disk.put(&path, bytes);
    let problems = verify_live(&engine.snapshot()).problems;
    assert!(problems.len() == 1 && problems[0].contains("index"), "{problems:?}");
}

#[test]
fn masks_that_are_written_anew_are_gone_on_with_by_a_newer_snapshot() {
    let disk = written();
    let mut engine = open(&disk);
    let mut verifier = Verifier::new(&engine.snapshot(), VerifyPlace::default());
    while verifier.take_report().masks == 0 {
        assert_eq!(verifier.step(), Stepped::Checked);
    }
    send(&mut engine, bars("anew", &[(9, 1.0, None)]), NOW + 3);
    flush(&mut engine);
    write(&mut engine);
    let (path, mut bytes) = file(&disk);
    // The first mask lies behind, the last ahead.
    let index_at = bytes.len() - mask_file::TRAILER_LEN - usize::try_from(BLOCKS).unwrap() * 24;
    for at in [mask_file::HEADER_LEN, index_at - 1] {
        bytes[at] ^= 1;
    }
    disk.put(&path, bytes);
    assert_eq!(verifier.step(), Stepped::Outdated);
    assert_eq!(verifier.step(), Stepped::Outdated);
    let mut verifier = Verifier::new(&engine.snapshot(), verifier.place());
    while verifier.step() == Stepped::Checked {}
    let rest = verifier.take_report();
    assert_eq!((rest.masks, rest.problems.len()), (BLOCKS - 1, 1), "{rest:?}");
}
