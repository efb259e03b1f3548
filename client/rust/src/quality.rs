//! How good data are: metrics and health, as JSON.

use serde_json::Value;

use crate::client::Client;
use crate::error::ClientError;

impl Client {
    /// What rules, slots and sources tell of a dataset: `metrics`, each with `metric_name`,
    /// `value`, `status` and `thresholds`. `pairs` are parameters: `symbols`, `start_date`,
    /// `end_date`, `frequency`, `source`, `price`, `as_of`, `at_sequence`, `by`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::Client;
    ///
    /// let client = Client::new("http://127.0.0.1:8480")?;
    /// let pairs = [("symbols", "SPY".to_owned()), ("by", "session".to_owned())];
    /// let quality = client.quality("bars", &pairs).await?;
    /// assert!(quality["metrics"].is_array());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 naming a parameter that is wrong, or 404 if nobody
    /// has delivered anything of the symbols.
    pub async fn quality(
        &self,
        dataset: &str,
        pairs: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        self.facts(&["quality", dataset], pairs).await
    }

    /// Whether a dataset is good: `status` (`GREEN`, `YELLOW`, `RED`), the same by dimension, and
    /// `reasons`. `pairs` are parameters: `as_of_date`, `start_date`, `symbols`, `frequency`,
    /// `source`, `price`, `as_of`, `at_sequence`.
    ///
    /// # Errors
    /// As [`Self::quality`].
    pub async fn dataset_health(
        &self,
        dataset: &str,
        pairs: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        self.facts(&["health", dataset], pairs).await
    }
}
