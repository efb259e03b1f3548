//! A server with features that are live, rows for them, and questions for its feed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use barrow_client::feed::blocking::Feed;
use barrow_client::feed::{FeedError, FeedOptions, Group, RowSet, Which};
use barrow_engine::Options;
use barrow_protocol::frame::{Header, Hello, Indexes, Kind, Request, Symbols, VERSION};

use crate::data::symbol;
use crate::facts;
use crate::http::Connection;
use crate::load::{self, Store};
use crate::server::{self, Server};
use crate::source::Source;
use crate::talk::{Place, Talk, exchange};

/// A group of 16 usual features.
pub const SIXTEEN: Document = Document {
    name: "sixteen",
    rest: r#"
options: {gap: rows}
params: {K: [1, 5, 20], W: [5, 20, 60], V: [20, 60], S: [12, 26]}
features:
  - {name: "ret{k}", for: {k: K}, expr: "Ret($close, {k})"}
  - {name: "mean{w}", for: {w: W}, expr: "Mean($close, {w})/$close"}
  - {name: "std{w}", for: {w: W}, expr: "Std($close, {w})/$close"}
  - {name: "zscore{v}", for: {v: V}, expr: "ZScore($close, {v})"}
  - {name: "ema{s}", for: {s: S}, expr: "EMA($close, {s})"}
  - {name: rsi14, expr: "RSI($close, 14)"}
  - {name: high20, expr: "Max($high, 20)/$close"}
  - {name: low20, expr: "Min($low, 20)/$close"}
"#,
};

/// All of Alpha158.
pub const ALPHA: Document =
    Document { name: "alpha", rest: "options: {compat: qlib}\npresets: [qlib.alpha158]\n" };

/// How often it is looked whether something has become live.
const LOOK: Duration = Duration::from_millis(2);

/// A group's document.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// The group's name.
    pub name: &'static str,
    rest: &'static str,
}

/// Follow a calendar that has the sessions of their rows; without one the night between two
/// sessions is more empty slots than subscribers are told of.
const SYMBOLS: u32 = 500;
const CALENDAR: &str = "BENCH";
const SESSIONS: u32 = 500;

/// A server on a store without rows.
pub struct Live {
    /// The server.
    pub server: Server,
    data: PathBuf,
}

impl Live {
    /// Starts it with settings, its data in `data`, and puts groups.
    ///
    /// # Panics
    /// It does not start, or does not take a group.
    pub fn start(data: &Path, groups: &[Document], settings: &[(&str, &str)]) -> Self {
        if data.exists() {
            fs::remove_dir_all(data).expect("the folder is ours");
        }
        let mut store = Store::open(data, Options::default());
        facts::calendar(&mut store, CALENDAR, SESSIONS, 0);
        facts::follow(&mut store, CALENDAR, SYMBOLS);
        drop(store);
        let server = Server::start_with(data, settings);
        for Document { name, rest } in groups {
            let file = data.with_extension(format!("{name}.yaml"));
            let text = format!("kind: FeatureSet\nname: {name}\nbars: {{every: 1m}}\n{rest}");
            fs::write(&file, text).expect("the disk has room");
            let mut put = Command::new(server::program());
            put.args(["features", "put"]).arg(file).arg("--server");
            put.arg(format!("http://{}", server.address)).stdout(Stdio::null());
            assert!(put.status().expect("the program runs").success(), "{name} is not taken");
        }
        Self { server, data: data.to_owned() }
    }

    /// The folder of the latest tables.
    pub fn tables(&self) -> PathBuf {
        self.data.join("latest")
    }

    /// Where the feed listens: on a Unix socket and on a port.
    pub fn places(&self) -> [Place; 2] {
        [self.unix(), self.tcp()]
    }

    /// Where the feed listens on a Unix socket.
    pub fn unix(&self) -> Place {
        Place::Unix(self.data.join("feature.sock"))
    }

    /// Where the feed listens on a port.
    pub fn tcp(&self) -> Place {
        Place::Tcp(self.server.said("feed="))
    }

