//! Users' tables: defined, filled in every format, answered in every format, changed, taken back.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use barrow_client::{
    Client, ClientError, DeleteKeys, IngestOptions, TableColumn, TableDefinition, TicksQuery,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, config};

const CSV: &str = "text/csv";

async fn put(server: &Server, name: &str, document: Value) -> (u16, Value) {
    let request = server.request(Method::PUT, &format!("/v1/datasets/{name}"));
    answer(request.json(&document).send().await.unwrap()).await
}

/// Puts a table that must be taken.
async fn define(server: &Server, name: &str, document: Value) -> Value {
    let (status, body) = put(server, name, document).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn send(server: &Server, target: &str, kind: &str, body: impl Into<Vec<u8>>) -> (u16, Value) {
    let path = format!("/v1/datasets/{target}");
    let request = server.request(Method::POST, &path).header("content-type", kind);
    answer(request.body(body.into()).send().await.unwrap()).await
}

/// `accepted duplicates corrected rejected` of rows that are sent.
async fn counts(server: &Server, target: &str, kind: &str, body: impl Into<Vec<u8>>) -> String {
    let (_, body) = send(server, target, kind, body).await;
    let names = ["accepted", "duplicates", "corrected", "rejected"];
    names.map(|name| body[name].to_string()).join(" ")
}

async fn delete(server: &Server, target: &str, body: Value) -> (u16, Value) {
    let request = server.request(Method::DELETE, &format!("/v1/datasets/{target}"));
    answer(request.json(&body).send().await.unwrap()).await
}

/// The rows of a CSV answer, without its header.
async fn rows(server: &Server, target: &str) -> String {
    let joint = if target.contains('?') { "&" } else { "?" };
    let text = server.text(&format!("/v1/tables/{target}{joint}format=csv")).await;
    text.lines().skip(1).collect::<Vec<_>>().join("\n")
}

fn column(name: &str, holds: &str) -> Value {
    json!({"name": name, "type": holds})
}

/// News with a column of each type, told apart by their id.
fn news() -> Value {
    let columns =
        ["f64", "i64", "bool", "timestamp"].map(|kind| column(&format!("a_{kind}"), kind));
    let mut columns = columns.to_vec();
    columns.insert(0, column("id", "text"));
    json!({"columns": columns, "key": ["ts", "id"]})
}

const COLUMNS: &str = "columns=symbol,ts,id,a_f64,a_i64,a_bool,a_timestamp";

/// What two rows are answered as.
const ROWS: &str = "A,2024-01-02T00:00:00Z,x,1.5,-7,true,2024-01-01T00:00:00.5Z\n\
                    A,2024-01-02T00:00:00Z,y,,,,";

fn batch() -> RecordBatch {
    let texts = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let ts: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_704_153_600_000; 2]));
    let at: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![Some(1_704_067_200_500), None]));
    RecordBatch::try_from_iter_with_nullable([
        ("symbol", texts(["A", "A"]), false),
        ("ts", ts, false),
        ("id", texts(["x", "y"]), false),
        ("a_f64", Arc::new(Float64Array::from(vec![Some(1.5), None])) as ArrayRef, true),
        ("a_i64", Arc::new(Int64Array::from(vec![Some(-7), None])) as ArrayRef, true),
        ("a_bool", Arc::new(BooleanArray::from(vec![Some(true), None])) as ArrayRef, true),
        ("a_timestamp", at, true),
    ])
    .unwrap()
}

fn stream() -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
    writer.write(&batch()).unwrap();
    writer.into_inner().unwrap()
}

