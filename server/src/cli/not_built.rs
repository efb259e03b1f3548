//! Commands that the contract names and that are not built: each says so.

use clap::Subcommand;

use crate::cli::CliError;

/// Commands of the contract without code behind them.
#[derive(Debug, Subcommand)]
pub(crate) enum NotBuilt {
    /// Load again what is missing (not available yet)
    Backfill(Rest),
    /// Load from a source (not available yet)
    Ingest(Rest),
    /// Export a training snapshot (not available yet)
    Export(Rest),
}

/// Whatever follows.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

impl NotBuilt {
    /// The answer to all of them.
    pub(crate) fn refuse(&self) -> CliError {
        let (name, rest) = match self {
            Self::Backfill(rest) => ("backfill", rest),
            Self::Ingest(rest) => ("ingest", rest),
            Self::Export(rest) => ("export", rest),
        };
        let first = rest.rest.first().map_or(String::new(), |word| format!(" {word}"));
        CliError::not_available(format!("barrow {name}{first}"))
    }
}
