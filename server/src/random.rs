//! Randomness of the operating system: names that nobody else has.

use std::fmt::Write as _;

/// Sixteen random bytes.
///
/// # Errors
/// The operating system has none to give.
pub(crate) fn bytes() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn digits(bytes: [u8; 16], text: &mut String) {
    for byte in bytes {
        write!(text, "{byte:02x}").expect("invariant: writing to a String succeeds");
    }
}

/// A name for a request whose sender does not choose one: 32 hexadecimal digits.
pub(crate) fn request_id() -> Result<String, getrandom::Error> {
    let mut id = String::with_capacity(32);
    digits(bytes()?, &mut id);
    Ok(id)
}

/// A batch id for a sender that does not choose one: `auto-` and 32 hexadecimal digits.
pub(crate) fn batch_id() -> Result<String, getrandom::Error> {
    let mut id = String::with_capacity(37);
    id.push_str("auto-");
    digits(bytes()?, &mut id);
    Ok(id)
}
