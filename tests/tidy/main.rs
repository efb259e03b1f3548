//! Rules about the code itself that no compiler keeps: who may import whom, what every file has.
//!
//! Each message says which file breaks which rule and what to do. The rules are the tables at the
//! top; a new package or a new arrow is a change of the design and of this file together.

mod messages;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A member of the workspace and what it may import.
struct Member {
    dir: &'static str,
    name: &'static str,
    /// Our own packages that it may import.
    ours: &'static [&'static str],
    /// Foreign packages: any but the forbidden, or only those named.
    foreign: Foreign,
}

enum Foreign {
    AnyBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

/// Nobody imports these, not even to test.
const NEVER_IMPORTED: [&str; 2] = ["barrow-tests", "barrow-benches"];

/// Frameworks that stay outside the engine: it has no sockets, threads or foreign formats.
const NOT_IN_ENGINE: &[&str] = &[
    "tokio",
    "tokio-stream",
    "arrow",
    "arrow-array",
    "arrow-schema",
    "datafusion",
    "serde",
    "serde_json",
    "tracing",
    "log",
    "axum",
    "hyper",
    "reqwest",
    "rand",
];

/// Who may import whom. A member that is not listed is refused.
const MEMBERS: [Member; 9] = [
    Member {
        dir: "storage-engine/types",
        name: "barrow-types",
        ours: &[],
        foreign: Foreign::Only(&[]),
    },
    Member {
        dir: "storage-engine/features",
        name: "barrow-features",
        ours: &["barrow-types"],
        foreign: Foreign::Only(&["libm", "sha2"]),
    },
    Member {
        dir: "storage-engine",
        name: "barrow-engine",
        ours: &["barrow-types", "barrow-features"],
        foreign: Foreign::AnyBut(NOT_IN_ENGINE),
    },
    Member {
        dir: "client/protocol",
        name: "barrow-protocol",
        ours: &["barrow-types"],
        foreign: Foreign::AnyBut(&["tokio", "mio", "axum", "hyper", "reqwest"]),
    },
    Member {
        dir: "client/rust",
        name: "barrow-client",
        ours: &["barrow-types", "barrow-protocol"],
        foreign: Foreign::AnyBut(&[]),
    },
    Member {
        dir: "server/sql",
        name: "barrow-sql",
        ours: &["barrow-types", "barrow-engine"],
        foreign: Foreign::AnyBut(&["axum"]),
    },
    Member {
        dir: "server",
        name: "barrow-server",
        ours: &["barrow-types", "barrow-engine", "barrow-protocol", "barrow-client", "barrow-sql"],
        foreign: Foreign::AnyBut(&["datafusion"]),
    },
    Member {
        dir: "tests",
        name: "barrow-tests",
        ours: &[
            "barrow-types",
            "barrow-engine",
            "barrow-protocol",
            "barrow-client",
            "barrow-server",
        ],
        foreign: Foreign::AnyBut(&[]),
    },
    Member {
        dir: "benches",
        name: "barrow-benches",
        ours: &[
            "barrow-types",
            "barrow-features",
            "barrow-engine",
            "barrow-protocol",
            "barrow-client",
            "barrow-server",
        ],
        foreign: Foreign::AnyBut(&[]),
    },
];

/// Longest line of Rust, in characters; rustfmt keeps code below it, this keeps the rest.
const LINE_LEN_MAX: usize = 100;

/// The only files that may hold `unsafe`.
const UNSAFE_FILES: [&str; 2] =
    ["storage-engine/src/disk/mapped.rs", "client/rust/src/latest_table/map.rs"];

/// Words that say "not done". They are put together here so that this file does not hold them.
const UNDONE: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// What a test must not have: it waits for time, or does not run.
const NOT_IN_TESTS: [&str; 4] = [
    concat!("#[", "ignore"),
    concat!("#[", "should_panic"),
    concat!("thread::", "sleep"),
    concat!("time::", "sleep"),
];

/// Files that users and operators look for.
const EXPECTED_FILES: [&str; 4] = ["README.md", "LICENSE", "config.toml", "docs/CHANGELOG.md"];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("invariant: tests/ lies in the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

fn manifest(dir: &str) -> toml::Table {
    let path = root().join(dir).join("Cargo.toml");
    read(&path).parse().unwrap_or_else(|error| panic!("parse {}: {error}", path.display()))
}

/// Fails with every problem at once.
fn report(problems: &[String], rule: &str) {
    assert!(problems.is_empty(), "{rule}\n  {}\n", problems.join("\n  "));
}

/// Every Rust file of the workspace with its path from the root, in order.
fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![root()];
    while let Some(dir) = dirs.pop() {
        let entries = fs::read_dir(&dir);
        for entry in entries.unwrap_or_else(|error| panic!("list {}: {error}", dir.display())) {
            let path =
                entry.unwrap_or_else(|error| panic!("list {}: {error}", dir.display())).path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                dirs.push(path);
            } else if name.ends_with(".rs") {
                let short = path.strip_prefix(root()).expect("invariant: below the root");
                found.push((short.to_string_lossy().into_owned(), read(&path)));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "only {} Rust files below {}", found.len(), root().display());
    found
}

/// Names of the packages that a manifest imports, in any table of dependencies.
fn imports(manifest: &toml::Table) -> Vec<(String, &'static str)> {
    let mut tables = vec![manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables
        .extend(targets.into_iter().flat_map(|all| all.values().filter_map(toml::Value::as_table)));
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = table.get(kind).and_then(toml::Value::as_table);
            for (name, value) in names.into_iter().flatten() {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                found.push((package.to_owned(), kind));
            }
        }
    }
    found
}

fn wrong_arrow(member: &Member, import: &str, kind: &str) -> Option<&'static str> {
    if NEVER_IMPORTED.contains(&import) {
        return Some(
            "nobody imports tests or benches: move what is shared to where both may see it",
        );
    }
    if import.starts_with("barrow-") {
        let wrong = !member.ours.contains(&import);
        return wrong.then_some("imports go one way: move the code, or pass a value in");
    }
    // What only tests import does not reach users.
    let wrong = kind != "dev-dependencies"
        && match member.foreign {
            Foreign::AnyBut(forbidden) => forbidden.contains(&import),
            Foreign::Only(allowed) => !allowed.contains(&import),
        };
    wrong.then_some("this package does without it: keep it at the edge (the server)")
}

