//! Request bodies: taken in under a bound, decompressed under a bound, and all of them together
//! under a bound. What is counted is bytes that came, not what a header claims.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::error::{Code, Problem};
use crate::metrics::{Metrics, Refusal};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// It says something else, or two things.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match value.to_str().unwrap_or_default().trim() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            other => {
                let detail = format!("Content-Encoding: '{other}' is neither gzip nor zstd");
                Err(Problem::new(Code::UnsupportedMediaType, detail).about("Content-Encoding"))
            }
        }
    }
}

/// The memory that all request bodies may take together.
pub(crate) struct Budget {
    bytes_max: u64,
    bytes_held: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Budget {
    /// Room for `bytes_max`.
    pub(crate) fn new(bytes_max: u64, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { bytes_max, bytes_held: AtomicU64::new(0), metrics })
    }

    fn hold(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes that one body takes out of the budget; given back when dropped.
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Held {
    fn add(&mut self, bytes: u64) -> Result<(), Problem> {
        // Relaxed: the counter guards no other memory.
        let before = self.budget.bytes_held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before.saturating_add(bytes) <= self.budget.bytes_max {
            return Ok(());
        }
        self.budget.metrics.refused(Refusal::Bodies);
        let detail = "request bodies take too much memory at the moment; nothing was stored";
        Err(Problem::new(Code::Busy, detail))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.bytes_held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body as it was sent.
pub(crate) struct Sent {
    bytes: Vec<u8>,
    encoding: Encoding,
    held: Held,
}

/// A body after decompression.
pub(crate) struct Decoded {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _held: Held,
}

/// Takes in a body of at most `bytes_max`.
///
/// # Errors
/// `Content-Length` or the bytes themselves are above the bound, the body does not arrive within
/// `time_max`, or the budget is spent.
pub(crate) async fn take(
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: u64,
    time_max: Duration,
    budget: &Arc<Budget>,
) -> Result<Sent, Problem> {
    let encoding = Encoding::of(headers)?;
    let claimed = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if claimed.is_some_and(|claimed| claimed > bytes_max) {
        return Err(too_large("body_bytes_max", bytes_max));
    }
    let mut held = budget.hold();
    let mut bytes = Vec::new();
    let arrive = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Problem::new(Code::InvalidBody, format!("the body broke off: {error}"))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            held.add(data.len() as u64)?;
            if bytes.len() as u64 + data.len() as u64 > bytes_max {
                return Err(too_large("body_bytes_max", bytes_max));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    let late = |_| Problem::new(Code::Timeout, "the body did not arrive in time");
    timeout(time_max, arrive).await.map_err(late)??;
    Ok(Sent { bytes, encoding, held })
}

fn too_large(setting: &str, bytes_max: u64) -> Problem {
    let detail = format!(
        "the body is larger than {bytes_max} bytes ([http] {setting}); send it in several requests"
    );
    Problem::new(Code::TooLarge, detail).about("body")
}

impl Sent {
    /// Decompresses into at most `bytes_max`. Blocks.
    ///
    /// # Errors
    /// The bytes are not what `Content-Encoding` says, or become too many, or the budget is spent.
    pub(crate) fn decode(self, bytes_max: u64) -> Result<Decoded, Problem> {
        let Self { bytes, encoding, mut held } = self;
        let bytes = match encoding {
            Encoding::Identity => bytes,
            Encoding::Gzip => {
                inflate(flate2::bufread::MultiGzDecoder::new(&bytes[..]), bytes_max, &mut held)?
            }
            Encoding::Zstd => {
                let mut reader = zstd::stream::read::Decoder::with_buffer(&bytes[..])
                    .map_err(|error| damaged(&error))?;
                reader.window_log_max(WINDOW_LOG_MAX).map_err(|error| damaged(&error))?;
                inflate(reader, bytes_max, &mut held)?
            }
        };
        Ok(Decoded { bytes: bytes.into(), _held: held })
    }
}

/// Largest zstd window, as a power of two: 128 MiB, which `zstd` itself takes without being asked.
const WINDOW_LOG_MAX: u32 = 27;
/// Bytes decompressed between two looks at the bounds.
const STEP_BYTES: u64 = 1 << 20;

fn inflate(mut reader: impl Read, bytes_max: u64, held: &mut Held) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    loop {
        let found = reader.by_ref().take(STEP_BYTES).read_to_end(&mut bytes);
        let found = found.map_err(|error| damaged(&error))? as u64;
        if found == 0 {
            return Ok(bytes);
        }
        held.add(found)?;
        if bytes.len() as u64 > bytes_max {
            return Err(too_large("body_decoded_bytes_max", bytes_max));
        }
    }
}

fn damaged(error: &std::io::Error) -> Problem {
    let detail = format!("the body is not what Content-Encoding says: {error}");
    Problem::new(Code::InvalidBody, detail).about("Content-Encoding")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;

    use super::*;

    fn budget(bytes_max: u64) -> Arc<Budget> {
        Budget::new(bytes_max, Arc::new(Metrics::new()))
    }

    fn sent(bytes: Vec<u8>, encoding: Encoding) -> Sent {
        Sent { bytes, encoding, held: budget(u64::MAX).hold() }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_bodies_come_out_as_they_were() {
        let text = b"ts,open\n".repeat(1_000);
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (bytes, encoding) in [
            (text.clone(), Encoding::Identity),
            (gzip(&text), Encoding::Gzip),
            ([gzip(&text[..500]), gzip(&text[500..])].concat(), Encoding::Gzip),
            (zstd, Encoding::Zstd),
        ] {
            let decoded = sent(bytes, encoding).decode(1 << 20).ok().unwrap();
            assert_eq!(decoded.bytes, text, "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound_and_not_after_it() {
        let zeros = vec![0; 64 << 20];
        for (bytes, encoding) in [
            (gzip(&zeros), Encoding::Gzip),
            (zstd::encode_all(&zeros[..], 1).unwrap(), Encoding::Zstd),
        ] {
            let problem = sent(bytes, encoding).decode(1 << 20).err().unwrap();
            assert_eq!(problem.code, Code::TooLarge, "{encoding:?}");
        }
    }

    #[test]
    fn damaged_compression_is_the_senders_fault() {
        let whole = gzip(b"hello");
        for (bytes, encoding) in [
            (b"hello".to_vec(), Encoding::Gzip),
            (b"hello".to_vec(), Encoding::Zstd),
            (whole[..whole.len() - 3].to_vec(), Encoding::Gzip),
        ] {
            let problem = sent(bytes, encoding).decode(1 << 20).err().unwrap();
            assert_eq!(problem.code, Code::InvalidBody, "{encoding:?}");
        }
    }

    #[test]
    fn a_spent_budget_refuses_and_is_given_back() {
        let budget = budget(100);
        let mut first = budget.hold();
        first.add(90).unwrap();
        let mut second = budget.hold();
        assert_eq!(second.add(20).unwrap_err().code, Code::Busy);
        drop((first, second));
        budget.hold().add(100).unwrap();
    }
}
