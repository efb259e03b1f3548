//! Trades and quotes, price sides, and Parquet.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, TimestampNanosecondType};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, csv};

/// 2013-10-07T13:30:00Z: `date -u -d 2013-10-07T13:30:00Z +%s`, in nanoseconds.
const OPEN: i64 = 1_381_152_600_000_000_000;

const TRADES: &str = "\
symbol,ts,price,size,venue,conditions,trade_id
A,2013-10-07T13:30:00Z,10.5,100,Q,@,7
A,2013-10-07T13:30:00Z,10.25,0,,,
";

fn trades() -> RecordBatch {
    let texts =
        |texts: [Option<&str>; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    RecordBatch::try_from_iter_with_nullable([
        ("symbol", texts([Some("A"), Some("A")]), true),
        ("ts", Arc::new(Int64Array::from(vec![OPEN, OPEN])), true),
        ("price", Arc::new(Float64Array::from(vec![10.5, 10.25])), true),
        ("size", Arc::new(Float64Array::from(vec![100.0, 0.0])), true),
        ("venue", texts([Some("Q"), None]), true),
        ("conditions", texts([Some("@"), None]), true),
        ("trade_id", Arc::new(Int64Array::from(vec![Some(7), None])), true),
    ])
    .unwrap()
}

fn arrow(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn trades_sent_in_any_format_come_out_as_they_were_sent() {
    let server = Server::start().await;
    let json = r#"[
        {"symbol":"A","ts":"2013-10-07T13:30:00Z","price":10.5,"size":100,"venue":"Q",
         "conditions":"@","trade_id":7},
        {"symbol":"A","ts":1381152600000000000,"price":"10.25","size":0,"venue":null}]"#;
    let lines = json.replace('\n', "").replace("},", "}\n").replace(['[', ']'], "");
    for (source, kind, body) in [
        ("csv", "text/csv", TRADES.as_bytes().to_vec()),
        ("json", "application/json", json.into()),
        ("ndjson", "application/x-ndjson", lines.into()),
        ("arrow", "application/vnd.apache.arrow.stream", arrow(&trades())),
        ("parquet", "application/vnd.apache.parquet", parquet(&trades())),
    ] {
        let stored = server.post_ticks("trades", &format!("?source={source}"), kind, body).await;
        assert_eq!(stored["accepted"], 2, "{source}");
        let path = format!("/v1/trades?symbols=A&source={source}&format=csv");
        let columns = "&columns=symbol,ts,price,size,venue,conditions,trade_id";
        let shown = server.text(&format!("{path}{columns}")).await;
        let as_sent = TRADES.replace(",100,", ",100.0,").replace(",0,", ",0.0,");
        assert_eq!(shown, as_sent, "{source}");
    }
    let head = server.text("/v1/trades?symbols=A&format=csv").await;
    assert_eq!(
        head.lines().next(),
        Some("symbol,ts,price,size,venue,conditions,trade_id,source,known_at,assumed,sequence")
    );
    // Trades are never matched with each other: ten rows of one ts are ten rows.
    assert_eq!(head.lines().count(), 11);
    server.stop().await;
}

#[tokio::test]
async fn a_side_that_a_quote_lacks_is_null() {
    let server = Server::start().await;
    let rows = "symbol,ts,bid,ask,bid_size\n\
                A,2013-10-07T13:30:00Z,10,,5\nA,2013-10-07T13:30:01Z,,11,\n";
    server.post_ticks("quotes", "", "text/csv", rows).await;
    let (status, body) = server.get("/v1/quotes?symbols=A&columns=bid,ask,bid_size,venue").await;
    assert_eq!(status, 200);
    assert_eq!(
        body["rows"],
        json!([
            {"bid": 10.0, "ask": null, "bid_size": 5.0, "venue": null},
            {"bid": null, "ask": 11.0, "bid_size": null, "venue": null},
        ])
    );
    let (_, body) = server.get("/v1/quotes/latest?symbols=A&columns=symbol,source,ask").await;
    assert_eq!(body["rows"], json!([{"symbol": "A", "source": "http", "ask": 11.0}]));
    server.stop().await;
}

#[tokio::test]
async fn a_range_of_trades_is_cut_by_time_source_and_knowledge() {
    let server = Server::start().await;
    let rows = |seconds: &[u32], known_at: &str| {
        let mut text = "symbol,ts,price,size,known_at\n".to_owned();
        for second in seconds {
            text.push_str(&format!("A,2013-10-07T13:30:{second:02}Z,{second},1,{known_at}\n"));
        }
        text
    };
    let first = rows(&[0, 1, 2], "2013-10-07T13:31:00Z");
    let first = server.post_ticks("trades", "?source=x", "text/csv", first).await;
    server.post_ticks("trades", "?source=y", "text/csv", rows(&[1], "2013-10-07T14:00:00Z")).await;
    let prices = |query: String| {
        let path = format!("/v1/trades?symbols=A&format=csv&columns=price,source{query}");
        let server = &server;
        async move { server.text(&path).await.lines().skip(1).collect::<Vec<_>>().join(" ") }
    };
    for (query, shown) in [
        (String::new(), "0.0,x 1.0,x 1.0,y 2.0,x"),
        ("&start=2013-10-07T13:30:01Z&end=2013-10-07T13:30:02Z".into(), "1.0,x 1.0,y"),
        ("&source=y".into(), "1.0,y"),
        ("&as_of=2013-10-07T13:45:00Z".into(), "0.0,x 1.0,x 2.0,x"),
        (format!("&at_sequence={}", first["sequence"]), "0.0,x 1.0,x 2.0,x"),
        ("&layer=raw&revisions=all&limit=3".into(), "0.0,x 1.0,x 1.0,y"),
    ] {
        assert_eq!(prices(query.clone()).await, shown, "{query}");
    }
    let (status, problem) = server.get("/v1/trades?symbols=B").await;
    assert_eq!((status, &problem["field"]), (404, &json!("symbols")));
    let (_, body) = server.get("/v1/trades?symbols=A,B&source=z").await;
    assert_eq!(
        body["warnings"],
        json!(["A: there are no trades from z", "B: no source has delivered trades of it"])
    );
    for (path, field) in [
        ("/v1/trades?symbols=A&frequency=1m", "frequency"),
        ("/v1/trades?symbols=A&price=ask", "price"),
        ("/v1/quotes?symbols=A&price=trade", "price"),
        ("/v1/trades/latest?symbols=A&frequency=1m", "frequency"),
    ] {
        let (status, problem) = server.get(path).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_batch_brought_is_taken_away_and_still_shown_as_of_then() {
    let server = Server::start().await;
    let sent = server.post_ticks("trades", "?batch_id=b", "text/csv", TRADES).await;
    let again = server.post_ticks("trades", "?batch_id=b", "text/csv", TRADES).await;
    assert_eq!((&sent["repeated"], &again["repeated"]), (&json!(false), &json!(true)));
    let delete = |dataset: &str| {
        let path = format!("/v1/datasets/{dataset}/rows?batch=b");
        server.request(Method::DELETE, &path).send()
    };
    assert_eq!(delete("quotes").await.unwrap().status(), 404);
    let (status, body) = answer(delete("trades").await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{body}");
    let rows = |more: String| {
        let path = format!("/v1/trades?symbols=A&columns=price{more}");
        let server = &server;
        async move { server.get(&path).await.1["rows"].as_array().unwrap().len() }
    };
    assert_eq!(rows(String::new()).await, 0);
    assert_eq!(rows(format!("&at_sequence={}", sent["sequence"])).await, 2);
    assert_eq!(rows("&revisions=all".into()).await, 4);
    server.stop().await;
}

#[tokio::test]
async fn a_side_of_0_is_absent_and_a_quote_of_no_side_is_refused() {
    let server = Server::start().await;
    let rows = "symbol,ts,bid,ask\nA,2013-10-07T13:30:00Z,10,0\nA,2013-10-07T13:30:01Z,0,\n";
    let request = server.request(Method::POST, "/v1/datasets/quotes/rows");
    let request = request.header("content-type", "text/csv").body(rows);
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"], &body["rejected"]), (200, &json!(1), &json!(1)));
    let (_, body) = server.get("/v1/quotes?symbols=A&columns=bid,ask").await;
    assert_eq!(body["rows"], json!([{"bid": 10.0, "ask": null}]));
    server.stop().await;
}

/// All pages of `path`, which ends in its parameters, put together.
async fn pages(server: &Server, path: &str, limit: usize, between: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = server.get(&format!("{path}&limit={limit}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let found = page["rows"].as_array().unwrap();
        assert!(found.len() <= limit);
        rows.extend(found.iter().cloned());
        // What comes in between two pages shows on none.
        server.post_ticks("trades", "?source=b", "text/csv", between).await;
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn pages_go_through_many_rows_of_one_time_without_losing_or_repeating_any() {
    let mut config = crate::harness::config();
    // Flushes come while the pages are read.
    config.engine.memtable_bytes_max = 64 << 10;
    let server = Server::start_with(config).await;
    let rows = |from: u32| {
        let mut text = "symbol,ts,price,size\n".to_owned();
        for number in from..from + 40 {
            // Times 0, 1, 1, 1, ..., 1, 2; prices tell the rows apart.
            let second = if number % 40 == 0 { 0 } else { 1 + u32::from(number % 40 == 39) };
            text.push_str(&format!("A,2013-10-07T13:30:0{second}Z,{number},1\n"));
        }
        text
    };
    for batch in 0..6 {
        let source = ["a", "b", "c"][batch as usize % 3];
        let rows = rows(batch * 40);
        server.post_ticks("trades", &format!("?source={source}"), "text/csv", rows).await;
    }
    let more = format!("{}\n", rows(1_000).replace("A,", "B,"));
    for (limit, query) in [
        (1, ""),
        (7, ""),
        (39, ""),
        (100, ""),
        (7, "&source=b"),
        (7, "&start=2013-10-07T13:30:01Z"),
    ] {
        let path = format!("/v1/trades?symbols=A{query}");
        let (_, whole) = server.get(&path).await;
        let whole = whole["rows"].as_array().unwrap().clone();
        // Something new of the symbol itself, at the time that the pages are in.
        let between = format!("{more}A,2013-10-07T13:30:01Z,{},1\n", 2_000 + whole.len());
        assert_eq!(pages(&server, &path, limit, &between).await, whole, "limit {limit}{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn prices_stand_side_by_side_in_the_order_asked_for() {
    let server = Server::start().await;
    server.load("&price=bid", &csv("A", "30 1\n31 2")).await;
    server.load("&price=ask", &csv("A", "30 3\n32 4")).await;
    server.load("&price=trade", &csv("A", "30 5")).await;
    let path = "/v1/bars?layer=raw&symbols=A&frequency=1m&format=csv";
    let text = server.text(&format!("{path}&price=ask,bid&columns=price,close")).await;
    let rows: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(rows, ["ask,3.0", "bid,1.0", "bid,2.0", "ask,4.0"]);
    let names = |text: String| text.lines().next().unwrap().to_owned();
    let both = names(server.text(&format!("{path}&price=ask,bid")).await);
    assert!(both.starts_with("symbol,ts,price,open,"), "{both}");
    let one = names(server.text(&format!("{path}&price=bid")).await);
    assert!(one.starts_with("symbol,ts,open,"), "{one}");
    let (_, body) = server.get("/v1/bars?layer=raw&symbols=A&frequency=1m&price=mid,ask").await;
    assert_eq!(body["warnings"], json!(["A: there are no 1m mid bars"]));
    let (_, body) = server.get("/v1/bars/latest?symbols=A&price=ask,bid&columns=price,close").await;
    assert_eq!(
        body["rows"],
        json!([{"price": "bid", "close": 2.0}, {"price": "ask", "close": 4.0}])
    );
    server.stop().await;
}

fn read_parquet(file: Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn read_arrow(stream: &[u8]) -> RecordBatch {
    let reader = StreamReader::try_new(stream, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

#[tokio::test]
async fn every_table_is_the_same_as_parquet_and_as_arrow() {
    let server = Server::start().await;
    server.load("", &csv("A", "30 1\n31 2")).await;
    server.post("", "text/csv", csv("A", "32 x\n33 1")).await;
    server.post_ticks("trades", "", "text/csv", TRADES).await;
    server.post_ticks("quotes", "", "text/csv", "symbol,ts,bid\nA,2013-10-07T13:30:00Z,1\n").await;
    for path in [
        "/v1/bars?layer=raw&frequency=1m&symbols=A",
        "/v1/bars?layer=raw&frequency=1m&symbols=A&start=2030-01-01",
        "/v1/bars/latest?symbols=A",
        "/v1/trades?symbols=A",
        "/v1/trades?symbols=A&limit=1",
        "/v1/trades/latest?symbols=A",
        "/v1/quotes?symbols=A",
        "/v1/quotes/latest?symbols=A",
        "/v1/dead-letters",
        "/v1/sources",
        "/v1/datasets",
    ] {
        let ask = |format: &'static str| {
            let request = server.request(Method::GET, path);
            async move {
                let kind = format!("application/vnd.apache.{format}");
                let response = request.header("accept", &kind).send().await.unwrap();
                assert_eq!(response.status(), 200, "{path}");
                assert_eq!(response.headers()["content-type"], kind.as_str(), "{path}");
                response.bytes().await.unwrap()
            }
        };
        let file = read_parquet(ask("parquet").await);
        let stream = read_arrow(&ask("arrow.stream").await);
        assert_eq!(file.schema().fields(), stream.schema().fields(), "{path}");
        assert_eq!(file.columns(), stream.columns(), "{path}");
        assert_eq!(file.num_rows() > 0, !path.contains("2030"), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_long_parquet_file_is_streamed_whole() {
    let server = Server::start().await;
    let count = 150_000;
    let mut rows = "symbol,ts,price,size\n".to_owned();
    for number in 0..count {
        rows.push_str(&format!("A,{},{number},1\n", OPEN + number));
    }
    server.post_ticks("trades", "", "text/csv", rows).await;
    let path = "/v1/trades?symbols=A&format=parquet";
    let bytes = server.request(Method::GET, path).send().await.unwrap().bytes().await.unwrap();
    let file = read_parquet(bytes);
    let ts = file.column_by_name("ts").unwrap().as_primitive::<TimestampNanosecondType>();
    assert!(ts.values().iter().copied().eq(OPEN..OPEN + count));
    let prices = file.column_by_name("price").unwrap().as_primitive::<Float64Type>();
    assert!(prices.values().iter().copied().eq((0..count).map(|number| number as f64)));
    server.stop().await;
}

/// Runs the program, which must end well; its standard output.
async fn barrow(server: &Server, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barrow"));
    command.args(line.split_whitespace());
    command.args(["--server", &format!("http://{}", server.address())]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_command_line_shows_and_saves_trades_and_quotes() {
    let server = Server::start().await;
    server.post_ticks("trades", "?source=s", "text/csv", TRADES).await;
    let rows = "symbol,ts,bid,ask\nA,2013-10-07T13:30:00Z,10,11\n";
    server.post_ticks("quotes", "?source=s", "text/csv", rows).await;
    server.load("&price=bid", &csv("A", "30 1")).await;
    server.load("&price=ask", &csv("A", "30 2")).await;

    let columns = "--columns ts,price,size,venue";
    let table = barrow(&server, &format!("query trades --symbols A {columns}")).await;
    assert_eq!(
        table,
        "ts                    price   size  venue\n\
         2013-10-07T13:30:00Z   10.5  100.0  Q\n\
         2013-10-07T13:30:00Z  10.25    0.0\n"
    );
    let text = barrow(&server, "query quotes --symbols A --columns bid,ask --format csv").await;
    assert_eq!(text, "bid,ask\n10.0,11.0\n");
    let text = barrow(&server, "latest A --dataset quotes").await;
    assert!(text.starts_with("symbol  ts "), "{text}");
    let line = "query bars --symbols A --frequency 1m --price bid,ask --columns price,close";
    assert_eq!(
        barrow(&server, &format!("{line} --format csv")).await,
        "price,close\nbid,1.0\nask,2.0\n"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trades.parquet");
    let line = format!("query trades --symbols A --format parquet -o {}", path.display());
    barrow(&server, &line).await;
    let file = read_parquet(std::fs::read(&path).unwrap().into());
    let prices = file.column_by_name("price").unwrap().as_primitive::<Float64Type>();
    assert_eq!(prices.values()[..], [10.5, 10.25]);
    server.stop().await;
}
