//! Every setting, typed. `config.toml` at the root of the repository is the manual: every key at
//! its default (a test compares them).
//!
//! Settings come from a file, then from the environment (`BARROW_HTTP_QUERY_THREADS=4` sets
//! `query_threads` of `[http]`), then from the command line. Unknown keys are refused and all
//! faults are reported together. Paths in a file are relative to the working directory.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use barrow_protocol::frame::BODY_LEN_MAX;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What is wrong with the settings: one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Every fault that was found.
    pub faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}", self.faults.join("; "))
    }
}

impl std::error::Error for ConfigError {}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important kind of log line that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Needs a person.
    Error,
    /// Went on anyhow.
    Warn,
    /// A state changed.
    Info,
    /// For developers.
    Debug,
    /// For developers, in detail.
    Trace,
}

fn read<T: DeserializeOwned>(value: toml::Value) -> Result<T, String> {
    value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// A group of settings: the struct, its defaults, its key list and how a key is set by name.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident {
        $( $(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr, )*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $kind, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $name {
            const KEYS: &[&str] = &[$( stringify!($field), )*];

            fn set(&mut self, key: &str, value: toml::Value) -> Result<(), String> {
                $( if key == stringify!($field) {
                    self.$field = read(value)?;
                    return Ok(());
                } )*
                Err(format!("no such key (there are: {})", Self::KEYS.join(", ")))
            }
        }
    };
}

macro_rules! sections {
    ($( $(#[$doc:meta])* $field:ident: $kind:ident, )*) => {
        /// Every setting.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Config {
            $( $(#[$doc])* pub $field: $kind, )*
        }

        impl Config {
            const SECTIONS: &[(&str, &[&str])] = &[$( (stringify!($field), $kind::KEYS), )*];

            fn set(&mut self, section: &str, key: &str, value: toml::Value) -> Result<(), String> {
                $( if section == stringify!($field) {
                    return self.$field.set(key, value);
                } )*
                Err("no such section".to_owned())
            }
        }
    };
}

sections! {
    /// Where the server is and where its data are.
    server: Server,
    /// Sizes inside the storage engine.
    engine: Engine,
    /// What requests may take.
    http: Http,
    /// The feature feed.
    feed: Feed,
    /// Features that are kept up to date.
    live: LiveRows,
    /// The queue before the one writer.
    writer: Writer,
    /// Long work.
    jobs: Jobs,
    /// Who may do what.
    auth: Auth,
    /// Log lines.
    log: Log,
}

section! {
    /// `[server]`
    Server {
        /// Address of the HTTP server. Port 0 picks a free one.
        http: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8480)),
        /// Address of the feature feed. Port 0 picks a free one.
        feed: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8481)),
        /// The folder with the data; made if it is not there.
        data_dir: PathBuf = PathBuf::from("barrow-data"),
        /// The folder below which jobs make backups; empty: they make none.
        backup_dir: PathBuf = PathBuf::new(),
        /// Bytes a second that a backup writes where its files are copied, at most; 0: no bound.
        backup_bytes_per_second: u64 = 200 << 20,
        /// The folder below which jobs read files to import; empty: they read none.
        import_dir: PathBuf = PathBuf::new(),
        /// How long requests that were accepted may take to finish after a stop.
        shutdown_seconds: u64 = 30,
    }
}

