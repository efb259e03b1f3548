//! The feature feed: binary frames over TCP and a Unix socket. `docs/PROTOCOL.md` says what they
//! are, [`barrow_protocol::frame`] reads and writes them.
//!
//! | file | holds |
//! |---|---|
//! | `listen.rs` | the sockets |
//! | `connection.rs` | bytes of one client, in and out, within their bounds and times |
//! | `session.rs` | what a client asks and is answered; knows no socket |
//! | `at.rs` | the row of an instant |
//!
//! A client is never waited for: its bytes wait up to a bound, then it is behind, then it is told
//! to begin anew.

mod at;
mod connection;
mod listen;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub(crate) use self::listen::{BindError, Listeners};
use crate::http::App;
use crate::metrics::Refusal;

/// Pause after the system would not give a connection, most likely for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long clients may take the rest of what waits for them when the server stops.
const GOING_SECONDS_MAX: Duration = Duration::from_secs(2);

/// Serves clients until `stop` says so or its other end is dropped; tells them that it is going.
pub(crate) async fn serve(listeners: Listeners, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let connections_max = usize::try_from(app.config.feed.connections_max).unwrap_or(usize::MAX);
    let slots = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            _ = stop.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "the feed could not take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            app.metrics.refused(Refusal::FeedConnections);
            stream.refuse();
            continue;
        };
        let (app, stop) = (Arc::clone(&app), stop.clone());
        connections.spawn(async move {
            app.metrics.feed_connections(1);
            stream.serve(&app, stop).await;
            app.metrics.feed_connections(-1);
            drop(slot);
        });
    }
    drop(listeners);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GOING_SECONDS_MAX, all).await.is_err() {
        connections.shutdown().await;
    }
}
