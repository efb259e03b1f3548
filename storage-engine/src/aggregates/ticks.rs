//! Bars from trades and quotes: ticks come in pieces, in order, and are added to the bar that is
//! open.
//!
//! What a tick updates is told in `docs/AGGREGATES.md`. Where all of a piece's ticks update all,
//! the loops are over slices of prices; else ticks are looked at one by one.

use std::borrow::Cow;
use std::ops::Range;

use barrow_types::{ColumnId, PriceSide};

use crate::dataset::{OPEN, VWAP};
use crate::gaps::Intervals;
use crate::rows::{Bitmap, Column, Rows, Values};

use super::bars::{self, CLOSE, HIGH, INHERITED, LOW, VOLUME};
use super::conditions::{Conditions, Reader, Updates};
use super::targets::{Target, Targets, Which};

/// Numbers of the columns of trades that are read: price, size and, if they matter, conditions.
const OF_TRADES: [ColumnId; 3] = [ColumnId::new(1), ColumnId::new(2), ColumnId::new(4)];
/// Numbers of bid and ask among the columns of quotes.
const OF_QUOTES: [ColumnId; 2] = [ColumnId::new(1), ColumnId::new(2)];

/// The columns of ticks that bars of a side are made of.
pub(super) fn columns(side: PriceSide, conditions: &Conditions) -> &'static [ColumnId] {
    match side {
        PriceSide::Trade if conditions.are_all() => &OF_TRADES[..2],
        PriceSide::Trade => &OF_TRADES,
        PriceSide::Bid => &OF_QUOTES[..1],
        PriceSide::Ask => &OF_QUOTES[1..],
        PriceSide::Mid => &OF_QUOTES,
    }
}

/// The bar that is open.
#[derive(Clone, Copy, Default)]
struct Open {
    bucket: usize,
    has_last: bool,
    open: f64,
    close: f64,
    has_range: bool,
    high: f64,
    low: f64,
    volume: f64,
    /// Sum of prices times sizes.
    value: f64,
    trades: i64,
    /// Of the ticks that update anything.
    newest: Option<(u64, i64)>,
    flags: u8,
}

impl Open {
    /// Adds ticks that update all; there is at least one.
    fn add_all(&mut self, prices: &[f64], sizes: Option<&[f64]>) {
        self.add_last(prices[0], prices[prices.len() - 1]);
        self.add_range(bars::greatest(prices), bars::least(prices));
        if let Some(sizes) = sizes {
            for (price, size) in prices.iter().zip(sizes) {
                self.volume += size;
                self.value += price * size;
            }
            self.trades += i64::try_from(prices.len()).expect("invariant: a piece is small");
        }
    }

    fn add_last(&mut self, first: f64, last: f64) {
        if !self.has_last {
            (self.has_last, self.open) = (true, first);
        }
        self.close = last;
    }

    fn add_range(&mut self, high: f64, low: f64) {
        if !self.has_range {
            (self.has_range, self.high, self.low) = (true, high, low);
        }
        self.high = if high > self.high { high } else { self.high };
        self.low = if low < self.low { low } else { self.low };
    }

    fn add_one(&mut self, updates: Updates, price: f64, size: Option<f64>) {
        if updates.has(Updates::LAST) {
            self.add_last(price, price);
        }
        if updates.has(Updates::LAST) || updates.has(Updates::RANGE) {
            self.add_range(price, price);
        }
        if let Some(size) = size.filter(|_| updates.has(Updates::VOLUME)) {
            self.volume += size;
            self.value += price * size;
            self.trades += 1;
        }
    }

    fn add_known(&mut self, rows: &Rows, places: Range<usize>) {
        for at in places {
            let (sequence, known_at) = self.newest.unwrap_or((0, i64::MIN));
            let newest = (sequence.max(rows.sequence[at]), known_at.max(rows.known_at[at]));
            self.newest = Some(newest);
            self.flags |= rows.flags[at] & INHERITED;
        }
    }
}

/// Makes the bars of one candidate from ticks.
pub(super) struct TickFold<'a> {
    targets: Targets,
    /// The first target that later ticks may belong to.
    next: usize,
    side: PriceSide,
    conditions: Reader<'a>,
    updates_all: bool,
    bound: &'a Intervals,
    open: Open,
    bars: Vec<Open>,
    /// Places of buckets that hold a quarantined tick; ascending.
    quarantined: Vec<usize>,
}

/// Prices of ticks, and their sizes if they have any.
struct Prices<'a> {
    values: Cow<'a, [f64]>,
    valid: Option<Bitmap>,
    sizes: Option<&'a [f64]>,
}

impl<'a> Prices<'a> {
    fn of(side: PriceSide, rows: &'a Rows) -> Self {
        let column = |place: usize| &rows.columns[place];
        let values = |place: usize| bars::doubles(column(place));
        match side {
            PriceSide::Trade => {
                Self { values: Cow::Borrowed(values(0)), valid: None, sizes: Some(values(1)) }
            }
            PriceSide::Bid | PriceSide::Ask => Self {
                values: Cow::Borrowed(values(0)),
                valid: column(0).validity.clone(),
                sizes: None,
            },
            PriceSide::Mid => {
                let both = |at| column(0).is_valid(at) && column(1).is_valid(at);
                let middle = values(0).iter().zip(values(1)).map(|(bid, ask)| (bid + ask) / 2.0);
                let is_full = column(0).validity.is_none() && column(1).validity.is_none();
                let valid = (!is_full).then(|| (0..rows.len()).map(both).collect());
                Self { values: middle.collect(), valid, sizes: None }
            }
        }
    }
}

