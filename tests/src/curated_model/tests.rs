//! Small stories whose answers follow from the page by hand.

use barrow_types::{DAY_NANOS, PriceSide, Step, days_from_civil};

use super::calendar::{Align, Hours, SessionSet};
use super::facts::{ALWAYS, Action, Fact, Ledger, OfferedFact, Origin, Ruling, Series};
use super::view::{Ask, Cell, Reason, State};
use super::world::Fallback;
use super::{BarLoad, Claim, CuratedModel, FactLoad, Offer};
use crate::model::{COLUMN_COUNT, Load, Offered, Outcome, Table, Value};

mod aggregates;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

/// 2024-02-29, a Thursday: the first date of the stories.
const THURSDAY: i64 = days_from_civil(2024, 2, 29);

/// `9:01` or `9:01:30`, so many days after that Thursday.
fn on(day: i64, text: &str) -> i64 {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().unwrap());
    let (hours, minutes, seconds) =
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(0));
    (THURSDAY + day) * DAY_NANOS + (hours * 60 + minutes) * MINUTE + seconds * SECOND
}

/// That Thursday.
fn at(text: &str) -> i64 {
    on(0, text)
}

fn hours(open: &str, close: &str) -> Hours {
    let since_midnight = |text: &str| at(text) - THURSDAY * DAY_NANOS;
    let (pause, pre_open, post_close) = (None, None, None);
    let (open, close) = (since_midnight(open), since_midnight(close));
    Hours { open, close, pause, pre_open, post_close }
}

fn series(symbol: &str, source: &str) -> Series {
    let (symbol, source) = (symbol.to_owned(), source.to_owned());
    Series { symbol, source, step: Step::M1, side: PriceSide::Trade }
}

fn claim(symbol: &str, source: &str, start: i64, end: i64, origin: Origin) -> Fact {
    Fact::Claim { of: series(symbol, source), table: Table::Bars, start, end, origin }
}

fn binding(symbol: &str, source: &str, from: i64, instrument: &str) -> Fact {
    let (symbol, source) = (symbol.to_owned(), source.to_owned());
    Fact::Binding { symbol, source, from, instrument: instrument.to_owned() }
}

fn attribute(instrument: &str, from: i64, attribute: &str, value: &str) -> Fact {
    let (instrument, attribute) = (instrument.to_owned(), attribute.to_owned());
    Fact::Attribute { instrument, from, attribute, value: value.to_owned() }
}

fn halt(instrument: &str, start: i64, end: Option<i64>) -> Fact {
    Fact::Halt { instrument: instrument.to_owned(), start, end, note: String::new() }
}

fn outage(symbol: &str, source: &str, start: i64, end: Option<i64>) -> Fact {
    let (symbol, source) = (symbol.to_owned(), source.to_owned());
    Fact::Outage { symbol, source, start, end, note: String::new() }
}

fn setting(key: &str, value: &str) -> Fact {
    let table = if key.starts_with("conditions:") { Table::Trades } else { Table::Bars };
    Fact::Setting { table, key: key.to_owned(), value: value.to_owned() }
}

fn rule(rule: &str, action: Action) -> Fact {
    let (table, rule, severity) = (Table::Bars, rule.to_owned(), "warn".to_owned());
    Fact::Rule { table, rule, enabled: true, severity, action, thresholds: Vec::new() }
}

fn verdict(source: &str, ts: i64, rule: &str, act: Ruling, of_sequence: u64) -> Fact {
    let of = series("AAA", source);
    Fact::Verdict { of, ts, rule: rule.to_owned(), act, of_sequence, note: String::new() }
}

/// A bar whose four prices are one.
fn flat(ts: i64, price: f64) -> Offered {
    let mut values = vec![Value::F64(price.to_bits()); 4];
    values.resize(COLUMN_COUNT, Value::Null);
    Offered { symbol: Some("AAA".to_owned()), ts: Some(ts), known_at: None, values }
}

/// A bar that opens above its high.
fn crooked(ts: i64, close: f64) -> Offered {
    let mut bar = flat(ts, close);
    bar.values[0] = Value::F64((close + 1.0).to_bits());
    bar
}

fn load(source: &str, rows: Vec<Offered>) -> Load {
    Load {
        id: String::new(),
        table: Table::Bars,
        source: source.to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        policy: None,
        retract: false,
        rows,
        refused: 0,
    }
}

/// As an import brings it: rules turn nothing away.
fn bars_of(load: Load) -> BarLoad {
    BarLoad { load, claims: Vec::new(), is_import: true }
}

/// A model and the clock beside it: nothing comes in before the second Tuesday.
struct Story {
    model: CuratedModel,
    sequence: u64,
    now: i64,
    outcome: Outcome,
}

impl Story {
    /// An instrument AAA that trades from 9:00 to `close` on Thursday and Friday.
    fn until(close: &str) -> Self {
        let dates = [0, 1].map(|day| (THURSDAY + day, hours("9:00", close)));
        let calendars = [("TINY".to_owned(), dates.into_iter().collect())];
        let model = CuratedModel::new(calendars.into_iter().collect());
        let (sequence, now, outcome) = (0, on(5, "0:00"), Outcome::default());
        let mut story = Self { model, sequence, now, outcome };
        story.facts([attribute("AAA", ALWAYS, "calendar", "TINY")]);
        story
    }

