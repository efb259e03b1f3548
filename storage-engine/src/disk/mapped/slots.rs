//! Which addresses are maps of ours: a table that a signal handler can read at any instant.
//!
//! Maps are entered and removed under a lock; the handler takes none. Each slot is a sequence lock:
//! its version is odd while it holds a map and rises with every change, so a lookup that met a
//! change half done sees another version afterwards and passes the slot over. That never hides the
//! map that is being asked for: whoever reads in a map keeps it alive, and its slot with it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use parking_lot::Mutex;

/// A map, or room for one.
#[derive(Debug)]
struct Slot {
    /// Odd while the slot holds a map.
    version: AtomicU64,
    base: AtomicUsize,
    len: AtomicUsize,
    /// Whether a page of the map could not be read.
    poisoned: AtomicBool,
}

/// The table. Of fixed size, because a signal handler cannot follow one that grows.
#[derive(Debug)]
pub(super) struct Slots<const COUNT: usize> {
    slots: [Slot; COUNT],
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Free {
    /// Slots from here on were never used.
    fresh: usize,
    given_back: Vec<usize>,
}

impl<const COUNT: usize> Slots<COUNT> {
    pub(super) const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; COUNT],
            free: Mutex::new(Free { fresh: 0, given_back: Vec::new() }),
        }
    }

    /// Enters a map, sound as yet; `None` if the table is full.
    pub(super) fn enter(&self, addresses: Range<usize>) -> Option<usize> {
        let mut free = self.free.lock();
        let place = match free.given_back.pop() {
            Some(place) => place,
            None if free.fresh < COUNT => {
                free.fresh += 1;
                free.fresh - 1
            }
            None => return None,
        };
        let slot = &self.slots[place];
        // Pairs with the fence in `holds`: who sees what is stored below sees the version that
        // `remove` left, too, and passes the slot over.
        fence(Ordering::Release);
        slot.base.store(addresses.start, Ordering::Relaxed);
        slot.len.store(addresses.len(), Ordering::Relaxed);
        slot.poisoned.store(false, Ordering::Relaxed);
        // Pairs with the load in `holds`: who sees the odd version sees all of the above.
        slot.version.fetch_add(1, Ordering::Release);
        Some(place)
    }

    /// Removes a map: before its addresses are given back to the system, so that a fault in
    /// whatever comes to lie there is not taken for one of ours.
    pub(super) fn remove(&self, place: usize) {
        let mut free = self.free.lock();
        // Its partner is the fence in `enter`, by way of the lock.
        self.slots[place].version.fetch_add(1, Ordering::Relaxed);
        free.given_back.push(place);
    }

    /// Poisons the map in which `address` lies; `false` if it lies in none. Takes no lock and
    /// allocates nothing: a signal handler may call it.
    pub(super) fn poison_at(&self, address: usize) -> bool {
        let slot = self.slots.iter().find(|slot| slot.holds(address));
        if let Some(slot) = slot {
            // Pairs with the fence in `is_poisoned`, by way of the page that the handler puts in
            // place afterwards: who reads its zeros sees this.
            slot.poisoned.store(true, Ordering::Release);
        }
        slot.is_some()
    }

    /// Whether something in the map could not be read before this call.
    pub(super) fn is_poisoned(&self, place: usize) -> bool {
        // Nothing that was read from the map may be read later than the flag.
        fence(Ordering::Acquire);
        self.slots[place].poisoned.load(Ordering::Relaxed)
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            base: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            poisoned: AtomicBool::new(false),
        }
    }

    fn holds(&self, address: usize) -> bool {
        // Pairs with the last store of `enter`.
        let version = self.version.load(Ordering::Acquire);
        if version.is_multiple_of(2) {
            return false;
        }
        let base = self.base.load(Ordering::Relaxed);
        let len = self.len.load(Ordering::Relaxed);
        // Pairs with the fence in `enter`.
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version && address.wrapping_sub(base) < len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_maps_that_are_entered_are_found() {
        let slots = Slots::<4>::new();
        let first = slots.enter(1_000..2_000).unwrap();
        let second = slots.enter(5_000..5_001).unwrap();
        assert_ne!(first, second);
        for (address, is_ours) in
            [(999, false), (2_000, false), (0, false), (4_999, false), (5_001, false)]
        {
            assert_eq!(slots.poison_at(address), is_ours, "{address}");
        }
        assert!(!slots.is_poisoned(first) && !slots.is_poisoned(second));
        assert!(slots.poison_at(1_999));
        assert!(slots.is_poisoned(first) && !slots.is_poisoned(second));
        slots.remove(second);
        assert!(!slots.poison_at(5_000), "it was removed");
    }

    #[test]
    fn a_full_table_takes_no_more_until_one_is_removed_and_a_slot_used_again_is_sound() {
        let slots = Slots::<2>::new();
        let first = slots.enter(0..10).unwrap();
        slots.enter(10..20).unwrap();
        assert_eq!(slots.enter(20..30), None);
        assert!(slots.poison_at(5));
        slots.remove(first);
        let again = slots.enter(20..30).unwrap();
        assert_eq!(again, first);
        assert!(!slots.is_poisoned(again));
        assert!(!slots.poison_at(5) && slots.poison_at(25));
    }

    /// Maps whose base says how long they are: a base of one map with the length of another would
    /// lead to an address that no map ever had.
    #[test]
    fn a_lookup_amid_changes_never_mixes_two_maps() {
        static SLOTS: Slots<2> = Slots::new();
        let short = 1_000_000..1_000_010;
        let long = 2_000_000..2_500_000;
        std::thread::scope(|scope| {
            let kept = SLOTS.enter(7_000_000..7_000_010).unwrap();
            let changing = scope.spawn(|| {
                for _ in 0..20_000 {
                    for map in [&short, &long] {
                        let place = SLOTS.enter(map.clone()).unwrap();
                        SLOTS.remove(place);
                    }
                }
            });
            loop {
                assert!(!SLOTS.poison_at(1_000_010), "the base of one, the length of the other");
                assert!(SLOTS.poison_at(7_000_009), "a map that stays is always found");
                if changing.is_finished() {
                    break;
                }
            }
            assert!(SLOTS.is_poisoned(kept));
        });
    }
}
