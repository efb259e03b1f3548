//! A history of users' tables, every crash in it, and every state such a crash may leave: each is
//! the state before an act or the one behind it, definitions and rows together.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::batch::{Act as Does, Batch, KnownAt, Symbols};
use barrow_engine::dataset::ValueType;
use barrow_engine::dataset::tables::{Asked, AskedColumn, Extra, next};
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_engine::{Engine, Error, Revisions, Scan, Scope, Snapshot, prepare};
use barrow_tests::console::say;
use barrow_tests::faulty_disk::FaultyDisk;
use barrow_tests::volume::Volume;
use barrow_types::{PriceSide, Step, Timestamp};

use crate::states::{self, open};

const NOW: i64 = 1_700_000_000_000_000_000;

enum Act {
    /// The columns: `name:type`, `old>name:type` for a new name.
    Define(&'static str, &'static str),
    /// `ts`, and numbers by place; the others are null.
    Row(i64, &'static [(usize, f64)]),
    Flush,
    Compact,
    Reopen,
}

/// Each act, and what the store says behind it: columns of tables (hidden ones in brackets), and
/// rows of the first one.
const HISTORY: [(Act, &str); 11] = [
    (Act::Define("t", "n:i64 s:text"), "t 1 n:i64 s:text;"),
    (Act::Row(1, &[(0, 7.0)]), "t 1 n:i64 s:text; 1: 7 -"),
    (Act::Flush, "t 1 n:i64 s:text; 1: 7 -"),
    (Act::Define("t", "n>m:f64 b:i64"), "t 2 m:f64 [s:text] b:i64; 1: 7 - -"),
    (Act::Row(2, &[(0, 0.5), (2, 3.0)]), "t 2 m:f64 [s:text] b:i64; 1: 7 - - 2: 0.5 - 3"),
    (Act::Flush, "t 2 m:f64 [s:text] b:i64; 1: 7 - - 2: 0.5 - 3"),
    (Act::Row(1, &[(0, 8.0)]), "t 2 m:f64 [s:text] b:i64; 1: 8 - - 2: 0.5 - 3"),
    (Act::Define("u", "x:i64"), "t 2 m:f64 [s:text] b:i64; u 1 x:i64; 1: 8 - - 2: 0.5 - 3"),
    (Act::Flush, "t 2 m:f64 [s:text] b:i64; u 1 x:i64; 1: 8 - - 2: 0.5 - 3"),
    (Act::Compact, "t 2 m:f64 [s:text] b:i64; u 1 x:i64; 1: 8 - - 2: 0.5 - 3"),
    (Act::Reopen, "t 2 m:f64 [s:text] b:i64; u 1 x:i64; 1: 8 - - 2: 0.5 - 3"),
];

fn asked(columns: &str) -> Asked {
    let column = |text: &str| {
        let (name, holds) = text.split_once(':').expect("name:type");
        let (was, name) = match name.split_once('>') {
            Some((was, name)) => (Some(was.to_owned()), name),
            None => (None, name),
        };
        AskedColumn {
            name: name.to_owned(),
            was,
            holds: ValueType::parse(holds).expect("a type"),
            nullable: None,
            hidden: false,
        }
    };
    Asked {
        columns: columns.split(' ').map(column).collect(),
        key: vec!["ts".to_owned()],
        extra: Extra::Reject,
    }
}

fn row(snapshot: &Snapshot, id: String, ts: i64, numbers: &[(usize, f64)]) -> Batch {
    let schema = snapshot.tables()[0].newest().schema;
    let column = |(at, column): (usize, &barrow_engine::dataset::ColumnDef)| {
        let number = numbers.iter().find(|(place, _)| *place == at).map(|(_, number)| *number);
        #[expect(clippy::cast_possible_truncation, reason = "the history has small numbers")]
        match (number, column.kind()) {
            (Some(number), ColumnType::F64) => Column::new(Values::F64(vec![number])),
            (Some(number), _) => Column::new(Values::I64(vec![number as i64])),
            (None, kind) => Column::nulls(kind, 1),
        }
    };
    Batch {
        id,
        dataset: schema.dataset,
        source: "s".to_owned(),
        step: Step::Tick,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Does::Insert,
        is_import: false,
        symbols: Symbols::one("SPY", 1),
        ts: Column::new(Values::I64(vec![ts])),
        known_at: None,
        columns: schema.columns.iter().enumerate().map(column).collect(),
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

/// Plays act number `place`; the engine is there again behind it.
fn play(place: usize, engine: Engine, disk: &FaultyDisk) -> Result<Engine, Error> {
    let mut engine = engine;
    let place_nanos = i64::try_from(place).unwrap_or(0);
    let now = Timestamp::from_nanos(NOW + place_nanos);
    let snapshot = engine.snapshot();
    let batch = match &HISTORY[place].0 {
        Act::Define(name, columns) => {
            let definition = next(name, &snapshot.tables(), &asked(columns));
            definition.expect("it may be so").expect("it is another").batch(format!("d{place}"))
        }
        Act::Row(ts, numbers) => row(&snapshot, format!("r{place}"), *ts, numbers),
        Act::Flush => {
            let job = engine.plan_flush().expect("there are rows");
            engine.install(job.run(disk))?;
            return Ok(engine);
        }
        Act::Compact => {
            let job = engine.plan_compaction(Scope::All).expect("there are segments");
            let done = job.run(disk, &mut |_| ControlFlow::Continue(()));
            engine.install_compaction(done)?;
            return Ok(engine);
        }
        Act::Reopen => {
            engine.close(now)?;
            return open(Arc::new(disk.clone()));
        }
    };
    let prepared = prepare(batch, &snapshot, now)?;
    engine.commit(vec![prepared], now)?.pop().expect("one batch")?;
    Ok(engine)
}

/// What a store says: its tables, and the rows of the first.
fn told(snapshot: &Snapshot) -> Result<String, Error> {
    let mut parts = Vec::new();
    let tables = snapshot.tables();
    for table in &tables {
        let schema = table.newest().schema;
        let column = |column: &barrow_engine::dataset::ColumnDef| {
            let text = format!("{}:{}", column.name, column.holds.name());
            if column.hidden { format!("[{text}]") } else { text }
        };
        let columns: Vec<String> = schema.columns.iter().map(column).collect();
        parts.push(format!("{} {} {};", schema.name, schema.version, columns.join(" ")));
    }
    for (series, key) in tables.first().into_iter().flat_map(|t| snapshot.series(t.dataset(), None))
    {
        let schema = snapshot.schema(key.dataset).expect("a series has a dataset");
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: schema.columns.iter().map(|column| column.id).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::Visible,
        })?;
        while let Some(rows) = scanner.next()? {
            for at in 0..rows.len() {
                let mut text = format!("{}:", rows.ts[at]);
                for column in &rows.columns {
                    let value = match &column.values {
                        _ if !column.is_valid(at) => "-".to_owned(),
                        Values::F64(values) => values[at].to_string(),
                        Values::I64(values) => values[at].to_string(),
                        Values::Text(texts) => texts.get(at).to_owned(),
                    };
                    let _ = write!(text, " {value}");
                }
                parts.push(text);
            }
        }
    }
    Ok(parts.join(" "))
}

/// Opens the store on every state that a crash may leave.
fn try_all(volume: &Volume, may_be: [&str; 2], seen: &mut BTreeSet<u128>) -> Result<u64, String> {
    states::each(volume, seen, |snapshot| {
        let found = told(snapshot).map_err(|error| error.to_string())?;
        if !may_be.contains(&found.as_str()) {
            return Err(format!("it says {found:?}, and must say one of {may_be:?}"));
        }
        Ok(())
    })
}

#[test]
fn a_history_of_tables_survives_every_crash() {
    let mut states = 0;
    let mut before = "";
    for (last, (_, behind)) in HISTORY.iter().enumerate() {
        let disk = FaultyDisk::new();
        let mut engine = open(Arc::new(disk.clone())).expect("an empty disk is opened");
        for place in 0..=last {
            if place == last {
                disk.record_crash_points();
            }
            engine = play(place, engine, &disk).expect("nothing fails");
        }
        assert_eq!(told(&engine.snapshot()).expect("it is read"), *behind, "act {last}");
        let mut seen = BTreeSet::new();
        for point in disk.take_crash_points() {
            let tried = try_all(&point.volume, [before, behind], &mut seen);
            states += tried.unwrap_or_else(|what| {
                panic!("act {last}, crash in operation {}: {what}", point.operation)
            });
        }
        let tried = try_all(&disk.volume(), [behind; 2], &mut BTreeSet::new());
        states += tried.unwrap_or_else(|what| panic!("a crash behind act {last}: {what}"));
        before = behind;
    }
    assert!(states > 100, "{states} states: too few to prove anything");
    say(&format!("{states} distinct states opened: no definition lost, no row of one"));
}
