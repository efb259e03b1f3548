//! `barrow import`: files of bars, trades and quotes, of users' tables and of facts, read on this
//! side and sent as any client sends rows; or read by the server, as a job of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barrow_client::{Client, Job, JobRequest};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use crate::cli::facts::write_answer;
use crate::cli::target::TargetArgs;
use crate::cli::{CliError, jobs};
use crate::clock;
use crate::import::{self, Import, ImportOptions, Reading, Sending, Tally, Watcher, Way};

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
  barrow import 2024/minutes --on-server --timeframe 1m --source lean --calendar XNYS

Format, columns, separator, header and time format are detected and shown; --dry-run only shows
them. Files read: CSV, JSON (arrays, one row a line, columns), Parquet, Feather and Arrow.
Times read: 2024-01-31, 2024-01-31 09:30:00[.123][+01:00], 20240131 093000[123], numbers since 1970
in s, ms, us or ns, and typed columns.
A local time that the clocks skipped is rejected; one that came twice is told by the file's order.
Rows that cannot be read are kept as dead letters with their reason.
With --on-server PATH is a file or folder of the server's, below its [server] import_dir: a job of
the server reads it, and goes on when the server is restarted, see `barrow jobs --help`.
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
    /// The path is the server's, below its [server] import_dir: a job of it reads what is there
    #[arg(long, conflicts_with = "data")]
    on_server: bool,
}

/// How far files are read, shown on a terminal.
struct Progress(ProgressBar);

impl Progress {
    /// A bar over `bytes` bytes of files; draws only if standard error is a terminal.
    fn new(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta} {msg}");
        bar.set_style(style.expect("invariant: the template is well formed"));
        Self(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows files as they are read.
struct Shown {
    progress: Progress,
    reading: Reading,
}

impl Watcher for Shown {
    async fn part(&mut self, file: &Path, _: &Tally) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.progress.0.set_message(name);
        self.progress.0.set_position(self.reading.bytes());
    }
}

/// Runs the command.
pub(crate) async fn run(args: ImportArgs, out: &mut dyn Write) -> Result<(), CliError> {
    if args.on_server {
        return run_on_server(&args, out).await;
    }
    let import = plan(&args.paths, &args.options, out)?;
    if args.dry_run {
        let (mut tally, started) = (Tally::default(), Instant::now());
        import.dry_run(&Reading::default(), &mut tally)?;
        return write_dry(&tally, started.elapsed(), out);
    }
    let target = args.target.open().await?;
    let way = Way::Http(target.client.clone());
    let stated = import.send_facts(&way).await;
    if let Some(answer) = stated.transpose() {
        target.close().await?;
        return write_answer(&answer?, out);
    }
    let started = Instant::now();
    let (tally, sent) = send(&way, &import).await;
    let elapsed = started.elapsed();
    let stopped = target.close().await;
    tally.write(out, elapsed)?;
    sent?;
    stopped
}

/// Looks at every file and shows what was detected.
///
/// # Errors
/// What is missing for which.
pub(crate) fn plan(
    paths: &[PathBuf],
    options: &ImportOptions,
    out: &mut dyn Write,
) -> Result<Import, CliError> {
    let import = Import::plan(import::find(paths)?, options, &Reading::default())?;
    for line in import.describe() {
        writeln!(out, "{line}")?;
    }
    Ok(import)
}

/// Sends what was planned, in order; the tally is right also if that fails midway.
pub(crate) async fn send(way: &Way, import: &Import) -> (Tally, Result<(), CliError>) {
    let reading = Reading::default();
    let mut tally = Tally::default();
    let watcher = Shown { progress: Progress::new(import.bytes()), reading: reading.clone() };
    let mut sending = Sending {
        way,
        reading: &reading,
        now: clock::now(),
        prefix: None,
        watcher,
        tally: &mut tally,
    };
    let mut result = Ok(());
    for piece in 0..import.pieces() {
        result = import.send(piece, &mut sending).await.map_err(CliError::from);
        if result.is_err() {
            break;
        }
    }
    (tally, result)
}

fn write_dry(tally: &Tally, elapsed: Duration, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "dry run: nothing was sent")?;
    Ok(tally.write_unsent(out, elapsed)?)
}

/// Has a server read what lies on its side, and waits for it.
async fn run_on_server(args: &ImportArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let [path] = args.paths.as_slice() else {
        return Err(CliError::usage("--on-server: give one file or folder; each is a job"));
    };
    let path = path.to_str().ok_or_else(|| CliError::usage("PATH: is not UTF-8"))?;
    let mut request = JobRequest::new("import").param("path", path);
    for (name, value) in args.options.to_params() {
        request = request.param(name, value);
    }
    if args.dry_run {
        request = request.param("dry_run", true);
    }
    let client = args.target.open().await?.client;
    let started = Instant::now();
    let job = watched(&client, client.start_job_with(&request).await?).await?;
    let summary = jobs::summary_of(&request.kind, job)?;
    for line in summary["detected"].as_array().into_iter().flatten() {
        writeln!(out, "{}", line.as_str().unwrap_or_default())?;
    }
    let tally = Tally::deserialize(&summary).map_err(|error| {
        CliError::failed(format!("the job's summary is not what this version reads: {error}"))
    })?;
    match args.dry_run {
        true => write_dry(&tally, started.elapsed(), out),
        false => Ok(tally.write(out, started.elapsed())?),
    }
}

/// The job once it is at rest; how far it is, is shown on a terminal.
async fn watched(client: &Client, mut job: Job) -> Result<Job, CliError> {
    let progress = Progress::new(0);
    while !job.is_at_rest() {
        let figure = |name: &str| job.done.as_ref().and_then(|done| done[name].as_u64());
        if let (Some(bytes), Some(total)) = (figure("bytes"), figure("bytes_total")) {
            progress.0.set_length(total);
            progress.0.set_position(bytes);
            progress.0.set_message(format!("job {}", job.job_id));
        }
        job = client.job_after(&job.job_id, jobs::WATCH_EVERY).await?;
    }
    Ok(job)
}
