//! The rows and facts that are visible at one (T, N), and what follows from them.

use std::collections::BTreeSet;

use barrow_types::{SeriesKey, Step};

use super::CuratedModel;
use super::calendar::{Align, Session, number};
use super::facts::{Action, EVERY_SYMBOL, Fact, Origin, Ruling, Series};
use super::rules::{RULES, action_by_default, fires, fires_on};
use crate::model::{Stored, Table};

/// Which candidate is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The first one bound.
    None,
    /// The first with a good row in the session.
    Session,
    /// The first with a good row in the slot.
    Slot,
}

/// A visible row and what rules and people say about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged<'a> {
    pub(super) row: &'a Stored,
    pub(super) is_quarantined: bool,
    pub(super) is_flagged: bool,
}

/// What is visible.
pub(super) struct World<'a> {
    model: &'a CuratedModel,
    as_of: i64,
    at_sequence: u64,
    facts: Vec<&'a Fact>,
    /// Those of them that bind, because they are asked for at every slot.
    bindings: Vec<&'a Fact>,
}

impl<'a> World<'a> {
    pub(super) fn new(model: &'a CuratedModel, as_of: i64, at_sequence: u64) -> Self {
        let facts = model.facts.visible(as_of, at_sequence);
        let binds = |fact: &&Fact| matches!(fact, Fact::Binding { .. });
        let bindings = facts.iter().copied().filter(binds).collect();
        Self { model, as_of, at_sequence, facts, bindings }
    }

    /// The instrument that a symbol of a source is at `at`; none if a fact says so.
    pub(super) fn bound(&self, symbol: &str, source: &str, at: i64) -> Option<String> {
        let rows = self.bindings.iter().filter_map(|fact| match fact {
            Fact::Binding { symbol: s, source: o, from, instrument }
                if s == symbol && o == source && *from <= at =>
            {
                Some((*from, instrument))
            }
            _ => None,
        });
        match rows.max_by_key(|(from, _)| *from) {
            None => Some(symbol.to_owned()),
            Some((_, instrument)) => Some(instrument.clone()).filter(|name| !name.is_empty()),
        }
    }

    /// The visible values of an attribute, each with its `ts`.
    fn values(&self, instrument: &str, attribute: &str) -> Vec<(i64, &'a str)> {
        let rows = self.facts.iter().filter_map(|fact| match fact {
            Fact::Attribute { instrument: i, from, attribute: a, value }
                if i == instrument && a == attribute =>
            {
                Some((*from, value.as_str()))
            }
            _ => None,
        });
        rows.collect()
    }

    /// The value of an attribute in force at `at`.
    fn value(&self, instrument: &str, attribute: &str, at: i64) -> Option<&'a str> {
        let values = self.values(instrument, attribute);
        let newest = values.into_iter().filter(|(from, _)| *from <= at).max_by_key(|row| row.0);
        newest.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// Whether the instrument is not listed at `at`.
    pub(super) fn is_not_listed(&self, instrument: &str, at: i64) -> bool {
        match self.value(instrument, "listed", at) {
            Some(value) => value == "false",
            None => !self.values(instrument, "listed").is_empty(),
        }
    }

