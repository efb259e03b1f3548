//! Long work that a request starts and does not wait for. Jobs are rows of a ledger: each change of
//! one goes through the intake like any batch and is durable before anybody is told of it. What was
//! not done when the server stopped, or was killed, goes on when it starts again.
//!
//! | file | holds |
//! |---|---|
//! | `job.rs` | what a job is, and its states |
//! | `ledger.rs` | jobs as rows |
//! | `store.rs` | the jobs that are remembered, and the one way to change one |
//! | `runner.rs` | which are at work |
//! | `work.rs` | what the work of a job has at hand |
//! | `kinds.rs` | the table of kinds; one file each |

mod job;
pub(crate) mod kinds;
pub(crate) mod ledger;
mod runner;
mod store;
mod work;

pub(crate) use job::{Asked, Job, State};
pub(crate) use runner::start;
pub(crate) use store::{Filter, Jobs, Refusal};
