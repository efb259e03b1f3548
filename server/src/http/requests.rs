//! A log line for each request, if `[log] requests` wants them: written when the last byte of the
//! answer is on its way, at level info.
//!
//! | field | says |
//! |---|---|
//! | `method`, `path` | what was asked for, without the query |
//! | `status` | of the answer |
//! | `duration_ms` | from the head of the request to the end of the answer |
//! | `bytes` | of the answer's body, as far as the connection took it |
//! | `complete` | false if the answer broke off, or the client did |
//! | `request_id` | the client's `x-request-id`, or a new one; the answer has it as its own header |

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::random;

/// Names a request, to whoever sent it and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name that is taken from a client, in bytes.
const REQUEST_ID_LEN_MAX: usize = 128;

/// Answers a request, and logs it in the end.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let request_id = request_id(&request);
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, request_id.clone());
    let status = response.status().as_u16();
    let line = Line { method, path, status, request_id, start, bytes: 0, has_ended: false };
    response.map(|body| Body::new(Logged { body, line }))
}

/// What the client calls its request, if that is fit for a log, or a new name.
fn request_id(request: &Request) -> HeaderValue {
    let is_fit = |id: &&HeaderValue| {
        (1..=REQUEST_ID_LEN_MAX).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let own = request.headers().get(REQUEST_ID).filter(is_fit).cloned();
    own.unwrap_or_else(|| {
        // Without randomness the line is still worth having.
        let new = random::request_id().unwrap_or_default();
        HeaderValue::from_str(&new).expect("invariant: digits are fit for a header")
    })
}

/// What is said of a request.
struct Line {
    method: Method,
    path: String,
    status: u16,
    request_id: HeaderValue,
    start: Instant,
    bytes: u64,
    has_ended: bool,
}

/// The body of an answer on its way out. hyper drops it when nothing more is to be sent.
struct Logged {
    body: Body,
    line: Line,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                self.line.bytes += len as u64;
            }
            Poll::Ready(None) => self.line.has_ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let Line { method, path, status, request_id, start, bytes, has_ended } = &self.line;
        // The answer to a HEAD has a body that nobody asks for.
        let complete = *has_ended || self.body.is_end_stream() || *method == Method::HEAD;
        let duration_ms = start.elapsed().as_secs_f64() * 1e3;
        let request_id = request_id.to_str().unwrap_or_default();
        tracing::info!(%method, path, status, duration_ms, bytes, complete, request_id, "request");
    }
}
