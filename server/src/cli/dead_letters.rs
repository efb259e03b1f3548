//! `barrow dead-letters`: rows that were not stored, why, and how they get in after all.

use std::io::Write;

use barrow_client::{Client, DeadLetterDetail, DeadLettersQuery, IngestAnswer, Replay, Stamp};
use barrow_types::{PriceSide, Step};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step};

const EXAMPLES: &str = "\
Examples:
  barrow dead-letters list
  barrow dead-letters list --batch import-5f0c --limit 20
  barrow dead-letters show 17-0
  barrow dead-letters replay 17-0 --timeframe 1m --set close=1.5";

const REPLAY_EXAMPLES: &str = "\
Examples:
  barrow dead-letters replay 17-0 --timeframe 1m --set close=1.5
  barrow dead-letters replay 17-1 --timeframe 1m --columns symbol,ts,open,high,low,close
  barrow dead-letters replay 18-0                                  # a trade, now in the past

The row goes through the intake again, as batch replay:ID of its source; the letter stays. What the
first request said beside its rows is said again. `show` tells what the letter says by itself; of a
letter that is plain text, --columns names its fields or --set gives every value.";

/// Look at rejected rows, and send them again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Examples:\n  barrow dead-letters list --batch import-5f0c --limit 20")]
    List(ListArgs),
    #[command(after_help = "Examples:\n  barrow dead-letters show 17-0")]
    Show(ShowArgs),
    Replay(Box<ReplayArgs>),
}

/// Newest first
#[derive(Debug, Args)]
struct ListArgs {
    /// Only of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// Those behind this letter
    #[arg(long, value_name = "ID")]
    cursor: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// One in full
#[derive(Debug, Args)]
struct ShowArgs {
    /// Which, as `list` shows it
    id: String,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StampArg {
    Start,
    End,
}

/// Send one again, with values put right
#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
struct ReplayArgs {
    /// Which, as `list` shows it
    id: String,
    /// A value to put in the place of the letter's; may be given several times, and empty
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = parse_value)]
    set: Vec<(String, String)>,
    /// How long the bar is
    #[arg(long, value_parser = parse_step)]
    timeframe: Option<Step>,
    /// Which price the bar is of: trade, bid, ask, mid
    #[arg(long, value_parser = parse_side)]
    price: Option<PriceSide>,
    /// The symbol, if the row has none
    #[arg(long)]
    symbol: Option<String>,
    /// Whether ts is the start or the end of the bar
    #[arg(long, value_enum)]
    stamp: Option<StampArg>,
    /// The fields of a letter that is a line of CSV; - leaves one out
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Since when the row is known: ingest, ts_end, ts_end+15m
    #[arg(long, value_name = "POLICY")]
    known_at: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

fn parse_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, value)) if !column.is_empty() => Ok((column.to_owned(), value.to_owned())),
        _ => Err("write it as COLUMN=VALUE".to_owned()),
    }
}

/// Runs the command.
pub(crate) async fn run(args: DeadLettersArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let target = match &args.what {
        What::List(args) => &args.target,
        What::Show(args) => &args.target,
        What::Replay(args) => &args.target,
    };
    let target = target.open().await?;
    let done = match args.what {
        What::List(args) => list(&target.client, args, out).await,
        What::Show(args) => show(&target.client, &args.id, out).await,
        What::Replay(args) => replay(&target.client, *args, out).await,
    };
    let stopped = target.close().await;
    done.and(stopped)
}

async fn list(client: &Client, args: ListArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let query =
        DeadLettersQuery { batch: args.batch, limit: Some(args.limit), cursor: args.cursor };
    let letters = client.dead_letters(&query).await?;
    if letters.is_empty() {
        writeln!(out, "no dead letters")?;
    }
    for letter in &letters {
        let replayed = match &letter.replayed_as {
            Some(batch) => format!(" (replayed as {batch})"),
            None => String::new(),
        };
        writeln!(
            out,
            "{}  {} row {}: {}: {}{replayed}\n    {}",
            letter.id, letter.batch_id, letter.row, letter.reason, letter.detail, letter.raw
        )?;
    }
    if let Some(last) = letters.last().filter(|_| letters.len() as u64 == args.limit) {
        writeln!(out, "... perhaps more: --cursor {}", last.id)?;
    }
    Ok(())
}

async fn show(client: &Client, id: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let detail = client.dead_letter(id).await?;
    let letter = &detail.letter;
    writeln!(out, "id        {}", letter.id)?;
    writeln!(out, "batch     {} row {}", letter.batch_id, letter.row)?;
    writeln!(out, "came in   {} from {} for {}", letter.known_at, detail.source, detail.dataset)?;
    writeln!(out, "reason    {}: {}", letter.reason, letter.detail)?;
    writeln!(out, "as it came\n    {}", letter.raw)?;
    if let Some(values) = &detail.values {
        writeln!(out, "which says")?;
        for (name, value) in values {
            writeln!(out, "    {name} = {value}")?;
        }
    }
    let state = match (&letter.replayed_as, detail.attempts) {
        (Some(batch), _) => format!("stored by batch {batch}"),
        (None, 0) => "never".to_owned(),
        (None, attempts) => format!("{attempts} times, and rejected again"),
    };
    writeln!(out, "replayed  {state}")?;
    if letter.replayed_as.is_none() {
        writeln!(out, "{}", how_to_replay(&detail))?;
    }
    Ok(())
}

/// What to do to get the row in.
fn how_to_replay(detail: &DeadLetterDetail) -> String {
    let mut command = format!("barrow dead-letters replay {}", detail.letter.id);
    if detail.dataset == "bars" {
        command.push_str(" --timeframe STEP");
    }
    match (detail.form.as_str(), &detail.missing) {
        ("retraction", _) => {
            "This was a retraction of a row that was not there: `barrow delete rows` once it is."
                .to_owned()
        }
        (_, Some(missing)) => {
            for column in missing {
                command.push_str(&format!(" --set {column}=VALUE"));
            }
            format!("To send it again, with --set for each value to put right:\n    {command}")
        }
        (_, None) => format!(
            "The text does not say which value is of which column. To send it again, name its \
             fields if it is a line of CSV:\n    {command} --columns NAME,NAME,...\nor give every \
             value:\n    {command} --set COLUMN=VALUE --set ..."
        ),
    }
}

async fn replay(client: &Client, args: ReplayArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let mut replay = Replay {
        timeframe: args.timeframe,
        price: args.price,
        symbol: args.symbol,
        stamp: args.stamp.map(|stamp| match stamp {
            StampArg::Start => Stamp::Start,
            StampArg::End => Stamp::End,
        }),
        columns: args.columns,
        known_at_policy: args.known_at,
        ..Replay::default()
    };
    for (column, value) in args.set {
        // The server reads numbers and times from text; an empty one is no value, as in CSV.
        replay = replay.set(column, (!value.is_empty()).then_some(value));
    }
    let answer = client.replay_dead_letter(&args.id, &replay).await?;
    let again = if answer.repeated { ", before" } else { "" };
    Ok(writeln!(out, "{}{again} (batch {})", outcome(&answer), answer.batch_id)?)
}

fn outcome(answer: &IngestAnswer) -> &'static str {
    match answer {
        IngestAnswer { corrected: 1.., .. } => "stored, as a correction of the row that was there",
        IngestAnswer { duplicates: 1.., .. } => "a duplicate of the row that is there",
        IngestAnswer { superseded: 1.., .. } => "stored, below a row that is known later",
        _ => "stored",
    }
}
