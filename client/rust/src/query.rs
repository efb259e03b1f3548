//! Questions as values, and how they are written in a URL.

/// A range of bars. Texts are passed on as they are: the server reads times and names.
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
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs =
            vec![("symbols", self.symbols.join(",")), ("frequency", self.frequency.clone())];
        let limit = self.limit.map(|limit| limit.to_string());
        for (name, value) in [
            ("start", &self.start),
            ("end", &self.end),
            ("layer", &self.layer),
            ("price", &self.price),
            ("source", &self.source),
            ("as_of", &self.as_of),
            ("at_sequence", &self.at_sequence),
            ("min_sequence", &self.min_sequence),
            ("revisions", &self.revisions),
            ("limit", &limit),
            ("cursor", &self.cursor),
            ("tz", &self.tz),
        ] {
            if let Some(value) = value {
                pairs.push((name, value.clone()));
            }
        }
        if !self.columns.is_empty() {
            pairs.push(("columns", self.columns.join(",")));
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
}

impl Format {
    /// The name in `format=`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// Which rows to retract: everything a batch brought, or the rows under given keys of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteKeys {
    /// Everything visible that this batch brought.
    Batch(String),
    /// The rows of one series at these times.
    Rows {
        /// The name as received.
        symbol: String,
        /// The step: `1m`.
        timeframe: String,
        /// Where the rows came from.
        source: String,
        /// Which price: `trade`.
        price: String,
        /// Their event times, as the server reads times.
        ts: Vec<String>,
    },
}

impl DeleteKeys {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Batch(id) => vec![("batch", id.clone())],
            Self::Rows { timeframe, source, price, .. } => vec![
                ("timeframe", timeframe.clone()),
                ("source", source.clone()),
                ("price", price.clone()),
            ],
        }
    }

    /// The keys, as the body lists them.
    pub(crate) fn body(&self) -> Option<serde_json::Value> {
        let Self::Rows { symbol, ts, .. } = self else { return None };
        let key = |ts: &String| match ts.parse::<i64>() {
            Ok(nanos) => serde_json::json!({ "symbol": symbol, "ts": nanos }),
            Err(_) => serde_json::json!({ "symbol": symbol, "ts": ts }),
        };
        Some(serde_json::json!({ "keys": ts.iter().map(key).collect::<Vec<_>>() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_only_what_was_asked_for() {
        let query = BarsQuery {
            symbols: vec!["SPY".into(), "BRK.B".into()],
            frequency: "1m".into(),
            as_of: Some("2024-01-01T00:00:00Z".into()),
            limit: Some(5),
            ..BarsQuery::default()
        };
        let pairs: Vec<String> =
            query.pairs().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected =
            ["symbols=SPY,BRK.B", "frequency=1m", "as_of=2024-01-01T00:00:00Z", "limit=5"];
        assert_eq!(pairs, expected);
    }
}
