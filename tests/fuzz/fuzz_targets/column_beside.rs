//! Any bytes as the chunk of a column beside two others: refused, or read and written again
//! without a change.
#![no_main]

use barrow_engine::column::{decode, decode_beside, describe, encode_beside, is_beside};
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_fuzz::{ChunkInput, assert_same};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ChunkInput| {
    let (rows, range) = (input.rows(), input.range());
    let chunk = input.chunk(3, 0);
    let _ = describe(&chunk, rows);
    let price = |by: f64| {
        let cents = (0..range.len()).map(|row| f64::from(input.choice) + (row % 7) as f64 * by);
        Column::new(Values::F64(cents.collect()))
    };
    let (high, low) = (price(0.02), price(0.01));
    if let Ok(column) = decode_beside(&chunk, rows, range.clone(), &high, &low) {
        let mut again = Vec::new();
        encode_beside(&column, &high, &low, &mut again);
        let all = 0..range.len();
        let back = if is_beside(&again) {
            decode_beside(&again, all.len(), all, &high, &low)
        } else {
            decode(&again, ColumnType::F64, all.len(), all)
        };
        assert_same(&column, &back.expect("our own bytes are read"));
    }
});
