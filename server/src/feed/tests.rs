use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use barrow_protocol::frame::{
    Absence, Header, Hello, Indexes, Mode, Reply, Request, Subscribe, Symbols, TextList, Token,
    Which,
};
use barrow_protocol::{Row, RowFlags, RowHead, RowLayout};
use barrow_types::Reason;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::session::{Next, Session};
use crate::app::{self, Running};
use crate::config::Config;
use crate::live::ring::UpdateKind;
use crate::live::{LiveGroup, Publisher};

mod clients;
mod events;
mod hostile;
mod limits;
mod python;
mod updates;

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A server with live rows that a test writes.
struct Feed {
    running: Running,
    publisher: Publisher,
    group: Arc<LiveGroup>,
    dir: TempDir,
}

fn config() -> Config {
    let mut config = Config::default();
    config.server.http = "127.0.0.1:0".parse().unwrap();
    config.server.feed = "127.0.0.1:0".parse().unwrap();
    config.engine.wal_file_bytes = 1 << 20;
    config
}

impl Feed {
    async fn start() -> Self {
        Self::start_with(config()).await
    }

    /// A server with the group `g`, handle 7, of features `x` and `y` and symbols `A` to `D`.
    async fn start_with(mut config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        config.server.data_dir = dir.path().join("data");
        let running = app::start(config).await.unwrap();
        let features = ["x", "y"].map(str::to_owned).to_vec();
        let group = Arc::new(LiveGroup::new(7, "g", "v1", features));
        group.set_promoted(true);
        for symbol in ["A", "B", "C", "D"] {
            group.add_symbol(symbol);
        }
        let live = &running.app.live;
        live.set_groups([Arc::clone(&group)]);
        let publisher = Publisher::new(Arc::clone(live.ring()));
        Self { running, publisher, group, dir }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("data/feature.sock")
    }

