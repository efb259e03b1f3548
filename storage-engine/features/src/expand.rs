//! The features of a group one by one: presets first, then each combination of `for`.

use std::collections::BTreeMap;

use crate::definition::{FEATURES_MAX, FeatureRule};
use crate::error::DefinitionError;
use crate::lexer::is_name;
use crate::parse::shorten;
use crate::presets;

/// Most bytes of all names and expressions of a group together, after expansion.
const TEXTS_LEN_MAX: usize = 4 << 20;

/// A feature as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Where it stands in the document: `features[3]`.
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) expr: String,
}

pub(crate) fn expand(
    presets: &[String],
    params: &[(String, Vec<String>)],
    rules: &[FeatureRule],
) -> Result<Vec<Text>, DefinitionError> {
    let params = by_name(params)?;
    let mut texts = Texts { found: Vec::new(), len: 0 };
    for (at, preset) in presets.iter().enumerate() {
        let field = format!("presets[{at}]");
        let Some(features) = presets::find(preset) else {
            let message = format!(
                "there is no preset '{}'; there are {}",
                shorten(preset),
                presets::NAMES.join(", ")
            );
            return Err(DefinitionError::new(field, message));
        };
        for (name, expr) in features {
            texts.push(&field, name, expr)?;
        }
    }
    for (at, rule) in rules.iter().enumerate() {
        expand_rule(&format!("features[{at}]"), rule, &params, &mut texts)?;
    }
    if texts.found.is_empty() {
        return Err(DefinitionError::new("features", "a group has at least one feature"));
    }
    Ok(texts.found)
}

struct Texts {
    found: Vec<Text>,
    len: usize,
}

impl Texts {
    fn push(&mut self, field: &str, name: String, expr: String) -> Result<(), DefinitionError> {
        self.len = self.len.saturating_add(name.len()).saturating_add(expr.len());
        let message = if self.found.len() == FEATURES_MAX {
            format!("a group has at most {FEATURES_MAX} features")
        } else if self.len > TEXTS_LEN_MAX {
            format!("the texts of a group have at most {TEXTS_LEN_MAX} bytes, all expanded")
        } else {
            self.found.push(Text { field: field.to_owned(), name, expr });
            return Ok(());
        };
        Err(DefinitionError::new(field, message))
    }
}

type Params<'p> = BTreeMap<&'p str, &'p [String]>;

fn by_name(params: &[(String, Vec<String>)]) -> Result<Params<'_>, DefinitionError> {
    let mut found = Params::new();
    for (name, values) in params {
        let problem = if !is_name(name) {
            "the name of a parameter has letters, digits and _, not a digit first"
        } else if values.is_empty() {
            "a parameter has at least one value"
        } else if found.insert(name, values).is_some() {
            "the parameter is there twice"
        } else {
            continue;
        };
        return Err(DefinitionError::new(format!("params.{}", shorten(name)), problem));
    }
    Ok(found)
}

fn expand_rule(
    field: &str,
    rule: &FeatureRule,
    params: &Params<'_>,
    texts: &mut Texts,
) -> Result<(), DefinitionError> {
    let mut lists: Vec<(&str, &[String])> = Vec::with_capacity(rule.each.len());
    let mut count = 1usize;
    for (placeholder, param) in &rule.each {
        let fault = |problem: String| {
            let field = format!("{field}.for.{}", shorten(placeholder));
            Err(DefinitionError::new(field, problem))
        };
        if !is_name(placeholder) {
            return fault("a placeholder has letters, digits and _, not a digit first".to_owned());
        }
        if lists.iter().any(|(other, _)| other == placeholder) {
            return fault("the placeholder is there twice".to_owned());
        }
        let Some(values) = params.get(param.as_str()) else {
            return fault(format!("there is no parameter {}", shorten(param)));
        };
        count = count.saturating_mul(values.len());
        lists.push((placeholder, values));
    }
    // One more than there may be is enough to be refused.
    for nth in 0..count.min(FEATURES_MAX + 1) {
        let values = combination(&lists, nth);
        texts.push(field, fill(&rule.name, &values), fill(&rule.expr, &values))?;
    }
    Ok(())
}

/// The nth combination of the lists' values, the last list's changing fastest.
fn combination<'v>(lists: &[(&'v str, &'v [String])], nth: usize) -> Vec<(&'v str, &'v str)> {
    let mut rest = nth;
    let mut values: Vec<(&str, &str)> = lists
        .iter()
        .rev()
        .map(|(placeholder, list)| {
            let value = list[rest % list.len()].as_str();
            rest /= list.len();
            (*placeholder, value)
        })
        .collect();
    values.reverse();
    values
}

/// `text` with each `{placeholder}` replaced once; what is put in is not looked at again.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let value = behind.split_once('}').and_then(|(name, rest)| {
            values.iter().find(|(placeholder, _)| *placeholder == name).map(|(_, v)| (*v, rest))
        });
        match value {
            Some((value, behind)) => {
                filled.push_str(value);
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}
