//! Bars that no source delivered: from trades and quotes, and from finer bars.
//!
//! What they are is told in `docs/AGGREGATES.md`. They are computed from the visible rows when they
//! are asked for, or remembered from when they were, with all that they were computed from.
//!
//! | file | holds |
//! |---|---|
//! | `lineage.rs` | which series a candidate's bars may come from, and in which order they are asked |
//! | `make.rs` | the rows of a candidate in some sessions, wherever they come from |
//! | `finer.rs` | finer rows that were read, for bars of several steps |
//! | `gathered.rs` | rows of sessions from several places, put together |
//! | `tiles.rs` | bars that were made before, and the test whether they still hold |
//! | `tile_file.rs` | where the bytes of a file of tiles are |
//! | `stored_tiles.rs` | a file of tiles, read a tile at a time |
//! | `tiled.rs` | rows from tiles, and tiles from rows |
//! | `bars.rs` | the fold of finer bars |
//! | `ticks.rs` | the fold of trades and quotes |
//! | `targets.rs` | which instants lead to which bucket: breaks, auctions |
//! | `conditions.rs` | what a trade updates |
//! | `coverage.rs` | how much of a bar is there |
//! | `inspect.rs` | which rows are quarantined or flagged |
//! | `reasons.rs` | why slots are empty, by where their rows would come from |

mod bars;
mod conditions;
mod coverage;
mod finer;
mod gathered;
mod inspect;
mod lineage;
mod make;
mod reasons;
mod stored_tiles;
mod targets;
#[cfg(test)]
mod tests;
mod ticks;
pub mod tile_file;
mod tiled;
mod tiles;

pub use conditions::Conditions;

pub(crate) use finer::Memo;
pub(crate) use inspect::Inspector;
pub(crate) use lineage::{Lineage, Origin, Steps};
pub(crate) use make::{Coverage, Made, Maker, Wanted, bounds, kinds, ticks_of};
pub(crate) use reasons::{Reasons, Subjects};
pub(crate) use stored_tiles::{StoredTiles, find as find_stored_tiles};
pub use tiles::TileStats;
pub(crate) use tiles::Tiles;
