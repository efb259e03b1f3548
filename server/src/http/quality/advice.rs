//! What a person should know of a metric that is not good, and what he can do.

use std::borrow::Cow;

use barrow_engine::quality::RuleId;
use barrow_engine::report::Measure;
use barrow_types::{DAY_NANOS, DatasetId, PriceSide, Step, Timestamp};

use super::super::table::{date, instant};
use super::fold::{Cell, Fold};
use super::metric::Metric;

/// See the module.
pub(super) struct Told {
    pub(super) message: String,
    pub(super) action: String,
}

/// What to say of a metric.
pub(super) fn told(fold: &Fold<'_>, metric: &Metric<'_>) -> Told {
    let (part, count) = (metric.part, &metric.cell.count);
    let name = part.symbol.map_or("all instruments", |place| fold.groups.names[place].as_str());
    let bars = match (part.step, part.side) {
        (Some(step), Some(side)) if step != Step::Tick => {
            format!("{} {} bars", step.name(), side.name())
        }
        _ => fold.asked.schema.name.to_owned(),
    };
    let of = part.source.as_ref().map_or(String::new(), |source| format!(" of {source}"));
    let (open, tested) = (count.open, count.tested);
    let beside = metric.beside.as_deref().unwrap_or_default();
    let what = match metric.measure {
        Some(Measure::Nulls(column)) => {
            format!("{} of {tested} have no {column}", count.failed)
        }
        Some(Measure::DeadLetters) => format!("{open} were turned away"),
        Some(Measure::Rule(rule)) => match rule {
            RuleId::GapVsCalendar => format!(
                "of {tested} sessions {open} miss slots, the worst {}",
                percent(count.most.unwrap_or_default())
            ),
            RuleId::Freshness => {
                format!("{} slots are missing up to now", count.most.unwrap_or_default())
            }
            RuleId::UniverseCoverage => format!(
                "in {open} of {tested} sessions too few instruments have a row, at worst {}",
                percent(1.0 - count.most.unwrap_or_default())
            ),
            RuleId::XsourceDiff => format!(
                "{open} of {tested} closes differ from those of {beside}, by up to {:.1} bp",
                count.most.unwrap_or_default()
            ),
            RuleId::XfreqConsistency => {
                format!("{open} of {tested} differ from the {beside} bars in them")
            }
            rule => format!("{open} of {tested}: {}", rule.rule().meaning),
        },
        _ => metric.name.clone(),
    };
    Told { message: format!("{name}, {bars}{of}: {what}"), action: action(fold, metric, name) }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What a person can do.
fn action(fold: &Fold<'_>, metric: &Metric<'_>, name: &str) -> String {
    let part = metric.part;
    let series = Series {
        dataset: fold.asked.schema.dataset,
        table: fold.asked.schema.name,
        name,
        received: part.received.as_ref().map_or(name, |symbol| symbol.as_str()),
        source: part.source.as_ref().map(barrow_types::Source::as_str),
        step: part.step.unwrap_or(Step::Tick),
        side: part.side.unwrap_or(PriceSide::Trade),
        as_of: fold.asked.as_of,
    };
    let span = metric.cell.count.span;
    match metric.measure {
        Some(Measure::DeadLetters) => {
            "barrow dead-letters list; put right what can be by barrow dead-letters replay"
                .to_owned()
        }
        Some(Measure::Nulls(_)) => {
            format!(
                "{}; ask the source, or barrow rules set {} null_rate --threshold share=S",
                series.look(span),
                series.table
            )
        }
        Some(Measure::Rule(rule)) => match rule {
            RuleId::GapVsCalendar => format!(
                "{}; load what is missing, or state why it is: claims, halts, outages",
                series.gaps(&days(fold, ("--start", "--end"), &metric.cell))
            ),
            RuleId::UniverseCoverage => format!(
                "barrow quality {} --by symbol --frequency {}{}{} shows whose rows are missing; \
                 what is no longer traded: barrow instruments put FILE with listed false",
                series.table,
                series.step.name(),
                days(fold, ("--start-date", "--end-date"), &metric.cell),
                series.as_of()
            ),
            RuleId::Freshness => {
                format!(
                    "barrow latest {}; look after its source, or state an outage of it",
                    quoted(name)
                )
            }
            RuleId::DuplicateKey | RuleId::ConflictingDuplicate => format!(
                "{} --revisions all; the last row of a batch counts: send the right one again",
                series.look(span)
            ),
            RuleId::SplitSuspect | RuleId::AdjContinuity => format!(
                "{}; put the right split on record: barrow instruments put FILE; {}",
                series.look(span),
                series.settle(rule, span)
            ),
            RuleId::XsourceDiff | RuleId::XfreqConsistency => format!(
                "{}; ask both sources, prefer one: barrow sources set {} --order A,B",
                series.look(span),
                series.table
            ),
            RuleId::OffSession => format!(
                "{}; is its calendar right, and the time zone of its import? {}",
                series.look(span),
                series.settle(rule, span)
            ),
            rule => format!("{}; {}", series.look(span), series.settle(rule, span)),
        },
        _ => String::new(),
    }
}

/// What commands say of a series.
struct Series<'a> {
    dataset: DatasetId,
    table: &'static str,
    /// As asked.
    name: &'a str,
    /// As its source writes it.
    received: &'a str,
    source: Option<&'a str>,
    step: Step,
    side: PriceSide,
    as_of: Option<Timestamp>,
}

