//! Small examples whose results were worked out by hand.

mod support;

use barrow_features::{Cell, ContextId, Field, History, Link, Live, NodeId, Operator as O, align};
use barrow_types::Reason;
use support::{Builder, cell, closes, columns, history, inputs};

/// The cells of an operator of `$close`, within a rounding of numbers that are not exact.
fn check(op: O, slots: u32, numbers: &[f64], closes_text: &str, expected: &str) {
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    let node = b.op(op, &[close], slots, numbers);
    compare(&b, node, &closes(closes_text), expected, &format!("{op:?}"));
}

/// The cells of an operator of `$close` and `$volume`.
fn check_two(op: O, slots: u32, numbers: &[f64], x: &str, y: &str, expected: &str) {
    let mut b = Builder::new();
    let (close, volume) = (b.field(Field::Close), b.field(Field::Volume));
    let node = b.op(op, &[close, volume], slots, numbers);
    let rows = columns(&[(Field::Close, x), (Field::Volume, y)]);
    compare(&b, node, &rows, expected, &format!("{op:?}"));
}

fn compare(b: &Builder, node: NodeId, rows: &[barrow_features::Row], expected: &str, what: &str) {
    let mut b = Builder { graph: b.graph.clone() };
    b.output("x", node);
    let found = &history(&b.plan(), rows)[0];
    let expected: Vec<Cell> = expected.split_whitespace().map(cell).collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (slot, expected) in expected.iter().enumerate() {
        let found = found.cell(slot);
        assert_eq!(found.reason(), expected.reason(), "{what} at slot {}", slot + 1);
        if let (Some(found), Some(expected)) = (found.value(), expected.value()) {
            let near = (found - expected).abs() <= 1e-12 * expected.abs().max(1e-3);
            assert!(near, "{what} at slot {}: {found}, not {expected}", slot + 1);
        }
    }
}

#[test]
fn sums_means_and_counts_leave_nulls_out() {
    check(O::Sum, 3, &[], "1 2 . 4 . . .", "1 3 3 6 4 4 f");
    check(O::Mean, 3, &[], "1 2 . 4 . . .", "1 1.5 1.5 3 4 4 f");
    check(O::Count, 3, &[], "1 2 . 4 . . .", "1 2 2 2 1 1 0");
    check(O::CountIf, 3, &[], "1 0 . 4 . . .", "1 1 1 1 1 1 f");
    check(O::Frac, 3, &[], "1 0 . 4 . . .", "1 0.5 0.5 0.5 1 1 f");
    check(O::Prod, 3, &[], "2 3 . 5 1e308", "2 6 6 15 inf");
}

#[test]
fn a_mean_does_not_leave_the_range_of_its_numbers() {
    let thirds = "0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1";
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    for n in 1..=12 {
        let mean = b.op(O::Mean, &[close], n, &[]);
        let std = b.op(O::Std, &[close], n, &[0.0]);
        b.output("mean", mean);
        b.output("std", std);
    }
    for column in history(&b.plan(), &closes(thirds)).chunks(2) {
        assert!(column[0].values().iter().all(|mean| mean.to_bits() == 0.1_f64.to_bits()));
        assert!(column[1].values().iter().all(|std| *std == 0.0));
    }
}

