//! `barrow halts`: times in which trading in an instrument was halted.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{AsOf, Shown, list, write_answer};
use crate::cli::CliError;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow halts list
  barrow halts add TSLA --start 2013-10-07T15:05:00Z --note 'news pending'
  barrow halts add TSLA --start 2013-10-07T15:05:00Z --end 2013-10-07T15:35:00Z

A halt that is stated again with the same start takes the place of what was said of it.";

/// Look at halts of trading, and state some.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HaltsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Examples:\n  barrow halts list --symbols TSLA --start 2013-10-07")]
    List(ListArgs),
    #[command(after_help = "Examples:\n\
                      \x20 barrow halts add TSLA --start 2013-10-07T15:05:00Z --note news")]
    Add(AddArgs),
}

/// Those there were
#[derive(Debug, Args)]
struct ListArgs {
    /// Only of these instruments
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// Only those that reach beyond this time
    #[arg(long)]
    start: Option<String>,
    /// Only those that begin before this time
    #[arg(long)]
    end: Option<String>,
    #[command(flatten)]
    as_of: AsOf,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// State one
#[derive(Debug, Args)]
struct AddArgs {
    /// The instrument, by its id or its name then
    symbol: String,
    /// When it began
    #[arg(long)]
    start: String,
    /// When it ended; left out while it goes on
    #[arg(long)]
    end: Option<String>,
    /// What for
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: HaltsArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::List(args) => {
            let target = args.target.open().await?;
            let mut pairs = args.as_of.pairs();
            if !args.symbols.is_empty() {
                pairs.push(("symbols", args.symbols.join(",")));
            }
            pairs.extend(args.start.map(|start| ("start", start)));
            pairs.extend(args.end.map(|end| ("end", end)));
            let done = list(&target.client, &["halts"], &pairs, args.format, out).await;
            done.and(target.close().await)
        }
        What::Add(args) => {
            let AddArgs { symbol, start, end, note, target } = args;
            let target = target.open().await?;
            let halt = json!({"symbol": symbol, "start": start, "end": end, "note": note});
            let answer = target.client.post_facts(&["halts"], &[], &halt).await;
            target.close().await?;
            write_answer(&answer?, out)
        }
    }
}
