//! Sealed, immutable files of extents. One format for all.
//!
//! An *extent* is some rows of one series: `base` holds current winners and needs no history to be
//! read, `delta` holds late rows and corrections, `history` holds rows that lost. [`layout`] says
//! where the bytes are, [`Writer`] makes a file, [`Segment`] reads one.

pub mod layout;
mod reader;
mod touched;
mod writer;

pub(crate) use reader::{Extent, Segment};
pub(crate) use writer::Writer;

/// The folder of segments.
pub const DIR: &str = "segments";

/// Rows of an extent, at most: one row group, decoded as a whole in a few milliseconds.
pub const EXTENT_ROWS_MAX: usize = 65_536;

/// Path of the segment of that number.
pub fn path(number: u64) -> String {
    format!("{DIR}/{number:010}.seg")
}

/// Removes what an attempt to write a segment left, as far as the disk lets it; opening the store
/// removes the rest.
pub(crate) fn discard(disk: &dyn crate::disk::Disk, number: u64) {
    let path = path(number);
    let _ = disk.remove(&format!("{path}.tmp"));
    let _ = disk.remove(&path);
}

/// The number of the segment of that file name; `None` if it is not the name of one.
pub fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let is_name = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_name.then(|| digits.parse().ok()).flatten()
}
