//! The command line. Every command talks HTTP through the client, as any other program would; with
//! `--data` it starts the server inside itself first. There is no private path to the data.
//!
//! Results go to standard output; errors to standard error: what failed, where, what to do. Exit
//! codes: 0 done, 1 failed, 2 wrong usage.

mod backup;
mod compact;
mod completions;
mod dead_letters;
mod delete;
mod demo;
mod error;
mod facts;
mod features;
mod import;
mod inspect;
mod jobs;
mod latest;
mod not_built;
mod quality;
mod query;
mod restore;
mod retention;
mod serve;
pub(crate) mod table;
mod tables;
mod target;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use error::CliError;

use crate::import::{parse_side, parse_step};

const EXAMPLES: &str = "\
Examples:
  barrow demo                                   a server with a sample market, to look around
  barrow serve --data ./barrow-data             a server
  barrow import SPY.csv --timeframe 1d --symbol SPY
  barrow query bars --symbols SPY --frequency 1d --start 2024-01-01 --end 2024-02-01
  barrow latest SPY
  barrow features put core.yaml                 define features
  barrow latest SPY --group core

Commands talk to the server at http://127.0.0.1:8480, or another with --server URL; with --data DIR
they work on a directory that no server has open.
Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// A time-series database server for market data.
#[derive(Debug, Parser)]
#[command(name = "barrow", version, after_help = EXAMPLES)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Import(import::ImportArgs),
    Query(query::QueryArgs),
    Latest(latest::LatestArgs),
    Watch(watch::WatchArgs),
    Features(features::FeaturesArgs),
    Tables(tables::TablesArgs),
    Retention(retention::RetentionArgs),
    Delete(delete::DeleteArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Instruments(facts::instruments::InstrumentsArgs),
    Sources(facts::sources::SourcesArgs),
    Rules(facts::rules::RulesArgs),
    Halts(facts::halts::HaltsArgs),
    Quarantine(facts::verdicts::QuarantineArgs),
    Release(facts::verdicts::ReleaseArgs),
    Quality(quality::QualityArgs),
    Health(quality::HealthArgs),
    Verify(verify::VerifyArgs),
    Compact(compact::CompactArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Inspect(inspect::InspectArgs),
    Jobs(jobs::JobsArgs),
    Completions(completions::CompletionsArgs),
    #[command(flatten)]
    NotBuilt(not_built::NotBuilt),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = match Program::try_parse_from(arguments) {
        Ok(program) => program,
        // Help and version are no errors; clap knows which stream and code each has.
        Err(error) => error.exit(),
    };
    match execute(program.command, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "barrow: {error}");
            ExitCode::from(error.code())
        }
    }
}

fn execute(command: Command, out: &mut dyn Write) -> Result<(), CliError> {
    let command = match command {
        Command::Verify(verify::VerifyArgs { data: Some(data), .. }) => {
            return verify::run(&data, out);
        }
        Command::Backup(backup::BackupArgs { dir, data: Some(data), .. }) => {
            return backup::run(&data, &dir, out);
        }
        Command::Restore(args) => return restore::run(&args, out),
        Command::Inspect(args) => return inspect::run(&args, out),
        Command::Completions(args) => return completions::run(&args, Program::command(), out),
        Command::NotBuilt(what) => return Err(what.refuse()),
        other => other,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("start threads: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args, out).await,
            Command::Serve(args) => serve::run(args, out).await,
            Command::Import(args) => import::run(args, out).await,
            Command::Query(args) => query::run(args, out).await,
            Command::Latest(args) => latest::run(args, out).await,
            Command::Watch(args) => watch::run(args, out).await,
            Command::Features(args) => features::run(args, out).await,
            Command::Tables(args) => tables::run(args, out).await,
            Command::Retention(args) => retention::run(args, out).await,
            Command::Delete(args) => delete::run(args, out).await,
            Command::DeadLetters(args) => dead_letters::run(args, out).await,
            Command::Instruments(args) => facts::instruments::run(args, out).await,
            Command::Sources(args) => facts::sources::run(args, out).await,
            Command::Rules(args) => facts::rules::run(args, out).await,
            Command::Halts(args) => facts::halts::run(args, out).await,
            Command::Quarantine(args) => facts::verdicts::quarantine(args, out).await,
            Command::Release(args) => facts::verdicts::release(args, out).await,
            Command::Quality(args) => quality::quality(args, out).await,
            Command::Health(args) => quality::health(args, out).await,
            Command::Verify(args) => verify::run_on_server(&args.server, out).await,
            Command::Compact(args) => compact::run(args, out).await,
            Command::Backup(args) => backup::run_on_server(&args, out).await,
            Command::Jobs(args) => jobs::run(args, out).await,
            Command::Restore(_)
            | Command::Inspect(_)
            | Command::Completions(_)
            | Command::NotBuilt(_) => unreachable!("invariant: answered above"),
        }
    })
}

#[cfg(test)]
mod tests;
