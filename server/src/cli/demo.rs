//! `barrow demo`: a server with something in it, in one command, and what one can do with it.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Instant;

use barrow_client::{
    BarsQuery, Client, DeleteKeys, IngestAnswer, IngestOptions, LatestFeaturesQuery, LatestQuery,
};
use clap::Args;
use serde_json::json;

use crate::cli::features::{self, Document};
use crate::cli::import;
use crate::cli::serve::StopSignals;
use crate::cli::target::Target;
use crate::cli::{CliError, latest, table};
use crate::import::{Import, ImportOptions, Way, grouped};
use crate::sample;

const EXAMPLES: &str = "\
Examples:
  barrow demo
  barrow demo --exit
  barrow demo --from SPY.csv --timeframe 1d --symbol SPY";

/// Start a server with a sample market and show what is in it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// The directory for the data, kept for the next time
    #[arg(long, value_name = "DIR", default_value = "barrow-demo")]
    data: PathBuf,
    /// Stop after printing, rather than serve until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Real files instead of the sample market; takes the options of `barrow import`
    #[arg(long, value_name = "PATH", num_args = 1..)]
    from: Vec<PathBuf>,
    #[command(flatten)]
    options: ImportOptions,
}

/// The name of the sample's group.
const GROUP: &str = "demo";

/// What to show of what was loaded.
struct Shown {
    symbols: Vec<String>,
    query: BarsQuery,
}

/// Runs the command.
pub(crate) async fn run(args: DemoArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let mut signals = StopSignals::listen()?;
    // What is missing in --from is said before anything starts.
    let planned = match args.from.as_slice() {
        [] => None,
        paths => Some(import::plan(paths, &args.options, out)?),
    };
    let target = Target::embed_at(&args.data, address(args.exit)).await?;
    let shown = show_all(&target.client, &args, planned.as_ref(), out).await;
    let result = match shown {
        Ok(()) if !args.exit => {
            writeln!(out, "\nserving until Ctrl-C")?;
            out.flush()?;
            signals.wait().await;
            Ok(())
        }
        other => other,
    };
    let stopped = target.close().await;
    result.and(stopped)
}

/// The usual address if it is free, so that other commands find the demo; else any.
fn address(exits: bool) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8480));
    if !exits && TcpListener::bind(usual).is_ok() {
        usual
    } else {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }
}

async fn show_all(
    client: &Client,
    args: &DemoArgs,
    planned: Option<&Import>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let shown = match planned {
        None => load_sample(client, out).await?,
        Some(planned) => load_files(client, planned, out).await?,
    };
    show_range(client, &shown.query, out).await?;
    if planned.is_none() {
        show_as_of(client, out).await?;
    }
    writeln!(out, "\nNewest rows (barrow latest {})", shown.symbols.join(" "))?;
    let newest = LatestQuery::new(shown.symbols.clone()).columns(latest::COLUMNS);
    table::write(out, &client.latest(&newest).await?)?;
    show_features(client, &shown, out).await?;
    addresses(client, args, &shown.query, planned.is_none(), out)
}

