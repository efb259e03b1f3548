//! The real server, killed at any moment: what it acknowledged is there, and nothing is half there.
//!
//! Each round starts `barrow serve` on the same folder, lets several clients send batches of bars,
//! trades and quotes while segments are flushed and compacted, notes what was acknowledged, kills
//! the process with SIGKILL and opens the folder again. Then
//! - every acknowledged batch has all its rows, with its values;
//! - a batch without an answer has all its rows or none, and sending it again makes it whole.
//!
//! `BARROW_SIGKILL_ROUNDS` says how many rounds (10 unless set), `BARROW_SIGKILL_SEED` where the
//! random numbers begin. SIGKILL leaves the kernel's cache alive, so this tests the process; loss
//! of power is the simulator's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use barrow_tests::random::Random;
use reqwest::StatusCode;
use reqwest::blocking::Client;

const ROUNDS_DEFAULT: u64 = 10;
const CLIENTS: usize = 4;

/// How many batches a round may acknowledge before the kill, at most.
const ACKNOWLEDGED_MAX: u64 = 120;

/// Most rows of a small and of a large batch.
const SMALL_ROWS_MAX: u64 = 5;
const LARGE_ROWS_MAX: u64 = 3_000;

/// Small files, so that rounds begin new ones, flush and compact, and kills fall into that too.
const CONFIG: &str = "[engine]
wal_file_bytes = 1048576
memtable_bytes_max = 262144
compact_fan_out = 2
own_file_bytes = 32768
pack_bytes_max = 65536
";

/// Of a hundred batches, how many are followed by the wish to compact everything.
const COMPACT_PERCENT: u64 = 4;

/// 2000-01-01T00:00:00Z in seconds; every batch has its own minutes after it.
const FIRST_SECOND: u64 = 946_684_800;

/// What a client sends: the dataset, the columns of its CSV, and the one that holds the number of
/// the batch.
struct Form {
    dataset: &'static str,
    columns: &'static str,
    values: &'static str,
    number: &'static str,
}

const BARS: Form = Form {
    dataset: "bars",
    columns: "open,high,low,close,volume",
    values: "1,2,0.5,1.5",
    number: "volume",
};
const TRADES: Form =
    Form { dataset: "trades", columns: "price,size", values: "1.25", number: "size" };
const QUOTES: Form =
    Form { dataset: "quotes", columns: "bid,ask,bid_size", values: "1.25,1.5", number: "bid_size" };

/// What each client sends.
const FORMS: [Form; CLIENTS] = [BARS, BARS, TRADES, QUOTES];

/// One batch: consecutive minutes of one client's symbol, each with the batch's number.
#[derive(Clone, Debug)]
struct Batch {
    client: usize,
    number: u64,
    first_minute: u64,
    rows: u64,
}

impl Batch {
    fn form(&self) -> &'static Form {
        &FORMS[self.client]
    }

    fn symbol(&self) -> String {
        format!("CLIENT{}", self.client)
    }

    fn id(&self) -> String {
        format!("client{}-batch{}", self.client, self.number)
    }

    fn body(&self) -> String {
        let form = self.form();
        let mut body = format!("symbol,ts,{}\n", form.columns);
        for minute in self.first_minute..self.first_minute + self.rows {
            let (symbol, ts) = (self.symbol(), nanos(minute));
            let (values, number) = (form.values, self.number);
            writeln!(body, "{symbol},{ts},{values},{number}").expect("into a String");
        }
        body
    }
}

/// What one client did in a round.
#[derive(Debug, Default)]
struct Sent {
    acknowledged: Vec<Batch>,
    /// The batch that was on its way when the server died.
    unanswered: Option<Batch>,
}

fn nanos(minute: u64) -> u64 {
    (FIRST_SECOND + minute * 60) * 1_000_000_000
}

/// A running `barrow serve`. Killed when dropped, so a failing test leaves nothing behind.
struct Server {
    child: Child,
    /// Held open, so that the server may say more.
    _output: BufReader<ChildStdout>,
    url: String,
    log: PathBuf,
}

