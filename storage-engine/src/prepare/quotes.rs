//! Quotes as they are stored: a side that is absent is null, however it was written.
//!
//! Sources write a missing side as an empty cell or as a price of 0; its size means nothing then.

use crate::rows::{Bitmap, Column, Values};

/// Places of the price and the size of each side in the columns of quotes.
const SIDES: [(usize, usize); 2] = [(0, 2), (1, 3)];

/// The columns of quotes, with null for the price and the size of every side that is absent;
/// `None` if they are so already.
pub(super) fn with_sides_absent(columns: &[Column]) -> Option<Vec<Column>> {
    let mut changed: Option<Vec<Column>> = None;
    for (price_at, size_at) in SIDES {
        let (price, size) = (&columns[price_at], &columns[size_at]);
        let Values::F64(prices) = &price.values else {
            unreachable!("invariant: prices are doubles")
        };
        let there = |at: usize| price.is_valid(at) && prices[at] != 0.0;
        let keeps = |at: usize| there(at) || !price.is_valid(at) && !size.is_valid(at);
        if (0..prices.len()).all(keeps) {
            continue;
        }
        let there: Vec<bool> = (0..prices.len()).map(there).collect();
        let changed = changed.get_or_insert_with(|| columns.to_vec());
        for place in [price_at, size_at] {
            let column = &mut changed[place];
            let valid = (0..there.len()).map(|at| there[at] && column.is_valid(at));
            let validity: Bitmap = valid.collect();
            column.validity = Some(validity);
        }
    }
    changed
}

/// Whether a quote has a price on any side.
pub(super) fn has_side(columns: &[Column], at: usize) -> bool {
    SIDES.iter().any(|&(price, _)| columns[price].is_valid(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ColumnType;

    #[test]
    fn a_price_of_zero_or_none_takes_its_size_with_it() {
        let doubles = |values: [f64; 4]| Column::new(Values::F64(values.to_vec()));
        let mut ask = doubles([2.0, 2.0, -0.0, 3.0]);
        ask.validity = Some([true, false, true, true].into_iter().collect());
        let columns =
            [doubles([1.0, 0.0, 1.0, 1.0]), ask, doubles([5.0; 4]), doubles([6.0, 6.0, 6.0, 0.0])];
        let stored = with_sides_absent(&columns).unwrap();
        let valid =
            |place: usize| -> Vec<bool> { (0..4).map(|at| stored[place].is_valid(at)).collect() };
        assert_eq!(valid(0), [true, false, true, true]);
        assert_eq!(valid(1), [true, false, false, true]);
        assert_eq!(valid(2), valid(0));
        assert_eq!(valid(3), valid(1), "a size of 0 is a size");
        assert_eq!([0, 1, 2, 3].map(|at| has_side(&stored, at)), [true, false, true, true]);
        let full = [1.0; 4].map(|price| doubles([price; 4]));
        assert!(with_sides_absent(&full).is_none());
        assert!(with_sides_absent(&stored).is_none(), "once is enough");
        let none = [0, 1, 2, 3].map(|_| Column::nulls(ColumnType::F64, 1));
        assert!(!has_side(&none, 0));
    }
}
