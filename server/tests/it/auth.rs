//! Keys.

use std::path::Path;

use barrow_server::app;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, answer, config, csv};

/// SHA-256 of `abc`, `""` and the 448-bit message: FIPS 180-2, appendix B, and NIST's examples.
const KEYS: &str = "\
read  reader ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
write writer 248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1
";
const READ: &str = "abc";
const WRITE: &str = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

async fn start(keys: &Path) -> Server {
    std::fs::write(keys, KEYS).unwrap();
    let mut config = config();
    config.auth.keys_file = keys.to_owned();
    Server::start_with(config).await
}

#[tokio::test]
async fn every_route_asks_for_the_key_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir.path().join("keys")).await;
    let open = [(Method::GET, "/healthz"), (Method::GET, "/readyz")];
    let read = [
        (Method::GET, "/metrics"),
        (Method::GET, "/v1/bars"),
        (Method::GET, "/v1/bars/latest"),
        (Method::GET, "/v1/datasets"),
        (Method::GET, "/v1/datasets/bars"),
        (Method::GET, "/v1/sources"),
        (Method::GET, "/v1/dead-letters"),
        (Method::GET, "/v1/sql"),
        (Method::GET, "/no/such/route"),
    ];
    let write = [
        (Method::POST, "/v1/datasets/bars/rows"),
        (Method::DELETE, "/v1/datasets/bars/rows"),
        (Method::POST, "/v1/jobs"),
        (Method::PUT, "/v1/feature-groups/g"),
    ];
    let status = async |method: &Method, path: &str, key: Option<&str>| {
        let mut request = server.request(method.clone(), path);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().status().as_u16()
    };
    for (method, path) in &open {
        assert_eq!(status(method, path, None).await, 200, "{path}");
    }
    for (method, path) in read.iter().chain(&write) {
        assert_eq!(status(method, path, None).await, 401, "{path}");
        assert_eq!(status(method, path, Some("wrong")).await, 401, "{path}");
        let allowed = status(method, path, Some(WRITE)).await;
        assert!(allowed != 401 && allowed != 403, "{path}: {allowed}");
    }
    for (method, path) in &read {
        let allowed = status(method, path, Some(READ)).await;
        assert!(allowed != 401 && allowed != 403, "{path}: {allowed}");
    }
    for (method, path) in &write {
        assert_eq!(status(method, path, Some(READ)).await, 403, "{path}");
    }
    let response = server.request(Method::GET, "/v1/bars").send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(answer(response).await.1["code"], "unauthorized");
    server.stop().await;
}

#[tokio::test]
async fn an_address_that_others_reach_or_a_bad_keys_file_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.server.data_dir = dir.path().join("data");
    config.server.http = "0.0.0.0:0".parse().unwrap();
    let error = app::start(config.clone()).await.err().unwrap().to_string();
    assert!(error.contains("keys_file"), "{error}");
    let keys = dir.path().join("keys");
    config.auth.keys_file = keys.clone();
    let error = app::start(config.clone()).await.err().unwrap().to_string();
    assert!(error.contains("read keys file"), "{error}");
    std::fs::write(&keys, "reader x 00\n").unwrap();
    let error = app::start(config.clone()).await.err().unwrap().to_string();
    assert!(error.contains("line 1"), "{error}");
    assert!(!config.server.data_dir.exists());
}

#[tokio::test]
async fn a_job_that_somebody_may_ask_for_needs_no_key_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, KEYS).unwrap();
    std::fs::write(dir.path().join("a.csv"), csv("A", "30 1")).unwrap();
    let mut config = config();
    config.auth.keys_file = keys;
    config.server.import_dir = dir.path().to_owned();
    let server = Server::start_with(config).await;
    let body = json!({ "kind": "import", "path": "a.csv", "timeframe": "1m", "stamp": "start" });
    let ask = |key| server.request(Method::POST, "/v1/jobs").bearer_auth(key).json(&body);
    assert_eq!(answer(ask(READ).send().await.unwrap()).await.0, 403);
    let (status, mut job) = answer(ask(WRITE).send().await.unwrap()).await;
    assert_eq!(status, 200, "{job}");
    while ["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
        let path = format!("/v1/jobs/{}?wait=30", job["job_id"].as_str().unwrap());
        let get = server.request(Method::GET, &path).bearer_auth(READ);
        job = answer(get.send().await.unwrap()).await.1;
    }
    assert_eq!((&job["state"], &job["summary"]["accepted"]), (&json!("SUCCEEDED"), &json!(1)));
    server.stop().await;
}
