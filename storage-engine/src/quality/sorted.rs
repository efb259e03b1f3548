//! The values of a sliding window, kept in order, so that medians cost no sorting.

/// See the module. Finite numbers, ascending.
#[derive(Default)]
pub(super) struct Sorted(Vec<f64>);

impl Sorted {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, value: f64) -> usize {
        self.0.partition_point(|other| *other < value)
    }

    /// Takes `new` in and lets `old` go, either of which may be NaN for none.
    pub(super) fn slide(&mut self, old: f64, new: f64) {
        match (old.is_nan(), new.is_nan()) {
            (true, true) => {}
            (true, false) => {
                let at = self.place(new);
                self.0.insert(at, new);
            }
            (false, true) => {
                let at = self.place(old);
                self.0.remove(at);
            }
            (false, false) => {
                let (from, to) = (self.place(old), self.place(new));
                if to > from {
                    self.0.copy_within(from + 1..to, from);
                    self.0[to - 1] = new;
                } else {
                    self.0.copy_within(to..from, to + 1);
                    self.0[to] = new;
                }
            }
        }
    }

    /// The middle value, or the mean of the middle two; NaN if there is none.
    pub(super) fn median(&self) -> f64 {
        median_of_sorted(&self.0)
    }

    /// The median of the distances from the median; NaN if there is none.
    pub(super) fn deviation(&self) -> f64 {
        let len = self.0.len();
        if len == 0 {
            return f64::NAN;
        }
        let median = self.median();
        let upper = self.nearest(median, len / 2 + 1);
        if len % 2 == 1 { upper } else { (self.nearest(median, len / 2) + upper) / 2.0 }
    }

    /// The distance from `centre` of the value that has `count - 1` nearer ones. The `count`
    /// nearest values stand side by side.
    fn nearest(&self, centre: f64, count: usize) -> f64 {
        let values = &self.0;
        let (mut low, mut high) = (0, values.len() - count);
        while low < high {
            let middle = low + (high - low) / 2;
            if centre - values[middle] > values[middle + count] - centre {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (centre - values[low]).abs().max((values[low + count - 1] - centre).abs())
    }

    /// Whether it is plain that the median of the distances from the median is `distance` or more:
    /// then a quarter of the values lies as far below it, and a quarter above.
    pub(super) fn deviates_by(&self, distance: f64) -> bool {
        let values = &self.0;
        if values.len() < 4 {
            return false;
        }
        let (median, quarter) = (self.median(), values.len() / 4);
        let last = values.len() - 1;
        median - values[quarter] >= distance && values[last - quarter] - median >= distance
    }
}

/// The middle of ascending values, or the mean of the middle two; NaN if there is none.
pub(super) fn median_of_sorted(values: &[f64]) -> f64 {
    let len = values.len();
    match len {
        0 => f64::NAN,
        _ if len % 2 == 1 => values[len / 2],
        _ => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_median(values: &[f64]) -> f64 {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let len = values.len();
        match len {
            0 => f64::NAN,
            _ if len % 2 == 1 => values[len / 2],
            _ => (values[len / 2 - 1] + values[len / 2]) / 2.0,
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            2 => Just(f64::NAN),
            6 => (-4_i32..5).prop_map(f64::from),
            6 => -1.0_f64..1.0,
        ]
    }

    proptest! {
        #[test]
        fn a_slid_window_has_the_medians_of_its_values(
            values in prop::collection::vec(value(), 1..80), width in 1_usize..12,
        ) {
            let mut window = Sorted::with_capacity(width);
            for (at, &new) in values.iter().enumerate() {
                let old = at.checked_sub(width).map_or(f64::NAN, |old| values[old]);
                window.slide(old, new);
                let start = (at + 1).saturating_sub(width);
                let there = values[start..=at].iter().copied().filter(|value| !value.is_nan());
                let there: Vec<f64> = there.collect();
                let median = plain_median(&there);
                let distances: Vec<f64> = there.iter().map(|x| (x - median).abs()).collect();
                let deviation = plain_median(&distances);
                prop_assert_eq!(window.len(), there.len());
                prop_assert!(there.is_empty() == window.median().is_nan());
                prop_assert!(there.is_empty() || window.median() == median);
                prop_assert!(there.is_empty() || window.deviation() == deviation);
                for part in [0.5, 0.999, 1.0, 1.001, 2.0] {
                    prop_assert!(!window.deviates_by(deviation * part) || part <= 1.0
                        || deviation == 0.0);
                }
            }
        }
    }
}
