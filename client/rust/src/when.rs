//! Points in time as queries state them.

use std::time::{SystemTime, UNIX_EPOCH};

use barrow_types::Timestamp;

/// A point in time as it stands in a request. The server reads it: RFC 3339 with an offset,
/// `YYYY-MM-DD` for that session, or integer nanoseconds since 1970.
///
/// ```
/// use barrow_client::{Timestamp, When};
///
/// assert_eq!(When::from("2013-10-07").as_str(), "2013-10-07");
/// let open = Timestamp::from_nanos(1_381_152_600_000_000_000);
/// assert_eq!(When::from(open).as_str(), "1381152600000000000");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When(String);

impl When {
    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<When> for String {
    fn from(when: When) -> Self {
        when.0
    }
}

impl From<&str> for When {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for When {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Timestamp> for When {
    fn from(at: Timestamp) -> Self {
        Self(at.nanos().to_string())
    }
}

impl From<SystemTime> for When {
    fn from(at: SystemTime) -> Self {
        Self(match at.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos().to_string(),
            Err(before) => format!("-{}", before.duration().as_nanos()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn instants_are_sent_as_nanoseconds() {
        let after = UNIX_EPOCH + Duration::from_nanos(1_381_152_600_000_000_001);
        assert_eq!(When::from(after).as_str(), "1381152600000000001");
        assert_eq!(When::from(UNIX_EPOCH - Duration::from_secs(1)).as_str(), "-1000000000");
        assert_eq!(When::from(Timestamp::from_nanos(-5)).as_str(), "-5");
    }
}
