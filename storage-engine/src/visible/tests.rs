//! The rule against maps of single rows, over everything that may have come in.

use std::collections::BTreeMap;

use proptest::prelude::*;

use barrow_types::{Sequence, Timestamp};

use super::*;
use crate::dataset::retention::Floor;
use crate::dataset::{BARS, TRADES};
use crate::rows::{Texts, Values, flags};

/// A row as it came in: an event whose only number is its price.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    ts: i64,
    venue: Option<u8>,
    id: Option<u8>,
    price: u8,
    retract: bool,
    known_at: i64,
    sequence: u64,
}

type Key = (i64, Option<u8>, Option<u8>, u8);

impl Event {
    /// What makes it a version of another: its id, or else all that it says.
    fn key(&self) -> Key {
        (self.ts, self.venue, self.id, if self.id.is_some() { 0 } else { self.price })
    }
}

/// Whether the batch retracts, and its rows: `ts`, venue, id, price, age of a stated `known_at`.
type Record = (bool, Vec<(i64, Option<u8>, Option<u8>, u8, Option<i64>)>);

fn records() -> impl Strategy<Value = Vec<Record>> {
    let name = || proptest::option::of(0..2_u8);
    let row = (0..2_i64, name(), name(), 0..2_u8, proptest::option::of(0..40_i64));
    let record = (proptest::bool::weighted(0.3), proptest::collection::vec(row, 1..5));
    proptest::collection::vec(record, 1..12)
}

/// What is stored of the records, in the order in which it came. A retraction finds a visible row.
fn stored(records: Vec<Record>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for (sequence, (retract, rows)) in (1_u64..).zip(records) {
        // Every other record comes in at the instant of the one before.
        let now = 20 * (sequence / 2).cast_signed();
        for (ts, venue, id, price, age) in rows {
            let known_at = if retract { now } else { now - age.unwrap_or(0) };
            let event = Event { ts, venue, id, price, retract, known_at, sequence };
            let mut found = visible(&all, i64::MAX, u64::MAX);
            if !retract || found.any(|other| other.key() == event.key()) {
                all.push(event);
            }
        }
    }
    all
}

/// The rule in maps: the events visible at (T, N), of those that came in this order.
fn visible(events: &[Event], as_of: i64, at_sequence: u64) -> std::vec::IntoIter<&Event> {
    let known = |e: &&Event| e.known_at <= as_of && e.sequence <= at_sequence;
    let mut by_key: BTreeMap<Key, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(known) {
        let rows = by_key.entry(event.key()).or_default();
        if event.id.is_some() {
            let winner = rows.pop().filter(|&other| rank(other) > rank(event)).unwrap_or(event);
            rows.push(winner);
        } else if !event.retract {
            rows.push(event);
            // What comes later in rank within a record is cancelled first.
            rows.sort_by_key(|e| (e.sequence, e.known_at));
        } else {
            rows.pop();
        }
    }
    let mut left: Vec<_> = by_key.into_values().flatten().filter(|e| !e.retract).collect();
    left.sort_by_key(|e| (e.ts, rank(e), e.key(), e.price));
    left.into_iter()
}

fn rank(event: &Event) -> (i64, u64) {
    (event.known_at, event.sequence)
}

/// The events as the engine holds them: sorted, in columns of trades.
fn rows_of(events: &[Event]) -> Rows {
    let mut events = events.to_vec();
    events.sort_by_key(|e| (e.ts, rank(e)));
    let names = |of: fn(&Event) -> Option<u8>| {
        let text = |e: &Event| of(e).map_or(String::new(), |name| name.to_string());
        let mut texts = Texts::new();
        events.iter().for_each(|e| texts.push(&text(e)));
        let validity = Some(events.iter().map(|e| of(e).is_some()).collect());
        Column { values: Values::Text(texts), validity }
    };
    let price = Values::F64(events.iter().map(|e| f64::from(e.price)).collect());
    let columns = vec![
        Column::new(price.clone()),
        Column::new(price),
        names(|e| e.venue),
        names(|_| None),
        names(|e| e.id),
    ];
    Rows {
        ts: events.iter().map(|e| e.ts).collect(),
        sequence: events.iter().map(|e| e.sequence).collect(),
        known_at: events.iter().map(|e| e.known_at).collect(),
        flags: events.iter().map(|e| if e.retract { flags::RETRACT } else { 0 }).collect(),
        columns,
    }
}

