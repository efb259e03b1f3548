//! How many rows a second does each stage of the way in take on one core, without any disk?
//!
//! Prepare, commit (its log in memory, its sync nothing), flush and compaction of generated bars
//! of 500 symbols and `--sessions N`, and their Arrow stream by the arrow crate alone.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use barrow_benches::data::{self, Bars, Order};
use barrow_benches::{arguments, figure, load, machine};
use barrow_engine::disk::MemoryDisk;
use barrow_engine::{Engine, Options, Scope};

/// Seconds that this thread runs for `work`: other work on the machine does not count.
fn busy<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = machine::thread_seconds();
    let result = work();
    (machine::thread_seconds() - before, result)
}

fn main() {
    let Some(sessions) = arguments::optional("--sessions") else { return };
    let mut pieces = Vec::new();
    data::bars(500, sessions, Order::Session, |bars| pieces.push(bars.clone()));
    let rows: usize = pieces.iter().map(Bars::len).sum();
    let rate = |name: &str, seconds: f64| {
        figure::one(name, "million rows/s", rows as f64 / seconds / 1e6);
    };

    let tables: Vec<_> = pieces.iter().map(|bars| load::bars_table(bars, &(0..500))).collect();
    let (took, streams) = busy(|| tables.iter().map(load::stream).collect::<Vec<Vec<u8>>>());
    rate("Arrow stream, encode", took);
    let (took, ()) = busy(|| {
        for stream in &streams {
            for batch in StreamReader::try_new(&stream[..], None).expect("a stream") {
                black_box(batch.expect("it is whole"));
            }
        }
    });
    rate("Arrow stream, decode by the arrow crate", took);

    let disk = MemoryDisk::new();
    let options = Options::default();
    let opened = Engine::open(Arc::new(disk.clone()), options, [7; 16]);
    let mut engine = opened.expect("memory does not fail").0;
    let reader = engine.reader();
    let (mut preparing, mut committing, mut flushing) = (0.0, 0.0, 0.0);
    for (number, bars) in pieces.iter().enumerate() {
        let batch = load::batch(format!("b{number}"), bars);
        let (took, prepared) = busy(|| load::prepared(&reader, batch));
        preparing += took;
        let (took, _) = busy(|| {
            let answers = engine.commit(vec![prepared], load::NOW);
            engine.advance();
            answers.expect("memory does not fail")
        });
        committing += took;
        let (took, ()) = busy(|| {
            if engine.flush_due() || number + 1 == pieces.len() {
                let job = engine.plan_flush().expect("there are rows");
                engine.install(job.run(&disk)).expect("memory does not fail");
            }
        });
        flushing += took;
    }
    rate("prepare", preparing);
    rate("commit", committing);
    rate("flush", flushing);
    let (took, ()) = busy(|| {
        while let Some(job) = engine.plan_compaction(Scope::All) {
            let done = job.run(&disk, &mut |_| ControlFlow::Continue(()));
            engine.install_compaction(done).expect("memory does not fail");
        }
    });
    rate("compact", took);
    let bytes = engine.stats().segment_bytes as f64 / rows as f64;
    figure::one("segments after compaction", "bytes/row", bytes);
}
