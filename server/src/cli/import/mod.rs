//! `barrow import`: files of bars, trades and quotes, read on this side and sent as any client
//! sends rows. Files of users' tables are sent as they are, see `own.rs`.
//!
//! ```text
//! files ─▶ form and sample ─▶ plan (or questions) ─▶ records ─▶ rows ─▶ parts ─▶ POST ─▶ tally
//! ```
//!
//! Every file is planned before any is loaded, so that a question about the last file comes before
//! the first is stored. A file, or a price side of it, is one batch, in parts if it is long, whose
//! id comes from its content and its plan: importing it again stores nothing.

mod batches;
mod clock;
mod columns;
mod complete;
mod delimited;
mod files;
mod form;
mod json;
mod known;
mod layout;
mod lines;
mod own;
mod part;
mod plan;
mod read;
mod reference;
mod rows;
mod send;
mod spacing;
mod table;
mod tally;
mod time;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use barrow_client::Client;
use barrow_types::{PriceSide, Step};
use clap::Args;

use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step};
use clock::Stamp;
use columns::{Dataset, Mapping};
use form::Table;
use plan::{Plan, Refusal, Said};
use reference::Facts;
use tally::Tally;
pub(crate) use tally::grouped;

/// Files whose detection is shown in full; of more, only the first of each kind.
const FILES_SHOWN_MAX: usize = 8;

const EXAMPLES: &str = "\
Examples:
  barrow import SPY.csv --timeframe 1d --symbol SPY --source yahoo
  barrow import minutes.csv.gz --timeframe 1m --source lean --time-zone America/New_York \\
      --map ts=ts_local --stamp start
  barrow import bars/ --timeframe 15m --symbol '{stem-part}' --time-zone US/Eastern --stamp end
  barrow import quotes.csv.gz --timeframe 1m --price bid,ask --time-zone UTC --stamp start
  barrow import trades.parquet --symbol BTCUSDT --source binance
  barrow import ticks.csv --dataset trades --map ts=1,price=2,size=3 --symbol BTCUSD
  barrow import minutes/ --timeframe 1m --source lean --calendar XNYS --complete
  barrow import sp500.csv --dataset instruments --since 2024-01-01
  barrow import map_files/ --dataset instruments --source lean --calendar XNYS
  barrow import factor_files/ --dataset actions --source lean --calendar XNYS
  barrow import news.csv --dataset news --map ts=published,score=sentiment --source vendor

Format, columns, separator, header and time format are detected and shown; --dry-run only shows
them. Files read: CSV, JSON (arrays, one row a line, columns), Parquet, Feather and Arrow.
Times read: 2024-01-31, 2024-01-31 09:30:00[.123][+01:00], 20240131 093000[123], numbers since 1970
in s, ms, us or ns, and typed columns.
A local time that the clocks skipped is rejected; one that came twice is told by the file's order.
Rows that cannot be read are kept as dead letters with their reason.
Files of a table of your own are sent as they are: its columns, and times such as
2024-01-31T09:30:00-05:00 or 2024-01-31.";

/// Import files of bars, trades and quotes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Files (.csv, .json, .ndjson, also .gz and .zst; .parquet, .feather, .arrow) or folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    options: ImportOptions,
    #[command(flatten)]
    target: TargetArgs,
    /// Show what was detected and what would be sent; send nothing
    #[arg(long)]
    dry_run: bool,
}

