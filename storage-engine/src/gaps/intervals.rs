//! Sets of instants as sorted, disjoint intervals.

/// See the module. Intervals are half-open, `[start, end)`, and no two of them touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<(i64, i64)>);

impl FromIterator<(i64, i64)> for Intervals {
    /// The union of intervals, in any order; empty ones count for nothing.
    fn from_iter<I: IntoIterator<Item = (i64, i64)>>(intervals: I) -> Self {
        let mut all: Vec<_> = intervals.into_iter().filter(|(start, end)| start < end).collect();
        all.sort_unstable();
        let mut union: Vec<(i64, i64)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match union.last_mut() {
                Some(last) if last.1 >= start => last.1 = last.1.max(end),
                _ => union.push((start, end)),
            }
        }
        Self(union)
    }
}

impl Intervals {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The intervals, in order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }

    /// Whether all of `[start, end)` lies in the set; true of an empty range.
    pub fn cover(&self, start: i64, end: i64) -> bool {
        start >= end || self.until(start).is_some_and(|until| until >= end)
    }

    /// Whether some of `[start, end)` lies in the set; false of an empty range.
    pub fn touch(&self, start: i64, end: i64) -> bool {
        start < end && {
            let next = self.0.partition_point(|interval| interval.1 <= start);
            self.0.get(next).is_some_and(|interval| interval.0 < end)
        }
    }

    /// The end of the interval that holds `at`.
    fn until(&self, at: i64) -> Option<i64> {
        let next = self.0.partition_point(|interval| interval.1 <= at);
        self.0.get(next).filter(|interval| interval.0 <= at).map(|interval| interval.1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0_i64..40, 0_i64..12), 0..12)
            .prop_map(|all| all.into_iter().map(|(start, len)| (start, start + len)).collect())
    }

    proptest! {
        #[test]
        fn a_union_holds_the_instants_of_its_parts_and_no_others(
            parts in ranges(), start in 0_i64..50, len in 0_i64..15,
        ) {
            let union: Intervals = parts.iter().copied().collect();
            let held = |at: i64| parts.iter().any(|part| (part.0..part.1).contains(&at));
            let mut range = start..start + len;
            prop_assert_eq!(union.cover(start, start + len), range.clone().all(held));
            prop_assert_eq!(union.touch(start, start + len), range.any(held));
            prop_assert!(union.iter().zip(union.iter().skip(1)).all(|(a, b)| a.1 < b.0));
        }
    }
}
