//! Tiles in files: used, brought up to date, made again, never believed.

use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_types::{DatasetId, SessionSet, Step};

use super::super::tile_file::{self, Header};
use super::store::{Ask, Store, tell, texts};
use crate::dataset::facts::ALWAYS;
use crate::derived::DIR;
use crate::disk::{Disk, MemoryDisk};
use crate::error::ErrorKind;

/// Bars of minutes and trades, in segments.
fn filled() -> Store {
    let mut store = Store::new();
    let bars: Vec<String> =
        [2, 3, 8, 9].iter().map(|day| format!("{day} 09:30 1 2 1 2 3 1.5 {day}")).collect();
    store.bars(Step::M1, &bars.iter().map(String::as_str).collect::<Vec<_>>());
    store.trades(&["4 10:00:01 7 2", "4 10:00:02 8 2"]);
    store.bars_of("y", Step::M1, &["10 09:30 5 5 5 5 5 5 5"]);
    store.settle();
    store
}

fn questions() -> Vec<Ask> {
    let all = [Step::M1, Step::M5, Step::H1, Step::H4, Step::D1, Step::W1].map(Ask::of);
    let extended = Ask { session: SessionSet::Extended, ..Ask::of(Step::H1) };
    all.into_iter().chain([extended]).collect()
}

#[track_caller]
fn assert_alike(store: &Store, other: &Store) {
    for ask in questions() {
        assert_eq!(store.told_all(&ask), other.told_all(&ask), "{ask:?}");
    }
}

/// The only file of tiles.
fn file(disk: &MemoryDisk) -> (String, Vec<u8>) {
    let names = disk.list(DIR).unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    let path = format!("{DIR}/{}", names[0]);
    let bytes = disk.files()[&path].clone();
    (path, bytes)
}

fn problems(disk: &MemoryDisk) -> Vec<String> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::from_files(disk.files()));
    crate::verify(&disk).unwrap().problems
}

#[test]
fn tiles_of_a_file_answer_after_an_opening() {
    let mut store = filled();
    assert!(store.write_tiles());
    assert!(!store.write_tiles(), "nothing came since");
    assert_eq!(problems(&store.disk), Vec::<String>::new());
    store.reopen();
    assert_alike(&store, &filled());
    let stats = store.engine.reader().tiles();
    assert!(stats.loaded > 0 && stats.dropped == 0, "{stats:?}");
    assert_eq!(crate::verify_live(&store.snapshot()).problems, Vec::<String>::new());
    // What is in no file are extended hours.
    let before = stats.made;
    store.told(&Ask::of(Step::H1));
    assert_eq!(store.engine.reader().tiles().made, before);
}

#[test]
fn a_file_tells_nothing_to_those_who_ask_about_earlier_records() {
    let mut store = Store::new();
    let first = store.bars(Step::M1, &["2 09:30 1 2 1 2 3 1.5 1"]);
    let old = store.snapshot();
    let then = Ask { at_sequence: Some(first.sequence), ..Ask::of(Step::H1) };
    let right = store.told(&then);
    store.bars(Step::M1, &["2 09:31 7 7 7 7 7 7 7"]);
    store.settle();
    store.write_tiles();
    // As if nobody had asked: what is in memory is gone.
    let opened = Store::on(MemoryDisk::from_files(store.disk.files()));
    assert_eq!(opened.told(&then), right);
    assert_ne!(opened.told(&Ask::of(Step::H1)), right);
    let curated = old.curated(Ask::of(Step::H1).scan(false)).unwrap();
    assert_eq!(tell(curated), right);
}

#[test]
fn tiles_that_are_made_again_have_the_same_bytes() {
    let mut often = filled();
    let mut once = filled();
    often.write_tiles();
    for store in [&mut often, &mut once] {
        store.bars(Step::M1, &["3 09:31 4 5 3 4 1 4 1", "11 15:59 1 1 1 1 1 1 1"]);
        store.retract(Step::M1, &["9 09:30"]);
        store.settle();
    }
    often.write_tiles();
    once.write_tiles();
    assert_eq!(file(&often.disk).1, file(&once.disk).1);
    let calendar = vec![texts(["calendar"]), texts(["XNYS"])];
    for store in [&mut often, &mut once] {
        store.fact(DatasetId::INSTRUMENTS, "A", ALWAYS.nanos(), calendar.clone());
        store.settle();
    }
    assert_alike(&often, &once);
    often.write_tiles();
    let (path, bytes) = file(&often.disk);
    often.disk.remove(&path).unwrap();
    often.reopen();
    often.write_tiles();
    assert_eq!(file(&often.disk).1, bytes);
    assert_eq!(problems(&often.disk), Vec::<String>::new());
}

