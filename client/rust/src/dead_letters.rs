//! Rejected rows: listing them, looking at one, sending one again.

use barrow_types::{PriceSide, Step};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::ClientError;
use crate::ingest::Stamp;

/// A row that was not stored, kept with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DeadLetter {
    /// What it is called, for ever: `17-0`.
    #[serde(default)]
    pub id: String,
    /// The batch that brought it.
    #[serde(default)]
    pub batch_id: String,
    /// Its number in the batch, or its line in the file.
    #[serde(default)]
    pub row: u64,
    /// A word: `non_finite`, `too_few_fields`.
    #[serde(default)]
    pub reason: String,
    /// What was wrong, for a person.
    #[serde(default)]
    pub detail: String,
    /// The row as it came.
    #[serde(default)]
    pub raw: String,
    /// When it came, RFC 3339.
    #[serde(default)]
    pub known_at: String,
    /// The batch by which it was stored after all.
    #[serde(default)]
    pub replayed_as: Option<String>,
}

/// A dead letter, and all that can be said about sending it again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct DeadLetterDetail {
    /// The letter.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// The table it was for.
    #[serde(default)]
    pub dataset: String,
    /// Who delivered it.
    #[serde(default)]
    pub source: String,
    /// What its text is: `columns` and `json` name their values' columns; `text` does not, so that
    /// a replay must; a `retraction` brought nothing that could be sent again.
    #[serde(default)]
    pub form: String,
    /// What its text says by itself.
    #[serde(default)]
    pub values: Option<Map<String, Value>>,
    /// The columns that a replay must bring.
    #[serde(default)]
    pub missing: Option<Vec<String>>,
    /// How often it was sent again.
    #[serde(default)]
    pub attempts: u64,
}

/// Which dead letters to list.
///
/// ```
/// use barrow_client::DeadLettersQuery;
///
/// let query = DeadLettersQuery::default().batch("import-5f0c").limit(20);
/// assert_eq!(query.limit, Some(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLettersQuery {
    /// Only of this batch, or of its parts.
    pub batch: Option<String>,
    /// At most so many; 100 unless said.
    pub limit: Option<u64>,
    /// The id of the last one seen: the list goes on behind it.
    pub cursor: Option<String>,
}

impl DeadLettersQuery {
    /// Only of this batch, or of its parts.
    #[must_use]
    pub fn batch(mut self, id: impl Into<String>) -> Self {
        self.batch = Some(id.into());
        self
    }

    /// At most so many.
    #[must_use]
    pub const fn limit(mut self, letters: u64) -> Self {
        self.limit = Some(letters);
        self
    }

    /// From behind this letter on.
    #[must_use]
    pub fn cursor(mut self, id: impl Into<String>) -> Self {
        self.cursor = Some(id.into());
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| limit.to_string());
        let all = [("batch", &self.batch), ("limit", &limit), ("cursor", &self.cursor)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// How to send a dead letter again: what its first request said beside its rows, which the letter
/// does not hold, and the values to put right.
///
/// ```
/// use barrow_client::{Replay, Step};
///
/// let replay = Replay::default().timeframe(Step::M1).set("close", 1.5);
/// assert_eq!(replay.values["close"], 1.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// How long the bar is; bars need it.
    pub timeframe: Option<Step>,
    /// Which price the bar is of.
    pub price: Option<PriceSide>,
    /// The symbol, if the row has none.
    pub symbol: Option<String>,
    /// What `ts` is.
    pub stamp: Option<Stamp>,
    /// The names of the fields of a letter that is a line of CSV; `-` leaves one out.
    pub columns: Vec<String>,
    /// Since when the row is known, if it does not say so.
    pub known_at_policy: Option<String>,
    /// Values by column, which take the place of the letter's.
    pub values: Map<String, Value>,
}

impl Replay {
    /// A bar of this length.
    #[must_use]
    pub const fn timeframe(mut self, timeframe: Step) -> Self {
        self.timeframe = Some(timeframe);
        self
    }

    /// A bar of this price.
    #[must_use]
    pub const fn price(mut self, price: PriceSide) -> Self {
        self.price = Some(price);
        self
    }

    /// For a row that has no symbol.
    #[must_use]
    pub fn symbol(mut self, symbol: impl Into<String>) -> Self {
        self.symbol = Some(symbol.into());
        self
    }

    /// With this meaning of `ts`.
    #[must_use]
    pub const fn stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = Some(stamp);
        self
    }

    /// For a letter that is a line of CSV with these columns; `-` leaves a field out.
    #[must_use]
    pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Known since: `ingest`, `ts_end`, `ts_end+15m`.
    #[must_use]
    pub fn known_at_policy(mut self, policy: impl Into<String>) -> Self {
        self.known_at_policy = Some(policy.into());
        self
    }

    /// With this value in that column.
    #[must_use]
    pub fn set(mut self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.insert(column.into(), value.into());
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let columns = (!self.columns.is_empty()).then(|| self.columns.join(","));
        let all = [
            ("timeframe", self.timeframe.map(|step| step.name().to_owned())),
            ("price", self.price.map(|price| price.name().to_owned())),
            ("symbol", self.symbol.clone()),
            ("stamp", self.stamp.map(|stamp| stamp.name().to_owned())),
            ("columns", columns),
            ("known_at_policy", self.known_at_policy.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The path of a letter.
pub(crate) fn path(id: &str) -> Result<String, ClientError> {
    // What is no id must not become another path.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        let detail = format!("{id:?} is not the id of a dead letter, such as 17-0");
        return Err(ClientError::Invalid(detail));
    }
    Ok(format!("/v1/dead-letters/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_becomes_a_path() {
        assert_eq!(path("17-0").unwrap(), "/v1/dead-letters/17-0");
        for id in ["", "../jobs", "17-0/replay", "17-0?x", "a"] {
            assert!(matches!(path(id), Err(ClientError::Invalid(_))), "{id}");
        }
    }

    #[test]
    fn a_replay_says_what_was_said() {
        assert_eq!(Replay::default().set("close", 1.5).pairs(), []);
        let replay = Replay::default()
            .timeframe(Step::D1)
            .price(PriceSide::Bid)
            .symbol("A")
            .stamp(Stamp::End)
            .columns(["ts", "-"])
            .known_at_policy("ts_end");
        let said = replay.pairs().into_iter().map(|(name, value)| format!("{name}={value}"));
        let expected = "timeframe=1d price=bid symbol=A stamp=end columns=ts,- \
                        known_at_policy=ts_end";
        assert_eq!(said.collect::<Vec<_>>().join(" "), expected);
    }
}
