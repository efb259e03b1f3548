//! A count as a metric: its name, its value, and whether that is good.

use std::sync::Arc;

use barrow_engine::gaps::Reason;
use barrow_engine::quality::{RuleId, Setting, Severity};
use barrow_engine::report::{Count, Measure};
use barrow_types::{DatasetId, PriceSide, Step, Timestamp};
use serde_json::{Map, Value, json};

use super::super::openapi::{Columns, Field, Shape, Type};
use super::super::table::{date, instant};
use super::fold::{Cell, Cells, Fold, Part};

/// Whether a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// Nothing fails that nobody settled.
    Ok,
    /// Worth a look.
    Warn,
    /// Wrong.
    Error,
}

impl Status {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    const fn of(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Ok,
            Severity::Warn => Self::Warn,
            Severity::Error => Self::Error,
        }
    }
}

/// Columns of a table of metrics.
pub(super) const COLUMNS: Columns = &[
    ("session", "date"),
    ("symbol", "text"),
    ("source", "text"),
    ("frequency", "text"),
    ("price", "text"),
    ("beside", "text"),
    ("metric_name", "text"),
    ("value", "f64"),
    ("status", "text"),
    ("severity", "text"),
    ("n_tested", "i64"),
    ("n_failed", "i64"),
    ("n_settled", "i64"),
    ("worst", "f64"),
    ("first_failed", "timestamp"),
    ("last_failed", "timestamp"),
    ("thresholds", "text"),
];

/// Statuses.
pub(super) const STATUSES: Type = Type::Words(|| vec!["ok", "warn", "error"]);

/// As an object: what it is not told apart by, and what it has not, is left out.
pub(super) static METRIC: Shape = Shape {
    name: "Metric",
    about: "",
    fields: &[
        Field::maybe("session", Type::Date, ""),
        Field::maybe("symbol", Type::Text, ""),
        Field::maybe("source", Type::Text, ""),
        Field::maybe("frequency", Type::Text, ""),
        Field::maybe("price", Type::Text, ""),
        Field::maybe("beside", Type::Text, "What it was compared with"),
        Field::new("metric_name", Type::Text, ""),
        Field::or_null("value", Type::Number, ""),
        Field::new("status", STATUSES, ""),
        Field::maybe("severity", Type::Text, ""),
        Field::maybe("worst", Type::Number, "The worst number that was met"),
        Field::maybe("first_failed", Type::Instant, ""),
        Field::maybe("last_failed", Type::Instant, ""),
        Field::maybe("n_tested", Type::Whole, ""),
        Field::maybe("n_failed", Type::Whole, ""),
        Field::maybe("n_settled", Type::Whole, "Failed, and nothing to be done about it"),
        Field::new("thresholds", Type::Map(&Type::Number), "What the value is compared with"),
    ],
};

/// See the module.
pub(super) struct Metric<'a> {
    pub(super) part: &'a Part,
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) status: Status,
    pub(super) beside: Option<Arc<str>>,
    /// What is counted, unless it is put together from several counts.
    pub(super) measure: Option<Measure>,
    pub(super) cell: Cell,
    /// Those that say whether it is good.
    settings: Vec<Setting>,
}

impl<'a> Metric<'a> {
    /// The metrics of a part.
    pub(super) fn all(fold: &Fold<'_>, part: &'a Part, cells: &Cells) -> Vec<Self> {
        let mut metrics: Vec<Self> = Vec::new();
        for ((measure, beside), cell) in &cells.of {
            metrics.extend(Self::of(fold, part, *measure, beside.clone(), cell));
        }
        if fold.asked.schema.dataset == DatasetId::BARS {
            metrics.extend(outliers(fold, part, &metrics));
            metrics.extend(flat(fold, part, cells, &metrics));
        }
        metrics
    }