#[test]
fn spread_and_shape_of_1_2_4_8() {
    // Mean 3.75; deviations -2.75 -1.75 0.25 4.25; squares 7.5625 3.0625 0.0625 18.0625 = 28.75.
    check(O::Var, 4, &[1.0], "1 2 4 8", "f 0.5 2.3333333333333333 9.583333333333334");
    check(O::Var, 4, &[0.0], "1 2 4 8", "0 0.25 1.5555555555555556 7.1875");
    check(O::Std, 4, &[0.0], "1 2 4 8", "0 0.5 1.247219128924647 2.680951323690902");
    check(O::Sem, 2, &[], "1 3 3", "f 1 0");
    check(O::Cv, 2, &[], "1 3 -3", "f 0.7071067811865476 inf");
    check(O::ZScore, 2, &[], "1 3 3 .", "f 0.7071067811865476 inf f");
    // Cubes -20.796875 -5.359375 0.015625 76.765625 = 50.625: m3 12.65625, m2 7.1875.
    // G1 = sqrt(12)/2 * 12.65625 / 7.1875^1.5.
    check(O::Skew, 4, &[], "1 2 4 8", "f f 0.9352195295828235 1.1376243669576889");
    // Fourths 57.19140625 9.37890625 0.00390625 326.25390625 = 392.828125: m4 98.20703125.
    // g2 = 98.20703125/51.66015625 - 3 = -1.0989792060491496; G2 = 3/2 (5 g2 + 6).
    check(O::Kurt, 4, &[], "1 2 4 8", "f f f 0.757655954631378");
    check(O::Mad, 4, &[], "1 2 4 8", "0 0.5 1.1111111111111112 2.25");
    // Median 3; deviations 2 1 1 5; their median 1.5.
    check(O::MedAd, 4, &[], "1 2 4 8", "0 0.5 1 1.5");
    check(O::Skew, 3, &[], "1 1 1", "f f inf");
}

#[test]
fn extremes_and_their_places() {
    check(O::Max, 3, &[], "1 3 3 . 2 2 .", "1 3 3 3 3 2 2");
    check(O::Min, 3, &[], "1 3 3 . 2 2 .", "1 1 1 3 2 2 2");
    // 3 is the newest place, also while the window is not full.
    check(O::IdxMax, 3, &[], "1 3 3 . 2 2 .", "3 3 2 1 1 2 1");
    check(O::LastIdxMax, 3, &[], "1 3 3 . 2 2 .", "3 3 3 2 1 3 2");
    check(O::IdxMin, 3, &[], "1 3 3 . 2 2 .", "3 2 1 1 3 2 1");
    check(O::LastIdxMin, 3, &[], "1 3 3 . 2 2 .", "3 2 1 2 3 3 2");
}

#[test]
fn order_statistics() {
    check(O::Quantile, 4, &[0.5], "4 1 3 2 . . .", "4 2.5 3 2.5 2 2.5 2");
    check(O::Quantile, 4, &[0.2], "4 1 3 2", "4 1.6 1.8 1.6");
    check(O::Quantile, 4, &[0.0], "4 1 3 2", "4 1 1 1");
    check(O::Quantile, 4, &[1.0], "4 1 3 2", "4 4 4 4");
    // Of 2 1 2 the newest has the ranks 2 and 3.
    check(O::Rank, 3, &[], "2 1 2 2 . 5", "1 0.5 0.8333333333333334 0.8333333333333334 . 1");
}

#[test]
fn weights_by_place() {
    check(O::Wma, 3, &[], "1 2 4 . 8", "1 1.6 2.8333333333333335 3.3333333333333335 7");
    // 1/4 1/2 1.
    check(O::DecayExp, 3, &[0.5], "4 8 12", "4 6.666666666666667 9.714285714285714");
}

#[test]
fn least_squares_on_places() {
    // 1 2 4: mean 7/3, slope 1.5, fitted at 3: 23/6, at 0: -2/3.
    check(O::Slope, 3, &[], "1 2 4", "f 1 1.5");
    check(O::Fitted, 3, &[], "1 2 4", "f 2 3.8333333333333335");
    check(O::Intercept, 3, &[], "1 2 4", "f -1 -0.6666666666666666");
    check(O::Resi, 3, &[], "1 2 4 .", "f 0 0.16666666666666666 .");
    check(O::Rsquare, 3, &[], "1 2 4", "f 1 0.9642857142857143");
    check(O::Rsquare, 3, &[], "2 2 2", "f inf inf");
    // Places 1 and 3 of the window.
    check(O::Slope, 3, &[], "1 . 4", "f f 1.5");
}

