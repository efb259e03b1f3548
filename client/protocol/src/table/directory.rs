//! Names in a table: of the group, its version, its features and its symbols.

use barrow_types::NAME_LEN_MAX;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{SYMBOL_WORDS, TableSpec};
use super::symbol::LINE_WORDS;
use crate::sync::{AtomicU64, Ordering};

const WORD_BYTES: usize = size_of::<u64>();

/// How many words the names take.
pub(super) fn names_words(spec: &TableSpec) -> usize {
    let words = |name: &String| 1 + name.len().div_ceil(WORD_BYTES);
    let total: usize = names(spec).map(words).sum();
    total.next_multiple_of(LINE_WORDS)
}

fn names(spec: &TableSpec) -> impl Iterator<Item = &String> {
    [&spec.group, &spec.version].into_iter().chain(&spec.features)
}

/// The words of the names.
pub(super) fn encode_names(spec: &TableSpec) -> Vec<u64> {
    let mut words = Vec::with_capacity(names_words(spec));
    for name in names(spec) {
        words.push(name.len() as u64);
        words.extend(name.as_bytes().chunks(WORD_BYTES).map(word_of));
    }
    words.resize(names_words(spec), 0);
    words
}

/// What tells tables of different shape or meaning apart: the hash of the capacity,
/// the number of features and the names.
pub(super) fn layout_id(spec: &TableSpec) -> u64 {
    let numbers = [spec.capacity as u64, spec.features.len() as u64];
    let words = numbers.into_iter().chain(encode_names(spec));
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    xxh3_64(&bytes)
}

/// Reads names one after the other.
#[derive(Debug)]
pub(super) struct Names<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Names<'a> {
    pub(super) const fn new(words: &'a [AtomicU64]) -> Self {
        Self { words }
    }

    /// The next name; `None` if there is none, or it is no text.
    pub(super) fn next(&mut self) -> Option<String> {
        let (len, rest) = self.words.split_first()?;
        let len = usize::try_from(len.load(Ordering::Relaxed)).ok()?;
        if len > NAME_LEN_MAX {
            return None;
        }
        let (words, rest) = rest.split_at_checked(len.div_ceil(WORD_BYTES))?;
        self.words = rest;
        let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        String::from_utf8(bytes.take(len).collect()).ok()
    }
}

/// The words of a symbol's name; at most [`NAME_LEN_MAX`] bytes.
pub(super) fn encode_symbol(name: &str) -> [u64; SYMBOL_WORDS] {
    let mut words = [0; SYMBOL_WORDS];
    for (word, bytes) in words.iter_mut().zip(name.as_bytes().chunks(WORD_BYTES)) {
        *word = word_of(bytes);
    }
    words
}

/// The bytes of a symbol's name and their number.
pub(super) fn decode_symbol(words: &[AtomicU64]) -> ([u8; NAME_LEN_MAX], usize) {
    let mut name = [0; NAME_LEN_MAX];
    for (bytes, word) in name.chunks_exact_mut(WORD_BYTES).zip(words) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LEN_MAX);
    (name, len)
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD_BYTES];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
