//! Bars of the sample market as Arrow, in the columns that the server takes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
use arrow::record_batch::RecordBatch;

use super::market::{Bar, SYMBOLS};

/// The rows as one record batch.
pub(crate) fn record_batch(bars: &[Bar]) -> RecordBatch {
    let times = |time: fn(&Bar) -> i64| -> ArrayRef {
        let times: Vec<i64> = bars.iter().map(time).collect();
        Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"))
    };
    // Whole numbers below 2^53 divided once: the double nearest to the decimal number.
    let decimals = |number: fn(&Bar) -> i64, unit: f64| -> ArrayRef {
        let values = bars.iter().map(|bar| number(bar) as f64 / unit);
        Arc::new(Float64Array::from_iter_values(values))
    };
    let symbols: StringArray = bars.iter().map(|bar| Some(SYMBOLS[bar.symbol])).collect();
    let trades: Int64Array = bars.iter().map(|bar| Some(bar.trades)).collect();
    let columns: [(&str, ArrayRef); 10] = [
        ("symbol", Arc::new(symbols)),
        ("ts", times(|bar| bar.ts)),
        ("open", decimals(|bar| bar.open, 100.0)),
        ("high", decimals(|bar| bar.high, 100.0)),
        ("low", decimals(|bar| bar.low, 100.0)),
        ("close", decimals(|bar| bar.close, 100.0)),
        ("volume", decimals(|bar| bar.volume, 1.0)),
        ("vwap", decimals(|bar| bar.vwap, 10_000.0)),
        ("trades", Arc::new(trades)),
        ("known_at", times(|bar| bar.known_at)),
    ];
    RecordBatch::try_from_iter(columns).expect("invariant: all columns are of one length")
}
