//! The newest features of a group, read from memory that a server on the same host shares: without
//! a system call, in a fraction of a microsecond.
//!
//! ```no_run
//! # fn example() -> Result<(), barrow_client::latest_table::TableError> {
//! use std::path::Path;
//!
//! use barrow_client::latest_table::LatestTable;
//!
//! let mut table = LatestTable::open_dir(Path::new("data/latest"), "momentum", None)?;
//! let row = table.latest("SPY")?;
//! let (slot, first) = (row.head().ts, row.value(0));
//! # Ok(())
//! # }
//! ```
//!
//! A read answers with a row only if the server gave a sign of life within the time that it
//! promised, and the table is the one that the server writes. A table that was closed, or whose
//! server died, is left for its successor as soon as there is one: [`LatestTable::spec`] then has
//! another `generation`, after a start of the server another `epoch`, and for a table that was
//! opened without a version perhaps another `version` and other features.
//!
//! | error | what to do |
//! |---|---|
//! | [`ReadError::Absent`] | nothing has closed, or forms, yet |
//! | [`ReadError::Busy`] | read again; a row is written in well under a microsecond |
//! | [`ReadError::WriterGone`] | the rows may be old: stop trading on them, read again later |
//! | [`ReadError::Closed`], [`TableError::NoTable`] | the same: the server stopped in order |
//! | [`TableError::NoSymbol`] | the symbol has no row yet, or is not of the group |

mod clock;
mod error;
mod map;
mod place;
pub mod publish;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use barrow_protocol::table::TableReader;
pub use barrow_protocol::table::{OpenError, ReadError, SlotCount, SymbolName, TableSpec, Which};
pub use barrow_protocol::{Row, RowFlags, RowHead, RowLayout};

pub use error::TableError;
use map::ReadMap;
use place::Place;
pub use slot::SlotRows;

/// How many tables a read follows before it gives up: each is one that was closed meanwhile.
const FOLLOWED_MAX: usize = 8;

/// The newest rows of a group's version. Each thread that reads has one of its own.
#[derive(Debug)]
pub struct LatestTable {
    place: Place,
    reader: TableReader<ReadMap>,
    indices: HashMap<Box<str>, usize>,
    row: Vec<u64>,
    slot: slot::Buffers,
}

