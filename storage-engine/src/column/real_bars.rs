//! What real bars take, if the market data lies beside the workspace; says so where it does not.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::tests::{check, check_candle, encoded};
use super::*;

/// The design's estimate for a row of open, high, low, close, volume and time.
const ROW_LEN_MAX: f64 = 6.0;

/// The bars of one symbol: time, then open, high, low, close, volume.
#[derive(Default)]
struct Bars {
    rows: Vec<(i64, [f64; 5])>,
}

impl Bars {
    fn column(&self, at: usize) -> Column {
        Column::new(Values::F64(self.rows.iter().map(|row| row.1[at]).collect()))
    }
}

/// `2013-10-04T04:06:00…` as nanoseconds, with its zone, if it has one, left out.
fn nanos(text: &str) -> i64 {
    let part = |range| text.get(range).and_then(|part: &str| part.parse::<i64>().ok());
    let part = |range| part(range).unwrap_or_else(|| panic!("{text:?} is not a time"));
    let days = barrow_types::days_from_civil(part(0..4), part(5..7), part(8..10));
    let minutes = days * 1440 + part(11..13) * 60 + part(14..16);
    (minutes * 60 + part(17..19)) * 1_000_000_000
}

/// The bars of each symbol in a file of (symbol,) time, open, high, low, close, volume.
fn read(text: &str) -> BTreeMap<String, Bars> {
    let mut lines = text.lines();
    let has_symbol = lines.next().is_some_and(|header| header.starts_with("symbol,"));
    let mut symbols = BTreeMap::<String, Bars>::new();
    for line in lines {
        let mut fields = line.split(',');
        let symbol = if has_symbol { fields.next().unwrap() } else { "" };
        let ts = nanos(fields.next().unwrap());
        let values = [(); 5].map(|()| fields.next().unwrap().parse().unwrap());
        symbols.entry(symbol.to_owned()).or_default().rows.push((ts, values));
    }
    for bars in symbols.values_mut() {
        bars.rows.sort_by_key(|row| row.0);
    }
    symbols
}

fn check_file(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/minute").join(name);
    let mut stderr = std::io::stderr();
    if !path.exists() {
        writeln!(stderr, "skipped: there is no {}", path.display()).unwrap();
        return;
    }
    let output = Command::new("gzip").arg("-dc").arg(&path).output().unwrap();
    let symbols = read(std::str::from_utf8(&output.stdout).unwrap());
    let [mut row_count, mut ts_len, mut prices_len, mut volume_len] = [0; 4];
    for bars in symbols.values() {
        let prices = [0, 1, 2, 3].map(|at| bars.column(at));
        let volume = bars.column(4);
        let ts = Column::new(Values::I64(bars.rows.iter().map(|row| row.0).collect()));
        check(&ts, &[]);
        check(&volume, &[]);
        check_candle(prices.each_ref(), &[]);
        let mut chunk = Vec::new();
        encode_candle(prices.each_ref(), &mut chunk);
        row_count += bars.rows.len();
        ts_len += encoded(&ts).len();
        prices_len += chunk.len();
        volume_len += encoded(&volume).len();
    }
    assert!(row_count > 0, "{name} has rows");
    let a_row = |len: usize| len as f64 / row_count as f64;
    let total = a_row(ts_len + prices_len + volume_len);
    let sizes = format!(
        "{name}: {total:.2} bytes a row: ts {:.2}, prices {:.2}, volume {:.2}",
        a_row(ts_len),
        a_row(prices_len),
        a_row(volume_len),
    );
    writeln!(stderr, "{sizes}").unwrap();
    assert!(total <= ROW_LEN_MAX, "{sizes}");
}

#[test]
fn minutes_of_us_equities_take_no_more_than_the_design_says() {
    check_file("lean_us_equity_1min_trades.csv.gz");
    check_file("ib_aapl_1min_2026-03_2026-04.csv.gz");
}
