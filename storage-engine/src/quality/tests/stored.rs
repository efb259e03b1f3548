//! Rules over a store: at the door, in the curated layer, with verdicts, as of then.

use barrow_types::{ColumnId, SessionSet};

use super::*;
use crate::batch::{Applied, Counts};
use crate::dataset::facts::{ALWAYS, FACT_SOURCE};
use crate::gaps::Reason;
use crate::quality::MANUAL;
use crate::rows::Texts;
use crate::snapshot::{Revisions, Scan};
use crate::{Content, CuratedScan};

/// A store whose records come a minute apart, from 2020 on.
struct Store {
    engine: Engine,
    records: i64,
}

fn texts(values: &[&str]) -> Column {
    Column::new(Values::Text(values.iter().copied().collect::<Texts>()))
}

fn optional(value: Option<&str>) -> Column {
    value.map_or_else(|| Column::nulls(ColumnType::Text, 1), |value| texts(&[value]))
}

impl Store {
    fn new() -> Self {
        let disk = Arc::new(MemoryDisk::new());
        let engine = Engine::open(disk, Options::default(), [7; 16]).unwrap().0;
        Self { engine, records: 0 }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(days_from_civil(2020, 1, 1) * DAY_NANOS + self.records * MINUTE)
    }

    fn send(&mut self, mut batch: Batch) -> Applied {
        self.records += 1;
        batch.id = self.records.to_string();
        let now = self.now();
        let prepared = prepare(batch, &self.engine.snapshot(), now).unwrap();
        self.engine.commit(vec![prepared], now).unwrap().remove(0).unwrap()
    }

    fn bars(&mut self, bars: &[Bar], is_import: bool) -> Applied {
        self.send(Batch { is_import, ..batch(0, Step::M1, bars) })
    }

    /// States a row of a dataset of facts.
    fn fact(&mut self, dataset: DatasetId, symbol: &str, ts: Timestamp, columns: Vec<Column>) {
        let source = if dataset == DatasetId::VERDICTS { "test" } else { FACT_SOURCE };
        let step = if dataset == DatasetId::VERDICTS { Step::M1 } else { Step::Tick };
        self.send(Batch {
            dataset,
            source: source.to_owned(),
            step,
            symbols: Symbols::one(symbol, 1),
            ts: Column::new(Values::I64(vec![ts.nanos()])),
            columns,
            ..batch(0, Step::M1, &[])
        });
    }

    fn rule(&mut self, rule: &str, enabled: Option<bool>, action: Option<&str>) {
        let enabled = match enabled {
            Some(enabled) => Column::new(Values::I64(vec![i64::from(enabled)])),
            None => Column::nulls(ColumnType::I64, 1),
        };
        let columns =
            vec![texts(&[rule]), enabled, optional(None), optional(action), optional(None)];
        self.fact(DatasetId::RULES, "bars", ALWAYS, columns);
    }

    fn verdict(&mut self, ts: i64, rule: &str, act: &str, of: &Applied) {
        let of = i64::try_from(of.sequence.get()).unwrap();
        let of = Column::new(Values::I64(vec![of]));
        let columns = vec![texts(&[rule]), texts(&[act]), of, optional(None)];
        self.fact(DatasetId::VERDICTS, "A", Timestamp::from_nanos(ts), columns);
    }

    /// The closes of curated minutes from `start` on, `!` where flagged, or the reason.
    fn told(&self, start: i64, count: i64, as_of: Option<Timestamp>) -> Vec<String> {
        let mut curated = self
            .engine
            .snapshot()
            .curated(CuratedScan {
                instrument: "A".into(),
                step: Step::M1,
                side: PriceSide::Trade,
                start: Timestamp::from_nanos(start),
                end: Timestamp::from_nanos(start + count * MINUTE),
                session: SessionSet::All,
                align: None,
                columns: vec![ColumnId::new(4)],
                source: None,
                fallback: None,
                as_of,
                at_sequence: None,
                due: Timestamp::MAX,
                empty: true,
                flags: true,
                coverage: false,
            })
            .unwrap();
        let mut told = Vec::new();
        while let Some(piece) = curated.next().unwrap() {
            let Values::F64(close) = &piece.rows.columns[0].values else { panic!("closes") };
            for span in &piece.spans {
                told.extend((0..span.count as usize).map(|at| match span.content {
                    Content::Empty(reason) => reason.name().to_owned(),
                    Content::Rows(first) => {
                        let flag = if piece.flagged.contains(&(first + at)) { "!" } else { "" };
                        format!("{}{flag}", close[first + at])
                    }
                }));
            }
        }
        told
    }

