//! The client's examples against the real program: `barrow serve` in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

macro_rules! example {
    ($name:ident, $path:literal) => {
        #[path = $path]
        #[allow(dead_code, reason = "the test calls `run`; `main` is the example's own")]
        mod $name;
    };
}

example!(blocking, "../../../client/rust/examples/blocking.rs");
example!(features, "../../../client/rust/examples/features.rs");
example!(ingest, "../../../client/rust/examples/ingest.rs");
example!(latest, "../../../client/rust/examples/latest.rs");
example!(range, "../../../client/rust/examples/range.rs");

/// `barrow serve` on a folder of its own. Killed when dropped.
struct Program {
    child: Child,
    /// Held open, so that it may say more.
    _output: BufReader<ChildStdout>,
    url: String,
    _data: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_barrow"))
            .args(["serve", "--http", "127.0.0.1:0", "--feed", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
        }
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http="));
        let url = format!("http://{}", address.unwrap());
        Self { child, _output: output, url, _data: data }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_clients_examples_run_one_after_the_other_and_say_what_they_should() {
    let program = Program::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut said = Vec::new();
    runtime.block_on(async {
        ingest::run(&program.url, &mut said).await.unwrap();
        range::run(&program.url, &mut said).await.unwrap();
        latest::run(&program.url, &mut said).await.unwrap();
        features::run(&program.url, &mut said).await.unwrap();
    });
    // Without a runtime around it, as it is meant to be used.
    blocking::run(&program.url, &mut said).unwrap();
    let said = String::from_utf8(said).unwrap();
    let expected = "\
batch example-2024-01-02: accepted 3, rejected 0, stored before: false
batch example-2024-01-02: accepted 3, rejected 0, stored before: true
conflict: conflict
corrected 1, duplicates 2
closes [10.25, 10.5, 10.5]
closes [10.25, 10.5, 10.75] before the correction (4 rows stored)
a page of 2
a page of 1
close 10.5 at 1704205920000000000 ns
bars: 1 symbols
1 features, promoted: true
history: ret1 null 0.0244 0.0000
joined: ret1 0.0244
newest: ret1 0.0000
0 of 3 cells differ
accepted 2 trades
2 trades
3 bars
ts,close
2024-01-02T14:30:00Z,10.25
2024-01-02T14:31:00Z,10.5
2024-01-02T14:32:00Z,10.5
";
    assert_eq!(said, expected);
}
