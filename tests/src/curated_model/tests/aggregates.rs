//! Bars that no source delivered.

use super::*;
use crate::curated_model::view::Row;

/// A bar of AAA.
fn bar(
    ts: i64,
    prices: [f64; 4],
    volume: Option<f64>,
    vwap: Option<f64>,
    trades: Option<i64>,
) -> Offered {
    let double = |value: f64| Value::F64(value.to_bits());
    let mut values: Vec<Value> = prices.map(double).into();
    values.extend([volume.map_or(Value::Null, double), vwap.map_or(Value::Null, double)]);
    values.push(trades.map_or(Value::Null, Value::I64));
    Offered { symbol: Some("AAA".to_owned()), ts: Some(ts), known_at: None, values }
}

fn trade(ts: i64, price: f64, size: f64, conditions: &str) -> Offered {
    let double = |value: f64| Value::F64(value.to_bits());
    let text = Value::Text(conditions.to_owned());
    let values = vec![double(price), double(size), Value::Null, text, Value::Null];
    Offered { symbol: Some("AAA".to_owned()), ts: Some(ts), known_at: None, values }
}

fn quote(ts: i64, bid: Option<f64>, ask: Option<f64>) -> Offered {
    let double = |value: Option<f64>| value.map_or(Value::Null, |v| Value::F64(v.to_bits()));
    let mut values = vec![double(bid), double(ask)];
    values.resize(6, Value::Null);
    Offered { symbol: Some("AAA".to_owned()), ts: Some(ts), known_at: None, values }
}

impl Story {
    fn bars_of<const N: usize>(&mut self, step: Step, source: &str, rows: [Offered; N]) -> u64 {
        let load = Load { step, ..load(source, rows.into()) };
        self.commit(Offer::Bars(bars_of(load)))
    }

    fn ticks<const N: usize>(&mut self, table: Table, source: &str, rows: [Offered; N]) -> u64 {
        let load = Load { table, step: Step::Tick, ..load(source, rows.into()) };
        self.commit(Offer::Bars(bars_of(load)))
    }

    fn ask_for(&self, step: Step) -> Ask {
        Ask { step, ..self.ask() }
    }

    /// Each row as `minute open high low close volume vwap trades`.
    fn rows(&self, ask: &Ask) -> Vec<String> {
        let cells = self.model.curated(ask);
        let rows = cells.iter().filter_map(|cell| Some((cell, cell.row.as_ref()?)));
        rows.map(|(cell, row)| tell_row(cell, row)).collect()
    }

    /// The rows' coverage.
    fn coverage(&self, ask: &Ask) -> Vec<f64> {
        let cells = self.model.curated(ask);
        cells.iter().filter_map(|cell| Some(f64::from_bits(cell.row.as_ref()?.coverage))).collect()
    }
}

fn tell_row(cell: &Cell, row: &Row) -> String {
    let minutes = cell.slot.start.rem_euclid(DAY_NANOS) / MINUTE;
    let mut text = format!("{}:{:02}", minutes / 60, minutes % 60);
    for value in &row.values {
        text += &match value {
            Value::F64(bits) => format!(" {}", f64::from_bits(*bits)),
            Value::I64(number) => format!(" {number}"),
            _ => " -".to_owned(),
        };
    }
    text
}

#[test]
fn five_minutes_are_the_fold_of_their_minutes() {
    let mut story = Story::until("9:08");
    story.bars(
        "one",
        [
            bar(at("9:00"), [10.0, 12.0, 9.5, 11.0], Some(100.0), Some(10.5), Some(3)),
            bar(at("9:02"), [11.0, 11.5, 9.0, 9.25], Some(0.0), None, None),
            bar(at("9:03"), [9.25, 10.0, 9.25, 10.0], Some(300.0), Some(9.5), Some(4)),
            bar(at("9:05"), [10.0, 10.0, 10.0, 10.0], None, None, None),
            bar(at("9:06"), [8.0, 13.0, 8.0, 12.5], Some(50.0), None, Some(1)),
        ],
    );
    let ask = story.ask_for(Step::M5);
    // (10.5 · 100 + 9.5 · 300) / 400; one that traded has no average, so the second has none.
    assert_eq!(story.rows(&ask), ["9:00 10 12 9 10 400 9.75 7", "9:05 10 13 8 12.5 50 - 1"]);
    assert_eq!(story.coverage(&ask), [0.6, 2.0 / 3.0]);
    story.facts([claim("AAA", "one", at("9:04"), at("9:06"), Origin::Covers)]);
    assert_eq!(story.coverage(&ask), [0.8, 2.0 / 3.0]);
    let clock = Ask { align: Align::Clock, step: Step::M15, ..ask };
    assert_eq!(story.rows(&clock), ["9:00 10 13 8 12.5 450 - 8"]);
}

