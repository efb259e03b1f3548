//! Ranges of features that go on from a state part of the way through a series: the same cells as
//! from the begin, whatever came since.

use super::*;
use crate::features::{
    Definition, FeatureBars, FeatureGroup, FeaturePiece, FeatureRule, FeatureScan, LiveRow, Way,
};
use crate::vintage::Vintage;

const SLOTS: i64 = 40_000;

fn engine() -> Engine {
    let options = Options { checkpoint_slots: 1_000, memtable_bytes_max: 64 << 20, ..options() };
    Engine::open(Arc::new(MemoryDisk::new()), options, [7; 16]).unwrap().0
}

/// Minutes 0, 1, ... of A, all of them known.
fn filled() -> Engine {
    let mut engine = engine();
    let rows: Vec<(i64, f64, Option<i64>)> =
        (0..SLOTS).map(|minute| (minute, (minute % 17 + 1) as f64, None)).collect();
    send(&mut engine, bars("all", &rows), SLOTS);
    engine
}

fn recursions() -> Arc<FeatureGroup> {
    let mut definition = Definition::new("r", FeatureBars::every(Step::M1));
    definition.features =
        vec![FeatureRule::new("e", "EMA($close, 30)"), FeatureRule::new("n", "CumCount($close)")];
    Arc::new(FeatureGroup::new(definition).unwrap())
}

/// The slots from one minute on, up to another.
fn ask(engine: &Engine, group: &Arc<FeatureGroup>, (start, end): (i64, i64)) -> Vec<LiveRow> {
    ask_at(engine, group, (start, end), None)
}

fn ask_at(
    engine: &Engine,
    group: &Arc<FeatureGroup>,
    (start, end): (i64, i64),
    at_sequence: Option<Sequence>,
) -> Vec<LiveRow> {
    let scan = FeatureScan {
        instrument: "A".into(),
        group: Arc::clone(group),
        start: at(start),
        end: at(end),
        as_of: None,
        at_sequence,
        due: Timestamp::MAX,
        since: Timestamp::MIN,
        vintage: Vintage::Final,
        way: Way::Columns,
    };
    let mut rows = Vec::new();
    let mut features = engine.snapshot().features(&scan).unwrap();
    while let Some(piece) = features.next().unwrap() {
        let row = |at| LiveRow::of_piece(&piece, at);
        let piece: &FeaturePiece = &piece;
        rows.extend((0..piece.len()).map(row));
    }
    rows
}

fn used(engine: &Engine) -> u64 {
    engine.reader().checkpoints().used
}

/// The last minutes, asked for alone, are what the whole range says of them.
fn assert_same(engine: &Engine, group: &Arc<FeatureGroup>) {
    let last = ask(engine, group, (SLOTS - 10, SLOTS));
    let all = ask(engine, group, (0, SLOTS));
    assert_eq!(last.len(), 10);
    assert_eq!(last, all[all.len() - 10..]);
}

#[test]
fn a_late_range_goes_on_from_the_last_state_before_it() {
    let (engine, group) = (filled(), recursions());
    let all = ask(&engine, &group, (0, SLOTS));
    let kept = engine.reader().checkpoints();
    assert!(kept.kept == 40 && kept.used == 0, "{kept:?}");
    for start in [SLOTS - 1, SLOTS / 2, 1_001] {
        let before = used(&engine);
        let end = SLOTS.min(start + 500);
        let late = ask(&engine, &group, (start, end));
        let is_asked =
            |row: &&LiveRow| (at(start)..at(end)).contains(&Timestamp::from_nanos(row.ts));
        assert!(late.iter().eq(all.iter().filter(is_asked)), "from {start}");
        assert_eq!(used(&engine), before + 1, "from {start}");
    }
    // Nothing was kept before the first slots, and another group has states of its own.
    assert_eq!(ask(&engine, &group, (5, 7)), all[5..7]);
    assert_eq!(used(&engine), 3);
}

#[test]
fn a_row_behind_a_state_leaves_it_and_one_before_it_does_not() {
    let (mut engine, group) = (filled(), recursions());
    ask(&engine, &group, (0, SLOTS));
    send(&mut engine, bars("newer", &[(SLOTS, 3.0, None)]), SLOTS + 1);
    assert_same(&engine, &group);
    assert_eq!(used(&engine), 1, "all states lie before the new row");
    send(&mut engine, bars("corrected", &[(SLOTS / 2, 99.0, None)]), SLOTS + 2);
    let before = used(&engine);
    assert_same(&engine, &group);
    let behind = engine.snapshot().sequence();
    assert_eq!(used(&engine), before + 1, "those before the corrected row are right");
    send(&mut engine, bars("first", &[(0, 50.0, None)]), SLOTS + 3);
    let before = used(&engine);
    let changed = ask(&engine, &group, (SLOTS - 10, SLOTS));
    assert_eq!(used(&engine), before, "none is right");
    // What Barrow held before is not what the newest states say.
    let earlier = ask_at(&engine, &group, (SLOTS - 10, SLOTS), Some(behind));
    assert_eq!(earlier.len(), changed.len());
    assert!(earlier.iter().zip(&changed).all(|(one, other)| one.sequence < other.sequence));
    assert_same(&engine, &group);
}

#[test]
fn a_late_range_is_right_after_a_flush_and_after_rows_that_came_before_it() {
    let (mut engine, group) = (filled(), recursions());
    flush(&mut engine);
    assert_same(&engine, &group);
    send(&mut engine, bars("late", &[(-5, 7.0, None)]), SLOTS + 1);
    assert_same(&engine, &group);
    flush(&mut engine);
    assert_same(&engine, &group);
}

#[test]
fn without_memory_for_states_none_is_kept() {
    let options = Options { checkpoint_bytes_max: 0, checkpoint_slots: 1, ..options() };
    let mut engine = Engine::open(Arc::new(MemoryDisk::new()), options, [7; 16]).unwrap().0;
    let rows: Vec<(i64, f64, Option<i64>)> = (0..50).map(|minute| (minute, 1.0, None)).collect();
    send(&mut engine, bars("all", &rows), 50);
    let all = ask(&engine, &recursions(), (0, 50));
    assert_eq!(ask(&engine, &recursions(), (40, 50)), all[40..]);
    assert_eq!((engine.reader().checkpoints().kept, used(&engine)), (0, 0));
}
