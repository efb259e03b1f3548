//! `barrow latest`: the newest row of each series of some symbols.

use std::io::Write;

use barrow_client::{LatestFeaturesQuery, LatestQuery};
use clap::Args;

use crate::cli::target::TargetArgs;
use crate::cli::{CliError, features, table};

const EXAMPLES: &str = "\
Examples:
  barrow latest SPY
  barrow latest SPY IBM --data ./barrow-data
  barrow latest SPY --dataset quotes
  barrow latest SPY --layer curated --frequency 1m
  barrow latest SPY --group core
  barrow latest SPY IBM --group core@6c1b1f0e22d0a9a4 --max-age 90s";

/// Show the newest rows, one for each symbol, source and, of bars, timeframe and price; or
/// features.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LatestArgs {
    /// Names
    #[arg(required = true)]
    symbols: Vec<String>,
    /// Which rows: bars, trades or quotes
    #[arg(long, default_value = "bars", value_parser = ["bars", "trades", "quotes"])]
    dataset: String,
    /// raw: of each source; curated: the one bar of the preferred source
    #[arg(long, value_name = "LAYER", default_value = "raw", value_parser = ["raw", "curated"])]
    layer: String,
    /// Only bars of this length; needed for curated ones
    #[arg(long, value_name = "STEP")]
    frequency: Option<String>,
    /// Curated bars and features: what was known at this time
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Curated bars and features: what Barrow held at this sequence
    #[arg(long, value_name = "N")]
    at_sequence: Option<String>,
    /// The features of a group rather than rows
    #[arg(
        long,
        value_name = "NAME[@VERSION]",
        conflicts_with_all = ["dataset", "layer", "frequency"],
    )]
    group: Option<String>,
    /// Features: none that are older, such as 90s, 5m, 2h, 1d
    #[arg(long, value_name = "SPAN", requires = "group")]
    max_age: Option<String>,
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

/// The same of curated bars.
const CURATED_COLUMNS: [&str; 11] = [
    "symbol", "source", "ts", "open", "high", "low", "close", "volume", "session", "state",
    "known_at",
];

/// Runs the command.
pub(crate) async fn run(args: LatestArgs, out: &mut dyn Write) -> Result<(), CliError> {
    if let Some(group) = args.group {
        let query = LatestFeaturesQuery {
            max_age: args.max_age,
            as_of: args.as_of,
            at_sequence: args.at_sequence,
            ..LatestFeaturesQuery::new([group], args.symbols)
        };
        let target = args.target.open().await?;
        let shown = features::latest(&target.client, query, table::terminal_width(), out).await;
        let stopped = target.close().await;
        return shown.and(stopped);
    }
    let is_curated = args.layer == "curated";
    let query = LatestQuery {
        layer: is_curated.then_some(args.layer),
        frequency: args.frequency,
        as_of: args.as_of,
        at_sequence: args.at_sequence,
        ..LatestQuery::new(args.symbols)
    };
    // The columns of bars are more than a terminal is wide.
    let query = match args.dataset.as_str() {
        "bars" if is_curated => query.columns(CURATED_COLUMNS),
        "bars" => query.columns(COLUMNS),
        _ => query,
    };
    let target = args.target.open().await?;
    let rows = target.client.latest_of(&args.dataset, &query).await;
    let stopped = target.close().await;
    table::write(out, &rows?)?;
    stopped
}
