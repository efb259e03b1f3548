//! How fast is the feed under load: 10,000 lookups a second from 50 connections while 100,000 rows
//! a second come in, beside an echo of the same bytes beside the same rows; and how many rows a
//! second can 1,000 subscribers of all symbols be told of?
//!
//! `--data DIR` is a folder on the disk to be measured, `--seconds N` how long each part takes,
//! `--part lookups|subscribers` one of them. The server and the echo are processes of their own;
//! this one is all clients and the sender of rows. Nothing is bound to a processor; all share those
//! that there are, and sleep while there is nothing to do. 16 features are live for 500 symbols.
//!
//! **Lookups** are of one symbol, each connection asks on schedule. One whose answer is late asks
//! as soon as it has it: times are from when a question was due. Rounds with the echo and with the
//! feed take turns.
//!
//! **Subscribers** (`--subscribers N`) are tasks of an async runtime. Rows come in batches of
//! `--batch 50` symbols, on schedule over 10 connections. `--rates 500,1000,...` are tried one
//! after the other, until a row is left out, rows are not taken as fast, or the last needs more
//! than a second to be told. Each subscriber looks at every row: of each symbol the slots that were
//! sent come once and in order; what it saw is hashed, and the hashes of all are the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barrow_benches::echo::{self, Echo, Kind};
use barrow_benches::http::Connection;
use barrow_benches::live::{self, Batch, Live, SIXTEEN};
use barrow_benches::source::{Shape, Source};
use barrow_benches::talk::{Place, Talk};
use barrow_benches::{arguments, data, figure, machine, pace};
use barrow_client::feed::{Event, Feed, FeedOptions, Group, Subscription, Wanted};
use barrow_protocol::frame::HEADER_LEN;
use tokio::runtime::Runtime;

const SYMBOLS: u32 = 500;
/// Bars of each symbol before anything is measured.
const WARM: usize = 100;

fn main() {
    echo::serve_if_asked();
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let time = Duration::from_secs_f64(arguments::value("--seconds", 10.0));
    let part = arguments::value("--part", "all".to_owned());
    pace::wake_in_time();
    if part == "all" || part == "lookups" {
        lookups(&dir, time);
    }
    if part == "all" || part == "subscribers" {
        subscribers(&dir, time);
    }
}

// ---------------------------------------------------------------------- lookups

const ROUNDS: u32 = 3;
/// Minutes of a batch.
const MINUTES: usize = 2;

