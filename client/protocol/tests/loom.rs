//! Every order in which the stores of a writer and the loads of a reader can meet, and every value
//! that each load may see under the memory model of C11:
//! `RUSTFLAGS="--cfg loom" cargo test -p barrow-protocol --test loom --release`.
//!
//! Rows here have the words that a test needs, not those of a whole row: each costs the model
//! checker a power.
#![cfg(loom)]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use barrow_protocol::RowLayout;
use barrow_protocol::table::{
    ReadError, SymbolBlock, TableReader, TableSpec, TableWord, TableWriter, Which,
};
use barrow_types::Symbol;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

type Memory = Arc<[TableWord]>;

const LAYOUT: RowLayout = RowLayout::new(0);

/// Enough to see half of one.
const ROW_WORDS: usize = 2;

fn zeros(words: usize) -> Memory {
    (0..words).map(|_| TableWord::new(0)).collect()
}

fn block(memory: &Memory) -> SymbolBlock<'_> {
    SymbolBlock::new(LAYOUT, memory)
}

fn row(number: u64) -> [u64; ROW_WORDS] {
    [number; ROW_WORDS]
}

/// The number of the row; fails if it is torn.
fn read(memory: &Memory, which: Which) -> Result<u64, ReadError> {
    let mut out = [0; ROW_WORDS];
    block(memory).read(which, &mut out)?;
    assert_eq!(out[0], out[1], "torn");
    Ok(out[0])
}

/// What the executions of a model have shown, in words.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeSet<String>>>);

impl Seen {
    fn note(&self, what: impl Debug) {
        self.0.lock().expect("nothing fails while it is held").insert(format!("{what:?}"));
    }

