//! Rows out.

use std::io::Cursor;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int32Type, TimestampNanosecondType};
use arrow::ipc::reader::StreamReader;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, csv};

#[tokio::test]
async fn a_range_holds_its_start_and_not_its_end() {
    let server = Server::start().await;
    server.load("", &csv("A", "29 1\n30 2\n31 3\n32 4")).await;
    let range = "&symbols=A&start=2013-10-07T09:30:00-04:00&end=1381152720000000000";
    assert_eq!(server.closes(range).await, "30 2.0\n31 3.0");
    assert_eq!(server.closes("&symbols=A&start=2013-10-08").await, "");
    assert_eq!(
        server.closes("&symbols=A&start=2013-10-07&end=2013-10-08").await.lines().count(),
        4
    );
    server.stop().await;
}

#[tokio::test]
async fn what_was_known_then_is_still_answered_after_corrections() {
    let server = Server::start().await;
    let rows = |close, known_at| {
        format!(
            "symbol,ts,open,high,low,close,known_at\n\
             A,2013-10-07T13:30:00Z,1,2,0.5,{close},{known_at}\n"
        )
    };
    let first = server.load("", &rows("1", "2013-10-07T13:31:00Z")).await;
    server.load("", &rows("2", "2013-10-07T14:00:00Z")).await;
    let late = server.load("", &rows("3", "2013-10-07T13:45:00Z")).await;
    assert_eq!(late["superseded"], 1);
    for (at, close) in [
        ("", "30 2.0".to_owned()),
        ("&as_of=2013-10-07T13:31:00Z", "30 1.0".to_owned()),
        ("&as_of=2013-10-07T13:50:00Z", "30 3.0".to_owned()),
        ("&as_of=2013-10-07T13:30:59Z", String::new()),
        (&format!("&at_sequence={}", first["sequence"]), "30 1.0".to_owned()),
        ("&at_sequence=2&as_of=2013-10-07T13:50:00Z", "30 1.0".to_owned()),
        ("&revisions=all", "30 1.0\n30 3.0\n30 2.0".to_owned()),
    ] {
        assert_eq!(server.closes(&format!("&symbols=A{at}")).await, close, "{at}");
    }
    let (_, before) =
        server.get("/v1/bars?layer=raw&symbols=A&frequency=1m&as_of=2013-10-07").await;
    assert_eq!(before["warnings"], json!(["nothing of this was known at as_of"]));
    server.stop().await;
}

#[tokio::test]
async fn symbols_come_as_asked_and_sources_side_by_side() {
    let server = Server::start().await;
    server.load("&source=y", &csv("B", "30 1\n31 2")).await;
    server.load("&source=x", &csv("B", "31 3\n32 4")).await;
    server.load("&source=y", &csv("A", "30 5")).await;
    let text = server
        .text("/v1/bars?layer=raw&symbols=B,A&frequency=1m&format=csv&columns=symbol,source,close")
        .await;
    let rows: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(rows, ["B,y,1.0", "B,x,3.0", "B,y,2.0", "B,x,4.0", "A,y,5.0"]);
    assert_eq!(server.closes("&symbols=B&source=x").await, "31 3.0\n32 4.0");
    server.stop().await;
}