#[test]
fn every_member_imports_only_what_its_place_allows() {
    let workspace = manifest("");
    let members = workspace["workspace"]["members"].as_array().expect("members is a list");
    let mut problems = Vec::new();
    for dir in members.iter().filter_map(toml::Value::as_str) {
        let manifest = manifest(dir);
        let Some(member) = MEMBERS.iter().find(|member| member.dir == dir) else {
            problems.push(format!("{dir}: not in the table MEMBERS of tests/tidy/main.rs: add it"));
            continue;
        };
        let name = manifest["package"]["name"].as_str();
        if name != Some(member.name) {
            problems.push(format!("{dir}: is named {name:?}: call it {}", member.name));
        }
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).is_none() {
            problems.push(format!("{dir}: add `[lints] workspace = true`"));
        }
        for (import, kind) in imports(&manifest) {
            if let Some(why) = wrong_arrow(member, &import, kind) {
                problems.push(format!("{dir}: imports {import} ({kind}): {why}"));
            }
        }
    }
    report(&problems, "Packages import only what the table MEMBERS allows:");
}

/// Every version stands once, at the root, so that two members cannot differ.
#[test]
fn members_take_versions_from_the_workspace() {
    let mut problems = Vec::new();
    for member in MEMBERS.iter().filter(|member| root().join(member.dir).is_dir()) {
        let manifest = manifest(member.dir);
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(kind).and_then(toml::Value::as_table);
            for (name, value) in table.into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    problems.push(format!(
                        "{}: {name}: write `{name}.workspace = true`, the version at the root",
                        member.dir
                    ));
                }
            }
        }
    }
    report(&problems, "Versions of dependencies stand in the root's Cargo.toml:");
}

