//! The same client for programs without an async runtime.
//!
//! [`Client`] has the names of [`crate::Client`] and a runtime of one thread, which minds the
//! connections; it may be shared among threads. Inside an async runtime a call fails with
//! [`ClientError::Invalid`] before anything is sent, since it would hold up every task of its
//! thread: use [`crate::Client`] there. That holds for `spawn_blocking` too, which cannot be told
//! apart; a thread of `std::thread` is fine.
//!
//! ```no_run
//! # fn example() -> Result<(), barrow_client::ClientError> {
//! use barrow_client::blocking::Client;
//! use barrow_client::{BarsQuery, Step};
//!
//! let client = Client::new("http://127.0.0.1:8480")?;
//! for batch in client.bars(&BarsQuery::new(["SPY"], Step::M1).layer("raw"))? {
//!     assert!(batch?.num_rows() > 0);
//! }
//! # Ok(())
//! # }
//! ```

mod features;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::answer::{DatasetInfo, IngestAnswer};
use crate::dead_letters::{DeadLetter, DeadLetterDetail, DeadLettersQuery, Replay};
use crate::delete::DeleteKeys;
use crate::error::ClientError;
use crate::ingest::IngestOptions;
use crate::jobs::{Job, JobRequest, JobsQuery};
use crate::query::{BarsQuery, Format, LatestQuery, TicksQuery};
use crate::retention::{RaiseFloor, RetentionFloor};
use crate::tables::DatasetDescription;

/// The runtime that a client and its answers share.
#[derive(Clone)]
struct Shared(Arc<Inner>);

struct Inner(Option<Runtime>);

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropped as usual it would wait for its threads, and panic where that is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn new() -> Result<Self, ClientError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("barrow-client")
            .enable_all()
            .build()
            .map_err(|error| {
                ClientError::Invalid(format!("start a runtime for the blocking client: {error}"))
            })?;
        Ok(Self(Arc::new(Inner(Some(runtime)))))
    }

    /// Waits for `call`.
    fn wait<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        if Handle::try_current().is_ok() {
            let detail = "a blocking client was called inside an async runtime, whose other tasks \
                          it would hold up: use barrow_client::Client there, or a thread of \
                          std::thread";
            return Err(ClientError::Invalid(detail.to_owned()));
        }
        let Inner(runtime) = &*self.0;
        runtime.as_ref().expect("invariant: it is there until the last drop").block_on(call)
    }
}

/// A Barrow server, as seen from outside, by a program that waits for each answer. Cheap to clone;
/// clones share their connections.
#[derive(Clone)]
pub struct Client {
    client: crate::Client,
    shared: Shared,
}

