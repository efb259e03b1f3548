//! What the whole-system tests share.
//!
//! | module | what it is |
//! |---|---|
//! | [`volume`] | files as a computer holds them: what is on the disk, what only in its cache |
//! | [`crash_states`] | what a loss of power may leave of a volume, at random or all of it |
//! | [`faulty_disk`] | the `Disk` over a volume that fails and loses power on demand |
//! | [`model`] | what Barrow must answer, in the plainest way |
//! | [`curated_model`] | what its curated layer must answer, in the plainest way |
//! | [`curated_schedule`] | what happens to a store that is asked about it, and questions, from a seed |
//! | [`compare`] | the engine's answers beside the model's |
//! | [`bar_store`] | an engine and a model that do the same, through crashes |
//! | [`loads`] | bars to load, from a seed |
//! | [`random`] | numbers from a seed |
//! | [`workers`] | many pieces of work on all cores |
//! | [`console`] | settings in, figures out |

pub mod bar_store;
pub mod compare;
pub mod console;
pub mod crash_states;
pub mod curated_model;
pub mod curated_schedule;
pub mod faulty_disk;
pub mod loads;
pub mod model;
pub mod random;
pub mod volume;
pub mod workers;
