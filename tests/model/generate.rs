//! Random batches in which keys, values and times collide as often as they can.

use barrow_engine::batch::{Act, Batch, KnownAt, Refused, Symbols};
use barrow_engine::dataset;
use barrow_engine::rows::{Bitmap, Column, ColumnType, Values};
use barrow_tests::model::{Load, Model, Offered, Stored, Table, UNREADABLE, Value, series_key};
use barrow_tests::random::Random;

use crate::compare;
use barrow_types::{
    DAY_NANOS, Nanos, PriceSide, Step, Timestamp, civil_from_days, days_from_civil,
};

/// Where the clock of every episode starts: 2023-11-14T22:13:20Z, less the odd seconds.
pub(crate) const START: i64 = 1_699_999_980 * SECOND;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

/// Later than any clock of an episode comes.
const FAR_FUTURE: i64 = START + 40 * 365 * DAY_NANOS;

/// Keys cluster here, besides the last minutes before [`START`]: 1960 and 1815.
const OLD_TIMES: [i64; 2] = [-312_000_000 * SECOND, -4_890_000_000 * SECOND];

/// How big things get in one episode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many operations it has.
    pub(crate) operations: u64,
    /// How many different minutes each cluster of keys has.
    pub(crate) minutes: i64,
    /// How many symbols.
    pub(crate) symbols: usize,
    /// Most rows of a batch.
    pub(crate) rows_max: usize,
    /// Chance in a hundred of a question after an operation.
    pub(crate) questions: u64,
    /// Chance in a hundred that an operation is a step of a flush.
    pub(crate) flushes: u64,
    /// Length of a log file.
    pub(crate) wal_file_bytes: u64,
    /// Size of the memtable at which a flush is due.
    pub(crate) memtable_bytes_max: u64,
    /// Chance in a hundred that an operation raises a floor of retention.
    pub(crate) floors: u64,
    /// Chance in a hundred that an operation is a step of a backup or of what is made of it.
    pub(crate) backups: u64,
}

/// Up to when a batch may say that things happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Horizon {
    /// The batch comes in at exactly this time: what is later by a nanosecond is the future.
    Exact(i64),
    /// The batch comes in at this time or any time after it.
    AtLeast(i64),
}

impl Horizon {
    /// The same, but nothing may be said about what is later.
    const fn past(self) -> Self {
        match self {
            Self::Exact(now) | Self::AtLeast(now) => Self::AtLeast(now),
        }
    }
}

const SYMBOLS: [&str; 5] = ["SPY", "AAPL", "BRK.B", "EUR/USD", "Ä"];
const BAD_SYMBOLS: [&str; 5] = ["", "A,B", " A", "../A", "A\0"];
const SOURCES: [&str; 2] = ["lean", "ib"];
const STEPS: [Step; 3] = [Step::M1, Step::D1, Step::Mo1];
const PRICES: [f64; 6] = [100.25, 100.5, 99.75, 0.0, -0.0, 1e-3];
const VENUES: [&str; 2] = ["N", "Q"];
const CONDITIONS: [&str; 3] = ["@", "@ F I", ""];
const NUMBERS: [&str; 4] = ["1", "2", "0x3", ""];
const DELAYS: [i64; 5] = [0, 15 * MINUTE, DAY_NANOS, 20 * 365 * DAY_NANOS, i64::MAX];

/// A number from 0 up to `bound`, without it.
pub(crate) fn span(random: &mut Random, bound: i64) -> i64 {
    random.below(bound.unsigned_abs()).cast_signed()
}

/// One of `all`, which is not empty.
pub(crate) fn pick<'a, T>(random: &mut Random, all: &'a [T]) -> &'a T {
    &all[random.place(all.len())]
}

