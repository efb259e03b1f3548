//! What fuzz targets share: the shape of their input, and what must hold of an answer.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};

use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::column::VECTOR_LEN;
use barrow_engine::disk::MemoryDisk;
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_engine::{Engine, Options, prepare};
use barrow_types::{DatasetId, PriceSide, Step, Timestamp};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// Bytes said to be a column chunk, and what is asked of them.
#[derive(Arbitrary, Debug)]
pub struct ChunkInput<'a> {
    rows: u16,
    start: u16,
    end: u16,
    /// Which type, or which of the four prices.
    pub choice: u8,
    /// Whether `bytes` are a single vector, rather than all of a chunk.
    is_vector: bool,
    bytes: &'a [u8],
}

impl ChunkInput<'_> {
    /// How many rows the chunk is said to hold.
    pub fn rows(&self) -> usize {
        let max = if self.is_vector { VECTOR_LEN } else { 4 * VECTOR_LEN };
        usize::from(self.rows) % (max + 1)
    }

    /// Which rows are asked for; within the rows.
    pub fn range(&self) -> Range<usize> {
        let [a, b] = [self.start, self.end].map(|at| usize::from(at) % (self.rows() + 1));
        a.min(b)..a.max(b)
    }

    /// The chunk. A single vector gets a right header, so that the search need not find one.
    pub fn chunk(&self, form: u8, kind: u8) -> Vec<u8> {
        let mut chunk = Vec::new();
        if self.is_vector {
            let end = u32::try_from(self.bytes.len()).expect("inputs are small");
            chunk.extend_from_slice(&[form, kind, 1, 0]);
            chunk.extend_from_slice(&end.to_le_bytes());
        }
        chunk.extend_from_slice(self.bytes);
        chunk
    }
}

/// Panics unless both columns hold the same bits.
pub fn assert_same(a: &Column, b: &Column) {
    assert_eq!(a.len(), b.len());
    assert!((0..a.len()).all(|row| a.same(row, b, row)), "{a:?} came back as {b:?}");
}

/// `bytes` with the CRC-32C of `covered` written at `at`.
pub fn with_crc(bytes: &[u8], at: usize, covered: Range<usize>) -> Vec<u8> {
    let crc = crc32c::crc32c(&bytes[covered]);
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The files of a store with a segment, its masks and tiles, a log and a manifest, made once.
pub fn small_store() -> BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(make_small_store).clone()
}

fn make_small_store() -> BTreeMap<String, Vec<u8>> {
    let disk = MemoryDisk::new();
    let options = Options { wal_file_bytes: 4_096, ..Options::default() };
    let (mut engine, _) =
        Engine::open(Arc::new(disk.clone()), options, [7; 16]).expect("memory does not fail");
    for minute in 0..6_i64 {
        let now = Timestamp::from_nanos((minute + 10) * 60_000_000_000);
        let batch = small_batch(minute);
        let prepared = prepare(batch, &engine.snapshot(), now).expect("the batch is good");
        for answer in engine.commit(vec![prepared], now).expect("memory does not fail") {
            answer.expect("the batch is good");
        }
        if minute == 3 {
            let job = engine.plan_flush().expect("there are rows");
            engine.install(job.run(&disk)).expect("memory does not fail");
            let job = engine.plan_masks().expect("there are bars");
            let done = job.run(&disk, &mut || ControlFlow::Continue(()));
            engine.install_masks(done).expect("memory does not fail");
            let job = engine.plan_tiles().expect("there are bars");
            let done = job.run(&disk, &mut || ControlFlow::Continue(()));
            engine.install_tiles(done).expect("memory does not fail");
        }
    }
    engine.close(Timestamp::from_nanos(i64::MAX / 2)).expect("memory does not fail");
    disk.files()
}

/// Two bars: one of its minute and a correction of minute 0.
fn small_batch(minute: i64) -> Batch {
    let close = 100.0 + f64::from(i32::try_from(minute).expect("a few minutes"));
    let price = || Column::new(Values::F64(vec![close, close]));
    Batch {
        id: format!("b{minute}"),
        dataset: DatasetId::BARS,
        source: "fuzz".to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: true,
        symbols: Symbols::one("A", 2),
        ts: Column::new(Values::I64(vec![minute * 60_000_000_000, 0])),
        known_at: None,
        columns: vec![
            price(),
            price(),
            price(),
            price(),
            Column::nulls(ColumnType::F64, 2),
            Column::nulls(ColumnType::F64, 2),
            Column::nulls(ColumnType::I64, 2),
        ],
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}
