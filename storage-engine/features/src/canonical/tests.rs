use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_types::Step;
use proptest::prelude::*;

use super::*;
use crate::definition::{Bars, Definition, FeatureRule, WINDOW_MAX};
use crate::expr::{Argument, Place};
use crate::graph::{ContextId, Graph, Node, NodeId};
use crate::lexer::Unit;
use crate::operator::{Field, Operator};
use crate::parse::parse;
use crate::table::{self, Body, Entry, Kind, Range};

/// A tree as tests make it.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(What),
    Apply(&'static Entry, Vec<(Option<&'static str>, Arc<Tree>)>),
}

fn flat(tree: &Tree, places: &mut Vec<Place>) -> usize {
    let what = match tree {
        Tree::Leaf(what) => what.clone(),
        Tree::Apply(entry, arguments) => {
            let arguments = arguments
                .iter()
                .map(|(name, tree)| {
                    let name = name.map(str::to_owned);
                    Argument { name, place: flat(tree, places) }
                })
                .collect();
            What::Apply(entry, arguments)
        }
    };
    places.push(Place { what, at: 0 });
    places.len() - 1
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_map(f64::abs).prop_filter("a number", |value| value.is_finite()),
        (0u32..3_000).prop_map(f64::from),
        (-400i32..310)
            .prop_map(|power| 10f64.powi(power))
            .prop_filter("a number", |v| v.is_finite()),
    ]
}

fn leaf() -> impl Strategy<Value = What> {
    let units = [Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Week];
    prop_oneof![
        number().prop_map(What::Number),
        proptest::sample::select(Field::ALL.to_vec()).prop_map(What::Field),
        (any::<u32>(), proptest::sample::select(units.to_vec()))
            .prop_map(|(count, unit)| What::Duration(count, unit)),
        "[A-Za-z_][A-Za-z0-9_]{0,8}".prop_map(What::Name),
        "[^']{0,8}".prop_map(What::Text),
    ]
}

fn operators() -> Vec<&'static Entry> {
    let known = table::all().filter(|entry| {
        !entry.is_inner && !matches!(entry.body, Body::LooksAhead | Body::NotYet(_))
    });
    known.collect()
}

/// Any tree that can be written, whether it means something or not: mostly with as many arguments
/// as the operator takes.
fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_map(Tree::Leaf).prop_recursive(8, 64, 4, |inner| {
        let arguments = proptest::collection::vec(inner.prop_map(Arc::new), 6);
        (proptest::sample::select(operators()), arguments, 0usize..12, 0usize..12).prop_map(
            |(entry, arguments, count, unnamed)| {
                let count = if count < 6 { count } else { entry.params.len().min(6) };
                let name = |at: usize| (at >= unnamed && unnamed < 4).then_some("ddof");
                let arguments = arguments.into_iter().take(count).enumerate();
                Tree::Apply(entry, arguments.map(|(at, tree)| (name(at), tree)).collect())
            },
        )
    })
}

/// Texts that begin well: words of the language in any order.
fn words() -> impl Strategy<Value = String> {
    let words = [
        "$close", "$Volume", "1", "0.5", "2h", "20", "-", "+", "*", "/", "^", "(", ")", ",", "<",
        "==", "|", "&&", "!", "?", ":", "=", "'1h'", "'SPY'", "Mean(", "Ref(", "At(", "Of(",
        "MACD(", "ATR(", "OBV(", "If(", "N", "ddof", "f", "{", "é", " ", "\n",
    ];
    let word = proptest::sample::select(words.to_vec());
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

/// An expression that means something: operators with what they take.
fn meaningful() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(Field::ALL.to_vec())
            .prop_map(|field| format!("${}", field.name())),
        number().prop_map(super::number),
        Just("f".to_owned()),
    ];
    let tree = leaf.prop_recursive(4, 24, 5, |inner| {
        let series = proptest::collection::vec(inner, 5);
        (proptest::sample::select(operators()), series, 0u32..20).prop_map(
            |(entry, series, slots)| {
                let mut series = series.into_iter();
                let arguments = entry.params.iter().map(|param| match (param.kind, param.name) {
                    (Kind::Series | Kind::Implied(_), _) => series.next().unwrap_or("$low".into()),
                    (Kind::Slots, "slow") => (slots + 6).to_string(),
                    (Kind::Window | Kind::Slots, _) => (slots + 5).to_string(),
                    (Kind::Lag, _) => (slots + 1).to_string(),
                    (Kind::Number(Range::Whole), _) => "1".to_owned(),
                    (Kind::Number(_), "lo") => "0.25".to_owned(),
                    (Kind::Number(_), _) => "3/4".to_owned(),
                    (Kind::Text, _) => "'SPY'".to_owned(),
                });
                let arguments: Vec<String> = arguments.collect();
                // A step cannot be longer than itself: `At` stands outermost only.
                let name = if entry.body == Body::At { "Of" } else { entry.name };
                format!("{name}({})", arguments.join(", "))
            },
        )
    });
    (tree, any::<bool>())
        .prop_map(|(tree, is_far)| if is_far { format!("At('1h', {tree}) + 1") } else { tree })
}

