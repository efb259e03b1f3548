//! How fast are reads of a store that holds the generated bars: one symbol's month, all symbols'
//! session, the largest spread over all, the newest row?
//!
//! `--data DIR` is a store as `ingest` leaves it, `--question NAME` asks one question only,
//! `--once` asks it once, for a process that begins with cold caches. Every repetition asks about
//! another symbol or session. Answers are Arrow record batches, but for the spread and the newest.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::array::{StringArray, TimestampNanosecondArray};
use arrow::datatypes::{Field, Int32Type, Schema};
use barrow_benches::data::{MINUTES, symbol};
use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, figure, machine};
use barrow_engine::rows::{Rows, Values};
use barrow_engine::{Options, Revisions, Scan, Scanner, Snapshot};
use barrow_types::{ColumnId, DatasetId, SeriesId, Timestamp};

/// Sessions of a month.
const MONTH: u32 = 20;
const COLUMNS: [&str; 7] = ["open", "high", "low", "close", "volume", "vwap", "trades"];

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let sessions = arguments::value("--sessions", 50);
    let time = Duration::from_millis(arguments::value("--milliseconds", 2_000));
    let (opening, store) = figure::seconds(|| Store::open(&dir, Options::default()));
    figure::one("open", "ms", opening * 1e3);
    let snapshot = store.engine.snapshot();
    let series: Vec<SeriesId> =
        snapshot.series(DatasetId::BARS, None).into_iter().map(|(id, _)| id).collect();
    let questions = Questions { snapshot, series, sessions };
    let asked = arguments::optional::<String>("--question");
    let ask = |name: &str, unit: f64, work: &dyn Fn(usize)| {
        if asked.as_deref().is_none_or(|asked| name.starts_with(asked)) {
            measure(name, unit, time, work);
        }
    };
    for threads in [1, 2] {
        ask(&format!("session, {threads} threads"), 1e3, &|turn| questions.session(turn, threads));
        ask(&format!("spread, {threads} threads"), 1e3, &|_| questions.spread(threads));
    }
    ask("month", 1.0, &|turn| questions.month(turn));
    ask("newest rows of all symbols", 1.0 / 1e3, &|_| questions.newest());
}

/// `unit` is the microseconds of one.
fn measure(name: &str, unit: f64, time: Duration, work: &dyn Fn(usize)) {
    let mut turn = 0;
    let mut again = || {
        work(turn);
        turn += 1;
    };
    let once = arguments::flag("--once");
    let own = std::process::id();
    let before = machine::cpu_seconds(own);
    let samples = if once {
        vec![figure::seconds(&mut again).0 * 1e6]
    } else {
        figure::repeat(time, &mut again)
    };
    let cpu = (machine::cpu_seconds(own) - before) / samples.len() as f64;
    let unit_name = match unit {
        1e3 => "ms",
        1.0 => "us",
        _ => "ns",
    };
    figure::many(name, unit_name, samples.iter().map(|sample| sample / unit).collect());
    figure::one(&format!("{name}: CPU"), unit_name, cpu * 1e6 / unit);
}

struct Questions {
    snapshot: Snapshot,
    series: Vec<SeriesId>,
    sessions: u32,
}

impl Questions {
    fn scanner(&self, series: SeriesId, columns: &[u16], range: (i64, i64)) -> Scanner {
        let scan = Scan {
            series,
            start: Timestamp::from_nanos(range.0),
            end: Timestamp::from_nanos(range.1),
            columns: columns.iter().map(|&id| ColumnId::new(id)).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::Visible,
        };
        self.snapshot.scan(scan).expect("the series is there")
    }

    /// All columns of a range of one series.
    fn scan(&self, series: SeriesId, range: (i64, i64), mut each: impl FnMut(Rows)) {
        let mut scanner = self.scanner(series, &[1, 2, 3, 4, 5, 6, 7], range);
        while let Some(rows) = scanner.next().expect("the disk works") {
            each(rows);
        }
    }

