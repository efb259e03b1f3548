//! Which server a command talks to: one that runs, or one inside the command for a directory.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use barrow_client::Client;
use clap::Args;

use crate::app::{self, Running};
use crate::cli::CliError;
use crate::config::{Config, LogLevel};
use crate::logging;

pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8480";

/// Where the data are.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetArgs {
    /// The server to talk to
    #[arg(long, value_name = "URL", conflicts_with = "data", default_value = DEFAULT_SERVER)]
    server: String,
    /// Work on this directory, which no server has open
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A server to talk to.
pub(crate) struct Target {
    /// Talks to it.
    pub(crate) client: Client,
    embedded: Option<Running>,
}

impl TargetArgs {
    /// Finds or starts the server.
    ///
    /// # Errors
    /// Nobody answers there; the directory cannot be opened.
    pub(crate) async fn open(&self) -> Result<Target, CliError> {
        if let Some(data) = &self.data {
            return Target::embed(data).await;
        }
        let client = Client::new(&self.server)?;
        client.health().await?;
        Ok(Target { client, embedded: None })
    }
}

impl Target {
    /// Starts a server for `data` inside this process, on a free port.
    async fn embed(data: &Path) -> Result<Self, CliError> {
        Self::embed_at(data, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// As with `--data`, on this address.
    pub(crate) async fn embed_at(data: &Path, http: SocketAddr) -> Result<Self, CliError> {
        let mut config = Config::default();
        config.server.data_dir = data.to_owned();
        config.server.http = http;
        config.feed.enabled = false;
        config.log.level = LogLevel::Warn;
        logging::init(&config.log);
        let running = start(config).await?;
        let client = Client::new(&format!("http://{}", running.http))?;
        Ok(Self { client, embedded: Some(running) })
    }

    /// Stops the server if it is ours; what was accepted is durable before that.
    ///
    /// # Errors
    /// The store was not closed; the next start replays its log.
    pub(crate) async fn close(self) -> Result<(), CliError> {
        match self.embedded {
            Some(running) => stop(running).await,
            None => Ok(()),
        }
    }
}

/// Starts a server.
///
/// # Errors
/// Why it does not start.
pub(crate) async fn start(config: Config) -> Result<Running, CliError> {
    let data = config.server.data_dir.display().to_string();
    app::start(config)
        .await
        .map_err(|error| CliError::failed(format!("start a server on {data}: {error}")))
}

/// Stops a server.
///
/// # Errors
/// Why it did not stop cleanly.
pub(crate) async fn stop(running: Running) -> Result<(), CliError> {
    running.stop().await.map_err(|error| CliError::failed(error.to_string()))
}
