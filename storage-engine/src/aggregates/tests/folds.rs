//! The folds by themselves, against loops written out plainly.

use barrow_types::{ColumnId, PriceSide};
use proptest::prelude::*;

use super::super::bars::{Bucket, Fine, fold, needed};
use super::super::conditions::Conditions;
use super::super::targets::{Target, Targets, Which};
use super::super::ticks::{TickFold, columns};
use super::store::{doubles, integers, texts};
use crate::gaps::Intervals;
use crate::rows::{Column, Rows, Values, flags};

/// A column as bits.
fn bits(column: &Column) -> Vec<Option<u64>> {
    let bits = |at: usize| match &column.values {
        _ if !column.is_valid(at) => None,
        Values::F64(values) => Some(values[at].to_bits()),
        Values::I64(values) => Some(values[at].cast_unsigned()),
        Values::Text(_) => panic!("bars have no texts"),
    };
    (0..column.len()).map(bits).collect()
}

#[derive(Clone, Debug)]
struct Minute {
    start: i64,
    prices: [f64; 4],
    volume: Option<f64>,
    vwap: Option<f64>,
    trades: Option<i64>,
    known: (u64, i64),
    flags: u8,
}

fn minutes() -> impl Strategy<Value = Vec<Minute>> {
    let price = || (1_u32..400).prop_map(|cents| f64::from(cents) / 7.0);
    let one = (
        1_i64..4,
        [price(), price(), price(), price()],
        prop::option::weighted(0.8, (0_u32..50).prop_map(|it| f64::from(it) / 3.0)),
        prop::option::weighted(0.9, price()),
        prop::option::of(0_i64..9),
        (1_u64..9, 0_i64..9),
        0_u8..16,
    );
    prop::collection::vec(one, 0..60).prop_map(|all| {
        let mut start = 0;
        let minute = |(step, prices, volume, vwap, trades, known, flags)| {
            start += step;
            Minute { start, prices, volume, vwap, trades, known, flags }
        };
        all.into_iter().map(minute).collect()
    })
}

fn fine(minutes: &[Minute], wanted: &[ColumnId]) -> Fine {
    let column = |id: &ColumnId| match id.get() {
        place @ 1..=4 => {
            doubles(minutes.iter().map(|minute| Some(minute.prices[usize::from(place) - 1])))
        }
        5 => doubles(minutes.iter().map(|minute| minute.volume)),
        6 => doubles(minutes.iter().map(|minute| minute.vwap)),
        _ => integers(minutes.iter().map(|minute| minute.trades)),
    };
    let rows = Rows {
        ts: minutes.iter().map(|minute| minute.start).collect(),
        sequence: minutes.iter().map(|minute| minute.known.0).collect(),
        known_at: minutes.iter().map(|minute| minute.known.1).collect(),
        flags: minutes.iter().map(|minute| minute.flags).collect(),
        columns: needed(wanted).iter().map(column).collect(),
    };
    Fine { begins: None, rows }
}

/// Column `id` of the bar of some minutes.
fn plain(id: u16, of: &[&Minute]) -> Option<u64> {
    let price = |at: usize| of.iter().map(move |minute| minute.prices[at]);
    match id {
        1 => price(0).next().map(f64::to_bits),
        2 => price(1).reduce(f64::max).map(f64::to_bits),
        3 => price(2).reduce(f64::min).map(f64::to_bits),
        4 => price(3).next_back().map(f64::to_bits),
        5 => of.iter().filter_map(|minute| minute.volume).reduce(|a, b| a + b).map(f64::to_bits),
        6 => {
            let (mut value, mut volume) = (0.0, 0.0);
            for minute in of {
                if let Some(own) = minute.volume.filter(|volume| *volume > 0.0) {
                    value += minute.vwap? * own;
                    volume += own;
                }
            }
            (volume > 0.0).then(|| (value / volume).to_bits())
        }
        _ => {
            let trades = of.iter().filter_map(|minute| minute.trades);
            trades.reduce(|a, b| a + b).map(i64::cast_unsigned)
        }
    }
}

fn buckets() -> impl Strategy<Value = Vec<Bucket>> {
    prop::collection::vec((0_i64..5, 1_i64..25), 0..12).prop_map(|all| {
        let mut at = 0;
        let bucket = |(apart, len)| {
            let start = at + apart;
            at = start + len;
            Bucket { ts: start * 1_000, start, end: at }
        };
        all.into_iter().map(bucket).collect()
    })
}

