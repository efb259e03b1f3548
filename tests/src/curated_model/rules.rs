//! Quality rules over the visible rows of one series.
//!
//! | rule | fires on a row |
//! |---|---|
//! | `ohlc_order` | unless low <= open, close <= high and low <= high |
//! | `price_positive` | one of whose four prices is 0 or less |
//! | `zero_volume` | whose volume is there and is 0 |
//! | `stale_price` | that is the last of `n` rows in a row with one close (`n` is 30 by default) |

use crate::model::{Stored, Value};

/// The rules that are modelled.
pub const RULES: [&str; 4] = ["ohlc_order", "price_positive", "zero_volume", "stale_price"];

/// How many equal closes in a row are stale, if nobody says it.
const STALE_ROWS: i64 = 30;

/// Whether `rule` fires on row `at` of a series.
pub fn fires(rule: &str, thresholds: &[(String, i64)], rows: &[&Stored], at: usize) -> bool {
    let row = rows[at];
    match rule {
        "ohlc_order" => {
            let [open, high, low, close] = prices(row);
            !(low <= open && low <= close && high >= open && high >= close && low <= high)
        }
        "price_positive" => prices(row).iter().any(|price| *price <= 0.0),
        "zero_volume" => matches!(row.values[4], Value::F64(bits) if f64::from_bits(bits) == 0.0),
        "stale_price" => {
            let wanted = thresholds.iter().find(|(name, _)| name == "n");
            let wanted = wanted.map_or(STALE_ROWS, |(_, value)| *value);
            let close = |row: &Stored| prices(row)[3];
            let until_here = rows[..=at].iter().rev();
            let equal = until_here.take_while(|other| close(other) == close(row)).count();
            i64::try_from(equal).is_ok_and(|equal| equal >= wanted)
        }
        other => panic!("rule {other} is not modelled: keep it off"),
    }
}

/// Open, high, low, close.
fn prices(row: &Stored) -> [f64; 4] {
    [0, 1, 2, 3].map(|at: usize| match row.values[at] {
        Value::F64(bits) => f64::from_bits(bits),
        ref other => panic!("invariant: a stored price is a number, not {other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prices: [f64; 4], volume: Option<f64>) -> Stored {
        let mut values: Vec<Value> = prices.iter().map(|p| Value::F64(p.to_bits())).collect();
        values.push(volume.map_or(Value::Null, |volume| Value::F64(volume.to_bits())));
        values.extend([Value::Null, Value::Null]);
        let (ts, known_at, sequence, place) = (0, 0, 1, 0);
        let (retract, stated, assumed) = (false, false, false);
        Stored { ts, known_at, sequence, place, retract, stated, assumed, values }
    }

    /// The rules that fire on a row that stands alone.
    fn fired(prices: [f64; 4], volume: Option<f64>) -> Vec<&'static str> {
        let row = row(prices, volume);
        RULES.into_iter().filter(|rule| fires(rule, &[], &[&row], 0)).collect()
    }

    #[test]
    fn each_rule_of_one_row_fires_on_its_defect_only() {
        assert_eq!(fired([10.0, 11.0, 9.0, 10.5], Some(100.0)), [""; 0]);
        assert_eq!(fired([10.0, 10.0, 10.0, 10.0], None), [""; 0]);
        assert_eq!(fired([10.0, 9.5, 9.0, 9.0], Some(1.0)), ["ohlc_order"]);
        assert_eq!(fired([10.0, 11.0, 10.5, 10.75], Some(1.0)), ["ohlc_order"]);
        assert_eq!(fired([10.0, 11.0, 9.0, 8.0], Some(1.0)), ["ohlc_order"]);
        assert_eq!(fired([10.0, 11.0, 0.0, 10.0], Some(1.0)), ["price_positive"]);
        assert_eq!(fired([10.0, 11.0, -0.0, 10.0], Some(1.0)), ["price_positive"]);
        assert_eq!(fired([10.0, 11.0, 9.0, 10.5], Some(0.0)), ["zero_volume"]);
        assert_eq!(fired([1.0, 1.0, 2.0, -1.0], Some(0.0)).len(), 3);
    }

    #[test]
    fn the_third_of_three_equal_closes_is_stale_and_so_is_the_fourth() {
        let rows = [5.0, 7.0, 7.0, 7.0, 7.0, 8.0].map(|price| row([price; 4], None));
        let rows: Vec<&Stored> = rows.iter().collect();
        let thresholds = [("n".to_owned(), 3)];
        let stale = |at: &usize| fires("stale_price", &thresholds, &rows, *at);
        assert_eq!((0..rows.len()).filter(stale).collect::<Vec<_>>(), [3, 4]);
    }
}