/// How files are to be read.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportOptions {
    /// The table: bars, trades, quotes; told from the columns if it is left out. Or facts:
    /// instruments, actions. Or a table of your own, by its name
    #[arg(long, value_parser = parse_dataset)]
    dataset: Option<Target>,
    /// How long the bars are: 1s, 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w, 1mo
    #[arg(long, value_parser = parse_step)]
    timeframe: Option<Step>,
    /// The symbol of all rows, if no column says it; {stem} is the file's name, {stem-part} its
    /// part before _ - or .
    #[arg(long)]
    symbol: Option<String>,
    /// Who delivers: part of what tells series apart
    #[arg(long, default_value = "file")]
    source: String,
    /// Which price of bars: trade, bid, ask, mid; several where the file has columns of each
    #[arg(long, value_delimiter = ',', value_parser = parse_side)]
    price: Vec<PriceSide>,
    /// What prices are multiplied by in the file: 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    price_scale: Option<u64>,
    /// Where in its bar a time stands: start, end
    #[arg(long, value_parser = parse_stamp)]
    stamp: Option<Stamp>,
    /// The calendar that the instruments follow: XNYS; stated for those that have none
    #[arg(long)]
    calendar: Option<String>,
    /// Zone of times that carry no offset: America/New_York, UTC
    #[arg(long)]
    time_zone: Option<String>,
    /// Columns by name: ts=Date,open=Open; `-` leaves one out; numbers where there is no header
    #[arg(long, value_delimiter = ',', value_name = "COLUMN=COLUMN")]
    map: Vec<String>,
    /// Claim that each file is all there is of its symbols, from the first bar to the last
    #[arg(long)]
    complete: bool,
    /// Since when rows count as known: ingest, ts_end, ts_end+15m
    #[arg(long, value_name = "POLICY", value_parser = parse_policy)]
    known_at: Option<String>,
    /// The session the source delivers: regular, extended, all
    #[arg(long, value_parser = ["regular", "extended", "all"])]
    session: Option<String>,
    /// How bars are aligned: session, clock
    #[arg(long, value_parser = ["session", "clock"])]
    align: Option<String>,
    /// Since when attributes hold that have no date of their own; ever, if it is left out
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
}

/// What files are loaded into.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Rows(Dataset),
    Facts(Facts),
    /// A table of a user's own.
    Own(String),
}

fn parse_dataset(text: &str) -> Result<Target, String> {
    let rows = Dataset::parse(text).map(Target::Rows);
    let target = rows.or_else(|| Facts::parse(text).map(Target::Facts));
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    target.or_else(|| is_name.then(|| Target::Own(text.to_owned()))).ok_or_else(|| {
        "write bars, trades or quotes, instruments or actions, or the name of a table".to_owned()
    })
}

fn parse_stamp(text: &str) -> Result<Stamp, String> {
    match text {
        "start" => Ok(Stamp::Start),
        "end" => Ok(Stamp::End),
        _ => Err("write start or end".to_owned()),
    }
}