    /// Commits it; which record it became.
    fn commit(&mut self, mut offer: Offer) -> u64 {
        self.sequence += 1;
        self.now += SECOND;
        match &mut offer {
            Offer::Bars(bars) => bars.load.id = self.sequence.to_string(),
            Offer::Facts(facts) => facts.id = self.sequence.to_string(),
        }
        self.outcome = self.model.apply(&offer, self.sequence, self.now);
        self.sequence
    }

    fn facts<const N: usize>(&mut self, facts: [Fact; N]) -> u64 {
        self.offer_facts(facts.map(|fact| (fact, None)), false)
    }

    fn offer_facts<const N: usize>(
        &mut self,
        facts: [(Fact, Option<i64>); N],
        retract: bool,
    ) -> u64 {
        let facts = facts.map(|(fact, known_at)| OfferedFact { fact, known_at }).into();
        self.commit(Offer::Facts(FactLoad { id: String::new(), retract, facts }))
    }

    fn bars<const N: usize>(&mut self, source: &str, rows: [Offered; N]) -> u64 {
        let load = load(source, rows.into());
        self.commit(Offer::Bars(bars_of(load)))
    }

    /// Thursday, now.
    fn ask(&self) -> Ask {
        Ask {
            instrument: "AAA".to_owned(),
            step: Step::M1,
            side: PriceSide::Trade,
            set: SessionSet::Regular,
            align: Align::Session,
            start: on(0, "0:00"),
            end: on(1, "0:00"),
            fallback: None,
            source: None,
            as_of: i64::MAX,
            at_sequence: u64::MAX,
            due: self.now,
        }
    }

    fn as_of(&self, as_of: i64) -> Ask {
        Ask { as_of, due: as_of, ..self.ask() }
    }

    fn at_sequence(&self, at_sequence: u64) -> Ask {
        Ask { at_sequence, ..self.ask() }
    }

    /// The cells as `minute reason symbol@source close`.
    fn told(&self, ask: &Ask) -> String {
        let cells = self.model.curated(ask);
        cells.iter().map(tell).collect::<Vec<_>>().join(", ")
    }

    /// The cells' reasons.
    fn reasons(&self, ask: &Ask) -> Vec<Reason> {
        self.model.curated(ask).iter().map(|cell| cell.reason).collect()
    }

    /// The state of the first cell.
    fn state(&self, ask: &Ask) -> Option<State> {
        self.model.curated(ask)[0].row.as_ref().map(|row| row.state)
    }
}

fn tell(cell: &Cell) -> String {
    let minutes = cell.slot.start.rem_euclid(DAY_NANOS) / MINUTE;
    let mut text = format!("{}:{:02} {:?}", minutes / 60, minutes % 60, cell.reason);
    if let Some(Series { symbol, source, .. }) = &cell.chosen {
        text += &format!(" {symbol}@{source}");
    }
    if let Some(row) = &cell.row
        && let Value::F64(bits) = row.values[3]
    {
        text += &format!(" {}", f64::from_bits(bits));
    }
    text
}

#[test]
fn every_reason_is_given_where_it_applies() {
    let mut story = Story::until("9:10");
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    let infinite = flat(at("9:02"), f64::INFINITY);
    story.bars("one", [flat(at("9:00"), 5.0), infinite, crooked(at("9:05"), 7.0)]);
    story.facts([claim("AAA", "one", at("9:01"), at("9:03"), Origin::Covers)]);
    story.facts([halt("AAA", at("9:03"), Some(at("9:04")))]);
    story.facts([outage("AAA", "one", at("9:04"), Some(at("9:05")))]);
    story.facts([
        attribute("AAA", ALWAYS, "listed", "true"),
        attribute("AAA", at("9:07"), "listed", "false"),
        attribute("AAA", at("9:08"), "listed", "true"),
    ]);
    let told = story.told(&Ask { due: at("9:09:59"), ..story.ask() });
    assert_eq!(
        told,
        "9:00 Ok AAA@one 5, 9:01 NoTrade AAA@one, 9:02 Missing AAA@one, 9:03 Halted AAA@one, \
         9:04 Outage AAA@one, 9:05 Quarantined AAA@one, 9:06 Missing AAA@one, \
         9:07 NotListed AAA@one, 9:08 Missing AAA@one, 9:09 NotDue AAA@one"
    );
}