/// A batch of rows, or of keys to take away.
pub(crate) fn load(
    random: &mut Random,
    shape: &Shape,
    model: &Model,
    id: String,
    horizon: Horizon,
) -> Load {
    let table = match random.below(20) {
        0..11 => Table::Bars,
        11..17 => Table::Trades,
        _ => Table::Quotes,
    };
    let bar_step = if random.chance(75) { Step::M1 } else { *pick(random, &STEPS) };
    let mut load = Load {
        id,
        table,
        source: if random.chance(85) { SOURCES[0] } else { SOURCES[1] }.to_owned(),
        step: if table == Table::Bars { bar_step } else { Step::Tick },
        side: if random.chance(90) { PriceSide::Trade } else { PriceSide::Bid },
        policy: if random.chance(25) { Some(*pick(random, &DELAYS)) } else { None },
        retract: random.chance(12),
        rows: Vec::new(),
        refused: if random.chance(4) { 1 + random.place(3) } else { 0 },
    };
    let rows = 1 + if random.chance(50) { random.place(4) } else { random.place(shape.rows_max) };
    if load.retract {
        load.policy = None;
    }
    for _ in 0..rows {
        let row = if load.retract && table == Table::Bars {
            key(random, shape, &load, horizon.past())
        } else if load.retract {
            let mut row = key(random, shape, &load, horizon.past());
            row.values = values(random, model, &load, &row);
            row
        } else {
            row(random, shape, model, &load, horizon)
        };
        load.rows.push(row);
        if random.chance(10) {
            let again = load.rows[random.place(load.rows.len())].clone();
            load.rows.push(again);
        }
    }
    load
}

/// The same batch with something changed, so that it is (nearly always) other content.
pub(crate) fn altered(random: &mut Random, mut load: Load) -> Load {
    let at = random.place(load.rows.len());
    let change = if load.retract { random.below(2) } else { random.below(7) };
    match change {
        0 => load.rows.truncate(at.max(1)),
        1 => load.source = SOURCES[random.place(2)].to_owned(),
        2 => load.policy = Some(span(random, MINUTE)),
        3 => load.side = PriceSide::Mid,
        4 => load.rows[at].known_at = Some(START - span(random, MINUTE)),
        5 if load.step != Step::Mo1 => {
            load.rows[at].ts = load.rows[at].ts.map(|ts| ts.saturating_sub(DAY_NANOS));
        }
        _ => {
            let other = match load.table {
                Table::Bars => Value::I64(0),
                Table::Trades | Table::Quotes => Value::Text("0".to_owned()),
            };
            let values = &mut load.rows[at].values;
            let value = values.last_mut().expect("invariant: tables have columns");
            *value = if *value == Value::Null { other } else { Value::Null };
        }
    }
    load
}

fn key(random: &mut Random, shape: &Shape, load: &Load, horizon: Horizon) -> Offered {
    let symbol = SYMBOLS[random.place(shape.symbols)];
    let minutes = span(random, shape.minutes) * MINUTE;
    let mut ts = match random.below(20) {
        0..14 => START - minutes,
        14 | 15 => OLD_TIMES[0] - minutes,
        16 => OLD_TIMES[1] - minutes,
        17 => START - minutes - span(random, 3),
        _ => recent(random, horizon),
    };
    if load.step.is_dated() {
        ts = ts.div_euclid(DAY_NANOS) * DAY_NANOS;
    }
    if load.step == Step::Mo1 {
        let (year, month, _) = civil_from_days(ts.div_euclid(DAY_NANOS));
        ts = days_from_civil(year, month, 1) * DAY_NANOS;
    }
    Offered { symbol: Some(symbol.to_owned()), ts: Some(ts), known_at: None, values: Vec::new() }
}

fn recent(random: &mut Random, horizon: Horizon) -> i64 {
    match horizon {
        Horizon::Exact(now) if random.chance(50) => now + MINUTE + span(random, 4) - 2,
        Horizon::Exact(now) => now + span(random, 4) - 2,
        Horizon::AtLeast(now) => now - span(random, 4),
    }
}

fn row(
    random: &mut Random,
    shape: &Shape,
    model: &Model,
    load: &Load,
    horizon: Horizon,
) -> Offered {
    let mut row = key(random, shape, load, horizon);
    row.values = values(random, model, load, &row);
    if matches!(horizon, Horizon::Exact(now) if row.ts.is_some_and(|ts| ts > now)) {
        // Rejected as it is. With a second fault the reason would be a matter of taste.
        return row;
    }
    row.known_at = match random.below(20) {
        0 => Some(recent(random, horizon)),
        1 => Some(FAR_FUTURE),
        2 | 3 => Some(START - span(random, 4)),
        4 => Some(START - span(random, shape.minutes) * MINUTE),
        5 => Some(OLD_TIMES[0] + span(random, 3)),
        _ => None,
    };
    if random.chance(3) {
        spoil(random, load.table, &mut row);
    }
    row
}

