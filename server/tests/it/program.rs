//! The real program in a process of its own, and words to talk to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use reqwest::blocking::Client;
use serde_json::{Value, json};

/// `barrow serve` on a folder; killed when dropped.
pub(crate) struct Program {
    child: Child,
    _output: BufReader<ChildStdout>,
    pub(crate) url: String,
    pub(crate) http: Client,
}

impl Drop for Program {
    fn drop(&mut self) {
        // On Unix this is SIGKILL. It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it on the folder `data` in `dir`.
    pub(crate) fn start(dir: &Path, config: &str) -> Self {
        Self::spawn(dir, config, Stdio::null())
    }

    /// The same, with what it says on standard error.
    pub(crate) fn start_with_log(dir: &Path, config: &str) -> (Self, ChildStderr) {
        let mut program = Self::spawn(dir, config, Stdio::piped());
        let errors = program.child.stderr.take().unwrap();
        (program, errors)
    }

    fn spawn(dir: &Path, config: &str, errors: Stdio) -> Self {
        std::fs::write(dir.join("config.toml"), config).unwrap();
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
            .stderr(errors)
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
    pub(crate) fn try_post(http: &Client, url: &str, body: &Value) -> Option<(u16, Value)> {
        let reply = http.post(url).json(body).send().ok()?;
        Some((reply.status().as_u16(), reply.json().ok()?))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        Self::try_post(&self.http, &format!("{}{path}", self.url), body).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.url)).send().unwrap().json().unwrap()
    }

    pub(crate) fn start_job(&self, kind: &str) -> String {
        self.start_job_with(&json!({ "kind": kind }))
    }

    pub(crate) fn start_job_with(&self, body: &Value) -> String {
        let (status, job) = self.post("/v1/jobs", body);
        assert_eq!(status, 200, "{job}");
        id(&job)
    }

    /// The job once it has ended.
    pub(crate) fn ended(&self, id: &str) -> Value {
        loop {
            let job = self.get(&format!("/v1/jobs/{id}?wait=30"));
            if has_ended(&job) {
                return job;
            }
        }
    }

    /// As many symbols with a bar each, all in one segment that begins with them.
    pub(crate) fn load(&self, symbols: u32) {
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

pub(crate) fn id(job: &Value) -> String {
    job["job_id"].as_str().unwrap_or_else(|| panic!("{job}")).to_owned()
}

pub(crate) fn has_ended(job: &Value) -> bool {
    let state = job["state"].as_str().unwrap_or_else(|| panic!("{job}"));
    !["PENDING", "RUNNING"].contains(&state)
}

/// Numbers that look random, the same each time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a command says, which must succeed; `dir` is where it runs.
pub(crate) fn said(dir: &Path, arguments: &[&str]) -> String {
    let (succeeded, text) = run(dir, arguments);
    assert!(succeeded, "{arguments:?}: {text}");
    text
}

/// The same of one that must fail.
pub(crate) fn failed(dir: &Path, arguments: &[&str]) -> String {
    let (succeeded, text) = run(dir, arguments);
    assert!(!succeeded, "{arguments:?}: {text}");
    text
}

fn run(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let program = env!("CARGO_BIN_EXE_barrow");
    let done = Command::new(program).args(arguments).current_dir(dir).output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(text).unwrap())
}
