//! Any bytes as the chunk of four prices: refused, or read and written again without a change.
#![no_main]

use barrow_engine::column::{decode_candle, describe, encode_candle};
use barrow_fuzz::{ChunkInput, assert_same};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ChunkInput| {
    let (rows, range) = (input.rows(), input.range());
    let chunk = input.chunk(2, 0);
    let wanted = [1, 2, 4, 8].map(|bit| input.choice & bit != 0);
    let _ = describe(&chunk, rows);
    if let Ok(some) = decode_candle(&chunk, rows, range.clone(), wanted) {
        assert_eq!(some.each_ref().map(Option::is_some), wanted);
    }
    if let Ok([Some(open), Some(high), Some(low), Some(close)]) =
        decode_candle(&chunk, rows, range.clone(), [true; 4])
    {
        let prices = [&open, &high, &low, &close];
        let mut again = Vec::new();
        encode_candle(prices, &mut again);
        let back = decode_candle(&again, range.len(), 0..range.len(), [true; 4]);
        for (price, back) in prices.into_iter().zip(back.expect("our own bytes are read")) {
            assert_same(price, &back.expect("all four are wanted"));
        }
    }
});
