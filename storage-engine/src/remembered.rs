//! What was made before and may be asked for again: as much as there is room for. Those go first
//! whose last use is the longest ago.

use std::collections::BTreeMap;

/// See the module.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    by_key: BTreeMap<K, Held<V>>,
    /// Bytes that all take, as whoever added them said.
    bytes: usize,
    /// How many times one was used.
    uses: u64,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    bytes: usize,
    /// Which use was its last.
    used: u64,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), bytes: 0, uses: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> Remembered<K, V> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes that all take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is kept for a key, which is a use of it.
    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let held = self.by_key.get_mut(key)?;
        self.uses += 1;
        held.used = self.uses;
        Some(held.value.clone())
    }

    /// What is kept for a key, without using it.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.by_key.get(key).map(|held| &held.value)
    }

    /// The last one whose key is not greater than this, without using it.
    pub(crate) fn last_up_to(&self, key: &K) -> Option<(&K, &V)> {
        self.by_key.range(..=key).next_back().map(|(key, held)| (key, &held.value))
    }

    /// Keeps a value that takes so many bytes, in place of an older one; then lets others go, if
    /// all take more than `bytes_max`, until they take half of it. Returns how many went.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize, bytes_max: usize) -> u64 {
        self.uses += 1;
        self.bytes += bytes;
        let held = Held { value, bytes, used: self.uses };
        if let Some(old) = self.by_key.insert(key, held) {
            self.bytes -= old.bytes;
        }
        if self.bytes > bytes_max { self.shrink(bytes_max / 2) } else { 0 }
    }

    fn shrink(&mut self, bytes_max: usize) -> u64 {
        let by_use = self.by_key.iter().map(|(key, held)| (held.used, key.clone()));
        let mut by_use: Vec<(u64, K)> = by_use.collect();
        by_use.sort_unstable();
        let mut gone = 0;
        for (_, key) in by_use {
            if self.bytes <= bytes_max {
                break;
            }
            if let Some(old) = self.by_key.remove(&key) {
                self.bytes -= old.bytes;
                gone += 1;
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_go_whose_last_use_is_the_longest_ago() {
        let mut all = Remembered::default();
        for key in 0..4 {
            assert_eq!(all.insert(key, key * 10, 25, 100), 0);
        }
        assert_eq!(all.get(&0), Some(0));
        assert_eq!(all.insert(4, 40, 25, 100), 3, "to the half, the oldest uses first");
        assert_eq!((all.len(), all.bytes()), (2, 50));
        assert_eq!(
            [0, 1, 2, 3, 4].map(|key| all.peek(&key).is_some()),
            [true, false, false, false, true]
        );
    }

    #[test]
    fn a_value_in_place_of_another_takes_only_its_own_bytes() {
        let mut all = Remembered::default();
        all.insert("a", 1, 60, 100);
        assert_eq!(all.insert("a", 2, 70, 100), 0);
        assert_eq!((all.get(&"a"), all.bytes()), (Some(2), 70));
    }

    #[test]
    fn the_last_one_up_to_a_key_is_found() {
        let mut all = Remembered::default();
        for key in [3, 5, 9] {
            all.insert(key, (), 1, 100);
        }
        let found = [2, 3, 8, 9, 10].map(|key| all.last_up_to(&key).map(|(key, ())| *key));
        assert_eq!(found, [None, Some(3), Some(5), Some(9), Some(9)]);
    }
}
