//! Quality rules: turned away, flagged, quarantined, released.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, answer};

const RANGE: &str = "start=2013-10-07T13:00:00Z&end=2013-10-07T15:00:00Z";

/// Bars of A, a minute each from 13:00 on, that go up and down by a hundredth or so, and what
/// `change` makes of the closes.
fn bars(change: impl Fn(usize, f64) -> f64) -> String {
    let mut text = "symbol,ts,open,high,low,close,volume\n".to_owned();
    for at in 0..100_usize {
        let wave = u32::try_from(at * at % 13).unwrap();
        let close = change(at, 100.0 + f64::from(wave) * 0.01);
        let minute = format!("2013-10-07T{}:{:02}:00Z", 13 + at / 60, at % 60);
        text.push_str(&format!("A,{minute},{close},{close},{close},{close},10\n"));
    }
    text
}

/// The curated slots on which rules or persons say something: minute, `dq_status`, reason.
async fn odd(server: &Server, more: &str) -> Vec<String> {
    let columns = "columns=ts,dq_status,reason&gaps=true&session=all&format=csv";
    let query = format!("/v1/bars?frequency=1m&symbols=A&{columns}&{RANGE}{more}");
    let text = server.text(&query).await;
    let said = text.lines().skip(1).filter(|line| !line.contains(",ok,"));
    said.map(|line| line["2013-10-07T".len()..].replace(":00Z", "")).collect()
}

#[tokio::test]
async fn a_rule_turns_rows_away_unless_they_are_an_import() {
    let server = Server::start().await;
    let csv = "symbol,ts,open,high,low,close,volume\n\
               A,2013-10-07T13:00:00Z,1,2,0.5,1,10\n\
               A,2013-10-07T13:01:00Z,1,2,1.5,1,10\n\
               A,2013-10-07T13:02:00Z,-1,2,-1,1,10\n\
               A,2013-10-07T13:03:00Z,1,2,0.5,1,-10\n";
    let (status, body) = server.post("", "text/csv", csv).await;
    assert_eq!((status, &body["accepted"], &body["rejected"]), (200, &json!(1), &json!(3)));
    let reasons: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["ohlc_order", "price_positive", "size_nonneg"]);
    let (_, letters) = server.get("/v1/dead-letters").await;
    assert_eq!(letters["rows"].as_array().unwrap().len(), 3, "{letters}");
    assert_eq!(odd(&server, "").await, [""; 0]);
    server.load("", csv).await;
    let flagged = ["13:01,flagged,ok", "13:02,flagged,ok", "13:03,flagged,ok"];
    assert_eq!(odd(&server, "").await, flagged);
    server.stop().await;
}

#[tokio::test]
async fn a_rule_that_is_switched_off_turns_nothing_away() {
    let server = Server::start().await;
    let off = json!({"price_positive": {"enabled": false}});
    server.state_facts(Method::PUT, "/v1/rules/bars", &off).await;
    let csv = "symbol,ts,open,high,low,close\nA,2013-10-07T13:00:00Z,-1,-1,-1,-1\n";
    let (status, body) = server.post("", "text/csv", csv).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn a_spike_is_kept_out_until_somebody_releases_it() {
    let server = Server::start().await;
    server.load("&source=x", &bars(|at, close| if at == 50 { 150.0 } else { close })).await;
    assert_eq!(odd(&server, "").await, ["13:50,flagged,ok"]);
    let action = json!({"spike": {"action": "quarantine"}});
    server.state_facts(Method::PUT, "/v1/rules/bars", &action).await;
    assert_eq!(odd(&server, "").await, ["13:50,quarantined,quarantined"]);
    let row =
        json!({"symbol": "A", "source": "x", "timeframe": "1m", "ts": "2013-10-07T13:50:00Z"});
    let verdict = |more: serde_json::Value| {
        let mut verdict = row.clone();
        verdict.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        verdict
    };
    let path = "/v1/quality/verdicts";
    let (_, before) = server.get("/v1/datasets/bars").await;
    let release = verdict(json!({"rule": "spike", "act": "release", "note": "seen on the tape"}));
    server.state_facts(Method::POST, path, &release).await;
    assert_eq!(odd(&server, "").await, [""; 0]);
    let then = format!("&at_sequence={}", before["sequence"]);
    assert_eq!(odd(&server, &then).await, ["13:50,quarantined,quarantined"]);
    server.state_facts(Method::POST, path, &verdict(json!({"act": "quarantine"}))).await;
    assert_eq!(odd(&server, "").await, ["13:50,quarantined,quarantined"]);
    server.stop().await;
}

#[tokio::test]
async fn import_is_a_flag() {
    let server = Server::start().await;
    let path = "/v1/datasets/bars/rows?timeframe=1m&import=yes";
    let request = server.request(Method::POST, path).header("content-type", "text/csv");
    let (status, body) = answer(request.body("symbol,ts\n").send().await.unwrap()).await;
    assert_eq!((status, &body["field"]), (400, &json!("import")), "{body}");
    server.stop().await;
}
