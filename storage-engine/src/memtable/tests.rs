//! Runs as series see them, and bytes as they are counted.

use super::*;
use crate::rows::{Column, Values};

fn rows(ts: &[i64], sequence: u64) -> Rows {
    Rows {
        ts: ts.to_vec(),
        sequence: vec![sequence; ts.len()],
        known_at: vec![sequence.cast_signed() * 10; ts.len()],
        flags: vec![0; ts.len()],
        columns: vec![Column::new(Values::I64(ts.to_vec()))],
    }
}

fn push(memtable: &Memtable, series: SeriesId, ts: &[i64], sequence: u64) {
    memtable.push(rows(ts, sequence), &[(series, 0..ts.len())]);
}

/// Bytes that the memtable holds, counted anew.
fn bytes_of(memtable: &Memtable) -> u64 {
    memtable.above(Sequence::ZERO).bytes()
}

#[test]
fn many_commits_leave_few_runs_with_every_row_in_order() {
    let memtable = Memtable::with_slots(1);
    let series = SeriesId::new(0);
    for sequence in 1..=1_000_u64 {
        let ts = (sequence * 7 % 1_000).cast_signed();
        push(&memtable, series, &[ts], sequence);
        memtable.coalesce(&[series], Sequence::ZERO);
    }
    let runs = memtable.slot(series).unwrap().runs();
    assert!(runs.len() <= 28, "{} runs", runs.len());
    assert_eq!(merge(&runs, []).ts, (0..1_000).collect::<Vec<_>>());
    assert_eq!(memtable.rows(), 1_000);
    assert_eq!(memtable.bytes(), bytes_of(&memtable));
}

#[test]
fn series_share_the_rows_of_a_batch_and_of_a_join() {
    let memtable = Memtable::with_slots(3);
    let series = [0, 1, 2].map(SeriesId::new);
    for sequence in 1..=20_u64 {
        let ts = sequence.cast_signed();
        let ranges = [(series[0], 0..2), (series[1], 2..3), (series[2], 3..4)];
        memtable.push(rows(&[ts, ts + 100, -ts, ts], sequence), &ranges);
        // The last series is left as it is: it holds on to the batches.
        memtable.coalesce(&series[..2], Sequence::ZERO);
        assert_eq!(memtable.bytes(), bytes_of(&memtable));
    }
    let runs = |at: usize| memtable.slot(series[at]).unwrap().runs();
    assert_eq!([runs(0).len(), runs(1).len(), runs(2).len()], [6, 6, 20]);
    let expected: Vec<i64> = (1..=20).chain(101..=120).collect();
    assert_eq!(merge(&runs(0), []).ts, expected);
    assert_eq!(merge(&runs(1), []).ts, (-20..=-1).collect::<Vec<_>>());
    assert_eq!(memtable.slot(series[0]).unwrap().ts_max(), Some(120));
    let before = memtable.bytes();
    memtable.coalesce(&series[2..], Sequence::ZERO);
    assert!(memtable.bytes() < before, "the batches that were joined are let go");
    assert_eq!(memtable.bytes(), bytes_of(&memtable));
}

#[test]
fn a_flush_in_progress_is_not_joined_with_what_comes_after_it() {
    let memtable = Memtable::with_slots(1);
    let series = SeriesId::new(0);
    (1..=9_u64).for_each(|sequence| push(&memtable, series, &[sequence.cast_signed()], sequence));
    memtable.coalesce(&[series], Sequence::new(2));
    assert_eq!(memtable.slot(series).unwrap().runs().len(), 9);
    memtable.coalesce(&[series], Sequence::new(1));
    assert_eq!(memtable.slot(series).unwrap().runs().len(), 2);
    let rest = memtable.above(Sequence::new(1));
    assert_eq!(rest.slot(series).unwrap().runs()[0].ts(), (2..=9).collect::<Vec<_>>());
    assert_eq!(rest.rows(), 8);
}
