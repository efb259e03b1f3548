//! Sets of rules.

use super::table::RuleId;

/// A set of rules: those that fire on a row, or those that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired(u32);

impl Fired {
    /// No rule.
    pub const NONE: Self = Self(0);

    const fn bit(rule: RuleId) -> u32 {
        1 << rule as u32
    }

    /// Whether it holds no rule.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it holds this rule.
    pub const fn has(self, rule: RuleId) -> bool {
        self.0 & Self::bit(rule) != 0
    }

    /// Whether it holds one of these rules.
    pub const fn has_any(self, rules: Self) -> bool {
        self.0 & rules.0 != 0
    }

    /// Adds a rule.
    pub const fn add(&mut self, rule: RuleId) {
        self.0 |= Self::bit(rule);
    }

    /// The rules that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rules that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rules that are here but not there.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The rules, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = RuleId> {
        RuleId::ALL.into_iter().filter(move |rule| self.has(*rule))
    }
}

impl FromIterator<RuleId> for Fired {
    fn from_iter<I: IntoIterator<Item = RuleId>>(rules: I) -> Self {
        let mut all = Self::NONE;
        rules.into_iter().for_each(|rule| all.add(rule));
        all
    }
}