#[derive(Clone, Debug)]
struct Tick {
    ts: i64,
    price: Option<f64>,
    other: Option<f64>,
    size: f64,
    conditions: &'static str,
    is_quarantined: bool,
    known: (u64, i64),
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let price = || (1_u32..400).prop_map(|cents| f64::from(cents) / 7.0);
    let texts = prop::sample::select(vec!["", "@", "I", "M", "4", "9", "O", "6", "T", "6I"]);
    let one = (
        0_i64..3,
        prop::option::weighted(0.8, price()),
        prop::option::weighted(0.8, price()),
        price(),
        texts,
        prop::bool::weighted(0.05),
        (1_u64..9, 0_i64..9),
    );
    prop::collection::vec(one, 0..120).prop_map(|all| {
        let mut ts = 0;
        let tick = |(step, price, other, size, conditions, is_quarantined, known)| {
            ts += step;
            Tick { ts, price, other, size, conditions, is_quarantined, known }
        };
        all.into_iter().map(tick).collect()
    })
}

/// Buckets of which some begin with an opening auction, or end with a closing one.
fn targets(buckets: Vec<Bucket>) -> Targets {
    let mut targets = Vec::new();
    let mut free = 0;
    for (place, bucket) in buckets.iter().enumerate() {
        let regular = Some((bucket.start, bucket.end));
        let mut add = |start: i64, end: i64, which| {
            if start < end {
                targets.push(Target { start, end, bucket: place, which, regular });
            }
        };
        let next = buckets.get(place + 1).map_or(bucket.end + 9, |next| next.start);
        let middle = bucket.end + (next - bucket.end) / 2;
        add(free, bucket.start, Which::Opening);
        let pause = bucket.start + (bucket.end - bucket.start) / 2;
        add(bucket.start, pause, Which::All);
        add(pause + 1, bucket.end, Which::All);
        add(bucket.end, middle, Which::Closing);
        free = middle;
    }
    Targets { buckets, targets }
}

fn rows_of(ticks: &[Tick], side: PriceSide, conditions: &Conditions) -> Rows {
    let price = |tick: &Tick| match side {
        // A trade always has a price.
        PriceSide::Trade => Some(tick.price.unwrap_or(1.0)),
        _ => tick.price,
    };
    let column = |id: &ColumnId| match (side, id.get()) {
        (_, 1) => doubles(ticks.iter().map(price)),
        (PriceSide::Trade, 2) => doubles(ticks.iter().map(|tick| Some(tick.size))),
        (_, 2) => doubles(ticks.iter().map(|tick| tick.other)),
        _ => texts(ticks.iter().map(|tick| tick.conditions)),
    };
    Rows {
        ts: ticks.iter().map(|tick| tick.ts).collect(),
        sequence: ticks.iter().map(|tick| tick.known.0).collect(),
        known_at: ticks.iter().map(|tick| tick.known.1).collect(),
        flags: vec![flags::CORRECTED; ticks.len()],
        columns: columns(side, conditions).iter().map(column).collect(),
    }
}

/// A bar of ticks: open, high, low, close, volume, value, trades, newest record and time.
type Plain = (f64, f64, f64, f64, f64, f64, i64, u64, i64);

fn plain_bar(
    bucket: usize,
    targets: &Targets,
    ticks: &[Tick],
    (side, conditions): (PriceSide, &Conditions),
) -> Option<Plain> {
    let (mut last, mut range, mut known) = (Vec::new(), Vec::new(), Vec::new());
    let (mut volume, mut value, mut trades) = (0.0, 0.0, 0);
    for target in targets.targets.iter().filter(|target| target.bucket == bucket) {
        for tick in ticks.iter().filter(|tick| (target.start..target.end).contains(&tick.ts)) {
            let price = match side {
                PriceSide::Trade => Some(tick.price.unwrap_or(1.0)),
                PriceSide::Bid => tick.price,
                PriceSide::Ask => tick.other,
                PriceSide::Mid => tick.price.zip(tick.other).map(|(bid, ask)| (bid + ask) / 2.0),
            };
            let (Some(price), false) = (price, tick.is_quarantined) else { continue };
            let text = tick.conditions;
            let [sets_last, sets_range, adds] = match text {
                _ if side != PriceSide::Trade || conditions.are_all() => [true; 3],
                "" | "@" | "O" | "6" => [true; 3],
                "T" => [target.is_outside(tick.ts), target.is_outside(tick.ts), true],
                "I" | "6I" => [false, false, true],
                "4" => [false, true, true],
                "9" => [true, true, false],
                "M" => [false; 3],
                other => panic!("no such text: {other}"),
            };
            let is_code = |code| !conditions.are_all() && text.starts_with(code);
            let belongs = match target.which {
                Which::All => true,
                Which::Opening => side == PriceSide::Trade && is_code('O'),
                Which::Closing => side == PriceSide::Trade && is_code('6'),
            };
            if !belongs || !(sets_last || sets_range || adds) {
                continue;
            }
            known.push(tick.known);
            last.extend(sets_last.then_some(price));
            range.extend((sets_last || sets_range).then_some(price));
            if adds && side == PriceSide::Trade {
                volume += tick.size;
                value += price * tick.size;
                trades += 1;
            }
        }
    }
    let (open, close) = (*last.first()?, *last.last()?);
    let high = range.iter().copied().reduce(f64::max)?;
    let low = range.iter().copied().reduce(f64::min)?;
    let sequence = known.iter().map(|known| known.0).max()?;
    let known_at = known.iter().map(|known| known.1).max()?;
    Some((open, high, low, close, volume, value, trades, sequence, known_at))
}

