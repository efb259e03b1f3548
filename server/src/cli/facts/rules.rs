//! `barrow rules`: how quality rules are applied.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{AsOf, Shown, list, parse_pair, write_answer};
use crate::cli::CliError;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow rules list bars
  barrow rules set bars spike --action quarantine --threshold k=9
  barrow rules set bars tick_size --enabled false
  barrow rules set bars spike --default

What `set` does not say of the rule is its default.";

/// Look at quality rules, and change them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Examples:\n  barrow rules list bars")]
    List(ListArgs),
    #[command(after_help = "Examples:\n\
                      \x20 barrow rules set bars spike --action quarantine --threshold k=9")]
    Set(SetArgs),
}

/// Those that were changed
#[derive(Debug, Args)]
struct ListArgs {
    /// bars, trades, quotes; all if left out
    dataset: Option<String>,
    #[command(flatten)]
    as_of: AsOf,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// Say how one is applied
#[derive(Debug, Args)]
struct SetArgs {
    /// bars, trades, quotes
    dataset: String,
    /// Its name: spike
    rule: String,
    /// Whether it is applied: true, false
    #[arg(long)]
    enabled: Option<bool>,
    /// info, warn, error
    #[arg(long)]
    severity: Option<String>,
    /// flag, quarantine, reject
    #[arg(long)]
    action: Option<String>,
    /// A threshold: k=9; may be given several times
    #[arg(long, value_name = "NAME=NUMBER", value_parser = parse_pair)]
    threshold: Vec<(String, String)>,
    /// All as it was
    #[arg(long, conflicts_with_all = ["enabled", "severity", "action", "threshold"])]
    default: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: RulesArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::List(args) => {
            let target = args.target.open().await?;
            let path: Vec<&str> = ["rules"].into_iter().chain(args.dataset.as_deref()).collect();
            let done = list(&target.client, &path, &args.as_of.pairs(), args.format, out).await;
            done.and(target.close().await)
        }
        What::Set(args) => {
            let rule = rule(&args)?;
            let target = args.target.open().await?;
            let rules = json!({ &args.rule: rule });
            let answer = target.client.put_facts(&["rules", &args.dataset], &[], &rules).await;
            target.close().await?;
            write_answer(&answer?, out)
        }
    }
}

fn rule(args: &SetArgs) -> Result<Value, CliError> {
    if args.default {
        return Ok(Value::Null);
    }
    let mut rule = Map::new();
    if let Some(enabled) = args.enabled {
        rule.insert("enabled".to_owned(), enabled.into());
    }
    for (name, value) in [("severity", &args.severity), ("action", &args.action)] {
        if let Some(value) = value {
            rule.insert(name.to_owned(), value.clone().into());
        }
    }
    if !args.threshold.is_empty() {
        let thresholds: Map<String, Value> = args
            .threshold
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        rule.insert("thresholds".to_owned(), thresholds.into());
    }
    if rule.is_empty() {
        let options = "--enabled, --severity, --action, --threshold or --default";
        return Err(CliError::usage(format!("say what to set: {options}")));
    }
    Ok(rule.into())
}
