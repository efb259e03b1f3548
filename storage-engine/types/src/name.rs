//! Names that come from outside: checked once, then trusted. Never used as file names.

use std::fmt;
use std::sync::Arc;

/// Longest symbol or source, in bytes: vendors stay below 32; the bound keeps keys small.
pub const NAME_LEN_MAX: usize = 64;

/// Why a text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It is longer than [`NAME_LEN_MAX`] bytes.
    TooLong,
    /// It holds a control character (NUL and line ends among them).
    Control,
    /// It holds a comma, which separates names in lists.
    Comma,
    /// It begins or ends with white space.
    Space,
    /// It holds `..`, which no instrument does and path tricks do.
    DotDot,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "is longer than 64 bytes",
            Self::Control => "holds a control character",
            Self::Comma => "holds a comma",
            Self::Space => "begins or ends with white space",
            Self::DotDot => "holds '..'",
        })
    }
}

impl std::error::Error for NameError {}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > NAME_LEN_MAX {
        Err(NameError::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(NameError::Control)
    } else if text.contains(',') {
        Err(NameError::Comma)
    } else if text.trim() != text {
        Err(NameError::Space)
    } else if text.contains("..") {
        Err(NameError::DotDot)
    } else {
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes it a name.
            ///
            /// # Errors
            /// What is wrong with it, as a [`NameError`].
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// An instrument's name as its source writes it: `BRK.B`, `EUR/USD`, `ES  230317`.
    Symbol
}
name! {
    /// Where rows come from: `lean`, `ib`, `alpaca`.
    Source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_stored_truthfully_say_why() {
        for (text, error) in [
            ("", NameError::Empty),
            ("A\0B", NameError::Control),
            ("A\nB", NameError::Control),
            ("A,B", NameError::Comma),
            (" A", NameError::Space),
            ("../etc/passwd", NameError::DotDot),
        ] {
            assert_eq!(Symbol::new(text), Err(error), "{text:?}");
        }
        assert_eq!(Symbol::new(&"x".repeat(65)), Err(NameError::TooLong));
    }

    #[test]
    fn names_as_vendors_write_them_pass() {
        for text in ["BRK.B", "EUR/USD", "ES  230317", "BTC-PERP", "^VIX", "4063.T", "Ä"] {
            assert_eq!(Symbol::new(text).unwrap().as_str(), text);
        }
    }
}
