//! What Linux says of a process: processor time and memory.

use std::fs;
use std::path::Path;

/// User and system seconds of a process and all its threads so far, in hundredths.
///
/// # Panics
/// There is no such process.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    // Behind the name, which may hold anything, come the fields from the third on.
    let (_, fields) = stat.rsplit_once(") ").expect("invariant: Linux writes it so");
    let field = |at: usize| {
        let text = fields.split(' ').nth(at - 3).expect("invariant: there are 52");
        text.parse::<f64>().expect("invariant: a number")
    };
    (field(14) + field(15)) / 100.0
}

/// Seconds that this thread has run so far, to the nanosecond: other work on the machine does not
/// count.
///
/// # Panics
/// The kernel does not count it.
pub fn thread_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    let nanos = text.split(' ').next().expect("invariant: split gives at least one");
    nanos.parse::<f64>().expect("invariant: a number") / 1e9
}

/// A line of /proc/PID/status in MiB: `VmHWM`, `VmRSS`, `RssAnon`, `RssFile`.
///
/// # Panics
/// There is no such process or line.
pub fn memory_mib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a known name");
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kib.parse::<f64>().expect("invariant: a number") / 1024.0
}

/// Counts `VmHWM` of this process from what it has now on.
///
/// # Panics
/// The kernel does not let it.
pub fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("a process may reset its own peak");
}

/// Bytes of the files below `dir`; none if it is not there.
///
/// # Panics
/// A folder cannot be read.
pub fn folder_bytes(dir: &Path) -> f64 {
    if !dir.is_dir() {
        return 0.0;
    }
    let entries = fs::read_dir(dir).expect("the folder can be read");
    entries
        .map(|entry| {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folder_bytes(&path)
            } else {
                path.metadata().expect("the file is there").len() as f64
            }
        })
        .sum()
}
