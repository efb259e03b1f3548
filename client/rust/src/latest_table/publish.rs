//! The server's side of the files: making a table, showing it, and clearing up after a server that
//! was here before.
//!
//! A table is made under a name that no reader looks for and gets its own when it is complete. A
//! table that is replaced while the server runs is closed and keeps its name until the next start;
//! [`retire`] then removes it, and closes what a server left that was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use barrow_protocol::table::{TableFileName, TableSpec, TableWriter, close_abandoned};

use super::error::TableError;
pub use super::map::WriteMap;
use super::place::file_names;

/// Behind the name of a table that is not complete.
const UNPUBLISHED: &str = ".tmp";

/// A table that no reader can find yet.
#[derive(Debug)]
pub struct NewTable {
    writer: TableWriter<WriteMap>,
    path: PathBuf,
}

impl NewTable {
    /// Makes the file of a table, with room on the disk for all of it.
    ///
    /// # Errors
    /// The system refuses, or there can be no such table.
    pub fn create(dir: &Path, spec: &TableSpec, now: i64) -> Result<Self, TableError> {
        let bytes = spec.layout()?.bytes();
        let path = dir.join(name_of(spec).to_string());
        let hidden = hidden(&path);
        let map = WriteMap::create(&hidden, bytes).map_err(TableError::io("make", &hidden))?;
        Ok(Self { writer: TableWriter::init(map, spec, now)?, path })
    }

    /// To write what is known before readers may see it.
    pub const fn writer(&mut self) -> &mut TableWriter<WriteMap> {
        &mut self.writer
    }

    /// Shows the table to readers.
    ///
    /// # Errors
    /// The system refuses.
    pub fn publish(self) -> Result<TableWriter<WriteMap>, TableError> {
        let hidden = hidden(&self.path);
        fs::rename(&hidden, &self.path).map_err(TableError::io("rename", &hidden))?;
        Ok(self.writer)
    }
}

fn hidden(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNPUBLISHED);
    PathBuf::from(name)
}

/// The name of a table's file.
pub fn name_of(spec: &TableSpec) -> TableFileName {
    TableFileName {
        group: spec.group.clone(),
        version: spec.version.clone(),
        generation: spec.generation,
    }
}

/// The generation that comes after all that the folder holds of a version.
///
/// # Errors
/// The folder cannot be listed.
pub fn next_generation(dir: &Path, group: &str, version: &str) -> Result<u64, TableError> {
    let names = file_names(dir)?;
    let of_version = names.iter().filter(|name| name.group == group && name.version == version);
    Ok(of_version.map(|name| name.generation).max().unwrap_or(0) + 1)
}

/// Closes and removes every table of the folder but those that are served now: for a server that
/// has published its own after its start. Readers of a table that an earlier server left are led
/// to the one of the same version, if there is one. Returns how many were removed.
///
/// # Errors
/// The system refuses.
pub fn retire(dir: &Path, served: &[TableFileName]) -> Result<usize, TableError> {
    let mut removed = 0;
    for name in file_names(dir)? {
        if served.contains(&name) {
            continue;
        }
        let is_next = |next: &&TableFileName| {
            next.group == name.group && next.version == name.version && *next != &name
        };
        let successor = served.iter().find(is_next).map(|next| next.generation);
        let path = dir.join(name.to_string());
        if let Ok(map) = WriteMap::open(&path) {
            // What is no table has no readers.
            let _ = close_abandoned(map.as_ref(), successor);
        }
        remove(&path)?;
        removed += 1;
    }
    let entries = fs::read_dir(dir).map_err(TableError::io("list", dir))?;
    for entry in entries {
        let path = entry.map_err(TableError::io("list", dir))?.path();
        if path.to_string_lossy().ends_with(&format!(".latest{UNPUBLISHED}")) {
            remove(&path)?;
        }
    }
    Ok(removed)
}

fn remove(path: &Path) -> Result<(), TableError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TableError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
