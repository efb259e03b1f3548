//! How fast does a server answer a month of one symbol as Arrow, beside a bare reply of the same
//! bytes, and what does reading many rows cost it in memory?
//!
//! `--data DIR` is a store as `ingest` leaves it. The bare reply is hyper's, with axum in front as
//! in the server, in a process of its own; the client is the same. `--rows N` is how many rows are
//! then read, in requests for 50 symbols with all their sessions, decoded by the client.

use std::path::PathBuf;
use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use barrow_benches::data::symbol;
use barrow_benches::echo::{self, Echo};
use barrow_benches::http::Connection;
use barrow_benches::server::Server;
use barrow_benches::{arguments, figure, load, machine};

/// Sessions of a month.
const MONTH: u32 = 20;
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 5;
/// What the same question in process answers.
const COLUMNS: &str = "&columns=symbol,ts,open,high,low,close,volume,vwap,trades";

fn main() {
    echo::serve_if_asked();
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let symbols = arguments::value("--symbols", 500);
    let server = Server::start(&dir);
    let echo = Echo::start(&dir);
    for (name, columns) in [("all columns", ""), ("the columns sent", COLUMNS)] {
        month((&server, &echo), symbols, name, columns);
    }
    let rows = arguments::value("--rows", 0);
    if rows > 0 {
        many(&server, symbols, rows);
    }
    server.stop();
}

fn month((server, echo): (&Server, &Echo), symbols: u32, name: &str, columns: &str) {
    let (start, end) = load::sessions(0, MONTH);
    let path = |symbol: String| {
        format!("/v1/bars?symbols={symbol}&start={start}&end={end}&frequency=1m&layer=raw{columns}")
    };
    let mut connection = Connection::open(&server.address);
    let mut bytes = Vec::new();
    connection.get(&path(symbol(0))).into(&mut bytes);
    let mut bare = Connection::open(echo.http());
    let bare_path = format!("/{}", bytes.len());
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let mut turn = 0;
    let before = machine::cpu_seconds(server.pid());
    for _ in 0..ROUNDS {
        ours.extend(figure::repeat(ROUND, || {
            connection.get(&path(symbol(turn * 37 % symbols))).into(&mut bytes);
            turn += 1;
        }));
        floor.extend(figure::repeat(ROUND, || bare.get(&bare_path).into(&mut bytes)));
    }
    let cpu = (machine::cpu_seconds(server.pid()) - before) * 1e6 / f64::from(turn);
    figure::many(&format!("month over HTTP, {name}"), "us", ours);
    figure::one(&format!("month over HTTP, {name}: server CPU"), "us", cpu);
    figure::many(&format!("bare reply of {} bytes", bytes.len()), "us", floor);
}

/// Reads at least `rows` rows.
fn many(server: &Server, symbols: u32, rows: usize) {
    let memory = |name: &str| machine::memory_mib(server.pid(), name);
    let (before, anonymous) = (memory("VmHWM"), memory("RssAnon"));
    let (cpu_before, mut read, mut first, mut most) =
        (machine::cpu_seconds(server.pid()), 0, 0, anonymous);
    let (took, ()) = figure::seconds(|| {
        let mut connection = Connection::open(&server.address);
        while read < rows {
            let names: Vec<String> = (first..first + 50).map(|at| symbol(at % symbols)).collect();
            first += 50;
            let names = names.join(",");
            let path = format!("/v1/bars?symbols={names}&frequency=1m&layer=raw{COLUMNS}");
            let mut body = connection.get(&path);
            let batches = StreamReader::try_new(&mut body, None).expect("an Arrow stream");
            for batch in batches {
                read += batch.expect("the stream is whole").num_rows();
            }
            // What stands behind the end of the stream: the last chunk.
            body.into(&mut Vec::new());
            most = memory("RssAnon").max(most);
        }
    });
    figure::one("rows read over HTTP", "rows", read as f64);
    figure::one("rows read over HTTP a second", "rows/s", read as f64 / took);
    let cpu = machine::cpu_seconds(server.pid()) - cpu_before;
    figure::one("server CPU for them", "s", cpu);
    figure::one("server VmHWM before", "MiB", before);
    figure::one("server VmHWM grew by", "MiB", memory("VmHWM") - before);
    figure::one("server RssAnon grew by", "MiB", most - anonymous);
}
