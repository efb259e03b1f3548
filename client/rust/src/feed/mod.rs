//! The feature feed: the latest rows of features, and news of them, over TCP or a Unix socket.
//!
//! [`Feed`] asks, one question after the other. [`Feed::subscribe`] turns it into a
//! [`Subscription`], which is told of new rows; questions meanwhile want a second `Feed`.
//! [`blocking`] has the same for programs without an async runtime. Nothing connects anew by
//! itself: what a program has to decide then, it should see.
//!
//! ```no_run
//! # async fn example() -> Result<(), barrow_client::feed::FeedError> {
//! use barrow_client::feed::{Event, Feed, FeedOptions, RowSet, Which, Wanted};
//!
//! let options = FeedOptions::default();
//! let mut feed = Feed::tcp("127.0.0.1:8481", &options).await?;
//! let groups = feed.resolve(&["demo"], &["SPY", "AAPL"]).await?;
//! let group = &groups[0];
//! let symbols: Vec<u32> = group.symbols.iter().filter_map(|symbol| symbol.index).collect();
//! let mut rows = RowSet::default();
//! feed.latest(group, Which::Newest, &symbols, &mut rows).await?;
//! for row in rows.iter().flatten() {
//!     assert_eq!(row.len(), group.features.len());
//! }
//!
//! let mut news = feed.subscribe(group, &Wanted::of(&symbols)).await?;
//! while let Some(event) = news.next().await? {
//!     match event {
//!         Event::Update { symbol, row, .. } => assert!(row.head().ts > 0 && symbol < u32::MAX),
//!         // Some rows were left out: ask for the latest ones.
//!         Event::Resync { .. } => break,
//!     }
//! }
//! // To come back and miss nothing: `Wanted::of(&symbols).after(token)`.
//! let token = news.token();
//! # let _ = token;
//! # Ok(())
//! # }
//! ```
//!
//! # Resuming
//!
//! A [`ResumeToken`] says up to where a subscription was told. With [`Wanted::after`] the server
//! goes on right behind it, if it still keeps what came since (else the first event is a
//! [`Event::Resync`]; after a restart of the server it always is). Handles and numbers of symbols
//! hold until the server's end: after it came back ([`Server::epoch`]), resolve names anew.
//!
//! # Dropping a call
//!
//! A call that is dropped while it waits (a timeout around it) does no harm: its answer is left
//! out when it comes. One that is dropped while it sends leaves a connection that says so.

pub mod blocking;
mod connection;
mod error;
mod rows;
mod types;
mod wire;

pub use barrow_protocol::frame::{Absence, ErrorCode, Limits, Mode, ResyncReason, Token, Which};
pub use barrow_protocol::{Row, RowFlags, RowHead, RowLayout};
pub use connection::{Feed, Subscription};
pub use error::FeedError;
pub use rows::RowSet;
pub use types::{Event, FeedOptions, Group, ResumeToken, Server, Symbol, Wanted};
