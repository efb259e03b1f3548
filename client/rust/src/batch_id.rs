//! Names of batches: what makes sending rows again safe.
//!
//! A server stores a batch id once. The same id with the same rows is answered as the first time
//! was (`repeated: true`), and nothing is stored; with other rows it is a conflict. So a request
//! with an id may be sent again after a failure, whether or not the first one arrived, and this
//! client sends none without one. Where the caller chooses no id there are two ways:
//!
//! - **A random id for each call**, kept over its repetitions: the default. Two calls are two
//!   batches, even with the same rows: a live feed may well deliver a trade twice and mean two.
//! - **An id from the content** and the name of a stream, see
//!   [`IngestOptions::content_id`](crate::IngestOptions::content_id): a program that
//!   starts again from the beginning stores nothing twice.
//!
//! A content id says "these rows of this stream are stored once and for all". That is right for
//! files and archives. It is wrong where the same rows may be meant twice: a value that was
//! corrected and is corrected back comes with the rows, and so the id, of the first time, and
//! would be taken for a repetition. It covers the bytes that are sent: the same rows cut into
//! other batches, or sent by another version of this crate, have another id. For bars that does
//! no harm (equal rows are duplicates); for trades and quotes, which are not matched row by row,
//! derive an id from what you read, such as a file's name and offset.

use std::fmt::Write as _;

use xxhash_rust::xxh3::Xxh3;

use crate::error::ClientError;

/// A batch id that nobody else has: `client-` and 32 hexadecimal digits. For callers who want to
/// repeat a whole call after an error: give it to
/// [`IngestOptions::batch_id`](crate::IngestOptions::batch_id) and keep it.
///
/// # Errors
/// [`ClientError::Invalid`] if the operating system has no random bytes to give.
pub fn random_batch_id() -> Result<String, ClientError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        ClientError::Invalid(format!("make a batch id: no random bytes: {error}"))
    })?;
    let mut id = "client-".to_owned();
    for byte in bytes {
        write!(id, "{byte:02x}").expect("invariant: writing to a String succeeds");
    }
    Ok(id)
}

/// The id of a body with these parameters in this stream.
pub(crate) fn of_content(stream: &str, parameters: &[(&str, String)], body: &[u8]) -> String {
    let mut hasher = Xxh3::new();
    // Lengths keep one text from running into the next.
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(stream.as_bytes());
    for (name, value) in parameters {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(body);
    format!("content-{:032x}", hasher.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_differ_and_look_alike() {
        let (one, other) = (random_batch_id().unwrap(), random_batch_id().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), &one[..7]), (39, "client-"));
    }

    #[test]
    fn a_content_id_differs_as_soon_as_anything_does() {
        let of = |stream: &str, name: &'static str, value: &str, body: &[u8]| {
            of_content(stream, &[(name, value.to_owned())], body)
        };
        let ids = [
            of("s", "source", "a", b"rows"),
            of("t", "source", "a", b"rows"),
            of("s", "symbol", "a", b"rows"),
            of("s", "source", "b", b"rows"),
            of("s", "source", "a", b"rowz"),
            of("ss", "ource", "a", b"rows"),
            of_content("s", &[], b"rows"),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}: {id}");
        }
        assert_eq!(of("s", "source", "a", b"rows"), ids[0], "and never by itself");
    }
}
