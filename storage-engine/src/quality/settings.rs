//! How a dataset applies the rules: the table, and what facts say otherwise.

use barrow_types::{DatasetId, PriceSide, SeriesKey, Source, Step, Symbol};

use crate::dataset;
use crate::dataset::facts::FACT_SOURCE;
use crate::error::Error;
use crate::gaps::FactsAt;
use crate::reference::{Reference, RuleFact, rule_fact};
use crate::snapshot::Snapshot;

use super::Fired;
use super::table::{Action, COUNT, RULES, Rule, RuleId, Severity, THRESHOLDS_MAX, Threshold};

/// How one rule is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The rule.
    pub rule: &'static Rule,
    /// Whether it is applied.
    pub enabled: bool,
    /// How bad it is.
    pub severity: Severity,
    /// What becomes of what it fires on.
    pub action: Action,
    /// In the order of [`Rule::thresholds`]; those behind its end mean nothing.
    thresholds: [f64; THRESHOLDS_MAX],
}

impl Setting {
    fn of(rule: &'static Rule) -> Self {
        let mut thresholds = [0.0; THRESHOLDS_MAX];
        for (own, threshold) in thresholds.iter_mut().zip(rule.thresholds) {
            *own = threshold.default;
        }
        let Rule { severity, action, .. } = *rule;
        Self { rule, enabled: true, severity, action, thresholds }
    }

    /// Its thresholds with their names.
    pub fn thresholds(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let names = self.rule.thresholds.iter().map(|threshold| threshold.name);
        names.zip(self.thresholds)
    }

    /// The threshold of that name, which the rule has.
    pub(crate) fn number(&self, name: &str) -> f64 {
        let found = self.thresholds().find(|(own, _)| *own == name);
        found.expect("invariant: a rule asks for thresholds of its own").1
    }

    /// The threshold of that name, which counts something.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are whole and lie between bounds that fit"
    )]
    pub(super) fn count(&self, name: &str) -> usize {
        self.number(name) as usize
    }

    /// What a fact says, as far as it can be so.
    fn apply(&mut self, fact: &RuleFact) {
        self.enabled = fact.enabled.unwrap_or(self.enabled);
        let severity = fact.severity.as_deref().and_then(Severity::parse);
        self.severity = severity.unwrap_or(self.severity);
        let action = fact.action.as_deref().and_then(Action::parse);
        let action = action.filter(|action| self.rule.scope.actions().contains(action));
        self.action = action.unwrap_or(self.action);
        let stated = fact.thresholds.as_deref().map(|text| thresholds(self.rule, text));
        for (place, value) in stated.and_then(Result::ok).into_iter().flatten() {
            self.thresholds[place] = value;
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    dataset: DatasetId,
    settings: [Setting; COUNT],
}

impl RuleSet {
    /// The rules of a dataset as the table has them.
    pub fn by_default(dataset: DatasetId) -> Self {
        let setting = |rule: &'static Rule| {
            let enabled = rule.on.contains(&dataset);
            Setting { enabled, ..Setting::of(rule) }
        };
        Self { dataset, settings: RULES.each_ref().map(setting) }
    }

    /// The rules of a dataset with what facts say of them. What a fact says that no rule
    /// understands ([`validate`] turns it away) counts for nothing.
    pub fn of(reference: &Reference, dataset: DatasetId) -> Self {
        let mut rules = Self::by_default(dataset);
        let name = dataset::schema(dataset).map_or("", |schema| schema.name);
        for (rule, fact) in reference.rules(name) {
            let rule = RuleId::parse(rule).filter(|rule| rule.rule().on.contains(&dataset));
            if let Some(rule) = rule {
                rules.apply(rule, fact);
            }
        }
        rules
    }

    /// The rules of a dataset as the newest facts have them. Reads nothing but these.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub(crate) fn newest(snapshot: &Snapshot, dataset: DatasetId) -> Result<Self, Error> {
        let mut rules = Self::by_default(dataset);
        let facts = FactsAt { snapshot, as_of: None, at_sequence: None };
        facts.each(&Self::key(dataset), (i64::MIN, i64::MAX), |rows, at| {
            let (rule, fact) = rule_fact(rows, at);
            let rule = RuleId::parse(&rule).filter(|rule| rule.rule().on.contains(&dataset));
            if let Some(rule) = rule {
                rules.apply(rule, &fact);
            }
        })?;
        Ok(rules)
    }

    /// The series of the facts about the rules of a dataset.
    pub(crate) fn key(dataset: DatasetId) -> SeriesKey {
        let name = dataset::schema(dataset).map_or("", |schema| schema.name);
        SeriesKey {
            dataset: DatasetId::RULES,
            symbol: Symbol::new(name).expect("invariant: datasets have names"),
            step: Step::Tick,
            side: PriceSide::Trade,
            source: Source::new(FACT_SOURCE).expect("invariant: it is a name"),
        }
    }

    pub(super) fn apply(&mut self, rule: RuleId, fact: &RuleFact) {
        self.settings[rule as usize].apply(fact);
    }

    /// The dataset whose rules they are.
    pub const fn dataset(&self) -> DatasetId {
        self.dataset
    }

    /// How a rule is applied.
    pub const fn get(&self, rule: RuleId) -> &Setting {
        &self.settings[rule as usize]
    }

    /// How the rules that look at the dataset's rows are applied, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| setting.rule.on.contains(&self.dataset))
    }

    /// The enabled rules that judge single rows and have one of these actions.
    pub fn with_action(&self, actions: &[Action]) -> Fired {
        let has = |setting: &&Setting| setting.enabled && actions.contains(&setting.action);
        let ids = self.iter().filter(has).map(|setting| setting.rule.id);
        ids.collect::<Fired>().and(Rule::of_rows())
    }

    /// The enabled rules.
    pub fn enabled(&self) -> Fired {
        self.iter().filter(|setting| setting.enabled).map(|setting| setting.rule.id).collect()
    }
}

