//! A server for one test, and words to talk to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use barrow_engine::disk::Disk;
use barrow_server::app::{self, Running, StopError};
use barrow_server::config::Config;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

/// A running server.
pub(crate) struct Server {
    running: Running,
    client: Client,
    dir: TempDir,
    config: Config,
}

/// The defaults, but: a free port, no feed, and no seal records, so that sequences count batches.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.server.http = "127.0.0.1:0".parse().unwrap();
    config.feed.enabled = false;
    config.engine.wal_file_bytes = 1 << 20;
    config.writer.seal_idle_ms = 3_600_000;
    config
}

impl Server {
    /// With the settings of [`config`].
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    /// With these settings; the folder is always a new one.
    pub(crate) async fn start_with(config: Config) -> Self {
        Self::open(config, tempfile::tempdir().unwrap()).await
    }

    /// Over `disk` instead of a folder.
    pub(crate) async fn start_on(config: Config, disk: Arc<dyn Disk>) -> Self {
        let running = app::start_on(config.clone(), disk).await.unwrap();
        Self { running, client: Client::new(), dir: tempfile::tempdir().unwrap(), config }
    }

    async fn open(mut config: Config, dir: TempDir) -> Self {
        config.server.data_dir = dir.path().join("data");
        let running = app::start(config.clone()).await.unwrap();
        Self { running, client: Client::new(), dir, config }
    }

    /// Stops it and starts it again over the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { running, dir, config, .. } = self;
        running.stop().await.unwrap();
        Self::open(config, dir).await
    }

    /// Its settings, with the folder it uses.
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.http
    }

    /// Where its feature feed listens.
    pub(crate) fn feed(&self) -> SocketAddr {
        self.running.feed.expect("the test has switched it on")
    }

    /// Stops it, and says whether it went well.
    pub(crate) async fn try_stop(self) -> Result<(), StopError> {
        self.running.stop().await
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }

    /// A request; `path` begins with `/`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address()))
    }

    /// The status and the JSON of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// The text of a GET that must be 200.
    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// Sends rows; `query` stands behind `timeframe=1m`.
    pub(crate) async fn post(
        &self,
        query: &str,
        kind: &str,
        body: impl Into<Vec<u8>>,
    ) -> (u16, Value) {
        let path = format!("/v1/datasets/bars/rows?timeframe=1m{query}");
        let request = self.request(Method::POST, &path).header("content-type", kind);
        answer(request.body(body.into()).send().await.unwrap()).await
    }

    /// Sends trades or quotes as an import, so that rules turn none away; all must be taken.
    /// `query` begins with `?` or is empty.
    pub(crate) async fn post_ticks(
        &self,
        dataset: &str,
        query: &str,
        kind: &str,
        body: impl Into<Vec<u8>>,
    ) -> Value {
        let joint = if query.is_empty() { "?" } else { "&" };
        let path = format!("/v1/datasets/{dataset}/rows{query}{joint}import=true");
        let request = self.request(Method::POST, &path).header("content-type", kind);
        let (status, body) = answer(request.body(body.into()).send().await.unwrap()).await;
        assert_eq!((status, &body["rejected"]), (200, &Value::from(0)), "{body}");
        body
    }

    /// Sends CSV rows as an import, so that rules turn none away; all must be taken.
    pub(crate) async fn load(&self, query: &str, csv: &str) -> Value {
        let (status, body) = self.post(&format!("{query}&import=true"), "text/csv", csv).await;
        assert_eq!((status, &body["rejected"]), (200, &Value::from(0)), "{body}");
        body
    }

    /// `ts close` of each row of a CSV answer, a line each, minutes and closes only.
    pub(crate) async fn closes(&self, query: &str) -> String {
        let path = format!("/v1/bars?layer=raw&frequency=1m&format=csv&columns=ts,close{query}");
        let text = self.text(&path).await;
        let rows = text.lines().skip(1).map(|line| line["2013-10-07T13:".len()..].to_owned());
        rows.map(|row| row.replace(":00Z,", " ")).collect::<Vec<_>>().join("\n")
    }

    /// Everything that a refused request must leave as it was.
    pub(crate) async fn state(&self) -> String {
        let (_, bars) = self.get("/v1/datasets/bars").await;
        let (_, dead) = self.get("/v1/dead-letters").await;
        format!("{} {} {}", bars["sequence"], bars["series"], dead["rows"])
    }
}

/// Sends `bytes` as they are, and returns what the server at `address` answers until it closes or
/// has told a problem.
pub(crate) async fn raw(address: SocketAddr, bytes: &'static [u8]) -> String {
    let talk = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        let mut buffer = [0; 4_096];
        while !answer.contains("\"type\"") {
            let len = stream.read(&mut buffer).unwrap();
            if len == 0 {
                break;
            }
            answer.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
        }
        answer
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

/// The status and the JSON of an answer; problems must say what RFC 9457 asks for.
pub(crate) async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    if status >= 400 {
        assert_eq!(kind, "application/problem+json", "{text}");
        assert_eq!(body["status"], status, "{text}");
        for member in ["type", "title", "detail", "code"] {
            assert!(body[member].is_string(), "{member}: {text}");
        }
    }
    (status, body)
}

/// CSV of bars of one symbol: `minute close` a line, from 2013-10-07T13:00Z on.
pub(crate) fn csv(symbol: &str, rows: &str) -> String {
    let mut text = "symbol,ts,open,high,low,close\n".to_owned();
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (minute, close) = row.split_once(' ').unwrap();
        text.push_str(&format!("{symbol},2013-10-07T13:{minute}:00Z,1,2,0.5,{close}\n"));
    }
    text
}
