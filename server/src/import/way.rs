//! The way of an import's requests to a server: over HTTP, or within the server itself. Both end in
//! the same routes.

use std::time::Duration;

use arrow::array::RecordBatch;
use axum::http::Method;
use barrow_client::{
    ARROW_STREAM, Client, ClientError, DatasetDescription, IngestAnswer, IngestOptions,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Reading;
use crate::http::inside::{Answer, Inside};

/// First pause where there was no room for a request within the server; doubles each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

const JSON: &str = "application/json";

/// See the module.
pub(crate) enum Way {
    /// To any server.
    Http(Client),
    /// Within this one.
    Inside(Routes),
}

/// The routes of the server that does the work itself. A request for which there is no room at the
/// moment, in memory or on the disk, is made again until there is, or reading is stopped.
pub(crate) struct Routes {
    pub(crate) inside: Inside,
    pub(crate) reading: Reading,
}

impl Way {
    /// Hands rows in, written as the media type says.
    pub(super) async fn rows(
        &self,
        options: &IngestOptions,
        (media_type, body): (&str, Bytes),
    ) -> Result<IngestAnswer, ClientError> {
        let answer = match self {
            Self::Http(client) => client.ingest_bytes(options, media_type, body).await,
            Self::Inside(routes) => {
                let path = format!("/v1/datasets/{}/rows", options.dataset);
                let pairs = options.pairs(&body)?;
                routes.ask(Method::POST, &path, &pairs, (media_type, body)).await
            }
        };
        // A part of which every row is a dead letter is an answer like any other.
        answer.or_else(ClientError::into_answer)
    }

    /// Hands typed rows in.
    pub(super) async fn arrow(
        &self,
        options: &IngestOptions,
        batch: &RecordBatch,
    ) -> Result<IngestAnswer, ClientError> {
        let body = barrow_client::arrow_body(std::slice::from_ref(batch))?;
        self.rows(options, (ARROW_STREAM, body)).await
    }

    /// What the server says of a dataset; its name is letters, digits and `_`.
    pub(super) async fn dataset(&self, name: &str) -> Result<DatasetDescription, ClientError> {
        match self {
            Self::Http(client) => client.dataset(name).await,
            Self::Inside(routes) => routes.get(&format!("/v1/datasets/{name}")).await,
        }
    }

    /// The instruments that the server knows.
    pub(super) async fn instruments(&self) -> Result<Value, ClientError> {
        match self {
            Self::Http(client) => client.facts(&["instruments"], &[]).await,
            Self::Inside(routes) => routes.get("/v1/instruments").await,
        }
    }

    /// States instruments.
    pub(super) async fn put_instruments(
        &self,
        pairs: &[(&str, String)],
        instruments: &Value,
    ) -> Result<IngestAnswer, ClientError> {
        match self {
            Self::Http(client) => client.put_facts(&["instruments"], pairs, instruments).await,
            Self::Inside(routes) => {
                let body = Bytes::from(instruments.to_string());
                routes.ask(Method::PUT, "/v1/instruments", pairs, (JSON, body)).await
            }
        }
    }

    /// Claims that rows of a dataset are all there is.
    pub(super) async fn claim(
        &self,
        dataset: &str,
        pairs: &[(&str, String)],
        claims: &Value,
    ) -> Result<IngestAnswer, ClientError> {
        match self {
            Self::Http(client) => {
                client.post_facts(&["datasets", dataset, "claims"], pairs, claims).await
            }
            Self::Inside(routes) => {
                let path = format!("/v1/datasets/{dataset}/claims");
                let body = Bytes::from(claims.to_string());
                routes.ask(Method::POST, &path, pairs, (JSON, body)).await
            }
        }
    }
}

impl Routes {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, &[], (JSON, Bytes::new())).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        pairs: &[(&str, String)],
        (media_type, body): (&str, Bytes),
    ) -> Result<T, ClientError> {
        let mut pause = PAUSE_MIN;
        loop {
            let content = (media_type, body.clone());
            let answer = self.inside.send(method.clone(), path, pairs, content).await;
            let error = match read(&answer) {
                Err(error) if passes(&error) => error,
                read => return read,
            };
            tracing::debug!(%error, "an import waits for room");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.reading.stopped() => return Err(error),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Whether trying again can help: there was no room, or too much to do.
fn passes(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| matches!(problem.code.as_str(), "busy" | "full"))
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    if answer.status != 200 {
        return Err(ClientError::of_answer(answer.status, answer.retry_after, &answer.body));
    }
    serde_json::from_slice(&answer.body).map_err(|error| ClientError::Decode {
        doing: "read an answer".to_owned(),
        detail: error.to_string(),
    })
}
