//! Questions as values, and how they are written in a URL.
//!
//! Texts are passed on as they are: the server reads times and names, and says what it cannot
//! read. A query can be kept, changed and asked again; the blocking client takes the same ones.

use barrow_types::{PriceSide, Step};

use crate::when::When;

/// The part of a query that all ranges have.
macro_rules! range_methods {
    () => {
        /// Rows from `start` to before `end`.
        #[must_use]
        pub fn between(mut self, start: impl Into<When>, end: impl Into<When>) -> Self {
            self.start = Some(start.into().into());
            self.end = Some(end.into().into());
            self
        }

        /// Rows from this time on.
        #[must_use]
        pub fn start(mut self, start: impl Into<When>) -> Self {
            self.start = Some(start.into().into());
            self
        }

        /// Rows before this time.
        #[must_use]
        pub fn end(mut self, end: impl Into<When>) -> Self {
            self.end = Some(end.into().into());
            self
        }

        /// Only rows of this source.
        #[must_use]
        pub fn source(mut self, source: impl Into<String>) -> Self {
            self.source = Some(source.into());
            self
        }

        /// From what was known then.
        #[must_use]
        pub fn as_of(mut self, at: impl Into<When>) -> Self {
            self.as_of = Some(at.into().into());
            self
        }

        /// From what Barrow held then: a token of an earlier answer.
        #[must_use]
        pub fn at_sequence(mut self, token: impl Into<String>) -> Self {
            self.at_sequence = Some(token.into());
            self
        }

        /// From a state that holds at least this: the token that the answer to a batch gave, for
        /// reading what was just written.
        #[must_use]
        pub fn min_sequence(mut self, token: impl Into<String>) -> Self {
            self.min_sequence = Some(token.into());
            self
        }

        /// Every stored row, also those that were corrected or taken back.
        #[must_use]
        pub fn all_revisions(mut self) -> Self {
            self.revisions = Some("all".to_owned());
            self
        }

        /// Only these columns, in this order.
        #[must_use]
        pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
            self.columns = names.into_iter().map(Into::into).collect();
            self
        }

        /// At most so many rows; the answer's head then has a cursor if there are more.
        #[must_use]
        pub const fn limit(mut self, rows: u64) -> Self {
            self.limit = Some(rows);
            self
        }

        /// From where an earlier answer to the same query stopped, of the state that it was of.
        #[must_use]
        pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
            self.cursor = Some(cursor.into());
            self
        }

        /// CSV and JSON show times in this zone.
        #[must_use]
        pub fn tz(mut self, zone: impl Into<String>) -> Self {
            self.tz = Some(zone.into());
            self
        }

        fn range_pairs(&self, pairs: &mut Vec<(&'static str, String)>) {
            let limit = self.limit.map(|limit| limit.to_string());
            let columns = (!self.columns.is_empty()).then(|| self.columns.join(","));
            for (name, value) in [
                ("start", &self.start),
                ("end", &self.end),
                ("source", &self.source),
                ("as_of", &self.as_of),
                ("at_sequence", &self.at_sequence),
                ("min_sequence", &self.min_sequence),
                ("revisions", &self.revisions),
                ("columns", &columns),
                ("limit", &limit),
                ("cursor", &self.cursor),
                ("tz", &self.tz),
            ] {
                if let Some(value) = value {
                    pairs.push((name, value.clone()));
                }
            }
        }
    };
}

/// A range of bars.
///
/// ```
/// use barrow_client::{BarsQuery, Step};
///
/// let query = BarsQuery::new(["SPY", "IBM"], Step::M1)
///     .layer("raw")
///     .between("2013-10-07T13:30:00Z", "2013-10-07T20:00:00Z")
///     .as_of("2013-10-08T00:00:00Z")
///     .columns(["symbol", "ts", "close"]);
/// assert_eq!(query.frequency, "1m");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BarsQuery {
    /// Names, in the order the rows come.
    pub symbols: Vec<String>,
    /// First time: RFC 3339, `YYYY-MM-DD` (that session) or integer nanoseconds.
    pub start: Option<String>,
    /// End of the range, not in it.
    pub end: Option<String>,
    /// The step: `1m`, `1d`.
    pub frequency: String,
    /// `raw` or `curated`; the server's default if left out.
    pub layer: Option<String>,
    /// Which price: `trade`, `bid`, `ask`, `mid`.
    pub price: Option<String>,
    /// Curated: which hours of a session, `regular`, `extended` or `all`.
    pub session: Option<String>,
    /// Curated: where bars begin, `session` or `clock`.
    pub align: Option<String>,
    /// Curated: whose rows are taken where the preferred source has none, `none`, `session` or
    /// `slot`.
    pub fallback: Option<String>,
    /// Curated: whether empty slots come too, with their reasons.
    pub gaps: bool,
    /// Curated: what stands in empty slots, `none`, `forward`, `forward:LIMIT`, `constant:VALUE`.
    pub fill: Option<String>,
    /// Curated: for which corporate actions prices are adjusted, `none`, `splits` or `all`.
    pub adjust: Option<String>,
    /// Curated: `live`: each row as it was known when it could first be had.
    pub vintage: Option<String>,
    /// Only rows of this source.
    pub source: Option<String>,
    /// Answer from what was known then.
    pub as_of: Option<String>,
    /// Answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// Wait until the server holds this sequence.
    pub min_sequence: Option<String>,
    /// `all`: every stored row, not only the visible one of each key.
    pub revisions: Option<String>,
    /// Columns wanted; all if empty.
    pub columns: Vec<String>,
    /// Most rows.
    pub limit: Option<u64>,
    /// Where an earlier answer stopped.
    pub cursor: Option<String>,
    /// The zone in which CSV and JSON show times.
    pub tz: Option<String>,
}