impl<'a> TickFold<'a> {
    pub(super) fn new(
        targets: Targets,
        side: PriceSide,
        conditions: &'a Conditions,
        bound: &'a Intervals,
    ) -> Self {
        Self {
            targets,
            next: 0,
            side,
            updates_all: conditions.are_all() || side != PriceSide::Trade,
            conditions: Reader::new(conditions),
            bound,
            open: Open::default(),
            bars: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    /// The instants at which ticks may belong to a bar.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        let targets = &self.targets.targets;
        Some((targets.first()?.start, targets.last()?.end))
    }

    /// Adds visible ticks, of which some are quarantined, with the [`columns`].
    pub(super) fn add(&mut self, rows: &Rows, quarantined: &[usize]) {
        let prices = Prices::of(self.side, rows);
        let (Some(first), Some(last)) = (rows.ts.first(), rows.ts.last()) else { return };
        let at_once = self.updates_all
            && quarantined.is_empty()
            && prices.valid.is_none()
            && self.bound.cover(*first, last.saturating_add(1));
        let mut at = 0;
        while let Some(target) = self.targets.targets.get(self.next).copied() {
            at += rows.ts[at..].partition_point(|ts| *ts < target.start);
            let end = at + bars::end_of(&rows.ts[at..], target.end, 1);
            if at < end {
                self.turn_to(target.bucket);
                if at_once && target.which == Which::All {
                    let sizes = prices.sizes.map(|sizes| &sizes[at..end]);
                    self.open.add_all(&prices.values[at..end], sizes);
                    self.open.add_known(rows, at..end);
                } else {
                    self.add_each(rows, &prices, quarantined, &target, at..end);
                }
            }
            at = end;
            if at == rows.len() {
                // More may come that belongs here.
                return;
            }
            self.next += 1;
        }
    }

    /// Adds ticks one by one, those that belong to the target.
    fn add_each(
        &mut self,
        rows: &Rows,
        prices: &Prices<'_>,
        quarantined: &[usize],
        target: &Target,
        places: Range<usize>,
    ) {
        for at in places {
            let ts = rows.ts[at];
            let there = prices.valid.as_ref().is_none_or(|bits| bits.get(at));
            if !there || !self.bound.cover(ts, ts.saturating_add(1)) {
                continue;
            }
            let updates = self.updates(rows, at, target.is_outside(ts));
            let belongs = match target.which {
                Which::All => true,
                Which::Opening => updates.has(Updates::OPENING),
                Which::Closing => updates.has(Updates::CLOSING),
            };
            if !belongs || !updates.any() {
                continue;
            }
            if quarantined.binary_search(&at).is_err() {
                self.open.add_one(updates, prices.values[at], prices.sizes.map(|all| all[at]));
                self.open.add_known(rows, at..at + 1);
            } else if self.quarantined.last() != Some(&target.bucket) {
                self.quarantined.push(target.bucket);
            }
        }
    }

    fn updates(&mut self, rows: &Rows, at: usize, outside: bool) -> Updates {
        if self.updates_all {
            return Updates::ALL;
        }
        let column = &rows.columns[OF_TRADES.len() - 1];
        let Values::Text(texts) = &column.values else {
            unreachable!("invariant: conditions are texts")
        };
        self.conditions.updates(texts.get(at), outside)
    }

    /// Makes `bucket` the one that is open.
    fn turn_to(&mut self, bucket: usize) {
        if self.open.bucket != bucket {
            self.close();
            self.open.bucket = bucket;
        }
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        if open.has_last {
            self.bars.push(open);
        }
    }

    /// The bars with the columns `wanted`, and the starts of buckets that have only quarantined
    /// ticks.
    pub(super) fn finish(mut self, wanted: &[ColumnId]) -> (Rows, Vec<i64>) {
        self.close();
        let Self { targets, bars, quarantined, .. } = self;
        let buckets = targets.buckets;
        let has_bar = |bucket: usize| bars.binary_search_by_key(&bucket, |bar| bar.bucket).is_ok();
        let blocked = quarantined.into_iter().filter(|bucket| !has_bar(*bucket));
        let blocked = blocked.map(|bucket| buckets[bucket].start).collect();
        let has_sizes = self.side == PriceSide::Trade;
        let newest = |bar: &Open| bar.newest.expect("invariant: a tick made the bar");
        let rows = Rows {
            ts: bars.iter().map(|bar| buckets[bar.bucket].ts).collect(),
            sequence: bars.iter().map(|bar| newest(bar).0).collect(),
            known_at: bars.iter().map(|bar| newest(bar).1).collect(),
            flags: bars.iter().map(|bar| bar.flags).collect(),
            columns: wanted.iter().map(|&id| column(id, &bars, has_sizes)).collect(),
        };
        (rows, blocked)
    }
}

/// A column of bars.
fn column(id: ColumnId, bars: &[Open], has_sizes: bool) -> Column {
    let prices = |of: fn(&Open) -> f64| Column::new(Values::F64(bars.iter().map(of).collect()));
    let sums =
        |of: fn(&Open) -> f64| bars::optional(bars.iter().map(|bar| has_sizes.then(|| of(bar))));
    match id {
        OPEN => prices(|bar| bar.open),
        HIGH => prices(|bar| bar.high),
        LOW => prices(|bar| bar.low),
        CLOSE => prices(|bar| bar.close),
        VOLUME => sums(|bar| bar.volume),
        VWAP => bars::optional(
            bars.iter().map(|bar| (has_sizes && bar.volume != 0.0).then(|| bar.value / bar.volume)),
        ),
        _ if has_sizes => Column::new(Values::I64(bars.iter().map(|bar| bar.trades).collect())),
        _ => Column::nulls(crate::rows::ColumnType::I64, bars.len()),
    }
}
