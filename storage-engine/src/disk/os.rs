//! Files of the operating system.

/// Files below one folder.
#[derive(Debug)]
pub struct OsDisk;