/// Checks how somebody wants a rule of a dataset to be applied; `None`: as the table has it.
///
/// # Errors
/// `Invalid`, naming the rule and the field that cannot be so.
pub fn validate(
    dataset: &str,
    rule: &str,
    severity: Option<&str>,
    action: Option<&str>,
    thresholds_text: Option<&str>,
) -> Result<(), Error> {
    let names = |on: &[DatasetId]| {
        let names = on.iter().filter_map(|id| Some(dataset::schema(*id)?.name));
        names.collect::<Vec<_>>().join(", ")
    };
    let Some(known) = RuleId::parse(rule).map(RuleId::rule) else {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        let names = names.join(", ");
        return Err(Error::invalid(format!("rule: {rule:?} is none of {names}")));
    };
    let fault =
        |field: &str, fault: String| Err(Error::invalid(format!("rule {rule}: {field}: {fault}")));
    if !known.on.iter().any(|on| dataset::schema(*on).is_some_and(|of| of.name == dataset)) {
        let looks_at = names(known.on);
        return fault("dataset", format!("it looks at {looks_at}, not at {dataset:?}"));
    }
    if let Some(severity) = severity
        && Severity::parse(severity).is_none()
    {
        return fault("severity", format!("{severity:?} is none of info, warn, error"));
    }
    if let Some(action) = action {
        let actions = known.scope.actions();
        if !Action::parse(action).is_some_and(|action| actions.contains(&action)) {
            let names: Vec<&str> = actions.iter().map(|action| action.name()).collect();
            let names = names.join(", ");
            return fault("action", format!("{action:?} is not one that it can have: {names}"));
        }
    }
    match thresholds_text.map(|text| thresholds(known, text)) {
        Some(Err(detail)) => fault("thresholds", detail),
        _ => Ok(()),
    }
}

