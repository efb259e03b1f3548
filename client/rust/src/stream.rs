//! Answers as they come in: bytes, or Arrow batches decoded from them. Memory holds one chunk.

use std::collections::VecDeque;

use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::error::ClientError;

/// The body of an answer, chunk by chunk.
#[derive(Debug)]
pub struct ByteStream {
    response: reqwest::Response,
    doing: String,
}

impl ByteStream {
    pub(crate) fn new(response: reqwest::Response, doing: &str) -> Self {
        Self { response, doing: doing.to_owned() }
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] if the server broke off: what came so far is not the whole answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.response.chunk().await.map_err(|error| {
            let detail = format!("the answer broke off and is not complete: {error}");
            ClientError::protocol(&self.doing, detail)
        })
    }

    /// The token of the state that was asked.
    pub fn sequence(&self) -> Option<&str> {
        self.texts("barrow-sequence").next()
    }

    /// Where the next page begins, if the answer stopped at its limit.
    pub fn cursor(&self) -> Option<&str> {
        self.texts("barrow-cursor").next()
    }

    /// What a person should know about the answer: a symbol nobody has delivered, a name that
    /// meant another instrument.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.texts("barrow-warning")
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.response.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }
}

/// The record batches of an answer, as they come in.
pub struct Batches {
    bytes: ByteStream,
    decoder: StreamDecoder,
    rest: Buffer,
    ready: VecDeque<RecordBatch>,
    ended: bool,
}

impl Batches {
    pub(crate) fn new(bytes: ByteStream) -> Self {
        Self {
            bytes,
            decoder: StreamDecoder::new(),
            rest: Buffer::default(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] if the answer broke off or is not Arrow.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.bytes.next().await? {
                Some(chunk) => self.decode(chunk)?,
                None => {
                    self.ended = true;
                    self.decoder.finish().map_err(|error| self.broken(&error))?;
                }
            }
        }
    }

    /// All of them. For answers that are known to fit in memory.
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

    fn decode(&mut self, chunk: Bytes) -> Result<(), ClientError> {
        self.rest = Buffer::from(chunk);
        while !self.rest.is_empty() {
            match self.decoder.decode(&mut self.rest) {
                Ok(Some(batch)) if batch.num_rows() > 0 => self.ready.push_back(batch),
                Ok(_) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Ok(())
    }

    fn broken(&self, error: &arrow::error::ArrowError) -> ClientError {
        let detail = format!("the answer is not a whole Arrow stream: {error}");
        ClientError::protocol(&self.bytes.doing, detail)
    }
}
