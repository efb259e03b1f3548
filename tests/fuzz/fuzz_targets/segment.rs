//! Any bytes as header, footer and trailer of a segment.
#![no_main]

use barrow_engine::segment::layout;
use barrow_fuzz::with_crc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = layout::check_header(bytes, 1);
    let _ = layout::decode_trailer(bytes);
    if bytes.len() == layout::TRAILER_LEN {
        let _ = layout::decode_trailer(&with_crc(bytes, 16, 0..16));
    }
    if let Ok(extents) = layout::decode_footer(bytes, 64..1 << 40) {
        let (again, _) = layout::encode_footer(&extents);
        assert_eq!(&again[..bytes.len()], bytes);
    }
});
