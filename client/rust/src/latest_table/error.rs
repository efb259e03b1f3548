//! Why a latest table cannot be found, opened or read.

use std::io;
use std::path::{Path, PathBuf};

use barrow_protocol::table::{OpenError, ReadError, SpecError};

/// Why a call of [`LatestTable`](super::LatestTable) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The system refused something.
    #[error("{doing} {}: {error}", path.display())]
    Io {
        /// `map`, `list`, `rename`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is no table that this client can read.
    #[error("{}: {error}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: OpenError,
    },
    /// No server has such a table here, or the last has stopped.
    #[error(
        "no server shares {} in {}: see that it runs on this host and serves the group",
        describe(group, version.as_deref()),
        dir.display()
    )]
    NoTable {
        /// The folder that was searched.
        dir: PathBuf,
        /// The group.
        group: String,
        /// The version; `None` for the promoted one.
        version: Option<String>,
    },
    /// The table has no such symbol. It may get one.
    #[error("the table has no symbol '{symbol}' yet")]
    NoSymbol {
        /// The symbol.
        symbol: String,
    },
    /// There is no row.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No table can be made so.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl TableError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }

    /// Why there is no row, if that is it.
    pub const fn read(&self) -> Option<ReadError> {
        match self {
            Self::Read(error) => Some(*error),
            _ => None,
        }
    }
}

fn describe(group: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("version {version} of {group}"),
        None => format!("a promoted version of {group}"),
    }
}
