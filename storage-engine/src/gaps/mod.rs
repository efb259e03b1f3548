//! Why a slot is empty.

mod explain;
mod intervals;
pub mod mask_file;
mod masks;
mod stored;
mod verify;
mod write;

pub use barrow_types::Reason;
pub use intervals::Intervals;
pub use masks::MaskStats;
pub use write::{MasksDone, MasksJob};

pub(crate) use explain::{Explainer, FactsAt, Subject, is_of};
pub(crate) use masks::{Asked, Masks, Presence};
pub(crate) use stored::find as find_stored;
pub(crate) use verify::{LiveMasks, NextMask, Verified, verify_files};
