//! Where a page ended: an opaque text that continues the same query over the same snapshot.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! |  0 | 1 | `version` | 1 |
//! |  1 | 8 | `query` | XXH3-64 of the query; another query refuses the cursor |
//! |  9 | 8 | `sequence` | the snapshot's sequence: later rows do not show |
//! | 17 | 4 | `symbol` | place of the symbol in the query's list |
//! | 21 | 8 | `ts` | stored `ts` of the last row that was sent |
//! | 29 | 4 | `sent` | rows of that symbol and `ts` that were sent |
//!
//! Integers are little-endian; the whole is base64url without padding. It is not signed: whoever
//! changes it sees nothing that a query would not show.

use barrow_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const VERSION: u8 = 1;
const QUERY_AT: usize = 1;
const SEQUENCE_AT: usize = QUERY_AT + 8;
const SYMBOL_AT: usize = SEQUENCE_AT + 8;
const TS_AT: usize = SYMBOL_AT + 4;
const SENT_AT: usize = TS_AT + 8;
const LEN: usize = SENT_AT + 4;
const _: () = assert!(LEN == 33, "the table above says 33");

/// Where in an answer a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Place of the symbol in the query's list.
    pub(crate) symbol: u32,
    /// Stored `ts` of the last row.
    pub(crate) ts: Timestamp,
    /// Rows of that symbol and `ts` sent so far.
    pub(crate) sent: u32,
}

/// A position in the answer to one query at one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Hash of the query.
    pub(crate) query: u64,
    /// The snapshot's sequence.
    pub(crate) sequence: u64,
    /// Where the page ended.
    pub(crate) position: Position,
}

impl Cursor {
    /// The text for users.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(VERSION);
        bytes.extend(self.query.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.position.symbol.to_le_bytes());
        bytes.extend(self.position.ts.nanos().to_le_bytes());
        bytes.extend(self.position.sent.to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sequence of the cursor that `text` is, whatever its query; `None` if it is none.
    pub(crate) fn sequence_of(text: &str) -> Option<u64> {
        bytes_of(text).map(|bytes| u64::from_le_bytes(field(&bytes, SEQUENCE_AT)))
    }

    /// The cursor that `text` is.
    ///
    /// # Errors
    /// It is none, or belongs to a query other than `query`.
    pub(crate) fn decode(text: &str, query: u64) -> Result<Self, &'static str> {
        const NONE: &str = "is not a cursor of this server";
        let bytes = bytes_of(text).ok_or(NONE)?;
        let cursor = Self {
            query: u64::from_le_bytes(field(&bytes, QUERY_AT)),
            sequence: u64::from_le_bytes(field(&bytes, SEQUENCE_AT)),
            position: Position {
                symbol: u32::from_le_bytes(field(&bytes, SYMBOL_AT)),
                ts: Timestamp::from_nanos(i64::from_le_bytes(field(&bytes, TS_AT))),
                sent: u32::from_le_bytes(field(&bytes, SENT_AT)),
            },
        };
        if cursor.query == query {
            Ok(cursor)
        } else {
            Err("belongs to another query: repeat the query as it was, with the cursor")
        }
    }
}

fn bytes_of(text: &str) -> Option<[u8; LEN]> {
    let bytes: [u8; LEN] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    (bytes[0] == VERSION).then_some(bytes)
}

fn field<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("invariant: N bytes are N bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_for_its_own_query_only(
            query: u64, sequence: u64, symbol: u32, ts: i64, sent: u32, other: u64,
        ) {
            let position = Position { symbol, ts: Timestamp::from_nanos(ts), sent };
            let cursor = Cursor { query, sequence, position };
            let text = cursor.encode();
            prop_assert_eq!(Cursor::decode(&text, query), Ok(cursor));
            prop_assert_eq!(Cursor::decode(&text, other).is_ok(), other == query);
        }

        #[test]
        fn no_text_makes_decoding_panic(text: String) {
            prop_assert!(Cursor::decode(&text, 0).is_err());
        }
    }
}
