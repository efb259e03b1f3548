//! What decides a group's values, as one text, and its short name.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::definition::{Bars, Options};

/// The number of the kernels: raised whenever an operator, a macro among them, may give other bits.
pub(crate) const KERNELS: u32 = 1;

/// The canonical text of a group: its slots, its options, and a line for each feature.
pub(crate) fn canonical_text(
    bars: &Bars,
    options: &Options,
    features: &[(String, String)],
) -> String {
    let mut text = format!(
        "bars every={} session={} align={} price={} adjust={}",
        bars.every.name(),
        bars.session.name(),
        bars.align.name(),
        bars.price.name(),
        bars.adjust.name()
    );
    if let Some(source) = &bars.source {
        add(&mut text, format_args!(" source={source}"));
    }
    match options {
        Options::Qlib => text.push_str("\noptions compat=qlib"),
        Options::Own { gap, warmup, min_valid } => {
            add(&mut text, format_args!("\noptions gap={}", gap.name()));
            for (name, value) in [("warmup", warmup), ("min_valid", min_valid)] {
                if let Some(value) = value {
                    add(&mut text, format_args!(" {name}={value}"));
                }
            }
        }
    }
    text.push('\n');
    for (name, expr) in features {
        add(&mut text, format_args!("{name} = {expr}\n"));
    }
    text
}

/// The first 16 hexadecimal digits of the SHA-256 of the text and the number of the kernels.
pub(crate) fn version_of(canonical: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(canonical);
    hash.update(format!("kernels={KERNELS}\n"));
    let mut version = String::with_capacity(16);
    for byte in &hash.finalize()[..8] {
        add(&mut version, format_args!("{byte:02x}"));
    }
    version
}

fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("invariant: a String takes any text");
}
