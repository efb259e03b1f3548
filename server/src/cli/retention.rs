//! `barrow retention`: from when on questions about a dataset are answered.

use std::io::Write;

use barrow_client::{Client, RaiseFloor, RetentionFloor};
use clap::{Args, Subcommand};

use crate::cli::CliError;
use crate::cli::target::TargetArgs;
use crate::import::grouped;

const EXAMPLES: &str = "\
Examples:
  barrow retention set bars --timeframe 1m --as-of-from 2025-01-01 --dry-run
  barrow retention set bars --timeframe 1m --as-of-from 2025-01-01
  barrow retention set trades --at-sequence-from 120000
  barrow retention list

Questions with an earlier as_of or at_sequence are refused from then on. Rows that only they could
see (values that were corrected since, and what was taken back) are dropped when segments are
merged, at once by `barrow compact`. Answers at the floor and later stay as they are. A floor never
falls.";

const SETTING: &str = "\
Examples:
  barrow retention set bars --timeframe 1m --as-of-from 2025-01-01 --dry-run
  barrow retention set bars --timeframe 1m --as-of-from 2025-01-01
  barrow retention set trades --at-sequence-from 120000";

/// Say which past is no longer asked about.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetentionArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = SETTING)]
    Set(SetArgs),
    #[command(after_help = "Examples:\n  barrow retention list")]
    List(ListArgs),
}

/// Raise the floor of a dataset
#[derive(Debug, Args)]
struct SetArgs {
    /// bars, trades, quotes, or a table of your own
    dataset: String,
    /// Of which bars: 1m, 1d
    #[arg(long, value_name = "STEP")]
    timeframe: Option<String>,
    /// The first as_of that is answered; a date is 00:00 UTC. Left out, it is when the record
    /// --at-sequence-from came in
    #[arg(long, value_name = "T", required_unless_present = "at_sequence_from")]
    as_of_from: Option<String>,
    /// The first at_sequence that is answered. Left out, it is what was held at --as-of-from
    #[arg(long, value_name = "N")]
    at_sequence_from: Option<u64>,
    /// Say what would be, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Every floor, and since when it holds
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: RetentionArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let target = match &args.what {
        What::Set(args) => &args.target,
        What::List(args) => &args.target,
    };
    let target = target.clone().open().await?;
    let done = match &args.what {
        What::Set(args) => set(&target.client, args, out).await,
        What::List(_) => list(&target.client, out).await,
    };
    let stopped = target.close().await;
    done.and(stopped)
}

async fn set(client: &Client, args: &SetArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let asked = RaiseFloor {
        timeframe: args.timeframe.clone(),
        as_of_from: args.as_of_from.clone(),
        at_sequence_from: args.at_sequence_from.map(|sequence| sequence.to_string()),
    };
    let floor = client.raise_floor(&args.dataset, &asked, args.dry_run).await?;
    write(&floor, out)?;
    let Some(rows) = floor.droppable else { return Ok(()) };
    let (least, most) = (grouped(rows.rows_at_least), grouped(rows.rows_at_most));
    let (bytes, would) = (grouped(rows.bytes_at_most), if args.dry_run { "would" } else { "will" });
    writeln!(out, "  {least} to {most} rows in segments {would} go, at most {bytes} bytes")?;
    Ok(())
}

async fn list(client: &Client, out: &mut dyn Write) -> Result<(), CliError> {
    for floor in client.retention().await? {
        write(&floor, out)?;
    }
    Ok(())
}

fn write(floor: &RetentionFloor, out: &mut dyn Write) -> Result<(), CliError> {
    let RetentionFloor { dataset, timeframe, as_of_from, at_sequence_from, set_at, .. } = floor;
    let timeframe = timeframe.as_deref().map_or(String::new(), |step| format!(" {step}"));
    let as_of = as_of_from.as_deref().unwrap_or("any time");
    let since = set_at.as_deref().map_or(String::new(), |at| format!("  set {at}"));
    writeln!(out, "{dataset}{timeframe}  as of {as_of}, at sequence {at_sequence_from}{since}")?;
    Ok(())
}
