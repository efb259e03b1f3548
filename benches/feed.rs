//! How long does the feed take to answer, beside a bare echo of the same bytes and beside Redis;
//! `GET /v1/features/latest` beside a bare reply; and a bar, from its arrival until its features
//! can be read?
//!
//! `--data DIR` is a folder on the disk to be measured, `--seconds N` how long each side of a
//! question is asked, `--part lookups|http|arrivals` one of them, `--only TEXT` only those lookups
//! whose names hold it, `--bars N` how many arrive. Everybody sleeps while there is nothing to do:
//! sockets block, and who is asked is a process of its own that the system wakes. No process is
//! bound to a processor; all share those that there are. Sides of a question take turns, on one
//! connection, one question after the other.
//!
//! The client is the same for all: a write, and reads until all bytes are there. Nothing is made
//! of them, but in `Rust client`, which decodes frames into rows.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use barrow_benches::echo::{self, Echo, Kind};
use barrow_benches::http::Connection;
use barrow_benches::live::{self, ALPHA, Batch, Live, SIXTEEN};
use barrow_benches::redis::{self, Redis};
use barrow_benches::source::{Shape, Source};
use barrow_benches::talk::{Place, Talk};
use barrow_benches::{arguments, data, figure};
use barrow_client::feed::blocking::{Feed, Subscription};
use barrow_client::feed::{Event, Group, RowSet, Wanted, Which};
use barrow_client::latest_table::LatestTable;

const ROUNDS: u32 = 5;
const SYMBOLS: u32 = 100;
/// Bars that a symbol has before its features are measured: more than any of them looks back.
const WARM: usize = 100;
/// Between two bars that arrive: everything is at rest.
const PAUSE: Duration = Duration::from_millis(3);
/// Longer than any bar takes.
const LOST: Duration = Duration::from_secs(10);

fn main() {
    echo::serve_if_asked();
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let time = Duration::from_secs_f64(arguments::value("--seconds", 2.0));
    let part = arguments::value("--part", "all".to_owned());
    let wants = |name| part == "all" || part == name;
    let live = Live::start(&dir.join("store"), &[SIXTEEN, ALPHA], &[]);
    if wants("lookups") || wants("http") {
        let mut source = Source::new(Shape { symbols: SYMBOLS, minutes: data::MINUTES }, 0);
        live.send(&mut source);
        let echo = Echo::start(&dir);
        if wants("lookups") {
            lookups(&live, &echo, &dir, time);
        }
        if wants("http") {
            http(&live, &echo, time);
        }
    }
    if wants("arrivals") {
        let bars = arguments::value("--bars", 500);
        for (first, symbols, by_feed) in
            [(100, 1, false), (101, 1, true), (200, 100, false), (300, 100, true)]
        {
            let source = Source::new(Shape { symbols, minutes: WARM }, first);
            arrivals(&live, source, bars, by_feed);
        }
    }
    live.server.stop();
}

/// Somebody who is asked the same again and again.
trait Side {
    fn ask(&mut self);

    /// Whether the last answer was right.
    fn check(&self) {}
}

impl Side for Talk {
    fn ask(&mut self) {
        Self::ask(self);
    }

    fn check(&self) {
        Self::check(self, usize::MAX);
    }
}

/// The Rust client.
struct Client<'a> {
    feed: Feed,
    group: &'a Group,
    symbols: &'a [u32],
    rows: RowSet,
}

impl Side for Client<'_> {
    fn ask(&mut self) {
        let Self { feed, group, symbols, rows } = self;
        feed.latest(group, Which::Newest, symbols, rows).expect("it answers");
    }

    fn check(&self) {
        assert_eq!(self.rows.iter().flatten().count(), self.symbols.len());
    }
}

/// Over HTTP.
struct Http {
    connection: Connection,
    path: String,
    body: Vec<u8>,
}

impl Http {
    fn new(address: &str, path: String) -> Self {
        Self { connection: Connection::open(address), path, body: Vec::new() }
    }
}

impl Side for Http {
    fn ask(&mut self) {
        self.connection.get(&self.path).into(&mut self.body);
    }
}

