//! Bars that no source delivered: from trades and quotes, and from finer bars.
//!
//! What they are is told in `docs/AGGREGATES.md`. They are computed from the visible rows when they
//! are asked for, or remembered from when they were, with all that they were computed from.
//!
//! | file | holds |
//! |---|---|
//! | `lineage.rs` | which series a candidate's bars may come from, and in which order they are asked |
//! | `make.rs` | the rows of a candidate in some sessions, wherever they come from |
//! | `gathered.rs` | rows of sessions from several places, put together |
//! | `tiles.rs` | bars that were made before, and the test whether they still hold |
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
mod gathered;
mod inspect;
mod lineage;
mod make;
mod reasons;
mod targets;
#[cfg(test)]
mod tests;
mod ticks;
mod tiled;
mod tiles;

pub use conditions::Conditions;

pub(crate) use inspect::Inspector;
pub(crate) use lineage::{Lineage, Origin, Steps};
pub(crate) use make::{Coverage, Made, Maker, Wanted, bounds, kinds, ticks_of};
pub(crate) use reasons::{Reasons, Subjects};
pub use tiles::TileStats;
pub(crate) use tiles::Tiles;
