//! Any bytes as header, index, trailer and tile of a file of tiles.
#![no_main]

use barrow_engine::aggregates::tile_file;
use barrow_fuzz::with_crc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (number, bytes) = input;
    let _ = tile_file::decode_header(bytes);
    if bytes.len() == tile_file::HEADER_LEN {
        let bytes = with_crc(bytes, 12, 16..bytes.len());
        if let Ok(header) = tile_file::decode_header(&bytes) {
            assert_eq!(tile_file::encode_header(&header), bytes);
        }
    }
    let _ = tile_file::decode_trailer(bytes);
    if bytes.len() == tile_file::TRAILER_LEN {
        let _ = tile_file::decode_trailer(&with_crc(bytes, 16, 0..16));
    }
    let first = tile_file::HEADER_LEN as u64;
    for end in [first, first + u64::from(number)] {
        if let Ok(entries) = tile_file::decode_index(bytes, end) {
            assert_eq!(tile_file::encode_index(&entries)[..bytes.len()], *bytes);
        }
    }
    for rows in [1, 2, u32::from(number)] {
        if let Ok(bars) = tile_file::decode_tile(bytes, rows) {
            let again = tile_file::encode_tile(&bars);
            let read = tile_file::decode_tile(&again, rows).expect("it was just encoded");
            assert_eq!(tile_file::encode_tile(&read), again);
        }
    }
});