    /// Fails unless the model has shown this and nothing else: a model that tries one order only
    /// proves nothing.
    fn assert(&self, expected: &[&str]) {
        let seen = self.0.lock().expect("nothing fails while it is held");
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

fn model() -> Builder {
    let mut model = Builder::new();
    model.preemption_bound = Some(3);
    model
}

/// Runs `write` against `check`, with the first row closed before; what `check` returns must be
/// all of `expected`.
///
/// The writer is the thread that begins. The model checker reverses a load and a later store only
/// if the storing thread has not loaded the word in between, as this writer does with its versions;
/// a store and a later load it always reverses.
fn check_against<T: Debug>(
    write: impl Fn(SymbolBlock<'_>) + Send + Sync + 'static,
    check: impl Fn(&Memory) -> T + Copy + Send + Sync + 'static,
    expected: &[&str],
) {
    let seen = Seen::default();
    let noted = seen.clone();
    model().check(move || {
        let memory = zeros(SymbolBlock::words(LAYOUT));
        block(&memory).publish_closed(&row(1));
        let (read, noted) = (Arc::clone(&memory), noted.clone());
        let reader = thread::spawn(move || noted.note(check(&read)));
        write(block(&memory));
        reader.join().expect("the reader does not fail");
    });
    seen.assert(expected);
}

#[test]
fn the_newest_row_is_whole_and_never_older_than_the_one_before() {
    check_against(
        |block| {
            block.publish_closed(&row(2));
            block.publish_closed(&row(3));
        },
        |memory| {
            let numbers = [Which::Newest; 2].map(|which| read(memory, which));
            if let [Ok(first), Ok(second)] = numbers {
                assert!(second >= first, "{second} after {first}");
            }
            numbers
        },
        // Who looks twice only may find another slot closed each time.
        &[
            "[Err(Busy), Ok(3)]",
            "[Ok(1), Err(Busy)]",
            "[Ok(1), Ok(1)]",
            "[Ok(1), Ok(2)]",
            "[Ok(1), Ok(3)]",
            "[Ok(2), Ok(2)]",
            "[Ok(2), Ok(3)]",
            "[Ok(3), Ok(3)]",
        ],
    );
}

#[test]
fn the_newest_row_can_be_read_while_the_next_is_written() {
    check_against(
        |block| block.publish_closed(&row(2)),
        |memory| read(memory, Which::Newest),
        &["Ok(1)", "Ok(2)"],
    );
}

#[test]
fn the_previous_row_is_whole_and_is_not_the_newest() {
    check_against(
        |block| {
            block.publish_closed(&row(2));
            block.publish_closed(&row(3));
        },
        |memory| {
            let closed = block(memory).closed();
            let number = read(memory, Which::Previous);
            assert!(number.is_err() || number.is_ok_and(|number| number + 1 >= closed));
            number
        },
        &["Err(Absent)", "Err(Busy)", "Ok(1)", "Ok(2)"],
    );
}

#[test]
fn a_correction_is_seen_whole_or_not_at_all() {
    check_against(
        |block| {
            assert!(block.replace(Which::Newest, &row(10)));
            assert!(block.replace(Which::Newest, &row(20)));
        },
        |memory| read(memory, Which::Newest),
        &["Err(Busy)", "Ok(1)", "Ok(10)", "Ok(20)"],
    );
}

#[test]
fn a_correction_of_the_row_before_is_never_read_as_the_newest() {
    check_against(
        |block| {
            block.publish_closed(&row(2));
            assert!(block.replace(Which::Previous, &row(10)));
        },
        |memory| read(memory, Which::Newest),
        &["Ok(1)", "Ok(2)"],
    );
}

#[test]
fn a_row_that_forms_is_whole_or_absent() {
    check_against(
        |block| {
            block.publish_forming(&row(5));
            block.publish_forming(&row(6));
            block.clear_forming();
        },
        |memory| read(memory, Which::Forming),
        &["Err(Absent)", "Err(Busy)", "Ok(5)", "Ok(6)"],
    );
}

#[test]
fn who_is_told_of_a_row_can_read_it() {
    let seen = Seen::default();
    let noted = seen.clone();
    model().check(move || {
        let memory = zeros(SymbolBlock::words(LAYOUT));
        let told = Arc::new(AtomicU64::new(0));
        let reader = {
            let (memory, told, noted) = (Arc::clone(&memory), Arc::clone(&told), noted.clone());
            thread::spawn(move || {
                if told.load(Ordering::Acquire) == 2 {
                    noted.note([Which::Newest, Which::Previous].map(|which| read(&memory, which)));
                }
            })
        };
        block(&memory).publish_closed(&row(1));
        block(&memory).publish_closed(&row(2));
        told.store(2, Ordering::Release);
        reader.join().expect("the reader does not fail");
    });
    seen.assert(&["[Ok(2), Ok(1)]"]);
}

fn spec(generation: u64) -> TableSpec {
    TableSpec {
        group: "g".to_owned(),
        version: "v".to_owned(),
        features: Vec::new(),
        capacity: 1,
        instance: [0; 16],
        epoch: 1,
        generation,
        heartbeat_limit: 1,
    }
}

fn table(generation: u64) -> (TableWriter<Memory>, Memory) {
    let spec = spec(generation);
    let memory = zeros(spec.layout().expect("it can be made").words());
    let writer = TableWriter::init(Arc::clone(&memory), &spec, 0).expect("it can be made");
    (writer, memory)
}

/// The value of the newest row, which has the same in all words.
fn newest(memory: &Memory) -> Result<u64, ReadError> {
    let reader = TableReader::open(Arc::clone(memory)).expect("the table is complete");
    let mut out = vec![0; LAYOUT.words()];
    let read = reader.read(0, Which::Newest, &mut out)?;
    let words = read.words();
    assert!(words.iter().all(|word| *word == words[0]), "torn: {words:?}");
    Ok(words[0])
}

#[test]
fn a_generation_is_closed_only_after_the_next_can_be_found_and_read() {
    let seen = Seen::default();
    let noted = seen.clone();
    model().check(move || {
        let symbol = Symbol::new("A").expect("a name");
        let (mut old, old_memory) = table(1);
        old.add_symbol(&symbol).expect("there is room");
        old.publish_closed(0, &vec![1; LAYOUT.words()]);
        let (mut new, new_memory) = table(2);
        // What the folder shows: the generation that was renamed last.
        let folder = Arc::new(AtomicU64::new(1));
        let reader = {
            let (folder, noted) = (Arc::clone(&folder), noted.clone());
            thread::spawn(move || {
                let mut found = newest(&old_memory);
                if let Err(ReadError::Closed { successor: Some(next) }) = found {
                    assert_eq!(folder.load(Ordering::Relaxed), next);
                    found = newest(&new_memory);
                }
                noted.note(found);
            })
        };
        new.add_symbol(&symbol).expect("there is room");
        new.publish_closed(0, &vec![2; LAYOUT.words()]);
        folder.store(2, Ordering::Relaxed);
        old.close(Some(2));
        reader.join().expect("the reader does not fail");
    });
    seen.assert(&["Ok(1)", "Ok(2)"]);
}