section! {
    /// `[engine]`
    Engine {
        /// Length of a log file.
        wal_file_bytes: u64 = 64 << 20,
        /// Size of the memtable at which it is flushed; at twice that intake stops for a while.
        memtable_bytes_max: u64 = 64 << 20,
        /// Largest batch, decoded; a larger request is cut into parts.
        batch_bytes_max: u64 = 32 << 20,
        /// Most series in one store.
        series_max: u32 = 1_000_000,
        /// Length of the manifest's log at which it is begun anew.
        manifest_bytes_max: u64 = 4 << 20,
        /// Whether segments are merged without being asked.
        compaction: bool = true,
        /// Bytes a second that such merging writes, at most.
        compact_bytes_per_second: u64 = 64 << 20,
        /// How many runs of segments of one size are merged into one.
        compact_fan_out: u32 = 8,
        /// Bytes of one series in a compaction above which it gets a file of its own.
        own_file_bytes: u64 = 1 << 20,
        /// Length of a file that series share, about.
        pack_bytes_max: u64 = 64 << 20,
        /// Bytes of tiles (bars that were made of others) in memory, at most.
        tile_bytes_max: u64 = 256 << 20,
        /// Bytes of states of feature kernels in memory, at most.
        checkpoint_bytes_max: u64 = 128 << 20,
        /// Bytes of files of cells of features (`history: materialized`), at most.
        cell_bytes_max: u64 = 64 << 30,
    }
}

section! {
    /// `[http]`
    Http {
        /// Largest request body as sent, perhaps compressed.
        body_bytes_max: u64 = 64 << 20,
        /// Largest request body after decompression.
        body_decoded_bytes_max: u64 = 256 << 20,
        /// Bytes of all request bodies held at once, as sent and decoded together.
        bodies_bytes_max: u64 = 1 << 30,
        /// Time for a body to arrive.
        body_seconds_max: u64 = 300,
        /// Time for a request's head to arrive.
        header_seconds_max: u64 = 30,
        /// Open connections.
        connections_max: u32 = 1_024,
        /// Requests in work at once.
        requests_max: u32 = 512,
        /// Streams of events open at once.
        streams_max: u32 = 256,
        /// Request bodies decoded at once.
        prepare_threads: u32 = 4,
        /// Queries at work at once.
        query_threads: u32 = 8,
        /// Longest time a query may take, sending included.
        query_seconds_max: u64 = 300,
        /// How long a request waits for a free thread.
        queue_seconds_max: u64 = 10,
        /// Largest `limit` of a query; without `limit` an answer is streamed whole.
        page_rows_max: u32 = 100_000,
        /// How long `min_sequence` waits for a sequence that is not there yet.
        min_sequence_wait_ms: u64 = 1_000,
    }
}

section! {
    /// `[live]`
    LiveRows {
        /// Whether there is a file for each group that clients on this host map.
        tables: bool = true,
        /// Groups whose promoted version is kept up to date; those first in the alphabet.
        groups_max: u32 = 256,
        /// Symbols of each of them.
        symbols_max: u32 = 65_536,
    }
}

section! {
    /// `[feed]`
    Feed {
        /// Whether there is a feed at all.
        enabled: bool = true,
        /// Path of the Unix socket; empty: `feature.sock` in the folder with the data.
        socket: PathBuf = PathBuf::new(),
        /// Open connections.
        connections_max: u32 = 4_096,
        /// Groups that one connection is subscribed to.
        subscriptions_max: u32 = 64,
        /// Longest request.
        request_bytes_max: u32 = 1 << 20,
        /// Longest answer.
        answer_bytes_max: u32 = 4 << 20,
        /// Bytes that wait for one client before nothing more is read from or made for it.
        backlog_bytes_max: u32 = 256 << 10,
        /// Time for a client to say who it is.
        hello_seconds_max: u64 = 5,
        /// How long a client may take no byte of what waits for it.
        write_seconds_max: u64 = 10,
        /// Updates that are kept for those who come back or are slow.
        kept_updates_max: u32 = 262_144,
        /// Bytes of them.
        kept_bytes_max: u64 = 64 << 20,
    }
}

section! {
    /// `[writer]`
    Writer {
        /// Batches that wait for the writer.
        queue_batches_max: u32 = 256,
        /// Batches that share one sync.
        group_batches_max: u32 = 256,
        /// Bytes of the batches that share one sync.
        group_bytes_max: u64 = 16 << 20,
        /// Idle time after which the log is sealed.
        seal_idle_ms: u64 = 50,
    }
}