    /// Sends the next rows of `source`.
    ///
    /// # Panics
    /// They are not taken.
    pub fn send(&self, source: &mut Source) {
        Batch::next(source).send(&mut Connection::open(&self.server.address));
    }

    /// The group with the first `count` symbols from `first` on, once the row of each is that of
    /// the slot `ts`.
    ///
    /// # Panics
    /// The server says anything but that it does not know the group yet.
    pub fn group(&self, name: &str, (first, count): (u32, u32), ts: i64) -> Group {
        let mut feed = feed(&self.unix());
        let names: Vec<String> = (first..first + count).map(symbol).collect();
        let mut rows = RowSet::default();
        loop {
            match feed.resolve(&[name], &names) {
                Ok(mut groups) => {
                    let group = groups.remove(0);
                    let numbers = numbers(&group);
                    feed.latest(&group, Which::Newest, &numbers, &mut rows).expect("it answers");
                    let is_there = rows.iter().flatten().filter(|row| row.head().ts == ts).count();
                    if is_there == names.len() {
                        return group;
                    }
                }
                Err(FeedError::Refused { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            thread::sleep(LOOK);
        }
    }
}

/// The numbers of a group's symbols that have one.
pub fn numbers(group: &Group) -> Vec<u32> {
    group.symbols.iter().filter_map(|symbol| symbol.index).collect()
}

/// A client of the feed.
///
/// # Panics
/// Nobody listens.
pub fn feed(place: &Place) -> Feed {
    let options = FeedOptions::default();
    let connected = match place {
        Place::Tcp(address) => Feed::tcp(address, &options),
        Place::Unix(path) => Feed::unix(path, &options),
    };
    connected.expect("the server lets everybody in")
}

/// The question for the newest rows of some symbols as bytes.
///
/// # Panics
/// There are too many.
pub fn latest(group: &Group, symbols: &[u32]) -> Vec<u8> {
    let symbols = Symbols::These(Indexes::of(symbols));
    frame(Request::Latest { group: group.handle, which: Which::Newest, symbols })
}

/// A request as bytes.
///
/// # Panics
/// It is too long.
pub fn frame(request: Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(1, &mut bytes).expect("the request is short");
    bytes
}

/// A hello as bytes.
pub fn hello() -> Vec<u8> {
    frame(Request::Hello(Hello { version: VERSION, key: "", name: "bench" }))
}

/// Says hello and asks for the newest rows of some symbols.
///
/// # Panics
/// The answer is an error.
pub fn talk(place: &Place, group: &Group, symbols: &[u32]) -> Talk {
    let mut stream = place.connect();
    exchange(&mut stream, &hello(), frame_len);
    let talk = Talk::begin(stream, latest(group, symbols), frame_len);
    let header = Header::read(talk.first()).expect("a frame").expect("a whole one");
    assert_eq!(header.kind, Kind::Rows);
    talk
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    Header::read(bytes).expect("a frame").map(Header::frame_len)
}

/// Rows on their way.
pub struct Batch {
    route: String,
    body: Vec<u8>,
    rows: usize,
    /// When the last slot starts.
    pub ts: i64,
}

impl Batch {
    /// The next rows of `source`.
    ///
    /// # Panics
    /// There are none.
    pub fn next(source: &mut Source) -> Self {
        let (id, bars) = source.bars();
        let body = load::stream(&load::bars_table(&bars, &source.symbols()));
        let ts = *bars.ts.iter().max().expect("a batch has rows");
        Self { route: load::route(&id), body, rows: bars.len(), ts }
    }

    /// Sends them and waits until they are durable.
    ///
    /// # Panics
    /// Not all are taken.
    pub fn send(&self, connection: &mut Connection) {
        let answer = connection.post(&self.route, &self.body);
        let accepted = format!("\"accepted\":{},", self.rows);
        assert!(answer.contains(&accepted), "not all taken: {answer}");
    }
}