fn lookups(dir: &Path, time: Duration) {
    let connections = arguments::value("--connections", 50);
    let rate = arguments::value("--lookups", 10_000.0);
    let rows = arguments::value("--rows", 100_000);
    let live = Live::start(&dir.join("store"), &[SIXTEEN], &[]);
    let echo = Echo::start(dir);
    let mut source = Source::new(Shape { symbols: SYMBOLS, minutes: WARM }, 0);
    let mut connection = Connection::open(&live.server.address);
    let batch = Batch::next(&mut source);
    batch.send(&mut connection);
    source.set_minutes(MINUTES);
    let group = live.group(SIXTEEN.name, (0, SYMBOLS), batch.ts);
    let numbers = live::numbers(&group);
    let feeds: Vec<Talk> = numbers
        .iter()
        .cycle()
        .step_by(7)
        .take(connections)
        .map(|symbol| live::talk(&live.tcp(), &group, &[*symbol]))
        .collect();
    let place = echo.tcp(Kind::Tokio);
    let echoes: Vec<Talk> = feeds.iter().map(|feed| Echo::talk(&place, feed)).collect();
    let mut sides = [("echo", echoes), ("feed", feeds)];
    let what = format!("{rate} lookups/s from {connections} connections");
    let pid = live.server.pid();
    for (name, talks) in &mut sides {
        let (took, _) = on_schedule(talks, rate, time / ROUNDS);
        figure::many(&format!("{what}, no rows come: {name}"), "us", took);
    }
    // Made before: here they cost the sender only the sending.
    let per_batch = MINUTES * SYMBOLS as usize;
    let count = rows_in(rows, time * 2 + Duration::from_secs(2)) / per_batch;
    let batches: Vec<Batch> =
        std::iter::repeat_with(|| Batch::next(&mut source)).take(count).collect();
    let batch_rate = rows as f64 / per_batch as f64;
    let is_over = AtomicBool::new(false);
    let before = (machine::cpu_seconds(pid), Instant::now());
    let late = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut late = Vec::new();
            let all = (Instant::now(), Duration::MAX);
            pace::each(batch_rate, all, Duration::ZERO, |number, due| {
                batches[number].send(&mut connection);
                late.push(due.elapsed().as_secs_f64() * 1e6);
                !is_over.load(Ordering::Relaxed) && number + 1 < batches.len()
            });
            late
        });
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for ((_, talks), took) in sides.iter_mut().zip(&mut took) {
                took.push(on_schedule(talks, rate, time / ROUNDS));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        for ((name, _), took) in sides.iter().zip(took) {
            let what = format!("{what}, {rows} rows/s come: {name}");
            let (took, rates): (Vec<_>, Vec<_>) = took.into_iter().unzip();
            figure::many(&what, "us", took.concat());
            figure::many(&format!("{what}: answered"), "lookups/s", rates);
        }
        sender.join().expect("it does not panic")
    });
    let seconds = before.1.elapsed().as_secs_f64();
    let taken = (late.len() * per_batch) as f64;
    figure::one(&format!("{what}: rows taken"), "rows/s", taken / seconds);
    figure::many(&format!("{what}: batches of rows acknowledged after they were due"), "us", late);
    let cpu = (machine::cpu_seconds(pid) - before.0) / seconds;
    figure::one(&format!("{what}: server CPU"), "processors", cpu);
    live.server.stop();
}

