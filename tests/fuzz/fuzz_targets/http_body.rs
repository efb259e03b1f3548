//! Any bytes as the body of an ingest request: Arrow stream, CSV, JSON, NDJSON, Parquet.
//!
//! The decoders of Arrow and Parquet are not ours and may panic: the boundary around them has to
//! turn that into an error. The fuzzer's own panic hook would end the process before it can.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;

static QUIET: Once = Once::new();

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, body) = input;
    QUIET.call_once(|| {
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let ours = panic.location().is_some_and(|at| at.file().starts_with("server/"));
            if ours {
                abort(panic);
            }
        }));
    });
    let _ = barrow_server::decode_body(kind, body);
});