#[test]
fn the_lowest_reason_that_applies_is_given() {
    let mut story = Story::until("9:01");
    let nothing = story.bars("one", [flat(on(1, "9:00"), 5.0)]);
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    let quarantined = story.bars("one", [crooked(at("9:00"), 7.0)]);
    let out = story.facts([outage("*", "one", at("9:00"), None)]);
    let halted = story.facts([halt("AAA", at("8:00"), Some(at("9:00:01")))]);
    let claimed_beside_a_row =
        story.facts([claim("*", "one", at("9:00"), at("9:01"), Origin::Complete)]);
    let gone = Offered { values: Vec::new(), ..flat(at("9:00"), 0.0) };
    let retraction = Load { retract: true, ..load("one", vec![gone]) };
    let claimed = story.commit(Offer::Bars(bars_of(retraction)));
    let late = story.facts([setting("publish_delay:one", "1000000000000000")]);
    let gone = story.facts([attribute("AAA", ALWAYS, "listed", "false")]);
    let back = story.bars("one", [flat(at("9:00"), 8.0)]);
    for (at_sequence, expected) in [
        (nothing, Reason::Missing),
        (quarantined, Reason::Quarantined),
        (out, Reason::Outage),
        (halted, Reason::Halted),
        (claimed_beside_a_row, Reason::Halted),
        (claimed, Reason::NoTrade),
        (late, Reason::NotDue),
        (gone, Reason::NotListed),
        (back, Reason::Ok),
    ] {
        let reasons = story.reasons(&story.at_sequence(at_sequence));
        assert_eq!(reasons, [expected], "at {at_sequence}");
    }
}

#[test]
fn a_listing_that_begins_later_says_that_there_was_none_before() {
    let mut story = Story::until("9:02");
    story.bars("one", [flat(on(1, "9:00"), 5.0)]);
    assert_eq!(story.reasons(&story.ask()), [Reason::Missing; 2]);
    story.facts([attribute("AAA", at("9:01"), "listed", "true")]);
    assert_eq!(story.reasons(&story.ask()), [Reason::NotListed, Reason::Missing]);
}

/// One source has Thursday's first minute, the other more of it and all of Friday.
fn two_sources() -> Story {
    let mut story = Story::until("9:03");
    story.bars("two", [flat(at("9:00"), 2.0), flat(at("9:01"), 2.5), flat(on(1, "9:01"), 2.75)]);
    story.bars("one", [flat(at("9:00"), 1.0)]);
    story
}

#[test]
fn without_a_fallback_the_first_source_answers_for_every_slot() {
    let story = two_sources();
    let ask = Ask { fallback: Some(Fallback::None), end: on(2, "0:00"), ..story.ask() };
    assert_eq!(
        story.told(&ask),
        "9:00 Ok AAA@one 1, 9:01 Missing AAA@one, 9:02 Missing AAA@one, \
         9:00 Missing AAA@one, 9:01 Missing AAA@one, 9:02 Missing AAA@one"
    );
}

#[test]
fn with_the_fallback_of_slots_each_slot_has_the_first_source_with_a_row() {
    let mut story = two_sources();
    let ask = Ask { fallback: Some(Fallback::Slot), end: on(2, "0:00"), ..story.ask() };
    let expected = "9:00 Ok AAA@one 1, 9:01 Ok AAA@two 2.5, 9:02 Missing AAA@one, \
                    9:00 Missing AAA@one, 9:01 Ok AAA@two 2.75, 9:02 Missing AAA@one";
    assert_eq!(story.told(&ask), expected);
    story.facts([setting("fallback", "slot")]);
    assert_eq!(story.told(&Ask { fallback: None, ..ask }), expected);
}

#[test]
fn with_the_fallback_of_sessions_one_source_answers_for_a_whole_session() {
    let story = two_sources();
    let expected = "9:00 Ok AAA@one 1, 9:01 Missing AAA@one, 9:02 Missing AAA@one, \
                    9:00 Missing AAA@two, 9:01 Ok AAA@two 2.75, 9:02 Missing AAA@two";
    assert_eq!(story.told(&Ask { end: on(2, "0:00"), ..story.ask() }), expected);
    // The session counts whole, though the question begins after its only row.
    let ask = Ask { start: at("9:01"), end: at("9:02"), ..story.ask() };
    assert_eq!(story.told(&ask), "9:01 Missing AAA@one");
}

#[test]
fn preference_is_a_setting_as_it_was_known() {
    let mut story = two_sources();
    let ask = Ask { end: at("9:01"), ..story.ask() };
    let before = story.sequence;
    story.facts([setting("sources", "three two")]);
    assert_eq!(story.told(&ask), "9:00 Ok AAA@two 2");
    assert_eq!(story.told(&Ask { at_sequence: before, ..ask.clone() }), "9:00 Ok AAA@one 1");
    let then = story.now;
    story.facts([setting("sources", "one two")]);
    assert_eq!(story.told(&ask), "9:00 Ok AAA@one 1");
    assert_eq!(story.told(&Ask { as_of: then, ..ask }), "9:00 Ok AAA@two 2");
}

#[test]
fn a_row_that_only_lies_outside_the_session_makes_no_source_the_chosen_one() {
    let mut story = two_sources();
    story.bars("one", [flat(on(1, "8:59"), 1.0), flat(on(1, "9:03"), 1.0)]);
    let ask = Ask { start: on(1, "0:00"), end: on(2, "0:00"), ..story.ask() };
    let expected = "9:00 Missing AAA@two, 9:01 Ok AAA@two 2.75, 9:02 Missing AAA@two";
    assert_eq!(story.told(&ask), expected);
}

