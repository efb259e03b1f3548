//! What does it take to bring a store to rest: everything in segments, those merged as far as can
//! be, and how small is it then?
//!
//! `--data DIR` is a store that no server holds.

use std::path::PathBuf;

use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, figure, machine};
use barrow_engine::Options;

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let own = std::process::id();
    let (opening, mut store) = figure::seconds(|| Store::open(&dir, Options::default()));
    let (flushing, ()) = figure::seconds(|| store.flush(true));
    let (compacting, ()) = figure::seconds(|| store.compact());
    let written = store.engine.stats().compacted_bytes as f64;
    let (closing, ()) = figure::seconds(|| store.engine.close(load::NOW).expect("it closes"));
    figure::one("rest: open", "s", opening);
    figure::one("rest: flush", "s", flushing);
    figure::one("rest: compact", "s", compacting);
    figure::one("rest", "s", opening + flushing + compacting + closing);
    figure::one("rest: CPU", "s", machine::cpu_seconds(own));
    figure::one("rest: written by compaction", "MiB", written / 1_048_576.0);
    let bytes = machine::folder_bytes(&dir.join("segments"));
    figure::one("segments", "bytes", bytes);
}
