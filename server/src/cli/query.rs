//! `barrow query`: ranges out, as a table or as the server writes them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use barrow_client::{
    BarsQuery, Batches, ByteStream, Client, ClientError, FeaturesQuery, Format, TicksQuery,
};
use barrow_engine::{Fallback, Vintage};
use barrow_types::{Align, PriceSide, SessionSet, Step};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::features::{rounded, shortened};
use crate::cli::not_built::Rest;
use crate::cli::quality::{GapsArgs, gaps};
use crate::cli::target::TargetArgs;
use crate::cli::{CliError, parse_side, parse_step, table};

/// Rows of a table for a terminal, unless --limit says otherwise.
const TABLE_ROWS: u64 = 200;

const EXAMPLES: &str = "\
Examples:
  barrow query bars --symbols SPY --frequency 1m --start 2013-10-07 --end 2013-10-08
  barrow query bars --symbols SPY,IBM --frequency 1m --as-of 2013-10-07T18:00:00Z --limit 10
  barrow query bars --symbols SPY --frequency 1m --start 2013-10-07 --end 2013-10-08 --gaps
  barrow query bars --symbols EURUSD --frequency 1m --price bid,ask
  barrow query trades --symbols SPY --start 2013-10-07 --format parquet -o spy.parquet
  barrow query quotes --symbols SPY --as-of 2013-10-07T18:00:00Z --limit 10
  barrow query table news --symbols SPY --as-of 2013-10-07T18:00:00Z

Times: RFC 3339 with offset, a date, or nanoseconds since 1970. Ranges include the start and not
the end.";

const FEATURES_EXAMPLES: &str = "\
Examples:
  barrow query features --groups core --symbols SPY --start 2013-10-07 --end 2013-10-08
  barrow query features --groups core,vol --symbols SPY,IBM --as-of 2013-10-07T18:00:00Z
  barrow query features --groups core --symbols SPY --reasons --format csv
  barrow query features --groups alpha158 --symbols SPY --format parquet -o alpha158.parquet

Times: RFC 3339 with offset, a date, or nanoseconds since 1970. Ranges include the start and not
the end.";

/// Ask for rows.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Bars(Box<BarsArgs>),
    Trades(Box<TradesArgs>),
    Quotes(Box<QuotesArgs>),
    Table(Box<TableArgs>),
    Gaps(Box<GapsArgs>),
    Features(Box<FeaturesArgs>),
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
    /// How long the bars are: 1m, 1d
    #[arg(long, value_parser = parse_step)]
    frequency: Step,
    /// curated (the default): one row for each slot; raw: as received, per source
    #[arg(long, value_parser = ["curated", "raw"])]
    layer: Option<String>,
    /// Which prices: trade, bid, ask, mid; several stand side by side
    #[arg(long, value_parser = parse_side, value_delimiter = ',')]
    price: Vec<PriceSide>,
    /// Which hours of a session: regular, extended, all
    #[arg(long, value_parser = SessionSet::ALL.map(SessionSet::name))]
    session: Option<String>,
    /// Where bars begin: session, clock
    #[arg(long, value_parser = Align::ALL.map(Align::name))]
    align: Option<String>,
    /// Whose rows are taken where the preferred source has none: none, session, slot
    #[arg(long, value_parser = Fallback::ALL.map(Fallback::name))]
    fallback: Option<String>,
    /// Empty slots too, each with its reason
    #[arg(long)]
    gaps: bool,
    /// What stands in empty slots: none, forward, forward:LIMIT, constant:VALUE
    #[arg(long)]
    fill: Option<String>,
    /// Adjusted for corporate actions: none, splits, all
    #[arg(long, value_parser = ["none", "splits", "all"])]
    adjust: Option<String>,
    /// live: each row as it was known when it could first be had; final: as it is known now
    #[arg(long, value_parser = Vintage::ALL.map(Vintage::name))]
    vintage: Option<String>,
    #[command(flatten)]
    symbols: SymbolsArgs,
    #[command(flatten)]
    rows: RowsArgs,
}

/// Trades of some symbols over a range
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct TradesArgs {
    #[command(flatten)]
    symbols: SymbolsArgs,
    #[command(flatten)]
    rows: RowsArgs,
}

/// Quotes of some symbols over a range
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct QuotesArgs {
    #[command(flatten)]
    symbols: SymbolsArgs,
    #[command(flatten)]
    rows: RowsArgs,
}

