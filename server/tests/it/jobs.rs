//! Long work: started, listed, watched, ended, begun again, and gone on with after a restart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::dataset::facts::FACT_SOURCE;
use barrow_engine::dataset::jobs::{JOBS, JOBS_SYMBOL};
use barrow_engine::disk::{Disk, MemoryDisk};
use barrow_engine::rows::{Column, ColumnType, Texts, Values};
use barrow_engine::{Engine, Options, Revisions, Scan, prepare};
use barrow_types::{DatasetId, PriceSide, Step, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::disk::FaultyDisk;
use crate::harness::{Server, answer, config, csv};

async fn post(server: &Server, path: &str, body: Value) -> (u16, Value) {
    answer(server.request(Method::POST, path).json(&body).send().await.unwrap()).await
}

async fn start(server: &Server, body: Value) -> (u16, Value) {
    post(server, "/v1/jobs", body).await
}

fn id(job: &Value) -> String {
    job["job_id"].as_str().unwrap_or_else(|| panic!("{job}")).to_owned()
}

/// The job once it has ended.
async fn ended(server: &Server, id: &str) -> Value {
    loop {
        let (status, job) = server.get(&format!("/v1/jobs/{id}?wait=30")).await;
        assert_eq!(status, 200, "{job}");
        if !["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
    }
}

/// The summary of a job of `kind`, once it has succeeded.
pub(crate) async fn run(server: &Server, kind: &str) -> Value {
    let (status, job) = start(server, json!({ "kind": kind })).await;
    assert_eq!(status, 200, "{job}");
    let job = ended(server, &id(&job)).await;
    assert_eq!((&job["state"], &job["error"]), (&json!("SUCCEEDED"), &json!(null)), "{job}");
    job["summary"].clone()
}

/// What a verification says of segments; when masks are written depends on the time.
fn of_segments(summary: &Value) -> [Value; 3] {
    ["extents", "rows", "problems"].map(|name| summary[name].clone())
}

/// As many symbols with a bar each, in one segment: so many extents take a verification a while.
async fn load_extents(server: &Server, symbols: u32) {
    let bar = |symbol| format!("S{symbol},2013-10-07T13:30:00Z,1,2,0.5,1\n");
    let rows: String = (0..symbols).map(bar).collect();
    server.load("", &format!("symbol,ts,open,high,low,close\n{rows}")).await;
    run(server, "compact").await;
}

#[tokio::test]
async fn a_verification_makes_the_bars_of_stored_tiles_again() {
    let server = Server::start().await;
    load_extents(&server, 3).await;
    // A stop writes tiles.
    let server = server.restart().await;
    let summary = run(&server, "verify").await;
    // Of each symbol 5m, 15m, 30m, 1h, 4h, 1d.
    assert_eq!(summary["tiles"], 3 * 6, "{summary}");
    assert_eq!(summary["problems"], json!([]), "{summary}");
    server.stop().await;
}

#[tokio::test]
async fn a_compaction_leaves_fewer_segments_and_the_same_rows() {
    let server = Server::start().await;
    for round in 0..4 {
        server.load("", &csv("A", &format!("0{round} {round}\n30 {round}"))).await;
        server.load("", &csv(&format!("S{round}"), "31 1")).await;
        run(&server, "compact").await;
    }
    let before = server.closes("&symbols=A,S0,S3&revisions=all").await;
    assert_eq!(before.lines().count(), 10);
    let summary = run(&server, "compact").await;
    assert_eq!(summary["segments_after"], 1, "{summary}");
    assert_eq!(server.closes("&symbols=A,S0,S3&revisions=all").await, before);
    let verified = run(&server, "verify").await;
    assert_eq!(verified["problem_count"], 0, "{verified}");
    let metrics = server.text("/metrics").await;
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {metrics}")).trim().parse().unwrap()
    };
    assert!(value("barrow_compaction_runs_total ") >= 3.0);
    assert!(value("barrow_segment_write_amplification_ratio ") > 1.0);
    let ended = "barrow_jobs_ended_total{kind=\"compact\",state=\"SUCCEEDED\"} ";
    assert_eq!((value(ended), value("barrow_jobs_running_count ")), (5.0, 0.0));
    let server = server.restart().await;
    assert_eq!(server.closes("&symbols=A,S0,S3&revisions=all").await, before);
    server.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_with_the_newest_first_by_page_state_and_kind() {
    let server = Server::start().await;
    for kind in ["compact", "verify", "verify", "compact"] {
        run(&server, kind).await;
    }
    let list = async |query: &str| {
        let (status, listed) = server.get(&format!("/v1/jobs{query}")).await;
        assert_eq!(status, 200, "{listed}");
        let jobs = listed["jobs"].as_array().unwrap();
        (jobs.iter().map(id).collect::<Vec<_>>().join(" "), listed["cursor"].clone())
    };
    assert_eq!(list("").await, ("4 3 2 1".to_owned(), json!(null)));
    assert_eq!(list("?kind=verify").await.0, "3 2");
    assert_eq!(list("?kind=verify,compact&state=succeeded,FAILED&cursor=3").await.0, "2 1");
    assert_eq!(list("?state=RUNNING").await.0, "");
    let (first, cursor) = list("?limit=3").await;
    assert_eq!((first.as_str(), &cursor), ("4 3 2", &json!("2")));
    assert_eq!(list("?limit=3&cursor=2").await, ("1".to_owned(), json!(null)));
    for (query, field) in [
        ("?state=DANCING", "state"),
        ("?kind=dance", "kind"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?cursor=x", "cursor"),
        ("?page=1", "page"),
    ] {
        let (status, problem) = server.get(&format!("/v1/jobs{query}")).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_job_is_refused_with_its_field() {
    let server = Server::start().await;
    let long = "x".repeat(129);
    for (body, status, code, field) in [
        (json!({ "kind": "dance" }), 400, "invalid_parameter", "kind"),
        (json!({ "kind": "backfill" }), 400, "not_available", "kind"),
        (json!({ "kind": 7 }), 400, "invalid_body", "kind"),
        (json!({}), 400, "invalid_body", "kind"),
        (json!([]), 400, "invalid_body", "body"),
        (json!({ "kind": "compact", "speed": 1 }), 400, "invalid_body", "speed"),
        (json!({ "kind": "compact", "request_id": "" }), 400, "invalid_body", "request_id"),
        (json!({ "kind": "compact", "request_id": long }), 400, "invalid_body", "request_id"),
        (json!({ "kind": "x".repeat(70_000) }), 413, "too_large", "body"),
        (json!({ "kind": "verify_features" }), 400, "invalid_body", "group"),
        (json!({ "kind": "lint_features", "group": "g", "n": 1 }), 400, "invalid_body", "n"),
        (
            json!({ "kind": "verify_features", "group": "g", "symbols": ["A", "A"] }),
            400,
            "invalid_body",
            "symbols",
        ),
        (
            json!({ "kind": "verify_features", "group": "g", "start": true }),
            400,
            "invalid_body",
            "start",
        ),
    ] {
        let (found, problem) = start(&server, body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
        assert_eq!(problem["field"], field, "{problem}");
    }
    for (method, path) in [
        (Method::GET, "/v1/jobs/77"),
        (Method::GET, "/v1/jobs/x"),
        (Method::GET, "/v1/jobs/01"),
        (Method::POST, "/v1/jobs/77/cancel"),
        (Method::POST, "/v1/jobs/77/retry"),
    ] {
        let reply = server.request(method, path).send().await.unwrap();
        let (status, problem) = answer(reply).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{path}");
    }
    let (status, problem) = server.get("/v1/jobs/77?wait=31").await;
    assert_eq!((status, &problem["field"]), (400, &json!("wait")));
    assert_eq!(server.get("/v1/jobs").await.1["jobs"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn features_of_all_symbols_are_checked_and_a_restart_checks_none_twice() {
    let mut config = config();
    config.jobs.checkpoint_ms = 1;
    let server = Server::start_with(config).await;
    let symbols = ["A", "B", "C", "D"];
    for symbol in symbols {
        server.load("", &csv(symbol, "30 1\n31 2\n33 1.5")).await;
    }
    let group = json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": {"every": "1m"},
        "features": [{"name": "mean", "expr": "Mean($close, 2)"}],
    });
    let put = server.request(Method::PUT, "/v1/feature-groups/g").json(&group);
    assert_eq!(answer(put.send().await.unwrap()).await.0, 200);
    let before = server.text("/metrics").await;
    assert!(before.contains("barrow_feature_parity_cells_total 0"), "{before}");

    let body = |kind: &str| json!({ "kind": kind, "group": "g" });
    let verify = id(&start(&server, body("verify_features")).await.1);
    let lint = id(&start(&server, body("lint_features")).await.1);
    let server = server.restart().await;
    let (verified, linted) = (ended(&server, &verify).await, ended(&server, &lint).await);
    // Four slots of each, the one without a row among them.
    let summary = &verified["summary"];
    assert_eq!((&summary["cells"], &summary["mismatches"]), (&json!(16), &json!(0)), "{verified}");
    let of = |one: &Value| one["symbol"].as_str().unwrap().to_owned();
    let named: Vec<String> = summary["symbols"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(named, symbols);
    assert_eq!(linted["summary"]["is_ok"], true, "{linted}");
    let all = "symbols=A,B,C,D";
    for (what, summary) in [("verify", summary), ("lint", &linted["summary"])] {
        let path = format!("/v1/feature-groups/g/{what}?{all}");
        let (status, mut told) = post(&server, &path, json!({})).await;
        assert_eq!(status, 200, "{told}");
        told["sequence"] = summary["sequence"].clone();
        assert_eq!(&told, summary);
    }
    let after = server.text("/metrics").await;
    assert!(after.contains("barrow_feature_parity_mismatch_total 0"), "{after}");
    assert!(!after.contains("barrow_feature_parity_cells_total 0"), "{after}");

    let missing = json!({ "kind": "verify_features", "group": "none" });
    let job = ended(&server, &id(&start(&server, missing).await.1)).await;
    assert_eq!(job["state"], "FAILED", "{job}");
    assert!(job["error"].as_str().unwrap().contains("none"), "{job}");
    server.stop().await;
}

#[tokio::test]
async fn nobody_writes_jobs_as_rows() {
    let server = Server::start().await;
    let rows = server.request(Method::POST, "/v1/datasets/jobs/rows").body("job_id,ts\n1,1\n");
    assert_eq!(answer(rows.send().await.unwrap()).await.0, 404);
    let batch = server.request(Method::DELETE, "/v1/datasets/jobs/rows?batch=job-1");
    assert_eq!(answer(batch.send().await.unwrap()).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn the_same_request_id_is_the_same_job_even_after_a_restart() {
    let server = Server::start().await;
    let body = json!({ "kind": "compact", "request_id": "mine" });
    let (one, other) = tokio::join!(start(&server, body.clone()), start(&server, body.clone()));
    assert_eq!((one.0, id(&one.1)), (200, id(&other.1)));
    let job = ended(&server, &id(&one.1)).await;
    let server = server.restart().await;
    assert_eq!(start(&server, body).await, (200, job));
    let (status, problem) = start(&server, json!({ "kind": "verify", "request_id": "mine" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn so_many_jobs_run_at_once_and_the_others_wait_in_order() {
    let mut config = config();
    config.jobs.max_running = 1;
    let server = Server::start_with(config).await;
    load_extents(&server, 50).await;
    let mut jobs = Vec::new();
    for kind in ["verify", "compact", "verify", "verify"] {
        jobs.push(id(&start(&server, json!({ "kind": kind })).await.1));
    }
    let mut last_end = 0;
    for id in &jobs {
        let job = ended(&server, id).await;
        let [began, end] = ["start_ts", "end_ts"].map(|name| job[name].as_i64().unwrap());
        assert!(last_end <= began && began <= end, "{job}");
        last_end = end;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_job_at_work_is_ended_on_demand_and_can_be_tried_again() {
    let mut config = config();
    config.jobs.max_running = 1;
    config.jobs.checkpoint_ms = 1;
    let server = Server::start_with(config).await;
    load_extents(&server, 2_000).await;
    let whole = of_segments(&run(&server, "verify").await);
    // One that has just ended cannot be ended any more: then another one is tried.
    let (first, job) = loop {
        let first = id(&start(&server, json!({ "kind": "verify" })).await.1);
        let waiting = id(&start(&server, json!({ "kind": "compact" })).await.1);
        // A job that waits ends at once, and never begins.
        let (status, job) = post(&server, &format!("/v1/jobs/{waiting}/cancel"), json!({})).await;
        if status == 200 {
            assert_eq!((&job["state"], &job["start_ts"]), (&json!("CANCELLED"), &json!(null)));
        }
        while server.get(&format!("/v1/jobs/{first}")).await.1["progress"] == json!(0.0) {}
        let (status, job) = post(&server, &format!("/v1/jobs/{first}/cancel"), json!({})).await;
        if status == 200 {
            break (first, job);
        }
        assert_eq!(
            (status, ended(&server, &first).await["state"].as_str()),
            (409, Some("SUCCEEDED"))
        );
    };
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert!(job["progress"].as_f64().unwrap() < 1.0, "{job}");
    // Once more is no harm; to end it differently is not possible.
    let again = post(&server, &format!("/v1/jobs/{first}/cancel"), json!({})).await;
    assert_eq!((again.0, &again.1["end_ts"]), (200, &job["end_ts"]));

    let body = json!({ "request_id": "once more" });
    let (status, retry) = post(&server, &format!("/v1/jobs/{first}/retry"), body.clone()).await;
    assert_eq!((status, &retry["retry_of"]), (200, &json!(first)), "{retry}");
    let same = post(&server, &format!("/v1/jobs/{first}/retry"), body).await;
    assert_eq!(id(&same.1), id(&retry));
    let retry = ended(&server, &id(&retry)).await;
    assert_eq!((&retry["state"], of_segments(&retry["summary"])), (&json!("SUCCEEDED"), whole));

    for (what, of) in [("cancel", &retry), ("retry", &retry)] {
        let (status, problem) =
            post(&server, &format!("/v1/jobs/{}/{what}", id(of)), json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    }
    let bad = post(&server, &format!("/v1/jobs/{first}/retry"), json!({ "kind": "verify" })).await;
    assert_eq!((bad.0, &bad.1["field"]), (400, &json!("kind")));
    let server = server.restart().await;
    assert_eq!(server.get(&format!("/v1/jobs/{first}")).await.1, job);
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_a_stop_broke_off_goes_on_from_where_it_was() {
    let mut config = config();
    config.jobs.checkpoint_ms = 1;
    let server = Server::start_with(config).await;
    load_extents(&server, 2_000).await;
    let whole = of_segments(&run(&server, "verify").await);
    let job = id(&start(&server, json!({ "kind": "verify" })).await.1);
    while server.get(&format!("/v1/jobs/{job}")).await.1["progress"] == json!(0.0) {}
    let server = server.restart().await;
    let (_, seen) = server.get(&format!("/v1/jobs/{job}")).await;
    assert!(seen["progress"].as_f64().unwrap() > 0.0, "{seen}");
    let done = ended(&server, &job).await;
    assert_eq!(done["state"], "SUCCEEDED", "{done}");
    assert_eq!(of_segments(&done["summary"]), whole);
    server.stop().await;
}

#[tokio::test]
async fn a_verification_that_is_killed_at_any_sync_checks_every_extent_once() {
    let mut config = config();
    config.jobs.checkpoint_ms = 1;
    let disk = FaultyDisk::new();
    let server = Server::start_on(config.clone(), disk.clone()).await;
    load_extents(&server, 2_000).await;
    server.stop().await;
    let name = disk.list("segments").unwrap().remove(0);
    let path = format!("segments/{name}");
    let change_first_block = |disk: &dyn Disk| {
        let mut byte = [0];
        disk.read_at(&path, 200, &mut byte).unwrap();
        disk.write_at(&path, 200, &[byte[0] ^ 1]).unwrap();
    };
    change_first_block(&*disk);
    let server = Server::start_on(config.clone(), disk.clone()).await;
    let whole = run(&server, "verify").await;
    assert_eq!(whole["problem_count"], 1, "{whole}");

    disk.close_gate();
    let body = json!({ "kind": "verify", "request_id": "mine" });
    let sent = tokio::spawn(server.request(Method::POST, "/v1/jobs").json(&body).send());
    let mut images = Vec::new();
    let job = loop {
        let waits = disk.has_waiting();
        let newest = &server.get("/v1/jobs?limit=1").await.1["jobs"][0];
        let is_stored = newest["request_id"] == "mine";
        if is_stored && newest["state"] == "SUCCEEDED" {
            break id(newest);
        }
        if waits {
            images.extend(is_stored.then(|| disk.image()));
            disk.pass_one();
        }
    };
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    disk.open_gate();
    server.stop().await;
    // What was checked before a kill is not read again, though it is whole now.
    let mut known = Vec::new();
    for image in images.iter().step_by(images.len().div_ceil(10)).chain(images.last()) {
        change_first_block(image);
        let server = Server::start_on(config.clone(), Arc::new(image.clone())).await;
        let summary = ended(&server, &job).await["summary"].clone();
        for name in ["extents", "rows"] {
            assert_eq!(summary[name], whole[name], "{name} of {summary}");
        }
        known.push(summary["problem_count"].as_u64().unwrap());
        server.stop().await;
    }
    let ends = (known.first(), known.last());
    assert!(known.is_sorted() && ends == (Some(&0), Some(&1)), "{known:?}");
}

#[tokio::test]
async fn how_a_job_ended_is_told_only_when_it_is_stored() {
    let disk = FaultyDisk::new();
    let server = Arc::new(Server::start_on(config(), disk.clone()).await);
    let await_sync = async || {
        let waiting = disk.clone();
        tokio::task::spawn_blocking(move || waiting.await_sync()).await.unwrap();
    };
    // The first rows make the log's file; from now on a commit is one sync.
    server.load("", &csv("A", "30 1")).await;
    disk.close_gate();
    let started = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { start(&server, json!({ "kind": "verify" })).await })
    };
    // That it is asked for, that it is at work, and how it ended: a sync each.
    await_sync().await;
    assert_eq!(server.get("/v1/jobs").await.1["jobs"], json!([]), "nothing is stored yet");
    disk.pass_one();
    let (status, job) = started.await.unwrap();
    assert_eq!((status, &job["state"]), (200, &json!("PENDING")), "{job}");
    await_sync().await;
    assert_eq!(server.get("/v1/jobs/1").await.1["state"], "PENDING");
    disk.pass_one();
    await_sync().await;
    assert_eq!(server.get("/v1/jobs/1").await.1["state"], "RUNNING");
    disk.sync_fails.store(true, Ordering::SeqCst);
    disk.open_gate();
    let job = loop {
        let (_, job) = server.get("/v1/jobs/1?wait=30").await;
        if job["error"].is_string() {
            break job;
        }
    };
    assert_eq!((&job["state"], &job["summary"]), (&json!("RUNNING"), &json!(null)), "{job}");
    for path in ["/v1/jobs", "/v1/jobs/1/cancel"] {
        let (status, problem) = post(&server, path, json!({ "kind": "verify" })).await;
        assert_eq!((status, &problem["code"]), (503, &json!("intake_stopped")), "{problem}");
    }
    let server = Arc::try_unwrap(server).ok().unwrap();
    assert!(server.try_stop().await.is_err());
    // The failed sync may have reached the disk or not; the job is done in either case.
    disk.sync_fails.store(false, Ordering::SeqCst);
    let server = Server::start_on(config(), disk).await;
    assert_eq!(ended(&server, "1").await["state"], "SUCCEEDED");
    server.stop().await;
}

/// A row of the ledger of jobs, as another version may have written it.
fn row(number: u32, kind: &str, params: &str, attempts: i64) -> Batch {
    let columns = JOBS.columns.iter().map(|column| {
        let text = match column.name {
            "job_id" => number.to_string(),
            "kind" => kind.to_owned(),
            "state" => "RUNNING".to_owned(),
            "params" => params.to_owned(),
            "source" => "request".to_owned(),
            "progress" => return Column::new(Values::F64(vec![0.5])),
            "attempts" => return Column::new(Values::I64(vec![attempts])),
            _ => return Column::nulls(column.kind(), 1),
        };
        assert_eq!(column.kind(), ColumnType::Text);
        Column::new(Values::Text([text.as_str()].into_iter().collect::<Texts>()))
    });
    Batch {
        id: format!("job-{number}"),
        dataset: DatasetId::JOBS,
        source: FACT_SOURCE.to_owned(),
        step: Step::Tick,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: false,
        symbols: Symbols::one(JOBS_SYMBOL, 1),
        ts: Column::new(Values::I64(vec![i64::from(number)])),
        known_at: None,
        columns: columns.collect(),
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

#[tokio::test]
async fn a_job_that_this_version_cannot_do_fails_with_the_reason() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let now = Timestamp::from_nanos(1_000);
    let (mut engine, _) = Engine::open(Arc::clone(&disk), Options::default(), [7; 16]).unwrap();
    for batch in [
        row(1, "dance", r#"{"kind":"dance"}"#, 1),
        row(2, "verify", r#"{"kind":"verify","deep":true}"#, 1),
        row(3, "verify", "what", 1),
        row(4, "verify", r#"{"kind":"verify"}"#, 10),
        row(5, "verify", r#"{"kind":"verify"}"#, 9),
    ] {
        let prepared = prepare(batch, &engine.snapshot(), now).unwrap();
        engine.commit(vec![prepared], now).unwrap().remove(0).unwrap();
    }
    engine.close(now).unwrap();
    let server = Server::start_on(config(), Arc::clone(&disk)).await;
    for (number, reason) in [("1", "dance"), ("2", "deep"), ("3", "parameters"), ("4", "10 times")]
    {
        let job = ended(&server, number).await;
        assert_eq!(job["state"], "FAILED", "{job}");
        assert!(job["error"].as_str().unwrap().contains(reason), "{job}");
    }
    assert_eq!(ended(&server, "5").await["state"], "SUCCEEDED");
    assert_eq!(id(&start(&server, json!({ "kind": "verify" })).await.1), "6");
    server.stop().await;
}

#[tokio::test]
async fn every_change_of_a_job_stays_in_the_ledger() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let server = Server::start_on(config(), Arc::clone(&disk)).await;
    run(&server, "verify").await;
    server.stop().await;
    let (engine, _) = Engine::open(disk, Options::default(), [7; 16]).unwrap();
    let snapshot = engine.snapshot();
    let series = snapshot.series(DatasetId::JOBS, None)[0].0;
    let states = |revisions, at_sequence| {
        let columns = vec![JOBS.column("state").unwrap().id];
        let (start, end) = (Timestamp::MIN, Timestamp::MAX);
        let scan = Scan { series, start, end, columns, as_of: None, at_sequence, revisions };
        let rows = snapshot.scan(scan).unwrap().next().unwrap().unwrap();
        let Values::Text(texts) = &rows.columns[0].values else { panic!("{rows:?}") };
        let states: Vec<_> = (0..rows.len()).map(|at| texts.get(at).to_owned()).collect();
        (states.join(" "), rows.sequence)
    };
    let (all, sequences) = states(Revisions::All, None);
    assert_eq!(all, "PENDING RUNNING SUCCEEDED");
    assert_eq!(sequences.iter().collect::<BTreeSet<_>>().len(), 3);
    let second = barrow_types::Sequence::new(sequences[1]);
    assert_eq!(states(Revisions::Visible, Some(second)).0, "RUNNING");
    assert_eq!(states(Revisions::Visible, None).0, "SUCCEEDED");
}
