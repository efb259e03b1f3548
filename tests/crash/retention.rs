//! A history of corrections and a floor of retention that rises, every crash in it, and every state
//! such a crash may leave: each answers at every (T, N) as the store did before an act or behind
//! it, whatever a compaction dropped, and refuses what lies below the floor that it has then.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::batch::{Act as Does, Batch, KnownAt, Symbols};
use barrow_engine::dataset::BARS;
use barrow_engine::dataset::retention::{self, Floor};
use barrow_engine::rows::{Column, Values};
use barrow_engine::{Engine, Error, ErrorKind, Revisions, Scan, Scope, Snapshot, prepare};
use barrow_tests::console::say;
use barrow_tests::faulty_disk::FaultyDisk;
use barrow_tests::volume::Volume;
use barrow_types::{DatasetId, PriceSide, Sequence, Step, Timestamp};

use crate::states::{self, open};

const NOW: i64 = 1_700_000_000_000_000_000;
const MINUTE: i64 = 60_000_000_000;

enum Act {
    /// A bar of minute so many before [`NOW`], with this close.
    Bar(i64, f64),
    /// The first T, as the place of an act, and the first N.
    Raise(i64, u64),
    Flush,
    Compact,
    Reopen,
}

const HISTORY: [Act; 16] = [
    Act::Bar(1, 1.0),
    Act::Bar(2, 2.0),
    Act::Bar(1, 3.0),
    Act::Flush,
    Act::Bar(1, 4.0),
    Act::Raise(4, 3),
    Act::Compact,
    Act::Flush,
    Act::Compact,
    Act::Bar(2, 5.0),
    Act::Raise(10, 6),
    Act::Bar(1, 6.0),
    Act::Flush,
    Act::Compact,
    Act::Reopen,
    Act::Bar(1, 7.0),
];

/// What must be held: each bar by its minute, and the floor.
#[derive(Clone, Default)]
struct Model {
    /// Place of the act, record and close, in order.
    bars: BTreeMap<i64, Vec<(i64, u64, f64)>>,
    floor: Option<(i64, u64)>,
}

impl Model {
    /// What is answered at (T, N), T being the place of an act: closes by minute; nothing below
    /// the floor.
    fn answer(&self, (as_of, at_sequence): (i64, u64)) -> Option<Vec<f64>> {
        if self.floor.is_some_and(|floor| as_of < floor.0 || at_sequence < floor.1) {
            return None;
        }
        // Earlier minutes first.
        let closes = self.bars.values().rev().filter_map(|versions| {
            let mut known =
                versions.iter().filter(|(at, record, _)| *at <= as_of && *record <= at_sequence);
            known.next_back().map(|(.., close)| *close)
        });
        Some(closes.collect())
    }

    fn answers(&self) -> Vec<Option<Vec<f64>>> {
        questions().map(|question| self.answer(question)).collect()
    }
}

/// Every (T, N) that makes a difference.
fn questions() -> impl Iterator<Item = (i64, u64)> {
    (0..17).flat_map(|as_of| (0..12).map(move |at_sequence| (as_of, at_sequence)))
}

