//! Any bytes as header, index, trailer and mask of a file of masks.
#![no_main]

use barrow_engine::gaps::mask_file;
use barrow_fuzz::with_crc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cookie, bytes) = input;
    let _ = mask_file::decode_header(bytes);
    if bytes.len() == mask_file::HEADER_LEN {
        let bytes = with_crc(bytes, 12, 16..bytes.len());
        if let Ok(header) = mask_file::decode_header(&bytes) {
            assert_eq!(mask_file::encode_header(&header), bytes);
        }
    }
    let _ = mask_file::decode_trailer(bytes);
    if bytes.len() == mask_file::TRAILER_LEN {
        let _ = mask_file::decode_trailer(&with_crc(bytes, 16, 0..16));
    }
    let first = mask_file::HEADER_LEN as u64;
    for end in [first, first + u64::from(cookie)] {
        if let Ok(entries) = mask_file::decode_index(bytes, end) {
            assert_eq!(mask_file::encode_index(&entries)[..bytes.len()], *bytes);
        }
    }
    // The search need not find the words that a mask begins with.
    for first in [12_346, 12_347 | u32::from(cookie % 20) << 16] {
        let mut mask = first.to_le_bytes().to_vec();
        mask.extend_from_slice(bytes);
        if let Ok(slots) = mask_file::decode_mask(&mask) {
            let again = mask_file::encode_mask(&slots);
            let read = mask_file::decode_mask(&again).expect("it was just encoded");
            assert_eq!(read, slots);
            assert_eq!(mask_file::encode_mask(&read), again);
        }
    }
});
