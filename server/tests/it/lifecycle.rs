//! Starting, stopping, bounds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use barrow_server::app;

use crate::harness::{Server, config, csv};

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let server = Server::start().await;
    server.load("&batch_id=b", &csv("A", "30 1\n31 2")).await;
    let server = server.restart().await;
    assert_eq!(server.closes("&symbols=A").await, "30 1.0\n31 2.0");
    let again = server.load("&batch_id=b", &csv("A", "30 1\n31 2")).await;
    assert_eq!(again["repeated"], true);
    server.stop().await;
}

#[tokio::test]
async fn rows_are_the_same_after_the_memtable_was_flushed() {
    let mut config = config();
    config.engine.memtable_bytes_max = 64 << 10;
    let server = Server::start_with(config).await;
    let minutes: String = (0..60).map(|minute| format!("{minute:02} {minute}.5\n")).collect();
    for symbol in 0..40 {
        server.load("", &csv(&format!("S{symbol}"), &minutes)).await;
    }
    let before = server.closes("&symbols=S0,S20,S39").await;
    assert_eq!(before.lines().count(), 180);
    // A flush is installed by the writer's own thread; a stop waits for the one in progress.
    let server = server.restart().await;
    assert_eq!(server.closes("&symbols=S0,S20,S39").await, before);
    let metrics = server.text("/metrics").await;
    let segments =
        metrics.lines().find_map(|line| line.strip_prefix("barrow_segment_files_count "));
    assert!(segments.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn gap_masks_that_a_stop_wrote_are_used_after_the_start() {
    let mut config = config();
    config.engine.memtable_bytes_max = 64 << 10;
    let server = Server::start_with(config).await;
    let minutes: String =
        (30..60).filter(|at| at % 7 != 0).map(|at| format!("{at} {at}.5\n")).collect();
    for symbol in 0..60 {
        server.load("", &csv(&format!("S{symbol}"), &minutes)).await;
    }
    let range = "start=2013-10-07T13:30:00Z&end=2013-10-07T14:00:00Z";
    let gaps = format!("/v1/gaps?frequency=1m&symbols=S0&{range}");
    let before = server.get(&gaps).await.1;
    assert_eq!(before["rows"].as_array().unwrap().len(), 4, "{before}");
    let server = server.restart().await;
    assert_eq!(server.get(&gaps).await.1["rows"], before["rows"]);
    let metrics = server.text("/metrics").await;
    for line in ["barrow_masks_loaded_total 1", "barrow_masks_made_total 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn tiles_that_a_stop_wrote_are_used_after_the_start() {
    let mut config = config();
    config.engine.memtable_bytes_max = 64 << 10;
    let server = Server::start_with(config).await;
    let minutes: String = (30..60).map(|at| format!("{at} {at}.5\n")).collect();
    for symbol in 0..60 {
        server.load("", &csv(&format!("S{symbol}"), &minutes)).await;
    }
    let range = "start=2013-10-07T13:00:00Z&end=2013-10-07T14:00:00Z";
    let hours = format!("/v1/bars?frequency=1h&symbols=S0&{range}");
    let before = server.get(&hours).await.1;
    assert_eq!(before["rows"].as_array().unwrap().len(), 1, "{before}");
    let server = server.restart().await;
    assert_eq!(server.get(&hours).await.1["rows"], before["rows"]);
    let metrics = server.text("/metrics").await;
    for line in ["barrow_tiles_loaded_total 1", "barrow_tiles_made_total 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_folder_in_use_and_a_port_in_use_are_said_in_one_line() {
    let server = Server::start().await;
    let error = app::start(server.config()).await.err().unwrap().to_string();
    assert!(error.contains("in use"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    assert_eq!(error.lines().count(), 1);
    server.stop().await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.server.data_dir = dir.path().join("data");
    config.server.http = taken.local_addr().unwrap();
    let error = app::start(config.clone()).await.err().unwrap().to_string();
    assert!(error.contains("taken"), "{error}");
    // Nothing is left behind that would keep a second try from starting.
    drop(taken);
    app::start(config).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_accepted_is_finished_by_a_stop() {
    let server = Server::start().await;
    let rows = csv("A", "30 1");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST /v1/datasets/bars/rows?timeframe=1m HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: text/csv\r\ncontent-length: {}\r\n\r\n",
        rows.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body when it has begun to work on the request.
    let mut buffer = [0; 25];
    let asking = tokio::task::spawn_blocking(move || {
        stream.read_exact(&mut buffer).unwrap();
        (stream, buffer)
    });
    let (mut stream, buffer) = asking.await.unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stopping = tokio::spawn(server.restart());
    let answering = tokio::task::spawn_blocking(move || {
        stream.write_all(rows.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answering.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let server = stopping.await.unwrap();
    assert_eq!(server.closes("&symbols=A").await, "30 1.0");
    server.stop().await;
}

#[tokio::test]
async fn connections_above_the_bound_are_told_so() {
    let mut config = config();
    config.http.connections_max = 2;
    let server = Server::start_with(config).await;
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let address = server.address();
    let refused = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        TcpStream::connect(address).unwrap().read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = refused.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("all connections are in use"), "{answer}");
    drop(held);
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let mut config = config();
    config.http.header_seconds_max = 1;
    let server = Server::start_with(config).await;
    let address = server.address();
    let waiting = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost:").unwrap();
        let mut answer = Vec::new();
        // Returns when the server closes.
        stream.read_to_end(&mut answer)
    });
    assert!(waiting.await.unwrap().is_ok());
    server.stop().await;
}

#[tokio::test]
async fn health_readiness_and_metrics_answer() {
    let server = Server::start().await;
    assert_eq!(server.text("/healthz").await, "ok\n");
    assert_eq!(server.text("/readyz").await, "ready\n");
    assert!(server.text("/metrics").await.ends_with("# EOF\n"));
    server.stop().await;
}