impl BarsQuery {
    /// Everything there is of these symbols at this step.
    pub fn new<T: Into<String>>(symbols: impl IntoIterator<Item = T>, frequency: Step) -> Self {
        Self {
            symbols: symbols.into_iter().map(Into::into).collect(),
            frequency: frequency.name().to_owned(),
            ..Self::default()
        }
    }

    /// `raw`: as received, of each source; `curated`: one row for each bar.
    #[must_use]
    pub fn layer(mut self, layer: impl Into<String>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// Bars of this price.
    #[must_use]
    pub fn price(mut self, price: PriceSide) -> Self {
        self.price = Some(price.name().to_owned());
        self
    }

    /// Curated: these hours of a session.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Curated: bars that begin so.
    #[must_use]
    pub fn align(mut self, align: impl Into<String>) -> Self {
        self.align = Some(align.into());
        self
    }

    /// Curated: other sources where the preferred one has no row.
    #[must_use]
    pub fn fallback(mut self, fallback: impl Into<String>) -> Self {
        self.fallback = Some(fallback.into());
        self
    }

    /// Curated: empty slots too, with their reasons.
    #[must_use]
    pub const fn with_gaps(mut self) -> Self {
        self.gaps = true;
        self
    }

    /// Curated: this in empty slots.
    #[must_use]
    pub fn fill(mut self, fill: impl Into<String>) -> Self {
        self.fill = Some(fill.into());
        self
    }

    /// Curated: adjusted for these corporate actions.
    #[must_use]
    pub fn adjust(mut self, adjust: impl Into<String>) -> Self {
        self.adjust = Some(adjust.into());
        self
    }

    /// Curated: `live`: each row as it was known when it could first be had; `final`, also if left
    /// out: as it is known now.
    #[must_use]
    pub fn vintage(mut self, vintage: impl Into<String>) -> Self {
        self.vintage = Some(vintage.into());
        self
    }

    range_methods!();

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs =
            vec![("symbols", self.symbols.join(",")), ("frequency", self.frequency.clone())];
        let gaps = self.gaps.then(|| "true".to_owned());
        for (name, value) in [
            ("layer", &self.layer),
            ("price", &self.price),
            ("session", &self.session),
            ("align", &self.align),
            ("fallback", &self.fallback),
            ("gaps", &gaps),
            ("fill", &self.fill),
            ("adjust", &self.adjust),
            ("vintage", &self.vintage),
        ] {
            if let Some(value) = value {
                pairs.push((name, value.clone()));
            }
        }
        self.range_pairs(&mut pairs);
        pairs
    }
}

/// A range of trades, of quotes or of rows of a user's table.
///
/// ```
/// use barrow_client::TicksQuery;
///
/// let query = TicksQuery::new(["SPY"]).between("2013-10-07", "2013-10-08").limit(1_000);
/// assert_eq!(query.symbols, ["SPY"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TicksQuery {
    /// Names, in the order the rows come; of a table all if there are none.
    pub symbols: Vec<String>,
    /// First time: RFC 3339, `YYYY-MM-DD` (that session) or integer nanoseconds.
    pub start: Option<String>,
    /// End of the range, not in it.
    pub end: Option<String>,
    /// Only rows of this source.
    pub source: Option<String>,
    /// Answer from what was known then.
    pub as_of: Option<String>,
    /// Answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// Wait until the server holds this sequence.
    pub min_sequence: Option<String>,
    /// `all`: every stored row, also those that were taken back.
    pub revisions: Option<String>,
    /// Columns wanted; all if empty.
    pub columns: Vec<String>,
    /// Most rows.
    pub limit: Option<u64>,
    /// Where an earlier answer stopped.
    pub cursor: Option<String>,
    /// The zone in which CSV and JSON show times.
    pub tz: Option<String>,
}

impl TicksQuery {
    /// Everything there is of these symbols.
    pub fn new<T: Into<String>>(symbols: impl IntoIterator<Item = T>) -> Self {
        Self { symbols: symbols.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    range_methods!();

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("symbols", self.symbols.join(","))];
        self.range_pairs(&mut pairs);
        pairs
    }
}