    async fn tcp(&self) -> Client {
        let stream = TcpStream::connect(self.running.feed.unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client::new(stream)
    }

    async fn unix(&self) -> Client {
        Client::new(UnixStream::connect(self.socket()).await.unwrap())
    }

    /// A client that has said hello.
    async fn client(&self) -> Client {
        let mut client = self.unix().await;
        client.hello("").await;
        client
    }

    /// Publishes a row that holds its own sequence and symbol, as the server will.
    fn publish(&mut self, sequence: u64, symbol: u32, kind: UpdateKind) {
        let row = row(self.group.layout, sequence, symbol);
        self.group.store(symbol, Which::Newest, &row);
        self.publisher.update(sequence, (7, symbol), kind, &row);
        self.publisher.flush();
    }

    fn metric(&self, line: &str) -> bool {
        self.running.app.metrics.text().lines().any(|found| found == line)
    }
}

fn row(layout: RowLayout, sequence: u64, symbol: u32) -> Vec<u64> {
    let head = RowHead { sequence, ..RowHead::default() };
    let mut words = vec![0; layout.words()];
    let cells = [(Reason::Ok, f64::from(symbol)), (Reason::Missing, 0.0)];
    head.encode(layout, cells, &mut words);
    words
}

/// A client that says what a test wants.
struct Client {
    socket: Box<dyn Socket>,
    bytes: Vec<u8>,
}

/// Frames for tests to compare, in a line each.
fn shown(reply: &Reply<'_>) -> String {
    match reply {
        Reply::Update(update) => {
            let words: Vec<u64> = update.row.iter().collect();
            let row = Row::new(RowLayout::new(2), &words).unwrap();
            let Token { sequence, index } = update.token;
            assert_eq!(row.head().sequence, sequence);
            assert_eq!(row.value(0), Some(f64::from(update.symbol)));
            format!("{sequence}.{index} {}", update.symbol)
        }
        Reply::Error { code, text } => {
            assert!(!text.is_empty());
            format!("error {}", code.unwrap().name())
        }
        Reply::Resync { group: 7, reason, token: Token { sequence, index } } => {
            format!("resync {} {sequence}.{index}", reason.unwrap().name())
        }
        Reply::Progress { group: 7, token: Token { sequence, index } } => {
            format!("progress {sequence}.{index}")
        }
        Reply::Subscribed { group: 7, token: Token { sequence, index } } => {
            format!("subscribed {sequence}.{index}")
        }
        Reply::Unsubscribed { group: 7 } => "unsubscribed".to_owned(),
        Reply::Going => "going".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Client {
    fn new(socket: impl Socket + 'static) -> Self {
        Self { socket: Box::new(socket), bytes: Vec::new() }
    }

    async fn send(&mut self, id: u32, request: Request<'_>) {
        let mut frame = Vec::new();
        request.encode(id, &mut frame).unwrap();
        self.socket.write_all(&frame).await.unwrap();
    }

    /// The next frame; `None` at the end.
    async fn frame(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut header = [0; 12];
        self.socket.read_exact(&mut header).await.ok()?;
        let header = Header::read(&header).unwrap().unwrap();
        let mut body = vec![0; header.body_len()];
        self.socket.read_exact(&mut body).await.ok()?;
        Some((header, body))
    }

    /// The next frame, of which request, in a line; `end` at the end.
    async fn next(&mut self) -> String {
        match self.frame().await {
            Some((header, body)) => shown(&Reply::decode(header, &body).unwrap()),
            None => "end".to_owned(),
        }
    }

    /// Sends a request and gives its answer.
    async fn ask(&mut self, request: Request<'_>) -> Reply<'_> {
        self.send(42, request).await;
        let (header, body) = self.frame().await.unwrap();
        assert_eq!(header.request, 42);
        self.bytes = body;
        Reply::decode(header, &self.bytes).unwrap()
    }

    async fn hello(&mut self, key: &str) -> String {
        let hello = Request::Hello(Hello { version: 1, key, name: "test" });
        shown(&self.ask(hello).await)
    }

    /// The rows of symbols: a number, or why there is none.
    async fn latest(&mut self, which: Which, symbols: &[u32]) -> Vec<String> {
        let symbols = Symbols::These(Indexes::of(symbols));
        let reply = self.ask(Request::Latest { group: 7, which, symbols }).await;
        let Reply::Rows(rows) = reply else { panic!("{reply:?}") };
        assert_eq!(rows.group(), 7);
        values(&rows)
    }

    async fn subscribe(&mut self, wanted: Subscribe<'_>) -> String {
        shown(&self.ask(Request::Subscribe(wanted)).await)
    }
}

fn values(rows: &barrow_protocol::frame::Rows<'_>) -> Vec<String> {
    let value = |row: Result<barrow_protocol::frame::Words<'_>, Absence>| match row {
        Ok(words) => {
            let words: Vec<u64> = words.iter().collect();
            let row = Row::new(RowLayout::new(2), &words).unwrap();
            assert_eq!(row.reason(1), Some(Reason::Missing));
            format!("{}", row.value(0).unwrap())
        }
        Err(absence) => absence.name().to_owned(),
    };
    rows.iter().map(value).collect()
}

const ALL: Subscribe<'static> =
    Subscribe { group: 7, symbols: Symbols::All, resume: None, corrections: false, forming: false };

#[tokio::test]
async fn over_both_sockets_names_are_resolved_and_rows_are_read() {
    let feed = Feed::start().await;
    let layout = feed.group.layout;
    feed.group.store(0, Which::Newest, &row(layout, 1, 10));
    feed.group.store(0, Which::Previous, &row(layout, 1, 11));
    feed.group.store(2, Which::Forming, &row(layout, 1, 12));
    for mut client in [feed.tcp().await, feed.unix().await] {
        let hello = Request::Hello(Hello { version: 9, key: "", name: "test" });
        let reply = client.ask(hello).await;
        let Reply::Welcome(welcome) = reply else { panic!("{reply:?}") };
        assert_eq!((welcome.version, welcome.epoch), (1, feed.running.app.live.identity().epoch));
        assert_eq!(welcome.newest, feed.running.app.live.ring().newest().0);
        for (name, wanted) in [("g", &["C", "E", "A"][..]), ("g@v1", &[])] {
            let (groups, symbols) =
                (TextList::of([name]).unwrap(), TextList::of(wanted.iter()).unwrap());
            let (groups, symbols) = (groups.texts(), Some(symbols.texts()));
            let reply = client.ask(Request::Resolve { groups, symbols }).await;
            let Reply::Resolved(resolved) = reply else { panic!("{reply:?}") };
            let [group] = resolved.groups().collect::<Vec<_>>()[..] else { panic!("{resolved:?}") };
            assert_eq!((group.handle, group.name, group.version), (7, "g", "v1"));
            assert!(group.is_promoted);
            assert!(group.features.iter().eq(["x", "y"]));
            let numbers: Vec<_> = group.symbols().map(|symbol| symbol.index).collect();
            assert_eq!(numbers, [Some(2), None, Some(0)][..wanted.len()]);
        }
        // Of all groups all symbols.
        let groups = TextList::default();
        let all = Request::Resolve { groups: groups.texts(), symbols: None };
        let reply = client.ask(all).await;
        let Reply::Resolved(resolved) = reply else { panic!("{reply:?}") };
        let symbols = resolved.groups().flat_map(|group| group.symbols());
        let symbols: Vec<_> = symbols.map(|symbol| (symbol.index, symbol.name)).collect();
        assert_eq!(symbols, [(Some(0), "A"), (Some(1), "B"), (Some(2), "C"), (Some(3), "D")]);

        let newest = client.latest(Which::Newest, &[0, 1, 9, 0]).await;
        assert_eq!(newest, ["10", "no such row", "no such symbol", "10"]);
        assert_eq!(client.latest(Which::Previous, &[0]).await, ["11"]);
        assert_eq!(client.latest(Which::Forming, &[0, 2]).await, ["no such row", "12"]);
        assert_eq!(client.latest(Which::Forming, &[]).await, [""; 0]);
        let all = Request::Latest { group: 7, which: Which::Newest, symbols: Symbols::All };
        let Reply::Rows(rows) = client.ask(all).await else { panic!("rows") };
        assert_eq!(values(&rows), ["10", "no such row", "no such row", "no such row"]);
        assert_eq!(client.ask(Request::Ping(b"same")).await, Reply::Pong(b"same"));
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn requests_that_are_sent_together_are_answered_in_order() {
    let feed = Feed::start().await;
    let mut client = feed.client().await;
    let mut frames = Vec::new();
    for id in 0..1_000 {
        let request = match id % 3 {
            0 => Request::Ping(b"p"),
            1 => Request::Latest { group: 7, which: Which::Newest, symbols: Symbols::All },
            _ => Request::At { group: 7, symbol: 0, ts: 0, mode: Mode::Exact },
        };
        request.encode(id, &mut frames).unwrap();
    }
    client.socket.write_all(&frames).await.unwrap();
    for id in 0..1_000 {
        let (header, body) = client.frame().await.unwrap();
        assert_eq!(header.request, id);
        let reply = Reply::decode(header, &body).unwrap();
        let is_right = match id % 3 {
            0 => reply == Reply::Pong(b"p"),
            1 => matches!(reply, Reply::Rows(_)),
            // There is no stored group of that name.
            _ => shown(&reply) == "error not_found",
        };
        assert!(is_right, "{id}: {reply:?}");
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn latest_rows_and_updates_are_answered_without_an_allocation() {
    let mut feed = Feed::start().await;
    feed.publish(101, 0, UpdateKind::Closed);
    let app = Arc::clone(&feed.running.app);
    let mut session = Session::new(&app);
    let mut out = Vec::new();
    let mut frames = Vec::new();
    let hello = Request::Hello(Hello { version: 1, key: "", name: "" });
    let these = Symbols::These(Indexes::of(&[0, 1, 9, 0]));
    let of = |symbols| Request::Latest { group: 7, which: Which::Newest, symbols };
    for request in [hello, Request::Subscribe(ALL), of(these), of(Symbols::All)] {
        let mut frame = Vec::new();
        request.encode(1, &mut frame).unwrap();
        frames.push(frame);
    }
    let mut take = |frame: &[u8], out: &mut Vec<u8>| {
        let header = Header::read(frame).unwrap().unwrap();
        assert!(matches!(session.take(header, &frame[12..], out), Next::Go));
        session.pump(out, usize::MAX)
    };
    for frame in &frames {
        take(frame, &mut out);
    }
    for sequence in 102..110 {
        feed.publish(sequence, 1, UpdateKind::Closed);
    }
    out.clear();
    // Room for all that is answered.
    out.reserve(64 << 10);
    let mut told = 0;
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            out.clear();
            told += take(&frames[2], &mut out) + take(&frames[3], &mut out);
        }
    });
    assert_eq!((told, counted.count_total), (8, 0));
    drop(session);
    drop(app);
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_answered_says_why_and_the_connection_goes_on() {
    let feed = Feed::start().await;
    let mut client = feed.client().await;
    let (none, some) = (TextList::default(), TextList::of(["g@v2"]).unwrap());
    let latest = |group| Request::Latest { group, which: Which::Newest, symbols: Symbols::All };
    let of = |symbols| Request::Subscribe(Subscribe { symbols, ..ALL });
    let nine = Symbols::These(Indexes::of(&[0, 9]));
    let at = |symbol| Request::At { group: 7, symbol, ts: 0, mode: Mode::Latest };
    for (request, code) in [
        (Request::Resolve { groups: some.texts(), symbols: Some(none.texts()) }, "not_found"),
        (latest(8), "unknown_handle"),
        (at(4), "unknown_symbol"),
        (at(0), "not_found"),
        (of(nine), "unknown_symbol"),
        (Request::Subscribe(Subscribe { group: 8, ..ALL }), "unknown_handle"),
        (Request::Unsubscribe { group: 7 }, "subscription"),
    ] {
        let said = shown(&client.ask(request).await);
        assert_eq!(said, format!("error {code}"), "{request:?}");
        assert!(feed.running.app.metrics.text().contains(&format!("{{code=\"{code}\"}}")));
    }
    assert!(client.subscribe(ALL).await.starts_with("subscribed"));
    assert_eq!(client.subscribe(ALL).await, "error subscription");
    assert_eq!(client.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn only_who_has_a_key_gets_in_where_keys_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    // FIPS 180-2, appendix B.1: SHA-256 of "abc".
    let line = "read desk ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    std::fs::write(&keys, line).unwrap();
    let mut config = config();
    config.auth.keys_file = keys;
    let feed = Feed::start_with(config).await;
    for key in ["", "abd", "ABC"] {
        for mut client in [feed.tcp().await, feed.unix().await] {
            assert_eq!(client.hello(key).await, "error unauthorized", "{key:?}");
            assert_eq!(client.next().await, "end");
        }
    }
    for mut client in [feed.tcp().await, feed.unix().await] {
        assert!(client.hello("abc").await.starts_with("Welcome"));
    }
    feed.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_takes_its_socket_away() {
    let feed = Feed::start().await;
    let (mut idle, mut told) = (feed.client().await, feed.client().await);
    let mut unknown = feed.tcp().await;
    assert!(told.subscribe(ALL).await.starts_with("subscribed"));
    let socket = feed.socket();
    assert!(socket.exists());
    feed.running.stop().await.unwrap();
    for client in [&mut idle, &mut told, &mut unknown] {
        assert_eq!(client.next().await, "going");
        assert_eq!(client.next().await, "end");
    }
    assert!(!socket.exists());
}

#[tokio::test]
async fn the_unix_socket_is_its_owners_and_replaces_only_what_is_stale() {
    let feed = Feed::start().await;
    let mode = std::fs::metadata(feed.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let start = async |socket: PathBuf| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config();
        config.server.data_dir = dir.path().join("data");
        config.feed.socket = socket;
        let started = app::start(config).await.map_err(|error| error.to_string());
        (started, dir)
    };
    let said = |(started, _): (Result<Running, String>, TempDir)| started.err().unwrap();
    let other = said(start(feed.socket()).await);
    assert!(other.contains("another process listens there"), "{other}");
    assert_eq!(feed.client().await.ask(Request::Ping(b"")).await, Reply::Pong(b""));
    feed.running.stop().await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    std::fs::write(&path, "letters").unwrap();
    assert!(said(start(path.clone()).await).contains("no socket"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "letters");
    let long = dir.path().join("long".repeat(30));
    assert!(said(start(long).await).contains("107 bytes"));

    // What a killed server leaves.
    let stale = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let (started, _dir) = start(stale.clone()).await;
    let running = started.unwrap();
    assert!(UnixStream::connect(&stale).await.is_ok());
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_row_of_an_instant_is_that_of_the_http_route() {
    let feed = Feed::start().await;
    let http = format!("http://{}", feed.running.http);
    let client = reqwest::Client::new();
    let csv = "symbol,ts,open,high,low,close,volume\n\
        A,2013-10-07T13:30:00Z,1,2,1,2,10\n\
        A,2013-10-07T13:31:00Z,2,3,2,3,10\n\
        A,2013-10-07T13:32:00Z,3,5,3,5,10\n";
    let sent = client
        .post(format!("{http}/v1/datasets/bars/rows?timeframe=1m&import=true"))
        .header("content-type", "text/csv")
        .body(csv);
    assert_eq!(sent.send().await.unwrap().status(), 200);
    let group = serde_json::json!({
        "kind": "FeatureSet", "name": "h", "bars": {"every": "1m"},
        "features": [
            {"name": "c", "expr": "$close"}, {"name": "d", "expr": "Delta($close, 1)"},
        ],
    });
    let put = client.put(format!("{http}/v1/feature-groups/h")).json(&group).send().await.unwrap();
    assert_eq!(put.status(), 200, "{}", put.text().await.unwrap());
    // It is live a moment later.
    let (group, symbol) = loop {
        let group = feed.running.app.live.group("h", None);
        if let Some((group, symbol)) =
            group.and_then(|group| Some((group.handle, group.symbol("A")?)))
        {
            break (group, symbol);
        }
        tokio::task::yield_now().await;
    };

    let mut asking = feed.client().await;
    for (mode, word) in [(Mode::Exact, "exact"), (Mode::Latest, "latest")] {
        for minute in [29, 30, 31, 32, 33] {
            let ts = (1_381_152_600 + (minute - 30) * 60) * 1_000_000_000_i64;
            let url = format!("{http}/v1/features/at?groups=h&symbols=A&reasons=true");
            let answer = client.get(format!("{url}&mode={word}&ts={ts}")).send().await.unwrap();
            let answer: serde_json::Value = answer.json().await.unwrap();
            let reply = asking.ask(Request::At { group, symbol, ts, mode }).await;
            let Reply::Rows(rows) = reply else { panic!("{reply:?}") };
            let [found] = rows.iter().collect::<Vec<_>>()[..] else { panic!("{rows:?}") };
            let Some(expected) = answer["rows"].get(0) else {
                assert_eq!(found.map(|_| ()), Err(Absence::Row), "{word} {minute}");
                continue;
            };
            let words: Vec<u64> = found.unwrap().iter().collect();
            let row = Row::new(RowLayout::new(2), &words).unwrap();
            let head = row.head();
            let instant = |name: &str| {
                let text = expected[name].as_str().unwrap();
                let at: jiff::Timestamp = text.parse().unwrap();
                i64::try_from(at.as_nanosecond()).unwrap()
            };
            assert_eq!(head.ts, instant("ts"));
            assert_eq!(head.ts_end, instant("ts_end"));
            assert_eq!(head.available_at, instant("available_at"));
            assert_eq!(head.known_at, instant("known_at"));
            assert_eq!(Some(head.sequence), expected["sequence"].as_u64());
            let is_provisional = head.flags.has(RowFlags::PROVISIONAL);
            assert_eq!(Some(is_provisional), expected["provisional"].as_bool());
            for (place, name) in ["c", "d"].into_iter().enumerate() {
                assert_eq!(row.value(place), expected[name].as_f64(), "{word} {minute} {name}");
                let reason = row.reason(place).unwrap();
                let word = expected[format!("{name}__reason")].as_str();
                assert_eq!(word.unwrap_or("ok"), reason.name());
            }
        }
    }
    feed.running.stop().await.unwrap();
}
