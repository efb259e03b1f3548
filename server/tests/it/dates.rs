//! Bare dates in ranges of raw rows: sessions, each by the symbol's own calendar.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

/// Instants around Monday 2013-10-07, in order.
const TIMES: [&str; 7] = [
    // Sunday evening in New York, where the FX day of Monday has begun.
    "2013-10-06T21:30:00Z",
    "2013-10-07T00:30:00Z",
    "2013-10-07T08:00:00Z",
    "2013-10-07T13:30:00Z",
    // After 17:00 in New York: the FX day of Tuesday.
    "2013-10-07T21:00:00Z",
    "2013-10-08T07:59:00Z",
    "2013-10-08T08:00:00Z",
];

/// Rows at all times: minutes, and trades and quotes, of NY, FX and UTC from source x.
async fn server() -> Server {
    let server = Server::start().await;
    let rows = |values: &str| {
        let of = |symbol: &str| TIMES.map(|ts| format!("{symbol},{ts},{values}\n")).concat();
        ["NY", "FX", "UTC"].map(of).concat()
    };
    let bars = format!("symbol,ts,open,high,low,close\n{}", rows("1,1,1,1"));
    server.load("&source=x", &bars).await;
    let trades = format!("symbol,ts,price,size\n{}", rows("1,1"));
    server.post_ticks("trades", "?source=x", "text/csv", trades).await;
    let quotes = format!("symbol,ts,bid,ask\n{}", rows("1,2"));
    server.post_ticks("quotes", "?source=x", "text/csv", quotes).await;
    for (symbol, calendar) in [("NY", "XNYS"), ("FX", "FX")] {
        let facts = json!({"calendar": calendar});
        server.state_facts(Method::PUT, &format!("/v1/instruments/{symbol}"), &facts).await;
    }
    server
}

/// `symbol place-in-TIMES` of each row.
fn places(page: &Value) -> Vec<String> {
    let rows = page["rows"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    let place = |row: &Value| {
        let at = TIMES.iter().position(|ts| row["ts"] == *ts).unwrap();
        format!("{} {at}", row["symbol"].as_str().unwrap())
    };
    rows.map(place).collect()
}

const PATHS: [&str; 3] = ["/v1/bars?layer=raw&frequency=1m", "/v1/trades?", "/v1/quotes?"];

#[tokio::test]
async fn a_date_is_the_session_of_each_symbols_calendar() {
    let server = server().await;
    for path in PATHS {
        let ask = async |query: &str| server.get(&format!("{path}&{query}")).await.1;
        let monday = ask("symbols=NY,FX,UTC&start=2013-10-07&end=2013-10-08").await;
        let expected = [
            "NY 2", "NY 3", "NY 4", "NY 5", "FX 0", "FX 1", "FX 2", "FX 3", "UTC 1", "UTC 2",
            "UTC 3", "UTC 4",
        ];
        assert_eq!(places(&monday), expected, "{path}");
        assert_eq!(monday["calendar"], "XNYS,FX,none");
        // A Saturday is the session after it; an instant is one beside a date too.
        let later = ask("symbols=NY&start=2013-10-05&end=2013-10-07T13:30:00Z").await;
        assert_eq!((places(&later), &later["calendar"]), (vec!["NY 2".to_owned()], &json!("XNYS")));
        let from = ask("symbols=NY,UTC&start=2013-10-08").await;
        assert_eq!(places(&from), ["NY 6", "UTC 5", "UTC 6"], "{path}");
        let turned = ask("symbols=NY&start=2013-10-07T14:00:00Z&end=2013-10-07").await;
        assert_eq!(turned["rows"], json!([]), "{path}");
        let instants = ask("symbols=NY&start=2013-10-07T00:00:00Z&end=2013-10-07T09:00:00Z").await;
        assert_eq!(places(&instants), ["NY 1", "NY 2"]);
    }
    let (_, none) = server.get("/v1/bars?layer=raw&frequency=5m&symbols=NY&start=2013-10-07").await;
    assert_eq!((&none["rows"], &none["calendar"]), (&json!([]), &json!("none")));
    server.stop().await;
}

#[tokio::test]
async fn pages_of_a_session_go_by_the_calendar_of_the_first() {
    let server = server().await;
    for (at, path) in PATHS.into_iter().enumerate() {
        let base = format!("{path}&symbols=FX,NY&start=2013-10-07&end=2013-10-08");
        let (_, whole) = server.get(&base).await;
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let (_, page) = server.get(&format!("{base}&limit=3{cursor}")).await;
            rows.extend(places(&page));
            assert_eq!(page["calendar"], whole["calendar"], "{path}");
            let Value::String(next) = &page["cursor"] else { break };
            cursor = format!("&cursor={next}");
            // What is stated between the pages belongs to none of them.
            let calendar = ["XTKS", "FX"][rows.len() / 3 % 2];
            let facts = json!({"calendar": calendar});
            server.state_facts(Method::PUT, "/v1/instruments/FX", &facts).await;
        }
        assert_eq!((rows.len(), rows), (8, places(&whole)), "{path}");
        let other = base.replace("start=2013-10-07", "start=2013-10-07T00:00:00Z");
        let (status, problem) = server.get(&format!("{other}&limit=3{cursor}")).await;
        assert_eq!((status, &problem["field"]), (400, &json!("cursor")), "{path}");
        let facts = json!({"calendar": "FX"});
        let path = format!("/v1/instruments/FX?batch_id=back-{at}");
        server.state_facts(Method::PUT, &path, &facts).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn two_sources_may_mean_two_instruments_by_one_symbol() {
    let server = server().await;
    let rows = TIMES.map(|ts| format!("UTC,{ts},2,2,2,2\n")).concat();
    server.load("&source=y", &format!("symbol,ts,open,high,low,close\n{rows}")).await;
    let facts = json!({"calendar": "XNYS", "bindings": [{"source": "y", "symbol": "UTC"}]});
    server.state_facts(Method::PUT, "/v1/instruments/listed", &facts).await;
    let path = "/v1/bars?layer=raw&frequency=1m&symbols=UTC&start=2013-10-07&end=2013-10-08";
    let (_, table) = server.get(path).await;
    let found: Vec<String> = places(&table)
        .iter()
        .zip(table["rows"].as_array().unwrap())
        .map(|(place, row)| format!("{} {place}", row["source"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        ["x UTC 1", "x UTC 2", "y UTC 2", "x UTC 3", "y UTC 3", "x UTC 4", "y UTC 4", "y UTC 5"]
    );
    assert_eq!(table["calendar"], "none,XNYS");
    server.stop().await;
}

#[tokio::test]
async fn days_are_stored_by_the_dates_of_their_sessions() {
    let server = server().await;
    let rows = "symbol,ts,open,high,low,close\n\
                NY,2013-10-04,1,1,1,1\nNY,2013-10-07,2,2,2,2\nNY,2013-10-08,3,3,3,3\n";
    let path = "/v1/datasets/bars/rows?timeframe=1d&source=x";
    let request = server.request(Method::POST, path).header("content-type", "text/csv");
    assert_eq!(request.body(rows).send().await.unwrap().status(), 200);
    let path = "/v1/bars?layer=raw&frequency=1d&symbols=NY&start=2013-10-07&end=2013-10-08";
    let (_, table) = server.get(&format!("{path}&columns=ts,close")).await;
    assert_eq!(table["rows"], json!([{"ts": "2013-10-07T00:00:00Z", "close": 2.0}]));
    assert_eq!(table["calendar"], "XNYS");
    server.stop().await;
}
