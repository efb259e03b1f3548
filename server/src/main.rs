//! The program `barrow`; everything is in the library.

fn main() -> std::process::ExitCode {
    barrow_server::cli::main()
}
