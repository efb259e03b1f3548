//! Bytes of one client, in and out, within their bounds and times.
//!
//! One task a client. It reads while little waits to be sent, answers what is whole, adds updates
//! while there is room, and sends. When a client does not take what waits for it, nothing more is
//! read from it or made for it; when that lasts, it is closed.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use barrow_protocol::frame::{ErrorCode, HEADER_LEN, HELLO_LEN_MAX, Header, Reply};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::at;
use super::session::{Next, Session, put, put_row};
use crate::http::App;

/// Room for requests; more is made when one is longer.
const INPUT_BYTES: usize = 4 << 10;

/// Room for requests that is kept for the next one.
const INPUT_KEPT_MAX: usize = 64 << 10;

/// Room for what waits to be sent that is kept for the next time.
const OUTPUT_KEPT_MAX: usize = 256 << 10;

/// How long a client may take to go.
const END_TIME: Duration = Duration::from_secs(1);

/// Serves a client until it goes, or has to.
pub(super) async fn serve<R, W>(
    app: &Arc<App>,
    mut reader: R,
    mut writer: W,
    mut stop: watch::Receiver<bool>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let feed = &app.config.feed;
    let backlog = usize::try_from(feed.backlog_bytes_max).unwrap_or(usize::MAX);
    let write_time = Duration::from_secs(feed.write_seconds_max);
    let mut session = Session::new(app);
    let mut input = Input::default();
    let mut output = Output::default();
    let mut news = app.live.ring().watch();
    let mut waiting: Option<Waiting<'_>> = None;
    let mut deadline = pin!(sleep(Duration::from_secs(feed.hello_seconds_max)));
    // Whether all was sent when the client was last looked at, and whether it took some since.
    let (mut was_sent, mut took) = (true, false);
    let mut is_going = *stop.borrow();
    let mut is_closing = is_going;
    if is_going {
        put(&Reply::Going, 0, &mut output.bytes);
    }
    loop {
        let (mut taken, mut made) = (0, 0);
        while !is_closing && waiting.is_none() && output.len() < backlog {
            let len_max = if session.is_known() { feed.request_bytes_max } else { HELLO_LEN_MAX };
            let (header, body) = match input.frame(len_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err((code, text)) => {
                    session.error(0, code, &text, &mut output.bytes);
                    is_closing = true;
                    break;
                }
            };
            taken += 1;
            made += 1;
            match session.take(header, body, &mut output.bytes) {
                Next::Go => {}
                Next::Close => is_closing = true,
                Next::Wait(asked) => {
                    waiting = Some(Box::pin(async move {
                        let row = at::row(app, &asked).await;
                        (asked, row)
                    }));
                }
            }
            input.consume(header.frame_len());
        }
        if !is_closing && session.is_subscribed() {
            let room = output.bytes.len() + backlog.saturating_sub(output.len());
            made += session.pump(&mut output.bytes, room);
        }
        app.metrics.feed_frames(taken, made);
        let was_full = output.len() >= backlog;
        match output.write_now(&mut writer).await {
            Ok(written) => {
                app.metrics.feed_written(written);
                took |= written > 0;
            }
            Err(error) => {
                tracing::debug!(%error, "a client of the feed is gone");
                return;
            }
        }
        if was_full && output.len() < backlog {
            continue;
        }
        let is_sent = output.len() == 0;
        if is_closing && is_sent && waiting.is_none() {
            if !is_going {
                end(reader, writer).await;
            }
            return;
        }
        if !is_sent && (was_sent || took) {
            deadline.as_mut().reset(Instant::now() + write_time);
        }
        (was_sent, took) = (is_sent, false);
        let has_room = !is_closing && output.len() < backlog;
        let may_read = has_room && waiting.is_none();
        tokio::select! {
            biased;
            _ = stop.changed(), if !is_closing => {
                put(&Reply::Going, 0, &mut output.bytes);
                (is_going, is_closing) = (true, true);
                waiting = None;
            }
            written = writer.write(output.rest()), if !is_sent => match written {
                Ok(written) if written > 0 => {
                    output.sent(written);
                    app.metrics.feed_written(written);
                    took = true;
                }
                _ => return,
            },
            read = input.read(&mut reader), if may_read => match read {
                // A client that has said all it wants still gets its answers.
                Ok(0) => is_closing = true,
                Ok(_) => {}
                Err(_) => return,
            },
            (asked, row) = answered(&mut waiting), if waiting.is_some() => {
                waiting = None;
                match row {
                    Ok(row) => put_row(&asked, row.as_deref(), &mut output.bytes),
                    Err((code, text)) => {
                        session.error(asked.request, code, &text, &mut output.bytes);
                    }
                }
            }
            _ = news.changed(), if session.is_subscribed() && has_room => {}
            () = &mut deadline, if !session.is_known() || !is_sent => {
                if !is_sent {
                    app.metrics.feed_error(ErrorCode::Timeout.name());
                    tracing::debug!("a client of the feed did not read, and was closed");
                    return;
                }
                let text = "no hello came in time";
                session.error(0, ErrorCode::Timeout, text, &mut output.bytes);
                is_closing = true;
            }
        }
    }
}

