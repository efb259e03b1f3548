//! `barrow dead-letters`: rows that were not stored, and why.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::cli::CliError;
use crate::cli::not_built::Rest;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow dead-letters list
  barrow dead-letters list --batch import-5f0c --limit 20";

/// Look at rejected rows.
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(ListArgs),
    /// One in full (not available yet)
    Show(Rest),
    /// Send again what can be read now (not available yet)
    Replay(Rest),
}

/// Newest first
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct ListArgs {
    /// Only of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u64,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: DeadLettersArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let args = match args.what {
        What::List(args) => args,
        What::Show(_) => return Err(CliError::not_available("barrow dead-letters show")),
        What::Replay(_) => return Err(CliError::not_available("barrow dead-letters replay")),
    };
    let target = args.target.open().await?;
    let letters = target.client.dead_letters(args.batch.as_deref(), Some(args.limit)).await;
    let stopped = target.close().await;
    let letters = letters?;
    if letters.is_empty() {
        writeln!(out, "no dead letters")?;
    }
    for letter in letters {
        writeln!(
            out,
            "{} row {}: {}: {}\n    {}",
            letter.batch_id, letter.row, letter.reason, letter.detail, letter.raw
        )?;
    }
    stopped
}