#[test]
fn a_symbol_is_another_instrument_from_its_binding_on() {
    let mut story = Story::until("9:05");
    for instrument in ["I1", "I2"] {
        story.facts([attribute(instrument, ALWAYS, "calendar", "TINY")]);
    }
    story.bars("one", ["9:00", "9:01", "9:02", "9:03", "9:04"].map(|text| flat(at(text), 1.0)));
    let unbound = story.sequence;
    story.facts([
        binding("AAA", "one", at("9:01"), "I1"),
        binding("AAA", "one", at("9:03"), "I2"),
        binding("AAA", "one", at("9:04"), ""),
    ]);
    let of = |instrument: &str| Ask { instrument: instrument.to_owned(), ..story.ask() };
    let empty = "9:00 Missing, 9:01 Missing, 9:02 Missing, 9:03 Missing, 9:04 Missing";
    let expected = |minutes: &[&str]| {
        minutes.iter().fold(empty.to_owned(), |text, minute| {
            text.replace(&format!("{minute} Missing"), &format!("{minute} Ok AAA@one 1"))
        })
    };
    assert_eq!(story.told(&of("AAA")), expected(&["9:00"]));
    assert_eq!(story.told(&of("I1")), expected(&["9:01", "9:02"]));
    assert_eq!(story.told(&of("I2")), expected(&["9:03"]));
    let before = Ask { at_sequence: unbound, ..of("AAA") };
    assert_eq!(story.told(&before), expected(&["9:00", "9:01", "9:02", "9:03", "9:04"]));
    assert_eq!(story.told(&Ask { at_sequence: unbound, ..of("I1") }), empty);
}

#[test]
fn after_a_rebinding_the_old_symbol_no_longer_answers_for_the_session() {
    let mut story = Story::until("9:04");
    story.facts([
        binding("OLD", "one", ALWAYS, "AAA"),
        binding("OLD", "one", at("9:02"), ""),
        binding("NEW", "one", at("9:02"), "AAA"),
        binding("NEW", "one", ALWAYS, ""),
    ]);
    let named = |symbol: &str, row: Offered| Offered { symbol: Some(symbol.to_owned()), ..row };
    story.bars("one", [named("OLD", flat(at("9:03"), 1.0)), named("NEW", flat(at("9:03"), 2.0))]);
    story.bars("two", [flat(at("9:00"), 3.0), flat(at("9:02"), 4.0)]);
    // OLD has a row in the session, but not where it is this instrument.
    assert_eq!(
        story.told(&story.ask()),
        "9:00 Ok AAA@two 3, 9:01 Missing AAA@two, 9:02 Missing NEW@one, 9:03 Ok NEW@one 2"
    );
}

