//! Which rows to retract.

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
    /// Rows of a user's table.
    Keys {
        /// Where the rows came from.
        source: String,
        /// The key of each: an object of `symbol`, `ts` and the columns of the table's key.
        keys: Vec<serde_json::Value>,
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
            Self::Keys { source, .. } => vec![("source", source.clone())],
        }
    }

    /// The keys, as the body lists them.
    pub(crate) fn body(&self) -> Option<serde_json::Value> {
        let (symbol, ts) = match self {
            Self::Rows { symbol, ts, .. } => (symbol, ts),
            Self::Keys { keys, .. } => return Some(serde_json::json!({ "keys": keys })),
            Self::Batch(_) => return None,
        };
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
    fn keys_stand_in_the_body_and_the_series_in_the_query() {
        let keys = DeleteKeys::Rows {
            symbol: "A".into(),
            timeframe: "1m".into(),
            source: "s".into(),
            price: "trade".into(),
            ts: vec!["1381152600000000000".into(), "2013-10-07T13:30:00Z".into()],
        };
        let expected = r#"{"keys":[{"symbol":"A","ts":1381152600000000000},
                                   {"symbol":"A","ts":"2013-10-07T13:30:00Z"}]}"#;
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(keys.body().unwrap(), expected);
        assert_eq!(keys.pairs().len(), 3);
        let batch = DeleteKeys::Batch("b".into());
        assert_eq!((batch.pairs(), batch.body()), (vec![("batch", "b".to_owned())], None));
    }
}
