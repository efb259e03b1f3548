//! A group as its document says it, and what becomes of it.

use std::collections::BTreeSet;

use barrow_types::{Adjust, Align, PriceSide, SessionSet, Source, Step};

use crate::analysis::{Analysis, Totals, analyse};
use crate::error::{DefinitionError, Fault, nearest};
use crate::expand::{Text, expand};
use crate::expr::Expr;
use crate::graph::Graph;
use crate::lexer::is_name;
use crate::lower::Lowering;
use crate::operator::Field;
use crate::parse::{Author, parse_by, shorten};
use crate::resolve::{Scope, resolve};
use crate::version::{canonical_text, version_of};

/// Most features of a group, presets and expansions among them.
pub const FEATURES_MAX: usize = 4_096;

/// Longest name of a group or a feature, in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// Longest `warmup` and greatest lookback of a feature, in slots.
pub const LOOKBACK_MAX: u32 = 65_536;

/// Most slots of a window.
pub(crate) const WINDOW_MAX: u32 = 2_048;

/// The slots that a group has cells for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bars {
    /// How long they are; not ticks.
    pub every: Step,
    /// Which hours have slots.
    pub session: SessionSet,
    /// Where slots shorter than a day begin.
    pub align: Align,
    /// Which price they are of.
    pub price: PriceSide,
    /// What prices are adjusted for.
    pub adjust: Adjust,
    /// The only source that counts; `None`: the chosen one of each slot.
    pub source: Option<String>,
}

impl Bars {
    /// Slots of this step, all else as if left out.
    pub fn every(every: Step) -> Self {
        Self {
            every,
            session: SessionSet::Regular,
            align: Align::Session,
            price: PriceSide::Trade,
            adjust: Adjust::None,
            source: None,
        }
    }
}

/// What fields are in slots without a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// Known where nothing was traded, null elsewhere.
    #[default]
    ByReason,
    /// Null.
    Skip,
    /// Such slots do not count.
    Rows,
}

impl Gap {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::ByReason, Self::Skip, Self::Rows];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByReason => "by_reason",
            Self::Skip => "skip",
            Self::Rows => "rows",
        }
    }

    /// The policy of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gap| gap.name() == name)
    }
}

/// How windows treat gaps and beginnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// Barrow's way.
    Own {
        /// What fields are in slots without a row.
        gap: Gap,
        /// The slot a window's first cell is in, from 1; `None`: its own length.
        warmup: Option<u32>,
        /// How many places of a window must be valid; `None`: half of them.
        min_valid: Option<u32>,
    },
    /// `compat: qlib`.
    Qlib,
}

impl Default for Options {
    fn default() -> Self {
        Self::Own { gap: Gap::default(), warmup: None, min_valid: None }
    }
}

impl Options {
    /// What fields are in slots without a row.
    pub fn gap(&self) -> Gap {
        match self {
            Self::Own { gap, .. } => *gap,
            Self::Qlib => Gap::Rows,
        }
    }
}

/// Where cells of the past come from. The bits are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// Computed when they are asked for.
    #[default]
    Computed,
    /// Stored.
    Materialized,
}

impl Storage {
    /// Either.
    pub const ALL: [Self; 2] = [Self::Computed, Self::Materialized];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::Materialized => "materialized",
        }
    }

    /// The one of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|storage| storage.name() == name)
    }
}

/// One entry of `features`: a feature, or one for each combination of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureRule {
    /// The name, with placeholders `{w}`.
    pub name: String,
    /// Placeholders and the parameters whose values they take, in order.
    pub each: Vec<(String, String)>,
    /// The expression, with placeholders.
    pub expr: String,
}

impl FeatureRule {
    /// One feature.
    pub fn new(name: impl Into<String>, expr: impl Into<String>) -> Self {
        Self { name: name.into(), each: Vec::new(), expr: expr.into() }
    }
}

/// A group as its document says it; what a caller reads from JSON or YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The group's name.
    pub name: String,
    /// Its slots.
    pub bars: Bars,
    /// Its options.
    pub options: Options,
    /// Lists of values, by name; values as they are put into texts.
    pub params: Vec<(String, Vec<String>)>,
    /// Sets of features that come first, by name.
    pub presets: Vec<String>,
    /// Its features.
    pub features: Vec<FeatureRule>,
    /// Where cells of the past come from.
    pub history: Storage,
}

