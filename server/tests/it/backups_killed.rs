//! The real program, backed up while rows come in, brought back, and killed in the midst of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::blocking::Client;
use serde_json::json;

use crate::program::{Program, Random, failed, said};

const CONFIG: &str = "[server]\nbackup_dir = \"backups\"\n";

/// How often the program is killed in the midst of a backup.
const KILLS: u64 = 8;

fn start(dir: &Path) -> Program {
    std::fs::create_dir_all(dir.join("backups")).unwrap();
    Program::start(dir, CONFIG)
}

fn load(http: &Client, url: &str, minute: u32, close: u32) {
    let (hour, minute) = (13 + minute / 60, minute % 60);
    let row = format!("A,2013-10-07T{hour}:{minute:02}:00Z,1,{close},0.5,{close}\n");
    let body = format!("symbol,ts,open,high,low,close\n{row}");
    let url = format!("{url}/v1/datasets/bars/rows?timeframe=1m&import=true");
    let reply = http.post(url).header("content-type", "text/csv").body(body).send().unwrap();
    assert_eq!(reply.status(), 200);
}

fn rows(program: &Program, query: &str) -> String {
    let path = "/v1/bars?layer=raw&frequency=1m&symbols=A,S7&format=csv&revisions=all";
    let reply = program.http.get(format!("{}{path}{query}", program.url)).send().unwrap();
    assert_eq!(reply.status(), 200);
    reply.text().unwrap()
}

#[test]
fn a_backup_made_while_rows_come_in_is_brought_back_to_what_was_answered_then() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path());
    program.load(20);
    // Revisions of one bar, too: which is visible depends on the record.
    for close in 1..=3 {
        load(&program.http, &program.url, 31, close);
    }
    let is_over = AtomicBool::new(false);
    let job = std::thread::scope(|scope| {
        scope.spawn(|| {
            let http = Client::new();
            for (minute, close) in (32..200).zip(1..) {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                load(&http, &program.url, minute, close);
            }
        });
        let body = json!({ "kind": "backup", "path": "one" });
        let job = program.ended(&program.start_job_with(&body));
        is_over.store(true, Ordering::SeqCst);
        job
    });
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    let sequence = |name: &str| -> u64 { job["summary"][name].as_str().unwrap().parse().unwrap() };
    let (first, last) = (sequence("first_sequence"), sequence("last_sequence"));
    assert!(first + 3 <= last, "{job}");
    let expected = |at: u64| rows(&program, &format!("&at_sequence={at}"));
    assert_ne!(expected(first), expected(last));

    said(dir.path(), &["verify", "--data", "backups/one"]);
    for at in [first, first + 1, first + 2, last] {
        let place = format!("at{at}");
        std::fs::create_dir(dir.path().join(&place)).unwrap();
        let data = format!("{place}/data");
        said(dir.path(), &["restore", "backups/one", &data, "--sequence", &at.to_string()]);
        let restored = start(&dir.path().join(place));
        assert_eq!(rows(&restored, ""), expected(at), "at {at}");
    }
    // The job that made the backup was at work in it; it is about another store.
    let restored = start(&dir.path().join(format!("at{last}")));
    let job = restored.ended(job["job_id"].as_str().unwrap());
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("that this one was made of"), "{job}");
    let made = std::fs::read_dir(dir.path().join(format!("at{last}/backups"))).unwrap().count();
    assert_eq!(made, 0);
    said(dir.path(), &["restore", "backups/one", "latest"]);
    said(dir.path(), &["verify", "--data", "latest"]);
    let refused = failed(dir.path(), &["restore", "backups/one", "latest"]);
    assert!(refused.contains("is not empty"), "{refused}");
}

#[test]
fn a_backup_that_is_killed_at_any_moment_is_whole_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = start(dir.path());
    program.load(300);
    let mut random = Random::new(20_131_007);
    for number in 0..KILLS {
        load(&program.http, &program.url, 31, u32::try_from(number).unwrap() + 1);
        let path = format!("b{number}");
        let id = program.start_job_with(&json!({ "kind": "backup", "path": path }));
        for _ in 0..random.below(6) {
            program.get("/v1/jobs?limit=1");
        }
        drop(program);
        program = start(dir.path());
        let job = program.ended(&id);
        assert_eq!(job["state"], "SUCCEEDED", "{job}");
        let backup = format!("backups/{path}");
        said(dir.path(), &["verify", "--data", &backup]);
        let left = std::fs::read_dir(dir.path().join("backups")).unwrap().count() as u64;
        assert_eq!(left, number + 1, "nothing unfinished is left");
    }
}