fn parse_policy(text: &str) -> Result<String, String> {
    let delay_is_read = |delay: &str| {
        let digits = delay.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
        !digits.is_empty()
            && digits.len() < delay.len()
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    match text {
        "ingest" | "ts_end" => Ok(text.to_owned()),
        _ if text.strip_prefix("ts_end+").is_some_and(delay_is_read) => Ok(text.to_owned()),
        _ => Err("write ingest, ts_end or a delay after the bar's end: ts_end+15m".to_owned()),
    }
}

impl ImportOptions {
    /// Columns of market data and the columns of a file that fill them.
    fn mappings(&self) -> Result<Vec<Mapping>, CliError> {
        let read = |text: &String| columns::parse_mapping(text).map_err(Self::wrong_map);
        self.map.iter().map(read).collect()
    }

    /// The same of a table of a user's own, of which nothing else is said than of any rows.
    fn own_map(&self) -> Result<Vec<(String, String)>, CliError> {
        let said = [
            ("--timeframe", self.timeframe.is_some()),
            ("--price", !self.price.is_empty()),
            ("--price-scale", self.price_scale.is_some()),
            ("--stamp", self.stamp.is_some()),
            ("--calendar", self.calendar.is_some()),
            ("--time-zone", self.time_zone.is_some()),
            ("--complete", self.complete),
            ("--session", self.session.is_some()),
            ("--align", self.align.is_some()),
            ("--since", self.since.is_some()),
        ];
        if let Some((option, _)) = said.into_iter().find(|(_, is_said)| *is_said) {
            let fault = format!("{option}: is said of market data, not of a table of your own");
            return Err(CliError::usage(fault));
        }
        let read = |text: &String| match text.split_once('=') {
            Some((name, column)) => Ok((name.trim().to_owned(), column.trim().to_owned())),
            None => Err(Self::wrong_map(format!("'{text}': write it as ts=Date"))),
        };
        self.map.iter().map(read).collect()
    }

    fn wrong_map(what: String) -> CliError {
        CliError::usage(format!("--map: {what}"))
    }

    fn said(&self) -> Result<Said, CliError> {
        if let Err(error) = barrow_types::Source::new(&self.source) {
            return Err(CliError::usage(format!("--source '{}' {error}", self.source)));
        }
        if self.since.is_some() {
            return Err(CliError::usage("--since: is said of attributes, and these are rows"));
        }
        if self.timeframe == Some(Step::Tick) {
            return Err(CliError::usage("--timeframe tick: bars have a step: 1s, 1m, 1d"));
        }
        for (at, side) in self.price.iter().enumerate() {
            if self.price[..at].contains(side) {
                return Err(CliError::usage(format!("--price: {} is there twice", side.name())));
            }
        }
        Ok(Said {
            dataset: match &self.dataset {
                None => None,
                Some(Target::Rows(dataset)) => Some(*dataset),
                Some(Target::Facts(_) | Target::Own(_)) => {
                    let fault = "--dataset: such files are imported by `barrow import` alone";
                    return Err(CliError::usage(fault));
                }
            },
            timeframe: self.timeframe,
            symbol: self.symbol.clone(),
            source: self.source.clone(),
            price: self.price.clone(),
            price_scale: self.price_scale,
            stamp: self.stamp,
            time_zone: self.time_zone.clone(),
            map: self.mappings()?,
            known_at: self.known_at.clone(),
            session: self.session.clone(),
            align: self.align.clone(),
        })
    }
}

/// A file, or a price side of it, and what is done with it.
pub(crate) struct Planned {
    path: PathBuf,
    plan: Arc<Plan>,
    beside: Beside,
}

/// What is stated beside the rows of a file, and does not change them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    calendar: Option<String>,
    complete: bool,
}

/// Plans every file, or says what is missing for which.
pub(crate) fn plan_files(
    paths: &[PathBuf],
    options: &ImportOptions,
    out: &mut dyn Write,
) -> Result<Vec<Planned>, CliError> {
    let said = options.said()?;
    let beside = Beside { calendar: options.calendar.clone(), complete: options.complete };
    let found = files::find(paths)?;
    let mut planned = Vec::new();
    let mut refused = Vec::new();
    for path in found.files {
        let table = Table::look(&path)
            .map_err(|error| CliError::failed(format!("read {}: {error}", path.display())))?;
        let plans = match table {
            Ok(table) => Plan::make(&path, &table, &said),
            Err(why) => Err(Refusal::new("another file", why)),
        };
        match plans {
            Ok(plans) => {
                if let Some(plan) = plans.iter().find(|plan| plan.dataset != Dataset::Bars)
                    && beside.complete
                {
                    let name = plan.dataset.name();
                    return Err(CliError::usage(format!(
                        "--complete: {} holds {name}, and only bars have slots to be complete in",
                        path.display()
                    )));
                }
                let plans = plans.into_iter().map(Arc::new);
                planned.extend(plans.map(|plan| Planned {
                    path: path.clone(),
                    plan,
                    beside: beside.clone(),
                }));
            }
            Err(refusal) => refused.push((path, refusal)),
        }
    }
    if !refused.is_empty() {
        return Err(CliError::usage(refusals(&refused)));
    }
    show(&planned, out)?;
    if !found.left_out.is_empty() {
        let count = found.left_out.len();
        let first = found.left_out[0].display();
        writeln!(out, "left out: {count} files of other kinds ({first}{})", more(count))?;
    }
    Ok(planned)
}

const fn more(count: usize) -> &'static str {
    if count > 1 { ", ..." } else { "" }
}

