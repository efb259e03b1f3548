//! `barrow quality`, `barrow health` and `barrow query gaps`: how good data are, and what is
//! missing.

use std::io::Write;

use barrow_types::{Align, PriceSide, SessionSet, Step};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::facts::{AsOf, Shown, list, write_json, write_table};
use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step};

const QUALITY_EXAMPLES: &str = "\
Examples:
  barrow quality bars --symbols SPY --frequency 1m --start-date 2013-10-07 --end-date 2013-10-12
  barrow quality bars --frequency 1d --by symbol --format json
  barrow quality quotes --symbols EURUSD --by session

Dates are those of sessions; --end-date is not looked at any more. What is left out means all there
is.";

const HEALTH_EXAMPLES: &str = "\
Examples:
  barrow health bars
  barrow health bars --symbols SPY --frequency 1m --as-of-date 2013-10-11
  barrow health bars --as-of-date 2013-10-11 --as-of 2026-01-01T00:00:00Z

It looks at the week up to --as-of-date, which is today if it is left out, as it was known by the
end of that date, or at --as-of.";

const GAPS_EXAMPLES: &str = "\
Examples:
  barrow query gaps --symbols SPY --frequency 1m --start 2013-10-07 --end 2013-10-12
  barrow query gaps --symbols SPY --frequency 1d --reason missing,outage --format json";

/// Which series.
#[derive(Debug, Args)]
struct SeriesArgs {
    /// Whose; all there are, if left out
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// How long the bars are: 1m, 1d; all lengths there are, if left out
    #[arg(long, value_parser = parse_step)]
    frequency: Option<Step>,
    /// Which price: trade, bid, ask, mid; all there are, if left out
    #[arg(long, value_parser = parse_side)]
    price: Option<PriceSide>,
    /// Only this source
    #[arg(long)]
    source: Option<String>,
    /// Which hours of a session are expected: regular, extended, all
    #[arg(long, value_parser = SessionSet::ALL.map(SessionSet::name))]
    session: Option<String>,
    /// Where bars begin: session, clock
    #[arg(long, value_parser = Align::ALL.map(Align::name))]
    align: Option<String>,
    #[command(flatten)]
    as_of: AsOf,
}

impl SeriesArgs {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let symbols = (!self.symbols.is_empty()).then(|| self.symbols.join(","));
        let mut pairs = self.as_of.pairs();
        for (name, value) in [
            ("symbols", symbols),
            ("frequency", self.frequency.map(|step| step.name().to_owned())),
            ("price", self.price.map(|side| side.name().to_owned())),
            ("source", self.source.clone()),
            ("session", self.session.clone()),
            ("align", self.align.clone()),
        ] {
            pairs.extend(value.map(|value| (name, value)));
        }
        pairs
    }
}

