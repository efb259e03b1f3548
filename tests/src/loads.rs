//! Bars, trades and quotes to load, from a seed: few symbols and few minutes, so that batches meet
//! on their keys.

use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::dataset;
use barrow_engine::rows::{Bitmap, Column, ColumnType, Values};
use barrow_types::{Nanos, PriceSide, Step};

use crate::model::{COLUMN_COUNT, Load, Model, Offered, REQUIRED_COUNT, Table, Value, series_key};
use crate::random::Random;

/// 2013-10-07T13:30:00Z, an opening of the New York market.
pub const OPEN: i64 = 1_381_152_600_000_000_000;

/// One minute.
pub const MINUTE: i64 = 60_000_000_000;

/// When the tests begin: the bars they load lie before it.
pub const START: i64 = OPEN + 500 * MINUTE;

const SYMBOLS: [&str; 3] = ["AAPL", "BRK.B", "SPY"];

/// How many minutes random loads fall into.
const MINUTES: u64 = 14;

/// An empty load of one-minute trade bars.
pub fn empty(id: String) -> Load {
    Load {
        id,
        table: Table::Bars,
        source: "lean".to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        policy: None,
        retract: false,
        rows: Vec::new(),
        refused: 0,
    }
}

/// A bar of `symbol` in minute `minute` around `price`, known since its ingest.
pub fn bar(symbol: &str, minute: i64, price: f64, random: &mut Random) -> Offered {
    let cents = |random: &mut Random| f64::from(u32::try_from(random.below(100)).unwrap_or(0));
    let values = (0..COLUMN_COUNT).map(|column| {
        if column == COLUMN_COUNT - 1 && random.chance(70) {
            Value::I64(random.below(5_000).cast_signed())
        } else if column < REQUIRED_COUNT || (column == REQUIRED_COUNT && random.chance(80)) {
            Value::F64((price + cents(random) / 100.0).to_bits())
        } else {
            Value::Null
        }
    });
    Offered {
        symbol: Some(symbol.to_owned()),
        ts: Some(OPEN + minute * MINUTE),
        known_at: None,
        values: values.collect(),
    }
}

/// An empty load of a table. Ticks are of a source of their own: of one that delivers both, bars
/// would be made where it delivered none.
fn empty_of(table: Table, id: String) -> Load {
    match table {
        Table::Bars => empty(id),
        _ => Load { table, source: "tape".to_owned(), step: Step::Tick, ..empty(id) },
    }
}

/// A trade or a quote of `symbol` in minute `minute`: with few values, so that many are equal.
fn tick(table: Table, symbol: &str, minute: i64, random: &mut Random) -> Offered {
    let price = |random: &mut Random| {
        let cents = u32::try_from(random.below(3)).unwrap_or(0);
        Value::F64((10.0 + f64::from(cents) / 100.0).to_bits())
    };
    let text = |random: &mut Random, texts: &[&str]| {
        let place = random.place(texts.len() * 2);
        texts.get(place).map_or(Value::Null, |text| Value::Text((*text).to_owned()))
    };
    let values = if table == Table::Trades {
        vec![
            price(random),
            price(random),
            text(random, &["Q", "N"]),
            text(random, &["@"]),
            text(random, &["1", "2", "3"]),
        ]
    } else {
        let size = |random: &mut Random| {
            if random.chance(50) { price(random) } else { Value::Null }
        };
        let (bid, ask) = (price(random), price(random));
        let (bid_size, ask_size) = (size(random), size(random));
        vec![bid, ask, bid_size, ask_size, text(random, &["Q"]), Value::Null]
    };
    Offered {
        symbol: Some(symbol.to_owned()),
        ts: Some(OPEN + minute * MINUTE),
        known_at: None,
        values,
    }
}

/// A load of `rows` bars of one symbol in minutes of their own, from `minute` on.
pub fn run_of_bars(id: String, symbol: &str, minute: i64, rows: usize) -> Load {
    let mut random = Random::new(minute.cast_unsigned());
    let minutes = (minute..).take(rows);
    let rows = minutes.map(|minute| bar(symbol, minute, 100.0, &mut random)).collect();
    Load { rows, ..empty(id) }
}

