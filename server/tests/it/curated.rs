//! The curated layer: a row for each expected slot, and a reason for each that is empty.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, csv};

const BASE: &str = "/v1/bars?frequency=1m&symbols=A";
const RANGE: &str = "&start=2013-10-07T13:30:00Z&end=2013-10-07T13:35:00Z";

/// The lines of a CSV answer without its head, times as minutes.
async fn lines(server: &Server, query: &str) -> Vec<String> {
    let text = server.text(&format!("{BASE}{query}&format=csv")).await;
    let lines = text.lines().skip(1);
    lines.map(|line| line.replace("2013-10-07T13:", "").replace(":00Z", "")).collect()
}

/// Minutes 30, 31 and 33, of a load of history: each known since it ended.
async fn three_bars() -> Server {
    let server = Server::start().await;
    let query = "&source=x&known_at_policy=ts_end%2B0s";
    server.load(query, &csv("A", "30 1\n31 2\n33 1.5")).await;
    server
}

#[tokio::test]
async fn an_empty_slot_comes_on_demand_with_its_reason() {
    let server = three_bars().await;
    let columns = "&columns=ts,close,ts_end,is_gap,reason,source,state,coverage";
    let bars = lines(&server, &format!("{RANGE}{columns}")).await;
    assert_eq!(
        bars,
        [
            "30,1.0,31,false,ok,x,final,1.0",
            "31,2.0,32,false,ok,x,final,1.0",
            "33,1.5,34,false,ok,x,final,1.0",
        ]
    );
    let slots = lines(&server, &format!("{RANGE}{columns}&gaps=true")).await;
    assert_eq!(
        slots,
        [
            "30,1.0,31,false,ok,x,final,1.0",
            "31,2.0,32,false,ok,x,final,1.0",
            "32,,33,true,missing,x,,0.0",
            "33,1.5,34,false,ok,x,final,1.0",
            "34,,35,true,missing,x,,0.0",
        ]
    );
    // Without a range it begins and ends with the rows.
    assert_eq!(
        lines(&server, "&gaps=true&columns=ts,reason").await,
        ["30,ok", "31,ok", "32,missing", "33,ok"]
    );
    // A side that is given stays where it is.
    let since = "&start=2013-10-07T13:29:00Z&gaps=true&columns=ts,reason";
    assert_eq!(
        lines(&server, since).await,
        ["29,missing", "30,ok", "31,ok", "32,missing", "33,ok"]
    );
    let (_, table) = server.get(&format!("{BASE}{RANGE}&gaps=true&columns=session,known_at")).await;
    assert_eq!(table["calendar"], "none");
    assert_eq!(table["rows"][2], json!({"session": "2013-10-07", "known_at": null}));
    server.stop().await;
}

#[tokio::test]
async fn what_had_not_ended_then_was_not_due() {
    let server = three_bars().await;
    let then = format!("{RANGE}&gaps=true&columns=ts,close,reason&as_of=2013-10-07T13:33:00Z");
    assert_eq!(
        lines(&server, &then).await,
        ["30,1.0,ok", "31,2.0,ok", "32,,missing", "33,,not_due", "34,,not_due"]
    );
    server.stop().await;
}

#[tokio::test]
async fn empty_slots_are_filled_as_far_as_asked_and_say_so() {
    let server = three_bars().await;
    let columns = "&columns=ts,open,volume,is_filled,reason";
    let fill = |fill: &str| format!("{RANGE}{columns}&fill={fill}");
    assert_eq!(
        lines(&server, &fill("forward")).await,
        [
            "30,1.0,,false,ok",
            "31,1.0,,false,ok",
            "32,2.0,0.0,true,missing",
            "33,1.0,,false,ok",
            "34,1.5,0.0,true,missing",
        ]
    );
    assert_eq!(lines(&server, &fill("constant:7")).await[2], "32,7.0,0.0,true,missing");
    let late = "&start=2013-10-07T13:33:00Z&end=2013-10-07T13:37:00Z&columns=ts,close";
    assert_eq!(
        lines(&server, &format!("{late}&fill=forward:2")).await,
        ["33,1.5", "34,1.5", "35,1.5", "36,"]
    );
    // Nothing before the range fills it.
    let gap = "&start=2013-10-07T13:32:00Z&end=2013-10-07T13:33:00Z&columns=ts,close&fill=forward";
    assert_eq!(lines(&server, gap).await, ["32,"]);
    server.stop().await;
}

