//! What does it cost to read bars that are made of others: 1h bars of all symbols and of one, the
//! first time and again; all steps of all symbols, made once; and after a late row?
//!
//! `--data DIR` is a store as `ingest` leaves it, or is filled in the same way if it is not there;
//! `--symbols` and `--sessions` are as many as it has.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use barrow_benches::data::{self, Bars, Order, open_of, symbol};
use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, facts, figure, machine};
use barrow_engine::rows::Values;
use barrow_engine::{CuratedScan, Options, Snapshot};
use barrow_types::{ColumnId, PriceSide, SessionSet, Step, Timestamp};

/// How long a question is asked again and again.
const TIME: Duration = Duration::from_secs(2);
const STEPS: [Step; 6] = [Step::M5, Step::M15, Step::M30, Step::H1, Step::H4, Step::D1];

struct Questions {
    symbols: u32,
    range: (Timestamp, Timestamp),
}

impl Questions {
    /// Bars of one symbol: how many, and the sum of their closes.
    fn one(&self, snapshot: &Snapshot, name: u32, step: Step) -> (usize, f64) {
        let scan = CuratedScan {
            instrument: symbol(name).into(),
            step,
            side: PriceSide::Trade,
            start: self.range.0,
            end: self.range.1,
            session: SessionSet::Regular,
            align: None,
            columns: (1..=7).map(ColumnId::new).collect(),
            source: None,
            fallback: None,
            as_of: None,
            at_sequence: None,
            due: load::NOW,
            empty: false,
            flags: false,
            coverage: true,
        };
        let mut curated = snapshot.curated(scan).expect("the instrument is there");
        let (mut count, mut sum) = (0, 0.0);
        while let Some(piece) = curated.next().expect("the disk works") {
            let piece = black_box(piece);
            count += piece.rows.len();
            if let Values::F64(closes) = &piece.rows.columns[3].values {
                sum += closes.iter().sum::<f64>();
            }
        }
        (count, sum)
    }

    fn all(&self, snapshot: &Snapshot, step: Step) -> (usize, f64) {
        let all = (0..self.symbols).map(|name| self.one(snapshot, name, step));
        all.fold((0, 0.0), |(count, sum), of| (count + of.0, sum + of.1))
    }
}

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let symbols = arguments::value("--symbols", 500);
    let sessions = arguments::value("--sessions", 50);
    let is_new = !dir.exists();
    let mut store = Store::open(&dir, Options::default());
    if is_new {
        fill(&mut store, symbols, sessions);
    }
    facts::calendar(&mut store, "EXACT", sessions, 0);
    facts::follow(&mut store, "EXACT", symbols);
    let range = load::sessions(0, sessions);
    let range = (Timestamp::from_nanos(range.0), Timestamp::from_nanos(range.1));
    let questions = Questions { symbols, range };
    let snapshot = store.engine.snapshot();
    let (first, (count, sum)) = figure::seconds(|| questions.all(&snapshot, Step::H1));
    figure::one("hours, first time", "ms", first * 1e3);
    figure::one("hours: check", "sum", sum);
    assert_eq!(count, symbols as usize * sessions as usize * 7, "every hour is there");
    let times = figure::repeat(TIME, || {
        black_box(questions.all(&snapshot, Step::H1));
    });
    figure::many("hours", "ms", times.into_iter().map(|us| us / 1e3).collect());
    let mut turn = 0;
    let times = figure::repeat(TIME, || {
        turn += 1;
        black_box(questions.one(&snapshot, turn * 37 % symbols, Step::H1));
    });
    figure::many("hour", "us", times);
    let (all, ()) = figure::seconds(|| {
        for step in STEPS {
            black_box(questions.all(&snapshot, step));
        }
    });
    figure::one("all steps", "ms", all * 1e3);
    late(&mut store, &questions, sessions);
}

fn fill(store: &mut Store, symbols: u32, sessions: u32) {
    let mut number = 0;
    let before = machine::cpu_seconds(std::process::id());
    data::bars(symbols, sessions, Order::Symbol, |bars| {
        number += 1;
        let batch = load::batch(number.to_string(), bars);
        let prepared = load::prepared(&store.engine.reader(), batch);
        store.commit(vec![prepared]);
        store.flush_if_due();
    });
    let cpu = machine::cpu_seconds(std::process::id()) - before;
    figure::one("fill: CPU, generating included", "s", cpu);
}

/// A row comes that changes an hour in the middle of the range.
fn late(store: &mut Store, questions: &Questions, sessions: u32) {
    let mut times = Vec::new();
    for turn in 0..20 {
        let close = 50.0 + f64::from(turn) / 64.0;
        let bars = Bars {
            symbol: vec![0],
            ts: vec![open_of(sessions / 2)],
            open: vec![50.0],
            high: vec![51.0],
            low: vec![49.0],
            close: vec![close],
            volume: vec![100.0],
            vwap: vec![50.0],
            trades: vec![10],
        };
        let batch = load::batch(format!("late {turn}"), &bars);
        let prepared = load::prepared(&store.engine.reader(), batch);
        store.engine.commit(vec![prepared], load::NOW).expect("the disk works");
        let snapshot = store.engine.snapshot();
        let (took, _) = figure::seconds(|| {
            for step in STEPS {
                black_box(questions.one(&snapshot, 0, step));
            }
        });
        times.push(took * 1e6);
    }
    figure::many("all steps of a symbol after a late row", "us", times);
}
