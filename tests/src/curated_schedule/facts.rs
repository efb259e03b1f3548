//! Batches of facts at random: new ones, other versions of known ones, retractions.

use barrow_types::{DAY_NANOS, Step};

use super::Generator;
use super::setting::{
    self, CALENDARS, DATES, HOUR, INSTRUMENTS, MINUTE, OPEN, SECOND, SOURCES, SYMBOLS,
};
use crate::curated_model::calendar::Hours;
use crate::curated_model::facts::{
    ALWAYS, Action, EVERY_SYMBOL, Fact, Ledger, OfferedFact, Ruling, Series,
};
use crate::curated_model::rules::RULES;
use crate::curated_model::{CuratedModel, FactLoad, Offer};
use crate::model::{Stored, Table};

/// The ledgers that come from outside, as often as they are drawn. Rejects are the door's.
const LEDGERS: [Ledger; 20] = [
    Ledger::CalendarDays,
    Ledger::Claims,
    Ledger::Bindings,
    Ledger::Bindings,
    Ledger::Bindings,
    Ledger::Instruments,
    Ledger::Actions,
    Ledger::Actions,
    Ledger::Claims,
    Ledger::Claims,
    Ledger::Halts,
    Ledger::Outages,
    Ledger::Settings,
    Ledger::Settings,
    Ledger::Rules,
    Ledger::Rules,
    Ledger::Verdicts,
    Ledger::Verdicts,
    Ledger::Verdicts,
    Ledger::Verdicts,
];

impl Generator {
    /// What the first bindings are, if there are any: some symbols of the last source.
    pub(super) fn first_bindings(&mut self) -> Option<FactLoad> {
        let mut facts = Vec::new();
        let source = SOURCES[self.sources - 1].to_owned();
        for symbol in &SYMBOLS[..self.symbols] {
            if self.random.chance(50) {
                let (symbol, source, from) = ((*symbol).to_owned(), source.clone(), self.since());
                let instrument = INSTRUMENTS[[0, 2][self.random.place(2)]].to_owned();
                let fact = Fact::Binding { symbol, source, from, instrument };
                facts.push(OfferedFact { fact, known_at: None });
            }
        }
        let (id, retract) = (self.id(), false);
        if facts.is_empty() { None } else { Some(FactLoad { id, retract, facts }) }
    }

    /// A batch of facts, or a retraction of one.
    pub(super) fn facts(&mut self, model: &CuratedModel) -> Offer {
        let ledger = LEDGERS[self.random.place(LEDGERS.len())];
        match ledger {
            Ledger::Claims => Offer::Bars(self.claims(model)),
            Ledger::Rules | Ledger::Verdicts if !self.has_quality => self.facts(model),
            _ => Offer::Facts(self.facts_of(model, ledger)),
        }
    }

