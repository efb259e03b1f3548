//! `barrow latest`: the newest row of each series of some symbols.

use std::io::Write;

use barrow_client::LatestQuery;
use clap::Args;

use crate::cli::target::TargetArgs;
use crate::cli::{CliError, table};

const EXAMPLES: &str = "\
Examples:
  barrow latest SPY
  barrow latest SPY IBM --data ./barrow-data
  barrow latest SPY --dataset quotes";

/// Show the newest rows: one for each symbol, source and, of bars, timeframe and price.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LatestArgs {
    /// Names
    #[arg(required = true)]
    symbols: Vec<String>,
    /// Which rows: bars, trades or quotes
    #[arg(long, default_value = "bars", value_parser = ["bars", "trades", "quotes"])]
    dataset: String,
    /// Latest features of a group (not available yet)
    #[arg(long, value_name = "NAME[@VERSION]")]
    group: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// What fits a terminal.
pub(crate) const COLUMNS: [&str; 11] = [
    "symbol",
    "timeframe",
    "price",
    "source",
    "ts",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "known_at",
];

/// Runs the command.
pub(crate) async fn run(args: LatestArgs, out: &mut dyn Write) -> Result<(), CliError> {
    if args.group.is_some() {
        return Err(CliError::not_available("--group, the latest features"));
    }
    let query = LatestQuery::new(args.symbols);
    // The columns of bars are more than a terminal is wide.
    let query = if args.dataset == "bars" { query.columns(COLUMNS) } else { query };
    let target = args.target.open().await?;
    let rows = target.client.latest_of(&args.dataset, &query).await;
    let stopped = target.close().await;
    table::write(out, &rows?)?;
    stopped
}