#[test]
fn qlib_counts_places_from_the_begin() {
    let mut b = Builder::new();
    b.graph.qlib = true;
    let close = b.field(Field::Close);
    let rows = closes("1 3 2 5");
    for (op, expected) in [
        (O::IdxMax, "1 2 2 3"),
        (O::IdxMin, "1 1 1 2"),
        (O::Intercept, "f -1 1 1.3333333333333333"),
    ] {
        let node = b.op(op, &[close], 3, &[]);
        compare(&b, node, &rows, expected, &format!("{op:?} of Qlib"));
    }
    let two = b.number(2.0);
    let greater = b.two(O::Gt, close, two);
    compare(&b, greater, &closes(". 3 . 1"), "0 1 0 0", "Gt of Qlib");
}

#[test]
fn two_series_use_the_places_where_both_are_valid() {
    let (x, y) = ("1 2 . 3", "2 4 5 7");
    // x 2 3 and y 4 7 in the last window of 3.
    check_two(O::Cov, 3, &[1.0], x, y, "f 1 1 1.5");
    check_two(O::Corr, 3, &[], x, y, "f 1 1 1");
    // Least squares of $close on $volume.
    check_two(O::Beta, 3, &[], x, y, "f 0.5 0.5 0.3333333333333333");
    check_two(O::Alpha, 3, &[], x, y, "f 0 0 0.6666666666666666");
    check_two(O::ResiXy, 3, &[], x, y, "f 0 . 0");
    check_two(O::RsqXy, 3, &[], x, y, "f 1 1 1");
    check_two(O::Corr, 3, &[], "1 2 3", "5 5 5", "f inf inf");
    check_two(O::RankCorr, 4, &[], "1 5 9 2", "1 2 100 50", "f 1 1 0.8");
    check_two(O::Vwap, 2, &[], "10 20 30", "1 3 0", "10 17.5 20");
    check_two(O::ValueWhen, 3, &[], "0 1 0 0 0", "7 8 9 . 6", "f 8 8 8 f");
}

#[test]
fn slots_since() {
    check(O::BarsSince, 3, &[], "0 1 0 . 0 0", "3 0 1 2 3 3");
}

#[test]
fn lags_take_cells_as_they_were() {
    check(O::Ref, 2, &[], "1 . n 4", "w w 1 .");
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    let before = b.op(O::Ref, &[close], 1, &[]);
    let ratio = b.two(O::Div, close, before);
    compare(&b, ratio, &closes("2 . n 4 0 4"), "w . n n 0 inf", "Div of Ref");
}

#[test]
fn nulls_in_logic() {
    let (x, y) = ("0 0 1 1 . . n 1", "0 1 1 . 0 1 . 0");
    check_two(O::And, 0, &[], x, y, "0 0 1 . 0 . n 0");
    check_two(O::Or, 0, &[], x, y, "0 1 1 1 . 1 n 1");
    check_two(O::Coalesce, 0, &[], x, y, "0 0 1 1 0 1 . 1");
    check_two(O::Eq, 0, &[], x, y, "1 0 1 . . . n 0");
    check(O::IsNull, 0, &[], "0 . n", "0 1 1");
    check(O::Not, 0, &[], "0 . 2", "1 . 0");
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    let (two, log) = (b.number(2.0), b.op(O::Log, &[close], 0, &[]));
    let chosen = b.op(O::If, &[close, two, log], 0, &[]);
    compare(&b, chosen, &closes("1 0 n"), "2 inf n", "If");
}

#[test]
fn elementwise_results_that_are_not_finite_are_null() {
    check_two(O::Div, 0, &[], "1 0 -1", "0 0 2", "inf inf -0.5");
    check_two(O::Mod, 0, &[], "7 -7 7 1", "3 3 -3 0", "1 -1 1 inf");
    check_two(O::Power, 0, &[], "2 -2 -2 10", "3 2 0.5 400", "8 4 inf inf");
    check_two(O::SignedPower, 0, &[], "2 -2 -4 0", "3 2 0.5 2", "8 -4 -2 0");
    check(O::Log, 0, &[], "1 0 -1", "0 inf inf");
    check(O::Sqrt, 0, &[], "4 -1", "2 inf");
    check(O::Sigmoid, 0, &[], "0 -1000 1000", "0.5 0 1");
    check(O::Sign, 0, &[], "-3 0 2", "-1 0 1");
}

