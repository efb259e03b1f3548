//! Numbers that look random and are the same everywhere.

/// SplitMix64, by Guy Steele, Doug Lea and Christine Flood, "Fast Splittable Pseudorandom Number
/// Generators" (2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each `stream` of one `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of `first ..= last`. Not exactly uniform; nobody here needs it to be.
    pub(crate) fn between(&mut self, first: i64, last: i64) -> i64 {
        let count = last.abs_diff(first).saturating_add(1);
        first.saturating_add_unsigned(self.next() % count)
    }

    /// Whether a thing happens that happens `percent` times in a hundred.
    pub(crate) fn happens(&mut self, percent: i64) -> bool {
        self.between(0, 99) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_published_generator() {
        // Seed 0 of SplitMix64 as other implementations print it; ours drops the first.
        let mut random = Random::new(0, 0);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(random.next(), 0x06C4_5D18_8009_454F);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::new(1, 2);
        assert!((0..1_000).all(|_| (-3..=3).contains(&random.between(-3, 3))));
        assert_eq!(random.between(5, 5), 5);
        assert!((0..100).all(|_| !random.happens(0) && random.happens(100)));
    }
}
