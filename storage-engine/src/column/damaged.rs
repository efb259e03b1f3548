//! The one error of this module: bytes that do not say what they must.

use std::fmt;

/// Bytes that do not say what they must. Holds what is wrong with them, as half a sentence; the
/// caller knows which file, block and column, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Damaged {}
