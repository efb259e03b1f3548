//! Retention: floors over HTTP, on the command line's client, and what is refused and dropped below
//! them.

use barrow_client::{Client, ClientError, RaiseFloor};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer};
use crate::jobs::run;

const FLOOR: &str = "/v1/retention/bars";

async fn put(server: &Server, path: &str, body: Value) -> (u16, Value) {
    let request = server.request(Method::PUT, path);
    answer(request.json(&body).send().await.unwrap()).await
}

fn bars(close: u32) -> String {
    let bar =
        |minute: u32| format!("A,2013-10-07T13:{minute}:00Z,{close},{close},{close},{close}\n");
    let bars: String = (30..40).map(bar).collect();
    format!("symbol,ts,open,high,low,close\n{bars}")
}

/// A server that has had three values for each of ten bars, and the sequences that brought them.
async fn corrected() -> (Server, Vec<u64>) {
    let server = Server::start().await;
    let mut sequences = Vec::new();
    for close in [1, 2, 3] {
        let body = server.load("", &bars(close)).await;
        sequences.push(body["sequence"].as_u64().unwrap());
    }
    (server, sequences)
}

/// Every way of asking about bars of symbol A.
const WAYS: [&str; 10] = [
    "/v1/bars?layer=raw&symbols=A&frequency=1m",
    "/v1/bars?layer=raw&symbols=A&frequency=1m&revisions=all",
    "/v1/bars?symbols=A&frequency=1m&start=2013-10-07T13:30:00Z&end=2013-10-07T13:40:00Z",
    "/v1/bars?symbols=A&frequency=5m&start=2013-10-07T13:30:00Z&end=2013-10-07T13:40:00Z",
    "/v1/bars/latest?layer=curated&symbols=A&frequency=1m",
    "/v1/gaps?symbols=A&frequency=1m&start=2013-10-07T13:30:00Z&end=2013-10-07T13:40:00Z",
    "/v1/features?groups=g&symbols=A&start=2013-10-07T13:30:00Z&end=2013-10-07T13:40:00Z",
    "/v1/features/at?groups=g&symbols=A&ts=2013-10-07T13:35:00Z",
    "/v1/quality/bars?symbols=A&frequency=1m&start_date=2013-10-07&end_date=2013-10-08",
    "/v1/health/bars?symbols=A&frequency=1m",
];