fn event_of(rows: &Rows, at: usize) -> Event {
    let name = |place: usize| match &rows.columns[place].values {
        Values::Text(texts) if rows.columns[place].is_valid(at) => texts.get(at).parse().ok(),
        _ => None,
    };
    let Values::F64(price) = &rows.columns[0].values else { panic!("prices are doubles") };
    Event {
        ts: rows.ts[at],
        venue: name(2),
        id: name(4),
        price: if price[at] == 0.0 { 0 } else { 1 },
        retract: rows.is_retract(at),
        known_at: rows.known_at[at],
        sequence: rows.sequence[at],
    }
}

fn judge_trades(rows: &Rows, as_of: i64, at_sequence: u64) -> Vec<Verdict> {
    judge(TRADES.identity, rows, &TRADES.id_places(), |at| {
        rows.known_at[at] <= as_of && rows.sequence[at] <= at_sequence
    })
}

fn seen(rows: &Rows, as_of: i64, at_sequence: u64) -> Vec<Event> {
    let places = places_of(&judge_trades(rows, as_of, at_sequence), Verdict::Visible);
    let mut events: Vec<_> = places.iter().map(|&at| event_of(rows, at as usize)).collect();
    events.sort_by_key(|e| (e.ts, rank(e), e.key(), e.price));
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn at_every_time_and_sequence_the_plain_rule_sees_the_same_events(records in records()) {
        let events = stored(records);
        let rows = rows_of(&events);
        for at_sequence in (0..13).chain([u64::MAX]) {
            for as_of in (-45..125).step_by(5).chain([i64::MAX]) {
                let expected: Vec<_> = visible(&events, as_of, at_sequence).cloned().collect();
                prop_assert_eq!(seen(&rows, as_of, at_sequence), expected);
            }
        }
    }

    #[test]
    fn losers_of_some_of_the_records_may_be_put_aside(
        records in records(),
        merges in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 13), 1..4),
    ) {
        let events = stored(records);
        let mut current = events.clone();
        // Where the rows of each record are; those of merged files stay together.
        let mut files: Vec<usize> = (0..13).collect();
        for merged in merges {
            let file_of = |e: &Event| files[usize::try_from(e.sequence).unwrap()];
            let is_merged = |e: &Event| merged[file_of(e)];
            let (inside, outside): (Vec<_>, Vec<_>) = events.iter().cloned().partition(is_merged);
            let rows = rows_of(&inside);
            let losers = losers(&TRADES, &rows, |ts, sequences| {
                !outside.iter().any(|e| e.ts == ts && sequences.contains(&e.sequence))
            });
            let together = |at: usize| {
                (rows.ts[at - 1], rows.rank(at - 1)) != (rows.ts[at], rows.rank(at))
                    || losers[at - 1] == losers[at]
            };
            prop_assert!((1..rows.len()).all(together), "events of one rank are apart");
            current.retain(|e| !is_merged(e));
            let kept = (0..rows.len()).filter(|&at| !losers[at]);
            current.extend(kept.map(|at| event_of(&rows, at)));
            let target = (0..13).find(|&file| merged[file]).unwrap_or(0);
            files.iter_mut().filter(|file| merged[**file]).for_each(|file| *file = target);
        }
        let expected: Vec<_> = visible(&events, i64::MAX, u64::MAX).cloned().collect();
        prop_assert_eq!(seen(&rows_of(&current), i64::MAX, u64::MAX), expected);
    }

    #[test]
    fn what_is_dropped_below_a_rising_floor_is_missed_by_no_question_above_it(
        records in records(),
        merges in proptest::collection::vec(
            (proptest::collection::vec(any::<bool>(), 13), 0..60_i64, 0..8_u64),
            1..4,
        ),
    ) {
        let events = stored(records);
        let ends = |events: &[Event]| {
            let ts = || events.iter().map(|e| e.ts);
            ts().min().zip(ts().max())
        };
        let mut current = events.clone();
        // Where the rows of each record are; those of merged files stay together.
        let mut files: Vec<usize> = (0..13).collect();
        let (mut as_of_from, mut at_sequence_from) = (-40, 0);
        for (merged, later, more) in merges {
            (as_of_from, at_sequence_from) = (as_of_from + later, at_sequence_from + more);
            let floor = floor(as_of_from, at_sequence_from);
            let file_of = |e: &Event| files[usize::try_from(e.sequence).unwrap()];
            let is_merged = |e: &Event| merged[file_of(e)];
            let (inside, outside): (Vec<_>, Vec<_>) = current.drain(..).partition(is_merged);
            let rows = rows_of(&inside);
            let has_all = |ts: i64, sequences: RangeInclusive<u64>| {
                !outside.iter().any(|e| e.ts == ts && sequences.contains(&e.sequence))
            };
            let gone = unseen(&TRADES, &rows, &floor, ends(&inside).unwrap_or_default(), has_all);
            let kept = (0..rows.len()).filter(|&at| !gone[at]);
            current = kept.map(|at| event_of(&rows, at)).chain(outside).collect();
            prop_assert_eq!(ends(&current), ends(&events), "a series ends elsewhere");
            let rows = rows_of(&current);
            for at_sequence in (at_sequence_from..14).chain([u64::MAX]) {
                let instants = (-45..125).step_by(5).filter(|as_of| *as_of >= as_of_from);
                for as_of in instants.chain([as_of_from, i64::MAX]) {
                    let expected: Vec<_> = visible(&events, as_of, at_sequence).cloned().collect();
                    prop_assert_eq!(seen(&rows, as_of, at_sequence), expected);
                }
            }
            let target = (0..13).find(|&file| merged[file]).unwrap_or(0);
            files.iter_mut().filter(|file| merged[**file]).for_each(|file| *file = target);
        }
    }

    #[test]
    fn of_a_bar_only_those_versions_stay_that_some_question_above_the_floor_sees(
        versions in proptest::collection::vec((0..6_i64, 0..6_u64, any::<bool>()), 1..9),
        (as_of_from, at_sequence_from) in (0..7_i64, 0..7_u64),
    ) {
        let event = |&(known_at, sequence, retract): &(i64, u64, bool)| Event {
            ts: 0, venue: None, id: None, price: 0, retract, known_at, sequence,
        };
        let rows = rows_of(&versions.iter().map(event).collect::<Vec<_>>());
        let floor = floor(as_of_from, at_sequence_from);
        let gone = unseen(&BARS, &rows, &floor, (0, 0), |_, _| false);
        // The winner at every (T, N), by looking at all of them.
        let mut wins = vec![false; rows.len()];
        for (as_of, at_sequence) in (as_of_from..8).flat_map(|t| {
            (at_sequence_from..8).map(move |n| (t, n))
        }) {
            let known =
                |at: &usize| rows.known_at[*at] <= as_of && rows.sequence[*at] <= at_sequence;
            if let Some(winner) = (0..rows.len()).rfind(known) {
                wins[winner] = true;
            }
        }
        prop_assert_eq!(gone, wins.iter().map(|wins| !wins).collect::<Vec<_>>());
    }
}