impl Series<'_> {
    fn as_of(&self) -> String {
        self.as_of.map_or(String::new(), |as_of| format!(" --as-of {}", at(as_of.nanos())))
    }

    fn price(&self) -> String {
        match self.side {
            PriceSide::Trade => String::new(),
            side => format!(" --price {}", side.name()),
        }
    }

    /// Shows the rows in question.
    fn look(&self, span: Option<(i64, i64)>) -> String {
        let name = quoted(self.received);
        let mut command = format!("barrow query {} --symbols {name}", self.table);
        if self.dataset == DatasetId::BARS {
            command += &format!(" --layer raw --frequency {}{}", self.step.name(), self.price());
        }
        if let Some(source) = self.source {
            command += &format!(" --source {}", quoted(source));
        }
        if let Some((first, last)) = span {
            let end = self.step.ts_end(Timestamp::from_nanos(last)).nanos();
            let end = end.max(last.saturating_add(1));
            command += &format!(" --start {} --end {}", at(first), at(end));
        }
        command + &self.as_of()
    }

    /// Lists gaps of some days.
    fn gaps(&self, days: &str) -> String {
        let (name, step, price) = (quoted(self.name), self.step.name(), self.price());
        let as_of = self.as_of();
        format!("barrow query gaps --symbols {name} --frequency {step}{price}{days}{as_of}")
    }

    /// Decides about one of the rows in question.
    fn settle(&self, rule: RuleId, span: Option<(i64, i64)>) -> String {
        if self.dataset != DatasetId::BARS {
            return "send it again as it is right, or barrow delete rows".to_owned();
        }
        let first = span.map_or(0, |span| span.0);
        let ts = match self.step.is_dated() {
            true => text(&date(i32::try_from(first.div_euclid(DAY_NANOS)).unwrap_or_default())),
            false => at(first),
        };
        let row = format!(
            "--symbol {} --source {} --timeframe {}{} --ts {ts}",
            quoted(self.received),
            quoted(self.source.unwrap_or("NAME")),
            self.step.name(),
            self.price()
        );
        let rule = rule.name();
        format!("wrong: barrow quarantine {row}; right: barrow release {row} --rule {rule}")
    }
}

/// The sessions in which something failed as options of a command: the first, and the date after
/// the last.
fn days(fold: &Fold<'_>, (start, end): (&str, &str), cell: &Cell) -> String {
    let Some((first, last)) = cell.sessions.first().zip(cell.sessions.last()) else {
        return String::new();
    };
    let all_are_named = cell.sessions.len() == cell.session_count;
    let stop = if all_are_named { *last + 1 } else { fold.asked.dates.end };
    format!(" {start} {} {end} {}", text(&date(*first)), text(&date(stop)))
}

/// A name as one word of a shell.
fn quoted(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:=^+".contains(&byte);
    if name.bytes().all(is_plain) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("'{}'", name.replace('\'', r"'\''")))
    }
}

fn at(ts: i64) -> String {
    text(&instant(Timestamp::from_nanos(ts)))
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_word_of_a_shell() {
        for (name, word) in [
            ("BRK.B", "BRK.B"),
            ("EUR/USD", "EUR/USD"),
            ("ES  230317", "'ES  230317'"),
            ("a;rm", "'a;rm'"),
            ("O'X", r"'O'\''X'"),
        ] {
            assert_eq!(quoted(name), word);
        }
    }
}