fn parquet() -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch().schema(), None).unwrap();
    writer.write(&batch()).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn rows_come_in_and_go_out_in_every_format() {
    let server = Server::start().await;
    let described = define(&server, "news", news()).await;
    assert_eq!(described["key"], json!(["symbol", "source", "ts", "id"]));
    assert_eq!((&described["version"], &described["type"]), (&json!(1), &json!("table")));
    let csv = "symbol,ts,id,a_f64,a_i64,a_bool,a_timestamp\n\
               A,2024-01-02,x,1.5,-7,true,2024-01-01T00:00:00.500Z\nA,2024-01-02,y,,,,\n";
    let object = r#"{"symbol":"A","ts":"2024-01-02T00:00:00Z","id":"x","a_f64":1.5,"a_i64":-7,
        "a_bool":true,"a_timestamp":"2024-01-01T01:00:00.5+01:00"}"#;
    let other = r#"{"symbol":"A","ts":1704153600000000000,"id":"y","a_bool":null}"#;
    let array = format!("[{object},{other}]");
    let lines = format!("{}\n{other}", object.replace('\n', " "));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv.as_bytes()).unwrap();
    for (number, (kind, body)) in [
        (CSV, csv.as_bytes().to_vec()),
        ("application/json", array.into_bytes()),
        ("application/x-ndjson", lines.into_bytes()),
        ("application/vnd.apache.arrow.stream", stream()),
        ("application/vnd.apache.parquet", parquet()),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("news/rows?source=s{number}");
        assert_eq!(counts(&server, &target, kind, body).await, "2 0 0 0", "{kind}");
        let found = rows(&server, &format!("news?symbols=A&source=s{number}&{COLUMNS}")).await;
        assert_eq!(found, ROWS, "{kind}");
    }
    for (coding, body) in
        [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(csv.as_bytes(), 1).unwrap())]
    {
        let path = format!("/v1/datasets/news/rows?source={coding}");
        let request = server.request(Method::POST, &path).header("content-type", CSV);
        let request = request.header("content-encoding", coding).body(body);
        let (status, body) = answer(request.send().await.unwrap()).await;
        assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{coding}: {body}");
    }
    let path = format!("/v1/tables/news?symbols=A&source=s0&{COLUMNS}");
    let (_, table) = server.get(&path).await;
    assert_eq!(table["columns"][5], json!({"name": "a_bool", "type": "bool"}));
    assert_eq!(table["columns"][6], json!({"name": "a_timestamp", "type": "timestamp"}));
    let expected = json!({"symbol": "A", "ts": "2024-01-02T00:00:00Z", "id": "x", "a_f64": 1.5,
        "a_i64": -7, "a_bool": true, "a_timestamp": "2024-01-01T00:00:00.5Z"});
    assert_eq!(table["rows"][0], expected);
    assert_eq!(table["rows"][1]["a_timestamp"], Value::Null);
    assert_eq!(table["complete"], true);
    let bytes = |format: &str| {
        let request = server.request(Method::GET, &format!("{path}&format={format}"));
        async { request.send().await.unwrap().bytes().await.unwrap() }
    };
    let stream = bytes("arrow").await;
    let arrow = StreamReader::try_new(&stream[..], None).unwrap();
    let arrow: Vec<_> = arrow.map(Result::unwrap).collect();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes("parquet").await).unwrap();
    let parquet: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    for batches in [arrow, parquet] {
        let [batch] = &batches[..] else { panic!("one batch") };
        let kind = |name: &str| batch.schema().field_with_name(name).unwrap().data_type().clone();
        assert_eq!(kind("a_bool"), DataType::Boolean);
        assert_eq!(
            kind("a_timestamp"),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
        );
        let flags = batch.column_by_name("a_bool").unwrap().as_boolean();
        assert!(flags.value(0) && flags.is_null(1));
        assert_eq!(batch.column_by_name("a_i64").unwrap().null_count(), 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_makes_corrections_and_without_one_rows_are_kept_as_they_come() {
    let server = Server::start().await;
    define(
        &server,
        "news",
        json!({"columns": [column("id", "text"), column("score", "i64")],
        "key": ["id"]}),
    )
    .await;
    define(&server, "ticks", json!({"columns": [column("score", "i64")]})).await;
    define(&server, "daily", json!({"columns": [column("score", "i64")], "key": ["ts"]})).await;
    let keyed = "symbol,ts,id,score\nA,2024-01-02,x,1\nA,2024-01-02,y,2\n";
    let again = "symbol,ts,id,score\nA,2024-01-02,x,1\nA,2024-01-02,y,3\nA,2024-01-03,y,3\n";
    assert_eq!(counts(&server, "news/rows", CSV, keyed).await, "2 0 0 0");
    assert_eq!(counts(&server, "news/rows", CSV, again).await, "1 1 1 0");
    let columns = "news?columns=ts,id,score";
    let newest = "2024-01-02T00:00:00Z,x,1\n2024-01-02T00:00:00Z,y,3\n2024-01-03T00:00:00Z,y,3";
    assert_eq!(rows(&server, columns).await, newest);
    let first = "2024-01-02T00:00:00Z,x,1\n2024-01-02T00:00:00Z,y,2";
    // Three definitions came before.
    assert_eq!(rows(&server, &format!("{columns}&at_sequence=4")).await, first);
    let all = rows(&server, &format!("{columns}&revisions=all")).await;
    assert_eq!(all.lines().count(), 4, "{all}");
    let plain = "symbol,ts,score\nA,2024-01-02,1\nA,2024-01-02,1\n";
    assert_eq!(counts(&server, "ticks/rows?batch_id=t", CSV, plain).await, "2 0 0 0");
    let (_, repeated) = send(&server, "ticks/rows?batch_id=t", CSV, plain).await;
    assert_eq!(repeated["repeated"], true, "{repeated}");
    assert_eq!(rows(&server, "ticks?columns=score").await, "1\n1");
    assert_eq!(counts(&server, "daily/rows", CSV, plain).await, "1 1 0 0");
    // The same time from somebody else, or of another symbol, is another row.
    assert_eq!(counts(&server, "daily/rows?source=t", CSV, plain).await, "1 1 0 0");
    assert_eq!(counts(&server, "daily/rows", CSV, plain.replace('A', "B")).await, "1 1 0 0");
    assert_eq!(rows(&server, "daily?columns=symbol,source").await, "A,http\nA,t\nB,http");
    server.stop().await;
}

#[tokio::test]
async fn rows_are_taken_back_by_key_and_by_batch() {
    let server = Server::start().await;
    define(
        &server,
        "news",
        json!({"columns": [column("id", "i64"), column("score", "f64")],
        "key": ["id"]}),
    )
    .await;
    define(&server, "ticks", json!({"columns": [column("score", "f64")]})).await;
    let csv = "symbol,ts,id,score\nA,2024-01-02,1,0.5\nA,2024-01-02,2,0.5\nA,2024-01-03,1,0.5\n";
    let (_, loaded) = send(&server, "news/rows?batch_id=n", CSV, csv).await;
    let key = json!({"symbol": "A", "ts": "2024-01-02", "id": 2});
    let (status, body) = delete(&server, "news/rows", json!({"keys": [key]})).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(rows(&server, "news?columns=id").await, "1\n1");
    let before = format!("news?columns=id&at_sequence={}", loaded["sequence"]);
    assert_eq!(rows(&server, &before).await, "1\n2\n1");
    let (status, body) = delete(&server, "news/rows", json!({"keys": [key]})).await;
    assert_eq!((status, &body["errors"][0]["reason"]), (422, &json!("nothing_to_retract")));
    for (target, keys, field) in [
        ("news/rows", json!({"keys": [{"symbol": "A", "ts": "2024-01-02"}]}), "keys[0].id"),
        ("news/rows", json!({"keys": [{"symbol": "A", "ts": "2024-01-02", "id": "x"}]}), "keys[0]"),
        ("news/rows?symbol=A&ts=2024-01-02", json!({}), "symbol"),
        ("ticks/rows?symbol=A&ts=2024-01-02", json!({}), "batch"),
    ] {
        let (status, problem) = delete(&server, target, keys).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{target}: {problem}");
    }
    let (status, body) = delete(&server, "news/rows?batch=n", Value::Null).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{body}");
    assert_eq!(rows(&server, "news?columns=id").await, "");
    let equal = "symbol,ts,score\nA,2024-01-02,1\nA,2024-01-02,1\n";
    send(&server, "ticks/rows?batch_id=t", CSV, equal).await;
    send(&server, "ticks/rows?batch_id=u", CSV, equal).await;
    let (_, body) = delete(&server, "ticks/rows?batch=t", Value::Null).await;
    assert_eq!(body["accepted"], 2, "{body}");
    assert_eq!(rows(&server, "ticks?columns=score").await, "1.0\n1.0");
    server.stop().await;
}

#[tokio::test]
async fn a_changed_table_keeps_its_rows_and_answers_as_it_was_then() {
    let server = Server::start().await;
    let first = json!({"columns": [column("n", "i64"), column("old", "text")], "key": ["ts"]});
    define(&server, "t", first.clone()).await;
    let (_, body) = put(&server, "t", first.clone()).await;
    assert_eq!((&body["version"], &body["sequence"]), (&json!(1), &json!(1)), "nothing changed");
    let csv = "symbol,ts,n,old\nA,2024-01-02,7,x\n";
    let (_, loaded) = send(&server, "t/rows?batch_id=b", CSV, csv).await;
    let second = json!({"columns": [{"name": "number", "was": "n", "type": "f64"},
        column("more", "bool")], "key": ["ts"]});
    let described = define(&server, "t", second).await;
    assert_eq!((&described["version"], &described["hidden"]), (&json!(2), &json!(["old"])));
    let names: Vec<&Value> =
        described["columns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["symbol", "ts", "number", "more", "known_at"]);
    let csv = "symbol,ts,number,more\nA,2024-01-03,0.5,true\n";
    assert_eq!(counts(&server, "t/rows", CSV, csv).await, "1 0 0 0");
    let newest = "7.0,\n0.5,true";
    let columns = "t?columns=number,more";
    assert_eq!(rows(&server, columns).await, newest);
    let before = format!("t?columns=n,old&at_sequence={}", loaded["sequence"]);
    assert_eq!(rows(&server, &before).await, "7,x");
    let (status, problem) = server.get("/v1/tables/t?columns=old").await;
    assert_eq!((status, &problem["field"]), (400, &json!("columns")), "{problem}");
    let server = server.restart().await;
    assert_eq!(rows(&server, columns).await, newest);
    assert_eq!(rows(&server, &before).await, "7,x");
    // What was sent before the change is still the same batch.
    let (_, old) = server.get("/v1/datasets/t?at_sequence=2").await;
    assert_eq!((&old["version"], &old["columns"][3]["name"]), (&json!(1), &json!("old")), "{old}");
    assert_eq!(old["versions"].as_array().unwrap().len(), 1);
    let third = json!({"columns": [column("number", "f64"), column("old", "text")],
        "key": ["ts"]});
    assert_eq!(define(&server, "t", third).await["version"], 3);
    assert_eq!(rows(&server, "t?columns=number,old").await, "7.0,x\n0.5,");
    let (_, listed) = server.get("/v1/datasets").await;
    let row = listed["rows"].as_array().unwrap().last().unwrap().clone();
    let expected = json!({"name": "t", "type": "table", "version": 3, "series": 1, "symbols": 1,
        "sources": 1, "rows": 2});
    assert_eq!(row, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_change_that_stored_rows_cannot_bear_is_refused_and_names_the_column() {
    let server = Server::start().await;
    let first = json!({"columns": [column("n", "i64"), column("s", "text")], "key": ["ts"]});
    define(&server, "t", first).await;
    let csv = "symbol,ts,n,s\nA,2024-01-02,9007199254740993,x\n";
    assert_eq!(counts(&server, "t/rows", CSV, csv).await, "1 0 0 0");
    let state = server.get("/v1/datasets/t").await;
    for (columns, key, status, field) in [
        (json!([column("n", "text"), column("s", "text")]), "ts", 409, "columns[0].type"),
        (
            json!([column("n", "i64"), {"name": "s", "type": "text", "nullable": false}]),
            "ts",
            409,
            "columns[1].nullable",
        ),
        (
            json!([column("n", "i64"), {"name": "m", "type": "text", "nullable": false}]),
            "ts",
            409,
            "columns[1].nullable",
        ),
        (json!([column("n", "i64"), column("s", "text")]), "s", 409, "key"),
        (json!([column("n", "i64"), column("N", "text")]), "ts", 409, "columns[1].name"),
        (json!([column("known_at", "i64")]), "ts", 400, "columns[0].name"),
        (json!([column("n", "int")]), "ts", 400, "columns[0].type"),
        (json!([]), "ts", 400, "columns"),
    ] {
        let document = json!({"columns": columns, "key": [key]});
        let (found, problem) = put(&server, "t", document.clone()).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{document}: {problem}");
    }
    // A whole number that no double is, is stored.
    let wide = json!({"columns": [column("n", "f64"), column("s", "text")], "key": ["ts"]});
    let (status, problem) = put(&server, "t", wide).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("'n' holds 9007199254740993"));
    for name in ["bars", "Trades", "settings", "bars_1m", "a-b", "1a"] {
        let (status, problem) = put(&server, name, json!({"columns": [column("n", "i64")]})).await;
        assert_eq!((status, &problem["field"]), (400, &json!("name")), "{name}: {problem}");
    }
    assert_eq!(server.get("/v1/datasets/t").await, state);
    for path in ["/v1/tables/nobody", "/v1/tables/bars", "/v1/datasets/nobody"] {
        let (status, problem) = server.get(path).await;
        assert_eq!((status, &problem["field"]), (404, &json!("dataset")), "{path}: {problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn drift_is_refused_left_out_or_kept_as_dead_letters() {
    let server = Server::start().await;
    let table = |extra: &str, kind: &str| {
        json!({"columns": [{"name": "n", "type": kind, "nullable": false}], "key": ["ts"],
            "extra": extra})
    };
    define(&server, "t", table("reject", "i64")).await;
    let csv = "symbol,ts,n,colour,shape\nA,2024-01-02,1,red,round\nA,2024-01-03,1.5,red,round\n";
    let (status, problem) = send(&server, "t/rows", CSV, csv).await;
    assert_eq!((status, &problem["field"]), (400, &json!("colour, shape")), "{problem}");
    let json_row = r#"[{"symbol":"A","ts":"2024-01-02","n":1,"colour":"red"}]"#;
    let (status, problem) = send(&server, "t/rows", "application/json", json_row).await;
    assert_eq!((status, &problem["field"]), (400, &json!("colour")), "{problem}");
    define(&server, "t", table("ignore", "i64")).await;
    let (status, body) = send(&server, "t/rows", CSV, csv).await;
    assert_eq!((status, &body["ignored"]), (200, &json!(["colour", "shape"])), "{body}");
    assert_eq!((&body["accepted"], &body["rejected"]), (&json!(1), &json!(1)), "{body}");
    assert_eq!(body["errors"][0]["reason"], "not_a_number");
    let (_, body) = send(&server, "t/rows", "application/json", json_row).await;
    assert_eq!((&body["ignored"], &body["duplicates"]), (&json!(["colour"]), &json!(1)), "{body}");
    let (_, body) = send(&server, "t/rows", CSV, "symbol,ts,n\nA,2024-01-04,\n").await;
    assert_eq!(body["errors"][0]["reason"], "missing_value", "{body}");
    // The letter gets in once the column can hold what it says.
    let (_, letters) = server.get("/v1/dead-letters").await;
    let id = letters["rows"][1]["id"].as_str().unwrap();
    let path = format!("/v1/dead-letters/{id}/replay?columns=symbol,ts,n,-,-");
    let replay =
        || async { answer(server.request(Method::POST, &path).send().await.unwrap()).await };
    let (status, body) = replay().await;
    assert_eq!((status, &body["rejected"]), (422, &json!(1)), "{body}");
    define(&server, "t", table("ignore", "f64")).await;
    let (status, body) = replay().await;
    assert_eq!((status, &body["accepted"]), (200, &json!(1)), "{body}");
    assert_eq!(rows(&server, "t?columns=n").await, "1.0\n1.5");
    server.stop().await;
}

#[tokio::test]
async fn what_is_said_of_market_data_is_not_said_of_a_table() {
    let server = Server::start().await;
    define(&server, "t", json!({"columns": [column("n", "i64")]})).await;
    for (query, field) in [
        ("covers=2024-01-01..2024-01-02", "covers"),
        ("replace=true", "replace"),
        ("calendar=XNYS", "calendar"),
        ("session=regular", "session"),
        ("timeframe=1m", "timeframe"),
        ("price=bid", "price"),
        ("stamp=end", "stamp"),
    ] {
        let target = format!("t/rows?{query}");
        let (status, problem) = send(&server, &target, CSV, "symbol,ts,n\n").await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
    }
    for query in ["frequency=1m", "layer=curated", "fill=forward", "price=bid", "adjust=all"] {
        let (status, problem) = server.get(&format!("/v1/tables/t?{query}")).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }
    // A table without rows has none; a symbol without rows is not known.
    assert_eq!(rows(&server, "t").await, "");
    let (status, problem) = server.get("/v1/tables/t?symbols=A").await;
    assert_eq!((status, &problem["field"]), (404, &json!("symbols")), "{problem}");
    // One symbol for all rows, and rows that say when they were known.
    let csv = "ts,n,known_at\n2024-01-02T10:00:00Z,1,2024-01-02T10:05:00Z\n";
    assert_eq!(counts(&server, "t/rows?symbol=ALL", CSV, csv).await, "1 0 0 0");
    let columns = "columns=symbol,n,known_at,assumed";
    let expected = "ALL,1,2024-01-02T10:05:00Z,false";
    assert_eq!(rows(&server, &format!("t?{columns}")).await, expected);
    assert_eq!(rows(&server, &format!("t?{columns}&as_of=2024-01-02T10:05:00Z")).await, expected);
    assert_eq!(rows(&server, &format!("t?{columns}&as_of=2024-01-02T10:04:59Z")).await, "");
    server.stop().await;
}

#[tokio::test]
async fn pages_of_a_table_are_of_the_version_that_the_first_was_of() {
    let server = Server::start().await;
    define(&server, "t", json!({"columns": [column("n", "i64")], "key": ["ts"]})).await;
    let csv = "symbol,ts,n\nB,2024-01-02,1\nA,2024-01-02,2\nA,2024-01-03,3\n";
    send(&server, "t/rows", CSV, csv).await;
    let (_, first) = server.get("/v1/tables/t?limit=2").await;
    let renamed = json!({"columns": [{"name": "m", "was": "n", "type": "f64"}], "key": ["ts"]});
    define(&server, "t", renamed).await;
    send(&server, "t/rows", CSV, "symbol,ts,m\nA,2024-01-04,4.5\nC,2024-01-01,5\n").await;
    let cursor = first["cursor"].as_str().unwrap();
    let (_, second) = server.get(&format!("/v1/tables/t?limit=2&cursor={cursor}")).await;
    let shown = |table: &Value| -> Vec<(Value, Value)> {
        let rows = table["rows"].as_array().unwrap();
        rows.iter().map(|row| (row["symbol"].clone(), row["n"].clone())).collect()
    };
    assert_eq!(shown(&first), [(json!("A"), json!(2)), (json!("A"), json!(3))]);
    assert_eq!(shown(&second), [(json!("B"), json!(1))]);
    assert!(second.get("cursor").is_none(), "{second}");
    assert_eq!(rows(&server, "t?columns=symbol,m").await, "A,2.0\nA,3.0\nA,4.5\nB,1.0\nC,5.0");
    server.stop().await;
}

#[tokio::test]
async fn the_client_defines_fills_asks_and_takes_back() {
    let server = Server::start_with(config()).await;
    let client = Client::new(&format!("http://{}", server.address())).unwrap();
    let id = TableColumn::new("id", "text").required();
    let definition = TableDefinition::new([id, TableColumn::new("a_f64", "f64")])
        .key(["ts", "id"])
        .ignore_extra();
    let described = client.put_dataset("news", &definition).await.unwrap();
    assert_eq!((described.version, described.extra.as_deref()), (1, Some("ignore")));
    let options = IngestOptions::table("news", "vendor").batch_id("b");
    let sent = client.ingest_arrow(&options, &[batch()]).await.unwrap();
    assert_eq!((sent.accepted, sent.ignored.len()), (2, 3), "{sent:?}");
    let query = TicksQuery::default().columns(["id", "a_f64"]);
    let batches = client.table("news", &query).await.unwrap().all().await.unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 2);
    let keys = DeleteKeys::Keys {
        source: "vendor".into(),
        keys: vec![json!({"symbol": "A", "ts": "2024-01-02", "id": "x"})],
    };
    assert_eq!(client.delete_rows("news", &keys, None).await.unwrap().accepted, 1);
    let described = client.dataset("news").await.unwrap();
    assert_eq!((described.rows, described.kind.as_str()), (3, "table"));
    let narrow = TableDefinition::new([TableColumn::new("id", "i64").required()]).key(["id"]);
    let refused = client.put_dataset("news", &narrow).await.unwrap_err();
    assert!(matches!(refused, ClientError::Conflict(_)), "{refused:?}");
    let names: BTreeSet<String> =
        client.list_datasets().await.unwrap().into_iter().map(|dataset| dataset.name).collect();
    assert!(names.contains("news") && names.contains("bars"));
    server.stop().await;
}

#[tokio::test]
async fn a_bare_date_is_a_day_in_rows_and_in_questions_whatever_the_calendar() {
    let server = Server::start().await;
    let request = server.request(Method::PUT, "/v1/instruments/A");
    let request = request.json(&json!({"calendar": "XNYS"}));
    assert_eq!(request.send().await.unwrap().status(), 200);
    define(&server, "t", json!({"columns": [column("n", "i64")], "key": ["ts"]})).await;
    let csv = "symbol,ts,n\nA,2024-01-02,1\nA,2024-01-02T23:59:59Z,2\nA,2024-01-03,3\n";
    assert_eq!(counts(&server, "t/rows", CSV, csv).await, "3 0 0 0");
    let day = "start=2024-01-02&end=2024-01-03";
    assert_eq!(rows(&server, &format!("t?columns=n&{day}")).await, "1\n2");
    let (_, table) = server.get(&format!("/v1/tables/t?{day}")).await;
    assert_eq!(table["calendar"], "none");
    server.stop().await;
}