/// Two versions of one of these would mean two kinds of one type, or the same work done twice.
#[test]
fn no_dependency_that_meets_at_a_border_is_there_in_two_versions() {
    let path = root().join("Cargo.lock");
    let lock: toml::Table = read(&path).parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("Cargo.lock lists packages");
    let mut problems = Vec::new();
    for name in ["arrow", "arrow-schema", "tokio", "axum", "http", "hyper", "bytes", "serde"] {
        let versions: BTreeSet<&str> = packages
            .iter()
            .filter(|package| package["name"].as_str() == Some(name))
            .filter_map(|package| package["version"].as_str())
            .collect();
        if versions.len() > 1 {
            problems.push(format!("{name}: {versions:?}: `cargo tree -i {name}` tells who asks"));
        }
    }
    for package in packages {
        let source = package.get("source").and_then(toml::Value::as_str);
        if source.is_some_and(|source| source.starts_with("git+")) {
            problems.push(format!("{}: comes from git: use a published version", package["name"]));
        }
    }
    report(&problems, "One version of what crosses borders, all of it published:");
}

#[test]
fn every_module_begins_with_what_it_is() {
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        let is_tests_of_a_module = path.ends_with("/tests.rs");
        if !is_tests_of_a_module && !text.trim_start().starts_with("//!") {
            problems.push(format!("{path}: begin with `//! ` and one sentence on what it is"));
        }
    }
    report(&problems, "Every file says first what it is:");
}

#[test]
fn lines_fit_the_page() {
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let len = line.chars().count();
            // A row of a table cannot be broken.
            if len > LINE_LEN_MAX && !line.trim_start().starts_with("//! |") {
                problems.push(format!("{path}:{}: {len} characters: break it", number + 1));
            }
        }
    }
    report(&problems, "Lines have at most 100 characters:");
}

#[test]
fn unsafe_code_lies_in_the_listed_files_only() {
    let keyword = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.into_iter().any(|word| word == concat!("un", "safe")) && !code.contains('"')
    };
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            if keyword(line) && !UNSAFE_FILES.contains(&path.as_str()) {
                problems.push(format!(
                    "{path}:{}: do without it, or list the file in UNSAFE_FILES with a reason",
                    number + 1
                ));
            }
        }
    }
    report(&problems, "Unsafe code lies in listed files only:");
}

#[test]
fn nothing_is_left_undone() {
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let words = UNDONE.iter().chain(&NOT_IN_TESTS);
            for word in words.filter(|word| line.contains(*word)) {
                // The server and the client may wait, and a bench that sends at a rate; a test may
                // not.
                let waits = word.ends_with("sleep");
                let programs = ["server/src", "client/", "benches/"];
                let is_program = programs.iter().any(|folder| path.starts_with(folder));
                if waits && is_program && !path.ends_with("tests.rs") {
                    continue;
                }
                problems.push(format!("{path}:{}: `{word}`: do it, or take it out", number + 1));
            }
        }
    }
    report(&problems, "No notes to do things later; tests run always and wait for no time:");
}

/// The engine's word for determinism: its own lint file must not be lost or emptied.
#[test]
fn the_engine_forbids_itself_clocks_threads_and_files() {
    let text = read(&root().join("storage-engine/clippy.toml"));
    let mut problems = Vec::new();
    for banned in [
        "std::time::SystemTime::now",
        "std::time::Instant::now",
        "std::thread::spawn",
        "std::env::var",
        "std::fs::File::open",
        "std::fs::File::create",
        "std::collections::HashMap",
        "std::collections::HashSet",
    ] {
        if !text.contains(banned) {
            problems.push(format!("storage-engine/clippy.toml: forbid {banned} again"));
        }
    }
    report(&problems, "The engine is deterministic:");
}

#[test]
fn the_files_that_users_look_for_are_there() {
    let missing = EXPECTED_FILES.iter().filter(|path| !root().join(path).is_file());
    let problems: Vec<String> =
        missing.map(|path| format!("{path}: is missing: write it")).collect();
    report(&problems, "Files that users and operators look for:");
}

