//! Every message that the server prints stands in the operations manual: what is logged, what keeps
//! a server from starting, and what the engine says of damage and of a disk that fails.
//!
//! A message is found by its fixed words: those between `{` and `}` are left out, as the manual
//! writes `...` for them.

use std::collections::BTreeSet;

use super::{read, report, root, rust_files};

/// Calls whose texts are messages, and the files or folders in which they are.
const CALLS: [(&str, &str); 16] = [
    ("server/src/", "tracing::error!("),
    ("server/src/", "tracing::warn!("),
    ("server/src/", "tracing::info!("),
    ("server/src/app.rs", "write!("),
    ("server/src/app.rs", ".write_str("),
    ("server/src/feed/listen.rs", "write!("),
    ("server/src/feed/listen.rs", "Err("),
    ("server/src/feed/listen.rs", "map_err("),
    ("server/src/auth.rs", "Err("),
    ("server/src/auth.rs", "map_err("),
    ("server/src/auth.rs", "ok_or_else("),
    ("storage-engine/src/disk/os.rs", "DiskError::new("),
    ("storage-engine/src/engine/format.rs", "refuse("),
    ("storage-engine/src/", "Error::corrupt("),
    ("storage-engine/src/", "Error::disk("),
    ("storage-engine/src/", "Error::full("),
];

/// Fixed words shorter than this tell nothing, unless they are the whole message.
const WORDS_LEN_MIN: usize = 8;

/// What stands between the bracket at the end of a call and the one that closes it.
fn arguments(behind: &str) -> &str {
    let (mut depth, mut in_text, mut is_escaped) = (1, false, false);
    for (at, byte) in behind.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'(' if !in_text => depth += 1,
            b')' if !in_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &behind[..at];
        }
    }
    behind
}

/// The texts among arguments, without those that are given a name.
fn texts(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = arguments;
    while let Some(begin) = rest.find('"') {
        let is_named = rest[..begin].trim_end().ends_with('=');
        let mut text = String::new();
        let mut chars = rest[begin + 1..].char_indices();
        let mut end = rest.len();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    end = begin + 1 + at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    // A line that goes on: its indentation is not part of the text.
                    Some((_, '\n')) => text.push('\n'),
                    Some((_, escaped)) => text.push(escaped),
                    None => {}
                },
                other => text.push(other),
            }
        }
        if !is_named {
            let mut lines = text.split('\n');
            let first = lines.next().unwrap_or_default().to_owned();
            found.push(lines.fold(first, |text, line| text + line.trim_start()));
        }
        rest = &rest[end..];
    }
    found
}

/// The fixed words of a message that the manual must hold.
fn words(message: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = message;
    while let Some((before, behind)) = rest.split_once('{') {
        pieces.push(before);
        rest = behind.split_once('}').map_or("", |(_, behind)| behind);
    }
    pieces.push(rest);
    let is_whole = pieces.len() == 1;
    let trim = |piece: &str| piece.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let pieces = pieces.into_iter().map(trim);
    pieces
        .filter(|piece| {
            let tells = piece.len() >= WORDS_LEN_MIN && piece.contains(' ');
            tells || (is_whole && !piece.is_empty())
        })
        .collect()
}

/// Source without its tests.
fn code(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()
}

#[test]
fn every_message_stands_in_the_operations_manual() {
    let manual = read(&root().join("docs/OPERATIONS.md"));
    let mut problems = BTreeSet::new();
    let mut count = 0;
    for (path, source) in rust_files() {
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        for (_, call) in CALLS.iter().filter(|(place, _)| path.starts_with(place)) {
            for (at, call) in code(&source).match_indices(call) {
                let texts = texts(arguments(&source[at + call.len()..]));
                if texts.is_empty() && call.starts_with("tracing") {
                    problems.insert(format!("{path}: {call}..) has no text: give it one"));
                }
                for words in texts.iter().flat_map(|text| words(text)) {
                    count += 1;
                    if !manual.contains(&words) {
                        problems.insert(format!(
                            "docs/OPERATIONS.md: explain `{words}` of {path}, and what to do"
                        ));
                    }
                }
            }
        }
    }
    assert!(count > 50, "only {count} messages found: does the code still say them in this way?");
    let problems: Vec<String> = problems.into_iter().collect();
    report(&problems, "Every message is explained:");
}

#[test]
fn messages_are_found_in_calls_however_they_are_written() {
    let source = r#"tracing::warn!(%error, kind = "x", "a (bad) \"thing\" \
                    of {name}, not {0:?} enough");
                    other("no")"#;
    let behind = source.strip_prefix("tracing::warn!(").unwrap_or_default();
    let found = texts(arguments(behind));
    assert_eq!(found, ["a (bad) \"thing\" of {name}, not {0:?} enough"]);
    assert_eq!(words(&found[0]), ["a (bad) \"thing\" of", "not", "enough"].map(str::to_owned)[..1]);
    assert_eq!(words("stopping"), ["stopping"]);
    assert_eq!(words("{path}: {why}"), [""; 0]);
    assert_eq!(words("{a} is damaged ({b}); restore it"), ["is damaged", "restore it"]);
}