#[tokio::test]
async fn every_way_of_asking_refuses_what_lies_below_the_floor_and_answers_the_rest_as_before() {
    let (server, sequences) = corrected().await;
    let group = json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": {"every": "1m"},
        "features": [{"name": "c", "expr": "$close"}],
    });
    let (status, body) = put(&server, "/v1/feature-groups/g", group).await;
    assert_eq!(status, 200, "{body}");
    let ask = async |way: &str, sequence: u64| {
        let (status, body) = server.get(&format!("{way}&at_sequence={sequence}")).await;
        (status, body)
    };
    let mut before = Vec::new();
    for way in WAYS {
        let (status, body) = ask(way, sequences[1]).await;
        assert_eq!(status, 200, "{way}: {body}");
        before.push(ask(way, sequences[2]).await.1);
    }
    let floor = json!({"timeframe": "1m", "at_sequence_from": sequences[2]});
    let (status, body) = put(&server, FLOOR, floor).await;
    assert_eq!((status, &body["at_sequence_from"]), (200, &json!(sequences[2])), "{body}");
    for merged in [false, true] {
        if merged {
            let summary = run(&server, "compact").await;
            assert_eq!(summary["rows_dropped"], 20, "{summary}");
        }
        for (way, before) in WAYS.iter().zip(&before) {
            let (status, problem) = ask(way, sequences[1]).await;
            assert_eq!((status, &problem["code"]), (410, &json!("below_retention")), "{way}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("bars 1m"), "{detail}");
            assert!(detail.contains(&format!("at_sequence {}", sequences[1])), "{detail}");
            let (status, body) = ask(way, sequences[2]).await;
            assert_eq!(status, 200, "{way}: {body}");
            // All revisions are those that are still there.
            if !way.contains("revisions") {
                assert_eq!(body, *before, "{way}");
            }
        }
    }
    let (_, left) = ask(WAYS[1], sequences[2]).await;
    assert_eq!(left["rows"].as_array().unwrap().len(), 10);
    assert!(left["warnings"][0].as_str().unwrap().starts_with("revisions: "), "{left}");
    // Facts have no floor, and neither has another timeframe.
    let (status, _) = server.get(&format!("/v1/sources?at_sequence={}", sequences[0])).await;
    assert_eq!(status, 200);
    let daily = format!("/v1/bars?layer=raw&symbols=A&frequency=1d&at_sequence={}", sequences[0]);
    assert_ne!(server.get(&daily).await.0, 410);
    let metrics = server.text("/metrics").await;
    assert!(metrics.contains("barrow_retention_dropped_rows_total 20\n"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_goes_on_below_a_floor_is_refused() {
    let (server, sequences) = corrected().await;
    let path = "/v1/bars?layer=raw&symbols=A&frequency=1m&limit=4";
    let (_, first) = server.get(path).await;
    let cursor = first["cursor"].as_str().unwrap();
    server.load("", &bars(4)).await;
    let floor = json!({"timeframe": "1m", "at_sequence_from": sequences[2] + 1});
    assert_eq!(put(&server, FLOOR, floor).await.0, 200);
    let (status, problem) = server.get(&format!("{path}&cursor={cursor}")).await;
    assert_eq!((status, &problem["code"]), (410, &json!("below_retention")), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn a_floor_is_read_field_by_field_and_never_falls() {
    let (server, sequences) = corrected().await;
    let (_, empty) = server.get("/v1/retention").await;
    assert_eq!(empty["rows"], json!([]));
    for (path, body, status, field) in [
        ("bars", json!({"as_of_from": "2014-01-01"}), 400, json!("timeframe")),
        ("bars", json!({"timeframe": "7m", "as_of_from": "2014-01-01"}), 400, json!("timeframe")),
        ("trades", json!({"timeframe": "1m", "as_of_from": 0}), 400, json!("timeframe")),
        ("bars", json!({"timeframe": "1m"}), 400, json!("as_of_from")),
        ("bars", json!({"timeframe": "1m", "as_of_from": "soon"}), 400, json!("as_of_from")),
        ("bars", json!({"timeframe": "1m", "as_of_from": "2200-01-01"}), 400, json!(null)),
        (
            "bars",
            json!({"timeframe": "1m", "at_sequence_from": "x"}),
            400,
            json!("at_sequence_from"),
        ),
        ("bars", json!({"timeframe": "1m", "at_sequence_from": 1_000}), 400, json!(null)),
        ("bars", json!({"timeframe": "1m", "ttl": 1}), 400, json!("ttl")),
        ("settings", json!({"as_of_from": "2014-01-01"}), 404, json!("dataset")),
        ("nothing", json!({"as_of_from": "2014-01-01"}), 404, json!("dataset")),
    ] {
        let (found, problem) = put(&server, &format!("/v1/retention/{path}"), body.clone()).await;
        let field_found = problem.get("field").cloned().unwrap_or_default();
        assert_eq!((found, field_found), (status, field), "{body}: {problem}");
    }
    // A dry run says what would be.
    let floor = json!({"timeframe": "1m", "at_sequence_from": sequences[2]});
    let (status, dry) = put(&server, &format!("{FLOOR}?dry_run=true"), floor.clone()).await;
    assert_eq!((status, &dry["dry_run"]), (200, &json!(true)), "{dry}");
    assert_eq!(server.get("/v1/retention").await.1["rows"], json!([]));
    let (_, set) = put(&server, FLOOR, floor.clone()).await;
    assert_eq!(set["as_of_from"], dry["as_of_from"]);
    let (_, again) = put(&server, FLOOR, floor).await;
    assert_eq!(again["sequence"], set["sequence"], "it is there already");
    let lower = json!({"timeframe": "1m", "at_sequence_from": sequences[0]});
    let (status, problem) = put(&server, FLOOR, lower).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    let server = server.restart().await;
    let (_, listed) = server.get("/v1/retention").await;
    let row = &listed["rows"][0];
    assert_eq!((&row["dataset"], &row["timeframe"]), (&json!("bars"), &json!("1m")));
    for name in ["as_of_from", "at_sequence_from", "set_at", "sequence"] {
        assert_eq!(row[name], set[name], "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn tables_and_ticks_have_floors_and_a_client_raises_them() {
    let server = Server::start().await;
    let client = Client::new(&format!("http://{}", server.address())).unwrap();
    let columns = json!({"columns": [{"name": "score", "type": "f64"}], "key": ["ts"]});
    assert_eq!(put(&server, "/v1/datasets/news", columns).await.0, 200);
    let mut sequences = Vec::new();
    for score in [1, 2] {
        let path = "/v1/datasets/news/rows?source=s";
        let request = server.request(Method::POST, path).header("content-type", "text/csv");
        let body = format!("symbol,ts,score\nA,2024-01-02T00:00:00Z,{score}\n");
        let (status, body) = answer(request.body(body).send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        sequences.push(body["sequence"].to_string());
    }
    let asked = RaiseFloor::of_rows().at_sequence_from(sequences[1].clone());
    let floor = client.raise_floor("news", &asked, false).await.unwrap();
    assert_eq!((floor.dataset.as_str(), floor.timeframe), ("news", None));
    let lower = RaiseFloor::of_rows().at_sequence_from(sequences[0].clone());
    let refused = client.raise_floor("news", &lower, true).await;
    assert!(matches!(refused, Err(ClientError::Conflict { .. })), "{refused:?}");
    let rows = format!("/v1/tables/news?at_sequence={}", sequences[0]);
    assert_eq!(server.get(&rows).await.0, 410);
    assert_eq!(run(&server, "compact").await["rows_dropped"], 1);
    let (_, rows) = server.get("/v1/tables/news?revisions=all").await;
    assert_eq!(rows["rows"].as_array().unwrap().len(), 1);
    let trades = "symbol,ts,price,size\nA,2024-01-02T00:00:00Z,1,1\n";
    let first = server.post_ticks("trades", "", "text/csv", trades).await;
    let raised = client
        .raise_floor("trades", &RaiseFloor::of_rows().as_of_from("2024-01-01"), false)
        .await
        .unwrap();
    assert_eq!(raised.at_sequence_from, "0", "nothing was held then");
    let at = format!("/v1/trades?symbols=A&at_sequence={}", first["sequence"]);
    assert_eq!(server.get(&at).await.0, 200);
    let at = "/v1/trades?symbols=A&as_of=2023-12-31T00:00:00Z";
    assert_eq!(server.get(at).await.0, 410);
    let listed = client.retention().await.unwrap();
    let names: Vec<_> = listed.iter().map(|floor| floor.dataset.as_str()).collect();
    assert_eq!(names, ["trades", "news"]);
    server.stop().await;
}