/// A metric nobody can look up helps nobody at night.
/// Files whose module documentation is the format of what they read and write.
const FORMATS: [&str; 11] = [
    "storage-engine/src/wal/file.rs",
    "storage-engine/src/wal/record.rs",
    "storage-engine/src/wal/body.rs",
    "storage-engine/src/wal/scan.rs",
    "storage-engine/src/segment/layout.rs",
    "storage-engine/src/gaps/mask_file.rs",
    "storage-engine/src/aggregates/tile_file.rs",
    "storage-engine/src/features/cell_file.rs",
    "storage-engine/src/manifest/root.rs",
    "storage-engine/src/manifest/edit.rs",
    "storage-engine/src/engine/format.rs",
];

#[test]
fn the_format_document_says_what_the_code_says() {
    let document = read(&root().join("docs/FORMAT.md"));
    let mut files: Vec<String> = FORMATS.map(str::to_owned).into();
    for entry in fs::read_dir(root().join("storage-engine/src/column")).expect("a folder") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        files.push(format!("storage-engine/src/column/{name}"));
    }
    let mut problems = Vec::new();
    for file in files {
        let source = read(&root().join(&file));
        let doc = module_doc(&source);
        let is_format = FORMATS.contains(&file.as_str()) || doc.contains("| at |");
        if is_format && !document.contains(&doc) {
            problems.push(format!("{file}: copy its module documentation into docs/FORMAT.md"));
        }
    }
    report(&problems, "docs/FORMAT.md is the documentation of the files that know the formats");
}

/// Files whose module documentation is what passes between server and clients.
const PROTOCOLS: [&str; 5] = [
    "client/protocol/src/row.rs",
    "client/protocol/src/table/layout.rs",
    "client/protocol/src/table/header.rs",
    "client/protocol/src/table/symbol.rs",
    "client/protocol/src/table/cell.rs",
];

#[test]
fn the_protocol_document_says_what_the_code_says() {
    let document = read(&root().join("docs/PROTOCOL.md"));
    let missing = PROTOCOLS.iter().filter(|file| {
        let doc = module_doc(&read(&root().join(file)));
        !document.contains(&doc)
    });
    let problems: Vec<String> = missing
        .map(|file| format!("{file}: copy its module documentation into docs/PROTOCOL.md"))
        .collect();
    report(&problems, "docs/PROTOCOL.md is the documentation of the files that know the layouts");
}

fn module_doc(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_metric_stands_in_the_operations_manual() {
    let catalogue = root().join("server/src/metrics.rs");
    let manual = root().join("docs/OPERATIONS.md");
    for path in [&catalogue, &manual] {
        if !path.is_file() {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("SKIPPED: there is no {} yet\n", path.display()),
            );
            return;
        }
    }
    let manual = read(&manual);
    let names = metric_names(&read(&catalogue));
    assert!(!names.is_empty(), "no metric found in server/src/metrics.rs: does it still say how?");
    let missing = names.iter().filter(|name| !manual.contains(name.as_str()));
    let problems: Vec<String> =
        missing.map(|name| format!("docs/OPERATIONS.md: explain the metric {name}")).collect();
    report(&problems, "Every metric is explained:");
}

/// Names in the first argument of every `register(`, with the prefix of the registry.
fn metric_names(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, call) in source.match_indices("register(") {
        let argument = source[at + call.len()..].trim_start();
        let name = argument.strip_prefix('"').and_then(|rest| rest.split('"').next());
        found.extend(name.map(|name| format!("barrow_{name}")));
    }
    found
}

#[test]
fn a_wrong_arrow_is_found_and_a_right_one_passes() {
    let member = |name: &str| {
        MEMBERS.iter().find(|member| member.name == name).expect("a member of the table")
    };
    for (from, to, kind, is_wrong) in [
        ("barrow-engine", "tokio", "dependencies", true),
        ("barrow-engine", "crc32c", "dependencies", false),
        ("barrow-engine", "barrow-server", "dev-dependencies", true),
        ("barrow-types", "serde", "dependencies", true),
        ("barrow-client", "barrow-engine", "dependencies", true),
        ("barrow-server", "barrow-tests", "dev-dependencies", true),
        ("barrow-server", "barrow-engine", "dependencies", false),
    ] {
        let found = wrong_arrow(member(from), to, kind).is_some();
        assert_eq!(found, is_wrong, "{from} imports {to} ({kind})");
    }
}
