//! Files on the server's side, imported by jobs: as the command line would, refused, gone on with.

use std::fs;
use std::path::Path;

use barrow_server::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, answer, config, csv};
use crate::program::{Program, failed, id, said};

/// The settings of a server that imports from this folder.
fn with_imports(folder: &TempDir) -> Config {
    let mut config = config();
    config.server.import_dir = folder.path().to_owned();
    config
}

async fn ask(server: &Server, body: Value) -> (u16, Value) {
    answer(server.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap()).await
}

async fn ended(server: &Server, id: &str) -> Value {
    loop {
        let (_, job) = server.get(&format!("/v1/jobs/{id}?wait=30")).await;
        if !["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
    }
}

/// A job that imports `path`, once it has ended; `more` are its other parameters.
async fn import(server: &Server, path: &str, more: Value) -> Value {
    let mut body = json!({ "kind": "import", "path": path });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let (status, job) = ask(server, body).await;
    assert_eq!(status, 200, "{job}");
    ended(server, &id(&job)).await
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// `read accepted duplicates corrected superseded rejected` of a summary.
fn counts(job: &Value) -> String {
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    let names = ["read", "accepted", "duplicates", "corrected", "superseded", "rejected"];
    names.map(|name| job["summary"][name].to_string()).join(" ")
}

const ROWS: &str = "\
symbol,date,open,high,low,close,volume
A,2024-01-02,1,2.5,0.5,1.25,100
B,2024-01-02,10,10,10,10,
A,2024-01-03,x,2,1,1,5
A,2024-01-04,1,2
A,2024-01-05,1,2,1,1,5
A,2024-01-05,1,2,1,1.5,5
B,2024-01-02,10,10,10,10,
../x,2024-01-05,1,2,1,1,5
";

#[test]
fn an_import_on_the_server_stores_and_tells_what_the_command_line_does() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files/deep");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("a.csv"), ROWS).unwrap();
    fs::write(files.join("b.csv"), "symbol,date,open,high,low,close\nC,2024-01-02,1,1,1,1\n")
        .unwrap();
    let options = "--timeframe 1d --source s --calendar XNYS --known-at ts_end --complete";
    let options: Vec<&str> = options.split(' ').collect();
    // What both print and store; `seconds` are those of the clock.
    let both = [("deep", true), ("files/deep", false)].map(|(path, on_server)| {
        let place = dir.path().join(if on_server { "one" } else { "other" });
        fs::create_dir(&place).unwrap();
        let program = Program::start(&place, "[server]\nimport_dir = \"../files\"\n");
        let mut words = vec!["import", path, "--server", &program.url];
        words.extend(&options);
        if on_server {
            words.push("--on-server");
        }
        let dry = said(dir.path(), &[words.as_slice(), &["--dry-run"]].concat());
        let listed = program.get("/v1/datasets/bars");
        assert_eq!(listed["rows"], 0, "{listed}");
        let told = said(dir.path(), &words);
        let again = said(dir.path(), &words);
        assert!(again.contains("2 of 2 batches were imported before"), "{again}");
        let texts = [dry, told, again].map(|text| {
            let lines = text.lines().filter(|line| !line.ends_with("rows/s"));
            lines.collect::<Vec<_>>().join("\n").replace("../files/deep", "files/deep")
        });
        let bars = "/v1/bars?layer=raw&frequency=1d&format=csv&revisions=all&columns=\
                    symbol,ts,open,high,low,close,volume,ts_end,source";
        // A correction is known since it came in.
        let rows = [("A", ""), ("B,C", ",known_at")].map(|(symbols, known)| {
            let url = format!("{}{bars}{known}&symbols={symbols}", program.url);
            program.http.get(url).send().unwrap().text().unwrap()
        });
        let letters = program.get("/v1/dead-letters");
        let letters = letters["rows"].as_array().unwrap().iter();
        let letters: Vec<Value> = letters
            .map(|letter| json!(["row", "batch_id", "reason", "raw"].map(|name| &letter[name])))
            .collect();
        (texts, rows.concat(), letters)
    });
    let [one, other] = both;
    assert_eq!(one.0, other.0);
    assert_eq!(one.1, other.1);
    assert_eq!(one.1.lines().count(), 7, "two headers and five rows: {}", one.1);
    assert_eq!(one.2, other.2);
    assert_eq!(one.2.len(), 3);
    let told = &one.0[1];
    for line in ["bad_symbol                  1", "too_few_fields              1"] {
        assert!(told.contains(line), "{told}");
    }
    assert!(one.0[2].contains("bad_symbol                  1"), "as the first time: {}", one.0[2]);
}

#[tokio::test]
async fn an_import_without_a_folder_to_read_from_is_refused_naming_the_setting() {
    let server = Server::start().await;
    let (status, problem) = ask(&server, json!({ "kind": "import", "path": "a.csv" })).await;
    assert_eq!((status, &problem["field"]), (400, &json!("path")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("[server] import_dir"), "{problem}");
    server.stop().await;
    let folder = TempDir::new().unwrap();
    let mut config = with_imports(&folder);
    config.server.import_dir.push("missing");
    let server = Server::start_with(config).await;
    let job = import(&server, "a.csv", json!({})).await;
    let error = job["error"].as_str().unwrap();
    assert!(error.starts_with("[server] import_dir: ") && error.contains("missing"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn an_import_never_reads_what_lies_outside_its_folder() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("inside");
    write(&folder, "secret.csv", "symbol,date,open,high,low,close\nA,2024-01-02,1,1,1,1\n");
    fs::create_dir_all(inside.join("mixed")).unwrap();
    std::os::unix::fs::symlink("..", inside.join("out")).unwrap();
    std::os::unix::fs::symlink("../secret.csv", inside.join("link.csv")).unwrap();
    std::os::unix::fs::symlink("../../secret.csv", inside.join("mixed/link.csv")).unwrap();
    let mut config = config();
    config.server.import_dir = inside;
    let server = Server::start_with(config).await;
    for path in ["", ".", "..", "../secret.csv", "a/../../secret.csv", "/etc/passwd", "a//b"] {
        let (status, problem) = ask(&server, json!({ "kind": "import", "path": path })).await;
        assert_eq!((status, &problem["field"]), (400, &json!("path")), "{path}: {problem}");
    }
    for path in ["out/secret.csv", "link.csv", "mixed", "out"] {
        let job = import(&server, path, json!({ "timeframe": "1d" })).await;
        let error = job["error"].as_str().unwrap();
        assert!(error.contains("leads out of [server] import_dir"), "{path}: {error}");
    }
    assert_eq!(server.get("/v1/datasets/bars").await.1["rows"], 0);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_option_of_an_import_is_refused_with_its_field() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(with_imports(&folder)).await;
    for (name, value) in [
        ("speed", json!(1)),
        ("timeframe", json!("7m")),
        ("timeframe", json!("tick")),
        ("dataset", json!("a b")),
        ("price", json!("last")),
        ("price", json!(["bid", "bid"])),
        ("price_scale", json!(0)),
        ("stamp", json!("middle")),
        ("map", json!("ts")),
        ("map", json!({ "ts": 1 })),
        ("complete", json!("yes")),
        ("known_at", json!("now")),
        ("session", json!("night")),
        ("align", json!("left")),
        ("source", json!("a,b")),
        ("since", json!("2024-01-01")),
        ("dry_run", json!(1)),
        ("path", json!(7)),
    ] {
        let mut body = json!({ "kind": "import", "path": "a.csv" });
        body[name] = value;
        let (status, problem) = ask(&server, body).await;
        assert_eq!((status, &problem["field"]), (400, &json!(name)), "{problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_file_does_not_show_is_asked_as_the_command_line_asks() {
    let folder = TempDir::new().unwrap();
    let minutes = "symbol,ts,open,high,low,close\nA,2013-10-07 09:30:00,1,1,1,1\n\
                   A,2013-10-07 09:31:00,1,1,1,1\nA,2013-10-07 09:32:00,1,1,1,1\n";
    write(&folder, "m.csv", minutes);
    let server = Server::start_with(with_imports(&folder)).await;
    let job = import(&server, "m.csv", json!({ "timeframe": "1m" })).await;
    assert_eq!(job["state"], "FAILED", "{job}");
    let error = job["error"].as_str().unwrap();
    for part in ["--time-zone ZONE", "--stamp start or --stamp end", "time_zone"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let more = json!({ "timeframe": "1m", "time_zone": "America/New_York", "stamp": "start" });
    let job = import(&server, "m.csv", more).await;
    assert_eq!(counts(&job), "3 3 0 0 0 0");
    assert_eq!(job["progress"], 1.0);
    assert_eq!(server.closes("&symbols=A").await.lines().next(), Some("30 1.0"));
    for (path, expected) in [("none.csv", "give a file or a folder"), ("m.txt", "do not know")] {
        write(&folder, "m.txt", "x");
        let job = import(&server, path, json!({})).await;
        assert!(job["error"].as_str().unwrap().contains(expected), "{job}");
    }
    server.stop().await;
}

#[tokio::test]
async fn tables_of_users_and_facts_are_imported_as_well() {
    let folder = TempDir::new().unwrap();
    write(&folder, "news.csv", "Date;symbol;note;x\n2024-01-02;A;one;9\n2024-01-03;A;two;9\n");
    write(&folder, "sp.csv", "Symbol,Security,GICS Sector\nA,Agilent,Health Care\n");
    let server = Server::start_with(with_imports(&folder)).await;
    let table = json!({ "columns": [{ "name": "note", "type": "text" }], "key": ["symbol", "ts"] });
    let put = server.request(Method::PUT, "/v1/datasets/news").json(&table);
    assert_eq!(answer(put.send().await.unwrap()).await.0, 200);
    let more = json!({ "dataset": "news", "map": { "ts": "Date", "x": "-" } });
    let job = import(&server, "news.csv", more.clone()).await;
    assert_eq!(counts(&job), "2 2 0 0 0 0");
    let rows = server.text("/v1/tables/news?format=csv&columns=symbol,note").await;
    assert_eq!(rows, "symbol,note\nA,one\nA,two\n");
    let job = import(&server, "news.csv", more).await;
    assert_eq!((counts(&job).as_str(), &job["summary"]["repeated"]), ("2 2 0 0 0 0", &json!(1)));
    let job = import(&server, "sp.csv", json!({ "dataset": "instruments" })).await;
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    let (_, shown) = server.get("/v1/instruments/A").await;
    assert!(shown.to_string().contains("Health Care"), "{shown}");
    let job = import(&server, "news.csv", json!({ "dataset": "bars2" })).await;
    assert_eq!(job["state"], "FAILED", "{job}");
    server.stop().await;
}

#[tokio::test]
async fn a_cancelled_import_is_done_by_a_retry_which_skips_what_is_there() {
    let folder = TempDir::new().unwrap();
    for file in 0..200 {
        write(&folder, &format!("all/{file:03}.csv"), &csv(&format!("S{file}"), "30 1\n31 2"));
    }
    let server = Server::start_with(with_imports(&folder)).await;
    let more = json!({ "kind": "import", "path": "all", "timeframe": "1m", "stamp": "start" });
    let (_, job) = ask(&server, more).await;
    let first = id(&job);
    loop {
        let (_, job) = server.get(&format!("/v1/jobs/{first}")).await;
        if job["done"]["files"].as_u64().is_some_and(|files| files > 2) {
            assert_eq!(job["done"]["files_total"], 200, "{job}");
            break;
        }
    }
    let cancel = server.request(Method::POST, &format!("/v1/jobs/{first}/cancel"));
    let (status, job) = answer(cancel.send().await.unwrap()).await;
    assert_eq!((status, &job["state"], &job["done"]), (200, &json!("CANCELLED"), &json!(null)));
    let (_, bars) = server.get("/v1/datasets/bars").await;
    let there = bars["rows"].as_u64().unwrap();
    assert!((2..400).contains(&there) && there % 2 == 0, "whole batches: {there}");
    let retry = server.request(Method::POST, &format!("/v1/jobs/{first}/retry"));
    let (_, job) = answer(retry.send().await.unwrap()).await;
    let job = ended(&server, &id(&job)).await;
    assert_eq!(counts(&job), "400 400 0 0 0 0");
    assert_eq!(job["summary"]["repeated"], there / 2);
    assert_eq!(server.get("/v1/datasets/bars").await.1["rows"], 400);
    server.stop().await;
}

#[test]
fn files_that_changed_while_no_server_ran_fail_the_import_and_a_retry_takes_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[server]\nimport_dir = \"files\"\n[jobs]\ncheckpoint_ms = 1\n";
    let files = dir.path().join("files/all");
    fs::create_dir_all(&files).unwrap();
    let text = |file: usize, close: u32| csv(&format!("S{file}"), &format!("30 {close}"));
    for file in 0..300 {
        fs::write(files.join(format!("{file:03}.csv")), text(file, 1)).unwrap();
    }
    let program = Program::start(dir.path(), config);
    let body = json!({ "kind": "import", "path": "all", "timeframe": "1m", "stamp": "start" });
    let job = program.start_job_with(&body);
    let done = |program: &Program| program.get(&format!("/v1/jobs/{job}"))["done"]["files"].clone();
    while done(&program).as_u64().is_none_or(|files| files < 3) {}
    drop(program);
    fs::write(files.join("299.csv"), text(299, 2)).unwrap();
    let program = Program::start(dir.path(), config);
    let ended = program.ended(&job);
    assert_eq!(ended["state"], "FAILED", "{ended}");
    let error = ended["error"].as_str().unwrap();
    assert!(error.contains("not those with which the job began"), "{error}");
    let (status, again) = program.post(&format!("/v1/jobs/{job}/retry"), &json!({}));
    assert_eq!(status, 200, "{again}");
    let ended = program.ended(&id(&again));
    assert_eq!(counts(&ended), "300 300 0 0 0 0");
    let changed = program.get("/v1/bars?layer=raw&frequency=1m&symbols=S299&columns=close");
    assert_eq!(changed["rows"], json!([{ "close": 2.0 }]));
}

#[test]
fn the_command_line_says_why_a_server_does_not_import() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), "");
    let words = ["import", "a.csv", "--on-server", "--server", &program.url];
    let refused = failed(dir.path(), &words);
    assert!(refused.contains("[server] import_dir"), "{refused}");
    let two = failed(dir.path(), &["import", "a", "b", "--on-server", "--server", &program.url]);
    assert!(two.contains("give one file or folder"), "{two}");
    assert!(Path::new(&dir.path().join("data")).exists());
}