impl Server {
    /// Starts it and waits until it says that it is ready.
    fn start(binary: &Path, dir: &Path) -> Self {
        let log = dir.join("server.log");
        let mut child = spawn(binary, dir, &log);
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        loop {
            line.clear();
            let len = lines.read_line(&mut line).expect("read what the server says");
            assert!(len > 0, "`barrow serve` ended before it was ready:\n{}", tail(&log));
            if line.starts_with("ready ") {
                break;
            }
        }
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http="));
        let address = address.unwrap_or_else(|| panic!("no http= in {line:?}"));
        let url = format!("http://{}", address.trim_start_matches("http://"));
        Self { child, _output: lines, url, log }
    }

    fn kill(&mut self) {
        // On Unix this is SIGKILL.
        self.child.kill().expect("kill the server");
        self.child.wait().expect("wait for the killed server");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the server's log ends:\n{}", tail(&self.log));
        }
    }
}

fn spawn(binary: &Path, dir: &Path, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("open the server's log");
    Command::new(binary)
        .args([
            "serve",
            "--config",
            "config.toml",
            "--http",
            "127.0.0.1:0",
            "--feed",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(dir.join("data"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("start {}: {error}", binary.display()))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Builds the server as this test was built (cargo does nothing if it is there) and finds it.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile_dir = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/test");
    let target_dir = profile_dir.parent().expect("target/PROFILE");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "barrow-server", "--bin", "barrow"]);
    build.arg("--target-dir").arg(target_dir).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile_dir.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("run cargo");
    assert!(status.success(), "`cargo build -p barrow-server` failed: {status}");
    profile_dir.join("barrow")
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_string());
    text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: give a whole number"))
}

/// Sends one batch; `None` if the connection broke.
fn send(http: &Client, url: &str, batch: &Batch) -> Option<StatusCode> {
    let dataset = batch.form().dataset;
    let mut query = vec![("source", "sigkill".to_owned()), ("batch_id", batch.id())];
    query.extend((dataset == "bars").then(|| ("timeframe", "1m".to_owned())));
    let request = http
        .post(format!("{url}/v1/datasets/{dataset}/rows"))
        .query(&query)
        .header("content-type", "text/csv")
        .body(batch.body());
    let reply = request.send().ok()?;
    let status = reply.status();
    let text = reply.text().ok()?;
    if status == StatusCode::OK {
        let reply: serde_json::Value = serde_json::from_str(&text).expect("an answer in JSON");
        let stored = reply["accepted"].as_u64().expect("`accepted` is a number");
        assert_eq!(stored, batch.rows, "accepted of {batch:?}: {reply}");
    } else {
        // Full: the small memtable is at its bound while a flush is under way.
        let busy = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::INSUFFICIENT_STORAGE,
        ];
        assert!(busy.contains(&status), "{batch:?} was answered {status}: {text}");
    }
    Some(status)
}

/// One client: sends batches until the server is gone.
fn client(url: &str, first: &Batch, mut random: Random, acknowledged: &mpsc::Sender<()>) -> Sent {
    let http = Client::new();
    let mut sent = Sent::default();
    let mut batch = first.clone();
    loop {
        let rows_max = if random.chance(85) { SMALL_ROWS_MAX } else { LARGE_ROWS_MAX };
        batch.rows = 1 + random.below(rows_max);
        loop {
            match send(&http, url, &batch) {
                Some(StatusCode::OK) => break,
                Some(_) => {}
                None => {
                    sent.unanswered = Some(batch);
                    return sent;
                }
            }
        }
        sent.acknowledged.push(batch.clone());
        // The main thread stops listening once it has heard enough.
        let _ = acknowledged.send(());
        if random.chance(COMPACT_PERCENT) {
            // Whether it is heard does not matter: the server may be gone.
            let jobs = http.post(format!("{url}/v1/jobs")).body("{\"kind\":\"compact\"}");
            let _ = jobs.send();
        }
        batch.number += 1;
        batch.first_minute += batch.rows;
    }
}