/// The cells of groups of features over a range of slots
#[derive(Debug, Args)]
#[command(after_help = FEATURES_EXAMPLES)]
struct FeaturesArgs {
    /// Groups, NAME or NAME@VERSION, in the order of their columns
    #[arg(long, required = true, value_delimiter = ',', value_name = "NAME[@VERSION]")]
    groups: Vec<String>,
    /// Beside each feature why it is null
    #[arg(long)]
    reasons: bool,
    /// live: each row as it was known when it could first be had; final: as it is known now
    #[arg(long, value_parser = Vintage::ALL.map(Vintage::name))]
    vintage: Option<String>,
    #[command(flatten)]
    symbols: SymbolsArgs,
    #[command(flatten)]
    range: RangeArgs,
}

/// Rows of a table of your own over a range
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct TableArgs {
    /// The table
    name: String,
    /// Names, in the order they are to come; all, in order, if it is left out
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    #[command(flatten)]
    rows: RowsArgs,
}

/// Of whom.
#[derive(Debug, Args)]
struct SymbolsArgs {
    /// Names, in the order they are to come
    #[arg(long, required = true, value_delimiter = ',')]
    symbols: Vec<String>,
}

/// What ranges of rows have in common.
#[derive(Debug, Args)]
struct RowsArgs {
    /// Only rows of this source
    #[arg(long)]
    source: Option<String>,
    /// all: every stored row, also those that were corrected or taken back
    #[arg(long, value_parser = ["all"])]
    revisions: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
}

/// What all ranges have in common.
#[derive(Debug, Args)]
struct RangeArgs {
    /// First time
    #[arg(long)]
    start: Option<String>,
    /// End of the range, not in it
    #[arg(long)]
    end: Option<String>,
    /// From what was known then
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// From what Barrow held then
    #[arg(long, value_name = "SEQUENCE")]
    at_sequence: Option<String>,
    /// Columns wanted
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Most rows; a table shows 200 unless told otherwise
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    answer: AnswerTo,
}

/// A question about one of the tables.
enum Query {
    Bars(BarsQuery),
    Trades(TicksQuery),
    Quotes(TicksQuery),
    Table(String, TicksQuery),
    Features(FeaturesQuery),
}

impl Query {
    async fn bytes(&self, client: &Client, format: Format) -> Result<ByteStream, ClientError> {
        match self {
            Self::Bars(query) => client.bars_bytes(query, format).await,
            Self::Trades(query) => client.trades_bytes(query, format).await,
            Self::Quotes(query) => client.quotes_bytes(query, format).await,
            Self::Table(name, query) => client.table_bytes(name, query, format).await,
            Self::Features(query) => client.features_bytes(query, format).await,
        }
    }

    async fn batches(&self, client: &Client) -> Result<Batches, ClientError> {
        match self {
            Self::Bars(query) => client.bars(query).await,
            Self::Trades(query) => client.trades(query).await,
            Self::Quotes(query) => client.quotes(query).await,
            Self::Table(name, query) => client.table(name, query).await,
            Self::Features(query) => client.features(query).await,
        }
    }