    fn facts_of(&mut self, model: &CuratedModel, ledger: Ledger) -> FactLoad {
        let id = self.id();
        let mut known = model.visible_facts(ledger, i64::MAX, u64::MAX);
        known.retain(|fact| match fact {
            Fact::Rule { rule, .. } => RULES.contains(&rule.as_str()),
            _ => true,
        });
        let percent = match ledger {
            Ledger::CalendarDays | Ledger::Instruments => 5,
            _ => 12,
        };
        if !known.is_empty() && self.random.chance(percent) {
            let fact = known[self.random.place(known.len())].clone();
            let facts = vec![OfferedFact { fact, known_at: None }];
            return FactLoad { id, retract: true, facts };
        }
        let mut facts: Vec<OfferedFact> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let fact = if !known.is_empty() && self.random.chance(35) {
                let known = known[self.random.place(known.len())].clone();
                self.revised(known)
            } else {
                self.fact(model, ledger)
            };
            // Who does not know better says when it was announced only now and then.
            let known_at = match self.random.below(10) {
                0 => Some(self.past(5 * DAY_NANOS)),
                1 => Some(self.moment()),
                2 => Some(fact.key().ts).filter(|ts| *ts <= self.now),
                _ => None,
            };
            facts.push(OfferedFact { fact, known_at });
        }
        // A batch is of one source, step and side.
        let place = |offered: &OfferedFact| {
            let key = offered.fact.key();
            (key.source, key.step, key.side)
        };
        let first = place(&facts[0]);
        facts.retain(|offered| place(offered) == first);
        FactLoad { id, retract: false, facts }
    }

    /// A fact of a ledger about anything.
    fn fact(&mut self, model: &CuratedModel, ledger: Ledger) -> Fact {
        let (symbol, source) = (self.symbol().to_owned(), self.source().to_owned());
        match ledger {
            Ledger::CalendarDays => {
                let drawn = [0, 0, 0, 1, 2][self.random.place(5)];
                let of_long = self.steps.contains(&Step::H4) && self.random.chance(70);
                let calendar = CALENDARS[if of_long { 2 } else { drawn }];
                // Saturday is drawn too.
                let date = if self.random.chance(85) { self.date() } else { DATES[1] + 1 };
                let hours = self.hours(calendar);
                Fact::CalendarDay { calendar: calendar.to_owned(), date, hours }
            }
            Ledger::Bindings => {
                let (from, instrument) = (self.since(), self.instrument());
                Fact::Binding { symbol, source, from, instrument }
            }
            Ledger::Instruments => {
                let instrument = self.existing_instrument().to_owned();
                if self.random.chance(12) {
                    let value = self.calendar();
                    let (from, attribute) = (ALWAYS, "calendar".to_owned());
                    return Fact::Attribute { instrument, from, attribute, value };
                }
                let (from, attribute) = (self.since(), "listed".to_owned());
                let value = self.random.chance(60).to_string();
                Fact::Attribute { instrument, from, attribute, value }
            }
            Ledger::Actions => {
                let instrument = self.existing_instrument().to_owned();
                let date = self.date();
                let kind = ["split", "dividend"][self.random.place(2)].to_owned();
                let hundredths = self.action(&kind);
                Fact::CorporateAction { instrument, date, kind, hundredths }
            }
            Ledger::Halts => {
                let start = self.moment();
                let (end, note) = (self.end(start), String::new());
                let instrument = self.existing_instrument().to_owned();
                Fact::Halt { instrument, start, end, note }
            }
            Ledger::Outages => {
                let every = self.random.chance(40);
                let symbol = if every { EVERY_SYMBOL.to_owned() } else { symbol };
                let start = self.moment();
                let (end, note) = (self.end(start), String::new());
                Fact::Outage { symbol, source, start, end, note }
            }
            Ledger::Settings => {
                let keys = ["sources", "fallback", "publish_delay", "alignment", "conditions"];
                let key = match keys[self.random.place(if self.has_ticks { 5 } else { 4 })] {
                    key @ ("sources" | "fallback") => key.to_owned(),
                    of_source => format!("{of_source}:{source}"),
                };
                let value = self.value(&key);
                Fact::Setting { table: table_of(&key), key, value }
            }
            Ledger::Rules => {
                let table = self.table();
                let rules = if table == Table::Bars { &RULES[..] } else { &RULES[1..3] };
                let rule = rules[self.random.place(rules.len())].to_owned();
                self.rule(table, rule)
            }
            Ledger::Verdicts => self.verdict(model),
            Ledger::Claims | Ledger::Rejects => panic!("invariant: batches of bars bring them"),
        }
    }

    /// Another version of a known fact.
    fn revised(&mut self, fact: Fact) -> Fact {
        match fact {
            Fact::CalendarDay { calendar, date, .. } => {
                let hours = self.hours(&calendar);
                Fact::CalendarDay { calendar, date, hours }
            }
            Fact::Binding { symbol, source, from, .. } => {
                let instrument = self.instrument();
                Fact::Binding { symbol, source, from, instrument }
            }
            Fact::Attribute { instrument, from, attribute, .. } => {
                let listed = self.random.chance(60).to_string();
                let value = if attribute == "calendar" { self.calendar() } else { listed };
                Fact::Attribute { instrument, from, attribute, value }
            }
            Fact::CorporateAction { instrument, date, kind, .. } => {
                let hundredths = self.action(&kind);
                Fact::CorporateAction { instrument, date, kind, hundredths }
            }
            Fact::Halt { instrument, start, note, .. } => {
                Fact::Halt { instrument, start, end: self.end(start), note }
            }
            Fact::Outage { symbol, source, start, note, .. } => {
                Fact::Outage { symbol, source, start, end: self.end(start), note }
            }
            Fact::Setting { table, key, .. } => {
                let value = self.value(&key);
                Fact::Setting { table, key, value }
            }
            Fact::Rule { table, rule, .. } => self.rule(table, rule),
            Fact::Verdict { of, ts, rule, act, of_sequence, note } => {
                let act = match act {
                    Ruling::Quarantine => Ruling::Release,
                    Ruling::Release => Ruling::Quarantine,
                };
                Fact::Verdict { of, ts, rule, act, of_sequence, note }
            }
            Fact::Claim { .. } | Fact::Reject { .. } => fact,
        }
    }

    /// What a split or a dividend is: now and then more than a share is worth.
    fn action(&mut self, kind: &str) -> i32 {
        match kind {
            "split" => [200, 150, 10, 700][self.random.place(4)],
            _ => [1, 10, 50, 100_000][self.random.place(4)],
        }
    }

    /// Since when something may be so: ever, a midnight, or an instant.
    fn since(&mut self) -> i64 {
        match self.random.below(10) {
            0..4 => ALWAYS,
            4..6 => self.moment().div_euclid(DAY_NANOS) * DAY_NANOS,
            6..9 => self.moment().div_euclid(MINUTE) * MINUTE,
            _ => self.moment(),
        }
    }

    /// When something that began may be over: by now, or not.
    fn end(&mut self, start: i64) -> Option<i64> {
        let end = start + [SECOND, MINUTE, 3 * MINUTE, DAY_NANOS][self.random.place(4)];
        Some(end.min(self.now)).filter(|end| *end > start && self.random.chance(85))
    }

    /// What a symbol may be: an instrument, or none.
    fn instrument(&mut self) -> String {
        if self.random.chance(10) { String::new() } else { self.existing_instrument().to_owned() }
    }

    /// One of the instruments, mostly one that symbols are without a binding too.
    pub(super) fn existing_instrument(&mut self) -> &'static str {
        match self.random.below(20) {
            0..10 => INSTRUMENTS[0],
            10..14 => INSTRUMENTS[1],
            14..19 => INSTRUMENTS[2],
            _ => INSTRUMENTS[3],
        }
    }

    fn calendar(&mut self) -> String {
        let names = if self.random.chance(95) {
            [CALENDARS[0], CALENDARS[0], CALENDARS[1], CALENDARS[2], ""]
        } else {
            ["NOWHERE"; 5]
        };
        names[self.random.place(5)].to_owned()
    }

    /// The hours of a date: as ever, shorter, with a break, none.
    fn hours(&mut self, calendar: &str) -> Option<Hours> {
        let mut hours = setting::hours(calendar);
        let unit = if calendar == "LONG" { HOUR } else { MINUTE };
        match self.random.below(10) {
            0 => return None,
            1 => (hours.close, hours.post_close) = (hours.open + 4 * unit, None),
            2 | 5 => {
                let stop = hours.open + 2 * unit + self.span(3) * unit / 2;
                hours.pause = Some((stop, stop + unit + self.span(4) * unit / 2));
            }
            3 => {
                // In LONG the next session has begun by then, and perhaps rests.
                let after = [1, 1, 3][self.random.place(3)] * unit;
                (hours.pre_open, hours.post_close) = (None, Some(hours.close + after));
            }
            4 if calendar == "TINY" => hours.open = OPEN - 90 * SECOND,
            _ => {}
        }
        hours.pre_open = hours.pre_open.filter(|first| *first <= hours.open);
        Some(hours)
    }

    fn value(&mut self, key: &str) -> String {
        match key {
            "sources" => {
                let mut names: Vec<&str> = SOURCES.into();
                names.rotate_left(self.random.place(SOURCES.len()));
                names.truncate(self.random.place(SOURCES.len() + 1));
                names.join(" ")
            }
            "fallback" => ["none", "session", "slot"][self.random.place(3)].to_owned(),
            key if key.starts_with("alignment") => {
                ["clock", "session"][self.random.place(2)].to_owned()
            }
            key if key.starts_with("conditions") => {
                setting::CONDITIONS[self.random.place(setting::CONDITIONS.len())].to_owned()
            }
            _ => [0, 1, 30 * SECOND, 2 * MINUTE, DAY_NANOS][self.random.place(5)].to_string(),
        }
    }

    fn rule(&mut self, table: Table, rule: String) -> Fact {
        let n = 2 + self.span(3);
        let is_stale = rule == "stale_price";
        let thresholds = if is_stale { vec![("n".to_owned(), n)] } else { Vec::new() };
        let actions = [Action::Flag, Action::Flag, Action::Quarantine, Action::Quarantine];
        let rejects = !is_stale && self.random.chance(30);
        Fact::Rule {
            table,
            rule,
            enabled: self.random.chance(80),
            severity: "warn".to_owned(),
            action: if rejects { Action::Reject } else { actions[self.random.place(4)] },
            thresholds,
        }
    }

    /// A verdict about some row there is, mostly the visible one of its key.
    fn verdict(&mut self, model: &CuratedModel) -> Fact {
        let keys: Vec<_> = model.bars().series(u64::MAX).collect();
        let mut found: Vec<(Series, &Stored)> = Vec::new();
        if !keys.is_empty() {
            let key = keys[self.random.place(keys.len())];
            let (symbol, source) = (key.symbol.to_string(), key.source.to_string());
            let of = Series { symbol, source, step: key.step, side: key.side };
            let (start, end) = (i64::MIN, i64::MAX);
            let rows = if self.random.chance(75) {
                model.bars().visible(key, start, end, i64::MAX, u64::MAX)
            } else {
                model.bars().all(key, start, end, i64::MAX, u64::MAX)
            };
            found.extend(rows.into_iter().map(|row| (of.clone(), row)));
        }
        let is_manual = self.random.chance(60);
        let rule = if is_manual { "manual" } else { RULES[self.random.place(RULES.len())] };
        let releases = !is_manual || self.random.chance(25);
        let act = if releases { Ruling::Release } else { Ruling::Quarantine };
        let (of, ts, of_sequence) = if found.is_empty() {
            let (symbol, source) = (self.symbol().to_owned(), self.source().to_owned());
            let (step, side) = (self.step(), self.side());
            (Series { symbol, source, step, side }, self.bar_time(step), 1)
        } else {
            let (of, row) = found[self.random.place(found.len())].clone();
            (of, row.ts, row.sequence)
        };
        let (rule, note) = (rule.to_owned(), String::new());
        Fact::Verdict { of, ts, rule, act, of_sequence, note }
    }
}

/// Of which table a setting is.
fn table_of(key: &str) -> Table {
    if key.starts_with("conditions") { Table::Trades } else { Table::Bars }
}
