//! What does a durable commit cost beside a bare `fdatasync` of the same bytes, in process and
//! over HTTP?
//!
//! `--data DIR` is a folder on the disk to be measured. Rounds of commits and of bare syncs take
//! turns. The bare sync writes behind what it wrote before, into a file that was filled with zeros
//! and synced; as the log's next file does, it begins again at the start after 64 MiB.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barrow_benches::http::Connection;
use barrow_benches::load::{self, Store};
use barrow_benches::server::Server;
use barrow_benches::source::{Shape, Source};
use barrow_benches::{arguments, figure, machine};
use barrow_engine::Options;

/// Time of a round of one kind.
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 5;
/// Bytes of the file of the bare syncs: as long as a file of the log.
const BARE_LEN: usize = 64 << 20;

const SHAPES: [(&str, Shape); 4] = [
    ("1 row", Shape { symbols: 1, minutes: 1 }),
    ("100 rows", Shape { symbols: 1, minutes: 100 }),
    ("1,000 rows", Shape { symbols: 1, minutes: 1_000 }),
    ("1,000 rows of 500 symbols", Shape { symbols: 500, minutes: 2 }),
];

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    if dir.exists() {
        fs::remove_dir_all(&dir).expect("the folder is ours");
    }
    fs::create_dir_all(&dir).expect("the folder can be made");
    let mut bare = Bare::new(&dir.join("bare"));
    for (number, (name, shape)) in SHAPES.into_iter().enumerate() {
        let len = in_process(&dir.join(format!("engine{number}")), name, shape, &mut bare);
        over_http(&dir.join(format!("server{number}")), name, shape, len, &mut bare);
    }
}

/// A file of zeros that is written and synced piece by piece.
struct Bare {
    file: File,
    at: usize,
}

impl Bare {
    fn new(path: &Path) -> Self {
        let mut file = File::create(path).expect("the folder takes files");
        file.write_all(&vec![0; BARE_LEN]).expect("the disk has room");
        file.sync_all().expect("the disk works");
        Self { file, at: 0 }
    }

    fn sync(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() > BARE_LEN {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at as u64).expect("the disk works");
        self.file.sync_data().expect("the disk works");
        self.at += bytes.len();
    }
}

/// Rounds of `work`, which says its microseconds, and of bare syncs of `len` bytes, in turn.
fn alternate(name: &str, len: usize, bare: &mut Bare, mut work: impl FnMut() -> f64) {
    let bytes = vec![1; len];
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let end = Instant::now() + ROUND;
        while Instant::now() < end {
            ours.push(work());
        }
        floor.extend(figure::repeat(ROUND, || bare.sync(&bytes)));
    }
    figure::many(&format!("commit of {name}"), "us", ours);
    figure::many(&format!("commit of {name}: bare fdatasync of {len} bytes"), "us", floor);
}

/// Preparing counts, making the rows does not. Returns the bytes of a record's body.
fn in_process(dir: &Path, name: &str, shape: Shape, bare: &mut Bare) -> usize {
    let mut store = Store::open(dir, Options::default());
    let reader = store.engine.reader();
    let mut source = Source::new(shape, 0);
    let first = load::prepared(&reader, source.batch());
    let len = first.byte_len();
    store.commit(vec![first]);
    let mut busy = Vec::new();
    alternate(&format!("{name}, in process"), len, bare, || {
        let batch = source.batch();
        let (before, start) = (machine::thread_seconds(), Instant::now());
        store.commit(vec![load::prepared(&reader, batch)]);
        let took = start.elapsed();
        busy.push((machine::thread_seconds() - before) * 1e6);
        // Not counted: in the server, another thread does it.
        store.flush_if_due();
        took.as_secs_f64() * 1e6
    });
    figure::many(&format!("commit of {name}, in process: CPU"), "us", busy);
    len
}

/// Encoding the Arrow stream does not count: the bytes are there when the request begins.
fn over_http(dir: &Path, name: &str, shape: Shape, len: usize, bare: &mut Bare) {
    let server = Server::start(dir);
    let mut connection = Connection::open(&server.address);
    let mut source = Source::new(shape, 0);
    alternate(&format!("{name}, over HTTP"), len, bare, || {
        let (id, bars) = source.bars();
        let path = load::route(&id);
        let body = load::stream(&load::bars_table(&bars, &source.symbols()));
        let start = Instant::now();
        let answer = connection.post(&path, &body);
        let took = start.elapsed();
        let accepted = format!("\"accepted\":{},", bars.len());
        assert!(answer.contains(&accepted), "not all taken: {answer}");
        took.as_secs_f64() * 1e6
    });
    server.stop();
}