    const fn limit_mut(&mut self) -> &mut Option<u64> {
        match self {
            Self::Bars(query) => &mut query.limit,
            Self::Trades(query) | Self::Quotes(query) | Self::Table(_, query) => &mut query.limit,
            Self::Features(query) => &mut query.limit,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: QueryArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        What::Bars(args) => {
            let (query, answer) = bars(*args);
            answer.write(query, out).await
        }
        What::Trades(args) => {
            let (query, answer) = ticks(args.symbols.symbols, args.rows);
            answer.write(Query::Trades(query), out).await
        }
        What::Quotes(args) => {
            let (query, answer) = ticks(args.symbols.symbols, args.rows);
            answer.write(Query::Quotes(query), out).await
        }
        What::Table(args) => {
            let (query, answer) = ticks(args.symbols, args.rows);
            answer.write(Query::Table(args.name, query), out).await
        }
        What::Gaps(args) => gaps(*args, out).await,
        What::Features(args) => {
            let (query, answer) = features(*args);
            answer.write(Query::Features(query), out).await
        }
        What::Sql(_) => Err(CliError::not_available("barrow query sql")),
    }
}

fn bars(args: BarsArgs) -> (Query, AnswerTo) {
    let BarsArgs {
        frequency,
        layer,
        price,
        session,
        align,
        fallback,
        gaps,
        fill,
        adjust,
        vintage,
        symbols,
        rows,
    } = args;
    let RowsArgs { source, revisions, range } = rows;
    // Only raw rows stand side by side and have revisions.
    let of_raw = price.len() > 1 || revisions.is_some();
    let layer = layer.or_else(|| of_raw.then(|| "raw".to_owned()));
    let price = price.into_iter().map(PriceSide::name).collect::<Vec<_>>().join(",");
    let query = BarsQuery {
        symbols: symbols.symbols,
        start: range.start,
        end: range.end,
        frequency: frequency.name().to_owned(),
        layer,
        price: (!price.is_empty()).then_some(price),
        session,
        align,
        fallback,
        gaps,
        fill,
        adjust,
        vintage,
        source,
        as_of: range.as_of,
        at_sequence: range.at_sequence,
        revisions,
        columns: range.columns,
        limit: range.limit,
        ..BarsQuery::default()
    };
    (Query::Bars(query), range.answer)
}

fn ticks(symbols: Vec<String>, args: RowsArgs) -> (TicksQuery, AnswerTo) {
    let RowsArgs { source, revisions, range } = args;
    let query = TicksQuery {
        symbols,
        start: range.start,
        end: range.end,
        source,
        as_of: range.as_of,
        at_sequence: range.at_sequence,
        revisions,
        columns: range.columns,
        limit: range.limit,
        ..TicksQuery::default()
    };
    (query, range.answer)
}

fn features(args: FeaturesArgs) -> (FeaturesQuery, AnswerTo) {
    let FeaturesArgs { groups, reasons, vintage, symbols, range } = args;
    let query = FeaturesQuery {
        start: range.start,
        end: range.end,
        reasons,
        as_of: range.as_of,
        at_sequence: range.at_sequence,
        vintage,
        columns: range.columns,
        limit: range.limit,
        ..FeaturesQuery::new(groups, symbols.symbols)
    };
    (query, range.answer)
}

/// Whom to ask, and where the answer goes.
#[derive(Debug, Args)]
struct AnswerTo {
    /// How rows are written; a table of features shows six digits and the columns that fit
    #[arg(long, value_enum, default_value = "table")]
    format: OutputFormat,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

impl AnswerTo {
    async fn write(self, query: Query, out: &mut dyn Write) -> Result<(), CliError> {
        let target = self.target.open().await?;
        let written = match &self.output {
            None => {
                let width = table::terminal_width();
                write(&target.client, query, self.format, (out, width)).await
            }
            Some(path) => write_file(&target.client, query, self.format, path).await,
        };
        let stopped = target.close().await;
        written.and(stopped)
    }
}

/// Writes a file; one that did not become whole is removed again, so that none looks whole.
async fn write_file(
    client: &Client,
    query: Query,
    format: OutputFormat,
    path: &Path,
) -> Result<(), CliError> {
    let file = File::create(path)
        .map_err(|error| CliError::failed(format!("create {}: {error}", path.display())))?;
    let mut file = BufWriter::new(file);
    let written = write(client, query, format, (&mut file, None)).await;
    let written = written.and_then(|()| Ok(file.flush()?));
    // A pipe or a device is not ours to remove.
    if written.is_err() && path.is_file() {
        drop(file);
        fs::remove_file(path)?;
    }
    written
}

async fn write(
    client: &Client,
    query: Query,
    format: OutputFormat,
    (out, width): (&mut dyn Write, Option<usize>),
) -> Result<(), CliError> {
    let format = match format {
        OutputFormat::Csv => Format::Csv,
        OutputFormat::Json => Format::Json,
        OutputFormat::Arrow => Format::Arrow,
        OutputFormat::Parquet => Format::Parquet,
        OutputFormat::Table => return write_table(client, query, out, width).await,
    };
    let mut bytes = query.bytes(client, format).await?;
    warn(&bytes)?;
    while let Some(chunk) = bytes.next().await? {
        out.write_all(&chunk)?;
    }
    Ok(out.flush()?)
}

async fn write_table(
    client: &Client,
    mut query: Query,
    out: &mut dyn Write,
    width: Option<usize>,
) -> Result<(), CliError> {
    let limit = *query.limit_mut().get_or_insert(TABLE_ROWS);
    let batches = query.batches(client).await?;
    warn(batches.head())?;
    let is_cut = batches.head().cursor().is_some();
    let batches = batches.all().await?;
    match query {
        Query::Features(query) if query.columns.is_empty() => {
            table::write_within(out, &shortened(&batches), width)?;
        }
        Query::Features(_) => table::write_within(out, &rounded(&batches), width)?,
        _ => table::write(out, &batches)?,
    }
    if is_cut {
        writeln!(out, "... the first {limit} rows; more with --limit or --format csv")?;
    }
    Ok(())
}

/// What the server wants a person to know goes beside the rows, not into them.
pub(crate) fn warn(answer: &ByteStream) -> Result<(), CliError> {
    for warning in answer.warnings() {
        writeln!(std::io::stderr(), "barrow: warning: {warning}")?;
    }
    Ok(())
}