/// Count what rules, slots and sources tell of the data.
#[derive(Debug, Args)]
#[command(after_help = QUALITY_EXAMPLES)]
pub(crate) struct QualityArgs {
    /// bars, trades, quotes
    dataset: String,
    #[command(flatten)]
    series: SeriesArgs,
    /// The first session date
    #[arg(long, value_name = "DATE")]
    start_date: Option<String>,
    /// The end of the session dates, not one of them
    #[arg(long, value_name = "DATE")]
    end_date: Option<String>,
    /// Tell metrics apart by these: session, symbol, source, frequency, price
    #[arg(long, value_delimiter = ',')]
    by: Vec<String>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// Say whether the data are good, and if not, why and what to do.
#[derive(Debug, Args)]
#[command(after_help = HEALTH_EXAMPLES)]
pub(crate) struct HealthArgs {
    /// bars, trades, quotes
    dataset: String,
    #[command(flatten)]
    series: SeriesArgs,
    /// The last session date
    #[arg(long, value_name = "DATE")]
    as_of_date: Option<String>,
    /// The first session date; six days before the last, if left out
    #[arg(long, value_name = "DATE")]
    start_date: Option<String>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// Empty slots of some symbols, each range with its reason
#[derive(Debug, Args)]
#[command(after_help = GAPS_EXAMPLES)]
pub(crate) struct GapsArgs {
    #[command(flatten)]
    series: SeriesArgs,
    /// First time
    #[arg(long)]
    start: Option<String>,
    /// End of the range, not in it
    #[arg(long)]
    end: Option<String>,
    /// Only these: missing, no_trade, halted, outage, quarantined, not_due, not_listed
    #[arg(long)]
    reason: Option<String>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Shown,
    #[command(flatten)]
    target: TargetArgs,
}

/// The pairs of a series with some more.
fn with(
    series: &SeriesArgs,
    more: &[(&'static str, &Option<String>)],
) -> Vec<(&'static str, String)> {
    let more = more.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.clone())));
    series.pairs().into_iter().chain(more).collect()
}

/// Shows metrics.
pub(crate) async fn quality(args: QualityArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let by = (!args.by.is_empty()).then(|| args.by.join(","));
    let dates = [("start_date", &args.start_date), ("end_date", &args.end_date), ("by", &by)];
    let pairs = with(&args.series, &dates);
    let target = args.target.open().await?;
    let answer = target.client.quality(&args.dataset, &pairs).await;
    target.close().await?;
    let answer = answer?;
    warn(&answer)?;
    if args.format == Shown::Json {
        return write_json(&answer, out);
    }
    let head = args.by.iter().map(String::as_str);
    let columns = ["metric_name", "value", "status", "n_tested", "n_failed", "n_settled"];
    let columns = head.chain(columns).chain(["worst", "first_failed", "last_failed"]);
    write_table(&table(columns, &answer["metrics"]), out)
}

/// Shows health.
pub(crate) async fn health(args: HealthArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let dates = [("as_of_date", &args.as_of_date), ("start_date", &args.start_date)];
    let pairs = with(&args.series, &dates);
    let target = args.target.open().await?;
    let answer = target.client.dataset_health(&args.dataset, &pairs).await;
    target.close().await?;
    let answer = answer?;
    warn(&answer)?;
    if args.format == Shown::Json {
        return write_json(&answer, out);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (dataset, status) = (text(&answer["dataset"]), text(&answer["status"]));
    let (first, last) = (text(&answer["start_date"]), text(&answer["as_of_date"]));
    writeln!(out, "{dataset} {status}, sessions from {first} to {last}")?;
    for (name, dimension) in answer["dimensions"].as_object().into_iter().flatten() {
        writeln!(out, "  {name:<14} {}", text(&dimension["status"]))?;
    }
    for reason in answer["reasons"].as_array().into_iter().flatten() {
        let (status, metric) = (text(&reason["status"]), text(&reason["metric_name"]));
        writeln!(out, "{status} {metric}: {}", text(&reason["message"]))?;
        writeln!(out, "  {}", text(&reason["do"]))?;
    }
    match answer["reasons_left_out"].as_u64() {
        Some(count) if count > 0 => {
            writeln!(out, "... and {count} more; ask for fewer symbols to see them")?;
        }
        _ => {}
    }
    Ok(())
}

/// Shows gaps.
pub(crate) async fn gaps(args: GapsArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let range = [("start", &args.start), ("end", &args.end), ("reason", &args.reason)];
    let pairs = with(&args.series, &range);
    let target = args.target.open().await?;
    let done = list(&target.client, &["gaps"], &pairs, args.format, out).await;
    done.and(target.close().await)
}

/// What the server wants a person to know goes beside the answer, not into it.
fn warn(answer: &Value) -> Result<(), CliError> {
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        let warning = warning.as_str().unwrap_or_default();
        writeln!(std::io::stderr(), "barrow: warning: {warning}")?;
    }
    Ok(())
}

/// Objects as a table of some of their members.
fn table<'a>(columns: impl Iterator<Item = &'a str>, rows: &Value) -> Value {
    let columns: Vec<Value> = columns.map(|name| json!({"name": name})).collect();
    json!({"columns": columns, "rows": rows})
}
