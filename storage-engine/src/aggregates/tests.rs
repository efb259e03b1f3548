//! The folds against loops written out plainly, and stories of bars that nobody delivered.

mod edges;
mod files;
mod folds;
mod gathered;
mod remembered;
mod store;
mod stories;
