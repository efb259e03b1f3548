//! The real program, killed at any moment while it is at work on jobs of every kind: each comes to
//! one result, and in the end the store answers as one whose server was never killed.
//!
//! `BARROW_KILLED_ROUNDS` says how often it is killed (10 unless set),
//! `BARROW_KILLED_SEED` where the random numbers begin.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Program, Random, has_ended, id, said};

/// Batches of some hundred rows, so that there are moments between them; a checkpoint behind every
/// piece of work.
const CONFIG: &str = "\
[server]
import_dir = \"files\"
backup_dir = \"backups\"
[engine]
batch_bytes_max = 32768
[jobs]
checkpoint_ms = 1
max_running = 3
";

const ROUNDS_DEFAULT: u64 = 10;
const SEED_DEFAULT: u64 = 20_131_007;

/// Kills before all jobs are waited for: fewer than the times that a job may be begun without
/// getting on.
const KILLS_IN_A_ROW: u64 = 5;

/// Minutes of each file of bars.
const MINUTES: u32 = 390;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_string());
    text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: give a whole number"))
}

/// A program on the folder `dir`, with a table and a group of features.
fn begin(dir: &Path) -> Program {
    for folder in ["files", "backups"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let program = Program::start(dir, CONFIG);
    let table = json!({ "columns": [{ "name": "note", "type": "text" }], "key": ["symbol", "ts"] });
    let group = json!({
        "kind": "FeatureSet",
        "name": "g",
        "bars": { "every": "1m" },
        "features": [{ "name": "mean", "expr": "Mean($close, 5)" }],
    });
    for (path, body) in [("datasets/news", &table), ("feature-groups/g", &group)] {
        let put = program.http.put(format!("{}/v1/{path}", program.url)).json(body);
        assert_eq!(put.send().unwrap().status(), 200, "{path}");
    }
    program.load(40);
    program
}

/// What import `number` reads, in one folder, and what is asked for.
fn files(dir: &Path, number: u64) -> Value {
    let name = format!("i{number}");
    let folder = dir.join("files").join(&name);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    let mut body = json!({ "kind": "import", "path": name, "source": "files" });
    let more = match number % 4 {
        0 | 1 => {
            for file in ["A", "B", "C"] {
                let mut text = "symbol,ts,open,high,low,close\n".to_owned();
                for minute in (0..MINUTES).filter(|minute| minute % 50 != 7) {
                    let (hour, minute) = (13 + (30 + minute) / 60, (30 + minute) % 60);
                    let close = (number + u64::from(minute)) % 7 + 1;
                    let bar = format!("2013-10-07T{hour}:{minute:02}:00Z,{close},9,0.5,{close}");
                    writeln!(text, "{file}{number},{bar}").unwrap();
                }
                // Whoever claims to be complete holds no line that is no row and none that is
                // turned away at the door. A correction is known since it came in.
                if number % 4 == 1 {
                    text.push_str("x,y\n");
                    writeln!(text, "../{number},2013-10-07T13:30:00Z,1,1,1,1").unwrap();
                    writeln!(text, "{file}{number},2013-10-07T13:30:00Z,1,9,0.5,2").unwrap();
                }
                write(&format!("{file}.csv"), &text);
            }
            json!({
                "timeframe": "1m",
                "stamp": "start",
                "known_at": "ts_end",
                "calendar": "XNYS",
                "complete": number.is_multiple_of(4),
            })
        }
        2 => {
            let mut text = "ts,price,size,symbol\n".to_owned();
            for second in 0..600 {
                let ts = format!("2013-10-07T14:{:02}:{:02}Z", second / 60, second % 60);
                writeln!(text, "{ts},{},100,T{number}", second % 9 + 1).unwrap();
            }
            write("ticks.csv", &text);
            json!({ "dataset": "trades" })
        }
        _ => {
            let mut text = "ts,symbol,note\n".to_owned();
            for day in 1..=28 {
                writeln!(text, "2024-01-{day:02},N{number},{}", "word ".repeat(200)).unwrap();
            }
            write("news.csv", &text);
            json!({ "dataset": "news" })
        }
    };
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// All that the store holds of `imports` imports and that depends on no clock.
fn held(program: &Program, imports: u64) -> Vec<String> {
    let text = |path: &str| {
        let reply = program.http.get(format!("{}/v1/{path}", program.url)).send().unwrap();
        let status = reply.status();
        let text = reply.text().unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    };
    let mut held = Vec::new();
    for number in 0..imports {
        let bars = format!("A{number},B{number},C{number}");
        held.push(match number % 4 {
            0 | 1 => {
                let day = "start=2013-10-07T13:00:00Z&end=2013-10-08T00:00:00Z";
                let known = if number.is_multiple_of(4) { ",known_at" } else { "" };
                let columns = format!("columns=symbol,ts,open,high,low,close,ts_end,source{known}");
                let raw = format!("layer=raw&revisions=all&format=csv&{columns}");
                text(&format!("bars?symbols={bars}&frequency=1m&{raw}"))
                    + &text(&format!("gaps?symbols={bars}&frequency=1m&{day}&format=csv"))
            }
            2 => {
                let columns = "columns=symbol,ts,price,size,source";
                text(&format!("trades?layer=raw&symbols=T{number}&format=csv&{columns}"))
            }
            _ => text(&format!("tables/news?symbols=N{number}&format=csv&columns=symbol,ts,note")),
        });
    }
    let letters = program.get("/v1/dead-letters?limit=10000");
    let of = |letter: &Value| {
        ["batch_id", "row", "reason", "detail", "raw"]
            .map(|name| letter[name].to_string())
            .join(" ")
    };
    let mut letters: Vec<String> = letters["rows"].as_array().unwrap().iter().map(of).collect();
    letters.sort();
    held.extend(letters);
    held
}

/// What came of a job, but for what depends on when it ran.
fn result(job: &Value) -> Value {
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    let summary = &job["summary"];
    match job["params"]["kind"].as_str().unwrap() {
        "import" => {
            assert_eq!(summary["repeated"], 0, "{job}");
            summary.clone()
        }
        "verify" => json!([summary["problem_count"], summary["problems"]]),
        "verify_features" => json!([summary["cells"], summary["mismatches"]]),
        "lint_features" => summary["is_ok"].clone(),
        _ => json!(null),
    }
}

/// What is asked for next: its parameters. Imports are numbered from 0.
fn ask(dir: &Path, random: &mut Random, imports: &mut u64, asked: u64) -> Value {
    let mut body = match random.below(10) {
        0 | 1 => json!({ "kind": "verify" }),
        2 => json!({ "kind": "compact" }),
        3 => json!({ "kind": "backup", "path": format!("b{asked}") }),
        4 => json!({ "kind": "verify_features", "group": "g", "symbols": ["S1", "S2"] }),
        5 => json!({ "kind": "lint_features", "group": "g", "symbols": ["S1", "S2"] }),
        _ => {
            *imports += 1;
            files(dir, *imports - 1)
        }
    };
    body["request_id"] = json!(format!("r{asked}"));
    body
}

#[test]
fn jobs_of_every_kind_come_to_the_results_of_a_server_that_is_never_killed() {
    let rounds = setting("BARROW_KILLED_ROUNDS", ROUNDS_DEFAULT);
    let seed = setting("BARROW_KILLED_SEED", SEED_DEFAULT);
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed);
    let mut program = begin(dir.path());
    let (mut imports, mut asked) = (0, 0);
    // Parameters and result of every job, by its number.
    let mut results: BTreeMap<u64, (Value, Value)> = BTreeMap::new();
    let mut open: BTreeMap<String, Value> = BTreeMap::new();
    let mut ended: BTreeMap<String, Value> = BTreeMap::new();
    for round in 1..=rounds {
        for _ in 0..random.below(4) {
            let body = ask(dir.path(), &mut random, &mut imports, asked);
            asked += 1;
            let job = program.start_job_with(&body);
            open.insert(job, body);
        }
        // One more is on its way when the program dies.
        let last = ask(dir.path(), &mut random, &mut imports, asked);
        asked += 1;
        let (http, url, body) =
            (program.http.clone(), format!("{}/v1/jobs", program.url), last.clone());
        let sent = std::thread::spawn(move || Program::try_post(&http, &url, &body));
        let looks_max = 1 << random.below(8);
        for _ in 0..random.below(looks_max) {
            program.get("/v1/jobs?limit=1");
        }
        drop(program);
        let answered = sent.join().unwrap();
        program = Program::start(dir.path(), CONFIG);
        let job = program.start_job_with(&last);
        if let Some((200, first)) = answered {
            assert_eq!(id(&first), job, "round {round} of seed {seed}");
        }
        open.insert(job, last);
        for (id, before) in &ended {
            let now = program.get(&format!("/v1/jobs/{id}"));
            assert_eq!(&now, before, "round {round} of seed {seed}: a job that had ended");
        }
        if round % KILLS_IN_A_ROW != 0 && round != rounds {
            for id in open.keys() {
                let job = program.get(&format!("/v1/jobs/{id}"));
                if has_ended(&job) {
                    ended.insert(id.clone(), job);
                }
            }
            continue;
        }
        ended.clear();
        for (id, body) in std::mem::take(&mut open) {
            let job = program.ended(&id);
            if body["kind"] == "backup" {
                let backup = format!("backups/{}", body["path"].as_str().unwrap());
                said(dir.path(), &["verify", "--data", &backup]);
            }
            results.insert(id.parse().unwrap(), (body, result(&job)));
        }
        let backups = std::fs::read_dir(dir.path().join("backups")).unwrap();
        let names: BTreeSet<_> = backups.map(|entry| entry.unwrap().file_name()).collect();
        let expected = results.values().filter(|(body, _)| body["kind"] == "backup");
        let expected: BTreeSet<_> =
            expected.map(|(body, _)| body["path"].as_str().unwrap().into()).collect();
        assert_eq!(names, expected, "each backup is there once, and nothing unfinished");
    }
    assert_eq!(results.len() as u64, asked, "no job is lost, none is there twice");
    let found = held(&program, imports);
    drop(program);

    let other = tempfile::tempdir().unwrap();
    let program = begin(other.path());
    for number in 0..imports {
        files(other.path(), number);
    }
    for (number, (body, result_of)) in results {
        if ["backup", "compact"].contains(&body["kind"].as_str().unwrap()) {
            continue;
        }
        let job = program.ended(&program.start_job_with(&body));
        let same = result(&job);
        assert_eq!(result_of, same, "seed {seed}: job {number}, {body}");
    }
    let expected = held(&program, imports);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "seed {seed}");
    }
}
