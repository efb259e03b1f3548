//! Backups that a running server makes: asked for, refused, failed, gone on with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use barrow_engine::StoreAtRest;
use barrow_engine::disk::{Disk, OsDisk};
use barrow_server::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::disk::FaultyDisk;
use crate::harness::{Server, answer, config, csv};

/// The settings of a server that makes backups in this folder.
fn with_backups(folder: &TempDir) -> Config {
    let mut config = config();
    config.server.backup_dir = folder.path().to_owned();
    config
}

async fn ask(server: &Server, body: Value) -> (u16, Value) {
    answer(server.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap()).await
}

/// A job of kind `backup` to `path`, once it has ended.
async fn back_up(server: &Server, path: &str) -> Value {
    let (status, job) = ask(server, json!({ "kind": "backup", "path": path })).await;
    assert_eq!(status, 200, "{job}");
    ended(server, job["job_id"].as_str().unwrap()).await
}

async fn ended(server: &Server, id: &str) -> Value {
    loop {
        let (_, job) = server.get(&format!("/v1/jobs/{id}?wait=30")).await;
        if !["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
    }
}

fn sequences(backup: &Path) -> (String, String) {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::open_at_rest(backup).unwrap());
    let report = barrow_engine::verify(&disk).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let sequences = StoreAtRest::open(&disk).unwrap().sequences();
    (sequences.start().to_string(), sequences.end().to_string())
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries.map(|it| name(it).into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_is_a_store_that_its_summary_tells_of() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(with_backups(&folder)).await;
    server.load("", &csv("A", "30 1\n31 2")).await;
    let (_, compacted) = ask(&server, json!({ "kind": "compact" })).await;
    ended(&server, compacted["job_id"].as_str().unwrap()).await;
    server.load("", &csv("A", "32 3")).await;
    let job = back_up(&server, "deep/er/one").await;
    assert_eq!((&job["state"], &job["progress"]), (&json!("SUCCEEDED"), &json!(1.0)), "{job}");
    let summary = &job["summary"];
    let (first, last) = sequences(&folder.path().join("deep/er/one"));
    assert_eq!(summary["first_sequence"], first, "{summary}");
    assert_eq!(summary["last_sequence"], last, "{summary}");
    assert_eq!((&summary["path"], &summary["files"]), (&json!("deep/er/one"), &json!(1)));
    assert_eq!(names(&folder.path().join("deep/er")), ["one"]);
    // Where it is, no other goes, nor into it.
    for path in ["deep/er/one", "deep/er/one/two"] {
        let job = back_up(&server, path).await;
        assert_eq!(job["state"], "FAILED", "{job}");
    }
    assert_eq!(names(&folder.path().join("deep/er")), ["one"]);
    server.stop().await;
}

#[tokio::test]
async fn a_backup_without_a_folder_to_make_it_in_is_refused_naming_the_setting() {
    let server = Server::start().await;
    let (status, problem) = ask(&server, json!({ "kind": "backup", "path": "one" })).await;
    assert_eq!((status, &problem["field"]), (400, &json!("path")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("[server] backup_dir"), "{detail}");
    server.stop().await;
    let folder = TempDir::new().unwrap();
    let mut config = with_backups(&folder);
    config.server.backup_dir.push("missing");
    let server = Server::start_with(config).await;
    let job = back_up(&server, "one").await;
    let error = job["error"].as_str().unwrap();
    assert!(error.starts_with("[server] backup_dir: ") && error.contains("missing"), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
    server.stop().await;
}

#[tokio::test]
async fn a_backup_that_would_leave_its_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink("..", inside.join("out")).unwrap();
    let mut config = with_backups(&folder);
    config.server.backup_dir = inside;
    let server = Server::start_with(config).await;
    for path in ["", ".", "..", "../b", "a/../../b", "/tmp/b", "a//b", "a\\b", "b.unfinished"] {
        let (status, problem) = ask(&server, json!({ "kind": "backup", "path": path })).await;
        assert_eq!((status, &problem["field"]), (400, &json!("path")), "{path}: {problem}");
    }
    for (body, field) in [
        (json!({ "kind": "backup" }), "path"),
        (json!({ "kind": "backup", "path": 7 }), "path"),
        (json!({ "kind": "backup", "path": "a", "deep": true }), "deep"),
    ] {
        let (status, problem) = ask(&server, body).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{problem}");
    }
    let job = back_up(&server, "out/b").await;
    let error = job["error"].as_str().unwrap();
    assert!(error.starts_with("path: ") && error.contains("leads out"), "{error}");
    assert_eq!(names(folder.path()), ["inside"]);
    server.stop().await;
}

#[test]
fn backups_do_not_lie_in_the_store() {
    let mut config = Config::default();
    config.server.data_dir = PathBuf::from("data");
    config.server.backup_dir = PathBuf::from("data/backups");
    let faults = config.check().unwrap_err().faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("[server] backup_dir: "), "{faults:?}");
}

#[tokio::test]
async fn what_a_killed_server_left_of_a_backup_is_removed_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(with_backups(&folder)).await;
    server.load("", &csv("A", "30 1")).await;
    let left = folder.path().join("one.unfinished");
    fs::create_dir_all(left.join("segments")).unwrap();
    fs::write(left.join("segments/0000000001.seg"), b"half").unwrap();
    fs::write(left.join("FORMAT.tmp"), b"half").unwrap();
    let job = back_up(&server, "one").await;
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    assert_eq!(names(folder.path()), ["one"]);
    sequences(&folder.path().join("one"));

    let other = folder.path().join("two.unfinished");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes"), b"mine").unwrap();
    let job = back_up(&server, "two").await;
    assert!(job["error"].as_str().unwrap().contains("holds notes"), "{job}");
    assert_eq!(names(&other), ["notes"]);
    server.stop().await;
}