/// The newest raw row of each series of some symbols: of bars each (symbol, source, timeframe,
/// price), of trades and quotes each (symbol, source). Or, of bars of one step, the newest curated
/// bar of each symbol.
///
/// ```
/// use barrow_client::{LatestQuery, Step};
///
/// let query = LatestQuery::new(["SPY"]).frequency(Step::M1).columns(["symbol", "ts", "close"]);
/// assert_eq!(query.frequency.as_deref(), Some("1m"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatestQuery {
    /// Names, in the order the rows come.
    pub symbols: Vec<String>,
    /// `raw` (also if left out) or `curated`; bars only.
    pub layer: Option<String>,
    /// Only this step; bars only.
    pub frequency: Option<String>,
    /// Only this price; bars only.
    pub price: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Curated: answer from what was known then.
    pub as_of: Option<String>,
    /// Curated: answer from what Barrow held then.
    pub at_sequence: Option<String>,
    /// Columns wanted; all if empty.
    pub columns: Vec<String>,
}

impl LatestQuery {
    /// The newest rows of these symbols.
    pub fn new<T: Into<String>>(symbols: impl IntoIterator<Item = T>) -> Self {
        Self { symbols: symbols.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The newest curated bar of each symbol.
    #[must_use]
    pub fn curated(mut self) -> Self {
        self.layer = Some("curated".to_owned());
        self
    }

    /// Only bars of this step.
    #[must_use]
    pub fn frequency(mut self, frequency: Step) -> Self {
        self.frequency = Some(frequency.name().to_owned());
        self
    }

    /// Curated: from what was known at this time.
    #[must_use]
    pub fn as_of(mut self, time: impl Into<String>) -> Self {
        self.as_of = Some(time.into());
        self
    }

    /// Only bars of this price.
    #[must_use]
    pub fn price(mut self, price: PriceSide) -> Self {
        self.price = Some(price.name().to_owned());
        self
    }

    /// Only bars of this source.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Only these columns, in this order.
    #[must_use]
    pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.columns = names.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("symbols", self.symbols.join(","))];
        let columns = (!self.columns.is_empty()).then(|| self.columns.join(","));
        for (name, value) in [
            ("layer", &self.layer),
            ("frequency", &self.frequency),
            ("price", &self.price),
            ("source", &self.source),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
            ("columns", &columns),
        ] {
            if let Some(value) = value {
                pairs.push((name, value.clone()));
            }
        }
        pairs
    }
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An Arrow IPC stream.
    Arrow,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object: columns and rows.
    Json,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// The name in `format=`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: Vec<(&str, String)>) -> String {
        let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }

    #[test]
    fn a_query_names_only_what_was_asked_for() {
        let query = BarsQuery {
            symbols: vec!["SPY".into(), "BRK.B".into()],
            frequency: "1m".into(),
            as_of: Some("2024-01-01T00:00:00Z".into()),
            limit: Some(5),
            ..BarsQuery::default()
        };
        let expected = "symbols=SPY,BRK.B&frequency=1m&as_of=2024-01-01T00:00:00Z&limit=5";
        assert_eq!(shown(query.pairs()), expected);
        let built = BarsQuery::new(["SPY", "BRK.B"], Step::M1).as_of("2024-01-01T00:00:00Z");
        assert_eq!(built.limit(5), query);
        assert_eq!(shown(TicksQuery::new(["A"]).pairs()), "symbols=A");
        assert_eq!(shown(LatestQuery::new(["A"]).pairs()), "symbols=A");
    }

    #[test]
    fn every_method_reaches_the_url_under_its_name() {
        let bars = BarsQuery::new(["A"], Step::D1)
            .layer("curated")
            .price(PriceSide::Mid)
            .session("all")
            .align("clock")
            .fallback("slot")
            .with_gaps()
            .fill("forward")
            .adjust("splits");
        let own = "symbols=A&frequency=1d&layer=curated&price=mid&session=all&align=clock\
                   &fallback=slot&gaps=true&fill=forward&adjust=splits";
        let range = "start=1&end=2&source=s&as_of=3&at_sequence=4&min_sequence=5&revisions=all\
                     &columns=x,y&limit=6&cursor=c&tz=UTC";
        macro_rules! all {
            ($query:expr) => {
                $query
                    .between("0", "2")
                    .start("1")
                    .end("2")
                    .source("s")
                    .as_of("3")
                    .at_sequence("4")
                    .min_sequence("5")
                    .all_revisions()
                    .columns(["x", "y"])
                    .limit(6)
                    .cursor("c")
                    .tz("UTC")
                    .pairs()
            };
        }
        assert_eq!(shown(all!(bars)), format!("{own}&{range}"));
        assert_eq!(shown(all!(TicksQuery::new(["A"]))), format!("symbols=A&{range}"));
        let latest = LatestQuery::new(["A"]).frequency(Step::M1).price(PriceSide::Bid);
        let latest = latest.source("s").columns(["ts"]);
        let rest = "frequency=1m&price=bid&source=s";
        assert_eq!(shown(latest.pairs()), format!("symbols=A&{rest}&columns=ts"));
        let latest = latest.curated().as_of("2014-01-01");
        let expected = format!("symbols=A&layer=curated&{rest}&as_of=2014-01-01&columns=ts");
        assert_eq!(shown(latest.pairs()), expected);
    }
}
