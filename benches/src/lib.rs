//! What benches share: minute bars of some symbols, from a fixed seed.

use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_types::{DatasetId, PriceSide, Step};

/// Nanoseconds of a minute.
pub const MINUTE: i64 = 60_000_000_000;

/// 2013-10-07T13:30:00Z, a session's open.
pub const OPEN: i64 = 1_381_152_600_000_000_000;

/// A batch of `minutes` bars of each of `symbols` symbols from `first` on, symbol by symbol.
///
/// Prices are a random walk in cents around 100, volume is a multiple of 100 below 100,000; vwap
/// and trades are left out.
pub fn bars(id: String, symbols: u32, first: i64, minutes: usize) -> Batch {
    let rows = symbols as usize * minutes;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |bound: u64| {
        // xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators".
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        random.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    };
    let mut cents = |bound: u64| i32::try_from(next(bound)).expect("small");
    let mut prices: [Vec<f64>; 4] = Default::default();
    let mut volume = Vec::with_capacity(rows);
    let mut close = 10_000;
    for _ in 0..rows {
        let open = close + cents(5) - 2;
        close = open + cents(21) - 10;
        let bar = [open, open.max(close) + cents(6), open.min(close) - cents(6), close];
        for (column, price) in prices.iter_mut().zip(bar) {
            column.push(f64::from(price) / 100.0);
        }
        volume.push(f64::from(cents(1_000) * 100));
    }
    let minutes = i64::try_from(minutes).expect("few");
    let ts = (0..symbols).flat_map(|_| (0..minutes).map(|minute| first + minute * MINUTE));
    let [open, high, low, close] = prices.map(|prices| Column::new(Values::F64(prices)));
    let of_symbol = |symbol| (0..minutes).map(move |_| symbol);
    Batch {
        id,
        dataset: DatasetId::BARS,
        source: "bench".to_owned(),
        step: Step::M1,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        act: Act::Insert,
        symbols: Symbols {
            names: (0..symbols).map(|symbol| format!("S{symbol:04}")).collect(),
            of_row: (0..symbols).flat_map(of_symbol).collect(),
        },
        ts: Column::new(Values::I64(ts.collect())),
        known_at: None,
        columns: vec![
            open,
            high,
            low,
            close,
            Column::new(Values::F64(volume)),
            Column::nulls(ColumnType::F64, rows),
            Column::nulls(ColumnType::I64, rows),
        ],
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}
