//! One server's address, and the calls it serves.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answer::{DatasetInfo, IngestAnswer};
use crate::batch_id::random_batch_id;
use crate::dead_letters::{self, DeadLetter, DeadLetterDetail, DeadLettersQuery, Replay};
use crate::delete::DeleteKeys;
use crate::error::ClientError;
use crate::ingest::{IngestOptions, arrow_body};
use crate::query::{BarsQuery, Format, LatestQuery, TicksQuery};
use crate::stream::{Batches, ByteStream};
use crate::transport::ClientBuilder;

/// The media type of what [`crate::arrow_body`] writes.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// A Barrow server, as seen from outside. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) retries_max: u32,
}

impl Client {
    /// A client of the server at `url` (`http://host:port`). Connects at the first call; takes no
    /// proxy from the environment.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if `url` is not an HTTP address.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Self::builder(url).build()
    }

    /// A client that shows a key, waits longer, or tries again more or less often.
    ///
    /// ```
    /// # fn example() -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::Client;
    ///
    /// let client = Client::builder("http://127.0.0.1:8480").key("secret").retries_max(0).build()?;
    /// assert_eq!(client.url(), "http://127.0.0.1:8480");
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks, once, whether the server lives.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if nobody answers.
    pub async fn health(&self) -> Result<(), ClientError> {
        self.probe("/healthz", "ask for health").await
    }

    /// Asks, once, whether the server takes rows.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 503 if it is going down or its disk has failed.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.probe("/readyz", "ask whether rows are taken").await
    }

    async fn probe(&self, path: &str, doing: &str) -> Result<(), ClientError> {
        self.open_once(self.request(Method::GET, path, &[]), doing).await?.whole().await?;
        Ok(())
    }

    /// Sends rows and returns once they are durable and visible. Tried again while the server is
    /// away or busy, which is safe because every batch has an id: the one of `options`, or one that
    /// is made for this call.
    ///
    /// ```no_run
    /// # async fn example(rows: barrow_client::arrow::array::RecordBatch)
    /// # -> Result<(), barrow_client::ClientError> {
    /// use barrow_client::{Client, ClientError, IngestOptions, Step};
    ///
    /// let client = Client::new("http://127.0.0.1:8480")?;
    /// let options = IngestOptions::bars(Step::M1, "vendor").batch_id("2024-01-02");
    /// match client.ingest_arrow(&options, &[rows]).await {
    ///     Ok(answer) => assert_eq!(answer.batch_id, "2024-01-02"),
    ///     Err(ClientError::Conflict(problem)) => panic!("the id is used: {}", problem.detail),
    ///     Err(ClientError::Rejected(answer)) => panic!("bad rows: {:?}", answer.errors),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Conflict`] for a batch id that stands for other rows,
    /// [`ClientError::Rejected`] if not one row was taken (some is an answer, with `rejected` and
    /// `errors`), [`ClientError::Problem`] with status 507 for a full disk.
    pub async fn ingest_arrow(
        &self,
        options: &IngestOptions,
        batches: &[RecordBatch],
    ) -> Result<IngestAnswer, ClientError> {
        self.ingest_bytes(options, ARROW_STREAM, arrow_body(batches)?).await
    }

    /// Stores rows that are written already: as CSV, JSON, NDJSON, an Arrow stream or a Parquet
    /// file, which `media_type` says (`text/csv`). Tried again as [`Client::ingest_arrow`] is.
    ///
    /// # Errors
    /// As [`Client::ingest_arrow`].
    pub async fn ingest_bytes(
        &self,
        options: &IngestOptions,
        media_type: &str,
        body: Bytes,
    ) -> Result<IngestAnswer, ClientError> {
        let path = format!("/v1/datasets/{}/rows", options.dataset);
        let pairs = options.pairs(&body)?;
        let request = self
            .request(Method::POST, &path, &pairs)
            .header(reqwest::header::CONTENT_TYPE, media_type)
            .body(body);
        self.read_json(request, "send rows").await
    }

    /// Retracts rows: nothing is erased, `as_of` still shows them. Tried again as rows are, under
    /// `batch_id` or an id that is made for this call.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for an unknown batch, [`ClientError::Rejected`] if
    /// nothing was visible under any of the keys.
    pub async fn delete_rows(
        &self,
        dataset: &str,
        keys: &DeleteKeys,
        batch_id: Option<&str>,
    ) -> Result<IngestAnswer, ClientError> {
        let path = format!("/v1/datasets/{dataset}/rows");
        let mut pairs = keys.pairs();
        let id = match batch_id {
            Some(id) => id.to_owned(),
            None => random_batch_id()?,
        };
        pairs.push(("batch_id", id));
        let mut request = self.request(Method::DELETE, &path, &pairs);
        if let Some(keys) = keys.body() {
            request = request.json(&keys);
        }
        self.read_json(request, "retract rows").await
    }

    /// A range of bars as record batches, as they come in.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 for a parameter the server cannot read or has not
    /// built (`not_available`), 404 for an unknown symbol.
    pub async fn bars(&self, query: &BarsQuery) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.bars_bytes(query, Format::Arrow).await?))
    }

    /// A range of bars as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn bars_bytes(
        &self,
        query: &BarsQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range("/v1/bars", query.pairs(), format, "query bars").await
    }

    /// A range of trades as record batches, as they come in.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn trades(&self, query: &TicksQuery) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.trades_bytes(query, Format::Arrow).await?))
    }

    /// A range of trades as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn trades_bytes(
        &self,
        query: &TicksQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range("/v1/trades", query.pairs(), format, "query trades").await
    }

    /// A range of quotes as record batches, as they come in.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn quotes(&self, query: &TicksQuery) -> Result<Batches, ClientError> {
        Ok(Batches::new(self.quotes_bytes(query, Format::Arrow).await?))
    }

    /// A range of quotes as the bytes the server writes.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn quotes_bytes(
        &self,
        query: &TicksQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.range("/v1/quotes", query.pairs(), format, "query quotes").await
    }

    /// The newest raw bar of each (symbol, source, timeframe, price).
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn latest(&self, query: &LatestQuery) -> Result<Vec<RecordBatch>, ClientError> {
        self.latest_of("bars", query).await
    }

    /// The newest trade of each (symbol, source).
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn latest_trades(
        &self,
        query: &LatestQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.latest_of("trades", query).await
    }

    /// The newest quote of each (symbol, source).
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn latest_quotes(
        &self,
        query: &LatestQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.latest_of("quotes", query).await
    }

    /// The newest raw row of each series of a dataset: `bars`, `trades`, `quotes`.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn latest_of(
        &self,
        dataset: &str,
        query: &LatestQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        let doing = "ask for the latest rows";
        let path = format!("/v1/{dataset}/latest");
        let bytes = self.range(&path, query.pairs(), Format::Arrow, doing).await?;
        Batches::new(bytes).all().await
    }

    pub(crate) async fn range(
        &self,
        path: &str,
        mut pairs: Vec<(&str, String)>,
        format: Format,
        doing: &str,
    ) -> Result<ByteStream, ClientError> {
        pairs.push(("format", format.name().to_owned()));
        self.open(self.request(Method::GET, path, &pairs), doing).await
    }

    /// The tables of the server.
    ///
    /// # Errors
    /// [`ClientError::Problem`] as the server reports it.
    pub async fn list_datasets(&self) -> Result<Vec<DatasetInfo>, ClientError> {
        self.get_table("/v1/datasets", &[], "list datasets").await
    }

    /// Rejected rows, newest first.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for an unknown batch.
    pub async fn dead_letters(
        &self,
        query: &DeadLettersQuery,
    ) -> Result<Vec<DeadLetter>, ClientError> {
        self.get_table("/v1/dead-letters", &query.pairs(), "list dead letters").await
    }

    /// A rejected row, and what is known about sending it again.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for an unknown id.
    pub async fn dead_letter(&self, id: &str) -> Result<DeadLetterDetail, ClientError> {
        let request = self.request(Method::GET, &dead_letters::path(id)?, &[]);
        self.read_json(request, "show a dead letter").await
    }

    /// Sends a rejected row through the intake again, as the batch `replay:ID`. Tried again as
    /// rows are: a replay that succeeded is stored once.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] if the row cannot be stored as it is now either,
    /// [`ClientError::Conflict`] if it was replayed with other values,
    /// [`ClientError::Problem`] with status 400 if something must be said that the letter does
    /// not.
    pub async fn replay_dead_letter(
        &self,
        id: &str,
        replay: &Replay,
    ) -> Result<IngestAnswer, ClientError> {
        let path = format!("{}/replay", dead_letters::path(id)?);
        let request = self.request(Method::POST, &path, &replay.pairs()).json(&replay.values);
        self.read_json(request, "replay a dead letter").await
    }

    pub(crate) async fn get_table<T: DeserializeOwned>(
        &self,
        path: &str,
        pairs: &[(&str, String)],
        doing: &str,
    ) -> Result<Vec<T>, ClientError> {
        let request = self.request(Method::GET, path, pairs);
        Ok(self.read_json::<Table<T>>(request, doing).await?.rows)
    }
}

/// A small answer in the shape of all JSON tables.
#[derive(Deserialize)]
struct Table<T> {
    rows: Vec<T>,
}

#[cfg(test)]
mod tests;
