//! The file `FORMAT`: what kind of store this is. Text, so that a person can read it.
//!
//! ```text
//! barrow preview 5
//! instance <32 hexadecimal digits>
//! shards 1
//! crc <8 hexadecimal digits: CRC-32C of the lines above>
//! ```
//!
//! It is written last when a store is made: without it there is no store yet.

use crate::disk::{Disk, DiskErrorKind};
use crate::error::Error;

/// Number of the format this build reads and writes. Until a first release an older one is
/// refused.
pub(crate) const NUMBER: u32 = 5;

const PATH: &str = "FORMAT";
const TEMPORARY: &str = "FORMAT.tmp";
const LEN_MAX: u64 = 4_096;

/// What `FORMAT` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The store's identity.
    pub(crate) instance: [u8; 16],
}

impl Format {
    fn encode(&self) -> String {
        let instance = crate::prepare::hash::text_of(self.instance);
        let lines = format!("barrow preview {NUMBER}\ninstance {instance}\nshards 1\n");
        let crc = crc32c::crc32c(lines.as_bytes());
        format!("{lines}crc {crc:08x}\n")
    }

    fn decode(text: &str) -> Result<Self, String> {
        let number = text
            .strip_prefix("barrow preview ")
            .and_then(|rest| rest.split_once('\n'))
            .and_then(|(number, _)| number.parse::<u32>().ok())
            .ok_or("it does not begin with 'barrow preview'")?;
        if number != NUMBER {
            return Err(format!(
                "it is format {number} and this build reads {NUMBER}; export the data with the \
                 build that wrote it, then import it here"
            ));
        }
        let instance = text
            .lines()
            .find_map(|line| line.strip_prefix("instance "))
            .and_then(parse_instance)
            .ok_or("it has no instance of 32 hexadecimal digits")?;
        let format = Self { instance };
        if format.encode() == text { Ok(format) } else { Err("its checksum is wrong".to_owned()) }
    }

    /// Makes sure that what [`Self::read`] will find survives a loss of power: a crash of the
    /// process alone may have left it in the system's cache only. Returns whether there is one.
    pub(crate) fn sync(disk: &dyn Disk) -> Result<bool, Error> {
        match disk.len(PATH) {
            Ok(_) => {
                disk.sync(PATH)?;
                disk.sync_dir("")?;
                Ok(true)
            }
            Err(error) if error.kind == DiskErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads it; `None` if there is no such file.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>, Error> {
        let len = match disk.len(PATH) {
            Ok(len) => len,
            Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let refuse = |why: String| Error::corrupt(format!("the file FORMAT cannot be read: {why}"));
        if len > LEN_MAX {
            return Err(refuse("it is too long".to_owned()));
        }
        let len = crate::bytes::usize_from(len).expect("invariant: it was compared above");
        let text = String::from_utf8(disk.read(PATH, 0, len)?)
            .map_err(|_| refuse("it is not text".to_owned()))?;
        Self::decode(&text).map(Some).map_err(refuse)
    }

    /// Writes it: from then on there is a store.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), Error> {
        disk.create_anew(TEMPORARY, 0)?;
        disk.write_at(TEMPORARY, 0, self.encode().as_bytes())?;
        disk.sync(TEMPORARY)?;
        disk.rename(TEMPORARY, PATH)?;
        disk.sync_dir("")?;
        Ok(())
    }
}

fn parse_instance(digits: &str) -> Option<[u8; 16]> {
    let mut instance = [0; 16];
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in instance.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_text_of_a_format() {
        let text = Format { instance: [0xAB; 16] }.encode();
        let lines = format!("barrow preview 5\ninstance {}\nshards 1\ncrc ", "ab".repeat(16));
        assert!(text.starts_with(&lines), "{text}");
        assert_eq!(Format::decode(&text), Ok(Format { instance: [0xAB; 16] }));
    }

    #[test]
    fn every_flipped_bit_of_a_format_is_found() {
        let text = Format { instance: [7; 16] }.encode().into_bytes();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(flipped).map_err(|_| String::new());
            assert!(read.and_then(|text| Format::decode(&text)).is_err(), "bit {bit}");
        }
    }
}
