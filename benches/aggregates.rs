//! What do bars cost that are made of others: to make them all, to keep them up, to read them?
//!
//! `--data DIR --question NAME`, with as many `--symbols` and `--sessions` as the store has or
//! shall have:
//!
//! - `all`: 5m, 15m, 30m, 1h, 4h and 1d bars of all symbols, made once: answered, and stored
//! - `hours`, `hour`: stored 1h bars of all symbols, and of one; the store must have been asked
//!   `all`
//! - `fives`: 5m bars of all symbols, again and again, with `--tile-bytes` of memory for them
//! - `minutes`: 1-minute bars from all trades, made once; a store is filled if none is there
//! - `keep`: a fresh store is filled in `--order`: minute by minute (a batch has one of all
//!   symbols), session by session, or symbol by symbol. What ingest takes, and what it takes to
//!   keep all bars in their file, which is written after each flush, or, symbol by symbol, at the
//!   end. Then come the minutes of one more session, and today's bars are read
//!
//! For `all`, `hours` and `hour` the store is one that `ingest` left. Answers are columns, as in
//! Arrow; `check` is the sum of all closes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use barrow_benches::bars::{self, Asked, STEPS};
use barrow_benches::data::{self, Bars, MINUTE, MINUTES, Order, Walk, open_of};
use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, facts, figure, machine};
use barrow_engine::{Options, Snapshot};
use barrow_types::{Step, Timestamp};

/// How long a question is asked again and again.
const TIME: Duration = Duration::from_secs(2);
/// How often bars are made once.
const ROUNDS: usize = 3;
/// Hours of a session.
const HOURS: usize = 7;
/// Trades of a symbol in a session.
const TICKS: usize = 100_000;
/// Trades that are random come a little later than the close, at times.
const AFTER_CLOSE: i64 = 15 * MINUTE;
/// Bars that form are read after so many minutes, again and again.
const MINUTES_APART: usize = 26;
const CALENDAR: &str = "EXACT";

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let question: String = arguments::value("--question", "all".to_owned());
    let bench = Bench {
        symbols: arguments::value("--symbols", 500),
        sessions: arguments::value("--sessions", 50),
        dir,
    };
    match question.as_str() {
        "all" => bench.all(),
        "hours" => bench.hours(),
        "hour" => bench.hour(),
        "fives" => bench.fives(),
        "minutes" => bench.minutes(),
        "keep" => bench.keep(),
        other => panic!("--question: there is no {other:?}"),
    }
}

/// Remembers no bars: whatever is asked is made.
fn forgetful() -> Options {
    Options { tile_bytes_max: 0, ..Options::default() }
}

/// Prints what `work` takes each time, and the processor time of one.
fn measure<T>(name: &str, rounds: usize, mut work: impl FnMut() -> T) -> T {
    let own = std::process::id();
    let before = machine::cpu_seconds(own);
    let mut last = None;
    let walls = (0..rounds).map(|_| {
        let (wall, found) = figure::seconds(&mut work);
        last = Some(found);
        wall * 1e3
    });
    figure::many(name, "ms", walls.collect());
    let cpu = (machine::cpu_seconds(own) - before) / rounds as f64;
    figure::one(&format!("{name}: CPU"), "ms", cpu * 1e3);
    last.expect("there is a round")
}

struct Bench {
    dir: PathBuf,
    symbols: u32,
    sessions: u32,
}

impl Bench {
    fn asked(&self) -> Asked {
        Asked::sessions(0, self.sessions)
    }

    fn of_all(&self, snapshot: &Snapshot, steps: &[Step], threads: usize) -> (usize, f64) {
        bars::count_all(snapshot, self.symbols, steps, self.asked(), threads)
    }

    /// Whoever opens the store next finds no bars that were made before.
    fn forget(&self) {
        let derived = self.dir.join("derived");
        if derived.is_dir() {
            std::fs::remove_dir_all(derived).expect("the folder is ours");
        }
    }

    /// All symbols follow a calendar of sessions so much wider at both ends; what is told of it
    /// lies in segments, as the rows do.
    fn tell_facts(&self, store: &mut Store, sessions: u32, wider: i64) {
        facts::calendar(store, CALENDAR, sessions, wider);
        facts::follow(store, CALENDAR, self.symbols);
        store.flush();
    }

