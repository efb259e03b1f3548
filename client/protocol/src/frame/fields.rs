//! Numbers, texts and lists of them in a body.

use std::fmt;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub(crate) &'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Fault {}

/// Takes fields off the front of a body.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Fault("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Fault("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        let len = self.u16()?;
        let bytes = self.bytes(len.into())?;
        std::str::from_utf8(bytes).map_err(|_| Fault("a text is not UTF-8"))
    }

    /// So many texts, all of them read once.
    pub(super) fn texts(&mut self, count: u32) -> Result<Texts<'a>, Fault> {
        let all = self.rest;
        for _ in 0..count {
            self.text()?;
        }
        let len = all.len() - self.rest.len();
        Ok(Texts { bytes: &all[..len], count })
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// # Errors
    /// Something is left.
    pub(super) fn end(self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault("bytes follow its last field")) }
    }
}

/// Writes a text.
///
/// # Errors
/// It is longer than a text can be.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), Fault> {
    let len = u16::try_from(text.len()).map_err(|_| Fault("a text is longer than 65,535 bytes"))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Texts in a body.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> Texts<'a> {
    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Their lengths and bytes.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let mut rest = self.bytes;
        // They were read when the body was.
        std::iter::from_fn(move || {
            let mut fields = Fields::new(rest);
            let text = fields.text().ok()?;
            rest = fields.rest();
            Some(text)
        })
    }
}

impl PartialEq for Texts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Texts on their way into a body.
#[derive(Clone, Debug, Default)]
pub struct TextList {
    bytes: Vec<u8>,
    count: u32,
}

impl TextList {
    /// These texts.
    ///
    /// # Errors
    /// One of them is longer than a text can be.
    pub fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, Fault> {
        let mut list = Self::default();
        for text in texts {
            put_text(&mut list.bytes, text.as_ref())?;
            list.count = list.count.checked_add(1).ok_or(Fault("there are too many texts"))?;
        }
        Ok(list)
    }

    /// The texts.
    pub fn texts(&self) -> Texts<'_> {
        Texts { bytes: &self.bytes, count: self.count }
    }
}

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident of $number:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(Numbers<'a, $number>);

        impl<'a> $name<'a> {
            /// These.
            pub const fn of(numbers: &'a [$number]) -> Self {
                Self(Numbers::Native(numbers))
            }

            /// Those in these bytes.
            pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
                match bytes.as_chunks() {
                    (chunks, []) => Ok(Self(Numbers::Bytes(chunks))),
                    _ => Err(Fault("a list of numbers ends within one")),
                }
            }

            /// How many there are.
            pub const fn len(&self) -> usize {
                match self.0 {
                    Numbers::Native(numbers) => numbers.len(),
                    Numbers::Bytes(chunks) => chunks.len(),
                }
            }

            /// Whether there are none.
            pub const fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// They, in order.
            pub fn iter(&self) -> impl Iterator<Item = $number> + Clone + use<'a> {
                let (native, chunks): (&[$number], &[[u8; size_of::<$number>()]]) = match self.0 {
                    Numbers::Native(numbers) => (numbers, &[]),
                    Numbers::Bytes(chunks) => (&[], chunks),
                };
                let read = chunks.iter().map(|chunk| <$number>::from_le_bytes(*chunk));
                native.iter().copied().chain(read)
            }

            pub(super) fn put(&self, out: &mut Vec<u8>) {
                match self.0 {
                    Numbers::Native(numbers) => {
                        // Into room that is there: a loop that is compiled to one copy.
                        let start = out.len();
                        out.resize(start + size_of_val(numbers), 0);
                        let (places, _) = out[start..].as_chunks_mut();
                        for (place, number) in places.iter_mut().zip(numbers) {
                            *place = number.to_le_bytes();
                        }
                    }
                    Numbers::Bytes(chunks) => out.extend_from_slice(chunks.as_flattened()),
                }
            }
        }

        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.len() == other.len() && self.iter().eq(other.iter())
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }
    };
}

/// Numbers to be written, or as they lie in a body.
#[derive(Clone, Copy)]
enum Numbers<'a, T: Width> {
    Native(&'a [T]),
    Bytes(&'a [T::Bytes]),
}

/// A number's bytes.
trait Width {
    type Bytes;
}

impl Width for u32 {
    type Bytes = [u8; 4];
}

impl Width for u64 {
    type Bytes = [u8; 8];
}

numbers! {
    /// Numbers of symbols.
    Indexes of u32
}

numbers! {
    /// The words of a row, see [`crate::Row`].
    Words of u64
}

impl Words<'_> {
    /// Copies them.
    ///
    /// # Panics
    /// If `out` is not as long as they are many.
    pub fn copy_to(&self, out: &mut [u64]) {
        assert_eq!(out.len(), self.len(), "invariant: the row fits its place");
        match self.0 {
            Numbers::Native(numbers) => out.copy_from_slice(numbers),
            Numbers::Bytes(chunks) => {
                for (out, chunk) in out.iter_mut().zip(chunks) {
                    *out = u64::from_le_bytes(*chunk);
                }
            }
        }
    }
}
