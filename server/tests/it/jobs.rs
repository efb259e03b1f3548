//! Long work: compactions and verifications that a request starts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, csv};

async fn start(server: &Server, body: Value) -> (u16, Value) {
    let reply = server.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

/// The summary of a job of `kind`, once it has succeeded.
async fn run(server: &Server, kind: &str) -> Value {
    let (status, job) = start(server, json!({ "kind": kind })).await;
    assert_eq!(status, 200, "{job}");
    let path = format!("/v1/jobs/{}", job["job_id"].as_str().unwrap());
    loop {
        let job: Value = serde_json::from_str(&server.text(&path).await).unwrap();
        match job["state"].as_str().unwrap() {
            "RUNNING" => tokio::task::yield_now().await,
            "SUCCEEDED" => return job["summary"].clone(),
            _ => panic!("{job}"),
        }
    }
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
    assert_eq!((&verified["files"], &verified["problem_count"]), (&json!(1), &json!(0)));
    let metrics = server.text("/metrics").await;
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {metrics}")).trim().parse().unwrap()
    };
    assert!(value("barrow_compaction_runs_total ") >= 3.0);
    assert!(value("barrow_segment_write_amplification_ratio ") > 1.0);
    let server = server.restart().await;
    assert_eq!(server.closes("&symbols=A,S0,S3&revisions=all").await, before);
    server.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_with_the_newest_first() {
    let server = Server::start().await;
    run(&server, "compact").await;
    run(&server, "verify").await;
    let listed: Value = serde_json::from_str(&server.text("/v1/jobs").await).unwrap();
    let kinds: Vec<&str> = listed["jobs"].as_array().unwrap().iter().map(kind).collect();
    assert_eq!(kinds, ["verify", "compact"]);
    server.stop().await;
}

fn kind(job: &Value) -> &str {
    job["params"]["kind"].as_str().unwrap()
}

#[tokio::test]
async fn what_is_no_job_is_refused_with_its_name() {
    let server = Server::start().await;
    for (body, status, code, field) in [
        (json!({ "kind": "dance" }), 400, "invalid_parameter", "kind"),
        (json!({ "kind": "backfill" }), 400, "not_available", "kind"),
        (json!({}), 400, "invalid_body", "kind"),
        (json!({ "kind": "compact", "speed": 1 }), 400, "invalid_body", "kind"),
    ] {
        let (found, problem) = start(&server, body.clone()).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{body}: {problem}");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let missing = server.request(Method::GET, "/v1/jobs/77").send().await.unwrap();
    assert_eq!(missing.status(), 404);
    server.stop().await;
}
