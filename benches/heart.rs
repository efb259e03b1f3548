//! How fast is the heart: a durable commit, a range of one symbol, its newest row, a flush?
//!
//! `cargo bench -p barrow-benches`. The commits sync a real file: compare them with
//! `fdatasync alone`, which writes and syncs as many bytes on the same disk.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use barrow_benches::{MINUTE, OPEN, bars};
use barrow_engine::batch::Batch;
use barrow_engine::disk::{Disk, MemoryDisk, OsDisk};
use barrow_engine::{Engine, Options, Revisions, Scan, Snapshot, prepare};
use barrow_types::{ColumnId, DatasetId, SeriesId, Timestamp};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const NOW: Timestamp = Timestamp::from_nanos(OPEN + 1_000_000 * MINUTE);

fn open(disk: Arc<dyn Disk>) -> Engine {
    Engine::open(disk, Options::default(), [7; 16]).expect("an empty store opens").0
}

fn commit(engine: &mut Engine, batch: Batch) {
    let prepared = prepare(batch, &engine.snapshot(), NOW).expect("the batch is good");
    for answer in engine.commit(vec![prepared], NOW).expect("the disk works") {
        answer.expect("the batch is good");
    }
    engine.advance();
}

/// What does a durable commit of n rows cost beside a bare sync of the same bytes?
fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    for rows in [1_u32, 100, 1_000] {
        group.throughput(Throughput::Elements(u64::from(rows)));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = OsDisk::open(folder.path()).expect("the folder is free");
        let mut engine = open(Arc::new(disk));
        let mut minute = 0;
        group.bench_function(BenchmarkId::new("rows", rows), |b| {
            b.iter_batched(
                || {
                    minute += 1;
                    bars(format!("b{minute}"), rows, OPEN + minute * MINUTE, 1)
                },
                |batch| commit(&mut engine, batch),
                BatchSize::PerIteration,
            );
        });
        let path = folder.path().join("bare");
        let mut file = File::create(&path).expect("the folder takes files");
        file.write_all(&vec![0; 64 << 20]).expect("the disk has room");
        file.sync_all().expect("the disk works");
        let bytes = vec![1; 64 + 150 * rows as usize];
        let mut at = 0;
        group.bench_function(BenchmarkId::new("fdatasync alone", rows), |b| {
            b.iter(|| {
                file.write_all_at(&bytes, at).expect("the disk works");
                file.sync_data().expect("the disk works");
                at = (at + bytes.len() as u64) % (60 << 20);
            });
        });
    }
    group.finish();
}

/// A store of 20 symbols x 50 sessions of 390 minutes, in segments or in memory.
fn store(flushed: bool) -> Engine {
    let disk = MemoryDisk::new();
    let mut engine = open(Arc::new(disk.clone()));
    for session in 0..50 {
        let first = OPEN + session * 1_440 * MINUTE;
        commit(&mut engine, bars(format!("s{session}"), 20, first, 390));
    }
    if flushed {
        let job = engine.plan_flush().expect("there are rows");
        engine.install(job.run(&disk)).expect("memory does not fail");
    }
    engine
}

fn first_series(snapshot: &Snapshot) -> SeriesId {
    snapshot.series(DatasetId::BARS, Some("S0000"))[0].0
}

/// How long does one symbol's month (20 sessions, 7,800 rows, all columns) take?
fn range(c: &mut Criterion) {
    let mut group = c.benchmark_group("range of 7,800 rows");
    for (name, flushed) in [("segment", true), ("memtable", false)] {
        let engine = store(flushed);
        let snapshot = engine.snapshot();
        let series = first_series(&snapshot);
        group.bench_function(name, |b| {
            b.iter(|| {
                let scan = Scan {
                    series,
                    start: Timestamp::from_nanos(OPEN),
                    end: Timestamp::from_nanos(OPEN + 20 * 1_440 * MINUTE),
                    columns: (1..=7).map(ColumnId::new).collect(),
                    as_of: None,
                    at_sequence: None,
                    revisions: Revisions::Visible,
                };
                let mut scanner = snapshot.scan(scan).expect("the series is there");
                let mut rows = 0;
                while let Some(piece) = scanner.next().expect("memory does not fail") {
                    rows += black_box(piece).len();
                }
                assert_eq!(rows, 20 * 390);
            });
        });
    }
    group.finish();
}

/// How long does the newest row of one symbol take?
fn newest(c: &mut Criterion) {
    let mut group = c.benchmark_group("newest row");
    for (name, flushed) in [("segment", true), ("memtable", false)] {
        let engine = store(flushed);
        let snapshot = engine.snapshot();
        let series = first_series(&snapshot);
        group.bench_function(name, |b| b.iter(|| snapshot.newest(black_box(series))));
    }
    group.finish();
}

/// How many rows a second does preparing a batch, and flushing them, take?
fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("bulk");
    group.sample_size(10);
    let rows = 500 * 390;
    group.throughput(Throughput::Elements(rows));
    let engine = open(Arc::new(MemoryDisk::new()));
    let snapshot = engine.snapshot();
    group.bench_function("prepare", |b| {
        b.iter_batched(
            || bars("b".to_owned(), 500, OPEN, 390),
            |batch| prepare(batch, &snapshot, NOW).map(|prepared| prepared.byte_len()),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("flush", |b| {
        b.iter_batched(
            || {
                let disk = MemoryDisk::new();
                let mut engine = open(Arc::new(disk.clone()));
                commit(&mut engine, bars("b".to_owned(), 500, OPEN, 390));
                let job = engine.plan_flush().expect("there are rows");
                (disk, job)
            },
            |(disk, job)| job.run(&disk),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, commits, range, newest, bulk);
criterion_main!(benches);
