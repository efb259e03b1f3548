//! Any bytes as name, index and chunks of a file of cells.
#![no_main]

use barrow_engine::features::cell_file::{self, Name};
use libfuzzer_sys::fuzz_target;

/// Length of the trailer behind an index.
const TRAILER_LEN: usize = 32;

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (at, number, bytes) = input;
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(Name::parse) {
        assert_eq!(name.path().as_bytes(), [b"derived/", bytes].concat());
    }
    let (index, chunks) = bytes.split_at(bytes.len().min(at.into()));
    for end in [40 + chunks.len() as u64, 40 + u64::from(number)] {
        let Ok(read) = cell_file::decode_index(index, end) else { continue };
        let again = cell_file::encode_index(&read);
        assert_eq!(again[..again.len() - TRAILER_LEN], *index);
        let slots = read.slots as usize;
        if let Ok(piece) = cell_file::decode_piece(&read, chunks, 0..slots) {
            assert_eq!(piece.len(), slots);
        }
    }
});
