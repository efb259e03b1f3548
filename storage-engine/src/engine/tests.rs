//! The spine end to end, in memory, small enough to follow by hand. The proofs at size are in the
//! package `barrow-tests`.

mod cells;
mod checkpoints;
mod copies;
mod live;
mod masks;
mod retention;
mod verifier;

use std::ops::ControlFlow;

use super::*;
use crate::batch::{Act, Batch, Counts, KnownAt, SourceFacts, Symbols};
use crate::disk::MemoryDisk;
use crate::rows::{Column, ColumnType, Texts, Values};
use crate::snapshot::{DeadLetter, LetterId, Revisions, Scan};
use barrow_types::{Align, ColumnId, DatasetId, Nanos, PriceSide, Step};

const MINUTE: i64 = 60_000_000_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_nanos(minute * MINUTE)
}

fn options() -> Options {
    Options { wal_file_bytes: 4_096, memtable_bytes_max: 1 << 20, ..Options::default() }
}

fn open(disk: &MemoryDisk) -> Engine {
    Engine::open(Arc::new(disk.clone()), options(), [7; 16]).unwrap().0
}

/// Bars of symbol A at these minutes with these closes, known at the minute given, if any.
fn bars(id: &str, rows: &[(i64, f64, Option<i64>)]) -> Batch {
    let close: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let price = || Column::new(Values::F64(close.clone()));
    let mut known_at = Column::empty(ColumnType::I64, 0);
    for (_, _, stated) in rows {
        match stated {
            Some(minute) => {
                let one = Column::new(Values::I64(vec![at(*minute).nanos()]));
                known_at.push_from(&one, 0);
            }
            None => known_at.push_null(),
        }
    }
    Batch {
        id: id.to_owned(),
        dataset: DatasetId::BARS,
        source: "test".to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: true,
        symbols: Symbols::one("A", rows.len()),
        ts: Column::new(Values::I64(rows.iter().map(|row| at(row.0).nanos()).collect())),
        known_at: Some(known_at),
        columns: vec![
            price(),
            price(),
            price(),
            price(),
            Column::nulls(ColumnType::F64, rows.len()),
            Column::nulls(ColumnType::F64, rows.len()),
            Column::nulls(ColumnType::I64, rows.len()),
        ],
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

fn text(value: &str) -> Column {
    let mut column = Column::empty(ColumnType::Text, 0);
    let mut texts = Texts::default();
    texts.push(value);
    column.push_from(&Column::new(Values::Text(texts)), 0);
    column
}

/// A fact about A that holds since a minute.
fn fact(
    id: &str,
    (dataset, source): (DatasetId, &str),
    minute: i64,
    columns: Vec<Column>,
) -> Batch {
    Batch {
        dataset,
        source: source.to_owned(),
        step: Step::Tick,
        ts: Column::new(Values::I64(vec![at(minute).nanos()])),
        known_at: None,
        columns,
        ..bars(id, &[(minute, 1.0, None)])
    }
}

/// A bar of a whole day.
fn day(id: &str, day: i64, close: f64) -> Batch {
    Batch { step: Step::D1, ..bars(id, &[(day * 1_440, close, None)]) }
}

fn send(engine: &mut Engine, batch: Batch, minute: i64) -> Applied {
    let prepared = prepare(batch, &engine.snapshot(), at(minute)).unwrap();
    let mut answers = engine.commit(vec![prepared], at(minute)).unwrap();
    engine.advance();
    answers.remove(0).unwrap()
}

#[test]
fn a_long_batch_is_scanned_in_pieces_that_hold_every_row_once() {
    let disk = Arc::new(MemoryDisk::new());
    let mut engine = Engine::open(disk, Options::default(), [7; 16]).unwrap().0;
    let count = 100_000;
    // Some minutes twice: a corrected row stays with the one that it corrects.
    let minutes = |step: usize| -> Vec<(i64, f64, Option<i64>)> {
        (0..count).step_by(step).map(|minute| (minute, step as f64, None)).collect()
    };
    send(&mut engine, bars("long", &minutes(1)), count);
    send(&mut engine, bars("corrections", &minutes(1_000)), count);
    let snapshot = engine.snapshot();
    let series = snapshot.series(DatasetId::BARS, Some("A"))[0].0;
    let mut scanner = snapshot
        .scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: vec![ColumnId::new(4)],
            as_of: None,
            at_sequence: None,
            revisions: Revisions::Visible,
        })
        .unwrap();
    let mut next = 0;
    while let Some(rows) = scanner.next().unwrap() {
        assert!(rows.len() <= 32_768, "{} rows", rows.len());
        let Values::F64(closes) = &rows.columns[0].values else { panic!("closes are f64") };
        for (ts, close) in rows.ts.iter().zip(closes) {
            let corrected = if next % 1_000 == 0 { 1_000.0 } else { 1.0 };
            assert_eq!((*ts, *close), (next * MINUTE, corrected));
            next += 1;
        }
    }
    assert_eq!(next, count);
}

