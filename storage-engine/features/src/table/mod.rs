//! What operators there are: names, arguments, and what each is made of.
//!
//! Data only. An operator is either one that kernels compute, or a macro: an expression of other
//! operators, in which the arguments stand by their names.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::operator::{Field, Operator};

mod elementwise;
mod other;
mod recursions;
mod windows;

/// An operator that can be written.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Other names for it. All names match whatever the case.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) params: &'static [Param],
    pub(crate) body: Body,
    /// Only macros may use it.
    pub(crate) is_inner: bool,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What an operator is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A kernel computes it.
    Kernel(Operator),
    /// A kernel that also takes `$session`, behind the arguments.
    OfSession(Operator),
    /// This expression.
    Macro(&'static str),
    /// Its argument on a longer step.
    At,
    /// Its argument for another instrument.
    Of,
    /// Its argument, null only where the macro's own arguments are not begun.
    AtOnce,
    /// It would need what comes later; known so that it can be refused by name.
    LooksAhead,
    /// Known, and not there yet: what kind of operator it is.
    NotYet(&'static str),
}

/// An argument of an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it is if left out.
    pub(crate) default: Option<f64>,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Series,
    /// A series that is this field if all such arguments are left out.
    Implied(Field),
    /// The slots of a window, N.
    Window,
    /// The slots of a recursion, N, or a lag, k: at least 1.
    Slots,
    Lag,
    /// A number.
    Number(Range),
    /// A text: which only `At` and `Of` know.
    Text,
}

impl Kind {
    pub(crate) fn is_series(self) -> bool {
        matches!(self, Self::Series | Self::Implied(_))
    }
}

/// Which numbers an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    Any,
    /// Not negative.
    Positive,
    /// From 0 to 1.
    Share,
    /// Above 0, up to 1.
    Decay,
    /// 0, 1, 2, ...
    Whole,
}

impl Entry {
    const fn new(name: &'static str, params: &'static [Param], body: Body) -> Self {
        Self { name, aliases: &[], params, body, is_inner: false }
    }

    const fn kernel(name: &'static str, params: &'static [Param], operator: Operator) -> Self {
        Self::new(name, params, Body::Kernel(operator))
    }

    const fn expr(name: &'static str, params: &'static [Param], text: &'static str) -> Self {
        Self::new(name, params, Body::Macro(text))
    }

    const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn inner(self) -> Self {
        Self { is_inner: true, ..self }
    }

    /// How it is written: `MACD(x, fast=12, slow=26, signal=9)`.
    pub(crate) fn signature(&self) -> String {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|param| match param.default {
                Some(default) => format!("{}={default}", param.name),
                None => param.name.to_owned(),
            })
            .collect();
        format!("{}({})", self.name, params.join(", "))
    }
}

const fn param(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, default: None }
}

impl Param {
    const fn or(self, default: f64) -> Self {
        Self { default: Some(default), ..self }
    }
}

const X: Param = param("x", Kind::Series);
const Y: Param = param("y", Kind::Series);
const R: Param = param("r", Kind::Series);
/// A condition.
const COND: Param = param("c", Kind::Series);
const O: Param = param("o", Kind::Implied(Field::Open));
const H: Param = param("h", Kind::Implied(Field::High));
const L: Param = param("l", Kind::Implied(Field::Low));
const C: Param = param("c", Kind::Implied(Field::Close));
const V: Param = param("v", Kind::Implied(Field::Volume));
/// Of a window.
const N: Param = param("N", Kind::Window);
/// Of a recursion.
const SPAN: Param = param("N", Kind::Slots);
const LAG: Param = param("k", Kind::Lag);

static ENTRIES: [&[Entry]; 4] =
    [elementwise::ENTRIES, windows::ENTRIES, recursions::ENTRIES, other::ENTRIES];

static BY_NAME: LazyLock<BTreeMap<String, &'static Entry>> = LazyLock::new(|| {
    let mut by_name = BTreeMap::new();
    for entry in all() {
        for name in [entry.name].iter().chain(entry.aliases) {
            let before = by_name.insert(name.to_ascii_lowercase(), entry);
            assert!(before.is_none(), "invariant: {name} is one operator");
        }
    }
    by_name
});

/// Every operator.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.into_iter().flatten()
}

/// The operator of that name or alias.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    // No name is longer; a hostile text is not copied.
    if name.len() > 32 {
        return None;
    }
    BY_NAME.get(&name.to_ascii_lowercase()).copied()
}

/// Every name and alias that users may write.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let visible = all().filter(|entry| !entry.is_inner);
    visible.flat_map(|entry| [entry.name].into_iter().chain(entry.aliases.iter().copied()))
}

#[cfg(test)]
mod tests;