    fn all(&self) {
        self.forget();
        self.tell_facts(&mut Store::open(&self.dir, Options::default()), self.sessions, 0);
        let store = Store::open(&self.dir, forgetful());
        let snapshot = store.engine.snapshot();
        for threads in [1, 2] {
            let name = format!("all, answered, {threads} threads");
            let (_, sum) = measure(&name, ROUNDS, || self.of_all(&snapshot, &STEPS, threads));
            figure::one(&format!("{name}: check"), "sum", sum);
        }
        drop((snapshot, store));
        let (mut walls, mut cpus) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            self.forget();
            let mut store = Store::open(&self.dir, Options::default());
            let before = machine::thread_seconds();
            let (wall, is_written) = figure::seconds(|| store.write_tiles_if_due());
            assert!(is_written, "there was no file");
            walls.push(wall * 1e3);
            cpus.push((machine::thread_seconds() - before) * 1e3);
            stored(&store);
        }
        figure::many("all, stored", "ms", walls);
        figure::many("all, stored: CPU", "ms", cpus);
    }

    fn hours(&self) {
        let expected = self.symbols as usize * self.sessions as usize * HOURS;
        for threads in [1, 2] {
            let name = format!("hours, {threads} threads");
            let store = Store::open(&self.dir, Options::default());
            let snapshot = store.engine.snapshot();
            let hours = || self.of_all(&snapshot, &[Step::H1], threads);
            let (count, sum) = measure(&format!("{name}, first time"), 1, hours);
            assert_eq!(count, expected, "every hour is there");
            figure::one(&format!("{name}: check"), "sum", sum);
            measure(&name, 20, hours);
            let stats = store.engine.reader().tiles();
            assert_eq!(stats.made, 0, "the file has them all: ask `all` first");
        }
    }

    fn hour(&self) {
        let store = Store::open(&self.dir, Options::default());
        let snapshot = store.engine.snapshot();
        let asked = self.asked();
        let hour = |turn: u32| bars::count(&snapshot, turn * 37 % self.symbols, Step::H1, asked);
        let (first, (count, sum)) = figure::seconds(|| hour(0));
        assert_eq!(count, self.sessions as usize * HOURS, "every hour is there");
        figure::one("hour, first time", "us", first * 1e6);
        figure::one("hour: check", "sum", sum);
        (0..self.symbols).for_each(|name| {
            bars::count(&snapshot, name, Step::H1, asked);
        });
        let before = machine::thread_seconds();
        let mut turn = 0;
        let times = figure::repeat(TIME, || {
            turn += 1;
            hour(turn);
        });
        let cpu = (machine::thread_seconds() - before) / times.len() as f64;
        figure::many("hour", "us", times);
        figure::one("hour: CPU", "us", cpu * 1e6);
    }

    fn fives(&self) {
        let room = Options::default().tile_bytes_max;
        let tile_bytes_max = arguments::value("--tile-bytes", room);
        let store = Store::open(&self.dir, Options { tile_bytes_max, ..Options::default() });
        let snapshot = store.engine.snapshot();
        let fives = || self.of_all(&snapshot, &[Step::M5], 1);
        let (count, _) = measure("fives, first time", 1, fives);
        figure::one("fives: bars", "bars", count as f64);
        let first = store.engine.reader().tiles();
        measure("fives", 5, fives);
        let stats = store.engine.reader().tiles();
        figure::one("fives: tiles in memory", "MiB", stats.kept_bytes as f64 / 1_048_576.0);
        let each = |now: u64, then: u64| (now - then) as f64 / 5.0;
        figure::one("fives: sessions made", "a turn", each(stats.made, first.made));
        figure::one("fives: tiles loaded", "a turn", each(stats.loaded, first.loaded));
        figure::one("fives: tiles evicted", "a turn", each(stats.evicted, first.evicted));
    }

    fn minutes(&self) {
        if !self.dir.exists() {
            let mut store = Store::open(&self.dir, Options::default());
            let mut number = 0;
            data::ticks(self.symbols, self.sessions, TICKS, |ticks| {
                number += 1;
                let batch = load::ticks_batch(number.to_string(), ticks);
                store.commit(vec![load::prepared(&store.engine.reader(), batch)]);
                store.flush_if_due();
            });
            self.tell_facts(&mut store, self.sessions, AFTER_CLOSE);
        }
        let store = Store::open(&self.dir, forgetful());
        let snapshot = store.engine.snapshot();
        for threads in [1, 2] {
            let name = format!("minutes, {threads} threads");
            let (count, sum) =
                measure(&name, ROUNDS, || self.of_all(&snapshot, &[Step::M1], threads));
            figure::one(&format!("{name}: bars"), "bars", count as f64);
            figure::one(&format!("{name}: check"), "sum", sum);
        }
    }

    fn keep(&self) {
        if self.dir.exists() {
            std::fs::remove_dir_all(&self.dir).expect("the folder is ours");
        }
        let order: String = arguments::value("--order", "minute".to_owned());
        let rows_in = if order == "symbol" { Order::Symbol } else { Order::Session };
        let mut store = Store::open(&self.dir, Options::default());
        self.tell_facts(&mut store, self.sessions + 1, 0);
        let (mut ingest, mut keeping, mut number, mut writings) = (0.0, 0.0, 0, 0);
        let mut take = |bars: &Bars| {
            number += 1;
            let batch = load::batch(number.to_string(), bars);
            ingest += cpu(|| {
                store.commit(vec![load::prepared(&store.engine.reader(), batch)]);
                store.flush_if_due();
            });
            if order != "symbol" && store.engine.tiles_due() {
                keeping += cpu(|| writings += u32::from(store.write_tiles_if_due()));
            }
        };
        data::bars(self.symbols, self.sessions, rows_in, |bars| match order.as_str() {
            "minute" => (0..MINUTES).for_each(|minute| take(&bars_of(minute, bars))),
            _ => take(bars),
        });
        ingest += cpu(|| store.flush());
        keeping += cpu(|| writings += u32::from(store.write_tiles_if_due()));
        figure::one("ingest: CPU", "s", ingest);
        figure::one("keeping all bars: CPU", "s", keeping);
        figure::one("keeping all bars: files written", "files", writings.into());
        figure::one("keeping all bars: share of ingest", "%", keeping / ingest * 100.0);
        stored(&store);
        drop(store);
        live(&self.dir, self.symbols, self.sessions);
    }
}

