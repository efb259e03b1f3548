//! Quality rules over the visible rows of one series; of trades and quotes those of one row.
//!
//! | rule | fires on a row |
//! |---|---|
//! | `ohlc_order` | unless low <= open, close <= high and low <= high |
//! | `price_positive` | one of whose four prices is 0 or less |
//! | `size_nonneg` | whose volume is below 0 |
//! | `stale_price` | that is the last of `n` rows in a row with one close and a volume above 0, of one session or of dated bars |

use super::facts::Action;
use crate::model::{Offered, Stored, Table, Value};

/// The rules that are modelled.
pub const RULES: [&str; 4] = ["ohlc_order", "price_positive", "size_nonneg", "stale_price"];

/// The rules about rows that are not: they must be off.
pub const OTHERS: [&str; 9] = [
    "vwap_in_range",
    "tick_size",
    "zero_volume_bar",
    "volume_spike",
    "spike",
    "off_session",
    "split_suspect",
    "adj_continuity",
    "unit_error",
];

/// How many equal closes in a row are stale, if nobody says it.
const STALE_ROWS: i64 = 30;

/// What a rule does, if nobody says it. All are on.
pub fn action_by_default(rule: &str) -> Action {
    if rule == "stale_price" { Action::Flag } else { Action::Reject }
}

/// Whether `rule` fires on row `at` of a series; `session` tells rows of one session from others,
/// and is none for dated bars.
pub fn fires(
    rule: &str,
    thresholds: &[(String, i64)],
    rows: &[&Stored],
    at: usize,
    session: &dyn Fn(&Stored) -> Option<i64>,
) -> bool {
    if rule != "stale_price" {
        return fires_on(rule, Table::Bars, &rows[at].values);
    }
    let wanted = thresholds.iter().find(|(name, _)| name == "n");
    let wanted = wanted.map_or(STALE_ROWS, |(_, value)| *value);
    let of_run = |row: &Stored| (prices(&row.values)[3], session(row));
    let until_here = rows[..=at].iter().rev();
    let equal = until_here.take_while(|other| {
        volume(&other.values).is_some_and(|volume| volume > 0.0)
            && of_run(other) == of_run(rows[at])
    });
    i64::try_from(equal.count()).is_ok_and(|equal| equal >= wanted)
}

/// Whether a rule about rows by themselves fires on one of a table with these values.
pub fn fires_on(rule: &str, table: Table, values: &[Value]) -> bool {
    let any = |places: &[usize], is_wrong: &dyn Fn(f64) -> bool| {
        places.iter().filter_map(|place| number(&values[*place])).any(is_wrong)
    };
    match (rule, table) {
        ("ohlc_order", Table::Bars) => {
            let [open, high, low, close] = prices(values);
            !(low <= open && low <= close && high >= open && high >= close && low <= high)
        }
        ("price_positive", Table::Bars) => any(&[0, 1, 2, 3], &|price| price <= 0.0),
        ("price_positive", Table::Trades) => any(&[0], &|price| price <= 0.0),
        ("price_positive", Table::Quotes) => any(&[0, 1], &|price| price <= 0.0),
        ("size_nonneg", Table::Bars) => any(&[4], &|size| size < 0.0),
        ("size_nonneg", Table::Trades) => any(&[1], &|size| size < 0.0),
        ("size_nonneg", Table::Quotes) => any(&[2, 3], &|size| size < 0.0),
        ("ohlc_order", Table::Trades | Table::Quotes) => false,
        (other, _) => panic!("rule {other} is not modelled: keep it off"),
    }
}

/// The first of some rules that fires on a row by itself.
pub fn turns_away(rejecting: &[&'static str], table: Table, row: &Offered) -> Option<&'static str> {
    rejecting.iter().copied().find(|rule| fires_on(rule, table, &row.values))
}

fn volume(values: &[Value]) -> Option<f64> {
    number(&values[4])
}

/// The value, if it is there.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::F64(bits) => Some(f64::from_bits(*bits)),
        _ => None,
    }
}

/// Open, high, low, close.
pub fn prices(values: &[Value]) -> [f64; 4] {
    [0, 1, 2, 3]
        .map(|at: usize| number(&values[at]).expect("invariant: a stored price is a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prices: [f64; 4], volume: Option<f64>) -> Stored {
        let mut values: Vec<Value> = prices.iter().map(|p| Value::F64(p.to_bits())).collect();
        values.push(volume.map_or(Value::Null, |volume| Value::F64(volume.to_bits())));
        values.extend([Value::Null, Value::Null]);
        let (ts, known_at, sequence, place) = (0, 0, 1, 0);
        let (retract, stated, assumed, corrected) = (false, false, false, false);
        Stored { ts, known_at, sequence, place, retract, stated, assumed, corrected, values }
    }

    /// The rules that fire on a row that stands alone.
    fn fired(prices: [f64; 4], volume: Option<f64>) -> Vec<&'static str> {
        let row = row(prices, volume);
        let fires = |rule: &&str| fires(rule, &[], &[&row], 0, &|_| None);
        RULES.into_iter().filter(fires).collect()
    }

    #[test]
    fn each_rule_of_one_row_fires_on_its_defect_only() {
        assert_eq!(fired([10.0, 11.0, 9.0, 10.5], Some(100.0)), [""; 0]);
        assert_eq!(fired([10.0, 10.0, 10.0, 10.0], None), [""; 0]);
        assert_eq!(fired([10.0, 9.5, 9.0, 9.0], Some(1.0)), ["ohlc_order"]);
        assert_eq!(fired([10.0, 11.0, 10.5, 10.75], Some(1.0)), ["ohlc_order"]);
        assert_eq!(fired([10.0, 11.0, 9.0, 8.0], Some(1.0)), ["ohlc_order"]);
        assert_eq!(fired([10.0, 11.0, 0.0, 10.0], Some(1.0)), ["price_positive"]);
        assert_eq!(fired([10.0, 11.0, -0.0, 10.0], Some(0.0)), ["price_positive"]);
        assert_eq!(fired([10.0, 11.0, 9.0, 10.5], Some(-1.0)), ["size_nonneg"]);
        assert_eq!(fired([1.0, 1.0, 2.0, -1.0], Some(-1.0)).len(), 3);
    }

    #[test]
    fn the_third_of_three_equal_closes_is_stale_and_so_is_the_fourth() {
        let prices = [5.0, 7.0, 7.0, 7.0, 7.0, 8.0];
        let stale = |volumes: [f64; 6], sessions: [i64; 6]| {
            let rows = [0, 1, 2, 3, 4, 5].map(|at| {
                let row = row([prices[at]; 4], Some(volumes[at]));
                Stored { ts: sessions[at], ..row }
            });
            let rows: Vec<&Stored> = rows.iter().collect();
            let thresholds = [("n".to_owned(), 3)];
            let session = |row: &Stored| Some(row.ts);
            let is_stale = |at: &usize| fires("stale_price", &thresholds, &rows, *at, &session);
            (0..rows.len()).filter(is_stale).collect::<Vec<_>>()
        };
        assert_eq!(stale([1.0; 6], [1; 6]), [3, 4]);
        assert_eq!(stale([1.0, 0.0, 1.0, 1.0, 1.0, 1.0], [1; 6]), [4]);
        assert_eq!(stale([1.0; 6], [1, 1, 2, 2, 2, 2]), [4]);
        assert_eq!(stale([1.0; 6], [1, 1, 1, 2, 2, 2]), [0; 0]);
    }
}
