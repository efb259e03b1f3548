//! The rules: one table.

use barrow_types::{DatasetId, Step};

use super::Fired;

/// How bad it is that a rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth to be counted.
    Info,
    /// Worth a look.
    Warn,
    /// Wrong.
    Error,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Error];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The severity of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// What becomes of a row on which a rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is stored, and says so.
    Flag,
    /// It is stored, and kept out of the curated layer until somebody releases it.
    Quarantine,
    /// Over HTTP it is turned away. An import takes what files hold, and flags it.
    Reject,
}

impl Action {
    /// Every action, mildest first.
    pub const ALL: [Self; 3] = [Self::Flag, Self::Quarantine, Self::Reject];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The action of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// The action on import.
    #[must_use]
    pub const fn on_import(self) -> Self {
        match self {
            Self::Reject => Self::Flag,
            other => other,
        }
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A row by itself: it can be turned away.
    Row,
    /// A row among its neighbours or beside facts: it can be flagged or quarantined.
    Neighbours,
    /// How rows came in: it is counted.
    Arrival,
    /// Slots, sources and instruments: it is counted.
    Slots,
}

impl Scope {
    /// What may become of what such a rule fires on.
    pub const fn actions(self) -> &'static [Action] {
        match self {
            Self::Row => &Action::ALL,
            Self::Neighbours => &[Action::Flag, Action::Quarantine],
            Self::Arrival | Self::Slots => &[Action::Flag],
        }
    }
}

/// A number that a rule compares with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// What it is called.
    pub name: &'static str,
    /// What it is unless a fact says otherwise.
    pub default: f64,
    /// The least that it may be.
    pub min: f64,
    /// The most that it may be.
    pub max: f64,
    /// Whether it counts something.
    pub is_whole: bool,
}

const fn number(name: &'static str, default: f64, min: f64, max: f64) -> Threshold {
    Threshold { name, default, min, max, is_whole: false }
}

const fn count(name: &'static str, default: f64, min: f64, max: f64) -> Threshold {
    Threshold { name, default, min, max, is_whole: true }
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Which one it is.
    pub id: RuleId,
    /// What it is called, for ever.
    pub name: &'static str,
    /// Tables whose rows it looks at.
    pub on: &'static [DatasetId],
    /// What it is about.
    pub scope: Scope,
    /// How bad it is, by default.
    pub severity: Severity,
    /// What becomes of what it fires on, by default.
    pub action: Action,
    /// What it compares with, at most [`THRESHOLDS_MAX`].
    pub thresholds: &'static [Threshold],
    /// When it fires, for a person.
    pub meaning: &'static str,
}

/// No rule has more thresholds.
pub(super) const THRESHOLDS_MAX: usize = 3;

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the table says what they mean")]
pub enum RuleId {
    OhlcOrder,
    PricePositive,
    SizeNonneg,
    VwapInRange,
    TickSize,
    ZeroVolumeBar,
    VolumeSpike,
    StalePrice,
    Spike,
    OffSession,
    SplitSuspect,
    AdjContinuity,
    UnitError,
    CrossedLocked,
    DuplicateKey,
    ConflictingDuplicate,
    OutOfOrder,
    Late,
    GapVsCalendar,
    NullRate,
    Freshness,
    UniverseCoverage,
    XsourceDiff,
    XfreqConsistency,
}

/// How many rules there are.
pub(super) const COUNT: usize = RULES.len();

impl RuleId {
    /// Every rule, in the order of the table.
    pub const ALL: [Self; COUNT] = {
        let mut all = [Self::OhlcOrder; COUNT];
        let mut at = 0;
        while at < COUNT {
            all[at] = RULES[at].id;
            at += 1;
        }
        all
    };

    /// The rule of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        RULES.iter().find(|rule| rule.name == name).map(|rule| rule.id)
    }

    /// Its line of the table.
    pub const fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// Whether it looks at rows of this step, of the datasets that it looks at.
    pub const fn is_of(self, step: Step) -> bool {
        match self {
            Self::SplitSuspect | Self::AdjContinuity => step.is_dated(),
            // Most seconds hold a handful of shares, so a trade of usual size stands out.
            Self::VolumeSpike => !matches!(step, Step::S1),
            _ => true,
        }
    }
}