section! {
    /// `[jobs]`
    Jobs {
        /// Jobs at work at once; others wait.
        max_running: u32 = 2,
        /// How often a job at work stores where it can go on.
        checkpoint_ms: u64 = 1_000,
    }
}

section! {
    /// `[auth]`
    Auth {
        /// File of keys; empty: none, and only loopback addresses are served.
        keys_file: PathBuf = PathBuf::new(),
    }
}

section! {
    /// `[log]`
    Log {
        /// The least important kind of line that is written.
        level: LogLevel = LogLevel::Info,
        /// How lines look.
        format: LogFormat = LogFormat::Text,
        /// Whether there is a line for each HTTP request.
        requests: bool = false,
    }
}

impl Config {
    /// The settings of `text`, a TOML document; keys that it leaves out keep their defaults.
    ///
    /// # Errors
    /// Every unknown key and every value of a wrong type; values are not weighed yet, see
    /// [`Config::check`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut faults = Vec::new();
        match text.parse::<toml::Table>() {
            Ok(document) => config.overlay(document, &mut faults),
            Err(error) => faults.push(error.to_string().trim_end().replace('\n', " ")),
        }
        if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
    }

    /// The settings of `file` (the defaults without one), then of the environment variables
    /// `BARROW_SECTION_KEY`.
    ///
    /// # Errors
    /// The file cannot be read; unknown keys or variables and values of a wrong type, all together.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut faults = Vec::new();
        if let Some(file) = file {
            match std::fs::read_to_string(file) {
                Ok(text) => match Self::parse(&text) {
                    Ok(parsed) => config = parsed,
                    Err(error) => faults.extend(
                        error
                            .faults
                            .into_iter()
                            .map(|fault| format!("{}: {fault}", file.display())),
                    ),
                },
                Err(error) => faults.push(format!("read {}: {error}", file.display())),
            }
        }
        config.overlay_environment(environment, &mut faults);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
    }

    fn overlay(&mut self, document: toml::Table, faults: &mut Vec<String>) {
        for (section, keys) in document {
            if !Self::SECTIONS.iter().any(|(name, _)| *name == section) {
                let names: Vec<_> = Self::SECTIONS.iter().map(|(name, _)| *name).collect();
                faults.push(format!(
                    "[{section}]: no such section (there are: {})",
                    names.join(", ")
                ));
                continue;
            }
            let toml::Value::Table(keys) = keys else {
                faults.push(format!("{section}: is a section, write [{section}]"));
                continue;
            };
            for (key, value) in keys {
                if let Err(fault) = self.set(&section, &key, value) {
                    faults.push(format!("[{section}] {key}: {fault}"));
                }
            }
        }
    }

    fn overlay_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
        faults: &mut Vec<String>,
    ) {
        for (name, text) in environment {
            for (section, keys) in Self::SECTIONS {
                let prefix = format!("BARROW_{}_", section.to_uppercase());
                let Some(key) = name.strip_prefix(&prefix) else { continue };
                let key = key.to_lowercase();
                if !keys.contains(&key.as_str()) {
                    faults.push(format!("{name}: no such setting"));
                    continue;
                }
                let set = self.set(section, &key, toml::Value::String(text.clone()));
                let set = match text.parse() {
                    Ok(number) => {
                        set.or_else(|_| self.set(section, &key, toml::Value::Integer(number)))
                    }
                    Err(_) => set,
                };
                if let Err(fault) = set {
                    faults.push(format!("{name}: {fault}"));
                }
            }
        }
    }

    /// Weighs the values against each other.
    ///
    /// # Errors
    /// Every value that makes no sense, all together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut faults = Vec::new();
        for (name, address, is_used) in
            [("http", self.server.http, true), ("feed", self.server.feed, self.feed.enabled)]
        {
            let is_open = is_used && !address.ip().is_loopback();
            if is_open && self.auth.keys_file.as_os_str().is_empty() {
                faults.push(format!(
                    "[server] {name}: {address} can be reached from other machines: set [auth] \
                     keys_file, or bind 127.0.0.1"
                ));
            }
        }
        if self.server.data_dir.as_os_str().is_empty() {
            faults.push("[server] data_dir: is empty".to_owned());
        }
        let backup_dir = &self.server.backup_dir;
        let data_dir = &self.server.data_dir;
        if !data_dir.as_os_str().is_empty() && backup_dir.starts_with(data_dir) {
            faults.push(
                "[server] backup_dir: lies in data_dir; choose a folder elsewhere".to_owned(),
            );
        }
        let import_dir = &self.server.import_dir;
        if !data_dir.as_os_str().is_empty()
            && !import_dir.as_os_str().is_empty()
            && (import_dir.starts_with(data_dir) || data_dir.starts_with(import_dir))
        {
            faults.push(
                "[server] import_dir: lies in data_dir, or data_dir in it; choose a folder \
                 elsewhere"
                    .to_owned(),
            );
        }
        let mut at_least = |name: &str, value: u64, least: u64| {
            if value < least {
                faults.push(format!("{name}: {value} is too small, at least {least}"));
            }
        };
        let (engine, http, writer) = (&self.engine, &self.http, &self.writer);
        at_least("[engine] batch_bytes_max", engine.batch_bytes_max, 4_096);
        at_least("[engine] wal_file_bytes", engine.wal_file_bytes, 65_536);
        at_least("[engine] memtable_bytes_max", engine.memtable_bytes_max, 65_536);
        at_least("[engine] manifest_bytes_max", engine.manifest_bytes_max, 4_096);
        let rate = engine.compact_bytes_per_second;
        at_least("[engine] compact_bytes_per_second", rate, 1 << 20);
        at_least("[engine] compact_fan_out", engine.compact_fan_out.into(), 2);
        at_least("[engine] own_file_bytes", engine.own_file_bytes, 4_096);
        at_least("[engine] pack_bytes_max", engine.pack_bytes_max, engine.own_file_bytes);
        at_least("[engine] series_max", engine.series_max.into(), 1);
        at_least("[http] body_bytes_max", http.body_bytes_max, 1_024);
        at_least("[http] body_decoded_bytes_max", http.body_decoded_bytes_max, http.body_bytes_max);
        at_least("[http] bodies_bytes_max", http.bodies_bytes_max, http.body_decoded_bytes_max);
        at_least("[http] body_seconds_max", http.body_seconds_max, 1);
        at_least("[http] header_seconds_max", http.header_seconds_max, 1);
        at_least("[http] connections_max", http.connections_max.into(), 1);
        at_least("[http] requests_max", http.requests_max.into(), 1);
        at_least("[http] prepare_threads", http.prepare_threads.into(), 1);
        at_least("[http] query_threads", http.query_threads.into(), 1);
        at_least("[http] query_seconds_max", http.query_seconds_max, 1);
        at_least("[http] page_rows_max", http.page_rows_max.into(), 1);
        at_least("[writer] queue_batches_max", writer.queue_batches_max.into(), 1);
        at_least("[writer] group_batches_max", writer.group_batches_max.into(), 1);
        at_least("[writer] seal_idle_ms", writer.seal_idle_ms, 1);
        let feed = &self.feed;
        at_least("[feed] connections_max", feed.connections_max.into(), 1);
        at_least("[feed] subscriptions_max", feed.subscriptions_max.into(), 1);
        at_least("[feed] request_bytes_max", feed.request_bytes_max.into(), 4_096);
        at_least("[feed] answer_bytes_max", feed.answer_bytes_max.into(), 4_096);
        at_least("[feed] backlog_bytes_max", feed.backlog_bytes_max.into(), 4_096);
        at_least("[feed] hello_seconds_max", feed.hello_seconds_max, 1);
        at_least("[feed] write_seconds_max", feed.write_seconds_max, 1);
        at_least("[feed] kept_updates_max", feed.kept_updates_max.into(), 1);
        at_least("[feed] kept_bytes_max", feed.kept_bytes_max, 4_096);
        at_least("[jobs] max_running", self.jobs.max_running.into(), 1);
        at_least("[jobs] checkpoint_ms", self.jobs.checkpoint_ms, 1);
        for (name, value) in [
            ("request_bytes_max", feed.request_bytes_max),
            ("answer_bytes_max", feed.answer_bytes_max),
        ] {
            if value > BODY_LEN_MAX {
                faults.push(format!("[feed] {name}: {value} is too large, at most {BODY_LEN_MAX}"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(ConfigError { faults }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = include_str!("../../config.toml");

    /// The manual with its settings uncommented: they are the lines that begin with `#` at once
    /// followed by the key; prose has a space after it.
    fn uncommented() -> String {
        MANUAL
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_manual_holds_every_key_at_its_default_and_no_other() {
        assert_eq!(Config::parse(MANUAL), Ok(Config::default()));
        assert_eq!(Config::parse(&uncommented()), Ok(Config::default()));
        let document: toml::Table = uncommented().parse().unwrap();
        for (section, keys) in Config::SECTIONS {
            let table = document[*section].as_table().unwrap();
            for key in *keys {
                assert!(table.contains_key(*key), "config.toml lacks [{section}] {key}");
            }
            assert_eq!(table.len(), keys.len(), "[{section}]");
        }
        Config::default().check().unwrap();
    }

    #[test]
    fn all_faults_are_reported_together() {
        let error = Config::parse(
            "[server]\nhttp = 'nowhere'\nport = 1\n[engine]\nseries_max = 'many'\n[cache]\nx = 1\n",
        )
        .unwrap_err();
        assert_eq!(error.faults.len(), 4, "{error}");
        for part in ["[server] http", "[server] port", "[engine] series_max", "[cache]"] {
            assert!(error.faults.iter().any(|fault| fault.starts_with(part)), "{part}: {error}");
        }
    }

    #[test]
    fn the_environment_goes_above_the_file() {
        let set =
            |name: &str, value: &str| Config::load(None, [(name.to_owned(), value.to_owned())]);
        assert_eq!(set("BARROW_HTTP_QUERY_THREADS", "3").unwrap().http.query_threads, 3);
        let config = set("BARROW_SERVER_DATA_DIR", "elsewhere").unwrap();
        assert_eq!(config.server.data_dir, Path::new("elsewhere"));
        assert_eq!(set("BARROW_LOG_FORMAT", "json").unwrap().log.format, LogFormat::Json);
        assert!(set("BARROW_HTTP_THREADS", "3").is_err());
        assert!(set("BARROW_HTTP_QUERY_THREADS", "-3").is_err());
        assert_eq!(set("PATH", "/bin").unwrap(), Config::default());
    }

    #[test]
    fn files_to_import_lie_neither_in_the_store_nor_around_it() {
        for (data, import, fine) in [
            ("data", "", true),
            ("data", "files", true),
            ("data", "data", false),
            ("data", "data/files", false),
            ("files/data", "files", false),
        ] {
            let mut config = Config::default();
            config.server.data_dir = PathBuf::from(data);
            config.server.import_dir = PathBuf::from(import);
            assert_eq!(config.check().is_ok(), fine, "{data} {import}");
        }
    }

    #[test]
    fn an_address_others_can_reach_needs_keys() {
        for (address, fine) in
            [("127.0.0.1:0", true), ("[::1]:0", true), ("0.0.0.0:0", false), ("[::]:0", false)]
        {
            let mut config = Config::default();
            config.server.http = address.parse().unwrap();
            assert_eq!(config.check().is_ok(), fine, "{address}");
            config.auth.keys_file = PathBuf::from("keys");
            assert!(config.check().is_ok(), "{address}");
            let mut config = Config::default();
            config.server.feed = address.parse().unwrap();
            assert_eq!(config.check().is_ok(), fine, "{address}");
            config.feed.enabled = false;
            assert!(config.check().is_ok(), "{address}");
        }
    }
}
