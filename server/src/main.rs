//! The program `barrow`; everything else is in the library.

/// Columns come and go by the hundred thousand. The C library's allocator gives the large ones back
/// to the system each time and faults them in again, and keeps the small ones for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    barrow_server::cli::main()
}
