//! Features over the wire: groups put and told, their cells over ranges, now, then and joined.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampNanosecondArray};
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;
use barrow_client::{Client, FeatureClass, FeaturesAtQuery, FeaturesJoin, FeaturesQuery};
use barrow_client::{FeaturesRange, LatestFeaturesQuery};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, csv};

const GROUP: &str = "/v1/feature-groups/g";
const BASE: &str = "/v1/features?groups=g&symbols=A";
const RANGE: &str = "&start=2013-10-07T13:30:00Z&end=2013-10-07T13:35:00Z";

fn group() -> Value {
    json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": {"every": "1m"},
        "features": [
            {"name": "ret1", "expr": "Ret($close, 1)"},
            {"name": "mean3", "expr": "Mean($close, 3)"},
        ],
    })
}

/// Minutes 30, 31 and 33, of a load of history: each known since it ended; and the group `g`.
async fn three_bars() -> Server {
    let server = Server::start().await;
    let query = "&source=x&known_at_policy=ts_end%2B0s";
    server.load(query, &csv("A", "30 1\n31 2\n33 1.5")).await;
    put(&server, GROUP, &group()).await;
    server
}

async fn send(server: &Server, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let request = server.request(method, path).json(body);
    answer(request.send().await.unwrap()).await
}

/// Puts what must be taken.
async fn put(server: &Server, path: &str, document: &Value) -> Value {
    let (status, body) = send(server, Method::PUT, path, document).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// The lines of CSV without its head, times as minutes.
fn minutes(text: &str) -> Vec<String> {
    let lines = text.lines().skip(1);
    lines.map(|line| line.replace("2013-10-07T13:", "").replace(":00Z", "")).collect()
}

/// The first `count` fields of each line of a CSV answer.
async fn lines(server: &Server, path: &str, count: usize) -> Vec<String> {
    let text = server.text(&format!("{path}&format=csv")).await;
    let first = |line: String| line.split(',').take(count).collect::<Vec<_>>().join(",");
    minutes(&text).into_iter().map(first).collect()
}

#[tokio::test]
async fn a_range_has_a_row_for_each_slot_and_a_reason_for_each_null() {
    let server = three_bars().await;
    let text = server.text(&format!("{BASE}{RANGE}&reasons=true&format=csv")).await;
    let head = "symbol,ts,ret1,ret1__reason,mean3,mean3__reason,ts_end,session,coverage,\
                provisional,available_at,known_at,sequence,version,instrument_id";
    assert_eq!(text.lines().next().unwrap(), head);
    let cells = lines(&server, &format!("{BASE}{RANGE}&reasons=true"), 9).await;
    // Of 32 there is no row: the mean is of the two others of its window.
    let expected = [
        "A,30,,warm_up,,warm_up,31,2013-10-07,0.0",
        "A,31,1.0,ok,,warm_up,32,2013-10-07,0.5",
        "A,32,,missing,1.5,ok,33,2013-10-07,0.5",
        "A,33,,missing,1.75,ok,34,2013-10-07,0.5",
        "A,34,,missing,,too_few,35,2013-10-07,0.0",
    ];
    assert_eq!(cells, expected);
    // Without ends it goes from the first row to the last.
    assert_eq!(lines(&server, BASE, 4).await, ["A,30,,", "A,31,1.0,", "A,32,,1.5", "A,33,,1.75"]);
    let (_, table) = server.get(&format!("{BASE}{RANGE}")).await;
    let described = server.get(GROUP).await.1;
    let version = format!("g@{}", described["version"].as_str().unwrap());
    let row = &table["rows"][1];
    assert_eq!(
        row,
        &json!({
            "symbol": "A",
            "ts": "2013-10-07T13:31:00Z",
            "ret1": 1.0,
            "mean3": null,
            "ts_end": "2013-10-07T13:32:00Z",
            "session": "2013-10-07",
            "coverage": 0.5,
            "provisional": false,
            "available_at": "2013-10-07T13:32:00Z",
            "known_at": "2013-10-07T13:32:00Z",
            "sequence": row["sequence"],
            "version": version,
            "instrument_id": "A",
        })
    );
    assert_eq!((&table["complete"], &table["calendar"]), (&json!(true), &json!("none")));
    let chosen = format!("{BASE}{RANGE}&reasons=true&columns=mean3__reason,ts,mean3");
    let chosen = lines(&server, &chosen, 4).await;
    let expected = ["warm_up,30,", "warm_up,31,", "ok,32,1.5", "ok,33,1.75", "too_few,34,"];
    assert_eq!(chosen, expected);
    server.stop().await;
}

/// Closes 10, 6 and 2.9 of three days; a split of 2 on the second, a dividend of 1 on the third.
async fn three_days(server: &Server) {
    let bars = "symbol,ts,open,high,low,close,volume\n\
                A,2013-10-07T13:30:00Z,10,10,10,10,100\n\
                A,2013-10-08T13:30:00Z,6,6,6,6,300\n\
                A,2013-10-09T13:30:00Z,2.9,2.9,2.9,2.9,400\n";
    server.load("&source=x", bars).await;
    let actions = json!({"actions": [
        {"ex_date": "2013-10-08", "kind": "split", "value": 2},
        {"ex_date": "2013-10-09", "kind": "dividend", "value": 1},
        {"ex_date": "2013-10-07", "kind": "split", "value": 3},
        {"ex_date": "2013-10-10", "kind": "split", "value": 5},
    ]});
    put(server, "/v1/instruments/A", &actions).await;
}

fn adjusted(adjust: &str) -> Value {
    json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": {"every": "1m", "adjust": adjust},
        "options": {"gap": "rows", "warmup": 1, "min_valid": 1},
        "features": [
            {"name": "close", "expr": "$close"},
            {"name": "volume", "expr": "$volume"},
            {"name": "ret", "expr": "Ret($close, 1)"},
        ],
    })
}

