//! What happens to bars that nobody delivered.

use barrow_types::{Align, DatasetId, PriceSide, SessionSet, Step};

use super::store::{Ask, MINUTE, Store, instant, integers, midnight, texts};
use crate::batch::ClaimOrigin;

#[test]
fn bars_of_an_hour_are_made_of_minutes_from_the_open_on() {
    let mut store = Store::new();
    store.bars(
        Step::M1,
        &[
            "2 09:29 9 9 9 9 9 9 9",
            "2 09:30 1 2 1 2 10 1.5 3",
            "2 10:00 3 7 3 4 30 3.5 1",
            "2 10:29 4 4 0.5 3 - - -",
            "2 10:30 5 5 5 5 1 - 1",
            "2 15:59 6 6 6 6 - - -",
            "2 16:00 9 9 9 9 9 9 9",
        ],
    );
    let covered = |slots: f64, of: f64| format!(" covered {}", slots / of);
    let expected = [
        format!("2 09:30 1 7 0.5 3 40 3 4{}", covered(3.0, 60.0)),
        format!("2 10:30 5 5 5 5 1 - 1{}", covered(1.0, 60.0)),
        format!("2 15:30 6 6 6 6 - - -{}", covered(1.0, 30.0)),
    ];
    assert_eq!(store.told(&Ask::of(Step::H1)), expected);
    let clock = Ask { align: Align::Clock, ..Ask::of(Step::H1) };
    let expected = [
        format!("2 09:00 1 2 1 2 10 1.5 3{}", covered(1.0, 30.0)),
        format!("2 10:00 3 7 0.5 5 31 - 2{}", covered(3.0, 60.0)),
        format!("2 15:00 6 6 6 6 - - -{}", covered(1.0, 60.0)),
    ];
    assert_eq!(store.told(&clock), expected);
    let day = format!("2 09:30 1 7 0.5 6 41 - 5{}", covered(5.0, 390.0));
    assert_eq!(store.told(&Ask::of(Step::D1)), [day]);
    let extended = Ask { session: SessionSet::Extended, ..Ask::of(Step::D1) };
    assert_eq!(store.told(&extended), store.told(&Ask::of(Step::D1)));
    let extended = Ask { session: SessionSet::Extended, ..Ask::of(Step::H4) };
    let expected = [
        format!("2 08:00 9 9 0.5 5 50 - 14{}", covered(5.0, 240.0)),
        format!("2 12:00 6 6 6 6 - - -{}", covered(1.0, 240.0)),
        format!("2 16:00 9 9 9 9 9 9 9{}", covered(1.0, 120.0)),
    ];
    assert_eq!(store.told(&extended), expected);
}

