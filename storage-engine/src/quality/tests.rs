//! The rules against their formulas written out plainly, over stores and calendars.

mod plain;
mod reported;
mod stored;

use std::sync::Arc;

use barrow_types::{
    Align, DAY_NANOS, DatasetId, PriceSide, Sequence, SeriesKey, Source, Step, Symbol, Timestamp,
    days_from_civil,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::Fired;
use super::judge::{Judge, Subject};
use super::places::{Place, places};
use super::settings::RuleSet;
use super::table::{Action, RuleId};
use crate::batch::{Act, Batch, KnownAt, Symbols};
use crate::calendar::Calendar;
use crate::disk::MemoryDisk;
use crate::gaps::FactsAt;
use crate::reference::RuleFact;
use crate::rows::{Column, ColumnType, Values};
use crate::{Engine, Options, prepare};

const MINUTE: i64 = 60_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Bar {
    ts: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: Option<f64>,
    vwap: Option<f64>,
}

fn flat(ts: i64, close: f64) -> Bar {
    let volume = Some(100.0);
    Bar { ts, open: close, high: close, low: close, close, volume, vwap: None }
}

/// A store of one series, and what its rules go by.
struct Case {
    engine: Engine,
    /// The times of its rows.
    ts: Vec<i64>,
    step: Step,
    rules: RuleSet,
    subject: Subject,
}

fn column(values: impl Iterator<Item = Option<f64>>) -> Column {
    let mut column = Column::empty(ColumnType::F64, 0);
    for value in values {
        match value {
            Some(value) => column.push_from(&Column::new(Values::F64(vec![value])), 0),
            None => column.push_null(),
        }
    }
    column
}

fn batch(id: usize, step: Step, bars: &[Bar]) -> Batch {
    let of = |value: fn(&Bar) -> Option<f64>| column(bars.iter().map(value));
    Batch {
        id: id.to_string(),
        dataset: DatasetId::BARS,
        source: "test".to_owned(),
        step,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: true,
        symbols: Symbols::one("A", bars.len()),
        ts: Column::new(Values::I64(bars.iter().map(|bar| bar.ts).collect())),
        known_at: None,
        columns: vec![
            of(|bar| Some(bar.open)),
            of(|bar| Some(bar.high)),
            of(|bar| Some(bar.low)),
            of(|bar| Some(bar.close)),
            of(|bar| bar.volume),
            of(|bar| bar.vwap),
            Column::nulls(ColumnType::I64, bars.len()),
        ],
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

impl Case {
    /// With these bars, which come in so many batches.
    fn new(step: Step, calendar: Option<&str>, bars: &[Bar], batches: usize) -> Self {
        let disk = Arc::new(MemoryDisk::new());
        let mut engine = Engine::open(disk, Options::default(), [7; 16]).unwrap().0;
        let now = Timestamp::from_nanos(days_from_civil(2030, 1, 1) * DAY_NANOS);
        for (id, bars) in bars.chunks(bars.len().div_ceil(batches).max(1)).enumerate() {
            let prepared = prepare(batch(id, step, bars), &engine.snapshot(), now).unwrap();
            engine.commit(vec![prepared], now).unwrap().remove(0).unwrap();
        }
        let calendar = calendar.map(|name| Calendar::embedded(name).unwrap());
        let subject = Subject { calendar, ..Subject::default() };
        let ts = bars.iter().map(|bar| bar.ts).collect();
        Self { engine, ts, step, rules: RuleSet::by_default(DatasetId::BARS), subject }
    }

    fn set(mut self, rule: RuleId, thresholds: &str) -> Self {
        let thresholds = Some(thresholds.to_owned());
        self.rules.apply(rule, &RuleFact { thresholds, ..RuleFact::default() });
        self
    }

    /// The times of the rows in [`start`, `end`) and the rules that fire on each.
    fn judge(&self, start: i64, end: i64, wanted: Fired) -> Vec<(i64, Fired)> {
        let snapshot = self.engine.snapshot();
        let key = SeriesKey {
            dataset: DatasetId::BARS,
            symbol: Symbol::new("A").unwrap(),
            step: self.step,
            side: PriceSide::Trade,
            source: Source::new("test").unwrap(),
        };
        let series = snapshot.series(DatasetId::BARS, Some("A"))[0].0;
        let judge = Judge {
            at: FactsAt { snapshot: &snapshot, as_of: None, at_sequence: Some(Sequence::MAX) },
            series,
            key: &key,
            rules: &self.rules,
            wanted,
            subject: &self.subject,
        };
        let ts = self.ts.iter().filter(|ts| (start..end).contains(*ts));
        let mut found: Vec<_> = ts.map(|&ts| (ts, Fired::NONE)).collect();
        for (at, fired) in judge.judge(start, end).unwrap() {
            found[at].1 = fired;
        }
        found
    }

    /// The rows on which any rule fires, as `place rule rule`, of the whole series.
    fn told(&self) -> Vec<String> {
        let all = self.judge(i64::MIN, i64::MAX, self.rules.with_action(&Action::ALL));
        let told = all.iter().enumerate().filter(|(_, (_, fired))| !fired.is_empty());
        let names = |fired: Fired| fired.iter().map(RuleId::name).collect::<Vec<_>>().join(" ");
        told.map(|(at, (_, fired))| format!("{at} {}", names(*fired))).collect()
    }
}

/// Bars some steps apart: mostly quiet, sometimes with a jump, a rest or a defect.
fn bars(step: i64) -> impl Strategy<Value = Vec<Bar>> {
    let pause = prop_oneof![40 => Just(1_i64), 3 => 2_i64..30, 1 => 30_i64..1_500];
    let growth = prop_oneof![
        30 => -0.001..0.001,
        8 => Just(0.0),
        3 => -0.2..0.2,
        1 => prop::sample::select(vec![-0.5, 1.0, -0.75, 99.0, -0.99]),
    ];
    let volume = prop_oneof![
        20 => (1_i32..50).prop_map(|volume| Some(f64::from(volume))),
        4 => Just(Some(0.0)),
        1 => Just(None),
        1 => Just(Some(400.0)),
        1 => Just(Some(-1.0)),
    ];
    let back = prop::bool::weighted(0.4);
    let skew = prop_oneof![40 => Just(0), 1 => 1..5_u8];
    let rows = prop::collection::vec((pause, growth, volume, back, skew), 1..220);
    (rows, 0_i64..3_000).prop_map(move |(rows, first)| {
        let first = days_from_civil(2015, 12, 20) * DAY_NANOS + first * step;
        let mut slot = 0;
        let (mut close, mut before) = (100.0, 100.0);
        let bar = |(pause, growth, volume, back, skew): (i64, f64, _, bool, u8)| {
            slot += if step == DAY_NANOS { pause.min(10) } else { pause };
            let open: f64 = close;
            let far = (close / before - 1.0_f64).abs() > 0.05;
            let next = if back && far { before } else { close * (1.0 + growth) };
            (before, close) = (close, next);
            let (high, low) = (open.max(close), open.min(close));
            let mut bar = Bar {
                ts: first + slot * step,
                open: if growth.abs() > 0.3 { close } else { open },
                high,
                low,
                close,
                volume,
                vwap: Some(f64::midpoint(low, high)),
            };
            match skew {
                1 => bar.high = low * 0.99,
                2 => bar.low = -1.0,
                3 => bar.vwap = Some(high * 1.01),
                4 => bar.close = 0.0,
                _ => {}
            }
            bar
        };
        rows.into_iter().map(bar).collect()
    })
}

const JUDGED: [RuleId; 11] = [
    RuleId::OhlcOrder,
    RuleId::PricePositive,
    RuleId::SizeNonneg,
    RuleId::VwapInRange,
    RuleId::Spike,
    RuleId::VolumeSpike,
    RuleId::StalePrice,
    RuleId::ZeroVolumeBar,
    RuleId::OffSession,
    RuleId::SplitSuspect,
    RuleId::UnitError,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_part_of_a_series_is_judged_as_the_formulas_judge_the_whole(
        (step, bars) in prop_oneof![
            3 => bars(MINUTE).prop_map(|bars| (Step::M1, bars)),
            1 => bars(60 * MINUTE).prop_map(|bars| (Step::H1, bars)),
            2 => bars(DAY_NANOS).prop_map(|bars| (Step::D1, bars)),
        ],
        calendar in prop::sample::select(vec![None, Some("XNYS"), Some("XHKG"), Some("FX")]),
        batches in 1_usize..4,
        ends in prop::collection::vec((0_usize..230, 0_usize..230), 4),
        wanted in prop::sample::subsequence(JUDGED.to_vec(), 1..=JUDGED.len()),
    ) {
        let thresholds = plain::Thresholds { spike: (3.0, 2), volume: 6.0, stale: 4, zero: 1 };
        let case = Case::new(step, calendar, &bars, batches)
            .set(RuleId::Spike, "k=3 m=2")
            .set(RuleId::VolumeSpike, "k=6")
            .set(RuleId::StalePrice, "n=4")
            .set(RuleId::ZeroVolumeBar, "sessions=1");
        let known = calendar.map(|name| Calendar::embedded(name).unwrap());
        let ts: Vec<i64> = bars.iter().map(|bar| bar.ts).collect();
        let placed = places(known.as_deref(), step, Align::Session, &ts);
        let asked: Fired = wanted.into_iter().collect();
        let expected: Vec<(i64, Fired)> = (0..bars.len())
            .map(|at| {
                let fired = plain::fired(&bars, &placed, at, step.is_dated(), &thresholds);
                (ts[at], fired.and(asked))
            })
            .collect();
        prop_assert_eq!(&case.judge(i64::MIN, i64::MAX, asked), &expected);
        for (one, other) in ends {
            let (from, to) = (one.min(other).min(bars.len()), one.max(other).min(bars.len()));
            let at = |place: usize| ts.get(place).copied().unwrap_or(i64::MAX);
            let found = case.judge(at(from), at(to), asked);
            prop_assert_eq!(&found[..], &expected[from..to]);
        }
    }
}

#[test]
fn drawn_bars_meet_every_rule() {
    let thresholds = plain::Thresholds { spike: (3.0, 2), volume: 6.0, stale: 4, zero: 1 };
    let calendar = Calendar::embedded("XNYS").unwrap();
    let mut runner = TestRunner::deterministic();
    let mut met = Fired::NONE;
    for step in [Step::M1, Step::D1] {
        for _ in 0..50 {
            let bars = bars(step.width().unwrap().get()).new_tree(&mut runner).unwrap().current();
            let ts: Vec<i64> = bars.iter().map(|bar| bar.ts).collect();
            let placed = places(Some(&calendar), step, Align::Session, &ts);
            for at in 0..bars.len() {
                met = met.or(plain::fired(&bars, &placed, at, step.is_dated(), &thresholds));
            }
        }
    }
    assert_eq!(met, JUDGED.into_iter().collect());
}

/// Quiet bars of New York minutes from 09:30 on 2013-10-07 on, a session after the other.
fn quiet(count: usize) -> Vec<Bar> {
    let calendar = Calendar::embedded("XNYS").unwrap();
    let date = i32::try_from(days_from_civil(2013, 10, 7)).unwrap();
    let minutes = calendar.sessions(date, date + 60).flat_map(|session| {
        (0..).map(move |at| session.open + at * MINUTE).take_while(move |ts| *ts < session.close)
    });
    let bar = |(at, ts): (i32, i64)| {
        let close = 100.0 + f64::from(at * at % 13) * 0.01;
        Bar { vwap: Some(close), ..flat(ts, close) }
    };
    (0..).zip(minutes).take(count).map(bar).collect()
}

fn told(bars: &[Bar]) -> Vec<String> {
    Case::new(Step::M1, Some("XNYS"), bars, 1).told()
}

#[test]
fn no_rule_fires_on_quiet_minutes() {
    assert_eq!(told(&quiet(1_000)), [""; 0]);
}

#[test]
fn each_defect_of_a_bar_is_named() {
    for (change, rule) in [
        ((|bar| bar.high = bar.low * 0.9) as fn(&mut Bar), "500 ohlc_order vwap_in_range"),
        (|bar| bar.low = bar.close * 1.1, "500 ohlc_order vwap_in_range"),
        (|bar| bar.low = -1.0, "500 price_positive"),
        (|bar| bar.volume = Some(-5.0), "500 size_nonneg"),
        (|bar| bar.vwap = Some(bar.high * 1.001), "500 vwap_in_range"),
        (|bar| bar.volume = Some(0.0), "500 zero_volume_bar"),
        (|bar| bar.volume = Some(5_001.0), "500 volume_spike"),
    ] {
        let mut bars = quiet(1_000);
        change(&mut bars[500]);
        assert_eq!(told(&bars), [rule]);
    }
}

#[test]
fn a_jump_is_a_spike_only_if_it_comes_back_within_three_rows() {
    for (rows, expected) in [(1, &["500 spike"][..]), (3, &["500 spike"]), (4, &[])] {
        let mut bars = quiet(1_000);
        for bar in &mut bars[500..500 + rows] {
            *bar = Bar { vwap: None, ..flat(bar.ts, bar.close * 1.2) };
        }
        assert_eq!(told(&bars), expected, "{rows} rows");
    }
}

#[test]
fn a_jump_of_less_than_a_hundredth_is_no_spike() {
    for (factor, expected) in [(1.02, &["500 spike"][..]), (1.009, &[])] {
        let mut bars = quiet(1_000);
        // So quiet that a thousandth is twelve times what is usual.
        for (at, bar) in (0_i32..).zip(&mut bars) {
            let close = 100.0 + f64::from(at % 2) * 0.001;
            *bar = Bar { vwap: None, ..flat(bar.ts, close) };
        }
        bars[500] = Bar { vwap: None, ..flat(bars[500].ts, 100.0 * factor) };
        assert_eq!(told(&bars), expected, "{factor}");
    }
}

#[test]
fn a_volume_is_no_spike_in_bars_of_a_second() {
    let mut bars = quiet(1_000);
    bars[500].volume = Some(1e6);
    assert_eq!(told(&bars), ["500 volume_spike"]);
    for (at, bar) in (0_i64..).zip(&mut bars) {
        bar.ts = days_from_civil(2013, 10, 7) * DAY_NANOS + (14 * 3_600 + at) * 1_000_000_000;
    }
    assert_eq!(Case::new(Step::S1, Some("XNYS"), &bars, 1).told(), [""; 0]);
}

#[test]
fn prices_in_another_unit_are_told_where_they_change_unless_a_split_is_on_record() {
    for step in [Step::H1, Step::D1] {
        let width = step.width().unwrap().get();
        let bars = (0_i32..100).map(|at| {
            let price = 100.0 + f64::from(at * at % 13) * 0.01;
            let factor = if (40..48).contains(&at) { 0.01 } else { 1.0 };
            let first = days_from_civil(2014, 1, 1) * DAY_NANOS;
            flat(first + i64::from(at) * width, price * factor)
        });
        let bars: Vec<Bar> = bars.collect();
        let mut case = Case::new(step, None, &bars, 1);
        assert_eq!(case.told(), ["40 unit_error", "48 unit_error"]);
        // Of hours it is the third day's, which begins with bar 48.
        case.subject.splits = vec![(bars[48].ts.div_euclid(DAY_NANOS), 0.01)];
        let told: Vec<_> = case.told();
        let told = told.iter().filter(|line| line.ends_with(" unit_error"));
        assert_eq!(told.collect::<Vec<_>>(), ["40 unit_error"]);
    }
}

#[test]
fn one_price_in_another_unit_is_enough() {
    let mut bars = quiet(1_000);
    bars[500].high = bars[500].close * 100.0;
    assert_eq!(told(&bars), ["500 unit_error"]);
}

#[test]
fn a_close_is_stale_from_the_thirtieth_bar_on_and_not_over_night() {
    let mut bars = quiet(800);
    for bar in &mut bars[100..131] {
        *bar = Bar { vwap: None, ..flat(bar.ts, 99.5) };
    }
    // The first session ends with row 389.
    for bar in &mut bars[370..419] {
        *bar = Bar { vwap: None, ..flat(bar.ts, 99.5) };
    }
    assert_eq!(told(&bars), ["129 stale_price", "130 stale_price"]);
}

#[test]
fn zero_volume_is_no_defect_where_nobody_ever_knew_a_volume() {
    let mut bars = quiet(390 * 23);
    bars.iter_mut().for_each(|bar| bar.volume = Some(0.0));
    assert_eq!(told(&bars), [""; 0]);
    // What the last minute of the first session knows counts for that session and 20 more.
    bars[389].volume = Some(7.0);
    let fired = told(&bars);
    assert_eq!(fired.len(), 390 * 21 - 1);
    assert_eq!(fired.last().unwrap(), &format!("{} zero_volume_bar", 390 * 21 - 1));
}

#[test]
fn a_row_outside_extended_hours_is_off_session() {
    let mut bars = quiet(390);
    let last = bars[389].ts;
    bars.push(flat(last + MINUTE, 100.0));
    bars.push(flat(last + 5 * 60 * MINUTE, 100.0));
    assert_eq!(told(&bars), ["391 off_session"]);
}

#[test]
fn a_price_between_ticks_is_told_while_a_tick_size_is_in_force() {
    let mut bars = quiet(300);
    bars[100] = flat(bars[100].ts, 100.005);
    bars[200] = flat(bars[200].ts, 100.005);
    let mut case = Case::new(Step::M1, Some("XNYS"), &bars, 1);
    assert_eq!(case.told(), [""; 0]);
    case.subject.ticks = vec![(0, None), (bars[50].ts, Some(0.01)), (bars[150].ts, None)];
    assert_eq!(case.told(), ["100 tick_size"]);
}

/// Daily bars of 60 weekdays from 2014-01-01 on that fall to a seventh at the 40th, with as much
/// more volume.
fn split_days() -> (Vec<Bar>, i64) {
    let close = |at: i32| 100.0 + f64::from(at * at % 13) * 0.1;
    let first = days_from_civil(2014, 1, 1);
    let dates = (first..).filter(|date| (date + 3) % 7 < 5);
    let bars = (0..).zip(dates).take(60).map(|(at, date): (i32, i64)| {
        let whole = close(at);
        let (price, volume) = if at < 40 { (whole, 100.0) } else { (whole / 7.0, 700.0) };
        let open = if at == 40 { close(39) / 7.0 } else { price };
        let (high, low) = (open.max(price), open.min(price));
        let volume = Some(volume);
        Bar { open, high, low, volume, ..flat(date * DAY_NANOS, price) }
    });
    let bars: Vec<Bar> = bars.collect();
    let date = bars[40].ts / DAY_NANOS;
    (bars, date)
}

#[test]
fn a_split_is_suspected_until_it_is_on_record() {
    let (bars, date) = split_days();
    let mut case = Case::new(Step::D1, None, &bars, 1);
    assert_eq!(case.told(), ["40 split_suspect"]);
    case.subject.splits = vec![(date, 7.0)];
    assert_eq!(case.told(), [""; 0]);
    case.subject.splits = vec![(date - 30, 7.0)];
    assert!(case.told().contains(&"40 split_suspect".to_owned()));
}

#[test]
fn a_split_on_record_that_does_not_fit_the_prices_breaks_continuity() {
    let (bars, date) = split_days();
    let mut case = Case::new(Step::D1, None, &bars, 1).set(RuleId::AdjContinuity, "k=5");
    case.subject.splits = vec![(date, 7.0)];
    assert_eq!(case.told(), [""; 0]);
    case.subject.splits = vec![(date, 2.0)];
    assert_eq!(case.told(), ["40 adj_continuity"]);
}
