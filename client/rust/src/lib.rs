//! The client of a Barrow server: rows in as Arrow, ranges out as Arrow, CSV or JSON.
//!
//! [`Client`] holds one server's address and a pool of connections; it is cheap to clone. A
//! request that stores something is tried again only where its `batch_id` makes that safe.
//!
//! ```no_run
//! # async fn example() -> Result<(), barrow_client::ClientError> {
//! use barrow_client::{BarsQuery, Client};
//!
//! let client = Client::new("http://127.0.0.1:8480")?;
//! let query = BarsQuery {
//!     symbols: vec!["SPY".into()],
//!     frequency: "1m".into(),
//!     layer: Some("raw".into()),
//!     ..BarsQuery::default()
//! };
//! let mut batches = client.bars(&query).await?;
//! while let Some(batch) = batches.next().await? {
//!     assert!(batch.num_rows() > 0);
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod client;
mod error;
mod ingest;
mod query;
mod retry;
mod stream;

pub use answer::{DeadLetter, Health, IngestAnswer, RowError};
pub use client::Client;
pub use error::{ClientError, Problem};
pub use ingest::IngestOptions;
pub use query::{BarsQuery, DeleteKeys, Format};
pub use retry::RETRIES_MAX;
pub use stream::{Batches, ByteStream};