#[test]
fn own_bars_of_a_session_come_before_finer_ones_even_if_they_are_quarantined() {
    let mut story = Story::until("9:10");
    story.facts([rule("ohlc_order", Action::Quarantine)]);
    let friday = flat(on(1, "9:00"), 3.0);
    story.bars("one", [flat(at("9:00"), 1.0), flat(at("9:05"), 2.0), friday]);
    story.bars_of(Step::M5, "one", [crooked(at("9:00"), 7.0)]);
    let ask = Ask { end: on(2, "0:00"), ..story.ask_for(Step::M5) };
    let expected = "9:00 Quarantined AAA@one, 9:05 Missing AAA@one, \
                    9:00 Ok AAA@one 3, 9:05 Missing AAA@one";
    assert_eq!(story.told(&ask), expected);
    // The preference of sources comes before where a bar is from.
    story.bars_of(Step::M5, "two", [flat(at("9:00"), 9.0)]);
    story.facts([setting("sources", "one two")]);
    let none = Ask { fallback: Some(Fallback::None), ..ask.clone() };
    assert_eq!(story.told(&none), expected);
    assert!(story.told(&ask).starts_with("9:00 Ok AAA@two 9, 9:05 Missing AAA@two"));
}

#[test]
fn an_hour_on_the_clock_that_starts_before_the_open_is_of_the_day() {
    let mut story = Story::until("11:00");
    let hours = Some(hours("9:30", "11:00"));
    story.facts([Fact::CalendarDay { calendar: "TINY".to_owned(), date: THURSDAY, hours }]);
    story.facts([setting("alignment:one", "clock")]);
    let rows = [flat(at("9:00"), 1.0), flat(at("10:00"), 2.0)];
    story.bars_of(Step::H1, "one", rows);
    let day = story.ask_for(Step::D1);
    assert_eq!(story.rows(&day), ["9:30 1 2 1 2 - - -"]);
    assert_eq!(story.coverage(&day), [1.0]);
    let cell = &story.model.curated(&day)[0];
    assert_eq!(cell.row.as_ref().map(|row| row.ts), Some(at("0:00")));
}

#[test]
fn a_grid_that_does_not_nest_makes_nothing() {
    let mut story = Story::until("11:00");
    let hours = Some(hours("9:30", "15:30"));
    story.facts([Fact::CalendarDay { calendar: "TINY".to_owned(), date: THURSDAY, hours }]);
    story.bars_of(Step::H1, "one", [flat(at("9:30"), 1.0), flat(at("11:30"), 2.0)]);
    let clock = Ask { align: Align::Clock, ..story.ask_for(Step::H4) };
    // 12:00 lies inside the hour from 11:30.
    assert_eq!(story.rows(&clock), [""; 0]);
    let session = Ask { align: Align::Session, ..clock.clone() };
    assert_eq!(story.rows(&session), ["9:30 1 2 1 2 - - -"]);
    story.bars_of(Step::M30, "one", [flat(at("11:30"), 3.0), flat(at("12:00"), 4.0)]);
    assert_eq!(story.rows(&clock), ["8:00 3 3 3 3 - - -", "12:00 4 4 4 4 - - -"]);
}

#[test]
fn minutes_come_from_trades_and_these_before_bars_of_seconds() {
    let mut story = Story::until("9:03");
    story.facts([setting("conditions:one", "us")]);
    story.bars_of(Step::S1, "one", [flat(at("9:00:10"), 99.0), flat(on(1, "9:00:00"), 98.0)]);
    let friday = Ask { end: on(2, "0:00"), ..story.ask() };
    assert_eq!(story.rows(&friday), ["9:00 99 99 99 99 - - -", "9:00 98 98 98 98 - - -"]);
    story.ticks(
        Table::Trades,
        "one",
        [
            trade(at("9:00:10"), 10.0, 100.0, "@"),
            trade(at("9:00:20"), 13.0, 10.0, "I"),
            trade(at("9:00:30"), 12.0, 100.0, "Z"),
            trade(at("9:00:40"), 11.0, 0.0, ""),
            trade(at("9:00:59"), 20.0, 1000.0, "M"),
            trade(at("9:01"), 9.0, 1.0, "4"),
            trade(at("9:02:59"), 7.0, 0.0, "@"),
        ],
    );
    // (10 · 100 + 13 · 10 + 12 · 100) / 210
    let minute = format!("9:00 10 12 10 11 210 {} 4", 2330.0 / 210.0);
    let rows = [&minute, "9:02 7 7 7 7 0 - 1", "9:00 98 98 98 98 - - -"];
    assert_eq!(story.rows(&friday), rows);
    let seconds = story.ask_for(Step::S1);
    // A second comes from its bar: the source delivered one in this session.
    assert_eq!(story.rows(&seconds), ["9:00 99 99 99 99 - - -"]);
}