#[test]
fn no_cell_is_minus_zero() {
    for (op, x) in [(O::Neg, "0"), (O::Sqrt, "-0"), (O::Abs, "-0")] {
        let mut b = Builder::new();
        let close = b.field(Field::Close);
        let node = b.op(op, &[close], 0, &[]);
        b.output("x", node);
        assert_eq!(history(&b.plan(), &closes(x))[0].values()[0].to_bits(), 0, "{op:?}");
    }
}

#[test]
fn averages_of_all_slots() {
    // a = 1/2: 1; (1/2 + 3)/(3/2); a null ages: (1/8 + 3/4 + 5)/(1/8 + 1/4 + 1).
    check(O::Ema, 3, &[], "1 3 . 5", "1 2.3333333333333335 2.3333333333333335 4.272727272727273");
    // Weights 1/8 1/4 1: biased 1.6528925619834711, times 1.890625/(1.890625 - 1.078125).
    check(O::EwmVar, 3, &[], "1 3 . 5", "w 2 2 3.8461538461538463");
    check(O::Emas, 3, &[], "1 2 3 . 6", "w w 2 2 4");
    check(O::Wilder, 3, &[], "1 2 3 . 5", "w w 2 2 3");
    // The first two summed, then s - s/3 + x.
    check(O::WilderSum, 3, &[], "1 2 3 . 5", "w w 5 5 8.333333333333334");
    // Way and path are equal: rate (2/3)², 22/9 and 218/81. Then no way: rate (2/31)².
    check(O::Kama, 2, &[], "1 2 3 3", "w w 2.4444444444444446 2.6913580246913582");
    check(
        O::Kama,
        2,
        &[],
        "1 2 3 . 2",
        "w w 2.4444444444444446 2.4444444444444446 2.4425945195976415",
    );
}

#[test]
fn refused_steps_leave_the_state_as_it_was() {
    check(O::Emas, 1, &[], "1e308 -1e308 -1e307", "1e308 inf -1e307");
    check_session(O::CumSum, "1 1 1 1", "1e308 1e308 -1e308 7", "1e308 inf 0 7");
}

fn check_session(op: O, sessions: &str, closes: &str, expected: &str) {
    let mut b = Builder::new();
    let (close, session) = (b.field(Field::Close), b.field(Field::Session));
    let node = b.op(op, &[close, session], 0, &[]);
    let rows = columns(&[(Field::Session, sessions), (Field::Close, closes)]);
    compare(&b, node, &rows, expected, &format!("{op:?}"));
}

#[test]
fn sessions_begin_anew() {
    let (sessions, closes) = ("1 1 1 2 2 3 4", "3 . 2 . 5 . 1");
    check_session(O::CumSum, sessions, closes, "3 3 5 w 5 w 1");
    check_session(O::CumMax, sessions, closes, "3 3 3 w 5 w 1");
    check_session(O::CumMin, sessions, closes, "3 3 2 w 5 w 1");
    check_session(O::CumCount, sessions, closes, "1 1 2 0 1 0 1");
    check_session(O::CumFirst, sessions, closes, "3 3 3 w 5 w 1");
    // The third session has no value: the one before it counts for the fourth.
    check_session(O::PrevLast, sessions, closes, "w w w 2 2 5 5");
}

#[test]
fn warm_up_comes_before_too_few_and_that_before_the_newest() {
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    let rank = barrow_features::Node {
        operator: O::Rank,
        context: ContextId(0),
        inputs: vec![close],
        slots: 3,
        numbers: Vec::new(),
        warm_up: 2,
        min_valid: 2,
    };
    let rank = b.node(rank);
    compare(&b, rank, &closes("1 2 . . . 3 4 ."), "w w . f f f 1 .", "Rank");
}

