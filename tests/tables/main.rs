//! Users' tables against a plain model: random schedules of definitions, rows, retractions,
//! flushes, compactions and openings, then the same questions to both.
//!
//! ```text
//! BARROW_TABLES_EPISODES=10000 cargo test --release -p barrow-tests --test tables
//! ```
//!
//! `BARROW_TABLES_SEED` replaces the first seed; a failing episode prints its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod model;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::batch::{Act, Applied, Batch, KnownAt, Symbols};
use barrow_engine::dataset::retention::{self, Floor};
use barrow_engine::dataset::tables::{Asked, AskedColumn, Extra, next};
use barrow_engine::dataset::{Schema, ValueType};
use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::rows::{Bitmap, Column as Buffer, ColumnType, Rows, Values as Words};
use barrow_engine::{
    Engine, Error, ErrorKind, Options, Prepared, Revisions, Scan, Scope, Snapshot, prepare,
    retraction_of, verify,
};
use barrow_tests::random::Random;
use barrow_types::{PriceSide, Sequence, Step, Timestamp};

use crate::model::{Column, Counts, Sent, Table, Value, Values};

const EPISODES_DEFAULT: u64 = 6;
const SEED_DEFAULT: u64 = 20_131_007;
const OPERATIONS: u64 = 150;

const START: i64 = 1_700_000_000_000_000_000;
const MINUTE: i64 = 60_000_000_000;
const SYMBOLS: [&str; 2] = ["SPY", "AAPL"];
const NAMES: [&str; 3] = ["news", "decisions", "daily"];
const SOURCE: &str = "vendor";
const TEXTS: [&str; 3] = ["", "a", "\u{e4}"];
/// No double is the last one.
const WHOLE: [i64; 4] = [0, -1, 7, (1 << 53) + 1];
const DOUBLES: [f64; 4] = [0.0, -0.0, 7.0, 1.5];

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: give a whole number")))
}

/// A batch that was offered: to which table, whether it retracts, its rows.
type Offered = (usize, bool, Vec<Sent>);

struct Episode {
    random: Random,
    disk: MemoryDisk,
    engine: Option<Engine>,
    tables: Vec<Table>,
    now: i64,
    batches: BTreeMap<String, Offered>,
    /// Batches that were prepared and wait, each with the kinds that its columns had.
    waiting: Vec<(String, Vec<ColumnType>, Prepared)>,
    snapshots: Vec<(Snapshot, u64)>,
    /// Whether floors of retention rise.
    raises: bool,
    names: u64,
    ids: u64,
    compared: u64,
}