/// Tells the client that nothing follows, and takes what it still says: if the system had to throw
/// that away, it would throw away what was sent, too.
async fn end(mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
    let taking = async {
        writer.shutdown().await?;
        let mut bytes = [0; 1 << 10];
        while reader.read(&mut bytes).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    // Who does not go by itself is left.
    let _ = tokio::time::timeout(END_TIME, taking).await;
}

/// What a client is told instead of an answer.
type Told = (ErrorCode, String);

type Answer = (at::Asked, Result<Option<Vec<u64>>, Told>);
type Waiting<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

async fn answered(waiting: &mut Option<Waiting<'_>>) -> Answer {
    match waiting {
        Some(waiting) => waiting.await,
        None => std::future::pending().await,
    }
}

/// What came and was not answered.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// The first frame, if it is whole; makes room for it if it is not.
    fn frame(&mut self, len_max: u32) -> Result<Option<(Header, &[u8])>, Told> {
        let found = &self.bytes[self.start..self.end];
        let header = match Header::read(found) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(fault) => return Err((ErrorCode::Malformed, fault.to_string())),
        };
        if header.len > len_max {
            let text = format!("a frame of {} bytes, more than {len_max}", header.len);
            return Err((ErrorCode::TooLarge, text));
        }
        if self.end - self.start < header.frame_len() {
            self.move_down();
            if self.bytes.len() < header.frame_len() {
                self.bytes.resize(header.frame_len(), 0);
            }
            return Ok(None);
        }
        let body = &self.bytes[self.start + HEADER_LEN..self.start + header.frame_len()];
        Ok(Some((header, body)))
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > INPUT_KEPT_MAX {
                self.bytes = vec![0; INPUT_BYTES];
            }
        }
    }

    fn move_down(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// Reads more; 0 at the end.
    async fn read(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; INPUT_BYTES];
        }
        if self.end == self.bytes.len() {
            // What is left is less than a frame, so something before it was consumed.
            self.move_down();
        }
        let read = reader.read(&mut self.bytes[self.end..]).await?;
        self.end += read;
        Ok(read)
    }
}

/// What was made and not sent.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    start: usize,
}

impl Output {
    const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn sent(&mut self, len: usize) {
        self.start += len;
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            self.bytes.shrink_to(OUTPUT_KEPT_MAX);
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Sends as much as the socket takes at once.
    async fn write_now(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
        let mut all = 0;
        while self.len() > 0 {
            let write = |cx: &mut std::task::Context<'_>| {
                Poll::Ready(Pin::new(&mut *writer).poll_write(cx, self.rest()))
            };
            match poll_fn(write).await {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.sent(written);
                    all += written;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(all)
    }
}