    fn of(
        fold: &Fold<'_>,
        part: &'a Part,
        measure: Measure,
        beside: Option<Arc<str>>,
        cell: &Cell,
    ) -> Option<Self> {
        let count = &cell.count;
        let of_rule = |rule| *fold.rules.get(rule);
        let (name, value) = match measure {
            Measure::Rows => ("row_count".to_owned(), json!(count.tested)),
            Measure::Nulls(column) => (format!("null_rate_{column}"), json!(share(count))),
            Measure::DeadLetters => ("dead_letters".to_owned(), json!(count.failed)),
            Measure::Expected => ("slots_expected".to_owned(), json!(count.tested)),
            Measure::Slots(Reason::Ok) => ("slots_present".to_owned(), json!(count.failed)),
            Measure::Slots(reason) => (format!("slots_{}", reason.name()), json!(count.failed)),
            Measure::LongestGap => ("longest_gap".to_owned(), whole(count.most.unwrap_or(0.0))),
            Measure::Rule(rule) => (rule.name().to_owned(), value_of(rule, count)),
        };
        let (status, settings) = match measure {
            Measure::Rule(rule) => {
                let setting = of_rule(rule);
                (status_of(count, setting.severity), vec![setting])
            }
            Measure::Nulls(_) => {
                let setting = of_rule(RuleId::NullRate);
                (null_status(&setting, count), vec![setting])
            }
            Measure::DeadLetters => (status_of(count, Severity::Warn), Vec::new()),
            _ => (Status::Ok, Vec::new()),
        };
        let (measure, cell) = (Some(measure), cell.clone());
        Some(Self { part, name, value, status, beside, measure, cell, settings })
    }

    fn severity(&self) -> Option<&'static str> {
        self.settings.iter().map(|setting| setting.severity).max().map(Severity::name)
    }

    /// As an object of the answer: what it is not told apart by is left out.
    pub(super) fn json(&self, fold: &Fold<'_>) -> Value {
        let row = self.row(fold);
        let splits = fold.splits;
        let mut metric = Map::new();
        for (name, is_told) in [
            ("session", splits.session),
            ("symbol", splits.symbol),
            ("source", splits.source),
            ("frequency", splits.frequency),
            ("price", splits.price),
            ("beside", self.beside.is_some()),
        ] {
            if is_told {
                metric.insert(name.to_owned(), row[name].clone());
            }
        }
        metric.insert("metric_name".to_owned(), self.name.clone().into());
        metric.insert("value".to_owned(), self.value.clone());
        metric.insert("status".to_owned(), self.status.name().into());
        for name in ["severity", "worst", "first_failed", "last_failed"] {
            if !row[name].is_null() {
                metric.insert(name.to_owned(), row[name].clone());
            }
        }
        if self.is_of_failures() {
            for name in ["n_tested", "n_failed", "n_settled"] {
                metric.insert(name.to_owned(), row[name].clone());
            }
        }
        metric.insert("thresholds".to_owned(), self.thresholds());
        Value::Object(metric)
    }

    /// Whether it counts what should not be.
    fn is_of_failures(&self) -> bool {
        use Measure::{DeadLetters, Nulls, Rule};
        matches!(self.measure, None | Some(Rule(_) | Nulls(_) | DeadLetters))
    }

    /// As a row of a table.
    pub(super) fn row(&self, fold: &Fold<'_>) -> Value {
        let Self { part, cell, .. } = self;
        let count = &cell.count;
        let failed = self.is_of_failures();
        let number = |number: u64| failed.then_some(number);
        let is_missing = self.measure == Some(Measure::Slots(Reason::Missing));
        let (first, last) = count.span.filter(|_| failed || is_missing).unzip();
        let at = |ts: Option<i64>| ts.map(|ts| instant(Timestamp::from_nanos(ts)));
        let thresholds = self.named_thresholds();
        let thresholds: Vec<String> =
            thresholds.iter().map(|(name, value)| format!("{name}={value}")).collect();
        json!({
            "session": part.session.map(date),
            "symbol": part.symbol.map(|place| fold.groups.names[place].as_str()),
            "source": part.source.as_ref().map(barrow_types::Source::as_str),
            "frequency": part.step.filter(|step| *step != Step::Tick).map(Step::name),
            "price": part.side.map(PriceSide::name),
            "beside": self.beside.as_deref(),
            "metric_name": self.name,
            "value": self.value,
            "status": self.status.name(),
            "severity": self.severity(),
            "n_tested": number(count.tested),
            "n_failed": number(count.failed),
            "n_settled": number(count.failed - count.open),
            "worst": self.worst(),
            "first_failed": at(first),
            "last_failed": at(last),
            "thresholds": thresholds.join(" "),
        })
    }

    /// The worst number that was met, where the value is another.
    pub(super) fn worst(&self) -> Option<f64> {
        let of_rule = |rule| matches!(rule, RuleId::GapVsCalendar | RuleId::XsourceDiff);
        let is_met = matches!(self.measure, Some(Measure::Rule(rule)) if of_rule(rule));
        self.cell.count.most.filter(|_| is_met)
    }

    fn named_thresholds(&self) -> Vec<(String, f64)> {
        let is_one = self.settings.len() == 1;
        let of_setting = |setting: &Setting| {
            let rule = setting.rule.name;
            let named = setting.thresholds().map(move |(name, value)| {
                let name = if is_one { name.to_owned() } else { format!("{rule}.{name}") };
                (name, value)
            });
            named.collect::<Vec<_>>()
        };
        self.settings.iter().flat_map(of_setting).collect()
    }

    /// What its value is compared with.
    pub(super) fn thresholds(&self) -> Value {
        let all = self.named_thresholds().into_iter();
        Value::Object(all.map(|(name, value)| (name, whole(value))).collect())
    }
}