impl Rule {
    /// The rules that look at rows of a dataset.
    pub fn on(dataset: DatasetId) -> impl Iterator<Item = &'static Self> {
        RULES.iter().filter(move |rule| rule.on.contains(&dataset))
    }

    /// The rules that judge single rows.
    pub fn of_rows() -> Fired {
        let judges = |rule: &&Self| matches!(rule.scope, Scope::Row | Scope::Neighbours);
        RULES.iter().filter(judges).map(|rule| rule.id).collect()
    }
}

const BARS: &[DatasetId] = &[DatasetId::BARS];
const QUOTES: &[DatasetId] = &[DatasetId::QUOTES];
const ALL: &[DatasetId] = &[DatasetId::BARS, DatasetId::TRADES, DatasetId::QUOTES];

/// See the module. `docs/CURATION.md` has the exact conditions.
pub static RULES: [Rule; 24] = [
    Rule {
        id: RuleId::OhlcOrder,
        name: "ohlc_order",
        on: BARS,
        scope: Scope::Row,
        severity: Severity::Error,
        action: Action::Reject,
        thresholds: &[],
        meaning: "low is above, or high below, another price of the bar",
    },
    Rule {
        id: RuleId::PricePositive,
        name: "price_positive",
        on: ALL,
        scope: Scope::Row,
        severity: Severity::Error,
        action: Action::Reject,
        thresholds: &[],
        meaning: "a price is 0 or less; switch it off for spreads and rates",
    },
    Rule {
        id: RuleId::SizeNonneg,
        name: "size_nonneg",
        on: ALL,
        scope: Scope::Row,
        severity: Severity::Error,
        action: Action::Reject,
        thresholds: &[],
        meaning: "a volume or size is below 0",
    },
    Rule {
        id: RuleId::VwapInRange,
        name: "vwap_in_range",
        on: BARS,
        scope: Scope::Row,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[number("tolerance", 1e-9, 0.0, 1.0)],
        meaning: "vwap lies outside low and high by more than the tolerance, as a share",
    },
    Rule {
        id: RuleId::TickSize,
        name: "tick_size",
        on: ALL,
        scope: Scope::Neighbours,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[number("tolerance", 1e-9, 0.0, 0.5)],
        meaning: "a price is no multiple of the instrument's tick_size in force",
    },
    Rule {
        id: RuleId::ZeroVolumeBar,
        name: "zero_volume_bar",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[count("sessions", 20.0, 0.0, 250.0)],
        meaning: "volume is 0 in regular hours, in a series that had some in the session or in the \
                  sessions (rows of dated bars) before",
    },
    Rule {
        id: RuleId::VolumeSpike,
        name: "volume_spike",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[number("k", 50.0, 1.0, 1e9)],
        meaning: "volume is above k times the median of the 60 rows before; not of bars of 1s",
    },
    Rule {
        id: RuleId::StalePrice,
        name: "stale_price",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[count("n", 30.0, 2.0, 10_000.0)],
        meaning: "n or more bars of a session in a row were traded at one close",
    },
    Rule {
        id: RuleId::Spike,
        name: "spike",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[
            number("k", 12.0, 0.0, 1e9),
            count("m", 3.0, 1.0, 100.0),
            number("min", 0.01, 0.0, 10.0),
        ],
        meaning: "the close jumps by more than k times the usual return, and by min or more, and \
                  is back by half within m rows",
    },
    Rule {
        id: RuleId::OffSession,
        name: "off_session",
        on: ALL,
        scope: Scope::Neighbours,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[],
        meaning: "the row lies outside the extended hours of every session",
    },
    Rule {
        id: RuleId::SplitSuspect,
        name: "split_suspect",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[number("tolerance", 0.025, 0.0, 0.1)],
        meaning: "price and volume of a dated bar jump as by a split, and none is on record",
    },
    Rule {
        id: RuleId::AdjContinuity,
        name: "adj_continuity",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[number("k", 12.0, 0.0, 1e9)],
        meaning: "across a split on record the adjusted close jumps by more than k times the usual \
                  return",
    },
    Rule {
        id: RuleId::UnitError,
        name: "unit_error",
        on: BARS,
        scope: Scope::Neighbours,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[number("tolerance", 0.2, 0.0, 0.5)],
        meaning: "a price is about 100 times the close before, or a hundredth of it, as pence are \
                  of pounds, and no split is on record",
    },
    Rule {
        id: RuleId::CrossedLocked,
        name: "crossed_locked",
        on: QUOTES,
        scope: Scope::Row,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[],
        meaning: "bid is above ask; equal to it (locked) is a warning, and never turned away",
    },
    Rule {
        id: RuleId::DuplicateKey,
        name: "duplicate_key",
        on: ALL,
        scope: Scope::Arrival,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[],
        meaning: "a batch held the same row twice",
    },
    Rule {
        id: RuleId::ConflictingDuplicate,
        name: "conflicting_duplicate",
        on: ALL,
        scope: Scope::Arrival,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[],
        meaning: "a batch held two rows of one key with different values",
    },
    Rule {
        id: RuleId::OutOfOrder,
        name: "out_of_order",
        on: ALL,
        scope: Scope::Arrival,
        severity: Severity::Info,
        action: Action::Flag,
        thresholds: &[],
        meaning: "a row with a later time of the same session came in an earlier record; \
                  corrections do not count",
    },
    Rule {
        id: RuleId::Late,
        name: "late",
        on: ALL,
        scope: Scope::Arrival,
        severity: Severity::Info,
        action: Action::Flag,
        thresholds: &[number("seconds", 60.0, 0.0, 1e9)],
        meaning: "the row is known more than so many seconds after its bar could first be had; \
                  neither corrections count nor rows whose known_at is assumed",
    },
    Rule {
        id: RuleId::GapVsCalendar,
        name: "gap_vs_calendar",
        on: BARS,
        scope: Scope::Slots,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[number("warn", 0.0, 0.0, 1.0), number("error", 0.05, 0.0, 1.0)],
        meaning: "more than this share of the expected slots of a session is missing; up to \
                  `error` it is a warning",
    },
    Rule {
        id: RuleId::NullRate,
        name: "null_rate",
        on: ALL,
        scope: Scope::Slots,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[number("share", 0.05, 0.0, 1.0)],
        meaning: "more than this share of the rows, but not all, have no value in a column",
    },
    Rule {
        id: RuleId::Freshness,
        name: "freshness",
        on: BARS,
        scope: Scope::Slots,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[count("slots", 3.0, 0.0, 1e6)],
        meaning: "the session is open and more than this many slots are due after the newest row",
    },
    Rule {
        id: RuleId::UniverseCoverage,
        name: "universe_coverage",
        on: BARS,
        scope: Scope::Slots,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[number("share", 0.95, 0.0, 1.0)],
        meaning: "in a session fewer than this share of the expected instruments have a row",
    },
    Rule {
        id: RuleId::XsourceDiff,
        name: "xsource_diff",
        on: BARS,
        scope: Scope::Slots,
        severity: Severity::Warn,
        action: Action::Flag,
        thresholds: &[number("bp", 5.0, 0.0, 10_000.0)],
        meaning: "the closes of two sources differ by more than so many hundredths of a percent",
    },
    Rule {
        id: RuleId::XfreqConsistency,
        name: "xfreq_consistency",
        on: BARS,
        scope: Scope::Slots,
        severity: Severity::Error,
        action: Action::Flag,
        thresholds: &[number("tolerance", 1e-9, 0.0, 1.0)],
        meaning: "a bar differs from the shorter bars of its source in it by more than the \
                  tolerance, as a share",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_at_the_place_of_its_number_and_keeps_to_its_own_bounds() {
        for (place, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.id as usize, place, "{}", rule.name);
            assert_eq!(RuleId::parse(rule.name), Some(rule.id));
            assert!(rule.scope.actions().contains(&rule.action), "{}", rule.name);
            assert!(rule.thresholds.len() <= THRESHOLDS_MAX, "{}", rule.name);
            for threshold in rule.thresholds {
                let within = threshold.min..=threshold.max;
                assert!(within.contains(&threshold.default), "{} {}", rule.name, threshold.name);
                assert!(!threshold.is_whole || threshold.default.fract() == 0.0);
            }
        }
        assert_eq!(RuleId::parse("no_such_rule"), None);
    }

    #[test]
    fn words_lead_back_to_what_they_name() {
        assert!(Severity::ALL.iter().all(|own| Severity::parse(own.name()) == Some(*own)));
        assert!(Action::ALL.iter().all(|own| Action::parse(own.name()) == Some(*own)));
        assert_eq!(Action::parse("Reject"), None);
    }
}
