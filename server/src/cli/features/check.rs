//! Whether cells are what they must be, as the server finds it.

use std::io::Write;

use barrow_client::{Client, FeaturesRange, JobRequest, LintReport, VerifyReport};
use clap::Args;
use serde::de::DeserializeOwned;

use crate::cli::CliError;
use crate::cli::jobs::run_and_wait;
use crate::cli::target::TargetArgs;
use crate::import::grouped;

/// Which cells to check
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// NAME or NAME@VERSION
    #[arg(value_name = "NAME[@VERSION]")]
    name: String,
    /// Of which symbols; of all as a job of the server: see `barrow jobs --help`
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// First time
    #[arg(long)]
    start: Option<String>,
    /// End of the range, not in it
    #[arg(long)]
    end: Option<String>,
    /// As it was known then
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// As Barrow held it then
    #[arg(long, value_name = "SEQUENCE")]
    at_sequence: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

impl CheckArgs {
    fn range(self) -> (String, FeaturesRange) {
        let range = FeaturesRange {
            start: self.start,
            end: self.end,
            as_of: self.as_of,
            at_sequence: self.at_sequence,
            ..FeaturesRange::new(self.symbols)
        };
        (self.name, range)
    }

    /// The same for all symbols.
    fn job(self, kind: &str) -> JobRequest {
        let params = [
            ("start", self.start),
            ("end", self.end),
            ("as_of", self.as_of),
            ("at_sequence", self.at_sequence),
        ];
        let request = JobRequest::new(kind).param("group", self.name);
        params.into_iter().fold(request, |request, (name, value)| match value {
            Some(value) => request.param(name, value),
            None => request,
        })
    }
}

/// What came of a job.
async fn done<T: DeserializeOwned>(client: &Client, job: &JobRequest) -> Result<T, CliError> {
    let summary = run_and_wait(client, job).await?;
    serde_json::from_value(summary)
        .map_err(|error| CliError::failed(format!("{}: its summary: {error}", job.kind)))
}

/// Compares with a computation of each slot by itself.
pub(super) async fn verify(
    client: &Client,
    args: CheckArgs,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let report: VerifyReport = if args.symbols.is_empty() {
        done(client, &args.job("verify_features")).await?
    } else {
        let (name, range) = args.range();
        client.verify_features(&name, &range).await?
    };
    let name = format!("{}@{}", report.name, report.version);
    for symbol in &report.symbols {
        let cells = grouped(symbol.cells);
        match symbol.mismatches {
            0 => writeln!(out, "{}  {cells} cells, equal", symbol.symbol)?,
            count => writeln!(out, "{}  {cells} cells, {} differ", symbol.symbol, grouped(count))?,
        }
        for session in &symbol.sessions {
            writeln!(out, "    {}  {} differ", session.session, grouped(session.mismatches))?;
        }
    }
    writeln!(out, "stored     {}", report.hash_stored)?;
    writeln!(out, "recomputed {}", report.hash_recomputed)?;
    let cells = grouped(report.cells);
    match report.mismatches {
        0 => Ok(writeln!(out, "{name}: {cells} cells computed again, all equal")?),
        count => Err(CliError::failed(format!(
            "{name}: {} of {cells} cells differ from what is computed again",
            grouped(count)
        ))),
    }
}

/// Leaves out the past, then the future.
pub(super) async fn lint(
    client: &Client,
    args: CheckArgs,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let report: LintReport = if args.symbols.is_empty() {
        done(client, &args.job("lint_features")).await?
    } else {
        let (name, range) = args.range();
        client.lint_features(&name, &range).await?
    };
    let name = format!("{}@{}", report.name, report.version);
    let mut wrong = 0;
    for feature in &report.features {
        if feature.is_ok && feature.without_past.differ == 0 {
            continue;
        }
        for (what, changes) in
            [("past", &feature.without_past), ("future", &feature.without_future)]
        {
            if changes.differ > 0 {
                writeln!(
                    out,
                    "{}  without the {what} {} of {} cells change, by {:.1e} at most{}",
                    feature.name,
                    grouped(changes.differ),
                    grouped(changes.cells),
                    changes.max_relative,
                    if feature.is_ok { ", as recursions do" } else { "" }
                )?;
            }
        }
        wrong += u64::from(!feature.is_ok);
    }
    let count = grouped(report.features.len() as u64);
    if report.is_ok {
        return Ok(writeln!(out, "{name}: {count} features, none looks where it must not")?);
    }
    let wrong = grouped(wrong);
    Err(CliError::failed(format!("{name}: {wrong} of {count} features look where they must not")))
}
