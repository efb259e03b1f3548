//! The contract over real sockets: each test starts a server of its own on a free port, in process,
//! over a temporary folder.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod adjust;
mod aggregates;
mod auth;
mod backups;
mod backups_killed;
mod bad_input;
mod calendars;
mod curated;
mod dates;
mod dead_letters;
mod disk;
mod disk_faults;
mod examples;
mod facts;
mod features;
mod harness;
mod health;
mod imports;
mod ingest;
mod jobs;
mod jobs_killed;
mod killed;
mod latest;
mod lifecycle;
mod live;
mod malformed;
mod openapi;
mod program;
mod quality;
mod query;
mod request_log;
mod retention;
mod retract;
mod tables;
mod ticks;
mod vintage;