async fn load_sample(client: &Client, out: &mut dyn Write) -> Result<Shown, CliError> {
    let count = sample::SYMBOLS.len();
    writeln!(out, "Sample market: {count} symbols of 1-minute bars over four sessions\n")?;
    writeln!(
        out,
        "{:<20} {:>8} {:>9} {:>10} {:>10} {:>9}",
        "batch", "rows", "accepted", "duplicate", "corrected", "rejected"
    )?;
    let started = Instant::now();
    let mut rows = 0;
    for step in sample::script() {
        match step {
            sample::Step::Bars { id, what, bars } => {
                let options = IngestOptions::bars(barrow_types::Step::M1, sample::SOURCE)
                    .calendar(sample::CALENDAR)
                    .batch_id(id);
                let answer = client.ingest_arrow(&options, &[sample::record_batch(&bars)]).await?;
                rows += answer.total();
                write_answer(out, what, &answer)?;
            }
            sample::Step::Retract { id, what, symbol, ts } => {
                let keys = DeleteKeys::Rows {
                    symbol: symbol.to_owned(),
                    timeframe: "1m".to_owned(),
                    source: sample::SOURCE.to_owned(),
                    price: "trade".to_owned(),
                    ts: vec![ts.to_string()],
                };
                write_answer(out, what, &client.delete_rows("bars", &keys, Some(&id)).await?)?;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "{} rows, each batch durable before its answer, in {seconds:.2} s",
        grouped(rows)
    )?;
    Ok(Shown {
        symbols: sample::SYMBOLS.iter().take(4).map(|name| (*name).to_owned()).collect(),
        query: BarsQuery {
            start: Some(sample::CORRECTED.start.to_owned()),
            end: Some(sample::CORRECTED.end.to_owned()),
            ..range(sample::SYMBOLS[0], "1m", sample::SOURCE)
        },
    })
}

fn write_answer(out: &mut dyn Write, what: &str, answer: &IngestAnswer) -> Result<(), CliError> {
    let again = if answer.repeated { ", there already" } else { "" };
    Ok(writeln!(
        out,
        "{:<20} {:>8} {:>9} {:>10} {:>10} {:>9}  {what}{again}",
        answer.batch_id,
        grouped(answer.total()),
        grouped(answer.accepted),
        grouped(answer.duplicates),
        grouped(answer.corrected),
        grouped(answer.rejected),
    )?)
}

async fn load_files(
    client: &Client,
    planned: &Import,
    out: &mut dyn Write,
) -> Result<Shown, CliError> {
    let started = Instant::now();
    let (tally, sent) = import::send(&Way::Http(client.clone()), planned).await;
    tally.write(out, started.elapsed())?;
    sent?;
    let first = planned
        .first_series()
        .ok_or_else(|| CliError::failed("demo: there are no bars in these files to show"))?;
    let mut query = range(&first.symbol, first.step.name(), &first.source);
    query.price = Some(first.price.name().to_owned());
    Ok(Shown { symbols: vec![first.symbol], query })
}

fn columns() -> Vec<String> {
    let names = ["symbol", "ts", "open", "high", "low", "close", "volume", "known_at"];
    names.map(str::to_owned).to_vec()
}

fn range(symbol: &str, frequency: &str, source: &str) -> BarsQuery {
    BarsQuery {
        symbols: vec![symbol.to_owned()],
        frequency: frequency.to_owned(),
        layer: Some("raw".to_owned()),
        source: Some(source.to_owned()),
        columns: columns(),
        limit: Some(5),
        ..BarsQuery::default()
    }
}

async fn show_range(
    client: &Client,
    query: &BarsQuery,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let symbol = &query.symbols[0];
    writeln!(out, "\nA range of {symbol} (barrow query bars)")?;
    Ok(table::write(out, &client.bars(query).await?.all().await?)?)
}

async fn show_as_of(client: &Client, out: &mut dyn Write) -> Result<(), CliError> {
    let sample::Correction { symbol, start, end, before } = sample::CORRECTED;
    let now = BarsQuery {
        start: Some(start.to_owned()),
        end: Some(end.to_owned()),
        ..range(symbol, "1m", sample::SOURCE)
    };
    let then = BarsQuery { as_of: Some(before.to_owned()), ..now.clone() };
    writeln!(out, "\n{symbol} as it was known at {before} (--as-of): the highs are misprints")?;
    table::write(out, &client.bars(&then).await?.all().await?)?;
    writeln!(out, "{symbol} as it is known now: corrected, and nothing was overwritten")?;
    Ok(table::write(out, &client.bars(&now).await?.all().await?)?)
}

/// Puts the sample's features, on bars like those that were loaded, and shows the newest.
async fn show_features(
    client: &Client,
    shown: &Shown,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut document = Document::parse(sample::FEATURES).map_err(CliError::failed)?.value;
    let BarsQuery { frequency, price, .. } = &shown.query;
    document["bars"] = json!({ "every": frequency, "price": price });
    let group = client.put_feature_group(GROUP, &document).await?;
    // A directory that is kept may know the group from other bars.
    let name =
        if group.is_promoted { GROUP.to_owned() } else { format!("{GROUP}@{}", group.version) };
    let symbols = shown.symbols.join(" ");
    writeln!(out, "\nNewest features (barrow latest {symbols} --group {name})")?;
    for feature in &group.features {
        writeln!(out, "  {:<10} {}", feature.name, feature.expr)?;
    }
    let newest = LatestFeaturesQuery::new([name], shown.symbols.clone());
    features::latest(client, newest, table::terminal_width(), out).await
}

fn addresses(
    client: &Client,
    args: &DemoArgs,
    query: &BarsQuery,
    is_sample: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let url = client.url();
    let (symbol, frequency) = (&query.symbols[0], &query.frequency);
    writeln!(out, "\nHTTP {url}, data in {}", args.data.display())?;
    let bars = format!("{url}/v1/bars?symbols={symbol}&frequency={frequency}&layer=raw");
    writeln!(out, "  curl '{bars}&limit=3'")?;
    writeln!(out, "  curl '{bars}&limit=3&format=csv'")?;
    if is_sample {
        let sample::Correction { symbol, start, end, .. } = sample::CORRECTED;
        let bars = format!("{url}/v1/bars?symbols={symbol}&frequency={frequency}&layer=raw");
        writeln!(out, "  curl '{bars}&start={start}&end={end}&revisions=all&format=csv'")?;
    }
    writeln!(out, "  curl '{url}/v1/bars/latest?symbols={symbol}'")?;
    writeln!(out, "  curl '{url}/v1/features/latest?groups={GROUP}&symbols={symbol}'")?;
    Ok(writeln!(out, "  curl '{url}/metrics'")?)
}
