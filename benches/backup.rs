//! How long does intake stand still while a server copies its store?
//!
//! `--data DIR` is the store; it stays as it is, for the server works on a copy of it in `--scratch
//! DIR`, a folder of the same file system. One connection sends a bar at a time and waits for each
//! answer: first for `--seconds N` (5) alone, then during `--times N` (5) backups. Those lie in
//! `--scratch`, where files are linked, and then in `--elsewhere DIR`, if that is said, a folder of
//! another file system, to which they are copied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barrow_benches::http::Connection;
use barrow_benches::server::{Server, program};
use barrow_benches::source::{Shape, Source};
use barrow_benches::{arguments, figure, load};

/// Above the symbols of every store.
const FIRST_SYMBOL: u32 = 1_000_000;

fn main() {
    let Some(data) = arguments::optional::<PathBuf>("--data") else { return };
    let scratch = arguments::optional::<PathBuf>("--scratch").expect("--scratch: say where");
    let elsewhere = arguments::optional::<PathBuf>("--elsewhere");
    let times = arguments::value("--times", 5);
    let time = Duration::from_secs_f64(arguments::value("--seconds", 5.0));

    for folder in [Some(&scratch), elsewhere.as_ref()].into_iter().flatten() {
        if folder.exists() {
            fs::remove_dir_all(folder).expect("the folder is ours");
        }
        fs::create_dir_all(folder).expect("the folder can be made");
    }
    let store = scratch.join("store");
    let (took, ()) = figure::seconds(|| {
        barrow(&["backup", text(&store), "--data", text(&data)]);
    });
    figure::one("a store at rest, linked", "s", took);
    let backups = scratch.join("backups");
    fs::create_dir(&backups).expect("the folder can be made");
    during_backups("linked", (&store, &backups), times, time);
    if let Some(elsewhere) = &elsewhere {
        during_backups("copied", (&store, elsewhere), times, time);
    }
    let (took, ()) = figure::seconds(|| {
        barrow(&["restore", text(&backups.join("0")), text(&scratch.join("restored"))]);
    });
    figure::one("restore, linked", "s", took);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of benches are UTF-8")
}

fn barrow(arguments: &[&str]) {
    let done = Command::new(program()).args(arguments).output().expect("the program runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Serves the store, and backs it up to the other folder.
fn during_backups(how: &str, (store, backups): (&Path, &Path), times: usize, time: Duration) {
    let server = Server::start_with(store, &[("BARROW_SERVER_BACKUP_DIR", text(backups))]);
    let url = format!("http://{}", server.address);
    // Symbols that no earlier server has got rows of.
    let first = FIRST_SYMBOL * (1 + u32::from(how == "copied"));
    let mut source = Source::new(Shape { symbols: 1, minutes: 1 }, first);
    let alone = send_during(&server.address, &mut source, || thread::sleep(time));
    tell(&format!("{how}: answer to a bar, no backup"), alone);
    let (mut answers, mut took) = (Vec::new(), Vec::new());
    for number in 0..times {
        let name = number.to_string();
        answers.extend(send_during(&server.address, &mut source, || {
            let (seconds, ()) = figure::seconds(|| barrow(&["backup", &name, "--server", &url]));
            took.push(seconds);
        }));
    }
    tell(&format!("{how}: answer to a bar, during a backup"), answers);
    figure::many(&format!("{how}: a backup, with its command"), "s", took);
    server.stop();
}

/// The answers' milliseconds, and the longest: intake stood still no longer.
fn tell(what: &str, answers: Vec<f64>) {
    let longest = answers.iter().copied().fold(0.0, f64::max);
    figure::many(what, "ms", answers);
    figure::one(&format!("{what}: the longest"), "ms", longest);
}

/// Milliseconds from each bar that is sent while `work` is done to its answer.
fn send_during(address: &str, source: &mut Source, work: impl FnOnce()) -> Vec<f64> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut connection = Connection::open(address);
            let mut answers = Vec::new();
            while !is_over.load(Ordering::Relaxed) || answers.is_empty() {
                let (id, bars) = source.bars();
                let body = load::stream(&load::bars_table(&bars, &source.symbols()));
                let start = Instant::now();
                let answer = connection.post(&load::route(&id), &body);
                answers.push(start.elapsed().as_secs_f64() * 1e3);
                assert!(answer.contains("\"accepted\":1,"), "not taken: {answer}");
            }
            answers
        });
        work();
        is_over.store(true, Ordering::Relaxed);
        sending.join().expect("it does not panic")
    })
}
