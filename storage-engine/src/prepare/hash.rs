//! The fingerprint of a batch's content: what makes a repeated batch id a repetition. Of rows of a
//! user's table it is of the values that are there, so that the same rows are the same content when
//! the table has got more columns meanwhile, or one was widened.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use crate::batch::{Act, Batch, KnownAt, Symbols};
use crate::bytes::u32_len;
use crate::rows::{Column, Values};

use super::tables::EXACT_MAX;

/// Bytes that are hashed at a time.
const WORDS_BYTES: usize = 4_096;

/// XXH3-128 of all that the sender chose but the id: the same rows sent in another format are the
/// same content.
pub(super) fn content(batch: &Batch) -> [u8; 16] {
    let mut hash = Xxh3::new();
    let mut word = |value: u64| hash.update(&value.to_le_bytes());
    word(u64::from(batch.dataset.get()));
    word(u64::from(batch.step.code()));
    word(u64::from(batch.side.code()));
    word(u64::from(batch.act == Act::Retract));
    match batch.known_at_policy {
        KnownAt::Ingest => word(0),
        KnownAt::TsEnd(delay) => {
            word(1);
            word(delay.get().cast_unsigned());
        }
    }
    text(&mut hash, &batch.source);
    if let Some(facts) = &batch.facts {
        text(&mut hash, &facts.session);
        text(&mut hash, &facts.align);
    }
    hash.update(&(batch.claims.len() as u64).to_le_bytes());
    for claim in &batch.claims {
        text(&mut hash, &claim.symbol);
        text(&mut hash, claim.origin.name());
        hash.update(&claim.start.nanos().to_le_bytes());
        hash.update(&claim.end.nanos().to_le_bytes());
    }
    symbols(&mut hash, &batch.symbols);
    column(&mut hash, &batch.ts, i64::cast_unsigned);
    let stated = batch.known_at.as_ref().filter(|known_at| known_at.has_values());
    hash.update(&[u8::from(stated.is_some())]);
    if let Some(given) = stated {
        column(&mut hash, given, i64::cast_unsigned);
    }
    let is_table = batch.dataset.is_table();
    for (place, given) in batch.columns.iter().enumerate() {
        if !is_table {
            column(&mut hash, given, i64::cast_unsigned);
        } else if given.has_values() {
            hash.update(&(place as u64).to_le_bytes());
            column(&mut hash, given, as_double);
        }
    }
    for refused in &batch.refused {
        hash.update(&refused.row.to_le_bytes());
        text(&mut hash, &refused.raw);
        if let Some((symbol, ts)) = &refused.key {
            text(&mut hash, symbol);
            hash.update(&ts.to_le_bytes());
        }
    }
    hash.digest128().to_le_bytes()
}

/// As 32 hexadecimal digits.
pub(crate) fn text_of(hash: [u8; 16]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(hash: &mut Xxh3, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// Names in order of first appearance, and for each row the place of its name in that order: the
/// same whatever dictionary the sender used.
fn symbols(hash: &mut Xxh3, symbols: &Symbols) {
    let mut order: BTreeMap<Option<&str>, u32> = BTreeMap::new();
    let mut known: Vec<Option<u32>> = vec![None; symbols.names.len() + 1];
    let mut words = Words::new(hash);
    for &at in &symbols.of_row {
        let at = (at as usize).min(symbols.names.len());
        let place = *known[at].get_or_insert_with(|| {
            let next = u32_len(order.len());
            *order.entry(symbols.names.get(at).map(String::as_str)).or_insert(next)
        });
        words.put(u64::from(place));
    }
    words.flush();
    let mut names: Vec<(u32, Option<&str>)> = order.into_iter().map(|(n, at)| (at, n)).collect();
    names.sort_unstable();
    for (_, name) in names {
        hash.update(&[u8::from(name.is_some())]);
        text(hash, name.unwrap_or_default());
    }
}

/// A whole number as the double that it becomes when its column is widened, if there is one.
fn as_double(number: i64) -> u64 {
    if number.unsigned_abs() > EXACT_MAX {
        return number.cast_unsigned();
    }
    #[expect(clippy::cast_precision_loss, reason = "larger ones are left as they are")]
    let double = number as f64;
    double.to_bits()
}

fn column(hash: &mut Xxh3, column: &Column, number: impl Fn(i64) -> u64) {
    let nulls = column.validity.as_ref().filter(|bits| bits.count() < bits.len());
    hash.update(&[u8::from(nulls.is_some())]);
    if let Some(bits) = nulls {
        hash.update(bits.bytes());
    }
    let valid = |at: usize| nulls.is_none_or(|bits| bits.get(at));
    match (&column.values, nulls) {
        (Values::F64(values), None) => words(hash, values, |value| value.to_bits()),
        (Values::I64(values), None) => words(hash, values, number),
        (Values::F64(values), Some(_)) => {
            let mut words = Words::new(hash);
            let bits = values.iter().map(|value| value.to_bits()).enumerate();
            bits.for_each(|(at, bits)| words.put(if valid(at) { bits } else { 0 }));
            words.flush();
        }
        (Values::I64(values), Some(_)) => {
            let mut words = Words::new(hash);
            let bits = values.iter().map(|value| number(*value)).enumerate();
            bits.for_each(|(at, bits)| words.put(if valid(at) { bits } else { 0 }));
            words.flush();
        }
        (Values::Text(texts), _) => {
            let texts = texts.iter().enumerate();
            texts.for_each(|(at, value)| text(hash, if valid(at) { value } else { "" }));
        }
    }
}

/// Adds 8 bytes a value, many at a time.
fn words<T: Copy>(hash: &mut Xxh3, values: &[T], bits: impl Fn(T) -> u64) {
    let mut bytes = [0; WORDS_BYTES];
    for values in values.chunks(WORDS_BYTES / 8) {
        for (word, value) in bytes.chunks_exact_mut(8).zip(values) {
            word.copy_from_slice(&bits(*value).to_le_bytes());
        }
        hash.update(&bytes[..values.len() * 8]);
    }
}

/// Gathers words, because the hash is fast only over long stretches.
struct Words<'a> {
    hash: &'a mut Xxh3,
    bytes: Vec<u8>,
}

impl<'a> Words<'a> {
    fn new(hash: &'a mut Xxh3) -> Self {
        Self { hash, bytes: Vec::with_capacity(WORDS_BYTES) }
    }

    fn put(&mut self, word: u64) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
        if self.bytes.len() == WORDS_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.hash.update(&self.bytes);
        self.bytes.clear();
    }
}
