//! Answers as they come in: bytes, or Arrow batches decoded from them. Memory holds one chunk of
//! the body and the batches that end in it.
//!
//! An answer is whole or an error, never short: its length must be told by HTTP (a body that only
//! ends with its connection is refused), the connection must carry all of it, and an Arrow stream
//! must reach its own end mark, which a server that failed on the way does not write.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures_core::Stream;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};

use crate::error::ClientError;

type Chunks = dyn Stream<Item = Result<Bytes, reqwest::Error>> + Send + Sync;

/// The body of an answer, chunk by chunk, and what its head says.
pub struct ByteStream {
    headers: HeaderMap,
    chunks: Pin<Box<Chunks>>,
    doing: String,
}

impl ByteStream {
    pub(crate) fn new(response: reqwest::Response, doing: &str) -> Result<Self, ClientError> {
        let headers = response.headers();
        if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
            let detail = "the answer does not tell how long it is, so that a short one would look \
                          whole; is there a proxy between?";
            return Err(ClientError::decode(doing, detail));
        }
        let headers = headers.clone();
        Ok(Self { headers, chunks: Box::pin(response.bytes_stream()), doing: doing.to_owned() })
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Interrupted`] if the server broke off: what came so far is not the whole
    /// answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        poll_fn(|context| self.poll_chunk(context)).await.transpose()
    }

    fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ClientError>>> {
        let chunk = ready!(self.chunks.as_mut().poll_next(context));
        let doing = &self.doing;
        Poll::Ready(chunk.map(|chunk| chunk.map_err(|e| ClientError::broken_off(doing, &e))))
    }

    /// All of it, for answers that are known to be small.
    pub(crate) async fn whole(mut self) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The token of the state that was asked, for
    /// [`BarsQuery::at_sequence`](crate::BarsQuery::at_sequence).
    pub fn sequence(&self) -> Option<&str> {
        self.texts("barrow-sequence").next()
    }

    /// Where the next page begins, if the answer stopped at its limit; for
    /// [`BarsQuery::cursor`](crate::BarsQuery::cursor).
    pub fn cursor(&self) -> Option<&str> {
        self.texts("barrow-cursor").next()
    }

    /// What a person should know about the answer: a symbol nobody has delivered, a name that
    /// meant another instrument.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.texts("barrow-warning")
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// What stands behind the last message of an Arrow stream.
const END_MARK: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

/// The record batches of an answer, as they come in. Call [`Batches::next`], or use it as a
/// [`Stream`] of results.
pub struct Batches {
    bytes: ByteStream,
    decoder: StreamDecoder,
    ready: VecDeque<RecordBatch>,
    /// The last bytes that came.
    tail: [u8; END_MARK.len()],
    ended: bool,
}

impl Batches {
    pub(crate) fn new(bytes: ByteStream) -> Self {
        Self {
            bytes,
            decoder: StreamDecoder::new(),
            ready: VecDeque::new(),
            tail: [0; END_MARK.len()],
            ended: false,
        }
    }

    /// The next batch, never empty; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Interrupted`] if the answer broke off, [`ClientError::Decode`] if it is not a
    /// whole Arrow stream. What came before is not the whole answer then; nothing comes after.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        poll_fn(|context| self.poll_batch(context)).await.transpose()
    }

    /// All of them, for answers that are known to fit in memory.
    ///
    /// # Errors
    /// As [`Batches::next`].
    pub async fn all(mut self) -> Result<Vec<RecordBatch>, ClientError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    /// The answer's head: sequence, cursor, warnings.
    pub fn head(&self) -> &ByteStream {
        &self.bytes
    }

    /// The columns, once the first batch or the end has come.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    fn poll_batch(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<RecordBatch, ClientError>>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let came = match ready!(self.bytes.poll_chunk(context)) {
                Some(Ok(chunk)) => self.decode(chunk),
                Some(Err(error)) => Err(error),
                None => {
                    self.ended = true;
                    self.check_end()
                }
            };
            if let Err(error) = came {
                self.ended = true;
                self.ready.clear();
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn decode(&mut self, chunk: Bytes) -> Result<(), ClientError> {
        self.keep_tail(&chunk);
        let mut rest = Buffer::from(chunk);
        while !rest.is_empty() {
            match self.decoder.decode(&mut rest) {
                Ok(Some(batch)) if batch.num_rows() > 0 => self.ready.push_back(batch),
                Ok(_) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Ok(())
    }

    fn keep_tail(&mut self, chunk: &[u8]) {
        let new = chunk.len().min(END_MARK.len());
        self.tail.rotate_left(new);
        self.tail[END_MARK.len() - new..].copy_from_slice(&chunk[chunk.len() - new..]);
    }

    /// The decoder alone would take an end between two messages for the end of the stream.
    fn check_end(&mut self) -> Result<(), ClientError> {
        self.decoder.finish().map_err(|error| self.broken(&error))?;
        if self.tail != END_MARK {
            return Err(self.broken(&"its end mark is missing"));
        }
        Ok(())
    }

    fn broken(&self, fault: &dyn fmt::Display) -> ClientError {
        let detail = format!("the answer is not a whole Arrow stream: {fault}");
        ClientError::decode(&self.bytes.doing, detail)
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_batch(context)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("head", &self.bytes).finish_non_exhaustive()
    }
}
