//! `barrow verify`: re-reads every checksum, of a running server's segments or of a whole store
//! that no server has open.
//!
//! With `--data` it is the one command that opens the engine itself: it must work on a store that
//! no server can open.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barrow_client::{Client, JobRequest};
use barrow_engine::disk::{Disk, OsDisk};
use clap::Args;
use serde_json::Value;

use crate::cli::CliError;
use crate::cli::jobs::run_and_wait;
use crate::cli::target::DEFAULT_SERVER;
use crate::import::grouped;

const EXAMPLES: &str = "\
Examples:
  barrow verify
  barrow verify --data ./barrow-data

A server reads every block of its segments and every gap mask, as a job: see `barrow jobs --help`.
With --data everything is read, the log too. Nothing is changed. Exit code 1 if anything is wrong.";

/// Prove that every stored byte is what was written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The directory, which no server has open
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A running server
    #[arg(long, value_name = "URL", conflicts_with = "data", default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
}

/// Has a server verify its segments.
pub(crate) async fn run_on_server(server: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let client = Client::new(server)?;
    client.health().await?;
    let summary = run_and_wait(&client, &JobRequest::new("verify")).await?;
    let figure = |name: &str| grouped(summary[name].as_u64().unwrap_or_default());
    let problems: Vec<&str> =
        summary["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for problem in &problems {
        writeln!(out, "damaged: {problem}")?;
    }
    writeln!(
        out,
        "read {} files, {} bytes: {} extents, {} rows, {} masks, {} tiles",
        figure("files"),
        figure("bytes"),
        figure("extents"),
        figure("rows"),
        figure("masks"),
        figure("tiles")
    )?;
    match summary["problem_count"].as_u64() {
        Some(0) => Ok(writeln!(out, "no problem found")?),
        _ => Err(CliError::failed(format!(
            "verify {server}: {} problems; keep a copy of the folder before anything else",
            figure("problem_count")
        ))),
    }
}

/// Verifies the whole store in `data`.
pub(crate) fn run(data: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let shown = data.display();
    // Looked at before the lock is taken: a folder that is no store stays as it is.
    if !data.join("FORMAT").exists() && !data.join("wal").exists() {
        return Err(CliError::failed(format!("verify {shown}: there is no store there")));
    }
    let failed =
        |error: &dyn std::fmt::Display| CliError::failed(format!("verify {shown}: {error}"));
    // Takes the folder's lock: what a server writes meanwhile would look like damage.
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(data).map_err(|error| failed(&error))?);
    let report = barrow_engine::verify(&disk).map_err(|error| failed(&error))?;
    for problem in &report.problems {
        writeln!(out, "damaged: {problem}")?;
    }
    writeln!(
        out,
        "read {} files, {} bytes: {} log records, {} extents, {} rows, {} masks, \
         {} tiles",
        grouped(report.files),
        grouped(report.bytes),
        grouped(report.records),
        grouped(report.extents),
        grouped(report.rows),
        grouped(report.masks),
        grouped(report.tiles)
    )?;
    match report.problems.len() {
        0 => Ok(writeln!(out, "no problem found")?),
        count => Err(CliError::failed(format!(
            "verify {shown}: {count} problems; keep a copy of the folder before anything else"
        ))),
    }
}
