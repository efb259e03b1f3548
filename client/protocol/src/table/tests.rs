use std::sync::Arc;

use barrow_types::{Reason, Symbol};
use proptest::prelude::*;

use super::*;
use crate::row::{RowFlags, RowHead, RowLayout};

type Memory = Arc<[TableWord]>;

const NOW: i64 = 1_700_000_000_000_000_000;

fn spec(features: usize, capacity: usize) -> TableSpec {
    TableSpec {
        group: "alpha".to_owned(),
        version: "0123456789abcdef".to_owned(),
        features: (0..features).map(|at| format!("f{at}")).collect(),
        capacity,
        instance: *b"instance of test",
        epoch: 3,
        generation: 2,
        heartbeat_limit: 1_000,
    }
}

fn zeros(words: usize) -> Memory {
    (0..words).map(|_| TableWord::new(0)).collect()
}

fn words(memory: &Memory) -> Vec<u64> {
    memory.iter().map(|word| word.load(std::sync::atomic::Ordering::Relaxed)).collect()
}

fn table(spec: &TableSpec) -> (TableWriter<Memory>, TableReader<Memory>) {
    let memory = zeros(spec.layout().unwrap().words());
    let writer = TableWriter::init(Arc::clone(&memory), spec, NOW).unwrap();
    (writer, TableReader::open(memory).unwrap())
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

/// The row of a slot, every word of which tells the number.
fn row(layout: RowLayout, number: u64) -> Vec<u64> {
    (0..layout.words() as u64).map(|at| number << 16 | at).collect()
}

fn read(reader: &TableReader<Memory>, index: usize, which: Which) -> Result<Vec<u64>, ReadError> {
    let mut out = vec![0; reader.layout().row().words()];
    reader.read(index, which, &mut out).map(|row| row.words().to_vec())
}

/// The bytes that docs/PROTOCOL.md promises, put together by hand from its tables.
#[test]
fn a_small_table_has_the_bytes_that_the_document_says() {
    let (mut writer, _) = table(&spec(2, 2));
    assert_eq!(writer.add_symbol(&symbol("SPY")), Some(0));
    let head = RowHead {
        ts: 60,
        ts_end: 120,
        available_at: 130,
        known_at: 140,
        sequence: 150,
        at_sequence: 160,
        session: -1,
        flags: RowFlags::PROVISIONAL,
    };
    let layout = writer.layout().row();
    let mut row = vec![0; layout.words()];
    head.encode(layout, [(Reason::Ok, 1.0), (Reason::WarmUp, 0.0)], &mut row);
    for _ in 0..2 {
        writer.publish_closed(0, &row);
    }
    writer.replace_newest(0, &row);
    writer.publish_forming(0, &row);
    writer.clear_forming(0);
    writer.set_promoted(true);
    let memory = Arc::clone(writer.memory());
    let found = words(&memory);

    let mut expected = vec![0; 512 + 16 + 2 * 8 + 2 * (8 + 3 * 16)];
    let bytes_of_names = {
        let mut hashed = [2_u64.to_le_bytes(); 2].concat();
        hashed.extend(expected_names().iter().flat_map(|word| word.to_le_bytes()));
        hashed
    };
    expected[..20].copy_from_slice(&[
        0x544c_574f_5252_4142, // BARROWLT
        1,
        xxhash_rust::xxh3::xxh3_64(&bytes_of_names),
        8 * 656,
        u64::from_le_bytes(*b"instance"),
        u64::from_le_bytes(*b" of test"),
        3,
        2,
        2,
        2,
        16,
        528,
        544,
        56,
        16,
        1_000,
        1,
        NOW.cast_unsigned(),
        0,
        1,
    ]);
    expected[512..528].copy_from_slice(&expected_names());
    expected[528] = 0x59_5053; // SPY
    let row = [60, 120, 130, 140, 150, 160, 0x1_ffff_ffff, 0x0900, 0x3ff0_0000_0000_0000, 0];
    expected[544] = 2;
    for (cell, version, mark) in [(552, 2, 1), (568, 4, 2), (584, 4, 0)] {
        expected[cell] = version;
        expected[cell + 1] = mark;
        expected[cell + 2..cell + 12].copy_from_slice(&row);
    }
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "word {at}");
    }
    writer.close(Some(7));
    assert_eq!(words(&memory)[18], 7);
}