proptest! {
    #[test]
    fn bars_of_minutes_are_what_a_plain_loop_makes_of_them(
        minutes in minutes(),
        buckets in buckets(),
        wanted in prop::sample::subsequence((1..=7).collect::<Vec<u16>>(), 0..=7).prop_shuffle(),
    ) {
        let wanted: Vec<ColumnId> = wanted.into_iter().map(ColumnId::new).collect();
        let folded = fold(&fine(&minutes, &wanted), &buckets, &wanted);
        let of = |bucket: &Bucket| -> Vec<&Minute> {
            let inside = |minute: &&Minute| (bucket.start..bucket.end).contains(&minute.start);
            minutes.iter().filter(inside).collect()
        };
        let expected: Vec<(&Bucket, Vec<&Minute>)> =
            buckets.iter().map(|it| (it, of(it))).filter(|it| !it.1.is_empty()).collect();
        let rows = &folded.rows;
        prop_assert_eq!(rows.ts.clone(), expected.iter().map(|it| it.0.ts).collect::<Vec<_>>());
        for (id, column) in wanted.iter().zip(&rows.columns) {
            let plain: Vec<_> = expected.iter().map(|(_, of)| plain(id.get(), of)).collect();
            prop_assert_eq!(bits(column), plain, "column {}", id.get());
        }
        for (at, (_, of)) in expected.iter().enumerate() {
            prop_assert_eq!(rows.sequence[at], of.iter().map(|it| it.known.0).max().unwrap());
            prop_assert_eq!(rows.known_at[at], of.iter().map(|it| it.known.1).max().unwrap());
            let all = of.iter().fold(0, |all, it| all | it.flags);
            prop_assert_eq!(rows.flags[at], all & (flags::CORRECTED | flags::ASSUMED));
        }
    }

    /// However the ticks are cut into pieces.
    #[test]
    fn bars_of_ticks_are_what_a_plain_loop_makes_of_them(
        all in ticks(),
        buckets in buckets(),
        cuts in prop::collection::vec(0_usize..120, 0..5),
        side in prop::sample::select(&PriceSide::ALL),
        with_conditions in any::<bool>(),
        unbound in prop::option::of(0_i64..60),
    ) {
        let conditions = if with_conditions { "us" } else { "all" };
        let conditions = Conditions::parse(conditions).unwrap();
        let targets = || targets(buckets.clone());
        let bound: Intervals = match unbound {
            Some(at) => [(i64::MIN, at), (at + 5, i64::MAX)].into_iter().collect(),
            None => [(i64::MIN, i64::MAX)].into_iter().collect(),
        };
        let mut fold = TickFold::new(targets(), side, &conditions, &bound);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        for cut in cuts.windows(2) {
            let piece = &all[cut[0]..cut[1]];
            let quarantined: Vec<usize> =
                (0..piece.len()).filter(|at| piece[*at].is_quarantined).collect();
            fold.add(&rows_of(piece, side, &conditions), &quarantined);
        }
        let wanted: Vec<ColumnId> = (1..=7).map(ColumnId::new).collect();
        let (rows, _) = fold.finish(&wanted);
        let is_bound = |tick: &&Tick| bound.cover(tick.ts, tick.ts + 1);
        let seen: Vec<Tick> = all.iter().filter(is_bound).cloned().collect();
        let expected: Vec<(Bucket, Plain)> = (0..buckets.len())
            .filter_map(|at| {
                let bar = plain_bar(at, &targets(), &seen, (side, &conditions))?;
                Some((buckets[at], bar))
            })
            .collect();
        prop_assert_eq!(rows.ts.clone(), expected.iter().map(|it| it.0.ts).collect::<Vec<_>>());
        let has_sizes = side == PriceSide::Trade;
        for (at, (_, bar)) in expected.into_iter().enumerate() {
            let (open, high, low, close, volume, value, trades, sequence, known_at) = bar;
            let some = |value: f64| Some(value.to_bits());
            let average = (has_sizes && volume != 0.0).then(|| (value / volume).to_bits());
            let plain = [
                some(open),
                some(high),
                some(low),
                some(close),
                some(volume).filter(|_| has_sizes),
                average,
                has_sizes.then(|| trades.cast_unsigned()),
            ];
            let found: Vec<_> = rows.columns.iter().map(|column| bits(column)[at]).collect();
            prop_assert_eq!(found, plain);
            prop_assert_eq!((rows.sequence[at], rows.known_at[at]), (sequence, known_at));
            prop_assert_eq!(rows.flags[at], flags::CORRECTED);
        }
    }
}