fn flush(engine: &mut Engine) {
    let job = engine.plan_flush().unwrap();
    let disk = Arc::clone(&engine.disk);
    engine.install(job.run(&*disk)).unwrap();
}

/// "minute close" of what is visible at (T, N).
fn read(snapshot: &Snapshot, as_of: Option<i64>, at_sequence: Option<Sequence>) -> String {
    let Some((series, _)) = snapshot.series(DatasetId::BARS, Some("A")).pop() else {
        return String::new();
    };
    let mut scanner = snapshot
        .scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: vec![ColumnId::new(4)],
            as_of: as_of.map(at),
            at_sequence,
            revisions: Revisions::Visible,
        })
        .unwrap();
    let mut out = Vec::new();
    while let Some(rows) = scanner.next().unwrap() {
        let Values::F64(close) = &rows.columns[0].values else { panic!("doubles") };
        out.extend(rows.ts.iter().zip(close).map(|(ts, c)| format!("{} {c}", ts / MINUTE)));
    }
    out.join(", ")
}

#[test]
fn a_correction_is_visible_and_the_old_value_stays_readable() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    let first = send(&mut engine, bars("a", &[(0, 1.0, None), (1, 2.0, None)]), 10);
    assert_eq!(first.counts, Counts { accepted: 2, ..Counts::default() });
    let second = send(&mut engine, bars("b", &[(1, 2.5, None), (0, 1.0, None)]), 20);
    assert_eq!(second.counts, Counts { corrected: 1, duplicates: 1, ..Counts::default() });
    for reopened in [false, true] {
        for flushed in [false, true] {
            if flushed && engine.stats().memtable_rows > 0 {
                flush(&mut engine);
            }
            let now = engine.snapshot();
            assert_eq!(read(&now, None, None), "0 1, 1 2.5");
            assert_eq!(read(&now, Some(19), None), "0 1, 1 2");
            assert_eq!(read(&now, None, Some(first.sequence)), "0 1, 1 2");
            assert_eq!(read(&now, Some(9), None), "");
        }
        if !reopened {
            engine.close(at(30)).unwrap();
            engine = open(&disk);
        }
    }
    let report = crate::verify(&(Arc::new(disk) as Arc<dyn Disk>)).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn a_row_known_earlier_is_superseded_but_visible_at_its_time() {
    let mut engine = open(&MemoryDisk::new());
    send(&mut engine, bars("a", &[(0, 2.0, Some(8))]), 10);
    let late = send(&mut engine, bars("b", &[(0, 1.0, Some(5))]), 20);
    assert_eq!(late.counts, Counts { superseded: 1, ..Counts::default() });
    let now = engine.snapshot();
    assert_eq!(read(&now, None, None), "0 2");
    assert_eq!(read(&now, Some(7), None), "0 1");
    assert_eq!(read(&now, Some(4), None), "");
    let equal = send(&mut engine, bars("c", &[(0, 1.0, Some(6))]), 30);
    assert_eq!(equal.counts, Counts { duplicates: 1, ..Counts::default() });
}

#[test]
fn a_policy_dates_the_first_row_of_a_key_only() {
    let mut engine = open(&MemoryDisk::new());
    let mut load = bars("a", &[(0, 1.0, None)]);
    load.known_at_policy = KnownAt::TsEnd(Nanos::new(MINUTE));
    send(&mut engine, load, 100);
    let mut again = bars("b", &[(0, 3.0, None)]);
    again.known_at_policy = KnownAt::TsEnd(Nanos::new(MINUTE));
    assert_eq!(send(&mut engine, again, 200).counts.corrected, 1);
    for _ in 0..2 {
        let now = engine.snapshot();
        assert_eq!(read(&now, Some(1), None), "");
        assert_eq!(read(&now, Some(2), None), "0 1");
        assert_eq!(read(&now, Some(199), None), "0 1");
        assert_eq!(read(&now, Some(200), None), "0 3");
        if engine.stats().memtable_rows > 0 {
            flush(&mut engine);
        }
    }
}

