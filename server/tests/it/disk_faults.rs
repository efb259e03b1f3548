//! What users see when the disk fails, is full, or is slow.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::json;

use crate::disk::FaultyDisk;
use crate::harness::{Server, answer, config, csv};

#[tokio::test]
async fn a_failed_sync_stops_intake_for_good_and_reads_go_on() {
    let disk = FaultyDisk::new();
    let server = Server::start_on(config(), disk.clone()).await;
    server.load("", &csv("A", "30 1")).await;
    disk.sync_fails.store(true, Ordering::SeqCst);
    let (status, problem) = server.post("", "text/csv", csv("A", "31 2")).await;
    assert_eq!((status, &problem["code"]), (503, &json!("intake_stopped")), "{problem}");
    // The disk works again; what it did with the rows is not known, so nothing more is taken.
    disk.sync_fails.store(false, Ordering::SeqCst);
    let (status, problem) = server.post("", "text/csv", csv("A", "32 3")).await;
    assert_eq!((status, &problem["code"]), (503, &json!("intake_stopped")), "{problem}");
    let response = server.request(Method::DELETE, "/v1/datasets/bars/rows?batch=b").send().await;
    assert_eq!(answer(response.unwrap()).await.0, 503);
    assert_eq!(server.closes("&symbols=A").await, "30 1.0");
    let (status, problem) = server.get("/readyz").await;
    assert_eq!((status, &problem["code"]), (503, &json!("intake_stopped")));
    assert_eq!(server.text("/healthz").await, "ok\n");
    assert!(server.text("/metrics").await.contains("\nbarrow_intake_stopped_flag 1\n"));
    assert!(server.try_stop().await.is_err());
}

#[tokio::test]
async fn a_full_disk_is_507_and_passes() {
    let disk = FaultyDisk::new();
    let mut config = config();
    config.engine.wal_file_bytes = 64 << 10;
    let server = Server::start_on(config, disk.clone()).await;
    let minutes: String = (0..60).map(|minute| format!("{minute:02} 1\n")).collect();
    server.load("", &csv("FIRST", &minutes)).await;
    disk.is_full.store(true, Ordering::SeqCst);
    let mut stored = 0;
    let (status, problem) = loop {
        let (status, body) =
            server.post("", "text/csv", csv(&format!("S{stored}"), &minutes)).await;
        if status != 200 {
            break (status, body);
        }
        stored += 1;
        assert!(stored < 1_000, "the log grows on a full disk");
    };
    assert_eq!((status, &problem["code"]), (507, &json!("full")), "{problem}");
    assert_eq!(server.closes("&symbols=FIRST").await.lines().count(), 60);
    let (status, _) = server.get(&format!("/v1/bars/latest?symbols=S{stored}")).await;
    assert_eq!(status, 404, "nothing of a refused batch is stored");
    assert_eq!(server.text("/readyz").await, "ready\n");
    disk.is_full.store(false, Ordering::SeqCst);
    server.load("", &csv("AFTER", &minutes)).await;
    server.stop().await;
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[tokio::test]
async fn an_answer_that_cannot_be_finished_is_broken_off_in_every_format() {
    let disk = FaultyDisk::new();
    let mut config = config();
    config.engine.memtable_bytes_max = 1 << 20;
    // Nothing but the answers reads segments, and each answer reads the same.
    config.engine.compaction = false;
    let server = Server::start_on(config.clone(), disk.clone()).await;
    // Symbols come one after the other: those read last are in segments too.
    for number in 0..8 {
        let row = |at: i64| format!("S{number},{},1.5,100\n", 1_381_152_600_000_000_000 + at);
        let body: String = (0..20_000).map(row).collect();
        let body = format!("symbol,ts,price,size\n{body}");
        loop {
            let path = "/v1/datasets/trades/rows";
            let request = server.request(Method::POST, path).header("content-type", "text/csv");
            let (status, _) = answer(request.body(body.clone()).send().await.unwrap()).await;
            match status {
                200 => break,
                // The memtable is full until the flush at work is done.
                507 => tokio::task::yield_now().await,
                other => panic!("{other}"),
            }
        }
    }
    server.stop().await;
    let server = Server::start_on(config, disk.clone()).await;
    let path = |format| {
        format!("/v1/trades?symbols=S0,S1,S2,S3,S4,S5,S6,S7&columns=ts,price&format={format}")
    };
    const READS: u64 = 1_000_000;
    for format in ["json", "csv", "arrow", "parquet"] {
        disk.segment_reads_left.store(READS, Ordering::SeqCst);
        let whole = server.request(Method::GET, &path(format)).send().await.unwrap();
        assert_eq!(whole.status(), 200);
        let whole = whole.bytes().await.unwrap();
        let reads = READS - disk.segment_reads_left.load(Ordering::SeqCst);
        assert!(reads > 8, "{reads} reads");
        disk.segment_reads_left.store(reads - 1, Ordering::SeqCst);
        let response = server.request(Method::GET, &path(format)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let broken = response.bytes().await;
        assert!(broken.is_err(), "{format}: {} of {} bytes", broken.unwrap().len(), whole.len());
    }
    disk.segment_reads_left.store(u64::MAX, Ordering::SeqCst);
    server.stop().await;
}

#[tokio::test]
async fn batches_that_come_while_one_syncs_share_the_next_sync() {
    let disk = FaultyDisk::new();
    let server = Arc::new(Server::start_on(config(), disk.clone()).await);
    server.load("", &csv("A", "29 1")).await;
    let before = disk.syncs.load(Ordering::SeqCst);
    disk.close_gate();
    let send = |symbol: &'static str| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.load("", &csv(symbol, "30 1")).await })
    };
    let first = send("B");
    let waiting = disk.clone();
    tokio::task::spawn_blocking(move || waiting.await_sync()).await.unwrap();
    let others = ["C", "D", "E"].map(send);
    while metric(&server.text("/metrics").await, "barrow_writer_queue_batches") < 3 {
        tokio::task::yield_now().await;
    }
    disk.open_gate();
    first.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(disk.syncs.load(Ordering::SeqCst) - before, 2);
    let metrics = server.text("/metrics").await;
    assert_eq!(metric(&metrics, "barrow_commit_groups_total"), 3);
    assert_eq!(metric(&metrics, "barrow_commit_batches_total"), 5);
}

#[tokio::test]
async fn a_full_queue_is_refused_and_what_was_taken_is_finished() {
    let disk = FaultyDisk::new();
    let mut config = config();
    config.writer.queue_batches_max = 1;
    let server = Arc::new(Server::start_on(config, disk.clone()).await);
    disk.close_gate();
    let mut sent = Vec::new();
    for number in 0..3 {
        let server = Arc::clone(&server);
        let rows = csv(&format!("S{number}"), "30 1");
        sent.push(tokio::spawn(async move { server.post("", "text/csv", rows).await }));
    }
    // One is being synced and one waits: at least one of the three is told to come again, and the
    // others have an answer only when the gate is open.
    let waiting = disk.clone();
    tokio::task::spawn_blocking(move || waiting.await_sync()).await.unwrap();
    while !sent.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    disk.open_gate();
    let mut statuses = Vec::new();
    for answer in sent {
        let (status, body) = answer.await.unwrap();
        assert!(status == 200 || body["code"] == "busy", "{body}");
        statuses.push(status);
    }
    let stored = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.contains(&503) && stored > 0, "{statuses:?}");
    let (_, bars) = server.get("/v1/datasets/bars").await;
    assert_eq!(bars["series"][0]["symbols"], stored);
}
