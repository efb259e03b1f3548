//! The program `barrow`; everything else is in the library.

/// Columns come and go by the hundred thousand: measured, a tenth of the processor time of an
/// ingest, and memory that is given back after it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    barrow_server::cli::main()
}
