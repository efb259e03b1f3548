//! Any text as an expression: it is read or refused, and what is read is written so that it reads
//! back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match barrow_features::parse(text) {
        Err(error) => assert!(error.at() <= text.chars().count(), "{error}"),
        Ok(expr) => {
            let written = expr.to_string();
            let read = barrow_features::parse(&written).expect("what is written can be read");
            assert_eq!(read, expr, "{text} became {written}");
        }
    }
});