#[tokio::test]
async fn the_source_of_each_slot_is_chosen_as_asked() {
    let server = Server::start().await;
    server.load("&source=a", &csv("A", "30 1\n31 2")).await;
    server.load("&source=b", &csv("A", "31 1.25\n32 1.75")).await;
    let ask = |more: &str| format!("{RANGE}&columns=ts,close,source{more}");
    assert_eq!(lines(&server, &ask("")).await, ["30,1.0,a", "31,2.0,a"]);
    assert_eq!(lines(&server, &ask("&fallback=none")).await, ["30,1.0,a", "31,2.0,a"]);
    let by_slot = lines(&server, &ask("&fallback=slot")).await;
    assert_eq!(by_slot, ["30,1.0,a", "31,2.0,a", "32,1.75,b"]);
    assert_eq!(lines(&server, &ask("&source=b")).await, ["31,1.25,b", "32,1.75,b"]);
    // The session is one, however little of it is asked for.
    let part = "&start=2013-10-07T13:32:00Z&end=2013-10-07T13:33:00Z&gaps=true&columns=ts,source";
    assert_eq!(lines(&server, part).await, ["32,a"]);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_slots_add_up_to_the_whole() {
    let server = three_bars().await;
    for more in ["&gaps=true", "&fill=forward"] {
        let base = format!("{BASE}{RANGE}&columns=ts,close,reason{more}");
        let (_, whole) = server.get(&base).await;
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let (_, page) = server.get(&format!("{base}&limit=2{cursor}")).await;
            rows.extend(page["rows"].as_array().unwrap().clone());
            match &page["cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        assert_eq!(Value::from(rows), whole["rows"], "{more}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_format_has_the_same_slots() {
    let server = three_bars().await;
    let base = format!("{BASE}{RANGE}&gaps=true");
    let (_, json) = server.get(&base).await;
    let request = |format| server.request(reqwest::Method::GET, &format!("{base}&format={format}"));
    let arrow = request("arrow").send().await.unwrap().bytes().await.unwrap();
    let arrow = arrow::ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap();
    let schema = arrow.schema();
    let kinds: Vec<String> = ["session", "is_gap", "coverage", "reason", "state", "known_at"]
        .map(|name| schema.field_with_name(name).unwrap().data_type().to_string())
        .into();
    assert_eq!(
        kinds,
        [
            "Date32",
            "Boolean",
            "Float64",
            "Dictionary(Int32, Utf8)",
            "Dictionary(Int32, Utf8)",
            "Timestamp(ns, \"UTC\")"
        ]
    );
    let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    let columns = json["columns"].as_array().unwrap();
    assert_eq!(names, columns.iter().map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>());
    let batches: Vec<_> = arrow.map(Result::unwrap).collect();
    let parquet = request("parquet").send().await.unwrap().bytes().await.unwrap();
    let parquet = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(parquet);
    let parquet: Vec<_> = parquet.unwrap().build().unwrap().map(Result::unwrap).collect();
    for batches in [batches, parquet] {
        let all = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(all.num_rows(), json["rows"].as_array().unwrap().len());
        for name in ["close", "known_at", "sequence", "state"] {
            let array = all.column_by_name(name).unwrap();
            for (at, row) in json["rows"].as_array().unwrap().iter().enumerate() {
                assert_eq!(array.is_null(at), row[name].is_null(), "{name} {at}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn gaps_are_ranges_of_one_reason() {
    let server = three_bars().await;
    let base = "/v1/gaps?frequency=1m&symbols=A";
    let (_, gaps) = server.get(&format!("{base}{RANGE}")).await;
    let gap = |start: &str, end: &str| {
        json!({
            "symbol": "A",
            "start": format!("2013-10-07T13:{start}:00Z"),
            "end": format!("2013-10-07T13:{end}:00Z"),
            "reason": "missing",
            "slots": 1,
            "source": "x",
            "first_session": "2013-10-07",
            "last_session": "2013-10-07",
        })
    };
    assert_eq!(gaps["rows"], json!([gap("32", "33"), gap("34", "35")]));
    let (_, gaps) = server.get(&format!("{base}{RANGE}&as_of=2013-10-07T13:33:00Z")).await;
    let shown = |gaps: &Value| {
        let rows = gaps["rows"].as_array().unwrap().iter();
        rows.map(|gap| format!("{} {}", gap["reason"], gap["slots"])).collect::<Vec<_>>()
    };
    assert_eq!(shown(&gaps), ["\"missing\" 1", "\"not_due\" 2"]);
    let (_, gaps) =
        server.get(&format!("{base}{RANGE}&as_of=2013-10-07T13:33:00Z&reason=not_due")).await;
    assert_eq!(shown(&gaps), ["\"not_due\" 2"]);
    // A row that comes later, and one that is taken away, show at once.
    server.load("&source=x", &csv("A", "32 0.75")).await;
    let (_, gaps) = server.get(&format!("{base}{RANGE}")).await;
    assert_eq!(gaps["rows"], json!([gap("34", "35")]));
    let path = "/v1/datasets/bars/rows?timeframe=1m&source=x&symbol=A&ts=2013-10-07T13:33:00Z";
    let taken = server.request(reqwest::Method::DELETE, path).send().await.unwrap();
    assert_eq!(taken.status(), 200);
    let (_, gaps) = server.get(&format!("{base}{RANGE}")).await;
    assert_eq!(shown(&gaps), ["\"missing\" 2"]);
    server.stop().await;
}

#[tokio::test]
async fn what_nobody_delivered_is_404_alone_and_a_warning_in_company() {
    let server = three_bars().await;
    for path in ["/v1/bars?frequency=1m&symbols=B", "/v1/gaps?frequency=1s&symbols=A"] {
        let (status, problem) = server.get(path).await;
        assert_eq!((status, &problem["field"]), (404, &json!("symbols")), "{problem}");
    }
    let (_, both) = server.get("/v1/bars?frequency=1m&symbols=A,B").await;
    assert_eq!(both["rows"].as_array().unwrap().len(), 3);
    assert!(both["warnings"][0].as_str().unwrap().starts_with("B: "), "{both}");
    let (status, problem) = server.get("/v1/gaps?frequency=1m&symbols=A&reason=sleepy").await;
    assert_eq!((status, &problem["field"]), (400, &json!("reason")));
    server.stop().await;
}

#[tokio::test]
async fn the_latest_curated_bar_is_the_last_slot_with_a_good_row() {
    let server = Server::start().await;
    server.load("&source=a&known_at_policy=ts_end%2B0s", &csv("A", "30 1\n31 2\n32 1.5")).await;
    // Later, but of a source that is not chosen for the session; and nothing at all of B.
    let body = server.load("&source=b&known_at_policy=ts_end%2B0s", &csv("A", "34 4")).await;
    let latest = "/v1/bars/latest?layer=curated&frequency=1m";
    let ask = |more: &str| format!("{latest}&symbols=A&format=csv&columns=ts,close,source{more}");
    let newest = async |more: &str| {
        let text = server.text(&ask(more)).await;
        text.lines()
            .skip(1)
            .map(|line| line["2013-10-07T13:".len()..].to_owned())
            .collect::<String>()
    };
    assert_eq!(newest("").await, "32:00Z,1.5,a");
    assert_eq!(newest("&fallback=slot").await, "34:00Z,4.0,b");
    assert_eq!(newest("&source=b").await, "34:00Z,4.0,b");
    assert_eq!(newest("&as_of=2013-10-07T13:32:30Z").await, "31:00Z,2.0,a");
    assert_eq!(newest("&as_of=2013-10-07T13:00:00Z").await, "");
    // A row that is quarantined or taken back is none.
    let verdict = json!({
        "symbol": "A", "source": "a", "timeframe": "1m", "ts": "2013-10-07T13:32:00Z",
        "act": "quarantine",
    });
    let request = server.request(Method::POST, "/v1/quality/verdicts").json(&verdict);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(newest("").await, "31:00Z,2.0,a");
    let sequence = body["sequence"].to_string();
    assert_eq!(newest(&format!("&at_sequence={sequence}")).await, "32:00Z,1.5,a");
    // The columns are those of curated bars; a symbol of which there is nothing is a warning.
    let (_, table) = server.get(&format!("{latest}&symbols=A,B")).await;
    let (_, range) = server.get("/v1/bars?frequency=1m&symbols=A").await;
    assert_eq!(table["columns"], range["columns"]);
    assert_eq!(table["rows"], json!([range["rows"].as_array().unwrap().last().unwrap()]));
    assert_eq!(table["calendar"], "none");
    assert_eq!(table["warnings"], json!(["B: no source has delivered 1m trade bars of it"]));
    for (query, status, field) in [
        ("/v1/bars/latest?layer=curated&symbols=A", 400, "frequency"),
        ("/v1/bars/latest?symbols=A&as_of=2013-10-07", 400, "as_of"),
        ("/v1/bars/latest?layer=curated&frequency=1m&symbols=A&columns=timeframe", 400, "columns"),
        ("/v1/bars/latest?layer=curated&frequency=1m&symbols=B", 404, "symbols"),
        ("/v1/bars/latest?layer=bronze&symbols=A", 400, "layer"),
        ("/v1/trades/latest?layer=curated&symbols=A", 400, "layer"),
    ] {
        let (found, problem) = server.get(query).await;
        assert_eq!((found, &problem["field"]), (status, &json!(field)), "{query}: {problem}");
    }
    server.stop().await;
}
