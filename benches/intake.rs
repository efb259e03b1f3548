//! What does a batch cost on its way in, without the disk: per row, and per series that it touches?
//!
//! `cargo bench -p barrow-benches --bench intake`. Prints of each stage the
//! time that one batch in ten stays below, in nanoseconds: on a busy machine the rest waits.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use barrow_benches::{MINUTE, OPEN, bars};
use barrow_engine::disk::MemoryDisk;
use barrow_engine::{Engine, Options, prepare};
use barrow_types::Timestamp;

const NOW: Timestamp = Timestamp::from_nanos(OPEN + 1_000_000 * MINUTE);

/// Symbols of a batch, rows of each, how many batches are measured.
const SHAPES: [(u32, u16, usize); 4] =
    [(1, 1, 400), (1_000, 1, 400), (1, 1_000, 200), (500, 200, 30)];

/// The first deciles of prepare, commit and advance.
fn stages(symbols: u32, rows: u16, batches: usize) -> [Duration; 3] {
    let options = Options { memtable_bytes_max: 4 << 30, ..Options::default() };
    let disk = Arc::new(MemoryDisk::new());
    let mut engine = Engine::open(disk, options, [7; 16]).expect("an empty store opens").0;
    let mut all: [Vec<Duration>; 3] = Default::default();
    let mut first = OPEN;
    for at in 0..=batches {
        let batch = bars(format!("b{at}"), symbols, first, usize::from(rows));
        first += i64::from(rows) * MINUTE;
        let snapshot = engine.snapshot();
        let started = Instant::now();
        let prepared = prepare(batch, &snapshot, NOW).expect("the batch is good");
        let was_prepared = Instant::now();
        let answers = engine.commit(vec![prepared], NOW).expect("memory does not fail");
        let committed = Instant::now();
        engine.advance();
        let advanced = Instant::now();
        let accepted = answers[0].as_ref().expect("the batch is good").counts.accepted;
        assert_eq!(accepted, u64::from(symbols) * u64::from(rows));
        // The first batch makes the series.
        if at > 0 {
            all[0].push(was_prepared - started);
            all[1].push(committed - was_prepared);
            all[2].push(advanced - committed);
        }
    }
    all.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 10]
    })
}

fn main() {
    let mut out = std::io::stdout();
    for (symbols, rows, batches) in SHAPES {
        let times = stages(symbols, rows, batches);
        let total: Duration = times.iter().sum();
        let _ = write!(out, "{symbols:>5} series x {rows:>5} rows:");
        for (name, time) in
            ["prepare", "commit", "advance", "all"].iter().zip(times.iter().chain([&total]))
        {
            let _ = write!(out, "  {name} {:>10} ns", time.as_nanos());
        }
        let per = |count: u64| total.as_nanos() / u128::from(count);
        let count = u64::from(symbols);
        let _ =
            writeln!(out, "  = {} a series, {} a row", per(count), per(count * u64::from(rows)));
    }
}
