//! What real bars and trades take, if the market data lies beside the workspace; says so where it
//! does not.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::tests::{check, check_candle, encoded, slice};
use super::*;

/// The design's estimate for a row of open, high, low, close, volume and time.
const ROW_LEN_MAX: f64 = 6.0;

/// What a trade may take: time, price and size.
const TRADE_LEN_MAX: f64 = 4.0;
/// Rows of an extent.
const EXTENT_ROWS: usize = 65_536;

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

/// The text of a compressed file; `None`, and a line that says so, if it is not there.
fn unzipped(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.exists() {
        writeln!(std::io::stderr(), "skipped: there is no {}", path.display()).unwrap();
        return None;
    }
    let output = Command::new("gzip").arg("-dc").arg(&path).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

fn check_file(name: &str) {
    let Some(text) = unzipped(&format!("minute/{name}")) else { return };
    let symbols = read(&text);
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
    writeln!(std::io::stderr(), "{sizes}").unwrap();
    assert!(total <= ROW_LEN_MAX, "{sizes}");
}

#[test]
fn minutes_of_us_equities_take_no_more_than_the_design_says() {
    check_file("lean_us_equity_1min_trades.csv.gz");
    check_file("ib_aapl_1min_2026-03_2026-04.csv.gz");
}

#[test]
fn trades_of_a_liquid_fund_take_no_more_than_four_bytes() {
    let name = "ticks/lean_spy_trades_2013-10.csv.gz";
    let Some(text) = unzipped(name) else { return };
    let mut ts = Vec::new();
    let [mut price, mut size] = [const { Vec::new() }; 2];
    for line in text.lines().skip(1) {
        let mut fields = line.split(',').skip(1);
        let time = fields.next().unwrap();
        let millis: i64 = time[20..].parse().unwrap();
        ts.push(nanos(time) + millis * 1_000_000);
        price.push(fields.next().unwrap().parse().unwrap());
        size.push(fields.next().unwrap().parse().unwrap());
    }
    let rows = ts.len();
    let lens = [Values::I64(ts), Values::F64(price), Values::F64(size)].map(|values| {
        let column = Column::new(values);
        let starts = (0..rows).step_by(EXTENT_ROWS);
        let parts = starts.map(|start| start..rows.min(start + EXTENT_ROWS));
        let lens = parts.map(|part| {
            let part = slice(&column, part);
            check(&part, &[]);
            encoded(&part).len()
        });
        lens.sum::<usize>() as f64 / rows as f64
    });
    let sizes = format!("{name}: {rows} rows, ts, price and size {lens:.2?} bytes a row");
    writeln!(std::io::stderr(), "{sizes}").unwrap();
    assert!(lens.iter().sum::<f64>() <= TRADE_LEN_MAX, "{sizes}");
}