#[test]
fn a_retraction_hides_its_key_and_erases_nothing() {
    let mut engine = open(&MemoryDisk::new());
    send(&mut engine, bars("a", &[(0, 1.0, None), (1, 2.0, None)]), 10);
    let all = crate::retraction_of("a", "r", &engine.snapshot()).unwrap().unwrap();
    assert_eq!(send(&mut engine, all, 20).counts.accepted, 2);
    assert!(crate::retraction_of("a", "s", &engine.snapshot()).unwrap().is_none());
    assert_eq!(read(&engine.snapshot(), None, None), "");
    assert_eq!(read(&engine.snapshot(), Some(15), None), "0 1, 1 2");
    assert!(engine.snapshot().newest(barrow_types::SeriesId::new(4)).unwrap().is_none());
    assert_eq!(send(&mut engine, bars("b", &[(0, 1.0, None)]), 30).counts.accepted, 1);
    assert_eq!(read(&engine.snapshot(), None, None), "0 1");
}

#[test]
fn a_repeated_batch_is_answered_again_and_another_content_is_a_conflict() {
    let mut engine = open(&MemoryDisk::new());
    let first = send(&mut engine, bars("a", &[(0, 1.0, None)]), 10);
    for _ in 0..2 {
        let again = send(&mut engine, bars("a", &[(0, 1.0, None)]), 20);
        assert_eq!((again.sequence, again.now, again.repeated), (first.sequence, first.now, true));
        let other = prepare(bars("a", &[(0, 2.0, None)]), &engine.snapshot(), at(20));
        assert_eq!(other.err().map(|error| error.kind()), Some(ErrorKind::Conflict));
        if engine.stats().memtable_rows > 0 {
            flush(&mut engine);
        }
    }
}

#[test]
fn batches_of_one_group_see_each_other() {
    let mut engine = open(&MemoryDisk::new());
    let snapshot = engine.snapshot();
    let group = [("a", 1.0), ("b", 1.0), ("c", 2.0), ("a", 1.0), ("a", 5.0)]
        .map(|(id, close)| prepare(bars(id, &[(0, close, None)]), &snapshot, at(10)).unwrap());
    let answers = engine.commit(group.into(), at(10)).unwrap();
    let counts: Vec<_> =
        answers.iter().map(|a| a.as_ref().map(|a| (a.counts, a.repeated))).collect();
    let one = Counts::default();
    assert_eq!(counts[0], Ok((Counts { accepted: 1, ..one }, false)));
    assert_eq!(counts[1], Ok((Counts { duplicates: 1, ..one }, false)));
    assert_eq!(counts[2], Ok((Counts { corrected: 1, ..one }, false)));
    assert_eq!(counts[3], Ok((Counts { accepted: 1, ..one }, true)));
    assert_eq!(answers[4].as_ref().map_err(Error::kind), Err(ErrorKind::Conflict));
    assert_eq!(engine.stats().syncs, 1);
    assert_eq!(read(&engine.snapshot(), None, None), "0 2");
}

#[test]
fn a_name_that_stands_twice_in_the_dictionary_is_one_symbol() {
    let mut engine = open(&MemoryDisk::new());
    for (id, names) in [("a", ["A", "B", "A"]), ("b", ["B", "A", "A"])] {
        let known = engine.snapshot().series(DatasetId::BARS, None).len();
        let first = if known == 0 { 0 } else { 10 };
        let at = |minute: i64| first + minute;
        let rows = [(at(1), 1.0, None), (at(0), 2.0, None), (at(1), 3.0, None), (at(1), 4.0, None)];
        let mut batch = bars(id, &rows);
        batch.symbols.names = names.map(str::to_owned).into();
        batch.symbols.of_row = if known == 0 { vec![0, 2, 1, 2] } else { vec![1, 2, 0, 1] };
        let counts = send(&mut engine, batch, 30).counts;
        assert_eq!((counts.accepted, counts.corrected), (3, 1));
    }
    assert_eq!(engine.snapshot().series(DatasetId::BARS, None).len(), 2);
    assert_eq!(read(&engine.snapshot(), None, None), "0 2, 1 4, 10 2, 11 4");
}

