//! The latest tables of the groups: files that clients of the same host map.

use std::path::{Path, PathBuf};

use barrow_client::latest_table::TableError;
use barrow_client::latest_table::publish::{NewTable, WriteMap, name_of, next_generation, retire};
use barrow_protocol::frame::Which;
use barrow_protocol::table::{TableFileName, TableSpec, TableWriter};
use barrow_types::Symbol;

use super::{Identity, LiveGroup};

/// The folder of tables in the folder of a store.
const FOLDER: &str = "latest";

/// Symbols that a new table has room for; each that takes its place has twice as much.
const CAPACITY: usize = 64;

/// How old a heartbeat may become before readers take the server for gone.
const HEARTBEAT_LIMIT_NANOS: i64 = 5_000_000_000;

/// Where tables are made.
pub(crate) struct Folder {
    dir: PathBuf,
    identity: Identity,
}

/// The table of a group.
pub(crate) struct TableFile {
    spec: TableSpec,
    writer: TableWriter<WriteMap>,
}

impl Folder {
    /// The folder of tables of a store, made if need be.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn open(data_dir: &Path, identity: Identity) -> std::io::Result<Self> {
        let dir = data_dir.join(FOLDER);
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, identity })
    }

    /// Makes the table of a group, with all that the group holds, and shows it.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn create(&self, group: &LiveGroup, now: i64) -> Result<TableFile, TableError> {
        let generation = next_generation(&self.dir, &group.name, &group.version)?;
        let capacity = CAPACITY.max(group.symbols().len().next_power_of_two() * 2);
        let spec = TableSpec {
            group: group.name.clone(),
            version: group.version.clone(),
            features: group.features.clone(),
            capacity,
            instance: self.identity.instance,
            epoch: self.identity.epoch,
            generation,
            heartbeat_limit: HEARTBEAT_LIMIT_NANOS,
        };
        let mut table = NewTable::create(&self.dir, &spec, now)?;
        let writer = table.writer();
        let mut row = vec![0; group.layout.words()];
        for (index, name) in (0..).zip(group.symbols()) {
            let place = add(writer, &name);
            for which in [Which::Previous, Which::Newest] {
                if group.read(index, which, &mut row).is_ok() {
                    writer.publish_closed(place, &row);
                }
            }
            if group.read(index, Which::Forming, &mut row).is_ok() {
                writer.publish_forming(place, &row);
            }
        }
        writer.set_promoted(group.is_promoted());
        Ok(TableFile { writer: table.publish()?, spec })
    }

    /// Makes a larger table in the place of a full one.
    ///
    /// # Errors
    /// The system refuses; the old one is closed all the same: it would become stale.
    pub(crate) fn replace(
        &self,
        old: TableFile,
        group: &LiveGroup,
        now: i64,
    ) -> Result<TableFile, TableError> {
        let new = self.create(group, now);
        old.writer.close(new.as_ref().ok().map(|new| new.spec.generation));
        new
    }

    /// Removes the tables of earlier servers.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn retire<'a>(
        &self,
        served: impl IntoIterator<Item = &'a TableFile>,
    ) -> Result<usize, TableError> {
        let served: Vec<TableFileName> =
            served.into_iter().map(|table| name_of(&table.spec)).collect();
        retire(&self.dir, &served)
    }
}

impl TableFile {
    /// Whether there is room for another symbol.
    pub(crate) fn has_room(&self) -> bool {
        self.writer.count() < self.spec.capacity
    }

    /// Adds a symbol; there is room for it.
    pub(crate) fn add_symbol(&mut self, name: &str) {
        add(&mut self.writer, name);
    }

    /// The rows of a symbol's slots.
    pub(crate) const fn writer(&mut self) -> &mut TableWriter<WriteMap> {
        &mut self.writer
    }

    /// Ends the table without another.
    pub(crate) fn close(self) {
        self.writer.close(None);
    }
}

fn add(writer: &mut TableWriter<WriteMap>, name: &str) -> usize {
    let symbol = Symbol::new(name).expect("invariant: an instrument's id is a name");
    writer.add_symbol(&symbol).expect("invariant: there is room")
}