impl LatestTable {
    /// Opens the table in a file. Later generations are looked for in the file's folder.
    ///
    /// # Errors
    /// There is no such file, or it is no table that this client can read.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let reader = place::open(path)?;
        let spec = reader.spec();
        let place = Place {
            dir: path.parent().unwrap_or(Path::new("")).to_owned(),
            group: spec.group.clone(),
            version: Some(spec.version.clone()),
        };
        Ok(Self::of(place, reader))
    }

    /// Opens the newest table of a group in the folder where a server shares them: of that version,
    /// or of the promoted one.
    ///
    /// # Errors
    /// There is none that is still written, or it cannot be read.
    pub fn open_dir(dir: &Path, group: &str, version: Option<&str>) -> Result<Self, TableError> {
        let place = Place {
            dir: dir.to_owned(),
            group: group.to_owned(),
            version: version.map(str::to_owned),
        };
        let reader = place.newest()?;
        Ok(Self::of(place, reader))
    }

    fn of(place: Place, reader: TableReader<ReadMap>) -> Self {
        reader.memory().warm();
        let row = vec![0; reader.layout().row().words()];
        let slot = slot::Buffers::default();
        Self { place, reader, indices: HashMap::new(), row, slot }
    }

    /// Which table it is: group, version, features, generation, epoch.
    pub const fn spec(&self) -> &TableSpec {
        self.reader.spec()
    }

    /// How many symbols there are.
    pub fn count(&self) -> usize {
        self.reader.count()
    }

    /// The name of a symbol; `None` if there is none of that index.
    pub fn symbol(&self, index: usize) -> Option<SymbolName> {
        self.reader.symbol(index)
    }

    /// The index of a symbol: good for this generation of the table, and no other.
    pub fn index(&mut self, symbol: &str) -> Option<usize> {
        if let Some(index) = self.indices.get(symbol) {
            return Some(*index);
        }
        for index in self.indices.len()..self.reader.count() {
            let name = self.reader.symbol(index)?;
            self.indices.insert(name.as_str().into(), index);
        }
        self.indices.get(symbol).copied()
    }

    /// The features of the slot that closed last.
    ///
    /// # Errors
    /// See the [table of errors](self).
    pub fn latest(&mut self, symbol: &str) -> Result<Row<'_>, TableError> {
        self.read(symbol, Which::Newest)
    }

    /// The features of the slot that closed before the last.
    ///
    /// # Errors
    /// See the [table of errors](self).
    pub fn previous(&mut self, symbol: &str) -> Result<Row<'_>, TableError> {
        self.read(symbol, Which::Previous)
    }

    /// What the features of the slot that is not due would be if it closed now.
    ///
    /// # Errors
    /// See the [table of errors](self).
    pub fn forming(&mut self, symbol: &str) -> Result<Row<'_>, TableError> {
        self.read(symbol, Which::Forming)
    }

    /// One of a symbol's rows.
    ///
    /// # Errors
    /// See the [table of errors](self).
    pub fn read(&mut self, symbol: &str, which: Which) -> Result<Row<'_>, TableError> {
        self.following(|table| {
            let Some(index) = table.index(symbol) else {
                // A table that is not written any more lacks symbols, too.
                table.check()?;
                return Err(TableError::NoSymbol { symbol: symbol.to_owned() });
            };
            Ok(table.fill(index, which)?)
        })?;
        Ok(self.row())
    }

    /// One of the rows of the symbol with that [index](Self::index). It goes to no other table, for
    /// there the index would mean another symbol: on [`ReadError::Closed`] and
    /// [`ReadError::WriterGone`], [`Self::follow`] does, and indices must be asked for again.
    ///
    /// # Errors
    /// Why there is no row.
    pub fn read_at(&mut self, index: usize, which: Which) -> Result<Row<'_>, ReadError> {
        self.fill(index, which)?;
        Ok(self.row())
    }

    fn fill(&mut self, index: usize, which: Which) -> Result<(), ReadError> {
        let result = self.reader.read(index, which, &mut self.row).map(|_| ());
        // A table without its writer shows what was, whatever it shows.
        self.reader.check_alive(clock::now())?;
        result
    }

    fn row(&self) -> Row<'_> {
        Row::new(self.reader.layout().row(), &self.row).expect("invariant: it was made as long")
    }

    /// How many slots of a symbol have closed since the table was made: tells at the cost of a load
    /// whether there is a new row. Says nothing of the server's life.
    pub fn closed_slots(&self, index: usize) -> u64 {
        self.reader.closed_slots(index)
    }

    /// The rows of all symbols for the slot that starts at `ts`, in nanoseconds since 1970 UTC, and
    /// who has none.
    ///
    /// # Errors
    /// See the [table of errors](self).
    pub fn slot(&mut self, ts: i64) -> Result<SlotRows<'_>, TableError> {
        self.following(|table| {
            let Self { reader, row, slot, .. } = table;
            let result = slot.fill(reader, ts, row);
            table.reader.check_alive(clock::now())?;
            Ok(result?)
        })?;
        Ok(SlotRows::new(&self.reader, &self.slot))
    }

    /// Whether the server lives and writes this table.
    pub fn is_alive(&self) -> bool {
        self.check().is_ok()
    }

    fn check(&self) -> Result<(), ReadError> {
        self.reader.check_open()?;
        self.reader.check_alive(clock::now())
    }

    /// Goes to the table that took the place of this one; `false` if there is none.
    ///
    /// # Errors
    /// The folder cannot be listed, or the table cannot be read.
    pub fn follow(&mut self) -> Result<bool, TableError> {
        let reader = match self.place.newest() {
            Ok(reader) => reader,
            Err(TableError::NoTable { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let (old, new) = (self.spec(), reader.spec());
        if (old.epoch, old.generation, &old.version) == (new.epoch, new.generation, &new.version) {
            return Ok(false);
        }
        *self = Self::of(self.place.clone(), reader);
        Ok(true)
    }

    /// Reads, and reads the next table if this one is not the newest any more.
    fn following(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        for _ in 0..FOLLOWED_MAX {
            let result = read(self);
            let is_left = match &result {
                Err(TableError::Read(ReadError::Closed { .. } | ReadError::WriterGone { .. })) => {
                    true
                }
                _ => self.place.version.is_none() && !self.reader.is_promoted(),
            };
            if !is_left {
                return result;
            }
            if !self.follow()? {
                // Whoever asks for the promoted version must not get another.
                return result.and_then(|()| Err(self.place.no_table()));
            }
        }
        Err(TableError::Read(ReadError::Busy))
    }
}
