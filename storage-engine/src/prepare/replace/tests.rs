//! A batch that replaces a range against plain lists of rows.

use std::sync::Arc;

use barrow_types::{DatasetId, PriceSide, Sequence, Step, Timestamp};
use proptest::prelude::*;

use crate::batch::{Act, Applied, Batch, Claim, ClaimOrigin, KnownAt, Symbols};
use crate::dataset::schema;
use crate::disk::MemoryDisk;
use crate::engine::Engine;
use crate::options::Options;
use crate::prepare::prepare;
use crate::rows::{Column, ColumnType, Values};
use crate::snapshot::{Revisions, Scan, Snapshot};

const MINUTE: i64 = 60_000_000_000;
const NOW: Timestamp = Timestamp::from_nanos(1_000 * MINUTE);
const SYMBOLS: [&str; 2] = ["A", "B"];
const DATASETS: [DatasetId; 3] = [DatasetId::BARS, DatasetId::TRADES, DatasetId::QUOTES];

/// A row: symbol, minute, price, id of a trade.
type Row = (usize, i64, u8, Option<u8>);

fn engine(disk: &MemoryDisk) -> Engine {
    let options = Options { wal_file_bytes: 65_536, ..Options::default() };
    Engine::open(Arc::new(disk.clone()), options, [7; 16]).unwrap().0
}

