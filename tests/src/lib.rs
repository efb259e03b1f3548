//! What the whole-system tests share.

pub mod model;
pub mod random;