/// Places and values of thresholds written as `name=number`, separated by spaces.
fn thresholds(rule: &Rule, text: &str) -> Result<Vec<(usize, f64)>, String> {
    let mut found: Vec<(usize, f64)> = Vec::new();
    for word in text.split_whitespace() {
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("{word:?} is not of the form name=number"));
        };
        let Some(place) = rule.thresholds.iter().position(|own| own.name == name) else {
            let names: Vec<&str> = rule.thresholds.iter().map(|own| own.name).collect();
            return Err(match names[..] {
                [] => format!("{name:?}: the rule has none"),
                _ => format!("{name:?} is none of {}", names.join(", ")),
            });
        };
        if found.iter().any(|(other, _)| *other == place) {
            return Err(format!("{name} is given twice"));
        }
        let Threshold { min, max, is_whole, .. } = rule.thresholds[place];
        let wanted = if is_whole { "a whole number" } else { "a number" };
        let value = value
            .parse()
            .ok()
            .filter(|value| (min..=max).contains(value) && (!is_whole || value.fract() == 0.0));
        let Some(value) = value else {
            return Err(format!("{word:?} is not {wanted} from {min} to {max}"));
        };
        found.push((place, value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(
        dataset: &str,
        rule: &str,
        severity: Option<&str>,
        action: Option<&str>,
        thresholds: Option<&str>,
    ) -> String {
        validate(dataset, rule, severity, action, thresholds).unwrap_err().detail().to_owned()
    }

    #[test]
    fn what_cannot_be_is_refused_with_rule_and_field() {
        assert!(validate("bars", "spike", None, None, None).is_ok());
        let (warn, flag) = (Some("warn"), Some("flag"));
        assert!(validate("bars", "spike", warn, flag, Some("m=5  k=8.5")).is_ok());
        assert!(validate("quotes", "price_positive", None, Some("reject"), Some("")).is_ok());
        for (told, about) in [
            (refused("bars", "spikes", None, None, None), "rule: "),
            (refused("trades", "spike", None, None, None), "rule spike: dataset: "),
            (refused("prices", "spike", None, None, None), "rule spike: dataset: "),
            (refused("bars", "spike", Some("bad"), None, None), "rule spike: severity: "),
            (refused("bars", "spike", None, Some("reject"), None), "rule spike: action: "),
            (refused("bars", "freshness", None, Some("quarantine"), None), "rule freshness: act"),
            (refused("bars", "spike", None, None, Some("k")), "rule spike: thresholds: \"k\""),
            (refused("bars", "spike", None, None, Some("n=1")), "rule spike: thresholds: \"n\""),
            (refused("bars", "spike", None, None, Some("k=x")), "rule spike: thresholds: \"k=x\""),
            (refused("bars", "spike", None, None, Some("k=-1")), "rule spike: thresholds: \"k=-"),
            (refused("bars", "spike", None, None, Some("k=NaN")), "rule spike: thresholds: \"k=N"),
            (refused("bars", "spike", None, None, Some("m=1.5")), "rule spike: thresholds: \"m=1"),
            (refused("bars", "spike", None, None, Some("m=1 m=1")), "rule spike: thresholds: m "),
            (refused("bars", "ohlc_order", None, None, Some("k=1")), "rule ohlc_order: threshold"),
        ] {
            assert!(told.starts_with(about), "{told}");
        }
    }

    #[test]
    fn a_fact_changes_what_it_names_and_nothing_else() {
        let mut setting = Setting::of(RuleId::Spike.rule());
        setting.apply(&RuleFact { thresholds: Some("m=7".to_owned()), ..RuleFact::default() });
        assert_eq!(
            setting.thresholds().collect::<Vec<_>>(),
            [("k", 12.0), ("m", 7.0), ("min", 0.01)]
        );
        assert_eq!((setting.action, setting.severity), (Action::Flag, Severity::Warn));
        assert!(setting.enabled);
        let severity = Some("error".to_owned());
        let action = Some("quarantine".to_owned());
        setting.apply(&RuleFact { enabled: Some(false), severity, action, thresholds: None });
        assert_eq!((setting.action, setting.severity), (Action::Quarantine, Severity::Error));
        assert!(!setting.enabled);
    }

    #[test]
    fn a_dataset_has_the_rules_that_look_at_its_rows() {
        let trades = RuleSet::by_default(DatasetId::TRADES);
        let names: Vec<&str> = trades.enabled().iter().map(RuleId::name).collect();
        assert_eq!(
            names,
            [
                "price_positive",
                "size_nonneg",
                "tick_size",
                "off_session",
                "duplicate_key",
                "conflicting_duplicate",
                "out_of_order",
                "late",
                "null_rate"
            ]
        );
        let bars = RuleSet::by_default(DatasetId::BARS);
        assert!(bars.with_action(&[Action::Quarantine]).is_empty());
        let rejected = bars.with_action(&[Action::Reject]);
        let names: Vec<&str> = rejected.iter().map(RuleId::name).collect();
        assert_eq!(names, ["ohlc_order", "price_positive", "size_nonneg"]);
    }
}
