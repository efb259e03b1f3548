//! The client in Python that was written from `docs/PROTOCOL.md` alone.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::*;

/// A run of it, and the lines it says.
struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Run {
    fn start(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/feed_client.py");
        let mut command = Command::new("python3");
        command.arg(script).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The server goes on meanwhile, on another thread.
    fn next(&mut self) -> Value {
        let line = tokio::task::block_in_place(|| self.lines.next());
        serde_json::from_str(&line.expect("it says more").unwrap()).unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED: there is no python3 to run tests/feed_client.py with\n",
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_from_the_document_asks_is_told_and_comes_back() {
    if !has_python() {
        return;
    }
    let mut feed = Feed::start().await;
    feed.publish(101, 1, UpdateKind::Closed);
    let address = feed.running.feed.unwrap().to_string();
    let mut run = Run::start(&[&address, "g", "B", "A", "none", "--updates", "2"]);
    let said = run.next();
    assert_eq!(said["group"], "g@v1");
    assert_eq!(said["promoted"], true);
    assert_eq!(said["features"], json!(["x", "y"]));
    assert_eq!(said["numbers"], json!({"B": 1, "A": 0, "none": null}));
    let row = |sequence: u64, symbol: u32| {
        let cells = json!([f64::from(symbol), null]);
        json!({"ts": 0, "sequence": sequence, "at_sequence": 0, "flags": 0, "cells": cells})
    };
    assert_eq!(run.next(), json!({"latest": "B", "row": row(101, 1)}));
    assert_eq!(run.next(), json!({"latest": "A", "row": null}));
    assert_eq!(run.next(), json!({"subscribed": [101, 0]}));
    for (sequence, symbol) in [(102, 0), (102, 3), (102, 1), (103, 0)] {
        feed.publish(sequence, symbol, UpdateKind::Closed);
    }
    let update = |name: &str, sequence: u64, index: u32, symbol: u32| {
        let row = row(sequence, symbol);
        json!({"update": name, "token": [sequence, index], "row": row})
    };
    assert_eq!(run.next(), update("A", 102, 0, 0));
    assert_eq!(run.next(), update("B", 102, 2, 1));
    let after = run.next()["after"].as_str().unwrap().to_owned();

    let socket = feed.socket();
    let arguments = [socket.to_str().unwrap(), "g@v1", "A", "B", "--updates", "1"];
    let mut run = Run::start(&[&arguments[..], &["--after", &after]].concat());
    assert_eq!(run.next()["group"], "g@v1");
    assert_eq!(run.next()["row"]["sequence"], 103);
    assert_eq!(run.next()["latest"], "B");
    assert_eq!(run.next(), json!({"subscribed": [102, 2]}));
    assert_eq!(run.next(), update("A", 103, 0, 0));
    assert!(run.next()["after"].as_str().unwrap().ends_with(":103:0"));
    feed.running.stop().await.unwrap();
}