/// What every graph keeps to, so that it can be computed.
fn check_graph(graph: &Graph) {
    let is_import = |node: &Node| matches!(node.operator, Operator::At | Operator::Of);
    let mut used: BTreeSet<NodeId> = graph.outputs.iter().map(|output| output.node).collect();
    for (at, node) in graph.nodes.iter().enumerate() {
        assert!(!graph.nodes[..at].contains(node), "{node:?} is there twice");
        for input in &node.inputs {
            let place = usize::try_from(input.0).expect("a place");
            assert!(place < at, "{node:?} comes before its input");
            assert_eq!(graph.nodes[place].context != node.context, is_import(node), "{node:?}");
            used.insert(*input);
        }
        assert!(node.numbers.iter().all(|number| number.is_finite()), "{node:?}");
        if node.operator.has_window() {
            assert!((1..=WINDOW_MAX).contains(&node.slots), "{node:?}");
            assert!(node.min_valid <= node.slots, "{node:?}");
        }
    }
    assert_eq!(used.len(), graph.nodes.len(), "each node is needed");
    for output in &graph.outputs {
        let place = usize::try_from(output.node.0).expect("a place");
        assert_eq!(graph.nodes[place].context, ContextId(0));
    }
}

fn check_compiles_or_says_why(text: &str) {
    let mut group = Definition::new("g", Bars::every(Step::M1));
    group.features.push(FeatureRule::new("f", "$close"));
    group.features.push(FeatureRule::new("g", text));
    match group.compile() {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(compiled) => {
            check_graph(&compiled.graph);
            // What is meant is written so that it means the same again.
            let meant = compiled.features[1].expr.clone();
            group.features[1].expr = meant;
            assert_eq!(group.compile(), Ok(compiled), "{text}");
        }
    }
}

proptest! {
    #[test]
    fn a_printed_tree_reads_back_as_itself(tree in tree()) {
        let mut expr = Expr { places: Vec::new() };
        flat(&tree, &mut expr.places);
        let text = expr.to_string();
        // Names before others are no expression; what reads back must be the same.
        match parse(&text) {
            Ok(read) => prop_assert_eq!(&read, &expr, "{}", text),
            Err(error) => prop_assert!(error.message().contains("with a name"), "{}", error),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        check_compiles_or_says_why(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(text in words()) {
        check_compiles_or_says_why(&text);
    }

    #[test]
    fn what_a_tree_means_means_itself(tree in tree()) {
        let mut expr = Expr { places: Vec::new() };
        flat(&tree, &mut expr.places);
        check_compiles_or_says_why(&expr.to_string());
    }

    #[test]
    fn what_means_something_compiles(text in meaningful()) {
        check_compiles_or_says_why(&text);
        let mut group = Definition::new("g", Bars::every(Step::M1));
        group.features.push(FeatureRule::new("f", "$close"));
        group.features.push(FeatureRule::new("g", &text));
        let error = group.compile().err();
        prop_assert!(error.is_none(), "{}", error.expect("an error"));
    }

    #[test]
    fn a_printed_number_is_the_same_number(value in any::<f64>()) {
        prop_assume!(value.is_finite());
        prop_assert_eq!(super::number(value).parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
    }
}

#[test]
fn numbers_are_written_shortest() {
    for (value, text) in [
        (0.0, "0"),
        (100.0, "100"),
        (1e-12, "1e-12"),
        (0.0001, "0.0001"),
        (1e15, "1000000000000000"),
        (1e16, "1e16"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-2.5, "-2.5"),
    ] {
        assert_eq!(super::number(value), text);
    }
}