/// alpha, its version, f0, f1: lengths and bytes, filled up to two lines.
fn expected_names() -> [u64; 16] {
    let text = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let mut names = [0; 16];
    names[..9].copy_from_slice(&[
        5,
        text(b"alpha\0\0\0"),
        16,
        text(b"01234567"),
        text(b"89abcdef"),
        2,
        text(b"f0\0\0\0\0\0\0"),
        2,
        text(b"f1\0\0\0\0\0\0"),
    ]);
    names
}

#[test]
fn a_reader_knows_all_that_the_table_was_made_for() {
    for features in [0, 1, 8, 9, 158] {
        let spec = spec(features, 3);
        let (_, reader) = table(&spec);
        assert_eq!(reader.spec(), &spec);
        assert_eq!(reader.layout(), &spec.layout().unwrap());
        assert_eq!(reader.layout().row().features(), features);
    }
}

#[test]
fn symbols_are_found_as_soon_as_they_are_there_until_the_table_is_full() {
    let (mut writer, reader) = table(&spec(1, 2));
    assert_eq!((reader.count(), reader.find("A")), (0, None));
    let long = "é".repeat(32);
    assert_eq!(writer.add_symbol(&symbol("A")), Some(0));
    assert_eq!(writer.add_symbol(&symbol(&long)), Some(1));
    assert_eq!(writer.add_symbol(&symbol("C")), None);
    assert_eq!((reader.find("A"), reader.find(&long), reader.find("C")), (Some(0), Some(1), None));
    assert_eq!(reader.symbol(1).unwrap().as_str(), long);
    assert_eq!(reader.symbol(2), None);
    for index in 0..4 {
        for which in Which::ALL {
            assert_eq!(read(&reader, index, which), Err(ReadError::Absent));
        }
    }
}

#[test]
fn a_closed_table_gives_no_rows_and_names_its_successor() {
    for successor in [Some(3), None] {
        let (mut writer, reader) = table(&spec(1, 1));
        writer.add_symbol(&symbol("A")).unwrap();
        writer.publish_closed(0, &row(reader.layout().row(), 1));
        assert!(read(&reader, 0, Which::Newest).is_ok());
        writer.close(successor);
        let closed = ReadError::Closed { successor };
        assert_eq!(read(&reader, 0, Which::Newest), Err(closed));
        assert_eq!(read(&reader, 0, Which::Forming), Err(closed));
        let mut out = vec![0; reader.layout().row().words()];
        assert_eq!(reader.read_slot(0, &mut out, |_, _| ()), Err(closed));
    }
}

#[test]
fn a_table_that_was_left_is_closed_by_who_comes_after() {
    let (writer, reader) = table(&spec(1, 1));
    close_abandoned(writer.memory(), Some(9)).unwrap();
    assert_eq!(reader.check_open(), Err(ReadError::Closed { successor: Some(9) }));
    assert_eq!(close_abandoned(&zeros(600), None), Err(OpenError::NotATable));
}

#[test]
fn an_old_heartbeat_and_one_from_the_future_mean_that_the_writer_is_gone() {
    let (writer, reader) = table(&spec(1, 1));
    let gone = Err(ReadError::WriterGone { since: NOW });
    for (now, expected) in [
        (NOW, Ok(())),
        (NOW + 1_000, Ok(())),
        (NOW - 1_000, Ok(())),
        (NOW + 1_001, gone),
        (NOW - 1_001, gone),
        (i64::MIN, gone),
    ] {
        assert_eq!(reader.check_alive(now), expected, "{now}");
    }
    writer.heartbeat(NOW + 1_001);
    assert_eq!(reader.check_alive(NOW + 1_001), Ok(()));
}

