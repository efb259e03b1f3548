//! Minutes that come, are corrected and taken away in any order and any number of commits: their
//! bars are those of what is there at the end.

use std::collections::BTreeMap;

use barrow_types::{Align, DatasetId, SessionSet, Step};
use proptest::prelude::*;

use super::store::{Ask, MINUTE, Store, doubles, integers, midnight, tell_bits};
use crate::batch::{Act, Batch};
use crate::calendar::SlotGrid;

#[derive(Clone, Debug)]
struct Change {
    ts: i64,
    /// Close, volume; `None`: it is taken away.
    bar: Option<(f64, f64)>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let days = prop::sample::select(vec![2_i64, 3, 4, 5, 8]);
    let minutes = prop_oneof![450_i64..480, 560_i64..580, 710_i64..790, 950_i64..965];
    let bar = prop::option::weighted(0.85, (1_u32..99, 0_u32..20));
    let change = (days, minutes, bar).prop_map(|(day, minute, bar)| Change {
        ts: midnight(day) + minute * MINUTE,
        bar: bar.map(|(close, volume)| (f64::from(close) / 3.0, f64::from(volume) / 7.0)),
    });
    prop::collection::vec(change, 1..120)
}

fn batch(changes: &[Change], act: Act) -> Batch {
    let ts = changes.iter().map(|change| change.ts).collect();
    let of = Store::batch(DatasetId::BARS, "x", Step::M1, ts);
    let columns = if act == Act::Retract {
        Vec::new()
    } else {
        let close = || doubles(changes.iter().map(|change| change.bar.map(|bar| bar.0)));
        let volume = doubles(changes.iter().map(|change| change.bar.map(|bar| bar.1)));
        let trades = integers(changes.iter().map(|_| Some(1)));
        vec![close(), close(), close(), close(), volume, close(), trades]
    };
    Batch { act, columns, ..of }
}

/// Sends changes, so many at a time at most; of each kind together.
fn send(store: &mut Store, changes: &[Change], at_once: usize, settle: usize) {
    let mut sent = 0;
    for alike in changes.chunk_by(|a, b| a.bar.is_some() == b.bar.is_some() && a.ts != b.ts) {
        let mut rest = alike;
        while !rest.is_empty() {
            let mut count = 1;
            let is_new = |at: usize| rest[..at].iter().all(|other| other.ts != rest[at].ts);
            while count < rest.len().min(at_once) && is_new(count) {
                count += 1;
            }
            let act = if rest[0].bar.is_some() { Act::Insert } else { Act::Retract };
            store.send(batch(&rest[..count], act));
            rest = &rest[count..];
            sent += 1;
            if sent % settle == 0 {
                store.settle();
            }
        }
    }
}

/// What a bar is made of: some finer bars, in order, or one by itself.
#[derive(Clone, Copy)]
struct Bar {
    prices: [f64; 4],
    volume: f64,
    vwap: Option<f64>,
    trades: u32,
}

impl Bar {
    fn fold(finer: &[Self]) -> Option<Self> {
        let (first, last) = (finer.first()?, finer.last()?);
        let highs = finer.iter().map(|bar| bar.prices[1]);
        let lows = finer.iter().map(|bar| bar.prices[2]);
        let (mut volume, mut value, mut traded) = (0.0, 0.0, 0.0);
        for bar in finer {
            volume += bar.volume;
            if bar.volume > 0.0 {
                traded += bar.volume;
                value += bar.vwap.unwrap() * bar.volume;
            }
        }
        let (high, low) = (highs.fold(f64::MIN, f64::max), lows.fold(f64::MAX, f64::min));
        Some(Self {
            prices: [first.prices[0], high, low, last.prices[3]],
            volume,
            vwap: (traded > 0.0).then(|| value / traded),
            trades: finer.iter().map(|bar| bar.trades).sum(),
        })
    }
}

