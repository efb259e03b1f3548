//! Generated rows as the engine's batches and as Arrow.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::ipc::writer::StreamWriter;
use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::disk::{Disk, OsDisk};
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_engine::{Engine, Options, Prepared, Reader, prepare};
use barrow_types::{DatasetId, PriceSide, Step, Timestamp};

use crate::data::{Bars, DAY, Ticks, open_of, symbol};

/// The source of every generated row.
pub const SOURCE: &str = "bench";

/// An instant after every generated row.
pub const NOW: Timestamp = Timestamp::from_nanos(crate::data::OPEN + 40_000 * DAY);

/// The batch of these bars.
pub fn batch(id: String, bars: &Bars) -> Batch {
    let first = bars.symbol.iter().min().copied().unwrap_or_default();
    let last = bars.symbol.iter().max().copied().unwrap_or_default();
    let column = |values: &Vec<f64>| Column::new(Values::F64(values.clone()));
    let prices = [&bars.open, &bars.high, &bars.low, &bars.close, &bars.volume, &bars.vwap];
    let mut columns: Vec<Column> = prices.into_iter().map(column).collect();
    columns.push(Column::new(Values::I64(bars.trades.clone())));
    Batch {
        id,
        dataset: DatasetId::BARS,
        source: SOURCE.to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: false,
        symbols: Symbols {
            names: (first..=last).map(symbol).collect(),
            of_row: bars.symbol.iter().map(|of| of - first).collect(),
        },
        ts: Column::new(Values::I64(bars.ts.clone())),
        known_at: None,
        columns,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

/// The batch of these trades of one symbol.
pub fn ticks_batch(id: String, ticks: &Ticks) -> Batch {
    let name = ticks.symbol.first().copied().unwrap_or_default();
    let column = |values: &Vec<f64>| Column::new(Values::F64(values.clone()));
    let nothing = || Column::nulls(ColumnType::Text, ticks.ts.len());
    let columns = vec![column(&ticks.price), column(&ticks.size), nothing(), nothing(), nothing()];
    Batch {
        dataset: DatasetId::TRADES,
        step: Step::Tick,
        symbols: Symbols::one(&symbol(name), ticks.ts.len()),
        ts: Column::new(Values::I64(ticks.ts.clone())),
        columns,
        ..batch(id, &Bars::default())
    }
}

/// An engine and the folder it lies in.
pub struct Store {
    /// The engine.
    pub engine: Engine,
    disk: Arc<dyn Disk>,
}

impl Store {
    /// Opens the store in `dir`, or makes one.
    ///
    /// # Panics
    /// It cannot be opened.
    pub fn open(dir: &Path, options: Options) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(dir).expect("the folder is free"));
        let opened = Engine::open(Arc::clone(&disk), options, [7; 16]);
        Self { engine: opened.expect("the store opens").0, disk }
    }

    /// Commits batches durably, as one group.
    ///
    /// # Panics
    /// The disk fails, or a row is not taken as new.
    pub fn commit(&mut self, group: Vec<Prepared>) {
        for answer in self.engine.commit(group, NOW).expect("the disk works") {
            let counts = answer.expect("the batch is good").counts;
            assert_eq!(counts.accepted, counts.total(), "every row is new");
        }
        self.engine.advance();
    }

    /// Writes the rows in memory to a segment if that is due.
    ///
    /// # Panics
    /// The disk fails.
    pub fn flush_if_due(&mut self) {
        if self.engine.flush_due() {
            self.flush();
        }
    }

    /// Writes the rows in memory to a segment.
    ///
    /// # Panics
    /// The disk fails.
    pub fn flush(&mut self) {
        if let Some(job) = self.engine.plan_flush() {
            let done = job.run(self.disk.as_ref());
            self.engine.install(done).expect("the disk works");
        }
    }

    /// Writes the gap masks of what is in segments to a file, if that is due.
    ///
    /// # Panics
    /// The disk fails.
    pub fn write_masks_if_due(&mut self) {
        if let Some(job) = self.engine.plan_masks() {
            let done = job.run(self.disk.as_ref(), &mut || ControlFlow::Continue(()));
            self.engine.install_masks(done).expect("the disk works");
        }
    }

    /// Writes the bars that are made of what is in segments to a file, if that is due; whether it
    /// was.
    ///
    /// # Panics
    /// The disk fails.
    pub fn write_tiles_if_due(&mut self) -> bool {
        let Some(job) = self.engine.plan_tiles() else { return false };
        let done = job.run(self.disk.as_ref(), &mut || ControlFlow::Continue(()));
        self.engine.install_tiles(done).expect("the disk works");
        true
    }
}

/// Prepares a batch against what a reader sees.
///
/// # Panics
/// The batch is refused.
pub fn prepared(reader: &Reader, batch: Batch) -> Prepared {
    prepare(batch, &reader.snapshot(), NOW).expect("the batch is good")
}

/// The names of the symbols in a dictionary that all batches of the same symbols share.
fn symbols(of_row: &[u32], all: &Range<u32>) -> ArrayRef {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(all.clone().map(symbol)));
    let places = of_row.iter().map(|of| (of - all.start).cast_signed());
    let keys = Int32Array::from_iter_values(places);
    Arc::new(DictionaryArray::<Int32Type>::new(keys, names))
}

fn times(ts: &[i64]) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(ts.to_vec()).with_timezone("UTC"))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), false))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

/// These bars of `all` symbols as Arrow.
pub fn bars_table(bars: &Bars, all: &Range<u32>) -> RecordBatch {
    table(vec![
        ("symbol", symbols(&bars.symbol, all)),
        ("ts", times(&bars.ts)),
        ("open", floats(&bars.open)),
        ("high", floats(&bars.high)),
        ("low", floats(&bars.low)),
        ("close", floats(&bars.close)),
        ("volume", floats(&bars.volume)),
        ("vwap", floats(&bars.vwap)),
        ("trades", Arc::new(Int64Array::from(bars.trades.clone()))),
    ])
}

/// These trades of `all` symbols as Arrow.
pub fn ticks_table(ticks: &Ticks, all: &Range<u32>) -> RecordBatch {
    table(vec![
        ("symbol", symbols(&ticks.symbol, all)),
        ("ts", times(&ticks.ts)),
        ("price", floats(&ticks.price)),
        ("size", floats(&ticks.size)),
    ])
}

/// A record batch as an Arrow stream.
///
/// # Panics
/// Never: memory does not fail.
pub fn stream(batch: &RecordBatch) -> Vec<u8> {
    let bytes = Vec::with_capacity(batch.get_array_memory_size() + 4_096);
    let mut writer = StreamWriter::try_new(bytes, &batch.schema()).expect("memory takes all");
    writer.write(batch).expect("memory takes all");
    writer.into_inner().expect("memory takes all")
}

/// The route that takes bars, with a batch id.
pub fn route(id: &str) -> String {
    format!("/v1/datasets/bars/rows?timeframe=1m&source={SOURCE}&batch_id={id}")
}

/// The first and last instant of `sessions` sessions from `first` on, as a half-open range.
pub fn sessions(first: u32, sessions: u32) -> (i64, i64) {
    (open_of(first), open_of(first + sessions - 1) + DAY / 2)
}
