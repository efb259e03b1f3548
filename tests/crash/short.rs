//! Every short history, every crash in it, and every state such a crash may leave.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_engine::{Options, Scope, prepare};
use barrow_tests::bar_store::{Act, BarStore, Expected};
use barrow_tests::console::say;
use barrow_tests::faulty_disk::FaultyDisk;
use barrow_tests::loads::{batch_of, run_of_bars};
use barrow_tests::model::Load;
use barrow_tests::volume::{Image, Volume};
use barrow_tests::workers::on_all_cores;
use barrow_types::Timestamp;

use crate::small;

const WAL_FILE_BYTES: u64 = 4_096;

/// The acts that histories are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    CommitOneRow,
    CommitAcrossWalFiles,
    Flush,
    Compact,
    Seal,
    Reopen,
    /// Tried around by itself: see [`around_a_spare`].
    Spare,
    /// Tried around by itself: see [`around_a_derived_file`].
    Masks,
    /// The same.
    Tiles,
}

const KINDS: [Kind; 6] = [
    Kind::CommitOneRow,
    Kind::CommitAcrossWalFiles,
    Kind::Flush,
    Kind::Compact,
    Kind::Seal,
    Kind::Reopen,
];

const LENGTH_MAX: usize = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    crash_points: u64,
    combinations: u64,
    states: u64,
}

#[test]
fn every_short_history_survives_every_crash() {
    let count = play(&histories());
    assert_eq!(count, 1 + 6 + 36 + 216);
}

#[test]
fn every_short_history_around_a_spare_log_file_survives_every_crash() {
    play(&around_a_spare());
}

#[test]
fn every_short_history_around_a_file_of_masks_survives_every_crash() {
    play(&around_a_derived_file(Kind::Masks));
}

#[test]
fn every_short_history_around_a_file_of_tiles_survives_every_crash() {
    play(&around_a_derived_file(Kind::Tiles));
}

/// Crashes in the last act of each history. Returns how many there were.
fn play(histories: &[Vec<Kind>]) -> usize {
    let count = histories.len();
    let mut total = Tally::default();
    on_all_cores(
        count,
        |piece| crash_in_last_act(&histories[piece]),
        |tally| {
            total.crash_points += tally.crash_points;
            total.combinations += tally.combinations;
            total.states += tally.states;
            true
        },
    );
    say(&format!(
        "{count} histories of up to {LENGTH_MAX} acts, {} crash points, {} combinations of what \
         survives, {} distinct states opened: 0 acknowledged rows lost, 0 batches half visible",
        total.crash_points, total.combinations, total.states
    ));
    count
}

/// Histories that make a spare, those that do something with one there, and with the second.
fn around_a_spare() -> Vec<Vec<Kind>> {
    use Kind::{CommitAcrossWalFiles, CommitOneRow, Reopen, Spare};
    let befores: [&[Kind]; 3] = [
        &[CommitOneRow],
        &[CommitAcrossWalFiles],
        &[CommitOneRow, Spare, CommitOneRow, Reopen, CommitOneRow],
    ];
    let mut all = Vec::new();
    for before in befores {
        let made = [before, &[Spare]].concat();
        all.extend(KINDS.iter().map(|&kind| [made.as_slice(), &[kind]].concat()));
        all.push([made.as_slice(), &[CommitAcrossWalFiles, Spare]].concat());
        all.push([made.as_slice(), &[CommitOneRow, Spare, CommitAcrossWalFiles]].concat());
        all.push(made);
    }
    all
}

/// Histories that write a derived file, a first one and another in its place, and what follows.
fn around_a_derived_file(file: Kind) -> Vec<Vec<Kind>> {
    use Kind::{CommitOneRow, Compact, Flush, Reopen};
    let first = [CommitOneRow, CommitOneRow, Flush, file];
    let second = [&first[..], &[CommitOneRow, Flush, Compact, CommitOneRow, file]].concat();
    let mut all = Vec::new();
    for written in [first.to_vec(), second] {
        all.extend(KINDS.iter().map(|&kind| [written.as_slice(), &[kind]].concat()));
        all.push([written.as_slice(), &[CommitOneRow, Flush, Reopen]].concat());
        all.push(written);
    }
    all
}

/// Every sequence of kinds, the empty one first.
fn histories() -> Vec<Vec<Kind>> {
    let mut all = vec![Vec::new()];
    let mut start = 0;
    for _ in 0..LENGTH_MAX {
        let end = all.len();
        for shorter in start..end {
            for kind in KINDS {
                let mut longer = all[shorter].clone();
                longer.push(kind);
                all.push(longer);
            }
        }
        start = end;
    }
    all
}

/// Plays a history and crashes in each operation of its last act, in the first opening if it has
/// none. The operations before are those of the shorter histories.
fn crash_in_last_act(kinds: &[Kind]) -> Result<Tally, String> {
    let disk = FaultyDisk::new();
    let fail = |what: &str| format!("{kinds:?}: {what}\n{}", disk.trace());
    if kinds.is_empty() {
        disk.record_crash_points();
    }
    let options = small(WAL_FILE_BYTES);
    let opened = BarStore::open(Arc::new(disk.clone()), options, Expected::default());
    let (mut store, _) = opened.map_err(|trouble| fail(&trouble.to_string()))?;
    let mut during = Expected::default();
    for (place, kind) in kinds.iter().enumerate() {
        let act = act_of(*kind, place, &mut store);
        if place + 1 == kinds.len() {
            disk.record_crash_points();
            during = store.expected_during(&act);
        }
        let files_before = store.engine().stats().wal_files;
        store.act(&act).map_err(|trouble| fail(&trouble.to_string()))?;
        let files = store.engine().stats().wal_files;
        if *kind == Kind::CommitAcrossWalFiles && files <= files_before {
            return Err(fail("the commit did not cross the boundary of a log file"));
        }
    }
    let mut tally = Tally::default();
    let mut seen = BTreeSet::new();
    for point in disk.take_crash_points() {
        let tried = tally
            .try_all(&point.volume, &during, &mut seen, options)
            .and_then(|()| tally.kill(point.volume, &during, options));
        tried.map_err(|what| fail(&format!("crash in operation {}: {what}", point.operation)))?;
    }
    // After the act what it acknowledged is due.
    tally
        .try_all(&disk.volume(), store.expected(), &mut BTreeSet::new(), options)
        .and_then(|()| tally.kill(disk.volume(), store.expected(), options))
        .map_err(|what| fail(&format!("crash at the end: {what}")))?;
    Ok(tally)
}

