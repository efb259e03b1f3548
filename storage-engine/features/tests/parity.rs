//! Whatever way cells are computed, they are equal in every bit and in their reasons.

mod support;

use barrow_features::{Cell, Column, ContextId, History, Live, Plan, Row};
use proptest::prelude::*;
use support::random::{Kind, Random};
use support::{Builder, history, inputs, naive, random};

const ROOT: ContextId = ContextId(0);

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Market),
        2 => Just(Kind::Ties),
        1 => Just(Kind::Constant),
        2 => Just(Kind::Extreme),
        1 => Just(Kind::Empty),
    ]
}

fn assert_equal(one: &[Column], other: &[Column], plan: &Builder, what: &str) {
    for (at, (one, other)) in one.iter().zip(other).enumerate() {
        assert_eq!(one.len(), other.len(), "{what}: lengths of output {at}");
        for slot in 0..one.len() {
            let (x, y) = (one.cell(slot), other.cell(slot));
            let same = x.reason() == y.reason()
                && x.value().map(f64::to_bits) == y.value().map(f64::to_bits);
            let node = plan.graph.outputs[at].node.0 as usize;
            assert!(
                same,
                "{what}: node {node} {:?} at slot {}: {x:?} and {y:?}",
                plan.graph.nodes[node],
                slot + 1
            );
        }
    }
}

/// In chunks that end at random places, saved and restored now and then.
fn in_chunks(plan: &Plan, rows: &[Row], random: &mut Random) -> Vec<Column> {
    let mut out = vec![Column::new(); plan.exports(ROOT)];
    let inputs = inputs(rows);
    let mut history = History::new(plan, ROOT);
    let mut at = 0;
    while at < rows.len() {
        let longest = random.pick(&[1, 3, 40, 300]);
        let end = (at + 1 + random.below(longest)).min(rows.len());
        history.run_part(plan, &inputs, &[], at..end, &mut out);
        if random.below(4) == 0 {
            history =
                History::restore(plan, ROOT, &history.save(plan)).expect("saved a moment ago");
        }
        at = end;
    }
    out
}

fn live(plan: &Plan, rows: &[Row], random: &mut Random) -> Vec<Column> {
    let mut out = vec![Column::new(); plan.exports(ROOT)];
    let mut live = Live::new(plan, ROOT);
    let mut copy = Live::new(plan, ROOT);
    let mut scratch = Live::scratch(plan, ROOT);
    for row in rows {
        let peeked: Vec<Cell> = if random.below(3) == 0 {
            let other = random.pick(&[row, &rows[0]]);
            let _ = live.peek(&mut copy, plan, &mut scratch, other, &[]);
            live.peek(&mut copy, plan, &mut scratch, row, &[]).iter().collect()
        } else {
            Vec::new()
        };
        let cells = live.advance(plan, &mut scratch, row, &[]);
        if !peeked.is_empty() {
            assert_eq!(peeked, cells.iter().collect::<Vec<_>>(), "peek and advance");
        }
        cells.iter().zip(&mut out).for_each(|(cell, column)| column.push(cell));
        if random.below(9) == 0 {
            let restored = Live::restore(plan, ROOT, &live.save(plan)).expect("saved a moment ago");
            assert!(restored.state_eq(&live, plan));
            live = restored;
        }
    }
    out
}