    /// One symbol, twenty sessions, all columns.
    fn month(&self, turn: usize) {
        let series = self.series[turn * 37 % self.series.len()];
        let mut batches = Vec::new();
        let range = load::sessions(0, MONTH.min(self.sessions));
        self.scan(series, range, |rows| batches.push(arrow(rows, None)));
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, MONTH.min(self.sessions) as usize * MINUTES);
        black_box(batches);
    }

    /// All symbols, one session, all columns, as one table with the symbols' names.
    fn session(&self, turn: usize, threads: usize) {
        let session = u32::try_from(turn * 7).expect("few turns") % self.sessions;
        let range = load::sessions(session, 1);
        let names: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..).take(self.series.len()).map(symbol)));
        let share = self.series.len().div_ceil(threads);
        let tables: Vec<RecordBatch> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .series
                .chunks(share)
                .enumerate()
                .map(|(part, series)| {
                    let names = Arc::clone(&names);
                    scope.spawn(move || self.session_of(series, part * share, range, names))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        let rows: usize = tables.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, self.series.len() * MINUTES);
        black_box(tables);
    }

    fn session_of(
        &self,
        series: &[SeriesId],
        first: usize,
        range: (i64, i64),
        names: ArrayRef,
    ) -> RecordBatch {
        let mut all: Option<Rows> = None;
        let mut keys = Vec::with_capacity(series.len() * MINUTES);
        for (at, &one) in series.iter().enumerate() {
            let key = i32::try_from(first + at).expect("few symbols");
            self.scan(one, range, |rows| {
                keys.resize(keys.len() + rows.len(), key);
                match &mut all {
                    Some(all) => all.extend_from(&rows),
                    none => *none = Some(rows),
                }
            });
        }
        let symbols = DictionaryArray::<Int32Type>::new(Int32Array::from(keys), names);
        arrow(all.expect("there are rows"), Some(Arc::new(symbols)))
    }

    /// The largest difference of high and low over all rows.
    fn spread(&self, threads: usize) {
        let share = self.series.len().div_ceil(threads);
        let most = thread::scope(|scope| {
            let threads: Vec<_> = self
                .series
                .chunks(share)
                .map(|series| scope.spawn(move || self.spread_of(series)))
                .collect();
            let mosts = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            mosts.fold(f64::NEG_INFINITY, f64::max)
        });
        assert!(most > 0.0);
        black_box(most);
    }

    fn spread_of(&self, series: &[SeriesId]) -> f64 {
        let mut most = f64::NEG_INFINITY;
        for &one in series {
            let mut scanner = self.scanner(one, &[2, 3], (i64::MIN, i64::MAX));
            while let Some(columns) = scanner.next_columns().expect("the disk works") {
                let [high, low] = &columns[..] else { panic!("two columns were asked for") };
                let (Values::F64(high), Values::F64(low)) = (&high.values, &low.values) else {
                    panic!("prices are f64")
                };
                let spreads = high.iter().zip(low).map(|(high, low)| high - low);
                most = spreads.fold(most, f64::max);
            }
        }
        most
    }

    /// The newest row of each symbol.
    fn newest(&self) {
        for &series in &self.series {
            black_box(self.snapshot.newest(black_box(series)).expect("the disk works"));
        }
    }
}

/// Rows as Arrow: buffers move, nothing is copied.
fn arrow(rows: Rows, symbols: Option<ArrayRef>) -> RecordBatch {
    let times = TimestampNanosecondArray::from(rows.ts).with_timezone("UTC");
    let mut columns: Vec<(&str, ArrayRef)> = vec![("ts", Arc::new(times))];
    for (name, column) in COLUMNS.into_iter().zip(rows.columns) {
        assert!(column.validity.is_none(), "generated rows have no nulls");
        columns.push((
            name,
            match column.values {
                Values::F64(values) => Arc::new(Float64Array::from(values)),
                Values::I64(values) => Arc::new(Int64Array::from(values)),
                Values::Text(_) => panic!("bars have no text"),
            },
        ));
    }
    columns.extend(symbols.map(|symbols| ("symbol", symbols)));
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), false))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}
