//! Parquet bodies.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray, TimestampSecondArray,
};
use arrow::datatypes::{Int8Type, Int32Type};

use super::*;

fn file(columns: Vec<(&'static str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn default() -> WriterProperties {
    WriterProperties::default()
}

#[test]
fn columns_of_every_type_that_files_have_are_taken() {
    let venues = DictionaryArray::<Int32Type>::from_iter([Some("Q"), None, Some("Q")]);
    let sizes = Decimal128Array::from(vec![150, 200, 250]).with_precision_and_scale(20, 2).unwrap();
    let seconds = TimestampSecondArray::from(vec![OPEN / 1_000_000_000; 3]).with_timezone("UTC");
    let columns = || -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("symbol", Arc::new(LargeStringArray::from(vec!["A", "B", "A"]))),
            ("ts", Arc::new(seconds.clone())),
            ("price", Arc::new(Float32Array::from(vec![1.5, 2.5, 3.5]))),
            ("size", Arc::new(sizes.clone())),
            ("venue", Arc::new(venues.clone())),
            ("conditions", Arc::new(StringViewArray::from(vec![Some("@"), Some(""), None]))),
            ("trade_id", Arc::new(Int64Array::from(vec![Some(7), None, Some(8)]))),
        ]
    };
    let of = |compression| WriterProperties::builder().set_compression(compression);
    for properties in [
        default(),
        of(Compression::SNAPPY).build(),
        of(Compression::ZSTD(Default::default())).set_dictionary_enabled(false).build(),
        of(Compression::SNAPPY).set_data_page_row_count_limit(1).set_write_batch_size(1).build(),
        of(Compression::UNCOMPRESSED).set_max_row_group_row_count(Some(2)).build(),
    ] {
        let body = file(columns(), properties);
        let incoming = decode(Kind::Parquet, body, &ticks(&TRADES)).unwrap();
        assert_eq!(
            shown(&incoming),
            "0 A 0 - 1.5 1.5 Q @ 7\n1 B 0 - 2.5 2 -  -\n2 A 0 - 3.5 2.5 Q - 8"
        );
    }
}

#[test]
fn days_may_be_dates_and_refused_rows_keep_their_text() {
    let days = Plan { step: Step::D1, symbol: Some("SPY".into()), ..plan() };
    let price = |values: [f64; 2]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        // Days since 1970 of 2013-10-08.
        ("ts", Arc::new(Date32Array::from(vec![15_986, 15_986]))),
        ("open", price([1.0; 2])),
        ("high", price([2.0; 2])),
        ("low", price([0.5; 2])),
        ("close", price([1.5; 2])),
        ("trades", price([12.0, 12.5])),
    ];
    let incoming = decode(Kind::Parquet, file(columns, default()), &days).unwrap();
    assert_eq!(
        shown(&incoming),
        "0 SPY 37800 - 1 2 0.5 1.5 - - 12\n1 ! not_a_number | trades: 12.5 is no whole number | \
         ts=2013-10-08,open=1.0,high=2.0,low=0.5,close=1.5,trades=12.5"
    );
}

#[test]
fn columns_that_are_unknown_missing_or_of_another_type_are_named() {
    for (name, kind, field) in [
        ("colour", Arc::new(StringArray::from(vec!["red"])) as ArrayRef, "colour"),
        ("price", Arc::new(StringArray::from(vec!["1.5"])), "price"),
        ("venue", Arc::new(Float64Array::from(vec![1.5])), "venue"),
        ("venue", Arc::new(StringArray::from(vec!["Q"])), "price"),
    ] {
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("symbol", strings(&["A"])),
            ("ts", nanos(&[OPEN])),
            ("size", nanos(&[1])),
            (name, kind),
        ];
        if field != "price" {
            columns.push(("price", nanos(&[1])));
        }
        let body = file(columns, default());
        let (code, found, _) = problem(Kind::Parquet, &body, &ticks(&TRADES));
        assert_eq!((code, found.as_deref()), (Code::InvalidBody, Some(field)));
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let whole = file(bars(strings(&["A"]), nanos(&[OPEN]), nanos(&[1])), default());
    assert!(decode(Kind::Parquet, &whole, &plan()).is_ok());
    for len in 0..whole.len() {
        assert_eq!(problem(Kind::Parquet, &whole[..len], &plan()).0, Code::InvalidBody, "{len}");
    }
}

#[test]
fn flipping_any_byte_of_a_file_never_breaks_the_server() {
    let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    let v2 = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
    let columns = || bars(strings(&["A", "B"]), nanos(&[OPEN; 2]), nanos(&[1, 2]));
    for properties in [default(), zstd.build(), v2.build()] {
        let whole = file(columns(), properties);
        for at in 0..whole.len() {
            for bit in [1, 0x10, 0x80] {
                let mut damaged = whole.clone();
                damaged[at] ^= bit;
                // Whatever comes out: a batch or a refusal, never a panic that leaves decode().
                let _ = decode(Kind::Parquet, &damaged, &plan());
            }
        }
    }
}

#[test]
fn small_files_cannot_become_large_in_memory() {
    let len = 100_000;
    let zstd =
        || WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    let many = || bars(strings(&vec!["A"; len]), nanos(&vec![OPEN; len]), nanos(&vec![1; len]));
    // Pages that are long once they are decompressed.
    let body = file(many(), zstd().set_dictionary_enabled(false).build());
    assert!(body.len() < 1 << 20, "{} bytes", body.len());
    assert_eq!(problem(Kind::Parquet, &body, &plan()).0, Code::InvalidBody);
    // Many rows that a dictionary and runs make of nothing.
    let body = file(many(), default());
    assert!(body.len() < 10_000, "{} bytes", body.len());
    assert_eq!(problem(Kind::Parquet, &body, &plan()).0, Code::TooLarge);
    // One long text that a dictionary repeats.
    let long = "x".repeat(10_000);
    let keys = vec![0_i8; 5_000];
    let dictionary =
        DictionaryArray::<Int8Type>::try_new(keys.into(), strings(&[long.as_str()])).unwrap();
    let columns = bars(Arc::new(dictionary), nanos(&vec![OPEN; 5_000]), nanos(&vec![1; 5_000]));
    let body = file(columns, default());
    assert_eq!(problem(Kind::Parquet, &body, &plan()).0, Code::TooLarge);
}

#[test]
fn encodings_whose_pages_alone_know_their_length_are_refused_by_name_of_the_column() {
    let columns = || bars(strings(&["A"]), nanos(&[OPEN]), nanos(&[1]));
    for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY] {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("symbol".into(), encoding);
        let body = file(columns(), properties.build());
        let (code, _, detail) = problem(Kind::Parquet, &body, &plan());
        assert_eq!(code, Code::InvalidBody);
        assert!(detail.contains("column symbol"), "{detail}");
    }
}