    /// The visible rows of the series of a dataset: `ts` and texts of the columns.
    fn rows(&self, dataset: DatasetId) -> Vec<String> {
        let snapshot = self.engine.snapshot();
        let schema = crate::dataset::schema(dataset).unwrap();
        let mut told = Vec::new();
        for (series, key) in snapshot.series(dataset, None) {
            let columns = schema.columns.iter().map(|column| column.id).collect();
            let (start, end) = (Timestamp::MIN, Timestamp::MAX);
            let (as_of, at_sequence, revisions) = (None, None, Revisions::Visible);
            let mut scanner = snapshot
                .scan(Scan { series, start, end, columns, as_of, at_sequence, revisions })
                .unwrap();
            while let Some(rows) = scanner.next().unwrap() {
                for at in 0..rows.len() {
                    let values = rows.columns.iter().map(|column| match &column.values {
                        Values::I64(values) => values[at].to_string(),
                        Values::Text(values) => values.get(at).to_owned(),
                        Values::F64(values) => values[at].to_string(),
                    });
                    let values: Vec<String> = values.collect();
                    told.push(format!("{} {} {}", key.symbol, rows.ts[at], values.join(" ")));
                }
            }
        }
        told
    }
}

fn crooked(ts: i64) -> Bar {
    Bar { high: 90.0, ..flat(ts, 100.0) }
}

#[test]
fn over_http_a_rule_turns_rows_away_and_an_import_keeps_them() {
    let mut store = Store::new();
    let rows =
        [flat(0, 100.0), crooked(MINUTE), Bar { volume: Some(-1.0), ..flat(2 * MINUTE, 100.0) }];
    let applied = store.bars(&rows, false);
    assert_eq!(applied.counts, Counts { accepted: 1, rejected: 2, ..Counts::default() });
    let reasons: Vec<&str> = applied.errors.iter().map(|error| error.reason.as_str()).collect();
    assert_eq!(reasons, ["ohlc_order", "size_nonneg"]);
    assert!(applied.errors[0].detail.contains("high below"));
    let letters = store.engine.snapshot().dead_letters(|_| true, None, 10).unwrap();
    assert_eq!(letters.len(), 2);
    assert_eq!(store.rows(DatasetId::REJECTS).len(), 2);
    let applied = store.bars(&rows, true);
    assert_eq!(applied.counts, Counts { accepted: 2, duplicates: 1, ..Counts::default() });
    assert_eq!(store.told(0, 3, None), ["100", "100!", "100!"]);
}

#[test]
fn the_first_rule_of_the_table_names_a_row_that_breaks_several() {
    let mut store = Store::new();
    let applied = store.bars(&[Bar { low: -1.0, high: -2.0, ..flat(0, 1.0) }], false);
    assert_eq!(applied.errors[0].reason, "ohlc_order");
}

#[test]
fn a_rule_that_is_off_or_flags_turns_nothing_away() {
    let mut store = Store::new();
    store.rule("ohlc_order", None, Some("flag"));
    assert_eq!(store.bars(&[crooked(0)], false).counts.accepted, 1);
    store.rule("ohlc_order", Some(false), None);
    assert_eq!(store.bars(&[crooked(MINUTE)], false).counts.accepted, 1);
    store.rule("ohlc_order", None, None);
    assert_eq!(store.bars(&[crooked(2 * MINUTE)], false).counts.rejected, 1);
    store.rule("vwap_in_range", None, Some("reject"));
    let rows = [Bar { vwap: Some(99.0), ..flat(3 * MINUTE, 100.0) }];
    assert_eq!(store.bars(&rows, false).errors[0].reason, "vwap_in_range");
}

#[test]
fn a_batch_prepared_before_a_rule_changed_is_judged_by_the_new_one() {
    let mut store = Store::new();
    let batch = Batch { is_import: false, ..batch(7, Step::M1, &[crooked(0)]) };
    let now = store.now();
    let prepared = prepare(batch, &store.engine.snapshot(), now).unwrap();
    store.rule("ohlc_order", Some(false), None);
    let mut answers = store.engine.commit(vec![prepared], now).unwrap();
    assert_eq!(answers.remove(0).unwrap().counts.accepted, 1);
}

