//! From the hash of a key to its number: a table in memory, made anew at every opening.

/// A place holds the upper half of a hash and a number plus one; 0 is a free place.
#[derive(Default)]
pub(super) struct Index {
    places: Vec<u64>,
    count: usize,
}

/// The shortest table.
const PLACES_MIN: usize = 256;

impl Index {
    /// Adds a number, which is not there yet.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if self.count * 2 >= self.places.len() {
            self.grow();
        }
        self.put(hash >> 32 << 32 | (u64::from(number) + 1));
        self.count += 1;
    }

    /// The number under `hash` of which `is_it` holds.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        self.probe(hash)
            .map(|at| self.places[at])
            .take_while(|&place| place != 0)
            .filter(|place| place >> 32 == hash >> 32)
            .filter_map(|place| u32::try_from((place & u64::from(u32::MAX)) - 1).ok())
            .find(|&number| is_it(number))
    }

    fn grow(&mut self) {
        let len = (self.places.len() * 2).max(PLACES_MIN);
        let old = std::mem::replace(&mut self.places, vec![0; len]);
        old.into_iter().filter(|&place| place != 0).for_each(|place| self.put(place));
    }

    fn put(&mut self, place: u64) {
        let free = self.probe(place).find(|&at| self.places[at] == 0);
        self.places[free.expect("invariant: half of the places are free")] = place;
    }

    /// The places where what has this hash may be, in order: by its upper half, which stays.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let len = self.places.len();
        let first = usize::try_from(hash >> 32).expect("invariant: 32 bits") & (len - 1);
        (first..len).chain(0..first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_found_under_its_hash_and_no_other() {
        // Few hashes, so that many keys share one, and hashes that meet at the table's end.
        let hash = |number: u32| u64::from(number % 97) << 33 | 5 | 0xFFFF_FF00_0000_0000;
        let mut index = Index::default();
        assert_eq!(index.find(hash(0), |_| true), None);
        for number in 0..1_000 {
            index.insert(hash(number), number);
        }
        for number in 0..1_000 {
            assert_eq!(index.find(hash(number), |found| found == number), Some(number));
        }
        assert_eq!(index.find(hash(0), |found| found == 1), None);
        assert_eq!(index.find(hash(98), |_| false), None);
    }
}
