//! `barrow query`: ranges out, as a table or as the server writes them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use barrow_client::{BarsQuery, ByteStream, Client, Format};
use barrow_types::{PriceSide, Step};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::not_built::Rest;
use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step, table};

/// Rows of a table for a terminal, unless --limit says otherwise.
const TABLE_ROWS: u64 = 200;

const EXAMPLES: &str = "\
Examples:
  barrow query bars --symbols SPY --frequency 1m --start 2013-10-07 --end 2013-10-08
  barrow query bars --symbols SPY,IBM --frequency 1m --as-of 2013-10-07T18:00:00Z --limit 10
  barrow query bars --symbols SPY --frequency 1m --revisions all --format csv -o spy.csv

Times: RFC 3339 with offset, a date, or nanoseconds since 1970. Ranges include the start and not
the end.";

/// Ask for rows.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Bars(Box<BarsArgs>),
    /// Trades (not available yet)
    Trades(Rest),
    /// Features (not available yet)
    Features(Rest),
    /// SQL (not available yet)
    Sql(Rest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    Table,
    Csv,
    Json,
    Arrow,
    Parquet,
}

/// Bars of some symbols over a range
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct BarsArgs {
    /// Names, in the order they are to come
    #[arg(long, required = true, value_delimiter = ',')]
    symbols: Vec<String>,
    /// First time
    #[arg(long)]
    start: Option<String>,
    /// End of the range, not in it
    #[arg(long)]
    end: Option<String>,
    /// How long the bars are: 1m, 1d
    #[arg(long, value_parser = parse_step)]
    frequency: Step,
    /// raw: as received, per source; curated is not available yet, so the default is raw for now
    #[arg(long, default_value = "raw")]
    layer: String,
    /// Which price: trade, bid, ask, mid
    #[arg(long, value_parser = parse_side)]
    price: Option<PriceSide>,
    /// Only rows of this source
    #[arg(long)]
    source: Option<String>,
    /// From what was known then
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// From what Barrow held then
    #[arg(long, value_name = "SEQUENCE")]
    at_sequence: Option<String>,
    /// all: every stored row, also those that were corrected or taken back
    #[arg(long, value_parser = ["all"])]
    revisions: Option<String>,
    /// Fill what is missing (not available yet)
    #[arg(long)]
    fill: Option<String>,
    /// Columns wanted
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Most rows; a table shows 200 unless told otherwise
    #[arg(long)]
    limit: Option<u64>,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: OutputFormat,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub(crate) async fn run(args: QueryArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::Bars(args) => bars(*args, out).await,
        What::Trades(_) => Err(CliError::not_available("barrow query trades")),
        What::Features(_) => Err(CliError::not_available("barrow query features")),
        What::Sql(_) => Err(CliError::not_available("barrow query sql")),
    }
}

async fn bars(args: BarsArgs, out: &mut dyn Write) -> Result<(), CliError> {
    if args.format == OutputFormat::Parquet {
        return Err(CliError::not_available("--format parquet"));
    }
    if args.fill.as_deref().is_some_and(|fill| fill != "none") {
        return Err(CliError::not_available("--fill"));
    }
    let query = BarsQuery {
        symbols: args.symbols,
        start: args.start,
        end: args.end,
        frequency: args.frequency.name().to_owned(),
        layer: Some(args.layer),
        price: args.price.map(|price| price.name().to_owned()),
        source: args.source,
        as_of: args.as_of,
        at_sequence: args.at_sequence,
        revisions: args.revisions,
        columns: args.columns,
        limit: args.limit,
        ..BarsQuery::default()
    };
    let target = args.target.open().await?;
    let written = match &args.output {
        None => write(&target.client, &query, args.format, out).await,
        Some(path) => {
            let file = File::create(path)
                .map_err(|error| CliError::failed(format!("create {}: {error}", path.display())));
            match file {
                Ok(file) => {
                    let mut file = BufWriter::new(file);
                    let written = write(&target.client, &query, args.format, &mut file).await;
                    written.and_then(|()| Ok(file.flush()?))
                }
                Err(error) => Err(error),
            }
        }
    };
    let stopped = target.close().await;
    written.and(stopped)
}

async fn write(
    client: &Client,
    query: &BarsQuery,
    format: OutputFormat,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let format = match format {
        OutputFormat::Csv => Format::Csv,
        OutputFormat::Json => Format::Json,
        OutputFormat::Arrow => Format::Arrow,
        OutputFormat::Table | OutputFormat::Parquet => {
            return write_table(client, query, out).await;
        }
    };
    let mut bytes = client.bars_bytes(query, format).await?;
    warn(&bytes)?;
    while let Some(chunk) = bytes.next().await? {
        out.write_all(&chunk)?;
    }
    Ok(out.flush()?)
}

async fn write_table(
    client: &Client,
    query: &BarsQuery,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let limit = query.limit.unwrap_or(TABLE_ROWS);
    let limited = BarsQuery { limit: Some(limit), ..query.clone() };
    let batches = client.bars(&limited).await?;
    warn(batches.head())?;
    let is_cut = batches.head().cursor().is_some();
    table::write(out, &batches.all().await?)?;
    if is_cut {
        writeln!(out, "... the first {limit} rows; more with --limit or --format csv")?;
    }
    Ok(())
}

/// What the server wants a person to know goes beside the rows, not into them.
fn warn(answer: &ByteStream) -> Result<(), CliError> {
    for warning in answer.warnings() {
        writeln!(std::io::stderr(), "barrow: warning: {warning}")?;
    }
    Ok(())
}
