//! Any bytes as the header of a record, with a checksum that fits so that the search gets past it.
#![no_main]

use barrow_engine::wal::record::{HEADER_LEN, Header};
use barrow_fuzz::with_crc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: [u8; HEADER_LEN]| {
    let _ = Header::decode(&bytes);
    let bytes = with_crc(&bytes, 0, 4..HEADER_LEN);
    let bytes: [u8; HEADER_LEN] = bytes.try_into().expect("its length is kept");
    if let Ok((header, _)) = Header::decode(&bytes) {
        assert_eq!(header.encode(), bytes);
    }
});