#[test]
fn a_batch_that_has_to_be_prepared_anew_is_whole() {
    let mut engine = open(&MemoryDisk::new());
    let snapshot = engine.snapshot();
    let stale = prepare(bars("a", &[(0, 1.0, None), (1, 2.0, None)]), &snapshot, at(10)).unwrap();
    send(&mut engine, bars("b", &[(1, 3.0, None)]), 10);
    let answer = engine.commit(vec![stale], at(10)).unwrap().remove(0).unwrap();
    assert_eq!(answer.counts, Counts { accepted: 1, corrected: 1, ..Counts::default() });
    assert_eq!(read(&engine.snapshot(), None, None), "0 1, 1 2");
    let again = send(&mut engine, bars("a", &[(0, 1.0, None), (1, 2.0, None)]), 10);
    assert!(again.repeated, "the content is what it was");
}

#[test]
fn what_cannot_be_stored_becomes_a_dead_letter() {
    let mut engine = open(&MemoryDisk::new());
    let mut batch = bars("a", &[(0, f64::NAN, None), (1, 1.0, None), (99, 1.0, None)]);
    batch.facts = Some(SourceFacts { session: "regular".to_owned(), align: "session".to_owned() });
    let answer = send(&mut engine, batch, 10);
    assert_eq!(answer.counts, Counts { accepted: 1, rejected: 2, ..Counts::default() });
    flush(&mut engine);
    let letters = engine.snapshot().dead_letters(|id| id == "a", None, 10).unwrap();
    let reasons: Vec<_> = letters.iter().map(|l| (l.row, l.reason.as_str())).collect();
    assert_eq!(reasons, [(0, "non_finite"), (2, "future_ts")]);
    assert!(letters[0].raw.starts_with("symbol=\"A\" ts=0 open=NaN"), "{}", letters[0].raw);
    let facts = engine.snapshot().source_facts(None, None).unwrap();
    assert_eq!((facts[0].source.as_str(), facts[0].step), ("test", Step::M1.code()));
}