fn batch(id: &str, dataset: DatasetId, rows: &[Row]) -> Batch {
    let columns = schema(dataset).unwrap().columns.iter().map(|column| {
        let mut values = Column::empty(column.kind(), 0);
        for row in rows {
            let one = match (column.name, row.3) {
                ("open" | "high" | "low" | "close" | "price" | "size" | "bid", _) => {
                    Some(Values::F64(vec![f64::from(row.2)]))
                }
                ("trade_id", Some(id)) => {
                    Some(Values::Text([id.to_string().as_str()].into_iter().collect()))
                }
                _ => None,
            };
            match one {
                Some(one) => values.push_from(&Column::new(one), 0),
                None => values.push_null(),
            }
        }
        values
    });
    let columns = columns.collect();
    let ts = rows.iter().map(|row| row.1 * MINUTE).collect();
    Batch {
        id: id.to_owned(),
        dataset,
        source: "s".to_owned(),
        step: if dataset == DatasetId::BARS { Step::M1 } else { Step::Tick },
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: true,
        symbols: Symbols {
            names: SYMBOLS.map(str::to_owned).into(),
            of_row: rows.iter().map(|row| u32::try_from(row.0).unwrap()).collect(),
        },
        ts: Column::new(Values::I64(ts)),
        known_at: None,
        columns,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

fn replacing(symbol: &str, start: i64, end: i64) -> Claim {
    Claim {
        symbol: symbol.to_owned(),
        start: Timestamp::from_nanos(start * MINUTE),
        end: Timestamp::from_nanos(end * MINUTE),
        origin: ClaimOrigin::Replaces,
    }
}

fn commit(engine: &mut Engine, batch: Batch) -> Applied {
    let prepared = prepare(batch, &engine.snapshot(), NOW).unwrap();
    let applied = engine.commit(vec![prepared], NOW).unwrap().remove(0).unwrap();
    engine.advance();
    applied
}

/// The visible rows, in order.
fn visible(snapshot: &Snapshot, dataset: DatasetId, at: Option<Sequence>) -> Vec<Row> {
    let schema = schema(dataset).unwrap();
    let mut found = Vec::new();
    for (series, key) in snapshot.series(dataset, None) {
        let mut scanner = snapshot
            .scan(Scan {
                series,
                start: Timestamp::MIN,
                end: Timestamp::MAX,
                columns: schema.columns.iter().map(|column| column.id).collect(),
                as_of: None,
                at_sequence: at,
                revisions: Revisions::Visible,
            })
            .unwrap();
        let symbol = SYMBOLS.iter().position(|name| *name == key.symbol.as_str()).unwrap();
        while let Some(rows) = scanner.next().unwrap() {
            for at in 0..rows.len() {
                let Values::F64(prices) = &rows.columns[0].values else { panic!("prices are f64") };
                let last = rows.columns.last().unwrap();
                let id = match &last.values {
                    Values::Text(ids) if dataset == DatasetId::TRADES && last.is_valid(at) => {
                        Some(ids.get(at).parse().unwrap())
                    }
                    _ => None,
                };
                let price = (0..=9).find(|price| f64::from(*price) == prices[at]).unwrap();
                found.push((symbol, rows.ts[at] / MINUTE, price, id));
            }
        }
    }
    found.sort_unstable();
    found
}

/// What is visible after rows came, the plain way.
fn insert(dataset: DatasetId, visible: &mut Vec<Row>, rows: &[Row]) {
    for row in rows {
        let row = if dataset == DatasetId::TRADES { *row } else { (row.0, row.1, row.2, None) };
        let has_key = dataset == DatasetId::BARS || row.3.is_some();
        if has_key {
            visible.retain(|other| (other.0, other.1, other.3) != (row.0, row.1, row.3));
        }
        visible.push(row);
    }
    visible.sort_unstable();
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..2_usize, 0..6_i64, 1..3_u8, prop::option::of(0..2_u8));
    prop::collection::vec(row, 0..8)
}

proptest! {
    #[test]
    fn what_stands_in_a_replaced_range_is_what_the_batch_brought(
        before in prop::collection::vec(rows(), 0..4),
        brought in rows(),
        (start, len) in (0..6_i64, 1..6_i64),
        both in any::<bool>(),
        dataset in prop::sample::select(DATASETS.to_vec()),
        flush in any::<bool>(),
    ) {
        let disk = MemoryDisk::new();
        let mut store = engine(&disk);
        let mut plain = Vec::new();
        for (at, rows) in before.iter().enumerate() {
            commit(&mut store, batch(&format!("b{at}"), dataset, rows));
            insert(dataset, &mut plain, rows);
        }
        if flush && let Some(job) = store.plan_flush() {
            let done = job.run(&disk);
            store.install(done).unwrap();
        }
        prop_assert_eq!(&visible(&store.snapshot(), dataset, None), &plain);
        let held = store.snapshot().sequence();
        let symbols = if both { &SYMBOLS[..] } else { &SYMBOLS[..1] };
        // Ranges that overlap are one.
        let claims = symbols.iter().flat_map(|symbol| {
            [replacing(symbol, start, start + len), replacing(symbol, start, start + 1)]
        });
        let replaces = Batch { claims: claims.collect(), ..batch("r", dataset, &brought) };
        let applied = commit(&mut store, replaces.clone());
        let range = start..start + len;
        let is_replaced = |row: &Row| row.0 < symbols.len() && range.contains(&row.1);
        let was = plain.clone();
        plain.retain(|row| !is_replaced(row));
        insert(dataset, &mut plain, &brought);
        let mut now = visible(&store.snapshot(), dataset, None);
        prop_assert_eq!(&now, &plain);
        // Gone without another version of them are those that it counts.
        let key = |row: &Row| match dataset {
            DatasetId::BARS => (row.0, row.1, 0, None),
            _ if row.3.is_some() => (row.0, row.1, 0, row.3),
            _ => *row,
        };
        let gone = was.iter().filter(|row| {
            match now.iter().position(|other| key(other) == key(row)) {
                Some(at) => { now.remove(at); false }
                None => true,
            }
        });
        prop_assert_eq!(applied.retracted, gone.count() as u64);
        // Nothing is erased, and the answer to a repetition is the same.
        prop_assert_eq!(&visible(&store.snapshot(), dataset, Some(held)), &was);
        let again = commit(&mut store, replaces);
        prop_assert_eq!((again.repeated, again.retracted), (true, applied.retracted));
        drop(store);
        prop_assert_eq!(&visible(&engine(&disk).snapshot(), dataset, None), &plain);
    }
}

#[test]
fn rows_that_were_turned_away_leave_what_stands_at_their_time() {
    let mut store = engine(&MemoryDisk::new());
    let rows = [(0, 1, 1, None), (0, 2, 1, None), (0, 3, 1, None)];
    commit(&mut store, batch("b", DatasetId::BARS, &rows));
    let mut bad = batch("r", DatasetId::BARS, &[(0, 2, 1, None)]);
    bad.columns[0] = Column::new(Values::F64(vec![f64::NAN]));
    bad.claims = vec![replacing("A", 1, 4)];
    let applied = commit(&mut store, bad.clone());
    assert_eq!((applied.retracted, applied.counts.rejected), (2, 1));
    assert_eq!(visible(&store.snapshot(), DatasetId::BARS, None), [(0, 2, 1, None)]);
    // One that does not tell its time may be any of them: nothing is replaced.
    let mut untimed = Batch { id: "u".to_owned(), ..bad };
    untimed.ts = Column::nulls(ColumnType::I64, 1);
    let applied = commit(&mut store, untimed);
    assert_eq!((applied.retracted, applied.claims), (0, 0));
    assert_eq!(visible(&store.snapshot(), DatasetId::BARS, None).len(), 1);
}

#[test]
fn a_batch_prepared_before_other_rows_came_replaces_them_too() {
    let mut store = engine(&MemoryDisk::new());
    let claims = vec![replacing("A", 0, 5)];
    let replaces = Batch { claims, ..batch("r", DatasetId::BARS, &[(0, 1, 1, None)]) };
    let prepared = prepare(replaces, &store.snapshot(), NOW).unwrap();
    commit(&mut store, batch("b", DatasetId::BARS, &[(0, 2, 2, None)]));
    let applied = store.commit(vec![prepared], NOW).unwrap().remove(0).unwrap();
    assert_eq!(applied.retracted, 1);
    assert_eq!(visible(&store.snapshot(), DatasetId::BARS, None), [(0, 1, 1, None)]);
}

#[test]
fn every_symbol_at_once_is_not_replaced() {
    let store = engine(&MemoryDisk::new());
    let claims = vec![replacing("*", 0, 5)];
    let replaces = Batch { claims, ..batch("r", DatasetId::BARS, &[]) };
    let error = prepare(replaces, &store.snapshot(), NOW).err().unwrap();
    assert!(error.detail().starts_with("covers_symbols"), "{}", error.detail());
}