/// `outliers`: spikes of closes and of volumes.
fn outliers<'a>(fold: &Fold<'_>, part: &'a Part, metrics: &[Metric<'_>]) -> Option<Metric<'a>> {
    put_together("outliers", fold, part, metrics, &[RuleId::Spike, RuleId::VolumeSpike])
}

/// `flat_series`: how many series have a close that does not move.
fn flat<'a>(
    fold: &Fold<'_>,
    part: &'a Part,
    cells: &Cells,
    metrics: &[Metric<'_>],
) -> Option<Metric<'a>> {
    let mut metric = put_together("flat_series", fold, part, metrics, &[RuleId::StalePrice])?;
    metric.value = json!(cells.flat.len());
    Some(metric)
}

/// What some rules find together; nothing, if none of them was asked.
fn put_together<'a>(
    name: &str,
    fold: &Fold<'_>,
    part: &'a Part,
    metrics: &[Metric<'_>],
    rules: &[RuleId],
) -> Option<Metric<'a>> {
    let is_one = |metric: &&Metric<'_>| {
        rules.iter().any(|rule| metric.measure == Some(Measure::Rule(*rule)))
    };
    let found: Vec<&Metric<'_>> = metrics.iter().filter(is_one).collect();
    let status = found.iter().map(|metric| metric.status).max()?;
    let mut cell = Cell::default();
    let most = found.iter().map(|metric| metric.cell.count.tested).max();
    for metric in &found {
        cell.count.add(&metric.cell.count);
    }
    // Each looks at the same rows.
    cell.count.tested = most.unwrap_or_default();
    let settings = rules.iter().map(|rule| *fold.rules.get(*rule));
    let settings = settings.filter(|setting| setting.enabled).collect();
    let (name, value) = (name.to_owned(), json!(cell.count.failed));
    Some(Metric { part, name, value, status, beside: None, measure: None, cell, settings })
}

/// The value of a rule: what it fires on, or the number that it compares.
fn value_of(rule: RuleId, count: &Count) -> Value {
    match rule {
        RuleId::Freshness => count.most.map_or(Value::Null, whole),
        RuleId::UniverseCoverage => json!(count.most.map(|absent| 1.0 - absent)),
        _ => json!(count.failed),
    }
}

/// How good it is that something failed so often.
fn status_of(count: &Count, severity: Severity) -> Status {
    if count.open > count.mild {
        Status::of(severity)
    } else if count.open > 0 {
        Status::of(severity).min(Status::Warn)
    } else {
        Status::Ok
    }
}

/// A column that never has a value is one that nobody delivers.
fn null_status(setting: &Setting, count: &Count) -> Status {
    let most = setting.thresholds().find(|(name, _)| *name == "share").map_or(1.0, |own| own.1);
    let is_odd = count.failed < count.tested && share(count).is_some_and(|share| share > most);
    if setting.enabled && is_odd { Status::of(setting.severity) } else { Status::Ok }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
fn share(count: &Count) -> Option<f64> {
    (count.tested > 0).then(|| count.failed as f64 / count.tested as f64)
}

/// A number, without a fraction if it has none.
#[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
pub(super) fn whole(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}