#[test]
fn dead_letters_have_names_that_last_and_pages_that_miss_none() {
    let mut engine = open(&MemoryDisk::new());
    for (id, rows) in [("a", 2), ("b", 1), ("c", 3)] {
        let bad: Vec<_> = (0..rows).map(|ts| (ts, f64::NAN, None)).collect();
        send(&mut engine, bars(id, &bad), 10);
    }
    let names = |letters: Vec<DeadLetter>| {
        let name = |l: &DeadLetter| format!("{}{}", l.batch_id, l.id.place);
        letters.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    for is_flushed in [false, true] {
        if is_flushed {
            flush(&mut engine);
        }
        let snapshot = engine.snapshot();
        let all = snapshot.dead_letters(|_| true, None, usize::MAX).unwrap();
        assert_eq!(names(all.clone()), "c0 c1 c2 b0 a0 a1", "flushed: {is_flushed}");
        for letter in &all {
            assert_eq!(snapshot.dead_letter(letter.id).unwrap().as_ref(), Some(letter));
        }
        for limit in 1..8 {
            let mut pages = Vec::new();
            let mut after = None;
            loop {
                let page = snapshot.dead_letters(|_| true, after, limit).unwrap();
                let Some(last) = page.last() else { break };
                assert!(page.len() <= limit);
                after = Some(last.id);
                pages.extend(page);
            }
            assert_eq!(pages, all, "limit {limit}, flushed: {is_flushed}");
        }
        let of_a = snapshot.dead_letters(|id| id == "a", None, 1).unwrap();
        assert_eq!(names(of_a), "a0");
        let missing = LetterId { place: 3, ..all[0].id };
        assert_eq!(snapshot.dead_letter(missing).unwrap(), None);
    }
}

fn compact(engine: &mut Engine, scope: Scope) -> Option<u64> {
    let job = engine.plan_compaction(scope)?;
    let bytes = job.bytes();
    let disk = Arc::clone(&engine.disk);
    engine.install_compaction(job.run(&*disk, &mut |_| ControlFlow::Continue(()))).unwrap();
    Some(bytes)
}

#[test]
fn a_compaction_changes_files_and_no_answer() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    for round in 0..5 {
        let minute = 10 + round;
        let late = bars(&format!("late {round}"), &[(round % 2, 7.0, Some(minute - 5))]);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let price = round as f64;
        send(
            &mut engine,
            bars(&format!("{round}"), &[(0, price, None), (round, 1.0, None)]),
            minute,
        );
        send(&mut engine, late, minute);
        flush(&mut engine);
    }
    let last = engine.snapshot().sequence().get();
    let all = |engine: &Engine| -> Vec<String> {
        let times = [None, Some(5), Some(10), Some(11), Some(12), Some(13), Some(14)];
        let sequences = (0..=last).map(|sequence| Some(Sequence::new(sequence)));
        let questions = sequences.flat_map(|sequence| times.map(|as_of| (as_of, sequence)));
        questions.map(|(as_of, at)| read(&engine.snapshot(), as_of, at)).collect()
    };
    let before = all(&engine);
    let reader = engine.snapshot();
    let newest = read(&reader, None, None);
    assert!(compact(&mut engine, Scope::All).is_some());
    assert_eq!(compact(&mut engine, Scope::All), None, "everything is in one place");
    assert_eq!(all(&engine), before);
    assert_eq!(engine.stats().segments, 1);
    assert_eq!(disk.list(segment::DIR).unwrap().len(), 6, "a reader still holds the old files");
    assert_eq!(read(&reader, None, None), newest);
    drop(reader);
    engine.advance();
    assert_eq!(disk.list(segment::DIR).unwrap().len(), 1);
    engine.close(at(20)).unwrap();
    let engine = open(&disk);
    assert_eq!(all(&engine), before);
    let report = crate::verify_live(&engine.snapshot());
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn a_compaction_that_is_stopped_leaves_no_file() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    for round in 0..3 {
        send(&mut engine, bars(&format!("{round}"), &[(round, 1.0, None)]), 10 + round);
        flush(&mut engine);
    }
    let files = disk.list(segment::DIR).unwrap();
    let job = engine.plan_compaction(Scope::All).unwrap();
    let done = job.run(&disk, &mut |_| ControlFlow::Break(()));
    let error = engine.install_compaction(done).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert_eq!(disk.list(segment::DIR).unwrap(), files);
    assert_eq!(read(&engine.snapshot(), None, None), "0 1, 1 1, 2 1");
    assert!(compact(&mut engine, Scope::All).is_some(), "and it may be tried again");
}

#[test]
fn runs_of_one_size_are_compacted_when_there_are_enough() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    for round in 0..i64::from(options().compact_fan_out) {
        assert!(!engine.compaction_due(), "after {round} flushes");
        send(&mut engine, bars(&format!("{round}"), &[(round, 1.0, None)]), 10 + round);
        flush(&mut engine);
    }
    assert!(engine.compaction_due());
    assert!(compact(&mut engine, Scope::Due).is_some());
    assert!(!engine.compaction_due());
    let stats = engine.stats();
    assert_eq!((stats.segments, stats.compactions), (1, 1));
}

#[test]
fn a_series_that_has_grown_gets_a_file_of_its_own() {
    let disk = MemoryDisk::new();
    let small = Options { own_file_bytes: 2_000, pack_bytes_max: 8_000, ..options() };
    let mut engine = Engine::open(Arc::new(disk.clone()), small, [7; 16]).unwrap().0;
    for round in 0..4 {
        let rows: Vec<(i64, f64, Option<i64>)> = (0..400)
            .map(|at| (round * 400 + at, f64::from(u32::try_from(at * at % 97).unwrap()), None))
            .collect();
        send(&mut engine, bars(&format!("{round}"), &rows), 10_000 + round);
        flush(&mut engine);
    }
    let before = read(&engine.snapshot(), None, None);
    compact(&mut engine, Scope::All).unwrap();
    let generation = engine.published.generation();
    let own = generation.segments.iter().filter(|segment| segment.is_own_file());
    let series: Vec<_> = own.map(|segment| segment.extents[0].series).collect();
    let bars = engine.snapshot().series(DatasetId::BARS, Some("A"))[0].0;
    assert!(series.contains(&bars) && generation.segments.len() > 1);
    assert_eq!(read(&engine.snapshot(), None, None), before);
}