impl Client {
    /// A client of the server at `url` (`http://host:port`). Connects at the first call.
    ///
    /// # Errors
    /// As [`crate::Client::new`].
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Self::over(crate::Client::new(url)?)
    }

    /// A client with the settings of this one, which must not be used by both sides: connections
    /// belong to the runtime that made them. Build it with [`crate::Client::builder`] and hand it
    /// over.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if the system gives no runtime.
    pub fn over(client: crate::Client) -> Result<Self, ClientError> {
        Ok(Self { client, shared: Shared::new()? })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// Asks, once, whether the server lives.
    ///
    /// # Errors
    /// As [`crate::Client::health`].
    pub fn health(&self) -> Result<(), ClientError> {
        self.shared.wait(self.client.health())
    }

    /// Asks, once, whether the server takes rows.
    ///
    /// # Errors
    /// As [`crate::Client::ready`].
    pub fn ready(&self) -> Result<(), ClientError> {
        self.shared.wait(self.client.ready())
    }

    /// Sends rows and returns once they are durable and visible.
    ///
    /// # Errors
    /// As [`crate::Client::ingest_arrow`].
    pub fn ingest_arrow(
        &self,
        options: &IngestOptions,
        batches: &[RecordBatch],
    ) -> Result<IngestAnswer, ClientError> {
        self.shared.wait(self.client.ingest_arrow(options, batches))
    }

    /// Retracts rows: nothing is erased, `as_of` still shows them.
    ///
    /// # Errors
    /// As [`crate::Client::delete_rows`].
    pub fn delete_rows(
        &self,
        dataset: &str,
        keys: &DeleteKeys,
        batch_id: Option<&str>,
    ) -> Result<IngestAnswer, ClientError> {
        self.shared.wait(self.client.delete_rows(dataset, keys, batch_id))
    }

    /// A range of bars as record batches, as they come in.
    ///
    /// # Errors
    /// As [`crate::Client::bars`].
    pub fn bars(&self, query: &BarsQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.bars(query))
    }

    /// A range of bars as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::bars`].
    pub fn bars_bytes(&self, query: &BarsQuery, format: Format) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.bars_bytes(query, format))
    }

    /// A range of trades as record batches, as they come in.
    ///
    /// # Errors
    /// As [`crate::Client::bars`].
    pub fn trades(&self, query: &TicksQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.trades(query))
    }

    /// A range of trades as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::bars`].
    pub fn trades_bytes(
        &self,
        query: &TicksQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.trades_bytes(query, format))
    }

    /// A range of rows of a user's table as record batches, as they come in.
    ///
    /// # Errors
    /// As [`crate::Client::table`].
    pub fn table(&self, name: &str, query: &TicksQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.table(name, query))
    }

    /// A range of rows of a user's table as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::table`].
    pub fn table_bytes(
        &self,
        name: &str,
        query: &TicksQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.table_bytes(name, query, format))
    }

    /// Defines a user's table, or makes its next version.
    ///
    /// # Errors
    /// As [`crate::Client::put_dataset`].
    pub fn put_dataset(
        &self,
        name: &str,
        definition: &(impl serde::Serialize + ?Sized),
    ) -> Result<DatasetDescription, ClientError> {
        self.shared.wait(self.client.put_dataset(name, definition))
    }

    /// The floors of retention that are set.
    ///
    /// # Errors
    /// As [`crate::Client::retention`].
    pub fn retention(&self) -> Result<Vec<RetentionFloor>, ClientError> {
        self.shared.wait(self.client.retention())
    }

    /// Raises the floor of retention of a dataset, or says what that would do.
    ///
    /// # Errors
    /// As [`crate::Client::raise_floor`].
    pub fn raise_floor(
        &self,
        dataset: &str,
        floor: &RaiseFloor,
        dry_run: bool,
    ) -> Result<RetentionFloor, ClientError> {
        self.shared.wait(self.client.raise_floor(dataset, floor, dry_run))
    }

    /// A dataset's columns, key and version.
    ///
    /// # Errors
    /// As [`crate::Client::dataset`].
    pub fn dataset(&self, name: &str) -> Result<DatasetDescription, ClientError> {
        self.shared.wait(self.client.dataset(name))
    }

    /// A range of quotes as record batches, as they come in.
    ///
    /// # Errors
    /// As [`crate::Client::bars`].
    pub fn quotes(&self, query: &TicksQuery) -> Result<Batches, ClientError> {
        self.batches(self.client.quotes(query))
    }

    /// A range of quotes as the bytes the server writes.
    ///
    /// # Errors
    /// As [`crate::Client::bars`].
    pub fn quotes_bytes(
        &self,
        query: &TicksQuery,
        format: Format,
    ) -> Result<ByteStream, ClientError> {
        self.bytes(self.client.quotes_bytes(query, format))
    }

    /// The newest raw bar of each (symbol, source, timeframe, price).
    ///
    /// # Errors
    /// As [`crate::Client::latest`].
    pub fn latest(&self, query: &LatestQuery) -> Result<Vec<RecordBatch>, ClientError> {
        self.shared.wait(self.client.latest(query))
    }

    /// The newest raw row of each series of a dataset: `bars`, `trades`, `quotes`.
    ///
    /// # Errors
    /// As [`crate::Client::latest`].
    pub fn latest_of(
        &self,
        dataset: &str,
        query: &LatestQuery,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        self.shared.wait(self.client.latest_of(dataset, query))
    }

    /// The newest trade of each (symbol, source).
    ///
    /// # Errors
    /// As [`crate::Client::latest_trades`].
    pub fn latest_trades(&self, query: &LatestQuery) -> Result<Vec<RecordBatch>, ClientError> {
        self.shared.wait(self.client.latest_trades(query))
    }

    /// The newest quote of each (symbol, source).
    ///
    /// # Errors
    /// As [`crate::Client::latest_quotes`].
    pub fn latest_quotes(&self, query: &LatestQuery) -> Result<Vec<RecordBatch>, ClientError> {
        self.shared.wait(self.client.latest_quotes(query))
    }

    /// The tables of the server.
    ///
    /// # Errors
    /// As [`crate::Client::list_datasets`].
    pub fn list_datasets(&self) -> Result<Vec<DatasetInfo>, ClientError> {
        self.shared.wait(self.client.list_datasets())
    }

    /// Rejected rows, newest first.
    ///
    /// # Errors
    /// As [`crate::Client::dead_letters`].
    pub fn dead_letters(&self, query: &DeadLettersQuery) -> Result<Vec<DeadLetter>, ClientError> {
        self.shared.wait(self.client.dead_letters(query))
    }

    /// A rejected row, and what is known about sending it again.
    ///
    /// # Errors
    /// As [`crate::Client::dead_letter`].
    pub fn dead_letter(&self, id: &str) -> Result<DeadLetterDetail, ClientError> {
        self.shared.wait(self.client.dead_letter(id))
    }

    /// Sends a rejected row through the intake again, as the batch `replay:ID`.
    ///
    /// # Errors
    /// As [`crate::Client::replay_dead_letter`].
    pub fn replay_dead_letter(
        &self,
        id: &str,
        replay: &Replay,
    ) -> Result<IngestAnswer, ClientError> {
        self.shared.wait(self.client.replay_dead_letter(id, replay))
    }

    /// States facts by PUT.
    ///
    /// # Errors
    /// As [`crate::Client::put_facts`].
    pub fn put_facts(
        &self,
        path: &[&str],
        pairs: &[(&str, String)],
        facts: &serde_json::Value,
    ) -> Result<IngestAnswer, ClientError> {
        self.shared.wait(self.client.put_facts(path, pairs, facts))
    }

    /// States facts by POST.
    ///
    /// # Errors
    /// As [`crate::Client::put_facts`].
    pub fn post_facts(
        &self,
        path: &[&str],
        pairs: &[(&str, String)],
        facts: &serde_json::Value,
    ) -> Result<IngestAnswer, ClientError> {
        self.shared.wait(self.client.post_facts(path, pairs, facts))
    }

    /// Facts as they are visible.
    ///
    /// # Errors
    /// As [`crate::Client::facts`].
    pub fn facts(
        &self,
        path: &[&str],
        pairs: &[(&str, String)],
    ) -> Result<serde_json::Value, ClientError> {
        self.shared.wait(self.client.facts(path, pairs))
    }

    /// What rules, slots and sources tell of a dataset.
    ///
    /// # Errors
    /// As [`crate::Client::quality`].
    pub fn quality(
        &self,
        dataset: &str,
        pairs: &[(&str, String)],
    ) -> Result<serde_json::Value, ClientError> {
        self.shared.wait(self.client.quality(dataset, pairs))
    }

    /// Whether a dataset is good.
    ///
    /// # Errors
    /// As [`crate::Client::dataset_health`].
    pub fn dataset_health(
        &self,
        dataset: &str,
        pairs: &[(&str, String)],
    ) -> Result<serde_json::Value, ClientError> {
        self.shared.wait(self.client.dataset_health(dataset, pairs))
    }

    /// Starts a job and returns at once.
    ///
    /// # Errors
    /// As [`crate::Client::start_job`].
    pub fn start_job(&self, kind: &str) -> Result<Job, ClientError> {
        self.shared.wait(self.client.start_job(kind))
    }

    /// Starts a job and returns when the server has stored it.
    ///
    /// # Errors
    /// As [`crate::Client::start_job_with`].
    pub fn start_job_with(&self, request: &JobRequest) -> Result<Job, ClientError> {
        self.shared.wait(self.client.start_job_with(request))
    }

    /// Ends a job that has not ended; returns it when it has.
    ///
    /// # Errors
    /// As [`crate::Client::cancel_job`].
    pub fn cancel_job(&self, id: &str) -> Result<Job, ClientError> {
        self.shared.wait(self.client.cancel_job(id))
    }

    /// Starts a job that does again what job `id` did not do.
    ///
    /// # Errors
    /// As [`crate::Client::retry_job`].
    pub fn retry_job(&self, id: &str) -> Result<Job, ClientError> {
        self.shared.wait(self.client.retry_job(id))
    }

    /// Looks at a job.
    ///
    /// # Errors
    /// As [`crate::Client::job`].
    pub fn job(&self, id: &str) -> Result<Job, ClientError> {
        self.shared.wait(self.client.job(id))
    }

    /// Looks at a job once its state has changed, or after `wait`.
    ///
    /// # Errors
    /// As [`crate::Client::job_after`].
    pub fn job_after(&self, id: &str, wait: Duration) -> Result<Job, ClientError> {
        self.shared.wait(self.client.job_after(id, wait))
    }

    /// Returns once a job is at rest.
    ///
    /// # Errors
    /// As [`crate::Client::job`].
    pub fn wait_for_job(&self, id: &str) -> Result<Job, ClientError> {
        self.shared.wait(self.client.wait_for_job(id))
    }

    /// The jobs that the server remembers, the newest first.
    ///
    /// # Errors
    /// As [`crate::Client::list_jobs`].
    pub fn list_jobs(&self, query: &JobsQuery) -> Result<Vec<Job>, ClientError> {
        self.shared.wait(self.client.list_jobs(query))
    }

    fn batches(
        &self,
        call: impl Future<Output = Result<crate::Batches, ClientError>>,
    ) -> Result<Batches, ClientError> {
        Ok(Batches { batches: self.shared.wait(call)?, shared: self.shared.clone() })
    }

    fn bytes(
        &self,
        call: impl Future<Output = Result<crate::ByteStream, ClientError>>,
    ) -> Result<ByteStream, ClientError> {
        Ok(ByteStream { bytes: self.shared.wait(call)?, shared: self.shared.clone() })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::Client").field(&self.client).finish()
    }
}

/// The record batches of an answer, as they come in. After an error nothing more comes.
pub struct Batches {
    // Before the runtime that drives it, which may go with it.
    batches: crate::Batches,
    shared: Shared,
}

impl Batches {
    /// All of them, for answers that are known to fit in memory.
    ///
    /// # Errors
    /// As [`crate::Batches::next`].
    pub fn all(self) -> Result<Vec<RecordBatch>, ClientError> {
        self.collect()
    }

    /// The answer's head: sequence, cursor, warnings.
    pub fn head(&self) -> &crate::ByteStream {
        self.batches.head()
    }

    /// The columns, once the first batch or the end has come.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.batches.schema()
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.shared.wait(self.batches.next()).transpose()
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.batches.fmt(f)
    }
}

/// The body of an answer, chunk by chunk, and what its head says.
pub struct ByteStream {
    bytes: crate::ByteStream,
    shared: Shared,
}

impl ByteStream {
    /// The answer's head: sequence, cursor, warnings.
    pub fn head(&self) -> &crate::ByteStream {
        &self.bytes
    }
}

impl Iterator for ByteStream {
    type Item = Result<Bytes, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.shared.wait(self.bytes.next()).transpose()
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}
