//! Retention: from when on questions about a dataset are answered.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::answer::token;
use crate::batch_id::random_batch_id;
use crate::client::Client;
use crate::error::ClientError;
use crate::facts::path_of;
use crate::when::When;

/// A floor, as it is asked for: one time or both; a missing one is taken from the other.
///
/// ```
/// use barrow_client::RaiseFloor;
///
/// let floor = RaiseFloor::of_bars("1m").as_of_from("2025-01-01");
/// assert_eq!(floor.as_of_from.as_deref(), Some("2025-01-01"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RaiseFloor {
    /// The length of bars; other datasets have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeframe: Option<String>,
    /// The first `as_of` that questions may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_from: Option<String>,
    /// The first `at_sequence` that questions may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_sequence_from: Option<String>,
}

impl RaiseFloor {
    /// Of bars of this length.
    pub fn of_bars(timeframe: impl Into<String>) -> Self {
        Self { timeframe: Some(timeframe.into()), ..Self::default() }
    }

    /// Of trades, quotes or a table.
    pub fn of_rows() -> Self {
        Self::default()
    }

    /// The same with the first `as_of`.
    #[must_use]
    pub fn as_of_from(mut self, at: impl Into<When>) -> Self {
        self.as_of_from = Some(at.into().into());
        self
    }

    /// The same with the first `at_sequence`, a token of an answer.
    #[must_use]
    pub fn at_sequence_from(mut self, sequence: impl Into<String>) -> Self {
        self.at_sequence_from = Some(sequence.into());
        self
    }
}

/// A floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RetentionFloor {
    /// Whose it is.
    pub dataset: String,
    /// The length of its bars.
    pub timeframe: Option<String>,
    /// The first `as_of` that is answered.
    pub as_of_from: Option<String>,
    /// The first `at_sequence` that is answered.
    #[serde(deserialize_with = "token")]
    pub at_sequence_from: String,
    /// When it was set; a dry run sets nothing.
    #[serde(default)]
    pub set_at: Option<String>,
    /// How many rows may be dropped; not in a list.
    #[serde(default)]
    pub droppable: Option<Droppable>,
}

/// How many rows of what is in segments may be dropped below a floor, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Droppable {
    /// At least so many.
    pub rows_at_least: u64,
    /// At most so many.
    pub rows_at_most: u64,
    /// Bytes of those.
    pub bytes_at_most: u64,
}

impl Client {
    /// The floors that are set.
    ///
    /// # Errors
    /// [`ClientError::Problem`] as the server reports it.
    pub async fn retention(&self) -> Result<Vec<RetentionFloor>, ClientError> {
        self.get_table("/v1/retention", &[], "list floors of retention").await
    }

    /// Raises the floor of a dataset: no question about an earlier time is answered any more, and
    /// rows that only such questions see may be dropped. With `dry_run` it only says what would be.
    /// Tried again as rows are.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 for a time to come, [`ClientError::Conflict`] for a
    /// floor that would fall.
    pub async fn raise_floor(
        &self,
        dataset: &str,
        floor: &RaiseFloor,
        dry_run: bool,
    ) -> Result<RetentionFloor, ClientError> {
        let pairs = [("batch_id", random_batch_id()?), ("dry_run", dry_run.to_string())];
        let path = path_of(&["retention", dataset]);
        let request = self.request(Method::PUT, &path, &pairs).json(floor);
        self.read_json(request, "raise a floor of retention").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_says_what_was_said_and_nothing_else() {
        let asked = RaiseFloor::of_bars("1m").at_sequence_from("7");
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(text, r#"{"timeframe":"1m","at_sequence_from":"7"}"#);
        let text = r#"{"dataset":"trades","timeframe":null,"as_of_from":null,
            "at_sequence_from":7,"set_at":"2026-01-01T00:00:00Z","sequence":9}"#;
        let floor: RetentionFloor = serde_json::from_str(text).unwrap();
        assert_eq!((floor.at_sequence_from.as_str(), floor.droppable), ("7", None));
    }
}
