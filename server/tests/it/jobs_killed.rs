//! The real program, killed while it is at work on jobs: none is lost, none is done differently.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Program, Random, has_ended, id};

/// A checkpoint behind every piece of work, and only as many segments as are asked for.
const CONFIG: &str = "[engine]\ncompaction = false\n[jobs]\ncheckpoint_ms = 1\n";

/// How often the program is killed in the midst of whatever comes. Fewer than the times that a job
/// may be begun without getting on.
const KILLS: u32 = 8;

/// What a verification said of segments; when masks are written depends on the time.
fn of_segments(job: &Value) -> [Value; 3] {
    ["extents", "rows", "problems"].map(|name| job["summary"][name].clone())
}

/// Changes a byte of the first block of the one segment.
fn damage(dir: &Path) {
    let mut segments = std::fs::read_dir(dir.join("data/segments")).unwrap();
    let path = segments.next().unwrap().unwrap().path();
    assert!(segments.next().is_none(), "one segment");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 1;
    let other = dir.join("data/damaged");
    std::fs::write(&other, bytes).unwrap();
    std::fs::rename(other, path).unwrap();
}

#[test]
fn a_verification_goes_on_from_where_it_was_killed_to_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), CONFIG);
    program.load(2_000);
    drop(program);
    damage(dir.path());
    let mut program = Program::start(dir.path(), CONFIG);
    let whole = of_segments(&program.ended(&program.start_job("verify")));
    assert_eq!(whole[2].as_array().unwrap().len(), 1, "{whole:?}");
    let job = program.start_job("verify");
    let mut reached = 0.0;
    for share in [0.1, 0.4, 0.7] {
        while program.get(&format!("/v1/jobs/{job}"))["progress"].as_f64().unwrap() < share {}
        drop(program);
        program = Program::start(dir.path(), CONFIG);
        let seen = program.get(&format!("/v1/jobs/{job}"))["progress"].as_f64().unwrap();
        assert!(seen >= reached, "{seen} is behind {reached}");
        reached = seen;
    }
    let done = program.ended(&job);
    assert_eq!((&done["state"], of_segments(&done)), (&json!("SUCCEEDED"), whole), "{done}");
}

/// Every job there is, by number.
fn all(program: &Program) -> BTreeMap<String, Value> {
    let listed = program.get("/v1/jobs?limit=1000");
    listed["jobs"].as_array().unwrap().iter().map(|job| (id(job), job.clone())).collect()
}

#[test]
fn no_job_is_lost_or_changed_by_kills_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path(), CONFIG);
    program.load(300);
    let mut random = Random::new(20_131_007);
    // The newest answer about each job.
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    let mut asked = 0;
    for _ in 0..KILLS {
        for _ in 0..random.below(12) {
            let known: Vec<&String> = told.keys().collect();
            let (path, body) = match random.below(8) {
                what @ (0 | 1) if !known.is_empty() => {
                    let place = usize::try_from(random.below(known.len() as u64)).unwrap();
                    let act = if what == 0 { "cancel" } else { "retry" };
                    (format!("/v1/jobs/{}/{act}", known[place]), json!({}))
                }
                what => {
                    asked += 1;
                    let kind = if what % 2 == 0 { "compact" } else { "verify" };
                    let body = json!({ "kind": kind, "request_id": format!("r{asked}") });
                    ("/v1/jobs".to_owned(), body)
                }
            };
            let (status, job) = program.post(&path, &body);
            assert!(status == 200 || status == 409, "{path}: {job}");
            if status == 200 {
                told.insert(id(&job), job);
            }
        }
        told.extend(all(&program));
        // One more is on its way when the program dies.
        asked += 1;
        let last = json!({ "kind": "verify", "request_id": format!("r{asked}") });
        let (http, url, body) =
            (program.http.clone(), format!("{}/v1/jobs", program.url), last.clone());
        let sent = std::thread::spawn(move || Program::try_post(&http, &url, &body));
        for _ in 0..random.below(4) {
            program.get("/v1/jobs?limit=1");
        }
        drop(program);
        let answered = sent.join().unwrap();
        program = Program::start(dir.path(), CONFIG);

        let found = all(&program);
        for (id, job) in &told {
            let now = &found[id];
            for name in ["params", "request_id", "retry_of", "created_ts", "source"] {
                assert_eq!(now[name], job[name], "{name} of {job}");
            }
            if has_ended(job) {
                assert_eq!(now, job);
            }
        }
        let (status, job) = program.post("/v1/jobs", &last);
        assert_eq!(status, 200, "{job}");
        if let Some((200, first)) = answered {
            assert_eq!(id(&first), id(&job));
        }
        let ids: Vec<_> =
            all(&program).into_values().map(|job| job["request_id"].clone()).collect();
        let named: Vec<_> = ids.iter().filter_map(Value::as_str).collect();
        let distinct: BTreeSet<_> = named.iter().collect();
        assert_eq!(distinct.len(), named.len(), "a request made two jobs: {named:?}");
        told.insert(id(&job), job);
    }
    assert!(told.len() > 10, "{} jobs", told.len());
    for id in told.keys() {
        let job = program.ended(id);
        assert!(["SUCCEEDED", "CANCELLED"].contains(&job["state"].as_str().unwrap()), "{job}");
        if job["state"] == "SUCCEEDED" && job["params"]["kind"] == "verify" {
            assert_eq!(job["summary"]["problem_count"], 0, "{job}");
        }
    }
}
