//! What the server says, as values.

use serde::{Deserialize, Deserializer};

/// The answer to a batch that is durable and visible; together the counts are all its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct IngestAnswer {
    /// The batch.
    #[serde(default)]
    pub batch_id: String,
    /// The token of the state that holds it, for `min_sequence` and `at_sequence`.
    #[serde(default, deserialize_with = "token")]
    pub sequence: String,
    /// First rows of their key.
    #[serde(default)]
    pub accepted: u64,
    /// Equal to what was visible; ignored.
    #[serde(default)]
    pub duplicates: u64,
    /// Another value for a known key.
    #[serde(default)]
    pub corrected: u64,
    /// Stored, but something later-known stands above them.
    #[serde(default)]
    pub superseded: u64,
    /// Kept as dead letters, with a reason.
    #[serde(default)]
    pub rejected: u64,
    /// The first rejected rows.
    #[serde(default)]
    pub errors: Vec<RowError>,
    /// Whether the batch was there before and nothing was stored now.
    #[serde(default)]
    pub repeated: bool,
    /// Claims of coverage that were taken.
    #[serde(default)]
    pub claims: u64,
    /// Stored rows that were taken back, because the batch replaces a range and does not hold them.
    #[serde(default)]
    pub retracted: u64,
    /// Columns of the body that its table does not have, and that were left out.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// What a person should know of it, such as why a claim was not taken.
    #[serde(default)]
    pub warning: Option<String>,
}

impl IngestAnswer {
    /// All rows of the batch.
    pub const fn total(&self) -> u64 {
        self.accepted + self.duplicates + self.corrected + self.superseded + self.rejected
    }
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RowError {
    /// Its number in the batch, or its line in the file.
    pub row: u64,
    /// A word: `non_finite`, `too_few_fields`.
    pub reason: String,
    /// What was wrong, for a person.
    #[serde(default)]
    pub detail: String,
}

/// A table of the server, and how much of it there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DatasetInfo {
    /// Its name: `bars`.
    pub name: String,
    /// `raw`, or `table` if it is a user's.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The version of its columns.
    #[serde(default)]
    pub version: u64,
    /// How many series it holds.
    #[serde(default)]
    pub series: u64,
    /// How many symbols, as received.
    #[serde(default)]
    pub symbols: u64,
    /// How many sources deliver it.
    #[serde(default)]
    pub sources: u64,
    /// Stored rows, corrections and retractions among them.
    #[serde(default)]
    pub rows: u64,
}

/// A token may be written as text or as a number.
pub(crate) fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_counts_and_a_token_of_either_kind() {
        let text = r#"{"batch_id":"b","sequence":7,"accepted":3,"duplicates":1,"corrected":0,
            "superseded":0,"rejected":1,"errors":[{"row":4,"reason":"non_finite","detail":"open"}],
            "dead_letter":null,"parts":1}"#;
        let answer: IngestAnswer = serde_json::from_str(text).unwrap();
        assert_eq!((answer.total(), answer.sequence.as_str()), (5, "7"));
        assert_eq!(answer.errors[0].reason, "non_finite");
        let text = text.replace("\"sequence\":7", "\"sequence\":\"7\"");
        assert_eq!(serde_json::from_str::<IngestAnswer>(&text).unwrap(), answer);
    }
}
