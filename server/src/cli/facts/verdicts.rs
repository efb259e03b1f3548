//! `barrow quarantine` and `barrow release`: what a person decides about bars.

use std::io::Write;

use barrow_types::{PriceSide, Step};
use clap::Args;
use serde_json::{Value, json};

use super::write_answer;
use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step};

const QUARANTINE_EXAMPLES: &str = "\
Examples:
  barrow quarantine --symbol SPY --source lean --timeframe 1m --ts 2013-10-07T13:31:00Z \\
      --note 'printed twice'

The curated layer then leaves the bar out. A correction of it is judged anew.";

const RELEASE_EXAMPLES: &str = "\
Examples:
  barrow release --symbol SPY --source lean --timeframe 1m --ts 2013-10-07T13:31:00Z
  barrow release --symbol SPY --source lean --timeframe 1d --ts 2020-03-09 --rule spike";

/// Take bars out of the curated layer by hand.
#[derive(Debug, Args)]
#[command(after_help = QUARANTINE_EXAMPLES)]
pub(crate) struct QuarantineArgs {
    #[command(flatten)]
    bars: BarsArgs,
}

/// Let bars back into the curated layer.
#[derive(Debug, Args)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct ReleaseArgs {
    /// The rule that quarantined them; left out for those quarantined by hand
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    bars: BarsArgs,
}

#[derive(Debug, Args)]
struct BarsArgs {
    /// Whose bars
    #[arg(long)]
    symbol: String,
    /// Where they came from
    #[arg(long)]
    source: String,
    /// How long they are
    #[arg(long, value_parser = parse_step)]
    timeframe: Step,
    /// Which price: trade, bid, ask, mid
    #[arg(long, value_parser = parse_side, default_value = "trade")]
    price: PriceSide,
    /// Their times
    #[arg(long, value_delimiter = ',', required = true)]
    ts: Vec<String>,
    /// Why
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Quarantines.
pub(crate) async fn quarantine(args: QuarantineArgs, out: &mut dyn Write) -> Result<(), CliError> {
    send(args.bars, "quarantine", None, out).await
}

/// Releases.
pub(crate) async fn release(args: ReleaseArgs, out: &mut dyn Write) -> Result<(), CliError> {
    send(args.bars, "release", args.rule, out).await
}

async fn send(
    bars: BarsArgs,
    act: &str,
    rule: Option<String>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let verdicts = bars.ts.iter().map(|ts| {
        json!({
            "symbol": bars.symbol,
            "source": bars.source,
            "timeframe": bars.timeframe.name(),
            "price": bars.price.name(),
            "ts": ts,
            "rule": rule,
            "act": act,
            "note": bars.note,
        })
    });
    let verdicts: Value = verdicts.collect();
    let target = bars.target.open().await?;
    let answer = target.client.post_facts(&["quality", "verdicts"], &[], &verdicts).await;
    target.close().await?;
    write_answer(&answer?, out)
}
