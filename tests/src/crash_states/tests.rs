//! The judge judged: small histories and every state they may leave, by hand.
//!
//! A history is words: `create f 4`, `write f 0 a512 b3` (512 times `a`, then 3 times `b`),
//! `sync f`, `sync_dir d` (`sync_dir .` for the top), `fail_sync f`,
//! `rename f g`, `remove f`, `mkdir d`. A state is its files and folders: `f=a512.3 d/`, where
//! `.` is a zero byte; `-` is no file at all.

use std::collections::BTreeSet;

use super::*;

fn play(history: &str) -> Volume {
    let mut volume = Volume::default();
    for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let dir = |place: usize| if words[place] == "." { "" } else { words[place] };
        match words[0] {
            "create" => volume.create(words[1], words[2].parse().unwrap()).unwrap(),
            "write" => {
                let at = words[2].parse().unwrap();
                let bytes: Vec<u8> = words[3..].iter().flat_map(|run| bytes_of(run)).collect();
                volume.write(words[1], at, &bytes).unwrap();
            }
            "sync" => volume.sync(words[1]).unwrap(),
            "sync_dir" => volume.sync_dir(dir(1)).unwrap(),
            "fail_sync" => volume.fail_sync(words[1]),
            "rename" => volume.rename(words[1], words[2]).unwrap(),
            "remove" => volume.remove(words[1]).unwrap(),
            "mkdir" => volume.create_dir(words[1]).unwrap(),
            other => panic!("no such word: {other}"),
        }
    }
    volume
}

fn bytes_of(run: &str) -> Vec<u8> {
    let letter = if run.starts_with('.') { 0 } else { run.as_bytes()[0] };
    vec![letter; run[1..].parse().unwrap()]
}

