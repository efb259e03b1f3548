//! Facts: what the curated layer goes by, stated and shown as JSON.
//!
//! A path is given by its parts below `/v1`, so that names may hold anything:
//!
//! | parts | put | post | get |
//! |---|---|---|---|
//! | `instruments` | an array of them | | all |
//! | `instruments`, ID | one | | one |
//! | `calendars`, NAME, `days` | days that are not as usual | | |
//! | `sources`, DATASET | preference, delays, adjustment | | the same |
//! | `rules`, DATASET | rules by name | | those stated |
//! | `halts`, `outages` | | some | all |
//! | `watermarks` | some | | all |
//! | `quality`, `verdicts` | | some | all |
//! | `datasets`, DATASET, `claims` | | some | |
//! | `claims` | | | all |
//!
//! Floors of retention are facts with answers of their own: [`Client::raise_floor`].

use reqwest::Method;
use serde_json::Value;

use crate::answer::IngestAnswer;
use crate::batch_id::random_batch_id;
use crate::client::Client;
use crate::error::ClientError;

impl Client {
    /// States facts by PUT. Tried again as rows are, under the `batch_id` of `pairs` or one that is
    /// made for this call.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::Client;
    /// use serde_json::json;
    ///
    /// let client = Client::new("http://127.0.0.1:8480")?;
    /// let facts = json!({"calendar": "XNYS", "tick_size": 0.01});
    /// client.put_facts(&["instruments", "SPY"], &[], &facts).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 naming the field that is wrong; nothing was stored.
    pub async fn put_facts(
        &self,
        path: &[&str],
        pairs: &[(&str, String)],
        facts: &Value,
    ) -> Result<IngestAnswer, ClientError> {
        self.state_facts(Method::PUT, path, pairs, facts).await
    }

    /// States facts by POST, as [`Self::put_facts`] does by PUT.
    ///
    /// # Errors
    /// As [`Self::put_facts`].
    pub async fn post_facts(
        &self,
        path: &[&str],
        pairs: &[(&str, String)],
        facts: &Value,
    ) -> Result<IngestAnswer, ClientError> {
        self.state_facts(Method::POST, path, pairs, facts).await
    }

    async fn state_facts(
        &self,
        method: Method,
        path: &[&str],
        pairs: &[(&str, String)],
        facts: &Value,
    ) -> Result<IngestAnswer, ClientError> {
        let mut pairs = pairs.to_vec();
        if !pairs.iter().any(|(name, _)| *name == "batch_id") {
            pairs.push(("batch_id", random_batch_id()?));
        }
        let request = self.request(method, &path_of(path), &pairs).json(facts);
        self.read_json(request, "state facts").await
    }

    /// Facts as they are visible now, or at the `as_of` and `at_sequence` of `pairs`.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 if nothing is known by that name.
    pub async fn facts(
        &self,
        path: &[&str],
        pairs: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        let request = self.request(Method::GET, &path_of(path), pairs);
        self.read_json(request, "ask for facts").await
    }
}

/// The path of these parts.
pub(crate) fn path_of(parts: &[&str]) -> String {
    let mut path = "/v1".to_owned();
    for part in parts {
        path.push('/');
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    path.push(char::from(byte));
                }
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_part_of_a_path() {
        assert_eq!(path_of(&["instruments", "EUR/USD"]), "/v1/instruments/EUR%2FUSD");
        assert_eq!(path_of(&["instruments", "BRK.B ä"]), "/v1/instruments/BRK.B%20%C3%A4");
    }
}