fn floor(as_of_from: i64, at_sequence_from: u64) -> Floor {
    let as_of_from = Timestamp::from_nanos(as_of_from);
    Floor { as_of_from, at_sequence_from: Sequence::new(at_sequence_from) }
}

#[test]
fn a_bar_is_what_was_known_last_and_a_ledger_keeps_every_row() {
    let event = |sequence, retract| Event {
        ts: 0,
        venue: None,
        id: None,
        price: 1,
        retract,
        known_at: 0,
        sequence,
    };
    let rows = rows_of(&[event(1, false), event(2, false), event(3, true)]);
    let judged = |identity, last| judge(identity, &rows, &[], |at| rows.sequence[at] <= last);
    use Verdict::{Barred, Cancelled, Lost, Retraction, Visible};
    assert_eq!(judged(Identity::Ts, 2), [Lost, Visible, Barred]);
    assert_eq!(judged(Identity::Ts, 3), [Lost, Lost, Retraction]);
    assert_eq!(judged(Identity::Append, 2), [Visible, Visible, Barred]);
    assert_eq!(judged(Identity::Event { id: &[] }, 2), [Visible, Visible, Barred]);
    assert_eq!(judged(Identity::Event { id: &[] }, 3), [Visible, Cancelled(3), Cancelled(2)]);
}