/// Rows of one client's symbol from `first` minute on: batch number by minute.
fn stored(http: &Client, url: &str, client: usize, first: u64, end: u64) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    let mut cursor: Option<String> = None;
    let form = &FORMS[client];
    loop {
        let mut query = vec![
            ("symbols", format!("CLIENT{client}")),
            ("start", nanos(first).to_string()),
            ("end", nanos(end).to_string()),
            ("revisions", "all".to_owned()),
            ("format", "json".to_owned()),
        ];
        if form.dataset == "bars" {
            query.extend([("frequency", "1m".to_owned()), ("layer", "raw".to_owned())]);
        }
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let reply = http.get(format!("{url}/v1/{}", form.dataset)).query(&query).send();
        let reply = reply.expect("ask for rows");
        let status = reply.status();
        let text = reply.text().expect("a whole answer");
        if status == StatusCode::NOT_FOUND {
            return found;
        }
        assert_eq!(status, StatusCode::OK, "GET /v1/{}: {text}", form.dataset);
        let reply: serde_json::Value = serde_json::from_str(&text).expect("an answer in JSON");
        for row in reply["rows"].as_array().expect("`rows` is a list") {
            let (minute, number) = minute_and_number(row, form.number);
            let before = found.insert(minute, number);
            assert!(before.is_none(), "minute {minute} of client {client} is stored twice");
        }
        match reply["cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return found,
        }
    }
}

fn minute_and_number(row: &serde_json::Value, column: &str) -> (u64, u64) {
    let ts = row["ts"].as_str().unwrap_or_else(|| panic!("no `ts` in {row}"));
    let second = seconds(ts).unwrap_or_else(|| panic!("`ts` {ts:?} is not RFC 3339 in UTC"));
    let value = row[column].as_f64().unwrap_or_else(|| panic!("no `{column}` in {row}"));
    let number = format!("{value}").parse();
    let number = number.unwrap_or_else(|_| panic!("{column} {value} is no batch's number"));
    ((second - FIRST_SECOND) / 60, number)
}

/// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS…Z`, after 1970.
fn seconds(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let days = barrow_types::days_from_civil(part(0..4)?, part(5..7)?, part(8..10)?);
    let time = part(11..13)? * 3_600 + part(14..16)? * 60 + part(17..19)?;
    u64::try_from(days * 86_400 + time).ok()
}

/// How many rows of `batch` are there, each with its number.
fn rows_of(batch: &Batch, found: &BTreeMap<u64, u64>) -> u64 {
    let minutes = batch.first_minute..batch.first_minute + batch.rows;
    let mut rows = 0;
    for (minute, number) in found.range(minutes) {
        assert_eq!(*number, batch.number, "minute {minute} of {batch:?}");
        rows += 1;
    }
    rows
}

/// Everything that one client ever got acknowledged, and where it goes on.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Vec<Batch>,
    next_number: u64,
    next_minute: u64,
}

/// Checks a client's batches after a restart and makes the unanswered one whole.
fn check(http: &Client, url: &str, client: usize, ledger: &mut Ledger, sent: Sent) {
    let first_minute = ledger.next_minute;
    let all = sent.acknowledged.iter().chain(&sent.unanswered);
    let end = all.map(|batch| batch.first_minute + batch.rows).max().unwrap_or(first_minute);
    let found = stored(http, url, client, first_minute, end + 1);
    for batch in &sent.acknowledged {
        assert_eq!(rows_of(batch, &found), batch.rows, "rows of acknowledged {batch:?}");
    }
    ledger.next_number += sent.acknowledged.len() as u64;
    ledger.acknowledged.extend(sent.acknowledged);
    if let Some(batch) = sent.unanswered {
        let rows = rows_of(&batch, &found);
        assert!(rows == 0 || rows == batch.rows, "{rows} rows of unanswered {batch:?}");
        while send(http, url, &batch).expect("the server stays") != StatusCode::OK {}
        let whole = stored(http, url, client, batch.first_minute, end + 1);
        assert_eq!(rows_of(&batch, &whole), batch.rows, "rows of {batch:?}, sent again");
        ledger.next_number += 1;
        ledger.acknowledged.push(batch);
    }
    ledger.next_minute = end;
}

