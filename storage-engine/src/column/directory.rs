//! Parts one after the other, with the place where each ends in front of them.
//!
//! | at | size | field | meaning |
//! |---:|-----:|-------|---------|
//! | 0 | 4 × n | `ends` | where each of the n parts ends, from the first part's first byte |
//! | 4 × n | | `parts` | the parts; none is empty; the last one ends with the bytes |
//!
//! Little-endian. `n` is known to the reader. Ends that do not rise, or a last end that is not the
//! last byte's, are damage.

use super::Damaged;

const END_LEN: usize = size_of::<u32>();
const _: () = assert!(END_LEN == 4, "the table above says 4");

/// Appends a directory and its `count` parts; `part` appends one, at least a byte.
pub(super) fn write(count: usize, out: &mut Vec<u8>, mut part: impl FnMut(usize, &mut Vec<u8>)) {
    let ends_at = out.len();
    let parts_at = ends_at + count * END_LEN;
    out.resize(parts_at, 0);
    for index in 0..count {
        part(index, out);
        let end = u32::try_from(out.len() - parts_at);
        let end = end.expect("invariant: the columns of a batch are far below 4 GiB");
        out[ends_at + index * END_LEN..][..END_LEN].copy_from_slice(&end.to_le_bytes());
    }
}

/// Parts of which each can be reached by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory<'a> {
    ends: &'a [[u8; END_LEN]],
    parts: &'a [u8],
}

impl<'a> Directory<'a> {
    /// Reads the directory of `count` parts and checks it.
    pub(super) fn parse(bytes: &'a [u8], count: usize) -> Result<Self, Damaged> {
        let split = count.checked_mul(END_LEN).and_then(|len| bytes.split_at_checked(len));
        let (ends, parts) = split.ok_or(Damaged("the directory is cut off"))?;
        let directory = Self { ends: ends.as_chunks().0, parts };
        let mut last = 0;
        for index in 0..count {
            let end = directory.end(index);
            if end <= last {
                return Err(Damaged("the ends in the directory do not rise"));
            }
            last = end;
        }
        if last != parts.len() {
            return Err(Damaged("the last end in the directory is not the end of the bytes"));
        }
        Ok(directory)
    }

    fn end(&self, index: usize) -> usize {
        u32::from_le_bytes(self.ends[index]) as usize
    }

    /// Part `index`.
    pub(super) fn part(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        &self.parts[start..self.end(index)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut out = b"before".to_vec();
        write(2, &mut out, |index, out| out.extend_from_slice([b"ab".as_slice(), b"c"][index]));
        assert_eq!(out, b"before\x02\0\0\0\x03\0\0\0abc");
        let directory = Directory::parse(&out[6..], 2).unwrap();
        assert_eq!((directory.part(0), directory.part(1)), (b"ab".as_slice(), b"c".as_slice()));
    }

    #[test]
    fn ends_that_cannot_be_are_damage() {
        for bytes in [
            b"\x02\0\0\0\x03\0\0\0ab".as_slice(), // beyond the bytes
            b"\x02\0\0\0\x03\0\0\0abcd",          // bytes beyond the end
            b"\x02\0\0\0\x02\0\0\0ab",            // an empty part
            b"\x03\0\0\0\x02\0\0\0abc",           // falling
            b"\x02\0\0\0\x03\0\0",                // cut off
        ] {
            assert!(Directory::parse(bytes, 2).is_err(), "{bytes:?}");
        }
        assert!(Directory::parse(b"", 0).is_ok());
        assert!(Directory::parse(b"a", 0).is_err());
        assert!(Directory::parse(b"", usize::MAX).is_err());
    }
}
