//! The folds against loops written out plainly, and stories of bars that nobody delivered.

mod folds;
mod gathered;
mod store;
mod stories;