/// What a definition says, checked and ready to be computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What is computed.
    pub graph: Graph,
    /// All that decides its values, as text.
    pub canonical: String,
    /// The version: 16 hexadecimal digits.
    pub version: String,
    /// What can be said of each feature, in the group's order.
    pub features: Vec<Analysis>,
    /// What can be said of the group.
    pub totals: Totals,
}

impl Definition {
    /// A group without features, all else as if left out.
    pub fn new(name: impl Into<String>, bars: Bars) -> Self {
        Self {
            name: name.into(),
            bars,
            options: Options::default(),
            params: Vec::new(),
            presets: Vec::new(),
            features: Vec::new(),
            history: Storage::default(),
        }
    }

    /// Checks the definition and makes of it what kernels compute.
    ///
    /// # Errors
    /// The first fault: the field of the document, and of an expression the character.
    pub fn compile(&self) -> Result<Compiled, DefinitionError> {
        self.check()?;
        let texts = expand(&self.presets, &self.params, &self.features)?;
        let mut lowering = Lowering::new(self.bars.every, &self.options);
        let mut scope = Names { step: self.bars.every, names: BTreeSet::new() };
        let mut features: Vec<(String, String)> = Vec::with_capacity(texts.len());
        for Text { field, name, expr } in texts {
            if !is_name(&name) || name.len() > NAME_LEN_MAX {
                return Err(DefinitionError::new(
                    format!("{field}.name"),
                    format!(
                        "'{}' is no name: letters, digits and _, not a digit first, at most \
                         {NAME_LEN_MAX}",
                        shorten(&name)
                    ),
                ));
            }
            if scope.names.contains(&name) {
                let message = format!("there are two features {name}");
                return Err(DefinitionError::new(format!("{field}.name"), message));
            }
            let read = read(&expr, &scope)
                .and_then(|tree| {
                    let text = tree.to_string();
                    lowering.add(&name, tree).map(|()| text)
                })
                .map_err(|fault| {
                    DefinitionError::in_expr(format!("{field}.expr"), &name, fault.in_text(&expr))
                })?;
            scope.names.insert(name.clone());
            features.push((name, read));
        }
        let graph = lowering.finish();
        let canonical = canonical_text(&self.bars, &self.options, &features);
        let version = version_of(&canonical);
        let (analyses, totals) = analyse(&graph, features);
        Ok(Compiled { graph, canonical, version, features: analyses, totals })
    }

    fn check(&self) -> Result<(), DefinitionError> {
        let begins = self.name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || !is_name(&self.name) || self.name.len() > NAME_LEN_MAX {
            let message = format!(
                "'{}' is no name: letters, digits and _, a letter first, at most {NAME_LEN_MAX}",
                shorten(&self.name)
            );
            return Err(DefinitionError::new("name", message));
        }
        if self.bars.every == Step::Tick {
            return Err(DefinitionError::new("bars.every", "slots have a length: 1m, 1d"));
        }
        if let Some(source) = &self.bars.source {
            Source::new(source)
                .map_err(|why| DefinitionError::new("bars.source", format!("the source {why}")))?;
        }
        if let Options::Own { warmup, min_valid, .. } = self.options {
            for (field, value, max) in [
                ("options.warmup", warmup, LOOKBACK_MAX),
                ("options.min_valid", min_valid, WINDOW_MAX),
            ] {
                if value.is_some_and(|value| value == 0 || value > max) {
                    return Err(DefinitionError::new(field, format!("is from 1 to {max}")));
                }
            }
        }
        Ok(())
    }
}

fn read(text: &str, scope: &Names) -> Result<Expr, Fault> {
    resolve(&parse_by(text, Author::User)?, scope)
}

/// The features before the one that is read.
struct Names {
    step: Step,
    names: BTreeSet<String>,
}

impl Scope for Names {
    fn step(&self) -> Step {
        self.step
    }

    fn feature(&self, name: &str) -> Result<(), String> {
        if self.names.contains(name) {
            return Ok(());
        }
        let mut fields = Field::ALL.into_iter().map(Field::name);
        if let Some(field) = fields.find(|field| field.eq_ignore_ascii_case(name)) {
            return Err(format!(
                "there is no feature {name} before this one; did you mean ${field}?"
            ));
        }
        let meant = nearest(name, self.names.iter().map(String::as_str));
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        Err(format!("there is no feature {} before this one{hint}", shorten(name)))
    }
}

#[cfg(test)]
mod tests;