#[test]
fn a_tile_that_was_changed_on_disk_is_made_from_rows_and_written_anew() {
    let mut store = Store::new();
    store.bars(Step::M1, &["2 09:30 1 2 1 2 3 1.5 1", "3 15:59 4 5 3 4 1 4 1"]);
    store.settle();
    let right = Store::on(MemoryDisk::from_files(store.disk.files()));
    store.write_tiles();
    let (path, good) = file(&store.disk);
    // Both ends by the byte, and the tiles here and there.
    let (first, last) = (tile_file::HEADER_LEN, good.len() - tile_file::TRAILER_LEN);
    for at in (first..last).step_by(23).chain(last..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        store.disk.put(&path, bytes);
        assert!(!problems(&store.disk).is_empty(), "byte {at}");
        if at % 16 != 0 {
            continue;
        }
        let mut opened = Store::on(MemoryDisk::from_files(store.disk.files()));
        assert_alike(&opened, &right);
        let live = crate::verify_live(&opened.snapshot());
        let was_refused = opened.engine.reader().tiles().stored == 0;
        assert!(was_refused || !live.problems.is_empty(), "byte {at}");
        assert!(opened.write_tiles(), "byte {at}");
        assert_eq!(file(&opened.disk).1, good, "byte {at}");
    }
}

#[test]
fn files_of_another_store_or_another_past_are_removed_and_change_no_answer() {
    let mut store = filled();
    store.write_tiles();
    let (path, good) = file(&store.disk);
    let header = tile_file::decode_header(&good[..tile_file::HEADER_LEN]).unwrap();
    let with_header = |header: Header| {
        let mut bytes = tile_file::encode_header(&header);
        bytes.extend_from_slice(&good[tile_file::HEADER_LEN..]);
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
        store.disk.put(&path, bytes);
        let found = problems(&store.disk);
        assert_eq!(found.len(), 1, "{why}: {found:?}");
        assert!(found[0].contains("remove the file"), "{found:?}");
        let mut opened = Store::on(MemoryDisk::from_files(store.disk.files()));
        assert_eq!(opened.disk.list(DIR).unwrap(), Vec::<String>::new(), "{why}");
        assert_eq!(opened.engine.reader().tiles().dropped, 1, "{why}");
        assert_alike(&opened, &filled());
        assert!(opened.write_tiles(), "{why}");
        assert_eq!(file(&opened.disk).1, good, "{why}");
    }
}

#[test]
fn verify_finds_a_tile_that_is_whole_and_wrong() {
    let mut store = filled();
    store.write_tiles();
    let (path, good) = file(&store.disk);
    let header = &good[..tile_file::HEADER_LEN];
    let trailer = &good[good.len() - tile_file::TRAILER_LEN..];
    let (index_len, _) = tile_file::decode_trailer(trailer).unwrap();
    let index_at = good.len() - tile_file::TRAILER_LEN - usize::try_from(index_len).unwrap();
    let index = &good[index_at..good.len() - tile_file::TRAILER_LEN];
    let entries = tile_file::decode_index(index, index_at as u64).unwrap();
    let place = |at: u64| usize::try_from(at).unwrap();
    let forged = |change: &dyn Fn(&mut tile_file::Entry, &mut Vec<u8>)| {
        let (mut entries, mut bytes) = (entries.clone(), header.to_vec());
        for (number, entry) in entries.iter_mut().enumerate() {
            let mut tile = good[place(entry.at)..place(entry.at) + entry.len as usize].to_vec();
            if number == 0 {
                change(entry, &mut tile);
                entry.len = u32::try_from(tile.len()).unwrap();
                entry.crc = crc32c::crc32c(&tile);
            }
            bytes.extend_from_slice(&tile);
        }
        bytes.extend_from_slice(&tile_file::encode_index(&entries));
        bytes
    };
    assert_eq!(forged(&|_, _| {}), good);
    let other_close = |entry: &mut tile_file::Entry, tile: &mut Vec<u8>| {
        let mut rows = tile_file::decode_tile(tile, entry.rows).unwrap();
        rows.known_at[0] += 1;
        *tile = tile_file::encode_tile(&rows);
    };
    for change in [
        &other_close as &dyn Fn(&mut tile_file::Entry, &mut Vec<u8>),
        &|entry, _| entry.world ^= 1,
        &|entry, _| entry.told ^= 1,
    ] {
        store.disk.put(&path, forged(change));
        let found = problems(&store.disk);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&path), "{found:?}");
        let opened = Store::on(MemoryDisk::from_files(store.disk.files()));
        assert_eq!(crate::verify_live(&opened.snapshot()).problems, found);
    }
}

#[test]
fn writing_tiles_that_is_stopped_leaves_no_file_and_may_be_tried_again() {
    let mut store = Store::new();
    assert!(store.engine.plan_tiles().is_none(), "nothing is in segments");
    store.bars(Step::M1, &["2 09:30 1 2 1 2 3 1.5 1"]);
    store.settle();
    let job = store.engine.plan_tiles().unwrap();
    assert!(store.engine.plan_tiles().is_none(), "one is being written");
    let done = job.run(&*store.disk, &mut || ControlFlow::Break(()));
    assert_eq!(store.engine.install_tiles(done).unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(store.disk.list(DIR).unwrap(), Vec::<String>::new());
    assert!(store.write_tiles());
}
