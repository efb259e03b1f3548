//! Any bytes as the chunk of one column: refused, or read and written again without a change.
#![no_main]

use barrow_engine::column::{decode, describe, encode};
use barrow_engine::rows::ColumnType;
use barrow_fuzz::{ChunkInput, assert_same};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ChunkInput| {
    let kind = ColumnType::from_code(input.choice % 3).expect("there are three");
    let (rows, range) = (input.rows(), input.range());
    let chunk = input.chunk(1, kind.code());
    let _ = describe(&chunk, rows);
    if let Ok(column) = decode(&chunk, kind, rows, range.clone()) {
        assert_eq!(column.len(), range.len());
        let mut again = Vec::new();
        encode(&column, &mut again);
        let back = decode(&again, kind, range.len(), 0..range.len());
        assert_same(&column, &back.expect("our own bytes are read"));
    }
});
