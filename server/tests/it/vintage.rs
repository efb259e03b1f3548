//! The live vintage over the wire: each row as it was known when it could first be had.

use serde_json::{Value, json};

use crate::harness::{Server, csv};
use reqwest::Method;

const BARS: &str = "/v1/bars?symbols=A&frequency=1m&vintage=live";
const FEATURES: &str = "/v1/features?groups=g&symbols=A&vintage=live";
const COLUMNS: &str = "&columns=ts,close&format=csv";

/// Minutes 30 to 33 of which 32 came six minutes late, and 31 was corrected while 33 went on; each
/// says when it was known.
async fn server() -> Server {
    let server = Server::start().await;
    let rows = "symbol,ts,open,high,low,close,known_at\n\
                A,2013-10-07T13:30:00Z,1,2,0.5,1,2013-10-07T13:31:00Z\n\
                A,2013-10-07T13:31:00Z,1,2,0.5,1.25,2013-10-07T13:31:59Z\n\
                A,2013-10-07T13:31:00Z,1,2,0.5,1.5,2013-10-07T13:33:30Z\n\
                A,2013-10-07T13:32:00Z,1,2,0.5,1.75,2013-10-07T13:39:00Z\n\
                A,2013-10-07T13:33:00Z,1,2,0.5,2,2013-10-07T13:34:00Z\n";
    server.load("&source=x", rows).await;
    let group = json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": {"every": "1m"},
        "features": [{"name": "mean3", "expr": "Mean($close, 3)"}],
    });
    let put = server.request(Method::PUT, "/v1/feature-groups/g").json(&group);
    assert!(put.send().await.unwrap().status().is_success());
    server
}

/// Minute and value of each row.
async fn rows(server: &Server, path: &str) -> Vec<String> {
    let text = server.text(path).await;
    let rows = text.lines().skip(1);
    rows.map(|row| row.replace("2013-10-07T13:", "").replace(":00Z", "")).collect()
}

#[tokio::test]
async fn a_bar_is_what_was_known_when_it_could_first_be_had() {
    let server = server().await;
    let now = rows(&server, "/v1/bars?symbols=A&frequency=1m&columns=ts,close&format=csv").await;
    assert_eq!(now, ["30,1.0", "31,1.5", "32,1.75", "33,2.0"]);
    assert_eq!(rows(&server, &format!("{BARS}{COLUMNS}")).await, ["30,1.0", "31,1.25", "33,2.0"]);
    let gaps = format!("{BARS}&gaps=true&columns=ts,close,reason&format=csv");
    let with_gaps = ["30,1.0,ok", "31,1.25,ok", "32,,missing", "33,2.0,ok"];
    assert_eq!(rows(&server, &gaps).await, with_gaps);
    // Slot 32 was filled with what was known at 13:33.
    let filled = format!("{BARS}&fill=forward&columns=ts,close,is_filled&format=csv");
    let with_fill = ["30,1.0,false", "31,1.25,false", "32,1.25,true", "33,2.0,false"];
    assert_eq!(rows(&server, &filled).await, with_fill);
    // What was known later by then is no part of it either.
    let as_of = format!("{BARS}{COLUMNS}&as_of=2013-10-07T13:33:59Z");
    assert_eq!(rows(&server, &as_of).await, ["30,1.0", "31,1.25"]);
    let range = format!("{BARS}{COLUMNS}&start=2013-10-07T13:31:00Z&end=2013-10-07T13:33:00Z");
    assert_eq!(rows(&server, &range).await, ["31,1.25"]);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_it_are_the_whole() {
    let server = server().await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{BARS}&gaps=true&columns=ts,close&limit=1&format=json{cursor}");
        let (status, page) = server.get(&path).await;
        assert_eq!(status, 200, "{page}");
        found.extend(page["rows"].as_array().unwrap().iter().map(|row| row["close"].clone()));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, [json!(1.0), json!(1.25), Value::Null, json!(2.0)]);
    server.stop().await;
}

