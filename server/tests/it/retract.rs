//! Rows taken away.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, config, csv};

async fn delete(server: &Server, query: &str, body: Value) -> (u16, Value) {
    let path = format!("/v1/datasets/bars/rows?{query}");
    let mut request = server.request(Method::DELETE, &path);
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    answer(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_key_is_taken_away_and_as_of_still_shows_it() {
    let server = Server::start().await;
    let written = server.load("", &csv("A", "30 1\n31 2\n32 3")).await;
    let key = "timeframe=1m&symbol=A&ts=2013-10-07T13:31:00Z";
    let (status, body) = delete(&server, key, Value::Null).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(server.closes("&symbols=A").await, "30 1.0\n32 3.0");
    let before = format!("&symbols=A&at_sequence={}", written["sequence"]);
    assert_eq!(server.closes(&before).await, "30 1.0\n31 2.0\n32 3.0");
    let keys = json!({"keys": [
        {"symbol": "A", "ts": "2013-10-07T13:30:00Z"},
        {"symbol": "A", "ts": 1_381_152_720_000_000_000_i64},
    ]});
    let (status, body) = delete(&server, "timeframe=1m", keys).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{body}");
    assert_eq!(server.closes("&symbols=A").await, "");
    let (status, body) = delete(&server, key, Value::Null).await;
    assert_eq!(status, 422, "{body}");
    assert_eq!(body["errors"][0]["reason"], "nothing_to_retract");
    server.stop().await;
}

#[tokio::test]
async fn a_batch_is_taken_away_whole_even_if_it_was_cut_into_parts() {
    let mut config = config();
    config.engine.batch_bytes_max = 4_096;
    let server = Server::start_with(config).await;
    let minutes: String = (0..60).map(|minute| format!("{minute:02} 1.5\n")).collect();
    server.load("&batch_id=keep", &csv("A", "30 9")).await;
    let loaded = server.load("&batch_id=b", &csv("B", &minutes)).await;
    assert!(loaded["parts"].as_u64().unwrap() > 1, "{loaded}");
    let (status, body) = delete(&server, "batch=b", Value::Null).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(60)), "{body}");
    assert_eq!(server.closes("&symbols=B,A").await, "30 9.0");
    let (status, body) = delete(&server, "batch=b", Value::Null).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(0)), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn what_names_no_row_is_refused_and_says_which_field() {
    let server = Server::start().await;
    server.load("", &csv("A", "30 1")).await;
    let state = server.state().await;
    for (query, status, field) in [
        ("batch=nobody", 404, "batch"),
        ("batch=b&symbol=A", 400, "symbol"),
        ("timeframe=1m&symbol=A", 400, "ts"),
        ("timeframe=1m&ts=2013-10-07T13:30:00Z", 400, "symbol"),
        ("symbol=A&ts=2013-10-07T13:30:00Z", 400, "timeframe"),
        ("timeframe=1m&symbol=A&ts=now", 400, "ts"),
        ("timeframe=1m", 400, "keys"),
        ("timeframe=1m&start=2013-10-07", 400, "start"),
    ] {
        let (found, problem) = delete(&server, query, Value::Null).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{query}: {problem}");
    }
    assert_eq!(server.state().await, state);
    server.stop().await;
}
