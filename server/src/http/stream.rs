//! Sends an answer while it is being read: a thread scans and encodes, a channel that holds a few
//! megabytes carries the parts to the connection. A failure after the first byte breaks the chunked
//! body off, so that a part of an answer never looks whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use barrow_engine::Error;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_stream::Stream;

use super::App;
use super::columns::{Layout, Piece};
use super::encode::{Encoder, Format, Trailer};
use super::error::{Code, Problem};
use super::time::Zone;
use crate::metrics::Metrics;

/// Bytes that wait for a slow reader; one part that is longer may wait alone.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Parts that wait for a slow reader.
const WAITING_PARTS_MAX: usize = 64;

/// Pieces of an answer, in order.
pub(crate) trait Pieces {
    /// What holds for all of them.
    fn layout(&self) -> &Layout;
    /// The next one, never empty; `None` at the end.
    fn next(&mut self) -> Result<Option<Piece>, Error>;
}

/// An answer that is ready to be sent.
pub(crate) struct Answer<P> {
    /// Its rows.
    pub(crate) pieces: P,
    /// What stands behind them.
    pub(crate) trailer: Trailer,
    /// What a person should know if there is not one row.
    pub(crate) if_empty: Option<String>,
    /// How it looks.
    pub(crate) format: Format,
    /// How its times look in text.
    pub(crate) zone: Zone,
}

/// A part of an answer, and the room it takes until the connection has taken it.
struct Part {
    bytes: Bytes,
    room: OwnedSemaphorePermit,
}

/// The bytes of an answer as they come; the last message is `None`. If the channel closes without
/// it, for whatever reason, the body ends with an error.
struct Bytestream {
    parts: mpsc::Receiver<Option<Part>>,
    ended: bool,
}

impl Stream for Bytestream {
    type Item = Result<Bytes, BrokenOff>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.parts.poll_recv(context).map(|message| match message {
            Some(Some(Part { bytes, room })) => {
                drop(room);
                Some(Ok(bytes))
            }
            Some(None) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(BrokenOff))
            }
        })
    }
}

/// The answer is not whole.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer was broken off")
    }
}

impl std::error::Error for BrokenOff {}

/// Runs `plan` on a query thread and sends what it answers.
///
/// # Errors
/// What `plan` answers, or the first piece cannot be read, or no thread becomes free in time.
pub(crate) async fn send<P: Pieces>(
    app: &Arc<App>,
    plan: impl FnOnce() -> Result<Answer<P>, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let permit = app.query_permit().await?;
    let deadline = Instant::now() + Duration::from_secs(app.config.http.query_seconds_max);
    let (head, head_ready) = oneshot::channel();
    let (sender, parts) = Sender::new(deadline, Arc::clone(&app.metrics));
    tokio::task::spawn_blocking(move || run(plan, sender, head, permit));
    // The thread drops `head` without a word only if it panics.
    let lost = |_| Problem::new(Code::Internal, "the query broke off");
    let Head { format, trailer } = head_ready.await.map_err(lost)??;
    let stream = Bytestream { parts, ended: false };
    Ok(response(Body::from_stream(stream), format, &trailer))
}

/// Sends what is short and ready.
///
/// # Errors
/// It cannot be encoded; that would be a fault of ours.
pub(crate) fn send_now<P: Pieces>(app: &App, answer: Answer<P>) -> Result<Response, Problem> {
    let Answer { mut pieces, mut trailer, if_empty, format, zone } = answer;
    let (mut encoder, mut bytes) =
        Encoder::start(format, pieces.layout(), zone).map_err(|error| internal(&error))?;
    let mut rows = 0;
    while let Some(piece) = pieces.next().map_err(|error| Problem::read(&error))? {
        rows += piece.rows.len();
        let mut take = |part: Vec<u8>| {
            bytes.extend(part);
            true
        };
        encoder.piece(piece, &mut take).map_err(|error| internal(&error))?;
    }
    if rows == 0 {
        trailer.warnings.extend(if_empty);
    }
    app.metrics.rows_read(rows);
    bytes.extend(encoder.finish(&trailer).map_err(|error| internal(&error))?);
    Ok(response(Body::from(bytes), format, &trailer))
}

fn response(body: Body, format: Format, trailer: &Trailer) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(HeaderName::from_static("barrow-sequence"), trailer.sequence.into());
    let cursor = trailer.cursor.as_deref();
    if let Some(cursor) = cursor.and_then(|cursor| HeaderValue::from_str(cursor).ok()) {
        headers.insert(HeaderName::from_static("barrow-cursor"), cursor);
    }
    append_warnings(headers, &trailer.warnings);
    response
}

/// Says in headers `barrow-warning` what a person should know.
pub(crate) fn append_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    for warning in warnings {
        // Names that are not ASCII cannot stand in a header; JSON answers hold them.
        if let Ok(warning) = HeaderValue::from_str(warning) {
            headers.append(HeaderName::from_static("barrow-warning"), warning);
        }
    }
}

struct Head {
    format: Format,
    trailer: Trailer,
}

struct Sender {
    metrics: Arc<Metrics>,
    parts: mpsc::Sender<Option<Part>>,
    room: Arc<Semaphore>,
    deadline: Instant,
    runtime: Handle,
}

