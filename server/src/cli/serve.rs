//! `barrow serve`: the server, until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{CliError, target};
use crate::config::Config;
use crate::logging;

const EXAMPLES: &str = "\
Examples:
  barrow serve
  barrow serve --data /var/lib/barrow --http 127.0.0.1:8480
  barrow serve --config config.toml

Prints `ready http=ADDR feed=ADDR data=DIR` when it takes requests; port 0 picks a free port.
SIGTERM or Ctrl-C: finishes what it accepted and exits 0.";

/// Run the server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Settings; config.toml of the source tree documents every one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory with the data, made if it is not there [default: barrow-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address for HTTP [default: 127.0.0.1:8480]
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address for the feature feed [default: 127.0.0.1:8481]
    #[arg(long, value_name = "ADDR")]
    feed: Option<SocketAddr>,
}

/// What asks a process to stop.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let on = |kind| {
            signal(kind).map_err(|error| CliError::failed(format!("listen to signals: {error}")))
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    /// Returns at the first SIGTERM or SIGINT.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: ServeArgs, out: &mut dyn Write) -> Result<(), CliError> {
    // Before the ready line: who reads it may send a signal at once.
    let mut signals = StopSignals::listen()?;
    let mut config = Config::load(args.config.as_deref(), std::env::vars())
        .map_err(|error| CliError::usage(error.to_string()))?;
    if let Some(data) = args.data {
        config.server.data_dir = data;
    }
    if let Some(http) = args.http {
        config.server.http = http;
    }
    if let Some(feed) = args.feed {
        config.server.feed = feed;
    }
    logging::init(&config.log);
    let data = config.server.data_dir.display().to_string();
    let running = target::start(config).await?;
    let feed = running.feed.map_or("off".to_owned(), |feed| feed.to_string());
    writeln!(out, "ready http={} feed={feed} data={data}", running.http)?;
    out.flush()?;
    signals.wait().await;
    target::stop(running).await
}