#[test]
fn auctions_belong_to_the_regular_session_and_with_extended_hours_to_their_time() {
    let mut story = Story::until("9:02");
    let since_midnight = |text: &str| Some(at(text) - THURSDAY * DAY_NANOS);
    let (pre_open, post_close) = (since_midnight("8:59"), since_midnight("9:03"));
    let hours = Some(Hours { pre_open, post_close, ..hours("9:00", "9:02") });
    story.facts([Fact::CalendarDay { calendar: "TINY".to_owned(), date: THURSDAY, hours }]);
    story.facts([setting("conditions:one", "us")]);
    story.ticks(
        Table::Trades,
        "one",
        [
            trade(at("8:58:59"), 1.0, 1.0, "O"),
            trade(at("8:59:30"), 2.0, 1.0, "O"),
            trade(at("8:59:40"), 3.0, 1.0, "@"),
            trade(at("9:00:30"), 4.0, 1.0, "O"),
            trade(at("9:01:59"), 5.0, 1.0, "@"),
            trade(at("9:02"), 6.0, 1.0, "6"),
            trade(at("9:03"), 7.0, 1.0, "6"),
        ],
    );
    let regular = story.ask();
    assert_eq!(story.rows(&regular), ["9:00 2 4 2 4 2 3 2", "9:01 5 6 5 6 2 5.5 2"]);
    let extended = Ask { set: SessionSet::Extended, ..regular };
    let rows =
        ["8:59 2 3 2 3 2 2.5 2", "9:00 4 4 4 4 1 4 1", "9:01 5 5 5 5 1 5 1", "9:02 6 6 6 6 1 6 1"];
    assert_eq!(story.rows(&extended), rows);
    // Without a calendar the clock alone decides.
    story.facts([attribute("AAA", ALWAYS, "calendar", "")]);
    let rows = story.rows(&Ask { start: at("9:02"), end: at("9:04"), ..story.ask() });
    assert_eq!(rows, ["9:02 6 6 6 6 1 6 1", "9:03 7 7 7 7 1 7 1"]);
}

#[test]
fn quotes_give_bars_of_bids_of_asks_and_of_their_middle() {
    let mut story = Story::until("9:02");
    story.ticks(
        Table::Quotes,
        "one",
        [
            quote(at("9:00:01"), Some(10.0), Some(11.0)),
            quote(at("9:00:02"), None, Some(13.0)),
            quote(at("9:00:03"), Some(9.0), Some(10.0)),
            quote(at("9:01"), Some(8.0), None),
        ],
    );
    let of = |side| story.rows(&Ask { side, ..story.ask() });
    assert_eq!(of(PriceSide::Bid), ["9:00 10 10 9 9 - - -", "9:01 8 8 8 8 - - -"]);
    assert_eq!(of(PriceSide::Ask), ["9:00 11 13 10 10 - - -"]);
    assert_eq!(of(PriceSide::Mid), ["9:00 10.5 10.5 9.5 9.5 - - -"]);
    assert_eq!(of(PriceSide::Trade), [""; 0]);
    let day = Ask { side: PriceSide::Bid, ..story.ask_for(Step::D1) };
    assert_eq!(story.rows(&day), ["9:00 10 10 8 8 - - -"]);
}

#[test]
fn weeks_come_from_days_and_these_from_what_there_is() {
    let mut story = Story::until("9:02");
    story.bars("one", [flat(at("9:01"), 1.0), flat(on(1, "9:00"), 2.0)]);
    let week = Ask { end: on(3, "0:00"), ..story.ask_for(Step::W1) };
    assert_eq!(story.rows(&week), ["9:00 1 2 1 2 - - -"]);
    assert_eq!(story.coverage(&week), [1.0]);
    story.bars_of(Step::D1, "one", [flat(at("0:00"), 5.0)]);
    assert_eq!(story.rows(&week), ["9:00 5 5 2 2 - - -"]);
    // The month ends between them.
    let month = Ask { step: Step::Mo1, ..week };
    assert_eq!(story.rows(&month), ["9:00 5 5 5 5 - - -", "9:00 2 2 2 2 - - -"]);
}