#[test]
fn a_key_twice_in_a_batch_leaves_a_mark_and_a_repeated_load_none() {
    let mut store = Store::new();
    let same = flat(MINUTE, 1.0);
    let rows = [flat(0, 1.0), same, same, flat(2 * MINUTE, 1.0), flat(2 * MINUTE, 2.0), same];
    let applied = store.bars(&rows, true);
    let counts = Counts { accepted: 3, duplicates: 2, corrected: 1, ..Counts::default() };
    assert_eq!(applied.counts, counts);
    let marks = [
        format!("A {MINUTE} duplicate_key 2 1"),
        format!("A {} conflicting_duplicate 1 1", 2 * MINUTE),
    ];
    assert_eq!(store.rows(DatasetId::REPEATS), marks);
    store.bars(&[flat(0, 1.0), flat(2 * MINUTE, 3.0)], true);
    assert_eq!(store.rows(DatasetId::REPEATS), marks);
}

#[test]
fn the_history_of_a_key_in_one_batch_is_no_conflict() {
    let mut store = Store::new();
    let known_at = Column::new(Values::I64(vec![MINUTE, 2 * MINUTE]));
    let rows = batch(0, Step::M1, &[flat(0, 1.0), flat(0, 2.0)]);
    store.send(Batch { known_at: Some(known_at), ..rows });
    assert_eq!(store.rows(DatasetId::REPEATS), [""; 0]);
}

/// Quiet minutes around the clock from 1970 on, with a spike at the hundredth.
fn spiked() -> Vec<Bar> {
    let mut bars = quiet(200);
    for (at, bar) in (0..).zip(&mut bars) {
        bar.ts = at * MINUTE;
        bar.vwap = None;
    }
    bars[100] = flat(bars[100].ts, 150.0);
    bars
}

#[test]
fn a_spike_is_kept_out_since_the_row_that_showed_it() {
    let mut store = Store::new();
    store.rule("spike", None, Some("quarantine"));
    let bars = spiked();
    let from = 100 * MINUTE;
    let first = store.bars(&bars[..=100], true);
    assert_eq!(store.told(from, 1, None), ["150"]);
    let second = store.bars(&bars[101..], true);
    assert_eq!(store.told(from, 1, None), [Reason::Quarantined.name()]);
    assert_eq!(store.told(from, 1, Some(first.now)), ["150"]);
    assert_eq!(store.told(from, 1, Some(second.now)), ["quarantined"]);
    assert_eq!(store.told(from - MINUTE, 3, None)[1], "quarantined");
}

#[test]
fn a_release_is_of_one_rule_and_one_row() {
    let mut store = Store::new();
    store.rule("spike", None, Some("quarantine"));
    let bars = spiked();
    let ts = bars[100].ts;
    let spike = store.bars(&bars, true);
    let other = store.bars(&[flat(ts + 500 * MINUTE, 1.0)], true);
    store.verdict(ts, "stale_price", "release", &spike);
    store.verdict(ts, "spike", "release", &other);
    assert_eq!(store.told(ts, 1, None), ["quarantined"]);
    store.verdict(ts, "spike", "release", &spike);
    let released = store.now();
    assert_eq!(store.told(ts, 1, None), ["150"]);
    let again = store.bars(&[flat(ts, 151.0)], true);
    assert_eq!(store.told(ts, 1, None), ["quarantined"]);
    assert_eq!(store.told(ts, 1, Some(released)), ["150"]);
    store.verdict(ts, "spike", "release", &again);
    assert_eq!(store.told(ts, 1, None), ["151"]);
}

#[test]
fn a_person_quarantines_a_row_and_takes_it_back() {
    let mut store = Store::new();
    let row = store.bars(&[flat(0, 1.0), flat(MINUTE, 2.0)], true);
    store.verdict(MINUTE, MANUAL, "quarantine", &row);
    assert_eq!(store.told(0, 2, None), ["1", "quarantined"]);
    store.verdict(MINUTE, MANUAL, "release", &row);
    assert_eq!(store.told(0, 2, None), ["1", "2"]);
    store.verdict(MINUTE, MANUAL, "quarantine", &row);
    store.bars(&[flat(MINUTE, 3.0)], true);
    assert_eq!(store.told(0, 2, None), ["1", "3"]);
}

#[test]
fn a_rule_quarantines_instead_of_flagging_since_somebody_said_so() {
    let mut store = Store::new();
    store.bars(&[crooked(0)], true);
    let before = store.now();
    assert_eq!(store.told(0, 1, None), ["100!"]);
    store.rule("ohlc_order", None, Some("flag"));
    store.rule("ohlc_order", None, Some("quarantine"));
    assert_eq!(store.told(0, 1, None), ["quarantined"]);
    assert_eq!(store.told(0, 1, Some(before)), ["100!"]);
}
