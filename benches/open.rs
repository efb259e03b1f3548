//! How long does a store take to open, and its log to be replayed?
//!
//! `--data DIR` is opened once and what came of it printed; for cold figures, run it as a new
//! process after dropping caches. `--write-log MIB` first makes a store there that was killed with
//! so much in its log and nothing flushed, and ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barrow_benches::data::{self, Order};
use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, figure, machine};
use barrow_engine::disk::OsDisk;
use barrow_engine::{Engine, Options};

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    if let Some(mib) = arguments::optional::<u64>("--write-log") {
        write_log(&dir, mib << 20);
        return;
    }
    let own = std::process::id();
    let before = machine::cpu_seconds(own);
    let (took, (engine, recovery)) = figure::seconds(|| {
        let disk = OsDisk::open(&dir).expect("the folder is free");
        Engine::open(Arc::new(disk), Options::default(), [7; 16]).expect("the store opens")
    });
    figure::one("open", "s", took);
    figure::one("open: CPU", "s", machine::cpu_seconds(own) - before);
    figure::one("rows replayed", "rows", recovery.replayed_rows as f64);
    figure::one("files of segments", "files", engine.stats().segments as f64);
    let log = machine::folder_bytes(&dir.join("wal"));
    figure::one("log", "MiB", log / 1_048_576.0);
    figure::one("VmHWM", "MiB", machine::memory_mib(own, "VmHWM"));
}

fn write_log(dir: &Path, bytes: u64) {
    if dir.exists() {
        fs::remove_dir_all(dir).expect("the folder is ours");
    }
    // No flush is due before the log is as long as asked for.
    let options = Options { memtable_bytes_max: 64 * bytes, ..Options::default() };
    let mut store = Store::open(dir, options);
    let reader = store.engine.reader();
    let (mut number, mut written) = (0, 0);
    // Sessions without end: as many as it takes are used, the rest is never reached.
    let mut stop = false;
    data::bars(500, 400, Order::Session, |bars| {
        if stop {
            return;
        }
        number += 1;
        let prepared = load::prepared(&reader, load::batch(format!("log{number}"), bars));
        written += prepared.byte_len() as u64;
        store.commit(vec![prepared]);
        stop = written >= bytes;
    });
    assert!(stop, "400 sessions are not enough for {bytes} bytes");
    figure::one("log written", "bytes", written as f64);
}