#[test]
fn a_bucket_runs_into_a_break_and_another_begins_behind_it() {
    let mut store = Store::new();
    let bar = "1 1 1 1 1 1 1";
    let at = |time: &str| format!("5 {time} {bar}");
    let times = ["11:29", "11:30", "11:59", "12:30", "13:00", "13:29", "13:30"].map(at);
    store.bars(Step::M1, &times.each_ref().map(String::as_str));
    let trades = |step| {
        let told = store.told(&Ask::of(step));
        told.iter()
            .map(|line| line.split(" covered").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let hours = ["5 10:30 1 1 1 1 1 1 1", "5 11:30 1 1 1 1 2 1 2", "5 12:30 1 1 1 1 2 1 2"];
    let last = "5 13:30 1 1 1 1 1 1 1";
    assert_eq!(trades(Step::H1), [&hours[..], &[last]].concat());
    assert_eq!(trades(Step::D1), ["5 09:30 1 1 1 1 6 1 6"]);
}

#[test]
fn weeks_and_months_are_made_of_days_wherever_these_come_from() {
    let mut store = Store::new();
    store.bars(Step::D1, &["2 00:00 1 2 1 2 10 1 1", "8 00:00 5 6 5 6 1 1 1"]);
    store.bars(Step::M1, &["3 09:30 7 7 7 7 3 7 1", "2 09:30 9 9 9 9 9 9 9"]);
    let days = store.told(&Ask::of(Step::D1));
    let third = format!("3 09:30 7 7 7 7 3 7 1 covered {}", 1.0 / 390.0);
    assert_eq!(days, ["2 09:30 1 2 1 2 10 1 1".to_owned(), third, "8 09:30 5 6 5 6 1 1 1".into()]);
    let weeks = store.told(&Ask::of(Step::W1));
    let first = format!("2 09:30 1 7 1 7 13 {} 2 covered 0.5", 31.0 / 13.0);
    assert_eq!(weeks, [first, "8 09:30 5 6 5 6 1 1 1 covered 0.2".to_owned()]);
    let month = format!("2 09:30 1 7 1 6 14 {} 3 covered {}", 32.0 / 14.0, 3.0 / 9.0);
    assert_eq!(store.told(&Ask::of(Step::Mo1)), [month]);
}

#[test]
fn a_session_has_the_first_origin_that_has_a_row_in_it() {
    let mut store = Store::new();
    store.bars(
        Step::M5,
        &["2 10:00 5 5 5 5 5 5 5", "3 10:00 5 5 5 5 5 5 5", "4 10:00 5 5 5 5 5 5 5"],
    );
    store.bars(Step::M1, &["2 12:00 1 1 1 1 1 1 1", "3 12:00 1 1 1 1 1 1 1"]);
    store.bars(Step::H1, &["2 15:30 9 9 9 9 9 9 9"]);
    store.trades(&["2 12:00:01 3 3", "5 11:00:01 3 3", "5 11:00:02 4 3"]);
    let told = |step| -> Vec<String> {
        let told = store.told(&Ask::of(step));
        told.iter().map(|line| line.split(" covered").next().unwrap().to_owned()).collect()
    };
    let hours = [
        "2 15:30 9 9 9 9 9 9 9",
        "3 11:30 1 1 1 1 1 1 1",
        "4 09:30 5 5 5 5 5 5 5",
        "5 10:30 3 4 3 4 6 3.5 2",
    ];
    assert_eq!(told(Step::H1), hours);
    assert_eq!(told(Step::M1)[..2], ["2 12:00 1 1 1 1 1 1 1", "3 12:00 1 1 1 1 1 1 1"]);
    // A question about part of a session is answered as the whole would be.
    let noon = Ask::of(Step::H1).within("2 11:30", "2 12:30");
    assert!(store.told(&noon).is_empty());
    store.retract(Step::H1, &["2 15:30"]);
    assert_eq!(store.told(&noon), [format!("2 11:30 1 1 1 1 1 1 1 covered {}", 1.0 / 60.0)]);
}

#[test]
fn a_grid_that_does_not_nest_is_not_taken() {
    let mut store = Store::new();
    store.setting("bars", "alignment:x", "clock");
    store.bars(Step::H1, &["2 09:00 1 1 1 1 1 1 1", "2 10:00 2 2 2 2 2 2 2"]);
    // The hour of nine begins with the session.
    let day = format!("2 09:30 1 2 1 2 3 {} 3 covered {}", 5.0 / 3.0, 2.0 / 7.0);
    assert_eq!(store.told(&Ask::of(Step::D1)), [day]);
    let all = store.told_all(&Ask::of(Step::H4).within("2", "3"));
    assert_eq!(all, ["2 09:30 missing", "2 13:30 missing"]);
    let clock = Ask { align: Align::Clock, ..Ask::of(Step::H4) };
    assert_eq!(
        store.told(&clock),
        [format!("2 08:00 1 2 1 2 3 {} 3 covered {}", 5.0 / 3.0, 2.0 / 3.0)]
    );
    store.bars(Step::M30, &["2 09:30 5 5 5 5 5 5 5"]);
    assert_eq!(
        store.told(&Ask::of(Step::D1)),
        [format!("2 09:30 5 5 5 5 5 5 5 covered {}", 1.0 / 13.0)]
    );
}

#[test]
fn sources_never_mix_in_a_bar() {
    let mut store = Store::new();
    store.setting("bars", "sources", "y x");
    store.bars(Step::H1, &["2 09:30 1 1 1 1 1 1 1", "3 09:30 1 1 1 1 1 1 1"]);
    store.bars_of("y", Step::M1, &["2 09:30 2 2 2 2 2 2 2"]);
    let told = store.told(&Ask::of(Step::H1));
    assert_eq!(
        told,
        [format!("2 09:30 2 2 2 2 2 2 2 covered {}", 1.0 / 60.0), "3 09:30 1 1 1 1 1 1 1".into()]
    );
}

#[test]
fn what_is_quarantined_is_in_no_bar() {
    let mut store = Store::new();
    let first = store.bars(Step::M1, &["2 09:30 1 1 1 1 1 1 1", "2 10:30 3 3 3 3 3 3 3"]);
    store.bars(Step::M1, &["2 09:31 2 2 2 2 2 2 2"]);
    store.claim(DatasetId::BARS, Step::M1, ("2 09:30", "2 12:30"), ClaimOrigin::Covers);
    store.quarantine(Step::M1, "2 09:30", &first);
    store.quarantine(Step::M1, "2 10:30", &first);
    let told = store.told_all(&Ask::of(Step::H1).within("2 09:30", "2 13:30"));
    let expected = [
        format!("2 09:30 2 2 2 2 2 2 2 covered {}", 59.0 / 60.0),
        "2 10:30 quarantined".to_owned(),
        "2 11:30 no_trade".to_owned(),
        "2 12:30 missing".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_bar_is_provisional_while_its_minutes_may_come_and_corrected_if_one_is() {
    let mut store = Store::new();
    store.bars(
        Step::M1,
        &["2 09:30 1 1 1 1 1 1 1", "2 10:30 1 1 1 1 1 1 1", "2 11:30 1 1 1 1 1 1 1"],
    );
    store.claim(DatasetId::BARS, Step::M1, ("2", "2 11:30"), ClaimOrigin::Watermark);
    store.bars(Step::M1, &["2 09:30 2 2 2 2 1 2 1", "2 11:30 2 2 2 2 1 2 1"]);
    let states = |ask: &Ask| -> Vec<String> {
        let told = store.told(ask);
        let state = |line: &String| {
            let word = line.split(' ').nth(9).filter(|word| *word != "covered");
            word.unwrap_or("final").to_owned()
        };
        told.iter().map(state).collect()
    };
    let ask = Ask::of(Step::H1);
    let covered = 1.0 / 60.0;
    assert_eq!(states(&ask), ["corrected", "final", "provisional"]);
    assert_eq!(store.told(&ask)[2], format!("2 11:30 2 2 2 2 1 2 1 provisional covered {covered}"));
    let early = Ask { due: instant("2 11:00"), ..ask };
    assert_eq!(states(&early), ["corrected", "provisional", "provisional"]);
}

#[test]
fn trades_make_bars_by_what_their_conditions_say() {
    let mut store = Store::new();
    store.trades(&[
        "2 09:00:00 50 5 T",
        "2 09:29:59 10 100 O",
        "2 09:30:00 11 10 @",
        "2 09:30:01 99 1 I",
        "2 09:30:02 12 10 4",
        "2 09:30:59 9 10 F",
        "2 09:31:00 8 7 I",
        "2 15:59:59 20 1 @",
        "2 16:00:10 21 500 6",
        "2 16:00:11 22 5 T",
        "2 18:00:00 23 500 6",
    ]);
    let ask = Ask::of(Step::M1);
    let all = store.told(&ask);
    assert!(all[0].starts_with("2 09:30 11 99 9 9 31"), "{all:?}");
    assert_eq!(all.len(), 3);
    store.setting("trades", "conditions:x", "us");
    let (volume, value) = (131.0, 1000.0 + 110.0 + 99.0 + 120.0 + 90.0);
    let expected = [
        format!("2 09:30 10 12 9 9 {volume} {} 5", value / volume),
        format!("2 15:59 20 21 20 21 501 {} 2", (20.0 + 21.0 * 500.0) / 501.0),
    ];
    assert_eq!(store.told(&ask), expected);
    // Before and after the session the clock decides, and trades of these hours count.
    let extended = Ask { session: SessionSet::Extended, ..ask.clone() };
    let expected = [
        "2 09:00 50 50 50 50 5 50 1".to_owned(),
        "2 09:29 10 10 10 10 100 10 1".to_owned(),
        format!("2 09:30 11 12 9 9 31 {} 4", (value - 1000.0) / 31.0),
        "2 15:59 20 20 20 20 1 20 1".to_owned(),
        format!("2 16:00 21 22 21 22 505 {} 2", (21.0 * 500.0 + 110.0) / 505.0),
    ];
    assert_eq!(store.told(&extended), expected);
    store.setting("trades", "conditions:x", "us O=none");
    assert!(store.told(&ask)[0].starts_with("2 09:30 11 12 9 9 31"));
    let day = store.told(&Ask::of(Step::D1));
    assert!(day[0].starts_with("2 09:30 11 21 9 21 532"), "{day:?}");
}

#[test]
fn a_range_without_ends_holds_the_slots_that_auctions_belong_to() {
    use barrow_types::Timestamp;
    for (trade, bar) in [
        ("2 09:29:59 10 100 O", "09:30 10 10 10 10 100 10 1"),
        ("2 16:00:10 21 500 6", "15:59 21 21 21 21 500 21 1"),
    ] {
        let mut store = Store::new();
        store.setting("trades", "conditions:x", "us");
        store.trades(&[trade]);
        for (step, bar) in [(Step::M1, bar), (Step::Mo1, "09:30")] {
            let mut ask = Ask::of(step);
            ask.range = (Timestamp::MIN.nanos(), Timestamp::MAX.nanos());
            let told = store.told(&ask);
            assert_eq!(told.len(), 1, "{trade} {step:?}: {told:?}");
            assert!(told[0].contains(bar), "{trade} {step:?}: {told:?}");
        }
    }
}

#[test]
fn a_range_without_ends_holds_the_month_whose_first_day_came_last() {
    use barrow_types::Timestamp;
    let mut store = Store::new();
    store.bars(Step::D1, &["2 00:00 1 1 1 1 1 1 1"]);
    for step in [Step::D1, Step::W1, Step::Mo1] {
        let mut ask = Ask::of(step);
        ask.range = (Timestamp::MIN.nanos(), Timestamp::MAX.nanos());
        assert_eq!(store.told(&ask).len(), 1, "{step:?}");
    }
}

#[test]
fn a_range_without_ends_holds_a_bar_that_is_stamped_behind_the_close_of_its_bucket() {
    use barrow_types::Timestamp;
    let mut store = Store::new();
    let (open, close) = ((9 * 60 + 30) * MINUTE, (9 * 60 + 39) * MINUTE);
    let hours = [Some(open), Some(close), None, None, Some(open), Some(close)];
    let hours = hours.map(|time| integers([time]));
    let day = [texts(["regular"])].into_iter().chain(hours).collect();
    store.fact(DatasetId::CALENDAR_DAYS, "TEST", midnight(2), day);
    // In the slot from 09:35 on, whose bucket ends with the session.
    store.bars(Step::M5, &["2 09:39 1 1 1 1 1 1 1"]);
    for step in [Step::M5, Step::M15, Step::D1] {
        let mut ask = Ask::of(step);
        ask.range = (Timestamp::MIN.nanos(), Timestamp::MAX.nanos());
        assert_eq!(store.told(&ask).len(), 1, "{step:?}");
    }
}

#[test]
fn a_row_turned_away_counts_in_its_slot_though_the_session_begins_later() {
    let mut store = Store::new();
    let (half, hour) = (30 * MINUTE, 60 * MINUTE);
    // From 21:30 of the evening before to 21:30.
    let (open, close) = (-2 * hour - half, 21 * hour + half);
    let hours = [Some(open), Some(close), None, None, Some(open), Some(close)];
    let hours = hours.map(|time| integers([time]));
    let day = [texts(["regular"])].into_iter().chain(hours).collect();
    store.fact(DatasetId::CALENDAR_DAYS, "TEST", midnight(17), day);
    let lines = ["17 01:30", "17 05:30", "17 09:30", "17 13:30"].map(|at| format!("{at} 1 1 1 1"));
    store.bars(Step::H4, &lines.each_ref().map(String::as_str));
    store.claim(DatasetId::BARS, Step::H4, ("16 12:00", "18 12:00"), ClaimOrigin::Covers);
    let ask = Ask::of(Step::D1).within("16 12:00", "18 12:00");
    let told = store.told(&ask);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told[0].contains("covered"), "two slots had no trade: {told:?}");
    // It lies in the slot from 20:00 on, as the first one of the session does.
    store.bars(Step::H4, &["16 21:00 NaN 1 1 1"]);
    let told = store.told(&ask);
    assert!(told[0].ends_with(&format!("covered {}", 5.0 / 6.0)), "{told:?}");
}

#[test]
fn a_wrong_setting_of_conditions_is_refused() {
    let mut store = Store::new();
    store.trades(&["2 09:30:00 10 100 O"]);
    store.setting("trades", "conditions:x", "us O");
    let error = store.snapshot().curated(Ask::of(Step::M1).scan(false)).err().unwrap();
    assert!(error.detail().contains("conditions:x"), "{error}");
}

#[test]
fn quotes_make_bars_of_bids_of_asks_and_of_their_middle() {
    let mut store = Store::new();
    store.quotes(&["2 09:30:00 1 3", "2 09:30:10 5 -", "2 09:30:20 - 4", "2 09:30:30 2 6"]);
    let told = |side| store.told(&Ask { side, ..Ask::of(Step::M1) });
    assert_eq!(told(PriceSide::Bid), ["2 09:30 1 5 1 2 - - -"]);
    assert_eq!(told(PriceSide::Ask), ["2 09:30 3 6 3 6 - - -"]);
    assert_eq!(told(PriceSide::Mid), ["2 09:30 2 4 2 4 - - -"]);
    let hours = store.told(&Ask { side: PriceSide::Mid, ..Ask::of(Step::H1) });
    assert_eq!(hours, [format!("2 09:30 2 4 2 4 - - - covered {}", 1.0 / 60.0)]);
    assert!(told(PriceSide::Trade).is_empty());
}

#[test]
fn ticks_come_before_seconds_and_seconds_make_minutes() {
    let mut store = Store::new();
    store.bars(
        Step::S1,
        &["2 09:30:01 1 1 1 1 1 1 1", "2 09:30:59 2 2 2 2 1 2 1", "3 09:30:01 1 1 1 1 1 1 1"],
    );
    let covered = |seconds: f64| format!("covered {}", seconds / 60.0);
    let of_seconds = format!("2 09:30 1 2 1 2 2 1.5 2 {}", covered(2.0));
    let third = format!("3 09:30 1 1 1 1 1 1 1 {}", covered(1.0));
    assert_eq!(store.told(&Ask::of(Step::M1)), [of_seconds, third.clone()]);
    store.trades(&["2 09:30:05 7 7"]);
    assert_eq!(store.told(&Ask::of(Step::M1)), ["2 09:30 7 7 7 7 7 7 1".to_owned(), third]);
    let seconds = store.told(&Ask::of(Step::S1));
    assert_eq!(seconds[0], "2 09:30:01 1 1 1 1 1 1 1");
}

#[test]
fn gaps_know_what_can_be_made() {
    let mut store = Store::new();
    store.bars(Step::M1, &["2 09:30 1 1 1 1 1 1 1", "2 10:31 1 1 1 1 1 1 1"]);
    let ask = Ask::of(Step::H1).within("2 09:30", "2 12:30");
    let mut gaps = store.snapshot().gaps(ask.scan(true)).unwrap();
    let mut told = Vec::new();
    while let Some(piece) = gaps.next().unwrap() {
        told.extend(piece.spans.iter().map(|span| (span.count, span.content)));
    }
    let reason = crate::gaps::Reason::Missing;
    assert_eq!(told, [(2, crate::Content::Rows(0)), (1, crate::Content::Empty(reason))]);
}

#[test]
fn a_range_without_ends_goes_from_the_first_bar_to_the_last() {
    use barrow_types::Timestamp;
    let mut store = Store::new();
    store.bars(Step::M1, &["2 10:05 1 1 1 1 1 1 1", "3 10:05 1 1 1 1 1 1 1"]);
    for (step, count, first) in
        [(Step::H1, 8, "2 09:30"), (Step::D1, 2, "2 09:30"), (Step::W1, 1, "2 09:30")]
    {
        let mut ask = Ask::of(step);
        ask.range = (Timestamp::MIN.nanos(), Timestamp::MAX.nanos());
        let told = store.told_all(&ask);
        assert_eq!(told.len(), count, "{told:?}");
        assert!(told[0].starts_with(first), "{told:?}");
    }
}
