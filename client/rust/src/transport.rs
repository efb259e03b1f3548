//! One request and its answer; repetitions where they are safe.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::ClientError;
use crate::retry::{RETRIES_MAX, wait_before};
use crate::stream::ByteStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a server takes to read a body or to answer a query.
const SILENCE_MAX: Duration = Duration::from_secs(330);

/// How a client is to behave. Made by [`Client::builder`].
#[must_use]
pub struct ClientBuilder {
    url: String,
    key: Option<String>,
    retries_max: u32,
    connect_timeout: Duration,
    silence_max: Duration,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            key: None,
            retries_max: RETRIES_MAX,
            connect_timeout: CONNECT_TIMEOUT,
            silence_max: SILENCE_MAX,
        }
    }

    /// The secret of the key to show, for servers that ask for one.
    pub fn key(mut self, secret: impl Into<String>) -> Self {
        self.key = Some(secret.into());
        self
    }

    /// How often a request is tried again where that is safe; 0 for never. 6 unless said.
    pub const fn retries_max(mut self, retries: u32) -> Self {
        self.retries_max = retries;
        self
    }

    /// How long to wait for a connection. 5 seconds unless said.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may say nothing, before its answer begins or in the midst of it. 330
    /// seconds unless said, which is longer than a server works on anything by default. There is no
    /// bound on a whole answer, which takes as long as its reader.
    pub const fn silence_max(mut self, silence: Duration) -> Self {
        self.silence_max = silence;
        self
    }

    /// The client. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if the address is no HTTP address, or the key cannot stand in a
    /// header.
    pub fn build(self) -> Result<Client, ClientError> {
        let url = &self.url;
        let text = url.trim_end_matches('/');
        let parsed = reqwest::Url::parse(text)
            .map_err(|error| ClientError::Invalid(format!("server address '{url}': {error}")))?;
        if parsed.scheme() != "http" || parsed.host_str().is_none() {
            let detail = format!("server address '{url}': write it as http://HOST:PORT");
            return Err(ClientError::Invalid(detail));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| {
                ClientError::Invalid("the key holds what cannot stand in a header".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.silence_max)
            .build()
            .map_err(|error| ClientError::Invalid(format!("no HTTP client: {error}")))?;
        Ok(Client { url: text.to_owned(), http, retries_max: self.retries_max })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, key, retries_max, connect_timeout, silence_max } = self;
        f.debug_struct("ClientBuilder")
            .field("url", url)
            .field("has_key", &key.is_some())
            .field("retries_max", retries_max)
            .field("connect_timeout", connect_timeout)
            .field("silence_max", silence_max)
            .finish()
    }
}

impl Client {
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        pairs: &[(&str, String)],
    ) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).query(pairs)
    }

    /// Opens an answer. Tries again until it begins or that cannot help: only for requests that are
    /// safe to send twice.
    pub(crate) async fn open(
        &self,
        request: RequestBuilder,
        doing: &str,
    ) -> Result<ByteStream, ClientError> {
        let mut failures = 0;
        loop {
            match self.open_once(again(&request), doing).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait_after(&mut failures, error).await?,
            }
        }
    }

    /// Reads an answer that is one JSON value. Tries again until it is whole or that cannot help:
    /// only for requests that are safe to send twice.
    pub(crate) async fn read_json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        doing: &str,
    ) -> Result<T, ClientError> {
        let mut failures = 0;
        let body = loop {
            let whole = match self.open_once(again(&request), doing).await {
                Ok(answer) => answer.whole().await,
                Err(error) => Err(error),
            };
            match whole {
                Ok(body) => break body,
                Err(error) => self.wait_after(&mut failures, error).await?,
            }
        };
        serde_json::from_slice(&body).map_err(|error| {
            let detail = format!("the answer is not what a Barrow server says: {error}");
            ClientError::decode(doing, detail)
        })
    }

    /// Waits before the next attempt, or hands the error on.
    async fn wait_after(&self, failures: &mut u32, error: ClientError) -> Result<(), ClientError> {
        *failures += 1;
        // Without randomness all clients would wait alike, which still is a wait.
        let chance = getrandom::u32().unwrap_or(0);
        match wait_before(*failures, self.retries_max, &error, chance) {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Err(error),
        }
    }

    /// Opens an answer, once.
    pub(crate) async fn open_once(
        &self,
        request: RequestBuilder,
        doing: &str,
    ) -> Result<ByteStream, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::transport(&self.url, doing, &error))?;
        let status = response.status();
        if status == StatusCode::OK {
            return ByteStream::new(response, doing);
        }
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.map_err(|e| ClientError::broken_off(doing, &e))?;
        Err(ClientError::of_answer(status.as_u16(), retry_after, &body))
    }
}

/// The same request once more.
fn again(request: &RequestBuilder) -> RequestBuilder {
    request.try_clone().expect("invariant: bodies are bytes in memory")
}
