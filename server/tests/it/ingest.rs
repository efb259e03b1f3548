//! Rows in.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampSecondArray};
use arrow::ipc::writer::StreamWriter;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, config, csv};

fn arrow() -> Vec<u8> {
    let price = |value| -> ArrayRef { Arc::new(Float64Array::from(vec![value; 2])) };
    // Seconds of 2013-10-07T13:30:00Z: `date -u -d ... +%s`.
    let ts = TimestampSecondArray::from(vec![1_381_152_600, 1_381_152_660]).with_timezone("UTC");
    let batch = RecordBatch::try_from_iter([
        ("symbol", Arc::new(StringArray::from(vec!["A", "A"])) as ArrayRef),
        ("ts", Arc::new(ts)),
        ("open", price(1.0)),
        ("high", price(2.0)),
        ("low", price(0.5)),
        ("close", price(1.5)),
    ])
    .unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn the_same_rows_in_any_format_are_duplicates() {
    let server = Server::start().await;
    let rows = csv("A", "30 1.5\n31 1.5");
    let row = |minute: u32| {
        let ts = format!("2013-10-07T13:{minute}:00Z");
        json!({"symbol": "A", "ts": ts, "open": 1, "high": "2", "low": 0.5, "close": 1.5})
            .to_string()
    };
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(rows.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(rows.as_bytes(), 1).unwrap();
    let lines = format!("{}\n{}\n", row(30), row(31));
    let array = format!("[{},{}]", row(30), row(31));
    for (number, (kind, encoding, body)) in [
        ("application/vnd.apache.arrow.stream", None, arrow()),
        ("text/csv", None, rows.clone().into_bytes()),
        ("application/json", None, array.into_bytes()),
        ("application/x-ndjson", None, lines.into_bytes()),
        ("text/csv", Some("gzip"), gzip),
        ("text/csv; charset=utf-8", Some("zstd"), zstd),
    ]
    .into_iter()
    .enumerate()
    {
        let mut request = server
            .request(Method::POST, "/v1/datasets/bars/rows?timeframe=1m&source=s")
            .header("content-type", kind);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let (status, body) = answer(request.body(body).send().await.unwrap()).await;
        let (accepted, duplicates) = if number == 0 { (2, 0) } else { (0, 2) };
        assert_eq!(status, 200, "{kind}: {body}");
        assert_eq!(body["accepted"], accepted, "{kind}: {body}");
        assert_eq!(body["duplicates"], duplicates, "{kind}: {body}");
        assert_eq!(body["parts"], 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_batch_is_stored_once_and_its_id_stands_for_its_content() {
    let server = Server::start().await;
    let rows = csv("A", "30 1.5\n31 1.6");
    let first = server.load("&batch_id=b", &rows).await;
    assert_eq!((&first["accepted"], &first["repeated"]), (&json!(2), &json!(false)));
    let again = server.load("&batch_id=b", &rows).await;
    assert_eq!((&again["accepted"], &again["repeated"]), (&json!(2), &json!(true)));
    assert_eq!(again["sequence"], first["sequence"]);
    let (status, problem) = server.post("&batch_id=b", "text/csv", csv("A", "30 1.7")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn rows_that_cannot_be_stored_become_dead_letters_and_the_rest_is_stored() {
    let server = Server::start().await;
    let rows = csv("A", "30 1.5\n31 NaN\n32 inf\n33 x\n34 1.5");
    let (status, body) = server.post("&batch_id=a%20b", "text/csv", rows).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["accepted"], &body["rejected"]), (&json!(2), &json!(3)), "{body}");
    let reasons: Vec<_> =
        body["errors"].as_array().unwrap().iter().map(|e| (&e["row"], &e["reason"])).collect();
    let (finite, number) = (json!("non_finite"), json!("not_a_number"));
    assert_eq!(reasons, [(&json!(1), &finite), (&json!(2), &finite), (&json!(3), &number)]);
    let (status, dead) = server.get(body["dead_letter"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{dead}");
    let raw: Vec<_> = dead["rows"].as_array().unwrap().iter().map(|row| &row["raw"]).collect();
    assert_eq!(raw[0], "A,2013-10-07T13:31:00Z,1,2,0.5,NaN");
    assert_eq!(raw[2], "A,2013-10-07T13:33:00Z,1,2,0.5,x");
    let (status, _) = server.get("/v1/dead-letters?batch=nobody").await;
    assert_eq!(status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_request_whose_rows_are_all_rejected_is_422_and_says_why() {
    let server = Server::start().await;
    let (status, body) = server.post("&batch_id=b", "text/csv", csv("A", "30 NaN\n31 inf")).await;
    assert_eq!((status, &body["code"]), (422, &json!("every_row_rejected")), "{body}");
    assert_eq!((&body["rejected"], &body["batch_id"]), (&json!(2), &json!("b")));
    assert_eq!(body["errors"][0]["detail"], "close is NaN");
    server.stop().await;
}

#[tokio::test]
async fn a_batch_that_was_there_names_its_rejected_rows_as_at_first_wherever_they_lie() {
    let server = Server::start().await;
    let many =
        |close: &str| (0..60).map(|minute| format!("{minute:02} {close}\n")).collect::<String>();
    let (some, all) = (csv("A", "30 1\n31 NaN\n32 x\n33 inf"), csv("A", &many("NaN")));
    let send = async |server: &Server| {
        // Others come between, perhaps at the same time of intake.
        server.post("", "text/csv", csv("B", "30 NaN\n31 1")).await;
        let (_, some) = server.post("&batch_id=some", "text/csv", some.clone()).await;
        let (_, all) = server.post("&batch_id=all", "text/csv", all.clone()).await;
        [some, all].map(|body| (body["rejected"].clone(), body["errors"].clone()))
    };
    let first = send(&server).await;
    assert_eq!(first[0].1.as_array().unwrap().len(), 3);
    assert_eq!(first[1].1.as_array().unwrap().len(), 60);
    assert_eq!(send(&server).await, first);
    let (_, job) = answer(
        server
            .request(Method::POST, "/v1/jobs")
            .json(&json!({ "kind": "compact" }))
            .send()
            .await
            .unwrap(),
    )
    .await;
    server.get(&format!("/v1/jobs/{}?wait=30", job["job_id"].as_str().unwrap())).await;
    let server = server.restart().await;
    assert_eq!(send(&server).await, first);
    server.stop().await;
}

#[tokio::test]
async fn a_large_body_is_cut_into_parts_and_a_retry_skips_them() {
    let mut config = config();
    config.engine.batch_bytes_max = 4_096;
    let server = Server::start_with(config).await;
    let minutes: String = (0..60).map(|minute| format!("{minute:02} 1.5\n")).collect();
    let rows: String = ["A", "B", "C"]
        .iter()
        .map(|symbol| csv(symbol, &minutes))
        .reduce(|all, more| all + more.split_once('\n').unwrap().1)
        .unwrap();
    let body = server.load("&batch_id=b", &rows).await;
    assert_eq!(body["accepted"], 180);
    assert!(body["parts"].as_u64().unwrap() > 2, "{body}");
    let state = server.state().await;
    let again = server.load("&batch_id=b", &rows).await;
    assert_eq!((&again["accepted"], &again["repeated"]), (&json!(180), &json!(true)));
    assert_eq!(server.state().await, state);
    let (status, problem) = server.post("&atomic=true", "text/csv", rows).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_large")), "{problem}");
    assert_eq!(server.state().await, state);
    // All of them rejected takes more room, not less.
    let (status, body) =
        server.post("&batch_id=dead", "text/csv", csv("A", &minutes.replace("1.5", "NaN"))).await;
    assert_eq!((status, &body["rejected"]), (422, &json!(60)), "{body}");
    let (_, dead) = server.get("/v1/dead-letters?batch=dead").await;
    assert_eq!(dead["rows"].as_array().unwrap().len(), 60);
    server.stop().await;
}

#[tokio::test]
async fn many_writers_at_once_lose_nothing() {
    let server = Arc::new(Server::start().await);
    let mut writers = Vec::new();
    for writer in 0..32 {
        let server = Arc::clone(&server);
        writers.push(tokio::spawn(async move {
            let rows = csv(&format!("S{writer}"), "30 1.5\n31 1.6");
            server.load("", &rows).await["sequence"].as_u64().unwrap()
        }));
    }
    let mut sequences = Vec::new();
    for writer in writers {
        sequences.push(writer.await.unwrap());
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=32).collect::<Vec<_>>());
    let (_, bars) = server.get("/v1/datasets/bars").await;
    assert_eq!(bars["series"][0]["symbols"], 32);
    let metrics = server.text("/metrics").await;
    assert!(metrics.contains("barrow_ingest_rows_total{outcome=\"accepted\"} 64"), "{metrics}");
    assert!(metrics.contains("\nbarrow_commit_batches_total 32\n"), "{metrics}");
}

#[tokio::test]
async fn facts_about_a_source_are_kept_with_its_rows() {
    let server = Server::start().await;
    server.load("&source=lean&session=extended&align=clock", &csv("A", "30 1.5")).await;
    server.load("&source=other", &csv("A", "30 1.5")).await;
    let (_, sources) = server.get("/v1/sources").await;
    let shown: Vec<_> = sources["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| [&row["source"], &row["timeframe"], &row["session"], &row["align"]])
        .collect();
    let null = json!(null);
    assert_eq!(
        shown,
        [
            [&json!("lean"), &json!("1m"), &json!("extended"), &json!("clock")],
            [&json!("other"), &json!("1m"), &null, &null],
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn sources_are_listed_as_they_were_said_to_be_then() {
    let server = Server::start().await;
    server.load("&source=lean&session=extended&align=clock", &csv("A", "30 1.5")).await;
    server.load("&source=other", &csv("A", "30 1.5")).await;
    server.load("&source=lean&session=regular&align=session", &csv("B", "30 1.5")).await;
    let lean = |symbols: u32, session: Value| json!({"symbols": symbols, "session": session});
    let sources = async |query: &str| {
        let (status, sources) = server.get(&format!("/v1/sources{query}")).await;
        assert_eq!(status, 200, "{query}: {sources}");
        let rows = sources["rows"].as_array().unwrap();
        let first = lean(
            rows[0]["symbols"].as_u64().unwrap().try_into().unwrap(),
            rows[0]["session"].clone(),
        );
        (rows.len(), first, rows[0]["known_at"].clone())
    };
    let (count, first, _) = sources("").await;
    assert_eq!((count, first), (2, lean(2, json!("regular"))));
    let (count, first, known_at) = sources("?at_sequence=1").await;
    assert_eq!((count, first), (1, lean(1, json!("extended"))));
    let (_, first, _) = sources("?at_sequence=2").await;
    assert_eq!(first, lean(1, json!("extended")));
    // The series are there; what is said of them was not known then.
    let as_of = known_at.as_str().unwrap();
    let (_, first, _) = sources(&format!("?as_of={as_of}")).await;
    assert_eq!(first, lean(2, json!("extended")));
    let (count, first, _) = sources("?as_of=2020-01-01T00:00:00Z").await;
    assert_eq!((count, first), (2, lean(2, json!(null))));
    let (_, none) = server.get("/v1/sources?at_sequence=0").await;
    assert_eq!(none["rows"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_load_of_history_is_known_since_its_bars_ended() {
    let server = Server::start().await;
    server.load("&known_at_policy=ts_end%2B15m", &csv("A", "30 1.5")).await;
    let (_, bars) = server.get("/v1/bars?layer=raw&symbols=A&frequency=1m").await;
    assert_eq!(bars["rows"][0]["known_at"], "2013-10-07T13:46:00Z");
    assert_eq!(bars["rows"][0]["assumed"], true);
    let stated = "symbol,ts,open,high,low,close,known_at\n\
                  A,2013-10-07T13:31:00Z,1,2,0.5,1.5,2013-10-07T13:32:30Z\n";
    server.load("", stated).await;
    let (_, bars) = server.get("/v1/bars?layer=raw&symbols=A&frequency=1m").await;
    assert_eq!(bars["rows"][1]["known_at"], "2013-10-07T13:32:30Z");
    assert_eq!(bars["rows"][1]["assumed"], false);
    server.stop().await;
}

#[tokio::test]
async fn the_symbol_and_the_stamp_may_stand_in_the_request() {
    let server = Server::start().await;
    let rows = "ts,open,high,low,close\n2013-10-07T13:31:00Z,1,2,0.5,1.5\n";
    server.load("&symbol=EUR/USD&price=bid&stamp=end", rows).await;
    let closes = server.closes("&symbols=EUR/USD&price=bid").await;
    assert_eq!(closes, "30 1.5");
    server.stop().await;
}

#[tokio::test]
async fn a_body_without_rows_stores_no_rows() {
    let server = Server::start().await;
    let (status, body) = server.post("", "application/json", "[]").await;
    assert_eq!((status, &body["accepted"]), (200, &json!(0)), "{body}");
    server.stop().await;
}