#[test]
fn a_made_bar_is_provisional_while_it_may_grow_and_then_corrected_if_a_row_of_it_is() {
    let mut story = Story::until("9:10");
    story.ticks(Table::Trades, "one", [trade(at("9:00:30"), 1.0, 1.0, "")]);
    let ask = story.ask_for(Step::M5);
    let state = |story: &Story, due| story.state(&Ask { due, ..ask.clone() });
    assert_eq!(state(&story, at("9:04:59")), Some(State::Provisional));
    assert_eq!(state(&story, at("9:05")), Some(State::Final));
    let of = Series { step: Step::Tick, ..series("AAA", "one") };
    let mark = |end| {
        let (of, start, origin) = (of.clone(), at("8:00"), Origin::Watermark);
        Fact::Claim { of, table: Table::Trades, start, end, origin }
    };
    story.facts([mark(at("9:04"))]);
    assert_eq!(state(&story, at("9:05")), Some(State::Provisional));
    story.facts([mark(at("9:05"))]);
    assert_eq!(state(&story, at("9:05")), Some(State::Final));
    let numbered = |price| {
        let mut row = trade(at("9:00:30"), price, 1.0, "");
        row.values[4] = Value::Text("7".to_owned());
        row
    };
    story.ticks(Table::Trades, "one", [numbered(2.0)]);
    assert_eq!(state(&story, at("9:05")), Some(State::Final));
    story.ticks(Table::Trades, "one", [numbered(3.0)]);
    assert_eq!(state(&story, at("9:05")), Some(State::Corrected));
    assert_eq!(state(&story, at("9:04")), Some(State::Provisional));
    assert_eq!(story.rows(&ask), ["9:00 1 3 1 3 2 2 2"]);
}

#[test]
fn an_empty_bucket_is_explained_by_the_finest_series_there_is() {
    let mut story = Story::until("9:20");
    story.ticks(Table::Trades, "one", [trade(at("9:00:30"), 1.0, 1.0, "")]);
    let ask = story.ask_for(Step::M5);
    let tick = Series { step: Step::Tick, ..series("AAA", "one") };
    let minute = |start, end| claim("AAA", "one", start, end, Origin::Covers);
    story.facts([minute(at("9:05"), at("9:10"))]);
    assert_eq!(story.reasons(&ask)[1], Reason::Missing);
    let origin = Origin::Covers;
    let claimed = Fact::Claim {
        of: tick.clone(),
        table: Table::Trades,
        start: at("9:05"),
        end: at("9:20"),
        origin,
    };
    story.facts([claimed]);
    assert_eq!(story.reasons(&ask)[1..], [Reason::NoTrade; 3]);
    let refused = trade(at("9:12"), f64::NAN, 1.0, "");
    let sequence = story.ticks(Table::Trades, "one", [refused, trade(at("9:16"), 2.0, 1.0, "")]);
    let expected = [Reason::Ok, Reason::NoTrade, Reason::Missing, Reason::Ok];
    assert_eq!(story.reasons(&ask), expected);
    let (ts, rule, act) = (at("9:16"), "manual".to_owned(), Ruling::Quarantine);
    let (of_sequence, note) = (sequence, String::new());
    story.facts([Fact::Verdict { of: tick, ts, rule, act, of_sequence, note }]);
    let expected = [Reason::Ok, Reason::NoTrade, Reason::Missing, Reason::Quarantined];
    assert_eq!(story.reasons(&ask), expected);
}

#[test]
fn what_was_known_makes_what_was_answered() {
    let mut story = Story::until("9:05");
    let first = story.bars("one", [flat(at("9:00"), 1.0), flat(at("9:01"), 2.0)]);
    let then = story.now;
    let day = |hours| {
        let calendar = "TINY".to_owned();
        Fact::CalendarDay { calendar, date: THURSDAY, hours }
    };
    let known = (day(Some(hours("9:01", "9:05"))), Some(then + 1));
    let cut = story.offer_facts([known], false);
    let late = story.bars("one", [flat(at("9:04"), 3.0), flat(at("9:01"), 5.0)]);
    let rows = |ask: Ask| story.rows(&Ask { step: Step::D1, ..ask });
    assert_eq!(rows(story.at_sequence(first)), ["9:00 1 2 1 2 - - -"]);
    assert_eq!(rows(story.at_sequence(cut)), ["9:01 2 2 2 2 - - -"]);
    assert_eq!(rows(story.at_sequence(late)), ["9:01 5 5 3 3 - - -"]);
    assert_eq!(rows(story.as_of(then)), ["9:00 1 2 1 2 - - -"]);
}

#[test]
fn a_bucket_holds_the_finer_bars_at_which_the_symbol_is_bound() {
    let mut story = Story::until("9:05");
    story.bars("one", ["9:00", "9:01", "9:02"].map(|text| flat(at(text), 1.0)));
    story.facts([binding("AAA", "one", at("9:02"), "OTHER")]);
    let ask = story.ask_for(Step::M5);
    assert_eq!(story.coverage(&ask), [0.4]);
    story.facts([attribute("OTHER", ALWAYS, "calendar", "TINY")]);
    let other = Ask { instrument: "OTHER".to_owned(), ..ask };
    // Bound to it after the bucket began: no candidate is there then.
    assert_eq!(story.told(&other), "9:00 Missing");
    let clock = Ask { start: at("9:02"), end: at("9:03"), step: Step::M1, ..other };
    assert_eq!(story.told(&clock), "9:02 Ok AAA@one 1");
}
