//! Any group: it compiles or is refused, and what it means is written so that it means the same.
#![no_main]

use barrow_features::{Bars, Definition, FeatureRule, Gap, Options, PRESETS};
use barrow_types::Step;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Group {
    step: u8,
    options: Option<(Option<u32>, Option<u32>)>,
    has_preset: bool,
    params: Vec<(String, Vec<String>)>,
    features: Vec<Feature>,
}

#[derive(Arbitrary, Debug)]
struct Feature {
    name: String,
    each: Vec<(String, String)>,
    expr: String,
}

fuzz_target!(|group: Group| {
    let step = Step::ALL[usize::from(group.step) % Step::ALL.len()];
    let mut definition = Definition::new("fuzzed", Bars::every(step));
    if let Some((warmup, min_valid)) = group.options {
        definition.options = Options::Own { gap: Gap::Skip, warmup, min_valid };
    } else {
        definition.options = Options::Qlib;
    }
    definition.params = group.params;
    if group.has_preset {
        definition.presets.push(PRESETS[0].to_owned());
    }
    let rules = group.features.into_iter();
    definition.features = rules
        .map(|Feature { name, each, expr }| FeatureRule { name, each, expr })
        .collect();
    let Ok(compiled) = definition.compile() else { return };
    definition.presets.clear();
    definition.features = (compiled.features.iter())
        .map(|feature| FeatureRule::new(&feature.name, &feature.expr))
        .collect();
    // Written out, a text may be longer than one that is read.
    let is_long = |rule: &FeatureRule| rule.expr.len() > barrow_features::TEXT_LEN_MAX;
    if !definition.features.iter().any(is_long) {
        assert_eq!(definition.compile(), Ok(compiled));
    }
});
