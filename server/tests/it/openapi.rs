//! The interface as it tells of itself, against what the server does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answer, config};

/// Whatever they are asked beside, these answer the same: probes may say what they like.
const PROBES: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"];

struct Operation {
    path: String,
    method: Method,
    told: Value,
}

impl Operation {
    /// The names of its parameters there.
    fn names(&self, place: &str) -> Vec<&str> {
        let all = self.told["parameters"].as_array().unwrap().iter();
        all.filter(|of| of["in"] == place).map(|of| of["name"].as_str().unwrap()).collect()
    }

    /// Whether it says that it is not available.
    fn is_built(&self) -> bool {
        self.told["responses"].get("200").is_some()
    }

    /// Its path with names of things that are there.
    fn target(&self) -> String {
        let dataset = if self.path.starts_with("/v1/tables") { "sentiment" } else { "bars" };
        let id = if self.path.starts_with("/v1/dead-letters") { "1-0" } else { "1" };
        let name = if self.path.contains("calendars") { "XNYS" } else { "example" };
        self.path
            .replace("{dataset}", dataset)
            .replace("{id}", id)
            .replace("{name}", name)
            .replace("{version}", "0")
    }
}

async fn operations(server: &Server) -> Vec<Operation> {
    let (status, document) = server.get("/openapi.json").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, told) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            all.push(Operation { path: path.clone(), method, told: told.clone() });
        }
    }
    all
}

/// Two hours of bars on a Monday, of two symbols.
async fn load(server: &Server) {
    let mut csv = "symbol,ts,open,high,low,close,volume\n".to_owned();
    for symbol in ["ALDR", "MAPL"] {
        for minute in 0..120 {
            let (hour, minute) = (14 + (30 + minute) / 60, (30 + minute) % 60);
            let ts = format!("2024-11-25T{hour:02}:{minute:02}:00Z");
            csv.push_str(&format!("{symbol},{ts},17,18,16,17.{minute:02},100\n"));
        }
    }
    server.load("&source=sample&calendar=XNYS", &csv).await;
}

/// Sends the example of an operation.
async fn try_example(server: &Server, operation: &Operation) -> reqwest::Response {
    let target = operation.told["x-example"].as_str().unwrap();
    let mut request = server.request(operation.method.clone(), target);
    if let Some(formats) = operation.told["requestBody"]["content"].as_object() {
        let body = formats.iter().find_map(|(kind, format)| Some((kind, format.get("example")?)));
        if let Some((kind, body)) = body {
            let text = body.as_str().map_or_else(|| body.to_string(), ToOwned::to_owned);
            request = request.header("content-type", kind).body(text);
        }
    }
    request.send().await.unwrap()
}

/// Sends every example of these methods that ends.
async fn try_examples(server: &Server, all: &[Operation], method: Method) {
    let wanted = |operation: &&Operation| {
        operation.method == method && operation.told["x-example"].is_string()
    };
    for operation in all.iter().filter(wanted) {
        let response = try_example(server, operation).await;
        let (method, path) = (&operation.method, &operation.path);
        let status = response.status();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        if kind == "text/event-stream" {
            assert_eq!(status, 200, "{method} {path}");
            continue;
        }
        let body = response.text().await.unwrap();
        assert_eq!(status, 200, "{method} {path}: {body}");
        let formats = operation.told["responses"]["200"]["content"].as_object().unwrap();
        assert!(formats.contains_key(&kind), "{method} {path}: {kind}");
    }
}

#[tokio::test]
async fn every_documented_route_is_served_and_no_other_method_is() {
    let server = Server::start().await;
    let all = operations(&server).await;
    assert!(all.len() > 60, "{}", all.len());
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    for operation in &all {
        let target = operation.target();
        for method in &methods {
            let is_told = |of: &Operation| of.path == operation.path && of.method == *method;
            let told = all.iter().find(|of| is_told(of));
            let response = server.request(method.clone(), &target).send().await.unwrap();
            let status = response.status().as_u16();
            match told {
                None => assert_eq!(status, 405, "{method} {target}"),
                Some(told) => {
                    let known = told.told["responses"].as_object().unwrap();
                    assert!(known.contains_key(&status.to_string()), "{method} {target}: {status}");
                }
            }
        }
    }
    server.stop().await;
}

#[test]
fn routes_come_into_the_router_through_their_table_alone() {
    // What adds a route: the table, whose declarations the document shows, and what is not built.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = if path.is_file() { std::fs::read_to_string(&path).unwrap() } else { continue };
        if text.contains(".route(") || text.contains(".nest(") {
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["not_built.rs", "routes.rs"]);
}

#[tokio::test]
async fn what_is_not_built_is_left_out_or_says_so() {
    let server = Server::start().await;
    let all = operations(&server).await;
    for path in ["/", "/v1/sql", "/v1/universes", "/v1/label-sets", "/v1/exports"] {
        assert!(all.iter().all(|of| of.path != path), "{path}");
        assert_eq!(server.get(path).await.1["code"], "not_available", "{path}");
    }
    let mut not_built = 0;
    for operation in all.iter().filter(|of| !of.is_built()) {
        let request = server.request(operation.method.clone(), &operation.path);
        let (_, problem) = answer(request.send().await.unwrap()).await;
        assert_eq!(problem["code"], "not_available", "{}", operation.path);
        not_built += 1;
    }
    assert_eq!(not_built, 4);
    server.stop().await;
}