/// Asks on all connections in turn, each on a thread of its own; microseconds from when a question
/// was due until its answer was there, and how many were answered a second.
fn on_schedule(talks: &mut [Talk], rate: f64, time: Duration) -> (Vec<f64>, f64) {
    let each = rate / talks.len() as f64;
    let start = Instant::now();
    let took: Vec<Vec<f64>> = thread::scope(|scope| {
        let threads: Vec<_> = talks
            .iter_mut()
            .enumerate()
            .map(|(at, talk)| {
                scope.spawn(move || {
                    let phase = Duration::from_secs_f64(at as f64 / rate);
                    let mut took = Vec::new();
                    pace::each(each, (start, time), phase, |_, due| {
                        talk.ask();
                        took.push(due.elapsed().as_secs_f64() * 1e6);
                        talk.check(HEADER_LEN);
                        true
                    });
                    took
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let took = took.concat();
    let answered = took.len() as f64 / start.elapsed().as_secs_f64();
    (took, answered)
}

// ---------------------------------------------------------------------- subscribers

/// Connections that rows come over; a symbol's always over the same one.
const SENDERS: usize = 10;
/// How long after the last row of a step the last of its updates may come.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// How much longer than meant it may take until all rows of a step are taken.
const LATE_MAX: f64 = 1.1;
/// And how long it is waited for, to say how far behind the server is.
const WAIT_MAX: Duration = Duration::from_secs(20);

fn subscribers(dir: &Path, time: Duration) {
    let count: usize = arguments::value("--subscribers", 1_000);
    let rates = arguments::value("--rates", "500,1000,2000,4000,8000,16000".to_owned());
    let part = arguments::value("--batch", 50);
    let live = Live::start(&dir.join("store"), &[SIXTEEN], &[]);
    let mut sources: Vec<Source> = (0..SYMBOLS / part)
        .map(|at| Source::new(Shape { symbols: part, minutes: WARM }, at * part))
        .collect();
    assert_eq!(sources.len() % SENDERS, 0, "--batch: senders would have unlike shares");
    let mut connection = Connection::open(&live.server.address);
    let mut last = 0;
    for source in &mut sources {
        let batch = Batch::next(source);
        batch.send(&mut connection);
        last = batch.ts;
        source.set_minutes(1);
    }
    let group = live.group(SIXTEEN.name, (0, SYMBOLS), last);
    let runtime = Runtime::new().expect("the system gives threads");
    let place = live.tcp();
    let board = Arc::new(Board::new(&group, sources.len(), count));
    for at in 0..count {
        let news = runtime.block_on(subscribe(&place, &group));
        runtime.spawn(follow(news, at, Arc::clone(&board)));
    }
    for rate in rates.split(',').map(|text| text.parse().expect("a number of rows a second")) {
        let what = format!("{count} subscribers of {SYMBOLS} symbols, {rate} rows/s");
        if !step(&live, &mut sources, &board, (rate, time), &what) {
            break;
        }
    }
    live.server.stop();
}

async fn subscribe(place: &Place, group: &Group) -> Subscription {
    let options = FeedOptions::default();
    let feed = match place {
        Place::Tcp(address) => Feed::tcp(address, &options).await,
        Place::Unix(path) => Feed::unix(path, &options).await,
    };
    let feed = feed.expect("the server lets everybody in");
    feed.subscribe(group, &Wanted::all()).await.expect("it is known")
}

/// What subscribers have seen.
struct Board {
    /// By number in the feed, which symbol it is.
    symbols: Vec<usize>,
    /// Into how many batches a minute is split.
    batches: usize,
    begin: Instant,
    /// By batch, when it was due: nanoseconds from the begin.
    sent: Vec<AtomicU64>,
    seen: Vec<Seen>,
}

/// What one has seen.
#[derive(Default)]
struct Seen {
    updates: AtomicU64,
    hash: AtomicU64,
    left_out: AtomicU64,
    /// Microseconds from when batches were due until their last symbols were told.
    took: std::sync::Mutex<Vec<f64>>,
}

/// Most batches of a run.
const BATCHES_MAX: usize = 1 << 20;

impl Board {
    fn new(group: &Group, batches: usize, count: usize) -> Self {
        let mut symbols = vec![0; group.symbols.len()];
        for (place, number) in live::numbers(group).into_iter().enumerate() {
            symbols[usize::try_from(number).expect("invariant: 32 bits fit")] = place;
        }
        Self {
            symbols,
            batches,
            begin: Instant::now(),
            sent: std::iter::repeat_with(AtomicU64::default).take(BATCHES_MAX).collect(),
            seen: std::iter::repeat_with(Seen::default).take(count).collect(),
        }
    }

    /// Of all subscribers.
    fn sum(&self, of: impl Fn(&Seen) -> &AtomicU64) -> u64 {
        self.seen.iter().map(|seen| of(seen).load(Ordering::Acquire)).sum()
    }

    /// Nanoseconds from the begin to `at`.
    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.duration_since(self.begin).as_nanos();
        u64::try_from(nanos).expect("invariant: it does not run so long")
    }
}

/// How many rows come in some time at a rate a second.
fn rows_in(rate: usize, time: Duration) -> usize {
    let millis = usize::try_from(time.as_millis()).expect("invariant: it does not run so long");
    rate * millis / 1_000
}

/// When bar `number` of any symbol starts.
fn ts_of(number: usize) -> i64 {
    let session = u32::try_from(number / data::MINUTES).expect("few sessions");
    let minute = i64::try_from(number % data::MINUTES).expect("invariant: a session is short");
    data::open_of(session) + minute * data::MINUTE
}

/// Looks at every row; ends with the server.
async fn follow(mut news: Subscription, at: usize, board: Arc<Board>) {
    let part = board.symbols.len() / board.batches;
    let mut next = vec![WARM; board.symbols.len()];
    let seen = &board.seen[at];
    let mut hash = 0_u64;
    while let Ok(Some(event)) = news.next().await {
        let Event::Update { symbol, row, .. } = event else {
            seen.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let symbol = board.symbols[usize::try_from(symbol).expect("invariant: 32 bits fit")];
        let number = next[symbol] - WARM;
        assert_eq!(row.head().ts, ts_of(next[symbol]), "of a symbol every slot, in order");
        next[symbol] += 1;
        for word in row.words() {
            hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
        }
        if symbol % part == part - 1 {
            let batch = number * board.batches + symbol / part;
            let nanos = board.nanos(Instant::now()) - board.sent[batch].load(Ordering::Relaxed);
            seen.took.lock().expect("nobody panics").push(nanos as f64 / 1e3);
        }
        seen.hash.store(hash, Ordering::Relaxed);
        seen.updates.fetch_add(1, Ordering::Release);
    }
}

/// When the batches of one sender are due.
struct Schedule {
    start: Instant,
    /// Batches of all a second.
    rate: f64,
    sender: usize,
}

/// Sends batches when they are due, or as soon as those before are acknowledged.
fn send(live: &Live, board: &Board, first: usize, mine: Vec<(usize, &Batch)>, when: Schedule) {
    let mut connection = Connection::open(&live.server.address);
    let phase = Duration::from_secs_f64(when.sender as f64 / when.rate);
    let rate = when.rate / SENDERS as f64;
    pace::each(rate, (when.start, Duration::MAX), phase, |turn, due| {
        let (number, batch) = mine[turn];
        board.sent[first + number].store(board.nanos(due), Ordering::Relaxed);
        batch.send(&mut connection);
        turn + 1 < mine.len()
    });
}

/// Sends rows at a rate; whether everybody was told of all of them soon enough.
fn step(
    live: &Live,
    sources: &mut [Source],
    board: &Board,
    (rate, time): (usize, Duration),
    what: &str,
) -> bool {
    let parts = sources.len();
    let part = board.symbols.len() / parts;
    let before = board.sum(|seen| &seen.updates);
    let each = usize::try_from(before).expect("invariant: 64 bits fit") / board.seen.len();
    let first = each / part;
    // Whole minutes of all symbols.
    let minutes = rows_in(rate, time).div_ceil(board.symbols.len());
    let batches: Vec<Batch> =
        (0..minutes * parts).map(|at| Batch::next(&mut sources[at % parts])).collect();
    let rows = part * batches.len();
    let expected = (each + rows) as u64;
    let processes = [("server", live.server.pid()), ("clients", std::process::id())];
    let cpu = processes.map(|(_, pid)| machine::cpu_seconds(pid));

    let start = Instant::now();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let mine = batches.iter().enumerate().skip(sender).step_by(SENDERS);
            let schedule = Schedule { start, rate: rate as f64 / part as f64, sender };
            scope.spawn(move || send(live, board, first, mine.collect(), schedule));
        }
    });
    let sent = start.elapsed();
    let end = Instant::now() + WAIT_MAX;
    let is_told = |seen: &&Seen| seen.updates.load(Ordering::Acquire) == expected;
    let left_out = || board.sum(|seen| &seen.left_out);
    let told = || board.seen.iter().filter(is_told).count();
    while told() < board.seen.len() && left_out() == 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    let all = start.elapsed();

    let say = |name: &str, unit, value| figure::one(&format!("{what}: {name}"), unit, value);
    say("rows taken", "rows/s", rows as f64 / sent.as_secs_f64());
    let updates = board.sum(|seen| &seen.updates) - before;
    say("updates", "updates/s", updates as f64 / all.as_secs_f64());
    say("told of all in order", "subscribers", told() as f64);
    say("told that rows were left out", "subscribers", left_out() as f64);
    say("the last after all were taken", "ms", (all - sent).as_secs_f64() * 1e3);
    for ((name, pid), before) in processes.iter().zip(cpu) {
        let used = (machine::cpu_seconds(*pid) - before) / all.as_secs_f64();
        say(&format!("CPU of {name}"), "processors", used);
    }
    let take = |seen: &Seen| std::mem::take(&mut *seen.took.lock().expect("nobody panics"));
    let took = board.seen.iter().flat_map(take).collect();
    figure::many(&format!("{what}: told after it was due"), "us", took);
    if told() < board.seen.len() {
        return false;
    }
    let hash = |seen: &Seen| seen.hash.load(Ordering::Acquire);
    let is_same = board.seen.iter().all(|seen| hash(seen) == hash(&board.seen[0]));
    assert!(is_same, "not everybody saw the same");
    all - sent <= DRAIN_MAX && sent.as_secs_f64() * rate as f64 <= rows as f64 * LATE_MAX
}
