//! What rules see of rows: columns as plain numbers, NaN where a row has none.

use std::borrow::Cow;

use barrow_types::{ColumnId, DatasetId, Step};

use crate::dataset;
use crate::rows::{Column, Values};

use super::places::Place;

/// Rows of one series in order of `ts`, or of a batch. Columns that no rule asked for are empty.
pub(super) struct View<'a> {
    pub(super) step: Step,
    pub(super) ts: &'a [i64],
    /// Of bars open, high, low, close; of trades the price; of quotes bid and ask.
    pub(super) prices: Vec<Cow<'a, [f64]>>,
    /// Of bars the volume; of trades the size; of quotes the sizes of bid and ask.
    pub(super) sizes: Vec<Cow<'a, [f64]>>,
    pub(super) vwap: Cow<'a, [f64]>,
    /// Where the rows lie in the calendar, if a rule asked for it.
    pub(super) places: &'a [Place],
}

/// Columns of prices, of sizes, and of average prices, by name.
const fn names(dataset: DatasetId) -> [&'static [&'static str]; 3] {
    match dataset {
        DatasetId::BARS => [&["open", "high", "low", "close"], &["volume"], &["vwap"]],
        DatasetId::TRADES => [&["price"], &["size"], &[]],
        _ => [&["bid", "ask"], &["bid_size", "ask_size"], &[]],
    }
}

impl<'a> View<'a> {
    /// Of rows with the columns `ids`, of which rules look at some.
    pub(super) fn new(
        dataset: DatasetId,
        step: Step,
        ts: &'a [i64],
        ids: &[ColumnId],
        columns: &'a [Column],
        places: &'a [Place],
    ) -> Self {
        let schema = dataset::schema(dataset).expect("invariant: market data has schemas");
        let numbers = |names: &[&str]| -> Vec<Cow<'a, [f64]>> {
            let of_name = |name: &&str| {
                let id = schema.column(name).expect("invariant: the schema has it").id;
                let place = ids.iter().position(|own| *own == id);
                place.map_or(Cow::Borrowed(&[][..]), |place| plain(&columns[place]))
            };
            names.iter().map(of_name).collect()
        };
        let [prices, sizes, vwap] = names(dataset).map(numbers);
        let vwap = vwap.into_iter().next().unwrap_or_default();
        Self { step, ts, prices, sizes, vwap, places }
    }

    /// Of bars.
    pub(super) fn open(&self) -> &[f64] {
        &self.prices[0]
    }

    /// Of bars.
    pub(super) fn close(&self) -> &[f64] {
        &self.prices[3]
    }

    /// Of bars.
    pub(super) fn volume(&self) -> &[f64] {
        &self.sizes[0]
    }
}

/// The columns of a dataset that rules look at.
pub(super) fn columns(dataset: DatasetId, is_wanted: impl Fn(&str) -> bool) -> Vec<ColumnId> {
    let schema = dataset::schema(dataset).expect("invariant: market data has schemas");
    let names = names(dataset).into_iter().flatten();
    let wanted = names.filter(|name| is_wanted(name));
    wanted.map(|name| schema.column(name).expect("invariant: the schema has it").id).collect()
}

/// A column as numbers; stored ones are finite, so NaN can stand for none.
fn plain(column: &Column) -> Cow<'_, [f64]> {
    let Values::F64(values) = &column.values else {
        unreachable!("invariant: rules look at columns of doubles")
    };
    match &column.validity {
        None => Cow::Borrowed(values),
        Some(bits) => {
            let value = |(at, value): (usize, &f64)| if bits.get(at) { *value } else { f64::NAN };
            Cow::Owned(values.iter().enumerate().map(value).collect())
        }
    }
}
