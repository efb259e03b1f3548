//! What the measuring programs share: rows from a fixed seed, ways to load them, a small HTTP
//! client, the server as a process, and figures as lines of text.
//!
//! A program asks a few questions of one kind and prints a line for each figure, see
//! [`figure`]. `run.py` runs all of them in turn with other systems and makes tables of the lines.

pub mod arguments;
pub mod bars;
pub mod data;
pub mod echo;
pub mod facts;
pub mod figure;
pub mod http;
pub mod live;
pub mod load;
pub mod machine;
pub mod pace;
pub mod redis;
pub mod server;
pub mod sets;
pub mod source;
pub mod talk;

/// The allocator of the server: what is measured in process allocates as it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
