//! Who may do what: keys from a file, checked against the `Authorization` header
//! or the hello of the feature feed.
//!
//! The file holds one key a line: role, name, and the SHA-256 of the secret in hexadecimal, parted
//! by white space; empty lines and lines that begin with `#` are left out. Secrets themselves are
//! nowhere stored. Without a file everything is allowed (and only loopback is served).

use std::path::Path;

use sha2::{Digest, Sha256};

/// What a key allows; each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Queries.
    Read,
    /// Rows in, and retracted.
    Write,
    /// Everything.
    Admin,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// Why a request is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No key, or an unknown one.
    Unknown,
    /// The key is known and allows less.
    Forbidden {
        /// The key's name.
        name: String,
        /// What would be needed.
        needed: &'static str,
    },
}

struct Key {
    role: Role,
    name: String,
    digest: [u8; 32],
}

/// The keys, or none.
pub(crate) struct Keys(Option<Vec<Key>>);

impl Keys {
    /// Everybody may do everything.
    pub(crate) const fn open() -> Self {
        Self(None)
    }

    /// The keys in `file`.
    ///
    /// # Errors
    /// One line: the file cannot be read, holds no key, or which lines say what they must not.
    pub(crate) fn load(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("read keys file {}: {error}", file.display()))?;
        Self::parse(&text).map_err(|fault| format!("keys file {}: {fault}", file.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut faults = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse_line(line) {
                Ok(key) => keys.push(key),
                Err(fault) => faults.push(format!("line {number}: {fault}")),
            }
        }
        if !faults.is_empty() {
            Err(faults.join("; "))
        } else if keys.is_empty() {
            Err("holds no key; a line is role name sha256-of-the-secret".to_owned())
        } else {
            Ok(Self(Some(keys)))
        }
    }

    /// Whether the bearer of `authorization` (the header's value) may do what needs `role`.
    pub(crate) fn check(&self, authorization: Option<&[u8]>, role: Role) -> Result<(), Denied> {
        self.check_secret(authorization.and_then(bearer), role)
    }

    /// Whether who knows `secret` may do what needs `role`.
    pub(crate) fn check_secret(&self, secret: Option<&[u8]>, role: Role) -> Result<(), Denied> {
        let Some(keys) = &self.0 else { return Ok(()) };
        let secret = secret.ok_or(Denied::Unknown)?;
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut found = None;
        // Every key is compared whole, so that the time says nothing about which one is near.
        for key in keys {
            let difference = key.digest.iter().zip(&digest).fold(0_u8, |all, (a, b)| all | (a ^ b));
            if std::hint::black_box(difference) == 0 {
                found = Some(key);
            }
        }
        let key = found.ok_or(Denied::Unknown)?;
        if key.role >= role {
            Ok(())
        } else {
            Err(Denied::Forbidden { name: key.name.clone(), needed: role.name() })
        }
    }
}

fn parse_line(line: &str) -> Result<Key, String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [role, name, digest] = fields[..] else {
        return Err(format!("has {} fields, not role, name and SHA-256", fields.len()));
    };
    let role =
        Role::parse(role).ok_or_else(|| "the role is not read, write or admin".to_owned())?;
    let digest = unhex(digest)
        .ok_or_else(|| "the third field is not a SHA-256 in 64 hexadecimal digits".to_owned())?;
    Ok(Key { role, name: name.to_owned(), digest })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, secret) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| secret.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# keys of the desk
        read  dashboard ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad

        admin person    0000000000000000000000000000000000000000000000000000000000000000
    ";

    fn line(role: &str, secret: &str) -> String {
        let digest: String = Sha256::digest(secret).iter().map(|b| format!("{b:02x}")).collect();
        format!("{role} {role}-key {digest}\n")
    }

    #[test]
    fn a_role_allows_what_is_below_it_and_nothing_above() {
        let text: String =
            ["read", "write", "admin"].iter().map(|role| line(role, &format!("{role}!"))).collect();
        let keys = Keys::parse(&text).unwrap();
        let roles = [Role::Read, Role::Write, Role::Admin];
        for (have, key) in roles.iter().zip(["Bearer read!", "bearer write!", "BEARER admin!"]) {
            for need in roles {
                let allowed = keys.check(Some(key.as_bytes()), need);
                assert_eq!(allowed.is_ok(), *have >= need, "{key} for {need:?}");
                assert_ne!(allowed, Err(Denied::Unknown));
            }
        }
        for wrong in ["Bearer Read!", "Bearer ", "Basic read!", "read!", "", "Bearer read!!"] {
            let denied = keys.check(Some(wrong.as_bytes()), Role::Read);
            assert_eq!(denied, Err(Denied::Unknown), "{wrong:?}");
        }
        assert_eq!(keys.check(None, Role::Read), Err(Denied::Unknown));
        assert!(Keys::open().check(None, Role::Admin).is_ok());
    }

    #[test]
    fn a_known_secret_has_its_known_digest() {
        // FIPS 180-2, appendix B.1: SHA-256 of "abc".
        let text = "read a ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(Keys::parse(text).unwrap().check(Some(b"Bearer abc"), Role::Read).is_ok());
    }

    #[test]
    fn a_keys_file_that_says_something_else_is_refused_line_by_line() {
        assert!(Keys::parse(FILE).is_ok());
        assert!(Keys::parse("").is_err());
        assert!(Keys::parse("# nothing\n").is_err());
        let fault = Keys::parse("reader a 00\nread a\nwrite b xyz\n").err().unwrap();
        for line in ["line 1:", "line 2:", "line 3:"] {
            assert!(fault.contains(line), "{fault}");
        }
    }
}