#[tokio::test]
async fn actions_up_to_a_slot_bring_its_row_back_to_the_shares_of_the_first() {
    let server = Server::start().await;
    three_days(&server).await;
    let closes = async |server: &Server| {
        let text = server.text(&format!("{BASE}&columns=close,volume,ret&format=csv")).await;
        let number = |text: &str| text.parse().unwrap_or(f64::NAN);
        let lines = text.lines().skip(1);
        lines.map(|line| line.split(',').map(number).collect()).collect::<Vec<Vec<f64>>>()
    };
    for (adjust, expected) in [
        ("none", [[10.0, 100.0], [6.0, 300.0], [2.9, 400.0]]),
        ("splits", [[10.0, 100.0], [12.0, 150.0], [5.8, 200.0]]),
        // The dividend leaves 5/6 of the close of 6 before it.
        ("all", [[10.0, 100.0], [12.0, 150.0], [5.8 / (1.0 - 1.0 / 6.0), 200.0]]),
    ] {
        let version = put(&server, GROUP, &adjusted(adjust)).await["version"].clone();
        let path = format!("{GROUP}/promote");
        send(&server, Method::POST, &path, &json!({"version": version})).await;
        let found = closes(&server).await;
        let firsts: Vec<&[f64]> = found.iter().map(|line| &line[..2]).collect();
        assert_eq!(firsts, expected, "{adjust}");
        let [_, one, two] = expected.map(|line| line[0]);
        assert_eq!(found[1][2], one / 10.0 - 1.0, "{adjust}");
        assert_eq!(found[2][2], two / one - 1.0, "{adjust}");
    }
    // The second day alone is as it is among the others.
    let alone = "&start=2013-10-08T00:00:00Z&end=2013-10-09T00:00:00Z&columns=close&format=csv";
    assert_eq!(server.text(&format!("{BASE}{alone}")).await, "close\n12.0\n");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_adjusted_is_refused_where_a_row_comes_after_it() {
    let server = Server::start().await;
    three_days(&server).await;
    put(&server, GROUP, &adjusted("all")).await;
    let huge = json!({"actions": [{"ex_date": "2013-10-09", "kind": "dividend", "value": 7}]});
    put(&server, "/v1/instruments/A", &huge).await;
    let before = "&end=2013-10-09T00:00:00Z&columns=close&format=csv";
    assert_eq!(server.text(&format!("{BASE}{before}")).await, "close\n10.0\n12.0\n");
    let (status, problem) = server.get(BASE).await;
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("2013-10-09 is 7"), "{problem}");
    put(&server, "/v1/sources/bars", &json!({"adjustment": {"x": "splits"}})).await;
    let (status, problem) = server.get(&format!("{BASE}{before}")).await;
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("adjustment:x"), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn every_format_has_the_same_cells() {
    let server = three_bars().await;
    let path = format!("{BASE}{RANGE}&reasons=true");
    let bytes = async |format: &str| {
        let request = server.request(Method::GET, &format!("{path}&format={format}"));
        request.send().await.unwrap().bytes().await.unwrap()
    };
    let (_, json) = server.get(&path).await;
    let arrow = bytes("arrow").await;
    let arrow = arrow::ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap();
    let schema = arrow.schema();
    let told: Vec<(String, String)> = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().to_string()))
        .collect();
    let name = "Dictionary(Int32, Utf8)";
    let time = "Timestamp(ns, \"UTC\")";
    let expected = [
        ("symbol", name),
        ("ts", time),
        ("ret1", "Float64"),
        ("ret1__reason", name),
        ("mean3", "Float64"),
        ("mean3__reason", name),
        ("ts_end", time),
        ("session", "Date32"),
        ("coverage", "Float64"),
        ("provisional", "Boolean"),
        ("available_at", time),
        ("known_at", time),
        ("sequence", "Int64"),
        ("version", name),
        ("instrument_id", name),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(told, expected);
    let columns = json["columns"].as_array().unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, expected.each_ref().map(|(name, _)| name.as_str()));
    let arrow: Vec<RecordBatch> = arrow.map(Result::unwrap).collect();
    let parquet = bytes("parquet").await;
    let parquet = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(parquet);
    let parquet: Vec<RecordBatch> = parquet.unwrap().build().unwrap().map(Result::unwrap).collect();
    let csv = String::from_utf8(bytes("csv").await.to_vec()).unwrap();
    let csv: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!((rows.len(), csv.len()), (5, 5));
    for batches in [arrow, parquet] {
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(batch.num_rows(), 5);
        for (place, name) in names.iter().enumerate() {
            let column = batch.column(place);
            for (at, row) in rows.iter().enumerate() {
                assert_eq!(column.is_null(at), row[*name].is_null(), "{name} {at}");
                assert_eq!(csv[at][place].is_empty(), row[*name].is_null(), "{name} {at}");
                if let Some(number) = row[*name].as_f64().filter(|_| name.ends_with(['1', '3'])) {
                    let found = column.as_primitive::<Float64Type>();
                    assert_eq!((found.value(at), csv[at][place].parse()), (number, Ok(number)));
                }
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_add_up_to_the_whole_and_keep_to_the_state_of_the_first() {
    let server = three_bars().await;
    server.load("&source=x&known_at_policy=ts_end%2B0s", &csv("B", "30 1\n32 2")).await;
    let base = format!("/v1/features?groups=g&symbols=B,A{RANGE}&reasons=true");
    let (_, whole) = server.get(&base).await;
    assert_eq!(whole["rows"].as_array().unwrap().len(), 10);
    for limit in 1..=10 {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let (_, page) = server.get(&format!("{base}&limit={limit}{cursor}")).await;
            let page_rows = page["rows"].as_array().unwrap().clone();
            assert!(page_rows.len() <= limit, "{page}");
            rows.extend(page_rows);
            match &page["cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        assert_eq!(Value::from(rows), whole["rows"], "{limit}");
    }
    let (_, first) = server.get(&format!("{base}&limit=1")).await;
    server.load("&source=x&known_at_policy=ts_end%2B0s", &csv("B", "31 1.5")).await;
    let cursor = first["cursor"].as_str().unwrap();
    let (_, rest) = server.get(&format!("{base}&limit=100&cursor={cursor}")).await;
    assert_eq!(rest["rows"].as_array().unwrap()[..], whole["rows"].as_array().unwrap()[1..]);
    let other = format!("{BASE}{RANGE}&limit=1&cursor={cursor}");
    let (status, problem) = server.get(&other).await;
    assert_eq!((status, &problem["field"]), (400, &json!("cursor")), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn cells_are_as_they_were_known_then_and_as_they_were_held_then() {
    let server = three_bars().await;
    let (_, before) = server.get("/v1/datasets/bars").await;
    let all = format!("{BASE}{RANGE}");
    // Known since the correction came in, which is now.
    server.load("&source=x", &csv("A", "31 4")).await;
    let now = ["A,30,,", "A,31,3.0,", "A,32,,2.5", "A,33,,2.75", "A,34,,"];
    assert_eq!(lines(&server, &all, 4).await, now);
    let as_of = lines(&server, &format!("{all}&as_of=2013-10-07T13:34:00Z"), 4).await;
    assert_eq!(as_of, ["A,30,,", "A,31,1.0,", "A,32,,1.5", "A,33,,1.75"]);
    let held = format!("{all}&at_sequence={}", before["sequence"]);
    let held = lines(&server, &held, 4).await;
    assert_eq!(held, ["A,30,,", "A,31,1.0,", "A,32,,1.5", "A,33,,1.75", "A,34,,"]);
    let early = lines(&server, &format!("{all}&as_of=2013-10-07T13:32:00Z"), 4).await;
    assert_eq!(early, ["A,30,,", "A,31,1.0,"]);
    let none = lines(&server, &format!("{all}&as_of=2013-10-07T13:00:00Z"), 4).await;
    assert_eq!(none, [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn groups_stand_side_by_side_if_their_slots_are_the_same() {
    let server = three_bars().await;
    let mut other = group();
    other["name"] = json!("h");
    other["features"] = json!([{"name": "ret1", "expr": "$close - Ref($close, 1)"}]);
    put(&server, "/v1/feature-groups/h", &other).await;
    let text = server.text(&format!("/v1/features?groups=h,g&symbols=A{RANGE}&format=csv")).await;
    let head = "symbol,ts,h__ret1,g__ret1,g__mean3,ts_end,session,coverage,";
    assert!(text.starts_with(head), "{text}");
    assert!(minutes(&text)[1].starts_with("A,31,1.0,1.0,,"), "{text}");
    let with_reasons = format!("/v1/features?groups=h,g&symbols=A{RANGE}&reasons=true");
    let (_, table) = server.get(&with_reasons).await;
    assert_eq!(table["rows"][3]["h__ret1__reason"], "missing");
    let versions = table["rows"][0]["version"].as_str().unwrap();
    assert!(versions.starts_with("h@") && versions.contains(",g@"), "{versions}");
    other["bars"]["every"] = json!("5m");
    put(&server, "/v1/feature-groups/m", &other_named(&other, "m")).await;
    for groups in ["g,m", "g,g", "g,none", "g@0123456789abcdef"] {
        let path = format!("/v1/features?groups={groups}&symbols=A");
        let (status, problem) = server.get(&path).await;
        let expected = if groups == "g,m" || groups == "g,g" { 400 } else { 404 };
        assert_eq!((status, &problem["field"]), (expected, &json!("groups")), "{problem}");
    }
    server.stop().await;
}

fn other_named(document: &Value, name: &str) -> Value {
    let mut document = document.clone();
    document["name"] = json!(name);
    document
}

#[tokio::test]
async fn the_latest_slot_is_the_last_with_a_row_and_tells_its_age() {
    let server = three_bars().await;
    let latest = "/v1/features/latest?groups=g&symbols=A";
    assert_eq!(lines(&server, latest, 4).await, ["A,33,,1.75"]);
    let (_, table) = server.get(latest).await;
    let names: Vec<&Value> =
        table["columns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    let age = names.iter().position(|name| **name == "age").unwrap();
    assert_eq!(names[age + 1], "coverage");
    let then = format!("{latest}&as_of=2013-10-07T13:33:30Z&reasons=true");
    let (_, table) = server.get(&then).await;
    // At 13:33:30 the slot of 32 has ended, without a row.
    let row = &table["rows"][0];
    assert_eq!(row["ts"], "2013-10-07T13:31:00Z", "{table}");
    assert_eq!((&row["age"], &row["mean3__reason"]), (&json!(90.0), &json!("warm_up")));
    let (_, young) = server.get(&format!("{then}&max_age=90s")).await;
    assert_eq!(young["rows"].as_array().unwrap().len(), 1);
    let (_, old) = server.get(&format!("{then}&max_age=89s")).await;
    let warning = json!(["A: its newest is 90 s old, more than 89 s"]);
    assert_eq!((&old["rows"], &old["warnings"]), (&json!([]), &warning));
    let slot = format!("{latest}&slot=2013-10-07T13:32:00Z");
    assert_eq!(lines(&server, &slot, 4).await, ["A,32,,1.5"]);
    let (_, both) = server.get("/v1/features/latest?groups=g&symbols=A,B").await;
    assert_eq!(both["rows"].as_array().unwrap().len(), 1);
    assert!(both["warnings"][0].as_str().unwrap().starts_with("B: "), "{both}");
    server.stop().await;
}

#[tokio::test]
async fn at_an_instant_is_the_last_slot_that_could_be_had_or_the_one_that_starts_then() {
    let server = three_bars().await;
    let at = async |ts: &str, more: &str| {
        let path = format!("/v1/features/at?groups=g&symbols=A&ts=2013-10-07T13:{ts}Z{more}");
        lines(&server, &path, 4).await
    };
    assert_eq!(at("34:00", "").await, ["A,33,,1.75"]);
    assert_eq!(at("33:59", "").await, ["A,32,,1.5"]);
    assert_eq!(at("33:59", "&mode=latest").await, ["A,32,,1.5"]);
    assert_eq!(at("31:00", "").await, ["A,30,,"]);
    assert_eq!(at("30:59", "").await, [""; 0]);
    assert_eq!(at("31:00", "&mode=exact").await, ["A,31,1.0,"]);
    assert_eq!(at("31:30", "&mode=exact").await, [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_join_answers_each_row_with_what_could_be_had_then() {
    let server = three_bars().await;
    server.load("&source=x&known_at_policy=ts_end%2B0s", &csv("B", "30 8\n31 2")).await;
    let body = "symbol,t\n\
                A,2013-10-07T13:34:00Z\n\
                A,2013-10-07T13:30:59Z\n\
                B,2013-10-07T13:32:00Z\n\
                A,2013-10-07T13:33:59Z\n\
                A,2013-10-07T13:33:59Z\n\
                B,2013-10-07T13:00:00Z\n";
    let path = "/v1/features/join?groups=g&reasons=true";
    let post = async |path: &str, body: &str| {
        let request = server.request(Method::POST, path).header("content-type", "text/csv");
        request.body(body.to_owned()).send().await.unwrap()
    };
    let text = post(&format!("{path}&format=csv"), body).await.text().await.unwrap();
    let head = "symbol,t,ts,ret1,ret1__reason,mean3,mean3__reason,ts_end,session,";
    assert!(text.starts_with(head), "{text}");
    let first: Vec<String> = minutes(&text)
        .iter()
        .map(|line| line.split(',').take(8).collect::<Vec<_>>().join(","))
        .collect();
    let expected = [
        "A,34,33,,missing,1.75,ok,34",
        "A,2013-10-07T13:30:59Z,,,warm_up,,warm_up,",
        "B,32,31,-0.75,ok,,warm_up,32",
        "A,2013-10-07T13:33:59Z,32,,missing,1.5,ok,33",
        "A,2013-10-07T13:33:59Z,32,,missing,1.5,ok,33",
        "B,2013-10-07T13:00:00Z,,,warm_up,,warm_up,",
    ];
    let expected = minutes(&format!("head\n{}", expected.join("\n")));
    assert_eq!(first, expected);
    let (status, table) = answer(post(path, body).await).await;
    assert_eq!((status, table["rows"].as_array().unwrap().len()), (200, 6));
    let before = &table["rows"][1];
    for name in ["ts", "ts_end", "session", "available_at", "known_at", "sequence"] {
        assert!(before[name].is_null(), "{name}: {before}");
    }
    for (path, body, field) in [
        (path, "symbol,t\nA,yesterday\n", "body"),
        (path, "symbol,t,price\nA,2013-10-07T13:34:00Z,1\n", "price"),
        (path, "symbol,t,known_at\nA,2013-10-07T13:34:00Z,2013-10-07T13:34:00Z\n", "known_at"),
        (path, "symbol\nA\n", "t"),
        ("/v1/features/join", "symbol,t\n", "groups"),
        ("/v1/features/join?groups=g&symbols=A", "symbol,t\n", "symbols"),
    ] {
        let (status, problem) = answer(post(path, body).await).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{body}: {problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_same_definition_is_the_same_version_and_only_the_first_promotes_itself() {
    let server = three_bars().await;
    let first = server.get(GROUP).await.1;
    let again = put(&server, GROUP, &group()).await;
    assert_eq!(again["versions"], first["versions"]);
    assert_eq!(first["is_promoted"], true);
    // Spelling does not count, what decides the values does.
    let mut document = group();
    document["features"][1]["expr"] = json!(" ma( $CLOSE,3 ) ");
    assert_eq!(put(&server, GROUP, &document).await["version"], first["version"]);
    document["features"][1]["expr"] = json!("Mean($close, 2)");
    let second = put(&server, GROUP, &document).await;
    assert_ne!(second["version"], first["version"]);
    assert_eq!(second["is_promoted"], false);
    assert_eq!(second["promoted"], first["version"]);
    assert_eq!(lines(&server, &format!("{BASE}{RANGE}"), 4).await[1], "A,31,1.0,");
    let version = second["version"].as_str().unwrap();
    let of_second = format!("/v1/features?groups=g@{version}&symbols=A{RANGE}");
    assert_eq!(lines(&server, &of_second, 4).await[1], "A,31,1.0,1.5");
    let promote = json!({ "version": version });
    let (status, told) = send(&server, Method::POST, &format!("{GROUP}/promote"), &promote).await;
    assert_eq!((status, told), (200, json!({"name": "g", "promoted": version})));
    assert_eq!(lines(&server, &format!("{BASE}{RANGE}"), 4).await[1], "A,31,1.0,1.5");
    let server = server.restart().await;
    let (_, list) = server.get("/v1/feature-groups").await;
    assert_eq!(list["groups"][0]["promoted"], version);
    assert_eq!(list["groups"][0]["versions"].as_array().unwrap().len(), 2);
    let (_, old) = server.get(&format!("{GROUP}/{}", first["version"].as_str().unwrap())).await;
    assert_eq!((&old["document"], &old["is_promoted"]), (&group(), &json!(false)));
    server.stop().await;
}

#[tokio::test]
async fn a_group_is_described_by_what_follows_from_its_expressions() {
    let server = three_bars().await;
    let mut document = group();
    document["params"] = json!({"W": [5, 20]});
    document["features"] = json!([
        {"name": "spread", "expr": "$high - $low"},
        {"name": "roc{w}", "for": {"w": "W"}, "expr": "Ref($close, {w})/$close"},
        {"name": "rsi", "expr": "RSI($close, 14)"},
    ]);
    let told = put(&server, GROUP, &document).await;
    let shown = |feature: &Value| {
        let of = |name: &str| feature[name].to_string().replace('"', "");
        ["name", "class", "lookback", "warm_up"].map(of).join(" ")
    };
    let features: Vec<String> = told["features"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(
        features,
        [
            "spread elementwise 0 0",
            "roc5 window 5 5",
            "roc20 window 20 20",
            "rsi recursive null 14"
        ]
    );
    assert_eq!(told["features"][1]["expr"], "Ref($close, 5) / $close");
    assert_eq!((&told["lookback"], &told["warm_up"]), (&Value::Null, &json!(20)));
    assert_eq!(server.get(&format!("{GROUP}/{}", told["version"].as_str().unwrap())).await.1, told);
    server.stop().await;
}

#[tokio::test]
async fn a_document_that_cannot_be_is_refused_with_its_field_and_character() {
    let server = three_bars().await;
    let (_, before) = server.get("/v1/datasets/bars").await;
    let with = |pointer: &str, value: Value| {
        let mut document = group();
        match document.pointer_mut(pointer) {
            Some(there) => *there = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                document.pointer_mut(parent).unwrap()[name] = value;
            }
        }
        document
    };
    for (pointer, value, field) in [
        ("/kind", json!("LabelSet"), "kind"),
        ("/name", json!("h"), "name"),
        ("/colour", json!("red"), "colour"),
        ("/bars", Value::Null, "bars"),
        ("/bars/every", json!("7m"), "bars.every"),
        ("/bars/every", json!("tick"), "bars.every"),
        ("/bars/session", json!("night"), "bars.session"),
        ("/bars/colour", json!("red"), "bars.colour"),
        ("/options", json!({"gap": "hop"}), "options.gap"),
        ("/options", json!({"warmup": -1}), "options.warmup"),
        ("/options", json!({"compat": "qlib", "gap": "rows"}), "options.gap"),
        ("/params", json!({"W": 5}), "params.W"),
        ("/params", json!({"W": [true]}), "params.W[0]"),
        ("/presets", json!(["qlib.alpha101"]), "presets[0]"),
        ("/features/1/name", json!("9lives"), "features[1].name"),
        ("/features/1/name", json!("ret1"), "features[1].name"),
        ("/features/1/name", json!("Session"), "features[1].name"),
        ("/features/1/name", json!("t"), "features[1].name"),
        ("/features/1/name", json!("ret1__reason"), "features[1].name"),
        ("/features/1/expr", json!(5), "features[1].expr"),
        ("/features/1/for", json!({"w": "W"}), "features[1].for.w"),
        ("/features/1/weight", json!(1), "features[1].weight"),
    ] {
        let document = with(pointer, value);
        let (status, problem) = send(&server, Method::PUT, GROUP, &document).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{document}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(field), "{problem}");
    }
    for (expr, character, caret) in [
        ("Mean($clos, 3)", 6, 5),
        ("Meen($close, 3)", 1, 0),
        ("Mean($close, 3", 15, 14),
        ("1 +\n  * 2", 7, 2),
        ("Ref($close, -1)", 13, 12),
        ("later + 1", 1, 0),
    ] {
        let document = with("/features/1/expr", json!(expr));
        let (status, problem) = send(&server, Method::PUT, GROUP, &document).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_body")), "{problem}");
        let told = (&problem["field"], &problem["feature"]);
        assert_eq!(told, (&json!("features[1].expr"), &json!("mean3")), "{problem}");
        let place = (&problem["character"], &problem["caret"]);
        assert_eq!(place, (&json!(character), &json!(caret)), "{expr}: {problem}");
        let line = expr.lines().last().unwrap();
        assert_eq!(problem["excerpt"], line, "{problem}");
        assert_eq!(problem["detail"].as_str().unwrap().lines().count(), 1, "{problem}");
    }
    let document = with("/history", json!("stored"));
    let (status, problem) = send(&server, Method::PUT, GROUP, &document).await;
    assert_eq!((status, &problem["field"]), (400, &json!("history")), "{problem}");
    let twice = r#"{"kind": "FeatureSet", "kind": "FeatureSet"}"#;
    let request = server.request(Method::PUT, GROUP).header("content-type", "application/json");
    let (status, problem) = answer(request.body(twice).send().await.unwrap()).await;
    assert_eq!((status, &problem["field"]), (400, &json!("kind")), "{problem}");
    let (status, problem) =
        send(&server, Method::PUT, "/v1/feature-groups/9g", &other_named(&group(), "9g")).await;
    assert_eq!((status, &problem["field"]), (400, &json!("name")), "{problem}");
    let (status, problem) =
        send(&server, Method::PUT, "/v1/feature-groups/g__h", &other_named(&group(), "g__h")).await;
    assert_eq!((status, &problem["field"]), (400, &json!("name")), "{problem}");
    let (_, after) = server.get("/v1/datasets/bars").await;
    assert_eq!(before["sequence"], after["sequence"], "nothing was stored");
    server.stop().await;
}

#[tokio::test]
async fn what_there_is_not_is_named() {
    let server = three_bars().await;
    for (path, status, field) in [
        ("/v1/features?symbols=A", 400, "groups"),
        ("/v1/features?groups=g", 400, "symbols"),
        ("/v1/features?groups=none&symbols=A", 404, "groups"),
        ("/v1/features?groups=g&symbols=B", 404, "symbols"),
        ("/v1/features?groups=g&symbols=A&colour=red", 400, "colour"),
        ("/v1/features?groups=g&symbols=A&vintage=old", 400, "vintage"),
        ("/v1/features?groups=g&symbols=A&start=soon", 400, "start"),
        ("/v1/features?groups=g&symbols=A&columns=ts,colour", 400, "columns"),
        ("/v1/features?groups=g&symbols=A&columns=ret1,ret1", 400, "columns"),
        ("/v1/features?groups=g&symbols=A&columns=ret1__reason", 400, "columns"),
        ("/v1/features?groups=g&symbols=A&reasons=perhaps", 400, "reasons"),
        ("/v1/features?groups=g&symbols=A&start=2013-10-08&end=2013-10-07", 400, "start"),
        ("/v1/features/latest?groups=g&symbols=A&max_age=old", 400, "max_age"),
        ("/v1/features/latest?groups=g&symbols=A&limit=1", 400, "limit"),
        ("/v1/features/at?groups=g&symbols=A", 400, "ts"),
        ("/v1/features/at?groups=g&symbols=A&ts=2013-10-07T13:31:00Z&mode=near", 400, "mode"),
        ("/v1/feature-groups/none", 404, "name"),
        ("/v1/feature-groups/g/0123456789abcdef", 404, "version"),
        ("/v1/feature-groups?colour=red", 400, "colour"),
    ] {
        let (found, problem) = server.get(path).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{path}: {problem}");
    }
    for (path, body, status, field) in [
        ("/v1/feature-groups/g/promote", json!({}), 400, "version"),
        ("/v1/feature-groups/g/promote", json!({"version": "0123456789abcdef"}), 404, "version"),
        ("/v1/feature-groups/g/verify", json!({}), 400, "symbols"),
        ("/v1/feature-groups/none/lint?symbols=A", json!({}), 404, "groups"),
    ] {
        let (found, problem) = send(&server, Method::POST, path, &body).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{path}: {problem}");
    }
    server.stop().await;
}

fn row(symbols: Vec<&str>, times: Vec<i64>) -> RecordBatch {
    let symbols: ArrayRef = Arc::new(StringArray::from(symbols));
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"));
    RecordBatch::try_from_iter([("symbol", symbols), ("t", times)]).unwrap()
}

#[tokio::test]
async fn the_client_has_a_call_for_each_of_them() {
    let server = three_bars().await;
    let client = Client::new(&format!("http://{}", server.address())).unwrap();
    let mut document = group();
    document["features"][0]["expr"] = json!("RSI($close, 2)");
    let info = client.put_feature_group("g", &document).await.unwrap();
    assert!(!info.is_promoted && info.versions.len() == 2);
    assert_eq!(
        (info.features[0].class, info.features[0].lookback),
        (FeatureClass::Recursive, None)
    );
    assert_eq!(info.features[1].inputs[0].fields, ["close"]);
    client.promote_feature_group("g", &info.version).await.unwrap();
    let groups = client.list_feature_groups().await.unwrap();
    assert_eq!(groups[0].promoted.as_ref(), Some(&info.version));
    let first = &groups[0].versions[0].version;
    let described = client.feature_group(&format!("g@{first}")).await.unwrap();
    assert_eq!((&described.version, described.is_promoted), (first, false));
    assert_eq!(client.feature_group("g").await.unwrap().version, info.version);
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let query = FeaturesQuery::new(["g"], ["A"]).between("2013-10-07", "2013-10-08").limit(3);
    let batches = client.features(&query).await.unwrap();
    assert!(batches.head().cursor().is_some());
    assert_eq!(rows(&batches.all().await.unwrap()), 3);
    let query = FeaturesQuery::new(["g"], ["A"]).with_reasons();
    assert_eq!(rows(&client.get_features_for_training(&query).await.unwrap()), 4);
    let newest = LatestFeaturesQuery::new(["g"], ["A"]);
    assert_eq!(rows(&client.get_features_for_inference(&newest).await.unwrap()), 1);
    let at = FeaturesAtQuery::new(["g"], ["A"], "2013-10-07T13:32:00Z").exact();
    assert_eq!(rows(&client.features_at(&at).await.unwrap().all().await.unwrap()), 1);
    // 2013-10-07T13:34:00Z and a year before.
    let asked = row(vec!["A", "A"], vec![1_381_152_840_000_000_000, 1_349_616_840_000_000_000]);
    let joined = client.join_features(&FeaturesJoin::new(["g"]), &[asked]).await.unwrap();
    let joined = joined.all().await.unwrap();
    assert_eq!(rows(&joined), 2);
    let means = joined[0].column_by_name("mean3").unwrap();
    assert_eq!((means.is_null(0), means.is_null(1)), (false, true));
    let range = FeaturesRange::new(["A"]);
    let verified = client.verify_features("g", &range).await.unwrap();
    assert_eq!((verified.cells, verified.mismatches), (8, 0));
    assert_eq!(verified.hash_stored, verified.hash_recomputed);
    assert_eq!(verified.symbols[0].symbol, "A");
    let linted = client.lint_features(&format!("g@{first}"), &range).await.unwrap();
    assert!(linted.is_ok && linted.features.len() == 2, "{linted:?}");
    let wrong = client.feature_group("no/group").await.unwrap_err();
    assert_eq!(wrong.problem().unwrap().status, 404);
    server.stop().await;
}

/// Minutes of 25 days, one after the other.
fn days(close: impl Fn(u32) -> u32) -> String {
    let mut text = "symbol,ts,open,high,low,close\n".to_owned();
    for minute in 0..9_000_u32 {
        let (day, of_day) = (1 + minute / 1_440, minute % 1_440);
        let ts = format!("2013-10-{day:02}T{:02}:{:02}:00Z", of_day / 60, of_day % 60);
        text.push_str(&format!("A,{ts},1,1000,0.5,{}\n", close(minute)));
    }
    text
}

/// How many files the group has, once that is another number.
async fn files_other_than(server: &Server, before: u64) -> u64 {
    loop {
        let (status, group) = server.get(GROUP).await;
        assert_eq!(status, 200, "{group}");
        let files = group["stored"]["files"].as_u64().unwrap();
        if files != before {
            return files;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_cells_of_a_group_that_wants_it_are_kept_in_files() {
    let server = Server::start().await;
    server.load("&source=x", &days(|minute| minute % 97 + 1)).await;
    let mut group = group();
    let described = put(&server, GROUP, &group).await;
    assert_eq!(
        (&described["history"], &described["stored"]["files"]),
        (&json!("computed"), &json!(0))
    );
    let range = format!("{BASE}&reasons=true&format=csv");
    let computed = server.text(&range).await;
    assert_eq!(computed.lines().count(), 9_001);
    group["history"] = json!("materialized");
    let stored = put(&server, GROUP, &group).await;
    let same = (&stored["version"], &stored["history"]);
    assert_eq!(same, (&described["version"], &json!("materialized")), "{stored}");
    // 8,192 slots are a file; the rest is too short for one.
    assert_eq!(files_other_than(&server, 0).await, 1);
    assert_eq!(server.text(&range).await, computed);
    let metrics = server.text("/metrics").await;
    assert!(metrics.contains("\nbarrow_feature_files_read_total 1\n"), "{metrics}");
    let (status, verified) =
        send(&server, Method::POST, &format!("{GROUP}/verify?symbols=A"), &json!({})).await;
    assert_eq!((status, &verified["mismatches"]), (200, &json!(0)), "{verified}");
    server.load("&source=x", &csv("A", "30 7")).await;
    let changed = server.text(&range).await;
    assert_ne!(changed, computed);
    group["history"] = json!("computed");
    put(&server, GROUP, &group).await;
    assert_eq!(files_other_than(&server, 1).await, 0);
    assert_eq!(server.text(&range).await, changed);
    server.stop().await;
}

#[tokio::test]
async fn a_source_that_publishes_late_can_be_linted() {
    let server = three_bars().await;
    let delay = json!({"publish_delay": {"x": "90s"}});
    let (status, body) = send(&server, Method::PUT, "/v1/sources/bars", &delay).await;
    assert_eq!(status, 200, "{body}");
    for part in ["lint", "verify"] {
        let path = format!("{GROUP}/{part}?symbols=A");
        let (status, body) = send(&server, Method::POST, &path, &Value::Null).await;
        assert_eq!(status, 200, "{body}");
        assert!(body["is_ok"] == true || body["mismatches"] == 0, "{body}");
    }
    // The cut lies behind two of four slots; the second can be had only 90 seconds after it.
    let (_, linted) =
        send(&server, Method::POST, &format!("{GROUP}/lint?symbols=A"), &Value::Null).await;
    assert_eq!(linted["features"][0]["without_future"]["cells"], 2, "{linted}");
    server.stop().await;
}