fn bar(id: String, minute: i64, close: f64) -> Batch {
    let price = || Column::new(Values::F64(vec![close]));
    let rest = BARS.columns[4..].iter().map(|column| Column::nulls(column.kind(), 1));
    Batch {
        id,
        dataset: DatasetId::BARS,
        source: "s".to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Does::Insert,
        is_import: true,
        symbols: Symbols::one("SPY", 1),
        ts: Column::new(Values::I64(vec![NOW - minute * MINUTE])),
        known_at: None,
        columns: [price(), price(), price(), price()].into_iter().chain(rest).collect(),
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

/// Plays act number `place`; the engine is there again behind it.
fn play(
    place: usize,
    mut engine: Engine,
    disk: &FaultyDisk,
    model: &mut Model,
) -> Result<Engine, Error> {
    let at = i64::try_from(place).expect("few acts");
    let now = Timestamp::from_nanos(NOW + at);
    let batch = match HISTORY[place] {
        Act::Bar(minute, close) => bar(format!("b{place}"), minute, close),
        Act::Raise(as_of, at_sequence) => {
            let as_of_from = Timestamp::from_nanos(NOW + as_of);
            let floor = Floor { as_of_from, at_sequence_from: Sequence::new(at_sequence) };
            retention::batch(format!("f{place}"), DatasetId::BARS, Step::M1, floor)
        }
        Act::Flush => {
            let job = engine.plan_flush().expect("there are rows");
            engine.install(job.run(disk))?;
            return Ok(engine);
        }
        Act::Compact => {
            let job = engine.plan_compaction(Scope::All);
            if let Some(job) = job {
                let done = job.run(disk, &mut |_| ControlFlow::Continue(()));
                engine.install_compaction(done)?;
            }
            return Ok(engine);
        }
        Act::Reopen => {
            engine.close(now)?;
            return open(Arc::new(disk.clone()));
        }
    };
    let prepared = prepare(batch, &engine.snapshot(), now)?;
    let applied = engine.commit(vec![prepared], now)?.pop().expect("one batch")?;
    let record = applied.sequence.get();
    match HISTORY[place] {
        Act::Bar(minute, close) => {
            model.bars.entry(minute).or_default().push((at, record, close));
        }
        Act::Raise(as_of, at_sequence) => model.floor = Some((as_of, at_sequence)),
        Act::Flush | Act::Compact | Act::Reopen => {}
    }
    Ok(engine)
}

/// What a store answers at (T, N).
fn answer(snapshot: &Snapshot, question: (i64, u64)) -> Result<Option<Vec<f64>>, Error> {
    let mut closes = Vec::new();
    for (series, _) in snapshot.series(DatasetId::BARS, None) {
        let scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: vec![BARS.columns[3].id],
            as_of: Some(Timestamp::from_nanos(NOW + question.0)),
            at_sequence: Some(Sequence::new(question.1)),
            revisions: Revisions::Visible,
        });
        let mut scanner = match scanner {
            Err(error) if error.kind() == ErrorKind::BelowRetention => return Ok(None),
            scanner => scanner?,
        };
        while let Some(rows) = scanner.next()? {
            let Values::F64(values) = &rows.columns[0].values else { panic!("closes") };
            closes.extend(values);
        }
    }
    Ok(Some(closes))
}

fn answers(snapshot: &Snapshot) -> Result<Vec<Option<Vec<f64>>>, Error> {
    questions().map(|question| answer(snapshot, question)).collect()
}

/// Opens the store on every state that a crash may leave.
fn try_all(volume: &Volume, may_be: [&Model; 2], seen: &mut BTreeSet<u128>) -> Result<u64, String> {
    states::each(volume, seen, |snapshot| {
        let found = answers(snapshot).map_err(|error| error.to_string())?;
        if may_be.iter().all(|model| model.answers() != found) {
            return Err("it answers neither as before the act nor as behind it".to_owned());
        }
        Ok(())
    })
}

#[test]
fn a_history_of_a_rising_floor_survives_every_crash() {
    let mut states = 0;
    let mut dropped = 0;
    for last in 0..HISTORY.len() {
        let disk = FaultyDisk::new();
        let mut engine = open(Arc::new(disk.clone())).expect("an empty disk is opened");
        let (mut before, mut model) = (Model::default(), Model::default());
        for place in 0..=last {
            if place == last {
                disk.record_crash_points();
                before = model.clone();
            }
            engine = play(place, engine, &disk, &mut model).expect("nothing fails");
        }
        let found = answers(&engine.snapshot()).expect("it is read");
        assert_eq!(found, model.answers(), "act {last}");
        dropped = dropped.max(engine.stats().retention_rows);
        let mut seen = BTreeSet::new();
        for point in disk.take_crash_points() {
            let tried = try_all(&point.volume, [&before, &model], &mut seen);
            states += tried.unwrap_or_else(|what| {
                panic!("act {last}, crash in operation {}: {what}", point.operation)
            });
        }
        let tried = try_all(&disk.volume(), [&model; 2], &mut BTreeSet::new());
        states += tried.unwrap_or_else(|what| panic!("a crash behind act {last}: {what}"));
    }
    assert!(states > 100, "{states} states: too few to prove anything");
    assert!(dropped >= 3, "{dropped} rows dropped: too few to prove anything");
    say(&format!("{states} distinct states opened, of a history in which {dropped} rows went"));
}