/// A child context of three slots, of which the root's slots read the one that has ended.
#[test]
fn other_contexts_are_read_where_links_point() {
    let mut b = Builder::new();
    let hours = b.context("hours");
    let plain = |operator, inputs: &[NodeId], slots, context| barrow_features::Node {
        operator,
        context,
        inputs: inputs.to_vec(),
        slots,
        numbers: Vec::new(),
        warm_up: 0,
        min_valid: 1,
    };
    let hour_close = b.node(plain(O::Field(Field::Close), &[], 0, hours));
    let hour_sum = b.node(plain(O::Sum, &[hour_close], 2, hours));
    let close = b.field(Field::Close);
    let at = b.node(plain(O::At, &[hour_sum], 0, ContextId(0)));
    let both = b.two(O::Add, close, at);
    b.output("both", both);
    let plan = b.plan();
    assert_eq!(plan.order(), [hours, ContextId(0)]);
    assert_eq!(plan.imports(ContextId(0)).len(), 1);
    assert_eq!(plan.exports(hours), 1);

    let mut cells = vec![barrow_features::Column::new()];
    let hour_rows = closes("10 20 .");
    History::new(&plan, hours).run(&plan, &inputs(&hour_rows), &[], &mut cells);
    let links = [
        Link::Null(Reason::WarmUp),
        Link::Place(0),
        Link::Place(1),
        Link::Null(Reason::DependencyNull),
        Link::Place(2),
    ];
    let imported = align(&cells[0], &links);
    let rows = closes("1 2 3 4 5");
    let mut out = vec![barrow_features::Column::new()];
    History::new(&plan, ContextId(0)).run(
        &plan,
        &inputs(&rows),
        std::slice::from_ref(&imported),
        &mut out,
    );
    let expected: Vec<Cell> = [Cell::WARM_UP, Cell::number(12.0), Cell::number(33.0)]
        .into_iter()
        .chain([Cell::null(Reason::DependencyNull), Cell::number(25.0)])
        .collect();
    assert_eq!(out[0].len(), 5);
    for (slot, expected) in expected.iter().enumerate() {
        assert_eq!(out[0].cell(slot), *expected);
    }

    // Live, each context by itself; the root is given the child's last cell.
    let mut child = Live::new(&plan, hours);
    let mut root = Live::new(&plan, ContextId(0));
    let mut child_scratch = Live::scratch(&plan, hours);
    let mut root_scratch = Live::scratch(&plan, ContextId(0));
    for (slot, row) in rows.iter().enumerate() {
        let import = match links[slot] {
            Link::Null(reason) => Cell::null(reason),
            Link::Place(place) => {
                child.advance(&plan, &mut child_scratch, &hour_rows[place], &[]).get(0)
            }
        };
        let cells = root.advance(&plan, &mut root_scratch, row, &[import]);
        assert_eq!(cells.get(0), expected[slot]);
    }
}

#[test]
fn graphs_that_cannot_be_run_are_refused() {
    let fault = |b: &Builder| barrow_features::Plan::new(&b.graph).unwrap_err().what;
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    b.op(O::Mean, &[close], 0, &[]);
    assert_eq!(fault(&b), "has a window or lag of no slot or of too many");
    let mut b = Builder::new();
    b.op(O::Mean, &[NodeId(0)], 5, &[]);
    assert_eq!(fault(&b), "has an input that does not come before it");
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    b.op(O::Quantile, &[close], 5, &[1.5]);
    assert_eq!(fault(&b), "has a quantile that is not in 0 to 1");
    let mut b = Builder::new();
    let close = b.field(Field::Close);
    b.op(O::Of, &[close], 0, &[]);
    assert_eq!(fault(&b), "has an input of the wrong context");
    let mut b = Builder::new();
    let other = b.context("other");
    let close = b.field(Field::Close);
    let node = |operator, input, context| barrow_features::Node {
        operator,
        context,
        inputs: vec![input],
        slots: 0,
        numbers: Vec::new(),
        warm_up: 0,
        min_valid: 0,
    };
    let there = b.node(node(O::Of, close, other));
    b.node(node(O::Of, there, ContextId(0)));
    assert_eq!(fault(&b), "is of contexts that read each other");
}
