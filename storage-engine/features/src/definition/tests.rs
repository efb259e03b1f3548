use sha2::{Digest as _, Sha256};

use super::*;
use crate::operator::Class;

/// A group of minutes with features that others may name, and `probe` last.
fn group(probe: &str) -> Definition {
    let mut group = Definition::new("g", Bars::every(Step::M1));
    group.features.push(FeatureRule::new("rsi14", "RSI($close, 14)"));
    group.features.push(FeatureRule::new("hour", "At('1h', $close)"));
    group.features.push(FeatureRule::new("probe", probe));
    group
}

fn compile(probe: &str) -> Compiled {
    group(probe).compile().unwrap_or_else(|error| panic!("{probe}: {error}"))
}

fn lines(fixture: &str) -> Vec<&str> {
    fixture.lines().filter(|line| !line.starts_with("# ")).collect()
}

#[test]
fn what_is_wrong_is_said_at_the_character() {
    for pair in lines(include_str!("refused.txt")).chunks(2) {
        let [text, marked] = pair else { panic!("two lines each") };
        let error = group(text).compile().expect_err(text);
        let expr = error.expr.unwrap_or_else(|| panic!("{text}: {}", error.message));
        let found = format!("{:1$}^ {2}", "", expr.at(), expr.message());
        assert_eq!(found, *marked, "\n{text}\n{found}\n");
        assert_eq!(
            (error.field.as_str(), error.feature.as_deref()),
            ("features[2].expr", Some("probe"))
        );
    }
}

#[test]
fn the_canonical_text_is_what_is_meant_and_means_itself() {
    for pair in lines(include_str!("meant.txt")).chunks(2) {
        let [text, meant] = pair else { panic!("two lines each") };
        let meant = meant.strip_prefix("= ").expect("the second line begins with =");
        let compiled = compile(text);
        assert_eq!(compiled.features[2].expr, meant, "{text}");
        let again = compile(meant);
        assert_eq!(again, compiled, "{text}");
    }
}

#[test]
fn features_begin_and_look_back_as_the_table_says() {
    for line in lines(include_str!("begins.txt")) {
        let mut words = line.splitn(4, ' ').map(str::trim);
        let mut word = || words.next().expect("four columns");
        let (warm_up, lookback, class, expr) = (word(), word(), word(), word());
        let found = &compile(expr).features[2];
        assert_eq!(found.warm_up.to_string(), warm_up, "W of {expr}");
        let found_lookback = found.lookback.map_or("-".to_owned(), |slots| slots.to_string());
        assert_eq!(found_lookback, lookback, "lookback of {expr}");
        assert_eq!(format!("{:?}", found.class).to_lowercase(), class, "class of {expr}");
    }
}

/// The nodes of a group's last feature, one a line.
fn nodes(group: &Definition) -> String {
    let graph = group.compile().expect("it is a group").graph;
    let mut text = String::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|input| input.0.to_string()).collect();
        text += &format!(
            "{at} @{} {:?} [{}] {} {:?} w{} v{}\n",
            node.context.0,
            node.operator,
            inputs.join(" "),
            node.slots,
            node.numbers,
            node.warm_up,
            node.min_valid
        );
    }
    for output in &graph.outputs {
        text += &format!("{} = {}\n", output.name, output.node.0);
    }
    text
}

fn only(options: Options, features: &[(&str, &str)]) -> Definition {
    let features = features.iter().map(|(name, expr)| FeatureRule::new(*name, *expr)).collect();
    Definition { options, features, ..Definition::new("g", Bars::every(Step::M1)) }
}

#[test]
fn what_is_equal_is_computed_once() {
    let group = only(
        Options::default(),
        &[
            ("a", "Mean($close, 20) / $close"),
            ("b", "sma($close, 10 * 2) - a"),
            ("c", "Mean($close, 20)"),
        ],
    );
    assert_eq!(
        nodes(&group),
        "0 @0 Field(Close) [] 0 [] w0 v0\n\
         1 @0 Mean [0] 20 [] w19 v10\n\
         2 @0 Div [1 0] 0 [] w19 v0\n\
         3 @0 Sub [1 2] 0 [] w19 v0\n\
         a = 2\n\
         b = 3\n\
         c = 1\n"
    );
}

