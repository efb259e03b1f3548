//! Where days and minutes, and what is kept out or turned away, meet.

use barrow_types::{Align, DatasetId, Step, Timestamp};

use super::store::{Ask, Store, instant, texts};
use crate::batch::{Batch, ClaimOrigin};

#[test]
fn a_week_is_made_of_minutes_where_its_days_are_kept_out() {
    let mut store = Store::new();
    let day = store.bars(Step::D1, &["2 00:00 9 9 9 9 9 9 9"]);
    store.quarantine(Step::D1, "2 00:00", &day);
    store.trades(&["2 10:00:00 3 30"]);
    assert!(store.told(&Ask::of(Step::D1)).is_empty());
    let covered = 1.0 / (4.0 * 390.0 - 180.0 - 60.0);
    let week = format!("2 09:30 3 3 3 3 30 3 1 covered {covered}");
    assert_eq!(store.told(&Ask::of(Step::W1)), [week]);
}

#[test]
fn a_day_that_is_kept_out_does_not_keep_its_week_open() {
    let mut store = Store::new();
    let day = store.bars(Step::D1, &["2 00:00 9 9 9 9 9 9 9"]);
    store.claim(DatasetId::BARS, Step::D1, ("1", "2"), ClaimOrigin::Watermark);
    store.bars(Step::M1, &["3 10:00 3 3 3 3 3 3 3"]);
    let states = |store: &Store| -> Vec<bool> {
        let told = store.told(&Ask::of(Step::W1));
        told.iter().map(|line| line.contains("provisional")).collect()
    };
    assert_eq!(states(&store), [true]);
    store.quarantine(Step::D1, "2 00:00", &day);
    assert_eq!(states(&store), [false]);
}

#[test]
fn an_hour_of_two_sessions_is_open_as_long_as_a_row_of_either_may_come_and_no_other_is() {
    let mut store = Store::without_calendar();
    for day in [2, 3] {
        // From 21:30 of the evening before: three hours before midnight, and half an hour on.
        store.session(day, ["-3:30", "21:30", "-", "-", "-", "-"]);
    }
    store.follow_calendar();
    store.trades(&["2 14:00:01 3 3", "2 21:10:00 3 3"]);
    store.bars(Step::S1, &["2 21:40:00 1 1 1 1 1 1 1", "3 10:00:00 1 1 1 1 1 1 1"]);
    store.claim(DatasetId::BARS, Step::S1, ("1", "2"), ClaimOrigin::Watermark);
    let told = store.told(&Ask { align: Align::Clock, ..Ask::of(Step::H1) });
    let states = told.iter().map(|line| (&line[..8], line.contains("provisional")));
    let expected = [("2 14:00 ", false), ("2 21:00 ", true), ("3 10:00 ", true)];
    assert!(states.eq(expected), "{told:#?}");
}

#[test]
fn a_range_without_a_start_has_the_bar_of_a_minute_that_ends_behind_its_slot() {
    let mut store = Store::without_calendar();
    // Its first minute begins in the half hour of 14:00, and ends in that of 14:30.
    store.session(3, ["14:29:30", "16:00", "-", "-", "-", "-"]);
    store.follow_calendar();
    store.trades(&["3 14:30:10 3 3"]);
    let ask = Ask { align: Align::Clock, ..Ask::of(Step::M30) };
    let told = store.told(&ask);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("3 14:00 3 3 3 3 3 3 1"), "{told:#?}");
    let open = (Timestamp::MIN.nanos(), Timestamp::MAX.nanos());
    assert_eq!(store.told(&Ask { range: open, ..ask }), told);
}

#[test]
fn what_is_kept_out_while_the_symbol_is_another_instrument_is_not_of_this_one() {
    let mut store = Store::new();
    let minutes = store.bars(Step::M1, &["2 10:00 1 1 1 1 1 1 1"]);
    store.quarantine(Step::M1, "2 10:00", &minutes);
    let day = Ask::of(Step::D1).within("2", "3");
    assert_eq!(store.told_all(&day), ["2 09:30 quarantined"]);
    let of = Store::batch(DatasetId::BINDINGS, "x", Step::Tick, vec![instant("2 09:45")]);
    store.send(Batch { columns: vec![texts(["B"])], ..of });
    assert_eq!(store.told_all(&day), ["2 09:30 missing"]);
}

#[test]
fn a_day_that_was_turned_away_is_missing_from_its_week_too() {
    let mut store = Store::new();
    store.claim(DatasetId::BARS, Step::D1, ("1", "6"), ClaimOrigin::Covers);
    let ask = |step| Ask::of(step).within("2", "4");
    assert_eq!(store.told_all(&ask(Step::D1)), ["2 09:30 no_trade", "3 09:30 no_trade"]);
    assert_eq!(store.told_all(&ask(Step::W1)), ["2 09:30 no_trade"]);
    // Without a high.
    store.bars(Step::D1, &["2 00:00 9 - 9 9 9 9 9"]);
    assert_eq!(store.told_all(&ask(Step::D1)), ["2 09:30 missing", "3 09:30 no_trade"]);
    assert_eq!(store.told_all(&ask(Step::W1)), ["2 09:30 missing"]);
}

#[test]
fn the_newest_second_may_be_that_of_an_auction_long_after_the_close() {
    let mut store = Store::new();
    store.setting("trades", "conditions:x", "us");
    store.trades(&["2 17:59:00 21 500 6"]);
    let newest = store.snapshot().newest_curated(Ask::of(Step::S1).scan(false)).unwrap();
    let (curated, piece) = newest.found.unwrap();
    assert_eq!(curated.candidates().len(), 1);
    assert_eq!(piece.rows.ts, [instant("2 15:59:59")]);
}

#[test]
fn trades_of_one_instant_stay_in_their_order_when_one_is_taken_away() {
    let mut store = Store::new();
    let trades = store.trades(&["2 10:00:00 1 1", "2 10:00:00 2 1"]);
    let ask = Ask { at_sequence: Some(trades.sequence), ..Ask::of(Step::M1) };
    let before = store.told(&ask);
    assert_eq!(before, ["2 10:00 1 2 1 2 2 1.5 2"]);
    store.retract_trade("2 10:00:00 2 1");
    store.settle();
    assert_eq!(store.told(&ask), before);
    assert_eq!(store.told(&Ask { at_sequence: None, ..ask }), ["2 10:00 1 1 1 1 1 1 1"]);
}
