//! Any bytes as the body of a rows record: refused, or written again and read without a change.
#![no_main]

use barrow_engine::wal::body::RowsBody;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(body) = RowsBody::decode(bytes) {
        let again = body.encode();
        let back = RowsBody::decode(&again).expect("our own bytes are read");
        assert_eq!(back.encode(), again);
    }
});
