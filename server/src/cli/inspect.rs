//! `barrow inspect`: what is in one file of a store.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::CliError;

const EXAMPLES: &str = "\
Examples:
  barrow inspect barrow-data/segments/0000000001.seg
  barrow inspect barrow-data/manifest/CURRENT.a

Reads the file and nothing else, so a server may have the store open. Exit code 1 if anything in
the file is wrong.";

/// Show what is in a file: bytes by column, extents, records, edits.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// A file of the folders segments, wal, manifest or derived
    file: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let shown = args.file.display();
    let failed =
        |error: &dyn std::fmt::Display| CliError::failed(format!("inspect {shown}: {error}"));
    let bytes = std::fs::read(&args.file).map_err(|error| failed(&error))?;
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let found = barrow_engine::inspect(&name.unwrap_or_default(), &bytes)
        .map_err(|error| CliError::usage(error.to_string()))?;
    writeln!(out, "{}", found.title)?;
    for table in &found.tables {
        writeln!(out)?;
        write_table(table, out)?;
    }
    for problem in &found.problems {
        writeln!(out, "damaged: {problem}")?;
    }
    match found.problems.len() {
        0 => Ok(()),
        count => Err(failed(&format!("{count} problems"))),
    }
}

/// Cells of numbers to the right, others to the left.
fn write_table(table: &[Vec<String>], out: &mut dyn Write) -> std::io::Result<()> {
    let columns = table.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or_default())
        .collect();
    let numeric: Vec<bool> = (0..columns)
        .map(|at| table[1..].iter().all(|row| row[at].parse::<f64>().is_ok()))
        .collect();
    for row in table {
        let mut line = String::new();
        for ((cell, width), numeric) in row.iter().zip(&widths).zip(&numeric) {
            if *numeric {
                line.push_str(&format!("{cell:>width$}  "));
            } else {
                line.push_str(&format!("{cell:<width$}  "));
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
