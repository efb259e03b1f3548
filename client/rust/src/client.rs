//! One server's address, and the calls it serves.

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::answer::{DeadLetter, Health, IngestAnswer};
use crate::error::{ClientError, Problem};
use crate::ingest::{IngestOptions, encode};
use crate::query::{BarsQuery, DeleteKeys, Format};
use crate::retry::wait_before;
use crate::stream::{Batches, ByteStream};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// A Barrow server, as seen from outside. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of the server at `url` (`http://host:port`). Connects at the first call; takes no
    /// proxy from the environment.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if `url` is not an HTTP address.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let text = url.trim_end_matches('/');
        let parsed = reqwest::Url::parse(text)
            .map_err(|error| ClientError::Invalid(format!("server address '{url}': {error}")))?;
        if parsed.scheme() != "http" || parsed.host_str().is_none() {
            let detail = format!("server address '{url}': write it as http://HOST:PORT");
            return Err(ClientError::Invalid(detail));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ClientError::Invalid(format!("no HTTP client: {error}")))?;
        Ok(Self { url: text.to_owned(), http })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks whether the server lives.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if nobody answers.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let bytes = self.get("/healthz", &[], "ask for health").await?;
        Ok(Health { body: String::from_utf8_lossy(&whole(bytes).await?).trim().to_owned() })
    }

    /// Sends one batch and returns once it is durable. With a `batch_id` it is tried again while
    /// the server is away or busy; without one it is tried once.
    ///
    /// A batch whose every row was rejected is an answer too: its rows are dead letters.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 409 for a known `batch_id` with other rows, 507 for a
    /// full disk.
    pub async fn ingest_arrow(
        &self,
        options: &IngestOptions,
        batches: &[RecordBatch],
    ) -> Result<IngestAnswer, ClientError> {
        let body = encode(batches)?;
        let path = format!("/v1/datasets/{}/rows", options.dataset);
        let pairs = options.pairs();
        let request = || {
            self.request(Method::POST, &path, &pairs)
                .header(reqwest::header::CONTENT_TYPE, ARROW_STREAM)
                .body(body.clone())
        };
        self.send_rows(request, options.batch_id.is_some(), "send rows").await
    }

    /// Retracts rows: nothing is erased, `as_of` still shows them. With a `batch_id` it is tried
    /// again as rows are; without one it is tried once.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 for an unknown batch.
    pub async fn delete_rows(
        &self,
        dataset: &str,
        keys: &DeleteKeys,
        batch_id: Option<&str>,
    ) -> Result<IngestAnswer, ClientError> {
        let path = format!("/v1/datasets/{dataset}/rows");
        let mut pairs = keys.pairs();
        if let Some(id) = batch_id {
            pairs.push(("batch_id", id.to_owned()));
        }
        let keys = keys.body();
        let request = || {
            let request = self.request(Method::DELETE, &path, &pairs);
            match &keys {
                Some(keys) => request.json(keys),
                None => request,
            }
        };
        self.send_rows(request, batch_id.is_some(), "retract rows").await
    }

    /// Sends what `request` makes until it is answered; once, unless it is safe to send it again.
    async fn send_rows(
        &self,
        request: impl Fn() -> RequestBuilder,
        is_repeatable: bool,
        doing: &str,
    ) -> Result<IngestAnswer, ClientError> {
        let mut attempt = 0;
        loop {
            let error = match self.send_rows_once(request(), doing).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempt += 1;
            match wait_before(attempt, &error) {
                Some(wait) if is_repeatable => tokio::time::sleep(wait).await,
                _ => return Err(error),
            }
        }
    }

    async fn send_rows_once(
        &self,
        request: RequestBuilder,
        doing: &str,
    ) -> Result<IngestAnswer, ClientError> {
        match self.send(request, doing).await {
            Ok(response) => read_json(ByteStream::new(response, doing), doing).await,
            Err(ClientError::Problem(problem)) if problem.status == 422 => {
                match serde_json::from_value::<IngestAnswer>(problem.body.clone()) {
                    Ok(answer) if answer.rejected > 0 => Ok(answer),
                    _ => Err(ClientError::Problem(problem)),
                }
            }
            Err(error) => Err(error),
        }
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
        let mut pairs = query.pairs();
        pairs.push(("format", format.name().to_owned()));
        self.get("/v1/bars", &pairs, "query bars").await
    }

    /// The newest raw row of each (symbol, source, timeframe, price); all columns if none is named.
    ///
    /// # Errors
    /// As [`Client::bars`].
    pub async fn latest(
        &self,
        symbols: &[String],
        columns: &[&str],
    ) -> Result<Vec<RecordBatch>, ClientError> {
        let mut pairs =
            vec![("symbols", symbols.join(",")), ("format", Format::Arrow.name().to_owned())];
        if !columns.is_empty() {
            pairs.push(("columns", columns.join(",")));
        }
        let bytes = self.get("/v1/bars/latest", &pairs, "ask for the latest rows").await?;
        Batches::new(bytes).all().await
    }

    /// Rejected rows, newest first, of one batch if named.
    ///
    /// # Errors
    /// [`ClientError::Problem`] as the server reports it.
    pub async fn dead_letters(
        &self,
        batch_id: Option<&str>,
        limit: Option<u64>,
    ) -> Result<Vec<DeadLetter>, ClientError> {
        let doing = "list dead letters";
        let mut pairs = Vec::new();
        if let Some(id) = batch_id {
            pairs.push(("batch", id.to_owned()));
        }
        if let Some(limit) = limit {
            pairs.push(("limit", limit.to_string()));
        }
        #[derive(serde::Deserialize)]
        struct Table {
            rows: Vec<DeadLetter>,
        }
        let bytes = self.get("/v1/dead-letters", &pairs, doing).await?;
        Ok(read_json::<Table>(bytes, doing).await?.rows)
    }

    fn request(&self, method: Method, path: &str, pairs: &[(&str, String)]) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).query(pairs)
    }

    async fn get(
        &self,
        path: &str,
        pairs: &[(&str, String)],
        doing: &str,
    ) -> Result<ByteStream, ClientError> {
        let response = self.send(self.request(Method::GET, path, pairs), doing).await?;
        Ok(ByteStream::new(response, doing))
    }

    async fn send(&self, request: RequestBuilder, doing: &str) -> Result<Response, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::transport(&self.url, doing, &error))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.unwrap_or_default();
        Err(ClientError::Problem(Box::new(Problem::read(status.as_u16(), retry_after, &body))))
    }
}

async fn whole(mut bytes: ByteStream) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = bytes.next().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn read_json<T: DeserializeOwned>(bytes: ByteStream, doing: &str) -> Result<T, ClientError> {
    let body = whole(bytes).await?;
    serde_json::from_slice(&body).map_err(|error| {
        ClientError::protocol(
            doing,
            format!("the answer is not what a Barrow server says: {error}"),
        )
    })
}

#[cfg(test)]
mod tests;
