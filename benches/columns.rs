//! How many bytes does a value of each column take, and how many nanoseconds to write and to read?
//!
//! Generated bars of `--symbols N` symbols over 50 sessions, an extent a symbol, and trades of as
//! many. Reading decodes a month (8,192 rows) at a time, as a range of one symbol does, so that
//! the figure is the decoder's and not that of fresh memory; the best of five passes counts.

use std::hint::black_box;
use std::ops::Range;

use barrow_benches::data::{self, Bars, MINUTES, Order};
use barrow_benches::{arguments, figure};
use barrow_engine::column;
use barrow_engine::rows::{Column, ColumnType, Texts, Values};

const SESSIONS: u32 = 50;
/// Rows decoded at a time.
const MONTH: usize = 8_192;

/// One way to read an extent.
type Read<'a> = Box<dyn Fn(&Extent, Range<usize>) + 'a>;

/// The columns of one symbol and their chunks.
struct Extent {
    ts: Vec<i64>,
    columns: Vec<Column>,
    chunks: Vec<Vec<u8>>,
}

impl Extent {
    fn rows(&self) -> usize {
        self.ts.len()
    }
}

fn doubles(values: &[f64]) -> Column {
    Column::new(Values::F64(values.to_vec()))
}

fn bars_of(bars: &Bars, rows: Range<usize>) -> Extent {
    let venues: Texts = rows.clone().map(|row| ["N", "P", "Q", "T"][row * 7 % 11 % 4]).collect();
    let prices = [&bars.open, &bars.high, &bars.low, &bars.close, &bars.volume, &bars.vwap];
    let mut columns: Vec<Column> = prices.iter().map(|all| doubles(&all[rows.clone()])).collect();
    columns.push(Column::new(Values::I64(bars.trades[rows.clone()].to_vec())));
    columns.push(Column::new(Values::Text(venues)));
    Extent { ts: bars.ts[rows].to_vec(), columns, chunks: Vec::new() }
}

/// Writes one column of all extents; prints bytes and nanoseconds a value.
fn write(extents: &mut [Extent], name: &str, encode: impl Fn(&Extent, &mut Vec<u8>)) {
    let rows: usize = extents.iter().map(Extent::rows).sum();
    let mut best = f64::MAX;
    let mut bytes = 0;
    for pass in 0..3 {
        let mut chunks = vec![Vec::new(); extents.len()];
        let (took, ()) = figure::seconds(|| {
            for (extent, chunk) in extents.iter().zip(&mut chunks) {
                encode(extent, chunk);
            }
        });
        best = best.min(took);
        if pass == 0 {
            bytes = chunks.iter().map(Vec::len).sum();
            for (extent, chunk) in extents.iter_mut().zip(chunks) {
                extent.chunks.push(chunk);
            }
        }
    }
    figure::one(&format!("{name}, size"), "bytes/row", bytes as f64 / rows as f64);
    figure::one(&format!("{name}, write"), "ns/row", best * 1e9 / rows as f64);
}

fn read(extents: &[Extent], name: &str, read: &Read<'_>) {
    let rows: usize = extents.iter().map(Extent::rows).sum();
    let pass = || {
        for extent in extents {
            for start in (0..extent.rows()).step_by(MONTH) {
                read(extent, start..extent.rows().min(start + MONTH));
            }
        }
    };
    let best = (0..5).map(|_| figure::seconds(pass).0).fold(f64::MAX, f64::min);
    figure::one(&format!("{name}, read"), "ns/row", best * 1e9 / rows as f64);
}

fn decode(chunk: usize, kind: ColumnType) -> Read<'static> {
    Box::new(move |extent, range| {
        let column = column::decode(&extent.chunks[chunk], kind, extent.rows(), range);
        black_box(column.expect("our own bytes"));
    })
}

fn candle(wanted: [bool; 4]) -> Read<'static> {
    Box::new(move |extent, range| {
        let prices = column::decode_candle(&extent.chunks[1], extent.rows(), range, wanted);
        black_box(prices.expect("our own bytes"));
    })
}

fn main() {
    let Some(symbols) = arguments::optional("--symbols") else { return };
    let mut extents = Vec::new();
    data::bars(symbols, SESSIONS, Order::Symbol, |piece| {
        let rows = SESSIONS as usize * MINUTES;
        for start in (0..piece.len()).step_by(rows) {
            extents.push(bars_of(piece, start..start + rows));
        }
    });
    write(&mut extents, "ts", |extent, out| column::encode_i64(&extent.ts, out));
    write(&mut extents, "open, high, low, close", |extent, out| {
        let [open, high, low, close, ..] = extent.columns.as_slice() else { unreachable!() };
        column::encode_candle([open, high, low, close], out);
    });
    for (at, name) in [(4, "volume"), (5, "vwap alone"), (6, "trades"), (7, "text of 4 kinds")] {
        write(&mut extents, name, |extent, out| column::encode(&extent.columns[at], out));
    }
    write(&mut extents, "vwap beside high and low", |extent, out| {
        column::encode_beside(&extent.columns[5], &extent.columns[1], &extent.columns[2], out);
    });
    read(&extents, "ts", &decode(0, ColumnType::I64));
    read(&extents, "open, high, low, close", &candle([true; 4]));
    read(&extents, "high, low", &candle([false, true, true, false]));
    read(&extents, "close", &candle([false, false, false, true]));
    read(&extents, "volume", &decode(2, ColumnType::F64));
    read(&extents, "vwap alone", &decode(3, ColumnType::F64));
    read(&extents, "trades", &decode(4, ColumnType::I64));
    read(&extents, "text of 4 kinds", &decode(5, ColumnType::Text));
    let beside: Read<'_> = Box::new(|extent, range| {
        let both = [false, true, true, false];
        let prices = column::decode_candle(&extent.chunks[1], extent.rows(), range.clone(), both);
        let [_, Some(high), Some(low), _] = prices.expect("our own bytes") else { unreachable!() };
        let chunk = &extent.chunks[6];
        let average = column::decode_beside(chunk, extent.rows(), range, &high, &low);
        black_box(average.expect("our own bytes"));
    });
    read(&extents, "high, low and vwap beside them", &beside);
    let locate: Read<'_> = Box::new(|extent, range| {
        let ts = extent.ts[range.end - 1];
        let row = column::locate_i64(&extent.chunks[0], extent.rows(), ts).expect("our own bytes");
        assert_eq!(row, range.end - 1);
    });
    let per_row = extents.len() as f64 * (SESSIONS as usize * MINUTES).div_ceil(MONTH) as f64;
    let (took, ()) = figure::seconds(|| {
        for extent in &extents {
            for start in (0..extent.rows()).step_by(MONTH) {
                locate(extent, start..extent.rows().min(start + MONTH));
            }
        }
    });
    figure::one("the row of a time", "ns", took * 1e9 / per_row);
}
