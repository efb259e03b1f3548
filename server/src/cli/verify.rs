//! `barrow verify`: re-reads every checksum of a store that no server has open.
//!
//! The one command that opens the engine itself: it must work on a store that no server can open.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use barrow_engine::disk::{Disk, OsDisk};
use clap::Args;

use crate::cli::CliError;
use crate::cli::import::grouped;

const EXAMPLES: &str = "\
Example:
  barrow verify --data ./barrow-data

Reads every file and changes nothing. Exit code 1 if anything is wrong.";

/// Prove that every stored byte is what was written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The directory, which no server has open
    #[arg(long, value_name = "DIR", required_unless_present = "server")]
    data: Option<PathBuf>,
    /// A running server (not available yet)
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    server: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(data) = &args.data else {
        return Err(CliError::not_available(
            "verify against a server; stop it and give --data DIR",
        ));
    };
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
        "read {} files, {} bytes: {} log records, {} extents, {} rows",
        grouped(report.files),
        grouped(report.bytes),
        grouped(report.records),
        grouped(report.extents),
        grouped(report.rows)
    )?;
    match report.problems.len() {
        0 => Ok(writeln!(out, "no problem found")?),
        count => Err(CliError::failed(format!(
            "verify {shown}: {count} problems; keep a copy of the folder before anything else"
        ))),
    }
}
