//! The compact Thrift protocol, as far as Parquet's own headers are written in it: read in place,
//! nothing is allocated, and nothing claims more than there are bytes.
//!
//! A struct is fields until a zero byte. A field is a byte, its kind in the low half and in the
//! high half how much its id is above the last one's (0: the id follows). Numbers are zigzag
//! varints, texts a varint of their length and their bytes, a list is a byte with its elements'
//! kind and their count (15: the count follows), then the elements.

/// What a field or an element is.
pub(super) type Kind = u8;

const TRUE: Kind = 1;
const FALSE: Kind = 2;
const BYTE: Kind = 3;
const I16: Kind = 4;
const I32: Kind = 5;
const I64: Kind = 6;
const DOUBLE: Kind = 7;
const BINARY: Kind = 8;
const LIST: Kind = 9;
const SET: Kind = 10;
/// A struct.
pub(super) const STRUCT: Kind = 12;

/// How deep structs and lists stand in each other, at most; Parquet needs about six.
const DEEP_MAX: u32 = 16;
/// Elements of a list inside another value, at most.
const ELEMENTS_MAX: usize = 65_536;

/// Bytes on their way through a reader.
pub(super) struct Thrift<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Thrift<'b> {
    /// From the first of `bytes` on.
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) const fn read_len(&self) -> usize {
        self.at
    }

    /// The next field of a struct, id and kind; `None` at its end. `last` is the id before, 0 at
    /// the start.
    pub(super) fn field(&mut self, last: &mut i64) -> Result<Option<(i64, Kind)>, String> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let step = i64::from(head >> 4);
        *last = if step == 0 { self.number()? } else { last.saturating_add(step) };
        Ok(Some((*last, head & 0xF)))
    }

    /// A whole number.
    pub(super) fn number(&mut self) -> Result<i64, String> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// A field of that kind as a whole number.
    pub(super) fn number_of(&mut self, kind: Kind) -> Result<i64, String> {
        match kind {
            I16 | I32 | I64 => self.number(),
            _ => Err("a number is something else".to_owned()),
        }
    }

    /// Passes over a field of that kind; a list has at most `elements_max` elements.
    pub(super) fn skip(&mut self, kind: Kind, elements_max: usize) -> Result<(), String> {
        self.skip_deep(kind, elements_max, DEEP_MAX)
    }

    fn skip_deep(&mut self, kind: Kind, elements_max: usize, deep: u32) -> Result<(), String> {
        let deeper = deep.checked_sub(1).ok_or("it nests too deep")?;
        match kind {
            TRUE | FALSE => {}
            BYTE => _ = self.byte()?,
            I16 | I32 | I64 => _ = self.varint()?,
            DOUBLE => _ = self.take(8)?,
            BINARY => {
                let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                self.take(len)?;
            }
            LIST | SET => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => usize::try_from(self.varint()?).unwrap_or(usize::MAX),
                    count => count.into(),
                };
                if count > elements_max {
                    return Err(format!("a list has {count} elements, above {elements_max}"));
                }
                let kind = match head & 0xF {
                    // In a list they are a byte each.
                    TRUE | FALSE => BYTE,
                    kind => kind,
                };
                for _ in 0..count {
                    self.skip_deep(kind, ELEMENTS_MAX, deeper)?;
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_deep(kind, ELEMENTS_MAX, deeper)?;
                }
            }
            _ => return Err(format!("a value is of kind {kind}, which Parquet does not use")),
        }
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], String> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("it is cut off")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number has too many bytes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_struct_is_read_field_by_field() {
        // 1: i32 -3; 3: binary "ab"; 20: list of two structs {1: true}; 21: i64 300.
        let bytes = [0x15, 5, 0x28, 2, b'a', b'b', 0x09, 40, 0x2C, 0x11, 0, 0x11, 0, 0x16];
        let bytes = [&bytes[..], &[0xD8, 4, 0]].concat();
        let mut thrift = Thrift::new(&bytes);
        let mut last = 0;
        assert_eq!(thrift.field(&mut last), Ok(Some((1, I32))));
        assert_eq!(thrift.number(), Ok(-3));
        for (id, kind) in [(3, BINARY), (20, LIST)] {
            assert_eq!(thrift.field(&mut last), Ok(Some((id, kind))));
            thrift.skip(kind, 2).unwrap();
        }
        assert_eq!(thrift.field(&mut last), Ok(Some((21, I64))));
        assert_eq!(thrift.number_of(I64), Ok(300));
        assert_eq!(thrift.field(&mut last), Ok(None));
        assert_eq!(thrift.read_len(), bytes.len());
    }

    #[test]
    fn lists_longer_than_allowed_and_deep_nests_are_refused() {
        let mut many = Thrift::new(&[0xF3, 0xFF, 0xFF, 0xFF, 0xFF, 7]);
        assert!(many.skip(LIST, 100).unwrap_err().contains("above 100"));
        let deep = [0x19; 1_000];
        assert!(Thrift::new(&deep).skip(LIST, 100).unwrap_err().contains("deep"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_past_their_end(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut thrift = Thrift::new(&bytes);
            let _ = thrift.skip(STRUCT, 10);
            prop_assert!(thrift.read_len() <= bytes.len());
        }
    }
}