#[tokio::test]
async fn a_feature_is_computed_from_what_was_known_then() {
    let server = server().await;
    let wanted = "&columns=ts,mean3&format=csv";
    let now = rows(&server, &format!("/v1/features?groups=g&symbols=A{wanted}")).await;
    assert_eq!(now, ["30,", "31,", format!("32,{}", 4.25 / 3.0).as_str(), "33,1.75"]);
    // At 13:33 there were two rows, the first of 31 one of them, at 13:34 the other, and 33.
    let live = rows(&server, &format!("{FEATURES}{wanted}")).await;
    assert_eq!(live, ["30,", "31,", "32,1.125", "33,1.75"]);
    for (ts, value) in [("33:30", "32,1.125"), ("34:00", "33,1.75")] {
        let at = format!("/v1/features/at?groups=g&symbols=A&ts=2013-10-07T13:{ts}Z{wanted}");
        let at = at.replace("&columns=ts,mean3", "&vintage=live");
        let row = rows(&server, &at).await.remove(0);
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!(format!("{},{}", fields[1], fields[2]), value);
    }
    let path = "/v1/features/join?groups=g&vintage=live&format=csv";
    let times = json!([
        {"symbol": "A", "t": "2013-10-07T13:33:10Z"},
        {"symbol": "A", "t": "2013-10-07T13:34:10Z"},
    ]);
    let joined = server.request(Method::POST, path).json(&times).send().await.unwrap();
    let joined = joined.text().await.unwrap();
    let means: Vec<&str> =
        joined.lines().skip(1).map(|row| row.split(',').nth(3).unwrap()).collect();
    assert_eq!(means, ["1.125", "1.75"], "{joined}");
    server.stop().await;
}

#[tokio::test]
async fn a_publish_delay_says_from_when_on_a_bar_can_be_had() {
    let server = server().await;
    let (_, before) = server.get(&format!("{BARS}&format=json")).await;
    let warning = before["warnings"].to_string();
    assert!(warning.contains("1 rows came after") && warning.contains("360.000 s"), "{warning}");
    let delay = json!({"publish_delay": {"x": "6m"}});
    let put = server.request(Method::PUT, "/v1/sources/bars").json(&delay).send().await.unwrap();
    assert!(put.status().is_success());
    let found = rows(&server, &format!("{BARS}{COLUMNS}")).await;
    assert_eq!(found, ["30,1.0", "31,1.5", "32,1.75", "33,2.0"]);
    let (_, after) = server.get(&format!("{BARS}&format=json")).await;
    assert_eq!(after["warnings"], Value::Null, "{after}");
    server.stop().await;
}

#[tokio::test]
async fn what_was_loaded_without_a_time_is_refused_by_name() {
    let server = server().await;
    server.load("&source=files", &csv("B", "30 1\n31 2")).await;
    server.load("&source=policy&known_at_policy=ts_end%2B0s", &csv("C", "30 1\n31 2")).await;
    let path = |symbol: &str| format!("/v1/bars?symbols={symbol}&frequency=1m&vintage=live");
    let (status, problem) = server.get(&path("A,B")).await;
    assert_eq!((status, &problem["field"]), (400, &json!("vintage")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    let named = "2 1m bars of B from files, 2013-10-07T13:30:00Z to 2013-10-07T13:31:00Z";
    assert!(detail.contains(named) && detail.contains("known_at_policy"), "{detail}");
    let features = "/v1/features?groups=g&symbols=B&vintage=live";
    assert_eq!(server.get(features).await.1["field"], json!("vintage"));
    let at = "/v1/features/at?groups=g&symbols=B&vintage=live&ts=2013-10-07T13:40:00Z";
    assert_eq!(server.get(at).await.1["field"], json!("vintage"));
    let rows = json!([{"symbol": "B", "t": "2013-10-07T13:33:10Z"}]);
    let join = server.request(Method::POST, "/v1/features/join?groups=g&vintage=live").json(&rows);
    assert_eq!(join.send().await.unwrap().json::<Value>().await.unwrap()["field"], "vintage");
    // A range without them, rows that follow a policy, and what is not asked for, are answered.
    let (status, _) = server.get(&format!("{}&start=2013-10-07T13:32:00Z", path("B"))).await;
    assert_eq!(status, 200);
    let (status, found) = server.get(&format!("{}&format=json", path("C"))).await;
    assert_eq!((status, found["rows"].as_array().map(Vec::len)), (200, Some(2)), "{found}");
    server.stop().await;
}
