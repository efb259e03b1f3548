//! Rejected rows: what is told of them, and how they get in after all.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampNanosecondArray};
use arrow::record_batch::RecordBatch;
use barrow_client::{Client, ClientError, DeadLettersQuery, IngestOptions, Replay, Stamp, Step};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, config, csv};

/// Sends letter `id` again.
async fn replay(server: &Server, id: &str, query: &str, values: Value) -> (u16, Value) {
    let path = format!("/v1/dead-letters/{id}/replay?{query}");
    answer(server.request(Method::POST, &path).json(&values).send().await.unwrap()).await
}

async fn show(server: &Server, id: &str) -> Value {
    let (status, body) = server.get(&format!("/v1/dead-letters/{id}")).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Ids and where they were replayed, as they are listed.
async fn listed(server: &Server, query: &str) -> String {
    let (status, body) = server.get(&format!("/v1/dead-letters?{query}")).await;
    assert_eq!(status, 200, "{body}");
    let row = |row: &Value| match row["replayed_as"].as_str() {
        Some(batch) => format!("{}={batch}", row["id"].as_str().unwrap()),
        None => row["id"].as_str().unwrap().to_owned(),
    };
    body["rows"].as_array().unwrap().iter().map(row).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_line_of_csv_is_sent_again_once_its_fields_are_named() {
    let server = Server::start().await;
    let (_, body) = server.post("&source=s", "text/csv", csv("A", "30 1.5\n31 x\n32 y")).await;
    assert_eq!(body["rejected"], 2, "{body}");
    assert_eq!(listed(&server, "").await, "1-0 1-1");
    let shown = show(&server, "1-0").await;
    assert_eq!(shown["raw"], "A,2013-10-07T13:31:00Z,1,2,0.5,x");
    assert_eq!((&shown["dataset"], &shown["source"]), (&json!("bars"), &json!("s")));
    assert_eq!((&shown["form"], &shown["values"]), (&json!("text"), &Value::Null), "{shown}");
    let columns = "timeframe=1m&columns=symbol,ts,open,high,low,close";
    for (query, field) in [
        ("timeframe=1m", "columns"),
        ("timeframe=1m&columns=symbol,ts", "columns"),
        ("columns=symbol,ts,open,high,low,close", "timeframe"),
        (&columns.replace("low", "nether"), "nether"),
        ("timeframe=1m&batch_id=b", "batch_id"),
    ] {
        let (status, problem) = replay(&server, "1-0", query, json!({})).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
    }
    let (status, body) = replay(&server, "1-0", columns, json!({"close": 1.75})).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(body["batch_id"], "replay:1-0");
    assert_eq!(server.closes("&symbols=A&source=s").await, "30 1.5\n31 1.75");
    // Nothing was overwritten: the letter is there, and says where its row went.
    assert_eq!(listed(&server, "").await, "1-0=replay:1-0 1-1");
    let shown = show(&server, "1-0").await;
    assert_eq!((&shown["replayed_as"], &shown["attempts"]), (&json!("replay:1-0"), &json!(1)));
    let text = server.text("/v1/dead-letters?format=csv").await;
    let ends: Vec<_> = text.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(ends, ["replayed_as", "replay:1-0", ""], "{text}");
    for format in ["arrow", "parquet"] {
        let path = format!("/v1/dead-letters?format={format}");
        assert_eq!(server.request(Method::GET, &path).send().await.unwrap().status(), 200);
    }
    // A lost answer can be asked for again; the letter cannot become another row.
    let (status, again) = replay(&server, "1-0", columns, json!({"close": "1.75"})).await;
    assert_eq!((status, &again["repeated"]), (200, &json!(true)), "{again}");
    let (status, other) = replay(&server, "1-0", columns, json!({"close": 1.8})).await;
    assert_eq!((status, &other["code"], &other["field"]), (409, &json!("conflict"), &json!("id")));
    // The whole row in the body needs no names; its source is the letter's.
    let row = json!({"symbol": "A", "ts": "2013-10-07T13:32:00Z",
        "open": 1, "high": 2, "low": 0.5, "close": 1.9});
    let (status, body) = replay(&server, "1-1", "timeframe=1m", row).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(server.closes("&symbols=A&source=s").await, "30 1.5\n31 1.75\n32 1.9");
    let server = server.restart().await;
    assert_eq!(listed(&server, "").await, "1-0=replay:1-0 1-1=replay:1-1");
    server.stop().await;
}

#[tokio::test]
async fn a_json_row_keeps_what_it_said_and_what_its_request_said_is_said_again() {
    let server = Server::start().await;
    let row = r#"{"ts":"2013-10-07T13:31:00Z","open":1.10,"high":2,"low":0.5,"close":"x"}"#;
    let query = "&symbol=A&stamp=end";
    let (status, body) = server.post(query, "application/json", format!("[{row}]")).await;
    assert_eq!((status, &body["rejected"]), (422, &json!(1)), "{body}");
    let shown = show(&server, "1-0").await;
    assert_eq!((&shown["form"], &shown["missing"]), (&json!("json"), &json!(["symbol"])));
    assert_eq!(shown["values"]["open"].to_string(), "1.1");
    let query = "timeframe=1m&symbol=A&stamp=end";
    let (status, body) = replay(&server, "1-0", query, json!({"close": 1.5})).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(server.closes("&symbols=A").await, "30 1.5");
    server.stop().await;
}

#[tokio::test]
async fn a_replay_that_is_rejected_again_leaves_a_letter_of_its_own_and_can_be_tried_anew() {
    let server = Server::start().await;
    let (status, _) = server.post("", "text/csv", csv("A", "31 x")).await;
    assert_eq!(status, 422);
    let query = "timeframe=1m&columns=symbol,ts,open,high,low,close";
    for attempt in 1..3 {
        // Even with the same values: a row of the future is one of the past some day.
        let (status, body) = replay(&server, "1-0", query, json!({})).await;
        assert_eq!((status, &body["rejected"]), (422, &json!(1)), "{body}");
        assert_eq!(show(&server, "1-0").await["attempts"], attempt);
    }
    assert_eq!(listed(&server, "batch=replay:1-0").await, "2-0");
    assert_eq!(listed(&server, "").await, "3-0 2-0 1-0");
    let (status, body) = replay(&server, "1-0", query, json!({"close": 1.5})).await;
    assert_eq!((status, &body["batch_id"]), (200, &json!("replay:1-0:3")), "{body}");
    assert_eq!(listed(&server, "").await, "3-0 2-0 1-0=replay:1-0:3");
    // No one else's batch can look like a replay.
    let (status, problem) =
        server.post("&batch_id=replay:2-0", "text/csv", csv("A", "31 1.5")).await;
    assert_eq!((status, &problem["field"]), (400, &json!("batch_id")));
    server.stop().await;
}

#[tokio::test]
async fn what_brought_no_row_is_not_sent_again() {
    let server = Server::start().await;
    server.load("", &csv("A", "31 1.5")).await;
    let path = "/v1/datasets/bars/rows?timeframe=1m&symbol=A&ts=2013-10-07T13:35:00Z";
    let (status, _) = answer(server.request(Method::DELETE, path).send().await.unwrap()).await;
    assert_eq!(status, 422);
    assert_eq!(show(&server, "2-0").await["form"], "retraction");
    let (status, problem) = replay(&server, "2-0", "timeframe=1m", json!({"close": 1})).await;
    assert_eq!((status, &problem["field"]), (400, &json!("id")), "{problem}");
    for id in ["2-1", "1-0", "9-0", "x", "02-0", "2-00"] {
        let (status, _) = server.get(&format!("/v1/dead-letters/{id}")).await;
        assert_eq!(status, 404, "{id}");
        assert_eq!(replay(&server, id, "timeframe=1m", json!({})).await.0, 404, "{id}");
    }
    for body in ["[]", "1", r#"{"close":1,"close":2}"#, "{"] {
        let path = "/v1/dead-letters/2-0/replay?timeframe=1m";
        let request = server.request(Method::POST, path).body(body);
        let (status, problem) = answer(request.send().await.unwrap()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_body")), "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_of_letters_miss_none_and_parts_belong_to_their_batch() {
    let mut config = config();
    config.engine.batch_bytes_max = 4_096;
    let server = Server::start_with(config).await;
    let bad: String = (0..30).map(|minute| format!("{minute:02} x\n")).collect();
    let (_, body) = server.post("&batch_id=b", "text/csv", csv("A", &bad)).await;
    assert!(body["parts"].as_u64().unwrap() > 1, "{body}");
    let (_, body) = server.post("&batch_id=bc", "text/csv", csv("A", "31 x")).await;
    assert_eq!(body["rejected"], 1, "{body}");
    let all = listed(&server, "batch=b").await;
    assert_eq!(all.split(' ').count(), 30, "{all}");
    let client = Client::new(&format!("http://{}", server.address())).unwrap();
    let mut pages = Vec::new();
    let mut query = DeadLettersQuery::default().batch("b").limit(7);
    loop {
        let page = client.dead_letters(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query = query.cursor(last.id.clone());
        pages.extend(page.into_iter().map(|letter| letter.id));
    }
    assert_eq!(pages.join(" "), all);
    server.stop().await;
}

#[tokio::test]
async fn a_row_that_came_as_arrow_says_all_of_itself() {
    let server = Server::start().await;
    let client = Client::new(&format!("http://{}", server.address())).unwrap();
    let numbers = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
    // 2013-10-07T13:31:00Z, the end of its bar.
    let ts = TimestampNanosecondArray::from(vec![1_381_152_660_000_000_000]).with_timezone("UTC");
    let symbol: ArrayRef = Arc::new(StringArray::from(vec!["A"]));
    let bars = RecordBatch::try_from_iter([
        ("symbol", Arc::clone(&symbol)),
        ("ts", Arc::new(ts.clone()) as ArrayRef),
        ("open", numbers(1.0)),
        ("high", numbers(2.0)),
        ("low", numbers(0.5)),
        ("close", numbers(f64::NAN)),
    ])
    .unwrap();
    let options = IngestOptions::bars(Step::M1, "s").stamp(Stamp::End);
    let error = client.ingest_arrow(&options, &[bars]).await.unwrap_err();
    assert!(matches!(error, ClientError::Rejected(_)), "{error:?}");
    let shown = client.dead_letter("1-0").await.unwrap();
    assert_eq!((shown.form.as_str(), shown.missing), ("columns", Some(vec![])));
    assert_eq!(shown.values.unwrap()["close"], "NaN");
    let right = Replay::default().timeframe(Step::M1).set("close", 1.25);
    // Its ts was read already: to shift it again would be wrong.
    let shifted = right.clone().stamp(Stamp::End);
    let error = client.replay_dead_letter("1-0", &shifted).await.unwrap_err();
    assert_eq!(error.problem().unwrap().field.as_deref(), Some("stamp"));
    let answer = client.replay_dead_letter("1-0", &right).await.unwrap();
    assert_eq!((answer.accepted, answer.batch_id.as_str()), (1, "replay:1-0"));
    assert_eq!(server.closes("&symbols=A&source=s").await, "30 1.25");

    let trades = RecordBatch::try_from_iter([
        ("symbol", symbol),
        ("ts", Arc::new(ts) as ArrayRef),
        ("price", numbers(f64::INFINITY)),
        ("size", numbers(100.0)),
    ])
    .unwrap();
    client.ingest_arrow(&IngestOptions::trades("s"), &[trades]).await.unwrap_err();
    let letters = client.dead_letters(&DeadLettersQuery::default().limit(1)).await.unwrap();
    let replay = Replay::default().set("price", 10.5);
    let answer = client.replay_dead_letter(&letters[0].id, &replay).await.unwrap();
    assert_eq!(answer.accepted, 1);
    let (_, trades) = server.get("/v1/trades?symbols=A&columns=price,size,source").await;
    assert_eq!(trades["rows"], json!([{"price": 10.5, "size": 100.0, "source": "s"}]));
    server.stop().await;
}
