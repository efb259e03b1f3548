//! `barrow sources`: who delivers what, and whose rows the curated layer takes.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{AsOf, Shown, list, parse_pair, write_answer, write_json};
use crate::cli::CliError;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow sources list
  barrow sources show bars
  barrow sources set bars --order ib,lean --fallback slot --publish-delay lean=2s \\
      --adjustment lean=splits
  barrow sources set trades --conditions tape='us B=last,range,volume'";

/// Look at sources, and say whose rows count.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SourcesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Examples:\n  barrow sources list")]
    List(ListArgs),
    #[command(after_help = "Examples:\n  barrow sources show bars")]
    Show(ShowArgs),
    #[command(after_help = "Examples:\n  barrow sources set bars --order ib,lean")]
    Set(SetArgs),
}

/// Who delivers what
#[derive(Debug, Args)]
struct ListArgs {
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// Preference, delays and what else is to be known of a dataset's sources
#[derive(Debug, Args)]
struct ShowArgs {
    /// bars, trades, quotes
    dataset: String,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    target: TargetArgs,
}

/// Say them; what is left out stays
#[derive(Debug, Args)]
struct SetArgs {
    /// bars, trades, quotes
    dataset: String,
    /// The sources in order of preference
    #[arg(long, value_delimiter = ',')]
    order: Vec<String>,
    /// Whose rows are taken where the preferred source has none: none, session, slot
    #[arg(long)]
    fallback: Option<String>,
    /// How long after a bar's end a source has it: lean=2s; may be given several times
    #[arg(long, value_name = "SOURCE=DELAY", value_parser = parse_pair)]
    publish_delay: Vec<(String, String)>,
    /// What a source's prices carry: lean=none, splits, all; may be given several times
    #[arg(long, value_name = "SOURCE=WHAT", value_parser = parse_pair)]
    adjustment: Vec<(String, String)>,
    /// Of bars, how a source's bars lie: ib=session, clock; may be given several times
    #[arg(long, value_name = "SOURCE=ALIGN", value_parser = parse_pair)]
    alignment: Vec<(String, String)>,
    /// Of trades, what a source's condition codes say: tape=all, us, lean, the latter two with
    /// rules CODE=last,range,volume,opening,closing or CODE=none; may be given several times
    #[arg(long, value_name = "SOURCE=CODES", value_parser = parse_pair)]
    conditions: Vec<(String, String)>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: SourcesArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::List(args) => {
            let target = args.target.open().await?;
            let done = list(&target.client, &["sources"], &[], args.format, out).await;
            done.and(target.close().await)
        }
        What::Show(args) => {
            let target = args.target.open().await?;
            let shown = target.client.facts(&["sources", &args.dataset], &args.as_of.pairs()).await;
            target.close().await?;
            write_json(&shown?, out)
        }
        What::Set(args) => {
            let settings = settings(&args)?;
            let target = args.target.open().await?;
            let answer = target.client.put_facts(&["sources", &args.dataset], &[], &settings).await;
            target.close().await?;
            write_answer(&answer?, out)
        }
    }
}

fn settings(args: &SetArgs) -> Result<Value, CliError> {
    let object = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(source, value)| (source.clone(), value.clone().into())).collect()
    };
    let mut all = Map::new();
    if !args.order.is_empty() {
        all.insert("sources".to_owned(), json!(args.order));
    }
    if let Some(fallback) = &args.fallback {
        all.insert("fallback".to_owned(), json!(fallback));
    }
    for (name, pairs) in [
        ("publish_delay", &args.publish_delay),
        ("adjustment", &args.adjustment),
        ("alignment", &args.alignment),
        ("conditions", &args.conditions),
    ] {
        if !pairs.is_empty() {
            all.insert(name.to_owned(), object(pairs).into());
        }
    }
    if all.is_empty() {
        let options = "--order, --fallback, --publish-delay, --adjustment, --alignment or \
                       --conditions";
        return Err(CliError::usage(format!("say what to set: {options}")));
    }
    Ok(all.into())
}
