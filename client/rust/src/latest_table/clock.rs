//! The time, read often.

/// Nanoseconds since 1970 UTC, as of the system's last tick: some milliseconds late, for a tenth of
/// what a clock costs. Heartbeats are a matter of much longer times.
#[cfg(target_os = "linux")]
pub(super) fn now() -> i64 {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::RealtimeCoarse);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// Nanoseconds since 1970 UTC.
#[cfg(not(target_os = "linux"))]
pub(super) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}
