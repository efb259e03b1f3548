//! `barrow tables`: tables of one's own are defined, listed and described. Rows go in by `barrow
//! import --dataset NAME` and out by `barrow query table NAME`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use barrow_client::{Client, DatasetDescription};
use clap::{Args, Subcommand};

use crate::cli::CliError;
use crate::cli::features::Document;
use crate::cli::target::TargetArgs;
use crate::import::grouped;

const EXAMPLES: &str = "\
Examples:
  barrow tables put news news.yaml
  barrow tables list
  barrow tables describe news

A file, YAML or JSON:
  columns:
    - {name: id, type: text, nullable: false}
    - {name: score, type: f64}
  key: [ts, id]
  extra: reject

Types: f64, i64, bool, text, timestamp. Put again with other columns, it makes the next version: a
column may be new, have another name ({name: score, was: sentiment, type: f64}), a wider type, or
be hidden, if it is left out.";

/// Define tables of your own, look at them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TablesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Examples:\n  barrow tables put news news.yaml")]
    Put(PutArgs),
    #[command(after_help = "Examples:\n  barrow tables list")]
    List(ListArgs),
    #[command(after_help = "Examples:\n  barrow tables describe news")]
    Describe(DescribeArgs),
}

/// Define a table, or make its next version, as a file says it
#[derive(Debug, Args)]
struct PutArgs {
    /// The table
    name: String,
    /// YAML or JSON
    file: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
}

/// Every table, its version and how many rows are stored
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Key, columns and version of a table
#[derive(Debug, Args)]
struct DescribeArgs {
    /// The table
    name: String,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: TablesArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let target = match &args.what {
        What::Put(args) => &args.target,
        What::List(args) => &args.target,
        What::Describe(args) => &args.target,
    };
    let target = target.clone().open().await?;
    let done = match &args.what {
        What::Put(args) => put(&target.client, args, out).await,
        What::List(_) => list(&target.client, out).await,
        What::Describe(args) => match target.client.dataset(&args.name).await {
            Ok(table) => write(&table, out),
            Err(error) => Err(error.into()),
        },
    };
    let stopped = target.close().await;
    done.and(stopped)
}

async fn put(client: &Client, args: &PutArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let shown = args.file.display();
    let text = fs::read_to_string(&args.file)
        .map_err(|error| CliError::failed(format!("read {shown}: {error}")))?;
    let document =
        Document::parse(&text).map_err(|what| CliError::failed(format!("{shown}: {what}")))?;
    let table = client.put_dataset(&args.name, &document.value).await;
    write(&table.map_err(|error| CliError::from(error).within(&format!("put {shown}")))?, out)
}

async fn list(client: &Client, out: &mut dyn Write) -> Result<(), CliError> {
    let datasets = client.list_datasets().await?;
    for table in datasets.iter().filter(|dataset| dataset.kind == "table") {
        let (name, version, rows) = (&table.name, table.version, grouped(table.rows));
        writeln!(out, "{name}  version {version}  {rows} rows of {} symbols", table.symbols)?;
    }
    Ok(())
}

fn write(table: &DatasetDescription, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "{}  version {}  {} rows", table.name, table.version, grouped(table.rows))?;
    let key = if table.key.is_empty() { "none".to_owned() } else { table.key.join(", ") };
    writeln!(out, "  key      {key}")?;
    for column in &table.columns {
        let needed = if column.nullable { "" } else { "  required" };
        writeln!(out, "  column   {}  {}{needed}", column.name, column.kind)?;
    }
    if !table.hidden.is_empty() {
        writeln!(out, "  hidden   {}", table.hidden.join(", "))?;
    }
    if let Some(extra) = &table.extra {
        writeln!(out, "  extra    {extra}")?;
    }
    Ok(())
}
