//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use barrow_types::Timestamp;

/// The time now. The engine sees to it that what it stores never falls.
pub(crate) fn now() -> Timestamp {
    let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    };
    Timestamp::from_nanos(nanos)
}
