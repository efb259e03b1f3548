//! `barrow delete`: retraction. Nothing is erased; `--as-of` still shows what was there.

use std::io::Write;

use barrow_client::{ClientError, DeleteKeys};
use barrow_types::{PriceSide, Step};
use clap::{Args, Subcommand};

use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step};
use crate::import::grouped;

const EXAMPLES: &str = "\
Examples:
  barrow delete rows --batch import-5f0c
  barrow delete rows --symbol SPY --timeframe 1m --source lean --ts 2013-10-07T13:30:00Z
  barrow delete rows --dataset news --symbol SPY --source vendor --ts 2013-10-07T13:30:00Z \
      --key id=4711

Nothing is erased: a query with --as-of before now still shows the rows.";

/// Retract rows.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Rows(RowsArgs),
}

/// Rows by batch or by key
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct RowsArgs {
    /// The table
    #[arg(long, default_value = "bars")]
    dataset: String,
    /// Everything visible that this batch brought
    #[arg(long, value_name = "ID", conflicts_with_all = ["symbol", "ts"])]
    batch: Option<String>,
    /// Rows of this symbol
    #[arg(long, required_unless_present = "batch", requires = "ts")]
    symbol: Option<String>,
    /// At these times
    #[arg(long, value_delimiter = ',', requires = "symbol")]
    ts: Vec<String>,
    /// What else is in the key of a table of your own: COLUMN=VALUE
    #[arg(long, value_name = "COLUMN=VALUE", requires = "symbol")]
    key: Vec<String>,
    /// How long the bars are
    #[arg(long, value_parser = parse_step)]
    timeframe: Option<Step>,
    /// Where the rows came from
    #[arg(long, required_unless_present = "batch")]
    source: Option<String>,
    /// Which price: trade, bid, ask, mid
    #[arg(long, value_parser = parse_side, default_value = "trade")]
    price: PriceSide,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: DeleteArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let What::Rows(args) = args.what;
    let keys = match args {
        RowsArgs { batch: Some(batch), .. } => DeleteKeys::Batch(batch),
        RowsArgs { symbol: Some(symbol), timeframe: Some(step), source: Some(source), .. } => {
            let (timeframe, price) = (step.name().to_owned(), args.price.name().to_owned());
            DeleteKeys::Rows { symbol, timeframe, source, price, ts: args.ts }
        }
        RowsArgs { symbol: Some(symbol), source: Some(source), .. } if args.dataset != "bars" => {
            let mut key = vec![("symbol", symbol.as_str())];
            for pair in &args.key {
                let wrong = || CliError::usage(format!("--key {pair}: write COLUMN=VALUE"));
                key.push(pair.split_once('=').ok_or_else(wrong)?);
            }
            let at = |ts: &String| {
                let pairs = key.iter().copied().chain([("ts", ts.as_str())]);
                let values = pairs.map(|(name, value)| (name.to_owned(), value.into()));
                serde_json::Value::Object(values.collect())
            };
            DeleteKeys::Keys { source, keys: args.ts.iter().map(at).collect() }
        }
        _ => {
            return Err(CliError::usage(
                "say --batch, or --symbol, --ts, --timeframe and --source",
            ));
        }
    };
    let target = args.target.open().await?;
    let answer = target.client.delete_rows(&args.dataset, &keys, None).await;
    let stopped = target.close().await;
    let answer = answer.or_else(ClientError::into_answer)?;
    writeln!(out, "retracted {} rows (batch {})", grouped(answer.accepted), answer.batch_id)?;
    for error in &answer.errors {
        writeln!(out, "  not retracted: {}: {}", error.reason, error.detail)?;
    }
    stopped
}
