//! One bar of several, or of trades and quotes.

use std::collections::BTreeSet;

use barrow_types::Step;

use super::conditions::Updates;
use super::rules::number;
use crate::model::{Stored, Table, Value};

/// A bar, delivered or made.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) ts: i64,
    /// Open, high, low, close, volume, vwap, trades.
    pub(super) values: Vec<Value>,
    pub(super) known_at: i64,
    pub(super) sequence: u64,
    pub(super) corrected: bool,
    pub(super) is_flagged: bool,
    /// The share of its finer slots that are known.
    pub(super) coverage: f64,
    /// The steps of the stored rows in it, ticks included, if it was made.
    pub(super) made_of: BTreeSet<Step>,
}

/// A tick, what it updates and its price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    pub(super) row: &'a Stored,
    pub(super) updates: Updates,
    pub(super) price: f64,
}

/// A bar as it was delivered.
pub(super) fn delivered(row: &Stored, is_flagged: bool) -> Bar {
    Bar {
        ts: row.ts,
        values: row.values.clone(),
        known_at: row.known_at,
        sequence: row.sequence,
        corrected: row.corrected,
        is_flagged,
        coverage: 1.0,
        made_of: BTreeSet::new(),
    }
}

fn double(value: f64) -> Value {
    Value::F64(value.to_bits())
}

/// The sum of what is there, in order; nothing if nothing is.
fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

fn high(prices: impl Iterator<Item = f64>) -> Option<f64> {
    prices.reduce(f64::max)
}

fn low(prices: impl Iterator<Item = f64>) -> Option<f64> {
    prices.reduce(f64::min)
}

/// The bar of some bars of one step, in order; there is at least one. It still has no `ts`.
pub(super) fn fold_bars(bars: &[Box<Bar>], step: Step) -> Bar {
    let of = |place: usize| bars.iter().filter_map(move |bar| number(&bar.values[place]));
    let traded = || bars.iter().filter(|bar| number(&bar.values[4]).is_some_and(|v| v > 0.0));
    let volume = |bar: &Bar| number(&bar.values[4]).unwrap_or_default();
    let paid = |bar: &Bar| Some(number(&bar.values[5])? * volume(bar));
    // None as soon as one that traded has no average price.
    let all_paid: Option<Vec<f64>> = traded().map(|bar| paid(bar)).collect();
    let paid = all_paid.and_then(|paid| sum(paid.into_iter()));
    let vwap = paid.zip(sum(traded().map(|bar| volume(bar)))).map(|(paid, volume)| paid / volume);
    let trades = bars.iter().filter_map(|bar| match bar.values[6] {
        Value::I64(trades) => Some(trades),
        _ => None,
    });
    let trades = trades.fold(None, |sum, trades| Some(sum.unwrap_or(0) + trades));
    let (first, last) = (&bars[0], &bars[bars.len() - 1]);
    let price = |price: Option<f64>| double(price.expect("invariant: a bar has prices"));
    let values = vec![
        first.values[0].clone(),
        price(high(of(1))),
        price(low(of(2))),
        last.values[3].clone(),
        sum(of(4)).map_or(Value::Null, double),
        vwap.map_or(Value::Null, double),
        trades.map_or(Value::Null, Value::I64),
    ];
    let steps = |bar: &Bar| match &bar.made_of {
        steps if steps.is_empty() => BTreeSet::from([step]),
        steps => steps.clone(),
    };
    Bar {
        ts: 0,
        values,
        known_at: bars.iter().map(|bar| bar.known_at).max().unwrap_or_default(),
        sequence: bars.iter().map(|bar| bar.sequence).max().unwrap_or_default(),
        corrected: bars.iter().any(|bar| bar.corrected),
        is_flagged: false,
        coverage: 1.0,
        made_of: bars.iter().flat_map(|bar| steps(bar)).collect(),
    }
}

/// The bar of some trades or quotes, in order, if one of them updates open and close. It still has
/// no `ts`.
pub(super) fn fold_ticks(ticks: &[Counted], table: Table) -> Option<Bar> {
    let last = || ticks.iter().filter(|tick| tick.updates.last).map(|tick| tick.price);
    let range = ticks.iter().filter(|tick| tick.updates.last || tick.updates.range);
    let range = || range.clone().map(|tick| tick.price);
    let (open, close) = (last().next()?, last().next_back()?);
    let mut values = vec![double(open)];
    values.extend([high(range()), low(range()), Some(close)].into_iter().flatten().map(double));
    if table == Table::Trades {
        let size = |tick: &&Counted| number(&tick.row.values[1]).unwrap_or_default();
        let counted: Vec<&Counted> = ticks.iter().filter(|tick| tick.updates.volume).collect();
        let volume = sum(counted.iter().map(size)).unwrap_or_default();
        let paid = sum(counted.iter().map(|tick| tick.price * size(tick))).unwrap_or_default();
        let vwap = if volume == 0.0 { Value::Null } else { double(paid / volume) };
        let trades = i64::try_from(counted.len()).expect("invariant: there are few trades");
        values.extend([double(volume), vwap, Value::I64(trades)]);
    } else {
        values.extend([Value::Null, Value::Null, Value::Null]);
    }
    Some(Bar {
        ts: 0,
        values,
        known_at: ticks.iter().map(|tick| tick.row.known_at).max().unwrap_or_default(),
        sequence: ticks.iter().map(|tick| tick.row.sequence).max().unwrap_or_default(),
        corrected: ticks.iter().any(|tick| tick.row.corrected),
        is_flagged: false,
        coverage: 1.0,
        made_of: BTreeSet::from([Step::Tick]),
    })
}
