//! `--name value` from the command line; what Cargo adds (`--bench`) is passed over.

use std::str::FromStr;

/// The value of `--name`, or `default`.
///
/// # Panics
/// The value cannot be read.
pub fn value<T: FromStr>(name: &str, default: T) -> T {
    optional(name).unwrap_or(default)
}

/// The value of `--name`, if it is there.
///
/// # Panics
/// There is nothing behind the name, or it cannot be read.
pub fn optional<T: FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip(1).skip_while(|argument| argument != name);
    arguments.next()?;
    let text = arguments.next().unwrap_or_else(|| panic!("{name}: say what"));
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: cannot read {text:?}")))
}

/// Whether `--name` is there.
pub fn flag(name: &str) -> bool {
    std::env::args().skip(1).any(|argument| argument == name)
}
