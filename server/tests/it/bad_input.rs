//! What must not come in: each a clear problem that names its field, and nothing stored.

use std::io::Write;
use std::net::TcpStream;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, answer, config, csv, raw};

const ARROW: &str = "application/vnd.apache.arrow.stream";

#[tokio::test]
async fn bodies_that_are_no_bars_name_what_is_wrong_and_leave_nothing() {
    let server = Server::start().await;
    server.load("", &csv("A", "30 1")).await;
    let state = server.state().await;
    let good = csv("A", "31 1");
    for (query, kind, body, status, code, field) in [
        ("", ARROW, "ARROW1", 400, "invalid_body", None),
        ("", "text/csv", "", 400, "invalid_body", None),
        ("", "text/csv", "symbol,ts,open,high,low\n", 400, "invalid_body", Some("close")),
        ("", "text/csv", &good.replace("close", "close,x,y"), 400, "invalid_body", Some("x, y")),
        ("&symbol=A", "text/csv", &good, 400, "invalid_body", Some("symbol")),
        ("", "application/json", "[{\"symbol\":1", 400, "invalid_body", None),
        ("", "application/json", "[{\"colour\":1}]", 400, "invalid_body", Some("colour")),
        ("", "application/json", "{}", 400, "invalid_body", None),
        ("", "application/x-ndjson", "{\"colour\":1}", 400, "invalid_body", Some("colour")),
        ("", "text/plain", &good, 415, "unsupported_media_type", Some("Content-Type")),
        ("", "application/vnd.apache.parquet", "PAR1", 400, "invalid_body", None),
        ("&source=..%2F..%2Fetc", "text/csv", &good, 400, "invalid_parameter", Some("source")),
        ("&source=a%00b", "text/csv", &good, 400, "invalid_parameter", Some("source")),
        ("&symbol=..%2Fx", "text/csv", &good, 400, "invalid_parameter", Some("symbol")),
        ("&batch_id=a%00b", "text/csv", &good, 400, "invalid_parameter", Some("batch_id")),
        ("&colour=red", "text/csv", &good, 400, "unknown_parameter", Some("colour")),
        ("&covers=a..b", "text/csv", &good, 400, "invalid_parameter", Some("covers")),
    ] {
        let (found, problem) = server.post(query, kind, body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{query} {kind}: {problem}");
        assert_eq!(problem["field"].as_str(), field, "{query} {kind}: {problem}");
        assert_eq!(server.state().await, state, "{query} {kind}");
    }
    server.stop().await;
}

#[tokio::test]
async fn names_that_are_tricks_become_dead_letters_and_no_files() {
    let server = Server::start().await;
    let row = |symbol: &str| {
        let ts = "2013-10-07T13:30:00Z";
        json!({"symbol": symbol, "ts": ts, "open": 1, "high": 2, "low": 1, "close": 1})
    };
    let rows = json!([row("../../etc/passwd"), row("A\0B")]);
    let (status, body) = server.post("", "application/json", rows.to_string()).await;
    assert_eq!((status, &body["rejected"]), (422, &json!(2)), "{body}");
    assert_eq!(body["errors"][0]["reason"], "bad_symbol");
    let (status, problem) =
        server.get("/v1/bars?layer=raw&frequency=1m&symbols=..%2F..%2Fetc").await;
    assert_eq!((status, &problem["field"]), (400, &json!("symbols")));
    let (status, problem) = server.get("/v1/datasets/..%2Fx").await;
    assert_eq!((status, &problem["field"]), (404, &json!("dataset")));
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_claims_ten_gibibytes_is_refused_before_it_comes() {
    let server = Server::start().await;
    let head = b"POST /v1/datasets/bars/rows?timeframe=1m HTTP/1.1\r\nhost: x\r\n\
                 content-type: text/csv\r\ncontent-length: 10737418240\r\n\r\n";
    let answer = raw(server.address(), head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"code\":\"too_large\""), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_refused_at_the_bound() {
    let mut config = config();
    config.http.body_bytes_max = 1 << 20;
    let server = Server::start_with(config).await;
    let address = server.address();
    let sending = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "POST /v1/datasets/bars/rows?timeframe=1m HTTP/1.1\r\nhost: x\r\n\
                    content-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
        // The server closes; the sender finds out when the socket takes no more.
        let mut sent = 0_u64;
        while stream.write_all(&chunk).is_ok() {
            sent += 0x10000;
            assert!(sent < 1 << 30, "the server takes an endless body");
        }
    });
    sending.await.unwrap();
    let (_, bars) = server.get("/v1/datasets/bars").await;
    assert_eq!(bars["sequence"], 0);
    let metrics = server.text("/metrics").await;
    let line = "barrow_http_requests_total{route=\"/v1/datasets/{dataset}/rows\",method=\"POST\",\
                status=\"413\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn a_bomb_is_refused_at_the_bound() {
    let server = Server::start().await;
    let bomb = zstd::encode_all(&vec![b'1'; 300 << 20][..], 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    let request = server
        .request(Method::POST, "/v1/datasets/bars/rows?timeframe=1m")
        .header("content-type", "text/csv")
        .header("content-encoding", "zstd")
        .body(bomb);
    let (status, problem) = answer(request.send().await.unwrap()).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_large")), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_built_is_named() {
    let server = Server::start().await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::DELETE, "/v1/datasets/trades/rows?symbol=A&ts=2013-10-07"),
        (Method::PUT, "/v1/datasets"),
        (Method::PUT, "/v1/calendars"),
        (Method::POST, "/v1/sql"),
        (Method::GET, "/v1/exports/1/files/part-0.parquet"),
        (Method::GET, "/v1/trades?symbols=A&vintage=live"),
    ] {
        let response = server.request(method.clone(), path).send().await.unwrap();
        let (status, problem) = answer(response).await;
        assert_eq!((status, &problem["code"]), (400, &json!("not_available")), "{method} {path}");
        assert!(problem["field"].is_string(), "{method} {path}: {problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_ways_are_problems_too() {
    let server = Server::start().await;
    for (method, path, status) in [
        (Method::GET, "/v2/bars", 404),
        (Method::GET, "/v1/datasets/nothing", 404),
        (Method::POST, "/v1/bars", 405),
        (Method::PATCH, "/v1/datasets/bars/rows", 405),
    ] {
        let response = server.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer(response).await.0, status, "{method} {path}");
    }
    let request = server.request(Method::GET, "/v1/bars?layer=raw&frequency=1m&symbols=A");
    let response = request.header("accept", "image/png").send().await.unwrap();
    assert_eq!(answer(response).await.0, 406);
    server.stop().await;
}
