//! The client of a Barrow server: rows in as Arrow, ranges out as Arrow, CSV, JSON or Parquet.
//!
//! [`Client`] holds one server's address and a pool of connections; it is cheap to clone.
//! [`blocking::Client`] is the same for programs without an async runtime. [`feed`] asks for the
//! latest features in microseconds and is told of new ones; [`latest_table::LatestTable`] reads
//! them from memory that a server on the same host shares.
//!
//! ```no_run
//! # async fn example() -> Result<(), barrow_client::ClientError> {
//! use barrow_client::{BarsQuery, Client, Step};
//!
//! let client = Client::new("http://127.0.0.1:8480")?;
//! let query = BarsQuery::new(["SPY"], Step::M1)
//!     .layer("raw")
//!     .between("2013-10-07T13:30:00Z", "2013-10-07T20:00:00Z");
//! let mut batches = client.bars(&query).await?;
//! while let Some(batch) = batches.next().await? {
//!     assert!(batch.num_rows() > 0);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is tried again
//!
//! Reads until their answer begins, and batches, since each of them has an id under which the
//! server stores it once: the caller's, or one that is made for the call and kept over its
//! repetitions. `src/retry.rs` says which failures and after how long; [`Client::health`] and
//! [`Client::ready`] are never tried again.
//!
//! If a call of [`Client::ingest_arrow`] fails for good, its rows may or may not be stored. To
//! repeat the *call* safely its options must hold an id: see [`IngestOptions::batch_id`],
//! [`random_batch_id`] and [`IngestOptions::content_id`], and what the last is not good for.
//!
//! # What is whole
//!
//! An answer that the server or the network broke off is an error, never a short answer. Ranges
//! are decoded as they come: memory holds a batch or two, whatever the range.

mod answer;
mod batch_id;
pub mod blocking;
mod client;
mod dead_letters;
mod delete;
mod error;
mod facts;
mod features;
pub mod feed;
mod ingest;
mod jobs;
#[cfg(unix)]
pub mod latest_table;
mod quality;
mod query;
mod retention;
mod retry;
mod stream;
mod tables;
mod transport;
mod when;

pub use answer::{DatasetInfo, IngestAnswer, RowError};
/// The version of Arrow whose record batches this client takes and gives.
pub use arrow;
pub use barrow_types::{PriceSide, Step, Timestamp};
pub use batch_id::random_batch_id;
pub use client::{ARROW_STREAM, Client};
pub use dead_letters::{DeadLetter, DeadLetterDetail, DeadLettersQuery, Replay};
pub use delete::DeleteKeys;
pub use error::{ClientError, Problem};
pub use features::{
    FeatureChanges, FeatureClass, FeatureGroup, FeatureGroupInfo, FeatureInfo, FeatureInput,
    FeatureLint, FeatureVersion, FeaturesAtQuery, FeaturesJoin, FeaturesQuery, FeaturesRange,
    LatestFeaturesQuery, LintReport, SessionMismatches, SymbolVerdict, VerifyReport,
};
pub use ingest::{IngestOptions, Stamp, arrow_body};
pub use jobs::{Job, JobRequest, JobState, JobsQuery};
pub use query::{BarsQuery, Format, LatestQuery, TicksQuery};
pub use retention::{Droppable, RaiseFloor, RetentionFloor};
pub use retry::{RETRIES_MAX, RETRY_AFTER_MAX};
pub use stream::{Batches, ByteStream};
pub use tables::{DatasetColumn, DatasetDescription, TableColumn, TableDefinition};
pub use transport::ClientBuilder;
pub use when::When;
