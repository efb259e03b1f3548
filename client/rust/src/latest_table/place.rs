//! Where tables lie, and which of them is to be read.

use std::fs;
use std::path::{Path, PathBuf};

use barrow_protocol::table::{TableFileName, TableReader};

use super::error::TableError;
use super::map::ReadMap;

/// Where the tables of a group are looked for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) group: String,
    /// `None`: the promoted one.
    pub(super) version: Option<String>,
}

impl Place {
    /// The table that the server writes, or wrote when it died: of all that are not closed, the one
    /// with the last heartbeat, and of those of one server the last generation.
    pub(super) fn newest(&self) -> Result<TableReader<ReadMap>, TableError> {
        let mut newest: Option<TableReader<ReadMap>> = None;
        for name in file_names(&self.dir)? {
            let is_version = self.version.as_ref().is_none_or(|version| *version == name.version);
            if name.group != self.group || !is_version {
                continue;
            }
            let reader = match open(&self.dir.join(name.to_string())) {
                Ok(reader) => reader,
                // Removed since the folder was listed.
                Err(TableError::Io { error, .. })
                    if error.kind() == std::io::ErrorKind::NotFound =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let is_promoted = self.version.is_some() || reader.is_promoted();
            if reader.check_open().is_ok() && is_promoted && is_newer(&reader, newest.as_ref()) {
                newest = Some(reader);
            }
        }
        newest.ok_or_else(|| self.no_table())
    }

    pub(super) fn no_table(&self) -> TableError {
        TableError::NoTable {
            dir: self.dir.clone(),
            group: self.group.clone(),
            version: self.version.clone(),
        }
    }
}

fn is_newer(reader: &TableReader<ReadMap>, than: Option<&TableReader<ReadMap>>) -> bool {
    let Some(than) = than else { return true };
    if reader.spec().epoch == than.spec().epoch && reader.spec().version == than.spec().version {
        return reader.spec().generation > than.spec().generation;
    }
    reader.heartbeat() > than.heartbeat()
}

/// Maps a table.
pub(super) fn open(path: &Path) -> Result<TableReader<ReadMap>, TableError> {
    let map = ReadMap::open(path).map_err(TableError::io("map", path))?;
    TableReader::open(map).map_err(|error| TableError::Open { path: path.to_owned(), error })
}

/// The tables of a folder.
pub(super) fn file_names(dir: &Path) -> Result<Vec<TableFileName>, TableError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(TableError::io("list", dir))? {
        let entry = entry.map_err(TableError::io("list", dir))?;
        names.extend(entry.file_name().to_str().and_then(TableFileName::parse));
    }
    Ok(names)
}