impl Episode {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            disk: MemoryDisk::new(),
            engine: None,
            tables: Vec::new(),
            now: START,
            batches: BTreeMap::new(),
            waiting: Vec::new(),
            snapshots: Vec::new(),
            raises: seed.is_multiple_of(2),
            names: 0,
            ids: 0,
            compared: 0,
        }
    }

    fn run(mut self) -> u64 {
        self.open();
        for _ in 0..OPERATIONS {
            self.now += i64::try_from(self.random.below(3)).unwrap_or_default() * MINUTE / 2;
            match self.random.below(100) {
                0..12 => self.put(),
                12..55 => self.offer(),
                55..63 => self.wait(),
                63..69 => self.commit_waiting(),
                69..73 => self.repeat(),
                73..77 => self.take_back(),
                77..84 => self.flush(),
                84..88 => self.compact(),
                88 if self.raises => self.raise(),
                88..92 => self.open(),
                92..96 => self.keep(),
                _ => self.ask_all(),
            }
        }
        self.ask_all();
        self.snapshots.clear();
        let engine = self.engine.take().expect("it is open");
        engine.close(self.time()).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        assert_eq!(verify(&disk).unwrap().problems, Vec::<String>::new());
        self.compared
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_nanos(self.now)
    }

    fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("it is open")
    }

    fn snapshot(&self) -> Snapshot {
        self.engine.as_ref().expect("it is open").snapshot()
    }

    /// Closes the store or lets it go, and opens it again.
    fn open(&mut self) {
        for (id, ..) in std::mem::take(&mut self.waiting) {
            self.batches.remove(&id);
        }
        self.snapshots.clear();
        if let Some(engine) = self.engine.take()
            && self.random.chance(50)
        {
            engine.close(self.time()).unwrap();
        }
        let options = Options {
            memtable_bytes_max: 32 << 10,
            compact_fan_out: 3,
            compact_first_bytes: 4 << 10,
            own_file_bytes: 8 << 10,
            ..Options::default()
        };
        let (engine, _) = Engine::open(Arc::new(self.disk.clone()), options, [7; 16]).unwrap();
        self.engine = Some(engine);
        self.check_definitions();
    }

    fn check_definitions(&self) {
        let snapshot = self.snapshot();
        let found = snapshot.tables();
        assert_eq!(found.len(), self.tables.len());
        for (found, table) in found.iter().zip(&self.tables) {
            assert_eq!(found.name(), table.name);
            assert_eq!(found.versions().len(), table.versions.len());
            for (found, (since, columns)) in found.versions().iter().zip(&table.versions) {
                assert_eq!(found.since.get(), *since, "{}", table.name);
                assert_eq!(columns_of(found.schema), *columns, "{}", table.name);
            }
        }
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    fn any_type(&mut self) -> ValueType {
        ValueType::ALL[self.random.place(ValueType::ALL.len())]
    }

    fn commit(&mut self, prepared: Prepared) -> Result<Applied, Error> {
        let now = self.time();
        let mut results = self.engine().commit(vec![prepared], now).unwrap();
        self.engine().advance();
        results.pop().expect("one batch was committed")
    }

    /// Defines a table, or changes one.
    fn put(&mut self) {
        let is_new = self.tables.is_empty() || self.tables.len() < 3 && self.random.chance(30);
        let (place, columns, key) = if is_new { self.first() } else { self.changed() };
        let asked = Asked {
            columns: columns.iter().map(|(ask, _)| ask.clone()).collect(),
            key: key.clone(),
            extra: Extra::Reject,
        };
        let name = NAMES[place];
        let snapshot = self.snapshot();
        let definition = match next(name, &snapshot.tables(), &asked) {
            Ok(Some(definition)) => definition,
            Ok(None) => {
                let expected: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
                return assert_eq!(expected, self.tables[place].columns());
            }
            Err(fault) => panic!("{name} as {asked:?}: {fault:?}"),
        };
        let loses = columns.iter().enumerate().any(|(at, (_, column))| {
            let id = u16::try_from(at + 1).unwrap();
            let is_large = |value: Option<&Value>| matches!(value, Some(Value::Large(_)));
            let rows = self.tables.get(place).map_or(&[][..], |table| &table.rows);
            column.holds == ValueType::F64 && rows.iter().any(|row| is_large(row.values.get(&id)))
        });
        let batch = definition.batch(self.next_id());
        let prepared = match prepare(batch, &snapshot, self.time()) {
            Ok(prepared) => prepared,
            Err(error) => {
                assert!(loses && error.kind() == ErrorKind::Conflict, "{error}");
                return;
            }
        };
        assert!(!loses, "a number that no double is would be lost");
        let since = self.commit(prepared).unwrap().sequence.get();
        let columns: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
        if is_new {
            let ids = |name: &String| columns.iter().position(|column| column.name == *name);
            let ids = key.iter().filter_map(ids).map(|at| u16::try_from(at + 1).unwrap());
            self.tables.push(Table {
                name: name.to_owned(),
                key: (!key.is_empty()).then(|| ids.collect()),
                versions: vec![(since, columns)],
                rows: Vec::new(),
                floors: Vec::new(),
            });
        } else {
            self.tables[place].versions.push((since, columns));
        }
        self.check_definitions();
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("b{}", self.ids)
    }

    /// A new table: without a key, by a column, by time.
    fn first(&mut self) -> (usize, Vec<(AskedColumn, Column)>, Vec<String>) {
        let place = self.tables.len();
        let mut columns = Vec::new();
        let mut key = if place == 0 { Vec::new() } else { vec!["ts".to_owned()] };
        if place == 1 {
            let name = self.new_name();
            let holds = [ValueType::Text, ValueType::I64][self.random.place(2)];
            key.push(name.clone());
            columns.push(asked(Column { name, holds, nullable: false, hidden: false }));
        }
        for _ in 0..1 + self.random.place(4) {
            let (name, holds) = (self.new_name(), self.any_type());
            let nullable = self.random.chance(70);
            columns.push(asked(Column { name, holds, nullable, hidden: false }));
        }
        (place, columns, key)
    }

    /// One that is there, with something changed.
    fn changed(&mut self) -> (usize, Vec<(AskedColumn, Column)>, Vec<String>) {
        let place = self.random.place(self.tables.len());
        let table = self.tables[place].clone();
        let ids = table.key.clone().unwrap_or_default();
        let mut columns: Vec<_> = table.columns().iter().cloned().map(asked).collect();
        let at = self.random.place(columns.len());
        let is_of_key = ids.contains(&u16::try_from(at + 1).unwrap());
        let shown = columns.iter().filter(|(_, column)| !column.hidden).count();
        let (ask, column) = &mut columns[at];
        match self.random.below(7) {
            0 => {
                self.names += 1;
                let name = format!("c{}", self.names);
                ask.was = Some(std::mem::replace(&mut ask.name, name.clone()));
                column.name = name;
            }
            1 if !is_of_key && (shown > 1 || column.hidden) => {
                column.hidden = !column.hidden;
                column.nullable = true;
                (ask.hidden, ask.nullable) = (column.hidden, None);
            }
            2 if !is_of_key => {
                column.nullable = true;
                ask.nullable = Some(true);
            }
            3 if !is_of_key => {
                let wider = match column.holds {
                    // What is dropped below a floor does not stand in the way of a wider type.
                    ValueType::I64 if !self.raises => ValueType::F64,
                    ValueType::Bool | ValueType::Timestamp => ValueType::I64,
                    other => other,
                };
                (ask.holds, column.holds) = (wider, wider);
            }
            _ => {
                let (name, holds) = (self.new_name(), self.any_type());
                columns.push(asked(Column { name, holds, nullable: true, hidden: false }));
            }
        }
        let name_of = |id: &u16| columns[usize::from(*id) - 1].0.name.clone();
        let mut key: Vec<String> = ids.iter().map(name_of).collect();
        if table.key.is_some() {
            key.push("ts".to_owned());
        }
        (place, columns, key)
    }

    fn value(&mut self, holds: ValueType) -> Value {
        match holds {
            ValueType::F64 => Value::Number(DOUBLES[self.random.place(4)].to_bits()),
            ValueType::I64 => {
                // Seldom, so that a column can be widened as a rule.
                let known = if self.random.chance(3) { 4 } else { 3 };
                Value::whole(WHOLE[self.random.place(known)])
            }
            ValueType::Bool => Value::whole(i64::from(self.random.chance(50))),
            ValueType::Text => Value::Text(TEXTS[self.random.place(3)].to_owned()),
            ValueType::Timestamp => Value::whole(MINUTE * self.random.below(3).cast_signed()),
        }
    }

    /// Rows that collide as often as they can.
    fn rows(&mut self, place: usize, retract: bool) -> Vec<Sent> {
        let columns = self.tables[place].columns().to_vec();
        let key = self.tables[place].key.clone();
        let mut rows = Vec::new();
        for _ in 0..1 + self.random.place(6) {
            let symbol = self.random.place(SYMBOLS.len());
            let stored = self.tables[place].visible(symbol, i64::MAX, u64::MAX);
            if !stored.is_empty() && self.random.chance(if retract { 80 } else { 20 }) {
                let row = stored[self.random.place(stored.len())];
                let mut values = row.values.clone();
                if let Some(ids) = key.as_ref().filter(|_| retract) {
                    values.retain(|id, _| ids.contains(id));
                }
                rows.push(Sent { symbol, ts: row.ts, known_at: None, values });
                continue;
            }
            let mut values = Values::new();
            for (id, column) in (1..).zip(&columns) {
                let is_of_key = key.as_ref().is_some_and(|ids| ids.contains(&id));
                let is_left_out = column.hidden || column.nullable && self.random.chance(40);
                let is_missing = !is_of_key && self.random.chance(2);
                if (retract && key.is_some() && !is_of_key) || is_left_out || is_missing {
                    continue;
                }
                values.insert(id, self.value(column.holds));
            }
            let ts = START - self.random.below(4).cast_signed() * MINUTE;
            let states = !retract && self.random.chance(15);
            let known_at = states.then(|| START - self.random.below(3).cast_signed() * MINUTE);
            rows.push(Sent { symbol, ts, known_at, values });
        }
        rows
    }

    fn next_batch(&mut self) -> Option<String> {
        if self.tables.is_empty() {
            return None;
        }
        let place = self.random.place(self.tables.len());
        let retract = self.random.chance(15);
        let (id, rows) = (self.next_id(), self.rows(place, retract));
        self.batches.insert(id.clone(), (place, retract, rows));
        Some(id)
    }

    /// The batch as the engine takes it, with the columns of the newest version.
    fn batch(&self, id: &str) -> Batch {
        let (place, retract, rows) = &self.batches[id];
        let table = &self.tables[*place];
        let schema = self.snapshot().tables()[*place].newest().schema;
        // Where time alone is the key, a retraction has no values.
        let has_no_values = *retract && table.key.as_ref().is_some_and(Vec::is_empty);
        let columns = if has_no_values { &[][..] } else { schema.columns };
        let column = |(at, column): (usize, &barrow_engine::dataset::ColumnDef)| {
            let id = u16::try_from(at + 1).unwrap();
            buffer(column.kind(), rows.iter().map(|row| row.values.get(&id)))
        };
        let number = |at: i64| Words::I64(vec![at]);
        let mut known_at = Buffer::empty(ColumnType::I64, 0);
        for row in rows {
            match row.known_at {
                Some(at) => known_at.extend_from(&Buffer::new(number(at))),
                None => known_at.push_null(),
            }
        }
        let states = rows.iter().any(|row| row.known_at.is_some());
        Batch {
            id: id.to_owned(),
            dataset: schema.dataset,
            source: SOURCE.to_owned(),
            step: Step::Tick,
            side: PriceSide::Trade,
            known_at_policy: KnownAt::Ingest,
            facts: None,
            claims: Vec::new(),
            act: if *retract { Act::Retract } else { Act::Insert },
            is_import: false,
            symbols: Symbols {
                names: SYMBOLS.map(str::to_owned).to_vec(),
                of_row: rows.iter().map(|row| u32::try_from(row.symbol).unwrap()).collect(),
            },
            ts: Buffer::new(Words::I64(rows.iter().map(|row| row.ts).collect())),
            known_at: states.then_some(known_at),
            columns: columns.iter().enumerate().map(column).collect(),
            numbers: None,
            raw: None,
            refused: Vec::new(),
        }
    }

    fn offer(&mut self) {
        let Some(id) = self.next_batch() else { return };
        let snapshot = self.snapshot();
        let prepared = prepare(self.batch(&id), &snapshot, self.time()).unwrap();
        let applied = self.commit(prepared).unwrap();
        self.stored(&id, &applied);
    }

    fn stored(&mut self, id: &str, applied: &Applied) {
        assert!(!applied.repeated);
        let (place, retract, rows) = self.batches[id].clone();
        let at = (applied.sequence.get(), applied.now.nanos());
        let expected = self.tables[place].apply(&rows, retract, at);
        let counts = applied.counts;
        let found: Counts = [
            counts.accepted,
            counts.duplicates,
            counts.corrected,
            counts.superseded,
            counts.rejected,
        ];
        assert_eq!(found, expected, "batch {id} of {}: {rows:?}", self.tables[place].name);
    }

    /// Prepares a batch that is committed later, when its table may be another.
    fn wait(&mut self) {
        if self.waiting.len() > 3 {
            return;
        }
        let Some(id) = self.next_batch() else { return };
        let batch = self.batch(&id);
        let kinds = batch.columns.iter().map(Buffer::kind).collect();
        let prepared = prepare(batch, &self.snapshot(), self.time()).unwrap();
        self.waiting.push((id, kinds, prepared));
    }

    fn commit_waiting(&mut self) {
        for (id, kinds, prepared) in std::mem::take(&mut self.waiting) {
            let columns = self.tables[self.batches[&id].0].columns();
            let is_kept = kinds.iter().zip(columns).all(|(was, now)| *was == now.holds.kind());
            match self.commit(prepared) {
                Ok(applied) => {
                    assert!(is_kept, "a column was widened meanwhile");
                    self.stored(&id, &applied);
                }
                Err(error) => {
                    assert!(!is_kept && error.kind() == ErrorKind::Conflict, "{error}");
                    self.batches.remove(&id);
                }
            }
        }
    }

    /// The same rows under the same id are the same batch, whatever became of the table.
    fn repeat(&mut self) {
        let waiting: Vec<&String> = self.waiting.iter().map(|(id, ..)| id).collect();
        // One with a number that its column cannot hold any more was not stored for it.
        let is_sendable = |(place, _, rows): &Offered| {
            let columns = self.tables[*place].columns();
            let fits = |(id, value): (&u16, &Value)| {
                let holds = columns[usize::from(*id) - 1].holds;
                holds.kind() != ColumnType::F64 || !matches!(value, Value::Large(_))
            };
            rows.iter().all(|row| row.values.iter().all(fits))
        };
        let stored =
            self.batches.iter().filter(|(id, of)| !waiting.contains(id) && is_sendable(of));
        let stored: Vec<String> = stored.map(|(id, _)| id.clone()).collect();
        if stored.is_empty() {
            return;
        }
        let id = stored[self.random.place(stored.len())].clone();
        let prepared = prepare(self.batch(&id), &self.snapshot(), self.time()).unwrap();
        assert!(self.commit(prepared).unwrap().repeated, "batch {id}");
    }

    /// Takes back what a batch brought.
    fn take_back(&mut self) {
        let brings = |offered: &Offered| !offered.1;
        let waiting: Vec<&String> = self.waiting.iter().map(|(id, ..)| id).collect();
        let ids = self.batches.iter().filter(|(id, of)| brings(of) && !waiting.contains(id));
        let ids: Vec<String> = ids.map(|(id, _)| id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let target = ids[self.random.place(ids.len())].clone();
        let id = self.next_id();
        let snapshot = self.snapshot();
        let Some(batch) = retraction_of(&target, &id, &snapshot).unwrap() else { return };
        let place = self.batches[&target].0;
        let sequence = snapshot.batch(&target).unwrap().unwrap().sequence.get();
        let key = self.tables[place].key.clone();
        let mut rows = Vec::new();
        for symbol in 0..SYMBOLS.len() {
            let visible = self.tables[place].visible(symbol, i64::MAX, u64::MAX);
            for row in visible.into_iter().filter(|row| row.sequence == sequence) {
                let mut values = row.values.clone();
                // By time alone a retraction has no values; else it has those of the row.
                if key.as_ref().is_some_and(Vec::is_empty) {
                    values.clear();
                }
                rows.push(Sent { symbol, ts: row.ts, known_at: None, values });
            }
        }
        assert_eq!(batch.row_count(), rows.len() as u64);
        let prepared = prepare(batch, &snapshot, self.time()).unwrap();
        let applied = self.commit(prepared).unwrap();
        let at = (applied.sequence.get(), applied.now.nanos());
        let expected = self.tables[place].apply(&rows, true, at);
        assert_eq!([applied.counts.accepted, applied.counts.rejected], [expected[0], expected[4]]);
    }

    fn flush(&mut self) {
        let disk = self.disk.clone();
        if let Some(job) = self.engine().plan_flush() {
            // Rows that come meanwhile stay in memory.
            if self.random.chance(50) {
                self.offer();
            }
            if self.random.chance(30) {
                self.put();
            }
            self.engine().install(job.run(&disk)).unwrap();
        }
    }

    fn compact(&mut self) {
        let disk = self.disk.clone();
        let scope = if self.random.chance(50) { Scope::Due } else { Scope::All };
        if let Some(job) = self.engine().plan_compaction(scope) {
            if self.random.chance(50) {
                self.put();
            }
            let done = job.run(&disk, &mut |_| ControlFlow::Continue(()));
            self.engine().install_compaction(done).unwrap();
        }
    }

    /// Raises the floor of a table.
    fn raise(&mut self) {
        if self.tables.is_empty() {
            return;
        }
        let place = self.random.place(self.tables.len());
        let snapshot = self.snapshot();
        let held = snapshot.sequence().get();
        let (as_of, at_sequence) = self.tables[place].floor_at(held);
        let as_of = as_of.max(self.now - self.random.below(4).cast_signed() * MINUTE);
        let at_sequence = at_sequence.max(held - self.random.below(held.min(12) + 1));
        let floor = Floor {
            as_of_from: Timestamp::from_nanos(as_of),
            at_sequence_from: Sequence::new(at_sequence),
        };
        let dataset = snapshot.tables()[place].dataset();
        let id = format!("floor {held}");
        let batch = retention::batch(id, dataset, Step::Tick, floor);
        let prepared = prepare(batch, &snapshot, self.time()).unwrap();
        let applied = self.commit(prepared).unwrap();
        let floors = &mut self.tables[place].floors;
        floors.push((applied.sequence.get(), (as_of, at_sequence)));
    }

    fn keep(&mut self) {
        if self.snapshots.len() > 2 {
            self.snapshots.remove(0);
        }
        let snapshot = self.snapshot();
        let sequence = snapshot.sequence().get();
        self.snapshots.push((snapshot, sequence));
    }

    fn ask_all(&mut self) {
        let newest = self.snapshot();
        let newest = (newest.clone(), newest.sequence().get());
        for (snapshot, held) in [newest].into_iter().chain(self.snapshots.clone()) {
            for place in 0..self.tables.len() {
                for symbol in 0..SYMBOLS.len() {
                    self.ask(&snapshot, held, place, symbol);
                }
            }
        }
    }

    fn ask(&mut self, snapshot: &Snapshot, held: u64, place: usize, symbol: usize) {
        let table = &self.tables[place];
        let Some(found) = snapshot.tables().get(place).cloned() else { return };
        let series = snapshot.series(found.dataset(), Some(SYMBOLS[symbol]));
        let at_sequence = match self.random.below(3) {
            0 => None,
            _ => Some(self.random.below(held + 2)),
        };
        let as_of = match self.random.below(3) {
            0 => None,
            _ => Some(START + (self.random.below(8).cast_signed() - 3) * MINUTE),
        };
        let revisions = if self.random.chance(60) { Revisions::Visible } else { Revisions::All };
        let sequence = at_sequence.unwrap_or(held).min(held);
        let columns = table.columns_at(sequence);
        let expected = match revisions {
            Revisions::Visible => table.visible(symbol, as_of.unwrap_or(i64::MAX), sequence),
            Revisions::All => table.all(symbol, as_of.unwrap_or(i64::MAX), sequence),
        };
        let expected: Vec<_> = expected
            .iter()
            .map(|row| (row.ts, row.known_at, row.sequence, row.retract, row.values.clone()))
            .collect();
        let Some((series, _)) = series.first() else { return assert!(expected.is_empty()) };
        let at = at_sequence.map(Sequence::new);
        let schema = snapshot.schema_at(found.dataset(), at).unwrap();
        assert_eq!(columns_of(schema), columns);
        let mut wanted: Vec<usize> = (0..columns.len()).collect();
        if self.random.chance(40) {
            wanted.swap_remove(self.random.place(wanted.len()));
        }
        let scan = Scan {
            series: *series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: wanted.iter().map(|at| schema.columns[*at].id).collect(),
            as_of: as_of.map(Timestamp::from_nanos),
            at_sequence: at,
            revisions,
        };
        let floor = table.floor_at(held);
        if as_of.is_some_and(|as_of| as_of < floor.0) || sequence < floor.1 {
            let error = snapshot.scan(scan).err().unwrap();
            return assert_eq!(error.kind(), ErrorKind::BelowRetention, "{error}");
        }
        let kinds: Vec<ColumnType> = wanted.iter().map(|at| schema.columns[*at].kind()).collect();
        let mut rows = Rows::empty(kinds.iter().copied());
        let mut scanner = snapshot.scan(scan.clone()).unwrap();
        while let Some(piece) = scanner.next().unwrap() {
            assert!(piece.columns.iter().map(Buffer::kind).eq(kinds.iter().copied()));
            rows.extend_from(&piece);
        }
        let mut alone: Vec<Buffer> = kinds.iter().map(|kind| Buffer::empty(*kind, 0)).collect();
        let mut scanner = snapshot.scan(scan).unwrap();
        while let Some(piece) = scanner.next_columns().unwrap() {
            alone.iter_mut().zip(&piece).for_each(|(all, more)| all.extend_from(more));
        }
        for (column, other) in rows.columns.iter().zip(&alone) {
            assert!((0..rows.len()).all(|at| column.same(at, other, at)));
        }
        let keep = |values: &Values| -> Values {
            let is_wanted = |id: &u16| wanted.contains(&(usize::from(*id) - 1));
            values.clone().into_iter().filter(|(id, _)| is_wanted(id)).collect()
        };
        let found: Vec<_> = (0..rows.len())
            .map(|at| {
                let mut values = Values::new();
                for (place, column) in wanted.iter().zip(&rows.columns) {
                    let id = u16::try_from(place + 1).unwrap();
                    values.extend(value_of(column, at).map(|value| (id, value)));
                }
                let (ts, known_at) = (rows.ts[at], rows.known_at[at]);
                (ts, known_at, rows.sequence[at], rows.is_retract(at), values)
            })
            .collect();
        let expected: Vec<_> =
            expected.into_iter().map(|row| (row.0, row.1, row.2, row.3, keep(&row.4))).collect();
        self.compared += found.len() as u64;
        let seen = table.visible(symbol, as_of.unwrap_or(i64::MAX), sequence);
        let is_seen = |row: &(i64, i64, u64, bool, Values)| {
            seen.iter().any(|seen| {
                (seen.ts, seen.known_at, seen.sequence, seen.retract)
                    == (row.0, row.1, row.2, row.3)
                    && keep(&seen.values) == row.4
            })
        };
        // Of all revisions those may be gone that nobody sees any more.
        let may_lack = revisions == Revisions::All && floor != (i64::MIN, 0);
        let mut there = found.iter().peekable();
        let expected: Vec<_> = expected
            .into_iter()
            .filter(|row| {
                let is_there = there.next_if(|other| *other == row).is_some();
                !may_lack || is_there || is_seen(row)
            })
            .collect();
        let question = format!("{} as of {as_of:?} at {at_sequence:?}, {revisions:?}", table.name);
        assert_eq!(found, expected, "{question} of a snapshot of {held}");
    }
}

/// A column that is asked for as it is, and what it is to be.
fn asked(column: Column) -> (AskedColumn, Column) {
    let Column { name, holds, nullable, hidden } = column.clone();
    (AskedColumn { name, was: None, holds, nullable: Some(nullable), hidden }, column)
}

fn columns_of(schema: &Schema) -> Vec<Column> {
    let column = |column: &barrow_engine::dataset::ColumnDef| Column {
        name: column.name.to_owned(),
        holds: column.holds,
        nullable: column.nullable,
        hidden: column.hidden,
    };
    schema.columns.iter().map(column).collect()
}

fn buffer<'a>(kind: ColumnType, values: impl Iterator<Item = Option<&'a Value>>) -> Buffer {
    let values: Vec<Option<&Value>> = values.collect();
    let double = |value: &Option<&Value>| match value {
        Some(Value::Number(bits)) => f64::from_bits(*bits),
        None => 0.0,
        Some(other) => panic!("{other:?} in a column of doubles"),
    };
    #[expect(clippy::cast_possible_truncation, reason = "it was whole when it was made")]
    let whole = |value: &Option<&Value>| match value {
        Some(Value::Number(bits)) => f64::from_bits(*bits) as i64,
        Some(Value::Large(number)) => *number,
        None => 0,
        Some(other) => panic!("{other:?} in a column of whole numbers"),
    };
    let text = |value: &Option<&'a Value>| match value {
        Some(Value::Text(text)) => text.as_str(),
        None => "",
        Some(other) => panic!("{other:?} in a column of texts"),
    };
    let words = match kind {
        ColumnType::F64 => Words::F64(values.iter().map(double).collect()),
        ColumnType::I64 => Words::I64(values.iter().map(whole).collect()),
        ColumnType::Text => Words::Text(values.iter().map(text).collect()),
    };
    let bits: Bitmap = values.iter().map(Option::is_some).collect();
    Buffer { values: words, validity: (bits.count() < bits.len()).then_some(bits) }
}

fn value_of(column: &Buffer, at: usize) -> Option<Value> {
    column.is_valid(at).then(|| match &column.values {
        Words::F64(values) => Value::Number(values[at].to_bits()),
        Words::I64(values) => Value::whole(values[at]),
        Words::Text(texts) => Value::Text(texts.get(at).to_owned()),
    })
}

#[test]
fn tables_and_their_model_give_the_same_answers() {
    let first = setting("BARROW_TABLES_SEED").unwrap_or(SEED_DEFAULT);
    let episodes = setting("BARROW_TABLES_EPISODES").unwrap_or(EPISODES_DEFAULT);
    let mut compared = 0;
    for seed in first..first + episodes {
        let run = || Episode::new(seed).run();
        let done = std::panic::catch_unwind(run);
        let again = format!("BARROW_TABLES_SEED={seed} BARROW_TABLES_EPISODES=1");
        compared += done.unwrap_or_else(|_| panic!("run this one again: {again}"));
    }
    assert!(compared > episodes * 50, "{compared} rows compared: too few to prove anything");
}