/// Compactions installed since the server started, after one that is asked for now.
fn compaction_runs(http: &Client, url: &str) -> u64 {
    let jobs = http.post(format!("{url}/v1/jobs")).body("{\"kind\":\"compact\"}").send();
    let job: serde_json::Value = jobs.and_then(|reply| reply.json()).expect("start a job");
    let id = job["job_id"].as_str().expect("a job has an id");
    loop {
        let job = http.get(format!("{url}/v1/jobs/{id}")).send();
        let job: serde_json::Value = job.and_then(|reply| reply.json()).expect("look at the job");
        match job["state"].as_str() {
            Some("PENDING" | "RUNNING") => std::thread::yield_now(),
            Some("SUCCEEDED") => break,
            _ => panic!("the compaction failed: {job}"),
        }
    }
    let metrics = http.get(format!("{url}/metrics")).send().and_then(|reply| reply.text());
    let metrics = metrics.expect("ask for metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("barrow_compaction_runs_total "));
    line.and_then(|count| count.parse().ok()).expect("compactions are counted")
}

/// Waits a random while that no clock measures, so that the kill falls between any two steps.
fn linger(random: &mut Random, turns_max: u64) {
    for _ in 0..random.below(turns_max) {
        std::hint::spin_loop();
    }
}

/// Clients send, the server dies; what each client sent.
fn round(binary: &Path, dir: &Path, ledgers: &[Ledger], random: &mut Random) -> Vec<Sent> {
    let mut server = Server::start(binary, dir);
    let enough = 1 + random.below(ACKNOWLEDGED_MAX);
    let (heard, acknowledged) = mpsc::channel();
    let url = server.url.clone();
    std::thread::scope(|scope| {
        let clients: Vec<_> = ledgers
            .iter()
            .enumerate()
            .map(|(at, ledger)| {
                let (number, first_minute) = (ledger.next_number, ledger.next_minute);
                let first = Batch { client: at, number, first_minute, rows: 0 };
                let (url, heard) = (&url, heard.clone());
                let numbers = Random::new(random.number());
                scope.spawn(move || client(url, &first, numbers, &heard))
            })
            .collect();
        drop(heard);
        for _ in 0..enough {
            if acknowledged.recv().is_err() {
                break;
            }
        }
        linger(random, 3_000_000);
        server.kill();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    })
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let rounds = setting("BARROW_SIGKILL_ROUNDS", ROUNDS_DEFAULT);
    let seed = setting("BARROW_SIGKILL_SEED", 20_131_007);
    let again = format!("again: BARROW_SIGKILL_ROUNDS={rounds} BARROW_SIGKILL_SEED={seed}");
    let _ = writeln!(std::io::stdout(), "{again}");
    let binary = binary();
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("config.toml"), CONFIG).expect("write the configuration");
    let mut random = Random::new(seed);
    let mut ledgers: Vec<Ledger> = (0..CLIENTS).map(|_| Ledger::default()).collect();
    let http = Client::new();
    let (mut killed_starting, mut unanswered, mut compactions) = (0, 0, 0);
    for _ in 0..rounds {
        let sent = round(&binary, dir.path(), &ledgers, &mut random);
        if random.chance(30) {
            // Killed while it recovers, as a supervisor in a hurry would.
            let mut child = spawn(&binary, dir.path(), &dir.path().join("server.log"));
            linger(&mut random, 30_000_000);
            child.kill().expect("kill the starting server");
            child.wait().expect("wait for the killed server");
            killed_starting += 1;
        }
        let mut server = Server::start(&binary, dir.path());
        for (at, (ledger, sent)) in ledgers.iter_mut().zip(sent).enumerate() {
            unanswered += usize::from(sent.unanswered.is_some());
            check(&http, &server.url, at, ledger, sent);
        }
        compactions += compaction_runs(&http, &server.url);
        server.kill();
    }
    assert!(compactions > 0, "nothing was compacted");
    let server = Server::start(&binary, dir.path());
    let (mut batches, mut rows) = (0, 0);
    for (at, ledger) in ledgers.iter().enumerate() {
        let found = stored(&http, &server.url, at, 0, ledger.next_minute + 1);
        for batch in &ledger.acknowledged {
            assert_eq!(rows_of(batch, &found), batch.rows, "rows of {batch:?} at the end");
            rows += batch.rows;
        }
        batches += ledger.acknowledged.len();
        let all: u64 = ledger.acknowledged.iter().map(|batch| batch.rows).sum();
        assert_eq!(found.len() as u64, all, "rows of client {at} that nobody sent");
    }
    let _ = writeln!(
        std::io::stdout(),
        "{rounds} rounds: {batches} batches of {rows} rows acknowledged and there, {unanswered} \
         unanswered and whole, {killed_starting} kills while starting, at least {compactions} \
         compactions"
    );
}
