//! A vector of texts: each with its length, or few distinct ones and codes.
//!
//! | at | size | field      | meaning                                             |
//! |---:|-----:|------------|-----------------------------------------------------|
//! |  0 |    1 | `encoding` | 8 dictionary, 9 raw: see [`Encoding`]               |
//! |  1 |      | `body`     | one of the two below                                |
//!
//! Raw:
//!
//! | size          | field     | meaning                                          |
//! |--------------:|-----------|--------------------------------------------------|
//! |               | `lengths` | n lengths in bytes, in [`super::packed`]         |
//! | their sum     | `bytes`   | the texts one after the other, UTF-8             |
//!
//! Dictionary:
//!
//! | size          | field         | meaning                                      |
//! |--------------:|---------------|----------------------------------------------|
//! | 1–2           | `entry_count` | number, 1 to n                               |
//! |               | `entries`     | the distinct texts, written raw              |
//! | ⌈n × w / 8⌉   | `codes`       | each row's place among them, in w bits       |
//!
//! w is the bits of `entry_count - 1`. A text in a dictionary has at most 256 bytes: so the rows
//! asked for bound the memory that a reader needs, whatever the bytes say. Damage: a longer one,
//! a text that is not UTF-8, a code that is no place.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bits::{self, packed_len};
use super::encoding::Encoding;
use super::number::{self, Reader};
use super::{Damaged, VECTOR_LEN, dictionary, packed};

/// Longest text in a dictionary, in bytes.
pub(super) const ENTRY_LEN_MAX: usize = 256;

/// Appends the vector of `texts`.
pub(super) fn encode(texts: &[&str], out: &mut Vec<u8>) {
    if let Some((entries, codes)) = distinct(texts) {
        let codes_len = packed_len(texts.len(), dictionary::code_width(entries.len()));
        let entries_len = number::len(entries.len() as u64) + raw_len(&entries);
        if entries_len + codes_len < raw_len(texts) {
            out.push(Encoding::TextDictionary.code());
            number::put_count(entries.len(), out);
            encode_raw(&entries, out);
            return bits::pack(&codes, dictionary::code_width(entries.len()), out);
        }
    }
    out.push(Encoding::TextRaw.code());
    encode_raw(texts, out);
}

/// The distinct texts in order of appearance and each row's place among them; `None` if one is
/// too long.
fn distinct<'a>(texts: &[&'a str]) -> Option<(Vec<&'a str>, Vec<u64>)> {
    let mut entries = Vec::new();
    let mut places = BTreeMap::new();
    let mut codes = Vec::with_capacity(texts.len());
    for &text in texts {
        if text.len() > ENTRY_LEN_MAX {
            return None;
        }
        codes.push(*places.entry(text).or_insert_with(|| {
            entries.push(text);
            entries.len() as u64 - 1
        }));
    }
    Some((entries, codes))
}

fn lengths<'a>(texts: &[&str], buffer: &'a mut [i64; VECTOR_LEN]) -> &'a [i64] {
    for (length, text) in buffer.iter_mut().zip(texts) {
        *length = i64::try_from(text.len()).expect("invariant: memory is smaller than 2^63");
    }
    &buffer[..texts.len()]
}

fn raw_len(texts: &[&str]) -> usize {
    let bytes_len: usize = texts.iter().map(|text| text.len()).sum();
    packed::plan(lengths(texts, &mut [0; VECTOR_LEN])).len + bytes_len
}

fn encode_raw(texts: &[&str], out: &mut Vec<u8>) {
    let mut buffer = [0; VECTOR_LEN];
    let lengths = lengths(texts, &mut buffer);
    packed::encode(lengths, &packed::plan(lengths), out);
    texts.iter().for_each(|text| out.extend_from_slice(text.as_bytes()));
}

/// Some texts inside one: text `i` is `text[ends[i - 1]..ends[i]]`.
struct RawTexts<'a> {
    ends: [usize; VECTOR_LEN],
    text: &'a str,
}

impl<'a> RawTexts<'a> {
    fn take(reader: &mut Reader<'a>, count: usize, len_max: usize) -> Result<Self, Damaged> {
        let mut buffer = [0; VECTOR_LEN];
        packed::decode(reader, &mut buffer[..count])?;
        let mut ends = [0; VECTOR_LEN];
        let mut end = 0_usize;
        for (to, &length) in ends.iter_mut().zip(&buffer[..count]) {
            let length = usize::try_from(length).ok().filter(|&length| length <= len_max);
            end = length
                .and_then(|length| end.checked_add(length))
                .ok_or(Damaged("a text has an impossible length"))?;
            *to = end;
        }
        let text =
            std::str::from_utf8(reader.take(end)?).map_err(|_| Damaged("a text is not UTF-8"))?;
        let is_whole = ends[..count].iter().all(|&end| text.is_char_boundary(end));
        if is_whole { Ok(Self { ends, text }) } else { Err(Damaged("a text is not UTF-8")) }
    }

    fn get(&self, at: usize) -> &'a str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }
}

/// The texts of the rows `wanted` of a vector of `count` texts.
pub(super) fn decode<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    wanted: Range<usize>,
) -> Result<Vec<&'a str>, Damaged> {
    match Encoding::from_code(reader.byte()?)? {
        Encoding::TextRaw => {
            let texts = RawTexts::take(reader, count, usize::MAX)?;
            Ok(wanted.map(|at| texts.get(at)).collect())
        }
        Encoding::TextDictionary => {
            let entry_count = reader.count(count)?;
            let entries = RawTexts::take(reader, entry_count, ENTRY_LEN_MAX)?;
            let mut buffer = [0; VECTOR_LEN];
            let codes = &mut buffer[..count];
            dictionary::take_codes(reader, entry_count, codes)?;
            Ok(codes[wanted].iter().map(|&code| entries.get(code as usize)).collect())
        }
        _ => Err(Damaged("texts have an encoding of another type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(texts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(texts, &mut out);
        out
    }

    fn decoded(bytes: &[u8], count: usize) -> Result<Vec<&str>, Damaged> {
        decode(&mut Reader::new(bytes), count, 0..count)
    }

    #[test]
    fn golden_bytes() {
        // Lengths 1, 0, 2 packed in 2 bits: 0b10_00_01.
        assert_eq!(encoded(&["a", "", "é"]), b"\x09\x02\0\0\x01\x21a\xC3\xA9");
        // Two entries of length 4, packed in no bits; codes 0, 0, 1, 0 in a bit each.
        let texts = ["NYSE", "NYSE", "ARCA", "NYSE"];
        assert_eq!(encoded(&texts), b"\x08\x02\0\0\x08\x01NYSEARCA\x04");
    }

    #[test]
    fn a_text_of_any_length_comes_back() {
        let long = "é".repeat(40_000);
        let texts = [long.as_str(), "", long.as_str()];
        assert_eq!(decoded(&encoded(&texts), 3).unwrap(), texts);
    }

    #[test]
    fn damage_is_refused() {
        for bytes in [
            b"\x09\x00\0\x02\x01\xFF\xFF".as_slice(), // not UTF-8
            b"\x09\x00\0\x02\x01\xC3\xA9",            // cut inside a letter
            b"\x09\x00\0\x01\x01ab",                  // length -1
            b"\x09\x00\0\x04\x01abc",                 // cut off
            b"\x08\x03\x00\0\x02\x01abc",             // more entries than rows
            b"\x01\x00",                              // numbers
        ] {
            assert!(decoded(bytes, 2).is_err(), "{bytes:?}");
        }
        assert_eq!(decoded(b"\x09\x00\0\x02\x01ab", 2).unwrap(), ["a", "b"]);
    }
}
