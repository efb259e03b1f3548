//! Threads that the server cannot do without.

use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;

/// Starts a thread; a panic on it stops the process, which the log outlives.
///
/// # Errors
/// The system has no thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            tracing::error!(thread = name, "the thread panicked: stopping the process");
            std::process::abort()
        })
    })
}