#[tokio::test]
async fn a_backup_that_cannot_read_the_store_fails_with_the_reason_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let disk = FaultyDisk::new();
    let server = Server::start_on(with_backups(&folder), disk.clone()).await;
    server.load("", &csv("A", "30 1")).await;
    let (_, compacted) = ask(&server, json!({ "kind": "compact" })).await;
    ended(&server, compacted["job_id"].as_str().unwrap()).await;
    disk.segment_reads_left.store(0, Ordering::SeqCst);
    let job = back_up(&server, "one").await;
    assert_eq!(job["state"], "FAILED", "{job}");
    // Once in a hundred times it is the job's own row that cannot be stored: the filter of a
    // segment takes its random id for one that is there, and wants to be sure.
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("read segments/"), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
    disk.segment_reads_left.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(back_up(&server, "one").await["state"], "SUCCEEDED");
    server.load("", &csv("A", "31 1")).await;
    server.stop().await;
}

#[tokio::test]
async fn a_backup_that_had_its_name_when_the_server_was_killed_is_not_made_again() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("one");
    let disk = FaultyDisk::new();
    let server = Server::start_on(with_backups(&folder), disk.clone()).await;
    server.load("", &csv("A", "30 1")).await;
    disk.close_gate();
    let body = json!({ "kind": "backup", "path": "one" });
    let sent = tokio::spawn(server.request(Method::POST, "/v1/jobs").json(&body).send());
    // That it is asked for, that it is at work, what it is, how it ended: a sync each.
    let image = loop {
        if disk.has_waiting() {
            if place.exists() {
                break disk.image();
            }
            disk.pass_one();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    let made = fs::metadata(place.join("FORMAT")).unwrap().modified().unwrap();
    let after = Server::start_on(with_backups(&folder), Arc::new(image)).await;
    let found = ended(&after, "1").await;
    assert_eq!(found["state"], "SUCCEEDED", "{found}");
    after.stop().await;
    disk.open_gate();
    assert_eq!(ended(&server, "1").await["summary"], found["summary"]);
    assert_eq!(fs::metadata(place.join("FORMAT")).unwrap().modified().unwrap(), made);
    assert_eq!(names(folder.path()), ["one"]);
    server.stop().await;
}

#[tokio::test]
async fn a_backup_that_is_cancelled_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let disk = FaultyDisk::new();
    let server = Server::start_on(with_backups(&folder), disk.clone()).await;
    server.load("", &csv("A", "30 1")).await;
    // Whether it is heard before the backup has its name depends on the time.
    for number in 0.. {
        disk.close_gate();
        let (name, id) = (format!("b{number}"), format!("{}", number + 1));
        let body = json!({ "kind": "backup", "path": name });
        let asked = tokio::spawn(server.request(Method::POST, "/v1/jobs").json(&body).send());
        let whole = folder.path().join(format!("{name}.unfinished/FORMAT"));
        while !(whole.exists() && disk.has_waiting()) {
            if disk.has_waiting() {
                disk.pass_one();
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.await.unwrap().unwrap().status(), 200);
        let cancel = format!("/v1/jobs/{id}/cancel");
        let cancelled = tokio::spawn(server.request(Method::POST, &cancel).send());
        for _ in 0..10 {
            server.get("/v1/jobs").await;
        }
        disk.open_gate();
        let status = cancelled.await.unwrap().unwrap().status();
        let job = ended(&server, &id).await;
        if status == 200 {
            assert_eq!(job["state"], "CANCELLED", "{job}");
            assert!(!names(folder.path()).iter().any(|left| left.starts_with(&name)));
            break;
        }
        assert_eq!((status.as_u16(), &job["state"]), (409, &json!("SUCCEEDED")));
    }
    server.stop().await;
}
