use std::collections::BTreeSet;

use super::*;
use crate::definition::Options;
use crate::expr::What;
use crate::lower::Lowering;
use crate::parse::{Author, parse_by};

const PAGE: &str = include_str!("../../../../docs/FEATURES.md");

/// The words in code quotes of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).flat_map(|code| code.split([' ', ',']))
}

/// The rows of the page's tables of operators: the first column, and all of the row.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let (_, operators) = PAGE.split_once("\n## Operators\n").expect("the page has operators");
    let operators = operators.split("\n## ").next().expect("a text has a first part");
    operators
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| (line.split('|').nth(1).expect("a first column"), line))
}

#[test]
fn every_operator_of_the_page_can_be_written() {
    for (first, _) in rows() {
        for name in words(first).filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric())) {
            let entry = find(name).unwrap_or_else(|| panic!("{name} is not known"));
            assert_eq!(entry.name, name, "the page names operators by their own names");
            assert!(!entry.is_inner, "{name}");
        }
    }
}

#[test]
fn every_operator_that_can_be_written_is_on_the_page() {
    let told: BTreeSet<&str> = words(PAGE).collect();
    let named: BTreeSet<&str> = rows().flat_map(|(first, _)| words(first)).collect();
    for entry in all().filter(|entry| !entry.is_inner) {
        let is_there = match entry.body {
            Body::LooksAhead | Body::NotYet(_) => told.contains(entry.name),
            _ => named.contains(entry.name),
        };
        assert!(is_there, "docs/FEATURES.md does not tell {}", entry.name);
        for alias in entry.aliases {
            assert!(told.contains(alias), "docs/FEATURES.md does not tell {alias}");
        }
    }
}

/// A call with all arguments written out.
fn call(entry: &Entry) -> String {
    let arguments = entry.params.iter().map(|param| match param.kind {
        Kind::Series => "$close".to_owned(),
        Kind::Implied(field) => format!("${}", field.name()),
        Kind::Window | Kind::Slots if param.name == "slow" => "20".to_owned(),
        Kind::Window | Kind::Slots => "10".to_owned(),
        Kind::Lag => "2".to_owned(),
        Kind::Number(_) => "1".to_owned(),
        Kind::Text => "'1h'".to_owned(),
    });
    format!("{}({})", entry.name, arguments.collect::<Vec<_>>().join(", "))
}

#[test]
fn every_macro_is_an_expression_with_all_arguments_in_their_places() {
    for entry in all() {
        if matches!(entry.body, Body::LooksAhead | Body::NotYet(_)) {
            continue;
        }
        let text = call(entry);
        let tree = parse_by(&text, Author::Macro).unwrap_or_else(|f| panic!("{text}: {f:?}"));
        let mut lowering = Lowering::new(barrow_types::Step::M1, &Options::default());
        lowering.add("f", tree).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        let Body::Macro(body) = entry.body else { continue };
        let tree = parse_by(body, Author::Macro).unwrap_or_else(|f| panic!("{body}: {f:?}"));
        for place in tree.places {
            if let What::Apply(inner, arguments) = place.what {
                assert_eq!(arguments.len(), inner.params.len(), "{} in {body}", inner.name);
                assert!(arguments.iter().all(|argument| argument.name.is_none()), "{body}");
            }
        }
    }
}

#[test]
fn names_match_whatever_the_case() {
    for (name, meant) in
        [("MEAN", "Mean"), ("sma", "Mean"), ("Ts_ArgMax", "SinceMax"), ("rma", "Wilder")]
    {
        assert_eq!(find(name).map(|entry| entry.name), Some(meant));
    }
    assert_eq!(find("sma "), None);
}
