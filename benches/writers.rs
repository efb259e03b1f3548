//! What do 64 writers at once get beside one, each waiting for its answer before the next batch?
//!
//! `--data DIR` is a folder on the disk to be measured. In process, writers prepare on threads of
//! their own and hand over to the thread that owns the engine, which commits whatever waits as one
//! group: what the server's writer does. Over HTTP, each has a connection. Rounds of one writer
//! and of 64 take turns.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use barrow_benches::http::Connection;
use barrow_benches::load::{self, Store};
use barrow_benches::server::Server;
use barrow_benches::source::{Shape, Source};
use barrow_benches::{arguments, figure};
use barrow_engine::{Options, Prepared};

/// Time of a round of one kind.
const ROUND: Duration = Duration::from_millis(800);
const ROUNDS: usize = 5;
const WRITERS: u32 = 64;
/// Batches of one group at most, and in the queue, as in the server.
const GROUP_MAX: usize = 256;

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    if dir.exists() {
        fs::remove_dir_all(&dir).expect("the folder is ours");
    }
    for minutes in [1, 100] {
        let shape = Shape { symbols: 1, minutes };
        let mut store = Store::open(&dir.join(format!("engine{minutes}")), Options::default());
        take_turns("in process", shape, |sources| hand_over(&mut store, sources));
        let server = Server::start(&dir.join(format!("server{minutes}")));
        take_turns("over HTTP", shape, |sources| send(&server.address, sources));
        server.stop();
    }
}

/// Rounds of one writer and of many; `work` says how many batches were stored.
fn take_turns(name: &str, shape: Shape, mut work: impl FnMut(Vec<Source>) -> usize) {
    let rows = shape.minutes;
    let mut first = 0;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (writers, rates) in [1, WRITERS].into_iter().zip(&mut rates) {
            let sources = (first..first + writers).map(|symbol| Source::new(shape, symbol));
            first += writers;
            let sources = sources.collect();
            let (took, count) = figure::seconds(|| work(sources));
            rates.push((count * rows) as f64 / took);
        }
    }
    let [one, many] = rates;
    figure::many(&format!("1 writer of {rows} rows, {name}"), "rows/s", one);
    figure::many(&format!("{WRITERS} writers of {rows} rows, {name}"), "rows/s", many);
}

struct Handed {
    prepared: Prepared,
    reply: Sender<()>,
}

fn hand_over(store: &mut Store, sources: Vec<Source>) -> usize {
    let (sender, queue) = sync_channel::<Handed>(GROUP_MAX);
    let end = Instant::now() + ROUND;
    let reader = store.engine.reader();
    thread::scope(|scope| {
        for mut source in sources {
            let (sender, reader) = (sender.clone(), reader.clone());
            scope.spawn(move || {
                while Instant::now() < end {
                    let prepared = load::prepared(&reader, source.batch());
                    let (reply, answer) = channel();
                    let handed = Handed { prepared, reply };
                    sender.send(handed).expect("the queue outlives the writers");
                    answer.recv().expect("every batch is answered");
                }
            });
        }
        drop(sender);
        commit_groups(store, &queue)
    })
}

fn commit_groups(store: &mut Store, queue: &Receiver<Handed>) -> usize {
    let mut count = 0;
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        count += group.len();
        let (batches, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|handed| (handed.prepared, handed.reply)).unzip();
        store.commit(batches);
        for reply in replies {
            reply.send(()).expect("the writer waits");
        }
        store.flush_if_due();
    }
    count
}

fn send(address: &str, sources: Vec<Source>) -> usize {
    let end = Instant::now() + ROUND;
    thread::scope(|scope| {
        let threads: Vec<_> = sources
            .into_iter()
            .map(|mut source| scope.spawn(move || send_until(end, address, &mut source)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
    })
}

fn send_until(end: Instant, address: &str, source: &mut Source) -> usize {
    let mut connection = Connection::open(address);
    let mut count = 0;
    while Instant::now() < end {
        let (id, bars) = source.bars();
        let body = load::stream(&load::bars_table(&bars, &source.symbols()));
        let answer = connection.post(&load::route(&id), &body);
        let accepted = format!("\"accepted\":{},", bars.len());
        assert!(answer.contains(&accepted), "not all taken: {answer}");
        count += 1;
    }
    count
}