/// As many cases as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let is_said = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_said { default.cases } else { 100 }, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn chunks_restarts_and_single_slots_change_nothing(
        seed: u64, kind in kinds(), len in 1_usize..400,
    ) {
        let random = &mut Random(seed);
        let builder = random::graph(random, true);
        let plan = builder.plan();
        let rows = random::rows(random, kind, len);
        let whole = history(&plan, &rows);
        assert_equal(&whole, &in_chunks(&plan, &rows, random), &builder, "chunks");
        assert_equal(&whole, &live(&plan, &rows, random), &builder, "live");
    }

    #[test]
    fn a_later_start_changes_nothing_after_the_lookback(
        seed: u64, kind in kinds(), len in 1_usize..400,
    ) {
        let random = &mut Random(seed);
        let builder = random::graph(random, false);
        let plan = builder.plan();
        let rows = random::rows(random, kind, len);
        let whole = history(&plan, &rows);
        let lookback = usize::try_from(plan.lookback(ROOT).unwrap()).unwrap();
        let start = random.below(len);
        let mut late = History::after(&plan, ROOT, start as u64);
        let mut out = vec![Column::new(); plan.exports(ROOT)];
        late.run_part(&plan, &inputs(&rows), &[], start..len, &mut out);
        let usable = |column: &Column, from: usize| -> Column {
            (from..column.len()).map(|slot| column.cell(slot)).collect()
        };
        let whole: Vec<_> = whole.iter().map(|c| usable(c, len.min(start + lookback))).collect();
        let out: Vec<_> = out.iter().map(|c| usable(c, (len - start).min(lookback))).collect();
        assert_equal(&whole, &out, &builder, "a later start");
    }

    #[test]
    fn a_plain_evaluator_finds_the_same(
        seed: u64, kind in kinds(), len in 1_usize..120,
    ) {
        let random = &mut Random(seed);
        let builder = random::graph(random, true);
        let rows = random::rows(random, kind, len);
        let own = std::slice::from_ref(&rows);
        let plain = naive::evaluate(&builder.graph, own, &|_, _| Vec::new());
        let plain: Vec<Column> = builder.graph.outputs.iter()
            .map(|output| plain[output.node.0 as usize].iter().copied().collect())
            .collect();
        assert_equal(&history(&builder.plan(), &rows), &plain, &builder, "plain");
    }

    #[test]
    fn states_are_equal_when_the_windows_have_passed(
        seed: u64, len in 1_usize..60, late in 0_usize..60,
    ) {
        let random = &mut Random(seed);
        let builder = random::graph(random, false);
        let plan = builder.plan();
        let lookback = usize::try_from(plan.lookback(ROOT).unwrap()).unwrap();
        let mut rows = random::rows(random, Kind::Market, len + late + lookback);
        let state = |rows: &[Row]| {
            let mut history = History::new(&plan, ROOT);
            let mut out = vec![Column::new(); plan.exports(ROOT)];
            history.run(&plan, &inputs(rows), &[], &mut out);
            history.save(&plan)
        };
        let before = state(&rows);
        rows[late.min(len - 1)] = random::rows(random, Kind::Market, 1).remove(0);
        let after = state(&rows);
        prop_assert_eq!(before, after);
    }
}

#[test]
fn bytes_of_another_plan_or_length_or_with_bad_numbers_are_refused() {
    let random = &mut Random(7);
    let plan = random::graph(random, true).plan();
    let rows = random::rows(random, Kind::Market, 50);
    let mut live = Live::new(&plan, ROOT);
    let mut scratch = Live::scratch(&plan, ROOT);
    for row in &rows {
        let _ = live.advance(&plan, &mut scratch, row, &[]);
    }
    let good = live.save(&plan);
    assert!(Live::restore(&plan, ROOT, &good).is_ok());
    let what = |bytes: &[u8]| Live::restore(&plan, ROOT, bytes).unwrap_err().what;
    assert_eq!(what(&good[1..]), "it has another length");
    assert_eq!(what(&[]), "it has another length");
    let mut other = good.clone();
    other[0] ^= 1;
    assert_eq!(what(&other), "it is of another plan");
    let mut nan = good.clone();
    nan[16..24].copy_from_slice(&f64::NAN.to_le_bytes());
    assert_eq!(what(&nan), "it has a number that is not finite, or -0");
    let mut reason = good;
    *reason.last_mut().unwrap() = 200;
    assert_eq!(what(&reason), "it has a null with a value or with an unknown reason");
}