impl Sender {
    /// One that gives up at `deadline`, and where its parts arrive.
    fn new(deadline: Instant, metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Option<Part>>) {
        let (sending, parts) = mpsc::channel(WAITING_PARTS_MAX);
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let runtime = Handle::current();
        (Self { metrics, parts: sending, room, deadline, runtime }, parts)
    }

    /// Returns whether the reader is still there and in time.
    fn send(&self, bytes: Vec<u8>) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let taken = u32::try_from(bytes.len().min(WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        self.in_time(async {
            // Whoever went away gives no room back: the channel tells.
            let room = tokio::select! {
                room = Arc::clone(&self.room).acquire_many_owned(taken) => room.ok(),
                () = self.parts.closed() => None,
            };
            let Some(room) = room else { return false };
            self.parts.send(Some(Part { bytes: bytes.into(), room })).await.is_ok()
        })
    }

    /// Says that the answer is whole.
    fn end(&self) -> bool {
        self.in_time(async { self.parts.send(None).await.is_ok() })
    }

    fn in_time(&self, sending: impl Future<Output = bool>) -> bool {
        self.runtime.block_on(timeout_at(self.deadline, sending)).unwrap_or(false)
    }
}

fn run<P: Pieces>(
    plan: impl FnOnce() -> Result<Answer<P>, Problem>,
    sender: Sender,
    head: oneshot::Sender<Result<Head, Problem>>,
    permit: OwnedSemaphorePermit,
) {
    let begun = plan().and_then(|answer| {
        let Answer { mut pieces, mut trailer, if_empty, format, zone } = answer;
        let (encoder, start) =
            Encoder::start(format, pieces.layout(), zone).map_err(|error| internal(&error))?;
        let first = pieces.next().map_err(|error| Problem::read(&error))?;
        if first.is_none() {
            trailer.warnings.extend(if_empty);
        }
        Ok((pieces, trailer, format, encoder, start, first))
    });
    let (mut pieces, trailer, format, encoder, start, first) = match begun {
        Ok(begun) => begun,
        Err(problem) => {
            // Whoever asked may be gone; then nobody wants the answer.
            let _ = head.send(Err(problem));
            return;
        }
    };
    if head.send(Ok(Head { format, trailer: trailer.clone() })).is_err() || !sender.send(start) {
        return;
    }
    if let Err(why) = send_rows(&mut pieces, first, encoder, &trailer, &sender) {
        tracing::warn!(why, "an answer was broken off");
    }
    drop(permit);
}

/// Sends everything behind the head, the end marker included.
fn send_rows<P: Pieces>(
    pieces: &mut P,
    first: Option<Piece>,
    mut encoder: Encoder,
    trailer: &Trailer,
    sender: &Sender,
) -> Result<(), String> {
    const GONE: &str = "the reader is gone, or slower than [http] query_seconds_max allows";
    let mut next = first;
    while let Some(piece) = next {
        sender.metrics.rows_read(piece.rows.len());
        let mut send = |part| sender.send(part);
        if !encoder.piece(piece, &mut send).map_err(|error| error.to_string())? {
            return Err(GONE.to_owned());
        }
        next = pieces.next().map_err(|error| error.to_string())?;
    }
    let end = encoder.finish(trailer).map_err(|error| error.to_string())?;
    if sender.send(end) && sender.end() { Ok(()) } else { Err(GONE.to_owned()) }
}

fn internal(error: &impl std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(messages: &[Option<&'static str>]) -> Result<String, axum::Error> {
        let (sender, parts) = mpsc::channel(8);
        let room = Arc::new(Semaphore::new(8));
        for message in messages {
            let room = Arc::clone(&room).acquire_owned().await.unwrap();
            let part = |text: &'static str| Part { bytes: text.into(), room };
            sender.send(message.map(part)).await.unwrap();
        }
        drop(sender);
        let body = Body::from_stream(Bytestream { parts, ended: false });
        let bytes = axum::body::to_bytes(body, usize::MAX).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn behind_a_reader_that_takes_nothing_a_few_megabytes_wait_and_no_more() {
        let deadline = Instant::now() + Duration::from_secs(3_600);
        let (sender, mut parts) = Sender::new(deadline, Arc::new(Metrics::new()));
        let sending = tokio::task::spawn_blocking(move || {
            (0..100).take_while(|_| sender.send(vec![0; 1 << 20])).count()
        });
        while parts.len() < 4 {
            tokio::task::yield_now().await;
        }
        // One is taken, so that one more finds room; then the reader goes away.
        assert_eq!(parts.recv().await.unwrap().unwrap().bytes.len(), 1 << 20);
        while parts.len() < 4 {
            tokio::task::yield_now().await;
        }
        drop(parts);
        assert_eq!(sending.await.unwrap(), 5);
        // A part that is longer than all the room there is waits alone.
        let (sender, mut parts) = Sender::new(deadline, Arc::new(Metrics::new()));
        let sent = tokio::task::spawn_blocking(move || sender.send(vec![0; 10 << 20]));
        assert_eq!(parts.recv().await.unwrap().unwrap().bytes.len(), 10 << 20);
        assert!(sent.await.unwrap());
    }

    #[tokio::test]
    async fn an_answer_without_its_end_marker_is_an_error_and_never_looks_whole() {
        assert_eq!(collected(&[Some("a"), Some("b"), None]).await.unwrap(), "ab");
        assert_eq!(collected(&[None]).await.unwrap(), "");
        assert!(collected(&[Some("a"), Some("b")]).await.is_err());
        assert!(collected(&[]).await.is_err());
    }
}
