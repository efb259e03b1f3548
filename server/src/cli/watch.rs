//! `barrow watch`: features as they become known, told by the feature feed.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampNanosecondArray};
use arrow::record_batch::RecordBatch;
use barrow_client::feed::{
    Event, Feed, FeedError, FeedOptions, Group, Row, RowFlags, RowSet, Subscription, Wanted, Which,
};
use clap::Args;

use crate::cli::{CliError, features, table};

const EXAMPLES: &str = "\
Examples:
  barrow watch SPY IBM --group core
  barrow watch --group core --forming
  barrow watch SPY --group core --feed ./barrow-data/feature.sock --count 10 > rows.csv";

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Show the newest features of some symbols, and each new row as it comes: on a terminal a table
/// that changes, elsewhere a line of CSV for each row
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Names; all of the group if left out
    symbols: Vec<String>,
    /// The group
    #[arg(long, value_name = "NAME[@VERSION]")]
    group: String,
    /// The feature feed: an address, or the path of its socket
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8481")]
    feed: String,
    /// Also rows of slots that are not due yet, which change with what comes in
    #[arg(long)]
    forming: bool,
    /// End after so many new rows
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// The last row of a symbol.
struct Shown {
    ts: i64,
    state: &'static str,
    values: Vec<Option<f64>>,
}

/// What is on the screen.
struct View {
    group: Group,
    names: BTreeMap<u32, String>,
    shown: BTreeMap<u32, Shown>,
    is_terminal: bool,
}

/// Runs the command.
pub(crate) async fn run(args: WatchArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let mut feed = connect(&args.feed).await?;
    let group = resolve(&mut feed, &args).await?;
    let names = group.symbols.iter();
    let names = names.filter_map(|symbol| Some((symbol.index?, symbol.name.clone()))).collect();
    let is_terminal = std::io::stdout().is_terminal();
    let mut view = View { group, names, shown: BTreeMap::new(), is_terminal };
    let mut wanted = match args.symbols.is_empty() {
        true => Wanted::all(),
        false => Wanted::of(&view.names.keys().copied().collect::<Vec<_>>()),
    };
    wanted = wanted.corrections();
    if args.forming {
        wanted = wanted.forming();
    }
    // Whatever comes after the subscription began is told: the rows before it are asked for then.
    let news = feed.subscribe(&view.group, &wanted).await?;
    let mut asking = connect(&args.feed).await?;
    view.head(out)?;
    view.refresh(&mut asking, out).await?;
    view.follow(news, asking, args.count, out).await
}

async fn connect(address: &str) -> Result<Feed, CliError> {
    let options = FeedOptions { name: "barrow watch".to_owned(), ..FeedOptions::default() };
    let connected = if address.contains('/') || Path::new(address).exists() {
        Feed::unix(address, &options).await
    } else {
        Feed::tcp(address, &options).await
    };
    connected.map_err(|error| match error {
        FeedError::Unreachable { .. } => CliError::failed(format!(
            "{error}: start `barrow serve`, or say with --feed where it listens"
        )),
        other => other.into(),
    })
}

async fn resolve(feed: &mut Feed, args: &WatchArgs) -> Result<Group, CliError> {
    let group = [args.group.as_str()];
    let groups = match args.symbols.is_empty() {
        true => feed.resolve_all(&group).await?,
        false => feed.resolve(&group, &args.symbols).await?,
    };
    let group = groups.into_iter().next();
    let group = group.ok_or_else(|| CliError::failed("the feed did not tell of the group"))?;
    if let Some(symbol) = group.symbols.iter().find(|symbol| symbol.index.is_none()) {
        let (name, group) = (&symbol.name, &group.name);
        return Err(CliError::failed(format!(
            "{group} has no row of '{name}' yet; `barrow watch --group {group}` shows what it has"
        )));
    }
    Ok(group)
}