#[tokio::test]
async fn a_route_knows_the_parameters_that_are_documented_and_no_others() {
    let server = Server::start().await;
    let all = operations(&server).await;
    let names: BTreeSet<&str> = all.iter().flat_map(|of| of.names("query")).collect();
    assert!(names.len() > 50, "{names:?}");
    load(&server).await;
    try_examples(&server, &all, Method::PUT).await;
    for operation in all.iter().filter(|of| of.is_built() && !PROBES.contains(&&*of.path)) {
        let (method, known) = (&operation.method, operation.names("query"));
        for name in names.iter().copied().chain(["no_such_parameter"]) {
            // An empty one counts as left out; its name is looked at all the same.
            let target = format!("{}?{name}=", operation.target());
            let response = server.request(method.clone(), &target).send().await.unwrap();
            let status = response.status().as_u16();
            let problem = if status == 200 { Value::Null } else { answer(response).await.1 };
            let is_known = problem["code"] != "unknown_parameter";
            let is_not_built = problem["code"] == "not_available" && problem["field"] == name;
            let about = operation.told["description"].as_str().unwrap_or_default();
            if known.contains(&name) {
                assert!(is_known && !is_not_built, "{method} {target}: {problem}");
            } else if is_not_built {
                assert!(about.contains(name), "{method} {target}: {about}");
            } else {
                assert!(!is_known, "{method} {target}: {status} {problem}");
                assert_eq!(problem["field"], name, "{method} {target}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn every_example_is_answered_with_200_and_a_documented_content_type() {
    let server = Server::start().await;
    let all = operations(&server).await;
    load(&server).await;
    for method in [Method::PUT, Method::POST, Method::GET, Method::DELETE] {
        try_examples(&server, &all, method).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_documented_default_says_what_is_done_without_it() {
    let server = Server::start().await;
    let all = operations(&server).await;
    load(&server).await;
    try_examples(&server, &all, Method::PUT).await;
    let mut compared = 0;
    for operation in all.iter().filter(|of| of.method == Method::GET) {
        let Some(target) = operation.told["x-example"].as_str() else { continue };
        for of in operation.told["parameters"].as_array().unwrap() {
            let (name, default) = (of["name"].as_str().unwrap(), &of["schema"]["default"]);
            if default.is_null() || target.contains(&format!("{name}=")) {
                continue;
            }
            let text = |value: &Value| value.as_str().map_or(value.to_string(), ToOwned::to_owned);
            let default = match default {
                Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(","),
                one => text(one),
            };
            // Events never end, and ages and jobs go on; the rest must not move.
            if operation.path.ends_with("/stream") || operation.path.contains("/jobs") {
                continue;
            }
            let joint = if target.contains('?') { '&' } else { '?' };
            let mut without = server.get(target).await.1;
            let mut with = server.get(&format!("{target}{joint}{name}={default}")).await.1;
            for body in [&mut without, &mut with] {
                for row in body["rows"].as_array_mut().into_iter().flatten() {
                    row["age"] = Value::Null;
                }
            }
            assert_eq!(without, with, "{target} {name}={default}");
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
    server.stop().await;
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_a_tag_and_the_parameters_of_its_path() {
    let server = Server::start().await;
    let (_, document) = server.get("/openapi.json").await;
    let tags: Vec<&Value> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for operation in operations(&server).await {
        let told = &operation.told;
        let id = told["operationId"].as_str().unwrap();
        assert!(!id.is_empty() && ids.insert(id.to_owned()), "{id:?}");
        assert!(tags.contains(&&told["tags"][0]), "{id}");
        assert!(!told["summary"].as_str().unwrap().is_empty(), "{id}");
        let pieces = operation.path.split('/').filter_map(|piece| piece.strip_prefix('{'));
        let in_path: Vec<&str> = pieces.map(|piece| piece.trim_end_matches('}')).collect();
        assert_eq!(operation.names("path"), in_path, "{id}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_document_and_its_page_need_no_key_and_the_page_loads_nothing_from_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    std::fs::write(&keys, format!("read reader {digest}\n")).unwrap();
    let mut config = config();
    config.auth.keys_file = keys;
    let server = Server::start_with(config).await;
    let (status, document) = server.get("/openapi.json").await;
    assert_eq!(status, 200);
    assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    assert_eq!(document["security"], json!([{"key": []}, {}]));
    let open = |path: &str| document["paths"][path]["get"]["security"] == json!([]);
    assert!(open("/healthz") && open("/docs") && !open("/metrics") && !open("/v1/bars"));
    let response = server.request(Method::GET, "/docs").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = response.text().await.unwrap();
    for outside in ["http://", "https://", " src=", "@import", " url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(server.get("/v1/bars").await.0, 401);
    server.stop().await;
}