#[test]
fn options_say_when_windows_begin_and_how_full_they_are() {
    let features =
        [("a", "Mean(Ref($close, 3), 5)"), ("b", "Kurt($close, 5)"), ("c", "Count($close, 5)")];
    let first = Options::Own { gap: Gap::Skip, warmup: Some(2), min_valid: Some(4) };
    let nodes_of = |options| {
        let text = nodes(&only(options, &features));
        let lines = text.lines().filter(|line| line.contains(" v"));
        lines.map(|line| line.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        nodes_of(first),
        [
            "0 @0 Field(Close) [] 0 [] w0 v0",
            "1 @0 Ref [0] 3 [] w3 v0",
            "2 @0 Mean [1] 5 [] w4 v4",
            "3 @0 Kurt [0] 5 [] w1 v4",
            "4 @0 Count [0] 5 [] w1 v0",
        ]
    );
    // More than the window has places: all of them.
    let full = Options::Own { gap: Gap::Skip, warmup: None, min_valid: Some(100) };
    assert_eq!(nodes_of(full)[2], "2 @0 Mean [1] 5 [] w7 v5");
    assert_eq!(
        nodes_of(Options::default())[2..4],
        ["2 @0 Mean [1] 5 [] w7 v3", "3 @0 Kurt [0] 5 [] w4 v4",]
    );
    assert_eq!(
        nodes_of(Options::Qlib),
        [
            "0 @0 Field(Close) [] 0 [] w0 v0",
            "1 @0 Ref [0] 3 [] w0 v0",
            "2 @0 Mean [1] 5 [] w0 v1",
            "3 @0 Kurt [0] 5 [] w0 v4",
            "4 @0 Count [0] 5 [] w0 v0",
        ]
    );
}

#[test]
fn a_feature_named_on_another_step_is_computed_there() {
    let group = only(
        Options::default(),
        &[("trend", "Slope($close, 24)"), ("far", "At('1h', Of('SPY', trend)) - Of('SPY', 1)")],
    );
    assert_eq!(
        nodes(&group),
        "0 @0 Field(Close) [] 0 [] w0 v0\n\
         1 @0 Slope [0] 24 [] w23 v12\n\
         2 @1 Field(Close) [] 0 [] w0 v0\n\
         3 @1 Slope [2] 24 [] w23 v12\n\
         4 @2 Of [3] 0 [] w23 v0\n\
         5 @0 At [4] 0 [] w0 v0\n\
         6 @3 Number [] 0 [1.0] w0 v0\n\
         7 @0 Of [6] 0 [] w0 v0\n\
         8 @0 Sub [5 7] 0 [] w0 v0\n\
         trend = 1\n\
         far = 8\n"
    );
    let compiled = group.compile().expect("it is a group");
    let place = |instrument: Option<&str>, step| crate::Context {
        instrument: instrument.map(str::to_owned),
        step,
    };
    assert_eq!(
        compiled.graph.contexts,
        [
            place(None, None),
            place(Some("SPY"), Some(Step::H1)),
            place(None, Some(Step::H1)),
            place(Some("SPY"), None),
        ]
    );
    let reads = &compiled.features[1].inputs;
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert_eq!((reads[0].context.0, reads[0].lookback), (1, Some(23)));
    assert_eq!(reads[0].fields, [Field::Close]);
}

#[test]
fn what_is_already_meant_is_not_looked_for() {
    let group = only(Options::default(), &[("a", "Of('SPY', Of('SPY', $close))")]);
    assert_eq!(nodes(&group), "0 @1 Field(Close) [] 0 [] w0 v0\n1 @0 Of [0] 0 [] w0 v0\na = 1\n");
}

#[test]
fn contexts_never_read_each_other_in_a_circle() {
    let group = only(
        Options::default(),
        &[
            ("a", "Of('A', Of('B', $close))"),
            ("b", "Of('B', Of('A', $close))"),
            ("c", "Of('A', Of('B', Of('A', $close)))"),
        ],
    );
    let compiled = group.compile().expect("it is a group");
    let names: Vec<_> =
        compiled.graph.contexts.iter().map(|context| context.instrument.as_deref()).collect();
    assert_eq!(names, [None, Some("B"), Some("A"), Some("A")]);
    assert_eq!(
        nodes(&group),
        "0 @1 Field(Close) [] 0 [] w0 v0\n\
         1 @2 Of [0] 0 [] w0 v0\n\
         2 @0 Of [1] 0 [] w0 v0\n\
         3 @3 Field(Close) [] 0 [] w0 v0\n\
         4 @1 Of [3] 0 [] w0 v0\n\
         5 @0 Of [4] 0 [] w0 v0\n\
         6 @2 Of [4] 0 [] w0 v0\n\
         7 @0 Of [6] 0 [] w0 v0\n\
         a = 2\n\
         b = 5\n\
         c = 7\n"
    );
}

#[test]
fn on_balance_volume_counts_the_first_slot_at_once() {
    let group = only(Options::default(), &[("obv", "OBV()")]);
    let text = nodes(&group);
    let last = text.lines().rev().nth(1).expect("nodes");
    assert!(last.contains("CumSum") && last.ends_with("w0 v0"), "{text}");
    let chosen = text.lines().find(|line| line.contains(" If ")).expect("an If");
    assert!(chosen.ends_with("w0 v0"), "{text}");
}

#[test]
fn presets_come_first_and_lists_are_expanded_in_order() {
    let mut group = Definition::new("g", Bars::every(Step::D1));
    group.params.push(("W".to_owned(), vec!["5".to_owned(), "10".to_owned()]));
    group.params.push(("F".to_owned(), vec!["open".to_owned(), "close".to_owned()]));
    group.presets.push("qlib.alpha360".to_owned());
    let each = [("f", "F"), ("w", "W")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let mut rule = FeatureRule::new("ma_{f}_{w}", "Mean(${f}, {w}) / $close");
    rule.each = each.to_vec();
    group.features.push(rule);
    group.features.push(FeatureRule::new("sum", "ma_open_5 + CLOSE59"));
    let compiled = group.compile().expect("it is a group");
    let features: Vec<_> =
        compiled.features[360..].iter().map(|f| (f.name.as_str(), f.expr.as_str())).collect();
    assert_eq!(
        features,
        [
            ("ma_open_5", "Mean($open, 5) / $close"),
            ("ma_open_10", "Mean($open, 10) / $close"),
            ("ma_close_5", "Mean($close, 5) / $close"),
            ("ma_close_10", "Mean($close, 10) / $close"),
            ("sum", "ma_open_5 + CLOSE59"),
        ]
    );
    assert_eq!(compiled.totals.lookback, Some(59));
}

#[test]
fn alpha158_looks_back_60_slots_and_is_warm_at_once() {
    let group = Definition {
        options: Options::Qlib,
        presets: vec!["qlib.alpha158".to_owned()],
        ..Definition::new("alpha", Bars::every(Step::D1))
    };
    let compiled = group.compile().expect("it is a group");
    assert_eq!(compiled.features.len(), 158);
    assert_eq!(compiled.graph.outputs.len(), 158);
    assert!(compiled.graph.qlib);
    assert_eq!((compiled.totals.lookback, compiled.totals.warm_up), (Some(60), 0));
    assert!(compiled.features.iter().all(|feature| feature.class <= Class::Window));
}

#[test]
fn the_canonical_text_is_slots_options_and_features() {
    let mut group = only(
        Options::Own { gap: Gap::ByReason, warmup: Some(20), min_valid: None },
        &[("a", "ma($close,5)"), ("b", "a/$close")],
    );
    group.bars.source = Some("ib".to_owned());
    let text = "bars every=1m session=regular align=session price=trade adjust=none source=ib\n\
                options gap=by_reason warmup=20\n\
                a = Mean($close, 5)\n\
                b = a / $close\n";
    let compiled = group.compile().expect("it is a group");
    assert_eq!(compiled.canonical, text);
    let mut hash = Sha256::new();
    hash.update(format!("{text}kernels={}\n", crate::version::KERNELS));
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(compiled.version, digest[..16]);
}

#[test]
fn the_version_is_of_what_decides_values_only() {
    let version = |change: &dyn Fn(&mut Definition)| {
        let mut group = only(Options::default(), &[("a", "Mean($close, 20)")]);
        change(&mut group);
        group.compile().expect("it is a group").version
    };
    let first = version(&|_| ());
    for same in [
        &|g: &mut Definition| g.name = "other".to_owned(),
        &|g: &mut Definition| g.history = Storage::Materialized,
        &|g: &mut Definition| g.features[0].expr = "sma($CLOSE, 20m)".to_owned(),
        &|g: &mut Definition| g.params.push(("W".to_owned(), vec!["1".to_owned()])),
    ] as [&dyn Fn(&mut Definition); 4]
    {
        assert_eq!(version(same), first);
    }
    for other in [
        &|g: &mut Definition| g.features[0].name = "b".to_owned(),
        &|g: &mut Definition| g.features[0].expr = "Mean($close, 21)".to_owned(),
        &|g: &mut Definition| g.bars.every = Step::M5,
        &|g: &mut Definition| g.bars.session = SessionSet::Extended,
        &|g: &mut Definition| g.bars.align = Align::Clock,
        &|g: &mut Definition| g.bars.price = PriceSide::Mid,
        &|g: &mut Definition| g.bars.adjust = Adjust::Splits,
        &|g: &mut Definition| g.bars.source = Some("ib".to_owned()),
        &|g: &mut Definition| g.options = Options::Qlib,
    ] as [&dyn Fn(&mut Definition); 9]
    {
        assert_ne!(version(other), first);
    }
}

fn check_refused(change: impl Fn(&mut Definition), field: &str, message: &str) {
    let mut group = only(Options::default(), &[("a", "$close")]);
    change(&mut group);
    let error = group.compile().expect_err(field);
    assert_eq!(error.field, field, "{error}");
    assert!(error.message.contains(message), "{error}");
}

#[test]
fn a_document_with_a_fault_is_refused_at_the_field() {
    let text = str::to_owned;
    check_refused(|g| g.name = text("_a"), "name", "a letter first");
    check_refused(|g| g.name = "x".repeat(65), "name", "at most 64");
    check_refused(|g| g.bars.every = Step::Tick, "bars.every", "have a length");
    check_refused(|g| g.bars.source = Some(text("a,b")), "bars.source", "comma");
    let own = |warmup, min_valid| Options::Own { gap: Gap::Rows, warmup, min_valid };
    check_refused(|g| g.options = own(Some(0), None), "options.warmup", "from 1 to 65536");
    check_refused(|g| g.options = own(None, Some(2049)), "options.min_valid", "from 1 to 2048");
    check_refused(|g| g.features.clear(), "features", "at least one");
    check_refused(|g| g.features[0].name = text("a b"), "features[0].name", "is no name");
    check_refused(
        |g| g.features.push(FeatureRule::new("a", "1")),
        "features[1].name",
        "two features a",
    );
    check_refused(
        |g| g.presets = vec![text("qlib.alpha158"), text("qlib.alpha360")],
        "presets[1].name",
        "two features",
    );
    check_refused(|g| g.presets.push(text("alpha")), "presets[0]", "qlib.alpha158, qlib.alpha360");
    check_refused(|g| g.params.push((text("W"), vec![])), "params.W", "at least one value");
    check_refused(|g| g.params = vec![(text("W"), vec![text("1")]); 2], "params.W", "twice");
    let each = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| (text(a), text(b))).collect()
    };
    check_refused(
        |g| g.features[0].each = each(&[("w", "W")]),
        "features[0].for.w",
        "no parameter",
    );
    check_refused(
        |g| {
            g.params.push((text("W"), vec![text("1")]));
            g.features[0].each = each(&[("w", "W"), ("w", "W")]);
        },
        "features[0].for.w",
        "twice",
    );
    check_refused(
        |g| {
            g.params.push((text("W"), (0..100).map(|n| n.to_string()).collect()));
            g.features[0].name = text("a{v}_{w}");
            g.features[0].each = each(&[("v", "W"), ("w", "W")]);
        },
        "features[0]",
        "at most 4096 features",
    );
    check_refused(
        |g| g.features[0].expr = text("Mean($close, {w})"),
        "features[0].expr",
        "placeholder",
    );
}

