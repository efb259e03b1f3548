//! The texts of a column, in one buffer.

use std::ops::Range;

/// Texts one after the other: text `i` is `bytes[ends[i - 1]..ends[i]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Texts {
    /// No texts.
    pub const fn new() -> Self {
        Self { ends: Vec::new(), bytes: Vec::new() }
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a text at the end.
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        let end = u32::try_from(self.bytes.len());
        self.ends.push(end.expect("invariant: a batch is far below 4 GiB"));
    }

    /// The texts that end at `ends` of `bytes`; `None` if they do not make texts.
    pub fn from_parts(ends: Vec<u32>, bytes: Vec<u8>) -> Option<Self> {
        let all = std::str::from_utf8(&bytes).ok()?;
        let whole = ends.iter().all(|&end| all.is_char_boundary(end as usize));
        let in_order = ends.is_sorted() && ends.last().map_or(0, |&end| end as usize) == all.len();
        (whole && in_order).then_some(Self { ends, bytes })
    }

    /// Where each text ends among [`Self::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// All texts, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds the texts of `range` of `other` at the end.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let start = other.start(range.start);
        let end = other.start(range.end);
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes[start..end]);
        let moved = |end: u32| crate::bytes::u32_len(end as usize - start + offset);
        self.ends.extend(other.ends[range].iter().map(|&end| moved(end)));
    }

    /// Where the text of row `at` begins, or would, if it is one past the last.
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] as usize }
    }

    /// The text of row `at`.
    pub fn get(&self, at: usize) -> &str {
        let bytes = &self.bytes[self.start(at)..self.ends[at] as usize];
        std::str::from_utf8(bytes).expect("invariant: only whole texts are pushed")
    }

    /// Every text in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<T: IntoIterator<Item = &'a str>>(texts: T) -> Self {
        let mut all = Self::new();
        for text in texts {
            all.push(text);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_texts_is_added_as_if_one_by_one() {
        let texts: Texts = ["a", "", "\u{e4}b", "c"].into_iter().collect();
        let mut all: Texts = ["x"].into_iter().collect();
        all.extend_from(&texts, 1..3);
        all.extend_from(&texts, 4..4);
        assert_eq!(all.iter().collect::<Vec<_>>(), ["x", "", "\u{e4}b"]);
        let parts = Texts::from_parts(all.ends().to_vec(), all.bytes().to_vec());
        assert_eq!(parts, Some(all));
    }

    #[test]
    fn parts_that_are_no_texts_are_refused() {
        let bytes = "\u{e4}b".as_bytes().to_vec();
        for ends in [&[1, 3][..], &[3, 2], &[2], &[2, 4], &[], &[4, 3]] {
            assert_eq!(Texts::from_parts(ends.to_vec(), bytes.clone()), None, "{ends:?}");
        }
        assert!(Texts::from_parts(vec![2, 2, 3], bytes).is_some());
        assert!(Texts::from_parts(vec![0, 0], Vec::new()).is_some());
    }
}