fn render(image: &Image) -> String {
    let mut parts: Vec<String> = image.folders.iter().map(|dir| format!("{dir}/")).collect();
    for (path, bytes) in &image.files {
        let runs = bytes.chunk_by(|a, b| a == b).map(|run| {
            let letter = if run[0] == 0 { '.' } else { char::from(run[0]) };
            format!("{letter}{}", run.len())
        });
        parts.push(format!("{path}={}", runs.collect::<String>()));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

/// The exhaustive states are exactly `expected`, one a line; random ones are among `possible`,
/// which are the expected ones and those after `also at random`.
fn check(history: &str, expected: &str) {
    let lines = |text: &str| -> BTreeSet<String> {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    let (all, also) = expected.split_once("also at random").unwrap_or((expected, ""));
    let volume = play(history);
    let states: Vec<String> = volume.crash_states().map(|image| render(&image)).collect();
    let distinct: BTreeSet<String> = states.iter().cloned().collect();
    assert_eq!(states.len(), distinct.len(), "a state came twice: {states:?}");
    assert_eq!(distinct, lines(all), "after {history}");

    let possible: BTreeSet<String> = lines(all).union(&lines(also)).cloned().collect();
    let mut met = BTreeSet::new();
    let mut random = Random::new(1);
    for _ in 0..4_000 {
        met.insert(render(&volume.random_crash_state(&mut random)));
    }
    assert_eq!(met, possible, "at random, after {history}");
}

#[test]
fn what_was_synced_with_its_name_stays() {
    check(
        "create f 4
         write f 1 a2
         sync f
         sync_dir .",
        "f=.1a2.1",
    );
}

#[test]
fn a_name_not_synced_may_be_lost_with_all_of_its_synced_content() {
    check(
        "create f 2
         write f 0 a2
         sync f",
        "f=a2
         -",
    );
}

#[test]
fn a_file_whose_name_alone_was_synced_may_be_empty() {
    check(
        "create f 2
         sync_dir .
         write f 0 a2",
        // Both writes are loose: the zeros of its making, and the letters.
        "f=
         f=.2
         f=a2",
    );
}

#[test]
fn a_write_is_kept_lost_or_zeroed_and_the_synced_one_below_it_comes_back() {
    check(
        "create f 3
         write f 0 a3
         sync f
         sync_dir .
         write f 1 b2",
        "f=a3
         f=a1.2
         f=a1b2",
    );
}

#[test]
fn a_write_is_torn_only_where_sectors_of_the_file_meet() {
    check(
        "create f 0
         write f 0 a1024
         sync f
         sync_dir .
         write f 500 b524",
        "f=a1024
         f=a500b524
         f=a500.524
         f=a500b12a512
         f=a512b512
         also at random
         f=a500.12a512
         f=a512.512
         f=a500b12.512
         f=a500.12b512",
    );
}

#[test]
fn a_lost_write_may_stand_before_a_kept_one() {
    check(
        "create f 2
         sync f
         sync_dir .
         write f 0 a1
         write f 1 b1",
        "f=.2
         f=a1.1
         f=.1b1
         f=a1b1",
    );
}

#[test]
fn a_lost_write_that_grew_the_file_leaves_a_hole_below_a_kept_one() {
    check(
        "create f 0
         sync f
         sync_dir .
         write f 0 a2
         write f 2 b2",
        "f=
         f=a2
         f=.2
         f=.2b2
         f=a2b2
         f=a2.2
         also at random
         f=.4",
    );
}

#[test]
fn a_long_write_is_torn_at_its_first_middle_and_last_boundary() {
    let volume = play(
        "create f 0
         sync f
         sync_dir .
         write f 0 a5120",
    );
    let lens: BTreeSet<usize> = volume
        .crash_states()
        .filter(|image| image.files["f"].iter().all(|byte| *byte == b'a'))
        .map(|image| image.files["f"].len())
        .collect();
    assert_eq!(lens, BTreeSet::from([0, 512, 2_560, 4_608, 5_120]));
}

#[test]
fn a_rename_not_synced_leaves_the_old_name_or_the_new_never_none() {
    check(
        "create a 1
         write a 0 x1
         sync a
         create b 1
         write b 0 y1
         sync b
         sync_dir .
         rename a b",
        "a=x1 b=y1
         b=x1",
    );
}

#[test]
fn a_rename_into_another_folder_may_be_half_lost() {
    check(
        "mkdir d
         create a 1
         write a 0 x1
         sync a
         sync_dir .
         sync_dir d
         rename a d/b",
        "d/ a=x1
         d/ d/b=x1
         d/ a=x1 d/b=x1
         d/",
    );
}

#[test]
fn a_removal_not_synced_may_leave_the_file() {
    check(
        "create a 1
         write a 0 x1
         sync a
         sync_dir .
         remove a",
        "a=x1
         -",
    );
}

#[test]
fn a_name_given_anew_stands_for_the_old_file_the_new_one_or_none() {
    check(
        "create a 1
         write a 0 x1
         sync a
         sync_dir .
         remove a
         create a 1
         write a 0 y1
         sync a",
        "a=x1
         a=y1
         -",
    );
}

#[test]
fn a_folder_not_synced_is_lost_with_all_in_it() {
    check(
        "mkdir d
         mkdir d/e
         create d/e/f 1
         write d/e/f 0 x1
         sync d/e/f
         sync_dir d/e
         sync_dir d",
        "-
         d/ d/e/ d/e/f=x1",
    );
}

#[test]
fn changes_in_one_folder_may_be_kept_out_of_order() {
    check(
        "create a 0
         create b 0",
        "-
         a=
         b=
         a= b=",
    );
}

#[test]
fn what_a_failed_sync_covered_stays_doubtful_whatever_is_synced_later() {
    check(
        "create f 2
         sync f
         sync_dir .
         write f 0 a1
         fail_sync f
         sync f
         write f 1 b1
         sync f",
        "f=a1b1
         f=.1b1",
    );
}

#[test]
fn a_doubtful_write_under_a_synced_one_does_not_show() {
    check(
        "create f 1
         sync f
         sync_dir .
         write f 0 a1
         fail_sync f
         write f 0 b1
         sync f",
        "f=b1",
    );
}

#[test]
fn combinations_of_files_and_names_are_all_there_and_counted() {
    let volume = play(
        "create a 1
         sync a
         sync_dir .
         write a 0 x1
         create b 0",
    );
    // a: kept, lost (as zeroed); b: kept or lost.
    let mut states = volume.crash_states();
    assert_eq!(states.by_ref().count(), 4);
    assert_eq!(states.combinations(), 4);
}

#[test]
fn an_image_comes_back_from_a_volume_and_from_a_disk() {
    let volume = play(
        "mkdir d
         mkdir empty
         create d/f 3
         write d/f 1 x2
         create g 0",
    );
    let image = volume.current();
    assert_eq!(render(&image), "d/ empty/ d/f=.1x2 g=");
    assert_eq!(Image::of(&image.disk()), image);
    let durable = Volume::of(&image);
    assert!(durable.crash_states().eq([image.clone()]));
    assert_eq!(durable.current(), image);
    assert_ne!(volume.crash_states().next().unwrap().digest(), image.digest());
}

#[test]
fn a_file_without_a_name_is_forgotten_only_when_that_is_durable() {
    let mut volume = play(
        "create f 1
         sync f
         sync_dir .
         remove f",
    );
    assert_eq!(volume.files.len(), 1);
    volume.sync_dir("").unwrap();
    assert_eq!(volume.files.len(), 0);
}

#[test]
fn the_same_seed_draws_the_same_state() {
    let volume = play(
        "create a 3000
         create b 3000
         sync_dir .
         write a 7 x2500",
    );
    for seed in 0..50 {
        let draw = || volume.random_crash_state(&mut Random::new(seed));
        assert_eq!(draw(), draw());
    }
}
