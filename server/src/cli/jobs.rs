//! `barrow jobs`: long work of the server. And how other commands start some and wait for it.

use std::io::Write;
use std::time::Duration;

use barrow_client::{Client, Job, JobRequest, JobState, JobsQuery};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::CliError;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow jobs list --state RUNNING,PENDING
  barrow jobs show 3
  barrow jobs watch 3
  barrow jobs cancel 3
  barrow jobs retry 3

Jobs are kept with the data. What was not done when the server stopped goes on when it starts again.
`barrow compact`, `barrow verify`, `barrow backup`, `barrow import --on-server`, and `verify` and
`lint` of `barrow features` for all symbols start one and wait for it.";

/// How often `watch` shows progress.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Look at long work of the server, end it, or begin it again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All, the newest first
    #[command(after_help = "Examples:\n  barrow jobs list --state RUNNING,PENDING")]
    List(ListArgs),
    /// One, with what came of it
    #[command(after_help = "Examples:\n  barrow jobs show 3")]
    Show(OneArgs),
    /// End one that has not ended
    #[command(after_help = "Examples:\n  barrow jobs cancel 3")]
    Cancel(OneArgs),
    /// Begin again one that failed or was cancelled
    #[command(after_help = "Examples:\n  barrow jobs retry 3")]
    Retry(OneArgs),
    /// Show how far one is until it has ended; exit code 1 if it did not succeed
    #[command(after_help = "Examples:\n  barrow jobs watch 3")]
    Watch(OneArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only in these states: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED
    #[arg(long)]
    state: Option<String>,
    /// Only of these kinds: backup, compact, import, verify, verify_features, lint_features
    #[arg(long)]
    kind: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// Those before this one
    #[arg(long, value_name = "ID")]
    cursor: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Its number
    id: String,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: JobsArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let target = match &args.what {
        What::List(args) => args.target.open().await?,
        What::Show(args) | What::Cancel(args) | What::Retry(args) | What::Watch(args) => {
            args.target.open().await?
        }
    };
    let done = run_on(&target.client, args.what, out).await;
    target.close().await?;
    done
}

async fn run_on(client: &Client, what: What, out: &mut dyn Write) -> Result<(), CliError> {
    match what {
        What::List(args) => list(client, args, out).await,
        What::Show(args) => write_job(&client.job(&args.id).await?, out),
        What::Cancel(args) => write_job(&client.cancel_job(&args.id).await?, out),
        What::Retry(args) => write_job(&client.retry_job(&args.id).await?, out),
        What::Watch(args) => watch(client, &args.id, out).await,
    }
}

async fn list(client: &Client, args: ListArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let ListArgs { state, kind, limit, cursor, target: _ } = args;
    let query = JobsQuery { state, kind, limit: Some(limit), cursor };
    let jobs = client.list_jobs(&query).await?;
    if jobs.is_empty() {
        writeln!(out, "no jobs")?;
    }
    for job in jobs {
        writeln!(out, "{}", line(&job))?;
    }
    Ok(())
}

/// A job in a line.
fn line(job: &Job) -> String {
    let line = format!("{:>6}  {:<9}  {:<9}", job.job_id, job.kind(), job.state);
    match (&job.error, job.state) {
        (Some(error), _) => format!("{line}  {error}"),
        (None, JobState::Pending | JobState::Running) => {
            format!("{line}  {:.0}%{}", job.progress * 100.0, done(job))
        }
        (None, _) => line.trim_end().to_owned(),
    }
}

/// What a job at work did and what there is to do, if its kind counts that.
fn done(job: &Job) -> String {
    let Some(Value::Object(done)) = &job.done else { return String::new() };
    let figure = |(name, value): (&String, &Value)| format!(", {name} {value}");
    done.iter().map(figure).collect()
}

fn write_job(job: &Job, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "{}", line(job).trim_start())?;
    if let Some(of) = &job.retry_of {
        writeln!(out, "retry of: {of}")?;
    }
    if let Some(Value::Object(summary)) = &job.summary {
        for (name, value) in summary {
            writeln!(out, "{name}: {value}")?;
        }
    }
    Ok(())
}

async fn watch(client: &Client, id: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let mut job = client.job(id).await?;
    while !job.is_at_rest() {
        writeln!(out, "{}", line(&job).trim_start())?;
        job = client.job_after(id, WATCH_EVERY).await?;
    }
    write_job(&job, out)?;
    match job.state {
        JobState::Succeeded => Ok(()),
        state => Err(CliError::failed(format!("job {id} is {state}"))),
    }
}

/// Starts a job, waits until it is at rest, and returns what came of it.
///
/// # Errors
/// The server's, or why the job failed.
pub(crate) async fn run_and_wait(client: &Client, request: &JobRequest) -> Result<Value, CliError> {
    let job = client.start_job_with(request).await?;
    summary_of(&request.kind, client.wait_for_job(&job.job_id).await?)
}

/// What came of a job of `kind` that is at rest.
///
/// # Errors
/// Why it did not succeed.
pub(crate) fn summary_of(kind: &str, job: Job) -> Result<Value, CliError> {
    match job.state {
        JobState::Succeeded => Ok(job.summary.unwrap_or_default()),
        state => {
            let why = job.error.unwrap_or_else(|| "somebody ended it".to_owned());
            Err(CliError::failed(format!("{kind}: job {} is {state}: {why}", job.job_id)))
        }
    }
}