/// What a process leaves that is killed while it writes: the state after each of its stores.
#[test]
fn a_writer_that_died_in_mid_write_leaves_busy_or_a_whole_row() {
    let (mut writer, reader) = table(&spec(1, 1));
    writer.add_symbol(&symbol("A")).unwrap();
    let layout = reader.layout().row();
    for number in 1..=2 {
        writer.publish_closed(0, &row(layout, number));
    }
    let newest = reader.layout().block_at(0) + 8 + 16;
    let previous = newest - 16;
    let version = &writer.memory()[newest];
    version.store(3, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read(&reader, 0, Which::Newest), Err(ReadError::Busy), "a correction");
    assert_eq!(read(&reader, 0, Which::Previous), Ok(row(layout, 1)));
    version.store(4, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read(&reader, 0, Which::Newest), Ok(row(layout, 2)));
    // The third slot: written over the first, even complete, but not counted.
    for (at, value) in [(0, 3), (1, 3), (2, 77), (0, 4)] {
        writer.memory()[previous + at].store(value, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(read(&reader, 0, Which::Newest), Ok(row(layout, 2)));
        assert_eq!(read(&reader, 0, Which::Previous), Err(ReadError::Busy));
    }
}

#[test]
fn all_rows_of_a_slot_are_read_and_those_that_miss_it_are_named() {
    let (mut writer, reader) = table(&spec(1, 4));
    let layout = reader.layout().row();
    for (name, slots) in [("BOTH", &[10, 20][..]), ("OLD", &[10]), ("NEW", &[20, 30]), ("NO", &[])]
    {
        let index = writer.add_symbol(&symbol(name)).unwrap();
        for &ts in slots {
            let mut row = vec![0; layout.words()];
            RowHead { ts, ..RowHead::default() }.encode(layout, [(Reason::Ok, 1.0)], &mut row);
            writer.publish_closed(index, &row);
        }
    }
    let mut out = vec![0; layout.words()];
    for (ts, expected) in [
        (10, [true, true, false, false]),
        (20, [true, false, true, false]),
        (30, [false, false, true, false]),
        (5, [false; 4]),
    ] {
        let mut found = Vec::new();
        let count = reader.read_slot(ts, &mut out, |index, row| {
            assert_eq!(index, found.len());
            assert!(row.is_ok_and(|row| row.head().ts == ts) || row == Err(ReadError::Absent));
            found.push(row.is_ok());
        });
        assert_eq!(found, expected, "{ts}");
        let present = expected.iter().filter(|&&there| there).count();
        assert_eq!(count, Ok(SlotCount { present, missing: 4 - present, busy: 0 }));
    }
}

#[test]
fn what_cannot_be_made_is_refused_with_the_field() {
    let good = spec(1, 1);
    for (spec, said) in [
        (
            TableSpec { group: "g".repeat(65), ..good.clone() },
            format!("group: '{}' is longer than 64 bytes", "g".repeat(65)),
        ),
        (TableSpec { capacity: 0, ..good.clone() }, bounds("capacity", 0, 1, 1 << 24)),
        (TableSpec { generation: 0, ..good.clone() }, bounds("generation", 0, 1, u64::MAX - 1)),
        (
            TableSpec { heartbeat_limit: -1, ..good.clone() },
            bounds("heartbeat_limit", 0, 1, i64::MAX.cast_unsigned()),
        ),
        (spec(65_537, 1), bounds("features", 65_537, 0, 65_536)),
    ] {
        assert_eq!(spec.layout().unwrap_err().to_string(), said);
    }
    let short = TableWriter::init(zeros(600), &good, NOW).unwrap_err();
    assert_eq!(short, SpecError::Memory { needed: good.layout().unwrap().words(), given: 600 });
}

fn bounds(field: &str, value: u64, min: u64, max: u64) -> String {
    format!("{field}: {value} is not from {min} to {max}")
}

#[test]
fn memory_that_is_no_table_is_refused_with_the_reason() {
    let (writer, _) = table(&spec(2, 2));
    let good = words(writer.memory());
    let open = |words: &[u64]| {
        let memory: Memory = words.iter().map(|&word| TableWord::new(word)).collect();
        TableReader::open(memory).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(open(&good), Ok(()));
    assert_eq!(open(&[]), Err("this is no latest table".to_owned()));
    assert_eq!(
        open(&good[..655]).unwrap_err(),
        "the table says that it has 5248 bytes, there are 5240"
    );
    for (at, said) in [
        (0, "this is no latest table"),
        (1, "the table has layout version 0, this client reads 1"),
        (2, "the table is damaged: layout_id is wrong"),
        (3, "the table says that it has 5249 bytes"),
        (8, "the table is damaged: layout_id is wrong"),
        (9, "the table is damaged: layout_id is wrong"),
        (10, "the table is damaged: names_words is wrong"),
        (14, "the table is damaged: cell_words is wrong"),
        (512, "the table is damaged: layout_id is wrong"),
    ] {
        let mut words = good.clone();
        words[at] ^= 1;
        let error = open(&words).unwrap_err();
        assert!(error.starts_with(said), "{at}: {error}");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Add,
    Close(usize),
    Replace(usize, Which),
    Form(usize),
    Clear(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let index = 0..3_usize;
    prop_oneof![
        1 => Just(Act::Add),
        4 => index.clone().prop_map(Act::Close),
        2 => index.clone().prop_map(|at| Act::Replace(at, Which::Newest)),
        2 => index.clone().prop_map(|at| Act::Replace(at, Which::Previous)),
        2 => index.clone().prop_map(Act::Form),
        1 => index.prop_map(Act::Clear),
    ]
}

/// A symbol as a person would write it down.
#[derive(Clone, Debug, Default)]
struct Plain {
    closed: Vec<u64>,
    forming: Option<u64>,
}

impl Plain {
    fn back(&mut self, which: Which) -> Option<&mut u64> {
        let back = if which == Which::Newest { 1 } else { 2 };
        let at = self.closed.len().checked_sub(back)?;
        self.closed.get_mut(at)
    }
}

proptest! {
    #[test]
    fn what_is_read_is_what_a_plain_list_holds(
        acts in prop::collection::vec(act(), 0..60),
        features in 0..20_usize,
    ) {
        let (mut writer, reader) = table(&spec(features, 3));
        let layout = reader.layout().row();
        let mut plain: Vec<Plain> = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            let number = number as u64 + 1;
            let words = row(layout, number);
            match act {
                Act::Add => {
                    let expected = (plain.len() < 3).then_some(plain.len());
                    let name = format!("S{}", plain.len());
                    prop_assert_eq!(writer.add_symbol(&symbol(&name)), expected);
                    plain.extend(expected.map(|_| Plain::default()));
                }
                Act::Close(at) if at < plain.len() => {
                    writer.publish_closed(at, &words);
                    plain[at].closed.push(number);
                }
                Act::Replace(at, which) if at < plain.len() => {
                    let done = match which {
                        Which::Newest => writer.replace_newest(at, &words),
                        _ => writer.replace_previous(at, &words),
                    };
                    let place = plain[at].back(which);
                    prop_assert_eq!(done, place.is_some());
                    place.into_iter().for_each(|place| *place = number);
                }
                Act::Form(at) if at < plain.len() => {
                    writer.publish_forming(at, &words);
                    plain[at].forming = Some(number);
                }
                Act::Clear(at) if at < plain.len() => {
                    writer.clear_forming(at);
                    plain[at].forming = None;
                }
                _ => {}
            }
            for (at, symbol) in plain.iter_mut().enumerate() {
                prop_assert_eq!(reader.closed_slots(at), symbol.closed.len() as u64);
                for which in Which::ALL {
                    let expected = match which {
                        Which::Forming => symbol.forming,
                        which => symbol.back(which).copied(),
                    };
                    let expected = expected.map(|number| row(layout, number));
                    prop_assert_eq!(read(&reader, at, which), expected.ok_or(ReadError::Absent));
                }
            }
        }
    }

    /// Damage of any words: refused, or read without a panic.
    #[test]
    fn damaged_tables_are_refused_or_read(
        damage in prop::collection::vec((0..700_usize, any::<u64>()), 1..8),
    ) {
        let (mut writer, _) = table(&spec(2, 2));
        writer.add_symbol(&symbol("A")).unwrap();
        let mut words = words(writer.memory());
        for (at, value) in damage {
            let len = words.len();
            words[at % len] = value;
        }
        let memory: Memory = words.into_iter().map(TableWord::new).collect();
        if let Ok(reader) = TableReader::open(memory) {
            for index in 0..3 {
                let _ = reader.symbol(index);
                for which in Which::ALL {
                    let _ = read(&reader, index, which);
                }
            }
        }
    }
}

/// How many rows the reader of the two threads reads.
const READS: u64 = 200_000;

#[test]
fn no_thread_reads_a_row_that_another_has_half_written() {
    let (mut writer, reader) = table(&spec(3, 1));
    writer.add_symbol(&symbol("A")).unwrap();
    let layout = reader.layout().row();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                let words = row(layout, number);
                match number % 5 {
                    0 => writer.publish_forming(0, &words),
                    1 => drop(writer.replace_previous(0, &words)),
                    2 => drop(writer.replace_newest(0, &words)),
                    3 => writer.clear_forming(0),
                    _ => writer.publish_closed(0, &words),
                }
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut out = vec![0; layout.words()];
        let mut newest = 0;
        for turn in 0..READS {
            let which = Which::ALL[usize::try_from(turn % 3).unwrap()];
            if let Ok(read) = reader.read(0, which, &mut out) {
                let number = read.words()[0] >> 16;
                assert_eq!(read.words(), row(layout, number), "torn");
                if which == Which::Newest {
                    assert!(number >= newest, "{number} after {newest}");
                    newest = number;
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