/// A load at random: new bars, trades or quotes, revisions, repetitions of what is visible, stated
/// times; or a retraction. Sometimes one that is there already.
pub fn random_load(id: String, model: &Model, now: i64, random: &mut Random) -> Load {
    if random.chance(5)
        && let Some(known) = model.batches().next()
    {
        return known.load.clone();
    }
    if random.chance(12) {
        let load = random_retraction(id.clone(), model, random);
        if !load.rows.is_empty() {
            return load;
        }
    }
    let mut load = empty_of(random_table(random), id);
    let rows_max = if random.chance(10) { 40 } else { 6 };
    for _ in 0..=random.below(rows_max) {
        let symbol = SYMBOLS[random.place(SYMBOLS.len())];
        let minute = random.below(MINUTES).cast_signed();
        let mut row = match load.table {
            Table::Bars => bar(symbol, minute, 10.0, random),
            table => tick(table, symbol, minute, random),
        };
        // Some rows say again what is visible.
        if random.chance(15)
            && let Some(key) = series_key(&load, symbol)
            && let Some(ts) = row.ts
            && let Some(visible) = model.visible(&key, ts, ts + 1, i64::MAX, u64::MAX).first()
        {
            row.values.clone_from(&visible.values);
        }
        if random.chance(15) {
            let age = random.below(3_000_000_000_000).cast_signed();
            row.known_at = Some(now - age);
        }
        load.rows.push(row);
    }
    load
}

fn random_table(random: &mut Random) -> Table {
    match random.below(10) {
        0..6 => Table::Bars,
        6..8 => Table::Trades,
        _ => Table::Quotes,
    }
}

fn random_retraction(id: String, model: &Model, random: &mut Random) -> Load {
    let mut load = Load { retract: true, ..empty_of(random_table(random), id) };
    for symbol in SYMBOLS {
        let Some(key) = series_key(&load, symbol) else { continue };
        for row in model.visible(&key, i64::MIN, i64::MAX, i64::MAX, u64::MAX) {
            if random.chance(20) {
                load.rows.push(Offered {
                    symbol: Some(symbol.to_owned()),
                    ts: Some(row.ts),
                    known_at: None,
                    // An event is taken away by what it is, a bar by its time.
                    values: match load.table {
                        Table::Bars => Vec::new(),
                        Table::Trades | Table::Quotes => row.values.clone(),
                    },
                });
            }
        }
    }
    load
}

/// The load as the engine takes it.
pub fn batch_of(load: &Load) -> Batch {
    let mut symbols = Symbols::default();
    for row in &load.rows {
        let name = row.symbol.as_deref().unwrap_or_default();
        let place = symbols.names.iter().position(|known| known == name).unwrap_or_else(|| {
            symbols.names.push(name.to_owned());
            symbols.names.len() - 1
        });
        symbols.of_row.push(u32::try_from(place).expect("invariant: tests have few symbols"));
    }
    let integers = |values: &mut dyn Iterator<Item = Option<i64>>| {
        let values: Vec<Value> =
            values.map(|value| value.map_or(Value::Null, Value::I64)).collect();
        column(ColumnType::I64, &values)
    };
    let known_at = load.rows.iter().any(|row| row.known_at.is_some());
    let schema = dataset::schema(load.table.dataset()).expect("invariant: the table is built in");
    let by_time = load.retract && load.table == Table::Bars;
    let wanted = if by_time { &[] } else { schema.columns };
    let columns = wanted.iter().enumerate().map(|(place, def)| {
        let values: Vec<Value> = load.rows.iter().map(|row| row.values[place].clone()).collect();
        column(def.kind(), &values)
    });
    Batch {
        id: load.id.clone(),
        dataset: load.table.dataset(),
        source: load.source.clone(),
        step: load.step,
        side: load.side,
        known_at_policy: load.policy.map_or(KnownAt::Ingest, |at| KnownAt::TsEnd(Nanos::new(at))),
        facts: None,
        claims: Vec::new(),
        act: if load.retract { Act::Retract } else { Act::Insert },
        is_import: true,
        ts: integers(&mut load.rows.iter().map(|row| row.ts)),
        known_at: known_at.then(|| integers(&mut load.rows.iter().map(|row| row.known_at))),
        columns: columns.collect(),
        symbols,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

fn column(kind: ColumnType, values: &[Value]) -> Column {
    let filled = match kind {
        ColumnType::F64 => Values::F64(values.iter().map(double).collect()),
        ColumnType::I64 => Values::I64(values.iter().map(integer).collect()),
        ColumnType::Text => Values::Text(values.iter().map(text).collect()),
    };
    let present: Bitmap = values.iter().map(|value| *value != Value::Null).collect();
    let validity = (present.count() < present.len()).then_some(present);
    Column { values: filled, validity }
}

fn double(value: &Value) -> f64 {
    if let Value::F64(bits) = value { f64::from_bits(*bits) } else { 0.0 }
}

fn integer(value: &Value) -> i64 {
    if let Value::I64(number) = value { *number } else { 0 }
}

fn text(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { "" }
}