    /// The calendar that an instrument follows in a range that ends at `end`.
    pub(super) fn calendar(&self, instrument: &str, end: i64) -> Option<&'a str> {
        self.value(instrument, "calendar", end)
    }

    /// Whether there is a calendar of that name.
    pub(super) fn is_calendar(&self, name: &str) -> bool {
        let names_it = |fact: &&Fact| match fact {
            Fact::CalendarDay { calendar, .. } => calendar == name,
            _ => false,
        };
        self.model.calendars.contains_key(name) || self.facts.iter().any(names_it)
    }

    /// The session of a calendar on a date, if it has one.
    pub(super) fn session(&self, calendar: Option<&str>, date: i64) -> Option<Session> {
        let Some(calendar) = calendar else { return Some(Session::of_clock(date)) };
        let day = self.facts.iter().find_map(|fact| match fact {
            Fact::CalendarDay { calendar: c, date: d, hours } if c == calendar && *d == date => {
                Some(*hours)
            }
            _ => None,
        });
        let embedded = || self.model.calendars.get(calendar)?.get(&date).copied();
        day.unwrap_or_else(embedded).map(|hours| Session::of(date, &hours))
    }

    fn setting(&self, of: Table, wanted: &str) -> Option<&'a str> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Setting { table, key, value } if *table == of && key == wanted => {
                Some(value.as_str())
            }
            _ => None,
        })
    }

    /// What the texts of conditions of a source's trades mean.
    pub(super) fn conditions(&self, source: &str) -> Option<&'a str> {
        self.setting(Table::Trades, &format!("conditions:{source}"))
    }

    /// Where the bars of a source begin.
    pub(super) fn alignment(&self, source: &str) -> Align {
        match self.setting(Table::Bars, &format!("alignment:{source}")) {
            None | Some("session") => Align::Session,
            Some("clock") => Align::Clock,
            Some(other) => panic!("alignment {other}: nobody offers that"),
        }
    }

    /// What is chosen if the question does not say it.
    pub(super) fn fallback(&self) -> Fallback {
        match self.setting(Table::Bars, "fallback") {
            None | Some("session") => Fallback::Session,
            Some("slot") => Fallback::Slot,
            Some("none") => Fallback::None,
            Some(other) => panic!("fallback {other}: nobody offers that"),
        }
    }

    /// How long after a slot's end the source publishes.
    pub(super) fn publish_delay(&self, source: &str) -> i64 {
        let value = self.setting(Table::Bars, &format!("publish_delay:{source}"));
        value.map_or(0, |text| text.parse().expect("invariant: nobody offers another delay"))
    }

    /// Whether bars of a series, or claims about it, are there.
    pub(super) fn is_there(&self, series: &Series) -> bool {
        self.has_rows(series, Table::Bars) || self.is_claim_there(series)
    }

    /// Whether trades or quotes of a series are there.
    pub(super) fn are_ticks_there(&self, ticks: &Series, table: Table) -> bool {
        self.has_rows(ticks, table)
    }

    fn has_rows(&self, series: &Series, table: Table) -> bool {
        self.model.bars.series(self.at_sequence).any(|key| *key == series.key(table))
    }

    fn is_claim_there(&self, series: &Series) -> bool {
        self.model.facts.stored().iter().any(|stored| match &stored.fact {
            Fact::Claim { of, .. } => stored.sequence <= self.at_sequence && of == series,
            _ => false,
        })
    }

    /// Every symbol of every source of which something is there, in order of preference.
    pub(super) fn symbols(&self) -> Vec<(String, String)> {
        let mut found = BTreeSet::new();
        for key in self.model.bars.series(self.at_sequence) {
            found.insert((key.source.as_str().to_owned(), key.symbol.as_str().to_owned()));
        }
        for stored in self.model.facts.stored() {
            if let Fact::Claim { of, .. } = &stored.fact
                && of.symbol != EVERY_SYMBOL
            {
                found.insert((of.source.clone(), of.symbol.clone()));
            }
        }
        let preferred: Vec<&str> =
            self.setting(Table::Bars, "sources").unwrap_or_default().split_whitespace().collect();
        let place = |source: &str| {
            preferred.iter().position(|name| *name == source).unwrap_or(preferred.len())
        };
        let mut found: Vec<(String, String)> = found.into_iter().collect();
        // What is equal in this order stays in order of source and symbol.
        found.sort_by_key(|(source, _)| place(source));
        found
    }

    fn visible(&self, key: &SeriesKey) -> Vec<&'a Stored> {
        self.model.bars.visible(key, i64::MIN, i64::MAX, self.as_of, self.at_sequence)
    }

    /// The visible rows of a series, in order of `ts`, judged; `session` as rules want it.
    pub(super) fn rows(
        &self,
        series: &Series,
        session: &dyn Fn(&Stored) -> Option<i64>,
    ) -> Vec<Judged<'a>> {
        let rows = self.visible(&series.key(Table::Bars));
        let judged = |at: usize| {
            // A rule from which the row was released says nothing about it.
            let fires = |rule: &&&str| {
                fires(rule, &self.rule(Table::Bars, rule).2, &rows, at, session)
                    && !self.says(series, rows[at], rule, Ruling::Release)
            };
            let fired: Vec<&str> = RULES.iter().filter(fires).copied().collect();
            let any_does = |actions: &[Action]| {
                let does = |rule: &&str| {
                    let (enabled, action, _) = self.rule(Table::Bars, rule);
                    enabled && actions.contains(&action)
                };
                fired.iter().any(does)
            };
            Judged {
                row: rows[at],
                is_quarantined: any_does(&[Action::Quarantine])
                    || self.says(series, rows[at], "manual", Ruling::Quarantine),
                is_flagged: any_does(&[Action::Flag, Action::Reject]),
            }
        };
        (0..rows.len()).map(judged).collect()
    }

    /// The visible trades or quotes of a series, in order, each with whether it is quarantined.
    pub(super) fn ticks(&self, ticks: &Series, table: Table) -> Vec<(&'a Stored, bool)> {
        let rows = self.visible(&ticks.key(table));
        let is_quarantined = |row: &Stored| {
            let fires = |rule: &str| {
                let (enabled, action, _) = self.rule(table, rule);
                enabled
                    && action == Action::Quarantine
                    && fires_on(rule, table, &row.values)
                    && !self.says(ticks, row, rule, Ruling::Release)
            };
            ["price_positive", "size_nonneg"].into_iter().any(fires)
                || self.says(ticks, row, "manual", Ruling::Quarantine)
        };
        rows.into_iter().map(|row| (row, is_quarantined(row))).collect()
    }

    /// The rules that turn rows of a table away at the door.
    pub(super) fn rejecting(&self, table: Table) -> Vec<&'static str> {
        let rejects = |rule: &&str| {
            let (enabled, action, _) = self.rule(table, rule);
            enabled && action == Action::Reject
        };
        RULES.into_iter().filter(rejects).collect()
    }

    /// How a rule is applied: whether it is, what it does, its thresholds.
    fn rule(&self, of: Table, wanted: &str) -> (bool, Action, Vec<(String, i64)>) {
        let stated = self.facts.iter().find_map(|fact| match fact {
            Fact::Rule { table, rule, enabled, action, thresholds, .. }
                if *table == of && rule == wanted =>
            {
                Some((*enabled, *action, thresholds.clone()))
            }
            _ => None,
        });
        stated.unwrap_or_else(|| (true, action_by_default(wanted), Vec::new()))
    }

    /// Whether a person decided so about a row.
    fn says(&self, series: &Series, row: &Stored, wanted: &str, ruling: Ruling) -> bool {
        self.facts.iter().any(|fact| match fact {
            Fact::Verdict { of, ts, rule, act, of_sequence, .. } => {
                (of, *ts, rule.as_str()) == (series, row.ts, wanted)
                    && (*act, *of_sequence) == (ruling, row.sequence)
            }
            _ => false,
        })
    }

    /// Claims about rows of a series in a table: those of its symbol and those of every symbol.
    fn claims(&self, series: &Series, table: Table) -> Vec<(i64, i64, Origin)> {
        let claims = self.facts.iter().filter_map(|fact| match fact {
            Fact::Claim { of, table: about, start, end, origin }
                if *about == table
                    && (&of.source, of.step, of.side)
                        == (&series.source, series.step, series.side)
                    && (of.symbol == series.symbol || of.symbol == EVERY_SYMBOL) =>
            {
                Some((*start, *end, *origin))
            }
            _ => None,
        });
        claims.collect()
    }

    /// Whether claims about a series together cover [start, end).
    pub(super) fn is_claimed(&self, series: &Series, table: Table, start: i64, end: i64) -> bool {
        let claims = self.claims(series, table);
        let mut covered = start;
        while covered < end {
            let on = claims.iter().filter(|claim| claim.0 <= covered && covered < claim.1);
            match on.map(|claim| claim.1).max() {
                Some(until) => covered = until,
                None => return false,
            }
        }
        true
    }

    /// Up to when the source says that it has delivered the series, if it says so at all.
    pub(super) fn watermark(&self, series: &Series, table: Table) -> Option<i64> {
        let claims = self.claims(series, table);
        let watermarks = claims.iter().filter(|claim| claim.2 == Origin::Watermark);
        watermarks.map(|claim| claim.1).max()
    }

    /// Whether a row of the series for that slot of a step was turned away.
    pub(super) fn has_reject(&self, series: &Series, table: Table, step: Step, slot: i64) -> bool {
        self.facts.iter().any(|fact| match fact {
            Fact::Reject { of, table: about, ts, .. } => {
                (of, *about) == (series, table) && number(step, *ts) == slot
            }
            _ => false,
        })
    }

    /// Whether a row of the series for [start, end) was turned away.
    pub(super) fn has_reject_in(
        &self,
        series: &Series,
        table: Table,
        start: i64,
        end: i64,
    ) -> bool {
        self.facts.iter().any(|fact| match fact {
            Fact::Reject { of, table: about, ts, .. } => {
                (of, *about) == (series, table) && start <= *ts && *ts < end
            }
            _ => false,
        })
    }

    /// Whether trading was halted in some of [start, end).
    pub(super) fn is_halted(&self, wanted: &str, start: i64, end: i64) -> bool {
        self.facts.iter().any(|fact| match fact {
            Fact::Halt { instrument, start: from, end: until, .. } => {
                instrument == wanted && meet((*from, until.unwrap_or(i64::MAX)), (start, end))
            }
            _ => false,
        })
    }

    /// Whether the source of a series delivered nothing in some of [start, end).
    pub(super) fn is_out(&self, series: &Series, start: i64, end: i64) -> bool {
        self.facts.iter().any(|fact| match fact {
            Fact::Outage { symbol, source, start: from, end: until, .. } => {
                *source == series.source
                    && (*symbol == series.symbol || symbol == EVERY_SYMBOL)
                    && meet((*from, until.unwrap_or(i64::MAX)), (start, end))
            }
            _ => false,
        })
    }
}

/// Whether two ranges share some time.
fn meet(one: (i64, i64), other: (i64, i64)) -> bool {
    one.0.max(other.0) < one.1.min(other.1)
}
