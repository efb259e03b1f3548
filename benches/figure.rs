//! A figure is a line of JSON on standard output: what was measured, its unit, how many samples,
//! and their 10th, 50th and 99th percentiles. A single number is all three.

use std::io::Write;
use std::time::{Duration, Instant};

/// Prints a figure of one sample.
pub fn one(what: &str, unit: &str, value: f64) {
    many(what, unit, vec![value]);
}

/// Prints a figure of many samples.
///
/// # Panics
/// There is none, or nobody reads.
pub fn many(what: &str, unit: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let at = |hundredths: usize| samples[(samples.len() - 1) * hundredths / 100];
    let (p10, p50, p99, n) = (at(10), at(50), at(99), samples.len());
    let line = format!(
        r#"{{"what":"{what}","unit":"{unit}","n":{n},"p10":{p10},"p50":{p50},"p99":{p99}}}"#
    );
    writeln!(std::io::stdout(), "{line}").expect("somebody reads standard output");
}

/// Seconds that `work` takes.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// Microseconds that each call of `work` takes: as many calls as fit in about `time`, at least 3.
pub fn repeat(time: Duration, mut work: impl FnMut()) -> Vec<f64> {
    let end = Instant::now() + time;
    let mut samples = Vec::new();
    while samples.len() < 3 || Instant::now() < end {
        let start = Instant::now();
        work();
        samples.push(start.elapsed().as_secs_f64() * 1e6);
    }
    samples
}
