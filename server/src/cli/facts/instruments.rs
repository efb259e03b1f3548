//! `barrow instruments`: what is known of instruments.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{AsOf, Shown, list, write_answer, write_json};
use crate::cli::CliError;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow instruments list
  barrow instruments show META --as-of 2013-10-07
  barrow instruments put instruments.json

A file holds one instrument, with its id, or an array of them:
  {\"id\": \"meta\", \"calendar\": \"XNYS\",
   \"name\": [{\"value\": \"FB\", \"since\": \"2012-05-18\"},
            {\"value\": \"META\", \"since\": \"2022-06-09\"}],
   \"bindings\": [{\"source\": \"lean\", \"symbol\": \"FB\", \"since\": \"2012-05-18\"}],
   \"actions\": [{\"ex_date\": \"2024-02-21\", \"kind\": \"dividend\", \"value\": 0.5}]}
What `show` prints can be put again.";

/// Look at instruments, and state what is known of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InstrumentsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Examples:\n  barrow instruments list --symbols SPY,IBM")]
    List(ListArgs),
    #[command(after_help = "Examples:\n  barrow instruments show SPY")]
    Show(ShowArgs),
    #[command(after_help = "Examples:\n  barrow instruments put instruments.yaml")]
    Put(PutArgs),
}

/// Those of which facts say anything, with what holds now
#[derive(Debug, Args)]
struct ListArgs {
    /// Only these ids
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    #[command(flatten)]
    as_of: AsOf,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// All that is known of one, as a file that can be put
#[derive(Debug, Args)]
struct ShowArgs {
    /// Its id, or its name
    id: String,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    target: TargetArgs,
}

/// State what a file says
#[derive(Debug, Args)]
struct PutArgs {
    /// JSON: an instrument or an array of them
    file: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: InstrumentsArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::List(args) => {
            let target = args.target.open().await?;
            let mut pairs = args.as_of.pairs();
            if !args.symbols.is_empty() {
                pairs.push(("symbols", args.symbols.join(",")));
            }
            let done = list(&target.client, &["instruments"], &pairs, args.format, out).await;
            done.and(target.close().await)
        }
        What::Show(args) => {
            let target = args.target.open().await?;
            let path = ["instruments", &args.id];
            let shown = target.client.facts(&path, &args.as_of.pairs()).await;
            target.close().await?;
            write_json(&shown?["instrument"], out)
        }
        What::Put(args) => {
            let instruments = read(&args.file)?;
            let target = args.target.open().await?;
            let answer = target.client.put_facts(&["instruments"], &[], &instruments).await;
            target.close().await?;
            write_answer(&answer?, out)
        }
    }
}

/// The instruments of a file, as an array.
fn read(file: &PathBuf) -> Result<Value, CliError> {
    let text = std::fs::read(file)
        .map_err(|error| CliError::failed(format!("read {}: {error}", file.display())))?;
    let value: Value = serde_json::from_slice(&text)
        .map_err(|error| CliError::failed(format!("{} is not JSON: {error}", file.display())))?;
    Ok(match value {
        Value::Array(_) => value,
        one => Value::Array(vec![one]),
    })
}