/// Start and end of the slots of January.
fn slots(grid: SlotGrid, store: &Store) -> Vec<(i64, i64)> {
    let calendar = store.reference().calendar("TEST").unwrap();
    let stretches = grid.stretches(Some(&calendar), midnight(1), midnight(32));
    let all = stretches.flat_map(|stretch| {
        (0..stretch.count).map(move |at| (stretch.start_of(at), stretch.end_of(at)))
    });
    all.collect()
}

/// The bars of a grid by their starts; of weeks and months from days, of others from minutes.
fn plain(minutes: &BTreeMap<i64, (f64, f64)>, grid: SlotGrid, store: &Store) -> BTreeMap<i64, Bar> {
    let session = if grid.step.is_dated() { SessionSet::Regular } else { grid.session };
    let finer = if matches!(grid.step, Step::W1 | Step::Mo1) { Step::D1 } else { Step::M1 };
    let finer_grid = SlotGrid { step: finer, session, align: Align::Session };
    let finer: BTreeMap<i64, Bar> = if finer == Step::D1 {
        plain(minutes, finer_grid, store)
    } else {
        let of_minute = |(start, _)| {
            let (close, volume) = *minutes.get(&start)?;
            let vwap = Some(close);
            Some((start, Bar { prices: [close; 4], volume, vwap, trades: 1 }))
        };
        slots(finer_grid, store).into_iter().filter_map(of_minute).collect()
    };
    let of_slot = |(start, end)| {
        let inside: Vec<Bar> = finer.range(start..end).map(|(_, bar)| *bar).collect();
        Some((start, Bar::fold(&inside)?))
    };
    slots(grid, store).into_iter().filter_map(of_slot).collect()
}

/// As [`tell_bits`] has them.
fn in_bits(bars: &BTreeMap<i64, Bar>) -> Vec<String> {
    let tell = |(start, bar): (&i64, &Bar)| {
        let bits = |value: f64| value.to_bits().to_string();
        let prices = bar.prices.map(bits).join(" ");
        let vwap = bar.vwap.map_or("-".to_owned(), bits);
        format!("{start} {prices} {} {vwap} {}", bits(bar.volume), bar.trades)
    };
    bars.iter().map(tell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_split_of_the_commits_gives_the_bars_of_what_is_there(
        changes in changes(),
        at_once in 1_usize..40,
        settle in 1_usize..30,
    ) {
        let mut store = Store::new();
        send(&mut store, &changes, at_once, settle);
        let mut minutes = BTreeMap::new();
        for change in &changes {
            match change.bar {
                Some(bar) => minutes.insert(change.ts, bar),
                None => minutes.remove(&change.ts),
            };
        }
        for step in [Step::M5, Step::M15, Step::H1, Step::H4, Step::D1, Step::W1, Step::Mo1] {
            for (session, align) in [
                (SessionSet::Regular, Align::Session),
                (SessionSet::Regular, Align::Clock),
                (SessionSet::Extended, Align::Clock),
            ] {
                let ask = Ask { session, align, ..Ask::of(step) };
                let found = tell_bits(store.curated(&ask, false));
                let grid = SlotGrid { step, session, align };
                let expected = in_bits(&plain(&minutes, grid, &store));
                prop_assert_eq!(&found, &expected, "{:?}", &ask);
            }
        }
    }
}

#[test]
fn a_store_without_a_calendar_has_bars_of_the_clock() {
    let mut store = Store::without_calendar();
    store.bars(Step::M1, &["2 23:59 1 1 1 1 1 1 1", "3 00:00 2 2 2 2 2 2 2"]);
    let told = store.told(&Ask::of(Step::D1));
    let covered = 1.0 / 1440.0;
    let expected = [
        format!("2 00:00 1 1 1 1 1 1 1 covered {covered}"),
        format!("3 00:00 2 2 2 2 2 2 2 covered {covered}"),
    ];
    assert_eq!(told, expected);
}
