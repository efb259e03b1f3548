//! `barrow jobs`: long work of the server. And how other commands start some and wait for it.

use std::io::Write;

use barrow_client::{Client, Job, JobState};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::CliError;
use crate::cli::not_built::Rest;
use crate::cli::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  barrow jobs list
  barrow jobs show 3

A server forgets its jobs when it stops.";

/// Look at long work of the server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All, the newest first
    List(TargetArgs),
    /// One, with what came of it
    Show(ShowArgs),
    /// End one (not available yet)
    Cancel(Rest),
    /// Start one again (not available yet)
    Retry(Rest),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Its number
    id: String,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: JobsArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::List(target) => {
            let target = target.open().await?;
            let jobs = target.client.list_jobs().await;
            target.close().await?;
            let jobs = jobs?;
            if jobs.is_empty() {
                writeln!(out, "no jobs")?;
            }
            for job in jobs {
                let kind = job.params["kind"].as_str().unwrap_or_default();
                writeln!(out, "{} {kind} {:?}", job.job_id, job.state)?;
            }
            Ok(())
        }
        What::Show(args) => {
            let target = args.target.open().await?;
            let job = target.client.job(&args.id).await;
            target.close().await?;
            write_job(&job?, out)
        }
        What::Cancel(_) => Err(CliError::not_available("barrow jobs cancel")),
        What::Retry(_) => Err(CliError::not_available("barrow jobs retry")),
    }
}

fn write_job(job: &Job, out: &mut dyn Write) -> Result<(), CliError> {
    let kind = job.params["kind"].as_str().unwrap_or_default();
    writeln!(out, "{} {kind} {:?}", job.job_id, job.state)?;
    if let Some(error) = &job.error {
        writeln!(out, "error: {error}")?;
    }
    if let Some(Value::Object(summary)) = &job.summary {
        for (name, value) in summary {
            writeln!(out, "{name}: {value}")?;
        }
    }
    Ok(())
}

/// Starts a job of `kind`, waits until it has ended, and returns what came of it.
///
/// # Errors
/// The server's, or why the job failed.
pub(crate) async fn run_and_wait(client: &Client, kind: &str) -> Result<Value, CliError> {
    let job = client.start_job(kind).await?;
    let job = client.wait_for_job(&job.job_id).await?;
    match job.state {
        JobState::Succeeded => Ok(job.summary.unwrap_or_default()),
        _ => Err(CliError::failed(format!("{kind}: {}", job.error.unwrap_or_default()))),
    }
}