impl View {
    async fn follow(
        mut self,
        mut news: Subscription,
        mut asking: Feed,
        count: Option<u64>,
        out: &mut dyn Write,
    ) -> Result<(), CliError> {
        let mut seen = 0;
        while count.is_none_or(|count| seen < count) {
            match news.next().await? {
                None => return Err(CliError::failed("the server stopped")),
                Some(Event::Resync { .. }) => self.refresh(&mut asking, out).await?,
                Some(Event::Update { symbol, row, .. }) => {
                    if !self.names.contains_key(&symbol) {
                        self.learn(&mut asking).await?;
                    }
                    self.take(symbol, row);
                    self.show(symbol, out)?;
                    seen += 1;
                }
            }
        }
        Ok(())
    }

    /// Asks for the newest rows of all symbols that are shown.
    async fn refresh(&mut self, feed: &mut Feed, out: &mut dyn Write) -> Result<(), CliError> {
        let symbols: Vec<u32> = self.names.keys().copied().collect();
        let mut rows = RowSet::default();
        feed.latest(&self.group, Which::Newest, &symbols, &mut rows).await?;
        for (symbol, row) in symbols.into_iter().zip(rows.iter()) {
            if let Ok(row) = row {
                self.take(symbol, row);
                self.show(symbol, out)?;
            }
        }
        Ok(())
    }

    /// A symbol has come to the group: asks for names anew.
    async fn learn(&mut self, feed: &mut Feed) -> Result<(), CliError> {
        let name = format!("{}@{}", self.group.name, self.group.version);
        let groups = feed.resolve_all(&[name]).await?;
        for symbol in groups.into_iter().flat_map(|group| group.symbols) {
            self.names.extend(symbol.index.map(|index| (index, symbol.name)));
        }
        Ok(())
    }

    fn take(&mut self, symbol: u32, row: Row<'_>) {
        let head = row.head();
        let state = if head.flags.has(RowFlags::FORMING) {
            "forming"
        } else if head.flags.has(RowFlags::CORRECTED) {
            "corrected"
        } else {
            "closed"
        };
        let values = (0..row.len()).map(|feature| row.value(feature)).collect();
        self.shown.insert(symbol, Shown { ts: head.ts, state, values });
    }

    fn head(&self, out: &mut dyn Write) -> Result<(), CliError> {
        if !self.is_terminal {
            writeln!(out, "symbol,ts,state,{}", self.group.features.join(","))?;
        }
        Ok(())
    }

    fn show(&self, symbol: u32, out: &mut dyn Write) -> Result<(), CliError> {
        if self.is_terminal {
            write!(out, "{CLEAR}")?;
            let shown = features::rounded(&[self.batch(self.shown.keys())]);
            table::write_within(out, &shown, table::terminal_width())?;
            out.flush()?;
            return Ok(());
        }
        let mut lines = Vec::new();
        table::rows(&self.batch([&symbol]), &mut lines)?;
        for line in lines {
            writeln!(out, "{}", line.join(","))?;
        }
        out.flush()?;
        Ok(())
    }

    fn batch<'a>(&self, symbols: impl IntoIterator<Item = &'a u32>) -> RecordBatch {
        let rows: Vec<(&str, &Shown)> = symbols
            .into_iter()
            .filter_map(|symbol| Some((self.names.get(symbol)?.as_str(), self.shown.get(symbol)?)))
            .collect();
        let names: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>());
        let ts = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.1.ts));
        let states: StringArray = rows.iter().map(|row| Some(row.1.state)).collect();
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("symbol".to_owned(), names),
            ("ts".to_owned(), Arc::new(ts.with_timezone("UTC"))),
            ("state".to_owned(), Arc::new(states)),
        ];
        for (at, feature) in self.group.features.iter().enumerate() {
            let values: Float64Array = rows.iter().map(|row| row.1.values[at]).collect();
            columns.push((feature.clone(), Arc::new(values)));
        }
        RecordBatch::try_from_iter(columns).expect("invariant: the columns are of one length")
    }
}