#[test]
fn long_texts_that_mean_something_are_computed() {
    for text in [
        format!("{}1", "-".repeat(65_000)),
        format!("{}ADX(14)", "ADX(14)+".repeat(8_000)),
        format!("{}$close", "$close^".repeat(8_000)),
    ] {
        let compiled = only(Options::default(), &[("a", &text)]).compile();
        assert_eq!(compiled.expect("it is a group").features.len(), 1);
    }
}

/// Groups that would take long, or the whole stack, if nothing stopped them.
#[test]
fn hostile_groups_are_refused_and_do_no_harm() {
    let refused = |texts: &[String], message: &str| {
        let mut group = Definition::new("g", Bars::every(Step::M1));
        for (at, text) in texts.iter().enumerate() {
            group.features.push(FeatureRule::new(format!("f{at}"), text));
        }
        let error = group.compile().expect_err(message);
        assert!(error.message.contains(message), "{}: not {message}", error.message);
        assert!(error.to_string().len() < 1_000, "{}", error.to_string().len());
    };
    let one = |text: String, message: &str| refused(&[text], message);
    one("$close+".repeat(1 << 17), "at most 65536 bytes");
    one("(".repeat(10_000), "nests deeper than 64");
    one("Abs(".repeat(10_000), "nests deeper than 64");
    one("1?".repeat(10_000), "nests deeper than 64");
    one(format!("{}$close", "1?1:".repeat(10_000)), "nests deeper than 64");
    one(format!("{}$close", "-".repeat(60_000)), "at most 32768 distinct nodes");
    one("x".repeat(65_000), "no feature");
    one(format!("{}(1)", "x".repeat(65_000)), "no operator");
    one(format!("${}", "x".repeat(65_000)), "no field");
    one(format!("'{}", "x".repeat(65_000)), "without an end");
    one("9".repeat(65_000), "beyond the range");
    // Doubling: each text is the one before twice.
    let mut texts = vec!["$close".to_owned()];
    texts.extend((0..30).map(|at| format!("Of('A{at}', f{at}) + Of('B{at}', f{at})")));
    texts.push("At('1h', f30)".to_owned());
    refused(&texts, "lead over more than 8 features");
    // One long feature on the slots of many instruments.
    let long = format!("{}$close", "$close*$open+".repeat(5_000));
    let mut texts = vec![long];
    texts.extend((0..4_000).map(|at| format!("Of('A{at}', f0)")));
    refused(&texts, "at most 32768 distinct nodes");
    let cheap = format!("{}1", "1+".repeat(32_000));
    let mut texts = vec![format!("$close*({cheap})")];
    texts.extend((0..4_000).map(|at| format!("Of('A{at}', f0)")));
    refused(&texts, "parts, all written out");
    refused(&vec![cheap; 100], "all expanded");
    let texts: Vec<String> = (0..300).map(|at| format!("Of('A{at}', $close)")).collect();
    refused(&texts, "at most 256 places");
}