fn act_of(kind: Kind, place: usize, store: &mut BarStore) -> Act {
    let id = |half: &str| format!("batch-{place}{half}");
    // Later histories correct what earlier ones brought.
    let minute = i64::try_from(place % 2).unwrap_or(0);
    match kind {
        Kind::CommitOneRow => {
            let mut load = run_of_bars(id(""), "SPY", minute, 1);
            load.rows[0].values[3] = load.rows[0].values[place % 3].clone();
            Act::Commit(vec![load])
        }
        Kind::CommitAcrossWalFiles => {
            let first = large(id("a"), "SPY", minute, store);
            Act::Commit(vec![first, large(id("b"), "AAPL", minute, store)])
        }
        Kind::Flush => Act::Flush,
        Kind::Compact => Act::Compact(Scope::All),
        Kind::Seal => Act::Seal,
        Kind::Reopen => Act::Reopen,
        Kind::Spare => Act::Spare,
        Kind::Masks => Act::Masks,
        Kind::Tiles => Act::Tiles,
    }
}

/// A load whose record takes more than half of a log file, so that two need two files.
fn large(id: String, symbol: &str, minute: i64, store: &mut BarStore) -> Load {
    let now = Timestamp::from_nanos(store.next_now());
    let snapshot = store.engine().snapshot();
    for rows in (4..).step_by(4) {
        let load = run_of_bars(id.clone(), symbol, minute, rows);
        let prepared = prepare(batch_of(&load), &snapshot, now).expect("a plain load is prepared");
        if prepared.byte_len() as u64 > WAL_FILE_BYTES * 55 / 100 {
            return load;
        }
    }
    unreachable!("invariant: more rows take more bytes")
}

impl Tally {
    /// Opens the store on every state that a crash may leave, and on what a killed process leaves.
    fn try_all(
        &mut self,
        volume: &Volume,
        expected: &Expected,
        seen: &mut BTreeSet<u128>,
        options: Options,
    ) -> Result<(), String> {
        self.crash_points += 1;
        let mut states = volume.crash_states();
        for image in states.by_ref().chain([volume.current()]) {
            if seen.insert(image.digest()) {
                self.states += 1;
                recover(&image, expected, options).map_err(|what| {
                    let files = image.files.iter().map(|(path, bytes)| {
                        let used = bytes.iter().filter(|byte| **byte != 0).count();
                        format!("  {path}: {} bytes, {used} not zero\n", bytes.len())
                    });
                    format!("{what}\nleft:\n{}", files.collect::<String>())
                })?;
            }
        }
        self.combinations += states.combinations();
        Ok(())
    }

    /// Only the process dies. It begins again on what the cache holds, and then the power fails:
    /// in each operation of that opening, and after it, when what it showed is durable.
    fn kill(
        &mut self,
        volume: Volume,
        expected: &Expected,
        options: Options,
    ) -> Result<(), String> {
        let disk = FaultyDisk::with(volume);
        disk.record_crash_points();
        let within = |what: String| format!("the process died, {what}\n{}", disk.trace());
        let opened = BarStore::open(Arc::new(disk.clone()), options, expected.clone());
        let (mut store, _) = opened.map_err(|trouble| within(trouble.to_string()))?;
        let mut seen = BTreeSet::new();
        for point in disk.take_crash_points() {
            self.try_all(&point.volume, expected, &mut seen, options).map_err(|what| {
                within(format!("the power failed in operation {}: {what}", point.operation))
            })?;
        }
        self.try_all(&disk.volume(), store.expected(), &mut BTreeSet::new(), options)
            .map_err(|what| within(format!("it opened, the power failed: {what}")))?;
        let load = run_of_bars("after the kill".to_owned(), "SPY", 5, 1);
        let done = store.act(&Act::Commit(vec![load]));
        done.map_err(|trouble| within(format!("it opened and committed: {trouble}")))?;
        self.try_all(&disk.volume(), store.expected(), &mut BTreeSet::new(), options)
            .map_err(|what| within(format!("it committed, the power failed: {what}")))
    }
}

/// Opens, checks, commits, opens again and checks again.
fn recover(image: &Image, expected: &Expected, options: Options) -> Result<(), String> {
    let disk = Arc::new(image.disk());
    let opened = BarStore::open(disk, options, expected.clone());
    let (mut store, _) = opened.map_err(|trouble| trouble.to_string())?;
    let load = run_of_bars("after the crash".to_owned(), "SPY", 7, 2);
    for act in [Act::Commit(vec![load]), Act::Reopen] {
        let done = store.act(&act).and_then(|()| store.check());
        done.map_err(|trouble| format!("after recovery, {act:?}: {trouble}"))?;
    }
    Ok(())
}
