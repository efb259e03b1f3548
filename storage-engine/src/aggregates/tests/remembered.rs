//! Whatever was asked before, whatever came since, and whatever was dropped below a floor of
//! retention: an answer is what it would be if it were the first, of a store that keeps all.

use barrow_types::{Align, DatasetId, PriceSide, Sequence, SessionSet, Step};
use proptest::prelude::*;

use super::store::{Ask, Store, instant, integers, midnight, tell, texts};
use crate::batch::ClaimOrigin;
use crate::dataset::facts::ALWAYS;

const DAYS: [i64; 5] = [2, 3, 4, 8, 9];
const STEPS: [Step; 7] = [Step::M1, Step::M5, Step::M30, Step::H1, Step::H4, Step::D1, Step::W1];

#[derive(Clone, Debug)]
enum Event {
    /// A bar of source `x`: its step, its place in the day, close.
    Bar(Step, i64, i64, u32),
    Gone(i64, i64),
    Trade(i64, i64, u32, &'static str),
    /// One of the trades before it.
    TakenBack(prop::sample::Index),
    /// From one of the records before it on, questions are answered.
    Floor(prop::sample::Index),
    Quote(i64, i64, u32),
    Closed(i64),
    Calendar(&'static str),
    Conditions(&'static str),
    Alignment(&'static str),
    Bound(i64, bool),
    Claim(i64),
    Kept(i64, i64),
    Settle,
    /// What is remembered is written to a file.
    Write,
    Reopen,
}

impl Event {
    fn tell(&self, store: &mut Store) {
        let at = |day: i64, minute: i64| {
            format!("{day} {:02}:{:02}", 9 + (minute + 30) / 60, (minute + 30) % 60)
        };
        match self {
            Self::Bar(step, day, minute, close) => {
                let step_minutes =
                    step.width().map_or(1, |width| width.get() / super::store::MINUTE);
                let at = at(*day, minute / step_minutes * step_minutes);
                store.bars(*step, &[&format!("{at} 50 90 10 {close} {close} {close} 1")]);
            }
            Self::Gone(day, minute) => store.retract(Step::M1, &[&at(*day, *minute)]),
            Self::Trade(..) => {
                let line = self.trade().unwrap();
                store.trades(&[&line]);
            }
            Self::Quote(day, minute, bid) => {
                store.quotes(&[&format!("{}:07 {bid} {}", at(*day, *minute), bid + 2)]);
            }
            Self::Closed(day) => {
                let nothing = || integers([None]);
                let kind = vec![texts(["closed"])];
                let hours = (0..6).map(|_| nothing());
                let columns = kind.into_iter().chain(hours).collect();
                store.fact(DatasetId::CALENDAR_DAYS, "TEST", midnight(*day), columns);
            }
            Self::Calendar(name) => {
                let calendar = vec![texts(["calendar"]), texts([*name])];
                store.fact(DatasetId::INSTRUMENTS, "A", ALWAYS.nanos(), calendar);
            }
            Self::Conditions(value) => store.setting("trades", "conditions:x", value),
            Self::Alignment(value) => store.setting("bars", "alignment:x", value),
            Self::Bound(day, to_it) => {
                let instrument = if *to_it { "A" } else { "B" };
                let batch =
                    Store::batch(DatasetId::BINDINGS, "x", Step::Tick, vec![midnight(*day)]);
                store.send(crate::batch::Batch { columns: vec![texts([instrument])], ..batch });
            }
            Self::Claim(day) => {
                let (start, end) = (format!("{day}"), format!("{}", day + 1));
                let origin = ClaimOrigin::Covers;
                store.claim(DatasetId::BARS, Step::M1, (&start, &end), origin);
            }
            Self::Kept(day, minute) => {
                let at = at(*day, *minute);
                let bar = store.bars(Step::M1, &[&format!("{at} 1 1 1 1 1 1 1")]);
                if bar.sequence > Sequence::ZERO {
                    store.quarantine(Step::M1, &at, &bar);
                }
            }
            Self::TakenBack(_) => unreachable!("invariant: it is told with the trades before it"),
            Self::Floor(record) => {
                let last = store.snapshot().sequence().get();
                let first = record.index(usize::try_from(last).unwrap() + 1) as u64;
                store.raise_floors(Sequence::new(first));
            }
            Self::Settle => store.settle(),
            Self::Write | Self::Reopen => {}
        }
    }

    /// The same behind other events.
    fn tell_after(&self, before: &[Self], store: &mut Store) {
        let Self::TakenBack(which) = self else { return self.tell(store) };
        let trades: Vec<String> = before.iter().filter_map(Self::trade).collect();
        if !trades.is_empty() {
            store.retract_trade(&trades[which.index(trades.len())]);
        }
    }

    /// A trade as a line.
    fn trade(&self) -> Option<String> {
        let Self::Trade(day, minute, price, code) = self else { return None };
        let (hour, minute) = (9 + (minute + 30) / 60, (minute + 30) % 60);
        Some(format!("{day} {hour:02}:{minute:02}:07 {price} 10 {code}"))
    }
}

/// The slots of a question, or why it is not answered.
fn answer(store: &Store, ask: &Ask) -> Result<Vec<String>, String> {
    let curated = store.snapshot().curated(ask.scan(true)).map_err(|error| error.to_string())?;
    Ok(tell(curated))
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let day = || prop::sample::select(DAYS.to_vec());
    let minute = || prop_oneof![Just(-10_i64), 0_i64..8, 55_i64..65, 205_i64..215, 388_i64..395];
    let price = || 1_u32..99;
    let word = |all: &'static [&'static str]| prop::sample::select(all);
    let step = prop::sample::select(vec![Step::M1, Step::M1, Step::M1, Step::M5, Step::H1]);
    let event = prop_oneof![
        12 => (step, day(), minute(), price()).prop_map(|(a, b, c, d)| Event::Bar(a, b, c, d)),
        3 => (day(), minute()).prop_map(|(a, b)| Event::Gone(a, b)),
        6 => (day(), minute(), price(), word(&["@", "I", "O", "6", "T"]))
            .prop_map(|(a, b, c, d)| Event::Trade(a, b, c, d)),
        3 => any::<prop::sample::Index>().prop_map(Event::TakenBack),
        1 => any::<prop::sample::Index>().prop_map(Event::Floor),
        3 => (day(), minute(), price()).prop_map(|(a, b, c)| Event::Quote(a, b, c)),
        1 => day().prop_map(Event::Closed),
        1 => word(&["TEST", "XNYS", "CRYPTO"]).prop_map(Event::Calendar),
        1 => word(&["us", "all"]).prop_map(Event::Conditions),
        1 => word(&["clock", "session"]).prop_map(Event::Alignment),
        1 => (day(), any::<bool>()).prop_map(|(a, b)| Event::Bound(a, b)),
        1 => day().prop_map(Event::Claim),
        1 => (day(), minute()).prop_map(|(a, b)| Event::Kept(a, b)),
        2 => Just(Event::Settle),
        2 => Just(Event::Write),
        1 => Just(Event::Reopen),
    ];
    prop::collection::vec(event, 1..50)
}

/// Some questions; each may be asked at any record.
fn questions() -> Vec<Ask> {
    let sides = [PriceSide::Trade, PriceSide::Mid];
    let of_step = |step| {
        sides.into_iter().flat_map(move |side| {
            let ask = Ask { side, ..Ask::of(step) };
            let clock = Ask { align: Align::Clock, session: SessionSet::Extended, ..ask.clone() };
            let part = ask.clone().within("3 10:00", "8 12:00");
            [ask, clock, part]
        })
    };
    STEPS.into_iter().flat_map(of_step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_what_it_would_be_if_it_were_the_first(
        events in events(),
        asked in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        earlier in any::<prop::sample::Index>(),
        room in prop::sample::select(vec![256 << 20, 16 << 10, 0]),
    ) {
        let questions = questions();
        let (mut asked_often, mut asked_last) = (Store::new(), Store::new());
        asked_often.limit_tiles(room);
        let mut asked = asked.into_iter();
        for (place, event) in events.iter().enumerate() {
            let before = &events[..place];
            event.tell_after(before, &mut asked_often);
            // What is not merged is kept, whatever floor there is.
            if !matches!(event, Event::Settle) {
                event.tell_after(before, &mut asked_last);
            }
            match event {
                Event::Write => {
                    asked_often.write_tiles();
                }
                Event::Reopen => asked_often.reopen(),
                _ => {}
            }
            for _ in 0..2 {
                if let Some(question) = asked.next() {
                    asked_often.told_all(question.get(&questions));
                }
            }
        }
        let report = crate::verify_live(&asked_often.snapshot());
        prop_assert_eq!(report.problems, Vec::<String>::new());
        let last = asked_last.snapshot().sequence().get();
        let then = Some(Sequence::new(earlier.index(usize::try_from(last).unwrap()) as u64 + 1));
        for at_sequence in [None, then] {
            for question in &questions {
                let ask = Ask { at_sequence, ..question.clone() };
                prop_assert_eq!(
                    answer(&asked_often, &ask),
                    answer(&asked_last, &ask),
                    "{:?}", &ask
                );
            }
        }
    }
}

#[test]
fn only_the_session_of_a_late_row_is_made_anew() {
    let mut store = Store::new();
    let days = [2, 3, 4, 8, 9, 10];
    for day in days {
        store.bars(Step::M1, &[&format!("{day} 09:30 1 1 1 1 1 1 1")]);
    }
    store.settle();
    let ask = Ask::of(Step::H1);
    let made = |store: &Store| store.engine.reader().tiles().made;
    store.told(&Ask { due: instant("31"), ..ask.clone() });
    let first = made(&store);
    assert_eq!(store.told(&ask).len(), 6);
    assert_eq!(made(&store), first, "nothing came since");
    store.bars(Step::M1, &["3 09:31 7 7 7 7 7 7 7"]);
    assert!(store.told(&ask)[1].starts_with("3 09:30 1 7 1 7 8"));
    assert_eq!(made(&store), first + 1);
    store.settle();
    store.retract(Step::M1, &["9 09:30"]);
    assert_eq!(store.told(&ask).len(), 5);
    assert_eq!(made(&store), first + 2);
    store.settle();
    assert_eq!(store.told(&ask).len(), 5);
    assert_eq!(made(&store), first + 2, "to be elsewhere is no change");
}

#[test]
fn what_was_used_lately_stays_when_room_is_needed() {
    let mut store = Store::new();
    for day in [2, 3, 4, 8, 9, 10] {
        store.bars(Step::M1, &[&format!("{day} 09:30 1 1 1 1 1 1 1")]);
    }
    store.settle();
    let stats = |store: &Store| store.engine.reader().tiles();
    let asked_often = Ask::of(Step::D1);
    store.told(&asked_often);
    // All tiles have a bar a session. Four fit, two stay when a fifth comes.
    let room = stats(&store).kept_bytes * 9 / 2;
    store.limit_tiles(room);
    store.told(&asked_often);
    let mut evicted = 0;
    for step in [Step::H4, Step::H1, Step::M30, Step::M15, Step::M5].repeat(3) {
        store.told(&Ask::of(step));
        let before = stats(&store);
        assert!(before.kept_bytes <= room, "{before:?}");
        evicted = before.evicted;
        store.told(&asked_often);
        assert_eq!(stats(&store).made, before.made, "days were used lately");
    }
    assert!(evicted > 0, "there is no room for all");
}

#[test]
fn without_room_nothing_stays() {
    let mut store = Store::new();
    store.bars(Step::M1, &["2 09:30 1 1 1 1 1 1 1"]);
    store.limit_tiles(0);
    let first = store.told(&Ask::of(Step::H1));
    let made_first = store.engine.reader().tiles().made;
    assert!(made_first > 0);
    assert_eq!(store.told(&Ask::of(Step::H1)), first);
    let stats = store.engine.reader().tiles();
    assert_eq!((stats.kept, stats.kept_bytes, stats.used), (0, 0, 0));
    assert_eq!(stats.made, 2 * made_first, "as many as the first time");
}
