//! The real program, killed while it is at work on jobs: none is lost, none is done differently.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::blocking::Client;
use serde_json::{Value, json};

/// A checkpoint behind every piece of work, and only as many segments as are asked for.
const CONFIG: &str = "[engine]\ncompaction = false\n[jobs]\ncheckpoint_ms = 1\n";

/// How often the program is killed in the midst of whatever comes. Fewer than the times that a job
/// may be begun without getting on.
const KILLS: u32 = 8;

/// `barrow serve` on a folder; killed when dropped.
struct Program {
    child: Child,
    _output: BufReader<ChildStdout>,
    url: String,
    http: Client,
}

impl Drop for Program {
    fn drop(&mut self) {
        // On Unix this is SIGKILL. It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(dir: &Path) -> Self {
        std::fs::write(dir.join("config.toml"), CONFIG).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_barrow"))
            .args([
                "serve",
                "--config",
                "config.toml",
                "--http",
                "127.0.0.1:0",
                "--feed",
                "127.0.0.1:0",
                "--data",
                "data",
            ])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http="));
        let address = address.unwrap_or_else(|| panic!("not ready: {line:?}"));
        Self { child, _output: output, url: format!("http://{address}"), http: Client::new() }
    }

    /// What is answered; `None` if the program is gone.
    fn try_post(http: &Client, url: &str, body: &Value) -> Option<(u16, Value)> {
        let reply = http.post(url).json(body).send().ok()?;
        Some((reply.status().as_u16(), reply.json().ok()?))
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        Self::try_post(&self.http, &format!("{}{path}", self.url), body).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.url)).send().unwrap().json().unwrap()
    }

    fn start_job(&self, kind: &str) -> String {
        let (status, job) = self.post("/v1/jobs", &json!({ "kind": kind }));
        assert_eq!(status, 200, "{job}");
        id(&job)
    }

    fn ended(&self, id: &str) -> Value {
        loop {
            let job = self.get(&format!("/v1/jobs/{id}?wait=30"));
            if has_ended(&job) {
                return job;
            }
        }
    }

    /// As many symbols with a bar each, all in one segment that begins with them.
    fn load(&self, symbols: u32) {
        let bar = |symbol| format!("S{symbol},2013-10-07T13:30:00Z,1,2,0.5,1\n");
        let rows: String = (0..symbols).map(bar).collect();
        let body = format!("symbol,ts,open,high,low,close\n{rows}");
        let url = format!("{}/v1/datasets/bars/rows?timeframe=1m&import=true", self.url);
        let reply = self.http.post(url).header("content-type", "text/csv").body(body).send();
        assert_eq!(reply.unwrap().status(), 200);
        for _ in 0..2 {
            assert_eq!(self.ended(&self.start_job("compact"))["state"], "SUCCEEDED");
        }
    }
}

fn id(job: &Value) -> String {
    job["job_id"].as_str().unwrap_or_else(|| panic!("{job}")).to_owned()
}

fn has_ended(job: &Value) -> bool {
    let state = job["state"].as_str().unwrap_or_else(|| panic!("{job}"));
    !["PENDING", "RUNNING"].contains(&state)
}

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
    let program = Program::start(dir.path());
    program.load(2_000);
    drop(program);
    damage(dir.path());
    let mut program = Program::start(dir.path());
    let whole = of_segments(&program.ended(&program.start_job("verify")));
    assert_eq!(whole[2].as_array().unwrap().len(), 1, "{whole:?}");
    let job = program.start_job("verify");
    let mut reached = 0.0;
    for share in [0.1, 0.4, 0.7] {
        while program.get(&format!("/v1/jobs/{job}"))["progress"].as_f64().unwrap() < share {}
        drop(program);
        program = Program::start(dir.path());
        let seen = program.get(&format!("/v1/jobs/{job}"))["progress"].as_f64().unwrap();
        assert!(seen >= reached, "{seen} is behind {reached}");
        reached = seen;
    }
    let done = program.ended(&job);
    assert_eq!((&done["state"], of_segments(&done)), (&json!("SUCCEEDED"), whole), "{done}");
}

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Every job there is, by number.
fn all(program: &Program) -> BTreeMap<String, Value> {
    let listed = program.get("/v1/jobs?limit=1000");
    listed["jobs"].as_array().unwrap().iter().map(|job| (id(job), job.clone())).collect()
}

#[test]
fn no_job_is_lost_or_changed_by_kills_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path());
    program.load(300);
    let mut random = Random(20_131_007);
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
        program = Program::start(dir.path());

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