/// What is missing, once for all files that lack the same.
fn refusals(refused: &[(PathBuf, Refusal)]) -> String {
    let mut lines = Vec::new();
    let mut shown: Vec<&Refusal> = Vec::new();
    for (path, refusal) in refused {
        if shown.contains(&refusal) || shown.len() == FILES_SHOWN_MAX {
            continue;
        }
        shown.push(refusal);
        lines.push(format!("import {}: nothing was loaded; say more:", path.display()));
        lines.extend(
            refusal.questions.iter().map(|(option, why)| format!("  {option}\n      {why}")),
        );
    }
    let others = refused.len() - shown.len();
    if others > 0 {
        lines.push(format!("and {others} more files"));
    }
    lines.join("\n")
}

fn show(planned: &[Planned], out: &mut dyn Write) -> Result<(), CliError> {
    for Planned { path, plan, beside } in planned.iter().take(FILES_SHOWN_MAX) {
        writeln!(out, "{}", send::shown(path, plan))?;
        for line in plan.describe() {
            writeln!(out, "  {line}")?;
        }
        if let Some(calendar) = &beside.calendar {
            writeln!(out, "  calendar    {calendar}, of instruments that have none")?;
        }
        if beside.complete {
            writeln!(out, "  complete    from each symbol's first bar to its last")?;
        }
    }
    if planned.len() > FILES_SHOWN_MAX {
        writeln!(out, "and {} more files", planned.len() - FILES_SHOWN_MAX)?;
    }
    Ok(())
}

/// Sends the planned files, in order.
pub(crate) async fn send_files(
    client: &Client,
    planned: &[Planned],
) -> (Tally, Result<(), CliError>) {
    let paths: Vec<PathBuf> = planned.iter().map(|planned| planned.path.clone()).collect();
    let progress = send::Progress::new(send::total_bytes(&paths));
    let mut tally = Tally::default();
    let mut result = Ok(());
    for Planned { path, plan, beside } in planned {
        result = send::file(client, path, (plan, beside), &progress, &mut tally).await;
        if result.is_err() {
            break;
        }
    }
    progress.finish();
    (tally, result)
}

/// Runs the command.
pub(crate) async fn run(args: ImportArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let ways = (&args.target, args.dry_run);
    match &args.options.dataset {
        Some(Target::Facts(facts)) => {
            return reference::run(*facts, &args.paths, &args.options, ways, out).await;
        }
        Some(Target::Own(name)) => {
            return own::run(name, &args.paths, &args.options, ways, out).await;
        }
        Some(Target::Rows(_)) | None => {}
    }
    let planned = plan_files(&args.paths, &args.options, out)?;
    if args.dry_run {
        return dry_run(&planned, out);
    }
    let target = args.target.open().await?;
    let started = Instant::now();
    let (tally, sent) = send_files(&target.client, &planned).await;
    let elapsed = started.elapsed();
    let stopped = target.close().await;
    tally.write(out, elapsed)?;
    sent.and(stopped)
}

/// Reads the files whole and says what would be sent.
fn dry_run(planned: &[Planned], out: &mut dyn Write) -> Result<(), CliError> {
    let mut tally = Tally::default();
    let started = Instant::now();
    for Planned { path, plan, .. } in planned {
        let shown = send::shown(path, plan);
        read::parts(path, plan, Arc::default(), |part, _| {
            tally.add_unsent(&shown, plan.form.unit(), part.batch.num_rows() as u64, &part.unread);
            true
        })
        .map_err(|error| CliError::failed(format!("read {shown}: {error}")))?;
    }
    writeln!(out, "dry run: nothing was sent")?;
    tally.write_unsent(out, started.elapsed())?;
    Ok(())
}

/// One series of what was imported, to show something of it.
pub(crate) struct FirstSeries {
    pub(crate) symbol: String,
    pub(crate) step: Step,
    pub(crate) price: PriceSide,
    pub(crate) source: String,
}

/// The series of the first row of the first file of bars.
pub(crate) fn first_series(planned: &[Planned]) -> Option<FirstSeries> {
    let plan = &planned.iter().find(|file| file.plan.dataset == Dataset::Bars)?.plan;
    Some(FirstSeries {
        symbol: plan.first_symbol.clone(),
        step: plan.step,
        price: plan.price,
        source: plan.source.clone(),
    })
}

#[cfg(test)]
mod tests;
