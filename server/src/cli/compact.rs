//! `barrow compact`: merges all segments that can be merged.

use std::io::Write;

use barrow_client::JobRequest;
use clap::Args;

use crate::cli::CliError;
use crate::cli::jobs::run_and_wait;
use crate::cli::target::TargetArgs;
use crate::import::grouped;

const EXAMPLES: &str = "\
Examples:
  barrow compact
  barrow compact --data ./barrow-data

Writes rows that are in memory to segments first. A server merges segments by itself; this does all
of it at once, at full speed, and no answer changes. Rows that no question above a floor of
retention sees are left out: see `barrow retention --help`.";

/// Merge segments into fewer and larger ones.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: CompactArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let target = args.target.open().await?;
    let done = run_and_wait(&target.client, &JobRequest::new("compact")).await;
    target.close().await?;
    let summary = done?;
    let figure = |name: &str| grouped(summary[name].as_u64().unwrap_or_default());
    writeln!(
        out,
        "{} segments of {} bytes became {} of {} bytes",
        figure("segments_before"),
        figure("bytes_before"),
        figure("segments_after"),
        figure("bytes_after")
    )?;
    if summary["rows_dropped"] != 0 {
        writeln!(out, "{} rows dropped by retention", figure("rows_dropped"))?;
    }
    Ok(())
}