/// Makes the row one that the door rejects, for one reason.
fn spoil(random: &mut Random, table: Table, row: &mut Offered) {
    row.known_at = None;
    match random.below(7) {
        0 => row.symbol = None,
        1 => row.symbol = Some((*pick(random, &BAD_SYMBOLS)).to_owned()),
        2 => row.ts = None,
        3 => row.ts = Some(FAR_FUTURE),
        4 => row.ts = Some(if random.chance(50) { i64::MIN } else { i64::MIN + 1 }),
        5 if table == Table::Quotes => {
            row.values[0] = Value::Null;
            row.values[1] = Value::F64(f64::to_bits(-0.0));
        }
        5 => row.values[random.place(table.required_count())] = Value::Null,
        _ => {
            let wrong = *pick(random, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
            let doubles = match table {
                Table::Bars => 6,
                Table::Trades => 2,
                // A size without its side is nothing, finite or not.
                Table::Quotes => 2,
            };
            row.values[random.place(doubles)] = Value::F64(wrong.to_bits());
        }
    }
}

fn values(random: &mut Random, model: &Model, load: &Load, row: &Offered) -> Vec<Value> {
    let known = row.symbol.as_deref().zip(row.ts).and_then(|(symbol, ts)| {
        let key = series_key(load, symbol)?;
        let rows = model.all(&key, ts, ts.checked_add(1)?, i64::MAX, u64::MAX);
        let rows: Vec<&Stored> = rows.into_iter().filter(|row| !row.retract).collect();
        if rows.is_empty() { None } else { Some(pick(random, &rows).values.clone()) }
    });
    match known {
        Some(values) if random.chance(if load.retract { 80 } else { 25 }) => values,
        Some(mut values) if random.chance(40) => {
            let at = random.place(load.table.column_count());
            values[at] = value(random, load.table, at);
            values
        }
        _ => {
            let flat = load.table == Table::Bars && random.chance(50);
            let first = value(random, load.table, 0);
            (0..load.table.column_count())
                .map(
                    |at| if flat && at < 4 { first.clone() } else { value(random, load.table, at) },
                )
                .collect()
        }
    }
}

fn value(random: &mut Random, table: Table, at: usize) -> Value {
    let text = |random: &mut Random, all: &[&str]| Value::Text((*pick(random, all)).to_owned());
    match (table, at) {
        (Table::Trades, 2) | (Table::Quotes, 4) if random.chance(60) => text(random, &VENUES),
        (Table::Trades, 3) | (Table::Quotes, 5) if random.chance(40) => text(random, &CONDITIONS),
        (Table::Trades, 4) if random.chance(50) => text(random, &NUMBERS),
        (Table::Trades, 2..) | (Table::Quotes, 4..) => Value::Null,
        _ => number(random, at >= table.required_count(), table == Table::Bars && at == 6),
    }
}

fn number(random: &mut Random, nullable: bool, is_integer: bool) -> Value {
    match random.below(20) {
        0..9 if nullable => Value::Null,
        9 if is_integer => Value::I64(random.number().cast_signed()),
        _ if is_integer => Value::I64(span(random, 3) - 1),
        9 => loop {
            let bits = random.number();
            if f64::from_bits(bits).is_finite() {
                break Value::F64(bits);
            }
        },
        10 => Value::F64(pick(random, &[f64::MAX, f64::MIN, 5e-324, -5e-324]).to_bits()),
        _ => Value::F64(pick(random, &PRICES).to_bits()),
    }
}

/// The batch as the engine takes it. Equal loads come out in unequal but equivalent forms.
pub(crate) fn batch(random: &mut Random, load: &Load) -> Batch {
    let rows = &load.rows;
    let schema = dataset::schema(load.table.dataset()).expect("invariant: the table is built in");
    let by_key = load.retract && load.table == Table::Bars;
    let columns = if by_key { &[] } else { schema.columns }.iter().enumerate().map(|(at, def)| {
        let values: Vec<Value> = rows.iter().map(|row| row.values[at].clone()).collect();
        column(random, def.kind(), &values)
    });
    let columns = columns.collect();
    let of = |at: Option<i64>| at.map_or(Value::Null, Value::I64);
    let ts: Vec<Value> = rows.iter().map(|row| of(row.ts)).collect();
    let known_at: Vec<Value> = rows.iter().map(|row| of(row.known_at)).collect();
    let states_none = known_at.iter().all(|value| *value == Value::Null);
    let known_at = if load.retract || states_none && random.chance(80) {
        None
    } else {
        Some(column(random, ColumnType::I64, &known_at))
    };
    Batch {
        id: load.id.clone(),
        dataset: load.table.dataset(),
        source: load.source.clone(),
        step: load.step,
        side: load.side,
        known_at_policy: load
            .policy
            .map_or(KnownAt::Ingest, |delay| KnownAt::TsEnd(Nanos::new(delay))),
        facts: None,
        claims: Vec::new(),
        act: if load.retract { Act::Retract } else { Act::Insert },
        is_import: true,
        symbols: symbols(random, rows),
        ts: column(random, ColumnType::I64, &ts),
        known_at,
        columns,
        numbers: None,
        raw: None,
        refused: (rows.len()..rows.len() + load.refused).map(refused).collect(),
    }
}

fn refused(place: usize) -> Refused {
    Refused {
        row: u64::try_from(place).expect("invariant: lengths fit 64 bits"),
        reason: UNREADABLE.to_owned(),
        detail: "a line of the generator".to_owned(),
        raw: format!("line {place}"),
        key: None,
    }
}

fn symbols(random: &mut Random, rows: &[Offered]) -> Symbols {
    let mut names: Vec<String> = Vec::new();
    for name in rows.iter().filter_map(|row| row.symbol.as_ref()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if random.chance(20) {
        names.reverse();
    }
    let place = |row: &Offered| {
        let place = names.iter().position(|name| Some(name) == row.symbol.as_ref());
        place.map_or(Symbols::NONE, |at| u32::try_from(at).expect("invariant: few names"))
    };
    let of_row = rows.iter().map(place).collect();
    Symbols { names, of_row }
}

fn column(random: &mut Random, kind: ColumnType, values: &[Value]) -> Column {
    let bits: Bitmap = values.iter().map(|value| *value != Value::Null).collect();
    let values = match kind {
        ColumnType::F64 => Values::F64(values.iter().map(double).collect()),
        ColumnType::I64 => Values::I64(values.iter().map(integer).collect()),
        ColumnType::Text => Values::Text(values.iter().map(text).collect()),
    };
    let is_full = bits.count() == bits.len();
    let validity = if is_full && random.chance(90) { None } else { Some(bits) };
    Column { values, validity }
}

fn double(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::F64(bits) => f64::from_bits(*bits),
        other => panic!("invariant: {other:?} in a column of doubles"),
    }
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Null => 0,
        Value::I64(value) => *value,
        other => panic!("invariant: {other:?} in a column of integers"),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Null => "",
        Value::Text(text) => text,
        other => panic!("invariant: {other:?} in a column of texts"),
    }
}

