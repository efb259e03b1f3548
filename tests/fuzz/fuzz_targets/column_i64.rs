//! Any bytes as the chunk of a system column: refused, or read and written again without a change.
#![no_main]

use barrow_engine::column::{constant_i64, decode_i64, encode_i64, locate_i64};
use barrow_fuzz::ChunkInput;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ChunkInput| {
    let (rows, range) = (input.rows(), input.range());
    let chunk = input.chunk(1, 1);
    if let Ok(row) = locate_i64(&chunk, rows, i64::from(input.choice)) {
        assert!(row <= rows);
    }
    let constant = constant_i64(&chunk, rows);
    if let Ok(values) = decode_i64(&chunk, rows, range.clone()) {
        assert_eq!(values.len(), range.len());
        if let Ok(Some(constant)) = constant {
            assert!(values.iter().all(|&value| value == constant));
        }
        let mut again = Vec::new();
        encode_i64(&values, &mut again);
        assert_eq!(decode_i64(&again, range.len(), 0..range.len()).as_ref(), Ok(&values));
    }
});
