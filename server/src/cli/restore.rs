//! `barrow restore`: a store of its own from a backup.

use std::io::Write;
use std::path::PathBuf;

use barrow_types::Sequence;
use clap::Args;

use crate::cli::CliError;
use crate::cli::backup::make;
use crate::random;

const EXAMPLES: &str = "\
Examples:
  barrow restore /backups/2024-05-03 ./barrow-data
  barrow restore /backups/2024-05-03 ./before --sequence 1841

The backup stays as it is, and can be restored again. DIR must not be there, or be empty. With
--sequence the new store holds what the old one held when that record was its last; `barrow backup`
says which there are, and any other number is refused with them. The new store has an identity of
its own: clients of the feature feed that come back to it read the latest rows anew.";

/// Make a store from a backup.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The folder of the new store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The last record that it holds [default: that of the backup]
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(args: &RestoreArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let doing = format!("restore {}", args.backup.display());
    let instance = random::bytes().map_err(|error| CliError::failed(error.to_string()))?;
    let sequence = args.sequence.map(Sequence::new);
    let made = make(&args.backup, &args.dir, |store| store.plan_restore(sequence, instance));
    let made = made.map_err(|error| error.within(&doing))?;
    let dir = args.dir.display();
    writeln!(out, "restored {dir} as it was at sequence {}", made.last)?;
    Ok(())
}
