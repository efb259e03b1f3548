//! How fast does a server take an archive over loopback HTTP?
//!
//! One run: a fresh store in `--data DIR`, the generated bars as Arrow on `--connections`
//! connections until all are acknowledged, then the server is stopped. Encoding the Arrow streams
//! counts; making the rows does not. What is in the log then is not yet in segments: `barrow
//! compact` goes on from there.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use arrow::array::RecordBatch;
use barrow_benches::data::{self, Order};
use barrow_benches::http::Connection;
use barrow_benches::server::Server;
use barrow_benches::{arguments, figure, load, machine};

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let symbols = arguments::value("--symbols", 500);
    let sessions = arguments::value("--sessions", 50);
    let by_session = arguments::value("--order", "symbol".to_owned()) == "session";
    let order = if by_session { Order::Session } else { Order::Symbol };
    let connections = arguments::value("--connections", 2);

    let mut tables = Vec::new();
    data::bars(symbols, sessions, order, |bars| tables.push(load::bars_table(bars, &(0..symbols))));
    let rows: usize = tables.iter().map(RecordBatch::num_rows).sum();
    if dir.exists() {
        fs::remove_dir_all(&dir).expect("the folder is ours");
    }
    let server = Server::start(&dir);
    let own = std::process::id();
    let (server_before, own_before) =
        (machine::cpu_seconds(server.pid()), machine::cpu_seconds(own));
    let (acknowledged, ()) = figure::seconds(|| send(&tables, &server.address, connections));
    let server_cpu = machine::cpu_seconds(server.pid()) - server_before;
    let own_cpu = machine::cpu_seconds(own) - own_before;
    figure::one("rows", "rows", rows as f64);
    figure::one("acknowledged", "s", acknowledged);
    figure::one("acknowledged: server CPU", "s", server_cpu);
    figure::one("acknowledged: client CPU", "s", own_cpu);
    figure::one("server VmHWM", "MiB", machine::memory_mib(server.pid(), "VmHWM"));
    let (stopping, ()) = figure::seconds(|| server.stop());
    figure::one("stop", "s", stopping);
    let log = machine::folder_bytes(&dir.join("wal"));
    figure::one("log files", "MiB", log / 1_048_576.0);
}

/// Sends every table as a request of its own; each connection takes the next that is left.
fn send(tables: &[RecordBatch], address: &str, connections: usize) {
    let left = Mutex::new(tables.iter().enumerate());
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = Connection::open(address);
                loop {
                    let next = left.lock().expect("nobody panicked").next();
                    let Some((number, table)) = next else { break };
                    let path = load::route(&format!("archive{number}"));
                    let answer = connection.post(&path, &load::stream(table));
                    let accepted = format!("\"accepted\":{},", table.num_rows());
                    assert!(answer.contains(&accepted), "not all taken: {answer}");
                }
            });
        }
    });
}
