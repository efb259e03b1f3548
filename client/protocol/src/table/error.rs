//! Why a table cannot be made, opened or read.

/// Why a table cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A name is longer than the table has room for.
    #[error("{field}: '{name}' is longer than {max} bytes", max = barrow_types::NAME_LEN_MAX)]
    LongName {
        /// `group`, `version` or `features`.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// A number is out of its bounds.
    #[error("{field}: {value} is not from {min} to {max}")]
    Bounds {
        /// `capacity`, `features`, `generation` or `heartbeat_limit`.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
    /// The memory is not as long as the table.
    #[error("the table takes {needed} words, the memory has {given}")]
    Memory {
        /// The words of the table.
        needed: usize,
        /// The words of the memory.
        given: usize,
    },
}

/// Why memory is no table that this build can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not begin as a table does, or is not yet complete.
    #[error("this is no latest table")]
    NotATable,
    /// It has another layout.
    #[error(
        "the table has layout version {found}, this client reads {known}: use the client that \
         came with the server"
    )]
    LayoutVersion {
        /// That of the table.
        found: u64,
        /// That of this build.
        known: u64,
    },
    /// It is shorter or longer than it says.
    #[error("the table says that it has {said} bytes, there are {found}")]
    Length {
        /// What the header says.
        said: u64,
        /// How long the memory is.
        found: u64,
    },
    /// The header contradicts itself or the names.
    #[error("the table is damaged: {field} is wrong")]
    Damaged {
        /// What is wrong.
        field: &'static str,
    },
}

/// Why there is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such slot has closed yet, or none forms; or there is no such symbol.
    #[error("there is no such row yet")]
    Absent,
    /// The row was being written each time that it was looked at. Try again; if that goes on, the
    /// writer died while it wrote, and its heartbeat will tell.
    #[error("the row is being written")]
    Busy,
    /// The writer has not moved its heartbeat for longer than it promised.
    #[error("the server has not given a sign of life since {since} (nanoseconds since 1970)")]
    WriterGone {
        /// Its last heartbeat, nanoseconds since 1970 UTC.
        since: i64,
    },
    /// The table is not written any more.
    #[error("the table is closed; the next generation is {successor:?}")]
    Closed {
        /// The generation that took its place; `None` if the server stopped, or serves the group
        /// no longer.
        successor: Option<u64>,
    },
}
