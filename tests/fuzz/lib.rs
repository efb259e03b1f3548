//! What fuzz targets share: the shape of their input, and what must hold of an answer.

use std::ops::Range;

use barrow_engine::column::VECTOR_LEN;
use barrow_engine::rows::Column;
use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// Bytes said to be a column chunk, and what is asked of them.
#[derive(Arbitrary, Debug)]
pub struct ChunkInput<'a> {
    rows: u16,
    start: u16,
    end: u16,
    /// Which type, or which of the four prices.
    pub choice: u8,
    /// Whether `bytes` are a single vector, rather than all of a chunk.
    is_vector: bool,
    bytes: &'a [u8],
}

impl ChunkInput<'_> {
    /// How many rows the chunk is said to hold.
    pub fn rows(&self) -> usize {
        let max = if self.is_vector { VECTOR_LEN } else { 4 * VECTOR_LEN };
        usize::from(self.rows) % (max + 1)
    }

    /// Which rows are asked for; within the rows.
    pub fn range(&self) -> Range<usize> {
        let [a, b] = [self.start, self.end].map(|at| usize::from(at) % (self.rows() + 1));
        a.min(b)..a.max(b)
    }

    /// The chunk. A single vector gets a right header, so that the search need not find one.
    pub fn chunk(&self, form: u8, kind: u8) -> Vec<u8> {
        let mut chunk = Vec::new();
        if self.is_vector {
            let end = u32::try_from(self.bytes.len()).expect("inputs are small");
            chunk.extend_from_slice(&[form, kind, 1, 0]);
            chunk.extend_from_slice(&end.to_le_bytes());
        }
        chunk.extend_from_slice(self.bytes);
        chunk
    }
}

/// Panics unless both columns hold the same bits.
pub fn assert_same(a: &Column, b: &Column) {
    assert_eq!(a.len(), b.len());
    assert!((0..a.len()).all(|row| a.same(row, b, row)), "{a:?} came back as {b:?}");
}