#[tokio::test]
async fn pages_add_up_to_one_snapshot_whatever_is_written_between_them() {
    let server = Server::start().await;
    for source in ["x", "y", "z"] {
        server.load(&format!("&source={source}"), &csv("B", "30 1\n31 2\n31 3\n32 4")).await;
    }
    server.load("", &csv("A", "30 1\n31 2\n32 3")).await;
    for (limit, more) in [(1, ""), (2, ""), (3, ""), (5, ""), (100, ""), (2, "&revisions=all")] {
        let base = format!(
            "/v1/bars?layer=raw&symbols=B,A&frequency=1m{more}&columns=symbol,ts,source,close"
        );
        let whole = server.get(&base).await.1["rows"].as_array().unwrap().clone();
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, page) = server.get(&format!("{base}&limit={limit}{cursor}")).await;
            assert_eq!(status, 200, "{page}");
            assert_eq!(page["complete"], true);
            let found = page["rows"].as_array().unwrap();
            assert!(found.len() <= limit);
            rows.extend(found.iter().cloned());
            // A correction of the first row and a new last row, which no page may show.
            server.load("&source=x", &csv("B", &format!("30 {}\n59 9", rows.len() + limit))).await;
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(rows, whole, "limit {limit}{more}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_cursor_of_another_query_is_refused() {
    let server = Server::start().await;
    server.load("", &csv("A", "30 1\n31 2")).await;
    let base = "/v1/bars?layer=raw&symbols=A&frequency=1m&limit=1";
    let response = server.request(Method::GET, &format!("{base}&format=csv")).send().await.unwrap();
    let cursor = response.headers()["barrow-cursor"].to_str().unwrap().to_owned();
    let (status, problem) = server.get(&format!("{base}&price=bid&cursor={cursor}")).await;
    assert_eq!((status, &problem["field"]), (400, &json!("cursor")));
    let (status, _) = server.get(&format!("{base}&cursor={cursor}")).await;
    assert_eq!(status, 200);
    server.stop().await;
}

#[tokio::test]
async fn arrow_answers_have_the_types_of_the_contract() {
    let server = Server::start().await;
    server.load("", &csv("A", "30 1\n31 2")).await;
    server.load("", &csv("B", "30 3")).await;
    for path in ["/v1/bars?layer=raw&frequency=1m&symbols=A,B", "/v1/bars/latest?symbols=A,B"] {
        let request = server
            .request(Method::GET, path)
            .header("accept", "application/vnd.apache.arrow.stream");
        let bytes = request.send().await.unwrap().bytes().await.unwrap();
        let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
        let mut rows = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let symbols = batch.column_by_name("symbol").unwrap().as_dictionary::<Int32Type>();
            let names = symbols.downcast_dict::<arrow::array::StringArray>().unwrap();
            let ts = batch.column_by_name("ts").unwrap().as_primitive::<TimestampNanosecondType>();
            assert_eq!(ts.timezone(), Some("UTC"));
            let closes = batch.column_by_name("close").unwrap().as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let name = names.into_iter().nth(row).unwrap().unwrap();
                rows.push(format!("{name} {} {}", ts.value(row), closes.value(row)));
            }
        }
        let all = ["A 1381152600000000000 1", "A 1381152660000000000 2", "B 1381152600000000000 3"];
        let from = usize::from(path.contains("latest"));
        assert_eq!(rows, all[from..], "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn symbols_nobody_delivered_are_404_alone_and_a_warning_in_company() {
    let server = Server::start().await;
    server.load("", &csv("A", "30 1")).await;
    let path = "/v1/bars?layer=raw&frequency=1m&symbols=";
    let (status, problem) = server.get(&format!("{path}X,Y")).await;
    assert_eq!((status, &problem["field"]), (404, &json!("symbols")));
    let (status, body) = server.get(&format!("{path}X,A")).await;
    assert_eq!((status, body["rows"].as_array().unwrap().len()), (200, 1));
    assert_eq!(body["warnings"], json!(["X: no source has delivered bars of it"]));
    let (_, body) = server.get("/v1/bars?layer=raw&frequency=5m&symbols=A").await;
    assert_eq!(body["warnings"], json!(["A: there are no 5m trade bars"]));
    let (status, _) = server.get("/v1/bars/latest?symbols=X").await;
    assert_eq!(status, 404);
    server.stop().await;
}

#[tokio::test]
async fn the_latest_row_of_each_series_is_the_newest_that_holds() {
    let server = Server::start().await;
    server.load("&source=x", &csv("A", "30 1\n31 2")).await;
    server.load("&source=y", &csv("A", "29 3")).await;
    server.load("&source=x&price=bid", &csv("A", "30 4")).await;
    let show = "format=csv&columns=symbol,timeframe,price,source,close";
    let text = server.text(&format!("/v1/bars/latest?symbols=A&{show}")).await;
    let mut rows: Vec<_> = text.lines().skip(1).collect();
    rows.sort_unstable();
    assert_eq!(rows, ["A,1m,bid,x,4.0", "A,1m,trade,x,2.0", "A,1m,trade,y,3.0"]);
    let text = server.text(&format!("/v1/bars/latest?symbols=A&source=x&price=trade&{show}")).await;
    assert_eq!(text.lines().count(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_waits_for_its_own_write_and_not_for_ever() {
    let mut config = crate::harness::config();
    config.http.min_sequence_wait_ms = 50;
    let server = Server::start_with(config).await;
    let written = server.load("", &csv("A", "30 1")).await;
    let path = "/v1/bars?layer=raw&symbols=A&frequency=1m&min_sequence=";
    let (status, body) = server.get(&format!("{path}{}", written["sequence"])).await;
    assert_eq!((status, body["rows"].as_array().unwrap().len()), (200, 1));
    assert_eq!(body["sequence"], written["sequence"]);
    let response = server.request(Method::GET, &format!("{path}999")).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    server.stop().await;
}

#[tokio::test]
async fn a_long_range_is_streamed_whole() {
    let server = Server::start().await;
    let mut rows = "ts,open,high,low,close\n".to_owned();
    let count = 100_000_i64;
    for minute in 0..count {
        let ts = 1_381_152_600_000_000_000 + minute * 60_000_000_000;
        rows.push_str(&format!("{ts},1,2,0.5,{minute}\n"));
    }
    server.load("&symbol=A", &rows).await;
    let text =
        server.text("/v1/bars?layer=raw&symbols=A&frequency=1m&format=csv&columns=close").await;
    let closes = text.lines().skip(1).map(|line| line.parse::<f64>().unwrap());
    assert!(closes.eq((0..count).map(|minute| minute as f64)));
    let (_, json) = server.get("/v1/bars?layer=raw&symbols=A&frequency=1m&columns=close").await;
    assert_eq!(json["rows"].as_array().unwrap().len() as i64, count);
    assert_eq!(json["complete"], true);
    server.stop().await;
}
