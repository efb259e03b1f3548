//! Since when a cell is known: the greatest of what the rows of its lookback say.

use std::collections::VecDeque;

/// The greatest of the last values, as many as it looks back.
#[derive(Clone)]
pub(super) struct Greatest<T> {
    /// How many values before the newest count too; `None`: all.
    lookback: Option<u64>,
    /// Place and value of those that may become the greatest, falling.
    kept: VecDeque<(u64, T)>,
    next: u64,
}

impl<T: Copy + Ord> Greatest<T> {
    pub(super) fn new(lookback: Option<u64>) -> Self {
        Self { lookback, kept: VecDeque::new(), next: 0 }
    }

    /// Takes the next value in and tells the greatest.
    pub(super) fn push(&mut self, value: T) -> T {
        let place = self.next;
        self.next += 1;
        if self.kept.front().is_some_and(|(_, greatest)| *greatest <= value) {
            self.kept.clear();
            self.kept.push_back((place, value));
            return value;
        }
        while self.kept.back().is_some_and(|(_, last)| *last <= value) {
            self.kept.pop_back();
        }
        self.kept.push_back((place, value));
        if let Some(lookback) = self.lookback {
            while self.kept.front().is_some_and(|(first, _)| first + lookback < place) {
                self.kept.pop_front();
            }
        }
        self.kept.front().map_or(value, |(_, greatest)| *greatest)
    }
}

/// What each cell says of the rows of its lookback.
#[derive(Clone)]
pub(super) struct Clocks {
    known_at: Greatest<i64>,
    sequence: Greatest<u64>,
    provisional: Greatest<bool>,
}

impl Clocks {
    pub(super) fn new(lookback: Option<u64>) -> Self {
        Self {
            known_at: Greatest::new(lookback),
            sequence: Greatest::new(lookback),
            provisional: Greatest::new(lookback),
        }
    }

    /// Takes in what the next slot's row says; since when its cells are known, which record was the
    /// last, and whether they may change.
    pub(super) fn push(
        &mut self,
        (known_at, sequence, provisional): (i64, u64, bool),
    ) -> (i64, u64, bool) {
        (
            self.known_at.push(known_at),
            self.sequence.push(sequence),
            self.provisional.push(provisional),
        )
    }

    /// Bytes behind pointers, about.
    pub(super) fn byte_len(&self) -> usize {
        let Self { known_at, sequence, provisional } = self;
        16 * (known_at.kept.len() + sequence.kept.len() + provisional.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_of_the_last_values_is_told() {
        let values = [3, 1, 2, 2, 0, 5, 4, 4, 1, 0];
        for lookback in [None, Some(0), Some(1), Some(3), Some(20)] {
            let mut greatest = Greatest::new(lookback);
            for (place, value) in values.into_iter().enumerate() {
                let first =
                    lookback.map_or(0, |back| place.saturating_sub(usize::try_from(back).unwrap()));
                let plain = values[first..=place].iter().max().copied();
                assert_eq!(Some(greatest.push(value)), plain, "{lookback:?} {place}");
            }
        }
    }
}
