//! A group's symbols and their latest rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use barrow_protocol::frame::{Absence, Which};
use barrow_protocol::{HEAD_WORDS, Row, RowHead, RowLayout};
use parking_lot::RwLock;

/// A version of a group whose latest rows are kept ready.
pub(crate) struct LiveGroup {
    /// Its number, the same for all clients until the server's end, never given again.
    pub(crate) handle: u32,
    /// The group's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The names of its features, in the order of rows.
    pub(crate) features: Vec<String>,
    /// How long its rows are.
    pub(crate) layout: RowLayout,
    promoted: AtomicBool,
    symbols: RwLock<Symbols>,
    /// By symbol, the row of each [`Which`]; empty if there is none.
    rows: RwLock<Vec<[Box<[u64]>; 3]>>,
}

#[derive(Default)]
struct Symbols {
    names: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, u32>,
}

impl LiveGroup {
    /// A group without symbols.
    pub(crate) fn new(handle: u32, name: &str, version: &str, features: Vec<String>) -> Self {
        Self {
            handle,
            name: name.to_owned(),
            version: version.to_owned(),
            layout: RowLayout::new(features.len()),
            features,
            promoted: AtomicBool::new(false),
            symbols: RwLock::default(),
            rows: RwLock::default(),
        }
    }

    /// Whether the bare name means this version.
    pub(crate) fn is_promoted(&self) -> bool {
        self.promoted.load(Ordering::Relaxed)
    }

    /// Says whether the bare name means this version.
    pub(crate) fn set_promoted(&self, is_promoted: bool) {
        self.promoted.store(is_promoted, Ordering::Relaxed);
    }

    /// The number of a symbol.
    pub(crate) fn symbol(&self, name: &str) -> Option<u32> {
        self.symbols.read().by_name.get(name).copied()
    }

    /// The name of a symbol.
    pub(crate) fn name_of(&self, index: u32) -> Option<Arc<str>> {
        self.symbols.read().names.get(usize::try_from(index).ok()?).cloned()
    }

    /// How many symbols there are: their numbers are those below.
    pub(crate) fn symbol_count(&self) -> u32 {
        let count = self.symbols.read().names.len();
        u32::try_from(count).expect("invariant: symbols are numbered in 32 bits")
    }

    /// The names of all symbols, in the order of their numbers.
    pub(crate) fn symbols(&self) -> Vec<Arc<str>> {
        self.symbols.read().names.clone()
    }

    /// The number of a symbol, a new one if it has none.
    pub(crate) fn add_symbol(&self, name: &str) -> u32 {
        let mut symbols = self.symbols.write();
        if let Some(index) = symbols.by_name.get(name) {
            return *index;
        }
        let index = u32::try_from(symbols.names.len());
        let index = index.expect("invariant: symbols are numbered in 32 bits");
        let name: Arc<str> = name.into();
        symbols.names.push(Arc::clone(&name));
        symbols.by_name.insert(name, index);
        self.rows.write().push(Default::default());
        index
    }

    /// Stores a row of a symbol that was added; an empty one takes it away.
    pub(crate) fn store(&self, index: u32, which: Which, row: &[u64]) {
        let mut rows = self.rows.write();
        let place = usize::try_from(index).expect("invariant: 32 bits fit an address");
        put(&mut rows[place][place_of(which)], row);
    }

    /// Makes a row the newest of a symbol, and that the one before.
    pub(crate) fn push(&self, index: u32, row: &[u64]) {
        let mut rows = self.rows.write();
        let place = usize::try_from(index).expect("invariant: 32 bits fit an address");
        let [newest, previous, _] = &mut rows[place];
        std::mem::swap(newest, previous);
        put(newest, row);
    }

    /// When the slot of a row starts; `None` if there is no such row.
    pub(crate) fn ts_of(&self, index: u32, which: Which) -> Option<i64> {
        let rows = self.rows.read();
        let row = &rows.get(usize::try_from(index).ok()?)?[place_of(which)];
        Some(Row::new(self.layout, row)?.head().ts)
    }

    /// Whether a row is another than the one that is stored, but for the record that it names.
    pub(crate) fn is_other(&self, index: u32, which: Which, row: &[u64]) -> bool {
        let rows = self.rows.read();
        let place = usize::try_from(index).expect("invariant: 32 bits fit an address");
        let old = &rows[place][place_of(which)];
        let head =
            |row| Row::new(self.layout, row).map(|row| RowHead { at_sequence: 0, ..row.head() });
        head(old) != head(row) || old.get(HEAD_WORDS..) != row.get(HEAD_WORDS..)
    }

    /// Copies a row of a symbol.
    ///
    /// # Panics
    /// If `out` is not a row long.
    pub(crate) fn read(&self, index: u32, which: Which, out: &mut [u64]) -> Result<(), Absence> {
        let rows = self.rows.read();
        let place = usize::try_from(index).map_err(|_| Absence::Symbol)?;
        let row = &rows.get(place).ok_or(Absence::Symbol)?[place_of(which)];
        if row.is_empty() {
            return Err(Absence::Row);
        }
        out.copy_from_slice(row);
        Ok(())
    }
}

fn put(place: &mut Box<[u64]>, row: &[u64]) {
    if place.len() == row.len() {
        place.copy_from_slice(row);
    } else {
        *place = row.into();
    }
}

const fn place_of(which: Which) -> usize {
    match which {
        Which::Newest => 0,
        Which::Previous => 1,
        Which::Forming => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_keep_their_numbers_and_rows_are_read_as_stored() {
        let group = LiveGroup::new(0, "g", "v", vec!["a".to_owned()]);
        assert_eq!(
            [group.add_symbol("A"), group.add_symbol("B"), group.add_symbol("A")],
            [0, 1, 0]
        );
        assert_eq!((group.symbol("B"), group.symbol("C")), (Some(1), None));
        assert_eq!((group.name_of(1).as_deref(), group.name_of(2)), (Some("B"), None));
        let row = vec![7; group.layout.words()];
        group.store(1, Which::Previous, &row);
        let mut out = vec![0; row.len()];
        assert_eq!(group.read(1, Which::Previous, &mut out), Ok(()));
        assert_eq!(out, row);
        assert_eq!(group.read(1, Which::Newest, &mut out), Err(Absence::Row));
        assert_eq!(group.read(2, Which::Newest, &mut out), Err(Absence::Symbol));
    }
}