/// The load that a batch of the engine's own making (a retraction) stands for.
pub(crate) fn load_of(batch: &Batch) -> Load {
    let symbol = |at: &u32| batch.symbols.names.get(usize::try_from(*at).ok()?).cloned();
    let ts = match &batch.ts.values {
        Values::I64(values) => values,
        other => panic!("times as {other:?}"),
    };
    let rows = batch.symbols.of_row.iter().zip(ts).enumerate().map(|(at, (of, ts))| Offered {
        symbol: symbol(of),
        ts: Some(*ts),
        known_at: None,
        values: batch.columns.iter().map(|column| compare::value(column, at)).collect(),
    });
    Load {
        id: batch.id.clone(),
        table: Table::of(batch.dataset),
        source: batch.source.clone(),
        step: batch.step,
        side: batch.side,
        policy: None,
        retract: batch.act == Act::Retract,
        rows: rows.collect(),
        refused: batch.refused.len(),
    }
}

/// A time that is worth asking about.
pub(crate) fn instant(random: &mut Random, instants: &[i64]) -> Option<Timestamp> {
    let at = match random.below(10) {
        0..3 => return None,
        3 => *pick(random, &[i64::MIN, i64::MAX, 0, OLD_TIMES[1], FAR_FUTURE]),
        4 | 5 => START - span(random, 5),
        _ if instants.is_empty() => START,
        _ => pick(random, instants).saturating_add(span(random, 3) - 1),
    };
    Some(Timestamp::from_nanos(at))
}

/// A range of `ts` that is worth asking about: `[start, end)`.
pub(crate) fn range(random: &mut Random, shape: &Shape) -> (i64, i64) {
    if random.chance(40) {
        return (i64::MIN, i64::MAX);
    }
    let cluster = if random.chance(70) { START } else { *pick(random, &OLD_TIMES) };
    let start = cluster - span(random, shape.minutes + 1) * MINUTE + span(random, 3) - 1;
    (start, start + span(random, shape.minutes + 1) * MINUTE + span(random, 3))
}