#[test]
fn symbols_of_one_source_are_in_order_of_name() {
    let mut story = Story::until("9:01");
    story.facts([binding("ZZZ", "one", ALWAYS, "AAA")]);
    let later = Offered { symbol: Some("ZZZ".to_owned()), ..flat(at("9:00"), 2.0) };
    story.bars("one", [later]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok ZZZ@one 2");
    story.bars("one", [flat(at("9:00"), 1.0)]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok AAA@one 1");
}

#[test]
fn a_released_row_is_let_in_until_it_is_corrected() {
    let mut story = Story::until("9:01");
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    let first = story.bars("one", [crooked(at("9:00"), 1.0)]);
    let other = Ruling::Release;
    let of_another_rule = story.facts([verdict("one", at("9:00"), "price_positive", other, first)]);
    let of_another_row = story.facts([verdict("one", at("9:00"), "ohlc_order", other, 99)]);
    let released = story.facts([verdict("one", at("9:00"), "ohlc_order", other, first)]);
    let corrected = story.bars("one", [crooked(at("9:00"), 2.0)]);
    let repaired = story.bars("one", [flat(at("9:00"), 3.0)]);
    for (at_sequence, expected) in [
        (first, "9:00 Quarantined AAA@one"),
        (of_another_rule, "9:00 Quarantined AAA@one"),
        (of_another_row, "9:00 Quarantined AAA@one"),
        (released, "9:00 Ok AAA@one 1"),
        (corrected, "9:00 Quarantined AAA@one"),
        (repaired, "9:00 Ok AAA@one 3"),
    ] {
        assert_eq!(story.told(&story.at_sequence(at_sequence)), expected, "at {at_sequence}");
    }
    assert_eq!(story.state(&story.at_sequence(released)), Some(State::Final));
    assert_eq!(story.state(&story.at_sequence(repaired)), Some(State::Corrected));
}

#[test]
fn a_release_holds_from_when_it_was_known() {
    let mut story = Story::until("9:01");
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    let row = Offered { known_at: Some(at("9:01")), ..crooked(at("9:00"), 1.0) };
    let first = story.bars("one", [row]);
    let release = verdict("one", at("9:00"), "ohlc_order", Ruling::Release, first);
    story.offer_facts([(release, Some(on(1, "0:00")))], false);
    assert_eq!(story.told(&story.as_of(at("9:00:30"))), "9:00 NotDue AAA@one");
    assert_eq!(story.told(&story.as_of(at("9:01"))), "9:00 Quarantined AAA@one");
    assert_eq!(story.told(&story.as_of(on(1, "0:00"))), "9:00 Ok AAA@one 1");
}

#[test]
fn a_person_keeps_a_row_out_and_lets_it_in_again() {
    let mut story = Story::until("9:01");
    let row = story.bars("one", [flat(at("9:00"), 1.0)]);
    story.facts([verdict("one", at("9:00"), "manual", Ruling::Quarantine, row)]);
    assert_eq!(story.told(&story.ask()), "9:00 Quarantined AAA@one");
    story.facts([verdict("one", at("9:00"), "manual", Ruling::Release, row)]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok AAA@one 1");
    story.facts([verdict("one", at("9:00"), "manual", Ruling::Quarantine, row)]);
    assert_eq!(story.told(&story.ask()), "9:00 Quarantined AAA@one");
    story.bars("one", [flat(at("9:00"), 2.0)]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok AAA@one 2");
}

#[test]
fn a_flag_lets_the_row_in_and_a_rule_that_is_off_says_nothing() {
    let mut story = Story::until("9:01");
    story.bars("one", [crooked(at("9:00"), 1.0)]);
    let flagged = |story: &Story| {
        let cell = &story.model.curated(&story.ask())[0];
        cell.row.as_ref().map(|row| row.is_flagged)
    };
    // By default the rule turns rows away, and flags those that an import brought.
    assert_eq!(flagged(&story), Some(true));
    story.facts([rule("ohlc_order", Action::Flag)]);
    assert_eq!(flagged(&story), Some(true));
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    assert_eq!(flagged(&story), None);
    let (rule, severity) = ("ohlc_order".to_owned(), "warn".to_owned());
    let (enabled, action, thresholds) = (false, Action::Quarantine, Vec::new());
    let table = Table::Bars;
    story.facts([Fact::Rule { table, rule, enabled, severity, action, thresholds }]);
    assert_eq!(flagged(&story), Some(false));
}

#[test]
fn a_rule_over_several_rows_sees_quarantined_ones_too() {
    let mut story = Story::until("9:04");
    let (rule_name, severity) = ("stale_price".to_owned(), "warn".to_owned());
    let thresholds = vec![("n".to_owned(), 2)];
    let (enabled, action) = (true, Action::Quarantine);
    let table = Table::Bars;
    story.facts([Fact::Rule { table, rule: rule_name, enabled, severity, action, thresholds }]);
    let rows = [("9:00", 1.0), ("9:01", 1.0), ("9:02", 1.0), ("9:03", 2.0)];
    let traded = |text: &str, close| {
        let mut bar = flat(at(text), close);
        bar.values[4] = Value::F64(100_f64.to_bits());
        bar
    };
    story.bars("one", rows.map(|(text, close)| traded(text, close)));
    let (ok, out) = (Reason::Ok, Reason::Quarantined);
    assert_eq!(story.reasons(&story.ask()), [ok, out, out, ok]);
    story.bars("one", [traded("9:01", 5.0)]);
    assert_eq!(story.reasons(&story.ask()), [ok; 4]);
}

#[test]
fn a_row_that_a_rule_turns_away_leaves_a_mark_and_one_of_an_import_is_stored() {
    let mut story = Story::until("9:02");
    let load = load("one", vec![crooked(at("9:00"), 1.0)]);
    let claims = vec![Claim {
        symbol: "AAA".to_owned(),
        start: at("9:00"),
        end: at("9:02"),
        origin: Origin::Covers,
    }];
    let bars = BarLoad { load, claims, is_import: false };
    story.commit(Offer::Bars(bars.clone()));
    assert_eq!(story.outcome.rejected, [(0, "ohlc_order")]);
    assert_eq!(story.reasons(&story.ask()), [Reason::Missing, Reason::NoTrade]);
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    story.commit(Offer::Bars(bars.clone()));
    assert_eq!(story.outcome.accepted, 1);
    assert_eq!(story.reasons(&story.ask()), [Reason::Quarantined, Reason::NoTrade]);
    story.facts([rule("ohlc_order", Action::Reject)]);
    assert_eq!(story.reasons(&story.ask()), [Reason::Ok, Reason::NoTrade]);
    story.commit(Offer::Bars(BarLoad { is_import: true, ..bars }));
    assert_eq!(story.outcome.duplicates, 1);
}

#[test]
fn a_batch_that_replaces_a_range_takes_away_what_it_does_not_hold() {
    let mut story = Story::until("9:04");
    let minutes = ["9:00", "9:01", "9:02", "9:03"];
    story.bars("one", minutes.map(|minute| flat(at(minute), 1.0)));
    let claims = vec![Claim {
        symbol: "AAA".to_owned(),
        start: at("9:00"),
        end: at("9:03"),
        origin: Origin::Replaces,
    }];
    let rows = vec![flat(at("9:00"), 1.0), crooked(at("9:01"), 1.0)];
    let bars = BarLoad { load: load("one", rows), claims, is_import: false };
    story.commit(Offer::Bars(bars.clone()));
    // One is there already, one is turned away and leaves what it would have replaced.
    assert_eq!((story.outcome.duplicates, story.outcome.rejected.len()), (1, 1));
    assert_eq!(story.outcome.retracted, 1);
    let (ok, no_trade) = (Reason::Ok, Reason::NoTrade);
    assert_eq!(story.reasons(&story.ask()), [ok, ok, no_trade, ok]);
    assert_eq!(story.reasons(&Ask { at_sequence: story.sequence - 1, ..story.ask() }), [ok; 4]);
    // Nothing is replaced if a row may lie anywhere.
    let mut untold = bars;
    untold.load.rows = vec![Offered { ts: None, ..flat(0, 1.0) }];
    story.commit(Offer::Bars(untold));
    assert_eq!(story.outcome.retracted, 0);
}

#[test]
fn a_release_from_a_rule_takes_its_flag_away_too() {
    let mut story = Story::until("9:01");
    let row = story.bars("one", [crooked(at("9:00"), 1.0)]);
    let flagged = |story: &Story| {
        let cell = &story.model.curated(&story.ask())[0];
        cell.row.as_ref().map(|row| row.is_flagged)
    };
    story.facts([rule("ohlc_order", Action::Flag)]);
    assert_eq!(flagged(&story), Some(true));
    story.facts([verdict("one", at("9:00"), "ohlc_order", Ruling::Release, row)]);
    assert_eq!(flagged(&story), Some(false));
}

#[test]
fn a_correction_is_seen_only_from_when_it_was_known() {
    let mut story = Story::until("9:01");
    let known = |known_at, row| Offered { known_at: Some(known_at), ..row };
    story.bars("one", [known(at("9:02"), flat(at("9:00"), 1.0))]);
    story.bars("one", [known(at("9:10"), flat(at("9:00"), 2.0))]);
    assert_eq!(story.told(&story.as_of(at("9:01"))), "9:00 Missing AAA@one");
    assert_eq!(story.told(&story.as_of(at("9:09"))), "9:00 Ok AAA@one 1");
    assert_eq!(story.told(&story.as_of(at("9:10"))), "9:00 Ok AAA@one 2");
    assert_eq!(story.told(&story.at_sequence(2)), "9:00 Ok AAA@one 1");
}

#[test]
fn a_halt_is_seen_from_when_it_was_known() {
    let mut story = Story::until("9:02");
    story.offer_facts([(halt("AAA", at("9:00"), None), Some(at("9:30")))], false);
    story.facts([halt("AAA", at("9:00"), Some(at("9:01")))]);
    let (halted, missing) = (Reason::Halted, Reason::Missing);
    assert_eq!(story.reasons(&story.as_of(at("9:29"))), [missing; 2]);
    assert_eq!(story.reasons(&story.as_of(at("9:30"))), [halted; 2]);
    assert_eq!(story.reasons(&story.ask()), [halted, missing]);
    story.offer_facts([(halt("AAA", at("9:00"), None), None)], true);
    assert_eq!(story.outcome.accepted, 1);
    assert_eq!(story.reasons(&story.ask()), [missing; 2]);
    assert_eq!(story.reasons(&story.as_of(story.now - 1)), [halted, missing]);
}

#[test]
fn a_half_day_has_fewer_slots_from_when_it_was_known() {
    let mut story = Story::until("9:04");
    let day = |hours| {
        let calendar = "TINY".to_owned();
        Fact::CalendarDay { calendar, date: THURSDAY, hours }
    };
    let half = story.facts([day(Some(hours("9:00", "9:02")))]);
    let closed = story.facts([day(None)]);
    let regular = story.facts([day(Some(hours("9:00", "9:03")))]);
    for (at_sequence, slots) in [(half - 1, 4), (half, 2), (closed, 0), (regular, 3)] {
        let cells = story.model.curated(&story.at_sequence(at_sequence));
        assert_eq!(cells.len(), slots, "at {at_sequence}");
    }
    // The first version is dated back, the next is known since it came in.
    assert_eq!(story.model.curated(&story.as_of(at("0:00"))).len(), 2);
    assert_eq!(story.model.curated(&story.as_of(at("0:00") - 1)).len(), 4);
    story.offer_facts([(day(None), None)], true);
    assert_eq!(story.model.curated(&story.ask()).len(), 4);
}

#[test]
fn a_break_is_not_expected_and_rows_in_it_are_nobodys() {
    let mut story = Story::until("9:05");
    let since_midnight = |text: &str| Some(at(text) - THURSDAY * DAY_NANOS);
    let pause = since_midnight("9:01").zip(since_midnight("9:03"));
    let (pre_open, post_close) = (since_midnight("8:59"), since_midnight("9:06"));
    let hours = Some(Hours { pause, pre_open, post_close, ..hours("9:00", "9:05") });
    story.facts([Fact::CalendarDay { calendar: "TINY".to_owned(), date: THURSDAY, hours }]);
    story.bars("one", [flat(at("9:02"), 1.0), flat(at("9:05"), 2.0), flat(at("9:03"), 3.0)]);
    let regular = "9:00 Missing AAA@one, 9:03 Ok AAA@one 3, 9:04 Missing AAA@one";
    assert_eq!(story.told(&story.ask()), regular);
    let extended = Ask { set: SessionSet::Extended, ..story.ask() };
    let expected = format!("8:59 Missing AAA@one, {regular}, 9:05 Ok AAA@one 2");
    assert_eq!(story.told(&extended), expected);
}

#[test]
fn the_last_good_row_of_a_slot_counts() {
    let mut story = Story::until("9:01");
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    story.bars("one", [flat(at("9:00:30"), 2.0), flat(at("9:00"), 1.0)]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok AAA@one 2");
    story.bars("one", [crooked(at("9:00:59"), 3.0)]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok AAA@one 2");
    let row = &story.model.curated(&story.ask())[0].row;
    assert_eq!(row.as_ref().map(|row| row.ts), Some(at("9:00:30")));
}

#[test]
fn a_row_is_provisional_until_its_end_is_due_and_the_watermark_passes_it() {
    let mut story = Story::until("9:02");
    story.bars("one", [flat(at("9:00"), 1.0)]);
    let state = |story: &Story, due| story.state(&Ask { due, ..story.ask() });
    assert_eq!(state(&story, at("9:00:59")), Some(State::Provisional));
    assert_eq!(state(&story, at("9:01")), Some(State::Final));
    let mark = |end| claim("*", "one", at("8:00"), end, Origin::Watermark);
    story.facts([mark(at("9:00:59"))]);
    assert_eq!(state(&story, at("9:01")), Some(State::Provisional));
    story.facts([mark(at("9:01"))]);
    assert_eq!(state(&story, at("9:01")), Some(State::Final));
    story.bars("one", [flat(at("9:00"), 2.0)]);
    assert_eq!(state(&story, at("9:00")), Some(State::Corrected));
}

#[test]
fn a_row_that_came_below_a_later_known_one_corrects_nothing() {
    let mut story = Story::until("9:01");
    let known = |known_at, close| Offered { known_at: Some(known_at), ..flat(at("9:00"), close) };
    story.bars("one", [known(at("9:20"), 1.0)]);
    story.bars("one", [known(at("9:10"), 2.0)]);
    assert_eq!(story.outcome.superseded, 1);
    let ask = story.as_of(at("9:15"));
    assert_eq!(story.told(&ask), "9:00 Ok AAA@one 2");
    assert_eq!(story.state(&ask), Some(State::Final));
    // Nor does one that comes after its key was taken away.
    let gone = Offered { values: Vec::new(), ..flat(at("9:00"), 0.0) };
    let retraction = Load { retract: true, ..load("one", vec![gone]) };
    story.commit(Offer::Bars(bars_of(retraction)));
    story.bars("one", [flat(at("9:00"), 3.0)]);
    assert_eq!(story.told(&story.ask()), "9:00 Ok AAA@one 3");
    assert_eq!(story.state(&story.ask()), Some(State::Final));
}

#[test]
fn claims_cover_together_and_each_for_its_own_symbol_and_source() {
    let mut story = Story::until("9:04");
    let claim = |symbol: &str, start, end| Claim {
        symbol: symbol.to_owned(),
        start,
        end,
        origin: Origin::Covers,
    };
    let claims = vec![
        claim("AAA", at("9:00:30"), at("9:01:30")),
        claim("*", at("9:01:30"), at("9:02:20")),
        claim("BBB", at("9:03"), at("9:04")),
    ];
    let load = load("one", Vec::new());
    story.commit(Offer::Bars(BarLoad { claims, ..bars_of(load) }));
    let expected = "9:00 Missing AAA@one, 9:01 NoTrade AAA@one, 9:02 Missing AAA@one, \
                    9:03 Missing AAA@one";
    assert_eq!(story.told(&story.ask()), expected);
    let claims = story.model.visible_facts(Ledger::Claims, i64::MAX, u64::MAX);
    assert_eq!(claims.len(), 3);
    story.facts([super::facts::Fact::Claim {
        of: series("AAA", "two"),
        table: Table::Bars,
        start: at("9:03"),
        end: at("9:04"),
        origin: Origin::Covers,
    }]);
    assert_eq!(story.told(&story.ask()), expected);
}

#[test]
fn what_a_source_publishes_late_is_due_late() {
    let mut story = Story::until("9:02");
    story.facts([setting("publish_delay:one", "60000000000")]);
    story.bars("one", [flat(at("9:00"), 1.0)]);
    let ask = Ask { due: at("9:02:59"), ..story.ask() };
    assert_eq!(story.told(&ask), "9:00 Ok AAA@one 1, 9:01 NotDue AAA@one");
    let ask = Ask { due: at("9:03"), ..ask };
    assert_eq!(story.told(&ask), "9:00 Ok AAA@one 1, 9:01 Missing AAA@one");
    let available: Vec<i64> = story.model.curated(&ask).iter().map(|c| c.available_at).collect();
    assert_eq!(available, [at("9:02"), at("9:03")]);
}

#[test]
fn gaps_are_runs_of_one_reason_and_closed_hours_do_not_end_them() {
    let mut story = Story::until("9:03");
    story.bars("one", [flat(at("9:00"), 1.0), flat(on(1, "9:02"), 1.0)]);
    story.facts([halt("AAA", on(1, "9:01"), Some(on(1, "9:02")))]);
    let gaps = story.model.gaps(&Ask { end: on(2, "0:00"), ..story.ask() });
    let told: Vec<_> = gaps.iter().map(|g| (g.reason, g.start, g.end, g.slots)).collect();
    assert_eq!(
        told,
        [
            (Reason::Missing, at("9:01"), on(1, "9:01"), 3),
            (Reason::Halted, on(1, "9:01"), on(1, "9:02"), 1),
        ]
    );
}

#[test]
fn a_daily_bar_is_that_of_its_session_and_starts_at_its_open() {
    let mut story = Story::until("9:03");
    let rows = vec![flat(at("0:00"), 1.0), flat(on(1, "0:00"), 2.0), flat(on(2, "0:00"), 3.0)];
    let load = Load { step: Step::D1, ..load("one", rows) };
    story.commit(Offer::Bars(bars_of(load)));
    let ask = Ask { step: Step::D1, end: on(9, "0:00"), ..story.ask() };
    assert_eq!(story.told(&ask), "9:00 Ok AAA@one 1, 9:00 Ok AAA@one 2");
    let cell = &story.model.curated(&ask)[1];
    assert_eq!((cell.slot.number, cell.slot.session), (THURSDAY + 1, THURSDAY + 1));
    assert_eq!((cell.slot.start, cell.slot.end), (on(1, "9:00"), on(1, "9:03")));
    // The question is about starts: the bar of a session that has begun is not of this range.
    let ask = Ask { start: at("9:01"), ..ask };
    assert_eq!(story.told(&ask), "9:00 Ok AAA@one 2");
    // A week has both sessions and begins with the first.
    let ask = Ask { step: Step::W1, start: at("0:00"), ..ask };
    let cell = &story.model.curated(&ask)[0];
    assert_eq!((cell.slot.start, cell.slot.end), (at("9:00"), on(1, "9:03")));
    assert_eq!(cell.slot.session, THURSDAY);
    assert_eq!(story.model.curated(&Ask { start: on(1, "0:00"), ..ask }), []);
}

#[test]
fn an_instrument_without_a_calendar_is_expected_at_every_instant() {
    let mut story = Story::until("9:03");
    let ask = Ask { instrument: "BBB".to_owned(), ..story.ask() };
    assert_eq!(story.model.curated(&ask).len(), 1_440);
    story.facts([attribute("BBB", ALWAYS, "calendar", "NOWHERE")]);
    assert_eq!(story.model.curated(&ask), []);
    story.facts([attribute("BBB", ALWAYS, "calendar", "")]);
    let ask = Ask { step: Step::D1, end: on(2, "0:00"), ..ask };
    let slots: Vec<_> = story.model.curated(&ask).iter().map(|cell| cell.slot).collect();
    assert_eq!(slots.len(), 2);
    assert_eq!((slots[1].start, slots[1].end), (on(1, "0:00"), on(2, "0:00")));
}

#[test]
fn a_fact_is_dated_back_if_it_is_the_first_of_its_key() {
    let mut story = Story::until("9:03");
    let visible = |story: &Story, as_of| {
        let facts = story.model.visible_facts(Ledger::Settings, as_of, u64::MAX);
        facts.into_iter().cloned().collect::<Vec<_>>()
    };
    story.facts([setting("fallback", "slot"), setting("fallback", "slot")]);
    assert_eq!((story.outcome.accepted, story.outcome.duplicates), (1, 1));
    story.facts([setting("fallback", "none")]);
    assert_eq!(story.outcome.corrected, 1);
    let then = story.now;
    assert_eq!(visible(&story, ALWAYS - 1), []);
    assert_eq!(visible(&story, ALWAYS), [setting("fallback", "slot")]);
    assert_eq!(visible(&story, then - 1), [setting("fallback", "slot")]);
    assert_eq!(visible(&story, then), [setting("fallback", "none")]);
    story.offer_facts([(setting("fallback", ""), None)], true);
    assert_eq!(visible(&story, i64::MAX), []);
    // What comes after a retraction is not the first of its key.
    story.facts([setting("fallback", "slot")]);
    assert_eq!(story.outcome.accepted, 1);
    assert_eq!(visible(&story, story.now - 1), []);
    story.offer_facts([(setting("fallback", "none"), Some(then - 1))], false);
    assert_eq!(story.outcome.superseded, 1);
    assert_eq!(visible(&story, then - 1), [setting("fallback", "none")]);
    let future = [(setting("fallback", "none"), Some(story.now + 2 * SECOND))];
    story.offer_facts(future, false);
    assert_eq!(story.outcome.rejected, [(0, "future_known_at")]);
    // What begins later than it comes in is known since it came in.
    story.facts([halt("AAA", on(30, "0:00"), None)]);
    let halts = |as_of| story.model.visible_facts(Ledger::Halts, as_of, u64::MAX).len();
    assert_eq!((halts(story.now - 1), halts(story.now)), (0, 1));
}

#[test]
fn a_series_is_a_candidate_as_soon_as_something_of_it_is_known() {
    let mut story = Story::until("9:01");
    story.bars("two", [flat(at("9:00"), 2.0)]);
    let ask = Ask { fallback: Some(Fallback::None), ..story.ask() };
    // A claim for every symbol makes no candidate, one for this symbol does.
    story.facts([claim("*", "one", at("8:00"), at("9:00"), Origin::Complete)]);
    assert_eq!(story.told(&ask), "9:00 Ok AAA@two 2");
    let before = story.sequence;
    story.facts([claim("AAA", "one", at("8:00"), at("9:00"), Origin::Complete)]);
    assert_eq!(story.told(&ask), "9:00 Missing AAA@one");
    assert_eq!(story.told(&Ask { at_sequence: before, ..ask }), "9:00 Ok AAA@two 2");
}