/// The minutes of a session come, each of all symbols at once; now and then the bars that form are
/// read.
fn live(dir: &Path, symbols: u32, session: u32) {
    let mut store = Store::open(dir, Options::default());
    let mut rows = Bars::default();
    for name in 0..symbols {
        let mut walk = Walk::new(name);
        for _ in 0..session {
            walk.session(&mut Bars::default());
        }
        walk.session(&mut rows);
    }
    let (start, end) = load::sessions(session, 1);
    let (mut commits, mut read_one, mut read_all, mut turns) = (0.0, 0.0, 0.0, 0.0);
    for minute in 0..MINUTES {
        let bars = bars_of(minute, &rows);
        let due = open_of(session) + (minute as i64 + 1) * MINUTE;
        let batch = load::batch(format!("minute {minute}"), &bars);
        commits += cpu(|| store.commit(vec![load::prepared(&store.engine.reader(), batch)]));
        if minute % MINUTES_APART == 0 {
            let asked = Asked { start, end, due: Timestamp::from_nanos(due) };
            let snapshot = store.engine.snapshot();
            let read = |names| cpu(|| bars::count_all(&snapshot, names, &STEPS, asked, 1));
            read_one += read(1);
            read_all += read(symbols);
            turns += 1.0;
        }
    }
    figure::one("a minute of all symbols: CPU", "ms", commits / MINUTES as f64 * 1e3);
    figure::one("then today's bars of a symbol, all steps: CPU", "ms", read_one / turns * 1e3);
    figure::one("and of all symbols: CPU", "ms", read_all / turns * 1e3);
}

/// A minute of each symbol, of all their minutes of a session.
fn bars_of(minute: usize, rows: &Bars) -> Bars {
    let mut bars = Bars::default();
    (minute..rows.len()).step_by(MINUTES).for_each(|at| bars.push(rows, at));
    bars
}

/// Seconds that this thread works at it.
fn cpu<T>(work: impl FnOnce() -> T) -> f64 {
    let before = machine::thread_seconds();
    std::hint::black_box(work());
    machine::thread_seconds() - before
}

/// Prints what is in the file of bars.
fn stored(store: &Store) {
    let stats = store.engine.reader().tiles();
    figure::one("stored tiles", "tiles", stats.stored as f64);
    figure::one("stored tiles: file", "bytes", stats.stored_bytes as f64);
    figure::one("stored tiles: sessions made", "sessions", stats.made as f64);
}
