//! What the tests and whoever runs them tell each other.

use std::io::Write;

/// Says something, whether the test passes or not.
pub fn say(what: &str) {
    // A test that cannot talk is still a test.
    let _unheard = writeln!(std::io::stderr(), "{what}");
}

/// A number from the environment.
///
/// # Panics
/// If it is set to something else.
pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
