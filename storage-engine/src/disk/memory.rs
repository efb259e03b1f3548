//! Files in memory.

/// Files in memory.
#[derive(Debug, Default)]
pub struct MemoryDisk;
