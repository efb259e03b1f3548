//! Little-endian integers and texts in and out of byte buffers; every format is built of these.

use crate::column::Damaged;

/// Appends fields to a buffer.
pub(crate) trait Put {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// Two bytes.
    fn put_u16(&mut self, value: u16);
    /// Four bytes.
    fn put_u32(&mut self, value: u32);
    /// Eight bytes.
    fn put_u64(&mut self, value: u64);
    /// Eight bytes, two's complement.
    fn put_i64(&mut self, value: i64);
    /// Four bytes of length, then UTF-8.
    fn put_text(&mut self, text: &str);
    /// Zero bytes up to the next multiple of `alignment`.
    fn pad_to(&mut self, alignment: usize);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_text(&mut self, text: &str) {
        self.put_u32(u32_len(text.len()));
        self.extend_from_slice(text.as_bytes());
    }

    fn pad_to(&mut self, alignment: usize) {
        self.resize(self.len().next_multiple_of(alignment), 0);
    }
}

/// A length that a format holds in four bytes.
pub(crate) fn u32_len(len: usize) -> u32 {
    u32::try_from(len).expect("invariant: lengths in formats are bounded far below 4 GiB")
}

/// A length or place read from a format, as memory has it.
pub(crate) fn usize_from(value: u64) -> Result<usize, Damaged> {
    usize::try_from(value).map_err(|_| Damaged("a length is larger than memory"))
}

/// Takes fields from the front of a buffer; never reads past its end, never panics.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Damaged("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("invariant: exactly N bytes were taken"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Damaged> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damaged> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Damaged> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Damaged> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        let len = self.u32()? as usize;
        let bytes = self.bytes(len)?;
        std::str::from_utf8(bytes).map_err(|_| Damaged("a text is not UTF-8"))
    }

    /// How many items of at least `item_len` bytes can still follow; refuses a count above it, so
    /// that no allocation is larger than the bytes that are there.
    pub(crate) fn count(&mut self, item_len: usize) -> Result<usize, Damaged> {
        let count = self.u32()? as usize;
        if count > self.len() / item_len.max(1) {
            return Err(Damaged("a count is larger than the bytes that follow"));
        }
        Ok(count)
    }

    /// Zero bytes.
    pub(crate) fn zeros(&mut self, len: usize) -> Result<(), Damaged> {
        if self.bytes(len)?.iter().any(|&byte| byte != 0) {
            return Err(Damaged("padding is not zero"));
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<(), Damaged> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damaged("bytes follow the end")) }
    }
}
