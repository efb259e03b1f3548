//! Connections: taken up to a bound, given little time for their requests' heads, and brought to
//! an end when the server stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::App;
use crate::metrics::Refusal;

/// Pause after the system would not give a connection, most likely for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Largest head of a request, and what is read ahead of a body.
const HEAD_BYTES_MAX: usize = 256 << 10;

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\
    content-length: 157\r\n\
    \r\n\
    {\"type\":\"urn:barrow:problem:busy\",\"title\":\"Too much at once\",\"status\":503,\
    \"detail\":\"all connections are in use; close one or try again later\",\"code\":\"busy\"}\n";

/// Serves `router` until `stop` is told or dropped; then finishes the requests that were accepted,
/// for at most `[server] shutdown_seconds`. Returns whether all of them finished.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    app: Arc<App>,
    mut stop: oneshot::Receiver<()>,
) -> bool {
    let http = &app.config.http;
    let header_time = Duration::from_secs(http.header_seconds_max);
    let connections_max = usize::try_from(http.connections_max).unwrap_or(usize::MAX);
    let slots = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            app.metrics.refused(Refusal::Connections);
            refuse(&stream).await;
            continue;
        };
        // Answers are small or large, never a trickle: waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set_nodelay");
        }
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_time)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(slot);
        });
    }
    drop(listener);
    let time_max = Duration::from_secs(app.config.server.shutdown_seconds);
    let finished = tokio::time::timeout(time_max, graceful.shutdown()).await.is_ok();
    connections.shutdown().await;
    finished
}

async fn pause_after(error: &io::Error) {
    let of_the_peer =
        matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !of_the_peer {
        tracing::warn!(%error, "no connection could be taken");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn refuse(stream: &TcpStream) {
    // As much as fits into the socket's buffer, which is all of it; a peer that is gone misses it.
    if stream.writable().await.is_ok() {
        let _ = stream.try_write(REFUSAL);
    }
}

#[cfg(test)]
mod tests {
    use super::REFUSAL;

    #[test]
    fn the_refusal_says_its_true_length() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["status"], 503);
    }
}