fn take_turns(question: &str, time: Duration, sides: Vec<(&str, Box<dyn Side + '_>)>) {
    let mut sides: Vec<_> =
        sides.into_iter().map(|(name, side)| (name, side, Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (_, side, took) in &mut sides {
            took.extend(figure::repeat(time / ROUNDS, || side.ask()));
            side.check();
        }
    }
    for (name, _, took) in sides {
        figure::many(&format!("{question}: {name}"), "us", took);
    }
}

// ---------------------------------------------------------------------- lookups

fn lookups(live: &Live, echo: &Echo, dir: &Path, time: Duration) {
    let only: String = arguments::value("--only", String::new());
    let redis = Redis::start(dir);
    if redis.is_none() {
        figure::one("no redis-server here: not compared with Redis", "", 0.0);
    }
    let last = data::OPEN + (data::MINUTES as i64 - 1) * data::MINUTE;
    for document in [SIXTEEN, ALPHA] {
        let group = live.group(document.name, (0, SYMBOLS), last);
        let numbers = live::numbers(&group);
        if let Some(redis) = &redis {
            store(redis, live, &group);
        }
        for symbols in [&numbers[..1], &numbers] {
            for place in live.places() {
                let (tokio, threads) = match place {
                    Place::Tcp(_) => (echo.tcp(Kind::Tokio), echo.tcp(Kind::Threads)),
                    Place::Unix(_) => (echo.unix(Kind::Tokio), echo.unix(Kind::Threads)),
                };
                let feed = live::talk(&place, &group, symbols);
                let (count, features) = (symbols.len(), group.features.len());
                let (bytes, kind) = (feed.first().len(), place.kind());
                let question = format!("{count} x {features}, {bytes} bytes, {kind}");
                if !question.contains(&only) {
                    continue;
                }
                let client = Client {
                    feed: live::feed(&place),
                    group: &group,
                    symbols,
                    rows: RowSet::default(),
                };
                let (tokio, threads) = (Echo::talk(&tokio, &feed), Echo::talk(&threads, &feed));
                let mut sides: Vec<(&str, Box<dyn Side + '_>)> = vec![
                    ("echo, tokio", Box::new(tokio)),
                    ("echo, threads", Box::new(threads)),
                    ("feed", Box::new(feed)),
                    ("feed, Rust client", Box::new(client)),
                ];
                if let Some(redis) = &redis {
                    let place = match place {
                        Place::Tcp(_) => redis.tcp(),
                        Place::Unix(_) => redis.unix(),
                    };
                    for (name, words) in commands(&group, count) {
                        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
                        let question = redis::command(&words);
                        let talk = Talk::begin(place.connect(), question, redis::reply_len);
                        sides.push((name, Box::new(talk)));
                    }
                }
                take_turns(&question, time, sides);
            }
        }
    }
}

/// Stores the rows of a group as packed values and as hashes of texts.
fn store(redis: &Redis, live: &Live, group: &Group) {
    let mut rows = RowSet::default();
    let numbers = live::numbers(group);
    live::feed(&live.unix()).latest(group, Which::Newest, &numbers, &mut rows).expect("answers");
    for (symbol, row) in group.symbols.iter().zip(rows.iter()) {
        let row = row.expect("every symbol has a row");
        let packed: Vec<u8> = row.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        redis.store(&[b"SET", key(group, &symbol.name).as_bytes(), &packed]);
        let hash = format!("hash:{}", key(group, &symbol.name));
        for (at, feature) in group.features.iter().enumerate() {
            let value = row.value(at).map_or_else(String::new, |value| value.to_string());
            redis.store(&[b"HSET", hash.as_bytes(), feature.as_bytes(), value.as_bytes()]);
        }
    }
}

fn key(group: &Group, symbol: &str) -> String {
    format!("{}:{symbol}", group.name)
}

/// What Redis is asked for the first `count` symbols.
fn commands(group: &Group, count: usize) -> Vec<(&'static str, Vec<String>)> {
    let keys = group.symbols[..count].iter().map(|symbol| key(group, &symbol.name));
    let keys: Vec<String> = keys.collect();
    if let [key] = &keys[..] {
        let hash = format!("hash:{key}");
        return vec![
            ("Redis GET", vec!["GET".to_owned(), key.clone()]),
            ("Redis HGETALL", vec!["HGETALL".to_owned(), hash]),
        ];
    }
    vec![("Redis MGET", [vec!["MGET".to_owned()], keys].concat())]
}

// ---------------------------------------------------------------------- HTTP

fn http(live: &Live, echo: &Echo, time: Duration) {
    for document in [SIXTEEN, ALPHA] {
        let name = document.name;
        for format in ["json", "arrow"] {
            let symbol = data::symbol(0);
            let path =
                format!("/v1/features/latest?groups={name}&symbols={symbol}&format={format}");
            let mut ours = Http::new(&live.server.address, path);
            ours.ask();
            let len = ours.body.len();
            let bare = Http::new(echo.http(), format!("/{len}"));
            let question = format!("HTTP features/latest of {name}, {format}, {len} bytes");
            take_turns(&question, time, vec![("bare", Box::new(bare)), ("ours", Box::new(ours))]);
        }
    }
}

// ---------------------------------------------------------------------- arrivals

/// When bars can be read: their features in the latest tables, which are looked at again and again
/// once the bars are acknowledged, or as subscriptions tell of them.
fn arrivals(live: &Live, mut source: Source, bars: usize, by_feed: bool) {
    let mut connection = Connection::open(&live.server.address);
    let all = source.symbols();
    let batch = Batch::next(&mut source);
    batch.send(&mut connection);
    source.set_minutes(1);
    let of = (all.start, all.end - all.start);
    let groups = [SIXTEEN, ALPHA].map(|document| live.group(document.name, of, batch.ts));
    let names: Vec<String> = all.clone().map(data::symbol).collect();
    let mut readers: Vec<Reader> =
        groups.iter().map(|group| Reader::new(live, group, by_feed)).collect();
    let how = if by_feed { "told by the feed" } else { "in the latest table" };
    let what = format!("bars of {} symbols arrive", names.len());
    let (mut acknowledged, mut after) = (Vec::new(), vec![[Vec::new(), Vec::new()]; groups.len()]);
    for _ in 0..bars {
        let batch = Batch::next(&mut source);
        thread::sleep(PAUSE);
        let sent = Instant::now();
        batch.send(&mut connection);
        let answered = Instant::now();
        acknowledged.push(micros(sent, answered));
        for (reader, [after_sent, after_answered]) in readers.iter_mut().zip(&mut after) {
            let readable = reader.wait(&names, batch.ts);
            after_sent.push(micros(sent, readable));
            after_answered.push(micros(answered, readable));
        }
    }
    figure::many(&format!("{what}, {how}: acknowledged after they were sent"), "us", acknowledged);
    for (group, [after_sent, after_answered]) in groups.iter().zip(after) {
        let what = format!("{what}, {} features {how}", group.features.len());
        figure::many(&format!("{what}: after they were sent"), "us", after_sent);
        figure::many(&format!("{what}: after the acknowledgement"), "us", after_answered);
    }
}

/// From one instant to another, which may have come before it.
fn micros(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64()
        - from.saturating_duration_since(to).as_secs_f64())
        * 1e6
}

enum Reader {
    Table(Box<LatestTable>),
    News(Receiver<(i64, Instant)>),
}

impl Reader {
    fn new(live: &Live, group: &Group, by_feed: bool) -> Self {
        if !by_feed {
            let table = LatestTable::open_dir(&live.tables(), &group.name, None);
            return Self::Table(Box::new(table.expect("the server made it")));
        }
        let wanted = Wanted::of(&live::numbers(group));
        let news = live::feed(&live.unix()).subscribe(group, &wanted).expect("it is known");
        let (sender, told) = channel();
        thread::spawn(move || listen(news, &sender));
        Self::News(told)
    }

    /// When the last of the symbols had its row of the slot `ts`; not before now from a table.
    fn wait(&mut self, names: &[String], ts: i64) -> Instant {
        match self {
            Self::Table(table) => {
                for name in names {
                    while !table.latest(name).is_ok_and(|row| row.head().ts == ts) {
                        std::hint::spin_loop();
                    }
                }
                Instant::now()
            }
            Self::News(news) => {
                let mut last = None;
                for _ in names {
                    let (of, told) = news.recv_timeout(LOST).expect("every bar comes");
                    assert_eq!(of, ts, "a row of another slot");
                    last = Some(told);
                }
                last.expect("there are symbols")
            }
        }
    }
}

/// Notes when rows come, for as long as somebody wants to know.
fn listen(mut news: Subscription, sender: &Sender<(i64, Instant)>) {
    while let Ok(Some(event)) = news.next() {
        let Event::Update { row, .. } = event else { panic!("rows were left out: {event:?}") };
        if sender.send((row.head().ts, Instant::now())).is_err() {
            return;
        }
    }
}
