//! `barrow completions`: what a shell needs to complete commands and options.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::cli::CliError;

const EXAMPLES: &str = "\
Examples:
  barrow completions bash > ~/.local/share/bash-completion/completions/barrow
  barrow completions zsh > ~/.zfunc/_barrow         with ~/.zfunc in fpath
  barrow completions fish > ~/.config/fish/completions/barrow.fish";

/// Print a script with which a shell completes commands
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script that completes `program`.
pub(crate) fn run(
    args: &CompletionsArgs,
    mut program: Command,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    generate(args.shell, &mut program, name, &mut script);
    out.write_all(&script)?;
    Ok(())
}
